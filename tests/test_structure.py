"""The layers, the wall between touching and thinking, a door for each library: who may import what, from the source.

Design sections 6 and 7. Imports are followed to their end: a file may reach only what its layer may know, whatever
stands between. No file takes part in a circle.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import lab
from lab.protocols.registry import CARRIED

ROOT = Path(lab.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# What each folder, or file at the top, may know of the others; itself it always may.
VALUES = {"tuples", "text", "errors", "model", "events", "version"}
THINKING = {"dissect", "engine", "protocols", "report"}
TOUCHING = {"system", "capture", "testbed"}
MAY_KNOW: dict[str, set[str]] = {
    "version": set(),
    "tuples": set(),
    "text": {"tuples"},
    "errors": {"tuples", "text"},
    "model": {"tuples", "text"},
    "events": {"tuples", "text", "model"},
    "dissect": {"tuples", "text", "model"},
    "engine": {"tuples", "text", "model", "events", "dissect"},
    "protocols": {*VALUES, "dissect", "engine"},
    "report": {*VALUES, "dissect", "engine", "protocols"},
    "render": {*VALUES, *THINKING},
    "system": {"tuples", "text", "errors"},
    "capture": {*VALUES, "system"},
    "testbed": {*VALUES, "dissect", "engine", "protocols", "system", "capture"},
    "explore": {*VALUES, "dissect", "engine", "protocols", *TOUCHING},
    "runs": {*VALUES, *THINKING, *TOUCHING, "render"},
    "witnesses": {*VALUES, *THINKING, *TOUCHING, "render", "runs"},
    "bulk": {*VALUES, *THINKING, *TOUCHING, "render", "runs"},
    "wireshark": {*VALUES, *THINKING, *TOUCHING, "render", "runs"},
    "stepping": {*VALUES, *THINKING, *TOUCHING, "render", "runs"},
    "page": {*VALUES, *THINKING, *TOUCHING, "render", "runs", "stepping"},
    "grade": {*VALUES, *THINKING, *TOUCHING, "render", "runs", "witnesses"},
    "__init__": {*VALUES, *THINKING, *TOUCHING, "render", "runs", "witnesses"},
    "app": {
        *VALUES,
        *THINKING,
        *TOUCHING,
        "render",
        "runs",
        "witnesses",
        "bulk",
        "grade",
        "wireshark",
        "stepping",
        "explore",
        "page",
    },
    "__main__": {
        *VALUES,
        *THINKING,
        *TOUCHING,
        "render",
        "runs",
        "witnesses",
        "bulk",
        "grade",
        "wireshark",
        "stepping",
        "explore",
        "page",
        "app",
    },
}
# Of a protocol, what plays it touches the machine; nothing imports it before a scenario is asked for.
PLAYING = ("endpoints.py", "credentials.py", "openssl.py", "scenarios.py")

# What can reach the machine, or is somebody's own idea of the network.
REACHING = {
    "asyncio", "ctypes", "fcntl", "io", "multiprocessing", "os", "pathlib", "random", "select", "shutil", "signal",
    "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "cryptography", "pyroute2", "pyshark", "rich", "scapy", "textual", "typer", "websockets",
}  # fmt: skip
NOT_FOR_SHOWING = {"socket", "subprocess", "pyroute2", "scapy", "typer", "multiprocessing"}

# A library's door: the only places it comes in by.
DOORS = {
    "typer": ("app/cli.py",),
    "rich": ("render/", "grade/reports/"),
    "scapy": ("capture/sniff.py",),
    "pyshark": ("witnesses/dissection.py",),
    "cryptography": ("protocols/tls/",),
    "orjson": ("render/encoding.py",),
    "numpy": ("bulk/",),
    "zstandard": ("capture/compressed.py", "protocols/tls/compressed.py"),
    "brotli": ("protocols/tls/compressed.py",),
    "lz4": ("capture/compressed.py",),
    "websockets": ("protocols/websocket/endpoints.py", "page/server.py"),
    "textual": ("stepping/screen.py",),
    "distributed": ("grade/cluster.py",),
}


class Import(NamedTuple):
    """One import: the module, whether it happens only for the type checker, and whether when the file is imported."""

    module: str
    typing_only: bool
    at_once: bool


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer(path: Path) -> str:
    """Returns the folder, or the file at the top."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def within(path: Path, places: tuple[str, ...]) -> bool:
    return any(name(path) == place or (place.endswith("/") and name(path).startswith(place)) for place in places)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> tuple[Import, ...]:
    def look(node: ast.AST, typing_only: bool, at_once: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            only = typing_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test))
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, only, at_once) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: imports are absolute"
                for alias in child.names:
                    inside = f"{child.module}.{alias.name}"
                    yield Import(inside if file_of(inside) else child.module or "", only, at_once)
                    yield Import(inside, only, at_once)
            yield from look(child, only, at_once and not isinstance(child, (ast.FunctionDef, ast.Lambda)))

    found = look(tree(path), False, True)
    if name(path) == "protocols/registry.py":  # which imports the folders that it lists
        listed = (Import(f"lab.protocols.{folder}", False, True) for folder in CARRIED)
        return (*found, *listed)
    return tuple(found)


