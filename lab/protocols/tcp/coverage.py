"""What real kernels have walked: each arrow of RFC 9293's figure 5, and each kind of segment in each state.

Of the scenarios that is computed from the reference captures, in which both kernels say where they are at every packet
(`walked`); it is kept in walked.json, which a test computes again. Of the grid it is what was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple

from lab.model import Packet
from lab.protocols.tcp.recorded import grid, read
from lab.protocols.tcp.states import State
from lab.protocols.tcp.stimuli import KINDS, STIMULI
from lab.protocols.tcp.ways import WAYS
from lab.text import Text

_NOBODY = Text("", "")


class Arrow(NamedTuple):
    """An arrow of the figure and what is written on it. `segment` is the stimulus that walks it in a cell of the grid,
    `flag` what a segment has that walks it in a capture: nothing where that can't be told there."""

    state: str
    to: str
    label: Text
    sends: str = ""  # SYN or FIN, where the end itself moves by sending that
    gets: str = ""  # a flag of what has arrived
    segment: str = ""
    why: Text = _NOBODY  # why Linux does not, or why nobody has waited for it


def _arrow(
    state: str, to: str, en: str, zh: str, *, sends: str = "", gets: str = "", segment: str = "", why: Text = _NOBODY
) -> Arrow:
    return Arrow(State(state), State(to), Text(en, zh), sends, gets, segment, why)


ARROWS = (  # RFC 9293 section 3.3.2, figure 5, with its notes 1 and 2
    _arrow("CLOSED", "LISTEN", "passive OPEN", "被动打开"),
    _arrow("LISTEN", "CLOSED", "CLOSE", "关闭"),
    _arrow("CLOSED", "SYN-SENT", "active OPEN, snd SYN", "主动打开，发送 SYN", sends="SYN"),
    _arrow("SYN-SENT", "CLOSED", "CLOSE", "关闭"),
    _arrow("LISTEN", "SYN-RECEIVED", "rcv SYN, snd SYN-ACK", "收到 SYN，发送 SYN+ACK", gets="SYN", segment="syn"),
    _arrow("LISTEN", "SYN-SENT", "SEND, snd SYN", "SEND，发送 SYN", why=Text(
        "Linux can't: on a listening socket send() gives EPIPE and connect() EISCONN",
        "Linux 做不到：对监听套接字，send() 返回 EPIPE，connect() 返回 EISCONN",
    )),
    _arrow("SYN-SENT", "SYN-RECEIVED", "rcv SYN, snd SYN-ACK", "收到 SYN，发送 SYN+ACK", gets="SYN", segment="syn"),
    _arrow("SYN-SENT", "ESTABLISHED", "rcv SYN-ACK, snd ACK", "收到 SYN+ACK，发送 ACK", gets="SYN", segment="syn-ack"),
    _arrow("SYN-RECEIVED", "LISTEN", "rcv RST", "收到 RST", gets="RST", segment="rst"),
    _arrow("SYN-RECEIVED", "ESTABLISHED", "rcv ACK of SYN", "收到对 SYN 的确认", gets="ACK", segment="ack"),
    _arrow("SYN-RECEIVED", "FIN-WAIT-1", "CLOSE, snd FIN", "关闭，发送 FIN", sends="FIN"),
    _arrow("ESTABLISHED", "FIN-WAIT-1", "CLOSE, snd FIN", "关闭，发送 FIN", sends="FIN"),
    _arrow("ESTABLISHED", "CLOSE-WAIT", "rcv FIN, snd ACK", "收到 FIN，发送 ACK", gets="FIN", segment="fin"),
    _arrow("CLOSE-WAIT", "LAST-ACK", "CLOSE, snd FIN", "关闭，发送 FIN", sends="FIN"),
    _arrow("LAST-ACK", "CLOSED", "rcv ACK of FIN", "收到对 FIN 的确认", gets="ACK", segment="ack"),
    _arrow("FIN-WAIT-1", "FIN-WAIT-2", "rcv ACK of FIN", "收到对 FIN 的确认", gets="ACK", segment="ack"),
    _arrow("FIN-WAIT-1", "CLOSING", "rcv FIN, snd ACK", "收到 FIN，发送 ACK", gets="FIN"),
    _arrow("FIN-WAIT-1", "TIME-WAIT", "rcv FIN and ACK of FIN, snd ACK", "收到 FIN 及对 FIN 的确认，发送 ACK",
           gets="FIN", segment="fin"),
    _arrow("FIN-WAIT-2", "TIME-WAIT", "rcv FIN, snd ACK", "收到 FIN，发送 ACK", gets="FIN", segment="fin"),
    _arrow("CLOSING", "TIME-WAIT", "rcv ACK of FIN", "收到对 FIN 的确认", gets="ACK", segment="ack"),
    _arrow("TIME-WAIT", "CLOSED", "timeout of 2 MSL", "2MSL 超时", why=Text(
        "Linux does, about 60 s later, whatever is set: no scenario waits so long",
        "Linux 会走，但固定要等约 60 秒：没有场景等这么久",
    )),
)  # fmt: skip


