"""Compressed certificates (RFC 8879): opened whatever they were compressed with, and bounded whatever they claim."""

from __future__ import annotations

import builtins
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.capture.pcapng import Writer
from lab.protocols.tls import messages
from lab.protocols.tls.compressed import BROTLI, ZLIB, ZSTD, opened
from lab.protocols.tls.messages import Certificate, CompressedCertificate
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.records import MAX_MESSAGE
from tests.protocols.tls.captures import Capture, Walked, captured, frames, shown, walk
from tests.protocols.tls.forged import handshake, handshake_keys, messages_of, seal

METHODS: dict[int, Callable[[bytes], bytes]] = {ZLIB: zlib.compress, BROTLI: brotli.compress, ZSTD: zstandard.compress}
every_method = pytest.mark.parametrize("method", METHODS)


def compressed(method: int, length: int, data: bytes) -> bytes:
    body = method.to_bytes(2, "big") + length.to_bytes(3, "big") + len(data).to_bytes(3, "big") + data
    return handshake(25, body)


def with_compressed(change: Callable[[bytes], bytes], name: str = "TLS 1.3") -> Capture:
    """Returns a real connection in which the server sends something else instead of its Certificate."""
    capture = captured(name)
    session = walk(capture.frames, capture.keylog).session
    said = [change(each) if each[0] == 11 else each for each in messages_of(session)]
    client, server = (handshake_keys(session, capture.keylog, role) for role in ("client", "server"))
    at = next(at for at, each in enumerate(said) if each[0] == 20)
    said[at] = handshake(20, server.verify_data(b"".join(said[:at])))
    said[-1] = handshake(20, client.verify_data(b"".join(said[:-1])))
    hello = next(each for each in said if each[0] == 2)
    flight = b"\x16\x03\x03" + len(hello).to_bytes(2, "big") + hello
    flight += b"".join(seal(server, number, each) for number, each in enumerate(said[2 : at + 1]))
    flights = [capture.flights[0], ("server", flight), ("client", seal(client, 0, said[-1])), *capture.flights[3:]]
    return Capture([(role, data) for role, data in flights if role in ("client", "server")], capture.keylog, b"")


def walked_with(method: int) -> Walked:
    capture = with_compressed(lambda raw: compressed(method, len(raw) - 4, METHODS[method](raw[4:])))
    return walk(frames(capture.flights, 9000), capture.keylog)


@every_method
def test_the_certificate_is_there_as_if_it_had_not_been_compressed(method: int) -> None:
    plain = walk(captured("TLS 1.3").frames, captured("TLS 1.3").keylog)
    walked = walked_with(method)
    assert walked.tls["certificates"] == plain.tls["certificates"]
    assert walked.tls["certificates"][0]["subject"] == "CN=server.example"
    assert walked.session.finished_verified is True
    assert walked.surprises == []
    assert walked.steps[2] == (walked.steps[2][0], "certificate-encrypted")
    words = [
        each.words for packet in walked.packets for each in packet.messages if each.name == "CompressedCertificate"
    ]
    (said,) = words
    name = {ZLIB: "zlib", BROTLI: "brotli", ZSTD: "zstd"}[method]
    assert f"bytes of {name} instead of" in said.en
    assert said.en.endswith("of CN=server.example, by CN=server.example")
    assert f"以 {name} 压缩" in said.zh


@every_method
@settings(max_examples=20)
@given(body=st.binary(max_size=3000))
def test_what_comes_out_is_what_went_in(method: int, body: bytes) -> None:
    whole = body.ljust(3000, b"\0")
    chain = (len(whole)).to_bytes(3, "big") + whole + b"\0\0"
    message = b"\0" + len(chain).to_bytes(3, "big") + chain
    found = opened(CompressedCertificate(method, len(message), METHODS[method](message), False))
    assert found == Certificate(b"", (whole,), False)


@every_method
def test_a_bomb_is_not_blown_up(method: int) -> None:
    """A few bytes that would become 64 MiB: neither more than was announced comes out, nor is more ever in memory."""
    bomb = METHODS[method](bytes(64 << 20))
    tracemalloc.start()
    for length in (1000, MAX_MESSAGE):
        found = opened(CompressedCertificate(method, length, bomb, False))
        assert isinstance(found, Reason)
        assert found.code == "compression-damaged"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * MAX_MESSAGE
    found = opened(CompressedCertificate(method, (1 << 24) - 1, bomb, False))
    assert isinstance(found, Reason)
    assert found.code == "compression-too-long"


@every_method
def test_a_length_that_is_wrong_a_cut_and_what_stands_behind_are_damage(method: int) -> None:
    body = b"\0\0\0\0" * 50
    data = METHODS[method](body)
    for length, sent in ((len(body) - 1, data), (len(body) + 1, data), (len(body), data[:-1]), (len(body), b"")):
        found = opened(CompressedCertificate(method, length, sent, False))
        assert isinstance(found, Reason), (length, sent)
        assert found.code == "compression-damaged"


@given(method=st.integers(0, 5), length=st.integers(0, (1 << 24) - 1), data=st.binary(max_size=200))
def test_nothing_is_ever_raised(method: int, length: int, data: bytes) -> None:
    found = opened(CompressedCertificate(method, length, data, False))
    assert isinstance(found, (Reason, Certificate))
    raw = handshake(25, data)
    parsed = messages.read(raw, 0x0304, 0x1301)
    assert isinstance(parsed, CompressedCertificate)
    opened(parsed)


def test_what_does_not_open_is_told_in_words_and_there_are_no_certificates() -> None:
    for code, change in {
        "compressed in a way the lab does not know": lambda raw: compressed(9, len(raw) - 4, raw[4:]),
        "does not open to the": lambda raw: compressed(BROTLI, len(raw) - 4, raw[4:]),
    }.items():
        capture = with_compressed(change)
        walked = walk(frames(capture.flights, 9000), capture.keylog)
        assert walked.tls["certificates"] == []
        assert walked.session.finished_verified is True, "the message counts as it was sent"
        told = shown(frames(capture.flights), capture.keylog)
        assert code in " ".join(told.split())


@pytest.mark.parametrize(("method", "library"), [(BROTLI, "brotli"), (ZSTD, "zstandard")])
def test_a_library_that_is_missing_is_said_to_be(method: int, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    really = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name == library:
            raise ImportError(name)
        return really(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    found = opened(CompressedCertificate(method, 77, METHODS[method](bytes(77)), False))
    assert isinstance(found, Reason)
    assert found.code == "compression-library"
    assert {BROTLI: "brotli", ZSTD: "zstd"}[method] in found.text.en


@every_method
def test_tshark_reads_the_same_message(method: int, tshark: str, tmp_path: Path) -> None:
    capture = with_compressed(lambda raw: compressed(method, len(raw) - 4, METHODS[method](raw[4:])))
    made = frames(capture.flights, 9000)
    with (tmp_path / "capture.pcapng").open("wb") as file:
        writer = Writer(file)
        writer.secrets(capture.keylog)
        for frame in made:
            writer.packet(frame, ())
    done = subprocess.run(
        [
            tshark, "-r", "capture.pcapng", "-d", "tcp.port==0-65535,tls", "-T", "fields",
            "-e", "tls.handshake.type", "-e", "tls.compress_certificate.algorithm",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    (line,) = [line for line in done.stdout.splitlines() if "25" in line.split("\t")[0].split(",")]
    kinds, algorithm = line.split("\t")
    assert kinds == "2,8,25,15,20"
    assert algorithm == str(method)
