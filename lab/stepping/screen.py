"""The debugger on the whole screen: ladder, kernels, packet, and a line for what takes more than a key.

What is drawn comes from `drawing.py`; here are the keys, the panels' places, and when they are drawn anew. The run's
events are heard in a thread of its own, begun when the hosts have been forked; the screen looks for news 20 times a
second, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from threading import Timer
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Key, Paste, Resize
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from lab.errors import LabError
from lab.events import CommandAnswered
from lab.render.words import wrap
from lab.runs.run import Run
from lab.stepping import commands, drawing, panels
from lab.stepping.debugger import Debugger
from lab.stepping.drawing import BRIGHT, LIT, Line
from lab.stepping.hearing import PATIENCE, Ear
from lab.stepping.lines import outcome
from lab.stepping.predictions import Prediction
from lab.stepping.view import View
from lab.system import signals
from lab.testbed.forge import FIELDS
from lab.text import Lang, Text

_AT_LAST = 6.0  # seconds for the hosts to end, and the screen, after a signal
_TICK = 0.05
_MOST_STATUS = 3  # lines of what is said at the bottom: an error and what to do about it take two on most terminals
_HUNG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none


def screen(debugger: Debugger, run: Run | None, lang: Lang) -> None:
    """Shows a debugger on the terminal until it is left; of a live run its events are heard meanwhile.

    Raises what the run raises, and Stopped where a signal ended it.
    """
    ear = None
    if run is not None:
        events = iter(run.events())
        debugger.hear(next(events))  # the hosts have been forked: from now on there may be threads
        ear = Ear(events, debugger.hear)
        ear.start()
    app = Screen(debugger, ear, lang)
    try:
        app.run()
    finally:
        signals.stop_cleanly_on_signals()
    if ear is not None:
        ear.leave(debugger)
    if app.crash is not None:
        raise app.crash
    if app.signal is not None:
        raise signals.Stopped(app.signal)


class _Help(ModalScreen[None]):
    """The keys, and the commands as they are written."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,space,enter", "dismiss", show=False)]

    def __init__(self, lang: Lang, room: int) -> None:
        super().__init__()
        self._lang: Lang = lang
        self._room = room  # columns

    def compose(self) -> ComposeResult:
        lang = self._lang
        keys = [(shown, text) for _, shown, _, text in panels.KEYS] + list(panels.MORE)
        lines: list[Line] = [[(Text("Keys", "按键").pick(lang), drawing.HEAD)]]
        for shown, text in keys:
            lines.append([(f"  {shown:<5}", drawing.YELLOW), (text.pick(lang), drawing.PLAIN)])
        lines += [
            [],
            [(Text("Commands, behind : or in a script", "命令（在 : 之后，或写在脚本中）").pick(lang), drawing.HEAD)],
        ]
        for each in commands.COMMANDS:
            lines.append([(f"  {each.written}", drawing.YELLOW), (f"  {each.short[0]}", drawing.PLAIN)])
            lines += [[(f"      {part}", drawing.PLAIN)] for part in wrap(each.help.pick(lang), self._room)]
        yield Vertical(Static(_content(lines)), id="help")


