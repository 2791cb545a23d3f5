"""The cable between the two hosts, as a program: no frame crosses that was not captured, none is lost untold.

Each frame is read, numbered, held while both kernels are asked for their states, and then passed on, unless a rule says
otherwise. After every delivery comes a barrier, a question that both hosts answer only when they have processed
whatever came before it; then the kernels are asked again. What the wire did, in which order, is its journal.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.capture.packet_socket import SO_TIMESTAMPNS, read_waiting
from lab.errors import MachineError
from lab.model import Captured, Delivered, Final, Frame, Kernels, Moved, Role, Settled, WireEvent
from lab.protocols.transport import Segment, segment
from lab.testbed.kernel import Witness
from lab.testbed.progress import Progress
from lab.testbed.rules import Policy, Rule
from lab.text import ROLES, Text

# include/uapi/linux/if_packet.h and asm-generic/socket.h
_SOL_PACKET, _PACKET_IGNORE_OUTGOING, _ETH_P_ALL = 263, 23, 3
_ARP = b"\x08\x06"
_ASKER = b"\x02\x00\x00"  # how the address begins that questions come from; the rest is the question's number
_ANSWER_WITHIN = 10.0  # seconds a host may take to answer the barrier: far more than a loaded machine needs
_ASK_AGAIN = 0.05
_SWAP_WITHIN = 1.0  # seconds a swapped frame waits for its successor


@dataclass(slots=True)
class Link:
    """The wire's end of one host's cable."""

    socket: socket.socket
    mac: bytes  # the host's
    ipv4: str  # the host's: it answers the barrier there, also when the lesson is in IPv6
    witness: Witness


@dataclass(slots=True)
class _Waiting:
    """A frame that has been captured and not yet passed on."""

    number: int
    sender: Role
    data: bytes
    segment: Segment | None
    rule: Rule | None
    due: float  # on the monotonic clock, in seconds


def open_link(interface: str) -> socket.socket:
    """Opens the packet socket on one cable: every frame that comes in, with the kernel's nanosecond time."""
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # receives nothing before it is bound
    link.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    link.setblocking(False)
    link.bind((interface, _ETH_P_ALL))
    return link


