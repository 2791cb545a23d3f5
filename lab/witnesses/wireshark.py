"""Wireshark's dissectors as the second witness: where what tshark says of a segment is not what we say.

A difference is a fault, here or there, unless a number of DEVIATIONS.md explains it.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

from lab.model import Address, Packet
from lab.protocols.registry import UNREAD
from lab.protocols.transport import ACK, FIN, RST, SYN, Segment, segment
from lab.text import address
from lab.witnesses.question import ANALYSIS, LABELS, Opinion

# The numbers of DEVIATIONS.md.
OTHER_NAME, NOTHING_OUTSTANDING, ANSWERING_SYN, WINDOWS_AND_PROBES, NOT_OPENED = 9, 10, 11, 12, 13
BEGINS_ANEW, SYN_ACK_AGAIN, NOT_ALL_THERE, COUNTS_FOR_NOTHING = 15, 17, 18, 20
_FOR_NOTHING = {"refuted", "disregarded", "discarded", "outside-window", "conflicting-data", "forged", "captured-twice"}

# The layers that the lab opens too (dissect/encapsulation.py), by Wireshark's names; and those that are an IP packet.
_OPENED = re.compile(
    r"(eth|ethertype|llc|vlan|ieee8021ad|mpls|pppoes?|ppp|sll|null|raw|radiotap|wlan(_radio)?|gre|udp|vxlan|geneve"
    r"|ip|ipv6(\.\w+)?)$"
)
_PACKETS = ("ip", "ipv6")
_IN_UDP = {"vxlan", "geneve"}  # what of these the lab opens in a datagram
_LEAST_HEADER = 20  # bytes
_SYN_ACK = SYN | ACK
_AGAIN = {"retransmission", "out-of-order"}
_NUMBERS = 1 << 32
# What of a connection Wireshark has seen, as the bits of its field: SYN, SYN-ACK, ACK, data, FIN, RST.
_SYN_SEEN, _SYN_ACK_SEEN, _ACK_SEEN, _DATA_SEEN, _FIN_SEEN, _RST_SEEN = (1 << bit for bit in range(6))


class Disagreement(NamedTuple):
    """One thing told differently of one packet. `deviation` is the number in DEVIATIONS.md, None without one."""

    number: int
    field: str  # packets, tcp, conversation, flags, seq, ack, payload, or one of the labels
    ours: object
    theirs: object
    deviation: int | None


def compare(packets: Sequence[Packet], opinions: Sequence[Opinion]) -> list[Disagreement]:
    """Returns every difference between packets, with their frames, and what tshark said of the same ones, in order.

    Relative numbers are compared modulo 2^32. A packet that we call cut short or a fragment is not compared.
    """
    found: list[Disagreement] = []
    if len(packets) != len(opinions):
        found.append(Disagreement(min(len(packets), len(opinions)) + 1, "packets", len(packets), len(opinions), None))
    comparison = Comparison()
    for packet, opinion in zip(packets, opinions, strict=False):
        found += comparison.of(packet, opinion)
    return found


class _Sender:
    """What one end has sent so far, as far as the next judgement rests on it."""

    def __init__(self) -> None:
        self.next = 0
        self.next_raw = 1  # the same as on the wire: to Wireshark a raw 0 is no number
        self.acked = 0  # by the other end; where the capture began midway that may be more than was sent in it
        self.sent_syn = False  # without ACK: it opened actively
        self.answered_syn = False  # after that, with its last segment
        self.window = 1  # in its last segment; 1 before any
        self.unmeant = False  # its last segment had a number for an acknowledgement, and no flag for it
        self.kept_alive = False  # to Wireshark its last segment was a keep-alive
        self.probed = False  # it has sent one byte into a window of 0: Wireshark counts that byte as not sent
        self.shift = 0  # where to Wireshark its stream begins, once a second SYN-ACK began another


class Comparison:
    """Goes through a capture packet by packet; `compared` counts what has been, by what it is called."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self._streams: dict[int, int] = {}  # ours -> theirs: a quoted header takes one of their numbers
        self._taken: set[int] = set()  # theirs that have been seen
        self._senders: dict[tuple[int, str], _Sender] = {}
        self._anew: dict[int, tuple[int, int]] = {}  # ours -> theirs, where another has begun in its middle, and why
        self._spoilt: set[int] = set()  # their streams in which a segment was not all there
        self._odd: set[int] = set()  # their streams in which a segment counts for nothing here
        self._strayed: set[int] = set()  # ours in which one does
        self._reopened: set[int] = set()  # their streams of which the lab tells another connection from there on
        # By ours: what it has here and there, theirs, its first packet and what that adds when it comes again.
        self._seen: dict[int, list[int]] = {}

    def of(self, packet: Packet, opinion: Opinion) -> Iterator[Disagreement]:
        """Yields what is told differently of the next packet."""
        frame, which, sender, receiver = (
            packet.whole or packet.frame,
            packet.conversation,
            packet.sender,
            packet.receiver,
        )
        if opinion.damaged is not None:
            self._spoilt.add(opinion.damaged)
        found = segment(frame) if frame is not None else None
        self.compared["segment"] += 1
        if not isinstance(found, Segment) or which is None or sender is None or receiver is None:
            if opinion.stream is not None and packet.labels == (UNREAD,):
                opened = _opened(opinion.protocols) and opinion.header >= _LEAST_HEADER
                yield Disagreement(packet.number, "tcp", False, True, None if opened else NOT_OPENED)
            return
        if opinion.stream is None:
            yield Disagreement(packet.number, "tcp", True, False, None if opinion.damaged is None else NOT_ALL_THERE)
            return
        self.compared["conversation"] += 1
        anew = self._anew.get(which)
        if anew is None and self._streams.get(which, opinion.stream) != opinion.stream:
            if ":vnc" in opinion.protocols:
                anew = self._anew[which] = opinion.stream, BEGINS_ANEW
            elif "forged" in packet.labels and found.flags & SYN:
                anew = self._anew[which] = opinion.stream, COUNTS_FOR_NOTHING
        if anew is not None:
            if opinion.stream != anew[0]:
                yield Disagreement(packet.number, "conversation", anew[0], opinion.stream, None)
            yield Disagreement(packet.number, "conversation", self._streams[which], opinion.stream, anew[1])
            yield from self._elsewhere(packet.number, found, opinion)
            return
        stream = self._streams.get(which, opinion.stream)
        if which not in self._streams and opinion.stream in self._taken and found.flags & _SYN_ACK == SYN:
            self._reopened.add(stream)
        self._taken.add(opinion.stream)
        if stream != opinion.stream and opinion.stream in self._streams.values():  # of a connection that is over there
            self._stray(which, opinion.stream)
            yield Disagreement(packet.number, "conversation", stream, opinion.stream, COUNTS_FOR_NOTHING)
            yield from self._elsewhere(packet.number, found, opinion)
            return
        if stream != opinion.stream and found.flags & SYN and (which in self._strayed or stream in self._odd):
            self._stray(which, opinion.stream)  # newer versions begin another with it
        seq = packet.seq or 0
        me = self._senders.setdefault((which, sender), _Sender())
        peer = self._senders.setdefault((which, receiver), _Sender())
        if not _FOR_NOTHING.isdisjoint(packet.labels) or (found.flags & RST and seq > me.next):
            self._stray(which, opinion.stream)
        if found.flags & _SYN_ACK == _SYN_ACK and not opinion.seq:
            me.shift = seq
        for name, ours, theirs in (
            ("conversation", self._streams.setdefault(which, opinion.stream), opinion.stream),
            ("flags", found.flags, opinion.flags),
            ("seq", seq % _NUMBERS, opinion.seq),
            ("ack", None if packet.ack is None else packet.ack % _NUMBERS, opinion.ack if found.flags & ACK else None),
            ("payload", found.payload, opinion.payload),
        ):
            self.compared[name] += name != "conversation"
            if ours != theirs:
                shift = me.shift if name == "seq" else peer.shift if name == "ack" else 0
                moved = bool(shift) and isinstance(ours, int) and (ours - shift) % _NUMBERS == theirs
                yield Disagreement(packet.number, name, ours, theirs, self._excuse(opinion.stream, moved))
        yield from self._whole(packet, found, opinion, which, sender)
        me.probed |= found.payload == 1 and seq == me.next and not peer.window
        self.compared["analysis"] += 1
        differing = LABELS.intersection(packet.labels).symmetric_difference(opinion.labels)
        for label in ANALYSIS if differing else ():
            if label in differing:
                number = _reason(label, packet, found, opinion, me, peer)
                number = number or self._excuse(opinion.stream, bool(me.shift or peer.shift))
                yield Disagreement(packet.number, label, label in packet.labels, label in opinion.labels, number)
        if packet.stop >= me.next:
            me.next, me.next_raw = packet.stop, (found.seq + packet.stop - seq) % _NUMBERS
        peer.acked = max(peer.acked, packet.ack or 0)
        me.answered_syn = me.sent_syn and found.flags & _SYN_ACK == _SYN_ACK
        me.sent_syn |= found.flags & _SYN_ACK == SYN
        me.window = found.window
        me.unmeant = not found.flags & ACK and bool(found.flags & RST or found.ack)
        me.kept_alive = "keep-alive" in opinion.labels

    def _stray(self, which: int, stream: int) -> None:
        """Notes a conversation, and their stream, in which a segment counts for nothing here."""
        self._strayed.add(which)
        self._odd.add(stream)

    def _elsewhere(self, number: int, found: Segment, opinion: Opinion) -> Iterator[Disagreement]:
        """Compares what there is to compare where Wireshark's numbers count from elsewhere."""
        for name, mine, said in (("flags", found.flags, opinion.flags), ("payload", found.payload, opinion.payload)):
            self.compared[name] += 1
            if mine != said:
                yield Disagreement(number, name, mine, said, None)

    def _whole(
        self, packet: Packet, found: Segment, opinion: Opinion, which: int, sender: str
    ) -> Iterator[Disagreement]:
        """Compares where it comes from and goes to, and notes what its connection has."""
        if opinion.ends is not None and packet.ends is not None:
            self.compared["addresses"] += 1
            ends = packet.ends.client, packet.ends.server
            ours = ends if sender == "client" else ends[::-1]
            if ours != opinion.ends and _plain(ours) != _plain(opinion.ends):
                yield Disagreement(packet.number, "addresses", _arrow(ours), _arrow(opinion.ends), None)
        if opinion.completeness is not None:
            seen, adds = self._seen.get(which), _completes(found)
            if seen is None:
                seen = self._seen[which] = [_begins(found), 0, opinion.stream or 0, packet.number, adds]
            else:  # what the first adds as well is told from the second packet on: tshark goes through a file twice
                seen[0] |= seen[4] | adds
            seen[1] = opinion.completeness

    def completeness(self) -> Iterator[Disagreement]:
        """Yields, once all packets have been compared, of which connection Wireshark has seen something else."""
        for ours, theirs, stream, first, adds in self._seen.values():
            self.compared["completeness"] += 1
            if theirs not in (ours, ours | adds):  # a stream of a single packet: to some versions that counts, too
                yield Disagreement(first, "completeness", ours, theirs, self._excuse(stream, False))

    def _excuse(self, stream: int | None, moved: bool) -> int | None:
        """Returns the numbered reason for whatever differs in a whole stream."""
        if stream in self._spoilt:
            return NOT_ALL_THERE
        if stream in self._odd:
            return COUNTS_FOR_NOTHING
        return SYN_ACK_AGAIN if moved or stream in self._reopened else None


