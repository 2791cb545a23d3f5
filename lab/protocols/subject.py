"""What `lab notes` is asked about, found by its name: a protocol, a state of one, or a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple

from lab.errors import UsageError
from lab.protocols.notes import notes
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.text import LANGUAGES, Text

_MOST_NEAR = 6  # names that may have been meant


class Subject(NamedTuple):
    """Something that the notes tell of: its name is the protocol's, the state's, or the step's id."""

    protocol: str
    kind: Literal["protocol", "state", "step"]
    name: str


def subjects(words: Sequence[str]) -> list[Subject]:
    """Returns what is called so: several where protocols have states of one name. Raises UsageError where nothing is.

    `close 3`, `tcp.close.3`, `FIN-WAIT-2` and the notes' FIN_WAIT2, in any case and with any signs between.
    """
    said = " ".join(words)
    asked = _key(said) if words else TRANSPORT.name
    names = list(_names())
    found = list(dict.fromkeys(subject for name, subject in names if _key(name) == asked))
    if found:
        return found
    near = get_close_matches(asked, [_key(name) for name, _ in names], _MOST_NEAR)
    shown = list(dict.fromkeys(next(name for name, _ in names if _key(name) == key) for key in near))
    known = ", ".join(each.name for each in PROTOCOLS)
    raise UsageError(
        Text(f"the lab has no notes on '{said}'", f"实验室没有关于“{said}”的讲义"),
        Text(f"did you mean: {', '.join(shown)}?", f"是否要找：{'、'.join(shown)}？")
        if shown
        else Text(
            f"name a protocol ({known}), a state (FIN-WAIT-2) or a step (close 3)",
            f"请给出协议（{known}）、状态（FIN-WAIT-2）或步骤（挥手 3）",
        ),
    )


def _names() -> Iterator[tuple[str, Subject]]:
    """Yields all names, those that people use first."""
    for about in PROTOCOLS:
        for name in filter(None, (about.name, about.title, about.short, *(each.name for each in about.commands))):
            yield name, Subject(about.name, "protocol", about.name)
    for about in PROTOCOLS:
        lesson = notes(about.name)
        for state in lesson.states.values():
            subject = Subject(about.name, "state", state.name)
            for name in filter(None, (state.name, state.notes)):
                yield name, subject
                yield f"{about.name} {name}", subject
        for step in lesson.steps.values():
            subject = Subject(about.name, "step", step.id)
            for lang in LANGUAGES:
                yield step.name.pick(lang), subject
                yield f"{about.name} {step.name.pick(lang)}", subject
            yield step.id, subject


def _key(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
