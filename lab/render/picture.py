"""Where everything stands in a ladder that is drawn as a picture: two time axes, and arrows from held to delivered.

    number   states  │ ╲ what it is           │ states   step   what is said of it
    seconds          │    ╲ ───────────────▶  │

A state stands at its axis where it begins. Where a wire's journal tells when a packet arrived, its arrow ends below all
that was captured before that: so arrows cross as packets did. Lengths are a picture's units, from its top left corner.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from lab.errors import UsageError
from lab.model import Journal, Packet, States
from lab.render import parts, telling
from lab.render.measure import wide
from lab.render.outcome import agreed
from lab.render.telling import Drawn, Spoken, Telling
from lab.render.words import pieces
from lab.report.agreement import Agreement
from lab.text import ROLES, Lang, Text, address, safe

MOST, MOST_LINES = 200, 30  # packets of a picture, lines of what is said of one
WIDTH = 1040
NUMBER, CLIENT, SERVER = 58, 188, 488  # from the left: numbers end, the time axes
BADGE, SAID, MARGIN = 608, 680, 24  # where steps stand, and what is said; the room on the right
SLANT = 24  # an arrow's fall, at least
_LABEL = 39  # columns on an arrow
_ROW, _LINE, _SENT = 54, 17, 18  # a packet's height, at least; a line's; where its sender's end of the arrow is
_HEAD, _GAP, _FOOT = 96, 36, 20  # heights: names and addresses above axes, between conversations, below all
_SIZE = 12.5  # of what is said


class Mark(NamedTuple):
    """A state, from here on an axis."""

    y: float
    state: str | None


class Arrow(NamedTuple):
    """A packet on its way: `end` is how much of it there is to see, of 1; `dashed` where nobody knows its fate."""

    forward: bool
    sent: float
    got: float
    label: str
    style: str
    end: float
    begin: float
    fate: str


class Line(NamedTuple):
    """A line of what is said, and of which kind that is."""

    y: float
    text: str
    kind: str


class Rung(NamedTuple):
    """A packet; `arrow` is None where it is none of this conversation."""

    y: float
    number: str
    seconds: str
    arrow: Arrow | None
    badge: str
    lines: tuple[Line, ...]


class Track(NamedTuple):
    """A conversation: its ends' names, addresses and initial sequence numbers, its axes and rungs."""

    top: float
    bottom: float
    names: tuple[str, str]
    addresses: tuple[str, str]
    isns: tuple[str, str]
    marks: tuple[tuple[Mark, ...], tuple[Mark, ...]]
    rungs: tuple[Rung, ...]


class Picture(NamedTuple):
    """All of it; `rest` is said below."""

    height: float
    title: str
    tracks: tuple[Track, ...]
    rest: tuple[Line, ...]


def few(packets: Iterable[Packet]) -> list[Packet]:
    """Returns packets, as many as a picture may have. Raises UsageError where there are more."""
    return list(at_most(packets, MOST, Text("a picture", "图中")))


def at_most(packets: Iterable[Packet], most: int, of: Text) -> Iterator[Packet]:
    """Yields packets, as many as there may be `of` something. Raises UsageError where there are more."""
    for at, packet in enumerate(packets):
        if at == most:
            raise UsageError(
                Text(f"{of.en} has at most {most} packets, and here are more", f"{of.zh}最多 {most} 个包，这里超过了"),
                Text(
                    "choose some with --conversation N or --filter 'host …'; the ladder in text has no limit",
                    "请用 --conversation N 或 --filter 'host …' 选取一部分；文字时序图没有限制",
                ),
            )
        yield packet


def picture(packets: Sequence[Packet], lang: Lang, agreement: Agreement | None = None, more: int = 0) -> Picture:
    """Returns the picture of packets, conversation by conversation; so many `more` are said to be left out."""
    told, began = Telling(lang), next((each.time for each in packets if each.time is not None), None)
    groups: dict[int | None, list[Packet]] = {}
    for packet in packets:
        which = packet.conversation if packet.held is not None else packet.quotes
        groups.setdefault(which, []).append(packet)
    others = groups.pop(None, [])
    for which in [each for each, of_it in groups.items() if all(packet.ends is None for packet in of_it)]:
        others += groups.pop(which)
    tracks, top = [], 20.0
    for of_it in groups.values():
        track = _track(of_it, told, lang, began, top)
        tracks.append(track)
        top = track.bottom + _GAP
    rest: list[Line] = []
    for packet in sorted(others, key=lambda each: each.number):
        said = [told.other(packet), *(safe(remark.words.pick(lang)) for remark in packet.remarks)]
        _put(rest, f"{packet.number}  {' '.join(said)}", "note", WIDTH - 2 * MARGIN, top)
    if more:
        _put(rest, Text(f"… and {more} more packets", f"……另有 {more} 个包").pick(lang), "note", WIDTH, top)
    if agreement is not None and agreement.compared:
        _put(rest, agreed(agreement, lang), "proof", WIDTH - 2 * MARGIN, top)
    title = Text("Ladder", "时序图").pick(lang) + "".join(f" {' ↔ '.join(each.addresses)}" for each in tracks[:1])
    return Picture(top + len(rest) * _LINE + (_FOOT if rest else -_FOOT), title, tuple(tracks), tuple(rest))


def _put(lines: list[Line], text: str, kind: str, width: float, top: float) -> None:
    for each in _broken(text, width):
        lines.append(Line(top + len(lines) * _LINE, each, kind))


