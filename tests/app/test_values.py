"""What is plainly right on the command line is taken at once, just as the parser would; the rest is the parser's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand

from lab.app.formats import Format
from lab.app.values import plainly

# Each word for each kind of value: taken or refused, it must be what the parser makes of it without us.
KINDS: dict[str, Any] = {
    "str": str, "int": int, "bool": bool, "Path": Path, "Format": Format, "list": list[str], "maybe": str | None,
}  # fmt: skip
WORDS = [
    "", " ", "-", "a", "json", "JSON", "0", "7", "007", "+7", "-7", " 7", "7 ", "1_0", "٣", "7.0", "9" * 30, "true",
    "/", "/dev/null", "/nowhere/at/all", ".", "a\tb", "a\x1bb", "é", "\udcff", "实验",
]  # fmt: skip


def parsed(kind: Any, given: list[str], ours: bool) -> object:
    """Returns what becomes of a command line: the value, or the complaint."""

    class Command(TyperCommand):
        def get_params(self, ctx: Any) -> list[Any]:
            found = super().get_params(ctx)
            return plainly(found) if ours else found

    app = typer.Typer(add_completion=False)

    @app.command(cls=Command)
    def one(value: Any = None) -> object:
        return value

    one.__annotations__ = {"value": kind}
    try:
        with typer.main.get_command(app).make_context("one", list(given)) as context:
            value = context.command.invoke(context)
            return type(value), value
    except typer.TyperException as error:
        return error.format_message()


@pytest.mark.parametrize("word", WORDS, ids=ascii)
@pytest.mark.parametrize("kind", KINDS)
def test_a_word_means_what_the_parser_says(kind: str, word: str) -> None:
    for given in (["--value", word], [f"--value={word}"], ["--value", "a", "--value", word], []):
        assert parsed(KINDS[kind], given, ours=True) == parsed(KINDS[kind], given, ours=False)
