"""Where output goes: nothing that is read is written over, and what is secret or another's stays so."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.left_behind import TWO_LINES
from tests.places import PACKAGES, REFERENCES, ROOT

pytestmark = pytest.mark.slow  # a process for each
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives files away, as root can")
NOBODY = 65534


def lab(
    folder: Path, *words: str, stdout: int = subprocess.PIPE, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "lab", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout,
        stderr=subprocess.PIPE, encoding="utf-8", check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": PACKAGES, "LANG": "C.UTF-8", **environment},
    )  # fmt: skip


def says(done: subprocess.CompletedProcess[str], status: int, *words: str) -> bool:
    return done.returncode == status and bool(TWO_LINES["en"].fullmatch(done.stderr)) and all(
        each in done.stderr for each in words
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A capture, other names for it, a key log, and another file."""
    shutil.copy(REFERENCES / "tls-1.3.pcapng", tmp_path / "a.pcapng")
    shutil.copy(REFERENCES / "tcp-connection.pcapng", tmp_path / "b.pcapng")
    (tmp_path / "hard").hardlink_to(tmp_path / "a.pcapng")
    (tmp_path / "soft").symlink_to("a.pcapng")
    (tmp_path / "keys").write_text(f"CLIENT_RANDOM {'00' * 32} {'00' * 48}\n")
    return tmp_path


# What is read is not written over.


@pytest.mark.parametrize("out", ["a.pcapng", "./a.pcapng", "hard", "soft"])
@pytest.mark.parametrize(
    "command",
    [
        "annotate a.pcapng", "annotate soft", "annotate a.pcapng --json", "annotate a.pcapng --format csv",
        "annotate a.pcapng --format pcapng --conversation 0", "annotate a.pcapng --format pcapng --filter port\\ 443",
        "annotate a.pcapng --explain 1", "diff a.pcapng b.pcapng", "diff b.pcapng a.pcapng --json",
    ],
)  # fmt: skip
def test_what_is_read_is_not_replaced(folder: Path, command: str, out: str) -> None:
    before = (folder / "a.pcapng").read_bytes()
    words = [word.replace("\0", " ") for word in command.replace("\\ ", "\0").split()]
    done = lab(folder, *words, "-o", out)
    assert says(done, 2, "can't be read and written at once"), done.stderr
    assert done.stdout == ""
    assert (folder / "a.pcapng").read_bytes() == (folder / "hard").read_bytes() == before
    assert (folder / "soft").is_symlink()


@pytest.mark.parametrize("command", ["annotate a.pcapng", "diff a.pcapng b.pcapng"])
@pytest.mark.parametrize("option", ["--keylog", "--server-key"])
def test_nor_are_secrets(folder: Path, option: str, command: str) -> None:
    before = (folder / "keys").read_bytes()
    done = lab(folder, *command.split(), option, "keys", "-o", "keys")
    assert says(done, 2, "keys can't be read and written at once"), done.stderr
    assert (folder / "keys").read_bytes() == before


@pytest.mark.parametrize("form", ["pcapng", "csv"])
def test_a_capture_is_not_appended_to_itself(folder: Path, form: str) -> None:
    """It would go on until the disk is full: what is written is read again."""
    before = (folder / "a.pcapng").read_bytes()
    with (folder / "a.pcapng").open("ab") as out:
        done = lab(folder, "annotate", "a.pcapng", "--format", form, stdout=out.fileno())
    assert says(done, 2, "can't be read and written at once"), done.stderr
    assert (folder / "a.pcapng").read_bytes() == before


def test_a_pipe_is_not_read_and_written_at_once(folder: Path) -> None:
    """Each would wait for the other for ever."""
    os.mkfifo(folder / "pipe")
    assert says(lab(folder, "annotate", "pipe", "-o", "pipe"), 2, "pipe can't be")


def test_a_damaged_capture_is_not_replaced_by_what_can_be_read_of_it(folder: Path) -> None:
    whole = (folder / "b.pcapng").read_bytes()
    (folder / "b.pcapng").write_bytes(whole[:-5])
    done = lab(folder, "annotate", "b.pcapng", "--format", "pcapng", "-o", "b.pcapng")
    assert says(done, 3, "is damaged", "write to another file"), done.stderr
    assert (folder / "b.pcapng").read_bytes() == whole[:-5]
    assert lab(folder, "annotate", "b.pcapng", "--format", "pcapng", "-o", "c.pcapng").returncode == 0