def _track(packets: Sequence[Packet], told: Telling, lang: Lang, began: int | None, top: float) -> Track:
    """Draws a conversation below `top`."""
    first = next(packet for packet in packets if packet.ends is not None)
    last = [packet for packet in packets if packet.ends is not None][-1]
    assert first.ends
    assert last.ends
    drawn, marks = Drawn(), (list[Mark](), list[Mark]())
    y = top + _HEAD
    if (start := telling.start(first, first.ends, drawn)) is not None:
        _mark(marks, y, start)
        y += 14
    drawn.begun = True
    spoken = [_spoken(packet, told, drawn, lang) for packet in packets]
    heights = [max(_ROW, len(lines) * _LINE + 16) for _, lines in spoken]
    tops = [y + sum(heights[:at]) for at in range(len(packets))]
    got = [tops[last] + _SENT + SLANT for last in landed(each.journal for each in packets)]
    rungs = []
    for at, (packet, (shown, lines)) in enumerate(zip(packets, spoken, strict=True)):
        sent = tops[at] + _SENT
        placed = tuple(Line(sent + 4 + row * _LINE, *said) for row, said in enumerate(lines))
        arrow = None
        if shown is not None:
            arrow = _arrow(packet, sent, got[at])
            forward = arrow.forward
            left, right = (sent, got[at]) if forward else (got[at], sent)
            if shown.client_new and (shown.client or packet.delivered or forward):
                marks[0].append(Mark(left, shown.client))
            if shown.server_new and (shown.server or packet.delivered or not forward):
                marks[1].append(Mark(right, shown.server))
        badge = parts.steps(packet.steps, lang) if packet.steps else ""
        rungs.append(Rung(sent, str(packet.number), _seconds(packet.time, began), arrow, badge, placed))
    names = ROLES["client"].pick(lang), ROLES["server"].pick(lang)
    isns = [f"ISN {number}" if number is not None else "" for number in last.ends.isns]
    addresses = address(*first.ends.client), address(*first.ends.server)
    bottom = max([tops[-1] + heights[-1], *(each + 20 for each in got)])
    both = _in_order(marks[0]), _in_order(marks[1])
    return Track(top, bottom, names, addresses, (isns[0], isns[1]), both, tuple(rungs))


def _in_order(marks: list[Mark]) -> tuple[Mark, ...]:
    """Returns an axis's states as they followed each other; what crossed another packet was told in another order."""
    found: list[Mark] = []
    for mark in sorted(marks, key=lambda each: each.y):
        if not found or found[-1].state != mark.state:
            found.append(mark)
    return tuple(found)


def _mark(marks: tuple[list[Mark], list[Mark]], y: float, states: States) -> None:
    for axis, state in zip(marks, states, strict=True):
        axis.append(Mark(y, state))


def _spoken(
    packet: Packet, told: Telling, drawn: Drawn, lang: Lang
) -> tuple[telling.Shown | None, list[tuple[str, str]]]:
    """Returns a packet's states, and what is said of it, in lines that fit."""
    room = WIDTH - MARGIN - SAID
    if packet.held is None or packet.ends is None:
        said = [Spoken(remark.words.pick(lang), "remark") for remark in packet.remarks]
        shown = None
    else:
        shown = telling.states(packet, drawn)
        said = told.below(packet, drawn, shown.changed, 0)
    lines: list[tuple[str, str]] = [(line, kind) for text, kind in said for line in _broken(text, room)]
    if len(lines) > MOST_LINES:
        left = Text(f"… and {len(lines) - MOST_LINES} more lines", f"……另有 {len(lines) - MOST_LINES} 行").pick(lang)
        lines[MOST_LINES:] = [(left, "note")]
    return shown, lines


def _arrow(packet: Packet, sent: float, got: float) -> Arrow:
    style = parts.kind(packet.labels)[1]
    end = {"lost": 0.64, "unknown": 0.86}.get(packet.fate, 1.0)
    begin = 0.42 if packet.journal is not None and packet.journal.forged else 0.0
    label = parts.label(packet, _LABEL, _LABEL - 8)
    return Arrow(packet.sender == "client", sent, got, label, style, end, begin, packet.fate)


def landed(journals: Iterable[Journal | None]) -> list[int]:
    """Returns behind which packet, by its place, each arrives: the last one that was captured before that, as far as
    anybody knows."""
    told = list(journals)
    captured, found = list(accumulate((each.arrived if each is not None else 0 for each in told), max)), []
    for at, journal in enumerate(told):
        last = at
        if journal is not None and journal.delivered:
            last = max(bisect_left(captured, journal.delivered[0], at + 1) - 1, at)
        found.append(last)
    return found


def _seconds(time: int | None, began: int | None) -> str:
    return f"{(time - began) / 1e9:.3f} s" if time is not None and began is not None else ""


def _broken(text: str, width: float) -> list[str]:
    """Breaks a text into lines that fit into a width, whatever usual font there is."""
    lines, line, used = [], "", 0.0
    for piece in pieces(safe(text).strip()):
        size = wide(piece.rstrip(), _SIZE)
        if line and used + size > width:
            lines.append(line.rstrip())
            line, used = "", 0.0
        while size > width:  # a word longer than a line
            at = max(1, int(len(piece) * width / size) - 1)
            lines.append(piece[:at])
            piece = piece[at:]
            size = wide(piece.rstrip(), _SIZE)
        line += piece
        used += wide(piece, _SIZE)
    return [*lines, line.rstrip()] if line.strip() else lines
