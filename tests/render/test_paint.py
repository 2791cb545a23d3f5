"""A console's colours without asking it about each line: what stands there is what rich would write."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text as Styled

from lab.render.paint import Paint

STYLES = ("", "bold", "dim", "green", "magenta", "cyan", "yellow", "bold red")
TEXTS = ("", "   ", "SYN seq=0  ", "  ─ 客户端 ▶", "a", "·\u0301x")
SYSTEMS = (None, "standard", "256", "truecolor")


def console(system: str | None) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, color_system=system, width=20, highlight=False), out  # type: ignore[arg-type]  # a name


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("text", TEXTS)
def test_a_line_is_what_rich_prints(system: str | None, style: str, text: str) -> None:
    on, out = console(system)
    line = Styled(text, style)
    line.rstrip()
    on.print(line, soft_wrap=True)
    assert Paint(on).line(text, style) == out.getvalue()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_row_of_texts_is_what_rich_prints(system: str | None) -> None:
    for parts in (
        [(text, style) for text in TEXTS for style in STYLES],
        [("a ", "dim"), ("  ", "bold"), ("", "green")],
        [(" ", "dim")],
        [],
    ):
        on, out = console(system)
        line = Styled()
        for text, style in parts:
            line.append(text, style)
        line.rstrip()
        on.print(line, soft_wrap=True)
        assert Paint(on).row(list(parts)) == out.getvalue()
