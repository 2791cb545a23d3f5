"""The notes on screen: the catalogue of scenarios, a scenario's introduction, and a protocol's steps and table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.text import Text as Styled

from lab.engine.protocol import Descriptor
from lab.engine.table import Row, Table
from lab.protocols.catalogue import scenarios
from lab.protocols.notes import NoteState, NoteStep, cast, notes
from lab.protocols.registry import protocol
from lab.protocols.subject import Subject
from lab.render.words import columns, console, event, pad, sections, wrap
from lab.text import ROLES, Lang, Text

NARROWEST, WIDEST = 60, 100
_SAME = "·"
_IN, _TO = 0, 2  # columns of a table


class _Page:
    """Prints lines as wide as the terminal, within reason, in colour where there is one."""

    def __init__(self, out: TextIO) -> None:
        self._console = console(out)
        self._width = columns(self._console, NARROWEST, WIDEST)

    def line(self, text: str = "", style: str = "") -> None:
        self._console.print(Styled(text, style), soft_wrap=True)

    def paragraph(self, text: str, style: str = "", indent: int = 0) -> None:
        for line in wrap(text, self._width - indent):
            self.line(" " * indent + line, style)


def catalogue(out: TextIO, lang: Lang) -> None:
    """Prints all scenarios, with what each teaches."""
    page = _Page(out)
    for scenario in scenarios():
        note = notes(scenario.name.partition("/")[0]).scenarios[scenario.name]
        page.line(pad(scenario.name, 32) + note.title.pick(lang), "bold")
        page.paragraph(note.teaches.pick(lang), indent=4)
        for rule in scenario.rules:
            page.line("    " + Text("wire: ", "线路：").pick(lang) + rule, "dim")
        if (lacking := scenario.lacking()) is not None:
            where = Text(f"only with --testbed docker: {lacking.en}", f"只能用 --testbed docker：{lacking.zh}")
            page.paragraph(where.pick(lang), "yellow", 4)
        page.line()
    page.line(Text("Play one: lab run tcp/syn-lost", "运行其中一个：lab run tcp/syn-lost").pick(lang))


def introduction(name: str, rules: list[str], out: TextIO, lang: Lang) -> None:
    """Prints what a scenario is about, before its first packet."""
    page = _Page(out)
    note = notes(name.partition("/")[0]).scenarios[name]
    page.line(f"{name}: {note.title.pick(lang)}", "bold")
    page.paragraph(note.teaches.pick(lang))
    for rule in rules:
        page.line(Text("The wire's rule: ", "线路规则：").pick(lang) + rule, "yellow")
    out.flush()


def told(found: Sequence[Subject], out: TextIO, lang: Lang) -> None:
    """Prints what the notes say of protocols, states and steps."""
    page = _Page(out)
    for at, (name, kind, which) in enumerate(found):
        if at:
            page.line()
        if kind == "protocol":
            _lecture(page, name, lang)
        elif kind == "state":
            _of_state(page, protocol(name), which, lang)
        else:
            _of_step(page, protocol(name), which, lang)


def _of_state(page: _Page, about: Descriptor, name: str, lang: Lang) -> None:
    """Prints a state, what leads to it and what leads on, by the table of each end that has it."""
    _state(page, notes(about.name).states[name], lang, about.title)
    for table, whose in _tables(about):
        into = [row for row in table.rows if row.to == name != row.state]
        onward = [row for row in table.rows if row.state == name]
        _rows(page, table, into, Text(f"What leads here{whose.en}", f"进入该状态{whose.zh}"), lang, _TO)
        _rows(page, table, onward, Text(f"What leads on{whose.en}", f"离开该状态{whose.zh}"), lang, _IN)


def _of_step(page: _Page, about: Descriptor, name: str, lang: Lang) -> None:
    """Prints a step, and the rows of the table that are it."""
    _step(page, about, notes(about.name).steps[name], lang)
    for table, whose in _tables(about):
        rows = [row for row in table.rows if name in _steps_of(row.step)]
        _rows(page, table, rows, Text(f"In the table{whose.en}", f"状态表中的对应行{whose.zh}"), lang)


def _tables(about: Descriptor) -> list[tuple[Table, Text]]:
    """Returns a protocol's tables, and whose each is, where the ends have their own."""
    tables = about.tables
    if tables["client"] is tables["server"]:
        return [(tables["client"], Text("", ""))]
    return [(table, Text(f", {ROLES[role].en}", f"（{ROLES[role].zh}）")) for role, table in tables.items()]


