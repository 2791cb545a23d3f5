"""The way of an assignment, as it is called: a key, a folder for each student, a capture of one's own, the check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT


def lab(*words: str, status: int = 0) -> str:
    """Returns what a command writes."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_class_gets_folders_and_a_student_plays_and_checks_one(namespaces: None, tmp_path: Path) -> None:
    key, folder = tmp_path / "course.key", tmp_path / "class" / "s1"
    assert "lab assign NAME" in lab("assign", "--new-key", str(key), "--lang", "en")
    (tmp_path / "class.csv").write_text("student,name\ns1,A\n张三,B\n", "utf-8")
    given = ("assign", "tcp-close", "--roster", str(tmp_path / "class.csv"), "--key", str(key))
    assert "2 folders made" in lab(*given, "-o", str(tmp_path / "class"), "--lang", "en")
    assert "新建 0 个文件夹" in lab(*given, "-o", str(tmp_path / "class"), "--lang", "zh")
    secret = key.read_text().split()[-1]
    assert not any(secret in each.read_text("utf-8") for each in (tmp_path / "class").rglob("*.*"))

    assert "capture.pcapng        is not there" in lab("check", str(folder), "--lang", "en", status=1)
    said = lab("run", "--variant", str(folder), "--lang", "en")
    assert "Saved: " in said
    assert "ESTABLISHED" not in said
    played = (folder / "capture.pcapng").read_bytes()
    assert "answers may be about it" in lab("run", "--variant", str(folder), "--lang", "en", status=2)
    assert (folder / "capture.pcapng").read_bytes() == played
    sheet = (folder / "answers.toml").read_text("utf-8").replace('who-first = ""', 'who-first = "client"')
    (folder / "answers.toml").write_text(sheet, "utf-8")
    assert "可以提交" in lab("check", str(folder), "--lang", "zh")
    (tmp_path / "class" / "张三" / "capture.pcapng").write_bytes(played)
    assert "the client does not say" in lab("check", str(tmp_path / "class" / "张三"), "--lang", "en", status=1)
    lab("run", "--variant", str(folder), "--again")
    assert (folder / "capture.pcapng").read_bytes() != played


def test_what_is_not_there_is_told_with_its_folder_as_it_was_given(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("docs")):  # the latter's letters may be in any word
        en, zh = ("".join(lab("check", str(folder), "--lang", lang, status=1).split()) for lang in ("en", "zh"))
        assert f"thereisnofileanswers.tomlin{folder}✗" in en
        assert f"{folder}/variant.tomlcan'tberead" in en
        assert f"{folder}中没有文件answers.toml" in zh


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("assign", "tcp-close", "--student", "s1"), 2, "what to assign and where to"),
        (("assign", "tcp-close", "--roster", "x.csv", "-o", "x"), 2, "a roster takes a key"),
        (("assign", "tcp-close", "--student", "s1", "--key", "/dev/null", "-o", "x"), 3, "no course key"),
        (("run", "--variant", "/nowhere"), 3, "variant.toml can't be read"),
        (("run", "tcp/reset", "--variant", "/nowhere"), 2, "--variant goes with"),
        (("run", "tcp/reset", "--again"), 2, "--again goes with --variant"),
        (("run",), 2, "the scenario to run is not said"),
        (("check", "/nowhere"), 3, "there is no folder /nowhere"),
    ],
)
def test_what_can_not_be_done_is_said_in_two_lines(words: tuple[str, ...], status: int, said: str) -> None:
    lines = lab(*words, "--lang", "en", status=status).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert said in lines[0]
    assert not (ROOT / "x").exists()
