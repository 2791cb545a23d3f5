"""The lecture notes' steps in our own words, read from each protocol's notes.toml: both languages, one source."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from lab.text import ROLES, Text
from lab.tuples import NamedTuple

_OTHER = {"client": "server", "server": "client"}


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


class Notes(NamedTuple):
    """All that is said about one protocol."""

    protocol: str
    title: Text
    about: Text | None  # where the protocol is written today
    steps: dict[str, NoteStep]
    instead: dict[tuple[str, str], NoteStep]  # of a step, and the code of how a connection departs from it
    differs: dict[str, Text]
    known: dict[tuple[str, str], Text]  # of a code, and what more is known, where that says it more exactly
    states: dict[str, NoteState]
    scenarios: dict[str, NoteScenario]


@cache
def notes(protocol: str) -> Notes:
    """Returns a protocol's notes, by its name."""
    import tomllib  # many who import this never ask
    from importlib.resources import files

    data = tomllib.loads((files("lab.protocols") / protocol / "notes.toml").read_text(encoding="utf-8"))
    steps = {each["id"]: _step(each) for each in data["step"]}
    return Notes(
        data["protocol"],
        _text(data["title"]),
        _text(data["about"]) if "about" in data else None,
        steps,
        {(each["step"], each["differs"]): _instead(each, steps[each["step"]]) for each in data.get("instead", ())},
        {each["code"]: _text(each) for each in data["differs"] if "when" not in each},
        {(each["code"], each["when"]): _text(each) for each in data["differs"] if "when" in each},
        {each["name"]: NoteState(each["name"], each.get("notes"), _text(each["text"])) for each in data["state"]},
        {
            each["name"]: NoteScenario(each["name"], _text(each["title"]), _text(each["teaches"]))
            for each in data["scenario"]
        },
    )


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
