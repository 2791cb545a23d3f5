"""What is plainly right on the command line is taken at once, just as the parser would; the rest is the parser's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand

from lab.app.formats import Format
from lab.app.values import plainly

# Beyond parsing: what shows, reads, crafts or encrypts, and the library by which the parser judges values.
HEAVY = {
    "asyncio", "cryptography", "email", "json", "multiprocessing", "numpy", "orjson", "pydantic", "rich", "scapy",
    "socket", "ssl", "websockets",
}  # fmt: skip
CAPTURE = "captures/tcp-connection.pcapng"


def loaded_by(*words: str, inside: str = "") -> set[str]:
    """Returns the modules that a command line has loaded when it is over; `inside` is done before."""
    program = (
        f"import sys; sys.argv = ['lab', *{words!r}]; from lab.app import cli; {inside}\n"
        "cli.guarded(cli._command); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def packages(modules: set[str]) -> set[str]:
    return {each.partition(".")[0] for each in modules}


@pytest.mark.parametrize("words", ["--help", "tcp --help", "annotate --help", "--lang zh --help"])
def test_help_loads_nothing_but_the_parser(words: str) -> None:
    loaded = loaded_by(*words.split())
    assert "typer" in loaded
    assert not packages(loaded) & HEAVY
    assert not {each for each in loaded if each.startswith(("lab.testbed", "lab.engine.path", "lab.render"))}


@pytest.mark.parametrize(
    "words",
    [
        "tcp", "tcp --format csv --ipv6 --wire a --wire b -o x", "run tls/1.3 --testbed netns", "ws --lang zh",
        "--lang zh tls --json",
    ],
)  # fmt: skip
def test_a_run_is_parsed_without_what_judges_values(words: str) -> None:
    assert not packages(loaded_by(*words.split(), inside="cli._run = print")) & HEAVY


@pytest.mark.parametrize(
    "words",
    ["scenarios", "notes", "notes FIN-WAIT-2", f"annotate {CAPTURE} --explain 3", f"annotate {CAPTURE} --format csv"],
)
def test_no_command_line_that_is_right_has_its_values_judged(words: str) -> None:
    assert "pydantic" not in loaded_by(*words.split())


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
