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

    With `control` every frame is held, and what is yielded has a `control` from its first event on. Raises UsageError
    for another name.
    """
    play: Callable[..., AbstractContextManager[Iterator[Event]]]
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
    return partial(play, control=True) if control else play
