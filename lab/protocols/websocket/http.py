"""The HTTP/1.1 heads that open a WebSocket connection: a request to upgrade, and the answer (RFC 6455 section 4).

Heads are read wherever the stream is cut. What a careful reader would refuse but a tolerant one understands, a line
that ends in LF alone or one that is folded, is read and noted. What is too long is no head.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
VERSION = "13"
SWITCHING = 101
MOST_HEAD, MOST_HEADERS = 64 << 10, 100  # bytes, lines
_SPACE = " \t"

# What is noted of a head that could be read nevertheless.
BARE_LF, OBS_FOLD, BAD_HEADER = "bare-lf", "obs-fold", "bad-header"
# What a server may object to in a request, and a client in an answer (RFC 6455 sections 4.2.1 and 4.1).
BAD_VERSION, BAD_KEY, OLD_HTTP, NO_HOST, NO_CONNECTION = (
    "bad-version", "bad-key", "old-http", "no-host", "no-connection",
)  # fmt: skip
WRONG_ACCEPT, NO_UPGRADE, SUBPROTOCOL_NOT_OFFERED, EXTENSION_NOT_OFFERED = (
    "wrong-accept", "no-upgrade", "subprotocol-not-offered", "extension-not-offered",
)  # fmt: skip


class Header(NamedTuple):
    """One header field. `start` and `end` enclose its lines without the last line end, `value` begins at `value_at`."""

    name: str
    value: str
    start: int
    end: int
    value_at: int


class Head(NamedTuple):
    """A start line and header fields. Offsets count from the head's first byte; `end` is behind the empty line."""

    line: str
    headers: tuple[Header, ...]
    end: int
    notes: tuple[str, ...]

    def all(self, name: str) -> tuple[str, ...]:
        """Returns the values of all fields of that name; names differ in no case (RFC 9110 section 5.1)."""
        return tuple(each.value for each in self.headers if each.name.lower() == name)

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    def tokens(self, name: str) -> tuple[str, ...]:
        """Returns the members of a comma-separated list, which may be spread over several fields."""
        return tuple(token.strip() for value in self.all(name) for token in value.split(",") if token.strip())

    def lists(self, name: str, token: str) -> bool:
        return token in (each.lower() for each in self.tokens(name))


class Request(NamedTuple):
    """A request for the protocol `websocket`, and what a server may object to in it."""

    target: str
    key: str | None
    version: str | None
    subprotocols: tuple[str, ...]
    extensions: tuple[str, ...]
    head: Head
    objections: tuple[str, ...]


class Response(NamedTuple):
    """An answer to a request to upgrade. `objections` are a client's, where the status is 101.

    `accept_valid` is None where there is nothing to compare with. `body` is how many bytes follow the head, None where
    that can't be told from it.
    """

    status: int
    reason: str
    accept: str | None
    accept_valid: bool | None
    subprotocol: str | None
    extensions: tuple[str, ...]
    body: int | None
    head: Head
    objections: tuple[str, ...]


