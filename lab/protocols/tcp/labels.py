"""What a segment is called: by its flags, and by how it stands to what its sender has sent before."""

from __future__ import annotations

from functools import cache

from lab.model import Role
from lab.protocols.tcp.conversation import Conversation, End, SegmentRecord
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN

_MOST_HOLES = 64  # remembered for an end: what lies further back is called a retransmission when it comes


def of_bare_ack(
    labels: tuple[str, ...], record: SegmentRecord, conversation: Conversation, end: End, window: int, ack: int
) -> tuple[str, ...]:
    if record.seq > end.next:
        return of_order(labels, record, conversation, end, 0, 0)
    if record.seq == end.next - 1 and ack == end.acked:
        return (*labels, "keep-alive")
    if ack == end.acked and record.seq == end.next:
        if window != end.window:
            return (*labels, "window-update") if window else labels
        if end.peer.next > ack:  # RFC 5681 section 2: only where something is outstanding
            return (*labels, "duplicate-ack")
    return labels


def of_order(
    labels: tuple[str, ...], record: SegmentRecord, conversation: Conversation, end: End, payload: int, flags: int
) -> tuple[str, ...]:
    if record.seq > end.next:
        if not flags & RST:
            end.holes = [*(end.holes or ())[1 - _MOST_HOLES :], (end.next, record.seq)]
            conversation.holed = True
        return (*labels, "previous-segment-not-captured")
    if payload <= 1 and record.seq == end.next - 1 and not flags & (SYN | FIN):
        return (*labels, "keep-alive")
    for at, (start, stop) in enumerate(end.holes or ()):
        if start <= record.seq < stop:
            rest = ((start, record.seq), (record.stop, stop))
            left = [hole for hole in rest if hole[0] < hole[1]]
            end.holes = [*(end.holes or ())[:at], *left, *(end.holes or ())[at + 1 :]][:_MOST_HOLES]
            return (*labels, "out-of-order")
    if flags & (SYN | ACK) == SYN | ACK and end.acked < 0:
        return labels  # a simultaneous open: this end's SYN once more, but as an answer
    conversation.retransmissions += 1
    return (*labels, "retransmission")


def _kind(flags: int, payload: bool) -> tuple[str, ...]:
    """Returns what a segment is called, by its flags and whether it carries data."""
    names = []
    if flags & SYN:
        names.append("SYN-ACK" if flags & ACK else "SYN")
    if payload:
        names.append("data")
    names += [name for name, bit in (("FIN", FIN), ("RST", RST)) if flags & bit]
    return tuple(names) or (("ACK",) if flags & ACK else ("no-flags",))


_LETTERS = {
    "SYN": "s", "SYN-ACK": "h", "ACK": "a", "data": "d", "FIN": "f", "RST": "r", "bad-checksum": "c",
    "previous-segment-not-captured": "g", "retransmission": "t", "zero-window": "w",
}  # fmt: skip
_ORDER = "shadfrcgtw"


@cache
def letters_of(labels: tuple[str, ...]) -> int:
    """Returns the letters of Zeek's history (documentation of conn.log) that a segment writes, as bits of _ORDER."""
    names = {_LETTERS[label] for label in labels if label in _LETTERS}
    if "data" not in labels:
        names.discard("t")  # retransmitted *payload*
    return sum(1 << _ORDER.index(letter) for letter in names)


@cache
def spelled(fresh: int, role: Role) -> str:
    letters = "".join(letter for bit, letter in enumerate(_ORDER) if fresh >> bit & 1)
    return letters.upper() if role == "client" else letters


def spell(conversation: Conversation, end: End, letters: int) -> None:
    """Writes those letters of the history that an end has not written before."""
    fresh = letters & ~end.history
    end.history |= fresh
    conversation.history += spelled(fresh, end.role)


KINDS = {
    flags | (0x100 if payload else 0): (kind := _kind(flags, payload), letters_of(kind))
    for flags in range(0x20)
    for payload in (False, True)
}
