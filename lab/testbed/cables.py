"""The two cables as the wire holds them: what came in on either, and whether both hosts have done what they had to."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab.capture.packet_socket import SO_TIMESTAMPNS, missed, read_waiting
from lab.errors import MachineError
from lab.model import Role
from lab.testbed.kernel import Witness
from lab.text import ROLES, Text

# include/uapi/linux/if_packet.h and asm-generic/socket.h
_SOL_PACKET, _PACKET_IGNORE_OUTGOING, _ETH_P_ALL = 263, 23, 3
_LARGEST = 1 << 16  # bytes of a frame
_ARP = b"\x08\x06"
_ASKER = b"\x02\x00\x00"  # how the address begins that questions come from; the rest is the question's number
_ANSWER_WITHIN = 10.0  # seconds a host may take to answer the barrier: far more than a loaded machine needs
_ASK_AGAIN = 0.05
PacketSocket = socket.socket
Arrived = list[tuple[int, Role, bytes]]  # nanoseconds since 1970, which host sent it, the frame: in order of time


@dataclass(slots=True)
class Link:
    """The wire's end of one host's cable."""

    socket: socket.socket
    mac: bytes  # the host's
    ipv4: str  # the host's: it answers the barrier there, also when the lesson is in IPv6
    witness: Witness
    there: PacketSocket  # on the host itself: what it sends and what it gets, in the order in which it does


def open_link(interface: str) -> socket.socket:
    """Opens the packet socket on one cable: every frame that comes in, with the kernel's nanosecond time."""
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # receives nothing before it is bound
    link.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    link.setblocking(False)
    link.bind((interface, _ETH_P_ALL))
    return link


def open_there(interface: str) -> socket.socket:
    """Opens a packet socket on a host's end of its cable: every frame in both directions. To be called there."""
    there = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    there.setblocking(False)
    there.bind((interface, _ETH_P_ALL))
    return there


class Cables:
    """Both hosts' cables."""

    def __init__(self, links: Mapping[Role, Link]) -> None:
        self.links = links
        self._questions = 0

    def missed(self) -> int:
        """Returns how many frames the kernel had no room for since it was last asked: they never crossed."""
        return sum(missed(link.socket) for link in self.links.values())

    def send(self, receiver: Role, data: bytes) -> None:
        """Puts a frame on the cable of a host."""
        self.links[receiver].socket.send(data)

    def watch(self, receiver: Role) -> None:
        """Begins to watch a host, to which a frame is about to be delivered. To be called before a last look."""
        for _ in _seen(self.links[receiver]):
            pass

    def deliver(self, receiver: Role, data: bytes) -> tuple[Arrived, Arrived]:
        """Puts a frame on the cable of a host that is watched, and waits until both hosts have dealt with it.

        Returns what the host had sent before it got the frame, since it is watched, and what else came in meanwhile.
        Its timers run on, and so it may say something, a delayed ACK, after the last look at what it has sent: only on
        the host itself can be seen which of the two came first.
        """
        self.send(receiver, data)
        arrived = self.barrier()
        if all(sender != receiver for _, sender, _ in arrived):
            return [], arrived
        before = _sent_before(_seen(self.links[receiver]))
        early = [each for each in arrived if each[1] == receiver and each[2] in before]
        return early, [each for each in arrived if each not in early]

    def arrived(self) -> Arrived:
        """Returns what has come in, without waiting."""
        return sorted(
            (time_ns, sender, data)
            for sender, link in self.links.items()
            for time_ns, data in read_waiting(link.socket)
            if not _is_answer(data)
        )

    def listen(self, seconds: float | None, others: Sequence[int] = ()) -> None:
        """Waits until a frame has come, or something on one of the `others`, descriptors; None: as long as it takes."""
        select.select([*(link.socket.fileno() for link in self.links.values()), *others], [], [], seconds)

    def barrier(self) -> Arrived:
        """Asks both hosts and waits for their answers; returns what came in meanwhile.

        The question is an ARP probe (RFC 5227): the kernel answers it by itself, learns nothing from it, and handles
        it behind whatever was delivered before. Raises MachineError where a host stays silent.
        """
        self._questions += 1
        asker = _ASKER + self._questions.to_bytes(3, "big")
        unanswered = set(self.links)
        deadline = time.monotonic() + _ANSWER_WITHIN
        ask_again = 0.0
        arrived: Arrived = []
        while unanswered:
            now = time.monotonic()
            if now >= ask_again:  # a cable that has just been plugged in may lose the first question
                for role in unanswered:
                    self.send(role, _question(self.links[role], asker))
                ask_again = now + _ASK_AGAIN
            self.listen(ask_again - now)
            for sender, link in self.links.items():
                for time_ns, data in read_waiting(link.socket):
                    if not _is_answer(data):
                        arrived.append((time_ns, sender, data))
                    elif data[:6] == asker:
                        unanswered.discard(sender)
            if unanswered and now > deadline:  # not before a last look: time passes too while all are stopped (Ctrl-Z)
                raise _silent(unanswered)
        return sorted(arrived)


def _seen(link: Link) -> Iterator[tuple[bool, bytes]]:
    """Yields what a host has sent (True) and got, in order, since it was last asked; without the barrier's frames."""
    with contextlib.suppress(BlockingIOError):
        while True:
            data = link.there.recv(_LARGEST)
            if not (_is_answer(data) or data[6:9] == _ASKER):
                yield data[6:12] == link.mac, data


def _sent_before(seen: Iterable[tuple[bool, bytes]]) -> set[bytes]:
    """Returns what was sent before something was got; nothing where nothing was."""
    sent: set[bytes] = set()
    for outgoing, data in seen:
        if not outgoing:
            return sent
        sent.add(data)
    return set()


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