class Wire:
    """Forwards between two links by `policy` and tells every event of its journal to `tell`."""

    def __init__(self, links: Mapping[Role, Link], policy: Policy, tell: Callable[[WireEvent], None]) -> None:
        self._links = links
        self._policy = policy
        self._tell = tell
        self._waiting: list[_Waiting] = []
        self._number = 0
        self._questions = 0
        self._last: _Waiting | None = None  # the last TCP segment
        self._order = 0
        self._delivering = False
        self._last_forwarded: dict[Role, int] = {"client": 0, "server": 0}
        self._progress = Progress()

    def start(self) -> None:
        """Forgets what the hosts said while they were set up: it never crossed, and the lesson begins now."""
        self._barrier(tell=False)

    def settle(self) -> None:
        """Returns when nothing waits (but what a rule holds) and both hosts have done what they had to."""
        while True:
            self._collect()
            waiting = self._next()
            if waiting is not None:
                self._forward(waiting)
            elif self._barrier():
                continue
            elif (pause := self._pause()) is None:
                return
            else:
                self._listen(pause)

    def wait(self, until: Callable[[], bool], patience: float) -> bool:
        """Forwards until the condition holds; returns False where it did not within `patience` seconds."""
        deadline = time.monotonic() + patience
        self.settle()
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._listen(min(left, 0.05))
            self.settle()
        return True

    def acknowledged(self, sender: Role) -> bool:
        """Whether `sender` has got an acknowledgement for the last sequence number it put on the wire."""
        return self._progress.acknowledged(sender)

    def release(self) -> None:
        """Lets go of every frame that a rule holds."""
        for waiting in self._waiting:
            waiting.rule = None
        self.settle()

    def close(self) -> None:
        """Drops what is still held, so that every frame's fate is told, and asks the kernels one last time."""
        self.settle()
        for waiting in self._waiting:
            self._settled(waiting, None)
        self._waiting.clear()
        self._tell(Final(self._ask(self._last) if self._last else None))

    def _collect(self) -> bool:
        """Takes in what has arrived; returns whether there was anything."""
        arrived = sorted(
            (time_ns, sender, data)
            for sender, link in self._links.items()
            for time_ns, data in read_waiting(link.socket)
            if not _is_answer(data)
        )
        for time_ns, sender, data in arrived:
            self._captured(time_ns, sender, data)
        return bool(arrived)

    def _captured(self, time_ns: int, sender: Role, data: bytes) -> None:
        self._number += 1
        frame = Frame(self._number, time_ns, data, len(data))
        found = segment(frame)
        tcp = found if isinstance(found, Segment) else None
        if tcp is not None:
            self._progress.sent(sender, tcp)
        rule = self._policy.decide(sender, tcp)
        due = time.monotonic() + (rule.delay / 1e9 if rule else 0)
        waiting = _Waiting(self._number, sender, data, tcp, rule, due)
        self._waiting.append(waiting)
        if tcp is not None:
            self._last = waiting
        self._tell(Captured(frame, self._count(), self._ask(waiting)))

    def _next(self) -> _Waiting | None:
        now = time.monotonic()
        for waiting in self._waiting:
            action = waiting.rule.action if waiting.rule else None
            if action == "hold":
                continue
            if action == "swap" and not (
                self._last_forwarded[waiting.sender] > waiting.number or now > waiting.due + _SWAP_WITHIN
            ):
                continue
            if waiting.due <= now:
                return waiting
        return None

    def _pause(self) -> float | None:
        """Returns the seconds until a waiting frame is due, None where none will ever be by itself."""
        due = [
            waiting.due + (_SWAP_WITHIN if waiting.rule and waiting.rule.action == "swap" else 0)
            for waiting in self._waiting
            if not (waiting.rule and waiting.rule.action == "hold")
        ]
        return max(0.001, min(due) - time.monotonic()) if due else None

    def _forward(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        action = waiting.rule.action if waiting.rule else None
        if action == "drop":
            self._settled(waiting, None)
            return
        other: Role = "server" if waiting.sender == "client" else "client"
        receiver = self._links[other]
        self._delivering = True
        for _ in range(2 if action == "duplicate" else 1):
            receiver.socket.send(waiting.data)
            self._tell(Delivered(waiting.number, self._count()))
            self._barrier()
        self._delivering = False
        self._last_forwarded[waiting.sender] = waiting.number
        if waiting.segment:
            self._progress.got(other, waiting.segment)
        self._settled(waiting, self._ask(waiting))

    def _settled(self, waiting: _Waiting, kernel: Kernels | None) -> None:
        self._tell(Settled(waiting.number, self._count(), kernel))

    def _barrier(self, tell: bool = True) -> bool:
        """Asks both hosts and waits for their answers; returns whether frames came in meanwhile.

        The question is an ARP probe (RFC 5227): the kernel answers it by itself, learns nothing from it, and handles
        it behind whatever was delivered before.
        """
        self._questions += 1
        asker = _ASKER + self._questions.to_bytes(3, "big")
        unanswered = set(self._links)
        deadline = time.monotonic() + _ANSWER_WITHIN
        ask_again = 0.0
        arrived: list[tuple[int, Role, bytes]] = []
        while unanswered:
            now = time.monotonic()
            if now >= ask_again:  # a cable that has just been plugged in may lose the first question
                for role in unanswered:
                    self._links[role].socket.send(_question(self._links[role], asker))
                ask_again = now + _ASK_AGAIN
            self._listen(ask_again - now)
            for sender, link in self._links.items():
                for time_ns, data in read_waiting(link.socket):
                    if not _is_answer(data):
                        arrived.append((time_ns, sender, data))
                    elif data[:6] == asker:
                        unanswered.discard(sender)
            if unanswered and now > deadline:  # not before a last look: time passes too while all are stopped (Ctrl-Z)
                raise _silent(unanswered)
        for time_ns, sender, data in sorted(arrived) if tell else ():
            self._captured(time_ns, sender, data)
        return bool(arrived)

    def _listen(self, seconds: float) -> bool:
        return bool(select.select([link.socket for link in self._links.values()], [], [], seconds)[0])

    def _ask(self, waiting: _Waiting) -> Kernels | None:
        """Asks both kernels for their sockets of this frame's conversation; None for a frame that is no TCP."""
        tcp = waiting.segment
        if tcp is None:
            return None
        sent, got = tcp.pair, tcp.reversed_pair
        mine, theirs = (sent, got) if waiting.sender == "client" else (got, sent)
        client, server = self._links["client"].witness, self._links["server"].witness
        # What moves while a frame is being delivered is the answer to that frame, not to one that comes in meanwhile.
        moved = () if self._delivering else self._moved()
        return Kernels(client.socket(mine), server.socket(theirs), moved)

    def _moved(self) -> tuple[Moved, ...]:
        return tuple(Moved(role, *each) for role, link in self._links.items() for each in link.witness.moved())

    def _count(self) -> int:
        self._order += 1
        return self._order


def _silent(unanswered: set[Role]) -> MachineError:
    return MachineError(
        Text(
            f"the {' and the '.join(sorted(unanswered))} did not answer within {_ANSWER_WITHIN:.0f} s",
            f"{'和'.join(ROLES[role].zh for role in sorted(unanswered))}在 {_ANSWER_WITHIN:.0f} 秒内没有应答",
        ),
        Text("the machine may be overloaded: try again", "机器可能负载过高：请重试"),
    )


def _question(link: Link, asker: bytes) -> bytes:
    """Returns an ARP probe for the host's own address: sender address 0, as in duplicate address detection."""
    operation = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return b"".join(
        (link.mac, asker, _ARP, operation, asker, bytes(4), bytes(6), socket.inet_aton(link.ipv4))
    )  # fmt: skip


def _is_answer(data: bytes) -> bool:
    return data[12:14] == _ARP and data[:3] == _ASKER
