"""A run as pcapng on standard output: while it goes on, whatever becomes of its reader, and the same as in the file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.capture import pcapng
from tests.capture.test_pcapng import FRAMES, blocks, fields, read, write
from tests.left_behind import TWO_LINES, heed_signals
from tests.places import PACKAGES
from tests.tools import complaints

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("namespaces")]
ENVIRONMENT = {**os.environ, "PYTHONPATH": PACKAGES, "LANG": "C.UTF-8"}


def lab(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "lab", *words]


def begun(folder: Path, scenario: str, *words: str) -> subprocess.Popen[bytes]:
    """Begins a run whose capture goes to a pipe and to `file.pcapng`."""
    return subprocess.Popen(
        lab("run", scenario, "--format", "pcapng", "-o", "file.pcapng", *words), cwd=folder, env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals,
    )  # fmt: skip


@pytest.fixture(scope="session")
def streamed(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of TLS 1.3 as it came out of the pipe, beside the file it was saved in."""
    folder = tmp_path_factory.mktemp("streamed")
    with begun(folder, "tls/1.3") as run:
        out, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    (folder / "pipe.pcapng").write_bytes(out)
    return folder / "pipe.pcapng"


def test_what_is_streamed_is_what_is_saved(streamed: Path) -> None:
    assert streamed.read_bytes() == streamed.with_name("file.pcapng").read_bytes()


def test_secrets_come_before_what_they_open_and_not_before_they_are_known(streamed: Path) -> None:
    """The ClientHello is out before there is a secret; the ServerHello is not before the server has told its own."""
    kinds = [kind for kind, _ in blocks(streamed.read_bytes())]
    hello, answer = (
        int(each[0])
        for each in fields(streamed, "frame.number", "tls.handshake.type")
        if each[1].partition("|")[0] in ("1", "2")
    )
    packets = [at for at, kind in enumerate(kinds) if kind == pcapng.ENHANCED_PACKET]
    secrets = kinds.index(pcapng.DECRYPTION_SECRETS)
    assert packets[hello - 1] < secrets < packets[answer - 1]


def test_wireshark_decrypts_along(tshark: str, streamed: Path) -> None:
    """In one pass over a pipe, as when packets come while they happen."""
    asked = "tls.handshake.type", "data.data"
    with subprocess.Popen(("cat", streamed), stdout=subprocess.PIPE) as pipe:
        shown = subprocess.run(
            ["tshark", "-l", "-r", "-", "-T", "fields", *(word for name in asked for word in ("-e", name))],
            stdin=pipe.stdout, capture_output=True, text=True, check=True, timeout=60,
        ).stdout.split()  # fmt: skip
    assert "2,8,11,15,20" in shown, "ServerHello, and what it keeps secret"
    assert b"Hello, server!".hex() in shown


def test_we_read_it_along_as_we_read_the_file(streamed: Path) -> None:
    with streamed.open("rb") as pipe:
        told = [
            subprocess.run(
                lab("annotate", file, "--format", "csv"), env=ENVIRONMENT, check=True, timeout=60, capture_output=True,
                stdin=subprocess.PIPE if file != "-" else None, input=pipe.read() if file == "-" else None,
            ).stdout
            for file in (str(streamed), "-")
        ]  # fmt: skip
    assert told[0] == told[1]
    assert b"Finished" in told[0], "it is decrypted"


def test_no_tool_complains_of_a_live_capture(tshark: str, streamed: Path, tmp_path: Path) -> None:
    assert complaints([streamed], tmp_path) == []


def blocks_so_far(data: bytes) -> list[tuple[int, bytes]]:
    """Returns the blocks that are whole."""
    whole = 0
    while len(data) >= whole + 8 and len(data) >= whole + (
        size := int.from_bytes(data[whole + 4 : whole + 8], "little")
    ):
        whole += size
    return list(blocks(data[:whole]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_ends_its_stream_and_its_file_alike(tmp_path: Path, number: int) -> None:
    """Its first packet is there while it goes on: no SYN ever arrives, which takes long."""
    with begun(tmp_path, "tcp/syn-lost", "--wire", "drop client SYN") as run:
        assert run.stdout is not None
        out = b""
        while pcapng.ENHANCED_PACKET not in dict(blocks_so_far(out)):
            out += os.read(run.stdout.fileno(), 1 << 16)
        run.send_signal(number)
        rest, _ = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    out += rest
    got, capture = read(out)
    assert len(got) >= 1
    assert capture.problems == []
    assert [kind for kind, _ in blocks(out)][-1] == pcapng.INTERFACE_STATISTICS
    assert (tmp_path / "file.pcapng").read_bytes() == out


def test_a_reader_that_goes_away_costs_nothing_of_the_file(tmp_path: Path) -> None:
    with begun(tmp_path, "tls/1.3") as run:
        assert run.stdout is not None
        os.read(run.stdout.fileno(), 1)
        run.stdout.close()
        assert run.wait(60) == 0
    got, capture = read((tmp_path / "file.pcapng").read_bytes())
    assert got[-1].data[47] & 0x10, "the last ACK"
    assert capture.problems == []


@pytest.mark.parametrize("before", [0, 3])
def test_a_disk_that_fills_up_leaves_whole_blocks(tmp_path: Path, before: int) -> None:
    """A limit on the size of files stands for a full disk: the kernel takes a part of the last block, then refuses.

    What is appended to, another capture, stays as it was.
    """
    out, most = tmp_path / "out.pcapng", 9000
    out.write_bytes(write(FRAMES[:before]) if before else b"")
    with out.open("ab" if before else "wb") as stream:
        done = subprocess.run(
            lab("run", "tcp/connection", "--format", "pcapng", "-o", "/dev/null"), cwd=tmp_path, env=ENVIRONMENT,
            stdout=stream, stderr=subprocess.PIPE, check=False, timeout=60, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        )  # fmt: skip
    assert done.returncode == 4
    assert TWO_LINES["en"].search(done.stderr), done.stderr
    assert most - 3000 < out.stat().st_size < most, "all that had room"
    got, capture = read(out.read_bytes())
    assert len(got) > before + 1
    assert capture.problems == []


def test_a_capture_is_not_shown_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    done = subprocess.run(
        lab("run", "tcp/connection", "--format", "pcapng"), cwd=tmp_path, env=ENVIRONMENT, stdout=theirs,
        stderr=subprocess.PIPE, check=False, timeout=60, text=True,
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, bool(TWO_LINES["en"].fullmatch(done.stderr))) == (2, True), done.stderr
    assert not (tmp_path / "captures").exists()
