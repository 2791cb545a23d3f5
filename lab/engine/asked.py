"""What the kernels were asked at an instant as it travels in a capture, beside their states.

One object an instant: an end's fields by short names, under `client` and `server`, and under `moved` the counters that
have grown. What goes without saying is left out, so that a reader who knows the state and the fields that are there
knows the rest: a connection (it has an `rto`) has 0 where nothing is said, so has a listener for its queues and drops,
and a timer that runs.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from lab.model import Kernels, Moved, Role, Socket, States, Timer

# Socket's fields by the names they have in a capture: nearly those of `ss -ti`.
NAMES = {
    "timer": "timer",
    "expires": "expires",
    "retransmits": "retrans",
    "rto": "rto",
    "rtt": "rtt",
    "rttvar": "rttvar",
    "cwnd": "cwnd",
    "ssthresh": "ssthresh",
    "mss": "mss",
    "unacked": "unacked",
    "receive_queue": "rq",
    "send_queue": "sq",
    "send_window": "swnd",
    "receive_window": "rwnd",
    "bytes_acked": "acked",
    "bytes_received": "rcvd",
    "drops": "drops",
}
_ENDS: tuple[Role, Role] = ("client", "server")
_COUNTED = dict.fromkeys(
    ("retransmits", "unacked", "receive_queue", "send_queue", "bytes_acked", "bytes_received", "drops"), 0
)
_LISTENING = dict.fromkeys(("receive_queue", "send_queue", "drops"), 0)
_TIMED = dict.fromkeys(("expires", "retransmits"), 0)
_TIMERS = get_args(Timer)
_COUNTER = re.compile(r"(Tcp|Ip)(Ext)? [A-Za-z0-9]{1,40}")
_MOST_MOVED = 64
_LARGEST = 1 << 63


def written(kernels: Kernels | None) -> dict[str, Any]:
    """Returns what is written of an instant beside the states: nothing where nothing more is known."""
    if kernels is None:
        return {}
    told: dict[str, Any] = {}
    for role, end in zip(_ENDS, kernels[:2], strict=True):
        if end != Socket(end.state):
            told[role] = _written(end)
    moved: dict[str, dict[str, int]] = {}
    for each in kernels.moved:
        moved.setdefault(each.role, {})[each.counter] = each.by
    return {**told, "moved": moved} if moved else told


def read(states: States, said: object) -> Kernels:
    """Returns what the kernels said at an instant. What does not fit is taken as not said."""
    said = said if isinstance(said, dict) else {}
    client, server = (
        _read(state, said[role]) if isinstance(said.get(role), dict) else Socket(state)
        for role, state in zip(_ENDS, states, strict=True)
    )
    return Kernels(client, server, tuple(_moved(said.get("moved"))))


def _written(end: Socket) -> dict[str, Any]:
    fields = end._asdict()
    usual = _usual(end.state, {name for name in NAMES if fields[name] is not None})
    return {short: fields[name] for name, short in NAMES.items() if fields[name] != usual.get(name)}


def _read(state: str | None, said: dict[str, Any]) -> Socket:
    fields = {name: said[short] for name, short in NAMES.items() if short in said and _fits(name, said[short])}
    silent = {name: None for name, short in NAMES.items() if short in said and name not in fields}
    there = {name for name, value in fields.items() if value is not None}
    return Socket(state, **{**_usual(state, there), **fields, **silent})


def _usual(state: str | None, there: set[str]) -> dict[str, int]:
    """Returns what a field is that is not mentioned, where that is not None."""
    if "rto" in there:
        return {**_COUNTED, **({"expires": 0} if "timer" in there else {})}
    if "timer" in there:
        return _TIMED
    return _LISTENING if state == "LISTEN" else {}


def _fits(name: str, value: object) -> bool:
    if name == "timer":
        return value is None or value in _TIMERS
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST)


def _moved(said: object) -> list[Moved]:
    found: list[Moved] = []
    for role in _ENDS:
        counters = said.get(role) if isinstance(said, dict) else None
        for counter, by in counters.items() if isinstance(counters, dict) else ():
            if len(found) == _MOST_MOVED:
                return found
            if _COUNTER.fullmatch(counter) and _fits("by", by) and by:
                found.append(Moved(role, counter, by))
    return found
