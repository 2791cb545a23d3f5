"""What the hosts of the TLS scenarios tell of their secrets and of their failures."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path as File

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab.capture.reader import open_capture
from lab.model import Captured
from lab.protocols.catalogue import scenario
from lab.protocols.scenario import Scenario
from lab.protocols.tls.scenarios import PORT
from lab.protocols.tls.terms import SERVER, Terms
from lab.testbed import netns
from lab.testbed.messages import Begun, Event, KeyLogLines
from lab.testbed.rules import Rule
from lab.testbed.stage import Stage
from tests.runs import play
from tests.scenarios.plays import Witness


def test_secrets_are_told_before_the_frames_that_they_open(namespaces: None) -> None:
    with netns.play(scenario("tls/1.3"), (), False) as events:
        told = list(events)
    begun = told[0]
    assert isinstance(begun, Begun)
    assert "PRIVATE KEY" in begun.server_key
    payloads = [
        at for at, each in enumerate(told)
        if isinstance(each, Captured) and b"\x16\x03" in each.frame.data[66:69]
    ]  # fmt: skip
    client_hello, server_hello = payloads[:2]
    first, *_ = (at for at, each in enumerate(told) if isinstance(each, KeyLogLines))
    assert client_hello < first < server_hello
    lines = Counter(line for each in told if isinstance(each, KeyLogLines) for line in each.keylog.splitlines())
    assert set(lines.values()) == {2}, "both ends have come to the same secrets"
    assert {line.split()[0] for line in lines} == {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET",
    }  # fmt: skip


def test_the_servers_key_opens_the_pre_master_secret_that_the_client_wrote_down(
    namespaces: None, tshark: str, tmp_path: File
) -> None:
    keys: list[str] = []

    @contextlib.contextmanager
    def overheard(scenario: Scenario, rules: Sequence[Rule], ipv6: bool) -> Iterator[Iterator[Event]]:
        with netns.play(scenario, rules, ipv6) as events:
            begun = next(events)
            assert isinstance(begun, Begun)
            keys.append(begun.server_key)
            yield itertools.chain([begun], events)

    file = tmp_path / "run.pcapng"
    run = play(scenario("tls/1.2-rsa"), file, on=overheard)
    (encrypted,) = (value for packet in Witness([run]).dissected[file] for value in packet.all("tls.handshake.epms"))
    key = load_pem_private_key(keys[0].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    secret = key.decrypt(bytes.fromhex(encrypted.replace(":", "")), padding.PKCS1v15())
    with open_capture(str(file)) as capture:
        assert list(capture)
        log = b"".join(capture.secrets).decode()
    (line,) = {line for line in log.splitlines() if line.startswith("RSA ")}
    assert line.split()[2] == secret.hex()
    assert secret[:2] == b"\x03\x03"


def test_what_fails_is_said_in_words(namespaces: None, tmp_path: File) -> None:
    def script(stage: Stage) -> None:
        said = []
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        with contextlib.suppress(OSError):
            said.append(stage.client.handshake())
        stage.client.secure(Terms("1.2", trusted=stage.credentials.authority, name=SERVER))
        stage.server.secure(Terms("1.2", identity=stage.credentials.server))
        for attempt in (lambda: stage.both("handshake"), stage.server.handshake):
            try:
                said.append(attempt())
            except OSError as error:
                said.append(str(error))
        raise OSError("; ".join(map(str, said)))  # the script runs in a process of its own: this comes out of it

    run = play(scenario("tls/expired")._replace(script=script), tmp_path / "run.pcapng")
    assert run.early is not None
    assert run.early.en.lower() == (
        "certificate verify failed: certificate has expired; sslv3 alert certificate expired"
    )


def test_tls_before_there_is_any_is_refused(namespaces: None, tmp_path: File) -> None:
    def script(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.client.handshake()

    run = play(scenario("tls/1.3")._replace(script=script), tmp_path / "run.pcapng")
    assert run.early is not None
    assert run.early.en == "there is no TLS on this connection"
