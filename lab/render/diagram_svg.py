"""A diagram as SVG, like the ladder (svg.py): one file that needs nothing else, light and dark.

Without a path all arrows are alike. With one, those that nobody went along are pale, and the others have their end's
colour and the numbers of the packets: the client's are round and blue, the server's square and orange.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from lab.model import Role
from lab.render.diagram import Walked, path
from lab.render.lit import HEIGHT, SIZE, Lit, lit, numbers, told
from lab.render.measure import wide
from lab.render.placed import BADGE, SPELLED, STATE, TITLE, WORDS, Caption, Diagram, Edge, Line, Node
from lab.render.svg import FONTS, INKS, NAMESPACE, PAPER, PHASES, number, text
from lab.render.words import clip
from lab.text import ROLES, Lang, Text, safe

_ENDS: dict[Role, tuple[str, str]] = {"client": ("#0068a8", "#5ab4f0"), "server": ("#b84a00", "#ff9d5c")}
_LETTERS: dict[Role, Text] = {"client": Text("C", "客"), "server": Text("S", "服")}
_ARROW, _RED = ("#55606e", "#a5b0be"), ("#c21f2c", "#ff7b84")
_THIN, _THINNER = ("#e2a3a8", "#7d4348"), ("#f4dcde", "#3a2629")  # what is gathered, and where a path is lit
_LEGEND, _MARGIN = 46, 24
_TOKEN, _BESIDE = 13, 17  # from a box's corner to a token's middle, from one token to the next
_APART = 2.6  # from the middle of an arrow to each end's own, where both went along it
_LARGE = 1.35  # the head of an arrow that is lit
_MOST = 70  # columns of what says whose path it is


def svg(drawn: Diagram, lang: Lang, walked: Sequence[Walked] | None = None, of: str = "") -> str:
    """Returns the picture as a document; `walked` is the path to be lit, `of` says whose that is."""
    along = lit(drawn, walked) if walked is not None else None
    of = clip(safe(of), _MOST)
    width, height = math.ceil(drawn.width), math.ceil(drawn.height) + _LEGEND
    size, tag = f'width="{width}" height="{height}"', "zh-CN" if lang == "zh" else "en"
    states = list(dict.fromkeys(node.state for node in drawn.nodes))
    listed = Text(f"States: {', '.join(states)}", f"状态：{'、'.join(states)}").pick(lang)
    kind = "diagram walked" if along else "diagram"
    lines = [
        f'<svg xmlns="{NAMESPACE}" class="{kind}" viewBox="0 0 {width} {height}" {size} role="img" lang="{tag}">',
        f"<title>{escape(drawn.title.pick(lang) + (f' · {of}' if of else ''))}</title>",
        f"<desc>{escape(told(walked, lang) if walked is not None else listed)}</desc>",
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="6"/>',
    ]
    gone = along.edges if along else {}
    for edge in sorted(drawn.edges, key=lambda each: (each.id in gone, each.kind != "gathered")):
        lines += _arrow(edge, list(gone.get(edge.id, ())))
    for caption in drawn.captions:
        lines += _caption(caption, drawn, along, lang)
    for node in drawn.nodes:
        lines += _node(node, along, lang)
    for edge in drawn.edges:
        lines += _words(edge, along, lang) if edge.kind != "gathered" else ()
    for each in numbers(drawn, along) if along else ():
        lines.append(_shape(each.end, each.x, each.y, each.width, f"mark {each.end}"))
        lines.append(text(each.x, each.y + 4, "number", each.text))
    lines += _legend(drawn, along, of, lang)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _style() -> str:
    rules = [
        f".diagram{{font-family:{FONTS};font-size:{WORDS}px}}",
        f".diagram .state{{font-size:{STATE}px;font-weight:700;text-anchor:middle}}",
        f".diagram .spelled{{font-size:{SPELLED}px;text-anchor:middle}}",
        f".diagram .step{{font-size:{BADGE}px;font-weight:700}}",
        ".diagram .start{text-anchor:start}.diagram .middle{text-anchor:middle}.diagram .end{text-anchor:end}",
        ".diagram .said{stroke-width:3px;paint-order:stroke;stroke-linejoin:round}",
        f".diagram .title{{font-size:{TITLE}px;font-weight:700}}",
        ".diagram .box{stroke-width:1.6px}.diagram .tint{fill-opacity:.1}",
        ".diagram .way{fill:none;stroke-width:1.6px}",
        ".diagram .silent{stroke-dasharray:2 4}.diagram .gathered{stroke-width:1px}",
        ".diagram .lit{stroke-width:3.2px}",
        f".diagram .number{{font-size:{SIZE}px;font-weight:700;text-anchor:middle}}",
        ".diagram .token{font-size:10.5px;font-weight:700;text-anchor:middle}",
        ".diagram .begins{stroke-width:1.6px}",
        ".diagram .pale,.diagram.walked .faint{opacity:.35}",
    ]
    dark = "".join(_colours(1))
    return "".join([*rules, *_colours(0)]) + f"@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _colours(of: int) -> list[str]:
    """Returns the rules with colours, for a white page (0) or a dark one (1)."""
    paper, ink, dim = PAPER[of], INKS["step"][of], INKS["note"][of]
    rules = [
        f".diagram .paper,.diagram .box,.diagram .begins{{fill:{paper}}}",
        f".diagram text{{fill:{ink}}}",
        f".diagram .said{{stroke:{paper}}}",
        f".diagram .spelled,.diagram .legend,.diagram .quiet{{fill:{dim}}}",
        f".diagram .step{{fill:{INKS['remark'][of]}}}",
        f".diagram .way{{stroke:{_ARROW[of]}}}.diagram .head{{fill:{_ARROW[of]}}}",
        f".diagram .gather{{fill:{_RED[of]}}}",
        f".diagram .way.gathered{{stroke:{_THIN[of]}}}.diagram .head.gathered{{fill:{_THIN[of]}}}",
        f".diagram.walked .way.gathered{{stroke:{_THINNER[of]};opacity:1}}",
        f".diagram.walked .head.gathered{{fill:{_THINNER[of]};opacity:1}}",
        f".diagram .number,.diagram .token{{fill:{paper}}}",
    ]
    for name, colours in PHASES.items():
        rules.append(f".diagram .box.{name}{{stroke:{colours[of]}}}")
        rules.append(f".diagram .tint.{name},.diagram .state.{name}{{fill:{colours[of]}}}")
    for role, colours in _ENDS.items():
        filled = ",".join(f".diagram .{kind}.{role}" for kind in ("head", "mark", "word", "token.begun"))
        rules.append(f".diagram .way.{role},.diagram .begins.{role}{{stroke:{colours[of]}}}")
        rules.append(f"{filled}{{fill:{colours[of]}}}")
    return rules


def _arrow(edge: Edge, roles: Collection[Role]) -> Iterator[str]:
    if not edge.points or not (edge.drawn or roles):
        return
    if not roles:
        yield _way(edge.points, f"{edge.kind} faint")
        return
    apart = (-_APART, _APART) if len(roles) > 1 else (0.0,)
    for role, by in zip(sorted(roles), apart, strict=True):
        yield _way(_beside(edge.points, by), f"{role}", lit=True)


def _way(points: Sequence[tuple[float, float]], kind: str, lit: bool = False) -> str:
    """Returns a way, with its head."""
    (x1, y1), (x2, y2) = points[-2:]
    large = _LARGE if lit else 1.0
    far = math.dist((x1, y1), (x2, y2)) or 1
    short = x2 - (x2 - x1) / far * 7 * large, y2 - (y2 - y1) / far * 7 * large
    turn = math.degrees(math.atan2(y2 - y1, x2 - x1))
    return (
        f'<path class="way {"lit " if lit else ""}{kind}" d="{path([*points[:-1], short])}"/>'
        f'<path class="head {kind}" d="M0 0L-10 -4.5L-8 0L-10 4.5Z" '
        f'transform="translate({number(x2)} {number(y2)}) rotate({number(turn)}) scale({large})"/>'
    )


def _beside(points: Sequence[tuple[float, float]], by: float) -> list[tuple[float, float]]:
    """Returns a way beside a way, on its left where `by` is below zero."""
    normals = []
    for one, other in pairwise(points):
        far = math.dist(one, other) or 1
        normals.append(((one[1] - other[1]) / far, (other[0] - one[0]) / far))
    found = []
    for at, (x, y) in enumerate(points):
        near = {normals[max(at - 1, 0)], normals[min(at, len(normals) - 1)]}
        found.append((x + by * sum(dx for dx, _ in near), y + by * sum(dy for _, dy in near)))
    return found


def _caption(caption: Caption, drawn: Diagram, along: Lit | None, lang: Lang) -> Iterator[str]:
    if caption.points:
        yield _way(caption.points, "gathered")
    kind = "title"
    if caption.kind == "gathered":
        led = [edge.id for edge in drawn.edges if edge.kind == "gathered" and edge.end == caption.node]
        kind = "gather pale" if along and along.edges.keys().isdisjoint(led) else "gather"
    yield text(caption.x, caption.y + 4, f"said {kind} {caption.anchor}", caption.text.pick(lang))


def _node(node: Node, along: Lit | None, lang: Lang) -> Iterator[str]:
    place = f'x="{number(node.x)}" y="{number(node.y)}" width="{number(node.w)}" height="{number(node.h)}" rx="9"'
    middle = node.x + node.w / 2
    pale = " pale" if along and node.id not in along.visited else ""
    yield f'<rect class="paper" {place}/>'
    yield f'<rect class="box {node.phase}{pale}" {place}/><rect class="tint {node.phase}{pale}" {place}/>'
    yield text(middle, node.y + 18, f"state {node.phase}{pale}", node.state)
    if node.spelled:
        spelled = Text(f"notes: {node.spelled}", f"讲义：{node.spelled}")
        yield text(middle, node.y + 31, f"spelled{pale}", spelled.pick(lang))
    begun = [role for role, name in along.begun.items() if name == node.id] if along else node.starts
    ended = [role for role, name in along.ended.items() if name == node.id] if along else []
    for at, role in enumerate(begun):
        yield _token(role, node.x + _TOKEN + at * _BESIDE, node.y + _TOKEN, "begins", lang)
    for at, role in enumerate(reversed(ended)):
        yield _token(role, node.x + node.w - _TOKEN - at * _BESIDE, node.y + _TOKEN, "mark", lang)


def _token(role: Role, x: float, y: float, kind: str, lang: Lang) -> str:
    letter = f"token {'begun' if kind == 'begins' else 'done'} {role}"
    return _shape(role, x, y, HEIGHT, f"{kind} {role}") + text(x, y + 3.8, letter, _LETTERS[role].pick(lang))


def _shape(role: Role, x: float, y: float, width: float, kind: str) -> str:
    """Returns the client's circle, wider where it has to be, or the server's square."""
    round_ = HEIGHT / 2 if role == "client" else 2
    return (
        f'<rect class="{kind}" x="{number(x - width / 2)}" y="{number(y - HEIGHT / 2)}" width="{number(width)}" '
        f'height="{HEIGHT}" rx="{number(round_)}"/>'
    )


def _words(edge: Edge, along: Lit | None, lang: Lang) -> Iterator[str]:
    passed = along.edges.get(edge.id, {}) if along else {}
    for at, line in enumerate(edge.lines):
        mine = [role for role, passings in passed.items() if any(each.line == at for each in passings)]
        kinds = [
            "inside" if edge.kind == "inside" else "said",
            line.anchor,
            *(["word", mine[0]] if len(mine) == 1 else []),
            *(["quiet"] if edge.kind == "silent" else []),
            *(["pale"] if along and not (edge.start in along.visited if edge.kind == "inside" else mine) else []),
        ]
        yield _line(line, " ".join(kinds), lang)


def _line(line: Line, kind: str, lang: Lang) -> str:
    said = escape(line.text.pick(lang))
    if line.step is not None:
        said += f'<tspan class="step" dx="6">{escape(line.step.pick(lang))}</tspan>'
    return f'<text class="{kind}" x="{number(line.x)}" y="{number(line.y + 4)}">{said}</text>'


def _legend(drawn: Diagram, along: Lit | None, of: str, lang: Lang) -> Iterator[str]:
    x, y = float(_MARGIN), math.ceil(drawn.height) + _LEGEND / 2
    signs = [(_token("client", 0, 0, "mark", lang), 15, ROLES["client"])]
    signs.append((_token("server", 0, 0, "mark", lang), 15, ROLES["server"]))
    signs.append((_token("client", 0, 0, "begins", lang), 15, Text("begins here", "起点")))
    if along:
        signs.append((_token("server", 0, 0, "mark", lang), 15, Text("is here at the end", "终点")))
    if any(edge.kind == "silent" for edge in drawn.edges):
        dots = '<path class="way silent" d="M-8 0h30"/>'
        signs.append((dots, 30, Text("no packet shows it", "抓包中看不到")))
    for sign, width, words in signs:
        said = words.pick(lang)
        yield f'<g transform="translate({number(x + 8)} {number(y)})">{sign}</g>'
        yield text(x + width + 6, y + 4, "legend start", said)
        x += width + 30 + wide(said, WORDS)
    if of:
        yield text(drawn.width - _MARGIN, y + 4, "legend end", of)
