"""What plays scenarios: a testbed, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

from lab.errors import UsageError
from lab.protocols.scenario import Scenario
from lab.testbed.messages import Event
from lab.testbed.rules import Rule
from lab.text import Text

Play = Callable[[Scenario, Sequence[Rule], bool], AbstractContextManager[Iterator[Event]]]


def played_on(testbed: str, control: bool = False) -> Play:
    """Returns what plays scenarios there; `auto` is network namespaces where they work, else Docker.

    Only namespaces have a wire that can be controlled. Raises UsageError for another name, or for control without one.
    """
    if control and testbed in ("auto", "netns"):
        from lab.testbed import netns

        return partial(netns.play, control=True)
    if control:
        raise UsageError(
            Text(f"the testbed '{testbed}' can't be controlled", f"测试床“{testbed}”无法控制"),
            Text("network namespaces can: testbed netns", "网络命名空间可以：测试床 netns"),
        )
    if testbed == "auto":
        from lab.testbed.auto import play
    elif testbed == "netns":
        from lab.testbed.netns import play
    elif testbed == "docker":
        from lab.testbed.docker import play
    else:
        raise UsageError(
            Text(f"there is no testbed '{testbed}'", f"没有名为“{testbed}”的测试床"),
            Text("there are auto, netns and docker", "可用的有 auto、netns 和 docker"),
        )
    return play
