"""Wireshark's dissectors as the second witness: what tshark says of each packet, and where that is not what we say.

A witness is asked alone: with preferences of its own, an empty home and no name resolution, so that it answers the same
on every machine. A difference is a fault, here or there, unless a number of DEVIATIONS.md explains it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.errors import InputError, MachineError
from lab.model import Packet
from lab.protocols.registry import UNREAD
from lab.protocols.transport import ACK, RST, SYN, Segment, segment
from lab.system.remedies import install, read_machine
from lab.text import Text

# The numbers of DEVIATIONS.md.
OTHER_NAME, NOTHING_OUTSTANDING, ANSWERING_SYN, WINDOWS_AND_PROBES, NOT_OPENED = 9, 10, 11, 12, 13
BEGINS_ANEW, SYN_ACK_AGAIN, NOT_ALL_THERE, COUNTS_FOR_NOTHING = 15, 17, 18, 20
_FOR_NOTHING = {"refuted", "disregarded", "discarded", "outside-window", "conflicting-data", "forged", "captured-twice"}

# What is asked for beside the fields below: a label of ours, and what Wireshark calls it.
_ANALYSIS = {
    "retransmission": ("retransmission", "fast_retransmission", "spurious_retransmission"),
    "out-of-order": ("out_of_order",),
    "previous-segment-not-captured": ("lost_segment",),
    "duplicate-ack": ("duplicate_ack",),
    "keep-alive": ("keep_alive",),
    "zero-window": ("zero_window",),
    "window-update": ("window_update",),
}
_FLAGGED = tuple((label, f"tcp.analysis.{name}") for label, names in _ANALYSIS.items() for name in names)
_FIELDS = (
    "frame.encap_type", "frame.protocols", "tcp.stream", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.len", "tcp.hdr_len",
)  # fmt: skip
_ASKED = (*_FIELDS, *(field for _, field in _FLAGGED), "frame.comment")  # comments last: they may contain anything
_BETWEEN = "\x1f"  # the ASCII unit separator, between the values of one field
_PREFERENCES = (
    "tcp.relative_sequence_numbers:TRUE",
    "tcp.analyze_sequence_numbers:TRUE",
    "tcp.desegment_tcp_streams:FALSE",  # a packet is judged by what it carries itself
    "ip.defragment:TRUE",
    "ipv6.defragment:TRUE",
)
_AT_LEAST, _BYTES_A_SECOND = 60.0, 500_000  # tshark reads ten times as fast
_CHATTER = re.compile(r"Running as user |\s*\*\* \(tshark.* (MESSAGE|INFO|DEBUG|NOISY)\]|\s*$")
# The layers that the lab opens too (dissect/encapsulation.py), by Wireshark's names; and those that are an IP packet.
_OPENED = re.compile(
    r"(eth|ethertype|llc|vlan|ieee8021ad|mpls|pppoes?|ppp|sll|null|raw|radiotap|wlan(_radio)?|gre|udp|vxlan|geneve"
    r"|ip|ipv6(\.\w+)?)$"
)
_PACKETS = ("ip", "ipv6")
_LEAST_HEADER = 20  # bytes
_FLAGS = 0x1FF  # Wireshark counts the three reserved bits among them
_SYN_ACK = SYN | ACK
_AGAIN = {"retransmission", "out-of-order"}
_NUMBERS = 1 << 32
_NOWHERE = Text("install Wireshark: https://www.wireshark.org", "请安装 Wireshark：https://www.wireshark.org")


class Opinion(NamedTuple):
    """What tshark says of one packet. A packet that is no TCP to it has no `stream` and zeros for numbers.

    `seq` and `ack` are relative and wrap at 2^32, `ack` is 0 without the flag; `labels` are its analysis in our words.
    `damaged` is the stream of one whose segment is not all there.
    """

    number: int
    protocols: str  # the layers, as in eth:ethertype:ip:tcp
    stream: int | None
    flags: int
    seq: int
    ack: int
    payload: int
    header: int  # bytes, by its data offset
    labels: tuple[str, ...]
    comments: tuple[str, ...]
    damaged: int | None = None


class Opinions(list[Opinion]):
    """One opinion a packet, in the order of the file; `complaints` is what tshark said on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self.complaints: list[str] = []


class Disagreement(NamedTuple):
    """One thing told differently of one packet. `deviation` is the number in DEVIATIONS.md, None without one."""

    number: int
    field: str  # packets, tcp, conversation, flags, seq, ack, payload, or one of the labels
    ours: object
    theirs: object
    deviation: int | None


