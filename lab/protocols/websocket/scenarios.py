"""The WebSocket scenarios: each a short script for two hosts, one thing at a time. What each teaches is in notes.toml.

Where a library would never send what a scenario needs, the bytes are written by hand. TCP is closed by the server
first, as RFC 6455 section 7.1.1 asks: so it is the server that waits in TIME-WAIT.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.protocols.choices import Choices
from lab.protocols.scenario import Scenario, Stage, in_order
from lab.protocols.tls.terms import SERVER, Credentials, Terms
from lab.protocols.websocket.http import accept_of

if TYPE_CHECKING:
    from lab.protocols.websocket.endpoints import Endpoint

PORT, TLS_PORT = 8080, 8443
HELLO, ANSWER = "Hello, server!", "Hello, client!"
PATH = "/chat"
NORMAL, GOING_AWAY = 1000, 1001
LARGEST = 64  # bytes of a message that the server of too_big takes
VARIES = ("port", "client_port", "hello", "answer", "first", "name", "path", "subprotocol")
POEM = "the same again, " * 8


# The parts of a conversation


def _connect(stage: Stage, port: int = PORT) -> None:
    port = stage.choices.port or port
    stage.server.listen(port)
    if stage.choices.client_port:
        stage.client.bind(stage.choices.client_port)
    stage.client.connect(stage.server.address, port)
    stage.client.connected()
    stage.server.accept()


def _upgrade(stage: Stage, ours: dict[str, Any] | None = None, theirs: dict[str, Any] | None = None) -> None:
    """Asks for the upgrade and answers; `ours` and `theirs` are what client and server bring to it."""
    _ask(stage, **(ours or {}))
    _answer(stage, **(theirs or {}))
    stage.client.pump()


def _ask(
    stage: Stage, port: int = PORT, subprotocols: tuple[str, ...] = (), deflate: bool = False,
    headers: tuple[tuple[str, str], ...] = (),
) -> None:  # fmt: skip
    chosen = stage.choices
    name, at, path = chosen.name or SERVER, chosen.port or port, chosen.path or PATH
    stage.client.upgrade(name, at, path, _spoken(stage, subprotocols), deflate, headers)


def _answer(
    stage: Stage, subprotocols: tuple[str, ...] = (), deflate: bool = False, largest: int = 1 << 20
) -> None:  # fmt: skip
    stage.server.accept_upgrade(_spoken(stage, subprotocols), deflate, largest)


def _spoken(stage: Stage, subprotocols: tuple[str, ...]) -> tuple[str, ...]:
    return (stage.choices.subprotocol,) if stage.choices.subprotocol else subprotocols


def _talk(stage: Stage, hello: str = HELLO, answer: str = ANSWER) -> None:
    stage.client.send_text(stage.choices.hello or hello)
    stage.server.pump()
    stage.server.send_text(stage.choices.answer or answer)
    stage.client.pump()


def _finish(first: Any, second: Any, code: int = NORMAL, reason: str = "done") -> None:
    """The closing handshake: a Close each way."""
    first.close_websocket(code, reason)
    second.pump()
    first.pump()


def _close(stage: Stage) -> None:
    """TCP's end, the server's FIN first."""
    for host in (stage.server, stage.client):
        host.discard()
        host.close()
        stage.acknowledged(host)


# The scripts


def connection(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage)
    _talk(stage)
    stage.client.ping(b"still there?")
    stage.server.pump()
    stage.client.pump()
    _finish(*in_order(stage))
    _close(stage)


def over_tls(stage: Stage) -> None:
    theirs: Credentials = stage.credentials
    _connect(stage, TLS_PORT)
    stage.client.secure(Terms("1.3", trusted=theirs.authority, name=stage.choices.name or SERVER))
    stage.server.secure(Terms("1.3", identity=theirs.server))
    stage.both("handshake")
    _upgrade(stage, {"port": TLS_PORT})
    _talk(stage)
    _finish(*in_order(stage))
    for one, other in ((stage.server, stage.client), (stage.client, stage.server)):
        one.finish()
        other.receive()
    _close(stage)


def fragments(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage)
    stage.client.send_text("one message, ", False)
    stage.server.pump()
    stage.client.ping(b"in between")
    stage.server.pump()
    stage.client.pump()
    stage.client.send_continuation(b"three frames, ", False)
    stage.server.pump()
    stage.client.send_continuation(b"and a ping", True)
    stage.server.pump()
    _finish(stage.client, stage.server)
    _close(stage)


def binary(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage)
    stage.client.send_binary(bytes(range(8)))
    stage.server.pump()
    stage.server.send_binary(bytes(200))  # too long for 7 bits of length
    stage.client.pump()
    _finish(stage.client, stage.server)
    _close(stage)


def compressed(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage, {"deflate": True}, {"deflate": True})
    _talk(stage, POEM, POEM)
    _talk(stage, POEM, POEM)
    _finish(stage.client, stage.server)
    _close(stage)


def subprotocol(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage, {"subprotocols": ("graphql-transport-ws", "mqtt")}, {"subprotocols": ("mqtt",)})
    _talk(stage)
    _finish(stage.client, stage.server)
    _close(stage)


def server_closes(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage)
    _talk(stage)
    _finish(stage.server, stage.client, GOING_AWAY, "maintenance")
    _close(stage)


def bad_version(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage, {"headers": (("Sec-WebSocket-Version", "8"),)})
    _close(stage)


def bad_key(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage, {"headers": (("Sec-WebSocket-Key", "dG9vIHNob3J0"),)})  # "too short"
    _close(stage)


def wrong_accept(stage: Stage) -> None:
    _connect(stage)
    _ask(stage)
    stage.server.receive()
    stage.server.send_bytes(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_of('the key of another')}\r\n\r\n".encode()
    )
    stage.client.pump()
    for host in (stage.client, stage.server):  # here the client has had enough
        host.close()
        stage.acknowledged(host)


def unmasked(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage)
    text = HELLO.encode()
    stage.client.send_bytes(bytes([0x81, len(text)]) + text)
    _failed(stage)


def too_big(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage, theirs={"largest": LARGEST})
    stage.client.send_text("x" * (LARGEST + 1))
    _failed(stage)


def _failed(stage: Stage) -> None:
    """The server fails the connection: a Close with the reason, which the client answers; then TCP's end."""
    stage.server.pump()
    stage.client.pump()
    _close(stage)


