"""The notes of each protocol as a page: steps and where they are seen, states, the tables that the ends walk, and which
arrows of the diagram real kernels have walked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lab.engine.protocol import Descriptor
from lab.engine.table import Table
from lab.protocols.exploration import KINDS, grid, tried, walks
from lab.protocols.notes import NoteStep, cast, notes
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.render.diagram import diagram
from lab.render.diagram_svg import svg
from lab.render.words import event, sections
from lab.text import ROLES, Lang, Text
from scripts.site.gallery import Shown
from scripts.site.grid import anchor
from scripts.site.shell import Place, page, text

_MOST, _FEW = 8, 4  # captures that are named: in which a step is seen, an arrow walked
_SEEN = Text("Seen in", "见于")
_BEYOND = Text("Beyond the notes: ", "讲义之外：")
_STEPS, _STATES, _DIAGRAM = Text("Steps", "步骤"), Text("States", "状态"), Text("The diagram", "状态图")
_SPELLED = Text("notes: {}", "讲义：{}")
_HEADS = (Text("in", "处于"), Text("on", "发生"), Text("goes to", "转到"), Text("step", "步骤"), Text("source", "出处"))
_BOTH = Text("The table both ends walk", "两端共同遵循的状态表")
_OF = Text("The table the {} walks", "{}遵循的状态表")
_HOLES = Text(
    "{} holes: what a correct end never does, or is never heard doing. Where a capture shows one, the ladder calls it "
    "a surprise.",
    "{} 个空格：正确的一端从不会做、也观察不到的事。抓包里一旦出现，时序图会标为“意外”。",
)
_WALKED = Text("What real kernels have walked", "真实内核走过的路")
_ARROWS = Text(
    "RFC 9293 figure 5: {0} of its {1} arrows walked by real kernels.",
    "RFC 9293 图 5：{1} 条箭头中，真实内核走过 {0} 条。",
)
_ON_THE_WAY, _COMMA = Text("on the way to {}", "前往 {} 的途中"), Text(", ", "，")
_TRIED = Text(
    "{} kinds of segment in {} states, on Linux {}: in how many cells the kernel does as RFC 9293 says, of how many. "
    'Each cell, and why not, is in the <a href="{}">grid</a>.',
    "{} 类报文段 × {} 个状态，Linux {}：格式为“与 RFC 9293 一致的格数/总格数”。"
    '每一格及不一致的原因见<a href="{}">表格</a>。',
)


def lecture(about: Descriptor, all_shown: Sequence[Shown], lang: Lang) -> str:
    """Returns the page of a protocol."""
    place, lesson = Place(f"notes/{about.name}", lang), notes(about.name)
    seen = _seen(all_shown)
    title = lesson.title.pick(lang)
    body = [f"<h1>{text(title)}</h1>\n"]
    if lesson.about:
        body.append(f'<p class="lead">{text(lesson.about.pick(lang))}</p>\n')
    body.append(f'<h2 id="steps">{_STEPS.pick(lang)}</h2>\n')
    body += [_step(about, each, seen.get(each.id, {}), place) for each in lesson.steps.values()]
    body.append(f'<h2 id="states">{_STATES.pick(lang)}</h2>\n<dl class="states">')
    for state in lesson.states.values():
        spelled = f' <span class="soft">({_SPELLED.pick(lang).format(text(state.notes))})</span>' if state.notes else ""
        body.append(f'<dt id="{state.name}"><code>{state.name}</code>{spelled}</dt>')
        body.append(f"<dd>{text(state.text.pick(lang))}</dd>\n")
    body.append("</dl>\n")
    if (drawn := diagram(about)) is not None:
        words = _DIAGRAM.pick(lang)
        body.append(
            f'<h2 id="diagram">{words}</h2>\n<div class="wide" tabindex="0" role="region" aria-label="{words}">'
        )
        body.append(f"{_apart(svg(drawn, lang))[0]}</div>\n")
    tables = about.tables
    if tables["client"] is tables["server"]:
        body += _table(tables["client"], _BOTH.pick(lang), "table", lang)
    else:
        for role, table in tables.items():
            body += _table(table, _OF.pick(lang).format(ROLES[role].pick(lang)), role, lang)
    if about is TRANSPORT:
        body += _coverage(place, {each.scenario: each for each in all_shown})
    return page(place, title, "".join(body), f'<link rel="stylesheet" href="{place.to("diagram.css")}">\n')


def diagram_style() -> str:
    """Returns the style that all diagrams have."""
    return next(_apart(svg(drawn, "en"))[1] for about in PROTOCOLS if (drawn := diagram(about)) is not None)


def _apart(picture: str) -> tuple[str, str]:
    """Returns a picture without its style, and that: a page with a strict policy takes it from a file alone."""
    before, _, rest = picture.partition("<style>")
    style, _, behind = rest.partition("</style>")
    return before + behind, style + "\n"


def _seen(all_shown: Sequence[Shown]) -> dict[str, dict[str, tuple[Shown, int]]]:
    """Returns of each step the captures that have it, and in which packet first."""
    found: dict[str, dict[str, tuple[Shown, int]]] = {}
    for shown in all_shown:
        for rung in shown.data["rungs"]:
            for step in rung["steps"]:
                found.setdefault(step["id"], {}).setdefault(shown.scenario, (shown, rung["number"]))
    return found


def _step(about: Descriptor, step: NoteStep, seen: Mapping[str, tuple[Shown, int]], place: Place) -> str:
    lang, actor = place.lang, about.usual_actor(step.id)
    title = cast(step.title, actor).pick(lang)
    own = [each for each in seen.values() if each[0].scenario.startswith(f"{about.name}/")] or list(seen.values())
    links = [
        f'<a href="{place.to(shown.place)}.html#p={number}">{text(shown.note.title.pick(lang))}</a>'
        for shown, number in own[:_MOST]
    ]
    more = f" … (+{len(own) - _MOST})" if len(own) > _MOST else ""
    listed = _COMMA.pick(lang).join(links) + more
    shown_in = f'<p class="soft">{_SEEN.pick(lang)}{Text(": ", "：").pick(lang)}{listed}</p>' if links else ""
    return (
        f'<article class="step" id="{step.id}">'
        f'<h3><span class="badge">{text(step.name.pick(lang))}</span>{text(title)}</h3>'
        f'<p class="soft">{text(sections(step.rfc).pick(lang))} · {text(" / ".join(step.leads_to.values()))}</p>'
        f"<p>{text(cast(step.text, actor).pick(lang))}</p>"
        f'<p class="beyond">{_BEYOND.pick(lang)}{text(cast(step.beyond, actor).pick(lang))}</p>{shown_in}</article>\n'
    )


def _table(table: Table, title: str, anchor: str, lang: Lang) -> Iterator[str]:
    yield f'<h2 id="{anchor}">{text(title)}</h2>\n'
    yield f'<div class="wide" tabindex="0" role="region" aria-labelledby="{anchor}"><table><thead><tr>'
    yield "".join(f"<th scope=col>{text(each.pick(lang))}</th>" for each in _HEADS) + "</tr></thead><tbody>\n"
    for row in table.rows:
        source = f"{table.rfc} {row.source}" if table.rfc and row.source[:1].isdigit() else row.source
        step = (row.step or "").removeprefix(table.protocol + ".")
        cells = (event(row.on).pick(lang), row.to if row.to != row.state else "·", step, source)
        yield f"<tr><td><code>{row.state}</code></td>" + "".join(f"<td>{text(each)}</td>" for each in cells) + "</tr>\n"
    yield f"</tbody></table></div>\n<p>{_HOLES.pick(lang).format(len(table.holes))}</p>\n"


def _coverage(place: Place, of: Mapping[str, Shown]) -> Iterator[str]:
    lang, found, cells = place.lang, walks(), tried()
    done = sum(each.done for each in found)
    yield f'<h2 id="coverage">{_WALKED.pick(lang)}</h2>\n<p>{_ARROWS.pick(lang).format(done, len(found))}</p>\n'
    yield '<div class="wide" tabindex="0" role="region" aria-labelledby="coverage"><table><tbody>\n'
    for walk in found:
        arrow = walk.arrow
        links = [f'<a href="{place.to(of[each].place)}.html">{each}</a>' for each in walk.scenarios if each in of]
        more = [f"… (+{len(links) - _FEW})"] if len(links) > _FEW else []
        ways = [_ON_THE_WAY.pick(lang).format(text(each)) for each in walk.ways[:2]]
        cells_ = [f'<a href="{place.link("explore")}#{anchor(each)}">{text(each)}</a>' for each in walk.cells[:2]]
        told = _COMMA.pick(lang).join([*links[:_FEW], *more, *ways, *cells_])
        why = f' <span class="warn">{text(arrow.why.pick(lang))}</span>' if arrow.why.en else ""
        mark = "✓" if walk.done else "·"
        yield (
            f"<tr><td>{mark} <code>{arrow.state} → {arrow.to}</code></td><td>{text(arrow.label.pick(lang))}</td>"
            f"<td>{told}{why}</td></tr>\n"
        )
    yield "</tbody></table></div>\n"
    states = len(cells) // len(KINDS)
    yield f"<p id=tried>{_TRIED.pick(lang).format(len(KINDS), states, grid().kernel, place.link('explore'))}</p>\n"
    yield '<div class="wide" tabindex="0" role="region" aria-labelledby="tried"><table><thead><tr><td></td>'
    yield "".join(f"<th scope=col>{text(each)}</th>" for each in KINDS)
    yield "</tr></thead><tbody>\n"
    for at in range(0, len(cells), len(KINDS)):
        row = cells[at : at + len(KINDS)]
        marks = [" class=warn" if each.differences else "" for each in row]
        shown = "".join(f"<td{mark}>{each.agree}/{each.cells}</td>" for mark, each in zip(marks, row, strict=True))
        yield f"<tr><th scope=row><code>{row[0].state}</code></th>{shown}</tr>\n"
    yield "</tbody></table></div>\n"
