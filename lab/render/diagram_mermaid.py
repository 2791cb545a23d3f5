"""A diagram as a Mermaid state diagram, for pages in Markdown that draw such: where things stand is up to them.

What moves nobody is listed in its state's box; what leads to a state from many is a note beside it, and an arrow only
where a path goes there. An arrow's colour can't be chosen there, so a path's packets stand on it: ● are the client's,
■ the server's, and the states they come through have their colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lab.model import Role
from lab.render.diagram import Walked
from lab.render.lit import Lit, Passing, lit
from lab.render.mermaid import said
from lab.render.placed import Diagram, Edge, Line
from lab.text import ROLES, Lang, Text

_MARKS = {"client": "●", "server": "■"}
_MOST = 3  # packets on one arrow
_COLOURS = {
    "client": "fill:#dbeaf5,stroke:#0068a8,color:#1f2733",
    "server": "fill:#f9e5d8,stroke:#b84a00,color:#1f2733",
    "both": "fill:#ece7f2,stroke:#5b3fd0,color:#1f2733",
}


def mermaid(drawn: Diagram, lang: Lang, walked: Sequence[Walked] | None = None, of: str = "") -> str:
    """Returns the diagram; `walked` is the path to be lit, `of` says whose that is."""
    along = lit(drawn, walked) if walked is not None else None
    title = drawn.title.pick(lang) + (f" · {of}" if of else "")
    lines = ["stateDiagram-v2", f"    accTitle: {said(title)}"]
    tables = list(dict.fromkeys(node.ends for node in drawn.nodes))
    for ends in tables:
        part = _part(drawn, ends, along, lang)
        if len(tables) == 1:
            lines += ("    " + line for line in part)
        else:
            lines.append(f'    state "{said(ROLES[ends[0]].pick(lang))}" as {ends[0]} {{')
            lines += ("        " + line for line in part)
            lines.append("    }")
    lines += ["    " + line for line in _classes(drawn, along)] if along else []
    return "\n".join(lines) + "\n"


def _part(drawn: Diagram, ends: tuple[Role, ...], along: Lit | None, lang: Lang) -> Iterator[str]:
    """Yields one table's states, arrows and notes."""
    nodes = [node for node in drawn.nodes if node.ends == ends]
    edges = [edge for edge in drawn.edges if edge.ends == ends]
    for node in nodes:
        yield f'state "{said(node.state)}" as {_name(node.id)}'
        if node.spelled:
            yield f"{_name(node.id)} : {said(Text(f'notes: {node.spelled}', f'讲义：{node.spelled}').pick(lang))}"
    for edge in edges:
        if edge.kind == "inside":
            yield from (f"{_name(edge.start)} : {_words(line, lang)}" for line in edge.lines)
    for node in nodes:
        begun = [role for role, name in along.begun.items() if name == node.id] if along else node.starts
        yield from (f"[*] --> {_name(node.id)} : {said(ROLES[role].pick(lang))}" for role in begun)
    for edge in edges:
        passed = along.edges.get(edge.id, {}) if along else {}
        if edge.points and (edge.kind != "gathered" or passed):
            told = "<br/>".join(_arrow(edge, passed, lang))
            yield f"{_name(edge.start)} --> {_name(edge.end)} : {told}"
    for node in nodes:
        captions = [each for each in drawn.captions if each.kind == "gathered" and each.node == node.id]
        if captions:
            told = "<br/>".join(said(each.text.pick(lang)) for each in captions)
            yield f"note right of {_name(node.id)} : {told}"


def _arrow(edge: Edge, passed: Mapping[Role, Sequence[Passing]], lang: Lang) -> Iterator[str]:
    for at, line in enumerate(edge.lines):
        mine = {role: [each for each in passings if each.line == at] for role, passings in passed.items()}
        if edge.kind == "gathered" and not any(mine.values()):
            continue
        marks = [_mark(role, passings) for role, passings in sorted(mine.items()) if passings]
        yield " ".join([_words(line, lang), *marks])


def _mark(role: str, passings: Sequence[Passing]) -> str:
    numbers = ",".join(str(each.packet) for each in passings[:_MOST]) + ("…" if len(passings) > _MOST else "")
    return f"{_MARKS[role]}{numbers}"


def _words(line: Line, lang: Lang) -> str:
    step = f" · {line.step.pick(lang)}" if line.step is not None else ""
    return said(line.text.pick(lang) + step)


def _classes(drawn: Diagram, along: Lit) -> Iterator[str]:
    yield from (f"classDef {name} {colours}" for name, colours in _COLOURS.items())
    through: dict[str, set[str]] = {}
    for edge in drawn.edges:
        for role in along.edges.get(edge.id, {}):
            through.setdefault(edge.start, set()).add(role)
            through.setdefault(edge.end, set()).add(role)
    for node, roles in through.items():
        yield f"class {_name(node)} {'both' if len(roles) > 1 else next(iter(roles))}"


def _name(node: str) -> str:
    """Returns a box's id as Mermaid takes one."""
    return "".join(char if char.isalnum() else "_" for char in node)
