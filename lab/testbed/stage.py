"""Where a scenario is played: two hosts that do what they are told, one thing at a time, and the wire between them.

Every call on a host is one command; it comes back when the host has done it and the wire is quiet again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Protocol

from lab.errors import MachineError
from lab.model import Role
from lab.protocols.choices import Choices
from lab.testbed.control import Inject, Value
from lab.testbed.messages import KeyLogLines
from lab.text import ROLES, Text

_NO_CHOICES = Choices()
PATIENCE = 15.0  # seconds: a lost SYN is sent again after 1, 2, 3, ... s; nothing a scenario waits for takes longer


class SceneEnded(Exception):  # noqa: N818  # not an error: a rule may have been meant to end it
    """The scenario can't go on, for a reason that the student may have wished for (a rule that drops every SYN)."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason.en)
        self.reason = reason


def gone(role: Role, how: Text | None = None) -> MachineError:
    """Returns what is said of a host whose process has ended, which it never does by itself, and if known how."""
    en, zh = (f" ({how.en})", f"（{how.zh}）") if how else ("", "")
    return MachineError(
        Text(f"the {role}'s process ended unexpectedly{en}", f"{ROLES[role].zh}的进程意外终止{zh}"),
        Text("try again; LAB_DEBUG=1 shows its last words", "请重试；LAB_DEBUG=1 会显示它最后的输出"),
    )


def _waited(host: Host, method: str) -> SceneEnded:
    what = host.waits_for(method)
    return SceneEnded(
        Text(
            f"the {host.role} waited {PATIENCE:.0f} s for {what.en}",
            f"{ROLES[host.role].zh}等了 {PATIENCE:.0f} 秒，没有等到{what.zh}",
        )
    )


class Cable(Protocol):
    """What is between the hosts: the wire, or where there is none, a tap.

    `now` are seconds on its clock; what a script waits for, it waits for by that.
    """

    def now(self) -> float: ...
    def settle(self) -> None: ...
    def wait(self, until: Callable[[], bool], patience: float) -> bool: ...
    def acknowledged(self, sender: Role) -> bool: ...
    def release(self) -> None: ...
    def listens(self, role: Role, port: int) -> None:
        """A program of a host waits for connections from now on."""

    def inject(self, command: Inject, /) -> None: ...


class Host:
    """One host of the stage. Any method of the protocol's Endpoint can be called on it, as if it were here."""

    def __init__(
        self,
        role: Role,
        address: str,
        connection: Connection,
        wire: Cable,
        tell: Callable[[KeyLogLines], None],
        endpoint: Callable[[], type[Any]],
    ) -> None:
        self.role: Role = role
        self.address = address
        self._connection = connection
        self._wire = wire
        self._tell = tell
        self._endpoint = endpoint

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *arguments: self._do(method, arguments)

    def _do(self, method: str, arguments: tuple[object, ...]) -> object:
        deadline = self._wire.now() + PATIENCE
        while True:
            done, value = self._once(method, arguments)
            if done:
                return value
            if self._wire.now() > deadline:
                raise _waited(self, method)
            self._wire.wait(lambda: False, 0.02)

    def waits_for(self, method: str) -> Text:
        """Returns what its program waits for in a call, in words."""
        words: Mapping[str, Text] = self._endpoint().WAITS
        return words.get(method) or Text(f"its program ({method})", f"它的程序（{method}）")

    def attempt(self, method: str, *arguments: object) -> bool:
        """Gives a command once and returns whether it was done, or would have to be tried again."""
        return self._once(method, arguments)[0]

    def _once(self, method: str, arguments: tuple[object, ...]) -> tuple[bool, object]:
        try:
            self._connection.send((method, arguments))
            kind, value, keylog = self._connection.recv()
        except (EOFError, OSError) as error:
            raise gone(self.role) from error
        if keylog:
            self._tell(KeyLogLines(keylog))  # before the frames that they open are told
        if method == "listen" and kind == "done":
            self._wire.listens(self.role, int(str(arguments[0])))
        self._wire.settle()
        if kind == "broken":
            raise gone(self.role, Text(str(value), str(value)))
        if kind == "failed":
            raise OSError(value)
        return kind == "done", value


class Stage:
    """What a script gets: `client`, `server`, what it may ask of the wire, the run's credentials and choices."""

    def __init__(
        self, client: Host, server: Host, wire: Cable, credentials: Any = None, choices: Choices = _NO_CHOICES
    ) -> None:
        self.client = client
        self.server = server
        self.choices = choices
        self.credentials = credentials  # of the type that the scenario's protocol makes
        self._wire = wire

    def both(self, method: str) -> None:
        """Has both hosts do what neither can finish without the other: in turn, until both are done."""
        deadline = self._wire.now() + PATIENCE
        waiting = [self.client, self.server]
        while True:
            waiting = [host for host in waiting if not host.attempt(method)]
            if not waiting:
                return
            if self._wire.now() > deadline:
                raise _waited(waiting[0], method)
            self._wire.wait(lambda: False, 0.001)  # not longer: an acknowledgement is to travel with the answer

    def acknowledged(self, host: Host) -> None:
        """Waits until all that `host` has sent (its FIN too) has been acknowledged on the wire."""
        if not self._wire.wait(lambda: self._wire.acknowledged(host.role), PATIENCE):
            raise SceneEnded(
                Text(
                    f"nobody acknowledged what the {host.role} sent within {PATIENCE:.0f} s",
                    f"{ROLES[host.role].zh}发出的数据在 {PATIENCE:.0f} 秒内无人确认",
                )
            )

    def inject(
        self,
        sender: Host,
        flags: str,
        seq: int | str = "snd.nxt",
        ack: int | str = "rcv.nxt",
        payload: bytes = b"",
        **fields: Value,
    ) -> None:
        """Has the wire forge a segment in the name of `sender`: numbers and fields as `lab.testbed.control.Inject`."""
        self._wire.inject(Inject(sender.role, flags, seq, ack, payload, fields))

    def release(self) -> None:
        """Lets the wire go on with the frames that it holds by rule."""
        self._wire.release()
