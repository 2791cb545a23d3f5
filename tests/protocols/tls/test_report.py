"""What became of a TLS connection: steps with their packets, how they differ, the summary, words for each message."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.model import Role
from lab.protocols.notes import notes
from lab.protocols.tls import report
from lab.render.table import csv_rows
from lab.text import LANGUAGES
from tests.packets import renumbered
from tests.protocols.tls.captures import MADE, captured, frames, play, shown, walk
from tests.protocols.tls.handshakes import ecdhe, static_rsa
from tests.protocols.tls.hex import extension, vector
from tests.protocols.tls.openssl import recorded
from tests.protocols.tls.test_openssl import RETRY

every_capture = pytest.mark.parametrize("name", MADE)

PLAIN = [None] * 6
ECDHE = [None, None, "key-agreement", "key-agreement", None, None]
RESUMED_12 = [None, "resumed", "resumed", "resumed", "server-finishes-first", None]
TLS13 = [None, "certificate-encrypted", "key-share", "key-share", "server-finishes-first", None]
CODES = {
    "TLS 1.2 RSA": PLAIN,
    "TLS 1.2 RSA, CBC": PLAIN,
    "TLS 1.2 ECDHE": ECDHE,
    "TLS 1.2 ALPN": ECDHE,
    "TLS 1.2 client certificate": ECDHE,
    "TLS 1.2 resumed": RESUMED_12,
    "TLS 1.2 resumed by session id": RESUMED_12,
    "TLS 1.2 untrusted": [None, None, *["failed"] * 4],
    "TLS 1.2 no client certificate": [*ECDHE[:5], "failed"],
    "TLS 1.3": TLS13,
    "TLS 1.3 ALPN": TLS13,
    "TLS 1.3 hello retry": ["hello-retry", *TLS13[1:]],
    "TLS 1.3 client certificate": TLS13,
    "TLS 1.3 resumed": [None, "resumed", *TLS13[2:]],
    "TLS 1.3 untrusted": [*TLS13[:5], "failed"],
    "TLS 1.3 no client certificate": TLS13,
    "no version in common": [None, *["failed"] * 5],
}
# Which of the messages' packets a step was seen in, counted from 0.
SEEN = {
    "TLS 1.2 RSA": [(0,), (1,), (2,), (2,), (2, 3), (3, 4, 5)],
    "TLS 1.2 resumed": [(0,), (1,), (), (), (1, 2), (2, 3, 4)],
    "TLS 1.3": [(0,), (1,), (), (), (1, 2), (2, 4, 5)],
    "TLS 1.3 hello retry": [(0, 2), (3,), (), (), (3, 4), (4, 6, 7)],
    "no version in common": [(0,), (), (), (), (), ()],
}


@every_capture
def test_each_step_tells_how_it_differs_from_the_notes(name: str) -> None:
    capture = captured(name)
    steps = walk(capture.frames, capture.keylog, capture.server_key).steps
    assert [code for _, code in steps.values()] == CODES[name]


def test_where_a_pre_shared_key_is_all_there_is_no_key_shares_are_said_to_take_the_place_of_anything() -> None:
    capture = recorded("pre-shared key alone")
    walked = walk(capture.frames, capture.keylog)
    assert [code for _, code in walked.steps.values()] == [
        None, "shared-before", *["pre-shared-key-alone"] * 2, "server-finishes-first", None
    ]  # fmt: skip
    assert (walked.tls["key_exchange"], walked.tls["group"], walked.tls["finished_verified"]) == ("PSK", None, True)


def test_a_hello_retry_request_is_told_by_what_it_asks_for_and_whether_there_is_an_answer() -> None:
    capture = captured("TLS 1.3 hello retry")
    cookie = extension(43, b"\x03\x04") + extension(44, vector(2, b"cookie"))
    retry = b"\x02" + vector(3, b"\x03\x03", RETRY, b"\0\x13\x01\0", vector(2, cookie))
    alone: tuple[Role, bytes] = ("server", b"\x16\x03\x03" + vector(2, retry))
    for flights, told, code in (
        (capture.flights, "asks for a key share of secp384r1", "hello-retry"),
        (capture.flights[:2], "asks for a key share of secp384r1", "hello-retry-unanswered"),
        ([capture.flights[0], alone], "asks for the ClientHello again, with its cookie", "hello-retry-unanswered"),
    ):
        walked = walk(frames(flights))
        said = [each.said for record in walked.records for each in record.messages]
        assert report.words(walked.above, next(each for each in said if each.name == "HelloRetryRequest")).en == told
        assert next(iter(walked.steps.values()))[1] == code


UNSIGNED = [None, "no-certificate", "unsigned-key-agreement", "unsigned-key-agreement", None, None]


@pytest.mark.parametrize(
    ("name", "steps", "told"),
    [
        ("ECDH_anon", UNSIGNED, "its half of x25519, not signed"),
        ("DH_anon", UNSIGNED, "its half of DH_anon, not signed"),
        (
            "PSK with a hint",
            [None, "no-certificate", "pre-shared-key", "pre-shared-key", None, None],
            "a hint which key to use",
        ),
    ],
)
def test_where_nothing_is_signed_nothing_is_said_to_be_nor_a_certificate_sent(
    name: str, steps: list[str | None], told: str
) -> None:
    capture = recorded(name)
    walked = walk(capture.frames, capture.keylog)
    assert [code for _, code in walked.steps.values()] == steps
    said = [each.said for record in walked.records for each in record.messages]
    assert report.words(walked.above, next(each for each in said if each.name == "ServerKeyExchange")).en == told
    assert "which only signs" not in shown(capture.frames, capture.keylog)


def test_a_resumed_connection_names_the_key_exchange_of_its_group() -> None:
    capture = recorded("resumed, ffdhe2048")
    tls = walk(capture.frames, capture.keylog).tls
    assert (tls["resumed"], tls["group"], tls["key_exchange"]) == (True, "ffdhe2048", "PSK_DHE")


@pytest.mark.parametrize("name", SEEN)
def test_each_step_has_the_packets_it_was_seen_in(name: str) -> None:
    capture = captured(name)
    walked = walk(capture.frames, capture.keylog)
    carriers = [record.number for record in walked.records if record.messages]
    assert [packets for packets, _ in walked.steps.values()] == [
        tuple(carriers[at] for at in seen) for seen in SEEN[name]
    ]


def test_without_keys_what_was_not_seen_is_said_to_be_encrypted_or_not_decrypted() -> None:
    assert [code for _, code in walk(captured("TLS 1.3").frames).steps.values()] == [
        *TLS13[:4],
        "by-length",
        None,
    ]
    assert walk(captured("TLS 1.2 RSA").frames).steps[4][1] == "not-decrypted"
    another = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for keylog, server_key in ((captured("TLS 1.2 ECDHE").keylog, b""), (b"", another), (b"", b"no key")):
        assert walk(captured("TLS 1.2 RSA").frames, keylog, server_key).steps[4][1] == "does-not-open"


def test_bytes_that_are_missing_in_the_capture_are_said_to_be() -> None:
    for name, seen in (("TLS 1.2 RSA", "ServerHello"), ("TLS 1.3", "ServerHello")):
        made = frames(captured(name).flights, 600)
        whole = walk(made).records
        gone = next(record.number for record in whole if any(each.said.name == seen for each in record.messages))
        walked = walk(renumbered(*[frame for frame in made if frame.number != gone]))
        codes = [code for _, code in walked.steps.values()][1:]
        behind = (
            ["not-decrypted", None, None] if name == "TLS 1.2 RSA" else ["key-share", "bytes-missing", "bytes-missing"]
        )
        assert codes == ["bytes-missing", "key-share" if name == "TLS 1.3" else None, *behind]


def test_an_end_that_goes_on_with_what_is_no_tls_is_said_to() -> None:
    capture = captured("TLS 1.2 RSA")
    walked = walk(frames([*capture.flights[:2], ("client", b"this is no record")]))
    assert [code for _, code in walked.steps.values()] == [None, None, *["unreadable"] * 4]


def test_a_capture_that_begins_behind_the_client_hello_blames_the_capture() -> None:
    capture = captured("TLS 1.3")
    walked = walk(renumbered(*[frame for frame in capture.frames if frame.number > 4]), capture.keylog)
    assert [code for _, code in walked.steps.values()] == ["not-captured", *TLS13[1:4], "by-length", None]


def given(function: Any) -> set[str]:
    """Returns the codes that a function of the report can return."""
    tree = ast.parse(inspect.getsource(function))
    return {
        each.value
        for returned in ast.walk(tree)
        if isinstance(returned, ast.Return) and returned.value
        for each in _results(returned.value)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def _results(value: ast.expr) -> list[ast.expr]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]


def test_every_code_that_can_be_given_has_a_note_and_every_note_is_a_code_that_can_be_given() -> None:
    codes = given(report._differs) | given(report._why_unseen)
    assert codes == set(notes("tls").differs)
    assert all(text.pick(lang) for text in notes("tls").differs.values() for lang in LANGUAGES)


# Records.


@pytest.mark.parametrize("mss", [3, 100, 1460])
@every_capture
def test_every_byte_is_in_a_record_that_is_told_of_once_with_its_header(name: str, mss: int) -> None:
    """The keys make no difference: what can't be opened is told of by its record."""
    capture = captured(name)
    for keylog in (capture.keylog, b""):
        made = frames(capture.flights, mss)
        data = {frame.number: frame.data for frame in made}
        walked = walk(made, keylog)
        for role in ("client", "server"):
            stream = capture.stream(role)
            said = [
                message.said
                for record in walked.records
                for message in record.messages
                if record.end and record.end.role == role
            ]
            told = [each for one in said for each in report.records(walked.above, one)]
            assert [0, *(each.end - 1 for each in told)] == [*(each.start - 1 for each in told), len(stream)]
            for start, end, spans, fields, _ in told:
                places = [(span.number, at) for span in spans for at in range(span.start, span.end)]
                assert bytes(data[number][at] for number, at in places) == stream[start - 1 : end - 1]
                by_name = {field.name.rpartition("_")[2]: field for field in fields[:4]}
                head = stream[start - 1 : start + 4]
                assert by_name["length"].value == str(int.from_bytes(head[3:5], "big")) == str(end - start - 5)
                assert by_name["type"].value.split()[0] == str(head[0])
                assert [(each.start, each.end) for each in fields[:4]] == [(0, end - start), (0, 1), (1, 3), (3, 5)]


