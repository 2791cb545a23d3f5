"""TLS 1.3's section numbers: one table, and whatever cites RFC 9846 cites what stands in it."""

from __future__ import annotations

import re
from pathlib import Path

from lab.protocols.notes import notes
from lab.protocols.tls import states
from lab.protocols.tls.sections import FORMERLY, cited

CODE = Path(states.__file__).parent
_CITED = re.compile(r"RFC (\d+) sections? ([\dA-E.]*[\dA-E])((?:, [\dA-E][\d.]*\d)*)(?: and ([\d.]*\d))?")


def sections(text: str, rfc: str) -> list[str]:
    """Returns the sections of an RFC that a text cites, in order."""
    found = [match for match in _CITED.finditer(text) if match[1] == rfc]
    return [each for match in found for each in re.findall(r"[\dA-E.]*[\dA-E]", " ".join(match.groups("")[1:]))]


def test_a_citation_has_the_older_number_in_brackets() -> None:
    assert cited("4.2.2") == "RFC 9846 section 4.2.2 (RFC 8446 section 4.1.2)"
    assert cited("4.2.3", "4.5.1") == "RFC 9846 sections 4.2.3 and 4.5.1 (RFC 8446 sections 4.1.3 and 4.4.2)"


def test_no_two_sections_were_the_same_one() -> None:
    assert len(set(FORMERLY.values())) == len(FORMERLY)


def test_the_steps_cite_sections_that_belong_together() -> None:
    for step in notes("tls").steps.values():
        today = sections(step.rfc, "9846")
        assert [FORMERLY[each] for each in today] == sections(step.rfc, "8446"), step.id
        assert not today or cited(*today) in step.rfc


def test_the_tables_and_the_code_cite_sections_that_there_are() -> None:
    rows = {row.source for table in states.TABLES.values() for row in table.rows}
    assert not {row for row in rows if row.startswith("8446")}
    assert {row.removeprefix("9846 ") for row in rows if row.startswith("9846 ")} <= FORMERLY.keys()
    for file in CODE.glob("*.py"):
        if file.name != "sections.py":
            assert set(sections(file.read_text(), "9846")) <= FORMERLY.keys(), file.name
            assert not sections(file.read_text(), "8446"), file.name
