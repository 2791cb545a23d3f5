"""Text in a console's colours, fast: rich is asked once what a style is there, and not for each line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class Paint:
    """Puts the codes of a style around a text, as `console` would; nothing where it is to be plain, or is None."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._codes: dict[str, tuple[str, str]] = {"": ("", "")}

    def __call__(self, text: str, style: str) -> str:
        if not text:
            return text
        begin, end = self.codes(style)
        return f"{begin}{text}{end}"

    def codes(self, style: str) -> tuple[str, str]:
        """Returns what stands before and behind a text of this style."""
        return self._codes.get(style) or self._asked(style)

    def line(self, text: str, style: str = "") -> str:
        """Returns a whole line: what is blank at its end is left out."""
        return self(text.rstrip(), style) + "\n"

    def row(self, parts: list[tuple[str, str]]) -> str:
        """Returns a whole line of texts, each with its style: what is blank at its end is left out."""
        while parts and not (last := parts[-1][0].rstrip()):
            parts.pop()
        if parts:
            parts[-1] = (last, parts[-1][1])
        return "".join([self(*part) for part in parts]) + "\n"

    def _asked(self, style: str) -> tuple[str, str]:
        system = self._console.color_system if self._console is not None else None
        begin, end = "", ""
        if self._console is not None and system is not None:
            from rich.console import COLOR_SYSTEMS

            begin, _, end = (
                self._console.get_style(style).render("x", color_system=COLOR_SYSTEMS[system]).partition("x")
            )
        self._codes[style] = begin, end
        return begin, end
