"""What a program of a host waits for has words: a script that can't go on says them, and no name of a function."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from lab.protocols.catalogue import scenarios
from lab.protocols.tcp.endpoints import Endpoint

ENDPOINTS = tuple(dict.fromkeys(each.endpoint() for each in scenarios()))
NEVER_WAIT = {
    "listen", "bind", "connect", "shutdown", "close", "abort", "set_kernel", "crash", "secrets", "secure",
    "discard", "deafen", "update_keys", "send_early", "secure_tampered",
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


@pytest.mark.skipif(sys.platform != "linux", reason="how long a listener's queue is, Linux tells")
def test_a_crowd_waits_until_all_of_it_is_in_the_queue() -> None:
    host = Endpoint(socket.AF_INET, "127.0.0.1")
    host.listen(0, 0)  # any port, and room for one
    host.crowd(1)
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            host.crowd(2)
