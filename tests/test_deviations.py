"""DEVIATIONS.md has what the code refers to, in both languages."""

from __future__ import annotations

import re

from lab.report import agreement
from lab.witnesses import above, verify, wireshark
from tests.places import ROOT


def test_every_number_is_written_up_in_both_languages() -> None:
    parts = re.split(r"^## (\d+)\. ", (ROOT / "DEVIATIONS.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
    assert list(sections) == list(range(1, len(sections) + 1))
    for number, text in sections.items():
        for mark in ("**See it.**", "**Recognised.**", "**观察。**", "**识别。**"):
            assert mark in text, f"number {number} has no {mark}"
        assert len(re.findall("[\u4e00-\u9fff]", text)) > 60, f"number {number} has no Chinese paragraph"
    used = {
        agreement.LISTENER_ASSUMED,
        agreement.CLOSED_BEHIND_DATA,
        agreement.SILENT_EVENT,
        agreement.SAME_PAIR_AGAIN,
        wireshark.OTHER_NAME,
        wireshark.NOTHING_OUTSTANDING,
        wireshark.ANSWERING_SYN,
        wireshark.WINDOWS_AND_PROBES,
        wireshark.NOT_OPENED,
        wireshark.BEGINS_ANEW,
        wireshark.SYN_ACK_AGAIN,
        wireshark.NOT_ALL_THERE,
        wireshark.COUNTS_FOR_NOTHING,
        above.OTHER_PROTOCOL,
        above.NOT_OPENED_BY_BOTH,
        above.BEHIND_A_HOLE,
        verify.UNTOLD,
        verify.STOPS_AT_DAMAGE,
    }
    assert used <= set(sections)
    assert len(used) == 18
