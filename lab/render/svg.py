"""A ladder as SVG: one file that needs nothing else, the same to the byte for the same packets, light and dark.

Whatever a capture has in it is text here, and no markup. There are no ids, so several pictures may stand in one page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.sax.saxutils import escape

from lab.protocols.registry import TRANSPORT
from lab.render.picture import BADGE, CLIENT, NUMBER, SAID, SERVER, WIDTH, Arrow, Line, Mark, Picture, Rung, Track
from lab.text import Lang

FONTS = (
    "'Noto Sans','Noto Sans CJK SC','Source Han Sans SC','PingFang SC','Microsoft YaHei','WenQuanYi Micro Hei',"
    "'Segoe UI','Helvetica Neue',Arial,sans-serif"
)
# Of each part of a conversation's life, and of each style of an arrow: on white, and on a dark page.
PHASES = {
    "closed": ("#5f6b7a", "#9aa7b8"), "opening": ("#9a5b00", "#f0b24d"), "open": ("#14753f", "#4fcf88"),
    "closing": ("#5b3fd0", "#a896ff"), "waiting": ("#1b6099", "#67b5f0"),
}  # fmt: skip
_ARROWS = {
    "": ("#55606e", "#a5b0be"), "green": ("#14753f", "#4fcf88"), "magenta": ("#a02a83", "#ef86d3"),
    "cyan": ("#0c6d85", "#55c7e0"), "bold red": ("#c21f2c", "#ff7b84"),
}  # fmt: skip
INKS = {
    "step": ("#1f2733", "#e4e9ef"), "message": ("#4a5666", "#b4bfcc"), "remark": ("#8f4d00", "#f0b24d"),
    "payload": ("#0c6d85", "#55c7e0"), "proof": ("#14753f", "#4fcf88"), "note": ("#5f6b7a", "#9aa7b8"),
}  # fmt: skip
PAPER = ("#ffffff", "#14181e")
NAMESPACE = "http://www.w3.org/2000/svg"
_PILL, _HALF = 18, 9  # a state's height, and half of it
_STEEP = 60  # an arrow's fall that leaves no room for a label at its middle


def svg(picture: Picture, lang: Lang) -> str:
    """Returns the picture as a document."""
    height = math.ceil(picture.height)
    size, tag = f'width="{WIDTH}" height="{height}"', "zh-CN" if lang == "zh" else "en"
    lines = [
        f'<svg xmlns="{NAMESPACE}" class="ladder" viewBox="0 0 {WIDTH} {height}" {size} role="img" lang="{tag}">',
        f"<title>{escape(picture.title)}</title>",
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
    ]
    for track in picture.tracks:
        lines += _track(track)
    lines += [_line(each, 24) for each in picture.rest]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _style() -> str:
    rules = [
        f".ladder{{font-family:{FONTS};font-size:12.5px}}",
        ".ladder .name{font-size:15px;font-weight:700;text-anchor:middle}",
        ".ladder .place{font-size:11.5px;text-anchor:middle}",
        ".ladder .number{font-size:13px;font-weight:700;text-anchor:end}",
        ".ladder .time{font-size:10.5px;text-anchor:end}",
        ".ladder .state{font-size:11px;font-weight:700;text-anchor:middle}",
        ".ladder .named{font-size:11px;font-weight:700;text-anchor:middle}",
        ".ladder .label{font-weight:600;text-anchor:middle;stroke-width:3px;paint-order:stroke;stroke-linejoin:round}",
        ".ladder .axis{stroke-width:5px;stroke-linecap:butt}",
        ".ladder .way{fill:none;stroke-width:1.8px;stroke-linecap:round}",
        ".ladder .dashed{stroke-dasharray:5 4}",
        ".ladder .cross{fill:none;stroke-width:2.6px;stroke-linecap:round}",
        ".ladder .pill{fill-opacity:.13}",
        ".ladder .step{font-weight:600}",
    ]
    rules += _colours(0)
    dark = "".join(_colours(1))
    return "".join(rules) + f"@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _colours(of: int) -> list[str]:
    """Returns the rules with colours, for a white page (0) or a dark one (1)."""
    paper, ink, dim = PAPER[of], INKS["step"][of], INKS["note"][of]
    rules = [
        f".ladder .paper{{fill:{paper}}}",
        f".ladder text{{fill:{ink}}}",
        f".ladder .place,.ladder .time{{fill:{dim}}}",
        f".ladder .label{{stroke:{paper}}}",
        f".ladder .badge{{fill:{('#fff1cc', '#4a3a10')[of]}}}",
        f".ladder .named{{fill:{('#7a4b00', '#ffd479')[of]}}}",
        f".ladder .cross{{stroke:{_ARROWS['bold red'][of]}}}",
        f".ladder .open-end{{fill:{INKS['remark'][of]};font-size:15px;font-weight:700;text-anchor:middle}}",
        f".ladder .axis.unknown{{stroke:{dim};stroke-dasharray:2 4}}.ladder .pill.unknown{{fill:{dim}}}",
    ]
    for name, colours in PHASES.items():
        rules.append(f".ladder .axis.{name}{{stroke:{colours[of]}}}")
        rules.append(f".ladder .pill.{name},.ladder .state.{name}{{fill:{colours[of]}}}")
    for style, colours in _ARROWS.items():
        name = _class(style)
        rules.append(f".ladder .way.{name}{{stroke:{colours[of]}}}")
        rules.append(f".ladder .head.{name},.ladder .label.{name}{{fill:{colours[of]}}}")
    rules += [f".ladder .{kind}{{fill:{colours[of]}}}" for kind, colours in INKS.items()]
    return rules


def _class(style: str) -> str:
    """Returns the class of a ladder's style."""
    return style.replace(" ", "-") or "plain"


