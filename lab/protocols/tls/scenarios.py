"""The TLS scenarios: each a short script for two hosts, one thing at a time. What each teaches is in notes.toml.

Those that fail break off with the alert that OpenSSL really sends; then both ends close, so that TCP's ending is tidy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lab.protocols.choices import Choices
from lab.protocols.scenario import Scenario, Stage, in_order
from lab.protocols.tls.terms import SERVER, Credentials, Terms
from lab.text import Text

if TYPE_CHECKING:
    from lab.protocols.tls.endpoints import Endpoint

PORT = 4433  # not 443: what is said there Wireshark takes for HTTP, and waits for its end
HELLO, ANSWER = "Hello, server!", "Hello, client!"
REQUEST = f"GET / HTTP/1.1\r\nHost: {SERVER}\r\n\r\n"
RESPONSE = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(ANSWER)}\r\n\r\n{ANSWER}"

# TLS 1.2's suites in OpenSSL's notation: their key exchange parts the lessons. TLS 1.3 chooses among its own.
RSA = "AES128-GCM-SHA256"
ECDHE = "ECDHE-RSA-AES128-GCM-SHA256"
ECDHE_256 = "ECDHE-RSA-AES256-GCM-SHA384"
HYBRID = "X25519MLKEM768"
MOST_EARLY = 4096  # bytes of early data that a server takes

VARIES = ("port", "client_port", "hello", "answer", "first", "name")

Script = Callable[["Stage"], None]


# The parts of a conversation


def _terms(stage: Stage, version: str, ciphers: str = "", tickets: int = 0) -> tuple[Terms, Terms]:
    """Returns the client's and the server's terms: the client knows the authority, the server has a certificate."""
    theirs: Credentials = stage.credentials
    name = stage.choices.name or SERVER
    client = Terms(version, ciphers, trusted=theirs.authority, name=name, tickets=tickets)
    return client, Terms(version, ciphers, identity=theirs.server, tickets=tickets)


def _listen(stage: Stage) -> None:
    stage.server.listen(stage.choices.port or PORT)


def _connect(stage: Stage) -> None:
    if stage.choices.client_port:
        stage.client.bind(stage.choices.client_port)
    stage.client.connect(stage.server.address, stage.choices.port or PORT)
    stage.client.connected()
    stage.server.accept()


def _shake(stage: Stage, client: Terms, server: Terms, resume: bool = False) -> None:
    stage.client.secure(client, resume)
    stage.server.secure(server)
    stage.both("handshake")


def _talk(stage: Stage, hello: str = HELLO, answer: str = ANSWER) -> None:
    stage.client.send(stage.choices.hello or hello)
    stage.server.receive()
    stage.server.send(stage.choices.answer or answer)
    stage.client.receive()


def _finish(stage: Stage) -> None:
    """Ends TLS in both directions, then TCP: a FIN without close_notify before it would be a truncation."""
    first, second = in_order(stage)
    first.finish()
    second.receive()
    second.finish()
    first.receive()
    _close(stage, first, second)


def _close(stage: Stage, first: Any, second: Any) -> None:
    for host in (first, second):
        host.discard()
        host.close()
        stage.acknowledged(host)


# The scripts


def _conversation(version: str, ciphers: str = "") -> Script:
    def script(stage: Stage) -> None:
        _listen(stage)
        _connect(stage)
        _shake(stage, *_terms(stage, version, ciphers))
        _talk(stage)
        _finish(stage)

    return script


def hello_retry(stage: Stage) -> None:
    client, server = _terms(stage, "1.3")
    _listen(stage)
    _connect(stage)
    _shake(stage, client._replace(group=""), server._replace(group="prime256v1"))
    _talk(stage)
    _finish(stage)


def hybrid(stage: Stage) -> None:
    """OpenSSL's own list on both sides: from version 3.5 on the hybrid group stands first in it."""
    client, server = _terms(stage, "1.3")
    _listen(stage)
    _connect(stage)
    _shake(stage, client._replace(group=""), server._replace(group=""))
    _talk(stage)
    _finish(stage)


def hybrid_retry(stage: Stage) -> None:
    client, server = _terms(stage, "1.3")
    _listen(stage)
    _connect(stage)
    _shake(stage, client._replace(group=f"X25519:{HYBRID}"), server._replace(group=f"{HYBRID}:"))
    _talk(stage)
    _finish(stage)


def downgrade(stage: Stage) -> None:
    client, server = (each._replace(oldest="1.2") for each in _terms(stage, "1.3", ECDHE))
    _listen(stage)
    _connect(stage)
    stage.client.secure_tampered(client)
    stage.server.secure(server)
    stage.server.attempt("handshake")  # as far as it can
    with contextlib.suppress(OSError):
        stage.client.handshake_tampered()
    with contextlib.suppress(OSError):
        stage.server.handshake()  # hears the alert
    _close(stage, stage.client, stage.server)


def early_data(stage: Stage) -> None:
    client, server = _terms(stage, "1.3", tickets=1)
    server = server._replace(early=MOST_EARLY)
    _listen(stage)
    _connect(stage)
    _shake(stage, client, server)
    _talk(stage)
    _finish(stage)
    _connect(stage)
    stage.client.secure(client, True)
    stage.client.send_early(HELLO)
    stage.server.secure(server)
    stage.server.receive_early()
    stage.client.handshake()
    while stage.server.receive_early():
        pass
    stage.server.handshake()
    stage.server.send(ANSWER)
    stage.client.receive()
    _finish(stage)


