"""How far both sides of a scenario have come, as every testbed asks it: whether what was sent has been acknowledged."""

from __future__ import annotations

from lab.model import Role
from lab.protocols.transport import ACK, FIN, RST, SYN, Segment


class Progress:
    """How far both sides have come: the raw number behind what each has sent, and what it was told has arrived."""

    def __init__(self) -> None:
        self._sent: dict[Role, int] = {}
        self._acked: dict[Role, int] = {}

    def sent(self, sender: Role, tcp: Segment) -> None:
        if tcp.flags & RST:
            return  # its number may be whatever it answers
        end = tcp.seq + tcp.payload + bool(tcp.flags & SYN) + bool(tcp.flags & FIN) & 0xFFFFFFFF
        if tcp.flags & SYN and end != self._sent.get(sender):
            self._acked.pop(sender, None)  # another connection: what was acknowledged on the last says nothing
        if tcp.flags & SYN or (end - self._sent.get(sender, end)) & 0xFFFFFFFF < 1 << 31:
            self._sent[sender] = end

    def got(self, receiver: Role, tcp: Segment) -> None:
        before = self._acked.get(receiver, tcp.ack)
        if tcp.flags & ACK and (tcp.ack - before) & 0xFFFFFFFF < 1 << 31:  # an older one may come late
            self._acked[receiver] = tcp.ack

    def acknowledged(self, sender: Role) -> bool:
        """Whether `sender` has got an acknowledgement for the last sequence number it put on the wire."""
        sent, acked = self._sent.get(sender), self._acked.get(sender)
        return sent is not None and acked is not None and (acked - sent) & 0xFFFFFFFF < 1 << 31
