"""How wide a text is at most in a picture, whatever usual font without serifs it is shown in."""

from __future__ import annotations

_NARROW, _WIDE = frozenset(" .,:;'|!()[]/\"ijltfrI-"), frozenset("MWmw@%—⊕→▶◀")


def wide(text: str, size: float) -> float:
    """Returns a text's width in a picture's units; `size` is its font's."""
    return sum(_ems(char) for char in text) * size


def _ems(char: str) -> float:
    if ord(char) >= 0x2E80:
        return 1.0
    if char in _NARROW:
        return 0.38
    return 0.98 if char in _WIDE else 0.72 if char.isupper() else 0.61
