"""What a testbed tells while a scenario is played, and how that is written where it has to leave a container.

First `Begun`, then a `Captured` for each frame (and all the rest of the wire's journal, where there is a wire), last
`Ended`. Where a run is controlled, `Held` and `Controlled` come between. Written, each is a line of JSON, so that it
can go through a container's log.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from lab.errors import MachineError
from lab.model import Captured, Delivered, Final, Frame, Kernels, Moved, Settled, Socket, WireEvent
from lab.testbed import control
from lab.testbed.control import Controlled, Held
from lab.text import Text


class Begun(NamedTuple):
    """The hosts are there. `hosts` names addresses; `journal` says whether the fate of each frame will be told.

    `server_key` is the server's private key (PEM), where it has one for this scenario. `mac` is the address of the
    interface, in hex, where that is a host's own and not the wire.
    """

    interface: str
    hosts: Mapping[str, str]
    journal: bool
    server_key: str = ""
    mac: str = ""


class KeyLogLines(NamedTuple):
    """Lines of an NSS key log that a host has written: told before the frames that they open."""

    keylog: str


class Ended(NamedTuple):
    """The scenario is over: the reason it stopped early, where it did, and how many packets the capture has missed.

    Those passed a tap all the same; a wire passes on only what it has captured. `unused` are the places of the rules
    that no frame has met.
    """

    early: Text | None
    missed: int = 0
    unused: tuple[int, ...] = ()


Event = Begun | KeyLogLines | WireEvent | Held | Controlled | Ended


def write(event: Event | MachineError) -> str:
    """Returns a line that `read` makes the same event of."""
    values: list[Any] = [event.message, event.hint] if isinstance(event, MachineError) else list(event)
    if isinstance(event, Captured):
        frame = event.frame
        values[0] = [frame.number, frame.time, base64.b64encode(frame.data).decode(), frame.length]
    elif isinstance(event, Controlled):
        values[0] = control.write(event.command)
    return json.dumps([type(event).__name__, *values])


def read(line: str) -> Event:
    """Returns the event of a line that `write` wrote. Raises ValueError for any other, a MachineError that was told."""
    try:
        name, *values = json.loads(line)
        event: Event = _READERS[name](*values)
        return event
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(line) from error


def _captured(
    frame: list[Any], order: int, kernel: list[Any] | None, forged: bool, listening: list[int] | None
) -> Captured:
    number, time, data, length = frame
    ports = None if listening is None else tuple(listening)
    return Captured(Frame(number, time, base64.b64decode(data), length), order, _kernels(kernel), forged, ports)


def _controlled(command: str, message: list[str] | None, hint: list[str] | None, number: int | None) -> Controlled:
    return Controlled(
        control.parse(command), Text(*message) if message else None, Text(*hint) if hint else None, number
    )


def _kernels(values: list[Any] | None) -> Kernels | None:
    if values is None:
        return None
    client, server, moved = values
    return Kernels(Socket(*client), Socket(*server), tuple(Moved(*each) for each in moved))


def _raise(message: list[str], hint: list[str]) -> Event:
    raise MachineError(Text(*message), Text(*hint))


_READERS: dict[str, Any] = {
    "Begun": Begun,
    "KeyLogLines": KeyLogLines,
    "Captured": _captured,
    "Delivered": lambda number, order, kernel: Delivered(number, order, _kernels(kernel)),
    "Settled": lambda number, order, kernel, absorbed: Settled(number, order, _kernels(kernel), absorbed),
    "Held": Held,
    "Controlled": _controlled,
    "Final": lambda kernel: Final(_kernels(kernel)),
    "Ended": lambda early, missed, unused: Ended(Text(*early) if early else None, missed, tuple(unused)),
    "MachineError": _raise,
}
