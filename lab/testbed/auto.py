"""Whichever testbed works here: network namespaces, and where the kernel refuses those, Docker."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from lab.errors import MachineError
from lab.protocols.scenario import Scenario
from lab.system.streams import say
from lab.testbed import netns
from lab.testbed.messages import Event
from lab.testbed.rules import Rule
from lab.text import Text, choose

_INSTEAD = Text(
    "No network namespaces here (lab doctor says why): using Docker.",
    "此处无法使用网络命名空间（lab doctor 会说明原因）：改用 Docker。",
)


@contextlib.contextmanager
def play(scenario: Scenario, rules: Sequence[Rule], ipv6: bool) -> Iterator[Iterator[Event]]:
    """Plays a scenario as both testbeds do. Where neither is to be had, a MachineError comes for the first event."""
    with contextlib.ExitStack() as stack:
        first: Iterator[Event] | MachineError
        try:
            first = stack.enter_context(netns.play(scenario, rules, ipv6))
        except MachineError as refused:
            first = refused
        yield _either(first, stack, scenario, rules, ipv6)


def _either(
    first: Iterator[Event] | MachineError, stack: contextlib.ExitStack, scenario: Scenario, rules: Sequence[Rule],
    ipv6: bool,
) -> Iterator[Event]:  # fmt: skip
    try:
        if isinstance(first, MachineError):
            raise first
        begun = [next(first), next(first)]  # the hosts are there only with the first frame
    except MachineError as refused:
        stack.close()
        begun, first = [], stack.enter_context(_by_docker(refused, scenario, rules, ipv6))
    yield from begun
    yield from first


def _by_docker(
    refused: MachineError, scenario: Scenario, rules: Sequence[Rule], ipv6: bool
) -> contextlib.AbstractContextManager[Iterator[Event]]:
    from lab.testbed import docker, engine

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
    if scenario.lacking() is not None:
        instead = Text(f"{refused.message.en}: using Docker.", f"{refused.message.zh}：改用 Docker。")
    say(instead.pick(choose(sys.argv[1:], os.environ)))
    return docker.play(scenario, rules, ipv6)
