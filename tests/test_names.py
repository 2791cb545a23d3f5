"""No protocol is called by its name outside its folder: who needs to know something of one asks its descriptor.

Looked at are strings and identifiers of every file in lab/ outside lab/protocols/, and keys and values of the schemas
there. Docstrings, comments and descriptions may say what they like.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import lab
from lab.protocols.registry import PROTOCOLS

ROOT = Path(lab.__file__).parent
OTHERS = {"ssh", "http"}  # protocols that the lab might have, or reads beside its own
NAMES = {name.lower() for each in PROTOCOLS for name in (each.name, each.title, each.short) if name} | OTHERS
SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if not path.is_relative_to(ROOT / "protocols")]
SCHEMAS = [path for path in sorted(ROOT.rglob("*.json")) if not path.is_relative_to(ROOT / "protocols")]
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Exception_(NamedTuple):  # noqa: N801  # what is excepted, and no error
    """What may be said nevertheless: in files whose path matches, texts and identifiers that match as a whole."""

    where: str
    what: str
    why: str


EXCEPTIONS = (
    Exception_(r"testbed/(rules|wire|progress)\.py", "tcp", "the wire looks at the segments that its rules are about"),
    Exception_(
        r"testbed/forge\.py",
        r".*tcp.*|.*TCP.*",
        "it makes segments: a debugger changes and forges those of the transport",
    ),
    Exception_(r"(testbed|explore|app)/\w+\.py", r"(/proc/sys/)?net/ipv4/tcp_\w+", "names of sysctls"),
    Exception_(r"testbed/kernel\.py", r"_TCP_INFO|IPPROTO_TCP", "the kernel's constants"),
    Exception_(r"testbed/kernel\.py", r"(Tcp|TCP)[A-Za-z]*", "the kernel's counters"),
    Exception_(r"testbed/docker\.py|app/doctor\.py", r"/proc/net/tcp|tcp_diag", "a file and a module of the kernel"),
    Exception_(r"engine/asked\.py", r"\(Tcp\|Ip\).*", "the kernel's names of counters, as a journal has them"),
    Exception_(r"dissect/fields\.py", "TCP", "IANA's names of what IP carries"),
    Exception_(
        r"witnesses/(wireshark|question)\.py", r"tcp(\..*)?", "Wireshark's names of layers, fields and preferences"
    ),
    Exception_(r"witnesses/(tshark|dissection)\.py", r"tls\.keylog_file:", "Wireshark's preference for a key log"),
    Exception_(r"capture/(pcapng|section|ahead)\.py", "TLS_KEY_LOG", "the type of a secrets block, by pcapng"),
    Exception_(r"(grade/reports/page|page/html)\.py", r"(?s).*<meta http-equiv=.*", "the name of an attribute of HTML"),
    Exception_(r"page/server\.py", r"http(://)?|HTTPStatus|websockets\.http11|.* ws://", "how a page is served"),
    Exception_(
        r"app/(doctor|cli)\.py|render/notes\.py|testbed/(namespaces|engine)\.py|system/remedies\.py",
        r"(?s).*((lab|make|run) ?|lab-|：)tcp\b.*|.*\btcp/syn-lost\b.*| tcp",
        "an example of a command, in a text for people",
    ),
)


class Found(NamedTuple):
    """A string or an identifier, and where it stands."""

    file: str
    line: int
    text: str


def named(text: str) -> bool:
    """Whether a protocol's name is one of the words of a text, or of an identifier."""
    text = re.sub(r"https?://\S+", " ", text)
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)  # camelCase, HTTPServer
    words = re.findall(r"[a-z0-9]+", f"{text} {parted}".lower().replace("_", " "))
    return not NAMES.isdisjoint(words)


def said(source: str) -> Iterator[tuple[int, str]]:
    """Yields the strings and identifiers of a file, with their lines."""
    tree = ast.parse(source)
    documented = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED) and ast.get_docstring(node)]
    docstrings = {node.body[0].value for node in documented if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and node not in docstrings:
            if isinstance(node.value, str | bytes):
                yield line, node.value if isinstance(node.value, str) else node.value.decode("latin-1")
        elif isinstance(node, ast.alias):
            yield from ((line, name) for name in (node.name, node.asname) if name)
        else:
            for field in ("id", "attr", "arg", "name", "module"):
                name = getattr(node, field, None)
                if isinstance(name, str):
                    yield line, name


def of_schema(value: Any, key: str = "") -> Iterator[str]:
    """Yields the keys and values of a schema that are no description."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield name
            yield from of_schema(inside, name)
    elif isinstance(value, list):
        for inside in value:
            yield from of_schema(inside, key)
    elif isinstance(value, str) and key not in ("description", "title"):
        yield value


def found() -> list[Found]:
    listed = [
        Found(path.relative_to(ROOT).as_posix(), line, text)
        for path in SOURCES
        for line, text in said(path.read_text("utf-8"))
        if named(text)
    ]
    for path in SCHEMAS:
        schema = json.loads(path.read_text("utf-8"))
        listed += [Found(path.relative_to(ROOT).as_posix(), 0, text) for text in of_schema(schema) if named(text)]
    return listed


def excepted(each: Found) -> list[Exception_]:
    return [rule for rule in EXCEPTIONS if re.fullmatch(rule.where, each.file) and re.fullmatch(rule.what, each.text)]


def test_no_protocol_is_called_by_name_outside_its_folder() -> None:
    assert [each for each in found() if not excepted(each)] == []


def test_every_exception_is_needed() -> None:
    needed = {rule for each in found() for rule in excepted(each)}
    assert [rule for rule in EXCEPTIONS if rule not in needed] == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 'tls'",
        "x = b'GET / HTTP/1.1'",
        "x = f'{y} over TLS'",
        "TLS_PORT = 1",
        "def upper_tls(): ...",
        "class TlsField: ...",
        "x.websocket",
        "f(tls=1)",
        "def f(tls): ...",
        "from lab.protocols.tls import report",
        "from lab.protocols import tls",
        "import lab.protocols.ssh.session",
        "from x import y as http",
        "x = ['ws']",
        "x = 'lab ssh'",
    ],
)
def test_a_name_is_found(source: str) -> None:
    assert [text for _, text in said(source) if named(text)]


@pytest.mark.parametrize(
    "source",
    ["x = 'https://www.wireshark.org'", "def f():\n    '''As TLS does.'''", "x = 1  # TLS", "x = 'news, rows, title'"],
)
def test_what_is_no_name_is_not_found(source: str) -> None:
    assert not [text for _, text in said(source) if named(text)]
