"""Plays cells: brings one kernel into states, lets a segment arrive in each, and reads what became of it.

Many connections at a time wait for their segment, which arrive one after the other: counters tell of one of them
then. What takes a kernel's timers, a delayed acknowledgement, is waited for once for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lab.errors import MachineError
from lab.explore.machine import Heard, Machine
from lab.explore.program import Program
from lab.model import Socket
from lab.protocols.exploration import (
    CALLS,
    Cell,
    Made,
    Options,
    Outcome,
    Path,
    Peer,
    Seen,
    Segment,
    Stimulus,
    Way,
    by_the_rules,
    cell,
)
from lab.text import Text

Asked = tuple[Way, Stimulus]
_FIRST, _PEERS = 10_000, 30_000  # ports
_LATER = 0.06  # seconds: a kernel delays an acknowledgement by 40 ms at most; it repeats a refused SYN within 20
_REPEATS = 0.9  # seconds: an unanswered SYN or SYN-ACK is sent again after one
_TRIALS = 3
_MOST = 120  # cells at a time


class _Waiting(NamedTuple):
    """A connection that waits for its segment."""

    way: Way
    stimulus: Stimulus
    program: Program
    peer: Peer
    port: int
    peers: int

    @property
    def key(self) -> tuple[str, str]:
        return self.way.name, self.stimulus.name


class _Arrived(NamedTuple):
    """What was seen at once."""

    made: Made
    rules: Outcome
    before: Socket
    after: Socket
    at_once: tuple[Segment, ...]
    moved: tuple[tuple[str, int], ...]


def play(machine: Machine, asked: Sequence[Asked], options: Options) -> Iterator[Cell | Path]:
    """Yields what became of every segment, way by way. Raises MachineError."""
    batches = _Batches(machine, options)
    for batch in _parted(asked):
        yield from _in_time(batches, batch)


def _in_time(batches: _Batches, batch: Sequence[Asked], trials: int = _TRIALS) -> list[Cell | Path]:
    """Plays a batch, and where timers may have run meanwhile again, in halves."""
    begun = time.monotonic()
    found = batches.play(batch)
    if time.monotonic() - begun < _REPEATS or not any(way.hurries for way, _ in batch):
        return found
    half = len(batch) // 2
    if half:
        return [*_in_time(batches, batch[:half]), *_in_time(batches, batch[half:])]
    if trials == 1:
        raise _too_slow()
    return _in_time(batches, batch, trials - 1)


def _parted(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    """Yields cells that can be played together: those of a way with a timer alone, the others up to a number."""
    batch: list[Asked] = []
    for way, stimulus in asked:
        last = batch[-1][0] if batch else way
        apart = way.name != last.name and (way.hurries or last.hurries)
        if apart or len(batch) == _MOST:
            yield batch
            batch = []
        batch.append((way, stimulus))
    if batch:
        yield batch


class _Batches:
    """Plays batches on one machine; each connection has ports of its own, which nobody uses again."""

    def __init__(self, machine: Machine, options: Options) -> None:
        self._machine = machine
        self._options = options
        self._ports = 0

    def play(self, batch: Sequence[Asked]) -> list[Cell | Path]:
        """Plays cells that can be played together."""
        machine, waiting = self._machine, {each.peers: each for each in map(self._connection, batch)}
        paths: dict[str, Path] = {}
        for each in waiting.values():
            walked = self._prepare(each, each.way.name not in paths)
            paths.setdefault(each.way.name, walked)
        _take(waiting, machine.listen(_LATER))
        for each in waiting.values():
            each.program.hear()
        _take(waiting, machine.quiet())
        machine.witness.moved()
        later: dict[int, list[Segment]] = {number: [] for number in waiting}
        arrived = {number: self._arrive(each, waiting, later) for number, each in waiting.items()}
        for heard in _take(waiting, machine.listen(_LATER)):
            later[heard.port].append(heard.segment)
        found = [_cell(each, arrived[number], later[number]) for number, each in waiting.items()]
        for each in waiting.values():
            each.program.leave()
        _take({}, machine.quiet())
        return [*paths.values(), *found]

    def _connection(self, asked: Asked) -> _Waiting:
        self._ports += 1
        machine, port, peers = self._machine, _FIRST + self._ports, _PEERS + self._ports
        program = Program(machine.family, machine.address, port, (machine.peer, peers))
        return _Waiting(*asked, program, Peer(self._options.timestamps), port, peers)

    def _prepare(self, each: _Waiting, watched: bool) -> Path:
        """Brings a connection into its state, and returns through which it came there where that is `watched`."""
        machine, walked = self._machine, ["CLOSED"]
        for word in each.way.words:
            if word in CALLS:
                getattr(each.program, word)()
            else:
                machine.send(each.port, each.peers, each.peer.step(word))
            _take({each.peers: each}, machine.quiet())
            if watched and (state := str(self._ask(each).state)) != walked[-1]:
                walked.append(state)
        return Path(each.way.name, tuple(walked))

    def _arrive(self, each: _Waiting, waiting: Mapping[int, _Waiting], later: dict[int, list[Segment]]) -> _Arrived:
        """Lets the segment arrive. What others say meanwhile, their delayed acknowledgements, is for `later`."""
        machine, peer = self._machine, each.peer
        before = self._ask(each)
        if before.state != each.way.state:
            raise _elsewhere(each.way, str(before.state))
        if before.receive_window is not None:
            peer.offered(before.receive_window)
        made = peer.make(each.stimulus)
        rules = by_the_rules(each.way, peer, made, self._options)
        machine.send(each.port, each.peers, made)
        at_once: list[Segment] = []
        for heard in _take(waiting, machine.quiet()):
            (at_once if heard.port == each.peers else later[heard.port]).append(heard.segment)
        after = self._ask(each)
        return _Arrived(made, rules, before, after, tuple(at_once), tuple(machine.witness.moved()))

    def _ask(self, each: _Waiting) -> Socket:
        return self._machine.witness.socket(self._machine.pair(each.port, each.peers))


def _take(waiting: Mapping[int, _Waiting], heard: Sequence[Heard]) -> list[Heard]:
    """Has the peers hear what the kernel said to them, and returns that."""
    ours = [each for each in heard if each.port in waiting]
    for each in ours:
        waiting[each.port].peer.hears(each.segment, each.data)
    return ours


def _cell(each: _Waiting, found: _Arrived, later: Sequence[Segment]) -> Cell:
    seen = Seen(found.before, found.after, found.at_once, tuple(later), found.moved, each.program.hear())
    return cell(each.way, each.stimulus, each.peer, found.made, found.rules, seen)


def _too_slow() -> MachineError:
    return MachineError(
        Text("the kernel's timers ran before all had been tried", "还没有试完，内核的定时器就已触发"),
        Text("the machine may be overloaded: try again", "机器可能负载过高：请重试"),
    )


def _elsewhere(way: Way, state: str) -> MachineError:
    return MachineError(
        Text(f"the way {way.name} led this kernel to {state}", f"按 {way.name} 的走法，这个内核进入了 {state}"),
        Text(
            "this kernel is not like those the lab was tried on: please report it", "该内核与实验室试过的不同：请报告"
        ),
    )
