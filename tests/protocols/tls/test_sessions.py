"""A resumed session of TLS 1.2 is opened by what its first connection told, in the same capture."""

from __future__ import annotations

import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab import bulk
from lab.bulk.rows import RowFormat
from lab.model import Frame
from lab.protocols.tls.handshake import Handshake
from lab.protocols.tls.hello import ClientHello, ServerHello
from lab.protocols.tls.sessions import Sessions
from lab.report.conversations import entry
from scripts import generate
from tests.packets import Pair, path, renumbered
from tests.protocols.tls import handshakes
from tests.protocols.tls.captures import frames
from tests.protocols.tls.handshakes import Talk, converse, identity


class Both(NamedTuple):
    """A connection and the one that resumes its session, and the key log of each."""

    first: Talk
    again: Talk
    keylogs: tuple[bytes, bytes]

    def frames(self, *which: int) -> list[Frame]:
        made = [frames((self.first, self.again)[at].flights, pair=Pair(client_port=50_000 + at)) for at in which]
        return renumbered(*(frame for each in made for frame in each))


@cache
def both(ciphers: str, tickets: bool) -> Both:
    made = handshakes.both(ssl.TLSVersion.TLSv1_2, ciphers)
    if not tickets:
        made.server.options |= ssl.OP_NO_TICKET
    with tempfile.TemporaryDirectory() as folder:
        made.client.keylog_filename = str(Path(folder, "one"))
        first = converse(made)
        made.client.keylog_filename = str(Path(folder, "two"))
        again = converse(made, first.client.session)
        assert again.client.session_reused
        return Both(first, again, (Path(folder, "one").read_bytes(), Path(folder, "two").read_bytes()))


def told(frames: list[Frame], keylog: bytes = b"", server_key: bytes = b"") -> list[dict[str, Any]]:
    way = path(keylog, server_key)
    records = list(way.settled(frames))
    assert not [surprise for record in records for surprise in record.surprises]
    return [entry(each)["tls"] for each in way.conversations]


RSA, ECDHE = "AES128-GCM-SHA256", "ECDHE+AESGCM"


@pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "number"])
@pytest.mark.parametrize("ciphers", [RSA, "AES256-GCM-SHA384", "AES128-SHA256"])
def test_the_servers_key_opens_both(ciphers: str, tickets: bool) -> None:
    first, again = told(both(ciphers, tickets).frames(0, 1), server_key=identity("rsa")[0])
    assert (first["resumed"], again["resumed"]) == (False, True)
    assert first["finished_verified"] is again["finished_verified"] is True
    assert again["decrypted"]
    assert [alert["description"] for alert in again["alerts"]] == ["close_notify", "close_notify"]


@pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "number"])
def test_so_does_a_key_log_that_has_only_the_first(tickets: bool) -> None:
    pair = both(ECDHE, tickets)
    for known in told(pair.frames(0, 1), pair.keylogs[0]):
        assert known["finished_verified"] is True
    alone = told(pair.frames(0, 1), pair.keylogs[1])
    assert [each["finished_verified"] for each in alone] == [None, True], "its own secret is in the other log"


def test_a_session_may_be_resumed_again_and_again() -> None:
    pair = both(RSA, True)
    ports = [frames(pair.again.flights, pair=Pair(client_port=50_010 + at)) for at in range(3)]
    found = renumbered(*pair.frames(0), *(frame for each in ports for frame in each))
    assert [each["finished_verified"] for each in told(found, server_key=identity("rsa")[0])] == [True] * 4


def test_without_its_first_connection_it_stays_closed_and_that_is_the_reason() -> None:
    pair, key = both(RSA, True), identity("rsa")[0]
    for which in ((1,), (1, 0)):
        way = path(server_key=key)
        list(way.settled(pair.frames(*which)))
        session = next(each for each in way.conversations if entry(each)["tls"]["resumed"]).above.session
        assert session.finished_verified is None
        assert session.locked
        assert session.locked.code == "session-unknown"


def test_a_finished_that_is_wrong_teaches_no_secret() -> None:
    """A key log that is wrong about the first connection is no help with the second."""
    pair = both(ECDHE, True)
    label, random, secret = next(line for line in pair.keylogs[0].split(b"\n") if line.startswith(b"CLIENT_R")).split()
    wrong = b" ".join((label, random, secret[::-1]))
    assert [each["decrypted"] for each in told(pair.frames(0, 1), wrong)] == [False, False]


def test_a_session_of_another_suite_or_version_is_another() -> None:
    known, shake = Sessions(), hellos(b"1" * 32, 0x9C)
    known.remember(shake, b"m" * 48)
    assert known.resumed(hellos(b"1" * 32, 0x9C))
    assert not known.resumed(hellos(b"1" * 32, 0x9D))
    assert not known.resumed(hellos(b"", 0x9C))


def test_only_so_many_sessions_are_kept() -> None:
    known = Sessions()
    for number in range(10_000):
        known.remember(hellos(number.to_bytes(32, "big"), 0x9C), b"m" * 48)
    assert len(known._known) <= 8192
    assert known.resumed(hellos((9_999).to_bytes(32, "big"), 0x9C))


def hellos(session_id: bytes, suite: int) -> Handshake:
    shake = Handshake()
    shake.client_hello = ClientHello(0x0303, bytes(32), session_id, (suite,), (0,), (), False)
    shake.server_hello = ServerHello(0x0303, bytes(32), session_id, suite, 0, (), False)
    shake.version, shake.suite_code = 0x0303, suite
    return shake


def test_with_the_servers_key_a_large_file_is_read_by_one_process(tmp_path: Path) -> None:
    """Two would each know only half of the sessions."""
    file = tmp_path / "large.pcap"
    keylog = generate.write_tls(2000, file).read_bytes()
    with bulk.rows(str(file), RowFormat.JSON, keylog, identity("rsa")[0]) as rows:
        assert rows is None
