"""Wireshark's dissectors as the second witness: what tshark says of each packet, and where that is not what we say.

A witness is asked alone: with preferences of its own, an empty home and no name resolution, so that it answers the same
on every machine. A difference is a fault, here or there, unless a number of DEVIATIONS.md explains it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.errors import InputError, MachineError
from lab.mend import install, read_machine
from lab.model import ACK, SYN, Rung, Segment
from lab.text import Text

# The numbers of DEVIATIONS.md.
OTHER_NAME, NOTHING_OUTSTANDING, ANSWERING_SYN, WINDOW_OF_ZERO, NOT_OPENED = 8, 9, 10, 11, 12

# What is asked for beside the fields below: a label of ours, and what Wireshark calls it.
_ANALYSIS = {
    "retransmission": ("retransmission", "fast_retransmission", "spurious_retransmission"),
    "out-of-order": ("out_of_order",),
    "duplicate-ack": ("duplicate_ack",),
    "keep-alive": ("keep_alive",),
    "zero-window": ("zero_window",),
    "window-update": ("window_update",),
}
_FLAGGED = tuple((label, f"tcp.analysis.{name}") for label, names in _ANALYSIS.items() for name in names)
_FIELDS = ("frame.number", "frame.protocols", "tcp.stream", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.len")
_ASKED = (*_FIELDS, *(field for _, field in _FLAGGED), "frame.comment")  # comments last: they may contain anything
_BETWEEN = "\x1f"  # the ASCII unit separator, between the values of one field
_PREFERENCES = (
    "tcp.relative_sequence_numbers:TRUE",
    "tcp.analyze_sequence_numbers:TRUE",
    "tcp.desegment_tcp_streams:FALSE",  # a packet is judged by what it carries itself
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
)
_AT_LEAST, _BYTES_A_SECOND = 60.0, 500_000  # tshark reads ten times as fast
_CHATTER = re.compile(r"Running as user |\s*\*\* \(tshark|\s*$")
_PLAIN = {"eth", "ethertype", "vlan", "ieee8021ad", "raw", "ip", "ipv6", "tcp"}  # what we open on the way to TCP
_NUMBERS = 1 << 32


class Opinion(NamedTuple):
    """What tshark says of one packet. A packet that is no TCP to it has no `stream` and zeros for numbers.

    `seq` and `ack` are relative and wrap at 2^32, `ack` is 0 without the flag; `labels` are its analysis in our words.
    """

    number: int
    protocols: str  # the layers, as in eth:ethertype:ip:tcp
    stream: int | None
    flags: int
    seq: int
    ack: int
    payload: int
    labels: tuple[str, ...]
    comments: tuple[str, ...]


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
                command, env={**os.environ, **place}, stdin=subprocess.DEVNULL, capture_output=True,
                encoding="utf-8", errors="replace", timeout=patience, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _too_slow(patience) from None
    opinions = Opinions()
    opinions += _read(said.stdout)
    opinions.complaints += [line.strip() for line in said.stderr.splitlines() if not _CHATTER.match(line)]
    if said.returncode and not opinions.complaints:
        opinions.complaints.append(f"tshark ended with status {said.returncode}")
    if said.returncode and not opinions:
        raise _unreadable(opinions.complaints[0])
    return opinions


def compare(rungs: Sequence[Rung], opinions: Sequence[Opinion]) -> list[Disagreement]:
    """Returns every difference between the rungs of a capture and what tshark said of the same packets, in order.

    Not compared: a packet of which we say that it is cut short or a fragment. Relative numbers are compared modulo 2^32.
    """
    found: list[Disagreement] = []
    if len(rungs) != len(opinions):
        found.append(Disagreement(min(len(rungs), len(opinions)) + 1, "packets", len(rungs), len(opinions), None))
    comparison = _Comparison()
    for rung, opinion in zip(rungs, opinions, strict=False):
        found += comparison.of(rung, opinion)
    return found


class _Comparison:
    """Goes through a capture and remembers what a judgement of the next packet rests on."""

    def __init__(self) -> None:
        self._streams: dict[int, int] = {}  # ours -> theirs: an embedded header takes one of their numbers
        self._next: dict[tuple[int, str], int] = {}  # how far each end's stream has come
        self._sent_syn: set[tuple[int, str]] = set()  # ends that opened actively

    def of(self, rung: Rung, opinion: Opinion) -> Iterator[Disagreement]:
        segment, which, end = rung.segment, rung.conversation, rung.end
        if segment is None or which is None or end is None:
            if opinion.stream is not None and rung.labels == ("not-tcp",):
                opened = set(opinion.protocols.split(":")) <= _PLAIN
                yield Disagreement(rung.number, "tcp", False, True, None if opened else NOT_OPENED)
            return
        if opinion.stream is None:
            yield Disagreement(rung.number, "tcp", True, False, None)
            return
        theirs = self._streams.setdefault(which.id, opinion.stream)
        if theirs != opinion.stream:
            yield Disagreement(rung.number, "conversation", which.id, opinion.stream, None)
        for name, mine, other in (
            ("flags", segment.flags, opinion.flags),
            ("seq", rung.seq % _NUMBERS, opinion.seq),
            ("ack", None if rung.ack is None else rung.ack % _NUMBERS, opinion.ack if segment.flags & ACK else None),
            ("payload", segment.payload, opinion.payload),
        ):
            if mine != other:
                yield Disagreement(rung.number, name, mine, other, None)
        me, peer = (which.id, end.role), (which.id, end.peer.role)
        for label in _ANALYSIS:
            if (label in rung.labels) != (label in opinion.labels):
                number = self._reason(label, rung, segment, opinion, me, peer)
                yield Disagreement(rung.number, label, label in rung.labels, label in opinion.labels, number)
        self._next[me] = max(self._next.get(me, 0), rung.stop)
        if segment.flags & (SYN | ACK) == SYN:
            self._sent_syn.add(me)

    def _reason(
        self, label: str, rung: Rung, segment: Segment, opinion: Opinion, me: tuple[int, str], peer: tuple[int, str]
    ) -> int | None:
        """Returns the numbered reason for a difference in analysis, where one applies."""
        again = {"retransmission", "out-of-order"}
        if label in again and me in self._sent_syn and segment.flags & (SYN | ACK) == SYN | ACK:
            return ANSWERING_SYN
        if label in again and again & set(rung.labels) and again & set(opinion.labels):
            return OTHER_NAME
        if label in ("duplicate-ack", "window-update") and not segment.window:
            return WINDOW_OF_ZERO
        if label == "duplicate-ack" and label in opinion.labels and rung.ack is not None:
            return NOTHING_OUTSTANDING if self._next.get(peer, 0) <= rung.ack else None
        return None


def _read(said: str) -> Iterator[Opinion]:
    """Reads a row for each packet. Wireshark writes a line break within a comment as two characters."""
    for row in said.removesuffix("\n").split("\n") if said else ():
        values = row.split("\t", len(_ASKED) - 1)
        number, protocols, stream, flags, seq, ack, payload, *flagged, comments = values
        labels = dict.fromkeys(label for (label, _), value in zip(_FLAGGED, flagged, strict=True) if value)
        told = tuple(comments.split(_BETWEEN)) if comments else ()
        if not payload or "icmp" in protocols:  # a header quoted in an error message is not on its way
            yield Opinion(int(number), protocols, None, 0, 0, 0, 0, (), told)
        else:
            numbers = (int(_first(value) or "0", 0) for value in (flags, seq, ack, payload))
            yield Opinion(int(number), protocols, int(_first(stream)), *numbers, tuple(labels), told)


def _first(values: str) -> str:
    """Returns the outermost of a field's values."""
    return values.partition(_BETWEEN)[0]


def _missing() -> MachineError:
    command = install("tshark", shutil.which, read_machine())
    return MachineError(
        Text("tshark, Wireshark's dissectors without a window, is not installed", "未安装 tshark（Wireshark 的命令行版）"),
        Text(f"install it: {command}", f"安装：{command}")
        if command
        else Text("install Wireshark: https://www.wireshark.org", "安装 Wireshark：https://www.wireshark.org"),
    )  # fmt: skip


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
