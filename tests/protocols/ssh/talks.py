"""What two of the folder's own programs say to each other over a real TCP connection on the loopback interface."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.protocols.ssh.loaded import module


class Talk(NamedTuple):
    """Who wrote what, in the order in which it was written, and the key log of both."""

    turns: tuple[tuple[str, bytes], ...]
    keylog: bytes


class _Host:
    """An end whose commands are tried until they are done, as a stage does."""

    def __init__(self, role: str, turns: list[tuple[str, bytes]], peer: _Host | None = None) -> None:
        self.peer = peer
        self.end: Any = module("endpoints").Endpoint(socket.AF_INET, "127.0.0.1")
        write = self.end._write

        def written(data: bytes) -> None:
            turns.append((role, data))
            write(data)

        self.end._write = written

    @property
    def address(self) -> str:
        return "127.0.0.1"

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            while True:
                try:
                    return getattr(self.end, method)(*arguments)
                except BlockingIOError:
                    waited = [each for each in (self.end._listener, self.end._socket) if each is not None]
                    assert select.select(waited[-1:], [], [], 30)[0] or method == "connected", method

        return called

    def listen(self, _port: int) -> None:
        self.end.listen(0)

    def connect(self, address: str, _port: int) -> None:
        assert self.peer
        self.end.connect(address, self.peer.end._listener.getsockname()[1])


class _Stage:
    """Enough of a stage to play a script on: nothing is captured here."""

    def __init__(self, credentials: Any) -> None:
        self.turns: list[tuple[str, bytes]] = []
        self.server = _Host("server", self.turns)
        self.client = _Host("client", self.turns, self.server)
        self.credentials = credentials

    def acknowledged(self, _host: Any) -> None:
        """Nobody looks at the wire."""


def talk(name: str) -> Talk:
    """Plays a scenario of the folder's."""
    scenario = next(each for each in module("scenarios").SCENARIOS if each.name == name)
    stage = _Stage(scenario.make_credentials(("127.0.0.1",)))
    try:
        scenario.script(stage)
        return Talk(tuple(stage.turns), (stage.client.end.secrets() + stage.server.end.secrets()).encode())
    finally:
        for host in (stage.client, stage.server):
            for each in (host.end._socket, host.end._listener):
                if each is not None:
                    each.close()
