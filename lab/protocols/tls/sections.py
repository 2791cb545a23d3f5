"""Where TLS 1.3 is written: RFC 9846 (July 2026), and which section that was in RFC 8446 (2018), which it replaces.

Chapter 4 was renumbered: the transcript hash went to its front, so the messages behind it moved on by one section, and
those of 4.4 by one subsection back. An appendix on TLS 1.2 came in, D, and moved the next ones on.
"""

from __future__ import annotations

FORMERLY = {
    "3": "3", "4.1": "4.4.1", "4.2": "4.1", "4.2.2": "4.1.2", "4.2.3": "4.1.3", "4.2.4": "4.1.4", "4.3": "4.2",
    **{f"4.3.{number}": f"4.2.{number}" for number in range(1, 12)}, "4.4.1": "4.3.1", "4.4.2": "4.3.2",
    "4.5.1": "4.4.2", "4.5.2": "4.4.3", "4.5.3": "4.4.4", "4.6": "4.5", "4.7.1": "4.6.1", "4.7.2": "4.6.2",
    "4.7.3": "4.6.3", "5": "5", "5.1": "5.1", "5.2": "5.2", "5.3": "5.3", "6": "6", "6.1": "6.1", "6.2": "6.2",
    "7": "7", "7.1": "7.1", "7.2": "7.2", "7.3": "7.3", "11": "11", "A.1": "A.1", "A.2": "A.2", "B.4": "B.4",
    "E.4": "D.4",
}  # fmt: skip


def cited(*sections: str) -> str:
    """Returns how sections of RFC 9846 are cited: `RFC 9846 section 4.2.2 (RFC 8446 section 4.1.2)`."""
    return f"RFC 9846 {_listed(sections)} (RFC 8446 {_listed([FORMERLY[section] for section in sections])})"


def _listed(sections: tuple[str, ...] | list[str]) -> str:
    *most, last = sections
    return f"sections {', '.join(most)} and {last}" if most else f"section {last}"
