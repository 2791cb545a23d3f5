"""One cell of the grid: a segment that arrived in a state, what a real kernel did, and what the rules say it does."""

from __future__ import annotations

from typing import NamedTuple

from lab.model import Socket
from lab.protocols.tcp import refusals
from lab.protocols.tcp.arrives import ADDITIONS, RFC_1337, Outcome, Sent, arrives
from lab.protocols.tcp.peer import ISN, Made, Peer, arriving
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN, URG, Segment, flag_names
from lab.protocols.tcp.stimuli import Stimulus
from lab.protocols.tcp.ways import Way
from lab.text import Text

_WRAP, _HALF = 1 << 32, 1 << 31
_COMPARED = FIN | SYN | RST | ACK | URG
_REPEATED = "TcpExt TCPSynRetrans"  # counts what timers do, too
ERRORS = {"reset": "ECONNRESET", "refused": "ECONNREFUSED"}


class Options(NamedTuple):
    """What is played: over which IP, with timestamps on both sides (RFC 7323), with Linux's tcp_rfc1337."""

    ipv6: bool = False
    timestamps: bool = False
    rfc1337: bool = False

    @property
    def additions(self) -> frozenset[str]:
        return ADDITIONS | {RFC_1337} if self.rfc1337 else ADDITIONS


class Shown(NamedTuple):
    """A segment as it is shown: numbers are relative to the ends' initial ones; None where there is none, or any."""

    flags: int
    seq: int | None
    ack: int | None
    length: int = 0

    @property
    def name(self) -> str:
        """Its flags, as a segment is called: SYN-ACK, RST-ACK; PSH goes without saying."""
        names = flag_names(self.flags & _COMPARED)
        order = ("SYN", "FIN", "RST", "URG", "ACK")
        return "-".join(each for each in order if each in names) or "no flags"

    @property
    def flag_names(self) -> tuple[str, ...]:
        return flag_names(self.flags)


class Seen(NamedTuple):
    """What the kernel was before and after, what it has said, and what its program has heard of."""

    before: Socket
    after: Socket
    at_once: tuple[Segment, ...]
    later: tuple[Segment, ...]
    moved: tuple[tuple[str, int], ...]
    heard: tuple[str, ...]


class Cell(NamedTuple):
    """What became of a segment. `heard` are the program's words and errors, `reason` is a code of refusals.py."""

    way: str
    segment: str
    before: str
    arrived: Shown
    sent: tuple[Shown, ...]
    after: str
    heard: tuple[str, ...]
    moved: tuple[tuple[str, int], ...]
    dropped: int
    reason: str | None
    rules: Outcome  # numbers relative
    differs: tuple[str, ...]  # in what the two are not the same: sent, state, heard


class Path(NamedTuple):
    """The states that a kernel has gone through on a way, from CLOSED."""

    way: str
    states: tuple[str, ...]


def cell(way: Way, stimulus: Stimulus, peer: Peer, made: Made, rules: Outcome, seen: Seen) -> Cell:
    """Puts a cell together. `peer` has heard what the kernel said by then; the numbers of `rules` are raw."""
    sent = tuple(_shown(peer, each) for each in (*seen.at_once, *seen.later))
    expected = rules._replace(sent=tuple(_told(peer, each) for each in rules.sent))
    again = any(each.flags & SYN for each in seen.at_once)
    moved = tuple(each for each in seen.moved if again or each[0] != _REPEATED)
    before, after = str(seen.before.state), str(seen.after.state)
    dropped = _dropped(seen.before, seen.after)
    answer = refusals.answer(seen.at_once[0].flags) if seen.at_once else None
    reason = refusals.why(made.flags, dropped, tuple(name for name, _ in moved), answer, before)
    arrived = Shown(made.flags, _back(made.seq, ISN), _back(made.ack, peer.isn) if made.flags & ACK else None,
                    len(made.payload))  # fmt: skip
    whole = Cell(
        way.name, stimulus.name, before, arrived, sent, after, seen.heard, moved, dropped,
        reason.code if reason else None, expected, (),
    )  # fmt: skip
    return whole._replace(differs=_differs(whole))


def explained_by(found: Cell) -> Text | None:
    """Returns why a segment was not simply taken, by the kernel's own account (refusals.py)."""
    return next((row.reason.text for row in refusals.TABLE if row.reason.code == found.reason), None)


def by_the_rules(way: Way, peer: Peer, made: Made, options: Options) -> Outcome:
    """Returns what the rules say of a segment that arrives now, where a way has led."""
    return arrives(peer.variables(way), arriving(made), options.additions)


def _differs(found: Cell) -> tuple[str, ...]:
    rules = found.rules
    told = tuple(ERRORS.get(each, each) for each in rules.heard)
    return tuple(
        aspect
        for aspect, same in (
            ("sent", _same(found.sent, rules)),
            ("state", found.after == rules.state),
            ("heard", found.heard == told),
        )
        if not same
    )


def _same(sent: tuple[Shown, ...], rules: Outcome) -> bool:
    return len(sent) == len(rules.sent) and all(
        one.flags & _COMPARED == other.flags and other.seq in (None, one.seq) and one.ack == other.ack
        for one, other in zip(sent, rules.sent, strict=True)
    )


def _shown(peer: Peer, segment: Segment) -> Shown:
    ack = _back(segment.ack, ISN) if segment.flags & ACK else None
    return Shown(segment.flags, _own(peer, segment.flags, segment.seq), ack, segment.payload)


def _told(peer: Peer, sent: Sent) -> Sent:
    seq = None if sent.seq is None else _own(peer, sent.flags, sent.seq)
    return Sent(sent.flags, seq, None if sent.ack is None else _back(sent.ack, ISN))


def _own(peer: Peer, flags: int, seq: int) -> int:
    """Returns a number of the kernel's own, relative. A RST of no connection has 0 itself (RFC 9293 section 3.5.2)."""
    return 0 if flags & RST and not seq else _back(seq, peer.isn)


def _back(number: int, first: int) -> int:
    return (number - first + _HALF) % _WRAP - _HALF


def _dropped(before: Socket, after: Socket) -> int:
    if before.drops is None or after.drops is None:
        return 0
    return max(0, after.drops - before.drops)
