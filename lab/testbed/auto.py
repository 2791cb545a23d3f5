"""Whichever testbed works here: network namespaces, and where the kernel refuses those, Docker."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from lab.errors import MachineError
from lab.protocols.scenario import Scenario
from lab.system.streams import say
from lab.testbed import netns
from lab.testbed.control import Control
from lab.testbed.messages import Event
from lab.testbed.rules import Rule
from lab.text import Text, choose

_INSTEAD = Text(
    "No network namespaces here (lab doctor says why): using Docker.",
    "此处无法使用网络命名空间（lab doctor 会说明原因）：改用 Docker。",
)


class Playing:
    """The events of a run, on the testbed that turns out to work; from the first on also the way in, where there is."""

    def __init__(
        self, first: Iterator[Event] | MachineError, instead: Callable[[MachineError], Iterator[Event]]
    ) -> None:
        self.control: Control | None = None
        self.left = False  # nobody wants it any more
        self._events = self._either(first, instead)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def _either(
        self, first: Iterator[Event] | MachineError, instead: Callable[[MachineError], Iterator[Event]]
    ) -> Iterator[Event]:
        try:
            if isinstance(first, MachineError):
                raise first
            begun = [next(first), next(first)]  # the hosts are there only with the first frame
        except MachineError as refused:
            if self.left:  # its hosts have been ended before they sent anything
                raise
            begun, first = [], instead(refused)
        self.control = getattr(first, "control", None)
        yield from begun
        yield from first


@contextlib.contextmanager
def play(scenario: Scenario, rules: Sequence[Rule], ipv6: bool, *, control: bool = False) -> Iterator[Playing]:
    """Plays a scenario as both testbeds do. Where neither is to be had, a MachineError comes for the first event."""
    with contextlib.ExitStack() as stack:

        def instead(refused: MachineError) -> Iterator[Event]:
            stack.close()
            return stack.enter_context(_by_docker(refused, scenario, rules, ipv6, control))

        first: Iterator[Event] | MachineError
        try:
            first = stack.enter_context(netns.play(scenario, rules, ipv6, control=control))
        except MachineError as refused:
            first = refused
        playing = Playing(first, instead)
        try:
            yield playing
        finally:
            playing.left = True


def _by_docker(
    refused: MachineError, scenario: Scenario, rules: Sequence[Rule], ipv6: bool, control: bool
) -> contextlib.AbstractContextManager[Iterator[Event]]:
    from lab.testbed import docker

    require_docker(refused, lacking=scenario.lacking() is not None)
    return docker.play(scenario, rules, ipv6, control=control)


def require_docker(refused: MachineError, lacking: bool = False) -> None:
    """Says that Docker is used instead, for it was `refused` here: maybe for something that is `lacking`.

    Raises MachineError where no engine answers.
    """
    from lab.testbed import engine

    try:
        engine.require()
    except MachineError as error:
        if sys.platform == "linux":
            raise refused from None  # says best what this machine lacks
        raise MachineError(
            Text(f"without Linux it takes Docker: {error.message.en}", f"没有 Linux 就需要 Docker：{error.message.zh}"),
            Text(f"{error.hint.en}; lab annotate FILE works without", f"{error.hint.zh}；lab annotate 文件 则不需要"),
        ) from error
    instead = _INSTEAD
    if lacking:
        instead = Text(f"{refused.message.en}: using Docker.", f"{refused.message.zh}：改用 Docker。")
    say(instead.pick(choose(sys.argv[1:], os.environ)))