class HeadReader:
    """Reads one head; `rest` is then what follows it. `problem` says why there will be none."""

    def __init__(self) -> None:
        self.rest = b""
        self.problem = ""
        self._buffer = bytearray()
        self._scanned = 0
        self._line = 0  # where the line being read begins
        self._lines: list[tuple[int, int]] = []
        self._bare = False

    @property
    def held(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> Head | None:
        """Takes in more of the stream and returns the head once it is complete."""
        if self.problem:
            return None
        self._buffer += data
        while (at := self._buffer.find(b"\n", self._scanned, MOST_HEAD)) >= 0:
            returned = at > self._line and self._buffer[at - 1] == 0x0D
            self._bare = self._bare or not returned
            line = (self._line, at - returned)
            self._scanned = self._line = at + 1
            if line[0] < line[1]:
                self._lines.append(line)
                if len(self._lines) > MOST_HEADERS + 1:
                    self.problem = "too many headers"
                    return None
            elif self._lines:  # RFC 9112 section 2.2: empty lines before a start line are passed over
                self.rest = bytes(self._buffer[at + 1 :])
                return self._head(at + 1)
        self._scanned = len(self._buffer)
        if len(self._buffer) >= MOST_HEAD:
            self.problem = "head too long"
            self._buffer.clear()
        return None

    def _head(self, end: int) -> Head:
        notes = [BARE_LF] * self._bare
        headers: list[Header] = []
        for start, stop in self._lines[1:]:
            text = self._buffer[start:stop].decode("latin-1")
            if text[0] in _SPACE:  # RFC 9112 section 5.2: a line that goes on with the field before
                notes.append(OBS_FOLD)
                if headers:
                    last = headers[-1]
                    more = text.strip(_SPACE)
                    headers[-1] = last._replace(value=f"{last.value} {more}".strip(), end=stop)
                continue
            name, colon, value = text.partition(":")
            if not colon or name != name.strip() or not name:
                notes.append(BAD_HEADER)
            if colon and name.strip():
                before = len(name) + 1 + len(value) - len(value.lstrip(_SPACE))
                headers.append(Header(name.strip(), value.strip(_SPACE), start, stop, start + before))
        first = self._buffer[slice(*self._lines[0])].decode("latin-1")
        return Head(first, tuple(headers), end, tuple(dict.fromkeys(notes)))


def accept_of(key: str) -> str:
    """Returns the Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key (RFC 6455 section 4.2.2, item 5.4)."""
    digest = hashlib.sha1((key + GUID).encode("latin-1", "replace"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def request(head: Head) -> Request | None:
    """Returns the request to upgrade that a head is, None where it is something else."""
    method, _, rest = head.line.partition(" ")
    target, _, version = rest.rpartition(" ")
    if method != "GET" or not version.startswith("HTTP/") or not head.lists("upgrade", "websocket"):
        return None
    key, asked = head.first("sec-websocket-key"), head.first("sec-websocket-version")
    objections = {
        OLD_HTTP: version.strip() != "HTTP/1.1",
        NO_HOST: head.first("host") is None,
        NO_CONNECTION: not head.lists("connection", "upgrade"),
        BAD_KEY: key is None or len(head.all("sec-websocket-key")) > 1 or not _is_key(key),
        BAD_VERSION: asked != VERSION,
    }
    return Request(
        target, key, asked, head.tokens("sec-websocket-protocol"), head.tokens("sec-websocket-extensions"), head,
        _true(objections),
    )  # fmt: skip


def _is_key(key: str) -> bool:
    """Whether it is base64 of 16 bytes."""
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def response(head: Head, asked: Request | None) -> Response | None:
    """Returns the answer that a head is to what was asked, None where it is no HTTP response."""
    version, _, rest = head.line.partition(" ")
    status, _, reason = rest.strip().partition(" ")
    if not version.startswith("HTTP/") or len(status) != 3 or not (status.isascii() and status.isdigit()):
        return None
    accept = head.first("sec-websocket-accept")
    right = accept_of(asked.key) if asked is not None and asked.key is not None else None
    subprotocol, extensions = head.first("sec-websocket-protocol"), head.tokens("sec-websocket-extensions")
    offered = asked is not None
    objections = {
        NO_UPGRADE: not head.lists("upgrade", "websocket"),
        NO_CONNECTION: not head.lists("connection", "upgrade"),
        WRONG_ACCEPT: right is not None and accept != right,
        SUBPROTOCOL_NOT_OFFERED: asked is not None and subprotocol is not None
        and subprotocol not in asked.subprotocols,
        EXTENSION_NOT_OFFERED: asked is not None and not _names(extensions) <= _names(asked.extensions),
    }  # fmt: skip
    return Response(
        int(status), reason.strip(), accept, accept == right if offered and right is not None else None, subprotocol,
        extensions, _body(head), head, _true(objections) if int(status) == SWITCHING else (),
    )  # fmt: skip


def parameters(extension: str) -> tuple[str, dict[str, str]]:
    """Returns the name and the parameters of one extension: `permessage-deflate; server_max_window_bits=12`."""
    name, *rest = (part.strip() for part in extension.split(";"))
    pairs = (each.partition("=") for each in rest if each)
    return name.lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _names(extensions: Iterable[str]) -> set[str]:
    return {parameters(each)[0] for each in extensions}


def _body(head: Head) -> int | None:
    length = head.first("content-length")
    if head.all("transfer-encoding") or length is None or not (length.isascii() and length.isdigit()):
        return None
    return int(length[:18])


def _true(objections: dict[str, bool]) -> tuple[str, ...]:
    return tuple(code for code, holds in objections.items() if holds)
