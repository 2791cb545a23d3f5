"""A capture that was dropped into a page: the answer is that page, or two lines in both languages, and never an end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.page import dropped
from lab.page.html import written
from lab.page.model import MOST, of_run
from lab.runs.recorded import open_run
from tests.page.conftest import long
from tests.places import REFERENCES

CONNECTION = REFERENCES / "tcp-connection.pcapng"


def answered(capture: Path, folder: Path, name: str = "mine") -> dict[str, Any]:
    dropped.answer(str(capture), name, str(folder / "answer"))
    found: dict[str, Any] = json.loads((folder / "answer").read_text("utf-8"))
    return found


def test_a_capture_is_answered_with_its_page(tmp_path: Path) -> None:
    with open_run(str(CONNECTION), words=True, fields=range(1, MOST + 1)) as run:
        page = json.loads("".join(written(of_run(run))))
    assert answered(CONNECTION, tmp_path) == {"page": page | {"name": "mine"}}


def test_how_far_it_has_come_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    dropped.answer(str(long(tmp_path, 200)), "long", str(tmp_path / "answer"), told.append)
    assert told == [64, 128, 192]


@pytest.mark.parametrize(
    ("data", "en", "zh"),
    [
        (b"", "is empty", "是空的"),
        (b"GET / HTTP/1.1\r\n", "neither a pcap nor a pcapng", "不是 pcap 或 pcapng 文件"),
        (CONNECTION.read_bytes()[:40], "the file ends after packet 0", "在第 0 个数据包之后中断"),
    ],
)
def test_what_is_no_capture_is_told_in_both_languages(data: bytes, en: str, zh: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    found = answered(tmp_path / "file", tmp_path)
    assert list(found) == ["message", "hint"]
    assert en in found["message"]["en"]
    assert zh in found["message"]["zh"]
    assert found["hint"]["en"]
    assert found["hint"]["zh"]


def test_a_page_has_an_end(tmp_path: Path) -> None:
    found = answered(long(tmp_path, MOST + 1), tmp_path)
    assert f"{MOST}" in found["message"]["en"].replace(",", "")


@pytest.mark.parametrize(("error", "told"), [(MemoryError(), "not enough memory"), (ZeroDivisionError("here"), "here")])
def test_a_mistake_of_ours_is_told_too(
    error: Exception, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(dropped, "of_run", fails)
    found = answered(CONNECTION, tmp_path)
    assert told in found["message"]["en"]
    assert "lab annotate" in found["hint"]["en"]


def test_it_is_written_as_a_file_of_its_own(tmp_path: Path) -> None:
    dropped.as_file(str(CONNECTION), "<mine>", str(tmp_path / "page.html"))
    said = (tmp_path / "page.html").read_text("utf-8")
    assert said.startswith("<!DOCTYPE html>")
    assert "<mine>" not in said
