"""Files that are for their owner alone are so from the first moment on."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from lab.errors import MachineError
from lab.system.files import require_writable, to_file

pytestmark = pytest.mark.skipif(os.name == "nt", reason="rights as POSIX has them")


@pytest.fixture(params=[True, False], ids=["nameless", "named"])
def nameless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file can be made without a name, and where it can't, as outside of Linux."""
    if not request.param:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        monkeypatch.setattr(tempfile, "_O_TMPFILE_WORKS", False)


@pytest.mark.parametrize("old", [None, 0o666, 0o600])
def test_what_is_private_is_so_before_it_has_a_byte(nameless: None, tmp_path: Path, old: int | None) -> None:
    path = tmp_path / "key"
    if old is not None:
        path.touch()
        path.chmod(old)
    before = os.umask(0)
    try:
        with to_file(path, private=True) as file:
            modes = [stat.S_IMODE(os.fstat(file.fileno()).st_mode)]
            modes += [stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir() if each != path]
            file.write(b"secret")
    finally:
        os.umask(before)
    assert set(modes) == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_others_are_as_the_umask_says_or_as_the_file_they_replace(nameless: None, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with to_file(tmp_path / "new"):
            pass
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o604)
        with to_file(tmp_path / "old"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_whether_a_file_can_be_written_is_known_before_and_leaves_nothing(nameless: None, tmp_path: Path) -> None:
    require_writable(tmp_path / "new")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "new", tmp_path / "missing" / "new", tmp_path / ("x" * 300)):
        with pytest.raises(MachineError):
            require_writable(place)


def test_only_the_labs_own_folder_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    require_writable(Path("captures/out/a"))
    assert not list(tmp_path.iterdir())
    with to_file(Path("captures/out/a")) as file:
        file.write(b"a")
    assert Path("captures/out/a").read_bytes() == b"a"
    for other in ("captures/in/a", "captures/out/more/a"):
        with pytest.raises(MachineError) as raised:
            require_writable(Path(other))
        assert raised.value.hint.en == f"make it first: mkdir -p {Path(other).parent}"
