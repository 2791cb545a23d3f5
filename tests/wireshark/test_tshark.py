"""tshark captures from the lab's interface: it finds it, decrypts as packets come, and shows what goes wrong.

As an ordinary user: run by root, no Wireshark takes programs from a folder that the environment names.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.left_behind import AS_USER, machine, until
from tests.places import PACKAGES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces exist on Linux only")

Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def capture(namespaces: None, user_namespaces: None, tshark: str, nobodys_python: str, theirs: Path) -> Ask:
    """Runs tshark with the lab's interface, and settings of its own."""
    launcher = theirs / "handshake-lab"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(nobodys_python)} -m lab.wireshark.extcap "$@"\n')
    launcher.chmod(0o755)
    environ = {
        **os.environ, "HOME": str(theirs), "WIRESHARK_EXTCAP_DIR": str(theirs), "PYTHONPATH": PACKAGES,
        "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", "TMPDIR": str(theirs),
    }  # fmt: skip

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*AS_USER, tshark, *words], cwd=theirs, env=environ, capture_output=True, encoding="utf-8", timeout=100,
            check=False,
        )  # fmt: skip

    return ask


def test_it_is_listed_with_the_interfaces(capture: Ask) -> None:
    done = capture("-D")
    assert "handshake-lab (Handshake lab)" in done.stdout, done.stderr


def test_packets_come_decrypted_and_with_their_notes(capture: Ask) -> None:
    before = machine()
    done = capture(
        "-i", "handshake-lab", "-o", "extcap.handshake_lab.scenario:tls/1.3", "-o", "extcap.handshake_lab.pace:0.01",
        "-l", "-N", "m", "-T", "fields", "-e", "frame.number", "-e", "tls.handshake.type", "-e", "frame.comment",
        "-e", "tls.app_data", "-E", "occurrence=a",
    )  # fmt: skip
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [int(row[0]) for row in rows] == [*range(1, len(rows) + 1)], done.stderr
    assert rows[0][2].startswith("[lab] open 1: The client asks for a connection: SYN. Held: client SYN-SENT")
    assert [row[1] for row in rows if row[1]] == ["1", "2,8,11,15,20", "20"], "the server's flight is opened"
    assert until(lambda: machine() == before)


def test_it_can_be_meant_by_its_name_and_ended_early(capture: Ask) -> None:
    done = capture("-i", "Handshake lab", "-c", "2", "-l")
    assert len(done.stdout.splitlines()) == 2, done.stderr
    assert "[SYN, ACK]" in done.stdout.splitlines()[1]


def test_what_goes_wrong_is_shown(capture: Ask) -> None:
    done = capture("-i", "handshake-lab", "-o", "extcap.handshake_lab.scenario:tcp/conection")
    assert "error: there is no scenario 'tcp/conection'\nhint: did you mean tcp/connection?" in done.stderr