class Screen(App[None]):
    """The panels, the keys, and what stands in the line at the bottom."""

    CSS: ClassVar[str] = """
    Screen { background: #000000; color: #e4e4e4; layers: base; }
    Static { width: 100%; background: #000000; }
    #head { height: 1; background: #005f87; color: #ffffff; text-style: bold; }
    #ladder, #kernels, #packet, #about { border: round #87afd7; border-title-color: #ffffff;
        border-title-style: bold; padding: 0 1; }
    #ladder.low, #kernels.low, #packet.low, #about.low { border: none; border-top: solid #87afd7; }
    #top, #left { height: auto; width: auto; }
    #status { height: 1; background: #262626; color: #ffffff; }
    #status.wrong { background: #870000; }
    #keys { height: auto; max-height: 2; background: #000000; color: #ffffff; }
    #line { height: 1; background: #303030; }
    _Help { align: center middle; background: #000000 60%; }
    #help { width: 92%; height: 92%; border: round #ffd75f; background: #000000; padding: 0 1; overflow-y: auto; }
    """
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None  # keys are the screen's
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"key('{key}')", show=False) for key, *_ in panels.KEYS),
        Binding("up", "field(-1)", show=False),
        Binding("down", "field(1)", show=False),
        Binding("tab", "other", show=False, priority=True),
        Binding("o", "other", show=False),
        Binding("P", "quiz", show=False),
        Binding("l", "language", show=False),
        Binding("question_mark", "help", show=False),
        Binding("q", "leave", show=False),
        Binding("escape", "close", show=False, priority=True),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
    ]

    def __init__(self, debugger: Debugger, ear: Ear | None, lang: Lang) -> None:
        super().__init__()
        self.signal: int | None = None
        self.crash: Exception | None = None
        self._debugger = debugger
        self._ear = ear
        self._lang: Lang = lang
        self._field = FIELDS["flags"][0]  # the one that is lit, by layer and name
        self._said: tuple[Text, bool] = (Text("", ""), False)  # and whether that is wrong
        self._typed: str | None = None  # the line at the bottom, where one is open
        self._cursor = 0
        self._quiz = False
        self._asked_of = -1  # the place at which a prediction was asked for
        self._failed = False
        self._answered: CommandAnswered | None = None  # what was last said of
        self._shown: tuple[int, int] | None = None  # how many events, and when: a quarter of a second
        self._leaving: float | None = None
        debugger.judged = self._judged
        debugger.said = lambda text: self._say(text, True)

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Container(Container(Static(id="ladder"), Static(id="about"), id="left"), Static(id="kernels"), id="top")
        yield Static(id="packet")
        yield Static(id="status")
        yield Static(id="keys")
        yield Static(id="line")

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()

        def stopped(number: int, _frame: object) -> None:
            if number == _HUNG_UP:
                _drop_terminal()
            last = Timer(_AT_LAST, os._exit, (128 + number,))  # what draws may wait for a terminal that is gone
            last.daemon = True
            last.start()
            loop.call_soon_threadsafe(self._stopped, number)

        for each in {signal.SIGTERM, _HUNG_UP}:
            signal.signal(each, stopped)
        self.set_interval(_TICK, self._look)
        self._draw()

    def _handle_exception(self, error: Exception) -> None:
        """Leaves what goes wrong in here to whoever says such things in two lines."""
        self.crash = error
        if self.is_headless:
            super()._handle_exception(error)
        else:
            self.exit()

    def _stopped(self, number: int) -> None:
        self.signal = number
        self._leave()

    # What is asked for.

    def action_key(self, key: str) -> None:
        said = next(said for each, _, said, _ in panels.KEYS if each == key)
        view = self._debugger.view()
        if key == "space" and self._debugger.live and self._debugger.place[0] < self._debugger.place[1]:
            said = "forward"  # one looks back
        if said == "step" and self._quiz and self._asked_of != self._debugger.place[0] and not view.over:
            self._asked_of = self._debugger.place[0]
            said = "predict …"
        name, begins, rest = said.partition("…")
        command = name.strip()
        if command and command not in view.can:
            self._say(_NOT_NOW.format(command) if view.live else _RECORDED.format(command), True)
            self._draw()
        elif begins:
            self._open(name, self._beginning(name.strip(), rest))
        else:
            self._do(name)

    def _beginning(self, command: str, rest: str) -> str:
        """Returns what stands in the line to begin with: of `edit` the chosen field."""
        if command != "edit":
            return rest
        fields = drawing.fields_of(self._debugger.view().rung)
        field = fields[drawing.place_of(fields, self._field)] if fields else None
        key = (field.layer, field.name) if field else ("", "")
        return next((f"{short}=" for short, keys in FIELDS.items() if key in keys), "seq=+1")

    def _open(self, name: str, rest: str) -> None:
        self._typed, self._cursor = name + rest, len(name + rest)
        self._draw()

    async def on_event(self, event: Message) -> None:
        """Has the open line take keys before anything else does, in the order in which they come."""
        if self._typed is not None and isinstance(event, Key) and event.key not in ("ctrl+c", "ctrl+z"):
            self._type(event)
        elif self._typed is not None and isinstance(event, Paste):
            self._insert(event.text.partition("\n")[0])
        else:
            await super().on_event(event)  # type: ignore[arg-type]  # whatever comes

    def _type(self, event: Key) -> None:
        typed, at = self._typed or "", self._cursor
        moved = {"left": max(0, at - 1), "right": min(len(typed), at + 1), "home": 0, "end": len(typed)}
        if event.key == "enter":
            if self._do(typed):
                self._typed = None
        elif event.key == "escape":
            self._typed = None
        elif event.key in moved:
            self._cursor = moved[event.key]
        elif event.key == "ctrl+u":
            self._typed, self._cursor = typed[at:], 0
        elif event.key in ("backspace", "ctrl+h") and at:
            self._typed, self._cursor = typed[: at - 1] + typed[at:], at - 1
        elif event.key == "delete":
            self._typed = typed[:at] + typed[at + 1 :]
        elif event.is_printable and event.character:
            self._insert(event.character)
        self._draw()

    def _insert(self, text: str) -> None:
        typed, at = self._typed or "", self._cursor
        self._typed, self._cursor = typed[:at] + text + typed[at:], at + len(text)
        self._draw()

    def action_close(self) -> None:
        if isinstance(self.screen, _Help):
            self.screen.dismiss(None)

    def _do(self, line: str) -> bool:
        """Does what a line says; returns whether that made sense."""
        try:
            asked = commands.parse(line)
            if asked is None:
                return True
            if asked.name == "quit":
                self._leave()
                return True
            if asked.name == "help" or asked.name == "show":
                self.action_help()
                return True
            self._debugger.require_still(asked)
            self._say(Text("", ""), False)
            for said in self._debugger.do(asked):
                self._say(said, False)
            self._draw()
        except LabError as error:
            self._say(Text(f"{error.message.en}: {error.hint.en}", f"{error.message.zh}：{error.hint.zh}"), True)
            self._draw()
            return False
        return True

    def action_field(self, by: int) -> None:
        fields = drawing.fields_of(self._debugger.view().rung)
        if fields:
            field = fields[max(0, min(len(fields) - 1, drawing.place_of(fields, self._field) + by))]
            self._field = field.layer, field.name
        self._draw()

    def action_other(self) -> None:
        view = self._debugger.view()
        if len(view.held) > 1 and view.at in view.held:
            self._do(f"select {view.held[(view.held.index(view.at) + 1) % len(view.held)]}")

    def action_quiz(self) -> None:
        self._quiz = not self._quiz
        said = Text("before each packet a prediction is asked for", "每个包之前都要求预测")
        self._say(said if self._quiz else Text("no predictions are asked for", "不再要求预测"), False)
        self._draw()

    def action_language(self) -> None:
        self._lang = "en" if self._lang == "zh" else "zh"
        self._draw()

    def action_help(self) -> None:
        help_ = _Help(self._lang, max(20, self.size.width * 9 // 10 - 12))
        self.push_screen(help_, lambda _: self._draw())  # below it nothing was drawn, whatever size it has by now

    def action_interrupt(self) -> None:
        self.signal = signal.SIGINT
        self._leave()

    def action_suspend_process(self) -> None:
        """Stops, as a terminal has it for Ctrl-Z, all that runs on it with us: a shell waits for make, not for us."""
        if self._driver is not None and self._driver.can_suspend:
            self._driver.suspend_application_mode()
            os.kill(0, signal.SIGSTOP)

    def action_leave(self) -> None:
        self._leave()

    def _leave(self) -> None:
        """Ends the run, and the screen as soon as the run has ended."""
        if self._leaving is None:
            self._leaving = time.monotonic()
            self._debugger.do(commands.LEAVE)

    # What is shown.

    def _judged(self, each: Prediction) -> None:
        self._say(outcome(each, *self._debugger.predictions.score), not each.right)

    def _say(self, text: Text, wrong: bool) -> None:
        self._said = text, wrong
        self._shown = None

    def _look(self) -> None:
        """Draws anew where something is new, or a timer runs; leaves when all is over."""
        if self._leaving is not None:
            ended = self._ear is None or not self._ear.is_alive()
            if ended or time.monotonic() - self._leaving > PATIENCE:
                self.exit()
                return
        failure = self._ear.failure if self._ear is not None else None
        if failure is not None and not self._failed:
            self._failed = True
            said = failure.message if isinstance(failure, LabError) else Text(str(failure), str(failure))
            self._say(said, True)
        heard = self._ear.heard if self._ear is not None else 0
        if self._shown is None or self._shown[0] != heard:
            answer = self._debugger.story.answer
            if answer is not self._answered and answer is not None and answer.message is not None:
                hint = answer.hint or Text("", "")
                self._said = Text(f"{answer.message.en}: {hint.en}", f"{answer.message.zh}：{hint.zh}"), True
            self._answered = answer
            self._draw()
        elif self._debugger.live and int(time.monotonic() * 4) != self._shown[1]:
            self._draw()

    def on_resize(self, _event: Resize) -> None:
        self.call_later(self._draw)  # textual takes in the size behind this

    def _draw(self) -> None:
        if not self.query("#head"):
            return
        self._shown = (self._ear.heard if self._ear is not None else 0, int(time.monotonic() * 4))
        width, height = self.size
        small = width < panels.SMALLEST[0] or height < panels.SMALLEST[1]
        for each in ("top", "packet", "keys"):
            self.query_one(f"#{each}").display = not small
        view = self._debugger.view()
        self._head(view, width)
        if small:
            need = f"{panels.SMALLEST[0]}×{panels.SMALLEST[1]}"
            said = Text(
                f"this terminal has {width}×{height}: it takes {need}", f"终端为 {width}×{height}，至少需要 {need}"
            )
            self._status([said.pick(self._lang)], True)
            return
        said, wrong = self._said
        status = wrap(said.pick(self._lang), width - 2)[:_MOST_STATUS] or [""]
        self._status(status, wrong)
        keys = panels.keys_now(view, self._lang, width, 1 if height < panels.LOW else 2)
        self.query_one("#keys", Static).update(_content(keys))
        self._line()
        self._place(width, height - 1 - len(status) - len(keys) - (self._typed is not None), view)

    def _head(self, view: View, width: int) -> None:
        place, count = self._debugger.place
        lang, score = self._lang, self._debugger.predictions.score
        where = Text("real hosts", "真实主机") if view.live else Text("recorded", "已录制")
        name = view.scenario or view.name.rpartition("/")[2]
        parts = [name, where.pick(lang)]
        if view.held and not view.over:
            parts.append(Text("held: ", "扣住：").pick(lang) + ", ".join(map(str, view.held)))
        if place < count and view.live:
            parts.append(Text(f"looking back {place}/{count}", f"回看 {place}/{count}").pick(lang))
        elif not view.live:
            parts.append(f"{place}/{count}")
        if self._debugger.runs:
            parts.append("▶ " + self._debugger.runs)
        if score[1]:
            parts.append(Text(f"predicted {score[0]} of {score[1]}", f"预测 {score[0]}/{score[1]}").pick(lang))
        self.query_one("#head", Static).update(Content(" " + "  ·  ".join(parts)[: width - 1]))

    def _status(self, lines: Sequence[str], wrong: bool) -> None:
        status = self.query_one("#status", Static)
        status.set_class(wrong, "wrong")
        status.styles.height = len(lines)
        status.update(Content("\n".join(" " + line for line in lines)))

    def _line(self) -> None:
        line, typed = self.query_one("#line", Static), (self._typed or "") + " "
        line.display = self._typed is not None
        at = min(self._cursor, len(typed) - 1)
        line.update(_content([[("› " + typed[:at], BRIGHT), (typed[at], LIT), (typed[at + 1 :], BRIGHT)]]))

    def _place(self, width: int, height: int, view: View) -> None:
        """Gives each panel its place and what stands in it."""
        lang, newest = self._lang, self._debugger.place[0] == self._debugger.place[1]
        passed = self._debugger.passed if newest else 0.0
        low = self.size.height < panels.LOW
        places = panels.places(width, height, low)
        sizes = {
            name: (each[0] - 2, each[1] - 1) if low else (each[0] - 4, each[1] - 2) for name, each in places.items()
        }
        said_by_kernels = drawing.kernels_short if low else drawing.kernels
        drawn: dict[str, Sequence[Line]] = {
            "ladder": drawing.ladder(view, lang, *sizes["ladder"]),
            "about": drawing.about(view, lang, *sizes["about"], passed),
            "kernels": said_by_kernels(view, lang, *sizes["kernels"], passed),
            "packet": drawing.packet(
                view, lang, *sizes["packet"], drawing.place_of(drawing.fields_of(view.rung), self._field)
            ),
        }
        titles = {
            "ladder": Text("the ladder", "时序图"), "about": Text("what it means", "含义"),
            "kernels": Text("both kernels", "两端内核"),
            "packet": Text(f"packet {view.at}", f"第 {view.at} 号包") if view.at else Text("packet", "包"),
        }  # fmt: skip
        self.query_one("#top").styles.layout = "horizontal" if width >= panels.WIDE and not low else "vertical"
        self.query_one("#left").styles.width = places["ladder"][0]
        for name, lines in drawn.items():
            panel = self.query_one(f"#{name}", Static)
            panel.set_class(low, "low")
            panel.styles.width, panel.styles.height = places[name]
            panel.border_title = titles[name].pick(lang)
            panel.update(_content(lines))


def _content(lines: Sequence[Line]) -> Content:
    return Content("\n").join([Content.assemble(*[part if part[1] else part[0] for part in line]) for line in lines])


_NOT_NOW = Text("'{}' can't be done now: no packet is held", "现在不能 {}：没有扣住任何包")
_RECORDED = Text("'{}' needs real hosts: this is a recorded capture", "{} 需要真实主机：这是已录制的抓包")


def _drop_terminal() -> None:
    """Has what is still written go nowhere: the terminal has hung up."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