@every_capture
def test_every_byte_of_a_record_that_was_opened_has_its_part(name: str) -> None:
    capture = captured(name)
    walked = walk(frames(capture.flights), capture.keylog)
    opened = 0
    nonces: dict[str, set[int]] = {}
    for record in walked.records:
        for message in record.messages:
            for carrier in report.records(walked.above, message.said):
                inside = [each for each in carrier.fields if each.depth == 2]
                if message.said.raw == b"" or not inside:
                    assert not inside
                    assert not carrier.plain
                    continue
                opened += 1
                *parts, last = inside
                sent = [each for each in parts if each.start < each.end]
                assert [each.start for each in sent] == [5, *(each.end for each in sent[:-1])]
                assert sent[-1].end == carrier.end - carrier.start
                (content,) = (each for each in sent if each.name == "content")
                assert content.end - content.start == len(carrier.plain)
                assert carrier.plain[:16].hex(" ") == content.value.removesuffix(" …")
                assert (last.name, last.start) == ("sequence number", last.end)
                if walked.tls["version"] == "TLS 1.3":  # RFC 9846 section 5.3: the number is mixed into the IV
                    (nonce,) = (each for each in parts if each.name == "nonce")
                    mixed = int(nonce.value.replace(" ", ""), 16) ^ int(last.value)
                    assert record.end is not None
                    nonces.setdefault(record.end.role, set()).add(mixed)
    assert opened or not walked.tls["decrypted"]
    assert all(len(ivs) <= 3 for ivs in nonces.values()), "handshake, application, after a KeyUpdate"


