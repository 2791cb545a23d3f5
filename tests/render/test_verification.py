"""How it looks what the witnesses say: the same table, on a terminal of any width and where there is none."""

from __future__ import annotations

import io
import os

import pytest

import lab
from lab.render.verification import draw
from lab.render.words import cells
from lab.report.expectations import Outcome
from lab.report.witnesses import Disagreement, Row, Verification
from lab.text import Lang
from tests.places import REFERENCES

OUTCOMES = (
    Outcome("close=rst", "close", holds=False, found=((0, "fin"),), asked=1),
    Outcome("RST=0", "RST", holds=True),
)


@pytest.fixture(scope="module")
def found() -> Verification:
    """What is said of a reference capture, and one difference more of each kind."""
    of = lab.verify(lab.open(REFERENCES / "tcp-old-timestamp.pcapng", words=False))
    rows = (*of.rows, Row("wireshark", "analysis", None, 1013, {20: 2, 9: 11}, 1))
    more = (
        Disagreement(9, "wireshark", "duplicate-ack", "no", "yes", 20),
        Disagreement(10, "wireshark", "seq", "1", "5", None),
    )
    return of._replace(rows=rows, disagreements=(*of.disagreements, *more))


def on_terminal(found: Verification, columns: int, lang: Lang, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the lines that are drawn on a terminal of that many columns."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))  # the size that is asked for is that of the standard streams
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as reads, os.fdopen(theirs, "w", encoding="utf-8") as out:
        draw(found, OUTCOMES, out, lang)
        said = b""
        while not said.endswith("。\r\n".encode() if lang == "zh" else b".\r\n"):
            said += reads.read(65536)
    return said.decode().splitlines()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_no_line_is_wider_than_the_terminal(
    found: Verification, columns: int, lang: Lang, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = on_terminal(found, columns, lang, monkeypatch)
    assert [each for each in lines if cells(each) > columns] == []
    told = " ".join(" ".join(lines).split())
    assert all(number in told for number in ("1,013 999 13 1", "54 54"))
    wide = io.StringIO()
    draw(found, OUTCOMES, wide, lang)
    assert "".join(told.split()).endswith("".join(wide.getvalue().rpartition("\n\n")[2].split()))


def test_where_there_is_no_terminal_a_difference_is_a_line(found: Verification) -> None:
    out = io.StringIO()
    draw(found, OUTCOMES, out, "zh")
    assert "≈ 第 9 号包，duplicate-ack：此处为否，Wireshark 解析器为是（DEVIATIONS.md 第 20 条）\n" in out.getvalue()
    assert "≠ 第 10 号包，序号：此处为 1，Wireshark 解析器为 5\n" in out.getvalue()
