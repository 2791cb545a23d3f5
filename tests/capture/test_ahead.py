"""TLS secrets anywhere in a pcapng: before the packets, between them, behind them; in a file, and through a pipe."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.capture import pcapng, source
from lab.capture.reader import open_capture
from lab.runs.recorded import open_run
from tests.capture.test_reader import block, enhanced, interface, section
from tests.packets import Pair
from tests.places import ROOT
from tests.protocols.tls.captures import captured, frames

TLS = captured("TLS 1.3")
FIRST = frames(TLS.flights)
SECOND = frames(TLS.flights, pair=Pair(client_port=50_001))
OTHERS = b"CLIENT_RANDOM " + b"11" * 32 + b" " + b"22" * 48 + b"\n"


def secrets(log: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "II", pcapng.TLS_KEY_LOG, len(log))
    return block(pcapng.DECRYPTION_SECRETS, head + log + bytes(-len(log) % 4), order)


def packets(order: str = "<", which: list[Any] = FIRST) -> bytes:
    return b"".join(enhanced(frame.data, order) for frame in which)


def begin(order: str = "<") -> bytes:
    return section(order) + interface(order)


WHERE = {
    "before": begin() + secrets(TLS.keylog) + packets(),
    "behind": begin() + packets() + secrets(TLS.keylog),
    "between": begin() + packets(which=FIRST[:9]) + secrets(TLS.keylog) + packets(which=FIRST[9:]),
    "behind others": begin() + secrets(OTHERS) + packets() + secrets(OTHERS) + secrets(TLS.keylog),
    "in a later section": begin() + packets() + begin(">") + secrets(TLS.keylog, ">"),
    "before a section's end is cut": begin() + packets() + secrets(TLS.keylog) + b"\x06\0\0\0\xff",
}


@pytest.mark.parametrize("where", WHERE)
def test_all_secrets_of_a_file_open_all_of_its_packets(where: str, tmp_path: Path) -> None:
    file = tmp_path / "capture.pcapng"
    for data in (WHERE[where], gzip.compress(WHERE[where])):
        file.write_bytes(data)
        with open_run(str(file), words=True) as run:
            list(run.packets())
            (only,) = run.conversations
            assert only.facts["tls"]["decrypted"] is only.facts["tls"]["finished_verified"] is True
            assert TLS.keylog in run.secrets[0]


def test_what_a_pipe_brings_opens_what_comes_behind_it(tmp_path: Path) -> None:
    late = begin() + packets() + secrets(TLS.keylog) + packets(which=SECOND)
    decrypted = [each["decrypted"] for each in annotated(late, piped=True)]
    assert decrypted == [False, True], "the first went by before"
    assert [each["decrypted"] for each in annotated(late, piped=False, folder=tmp_path)] == [True, True]


def test_of_standard_input_only_what_is_left_of_it_is_read(tmp_path: Path) -> None:
    """Somebody else has read its beginning, as in `(head -c 100 >/dev/null; lab annotate -) < FILE`."""
    file = tmp_path / "two"
    before = begin() + secrets(TLS.keylog) + packets()
    file.write_bytes(before + begin() + packets() + secrets(OTHERS))
    with file.open("rb", buffering=0) as given:
        given.seek(len(before))
        (tls,) = facts(given)
    assert tls["decrypted"] is False, "the secrets before are not its own"


def annotated(capture: bytes, *, piped: bool, folder: Path | None = None) -> list[dict[str, Any]]:
    if piped:
        return facts(None, capture)
    assert folder
    (folder / "capture").write_bytes(capture)
    with (folder / "capture").open("rb") as file:
        return facts(file)


def facts(file: Any, given: bytes | None = None) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "lab", "annotate", "-", "--format", "json"]
    how: dict[str, Any] = {"input": given} if file is None else {"stdin": file}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60, **how)
    return [each["tls"] for each in json.loads(done.stdout)["conversations"]]


def test_the_mark_in_a_payload_is_no_secret(tmp_path: Path) -> None:
    """Bytes of a packet that look like a block of secrets are a packet's."""
    file, forged = tmp_path / "capture.pcapng", secrets(TLS.keylog)
    file.write_bytes(begin() + packets() + enhanced(bytes(14) + forged) + secrets(OTHERS))
    with open_capture(str(file)) as capture:
        assert capture.secrets_ahead() == [OTHERS]
        assert len(list(capture)) == len(FIRST) + 1, "reading ahead leaves the packets where they are"


def test_what_has_none_is_not_gone_through_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "capture.pcapng"
    file.write_bytes(begin() + packets())
    with open_capture(str(file)) as capture:
        monkeypatch.setattr("lab.capture.blocks.frames", lambda *_: pytest.fail("gone through"))
        assert capture.secrets_ahead() == []


def test_a_mark_cut_by_the_window_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "capture.pcapng"
    file.write_bytes(WHERE["behind"])
    for size in range(5, 12):
        monkeypatch.setattr(source, "CHUNK", size)
        with open_capture(str(file)) as capture:
            assert capture.secrets_ahead() == [TLS.keylog]


def test_more_secrets_than_there_is_room_for_are_left_out_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_SECRETS", len(TLS.keylog))
    file = tmp_path / "capture.pcapng"
    file.write_bytes(begin() + secrets(TLS.keylog) + packets() + secrets(OTHERS))
    with open_run(str(file)) as run:
        list(run.packets())
        assert run.secrets[0] == TLS.keylog
        assert ["more secrets than" in problem.text.en for problem in run.problems()] == [True]


def test_secrets_that_are_read_ahead_are_held_once(tmp_path: Path) -> None:
    (file := tmp_path / "behind.pcapng").write_bytes(WHERE["behind others"])
    with open_capture(str(file)) as capture:
        frames_ = iter(capture)
        next(frames_)
        ahead = capture.secrets_ahead()
        assert ahead == [OTHERS, OTHERS, TLS.keylog]
        list(frames_)
        assert [id(each) for each in capture.secrets[1:]] == [id(each) for each in ahead[1:]]
