"""Compressed captures are read like others: from files and pipes, in several pieces, damaged, and where they lie."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import lzma
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lab.capture import compressed
from lab.capture.compressed import DamagedError, Unfolded, kind_of
from lab.capture.reader import open_capture
from lab.witnesses import question, wireshark
from scripts import generate
from tests.references import FOLDER
from tests.runs import read

FOLD: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
PLAIN = (FOLDER / "tls-1.3.pcapng").read_bytes()
COUNT = 30_000  # packets: several blocks of bzip2
every_kind = pytest.mark.parametrize("kind", FOLD)


def unfolded(kind: str, data: bytes, begin: int = 8, bite: int = 1000) -> bytes:
    pieces = iter([data[at : at + bite] for at in range(begin, len(data), bite)])
    file = Unfolded(kind, data[:begin], lambda: next(pieces, b""))
    return b"".join(iter(lambda: file.read(4096), b""))


@every_kind
def test_the_same_packets_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(FOLD[kind](PLAIN))
    with open_capture(str(FOLDER / "tls-1.3.pcapng")) as plain, open_capture(str(path), digest=True) as capture:
        assert list(capture) == list(plain)
        assert (capture.problems, capture.secrets) == ([], plain.secrets)
        assert capture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest(), "of the file as it is"
        assert capture.size == capture.position == path.stat().st_size


@every_kind
def test_it_may_be_in_many_small_members_with_zeros_between_and_empty_ones(kind: str) -> None:
    text = bytes(range(256)) * 12
    members = [FOLD[kind](text[at : at + 3]) for at in range(0, len(text), 3)]
    file = (FOLD[kind](b"") + bytes(5)).join(members) + bytes(5000)
    for bite in (1, 700, 1 << 20):
        assert unfolded(kind, file, bite=bite) == text


@every_kind
def test_members_with_nothing_in_them_come_to_an_end(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "MOST_EMPTY", 50)
    empty = FOLD[kind](b"")
    assert unfolded(kind, empty * 50 + FOLD[kind](PLAIN)) == PLAIN
    with pytest.raises(DamagedError, match="empty members only"):
        unfolded(kind, empty * 60 + FOLD[kind](PLAIN))


def skipped(size: int, magic: int = 0x50) -> bytes:
    """Returns a frame of other data (RFC 8878 section 3.1.2)."""
    return bytes((magic, 0x2A, 0x4D, 0x18)) + size.to_bytes(4, "little") + b"\xa5" * size


@pytest.mark.parametrize("kind", ["zstd", "lz4"])
def test_frames_of_other_data_are_skipped(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "MOST_EMPTY", 20)
    half = len(PLAIN) // 2
    file = skipped(4) + skipped(0, 0x5F) + FOLD[kind](PLAIN[:half]) + skipped(3000) + FOLD[kind](PLAIN[half:])
    for bite in (1, 700, 1 << 20):
        assert unfolded(kind_of(file[:8]) or "", file + skipped(9), bite=bite) == PLAIN
    with pytest.raises(DamagedError, match="too early"):
        unfolded("zstd", file + skipped(9)[:-1])
    with pytest.raises(DamagedError, match="too early"):
        unfolded("zstd", file + skipped(9)[:5])
    with pytest.raises(DamagedError, match="something else"):
        unfolded("zstd", skipped(9) + PLAIN)
    with pytest.raises(DamagedError, match="empty members only"):
        unfolded("zstd", skipped(0) * 21 + file)


def test_of_others_such_a_frame_is_no_part() -> None:
    with pytest.raises(DamagedError, match="something else"):
        unfolded("gzip", FOLD["gzip"](PLAIN) + skipped(4))


@pytest.mark.parametrize("bite", [1 << 12, 1 << 20])
@every_kind
def test_of_a_file_of_small_members_little_is_fed_at_a_time(
    kind: str, bite: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fed and not used is copied for each member: with all of a piece at once this takes minutes."""
    fed: list[int] = []
    make = compressed._UNFOLDERS[kind]

    class Counting:
        def __init__(self) -> None:
            self.inner = make()

        def decompress(self, data: bytes, size: int) -> bytes:
            fed.append(len(data))
            return bytes(self.inner.decompress(data, size))

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

    monkeypatch.setitem(compressed._UNFOLDERS, kind, Counting)
    file = FOLD[kind](b"a") * 5000
    assert unfolded(kind, file, bite=bite) == b"a" * 5000
    assert sum(fed) < 5000 * 2048


