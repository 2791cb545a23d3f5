"""The SSH scenarios: each a short script for two hosts, one thing at a time. What each teaches is in notes.toml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.protocols.scenario import Scenario, Stage

if TYPE_CHECKING:
    from lab.protocols.choices import Choices
    from lab.protocols.ssh.credentials import Credentials
    from lab.protocols.ssh.endpoints import Endpoint

PORT = 22
CLIENT, SERVER = "lab_client", "lab_server"
GREETING = ("Welcome to the handshake lab.", "Real hosts, real keys.")
OURS, THEIRS = ("curve25519-sha256",), ("diffie-hellman-group14-sha256",)
FAILED, BY_APPLICATION = 3, 11  # reasons of a DISCONNECT (RFC 4253 section 11.1)


def _connect(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()


def _introduce(stage: Stage, before: tuple[str, ...] = ()) -> None:
    """The server speaks first, as most do; it need not."""
    stage.server.identify(SERVER, before)
    stage.client.hear_version()
    stage.client.identify(CLIENT)
    stage.server.hear_version()


def _propose(stage: Stage, ours: tuple[str, ...] = OURS, theirs: tuple[str, ...] = OURS) -> None:
    stage.client.propose(ours)
    stage.server.hear_proposal()
    stage.server.propose(theirs)
    stage.client.hear_proposal()


def _exchange(stage: Stage) -> None:
    stage.client.ask()
    stage.server.answer(stage.credentials.host_key)
    stage.client.hear_answer()
    for one, other in ((stage.server, stage.client), (stage.client, stage.server)):
        one.new_keys()
        other.hear_new_keys()


def _close(stage: Stage) -> None:
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def _talk(stage: Stage) -> None:
    stage.client.request("ssh-userauth")
    stage.server.accept_request()
    stage.client.hear_accepted()
    stage.client.disconnect(BY_APPLICATION, "that was all")
    stage.server.hear_disconnect()


def connection(stage: Stage) -> None:
    _connect(stage)
    _introduce(stage)
    _propose(stage)
    _exchange(stage)
    _talk(stage)
    _close(stage)


def greeting(stage: Stage) -> None:
    _connect(stage)
    _introduce(stage, GREETING)
    _propose(stage)
    _exchange(stage)
    _talk(stage)
    _close(stage)


def no_common_key_exchange(stage: Stage) -> None:
    _connect(stage)
    _introduce(stage)
    _propose(stage, theirs=THEIRS)
    stage.client.disconnect(FAILED, "no key exchange method in common")
    stage.server.hear_disconnect()
    _close(stage)


def endpoint() -> type[Endpoint]:
    """Returns the programs of a host that speaks SSH."""
    from lab.protocols.ssh.endpoints import Endpoint

    return Endpoint


def _credentials(_addresses: Sequence[str], _choices: Choices) -> Credentials:
    from lab.protocols.ssh import credentials

    return credentials.make()


SCENARIOS = (
    Scenario("ssh/connection", connection, endpoint=endpoint, credentials=_credentials),
    Scenario("ssh/greeting", greeting, endpoint=endpoint, credentials=_credentials),
    Scenario("ssh/no-common-key-exchange", no_common_key_exchange, endpoint=endpoint, credentials=_credentials),
)
