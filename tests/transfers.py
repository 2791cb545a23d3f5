"""Long TCP connections over a bad cable, made up: what kernels would send each other, packet by packet, as one file.

Two ends say in turn what they have to say. Each sends as much as its window allows, acknowledges every second segment,
asks again with duplicate acknowledgements and SACK, repeats what it is asked for and, after a while, what nobody has
acknowledged. The cable loses, delays and doubles; what is captured is what passes in front of it, or behind it.
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from lab.model import Role
from lab.protocols.tcp.segment import ACK, FIN, PSH, RST, SYN

Talk = Sequence[tuple[Role, bytes]]  # what is said, in turn

_MSS, _WINDOW, _PATIENCE = 1440, 24, 60.0  # bytes; segments under way; milliseconds
_BEGAN = 1_767_225_600_000  # milliseconds


class Cable(NamedTuple):
    """What becomes of packets: all are shares of one."""

    lost: float = 0.0
    late: float = 0.0
    doubled: float = 0.0  # sent once more by the cable
    seen_behind: bool = False  # captured behind the cable: what it loses is not there


class Shape(NamedTuple):
    """How a connection looks in a capture."""

    version: int = 4
    tagged: bool = False  # VLAN
    stamps: bool = True  # timestamps (RFC 7323)
    resets: bool = False  # it is reset in the end instead of closed
    half_closed: bool = False  # an end closes with the last that it says, and the other may go on


class _End:
    def __init__(self, dice: random.Random, texts: list[bytes]) -> None:
        self.isn = dice.getrandbits(32)
        self.text = b"".join(texts)
        self.next, self.una, self.got = 0, 0, 0  # numbers: a SYN is 0
        self.aside: dict[int, int] = {}  # got ahead of order: start and stop
        self.duplicates = 0
        self.owed = 0  # segments not acknowledged
        self.stop = 1  # what may be sent lies before this
        self.fin: int | None = None  # the number behind its FIN, where that goes with the last
        self.ident = dice.getrandbits(15)


class Transfer:
    """One connection: `packets` are the time in milliseconds and the frame of each packet that is captured."""

    def __init__(self, dice: random.Random, talk: Talk, cable: Cable, shape: Shape, index: int = 0) -> None:
        self._dice, self._cable, self._shape, self._index = dice, cable, shape, index
        roles: tuple[Role, Role] = ("client", "server")
        self._ends = [_End(dice, [text for each, text in talk if each == role]) for role in roles]
        self._turns = [(roles.index(role), len(text)) for role, text in talk]
        self._coming: list[tuple[float, int, tuple[str, int, int, int, int]]] = []
        self._count = 0
        self._now = dice.random() * 20
        self._arrived = [0.0, 0.0]  # when the last of each end has
        self.packets: list[tuple[float, bytes]] = []
        self._play()

    def _play(self) -> None:
        client, _ = self._ends
        for sender, flags in ((0, SYN), (1, SYN | ACK), (0, ACK)):
            self._seen(self._now, sender, flags, 0 if flags & SYN else 1, 0)
            self._now += 0.2
            if flags & SYN:
                self._ends[sender].next = self._ends[sender].una = self._ends[1 - sender].got = 1
        self._turn()
        steps = 0
        while self._coming and steps < 20_000:
            steps += 1
            self._now, _, (what, end, seq, size, ack) = heapq.heappop(self._coming)
            if what == "arrives":
                self._arrives(end, seq, size, ack)
            elif self._ends[end].una == ack and self._ends[end].una < self._ends[end].next:
                self._sends(end, self._ends[end].una)
                self._waits(end)
        if self._shape.resets:
            self._seen(self._now + 1, 0, RST | ACK, client.next, 0)
            return
        for sender in (0, 1):
            if self._ends[sender].fin is not None:
                continue
            self._now += 0.3
            self._seen(self._now, sender, FIN | ACK, self._ends[sender].next, 0)
            self._ends[sender].next += 1
            self._ends[1 - sender].got += 1
            self._seen(self._now + 0.1, 1 - sender, ACK, self._ends[1 - sender].next, 0)

    def _turn(self) -> None:
        """Lets the next who has something to say send it, when all before has arrived."""
        while self._turns and all(end.una == end.stop for end in self._ends):
            which, size = self._turns.pop(0)
            end = self._ends[which]
            end.stop += size
            if self._shape.half_closed and all(each != which for each, _ in self._turns):
                end.stop += 1
                end.fin = end.stop
            self._fill(which)
            self._waits(which)

    def _fill(self, which: int) -> None:
        end = self._ends[which]
        while end.next < end.stop and end.next - end.una < _WINDOW * _MSS:
            self._sends(which, end.next)

    def _waits(self, which: int) -> None:
        self._later(_PATIENCE, ("waits", which, 0, 0, self._ends[which].una))

    def _later(self, after: float, what: tuple[str, int, int, int, int]) -> None:
        self._count += 1
        heapq.heappush(self._coming, (self._now + after, self._count, what))

    def _sends(self, which: int, seq: int) -> None:
        end = self._ends[which]
        size = min(_MSS - 12 * self._shape.stamps, end.stop - seq)
        end.next = max(end.next, seq + size)
        self._crosses(which, PSH | ACK if seq + size == end.stop else ACK, seq, size)

    def _acknowledges(self, which: int) -> None:
        self._ends[which].owed = 0
        self._crosses(which, ACK, self._ends[which].next, 0)

    def _crosses(self, which: int, flags: int, seq: int, size: int) -> None:
        cable, dice = self._cable, self._dice
        arrives = max(self._now + 0.4 + dice.random() * 0.2, self._arrived[which] + 0.01)
        self._arrived[which] = arrives
        delay = arrives - self._now + (dice.random() * 6 if dice.random() < cable.late else 0)
        lost = dice.random() < cable.lost
        if not (lost and cable.seen_behind):
            frame = self._frame(which, flags, seq, size)
            self._captured(self._now + (delay if cable.seen_behind else 0), frame)
            if dice.random() < cable.doubled:
                self._captured(self._now + (delay if cable.seen_behind else 0) + 0.01, frame)
        if not lost:
            self._later(delay, ("arrives", 1 - which, seq, size, self._ends[which].got))

    def _arrives(self, which: int, seq: int, size: int, ack: int) -> None:
        end = self._ends[which]
        if ack > end.una:
            end.una, end.duplicates = ack, 0
            self._fill(which)
            if end.una < end.next:
                self._waits(which)
        elif not size and ack == end.una < end.next:
            end.duplicates += 1
            if end.duplicates == 3:
                self._sends(which, end.una)
        if size:
            self._takes(which, seq, seq + size)
        self._turn()

    def _takes(self, which: int, start: int, stop: int) -> None:
        end = self._ends[which]
        if start != end.got:
            if start > end.got:
                end.aside[start] = stop
            self._acknowledges(which)
            return
        end.got = stop
        while end.got in end.aside:
            end.got = end.aside.pop(end.got)
        end.owed += 1
        if end.owed > 1 or end.aside or end.got == self._ends[1 - which].stop:
            self._acknowledges(which)

    def _seen(self, at: float, which: int, flags: int, seq: int, size: int) -> None:
        self._captured(at, self._frame(which, flags, seq, size))

    def _captured(self, at: float, frame: bytes) -> None:
        self.packets.append((at, frame))

    def _frame(self, which: int, flags: int, seq: int, size: int) -> bytes:
        end, peer, shape = self._ends[which], self._ends[1 - which], self._shape
        flags |= FIN if size and seq + size == end.fin else 0
        options = b"\2\4" + struct.pack("!H", _MSS) + b"\4\2\1\1\3\3\7\1" if flags & SYN else b""
        if shape.stamps:
            options += b"\1\1\10\12" + struct.pack("!II", _BEGAN + int(self._now) & 0xFFFFFFFF, int(self._now))
        if not flags & SYN and not size and end.aside:
            start, stop = next(iter(end.aside.items()))
            edges = (peer.isn + start & 0xFFFFFFFF, peer.isn + stop & 0xFFFFFFFF)
            options += b"\1\1\5\12" + struct.pack("!II", *edges)
        ack = peer.isn + end.got & 0xFFFFFFFF if flags & ACK else 0
        ports = (40_000 + self._index, 9000)[:: 1 - 2 * which]
        text = end.text[max(seq - 1, 0) : max(seq - 1, 0) + size]
        tcp = struct.pack("!HHIIHHHH", *ports, end.isn + seq & 0xFFFFFFFF, ack, (5 + len(options) // 4) << 12 | flags,
                          64_000, 0, 0) + options + text  # fmt: skip
        return framed(tcp, which, shape, end)


def framed(tcp: bytes, which: int, shape: Shape, end: _End) -> bytes:
    hosts = ("192.0.2.1", "192.0.2.2") if shape.version == 4 else ("2001:db8::1", "2001:db8::2")
    source, target = (ip_address(host).packed for host in hosts[:: 1 - 2 * which])
    tcp = with_checksum(source + target, tcp)
    if shape.version == 4:
        end.ident = end.ident + 1 & 0xFFFF
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), end.ident, 0x4000, 64, 6, 0)
        head = head[:10] + struct.pack("!H", 0xFFFF - int.from_bytes(head + source + target) % 0xFFFF) + head[12:]
        packet = head + source + target + tcp
    else:
        packet = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + source + target + tcp
    kind = struct.pack("!H", 0x0800 if shape.version == 4 else 0x86DD)
    return bytes(12) + (b"\x81\0\0\7" if shape.tagged else b"") + kind + packet


def with_checksum(addresses: bytes, tcp: bytes) -> bytes:
    """Returns a segment with its checksum (RFC 9293 section 3.1)."""
    bare = tcp[:16] + bytes(2) + tcp[18:]
    total = (int.from_bytes(addresses) + 6 + len(bare) + int.from_bytes(bare + bytes(len(bare) & 1))) % 0xFFFF
    return bare[:16] + struct.pack("!H", 0xFFFF - total) + bare[18:]


def together(transfers: Iterable[Transfer]) -> list[tuple[float, bytes]]:
    """Returns what was captured of several connections, in the order of time."""
    return sorted((packet for each in transfers for packet in each.packets), key=lambda packet: packet[0])


def write(packets: Iterable[tuple[float, bytes]], path: Path) -> Path:
    """Writes a pcap of nanoseconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for at, frame in packets:
            seconds, nanoseconds = divmod(int((_BEGAN + at) * 1_000_000), 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
    return path