def test_what_could_not_be_opened_shows_its_header_alone() -> None:
    walked = walk(captured("TLS 1.3").frames)
    closed = [message.said for record in walked.records for message in record.messages if message.said.closed]
    carrier = report.records(walked.above, closed[0])[0]
    assert not carrier.plain
    assert [each.name for each in carrier.fields][1:] == ["opaque_type", "legacy_record_version", "length"]


# The trace's object.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TLS 1.2 RSA", {"version": "TLS 1.2", "key_exchange": "RSA", "group": None, "resumed": False}),
        ("TLS 1.2 RSA, CBC", {"cipher_suite": "TLS_RSA_WITH_AES_128_CBC_SHA256", "finished_verified": True}),
        ("TLS 1.2 ECDHE", {"key_exchange": "ECDHE_RSA", "decrypted": True}),
        ("TLS 1.2 ALPN", {"alpn": "http/1.1"}),
        ("TLS 1.2 client certificate", {"client_certificate": True}),
        ("TLS 1.2 no client certificate", {"client_certificate": False}),
        ("TLS 1.2 resumed", {"resumed": True, "certificates": []}),
        ("TLS 1.3", {"version": "TLS 1.3", "key_exchange": "ECDHE", "finished_verified": True}),
        ("TLS 1.3 ALPN", {"alpn": "http/1.1", "sni": "server.example"}),
        ("TLS 1.3 hello retry", {"hello_retry": True, "group": "secp384r1"}),
        ("TLS 1.3 client certificate", {"client_certificate": True}),
        ("TLS 1.3 resumed", {"resumed": True, "key_exchange": "PSK_ECDHE"}),
        ("TLS 1.3 untrusted", {"alerts": [{"from": "client", "level": "fatal", "description": "unknown_ca"}]}),
        ("no version in common", {"version": None, "cipher_suite": None, "certificates": []}),
    ],
)
def test_the_summary_says_what_was_agreed(name: str, expected: dict[str, object]) -> None:
    capture = captured(name)
    tls = walk(capture.frames, capture.keylog).tls
    assert {key: tls[key] for key in expected} == expected


