"""Every reference capture renders, to the letter, the ladder that is kept beside it, in both languages.

A difference is either a bug or a change made on purpose: then `python scripts/record.py --redraw` writes it, and the
difference is read before it is committed.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from lab.capture.reader import open_capture
from lab.errors import InputError
from lab.protocols.catalogue import scenarios
from lab.runs.recorded import Recorded, open_run
from lab.runs.run import Run
from lab.text import LANGUAGES, Lang
from tests.references import FOLDER, drawn, index, name_of, page
from tests.tools import complaints

CAPTURES = sorted(FOLDER.glob("*.pcapng"))


def test_every_scenario_has_a_reference_capture() -> None:
    assert {capture.stem for capture in CAPTURES} == {name_of(each.name) for each in scenarios()}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_a_reference_renders_the_ladder_kept_beside_it(capture: Path, lang: Lang) -> None:
    kept = capture.with_suffix(f".{lang}.txt").read_text(encoding="utf-8")
    assert drawn(capture, lang) == kept
    assert max(map(cell_len, kept.splitlines())) <= 80


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_a_reference_agrees_with_the_kernels_it_was_recorded_from(capture: Path) -> None:
    with open_run(str(capture), frames=False) as run:
        packets = list(run.packets())
    assert run.agreement.compared >= 4 * sum(packet.fate == "arrived" for packet in packets)
    assert run.agreement.unexplained == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_on_the_references_is_as_they_are(lang: Lang) -> None:
    """What it says of each comes from the catalogue and the capture: `python scripts/record.py --redraw`."""
    assert page(lang).read_text(encoding="utf-8") == index(lang)


def test_no_tool_complains_of_a_reference(tshark: str, tmp_path: Path) -> None:
    assert complaints(CAPTURES, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_a_reference_cut_anywhere_is_read_as_far_as_it_goes(capture: Path, tmp_path: Path) -> None:
    whole = capture.read_bytes()
    cut = tmp_path / "cut.pcapng"
    before = 0
    for size in range(60, len(whole), 97):
        cut.write_bytes(whole[:size])
        with open_capture(str(cut)) as opened:
            try:
                packets = sum(1 for _ in Run(Recorded(opened), frames=False).packets())
            except InputError:
                packets = 0
            assert opened.problems or size in _boundaries(whole)
        assert before <= packets
        before = packets
    assert before >= 1


def _boundaries(whole: bytes) -> set[int]:
    """Returns where a pcapng file's blocks end."""
    at, ends = 0, set()
    while at < len(whole):
        at += int.from_bytes(whole[at + 4 : at + 8], "little")
        ends.add(at)
    return ends
