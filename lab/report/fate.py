"""What is said of a packet that did not arrive, or of which nobody knows: the one place with words for it."""

from __future__ import annotations

from lab.model import Packet
from lab.text import Text

LOST, UNACKNOWLEDGED = "lost", "unacknowledged"  # as remarks of a comparison

WORDS = {LOST: Text("lost", "丢失"), UNACKNOWLEDGED: Text("not seen acknowledged", "未见确认")}
_ABSORBED = Text(
    "sent again while another packet was held: the wire dropped it", "另一个包被扣住期间的重传，被线路丢弃"
)
_DROPPED = Text("the wire dropped it", "被线路丢弃")
_INFERRED = Text("to all appearances it never arrived", "看来没有送达")
_UNKNOWN = Text("whether it arrived is not known", "是否送达无从得知")


def words(packet: Packet) -> Text | None:
    """Returns what became of a packet, None where it has arrived or belongs to no conversation."""
    if packet.sender is None or packet.fate == "arrived":
        return None
    if packet.fate == "lost":
        if packet.journal is not None:
            return _ABSORBED if packet.journal.absorbed else _DROPPED
        return _INFERRED
    return WORDS[UNACKNOWLEDGED] if takes_numbers(packet) else _UNKNOWN


def remark(packet: Packet) -> str | None:
    """Returns the same in a word for programs, None where there is nothing that another run would have too."""
    if packet.fate == "lost":
        return LOST
    return UNACKNOWLEDGED if packet.fate == "unknown" and takes_numbers(packet) else None


def takes_numbers(packet: Packet) -> bool:
    """Whether it takes sequence space, so that its receiver has to acknowledge it."""
    return packet.seq is not None and packet.stop > packet.seq


__all__ = ["LOST", "UNACKNOWLEDGED", "WORDS", "remark", "takes_numbers", "words"]
