"""What stands below a ladder: what became of the notes' steps, and whether both kernels agreed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from lab.model import StepReport
from lab.protocols.notes import note
from lab.render.columns import STEP
from lab.render.paint import Paint
from lab.render.words import cells, clip, numbers, pad, wrap
from lab.report.agreement import Agreement
from lab.text import ROLES, Lang, Text, safe

_LEAST_SAID = 24  # columns that a sentence needs beside something
_LISTED = 30  # columns for the packets of a step
MOST_SUMMARIES = 3  # conversations summed up one by one


class Ended(Protocol):
    """What is asked of a conversation's report."""

    @property
    def id(self) -> int: ...
    @property
    def steps(self) -> tuple[StepReport, ...]: ...


class Outcome:
    """Makes lines of at most `width` columns."""

    def __init__(self, paint: Paint, lang: Lang, width: int) -> None:
        self._paint = paint
        self._lang: Lang = lang
        self._width = width

    def lines(self, conversations: Sequence[Ended], agreement: Agreement, states: Mapping[str, int]) -> Iterator[str]:
        """Yields all of it; `states` counts all conversations, those too that are not among these, by conn_state."""
        lang, line = self._lang, self._paint.line
        count = sum(states.values())
        for which in conversations[:MOST_SUMMARIES]:
            yield line("")
            title = Text("The notes' steps", "讲义的步骤").pick(lang)
            if count > 1:
                title += Text(f" in conversation {which.id}", f"（连接 {which.id}）").pick(lang)
            yield line(title, "bold")
            told: set[Text] = set()
            for same in _grouped(which.steps):
                yield self._step(same, told)
        if count > MOST_SUMMARIES:
            yield from self._count(states)
        if agreement.compared:
            yield from self._agreement(agreement)

    def _step(self, same: list[StepReport], told: set[Text]) -> str:
        """Draws steps that share their packets and what is to be said of them; what was `told` is not said again."""
        lang, paint = self._lang, self._paint
        names = [note(step.id).name.pick(lang) for step in same]
        name = names[0] + ("–" + names[-1].rsplit(" ", 1)[1] if len(names) > 1 else "")
        packets, differs = same[0].packets, same[0].differs
        parts = [(f"  {pad(name, STEP + 1)}", ""), ("✓ ", "green") if packets else ("– ", "yellow")]
        if packets:
            listed = clip(numbers(packets, lang), _LISTED)
            plural = "s" if len(packets) > 1 else ""
            parts.append((Text(f"packet{plural} {listed}", f"第 {listed} 号包").pick(lang) + "  ", "dim"))
        used = sum(cells(text) for text, _ in parts)
        said = ""
        if differs:
            said = (Text("as above", "同上") if differs.text in told else differs.text).pick(lang)
            told.add(differs.text)
        beside = self._width - used >= _LEAST_SAID
        used = used if beside else 4
        lines = wrap(said, self._width - used)
        below = "".join(("\n" + " " * used if at or not beside else "") + text for at, text in enumerate(lines))
        return paint.row([*parts, (below, "")])

    def _count(self, states: Mapping[str, int]) -> Iterator[str]:
        ordered = sorted(states.items(), key=lambda each: (-each[1], each[0]))
        listed = ", ".join(f"{state} {number}" for state, number in ordered)
        yield self._paint.line("")
        count = sum(states.values())
        said = Text(
            f"{count} conversations in all, by Zeek's conn_state: {listed}",
            f"共 {count} 个连接，按 Zeek 的 conn_state：{listed}",
        )
        for line in wrap(said.pick(self._lang), self._width):
            yield self._paint.line(line)

    def _agreement(self, agreement: Agreement) -> Iterator[str]:
        lang, paint = self._lang, self._paint
        yield paint.line("")
        for line in wrap(agreed(agreement, lang), self._width):
            yield paint.line(line, "green")
        for each in agreement.unexplained:
            kernel, role = safe(str(each.kernel)), ROLES[each.role]
            told = Text(
                f"packet {each.number}, {each.instant}: the {role.en}'s kernel says {kernel}, not {each.ours}",
                f"第 {each.number} 号包，{each.instant}：{role.zh}内核说 {kernel}，不是 {each.ours}",
            )
            yield paint.line("≠ " + told.pick(lang), "bold red")
        if agreement.left_out:
            more = Text(f"{agreement.left_out:,} more are not listed", f"另有 {agreement.left_out:,} 处未列出")
            yield paint.line(more.pick(lang))


def agreed(agreement: Agreement, lang: Lang) -> str:
    """Returns how far both kernels say the same, where they were asked."""
    differing = agreement.differing
    said = Text(
        f"Both kernels were asked at every packet: {agreement.compared - differing} of {agreement.compared} "
        "states are as told here",
        f"每个包都问过两端内核：{agreement.compared} 个状态中 {agreement.compared - differing} 个与此处所述一致",
    ).pick(lang)
    if agreement.deviations:
        listed = numbers(tuple(agreement.deviations), lang)
        said += Text(f"; the rest is no. {listed} of DEVIATIONS.md", f"；其余见 DEVIATIONS.md 第 {listed} 条").pick(
            lang
        )
    return said + Text(".", "。").pick(lang)


def _grouped(steps: Sequence[StepReport]) -> list[list[StepReport]]:
    """Puts neighbouring steps of a phase together that say the same."""
    groups: list[list[StepReport]] = []
    for step in steps:
        last = groups[-1][-1] if groups else None
        alike = last and step.differs and (last.packets, last.differs) == (step.packets, step.differs)
        if last and alike and last.id.rpartition(".")[0] == step.id.rpartition(".")[0]:
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups
