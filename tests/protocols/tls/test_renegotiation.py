"""Another handshake on the same connection (renegotiation), and data before the other end's Finished (False Start)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lab.model import Role
from tests.protocols.tls.captures import Capture, captured, frames, shown, walk
from tests.protocols.tls.forged import handshake, handshake_keys, messages_of, seal
from tests.protocols.tls.openssl import recorded

NAMES = ("renegotiation", "renegotiation, resumed")
BEGUN = [
    "WAIT_SH > RECVD_CH: ClientHello",
    "SEND_FLIGHT_12 < WAIT_CKE_12: ServerHello Certificate ServerHelloDone",
    "WAIT_FINISHED_12 > SEND_FINISHED_12: ClientKeyExchange ChangeCipherSpec Finished",
]
ENDED = [
    "CONNECTED > CONNECTED: application-data",
    "CLOSE_SENT > CLOSE_GOT: close_notify",
    "CLOSED < CLOSED: close_notify",
]
LADDERS = {
    "renegotiation": [
        *BEGUN,
        "CONNECTED < CONNECTED: ChangeCipherSpec Finished",
        "CONNECTED > CONNECTED: application-data",
        "RENEGOTIATING_12 > RENEGOTIATING_12: ClientHello",
        "RENEGOTIATING_12 < RENEGOTIATING_12: ServerHello Certificate ServerHelloDone",
        "REFINISHING_12 > REFINISHING_12: ClientKeyExchange ChangeCipherSpec Finished",
        "CONNECTED < CONNECTED: ChangeCipherSpec Finished",
        *ENDED,
    ],
    "renegotiation, resumed": [
        *BEGUN,
        "CONNECTED < CONNECTED: NewSessionTicket ChangeCipherSpec Finished",
        "CONNECTED > CONNECTED: application-data",
        "CONNECTED < CONNECTED: HelloRequest",
        "RENEGOTIATING_12 > RENEGOTIATING_12: ClientHello",
        "REFINISHING_12 < REFINISHING_12: ServerHello ChangeCipherSpec Finished",
        "CONNECTED > CONNECTED: ChangeCipherSpec Finished",
        *ENDED,
    ],
}


@pytest.mark.parametrize("given", ["keylog", "server_key"])
@pytest.mark.parametrize("name", NAMES)
def test_it_has_rows_of_its_own_and_is_none_of_the_notes_steps(name: str, given: str) -> None:
    capture = recorded(name)
    walked = walk(frames(capture.flights, 9000), **{given: getattr(capture, given)})
    assert walked.ladder == LADDERS[name]
    assert walked.surprises == []
    assert [walked.steps[number][0] for number in (1, 2, 3, 4, 5)] == [(4,), (6,), (8,), (8,), (8, 10)]
    hellos = [each.words.en for packet in walked.packets for each in packet.messages if each.name == "ClientHello"]
    assert [words.startswith("another handshake (renegotiation)") for words in hellos] == [False, True]


@pytest.mark.parametrize("name", NAMES)
def test_it_changes_nothing_of_what_is_told_of_the_first_handshake(name: str) -> None:
    capture = recorded(name)
    first = Capture(capture.flights[:5], capture.keylog, capture.server_key)
    for given in ({"keylog": capture.keylog}, {"server_key": capture.server_key}):
        walked, before = walk(capture.frames, **given), walk(frames(first.flights, close=False), **given)
        assert walked.tls == {**before.tls, "alerts": walked.tls["alerts"]}
        assert not walked.tls["resumed"]
        assert walked.tls["finished_verified"] is True
        whole, some = walked.session.lines, before.session.lines
        assert whole == some, "the worked example is the first's"


def test_without_secrets_nothing_of_it_is_claimed() -> None:
    for name in NAMES:
        walked = walk(recorded(name).frames)
        assert walked.surprises == []
        assert not walked.tls["resumed"]
        assert "RENEGOTIATING" not in " ".join(walked.ladder)


def test_a_second_handshake_that_stays_closed_leaves_the_first_as_it_was() -> None:
    capture = recorded("renegotiation")
    lines = [line for line in capture.keylog.splitlines() if line.startswith(b"CLIENT_RANDOM")]
    walked = walk(capture.frames, lines[0])
    assert len(lines) == 2
    assert walked.session.opening.keys12 is None, "the second stays closed"
    assert walked.tls["finished_verified"] is True
    assert walked.steps == walk(capture.frames, capture.keylog).steps


def test_a_client_may_refuse_to_renegotiate() -> None:
    """It answers HelloRequest with a warning (RFC 5246 section 7.2.2), and both go on as before."""
    capture = recorded("renegotiation, resumed")
    keys = walk(capture.frames, capture.keylog).session.opening.first12
    assert keys
    key, salt, _ = keys.keys["client"]
    number = (2).to_bytes(8, "big")  # behind its Finished and its data
    header = number + b"\x15\x03\x03\x00\x02"
    alert = number + AESGCM(key).encrypt(salt + number, bytes((1, 100)), header)
    refusal = b"\x15\x03\x03" + len(alert).to_bytes(2, "big") + alert
    assert capture.flights[5][0] == "server"
    walked = walk(frames([*capture.flights[:6], ("client", refusal)], 9000), capture.keylog)
    assert walked.ladder[5:7] == ["CONNECTED < CONNECTED: HelloRequest", "CONNECTED > CONNECTED: alert"]
    assert walked.tls["alerts"] == [{"from": "client", "level": "warning", "description": "no_renegotiation"}]
    assert walked.surprises == []


def test_no_damage_in_a_second_handshake_is_raised() -> None:
    for name in NAMES:
        capture = recorded(name)
        for which in (5, 6, 7, 8):
            role, data = capture.flights[which]
            for at in range(0, len(data), 41):
                flights = list(capture.flights)
                flights[which] = role, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                for given in ({"keylog": capture.keylog}, {"server_key": capture.server_key}):
                    walk(frames(flights, 9000), **given)
    shown(recorded(NAMES[0]).frames, recorded(NAMES[0]).keylog)


# Data ahead of the other's Finished.


def rearranged(name: str, order: list[tuple[Role, list[int]]]) -> Capture:
    """Returns a capture whose flights are these of another, joined: the bytes of each direction stay in their order."""
    capture = captured(name)
    flights = [(role, b"".join(capture.flights[at][1] for at in which)) for role, which in order]
    return Capture(flights, capture.keylog, capture.server_key)


def test_a_client_that_does_not_wait_for_the_servers_finished_is_no_surprise() -> None:
    """False Start (RFC 7918): its data travel with its Finished, though it could not have known the server's."""
    capture = captured("TLS 1.2 ECDHE")
    assert [role for role, _ in capture.flights] == ["client", "server"] * 4
    order: list[tuple[Role, list[int]]] = [
        ("client", [0]), ("server", [1]), ("client", [2, 4]), ("server", [3, 5]), ("client", [6]), ("server", [7]),
    ]  # fmt: skip
    for made in (
        frames(rearranged("TLS 1.2 ECDHE", order).flights, 9000),
        frames(rearranged("TLS 1.2 ECDHE", order).flights, 100),
    ):
        for keylog in (capture.keylog, b""):
            walked = walk(made, keylog)
            assert walked.surprises == []
    walked = walk(frames(rearranged("TLS 1.2 ECDHE", order).flights, 9000), capture.keylog)
    assert walked.ladder[2:4] == [
        "WAIT_FINISHED_12 > SEND_FINISHED_12: ClientKeyExchange ChangeCipherSpec Finished application-data",
        "CONNECTED < CONNECTED: NewSessionTicket ChangeCipherSpec Finished application-data",
    ]
    assert walked.session.finished_verified is True
    assert walked.steps[6][0] == (10,), "the handshake is complete with the server's Finished, not with the data"


