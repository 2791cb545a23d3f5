"""Every capture that the lab once fell over is answered, in every format and both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import fuzz
from tests.places import CORPUS

CAPTURES = sorted(CORPUS.glob("*.pcap*"))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_it_is_answered(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    fuzz.answer(copy, every=True)


def test_the_corpus_is_small() -> None:
    assert CAPTURES
    assert sum(path.stat().st_size for path in CAPTURES) < 200_000


@pytest.mark.slow
def test_some_mutants_are_answered_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.by_chance(300, 1, tmp_path) == 0, capsys.readouterr().out