def _track(track: Track) -> Iterator[str]:
    for x, name, place, isn in zip((CLIENT, SERVER), track.names, track.addresses, track.isns, strict=True):
        yield text(x, track.top + 16, "name", name)
        yield text(x, track.top + 34, "place", place)
        yield text(x, track.top + 50, "place", isn) if isn else ""
    for x, marks, side in zip((CLIENT, SERVER), track.marks, (-1, 1), strict=True):
        yield from _axis(x, marks, track)
        yield from (_state(x, mark, side) for mark in marks)
    for rung in track.rungs:  # what crosses others lies below all labels
        yield from _way(rung.arrow) if rung.arrow is not None else ()
    for rung in track.rungs:
        yield from _rung(rung)


def _axis(x: float, marks: tuple[Mark, ...], track: Track) -> Iterator[str]:
    begins = track.top + 66
    if not marks or marks[0].y > begins:
        marks = (Mark(begins, marks[0].state if marks and marks[0].y < begins + 40 else None), *marks)
    for mark, following in zip(marks, [*marks[1:], Mark(track.bottom, None)], strict=True):
        top = begins if mark is marks[0] else mark.y
        yield (
            f'<line class="axis {_phase(mark.state)}" x1="{x}" y1="{number(top)}" x2="{x}" y2="{number(following.y)}"/>'
        )


def _state(x: float, mark: Mark, side: int) -> str:
    name = mark.state or "?"
    width = 14 + 7.6 * len(name)
    left, phase = (x - 10 - width if side < 0 else x + 10), _phase(mark.state)
    place = f'x="{number(left)}" y="{number(mark.y - _HALF)}" width="{number(width)}" height="{_PILL}"'
    pill = f'<rect class="pill {phase}" {place} rx="{_HALF}"/>'
    return pill + text(left + width / 2, mark.y + 4, f"state {phase}", name)


def _phase(state: str | None) -> str:
    return TRANSPORT.phases.get(state or "", "unknown")


def _ends(arrow: Arrow) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns where an arrow begins, and where it ends."""
    left, right = (CLIENT + 4, SERVER - 4) if arrow.forward else (SERVER - 4, CLIENT + 4)

    def at(share: float) -> tuple[float, float]:
        return left + (right - left) * share, arrow.sent + (arrow.got - arrow.sent) * share

    return at(arrow.begin), at(arrow.end)


def _way(arrow: Arrow) -> Iterator[str]:
    (x1, y1), (x2, y2) = _ends(arrow)
    style = _class(arrow.style)
    dashed = " dashed" if arrow.fate == "unknown" or arrow.begin else ""
    yield (f'<path class="way {style}{dashed}" d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}"/>')
    if arrow.fate == "lost":
        a, b = x2 - 6, x2 + 6
        yield (
            f'<path class="cross" d="M{number(a)} {number(y2 - 6)}L{number(b)} {number(y2 + 6)}'
            f'M{number(a)} {number(y2 + 6)}L{number(b)} {number(y2 - 6)}"/>'
        )
    elif arrow.fate == "unknown":
        yield text(x2 + (10 if arrow.forward else -10), y2 + 5, "open-end", "?")
    else:
        turn = math.degrees(math.atan2(y2 - y1, x2 - x1))
        yield (
            f'<path class="head {style}" d="M0 0L-11 -5L-8 0L-11 5Z" '
            f'transform="translate({number(x2)} {number(y2)}) rotate({number(turn)})"/>'
        )


def _rung(rung: Rung) -> Iterator[str]:
    yield text(NUMBER, rung.y + 5, "number", rung.number)
    yield text(NUMBER, rung.y + 19, "time", rung.seconds) if rung.seconds else ""
    if (arrow := rung.arrow) is not None:
        x, y, turn = _label(arrow)
        place = f'transform="translate({number(x)} {number(y)}) rotate({number(turn)})"'
        yield f'<text class="label {_class(arrow.style)}" {place} y="-7">{escape(arrow.label)}</text>'
    if rung.badge:
        yield f'<rect class="badge" x="{BADGE}" y="{number(rung.y - _HALF)}" width="62" height="{_PILL}" rx="5"/>'
        yield text(BADGE + 31, rung.y + 4, "named", rung.badge)
    yield from (_line(each, SAID) for each in rung.lines)


def _label(arrow: Arrow) -> tuple[float, float, float]:
    """Returns where the middle of an arrow's label is, and how it is turned: on a steep one nearer to its beginning."""
    (x1, y1), (x2, y2) = _ends(arrow)
    share = min(1.0, _STEEP / (arrow.got - arrow.sent)) / 2
    left, right = ((x1, y1), (x2, y2)) if arrow.forward else ((x2, y2), (x1, y1))
    turn = math.degrees(math.atan2(right[1] - left[1], right[0] - left[0]))
    return x1 + (x2 - x1) * share, y1 + (y2 - y1) * share, turn


def _line(line: Line, x: float) -> str:
    return text(x, line.y, line.kind, line.text)


def text(x: float, y: float, kind: str, text: str) -> str:
    return f'<text class="{kind}" x="{number(x)}" y="{number(y)}">{escape(text)}</text>'


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