def test_a_resumed_server_that_does_not_wait_for_the_clients_finished_is_no_surprise() -> None:
    order: list[tuple[Role, list[int]]] = [
        ("client", [0]), ("server", [1, 4]), ("client", [2, 3]), ("client", [5]), ("server", [6]),
    ]  # fmt: skip
    capture = captured("TLS 1.2 resumed")
    roles = [role for role, _ in capture.flights]
    assert roles == ["client", "server", "client", "client", "server", "client", "server"], roles
    walked = walk(frames(rearranged("TLS 1.2 resumed", order).flights, 9000), capture.keylog)
    assert walked.surprises == []
    assert walked.ladder[1].startswith("SEND_FINISHED_12 < WAIT_LAST_12")
    assert walked.session.finished_verified is True


@pytest.mark.parametrize("name", ["TLS 1.3", "TLS 1.3 client certificate"])
def test_a_server_of_tls_1_3_may_send_behind_its_own_finished(name: str) -> None:
    """Half a round trip early (RFC 9846 section 2): tickets, as some servers do, and data."""
    capture = captured(name)
    roles = [role for role, _ in capture.flights]
    tickets = next(at for at in range(2, len(roles)) if roles[at] == "server")
    order: list[tuple[Role, list[int]]] = [("client", [0]), ("server", [1, tickets])]
    order += [(role, [at]) for at, role in enumerate(roles) if at not in (0, 1, tickets)]
    walked = walk(frames(rearranged(name, order).flights, 9000), capture.keylog)
    assert walked.messages.count("s> NewSessionTicket") == 2
    assert walked.surprises == []
    assert walked.session.finished_verified is True, "no Finished covers a ticket"


# ALPS: the client has EncryptedExtensions, too.


@pytest.mark.parametrize("kind", [17513, 17613])
def test_the_clients_encrypted_extensions_agree_nothing(kind: int) -> None:
    """As Chromium sends them, behind the server's flight: the application settings, which are no choice of protocol."""
    capture = captured("TLS 1.3 ALPN")
    walked = walk(capture.frames, capture.keylog)
    settings = kind.to_bytes(2, "big") + b"\0\x04" + b"h2!!"
    message = handshake(8, len(settings).to_bytes(2, "big") + settings)
    keys = handshake_keys(walked.session, capture.keylog, "client")
    finished = handshake(20, keys.verify_data(b"".join(messages_of(walked.session)[:-1]) + message))
    sealed = seal(keys, 0, message) + seal(keys, 1, finished)
    ccs, rest = capture.flights[2][1][:6], capture.flights[3:]
    flights = [*capture.flights[:2], ("client", ccs + sealed), *rest]
    found = walk(frames(flights, 9000), capture.keylog)
    assert found.tls["alpn"] == walked.tls["alpn"] == "http/1.1"
    assert found.ladder[2] == "CONNECTED > CONNECTED: ChangeCipherSpec EncryptedExtensions Finished"
    assert found.session.finished_verified is True
    assert found.surprises == []


@pytest.mark.parametrize("name", NAMES)
def test_with_a_flight_missing_there_is_still_no_surprise(name: str) -> None:
    capture = recorded(name)
    for given in ({"keylog": capture.keylog}, {"server_key": capture.server_key}):
        whole = frames(capture.flights, 9000)
        for missing in [frame.number for frame in whole if frame.number > 3 and len(frame.data) > 54]:
            walked = walk([frame for frame in whole if frame.number != missing], **given)
            assert walked.surprises == [], (missing, given.keys())
            assert walked.session.finished_verified is not False, missing
