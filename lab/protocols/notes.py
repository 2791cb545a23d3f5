"""The lecture notes' steps in our own words, read from each protocol's notes.toml: both languages, one source."""

from __future__ import annotations

import re
from functools import cache, cached_property, lru_cache
from typing import Any

from lab.text import ROLES, Text
from lab.tuples import NamedTuple

_OTHER = {"client": "server", "server": "client"}
_PARTS = re.compile(r"^(?=\[\[)", re.MULTILINE)  # in front of each entry


class NoteStep(NamedTuple):
    """One numbered step. Texts may name {actor}, the end that acts in it, and {peer}, the other end."""

    id: str
    rfc: str
    name: Text
    title: Text
    text: Text
    beyond: Text
    leads_to: dict[str, str]


class NoteState(NamedTuple):
    """One state: its name, the notes' spelling where that differs, and what an end in it waits for."""

    name: str
    notes: str | None
    text: Text


class NoteScenario(NamedTuple):
    """What a scenario shows and teaches."""

    name: str
    title: Text
    teaches: Text


class Notes:
    """All that is said about one protocol. A part is parsed when it is asked for: that takes long, few ask for all."""

    def __init__(self, text: str) -> None:
        """Takes the text of a notes.toml."""
        self._parts: dict[str, str] = {}
        for part in _PARTS.split(text):  # what stands in front of them has no name
            name = part[2 : part.index("]")] if part.startswith("[[") else ""
            self._parts[name] = self._parts.get(name, "") + part

    @cached_property
    def protocol(self) -> str:
        return str(self._head["protocol"])

    @cached_property
    def title(self) -> Text:
        return _text(self._head["title"])

    @cached_property
    def about(self) -> Text | None:
        """Where the protocol is written today."""
        return _text(self._head["about"]) if "about" in self._head else None

    @cached_property
    def steps(self) -> dict[str, NoteStep]:
        return {each["id"]: _step(each) for each in self._all("step")}

    @cached_property
    def instead(self) -> dict[tuple[str, str], NoteStep]:
        """What is said of a step instead, by it and the code of how a connection departs from it."""
        return {
            (each["step"], each["differs"]): _instead(each, self.steps[each["step"]]) for each in self._all("instead")
        }

    @cached_property
    def differs(self) -> dict[str, Text]:
        """What is said of how a connection departs from a step, by its code."""
        return {each["code"]: _text(each) for each in self._differs if "when" not in each}

    @cached_property
    def known(self) -> dict[tuple[str, str], Text]:
        """The same by a code and what more is known, where that says it more exactly."""
        return {(each["code"], each["when"]): _text(each) for each in self._differs if "when" in each}

    @cached_property
    def states(self) -> dict[str, NoteState]:
        return {
            each["name"]: NoteState(each["name"], each.get("notes"), _text(each["text"])) for each in self._all("state")
        }

    @cached_property
    def scenarios(self) -> dict[str, NoteScenario]:
        return {
            each["name"]: NoteScenario(each["name"], _text(each["title"]), _text(each["teaches"]))
            for each in self._all("scenario")
        }

    @cached_property
    def _head(self) -> dict[str, Any]:
        return _parsed(self._parts[""])

    @cached_property
    def _differs(self) -> list[dict[str, Any]]:
        return self._all("differs")

    def _all(self, name: str) -> list[dict[str, Any]]:
        """Returns all parts of a name."""
        found: list[dict[str, Any]] = _parsed(self._parts.get(name, "")).get(name, [])
        return found


@cache
def notes(protocol: str) -> Notes:
    """Returns a protocol's notes, by its name."""
    from importlib.resources import files  # many who import this never ask

    return Notes((files("lab.protocols") / protocol / "notes.toml").read_text(encoding="utf-8"))


def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


def note(step: str) -> NoteStep:
    """Returns a step by its id, whichever protocol's it is."""
    return notes(step.partition(".")[0]).steps[step]


@lru_cache(1024)
def cast(text: Text, actor: str) -> Text:
    """Returns the text with the roles filled in: `actor` is `client` or `server`."""
    who, other = ROLES[actor], ROLES[_OTHER[actor]]
    return Text(
        text.en.replace("{actor}", who.en).replace("{peer}", other.en),
        text.zh.replace("{actor}", who.zh).replace("{peer}", other.zh),
    )


def _text(both: dict[str, Any]) -> Text:
    return Text(" ".join(both["en"].split()), "".join(both["zh"].splitlines()).strip())


def _step(step: dict[str, Any]) -> NoteStep:
    name, title, text, beyond = (_text(step[part]) for part in ("name", "title", "text", "beyond"))
    return NoteStep(step["id"], step["rfc"], name, title, text, beyond, step["leads_to"])


def _instead(each: dict[str, Any], step: NoteStep) -> NoteStep:
    title = _text(each["title"]) if "title" in each else step.title
    text = _text(each["text"]) if "text" in each else step.text
    return step._replace(title=title, text=text)