class Walk(NamedTuple):
    """An arrow, the scenarios that have walked it, and the ways and cells of the grid that have."""

    arrow: Arrow
    scenarios: tuple[str, ...]
    ways: tuple[str, ...]
    cells: tuple[str, ...]

    @property
    def done(self) -> bool:
        return bool(self.scenarios or self.ways or self.cells)


class Tried(NamedTuple):
    """One of the 88: in a state a kind of segment, in how many cells of the grid, and in how many by the rules."""

    state: str
    kind: str
    cells: int
    agree: int
    differences: tuple[int, ...]


def walked(packets: Iterable[Packet]) -> set[Arrow]:
    """Returns the arrows that the kernels of a run have walked, as they say at both instants of every packet."""
    found: set[Arrow] = set()
    before: dict[tuple[int | None, str], str | None] = {}
    for packet in packets:
        for states, arrived in ((packet.kernel_held, False), (packet.kernel_delivered, True)):
            for role in ("client", "server") if states is not None else ():
                key, now = (packet.conversation, role), getattr(states, role)
                last = before.get(key, State.CLOSED)
                before[key] = now
                found |= {each for each in ARROWS if _is(each, last, now, packet, role, arrived)}
    return found


def _is(arrow: Arrow, last: str | None, now: str | None, packet: Packet, role: str, arrived: bool) -> bool:
    if (arrow.state, arrow.to) != (last, now):
        return False
    if arrived:
        own = arrow.gets == "RST" or "RST" not in packet.flags
        return bool(arrow.gets) and arrow.gets in packet.flags and own and packet.sender != role
    return bool(arrow.sends) and arrow.sends in packet.flags and packet.sender == role


def as_json(walked_in: Iterable[tuple[str, set[Arrow]]]) -> dict[str, list[str]]:
    """Returns which scenarios have walked which arrow, as it is kept."""
    runs = list(walked_in)
    return {name(arrow): [scenario for scenario, arrows in runs if arrow in arrows] for arrow in ARROWS}


def name(arrow: Arrow) -> str:
    return f"{arrow.state} > {arrow.to}"


@cache
def walks() -> tuple[Walk, ...]:
    """Returns what has been walked of every arrow of the figure."""
    kept = json.loads((files("lab.protocols.tcp") / "walked.json").read_text(encoding="utf-8"))
    known = grid()
    found = []
    for arrow in ARROWS:
        ways = tuple(way for way, states in known.paths.items() if _on(arrow, states))
        cells = tuple(
            f"{way.name} + {arrow.segment}"
            for way in WAYS
            if way.state == arrow.state and arrow.segment
            if read(known.cells[way.name][arrow.segment]).after == arrow.to
        )
        found.append(Walk(arrow, tuple(kept[name(arrow)]), ways, cells))
    return tuple(found)


def tried() -> list[Tried]:
    """Returns the 88: eleven states, eight kinds of segment."""
    known = grid().cells
    found = []
    for state in State:
        for kind in KINDS:
            lines = [
                read(known[way.name][each.name])
                for way in WAYS
                for each in STIMULI
                if (way.state, each.kind) == (state, kind)
            ]
            differences = tuple(sorted({each.difference for each in lines if each.difference is not None}))
            found.append(Tried(state, kind, len(lines), sum(each.agrees for each in lines), differences))
    return found


def _on(arrow: Arrow, states: tuple[str, ...]) -> bool:
    return (arrow.state, arrow.to) in pairwise(states)
