"""A scenario: a name, a script for the two hosts, and what the wire is told to do beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from lab.protocols.tcp.endpoints import Endpoint
    from lab.testbed.stage import Stage


class Credentials(Protocol):
    """What the hosts prove with who they are. Made anew for each run, before its hosts: a key is never kept."""

    @property
    def server_key(self) -> str:
        """The server's private key (PEM)."""


def plain() -> type[Endpoint]:
    """Returns the programs of a host that speaks TCP and nothing on top of it."""
    from lab.protocols.tcp.endpoints import Endpoint

    return Endpoint


class Scenario(NamedTuple):
    """`rules` are the wire's, in the notation of lab.testbed.rules.

    `endpoint` imports and returns the class that a host runs. `credentials`, where a protocol needs any, makes them for
    a server with these addresses; the script finds them at its stage.
    """

    name: str
    script: Callable[[Stage], None]
    rules: tuple[str, ...] = ()
    endpoint: Callable[[], type[Endpoint]] = plain
    credentials: Callable[[Sequence[str]], Credentials] | None = None

    def make_credentials(self, addresses: Sequence[str]) -> Credentials | None:
        """Returns fresh credentials for a server with these addresses, None where the scenario needs none."""
        return self.credentials(addresses) if self.credentials else None
