"""The worked example of the keys: 80 columns in either language, and where there are no keys the reason."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from lab.model import DerivationLine, Frame
from lab.render.keys import worked_examples
from lab.text import LANGUAGES, Lang
from tests.packets import OPEN, TALK, Pair, ladder, renumbered
from tests.packets import walk as took
from tests.protocols.tls.captures import captured, frames, walk

in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)


def example(frames: list[Frame], lang: Lang, keylog: bytes = b"", server_key: bytes = b"") -> str:
    out = io.StringIO()
    worked_examples(took(frames, keylog, server_key).reports, out, lang)
    text = out.getvalue()
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    return text


@in_both_languages
def test_a_capture_without_tls_says_so(lang: Lang) -> None:
    said = {"en": "There is no TLS in this capture.\n", "zh": "此抓包中没有 TLS。\n"}
    assert example([*ladder(*OPEN, *TALK)], lang) == said[lang]
    assert example([], lang) == said[lang]


@in_both_languages
@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "TLS 1.2 RSA",
            {"en": "neither the server's private key nor a key log was given", "zh": "既没有给出服务器私钥"},
        ),
        ("TLS 1.3", {"en": "no key log was given; with TLS 1.3", "zh": "没有给出密钥日志；使用 TLS 1.3 时"}),
    ],
)
def test_tls_without_keys_says_why_there_are_none(name: str, why: dict[Lang, str], lang: Lang) -> None:
    text = example([*captured(name).frames], lang)
    assert why[lang] in text
    assert "1. " not in text


@in_both_languages
def test_tls_1_2_is_worked_out_from_the_servers_key(lang: Lang) -> None:
    capture = captured("TLS 1.2 RSA")
    text = example([*capture.frames], lang, server_key=capture.server_key)
    for part in ("c^d mod n", "pre-master secret", "main secret", "key expansion", "verify_data", "RFC 5246"):
        assert part in text
    assert "{" not in text


@in_both_languages
def test_tls_1_3_is_worked_out_from_the_key_log(lang: Lang) -> None:
    capture = captured("TLS 1.3")
    text = example([*capture.frames], lang, capture.keylog)
    for part in ("key log: SERVER_HANDSHAKE_TRAFFIC_SECRET", "HKDF-Expand-Label", "server verify_data", "RFC 9846"):
        assert part in text


@in_both_languages
@pytest.mark.parametrize("name", ["TLS 1.2 ECDHE", "TLS 1.3"])
def test_the_servers_key_alone_teaches_forward_secrecy(name: str, lang: Lang) -> None:
    capture = captured(name)
    text = example([*capture.frames], lang, server_key=capture.server_key).replace("\n", "")
    assert {"en": "forward secrecy", "zh": "前向保密"}[lang] in text


def test_every_value_that_a_line_uses_is_given_or_was_calculated_before() -> None:
    """As on paper: from the top to the bottom, nothing falls from the sky but what is named as coming from outside."""
    outside = {"c", "n", "client random", "server random"}
    capture = captured("TLS 1.2 RSA")
    lines: tuple[DerivationLine, ...] = walk(capture.frames, server_key=capture.server_key).session.lines
    known: set[str] = set(outside)
    for line in lines:
        for name, _ in line.inputs:
            assert name in known or name.startswith("messages "), (name, line.operation)
        known.add(line.output_name)
    assert len(lines) > 8


@in_both_languages
def test_of_many_connections_the_first_are_worked_out(lang: Lang) -> None:
    capture = captured("TLS 1.2 RSA")
    many = [frame for port in range(30) for frame in frames(capture.flights, pair=Pair(client_port=40000 + port))]
    text = example([*renumbered(*many)], lang, server_key=capture.server_key)
    assert text.count({"en": "The keys of conversation", "zh": "的密钥"}[lang]) >= 20
    assert {"en": "There are more connections, not shown.", "zh": "还有更多连接"}[lang] in text


def test_an_accept_value_is_worked_out_as_text() -> None:
    asked = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    text = example([*ladder(*OPEN, f'c> data 1 1 "{asked}"')], "en")
    assert "The accept value of conversation 0" in text
    assert '"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="' in text  # RFC 6455 section 1.3
    assert "SHA-1(joined)" in text
