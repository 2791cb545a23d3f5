"""What tshark is asked of each packet of a capture, and what its answers say, in our words.

A witness is asked alone: with preferences of its own, an empty home and no name resolution, so that it answers the same
on every machine. It takes longer to start than most questions take, so asking imports nothing that it need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NamedTuple

from lab.capture.reader import Capture
from lab.errors import MachineError, UsageError
from lab.model import Address
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.text import Text
from lab.witnesses.tshark import BETWEEN, Asking
from lab.witnesses.unfolded import unfolded

# What is asked for beside the fields below: a label of ours, and what Wireshark calls it.
ANALYSIS = {
    "retransmission": ("retransmission", "fast_retransmission", "spurious_retransmission"),
    "out-of-order": ("out_of_order",),
    "previous-segment-not-captured": ("lost_segment",),
    "duplicate-ack": ("duplicate_ack",),
    "keep-alive": ("keep_alive",),
    "zero-window": ("zero_window",),
    "window-update": ("window_update",),
}
_FLAGGED = tuple((label, f"tcp.analysis.{name}") for label, names in ANALYSIS.items() for name in names)
_FIELDS = (
    "frame.encap_type", "frame.protocols", "tcp.stream", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.len", "tcp.hdr_len",
)  # fmt: skip
_ADDRESSES = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "tcp.completeness")
_TOLD = tuple(
    dict.fromkeys(
        field
        for each in UPPERS
        if each.dissector is not None
        for tells in each.dissector.tells
        for field in tells.fields
    )
)
LABELS = frozenset(ANALYSIS)  # of which its analysis speaks
_FLAGGED_FIELDS = tuple(field for _, field in _FLAGGED)
_COMMENT = "frame.comment"  # asked for last: comments may contain anything
_SET = (
    "tcp.relative_sequence_numbers:TRUE",
    "tcp.analyze_sequence_numbers:TRUE",
    "tcp.desegment_tcp_streams:TRUE",  # what is above TCP; a segment is judged by what it carries itself all the same
    "tcp.reassemble_out_of_order:TRUE",
    "ip.defragment:TRUE",
    "ipv6.defragment:TRUE",
)
PREFERENCES = tuple(word for each in _SET for word in ("-o", each))
TWICE = ("-2",)  # read twice: only then it is known of each packet what its whole stream has
ALL = (*_FIELDS, *_FLAGGED_FIELDS, *_ADDRESSES, *_TOLD)  # all that is compared
_FLAGS = 0x1FF  # Wireshark counts the three reserved bits among them
_NO_VALUES: Mapping[str, Sequence[str]] = MappingProxyType({})


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
    ends: tuple[Address, Address] | None = None  # from where to where; None where that was not asked for
    completeness: int | None = None  # of its whole stream; None where that was not asked for, or is not known
    values: Mapping[str, Sequence[str]] = _NO_VALUES  # of what the protocols above tell, where it was asked for


class Opinions(list[Opinion]):
    """One opinion a packet, in the order of the file; `complaints` is what tshark said on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self.complaints: list[str] = []


class Question:
    """All that is compared, asked of a capture: from here on tshark works, beside whatever else is done meanwhile.

    `asking` is None where it can't be asked, and `lacking` says why. Leave it as a context manager: tshark ends with
    it. Raises UsageError for what comes through a pipe.
    """

    def __init__(self, capture: Capture, keylog: bytes = b"", server_key: bytes = b"") -> None:
        if capture.size is None:
            raise no_file()
        self.asking: Asking | None = None
        self.lacking: MachineError | None = None
        file, ahead = Path(capture.name), capture.secrets_ahead() or []
        try:
            self.asking = Asking(
                file, ALL, (*PREFERENCES, *TWICE), keylog=b"\n".join([*ahead, keylog]).strip(),
                server_key=server_key, unfold=lambda: unfolded(file, capture.limited),
            )  # fmt: skip
        except MachineError as error:
            self.lacking = error

    def __enter__(self) -> Question:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.asking is not None:
            self.asking.close()

    def opinions(self) -> Iterator[Opinion]:
        """Yields what is said of each packet; nothing where nobody was asked. Raises what iterating `Asking` raises."""
        return read(self.asking, ALL) if self.asking is not None else iter(())