def ask(path: Path) -> Opinions:
    """Returns what tshark says of every packet of a capture, read once.

    Raises MachineError where there is no tshark or it takes too long, InputError where it can't read the file at all.
    """
    tshark = shutil.which("tshark")
    if tshark is None:
        raise _missing()
    command = [tshark, "-n", "-r", str(path.absolute()), "-T", "fields"]
    command += ["-E", "occurrence=a", "-E", "separator=/t", "-E", f"aggregator={_BETWEEN}"]
    command += [word for preference in _PREFERENCES for word in ("-o", preference)]
    command += [word for field in _ASKED for word in ("-e", field)]
    patience = _AT_LEAST + path.stat().st_size / _BYTES_A_SECOND if path.exists() else _AT_LEAST
    with tempfile.TemporaryDirectory() as empty:
        place = {"HOME": empty, "WIRESHARK_CONFIG_DIR": empty, "LC_ALL": "C.UTF-8"}
        try:
            said = subprocess.run(
                command, env={**os.environ, **place}, stdin=subprocess.DEVNULL, capture_output=True, timeout=patience,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _too_slow(patience) from None
    opinions = Opinions()
    opinions += _read(said.stdout.decode(errors="replace"))
    complaints = said.stderr.decode(errors="replace").splitlines()
    opinions.complaints += [line.strip() for line in complaints if not _CHATTER.match(line)]
    if said.returncode and not opinions.complaints:
        opinions.complaints.append(f"tshark ended with status {said.returncode}")
    if said.returncode and not opinions:
        raise _unreadable(opinions.complaints[0])
    return opinions


def compare(packets: Sequence[Packet], opinions: Sequence[Opinion]) -> list[Disagreement]:
    """Returns every difference between packets, with their frames, and what tshark said of the same ones, in order.

    Relative numbers are compared modulo 2^32. A packet that we call cut short or a fragment is not compared.
    """
    found: list[Disagreement] = []
    if len(packets) != len(opinions):
        found.append(Disagreement(min(len(packets), len(opinions)) + 1, "packets", len(packets), len(opinions), None))
    comparison = _Comparison()
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
        self.window = 1  # in its last segment; 1 before any
        self.unmeant = False  # its last segment had a number for an acknowledgement, and no flag for it
        self.kept_alive = False  # to Wireshark its last segment was a keep-alive
        self.probed = False  # it has sent one byte into a window of 0: Wireshark counts that byte as not sent
        self.shift = 0  # where to Wireshark its stream begins, once a second SYN-ACK began another


class _Comparison:
    """Goes through a capture packet by packet."""

    def __init__(self) -> None:
        self._streams: dict[int, int] = {}  # ours -> theirs: a quoted header takes one of their numbers
        self._senders: dict[tuple[int, str], _Sender] = {}
        self._anew: dict[int, tuple[int, int]] = {}  # ours -> theirs, where another has begun in its middle, and why
        self._spoilt: set[int] = set()  # their streams in which a segment was not all there
        self._odd: set[int] = set()  # their streams in which a segment counts for nothing here

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
        if not isinstance(found, Segment) or which is None or sender is None or receiver is None:
            if opinion.stream is not None and packet.labels == (UNREAD,):
                opened = _opened(opinion.protocols) and opinion.header >= _LEAST_HEADER
                yield Disagreement(packet.number, "tcp", False, True, None if opened else NOT_OPENED)
            return
        if opinion.stream is None:
            yield Disagreement(packet.number, "tcp", True, False, None if opinion.damaged is None else NOT_ALL_THERE)
            return
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
            return
        stream = self._streams.get(which, opinion.stream)
        if stream != opinion.stream and opinion.stream in self._streams.values():  # of a connection that is over there
            self._odd.add(opinion.stream)
            yield Disagreement(packet.number, "conversation", stream, opinion.stream, COUNTS_FOR_NOTHING)
            return
        seq = packet.seq or 0
        me = self._senders.setdefault((which, sender), _Sender())
        peer = self._senders.setdefault((which, receiver), _Sender())
        if not _FOR_NOTHING.isdisjoint(packet.labels) or (found.flags & RST and seq > me.next):
            self._odd.add(opinion.stream)
        if found.flags & _SYN_ACK == _SYN_ACK and not opinion.seq:
            me.shift = seq
        for name, ours, theirs in (
            ("conversation", self._streams.setdefault(which, opinion.stream), opinion.stream),
            ("flags", found.flags, opinion.flags),
            ("seq", seq % _NUMBERS, opinion.seq),
            ("ack", None if packet.ack is None else packet.ack % _NUMBERS, opinion.ack if found.flags & ACK else None),
            ("payload", found.payload, opinion.payload),
        ):
            if ours != theirs:
                shift = me.shift if name == "seq" else peer.shift if name == "ack" else 0
                moved = bool(shift) and isinstance(ours, int) and (ours - shift) % _NUMBERS == theirs
                yield Disagreement(packet.number, name, ours, theirs, self._excuse(opinion, moved))
        me.probed |= found.payload == 1 and seq == me.next and not peer.window
        for label in _ANALYSIS:
            if (label in packet.labels) != (label in opinion.labels):
                number = _reason(label, packet, found, opinion, me, peer)
                number = number or self._excuse(opinion, bool(me.shift or peer.shift))
                yield Disagreement(packet.number, label, label in packet.labels, label in opinion.labels, number)
        if packet.stop >= me.next:
            me.next, me.next_raw = packet.stop, (found.seq + packet.stop - seq) % _NUMBERS
        peer.acked = max(peer.acked, packet.ack or 0)
        me.sent_syn |= found.flags & _SYN_ACK == SYN
        me.window = found.window
        me.unmeant = not found.flags & ACK and bool(found.flags & RST or found.ack)
        me.kept_alive = "keep-alive" in opinion.labels

    def _excuse(self, opinion: Opinion, moved: bool) -> int | None:
        """Returns the numbered reason for whatever differs in a whole stream."""
        if opinion.stream in self._spoilt:
            return NOT_ALL_THERE
        if opinion.stream in self._odd:
            return COUNTS_FOR_NOTHING
        return SYN_ACK_AGAIN if moved else None


def _opened(protocols: str) -> bool:
    """Whether the lab, too, finds the TCP segment behind these layers: a packet may be in another, but in no third."""
    before = list(itertools.takewhile(lambda name: name != "tcp", protocols.split(":")))
    return all(map(_OPENED.match, before)) and sum(name in _PACKETS for name in before) <= 2


def _reason(label: str, packet: Packet, found: Segment, opinion: Opinion, me: _Sender, peer: _Sender) -> int | None:
    """Returns the numbered reason for a difference in analysis, where one applies."""
    if label in _AGAIN and me.sent_syn and found.flags & _SYN_ACK == _SYN_ACK:
        return ANSWERING_SYN
    if label in _AGAIN and not _AGAIN.isdisjoint(packet.labels) and not _AGAIN.isdisjoint(opinion.labels):
        return OTHER_NAME
    if found.flags & _SYN_ACK == _SYN_ACK and me.next:
        return SYN_ACK_AGAIN
    probes = (
        me.probed or not me.next_raw or me.next < me.acked,
        label in ("duplicate-ack", "window-update") and (not found.window or peer.kept_alive or me.unmeant),
        label in _AGAIN and peer.unmeant,
        label in ("keep-alive", *_AGAIN) and "keep-alive" in opinion.labels and found.payload <= 1,
        label in _AGAIN and found.payload > 1 and packet.seq == me.next - 1,
    )
    if any(probes):
        return WINDOWS_AND_PROBES
    if label == "duplicate-ack" and label in opinion.labels and packet.ack is not None and peer.next <= packet.ack:
        return NOTHING_OUTSTANDING
    return None


def _read(said: str) -> Iterator[Opinion]:
    """Reads a row for each packet. What else Wireshark numbers, such as a line of a log, has no encapsulation."""
    numbers = itertools.count(1)
    for row in said.split("\n"):
        values = row.split("\t", len(_ASKED) - 1)
        if len(values) < len(_ASKED):
            continue  # the rest of a comment in several lines, which old versions write as it is; or the end
        encapsulation, protocols, stream, flags, seq, ack, payload, header, *flagged, comments = values
        if not encapsulation:
            continue
        labels = dict.fromkeys(label for (label, _), value in zip(_FLAGGED, flagged, strict=True) if value)
        told = tuple(comments.split(_BETWEEN)) if comments else ()
        if not payload or "icmp" in protocols:  # a header quoted in an error message is not on its way
            damaged = int(_first(stream)) if stream and "icmp" not in protocols else None
            yield Opinion(next(numbers), protocols, None, 0, 0, 0, 0, 0, (), told, damaged)
        else:
            of = (int(_first(value) or "0", 0) for value in (stream, flags, seq, ack, payload, header))
            yield Opinion(
                next(numbers), protocols, next(of), next(of) & _FLAGS, next(of), next(of), next(of), next(of),
                tuple(labels), told,
            )  # fmt: skip


def _first(values: str) -> str:
    """Returns the outermost of a field's values."""
    return values.partition(_BETWEEN)[0]


def _missing() -> MachineError:
    command = install("tshark", shutil.which, read_machine())
    return MachineError(
        Text("tshark, the command line of Wireshark, is not installed", "未安装 tshark（Wireshark 的命令行工具）"),
        Text(f"install it: {command}", f"安装命令：{command}") if command else _NOWHERE,
    )


def _too_slow(patience: float) -> MachineError:
    return MachineError(
        Text(f"tshark was not done after {patience:.0f} s", f"tshark 在 {patience:.0f} 秒内没有完成"),
        Text("the machine may be overloaded: try again", "机器可能负载过高：请重试"),
    )


def _unreadable(complaint: str) -> InputError:
    return InputError(
        Text(f"Wireshark can't read it: {complaint}", f"Wireshark 无法读取：{complaint}"),
        Text("lab annotate FILE says what is wrong with it", "lab annotate FILE 会说明问题所在"),
    )
