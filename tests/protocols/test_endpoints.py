"""What a program of a host waits for has words: a script that can't go on says them, and no name of a function."""

from __future__ import annotations

from typing import Any

import pytest

from lab.protocols.catalogue import scenarios

ENDPOINTS = tuple(dict.fromkeys(each.endpoint() for each in scenarios()))
NEVER_WAIT = {
    "listen", "bind", "connect", "shutdown", "close", "abort", "set_kernel", "crash", "crowd", "secrets", "secure",
    "discard",
}  # fmt: skip


@pytest.mark.parametrize(
    "endpoint", sorted(ENDPOINTS, key=lambda each: str(each.__module__)), ids=lambda x: x.__module__
)
def test_every_call_that_may_wait_says_what_for(endpoint: Any) -> None:
    calls = {name for name in dir(endpoint) if not name.startswith("_") and callable(getattr(endpoint, name))}
    assert calls - NEVER_WAIT == set(endpoint.WAITS)
    for words in endpoint.WAITS.values():
        assert words.en
        assert words.zh
