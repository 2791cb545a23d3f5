"""`lab wireshark` opens captures and scenarios with the profile and the fields, leaves nothing behind, ends cleanly.

tshark stands in for the window, by Wireshark's name: it understands the same command line and shows what it was given.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.left_behind import heed_signals, until
from tests.places import PACKAGES, REFERENCES

pytestmark = pytest.mark.slow  # a process for each

PATIENCE = 120.0  # seconds for what takes one
WINDOW = """#!/bin/sh
# -k, to begin at once, is the window's alone.
for word; do shift; [ "$word" = -k ] || set -- "$@" "$word"; done
echo "$WIRESHARK_CONFIG_DIR" >settings
echo $$ >process
exec {tshark} {more} "$@" >shown
"""


@pytest.fixture
def home(tmp_path: Path, tshark: str) -> Path:
    window(tmp_path, tshark)
    return tmp_path


def window(home: Path, tshark: str, more: str = "-n -l") -> None:
    (home / "bin").mkdir(exist_ok=True)
    program = home / "bin/wireshark"
    program.write_text(WINDOW.format(tshark=tshark, more=more))
    program.chmod(0o755)


def begun(home: Path, *words: str, stdin: IO[bytes] | int | None = None, **more: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SUDO_", "WIRESHARK_"))}
    (home / "tmp").mkdir(exist_ok=True)
    environ |= {"HOME": str(home), "TMPDIR": str(home / "tmp"), "DISPLAY": ":none", "LC_ALL": "C.UTF-8"}
    environ |= {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": PACKAGES, **more}
    command = [sys.executable, "-P", "-m", "lab", "wireshark", *words]
    return subprocess.Popen(
        command,
        env=environ,
        cwd=home,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=heed_signals,
    )


def lab(home: Path, *words: str, stdin: IO[bytes] | int | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    with begun(home, *words, stdin=stdin, **more) as run:
        said = run.communicate(timeout=PATIENCE)
    nothing_is_left(home)
    return subprocess.CompletedProcess(words, run.returncode, *said)


def nothing_is_left(home: Path) -> None:
    assert list((home / "tmp").iterdir()) == [], "its settings are gone"
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == [], "nothing in one's own folders"


def shown(home: Path) -> list[str]:
    file = home / "shown"
    return file.read_text("utf-8").splitlines() if file.exists() else []


def test_a_capture_is_opened_with_the_profile(home: Path) -> None:
    done = lab(home, str(REFERENCES / "tls-1.2-rsa.pcapng"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(shown(home)) == 17
    assert "[lab] open 1: The client asks for a connection: SYN." in shown(home)[0]
    assert (home / "settings").read_text().startswith(str(home / "tmp"))


def test_a_capture_from_elsewhere_gets_its_notes_first(home: Path) -> None:
    bare = home / "bare.pcap"
    command = ["editcap", "-F", "pcap", str(REFERENCES / "tcp-connection.pcapng"), str(bare)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    before = bare.read_bytes()
    assert lab(home, "bare.pcap", "--lang", "zh").returncode == 0
    assert "[实验] 握手 1：" in shown(home)[0]
    assert bare.read_bytes() == before


def test_a_capture_on_standard_input_gets_its_notes_on_the_way(home: Path) -> None:
    with (REFERENCES / "tls-1.2-rsa.pcapng").open("rb") as capture:
        done = lab(home, "-", stdin=capture)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(shown(home)) == 17
    assert "[lab] open 1: The client asks for a connection: SYN." in shown(home)[0]


def test_packets_on_standard_input_are_there_when_they_come_and_a_closed_window_ends_it(home: Path) -> None:
    reads, writes = os.pipe()
    with begun(home, "-", stdin=reads) as run:
        os.close(reads)
        os.write(writes, (REFERENCES / "tcp-connection.pcapng").read_bytes())  # and nobody closes it
        assert until(lambda: run.poll() is not None or len(shown(home)) > 0, PATIENCE)
        os.kill(int((home / "process").read_text()), signal.SIGTERM)
        assert until(lambda: run.poll() is not None, PATIENCE)
        os.close(writes)
        assert (run.returncode, run.communicate()) == (0, ("", ""))
    nothing_is_left(home)


@pytest.mark.parametrize("given", [b"", b"no capture"])
def test_what_is_no_capture_on_standard_input_opens_no_window(home: Path, given: bytes, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(given)
    with (tmp_path / "given").open("rb") as stdin:
        done = lab(home, "-", stdin=stdin)
    assert done.returncode == 3
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert not (home / "shown").exists()


@pytest.mark.parametrize(
    ("words", "status"),
    [(("nowhere.pcapng",), 3), (("tcp/nothing",), 2), (("bin",), 3), (("shown-not",), 2), (("--zip", "x.tar"), 2)],
)
def test_what_is_not_there_is_said_in_two_lines(home: Path, words: tuple[str, ...], status: int) -> None:
    done = lab(home, *words)
    assert done.returncode == status
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert not (home / "shown").exists()


def test_without_wireshark_or_a_screen_it_says_so(home: Path) -> None:
    capture = str(REFERENCES / "tcp-connection.pcapng")
    for more in ({"PATH": str(home)}, {"DISPLAY": "", "WAYLAND_DISPLAY": ""}):
        done = lab(home, capture, stdin=None, **more)
        assert done.returncode == 4, more
        assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_a_window_that_fails_is_told_of(home: Path) -> None:
    (home / "bin/wireshark").write_text("#!/bin/sh\necho 'could not connect to display' >&2\nexit 1\n")
    done = lab(home, str(REFERENCES / "tcp-connection.pcapng"))
    assert done.returncode == 4
    assert done.stderr.startswith("error: Wireshark has ended: could not connect to display\nhint: ")


def test_a_window_that_does_not_close_holds_nobody_up(home: Path) -> None:
    (home / "bin/wireshark").write_text("#!/bin/sh\ntrap '' TERM\necho $$ >process\nexec sleep 600 >shown\n")
    with begun(home, str(REFERENCES / "tcp-connection.pcapng")) as run:
        assert until(lambda: run.poll() is not None or (home / "shown").exists(), PATIENCE)
        window = int((home / "process").read_text())
        run.send_signal(signal.SIGINT)
        try:
            assert run.wait(20) == 128 + signal.SIGINT
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(window, signal.SIGKILL)
    nothing_is_left(home)


def test_a_scenario_comes_through_a_pipe(namespaces: None, home: Path) -> None:
    done = lab(home, "tcp/three-segment-close")
    assert done.returncode == 0, done.stderr
    assert len(shown(home)) == 10
    assert "[lab] open 1: The client asks for a connection: SYN." in shown(home)[0]
    assert (home / "captures/out/tcp-three-segment-close.pcapng").is_file()


def test_it_is_decrypted_as_it_comes(namespaces: None, home: Path, tshark: str) -> None:
    window(home, tshark, "-n -l -T fields -e tls.handshake.type")
    assert lab(home, "tls/1.3").returncode == 0
    assert [each for each in shown(home) if each] == ["1", "2,8,11,15,20", "20"], "the server's flight is opened"


def test_packets_are_there_while_they_happen(namespaces: None, home: Path) -> None:
    """No SYN ever arrives, which takes long: what is shown meanwhile came at once."""
    with begun(home, "tcp/syn-lost", "--wire", "drop client SYN") as run:
        assert until(lambda: run.poll() is not None or len(shown(home)) > 0, PATIENCE)
        assert run.poll() is None, run.communicate()
        assert "[SYN]" in shown(home)[0]
        run.send_signal(signal.SIGINT)
        assert run.wait(PATIENCE) == 128 + signal.SIGINT
    nothing_is_left(home)
    assert (home / "captures/out/tcp-syn-lost.pcapng").is_file()


def test_wireshark_closed_while_packets_come_is_a_clean_end(namespaces: None, home: Path, tshark: str) -> None:
    window(home, tshark, "-n -l -c 1")
    done = lab(home, "tcp/connection")
    assert (done.returncode, len(shown(home))) == (0, 1)
    assert (home / "captures/out/tcp-connection.pcapng").is_file(), "the scenario was played to its end, and saved"