def abnormal(stage: Stage) -> None:
    _connect(stage)
    _upgrade(stage)
    _talk(stage)
    stage.server.close()  # FIN, and no Close before it
    stage.acknowledged(stage.server)
    with contextlib.suppress(OSError):
        stage.client.pump()
    stage.client.close()
    stage.acknowledged(stage.client)


# The scenarios


def endpoint() -> type[Endpoint]:
    """Returns the programs of a host that speaks WebSocket."""
    from lab.protocols.websocket.endpoints import Endpoint

    return Endpoint


def _credentials(addresses: Sequence[str], choices: Choices) -> Credentials:
    from lab.protocols.tls import credentials

    return credentials.make(addresses, choices.name or SERVER)


SCENARIOS = (
    Scenario("websocket/connection", connection, endpoint=endpoint, varies=VARIES),
    Scenario("websocket/tls", over_tls, endpoint=endpoint, credentials=_credentials, varies=VARIES),
    Scenario("websocket/fragments", fragments, endpoint=endpoint),
    Scenario("websocket/binary", binary, endpoint=endpoint),
    Scenario("websocket/compressed", compressed, endpoint=endpoint),
    Scenario("websocket/subprotocol", subprotocol, endpoint=endpoint),
    Scenario("websocket/server-closes", server_closes, endpoint=endpoint),
    Scenario("websocket/bad-version", bad_version, endpoint=endpoint),
    Scenario("websocket/bad-key", bad_key, endpoint=endpoint),
    Scenario("websocket/wrong-accept", wrong_accept, endpoint=endpoint),
    Scenario("websocket/unmasked", unmasked, endpoint=endpoint),
    Scenario("websocket/too-big", too_big, endpoint=endpoint),
    Scenario("websocket/abnormal", abnormal, endpoint=endpoint),
)
