"""The whole of RFC 8448 section 3: every secret it prints, every record it shows, without any library's TLS."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from lab.protocols.tls.keys13 import Keys13, Schedule13, retried
from lab.protocols.tls.protection import Opened, Protection
from tests.protocols.tls import rfc8448
from tests.protocols.tls.rfc8448 import CLIENT_HELLO, SERVER_HELLO, VALUES
from tests.protocols.tls.talks import SUITES, cut_records, messages

AES_128_GCM = SUITES[0x1301]


def opened(protection: Protection, record: bytes) -> Opened:
    (each,) = cut_records("", record)
    found = protection.open(each.type, each.version, each.fragment)
    assert found, protection.failed
    return found


def assert_keys(keys: Keys13, secret: str, names: str) -> None:
    assert keys.secret == VALUES[secret]
    assert keys.keys.key == VALUES[f"{names} key"]
    assert keys.keys.iv == VALUES[f"{names} iv"]


def test_the_whole_key_schedule_and_every_record() -> None:
    shared = X25519PrivateKey.from_private_bytes(rfc8448.CLIENT_PRIVATE).exchange(
        X25519PublicKey.from_public_bytes(rfc8448.SERVER_PUBLIC)
    )
    assert shared == VALUES["shared"]
    schedule = Schedule13(AES_128_GCM)
    assert schedule.early_secret == VALUES["early"]

    said = CLIENT_HELLO + SERVER_HELLO
    client, server = schedule.handshake(shared, said)
    assert schedule.handshake_secret == VALUES["handshake"]
    assert_keys(client, "c hs traffic", "client handshake")
    assert_keys(server, "s hs traffic", "server handshake")
    assert client.finished_key == VALUES["client finished key"]
    assert server.finished_key == VALUES["server finished key"]

    flight = opened(server.protection(), rfc8448.SERVER_FLIGHT)
    *others, finished = messages(flight.plaintext)
    assert (flight.content_type, [each[0] for each in others], finished[0]) == (22, [8, 11, 15], 20)
    said += b"".join(others)
    assert server.verify_data(said) == finished[4:] == VALUES["server finished"]
    assert server.check_finished(said, finished[4:]) is None
    said += finished

    of_client = opened(client.protection(), rfc8448.CLIENT_FINISHED)
    assert client.verify_data(said) == of_client.plaintext[4:] == VALUES["client finished"]

    for_data, from_server = schedule.application(said)
    assert schedule.master_secret == VALUES["master"]
    assert_keys(for_data, "c ap traffic", "client application")
    assert_keys(from_server, "s ap traffic", "server application")
    assert schedule.exporter(said) == VALUES["exp master"]
    assert schedule.resumption(said + of_client.plaintext, b"\0\0") == VALUES["PSK"]

    client_protection, server_protection = for_data.protection(), from_server.protection()
    ticket = opened(server_protection, rfc8448.NEW_SESSION_TICKET)
    assert (ticket.content_type, ticket.plaintext[0]) == (22, 4)
    for protection, data, alert in (
        (client_protection, rfc8448.CLIENT_DATA, rfc8448.CLIENT_ALERT),
        (server_protection, rfc8448.SERVER_DATA, rfc8448.SERVER_ALERT),
    ):
        assert opened(protection, data).plaintext == bytes(range(50))
        goodbye = opened(protection, alert)
        assert (goodbye.content_type, goodbye.plaintext) == (21, b"\x01\x00")

    written = {line.output_name: line.output for line in schedule.derivation.lines}
    assert written["salt of handshake_secret"] == VALUES["salt of handshake"]
    assert written["hash to ServerHello"] == VALUES["hash to ServerHello"]
    assert written["hash to the server's Finished"] == VALUES["hash to the server's Finished"]
    assert written["resumption_secret"] == VALUES["res master"]


def test_the_parts_of_a_record_are_named() -> None:
    schedule = Schedule13(AES_128_GCM)
    _, server = schedule.handshake(VALUES["shared"], CLIENT_HELLO + SERVER_HELLO)
    found = opened(server.protection(), rfc8448.SERVER_FLIGHT)
    assert [tuple(part) for part in found.parts] == [("content", 0, 657), ("type", 657, 658), ("tag", 658, 674)]
    assert found.nonce == VALUES["server handshake iv"]  # record number 0
    assert found.authenticated == rfc8448.SERVER_FLIGHT[:5]


def test_a_first_hello_that_was_refused_is_told_by_its_hash() -> None:
    """RFC 9846 section 4.1; the hash is SHA-256's, 32 bytes."""
    assert retried(AES_128_GCM, CLIENT_HELLO)[:4] == bytes([254, 0, 0, 32])
    assert len(retried(AES_128_GCM, CLIENT_HELLO)) == 36
