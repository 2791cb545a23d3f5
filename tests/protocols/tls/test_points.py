"""What a capture of TLS is about is pointed out where it happens, and only where it shows."""

from __future__ import annotations

from typing import Any

import pytest

from lab.model import Packet
from lab.protocols.tls.hello import ClientHello
from lab.protocols.tls.points import _certificate, _matches
from lab.protocols.tls.report import steps, summary
from lab.runs.recorded import open_run
from lab.text import Text
from tests.places import ROOT
from tests.protocols.tls.captures import captured, frames, walk


def recorded(name: str) -> list[Packet]:
    with open_run(str(ROOT / f"captures/tls-{name}.pcapng"), words=True) as run:
        return list(run.packets())


def pointed_out(packets: list[Packet]) -> dict[int, list[str]]:
    """Returns the sentences by the number of their packet; all of them are there in Chinese too."""
    assert all(text.zh and text.zh != text.en for packet in packets for text in packet.points)
    return {packet.number: [text.en for text in packet.points] for packet in packets if packet.points}


HOST = "server.example, 192.0.2.3, 2001:db8::3"
RESUMES = "The server resumes that session: no certificate comes, for both ends have its secret"
OFFERS = "The client offers to resume an earlier session: "
REJECTS = "What it rejects: a certificate for {}, valid from 2026-09-24 to {}, issued by CN={}"
SUITE = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1.2-rsa", {}),
        ("1.3", {}),
        ("mutual", {}),
        ("1.3-hello-retry", {}),
        ("1.2-resumption", {21: [OFFERS + "a ticket, in session_ticket"], 23: [RESUMES]}),
        ("1.2-resumption-id", {21: [OFFERS + "its session ID"], 23: [RESUMES]}),
        ("1.3-resumption", {21: [OFFERS + "a pre-shared key, as a rule a ticket"], 23: [RESUMES]}),
        ("expired", {
            6: ["The certificate has expired: valid from 2026-09-24 to 2026-11-22, and this packet is of 2026-11-23"],
            8: [REJECTS.format(HOST, "2026-11-22", "Handshake Lab CA")],
        }),
        ("unknown-ca", {
            8: [REJECTS.format(HOST, "2026-12-23", "Somebody Else's CA")],
        }),
        ("wrong-host", {
            6: ["The certificate is for other.example; the client has asked for server.example"],
            8: [REJECTS.format("other.example", "2026-12-23", "Handshake Lab CA")],
        }),
        ("no-shared-cipher", {
            6: [f"What it refuses: TLS 1.2 with {SUITE}. What it would have taken, the alert does not say"],
        }),
        ("version-refused", {
            6: [f"What it refuses: TLS 1.2 with {SUITE}. What it would have taken, the alert does not say"],
        }),
        ("truncated", {
            12: ["No close_notify of the server before its FIN: whether that was all, TLS can't tell (truncation)"],
        }),
    ],
)  # fmt: skip
def test_the_point_of_a_capture_is_told_where_it_happens(name: str, expected: dict[int, list[str]]) -> None:
    assert pointed_out(recorded(name)) == expected


def test_a_key_agreed_elsewhere_is_not_taken_for_an_earlier_session() -> None:
    capture = captured("TLS 1.3 resumed")
    (_, first), *rest = capture.flights
    hello = walk(capture.frames).session.shake.client_hello
    assert isinstance(hello, ClientHello)
    identity = hello.psk_identities[0]
    at = first.index(identity) + len(identity)
    for age, offered, taken, code in (
        (b"\0\0\0\1", OFFERS + "a pre-shared key, as a rule a ticket", RESUMES, "resumed"),
        (bytes(4), "obfuscated_ticket_age is 0: it looks like an external one", "takes a pre-shared", "shared-before"),
    ):
        walked = walk(frames([("client", first[:at] + age + first[at + 4 :]), *rest]))
        (asked,), (answered,) = list(pointed_out(walked.packets).values())[:2]
        assert (offered in asked, taken in answered) == (True, True)
        assert steps(walked.above)[1].code == code
        assert summary(walked.above)["resumed"]
    headless = walk(capture.frames[:3] + capture.frames[4:])
    assert steps(headless.above)[1].code == "shared-before", "nobody knows where the hello was not captured"


def test_without_keys_nobody_knows_whether_there_was_a_close_notify() -> None:
    for name in ("truncated", "1.3"):
        seen = [packet.frame for packet in recorded(name) if packet.frame is not None]
        bare = walk([frame._replace(comments=()) for frame in seen])
        assert not any("close_notify" in text for said in pointed_out(bare.packets).values() for text in said)


def test_a_connection_that_goes_on_is_not_cut_short() -> None:
    capture = captured("TLS 1.3")
    found = pointed_out(walk(frames(capture.flights), capture.keylog).packets)
    assert not any("close_notify" in text for said in found.values() for text in said)


@pytest.mark.parametrize(
    ("name", "asked", "same"),
    [
        ("a.example", "a.example", True), ("a.example", "b.example", False), ("*.example", "a.example", True),
        ("*.example", "a.b.example", False), ("*.example", "example", False), ("*.example", ".example", False),
        ("example", "a.example", False), ("192.0.2.1", "a.example", False), ("a*.example", "ab.example", False),
    ],
)  # fmt: skip
def test_a_star_is_one_label(name: str, asked: str, same: bool) -> None:
    assert _matches(name, asked) is same


VALID = {
    "not_before": "2026-01-02T00:00:00Z", "not_after": "2026-03-01T00:00:00Z", "alternative_names": ["A.example"],
}  # fmt: skip
NEW_YEAR = 1_767_225_600_000_000_000  # 2026-01-01


@pytest.mark.parametrize(
    ("time", "asked", "said"),
    [
        (None, None, ""), (NEW_YEAR + 86_400 * 10**9 * 20, None, ""),
        (NEW_YEAR, None, "not valid yet: from 2026-01-02"),
        (NEW_YEAR * 2, None, "expired"), (None, "a.example", ""), (None, "A.EXAMPLE.", ""),
        (None, "b.example", "is for A.example; the client has asked for b.example"),
    ],
)  # fmt: skip
def test_a_certificate_is_judged_by_its_packets_time_and_by_what_was_asked_for(
    time: int | None, asked: str | None, said: str
) -> None:
    found: list[Text] = list(_certificate(VALID, time, asked))
    assert len(found) == bool(said)
    assert said in "".join(text.en for text in found)


def test_a_damaged_certificate_is_not_judged() -> None:
    unknown: dict[str, Any] = {"not_before": None, "not_after": None, "alternative_names": []}
    assert list(_certificate(unknown, NEW_YEAR, "a.example")) == []


def test_of_many_names_the_first_are_listed() -> None:
    many = VALID | {"alternative_names": [f"n{at}.example" for at in range(9)]}
    (said,) = _certificate(many, None, "a.example")
    assert "n5.example and 3 more;" in said.en
    assert "n5.example等 9 个" in said.zh.replace(" ", "").replace("等9个", "等 9 个")
