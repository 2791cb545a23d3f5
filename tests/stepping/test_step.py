"""`lab step` as it is called: a scenario or a capture, by a script, by lines; what can't be is said in two lines."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lab
from lab.report.predictions import read
from tests.places import REFERENCES, ROOT

CAPTURE = str(REFERENCES / "tcp-connection.pcapng")


def step(*words: str, lines: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", "step", *words],
        input=lines, capture_output=True, text=True, encoding="utf-8", cwd=cwd, timeout=60,
        env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "", "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip


def test_a_capture_is_walked_by_lines_of_standard_input() -> None:
    done = step(CAPTURE, "--lang", "zh", lines="until FIN\nshow\nquit\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "挥手 1：客户端" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["客户端: FIN-WAIT-1", "服务器: ESTABLISHED"]


def test_with_json_each_line_is_an_event_or_a_view() -> None:
    done = step(CAPTURE, "--json", lines="step\nshow kernel\nshow score\ndrop\n")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[0]["event"] == "begun"
    assert [sorted(each)[0] for each in told if "event" not in each] == ["answer", "said", "error"]
    assert {"said": {"en": "0 of 0 right", "zh": "0 次预测，0 次正确"}} in told
    assert done.returncode == 0, "nobody said that the lines are a script"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["tcp/conection"], 2, "there is no scenario 'tcp/conection'"),
        (["none.pcapng"], 3, "none.pcapng"),
        ([CAPTURE, "--script", "none"], 3, "none can't be read"),
        ([CAPTURE, "--script", "-"], 2, "-, line 2: 'untl FIN', column 1: there is no command 'untl'"),
    ],
)
def test_what_can_not_be_is_said_in_two_lines(words: list[str], status: int, message: str) -> None:
    done = step(*words, "--lang", "en", lines="step\nuntl FIN\n")
    assert done.returncode == status, done.stderr
    error, hint = done.stderr.splitlines()
    assert message in error
    assert hint.startswith("hint: ")


def test_a_script_plays_real_hosts_and_fails_where_a_command_is_refused(namespaces: None, tmp_path: Path) -> None:
    script, file = tmp_path / "script", tmp_path / "run.pcapng"
    script.write_text("# lose the SYN\ndrop\nuntil FIN\nedit window=70000\n", encoding="utf-8")
    done = step("tcp/connection", "--script", str(script), "-o", str(file), "--lang", "en")
    assert done.returncode == 1
    assert "window=70000: refused: Window 70000 is out of range; it holds 0 to 65535" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Saved with its notes: {file}"
    assert file.exists()


def test_a_copy_that_is_saved_on_the_way_takes_nothing_from_where_the_capture_goes(
    namespaces: None, tmp_path: Path
) -> None:
    file, folder, copies = tmp_path / "run.pcapng", tmp_path / "folder", [tmp_path / "a.pcapng", tmp_path / "b.pcapng"]
    words = ["assign", "tcp-close", "-o", str(folder)]
    subprocess.run([sys.executable, "-m", "lab", *words], cwd=ROOT, capture_output=True, timeout=60, check=True)
    for what, place, copy in (
        (("tcp/connection", "-o", str(file)), file, copies[0]),
        (("--variant", str(folder)), folder / "capture.pcapng", copies[1]),
    ):
        done = step(*what, "--testbed", "netns", "--lang", "en", lines=f"step\nsave {copy}\ncontinue\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"saved: {copy}" in done.stdout
        assert done.stdout.splitlines()[-1].endswith(str(place))
        with lab.open(copy) as before, lab.open(place) as whole:
            assert 1 <= len(list(before)) < len(list(whole))


def test_what_was_predicted_over_a_capture_is_saved_in_a_copy_and_counts_for_no_marks(tmp_path: Path) -> None:
    file = tmp_path / "again.pcapng"
    lines = f"save\npredict server SYN-ACK\nstep\nsave {file}\nquit\n"
    done = step(CAPTURE, "--lang", "en", lines=lines)
    assert (done.returncode, done.stderr) == (0, "")
    assert "there is nothing to save" in done.stdout
    assert f"saved: {file}" in done.stdout
    with lab.open(CAPTURE) as before, lab.open(file) as after:
        frames = [(one.frame, other.frame) for one, other in zip(before, after, strict=True)]
    added = [set(other.comments) - set(one.comments) for one, other in frames if one is not None and other is not None]
    assert all(one is not None and other is not None and one.data == other.data for one, other in frames)
    (said,) = added[0]
    assert said.startswith("lab-recorded-prediction1 ")
    assert json.loads(said.partition(" ")[2])["said"] == "server SYN-ACK"
    assert read(said) is None
    assert not any(added[1:])


def test_a_copy_is_called_after_its_capture_and_never_takes_its_place(tmp_path: Path) -> None:
    whole = (REFERENCES / "tls-1.3.pcapng").read_bytes()
    (tmp_path / "tls-1.3.pcapng").write_bytes(whole)
    (tmp_path / "tls-1.2.pcapng.gz").write_bytes(gzip.compress(whole))
    for name, copy in (
        ("tls-1.3.pcapng", "tls-1.3-predicted.pcapng"),
        ("tls-1.2.pcapng.gz", "tls-1.2-predicted.pcapng"),
    ):
        said = step(name, "--lang", "en", lines=f"predict RST\nsave ./{name[:14]}\nsave\n", cwd=tmp_path).stdout
        assert said.splitlines()[-1] == f"saved: captures/out/{copy}"
        assert (f"{name} can't be read and written at once" in said) == (name == name[:14])
    assert (tmp_path / "tls-1.3.pcapng").read_bytes() == whole


def test_a_slow_run_plays_by_itself_and_folds_what_only_the_pace_has_caused(namespaces: None, tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    done = subprocess.run(
        [sys.executable, "-m", "lab", "run", "tcp/simultaneous-open", "--slow", "100ms", "-o", file, "--lang", "en"],
        capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "close 4   ✓" in done.stdout
    assert "states are as told here" in done.stdout
    with lab.open(file) as run:
        times = [packet.time for packet in run if packet.time is not None]
    assert times[-1] - times[0] > 8 * 100_000_000, "each has waited"


@pytest.mark.parametrize(("slow", "status"), [("2", 2), ("11s", 2), ("soon", 2)])
def test_what_is_no_pace_is_refused(slow: str, status: int) -> None:
    command = [sys.executable, "-m", "lab", "run", "tcp/connection", "--slow", slow, "--lang", "en"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == status
    assert f"--slow can't be '{slow}'" in done.stderr