def key_update(stage: Stage) -> None:
    _listen(stage)
    _connect(stage)
    _shake(stage, *_terms(stage, "1.3"))
    _talk(stage)
    stage.client.update_keys()
    _talk(stage)
    _finish(stage)


def _resumption(version: str, ciphers: str = "", tickets: int = 1) -> Script:
    def script(stage: Stage) -> None:
        terms = _terms(stage, version, ciphers, tickets)
        _listen(stage)
        for resume in (False, True):
            _connect(stage)
            _shake(stage, *terms, resume)
            _talk(stage)
            _finish(stage)

    return script


def mutual(stage: Stage) -> None:
    client, server = _terms(stage, "1.2", ECDHE)
    _listen(stage)
    _connect(stage)
    _shake(
        stage,
        client._replace(identity=stage.credentials.client),
        server._replace(trusted=stage.credentials.authority),
    )
    _talk(stage)
    _finish(stage)


def alpn_sni(stage: Stage) -> None:
    client, server = _terms(stage, "1.3")
    _listen(stage)
    _connect(stage)
    _shake(stage, client._replace(alpn=("h2", "http/1.1")), server._replace(alpn=("http/1.1",)))
    _talk(stage, REQUEST, RESPONSE)
    _finish(stage)


def _broken_off(by: str, change: Callable[[Stage, Terms, Terms], tuple[Terms, Terms]] | None = None) -> Script:
    """Returns a script whose handshake one end breaks off; `change` makes the terms that it can't accept."""

    def script(stage: Stage) -> None:
        terms = _terms(stage, "1.2", ECDHE)
        one, other = (stage.client, stage.server) if by == "client" else (stage.server, stage.client)
        _listen(stage)
        _connect(stage)
        with contextlib.suppress(OSError):
            _shake(stage, *(change(stage, *terms) if change else terms))
        with contextlib.suppress(OSError):
            other.handshake()  # hears the alert
        _close(stage, one, other)

    return script


def truncated(stage: Stage) -> None:
    _listen(stage)
    _connect(stage)
    _shake(stage, *_terms(stage, "1.3"))
    _talk(stage)
    stage.server.shutdown()  # FIN, and no close_notify before it
    with contextlib.suppress(OSError):
        stage.client.receive()
    _close(stage, stage.client, stage.server)


# What the terms are changed to


def _no_common_suite(_: Stage, client: Terms, server: Terms) -> tuple[Terms, Terms]:
    return client, server._replace(ciphers=ECDHE_256)


def _newer_server(_: Stage, client: Terms, server: Terms) -> tuple[Terms, Terms]:
    return client, server._replace(version="1.3", ciphers="")


def _certificate_demanded(stage: Stage, client: Terms, server: Terms) -> tuple[Terms, Terms]:
    return client, server._replace(trusted=stage.credentials.authority)


# The credentials


def _tls(
    name: str, script: Script, lacking: Callable[[], Text | None] = lambda: None, varies: tuple[str, ...] = (),
    **how: bool,
) -> Scenario:  # fmt: skip
    """Returns a scenario; `how` its credentials are made is in lab.protocols.tls.credentials."""

    def credentials(addresses: Sequence[str], choices: Choices) -> Credentials:
        from lab.protocols.tls import credentials

        return credentials.make(addresses, choices.name or SERVER, **how)

    return Scenario(name, script, endpoint=endpoint, credentials=credentials, lacking=lacking, varies=varies)


def _lacks_hybrid() -> Text | None:
    from lab.protocols.tls import openssl

    return openssl.lacking(HYBRID)


def _out_of_reach() -> Text | None:
    from lab.protocols.tls import openssl

    return openssl.out_of_reach()


def endpoint() -> type[Endpoint]:
    """Returns the programs of a host that speaks TLS."""
    from lab.protocols.tls.endpoints import Endpoint

    return Endpoint


SCENARIOS = (
    _tls("tls/1.2-rsa", _conversation("1.2", RSA), varies=VARIES),
    _tls("tls/1.2-ecdhe", _conversation("1.2", ECDHE), varies=VARIES),
    _tls("tls/1.3", _conversation("1.3"), varies=VARIES),
    _tls("tls/1.3-hello-retry", hello_retry, varies=VARIES),
    _tls("tls/1.3-hybrid", hybrid, _lacks_hybrid),
    _tls("tls/1.3-hybrid-retry", hybrid_retry, _lacks_hybrid),
    _tls("tls/1.2-resumption", _resumption("1.2", ECDHE)),
    _tls("tls/1.2-resumption-id", _resumption("1.2", ECDHE, tickets=0)),
    _tls("tls/1.3-resumption", _resumption("1.3")),
    _tls("tls/0-rtt", early_data, _out_of_reach),
    _tls("tls/key-update", key_update, _out_of_reach),
    _tls("tls/mutual", mutual, client=True),
    _tls("tls/alpn-sni", alpn_sni),
    _tls("tls/expired", _broken_off("client"), expired=True),
    _tls("tls/unknown-ca", _broken_off("client"), stranger=True),
    _tls("tls/wrong-host", _broken_off("client"), other_name=True),
    _tls("tls/no-shared-cipher", _broken_off("server", _no_common_suite)),
    _tls("tls/version-refused", _broken_off("server", _newer_server)),
    _tls("tls/downgrade", downgrade),
    _tls("tls/client-certificate-missing", _broken_off("server", _certificate_demanded)),
    _tls("tls/truncated", truncated),
)