# The capture of a run.


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("tcp", "--json", "-o", "a.json"), "json goes to standard output: > a.json; the capture: -o a.pcapng"),
        (("run", "tcp/reset", "-o", "a.pcap"), "give it such a name: -o a.pcapng"),
        (("ws", "-o", "no ending"), "give it such a name: -o 'no ending.pcapng'"),
    ],
)
def test_a_capture_is_called_one(tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    done = lab(tmp_path, *words)
    assert says(done, 2, f"-o names the capture, and {words[-1]} does not end in .pcapng"), done.stderr
    assert done.stderr.endswith(f"hint: {hint}\n")
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("tcp", "--testbed", "moon"), ("run", "tcp/no-such"), ("tcp", "--wire", "drop")])
def test_what_is_not_played_makes_no_folder(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert lab(tmp_path, *words).returncode == 2
    assert not list(tmp_path.iterdir())


def test_a_key_of_somebody_is_not_replaced_by_that_of_a_run(namespaces: None, tmp_path: Path) -> None:
    (tmp_path / "server.key").write_text("mine")
    done = lab(tmp_path, "tls", "-o", "server.pcapng")
    assert says(done, 2, "server.key is there"), done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("server.key", "mine")]
    assert lab(tmp_path, "tcp", "-o", "server.pcapng").returncode == 0, "which has none"


def test_a_key_is_for_its_owner_alone_also_where_it_replaces_one(namespaces: None, tmp_path: Path) -> None:
    for _ in range(2):
        done = lab(tmp_path, "tls", "-o", "a.pcapng")
        assert done.returncode == 0, done.stderr
        assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
        (tmp_path / "a.key").chmod(0o644)


RULES = ("--wire", "drop client RST, drop client SYN #1", "--wire", "delay server FIN #2 1s")


@pytest.mark.parametrize("command", [("tcp",), ("run", "tcp/syn-lost")])
def test_a_rule_that_was_never_applied_is_told_at_the_end(
    namespaces: None, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Of those that were asked for; what a scenario has of its own is not the reader's business."""
    done = lab(tmp_path, *command, "--json", *RULES, "--testbed", "netns", "-o", "a.pcapng")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        *(
            f"The rule '{rule}' was never applied: no packet met it, or an earlier rule came first."
            for rule in ("drop client RST", "delay server FIN #2 1000ms")
        ),
        "Saved with its notes: a.pcapng",
    ]
    zh = lab(tmp_path, *command, *RULES, "--testbed", "netns", "-o", "a.pcapng", "--lang", "zh").stdout
    assert "规则“drop client RST”从未生效" in zh


# Under sudo.


@as_root
def test_under_sudo_files_and_folders_belong_to_who_called(namespaces: None, tmp_path: Path) -> None:
    sudo = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY - 1)}
    (tmp_path / "old").write_text("old")
    for words in ("tls", "tcp -o a.pcapng", "notes -o notes", "notes -o old", "annotate a.pcapng --json -o a.json"):
        done = lab(tmp_path, *words.split(), environment=sudo)
        assert done.returncode == 0, done.stderr
    owners = {str(path.relative_to(tmp_path)): path.stat() for path in tmp_path.rglob("*")}
    assert set(owners) == {
        "captures", "captures/out", "captures/out/tls.pcapng", "captures/out/tls.key", "a.pcapng", "notes", "old",
        "a.json",
    }  # fmt: skip
    assert {(each.st_uid, each.st_gid) for each in owners.values()} == {(NOBODY, NOBODY - 1)}


@as_root
def test_what_is_no_sudo_changes_no_owner(tmp_path: Path) -> None:
    (tmp_path / "old").touch(mode=0o640)
    os.chown(tmp_path / "old", NOBODY, NOBODY)
    for sudo in ({"LANG": "C"}, {"SUDO_UID": "x", "SUDO_GID": "0"}, {"SUDO_UID": "-1", "SUDO_GID": "5"}):
        for out in ("old", "new"):
            assert lab(tmp_path, "notes", "-o", out, environment=sudo).returncode == 0
    old, new = (tmp_path / "old").stat(), (tmp_path / "new").stat()
    assert (old.st_uid, stat.S_IMODE(old.st_mode)) == (NOBODY, 0o640), "it keeps its owner, and who may read it"
    assert new.st_uid == os.geteuid()


@as_root
def test_under_sudo_python_leaves_nothing_of_roots_beside_the_sources(tmp_path: Path) -> None:
    """`make` has compiled them: only what is loaded before the lab can say so would be written again."""
    shutil.copytree(ROOT / "lab", tmp_path / "lab", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [sys.executable, "-P", "-m", "lab", "notes"], cwd=tmp_path, stdout=subprocess.DEVNULL, check=True,
        env={**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{PACKAGES}", "SUDO_UID": "1000", "SUDO_GID": "1000"},
    )  # fmt: skip
    written = {path.name.partition(".")[0] + "/" + path.parts[-3] for path in tmp_path.rglob("*.pyc")}
    assert written <= {"__init__/lab", "__init__/app", "__main__/lab", "version/lab"}
