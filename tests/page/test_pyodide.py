"""The lab runs in a browser's Python, which has no library that must be built: it says there what it says here."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from lab.render.words import by_unicode
from scripts.hostile.cases import make
from scripts.site.drop import packed
from tests.places import CORPUS, GOLDEN, PACKAGES, REFERENCES

# In each Python: the trace of a file, or the two lines that say what is wrong with it.
PROGRAM = """
import os
import lab
from lab.bulk.rows import Gone, RowFormat, RowsOfRun
from lab.render import trace

def made(folder, name):
    os.chdir(folder)
    out = []
    try:
        with lab.open(name) as run:
            rows = RowsOfRun(run, RowFormat.JSON, Gone(True))
            trace.as_json(rows.packets(), rows.conversations(), lambda: rows.about("en"), out.append)
    except lab.LabError as error:
        return f"error: {error.message.en}\\nhint: {error.hint.en}"
    return "".join(out)

made
"""
# And what a page shows of it.
PAGE = """
import os
import tempfile
from lab.page.dropped import answer

def made(folder, name):
    os.chdir(folder)
    with tempfile.NamedTemporaryFile() as out:
        answer(name, name, out.name)
        return out.read().decode()

made
"""
HERE = "import sys\n{}{}\nfor each in sys.argv[1:]: sys.stdout.write(made(*each.rsplit('/', 1)) + chr(0))\n"
# What has to be built for a machine, and is not there for Pyodide; and what the lab does not need to read a capture.
ABSENT = (
    "brotli", "cryptography", "lz4", "numpy", "orjson", "rich", "scapy", "textual", "typer", "websockets", "zstandard",
)  # fmt: skip
WITHOUT = "".join(f"sys.modules[{name!r}] = None\n" for name in ABSENT)
HOSTILE = ("ip-fragments", "hellos", "conflicting", "host-names", "bomb-bzip2", "greetings")


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("hostile")
    whole = (REFERENCES / "tls-1.2-rsa.pcapng").read_bytes()
    for name, data in {"cut.pcapng": whole[:-99], "empty.pcap": b"", "none.pcap": b"GET / HTTP/1.1\r\n" * 9}.items():
        (folder / name).write_bytes(data)
    hostile = [make(name, folder / f"{name}.pcap", 1e-3) for name in HOSTILE]
    return sorted({*REFERENCES.glob("*.pcapng"), *CORPUS.iterdir(), *folder.iterdir(), *hostile})


There = Callable[[Sequence[Path], str], dict[Path, str]]


@pytest.fixture(scope="module")
def under_pyodide(pyodide: Path, tmp_path_factory: pytest.TempPathFactory) -> There:
    """Returns what a program makes of captures under Pyodide, with what a site has of the lab."""
    folder = tmp_path_factory.mktemp("lab")
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        archive.extractall(folder)
    command = ["node", str(Path(__file__).with_name("annotate.mjs")), str(pyodide), str(folder)]
    return lambda captures, program: _each(captures, [*command, program])


@pytest.fixture(scope="module")
def there(under_pyodide: There, captures: list[Path]) -> dict[Path, str]:
    """What the lab says of each capture under Pyodide."""
    return under_pyodide(captures, PROGRAM)


def _each(captures: Sequence[Path], command: list[str]) -> dict[Path, str]:
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    done = subprocess.run([*command, *map(str, captures)], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return dict(zip(captures, done.stdout.decode().split("\0")[:-1], strict=True))


def test_it_says_the_same_as_a_python_without_what_is_built(there: dict[Path, str], captures: list[Path]) -> None:
    here = _each(captures, [sys.executable, "-c", HERE.format(WITHOUT, PROGRAM)])
    assert {file.name for file in captures if there[file] != here[file]} == set()


def test_what_needs_no_library_it_says_to_the_byte(there: dict[Path, str], captures: list[Path]) -> None:
    here = _each(captures, [sys.executable, "-c", HERE.format("", PROGRAM)])
    plain = {each for each in captures if each.name.startswith(("tcp-", "websocket-")) and "-tls" not in each.name}
    assert len(plain) > 40
    assert {file.name for file in plain if there[file] != here[file]} == set()


def test_a_page_shows_the_same(under_pyodide: There, captures: list[Path]) -> None:
    there = under_pyodide(captures, PAGE)
    here = _each(captures, [sys.executable, "-c", HERE.format(WITHOUT, PAGE)])
    assert {file.name for file in captures if there[file] != here[file]} == set()
    assert {next(iter(json.loads(said))) for said in there.values()} == {"page", "message"}


def test_tls_in_the_clear_is_read(there: dict[Path, str]) -> None:
    trace = json.loads(there[REFERENCES / "tls-1.2-rsa.pcapng"])
    named = [message["name"] for packet in trace["packets"] for message in packet["messages"]]
    assert named[:5] == ["ClientHello", "ServerHello", "Certificate", "ServerHelloDone", "ClientKeyExchange"]
    (facts,) = (each["tls"] for each in trace["conversations"])
    assert (facts["version"], facts["decrypted"]) == ("TLS 1.2", False)


def test_what_has_no_library_says_so_and_what_to_do(there: dict[Path, str]) -> None:
    said = there[CORPUS / "zstd.pcap"].splitlines()
    assert len(said) == 2
    assert "zstd" in said[0]
    assert "zstd -dc FILE" in said[1]


def test_a_message_that_can_t_be_opened_says_why(under_pyodide: There) -> None:
    program = """
def made(folder, name):
    with lab.open(f"{folder}/{name}") as run:
        return "\\n".join(message.words.en for packet in run for message in packet.messages)
made
"""
    file = REFERENCES / "tls-1.2-rsa.pcapng"
    said = under_pyodide([file], "import lab\n" + program)[file]
    assert "of CN=server.example, by CN=" in said
    assert "the Python library that decrypts, cryptography, is not here" in said


def test_without_rich_texts_are_as_wide() -> None:
    drawn = [*REFERENCES.glob("*.txt"), *GOLDEN.iterdir()]
    lines = {line for file in drawn for line in file.read_text("utf-8").splitlines()}
    assert len(lines) > 1000
    assert {line for line in lines if by_unicode(line) != cell_len(line)} == set()
