"""Line mode: commands come as lines, and each event goes out as one. What tests, scripts and assignments drive.

A script is read whole before anything is played, so that a mistake in its last line is found at once. Lines that are
typed are waited for, and what happens meanwhile, timers and what they have sent again, is shown as it happens. Each is
done when the run stands, but for what stops it. Where the lines are over and the run is not, it goes on to its end.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import NamedTuple, TextIO

from lab.errors import LabError, UsageError
from lab.events import CommandAnswered, Event, as_json
from lab.render.bytes import dumped
from lab.render.words import brief, cells, pad
from lab.stepping import commands, view, words
from lab.stepping.commands import Asked
from lab.stepping.debugger import Debugger
from lab.stepping.hearing import Ear, Typed
from lab.stepping.predictions import Prediction
from lab.stepping.view import View
from lab.testbed.control import Hold
from lab.text import ROLES, Lang, Text

_WIDTH = 80
_NAME = 16  # columns of what a kernel's field is called


def script(lines: Iterable[str], name: str) -> list[Asked]:
    """Reads a script. Raises UsageError, with the line and the column, for the first line that is no command."""
    found = []
    for number, each in enumerate(lines, 1):
        try:
            asked = commands.parse(each.rstrip("\r\n"))
        except UsageError as error:
            place = Text(f"{name}, line {number}: ", f"{name} 第 {number} 行：")
            message = Text(place.en + error.message.en, place.zh + error.message.zh)
            raise UsageError(message, error.hint) from error
        if asked is not None:
            found.append(asked)
    return found


class _Line(NamedTuple):
    """What was typed, None where there will be no more; or why it can't be read."""

    text: Asked | str | Exception | None

    def read(self) -> Asked | str | None:
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


class Lines:
    """Drives a debugger by lines, which `ask` yields, read or not yet; for those that are `typed` one has to wait.

    `refused` counts the commands that were; where nobody is there to mend them, that makes the run fail in the end.
    """

    def __init__(
        self, debugger: Debugger, ask: Iterator[Asked | str], out: TextIO, lang: Lang, json_: bool, typed: bool = False
    ) -> None:
        self.refused = 0
        self._debugger = debugger
        self._ask = ask
        self._typed = typed
        self._out = out
        self._lang: Lang = lang
        self._json = json_
        self._more = True  # lines may come
        debugger.judged, debugger.said = self.judged, self._say

    def run(self, events: Iterable[Event] | None) -> None:
        """Goes through a live run's events, asking where it stands; without any, walks what has been loaded."""
        if events is None:
            self._walk()
        elif self._typed:
            self._listen(iter(events))
        else:
            for event in events:
                self._happens(event)
                while self._debugger.waits and not self._debugger.story.over:
                    self._do(next(self._ask, None))
            while self._more and not self._debugger.over:  # it is over, and one may look back
                self._do(next(self._ask, None))

    def _listen(self, events: Iterator[Event]) -> None:
        """Goes through a run while somebody types: what happens meanwhile is shown as it happens."""
        told: SimpleQueue[Event | _Line | None] = SimpleQueue()  # None: the run is over
        self._happens(next(events))
        ear = Ear(events, told.put, lambda: told.put(None))
        typed = Typed(self._ask, lambda line: told.put(_Line(line)))
        ear.start()
        typed.start()
        asked, line, goes_on = False, None, True
        try:
            while goes_on or (self._more and not self._debugger.over):
                stands = not goes_on or (self._debugger.waits and not self._debugger.story.over)
                if stands and not self._more:
                    self._do(None)
                    continue
                if line is not None and (stands or self._stops(line.text)):
                    asked, said, line = False, line, None
                    self._do(said.read())
                    continue
                if not asked and self._more and not self._debugger.over:
                    asked = True
                    typed.ask()
                each = told.get()
                if isinstance(each, _Line):
                    line = each
                elif each is not None:
                    self._happens(each)
                else:
                    goes_on = False
                    if ear.failure is not None:
                        raise ear.failure
        except BaseException:
            with contextlib.suppress(Exception):  # what is raised already is why
                ear.leave(self._debugger)
            raise

    def _stops(self, line: Asked | str | Exception | None) -> bool:
        """Whether a line is done while the run moves: it has that stop, or end where it would stop nowhere any more."""
        try:
            asked = commands.parse(line) if isinstance(line, str) else None
        except UsageError:
            return False
        if asked is None:
            return isinstance(line, str)  # nothing is to be done
        return asked.order == Hold(True) or (asked.name == "quit" and not self._debugger.holds)

    def _happens(self, event: Event) -> None:
        self._debugger.hear(event)
        self._show(event)

    def _walk(self) -> None:
        shown = self._shown(0)
        while self._more and not self._debugger.over:
            self._do(next(self._ask, None))
            shown = self._shown(shown)

    def _shown(self, done: int) -> int:
        """Shows the events up to the place where one looks; returns how many that are."""
        story, (place, _) = self._debugger.story, self._debugger.place
        upto = story.stops[place - 1] if story.stops else len(story.events)
        for event in story.events[done:upto]:
            if not isinstance(event, CommandAnswered):
                self._show(event)
        if upto < done:
            self._say(words.called(rung.sent) if (rung := self._debugger.view().rung) else Text("", ""))
        return upto

    def _do(self, line: Asked | str | None) -> None:
        """Does what a line says; where there are no more, it goes on to the end, and what finds none is left."""
        if line is None:
            first, self._more = self._more, False
            if not self._debugger.story.over:
                self._debugger.do(commands.GO_ON if first else commands.LEAVE)
            return
        try:
            asked = commands.parse(line) if isinstance(line, str) else line
            if asked is None:
                return
            if asked.name == "show":
                self._tell(asked.word)
                return
            for said in self._debugger.do(asked):
                self._say(said)
        except LabError as error:
            self.refused += 1
            self._complain(error)

    def _show(self, event: Event) -> None:
        self.refused += isinstance(event, CommandAnswered) and not event.done
        if self._json:
            self._write(json.dumps(as_json(event), ensure_ascii=False))
        else:
            self._write(words.line(event).pick(self._lang))

    def judged(self, each: Prediction) -> None:
        """Says whether a prediction has come so."""
        right, of = self._debugger.predictions.score
        self._say(outcome(each, right, of))

    def _say(self, said: Text) -> None:
        if self._json:
            self._write(json.dumps({"said": said._asdict()}, ensure_ascii=False))
        else:
            self._write(said.pick(self._lang))

    def _complain(self, error: LabError) -> None:
        if self._json:
            self._write(
                json.dumps({"error": error.message._asdict(), "hint": error.hint._asdict()}, ensure_ascii=False)
            )
        else:
            self._write(Text("error: ", "错误：").pick(self._lang) + error.message.pick(self._lang))
            self._write(Text("hint: ", "提示：").pick(self._lang) + error.hint.pick(self._lang))

    def _tell(self, what: str) -> None:
        now, score = self._debugger.view(), self._debugger.predictions.score
        if self._json and what == "score":  # which no view has
            self._say(_scored(*score))
            return
        if self._json:
            self._write(json.dumps(view.as_json(now), ensure_ascii=False))
            return
        for each in shown(now, what, self._lang, score):
            self._write(each)

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