def no_file() -> UsageError:
    """Returns that there is no file to ask about."""
    return UsageError(
        Text("Wireshark can be asked only about a file", "只能就文件询问 Wireshark"),
        Text("save the capture first, then verify the file", "请先保存抓包，再核对该文件"),
    )


def ask(path: Path) -> Opinions:
    """Returns what tshark says of every packet of a capture, read once: of its segments, and the comments.

    Raises MachineError where there is no tshark or it takes too long, InputError where it can't read the file at all.
    """
    opinions = Opinions()
    fields = (*_FIELDS, *_FLAGGED_FIELDS, _COMMENT)
    with Asking(path, fields, PREFERENCES) as asking:
        opinions += read(asking, fields)
        opinions.complaints += asking.complaints
    return opinions


def read(rows: Iterable[Sequence[str]], fields: Sequence[str]) -> Iterator[Opinion]:
    """Yields an opinion for each packet. What else Wireshark numbers, such as a line of a log, has no encapsulation."""
    number = 0
    many, flagged_at = len(_FIELDS), len(_FIELDS) + len(_FLAGGED)
    comment = fields.index(_COMMENT) if _COMMENT in fields else None
    addressed = fields.index(_ADDRESSES[0]) if _ADDRESSES[0] in fields else None
    told_at = [(name, fields.index(name)) for name in _TOLD if name in fields]
    for row in rows:
        if not row[0]:
            continue
        number += 1
        _, protocols, stream, flags, seq, ack, payload, header = row[:many]
        told = tuple(row[comment].split(BETWEEN)) if comment is not None and row[comment] else ()
        if not payload or "icmp" in protocols:  # a header quoted in an error message is not on its way
            damaged = _number(stream) if stream and "icmp" not in protocols else None
            yield Opinion(number, protocols, None, 0, 0, 0, 0, 0, (), told, damaged)
            continue
        labels: tuple[str, ...] = ()
        if any(flagged := row[many:flagged_at]):
            labels = tuple(dict.fromkeys(label for (label, _), value in zip(_FLAGGED, flagged, strict=True) if value))
        ends = completeness = None
        if addressed is not None:
            *places, seen = row[addressed : addressed + len(_ADDRESSES)]
            ends = _ends(protocols, *places)
            completeness = _number(seen) if seen else None
        values = _NO_VALUES
        if told_at and any(row[told_at[0][1] : told_at[-1][1] + 1]):
            values = {name: row[at].split(BETWEEN) for name, at in told_at if row[at]}
        yield Opinion(
            number, protocols, _number(stream), _number(flags) & _FLAGS, _number(seq), _number(ack), _number(payload),
            _number(header), labels, told, None, ends, completeness, values,
        )  # fmt: skip


@lru_cache(1024)
def _ends(
    protocols: str, ip_from: str, ip_to: str, ip6_from: str, ip6_to: str, port_from: str, port_to: str
) -> tuple[Address, Address]:
    """Returns from where to where a segment goes: by the innermost IP header before it, where there are several."""
    before = protocols.partition(f":{TRANSPORT.name}")[0]
    sixth = before.rfind(":ipv6") > before.rfind(":ip:") and before.rfind(":ipv6") >= 0 and not before.endswith(":ip")
    sixth = sixth or (bool(ip6_from) and not ip_from)
    source, destination = (ip6_from, ip6_to) if sixth else (ip_from, ip_to)
    return (
        Address(source.rpartition(BETWEEN)[2], _number(port_from)),
        Address(destination.rpartition(BETWEEN)[2], _number(port_to)),
    )


def _number(values: str) -> int:
    """Returns the outermost of a field's values, 0 where there is none."""
    return int(values.partition(BETWEEN)[0] or "0", 0)