@pytest.mark.slow
@every_kind
def test_it_is_read_from_a_pipe(kind: str) -> None:
    command = [sys.executable, "-m", "lab", "annotate", "-", "--format", "csv"]
    said = subprocess.run(command, input=FOLD[kind](PLAIN), capture_output=True, check=True, timeout=60)
    plain = subprocess.run(command, input=PLAIN, capture_output=True, check=True, timeout=60)
    assert said.stdout == plain.stdout
    assert said.stderr == b""


@pytest.mark.parametrize("kind", ["gzip", "zstd", "lz4"])
def test_wireshark_reads_the_same(kind: str, tshark: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(FOLD[kind](PLAIN))
    assert wireshark.compare(read(path).packets, question.ask(path)) == []


@every_kind
def test_several_streams_are_one_and_zeros_fill_up(kind: str) -> None:
    parts = [PLAIN[:5000], b"", PLAIN[5000:]]
    assert unfolded(kind, b"".join(map(FOLD[kind], parts)) + bytes(600)) == PLAIN


@pytest.mark.slow
@every_kind
def test_what_is_cut_gives_what_was_read_and_says_so(kind: str, tmp_path: Path) -> None:
    large = tmp_path / "large.pcap"
    generate.write(COUNT, large)
    whole = FOLD[kind](large.read_bytes())
    path = tmp_path / "capture"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with open_capture(str(path)) as capture:
        count = sum(1 for _ in capture)
        assert 0 < count < COUNT
        assert "compressed data" in capture.problems[-1].text.en


@every_kind
def test_what_stands_behind_is_told(kind: str) -> None:
    with pytest.raises(DamagedError, match="something else"):
        unfolded(kind, FOLD[kind](PLAIN) + b"not compressed at all")


@every_kind
@given(data=st.data())
def test_a_spoilt_stream_never_falls_over(kind: str, data: st.DataObject) -> None:
    spoilt = bytearray(FOLD[kind](PLAIN[:3000]))
    for _ in range(data.draw(st.integers(1, 5))):
        spoilt[data.draw(st.integers(8, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DamagedError):
        unfolded(kind, bytes(spoilt[: data.draw(st.integers(8, len(spoilt)))]))


@pytest.mark.parametrize("kind", ["bzip2", "xz", "zstd"])
def test_a_bomb_is_given_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "FREE", 1 << 22)
    monkeypatch.setattr(compressed, "MOST_TIMES", 500)
    bomb = FOLD[kind](bytes(1 << 25))
    with pytest.raises(DamagedError, match="times their size"):
        unfolded(kind, bomb)


@pytest.mark.slow
@every_kind
def test_a_bomb_takes_no_memory(kind: str, tmp_path: Path) -> None:
    head = PLAIN[:4] and bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
    path = tmp_path / "bomb"
    path.write_bytes(FOLD[kind](head + bytes.fromhex("00000000 00000000 ffff0300 ffff0300") + bytes(300 << 20)))
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({200 << 20}, {resource.RLIM_INFINITY}))"
    read = f"from lab.capture.reader import open_capture; c = open_capture({str(path)!r}); print(next(iter(c)).length)"
    done = subprocess.run([sys.executable, "-c", f"{limit}; {read}"], capture_output=True, text=True, timeout=60)
    assert done.stdout == "262143\n", done.stderr


def test_a_stream_that_asks_for_much_memory_is_refused() -> None:
    big = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=True)
    ).compressobj()
    with pytest.raises(DamagedError):
        unfolded("zstd", big.compress(PLAIN) + big.flush())


@pytest.mark.parametrize("begin", [b"", b"\x1f", b"\n\r\r\n", b"PK\x03\x04"])
def test_what_is_not_compressed_is_not_taken_for_it(begin: bytes) -> None:
    assert kind_of(begin) is None