@cache
def file_of(module: str) -> Path | None:
    """Returns the file of a module of ours, None where it is none."""
    if top(module) != "lab":
        return None
    inside = ROOT.joinpath(*module.split(".")[1:])
    path = inside / "__init__.py" if inside.is_dir() else inside.with_suffix(".py")
    return path if path.is_file() else None


def ours(path: Path, typing_too: bool = True, later_too: bool = True, folders: bool = True) -> set[Path]:
    """Returns the files of ours that a file imports: also for the type checker, also later, in a function.

    With `folders` also what comes before a file in a folder: the folder's own `__init__.py`.
    """
    wanted = (each for each in imports(path) if (typing_too or not each.typing_only) and (later_too or each.at_once))
    found = {file for each in wanted if (file := file_of(each.module)) is not None}
    if folders:
        found |= {above / "__init__.py" for file in found for above in file.parents if ROOT in above.parents}
    return found - {path}


def reached(paths: Iterable[Path], **which: bool) -> set[Path]:
    """Returns all files that are imported, by whatever is imported, from these on."""
    seen: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += ours(path, **which)
    return seen


def top(module: str) -> str:
    return module.partition(".")[0]


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Returns the sets of nodes that reach each other, each sorted."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [*graph[start]]
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += graph[each]
        return seen

    reaches = {node: reach(node) for node in graph}
    found = {tuple(sorted(other for other in reaches[node] if node in reaches[other])) for node in graph}
    return sorted(list(each) for each in found if each)


every_file = pytest.mark.parametrize("path", SOURCES, ids=name)
thinking = pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if layer(path) in {*VALUES, *THINKING} and path.name not in PLAYING],
    ids=name,
)


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 100
    assert {top(each.module) for path in SOURCES for each in imports(path)} >= {"typer", "rich", "socket", "lab"}
    assert {layer(path) for path in SOURCES} == set(MAY_KNOW)


def test_who_may_know_whom_is_itself_without_a_circle() -> None:
    assert circles(MAY_KNOW) == []
    for each, known in MAY_KNOW.items():
        assert known >= {further for one in known for further in MAY_KNOW[one]}, each


@every_file
def test_a_file_reaches_only_what_its_layer_may_know(path: Path) -> None:
    """Through any number of imports, those for the type checker and those within functions too."""
    beyond = {layer(each) for each in reached([path])} - {layer(path), *MAY_KNOW[layer(path)]}
    assert not beyond, {name(each) for each in reached([path]) if layer(each) in beyond}


def test_no_file_is_part_of_a_circle() -> None:
    assert circles({name(path): {name(each) for each in ours(path, folders=False)} for path in SOURCES}) == []


def test_a_circle_and_a_forbidden_import_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"a"}}) == [["a"]]
    assert "testbed" not in MAY_KNOW["render"]
    assert layer(ROOT / "testbed" / "wire.py") == "testbed"
    assert ROOT / "capture" / "pcapng.py" in reached([ROOT / "runs" / "api.py"])


@thinking
def test_what_thinks_reaches_nothing_that_touches(path: Path) -> None:
    """What is imported with it, however far away, has no way to the machine."""
    for each in reached([path], typing_too=False, later_too=False):
        libraries = {top(found.module) for found in imports(each) if found.at_once and not found.typing_only}
        crypto = {"cryptography"} if name(path).startswith("protocols/tls/") else set()  # its door
        assert not libraries & (REACHING - crypto), name(each)
        assert layer(each) not in TOUCHING


@thinking
def test_what_thinks_opens_nothing(path: Path) -> None:
    calls = {
        node.func.id for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", [path for path in SOURCES if layer(path) == "render"], ids=name)
def test_what_shows_reaches_no_host_and_no_capture(path: Path) -> None:
    for each in reached([path], typing_too=False, later_too=False):
        assert not {top(found.module) for found in imports(each) if found.at_once} & NOT_FOR_SHOWING, name(each)


def test_a_protocol_is_played_only_when_a_scenario_is_asked_for() -> None:
    for path in SOURCES:
        assert not {each.name for each in reached([path], typing_too=False, later_too=False)} & {"endpoints.py"} or (
            path.name in PLAYING
        ), name(path)


@pytest.mark.parametrize("library", DOORS)
def test_each_library_comes_in_by_its_own_door(library: str) -> None:
    used = [path for path in SOURCES if library in {top(each.module) for each in imports(path) if not each.typing_only}]
    assert [name(path) for path in used if not within(path, DOORS[library])] == []


@every_file
def test_nothing_is_imported_with_a_star(path: Path) -> None:
    assert not [each.module for each in imports(path) if each.module.endswith(".*")]


@every_file
def test_scapy_is_never_imported_whole(path: Path) -> None:
    assert not [each.module for each in imports(path) if each.module.startswith("scapy.all")]


def test_asking_for_help_imports_nothing_heavy() -> None:
    """Design section 2: `lab --help` answers at once."""
    first = [ROOT / "__main__.py", ROOT / "app" / "cli.py"]
    files = reached(first, typing_too=False, later_too=False)
    libraries = {top(each.module) for path in files for each in imports(path) if each.at_once and not each.typing_only}
    assert not libraries & {"rich", "scapy", "subprocess", "multiprocessing", "json", "numpy", "cryptography"}


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