def _begins(found: Segment) -> int:
    """Returns what the first segment of a stream shows of it, by Wireshark's rules: a SYN, or nothing at all."""
    if found.flags & _SYN_ACK != SYN:
        return 0
    return _SYN_SEEN | _DATA_SEEN if found.payload else _SYN_SEEN


def _completes(found: Segment) -> int:
    """Returns what any other segment adds to what has been seen of its stream, by Wireshark's rules."""
    flags, adds = found.flags, _RST_SEEN if found.flags & RST else 0
    if not flags & ACK:
        return adds  # neither a second SYN nor a FIN of that kind
    if flags & FIN:
        adds |= _FIN_SEEN
    if flags & SYN:
        return adds | _SYN_ACK_SEEN  # its data doesn't count
    return adds | (_DATA_SEEN if found.payload else _ACK_SEEN)


def _plain(ends: tuple[Address, ...]) -> list[object]:
    """Returns addresses so that the same one is always written in the same way."""
    found: list[object] = []
    for host, port in ends:
        found += [host, port]
        with suppress(ValueError):
            found[-2] = ip_address(host)
    return found


def _arrow(ends: tuple[Address, ...]) -> str:
    return " > ".join(address(*each) for each in ends)


def _opened(protocols: str) -> bool:
    """Whether the lab, too, finds the TCP segment behind these layers: a packet may be in another, but in no third."""
    before = list(itertools.takewhile(lambda name: name != "tcp", protocols.split(":")))
    if any(name == "udp" and inside not in _IN_UDP for name, inside in itertools.pairwise([*before, "tcp"])):
        return False
    return all(map(_OPENED.match, before)) and sum(name in _PACKETS for name in before) <= 2


