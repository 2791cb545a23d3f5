"""The wire's journal as it travels in a capture: one comment a packet, `lab1 {json}`, and one for the whole file.

Beside what was measured the line has what the lab says of the packet, for programs: `told`. That is never read again.
Whoever hands us a capture may have written anything there: what does not fit is taken as not said.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Any, TypeGuard

from lab.engine import asked
from lab.model import Captured, Delivered, Final, Frame, Journal, Kernels, Packet, Settled, States, WireEvent

PREFIX = "lab1 "
UNTOLD = -1  # the order of what no journal tells
_LATEST = 1 << 53  # an order no journal reaches
_MOST_DELIVERIES = 16
_MOST_LISTENING = 16  # ports
_LONGEST = 65_535  # bytes of a pcapng's option: a comment that is longer would be cut
_MOST_PLACES = 64  # that are looked at for where a frame without a journal has its own
_MOST_COMING = 1 << 16  # deliveries that lie in the future; beyond, the next happens early
_STATE = re.compile(r"[A-Z][A-Z0-9-]{2,11}")


def comment(packet: Packet, told: Mapping[str, Any] | None = None) -> str | None:
    """Returns the line that tells the journal and the kernels' states of a packet, and what is `told` of it beside.

    What was measured once is not measured again: it stays as it was written. None where there is nothing to tell.
    """
    written = packet.frame.comments if packet.frame else ()
    kept = next((text for text in written if _is_journal(_parse(text))), None)
    kept = kept or next((text for text in written if _is_of_held(_parse(text))), None)
    measured = _parse(kept) if kept is not None else _measured(packet)
    said = {name: value for name, value in measured.items() if name != "told"} | ({"told": told} if told else {})
    if not said:
        return None
    with contextlib.suppress(RecursionError):
        line = PREFIX + json.dumps(said, separators=(",", ":"))
        if len(line) <= _LONGEST:
            return line
    return kept


def _measured(packet: Packet) -> dict[str, Any]:
    if packet.journal is None:
        return {}
    told: dict[str, Any] = {"arrived": packet.journal.arrived, "settled": packet.journal.settled}
    told["delivered"] = list(packet.journal.delivered)
    told |= {name: True for name in ("forged", "absorbed") if getattr(packet.journal, name)}
    if packet.journal.listening is not None:
        told["listening"] = list(packet.journal.listening)
    if packet.kernel_held or packet.kernel_delivered:
        told["kernel"] = {"held": _told(packet.kernel_held), "delivered": _told(packet.kernel_delivered)}
    instants = {"held": asked.written(packet.asked_held), "delivered": asked.written(packet.asked_delivered)}
    if any(instants.values()):
        told["asked"] = {instant: said for instant, said in instants.items() if said}
    return told


def comment_of_held(packet: Packet, told: Mapping[str, Any]) -> str | None:
    """Returns the line of a packet that is held now: what the kernels say, and what is `told` of it beside.

    It is no journal, for what becomes of the packet is not known: whoever reads it infers that from other packets.
    """
    said: dict[str, Any] = {}
    if packet.kernel_held is not None:
        said["kernel"] = {"held": _told(packet.kernel_held)}
    if asked_then := asked.written(packet.asked_held):
        said["asked"] = {"held": asked_then}
    said |= {"told": told} if told else {}
    return PREFIX + json.dumps(said, separators=(",", ":")) if said else None


def _is_of_held(said: Mapping[str, Any]) -> bool:
    """Whether a line tells what the kernels said of a packet that was held."""
    return isinstance(said.get("kernel"), dict) and "held" in said["kernel"]


def closing_comment(final: Kernels | None) -> str:
    """Returns the line that tells what the kernels say at the end."""
    told: dict[str, Any] = {"final": _told(final.states if final else None)}
    if said := asked.written(final):
        told["asked"] = said
    return PREFIX + json.dumps(told, separators=(",", ":"))


def is_ours(text: str) -> bool:
    """Whether a comment is one that this program writes, to be replaced when it writes again."""
    return text.startswith((PREFIX, "[lab] ", "[实验] "))


def told(frame: Frame) -> bool:
    """Whether the wire's journal is written on this frame."""
    return _journal(frame)[0] is not None


def events(frames: Iterable[Frame], closing: Iterable[str] = ()) -> Iterator[WireEvent]:
    """Yields what the wire did, in order, from the journal that the frames carry.

    A frame without a journal was captured, and nothing more is known of it but where: in the wire's order, which counts
    on by one, its place is the first that no other has. `closing` is read when the frames are over.
    """
    coming: list[tuple[int, int, Delivered | Settled]] = []
    last = 0
    for frame in frames:
        journal, held, delivered = _journal(frame)
        if journal is None:
            journal = Journal(UNTOLD, (), UNTOLD)
            places = {event.order for _, _, event in coming[:_MOST_PLACES]}
            last = next(place for place in itertools.count(last + 1) if place not in places)
        else:
            last = journal.arrived
        while coming and coming[0][0] < last:
            yield heappop(coming)[2]
        yield Captured(frame, journal.arrived, held, journal.forged, journal.listening)
        for order in journal.delivered:
            kernel = delivered if len(journal.delivered) == 1 else None
            heappush(coming, (order, frame.number, Delivered(frame.number, order, kernel)))
        settled = Settled(frame.number, journal.settled, delivered, journal.absorbed)
        heappush(coming, (max((journal.settled, *journal.delivered)), frame.number + _LATEST, settled))
        while len(coming) > _MOST_COMING:
            yield heappop(coming)[2]
    while coming:
        yield heappop(coming)[2]
    for text in closing:
        said = _parse(text)
        final = _kernels(said.get("final"), said.get("asked"))
        if final is not None:
            yield Final(final)


def _journal(frame: Frame) -> tuple[Journal | None, Kernels | None, Kernels | None]:
    for text in frame.comments:
        said = _parse(text)
        if _is_journal(said):
            arrived, settled = said["arrived"], said["settled"]
            places = tuple(order for order in said["delivered"][:_MOST_DELIVERIES] if _is_order(order))
            states, more = (said.get(key) for key in ("kernel", "asked"))
            states, more = (each if isinstance(each, dict) else {} for each in (states, more))
            held, settled_then = (_kernels(states.get(each), more.get(each)) for each in ("held", "delivered"))
            forged, absorbed = said.get("forged") is True, said.get("absorbed") is True and not places
            return (
                Journal(arrived, places, settled, forged, absorbed, _ports(said.get("listening"))),
                held,
                settled_then,
            )
    return None, None, None


def _is_journal(said: Mapping[str, Any]) -> bool:
    return all(_is_order(said.get(name)) for name in ("arrived", "settled")) and isinstance(said.get("delivered"), list)


def _ports(said: object) -> tuple[int, ...] | None:
    if not isinstance(said, list):
        return None
    return tuple(port for port in said[:_MOST_LISTENING] if _is_order(port))


def _is_order(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LATEST


def _parse(text: str) -> dict[str, Any]:
    if not text.startswith(PREFIX):
        return {}
    try:
        said = json.loads(text[len(PREFIX) :])
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _kernels(said: object, more: object) -> Kernels | None:
    states = _states(said)
    return asked.read(states, more) if states else None


def _states(said: object) -> States | None:
    if not isinstance(said, dict):
        return None
    client, server = said.get("client"), said.get("server")
    known = all(each is None or (isinstance(each, str) and _STATE.fullmatch(each)) for each in (client, server))
    return States(client, server) if known else None


def _told(states: States | None) -> dict[str, str | None] | None:
    return states._asdict() if states else None