# Words. What a stranger wrote steers no terminal.

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\u200f\u2066x\r\nfake: line\u200b"


def steering(text: str) -> set[str]:
    """Returns what could steer a terminal or turn the direction of writing."""
    return set(text) & set(HOSTILE) - set("0;ownd[2Jx\nfake: li]")


def test_nothing_that_was_decrypted_steers_a_terminal() -> None:
    for hostile in HOSTILE:
        capture = play(ecdhe, said=f"GET /{hostile}fake: line HTTP/1.1".encode())
        text = shown(capture.frames, capture.keylog)
        assert "decrypted: " in text
        assert steering(text) == set()
        assert "\nfake: line" not in text


def test_the_csv_has_nothing_that_a_stranger_wrote() -> None:
    capture = play(ecdhe, said=f"GET /{HOSTILE}".encode())
    rows = "".join(csv_rows(walk(capture.frames, capture.keylog).records))
    assert "application-data" in rows
    assert steering(rows) == set()
    assert "GET" not in rows
    assert "server.example" not in rows


def test_nothing_in_a_name_that_is_asked_for_steers_a_terminal() -> None:
    capture = captured("TLS 1.3 ALPN")
    hello = capture.flights[0][1]
    for name in (b"server.example", b"http/1.1"):
        for hostile in (b"\x1b[2J", b"\r\n", "\u202e".encode(), b"\xff\x00\\"):
            spoilt = hello.replace(name, (hostile * 9)[: len(name)])
            assert steering(shown(frames([("client", spoilt)]))) == set()


def test_nothing_in_a_certificate_steers_a_terminal() -> None:
    capture = captured("TLS 1.2 RSA")
    spoilt = capture.flights[1][1].replace(b"server.example", HOSTILE.encode()[:14])
    assert spoilt != capture.flights[1][1]
    text = shown(frames([capture.flights[0], ("server", spoilt)]))
    assert steering(text) == set()


def test_data_is_shown_where_it_is_text_and_counted_where_it_is_not() -> None:
    for said, shown_as in (
        (b"GET / HTTP/1.1\r\n\r\n", '"GET / HTTP/1.1····"'),
        ("你好，世界".encode() * 20, '"你好，世界'),
        (bytes(range(128, 256)) * 8, "1024 bytes, decrypted"),
        (b"\0" * 30, "30 bytes, decrypted"),
    ):
        capture = play(static_rsa, said=said)
        assert shown_as in shown(capture.frames, server_key=capture.server_key)


def test_a_record_without_a_byte_of_data_is_not_called_encrypted() -> None:
    """Some send an empty record first, as RFC 5246 section 6.2.1 allows."""
    walked = walk(captured("TLS 1.2 RSA").frames, captured("TLS 1.2 RSA").keylog)
    told = [each.said for record in walked.records for each in record.messages]
    data = next(each for each in told if each.name == "application-data")
    assert report.words(walked.above, data._replace(raw=b"")).en == "0 bytes, decrypted"


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [
        ("TLS 1.2 RSA", {"lifetime": 7200}, "for resuming within 7200 s"),
        ("TLS 1.2 RSA", {"lifetime": 0}, "for resuming, for how long it does not say"),
        ("TLS 1.2 RSA", {"ticket": b""}, "no ticket after all"),
        ("TLS 1.3", {"lifetime": 7200}, "for resuming within 7200 s"),
        ("TLS 1.3", {"lifetime": 0}, "to be discarded at once"),
    ],
)
def test_a_ticket_is_told_by_what_its_lifetime_means(name: str, changed: dict[str, Any], told: str) -> None:
    walked = walk(captured(name).frames, captured(name).keylog)
    said = [each.said for record in walked.records for each in record.messages]
    ticket = next(each for each in said if each.name == "NewSessionTicket")
    assert report.words(walked.above, ticket._replace(parsed=ticket.parsed._replace(**changed))).en == told
