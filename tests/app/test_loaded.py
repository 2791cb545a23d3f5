"""What each command imports: no more than it needs, and what takes long to import while something else goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


def test_hosts_are_made_before_what_shows_their_packets_is_imported() -> None:
    left = "raise SystemExit(print(*sys.modules, file=sys.stderr))"
    inside = f"from lab.testbed import netns; netns.play = lambda *_: exec({left!r})"
    loaded = loaded_by("tcp", "--testbed", "netns", "-o", "/dev/null", inside=inside)
    assert "lab.testbed.pair" in loaded
    assert not packages(loaded) & (HEAVY - {"json", "multiprocessing", "socket"})
    assert not {each for each in loaded if each.startswith(("lab.engine.path", "lab.render", "lab.runs.live"))}


@pytest.mark.parametrize(("words", "more"), [("tcp", set()), ("tls", {"cryptography", "email"}), ("ws", set())])
def test_a_run_loads_no_library_that_it_does_not_use(
    namespaces: None, tmp_path: Path, words: str, more: set[str]
) -> None:
    loaded = packages(loaded_by(words, "--testbed", "netns", "-o", str(tmp_path / "saved.pcapng")))
    assert {"rich", *more} <= loaded
    assert not loaded & (HEAVY - {"json", "multiprocessing", "orjson", "rich", "socket", *more})


def test_tshark_starts_up_before_what_compares_is_imported(tshark: str) -> None:
    left = "raise SystemExit(print(*sys.modules, file=sys.stderr))"
    inside = f"from lab.witnesses import tshark; tshark.subprocess.Popen = lambda *_, **__: exec({left!r})"
    loaded = loaded_by("verify", CAPTURE, inside=inside)
    assert "lab.witnesses.question" in loaded
    assert not packages(loaded) & (HEAVY - {"socket"})
    late = ("lab.engine.path", "lab.render", "lab.report", "lab.runs.run", "lab.witnesses.verify")
    assert not {each for each in loaded if each.startswith(late)}


def test_a_verification_loads_no_library_that_it_does_not_use(tshark: str) -> None:
    loaded = loaded_by("verify", CAPTURE)
    assert {"lab.engine.path", "lab.witnesses.verify"} <= loaded
    assert not loaded & {"rich.console", "cryptography.x509", "pyshark", "tomllib", "lab.report.schema"}
