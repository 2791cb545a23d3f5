"""Whichever testbed works here: network namespaces, and where the kernel refuses those, Docker."""

from __future__ import annotations

import contextlib
import itertools
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
    """Plays a scenario as both testbeds do. Raises MachineError where neither is to be had."""
    with contextlib.ExitStack() as stack:
        try:
            events: Iterator[Event] = stack.enter_context(netns.play(scenario, rules, ipv6))
            begun = [next(events), next(events)]  # the hosts are there only with the first frame
        except MachineError as refused:
            stack.close()
            events = stack.enter_context(_by_docker(refused, scenario, rules, ipv6))
            begun = []
        yield itertools.chain(begun, events)


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