def _steps_of(step: str | None) -> tuple[str, ...]:
    """Returns the ids that a row's step is: of the end that began, and of the other."""
    phase, _, numbers = (step or "").rpartition(".")
    return tuple(f"{phase}.{number}" for number in numbers.split("/"))


def _lecture(page: _Page, name: str, lang: Lang) -> None:
    """Prints a protocol's steps, states and table, and the table's holes."""
    about = protocol(name)
    tables = about.tables
    lesson = notes(name)
    page.line(lesson.title.pick(lang), "bold")
    if lesson.about:
        page.paragraph(lesson.about.pick(lang), "dim")
    for step in lesson.steps.values():
        _step(page, about, step, lang)
    page.line()
    page.line(Text("States", "状态").pick(lang), "bold")
    for state in lesson.states.values():
        _state(page, state, lang)
    if tables["client"] is tables["server"]:
        _table(page, tables["client"], Text("The table both ends walk", "两端共同遵循的状态表"), lang)
        return
    for role, table in tables.items():
        title = Text(f"The table the {ROLES[role].en} walks", f"{ROLES[role].zh}遵循的状态表")
        _table(page, table, title, lang)


def _state(page: _Page, state: NoteState, lang: Lang, title: str = "") -> None:
    """Prints a state; alone, with the title of its protocol, it is a heading."""
    spelled = Text(f" (notes: {state.notes})", f"（讲义：{state.notes}）").pick(lang) if state.notes else ""
    page.line(f"{f'{title}  ' if title else '  '}{state.name}{spelled}", "bold yellow" if title else "")
    page.paragraph(state.text.pick(lang), indent=2 if title else 6)


def _step(page: _Page, about: Descriptor, step: NoteStep, lang: Lang) -> None:
    actor = about.usual_actor(step.id)
    page.line()
    page.paragraph(f"{step.name.pick(lang)}  {cast(step.title, actor).pick(lang)}", "bold yellow")
    page.paragraph(f"{step.id} · {sections(step.rfc).pick(lang)} · " + " / ".join(step.leads_to.values()), "dim", 2)
    page.paragraph(cast(step.text, actor).pick(lang), indent=2)
    beyond = Text("Beyond the notes: ", "讲义之外：").pick(lang)
    page.paragraph(beyond + cast(step.beyond, actor).pick(lang), "green", 2)


def _rows(page: _Page, table: Table, rows: Sequence[Row], title: Text, lang: Lang, without: int | None = None) -> None:
    """Prints rows of a table under a title, `without` a column that all have the same; nothing where there is none."""
    if not rows:
        return
    page.line()
    page.line(title.pick(lang), "bold")
    heads = [
        Text("in", "处于"),
        Text("on", "发生"),
        Text("goes to", "转到"),
        Text("step", "步骤"),
        Text(table.rfc, f"{table.rfc} 章节") if table.rfc else Text("RFC section", "RFC 与章节"),
    ]
    lines = [[head.pick(lang) for head in heads]]
    for row in rows:
        to = row.to if row.to != row.state else _SAME
        lines.append(
            [row.state, event(row.on).pick(lang), to, (row.step or "").removeprefix(table.protocol + "."), row.source]
        )
    if without is not None:
        lines = [[cell for at, cell in enumerate(cells) if at != without] for cells in lines]
    widths = [max(map(cell_len, column)) + 1 for column in zip(*lines, strict=True)]
    for at, cells in enumerate(lines):
        line = "".join(pad(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        page.line("  " + line, "" if at else "dim")


def _table(page: _Page, table: Table, title: Text, lang: Lang) -> None:
    _rows(page, table, table.rows, title, lang)
    holes = table.holes
    page.line()
    page.paragraph(
        Text(
            f"{len(holes)} holes: what a correct end never does, or is never heard doing. Where a capture shows one, "
            "the ladder calls it a surprise. A repetition that can move nothing is no event and does not count.",
            f"{len(holes)} 个空格：正确的一端从不会做、也观察不到的事。抓包里一旦出现，时序图会标为“意外”。"
            "不会改变状态的重复报文段不算事件，不在此列。",
        ).pick(lang)
    )
    colon, comma = (Text(": ", "：").pick(lang), Text(", ", "、").pick(lang))
    for each in table.events:
        missing = [state for state, on in holes if on == each]
        if missing:
            page.paragraph(f"{event(each).pick(lang)}{colon}{comma.join(missing)}", "dim", 2)
