"""Which ways and which segments are meant by a name: of a state, of one of its ways, of a segment."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from lab.errors import UsageError
from lab.protocols.notes import notes
from lab.protocols.tcp.stimuli import STIMULI, Stimulus
from lab.protocols.tcp.ways import WAYS, Way
from lab.text import Text

_MOST_NEAR = 6


def ways(name: str) -> list[Way]:
    """Returns the ways into a state, the usual one first, or the one of this name. Raises UsageError for no name."""
    spelled = {_key(each.notes): each.name for each in notes("tcp").states.values() if each.notes}
    state, slash, which = name.partition("/")
    asked = _key(spelled.get(_key(state), state)) + (slash and f"/{_key(which)}")
    found = [each for each in WAYS if _key(each.name) == asked or (not slash and _key(each.state) == asked)]
    if not found:
        near = _near(asked, [each.name for each in WAYS])
        raise UsageError(
            Text(f"the lab knows no state '{name[:40]}'", f"没有状态“{name[:40]}”"),
            Text(f"the nearest: {', '.join(near)}", f"相近的有：{'、'.join(near)}"),
        )
    return found


def stimulus(name: str) -> Stimulus:
    """Returns the segment of this name. Raises UsageError for no name."""
    found = next((each for each in STIMULI if _key(each.name) == _key(name)), None)
    if found is None:
        near = _near(_key(name), [each.name for each in STIMULI])
        raise UsageError(
            Text(f"the lab has no segment '{name[:40]}'", f"没有报文段“{name[:40]}”"),
            Text(f"the nearest: {', '.join(near)}", f"相近的有：{'、'.join(near)}"),
        )
    return found


def _near(asked: str, names: list[str]) -> Iterable[str]:
    keys = {_key(each): each for each in names}
    return [keys[each] for each in get_close_matches(asked, keys, _MOST_NEAR, 0.4)] or names


def _key(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum() or char == "/")
