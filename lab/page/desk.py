"""The debugger as a page has it: the commands of line mode, what can be done now, both kernels, and what is said.

It is the view that line mode and the screen show (`lab/stepping/view.py`), without the packets: those are rungs.
"""

from __future__ import annotations

from typing import Any

from lab.events import CommandAnswered, Event
from lab.page.rungs import numbers
from lab.stepping import commands, words
from lab.stepping.debugger import Debugger
from lab.stepping.lines import outcome, shown
from lab.stepping.panels import KEYS
from lab.stepping.predictions import Prediction
from lab.stepping.view import View
from lab.testbed.forge import FIELDS
from lab.text import LANGUAGES, ROLES, Text


class Desk:
    """What a debugger is asked by pages, and what it tells them."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._told: dict[str, Any] | None = None
        self._said: list[dict[str, Any]] = []  # to all pages, and not told yet
        debugger.judged = self._judged
        debugger.said = lambda text: self._say(text, True)

    # From the run, in its own thread.

    def hear(self, event: Event) -> None:
        self._debugger.hear(event)
        if isinstance(event, CommandAnswered) and event.message is not None:
            self._say(event.message, True)
            if event.hint is not None:
                self._say(event.hint, True)

    def _judged(self, each: Prediction) -> None:
        self._say(outcome(each, *self._debugger.predictions.score), not each.right)

    def _say(self, text: Text, wrong: bool) -> None:
        self._said.append(text._asdict() | {"wrong": wrong})

    # For pages.

    def do(self, line: str) -> list[Text]:
        """Does what a line of line mode says, and returns what is to be said at once. Raises LabError."""
        asked = commands.parse(line)
        if asked is None:
            return []
        if asked.name == "show":
            view, score = self._debugger.view(), self._debugger.predictions.score
            return [Text(*("\n".join(shown(view, asked.word, lang, score)) for lang in LANGUAGES))]
        self._debugger.require_still(asked)
        return self._debugger.do(asked)

    def whole(self, view: View) -> dict[str, Any]:
        """Returns what keys do, which fields can be edited, how long a line may be, and where it stands."""
        return {
            "keys": [{"key": key, "shown": shown_, "line": line, **text._asdict()} for key, shown_, line, text in KEYS],
            "editable": {f"{layer} {name}": short for short, keys in FIELDS.items() for layer, name in keys},
            "longest": commands.LONGEST,
            "view": self._view(view) | self._passed(),
        }

    def news(self, view: View) -> dict[str, Any]:
        """Returns what pages do not know of where it stands."""
        news: dict[str, Any] = {}
        now = self._view(view)
        if now != self._told:
            self._told = now
            news["view"] = now | self._passed()
        if self._said:
            news["said"], self._said = self._said, []
        return news

    def _passed(self) -> dict[str, Any]:
        return {"passed": round(self._debugger.passed, 3)}

    def _view(self, view: View) -> dict[str, Any]:
        place, places = self._debugger.place
        right, of = self._debugger.predictions.score
        return {
            "at": view.at, "upto": view.rungs[-1].number if view.rungs else 0, "held": list(view.held),
            "can": list(view.can), "live": view.live, "over": view.over, "place": place, "places": places,
            "runs": self._debugger.runs, "waits": self._debugger.waits, "score": [right, of],
            "early": view.early._asdict() if view.early else None,
            "ends": {role: self._end(view, role) for role in ROLES},
            "timers": [{"role": each.role, "ms": each.ms, **each.text._asdict()} for each in words.running(view)],
            "remarks": [each._asdict() for each in words.beside_timers(view)],
        }  # fmt: skip

    def _end(self, view: View, role: Any) -> dict[str, Any]:
        end = view.end(role)
        return {
            "state": end.state, "kernel": numbers(end.kernel) if end.kernel is not None else None,
            "changed": list(end.changed), "moved": [list(each) for each in end.moved],
            "above": [list(each) for each in end.above],
        }  # fmt: skip