def _reason(label: str, packet: Packet, found: Segment, opinion: Opinion, me: _Sender, peer: _Sender) -> int | None:
    """Returns the numbered reason for a difference in analysis, where one applies."""
    if label in _AGAIN and me.sent_syn and found.flags & _SYN_ACK == _SYN_ACK:
        return ANSWERING_SYN
    if label in ("window-update", "duplicate-ack") and me.answered_syn:  # the latter from version 4.4 on
        return ANSWERING_SYN
    if label in _AGAIN and not _AGAIN.isdisjoint(packet.labels) and not _AGAIN.isdisjoint(opinion.labels):
        return OTHER_NAME
    if found.flags & _SYN_ACK == _SYN_ACK and me.next:
        return SYN_ACK_AGAIN
    probes = (
        me.probed or not me.next_raw or me.next < me.acked,
        label in ("duplicate-ack", "window-update") and (not found.window or peer.kept_alive or me.unmeant),
        label == "window-update" and peer.probed,
        label in _AGAIN and peer.unmeant,
        label in ("keep-alive", *_AGAIN) and "keep-alive" in opinion.labels and found.payload <= 1,
        label in _AGAIN and found.payload > 1 and packet.seq == me.next - 1,
    )
    if any(probes):
        return WINDOWS_AND_PROBES
    if label == "duplicate-ack" and label in opinion.labels and packet.ack is not None and peer.next <= packet.ack:
        return NOTHING_OUTSTANDING
    return None
