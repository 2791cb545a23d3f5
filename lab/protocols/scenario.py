"""A scenario: a name, a script for the two hosts, and what the wire is told to do beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from lab.model import Role
from lab.protocols.choices import Choices
from lab.text import Text


class Host(Protocol):
    """One host of the stage. Any method of the scenario's endpoint can be called on it, as if it were here."""

    @property
    def address(self) -> str: ...
    def __getattr__(self, method: str) -> Callable[..., Any]: ...


class Stage(Protocol):
    """Where a script is played: two hosts that do what they are told, one thing at a time."""

    @property
    def client(self) -> Any: ...
    @property
    def server(self) -> Any: ...
    @property
    def credentials(self) -> Any:
        """What the scenario's own credentials have made."""

    @property
    def choices(self) -> Choices:
        """What this run's scenario was told to do in its own way."""

    def both(self, method: str) -> None:
        """Has both hosts do what neither can finish without the other: in turn, until both are done."""

    def acknowledged(self, host: Any) -> None:
        """Waits until all that `host` has sent has been acknowledged on the wire."""

    def inject(
        self, sender: Any, flags: str, seq: int | str = ..., ack: int | str = ..., payload: bytes = ..., **fields: Any
    ) -> None:
        """Has the wire forge a segment that `sender` has not sent, as `lab.testbed.control.Inject` says."""

    def release(self) -> None:
        """Lets the wire go on with the frames that it holds by rule."""


class Endpoint(Protocol):
    """The programs of a host: each call of theirs is a command of a script.

    `WAITS` says of the calls that may have to wait what for ("… for data").
    """

    WAITS: ClassVar[Mapping[str, Text]]

    def secrets(self) -> str:
        """Returns what has been added to the key log (NSS) since it was last asked."""


class Credentials(Protocol):
    """What the hosts prove with who they are. Made anew for each run: a key is never kept.

    It goes from process to process, so its class is best one that is quickly imported.
    """

    @property
    def server_key(self) -> str:
        """The server's private key (PEM)."""


def in_order(stage: Stage, first: Role = "client") -> tuple[Any, Any]:
    """Returns both hosts, the one in front that is to close first: the chosen one, or `first`."""
    hosts = stage.client, stage.server
    return hosts if (stage.choices.first or first) == "client" else hosts[::-1]


class Scenario(NamedTuple):
    """`rules` are the wire's, in the notation of lab.testbed.rules.

    `endpoint` imports and returns the class that a host runs: it is made with an address family and the host's address.
    `credentials`, where a protocol needs any, makes them for a server with these addresses; the script finds them at
    its stage. `wired` says that without rules, too, only a wire between namespaces will do: it forges segments, a
    host's kernel is told something, or what is taught is what the kernels count. `lacking` says what this machine's own
    libraries lack for it, None where nothing.
    `varies` are the names of the choices that its script heeds, and `choices` those that were made for this run.
    """

    name: str
    script: Callable[[Any], None]
    endpoint: Callable[[], type[Any]]
    rules: tuple[str, ...] = ()
    credentials: Callable[[Sequence[str], Choices], Credentials] | None = None
    wired: bool = False
    lacking: Callable[[], Text | None] = lambda: None
    varies: tuple[str, ...] = ()
    choices: Choices = Choices()

    @property
    def needs_wire(self) -> bool:
        """Whether it can't be played between containers that are only listened to."""
        return self.wired or bool(self.rules)

    def make_credentials(self, addresses: Sequence[str]) -> Credentials | None:
        """Returns fresh credentials for a server with these addresses, None where the scenario needs none."""
        return self.credentials(addresses, self.choices) if self.credentials else None
