"""The wall between touching and thinking, and one door for each library: who may import what, read from the source.

Design sections 6 and 7. A folder that thinks imports nothing that can reach the machine; a library is imported where
its door is and nowhere else.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import lab

ROOT = Path(lab.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# What can reach the machine, or is somebody's own idea of the network.
TOUCHING = {
    "asyncio", "ctypes", "fcntl", "io", "multiprocessing", "os", "pathlib", "random", "select", "shutil", "signal",
    "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "cryptography", "pyroute2", "pyshark", "rich", "scapy", "textual", "typer", "websockets",
}  # fmt: skip
THINKING = (
    "model.py", "dissect/", "annotate/", "path.py", "errors.py", "protocols/scenario.py", "protocols/notes.py",
    "protocols/tcp/states.py", "protocols/tcp/dissect.py", "protocols/tcp/acceptance.py", "protocols/tcp/report.py",
    "testbed/control.py",
    "protocols/tls/codes.py", "protocols/tls/suites.py", "protocols/tls/reader.py", "protocols/tls/records.py",
    "protocols/tls/hello.py", "protocols/tls/messages.py", "protocols/tls/shapes.py",
    "protocols/tls/extensions.py", "protocols/tls/fields.py",
    "protocols/websocket/http.py", "protocols/websocket/frames.py", "protocols/websocket/messages.py",
    "protocols/websocket/session.py", "protocols/websocket/states.py", "protocols/websocket/report.py",
)  # fmt: skip
SHOWING = ("render/",)
OURS_TO_TOUCH = {
    "lab.testbed",
    "lab.capture",
    "lab.live",
    "lab.recorded",
    "lab.output",
    "lab.cli",
    "lab.doctor",
    "lab.show",
}

# A library's door: the only places it comes in by.
DOORS = {
    "typer": ("cli.py",),
    "pyroute2": ("testbed/", "doctor.py"),
    "rich": ("render/", "show.py", "recorded.py"),
    "scapy": ("capture/sniff.py", "testbed/"),
    "pyshark": ("capture/second_opinion.py",),
    "cryptography": ("protocols/tls/",),
    "orjson": ("render/table.py",),
    "numpy": ("columns/",),
    "zstandard": ("capture/compressed.py",),
    "lz4": ("capture/compressed.py",),
    "websockets": ("protocols/websocket/endpoints.py",),
    "textual": ("debugger/", "step.py"),
}


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


class Import(NamedTuple):
    """One import: the module, whether it happens only for the type checker, and whether when the file is imported."""

    module: str
    typing_only: bool
    at_once: bool


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def within(path: Path, places: tuple[str, ...]) -> bool:
    return any(name(path) == place or (place.endswith("/") and name(path).startswith(place)) for place in places)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[Import]:
    def look(node: ast.AST, typing_only: bool, at_once: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            only = typing_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test))
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, only, at_once) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: imports are absolute"
                yield Import(child.module or "", only, at_once)
                yield from (Import(f"{child.module}.{alias.name}", only, at_once) for alias in child.names)
            yield from look(child, only, at_once and not isinstance(child, (ast.FunctionDef, ast.Lambda)))

    return look(tree(path), False, True)


def imported(path: Path) -> set[str]:
    """Returns all modules that a file imports when it runs."""
    return {each.module for each in imports(path) if not each.typing_only}


def top(module: str) -> str:
    return module.partition(".")[0]


every_file = pytest.mark.parametrize("path", SOURCES, ids=name)
thinking = pytest.mark.parametrize("path", [path for path in SOURCES if within(path, THINKING)], ids=name)


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 30
    assert {top(each.module) for path in SOURCES for each in imports(path)} >= {
        "typer",
        "rich",
        "pyroute2",
        "socket",
        "lab",
    }


@thinking
def test_what_thinks_imports_nothing_that_touches(path: Path) -> None:
    found = imported(path)
    assert not {top(module) for module in found} & TOUCHING
    assert not {module for module in found for ours in OURS_TO_TOUCH if module == ours or module.startswith(ours + ".")}


@thinking
def test_what_thinks_opens_nothing(path: Path) -> None:
    calls = {
        node.func.id for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", [path for path in SOURCES if within(path, SHOWING)], ids=name)
def test_what_shows_reaches_no_host_and_no_capture(path: Path) -> None:
    found = imported(path)
    assert not {module for module in found if module.startswith(("lab.testbed", "lab.capture", "lab.live", "lab.cli"))}
    assert not {top(module) for module in found} & {
        "socket",
        "subprocess",
        "pyroute2",
        "scapy",
        "typer",
        "multiprocessing",
    }


@pytest.mark.parametrize("path", [path for path in SOURCES if within(path, ("annotate/",))], ids=name)
def test_the_engine_knows_no_protocol_by_name(path: Path) -> None:
    assert not {module for module in imported(path) if module.startswith("lab.protocols")}
    documented = {ast.get_docstring(node, clean=False) for node in ast.walk(tree(path)) if isinstance(node, DOCUMENTED)}
    written = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)} - documented
    for text in written:
        assert not re.search(r"\b(tcp|tls|websocket|open\.\d|close\.\d)\b", str(text)), text


@pytest.mark.parametrize("path", [path for path in SOURCES if within(path, ("dissect/", "model.py"))], ids=name)
def test_what_reads_bytes_knows_nothing_of_what_they_will_mean(path: Path) -> None:
    above = ("lab.annotate", "lab.protocols", "lab.render", "lab.path")
    assert not {module for module in imported(path) if module.startswith(above)}


@pytest.mark.parametrize("library", DOORS)
def test_each_library_comes_in_by_its_own_door(library: str) -> None:
    used = [path for path in SOURCES if library in {top(module) for module in imported(path)}]
    assert [name(path) for path in used if not within(path, DOORS[library])] == []


@every_file
def test_nothing_is_imported_with_a_star(path: Path) -> None:
    assert not [each.module for each in imports(path) if each.module.endswith(".*")]


@every_file
def test_scapy_is_never_imported_whole(path: Path) -> None:
    assert not [each.module for each in imports(path) if each.module.startswith("scapy.all")]


def test_asking_for_help_imports_nothing_heavy() -> None:
    """Design section 2: `lab --help` answers at once."""
    reached, waiting = set[str](), ["lab.__main__", "lab.cli"]
    while waiting:
        module = waiting.pop()
        if module in reached:
            continue
        reached.add(module)
        inside = ROOT.joinpath(*module.split(".")[1:])
        path = inside / "__init__.py" if inside.is_dir() else inside.with_suffix(".py")
        if top(module) == "lab" and path.is_file():
            waiting += [each.module for each in imports(path) if each.at_once and not each.typing_only]
    assert not {top(module) for module in reached} & {
        "rich",
        "pyroute2",
        "scapy",
        "subprocess",
        "multiprocessing",
        "json",
    }


# Texts.

CHINESE = re.compile(r"[\u3400-\u9fff]")
PLACEHOLDER = re.compile(r"\{[^{}]*\}")
# Words that are the same in both languages: names of programs, of fields, of states; anything in capitals.
SAME = re.compile(
    r"\b([A-Z][A-Z0-9_-]*|[a-z]+[./_-][\w./-]*|lab|make|sudo|apt|pip|docker|python|Linux|Python|Docker|IPv[46]|pcap(ng)?)\b"
)


class Written(NamedTuple):
    """A Text as it stands in the source: the parts of it that are written out, in each language."""

    where: str
    en: str
    zh: str


def texts() -> Iterator[Written]:
    for path in SOURCES:
        calls = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and len(node.args) == 2)
        for call in calls:
            named = isinstance(call.func, ast.Name) and call.func.id in ("Text", "_")
            if named and all(isinstance(each, ast.Constant) or _written(each).strip() for each in call.args):
                yield Written(f"{name(path)}:{call.lineno}", *(_written(argument) for argument in call.args))
    for path in sorted(ROOT.rglob("*.toml")):
        yield from _of_toml(name(path), tomllib.loads(path.read_text("utf-8")))


def _written(node: ast.AST) -> str:
    """Returns all literal text in an expression; what is filled in, and a key to look it up by, count for nothing."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, (ast.FormattedValue, ast.Subscript)):
        return ""
    return " ".join(_written(child) for child in ast.iter_child_nodes(node))


def _of_toml(where: str, value: object) -> Iterator[Written]:
    if isinstance(value, dict):
        if {"en", "zh"} & set(value):
            yield Written(where, str(value.get("en", "")), str(value.get("zh", "")))
        for key, inside in value.items():
            yield from _of_toml(f"{where} {value.get('id') or value.get('name') or key}", inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _of_toml(where, inside)


def test_every_text_is_written_in_both_languages() -> None:
    found = list(texts())
    assert len(found) > 150
    for text in found:
        english = re.sub(r"[\W\d_]+", " ", SAME.sub(" ", PLACEHOLDER.sub(" ", text.en))).strip()
        if english:
            assert CHINESE.search(text.zh), f"{text.where}: no Chinese for {text.en!r}"
        assert bool(text.en.strip()) == bool(text.zh.strip()), text
        assert not CHINESE.search(text.en), f"{text.where}: Chinese where English stands: {text.en!r}"