def outcome(each: Prediction, right: int, of: int) -> Text:
    """Returns whether a prediction has come so, in words, with the score."""
    came = each.came or "-"
    if each.right:
        return Text(f"predicted right: {each.said} ({right} of {of})", f"预测正确：{each.said}（{of} 次中 {right} 次）")
    return Text(
        f"predicted wrong: {each.said}; it was {came} ({right} of {of})",
        f"预测错误：{each.said}；实际是 {came}（{of} 次中 {right} 次）",
    )


def shown(now: View, what: str, lang: Lang, score: tuple[int, int]) -> Iterator[str]:
    """Yields the lines of what is to be shown."""
    if what == "score":
        yield _scored(*score).pick(lang)
        return
    yield from _SHOWN[what](now, lang)


def _scored(right: int, of: int) -> Text:
    return Text(f"{right} of {of} right", f"{of} 次预测，{right} 次正确")


def _where(now: View, lang: Lang) -> Iterator[str]:
    rung = now.rung
    if rung is not None:
        yield words.line(rung.sent).pick(lang)
        for step in words.steps(rung):
            yield "    " + step.pick(lang)
    held = ", ".join(map(str, now.held)) or "-"
    yield Text(f"held: {held}", f"扣住：{held}").pick(lang)
    for role, name in ROLES.items():
        end = now.client if role == "client" else now.server
        yield f"{name.pick(lang)}: {end.state or '?'}" + "".join(f" · {above} {state}" for above, state in end.above)
    for text in words.timers(now):
        yield text.pick(lang)


def _kernel(now: View, lang: Lang) -> Iterator[str]:
    width = max([_NAME, *(cells(row.name.pick(lang)) + 1 for row in words.kernels(now, lang))])
    yield pad("", width) + pad(ROLES["client"].pick(lang), 26) + ROLES["server"].pick(lang)
    for row in words.kernels(now, lang):
        marks = ["*" if role in row.changed else " " for role in ("client", "server")]
        yield f"{pad(row.name.pick(lang), width)}{pad(row.client + marks[0], 26)}{row.server}{marks[1]}".rstrip()


def _ladder(now: View, lang: Lang) -> Iterator[str]:
    for rung in now.rungs:
        states = rung.delivered or rung.held
        fate = FATES[rung.fate].pick(lang)
        again = f" ×{rung.again + 1}" if rung.again else ""
        yield f"{rung.number:>3} {words.called(rung.sent).pick(lang)}{again}   {fate}   {words.both(states).pick(lang)}"


def _fields(now: View, _lang: Lang) -> Iterator[str]:
    for each in words.fields_of(now.rung) if now.rung else ():
        place = f"{each.span.start}–{each.span.end - 1}"
        yield f"{place:>9}  {pad(each.layer, 10)}{pad(each.name, 30)} {brief(each.value)}"


def _bytes(now: View, _lang: Lang) -> Iterator[str]:
    frame = now.rung.frame if now.rung else None
    for line in dumped(frame.data, _WIDTH) if frame else ():
        yield line.plain


def _rows(now: View, lang: Lang) -> Iterator[str]:
    for each in (row for rung in now.rungs for row in rung.fired):
        yield f"{each.packet:>3} {words.fired(each).pick(lang)}"


FATES = {
    "held": Text("held", "扣住"), "under-way": Text("under way", "途中"), "arrived": Text("arrived", "已送达"),
    "lost": Text("lost", "已丢失"),
}  # fmt: skip
_SHOWN: dict[str, Callable[[View, Lang], Iterator[str]]] = {
    "where": _where, "kernel": _kernel, "ladder": _ladder, "fields": _fields, "bytes": _bytes, "rows": _rows,
}  # fmt: skip
