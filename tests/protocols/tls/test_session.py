"""Real TLS in TCP segments: what both ends say, in order, with every secret, with some, with none, and damaged."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path as File

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.engine.path import Path
from lab.model import Frame, Role
from lab.protocols.tls import report
from tests.packets import IPV4, IPV6, OPEN, ladder, path, renumbered
from tests.packets import walk as walk_all
from tests.protocols.tls import handshakes
from tests.protocols.tls.captures import MADE, captured, frames, lines, play, shown, walk
from tests.protocols.tls.handshakes import identity, static_rsa
from tests.protocols.tls.talks import cut_records

every_capture = pytest.mark.parametrize("name", MADE)
WHOLE = ("TLS 1.2 RSA", "TLS 1.2 ECDHE", "TLS 1.2 resumed", "TLS 1.3", "TLS 1.3 hello retry")

END_12 = [
    "CONNECTED < CONNECTED: NewSessionTicket ChangeCipherSpec Finished",
    "CONNECTED > CONNECTED: application-data",
    "CONNECTED < CONNECTED: application-data",
    "CLOSE_SENT > CLOSE_GOT: close_notify",
    "CLOSED < CLOSED: close_notify",
]
RSA = [
    "WAIT_SH > RECVD_CH: ClientHello",
    "SEND_FLIGHT_12 < WAIT_CKE_12: ServerHello Certificate ServerHelloDone",
    "WAIT_FINISHED_12 > SEND_FINISHED_12: ClientKeyExchange ChangeCipherSpec Finished",
    *END_12,
]
ECDHE = [
    "WAIT_SH > RECVD_CH: ClientHello",
    "SEND_FLIGHT_12 < WAIT_CKE_12: ServerHello Certificate ServerKeyExchange ServerHelloDone",
    *RSA[2:],
]
RESUMED_12 = [
    "WAIT_SH > RECVD_CH: ClientHello",
    "SEND_FINISHED_12 < WAIT_LAST_12: ServerHello ChangeCipherSpec Finished",
    "CONNECTED > CONNECTED: ChangeCipherSpec Finished",
    *END_12[1:],
]
END_13 = ["CONNECTED < CONNECTED: NewSessionTicket NewSessionTicket", *END_12[1:]]
SIGNED = "Certificate CertificateVerify Finished"
TLS13 = [
    "WAIT_SH > RECVD_CH: ClientHello",
    f"SEND_FINISHED < WAIT_FLIGHT2: ServerHello ChangeCipherSpec EncryptedExtensions {SIGNED}",
    "CONNECTED > CONNECTED: ChangeCipherSpec Finished",
    *END_13,
]
CERTIFICATE_ASKED = (
    "SEND_FINISHED < WAIT_FLIGHT2: ServerHello ChangeCipherSpec EncryptedExtensions CertificateRequest Certificate "
    "CertificateVerify Finished"
)
SIGNED_12 = "Certificate ClientKeyExchange CertificateVerify ChangeCipherSpec Finished"
LADDERS = {
    "TLS 1.2 RSA": RSA,
    "TLS 1.2 RSA, CBC": RSA,
    "TLS 1.2 ECDHE": ECDHE,
    "TLS 1.2 ALPN": ECDHE,
    "TLS 1.2 client certificate": [
        "WAIT_SH > RECVD_CH: ClientHello",
        "SEND_FLIGHT_12 < WAIT_CKE_12: ServerHello Certificate ServerKeyExchange CertificateRequest ServerHelloDone",
        f"WAIT_FINISHED_12 > SEND_FINISHED_12: {SIGNED_12}",
        *END_12,
    ],
    "TLS 1.2 resumed": RESUMED_12,
    "TLS 1.2 resumed by session id": RESUMED_12,
    "TLS 1.2 untrusted": [*ECDHE[:2], "FAILED > FAILED: alert"],
    "TLS 1.2 no client certificate": [
        "WAIT_SH > RECVD_CH: ClientHello",
        "SEND_FLIGHT_12 < WAIT_CKE_12: ServerHello Certificate ServerKeyExchange CertificateRequest ServerHelloDone",
        "WAIT_FINISHED_12 > SEND_FINISHED_12: Certificate ClientKeyExchange ChangeCipherSpec Finished",
        "FAILED < FAILED: alert",
    ],
    "TLS 1.3": TLS13,
    "TLS 1.3 ALPN": TLS13,
    "TLS 1.3 hello retry": [
        "WAIT_SH > RECVD_CH: ClientHello",
        "START < START: HelloRetryRequest ChangeCipherSpec",  # RFC 9846 appendix A.1
        "WAIT_SH > RECVD_CH: ChangeCipherSpec ClientHello",
        "SEND_FINISHED < WAIT_FLIGHT2: ServerHello EncryptedExtensions Certificate CertificateVerify Finished",
        "CONNECTED > CONNECTED: Finished",
        *END_13,
    ],
    "TLS 1.3 client certificate": [
        "WAIT_SH > RECVD_CH: ClientHello",
        CERTIFICATE_ASKED,
        "CONNECTED > CONNECTED: ChangeCipherSpec Certificate CertificateVerify Finished",
        *END_13,
    ],
    "TLS 1.3 resumed": [
        "WAIT_SH > RECVD_CH: ClientHello",
        "SEND_FINISHED < WAIT_FLIGHT2: ServerHello ChangeCipherSpec EncryptedExtensions Finished",
        "CONNECTED > CONNECTED: ChangeCipherSpec Finished",
        "CONNECTED < CONNECTED: NewSessionTicket",
        *END_12[1:],
    ],
    "TLS 1.3 untrusted": [*TLS13[:2], "FAILED > FAILED: alert"],
    "TLS 1.3 no client certificate": [
        "WAIT_SH > RECVD_CH: ClientHello",
        CERTIFICATE_ASKED,
        "CONNECTED > CONNECTED: ChangeCipherSpec Certificate Finished",
        "FAILED < FAILED: alert",
    ],
    "no version in common": ["WAIT_SH > RECVD_CH: ClientHello", "FAILED < FAILED: alert"],
}


# With the key log everything is read.


@every_capture
@pytest.mark.parametrize("pair", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_every_message_is_read_in_order_with_the_states_it_leads_to(name: str, pair: object) -> None:
    capture = captured(name)
    walked = walk(frames(capture.flights, 9000, IPV6 if pair == IPV6 else IPV4), capture.keylog)
    assert walked.ladder == LADDERS[name]
    assert walked.surprises == []


@every_capture
def test_a_message_is_told_in_the_packet_that_completes_it_and_its_bytes_are_where_its_spans_say(name: str) -> None:
    capture = captured(name)
    walked = walk(frames(capture.flights, 500), capture.keylog)
    numbers = {record.number: record for record in walked.records}
    for record in walked.records:
        for message in record.messages:
            places = [span for span in message.said.spans if span.buffer == "frame"]
            assert places[-1].number == record.number
            for span in places:
                carrier = numbers[span.number]
                assert carrier.segment
                assert carrier.frame
                assert carrier.segment.start <= span.start < span.end <= len(carrier.frame.data)
            if message.said.raw and not message.said.encrypted:
                read = b"".join(_bytes(numbers[span.number].frame, span.start, span.end) for span in places)
                assert read.endswith(message.said.raw)


def _bytes(frame: Frame | None, start: int, end: int) -> bytes:
    assert frame
    return frame.data[start:end]


def test_a_static_rsa_handshake_is_read_with_the_servers_key_alone() -> None:
    for name in ("TLS 1.2 RSA", "TLS 1.2 RSA, CBC"):
        capture = captured(name)
        walked = walk(frames(capture.flights, 9000), server_key=capture.server_key)
        assert walked.ladder == RSA
        assert walked.session.finished_verified is True


# Without, what is in the clear is told all the same, and why the rest is not.

CLOSED_12 = [
    "CONNECTED < CONNECTED: NewSessionTicket ChangeCipherSpec Finished",
    "CONNECTED > CONNECTED: application-data",
    "CONNECTED < CONNECTED: application-data",
    "CONNECTED > CONNECTED: alert",
    "CONNECTED < CONNECTED: alert",
]


@pytest.mark.parametrize(
    ("name", "code"), [("TLS 1.2 RSA", "no-secrets"), ("TLS 1.2 ECDHE", "no-key-log"), ("TLS 1.3", "no-key-log")]
)
def test_with_no_secret_the_reason_is_that_none_was_given(name: str, code: str) -> None:
    walked = walk(captured(name).frames)
    assert walked.session.locked
    assert walked.session.locked.code == code
    assert not walked.tls["decrypted"]
    assert walked.surprises == []


def test_up_to_tls_1_2_the_handshake_shows_without_a_key_though_not_what_its_finished_says() -> None:
    walked = walk(frames(captured("TLS 1.2 RSA").flights, 9000))
    assert walked.ladder == [*RSA[:3], *CLOSED_12[:-2], "None > None: alert", "None < None: alert"]
    assert walked.session.finished_verified is None


@pytest.mark.parametrize("name", ["TLS 1.2 ECDHE", "TLS 1.2 resumed", "TLS 1.3", "TLS 1.3 resumed"])
def test_where_there_is_forward_secrecy_the_servers_key_opens_nothing_and_that_is_the_reason(name: str) -> None:
    capture = captured(name)
    walked = walk(capture.frames, server_key=capture.server_key)
    assert walked.session.locked
    assert walked.session.locked.code == "forward-secrecy"
    assert not walked.tls["decrypted"]


@pytest.mark.parametrize(
    ("key", "code"),
    [("rsa", None), ("ec", "wrong-server-key"), ("rubbish", "key-unreadable")],
)
def test_a_key_that_is_not_the_servers_is_said_to_be_none(key: str, code: str | None) -> None:
    capture = captured("TLS 1.2 RSA")
    given = b"rubbish" if key == "rubbish" else identity(key)[0]
    locked = walk(capture.frames, server_key=given).session.locked
    assert (locked and locked.code) == code


def test_a_key_log_of_another_connection_is_said_to_be_that() -> None:
    for name in ("TLS 1.2 ECDHE", "TLS 1.3"):
        walked = walk(captured(name).frames, captured("TLS 1.3 ALPN").keylog)
        assert walked.session.locked
        assert walked.session.locked.code == "not-in-key-log"


@pytest.mark.parametrize("name", ["TLS 1.2 untrusted", "TLS 1.3 untrusted", "no version in common"])
def test_an_alert_in_the_clear_is_read_without_keys(name: str) -> None:
    """RFC 9846 section 5: an end without keys yet sends it unprotected, also after the ServerHello."""
    walked = walk(captured(name).frames)
    assert walked.messages[-1][3:] == "alert"
    assert set(walked.above.states) == {"FAILED"}
    assert [each["level"] for each in walked.tls["alerts"]] == ["fatal"]


# A key log may grow while the packets pass.


def growing(name: str, at: int) -> tuple[Path, list[Frame]]:
    way, capture = path(), captured(name)

    def passing() -> Iterator[Frame]:
        for frame in capture.frames:
            if frame.number == at:
                for line in capture.keylog.splitlines():
                    way.learn(line)
            yield frame

    surprises = [surprise for record in way.annotate(passing()) for surprise in record.surprises]
    assert surprises == []
    return way, capture.frames


@pytest.mark.parametrize("name", ["TLS 1.2 RSA, CBC", "TLS 1.2 ECDHE", "TLS 1.3", "TLS 1.3 client certificate"])
def test_secrets_that_come_late_open_what_comes_after_them(name: str) -> None:
    walked = walk(captured(name).frames, captured(name).keylog)
    carriers = [record.number for record in walked.records if record.messages]
    for at in carriers:
        way, _ = growing(name, at)
        (which,) = way.conversations
        assert which.above
        session = which.above.session
        assert [alert.description for alert in session.alerts] == [0] * len(session.alerts)
        closing = [record for record in carriers if record >= at][-2:]
        assert len(session.alerts) == len(closing)
        assert session.finished_verified is not False, at
        assert session.locked is None


def test_secrets_that_come_before_their_records_open_all_of_them_and_teach_all_of_it() -> None:
    for name in ("TLS 1.2 ECDHE", "TLS 1.3"):
        whole = walk(captured(name).frames, captured(name).keylog).session
        way, _ = growing(name, 5)
        assert way.conversations[0].above
        session = way.conversations[0].above.session
        assert session.finished_verified is True
        assert set(session.lines) == set(whole.lines)


# Segments may be cut anywhere, come twice, late and in any order.


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_however_the_streams_are_cut_the_messages_are_the_same(name: str, size: int) -> None:
    capture = captured(name)
    whole = walk(capture.frames, capture.keylog)
    cut = walk(frames(capture.flights, size), capture.keylog)
    assert (cut.messages, cut.above.states, cut.tls) == (whole.messages, whole.above.states, whole.tls)
    assert cut.surprises == []


@settings(max_examples=40)
@given(name=st.sampled_from(WHOLE), ipv6=st.booleans(), size=st.integers(30, 1500), data=st.data())
def test_segments_of_a_flight_may_come_in_any_order_and_twice(
    name: str, ipv6: bool, size: int, data: st.DataObject
) -> None:
    capture = captured(name)
    whole = walk(capture.frames, capture.keylog)
    said: list[str] = []
    flight: list[str] = []
    for line in lines(capture.flights, size):
        if " data " in line:
            flight += [line] * (1 + (data.draw(st.integers(0, 5)) == 0))
            continue
        said += [*data.draw(st.permutations(flight)), line] if len(flight) > 1 else [*flight, line]
        flight = []
    walked = walk(ladder(*said, pair=IPV6 if ipv6 else IPV4), capture.keylog)
    assert sorted(walked.messages) == sorted(whole.messages)
    assert (walked.above.states, walked.tls) == (whole.above.states, whole.tls)
    assert walked.surprises == []


def test_a_first_flight_that_comes_in_the_wrong_order_is_recognised_when_its_beginning_comes() -> None:
    capture = captured("TLS 1.3")
    said = lines(capture.flights, 200)
    first = [at for at, line in enumerate(said) if line.startswith("c> data")][:2]
    said[first[0]], said[first[1]] = said[first[1]], said[first[0]]
    assert walk(ladder(*said), capture.keylog).messages == walk(capture.frames, capture.keylog).messages


# Damage.


@pytest.mark.slow
@settings(max_examples=120)
@given(name=st.sampled_from(list(MADE)), data=st.data())
def test_no_damage_is_ever_raised_nor_breaks_a_promise(name: str, data: st.DataObject) -> None:
    capture = captured(name)
    flights = [(role, bytearray(said)) for role, said in capture.flights]
    for _ in range(data.draw(st.integers(1, 3))):
        said = data.draw(st.sampled_from([said for _, said in flights if said] or [bytearray(1)]))
        at = data.draw(st.integers(0, min(len(said) - 1, data.draw(st.sampled_from([60, 6000])))))
        match data.draw(st.sampled_from(["flip", "cut", "repeat", "insert"])):
            case "flip":
                said[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del said[at : at + data.draw(st.sampled_from([1, 5, 1 << 20]))]
            case "repeat":
                said[at:at] = said[:50]
            case _:
                said[at:at] = data.draw(st.sampled_from([b"\0", bytes(90), bytes.fromhex("160303000463000000")]))
    known = {"keylog": capture.keylog, "server_key": capture.server_key}
    given_ = {what: known[what] for what in data.draw(st.sets(st.sampled_from(sorted(known))))}
    shown(frames([(role, bytes(said)) for role, said in flights]), **given_)


def record(kind: int, payload: bytes) -> bytes:
    """Returns records of at most 16 KiB."""
    cut = [payload[at : at + (1 << 14)] for at in range(0, len(payload), 1 << 14)]
    return b"".join(bytes([kind, 3, 3]) + len(each).to_bytes(2, "big") + each for each in cut)


def hellos() -> tuple[bytes, bytes]:
    """Returns the records of both hellos of a static RSA handshake."""
    capture = captured("TLS 1.2 RSA")
    said = b"".join(each.fragment for each in cut_records("server", capture.flights[1][1]))
    return capture.flights[0][1], record(22, said[: 4 + int.from_bytes(said[1:4], "big")])


def test_a_message_of_16_mib_is_named_and_passed_over_and_nothing_of_it_is_kept() -> None:
    client, server = hellos()
    huge = record(22, b"\x0b\xff\xff\xff" + bytes(0xFFFFFF))
    half = walk(frames([("client", client), ("server", server + huge[: len(huge) // 2])], 60_000))
    assert len(half.session.directions["server"].stream.spans(0, 1 << 30)) <= 1, "of the record that is not yet whole"
    walked = walk(frames([("client", client), ("server", server + huge + record(22, b"\x0e\0\0\0"))], 60_000))
    assert walked.messages == ["c> ClientHello", "s> ServerHello", "s> Certificate", "s> ServerHelloDone"]


@pytest.mark.slow
def test_ever_so_many_tiny_messages_take_no_more_than_their_time() -> None:
    client, server = hellos()

    def taken(count: int) -> float:
        made = frames([("client", client), ("server", server + record(22, b"\x63\0\0\0" * count))], 16_000)
        began = time.process_time()
        assert len(walk(made).messages) > count / 2  # of a packet only so many are told
        return time.process_time() - began

    assert taken(40_000) < 10 * taken(10_000) + 1  # twice as many, four times the time: that would be 16


@pytest.mark.parametrize("der", [b"", b"\x30\x00", bytes(300)])
def test_a_certificate_that_is_none_is_said_to_be_damaged(der: bytes) -> None:
    client, server = hellos()
    text = shown(frames([("client", client), ("server", server + record(22, _certificate(der)))]))
    assert "the first is damaged" in text
    assert "已损坏" in text


def test_a_certificate_of_a_version_that_there_is_not_is_said_to_be_damaged() -> None:
    client, server = hellos()
    der = identity("rsa")[1].replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020107"), 1)
    text = shown(frames([("client", client), ("server", server + record(22, _certificate(der)))]))
    assert "the first is damaged" in text


def _certificate(der: bytes) -> bytes:
    chain = len(der).to_bytes(3, "big") + der
    body = len(chain).to_bytes(3, "big") + chain
    return b"\x0b" + len(body).to_bytes(3, "big") + body


@settings(max_examples=60)
@given(
    first=st.sampled_from([b"\x16", b"\x80", b"\x16\x03", b"\x16\x03\x01\x00\x05\x01", b"\x80\x2e\x01"]),
    rest=st.binary(max_size=80),
    size=st.integers(1, 90),
)
def test_garbage_that_begins_like_tls_is_none(first: bytes, rest: bytes, size: int) -> None:
    made = frames([("client", first + rest), ("server", b"\x16" + rest)], size)
    shown(made)
    walked = walk(made)
    if walked.only.above is not None:
        assert walked.messages or len(first + rest) >= 6, "less than a header and a type prove nothing"


@pytest.mark.parametrize("data", [b"\x16", b"\x80", b"\x16\x03\x01"])
def test_a_byte_or_three_do_not_make_a_connection_tls(data: bytes) -> None:
    assert walk(frames([("client", data)])).only.above is None


# TLS may begin anywhere, on any port.

PLAIN = {
    "STARTTLS": [
        'server: "220 ready\r\n"', 'client: "EHLO lab\r\n"', 'server: "250 STARTTLS\r\n"', 'client: "STARTTLS\r\n"',
        'server: "220 go ahead\r\n"',
    ],
    "CONNECT": ['client: "CONNECT server.example:443 HTTP/1.1\r\n\r\n"', 'server: "HTTP/1.1 200 OK\r\n\r\n"'],
}  # fmt: skip


@pytest.mark.parametrize("name", ["TLS 1.2 RSA", "TLS 1.3"])
@pytest.mark.parametrize("before", PLAIN)
@pytest.mark.parametrize("size", [1, 1460])
def test_tls_behind_plain_text_on_the_same_connection_is_read_as_if_it_stood_alone(
    name: str, before: str, size: int
) -> None:
    capture = captured(name)
    plain = [(line.partition(": ")[0], line.partition(": ")[2].strip('"').encode()) for line in PLAIN[before]]
    flights: list[tuple[Role, bytes]] = [("client" if role == "client" else "server", data) for role, data in plain]
    walked = walk(frames([*flights, *capture.flights], size), capture.keylog)
    alone = walk(capture.frames, capture.keylog)
    assert (walked.messages, walked.above.states, walked.tls) == (alone.messages, alone.above.states, alone.tls)
    assert walked.surprises == []


@pytest.mark.parametrize("port", [1, 25, 443, 39999, 65535])
def test_tls_on_any_port(port: int) -> None:
    capture = captured("TLS 1.3")
    made = frames(capture.flights, pair=IPV4._replace(server_port=port))
    assert walk(made, capture.keylog).surprises == []


# What the capture has not.


@pytest.mark.slow
@every_capture
def test_a_capture_may_begin_anywhere_and_end_anywhere(name: str) -> None:
    capture = captured(name)
    made = capture.frames
    for at in range(0, len(made), 2):
        shown(renumbered(*made[at:]), keylog=capture.keylog)
        walked = walk_all(renumbered(*made[:at])).conversations
        assert len(walked) <= 1


def test_a_capture_that_begins_with_the_server_hello_has_its_messages_but_no_keys() -> None:
    capture = captured("TLS 1.2 RSA")
    made = [frame for frame in capture.frames if frame.number > 4]
    walked = walk(renumbered(*made), capture.keylog, capture.server_key)
    assert walked.messages[:4] == ["s> ServerHello", "s> Certificate", "s> ServerHelloDone", "c> ClientKeyExchange"]
    assert walked.ladder[0] == "SEND_FLIGHT_12 < WAIT_CKE_12: ServerHello Certificate ServerHelloDone"
    assert walked.steps[1] == ((), "not-captured")
    assert walked.surprises == []
    assert not walked.tls["decrypted"]


def test_behind_a_segment_that_was_lost_for_good_nothing_is_read_and_little_is_kept() -> None:
    capture = play(static_rsa, said=bytes(8000))
    more: tuple[Role, bytes] = ("server", record(23, bytes(1 << 14)))
    flights = [*capture.flights, *[more] * 200]
    made = frames(flights, 9000)
    lost = next(frame for frame in made if len(frame.data) > 9000)
    walked = walk(renumbered(*[frame for frame in made if frame.number != lost.number]), capture.keylog)
    assert walked.surprises == []
    for way in walked.session.directions.values():
        assert way.stream.held <= 1 << 20


def test_without_the_clients_key_exchange_in_the_capture_nobody_says_that_the_session_was_resumed() -> None:
    capture = captured("TLS 1.2 ECDHE")
    made = capture.frames
    said = [record for record in walk(made).records if record.messages]
    third = next(record.number for record in said if record.messages[0].said.name == "ClientKeyExchange")
    walked = walk(renumbered(*[frame for frame in made if frame.number != third]))
    assert walked.tls["resumed"] is False


def test_a_handshake_that_nobody_answered_is_tls_all_the_same() -> None:
    capture = captured("TLS 1.3")
    walked = walk(ladder(*OPEN, *lines(capture.flights[:1])[3:4]))
    assert walked.messages == ["c> ClientHello"]
    assert walked.tls["sni"] == "server.example"


# Where data stands in the SYN (TCP Fast Open), and authentication after the handshake.


def test_a_hello_in_the_syn_is_followed_by_all_the_rest() -> None:
    capture = captured("TLS 1.3")
    hello, *rest = capture.flights
    size = len(hello[1])
    said = [f'c> SYN 0 x"{hello[1].hex()}"', f"s> SYN-ACK 0 {1 + size}", f"c> ACK {1 + size} 1"]
    said += lines([hello, *rest], 9000)[len(OPEN) + 2 :]
    walked = walk(ladder(*said), capture.keylog)
    assert walked.messages == walk(frames(capture.flights, 9000), capture.keylog).messages
    assert walked.session.finished_verified is True
    (first,) = (message for message in walked.records[0].messages)
    assert [each.start for each in report.records(walked.above, first.said)] == [1]


def test_a_client_that_is_asked_who_it_is_after_the_handshake_confirms_no_keys_anew(tmp_path: File) -> None:
    made = handshakes.client_certificate()
    made.server.verify_mode = ssl.CERT_OPTIONAL
    made.client.post_handshake_auth = made.server.post_handshake_auth = True
    made.client.keylog_filename = str(tmp_path / "keys")
    into: dict[Role, ssl.MemoryBIO] = {"client": ssl.MemoryBIO(), "server": ssl.MemoryBIO()}
    out: dict[Role, ssl.MemoryBIO] = {"client": ssl.MemoryBIO(), "server": ssl.MemoryBIO()}
    client = made.client.wrap_bio(into["client"], out["client"], False, handshakes.NAME)
    server = made.server.wrap_bio(into["server"], out["server"], True)
    flights: list[tuple[Role, bytes]] = []

    def act(role: Role, what: Callable[[], object]) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            what()
        if data := out[role].read():
            flights.append((role, data))
            into["server" if role == "client" else "client"].write(data)

    for _ in range(2):
        act("client", client.do_handshake)
        act("server", server.do_handshake)
    server.verify_client_post_handshake()
    acts: list[tuple[Role, Callable[[], object]]] = [
        ("server", partial(server.write, b"who are you?")), ("client", client.read), ("server", server.read),
        ("client", partial(client.write, b"me")), ("server", server.read),
    ]  # fmt: skip
    for role, what in acts:
        act(role, what)
    walked = walk(frames(flights, 9000), (tmp_path / "keys").read_bytes())
    assert walked.surprises == []
    assert walked.session.finished_verified is True
    assert walked.session.locked is None
    names = [message.split()[1] for message in walked.messages]
    assert names.index("CertificateRequest") < names.index("CertificateVerify", names.index("CertificateRequest"))
    assert names.count("Finished") == 3
    assert names[-1] == "application-data"
    assert server.getpeercert(True)


def test_what_comes_behind_the_clients_close_notify_surprises_nobody() -> None:
    """A client that closes right behind its request gets tickets and the answer all the same (RFC 9846 section 6.1)."""
    capture = captured("TLS 1.3")
    (asks, first), (answers, second), *rest = capture.flights
    left = [b"".join(data for who, data in rest if who == role) for role in (asks, answers)]
    walked = walk(frames([(asks, first), (answers, second), (asks, left[0]), (answers, left[1])]), capture.keylog)
    assert walked.surprises == []
    assert walked.ladder[-1].startswith("CLOSED < CLOSED: NewSessionTicket")


@pytest.mark.parametrize("alert", ["1503030000", "150303000102"])
def test_a_part_of_an_alert_closes_nothing(alert: str) -> None:
    (asks, hello), *_ = captured("TLS 1.3").flights
    walked = walk(frames([(asks, hello), ("server", bytes.fromhex(alert))]))
    assert walked.ladder[-1].endswith(": alert")
    assert "CLOSED" not in walked.ladder[-1]
