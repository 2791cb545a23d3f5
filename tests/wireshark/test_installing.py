"""What is installed is told, found by Wireshark, and taken out again exactly; what is its owner's stays."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import MachineError
from lab.wireshark import installing, profile
from lab.wireshark.installing import CHANGED, NOT_OURS, YOURS, File, Places
from tests.left_behind import AS_USER
from tests.packets import ladder
from tests.places import PACKAGES
from tests.wireshark.test_fields import saved

OLD = """\
Temp:\t/tmp
Personal configuration:\t/h/.config/wireshark
Personal Lua Plugins:\t/h/.local/lib/wireshark/plugins
"""
NEW = OLD + "Personal Extcap path:\t/h/.local/lib/wireshark/extcap\n"


@pytest.fixture
def where(tmp_path: Path) -> Places:
    home = tmp_path / "home"
    home.mkdir()
    return Places(home / "config/wireshark", home / "lib/plugins", home / "lib/extcap")


def everything(where: Places) -> dict[Path, File]:
    return installing.wanted(where, "en", installing.launcher(False, "/opt/a b/python"))


def there(where: Places) -> set[Path]:
    home = where.settings.parent.parent
    return {path.relative_to(home) for path in home.rglob("*")}


def test_folders_are_where_each_version_says() -> None:
    old, new = installing.places(OLD), installing.places(NEW)
    assert old == Places(
        Path("/h/.config/wireshark"), Path("/h/.local/lib/wireshark/plugins"), Path("/h/.config/wireshark/extcap")
    )
    assert new == old._replace(extcap=Path("/h/.local/lib/wireshark/extcap"))
    assert installing.places("nothing") is None
    windows = installing.places(
        "Personal configuration:\tC:\\Users\\x\\Wireshark\n",
        lambda path: path.replace("C:\\", "/mnt/c/").replace("\\", "/"),
    )
    assert windows == Places(Path("/mnt/c/Users/x/Wireshark"), None, Path("/mnt/c/Users/x/Wireshark/extcap"))


def test_all_is_written_and_exactly_that_taken_out(where: Places) -> None:
    where.settings.mkdir(parents=True)
    (where.settings / "preferences").write_text("mine")
    before = there(where)
    report = installing.install(where, everything(where))
    assert set(report.done) == set(everything(where))
    assert report.kept == []
    assert (where.scripts or Path()).joinpath(profile.SCRIPT.name).read_bytes() == profile.SCRIPT.read_bytes()
    launcher = where.extcap / "handshake-lab"
    assert launcher.read_text() == "#!/bin/sh\nexec '/opt/a b/python' -I -m lab.wireshark.extcap \"$@\"\n"
    assert launcher.stat().st_mode & stat.S_IXUSR
    assert installing.install(where, everything(where)).kept == [], "once more changes nothing"
    (where.settings / "profiles" / profile.NAME / "recent").write_text("as Wireshark leaves it")
    assert installing.install(where, everything(where)).kept == []
    gone = installing.uninstall(where)
    assert set(gone.done) == set(report.done)
    assert gone.kept == []
    assert there(where) == before
    assert not installing.is_installed(where)


def test_a_profile_of_that_name_that_is_ones_own_is_kept(where: Places) -> None:
    folder = where.settings / "profiles" / profile.NAME
    folder.mkdir(parents=True)
    (folder / "preferences").write_text("mine")
    before = there(where)
    report = installing.install(where, everything(where))
    assert report.kept == [(folder, YOURS)]
    assert report.done == [(where.scripts or Path()) / profile.SCRIPT.name, where.extcap / "handshake-lab"]
    installing.uninstall(where)
    assert there(where) == before
    assert (folder / "preferences").read_text() == "mine"


def test_what_was_changed_is_neither_overwritten_nor_taken_out(where: Places) -> None:
    installing.install(where, everything(where))
    folder = where.settings / "profiles" / profile.NAME
    changed = folder / "preferences"
    changed.write_text("mine now")
    assert installing.install(where, everything(where)).kept == [(changed, CHANGED)]
    (folder / "hosts").write_text("192.0.2.2 client")
    report = installing.uninstall(where)
    assert report.kept == [(changed, CHANGED)]
    assert {path.name for path in folder.iterdir()} == {"preferences", "hosts"}


def test_a_folder_with_something_else_in_it_stays_and_that_is_said(where: Places) -> None:
    installing.install(where, everything(where))
    folder = where.settings / "profiles" / profile.NAME
    (folder / "hosts").write_text("192.0.2.2 client")
    report = installing.uninstall(where)
    assert (folder, NOT_OURS) in report.kept
    assert [path.name for path in folder.iterdir()] == ["hosts"]


def test_a_link_is_not_followed(where: Places, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    where.extcap.mkdir(parents=True)
    link = where.extcap / "handshake-lab"
    link.symlink_to(precious)
    assert (link, YOURS) in installing.install(where, everything(where)).kept
    installing.uninstall(where)
    assert link.is_symlink()
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 1, "folders": []}', '{"files": {"/x": 1}}', "[" * 100_000])
def test_a_manifest_that_is_damaged_says_nothing(where: Places, text: str) -> None:
    where.settings.mkdir(parents=True)
    (where.settings / "handshake-lab.json").write_text(text)
    report = installing.uninstall(where)
    assert (report.done, report.kept) == ([], [])


def test_what_was_interrupted_can_be_taken_out(where: Places) -> None:
    where.extcap.parent.mkdir(parents=True)
    where.extcap.write_text("no folder")
    with pytest.raises(MachineError):
        installing.install(where, everything(where))
    report = installing.uninstall(where)
    assert report.kept == []
    assert there(where) == {Path("lib"), Path("lib/extcap")}


def test_a_folder_that_can_not_even_be_looked_for_is_said(where: Places) -> None:
    unusable = where._replace(settings=where.settings / ("x" * 300))
    with pytest.raises(MachineError, match="can't be written"):
        installing.install(unusable, everything(unusable))
    with pytest.raises(MachineError, match="can't be written"):
        installing.uninstall(unusable)
    assert not installing.is_installed(unusable)


def test_a_launcher_for_windows_is_a_batch_file() -> None:
    name, file = installing.launcher(True, r"C:\lab\python.exe")
    assert name == "handshake-lab.bat"
    assert file.content == b'@echo off\r\n"C:\\lab\\python.exe" -I -m lab.wireshark.extcap %*\r\n'


def lab(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SUDO_", "WIRESHARK_", "XDG_"))
    }
    environ |= {"HOME": str(home), "PYTHONPATH": PACKAGES, "LC_ALL": "C.UTF-8", **more}
    command = [sys.executable, "-P", "-m", "lab", "wireshark", *words]
    return subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True, timeout=120, check=False)


def test_wireshark_itself_finds_what_was_installed(tshark: str, theirs: Path) -> None:
    """Profile and fields, with nothing said on the command line but the profile's name."""
    before = sorted(theirs.rglob("*"))
    done = lab(theirs, "--install")
    assert (done.returncode, done.stderr) == (0, "")
    told = [Path(line.removeprefix("wrote ")) for line in done.stdout.splitlines()]
    assert all(path.is_file() and theirs in path.parents for path in told)
    capture = saved(
        [ladder("c> SYN 0")[0]._replace(comments=('lab1 {"told":{"fate":"lost"}}',))], theirs / "one.pcapng"
    )
    command = [*AS_USER, tshark, "-C", profile.NAME, "-r", str(capture), "-T", "fields", "-e", "lab.fate"]
    seen = subprocess.run(
        command, env={**os.environ, "HOME": str(theirs)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (seen.stdout, seen.stderr) == ("lost\n", "")
    capture.unlink()
    gone = lab(theirs, "--uninstall", LC_ALL="zh_CN.UTF-8")
    assert [Path(line.removeprefix("已移除 ")) for line in gone.stdout.splitlines()] == told
    assert sorted(theirs.rglob("*")) == before
    again = lab(theirs, "--uninstall")
    assert (again.returncode, again.stdout) == (0, "nothing of the lab is in Wireshark's folders\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="sudo makes root of its caller")
def test_with_sudo_nothing_is_written(tshark: str, tmp_path: Path) -> None:
    done = lab(tmp_path, "--install", SUDO_UID="1000", SUDO_GID="1000")
    assert done.returncode == 4
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert list(tmp_path.iterdir()) == []


def test_the_archive_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    assert lab(tmp_path, "--zip", "lab.zip").returncode == 0
    assert (tmp_path / "lab.zip").read_bytes() == profile.archive("en")
    assert lab(tmp_path, "--zip", "lab.tar").returncode == 2
    assert lab(tmp_path, "--print-dir").stdout.strip() == str(profile.FOLDER)
