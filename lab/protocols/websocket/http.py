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
OLD_DRAFT = "old-draft"
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
    """A request for the protocol `websocket`, and what a server may object to in it.

    `draft` is the draft before RFC 6455 that it goes by, empty where it goes by none; `answer` what a server has to
    answer to its keys, where that is a draft's sum of them.
    """

    target: str
    key: str | None
    version: str | None
    subprotocols: tuple[str, ...]
    extensions: tuple[str, ...]
    head: Head
    objections: tuple[str, ...]
    draft: str = ""
    answer: bytes | None = None

    @property
    def foreign(self) -> bool:
        """Whether its frames are others than the RFC's."""
        return self.draft in FOREIGN


class Response(NamedTuple):
    """An answer to a request to upgrade. `objections` are a client's, where the status is 101.

    `accept_valid` is None where there is nothing to compare with, and so is `sum_valid`, of a draft's sum. `body` is
    how many bytes follow the head, None where it does not say: then it is `chunked`, or ends with the connection.
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
    sum_valid: bool | None = None

    @property
    def chunked(self) -> bool:
        return chunked(self.head)


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

    def cut(self) -> Head | None:
        """Returns what there is of a head the rest of which was not captured: its whole lines."""
        return self._head(self._line) if self._lines else None

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
    draft = draft_of(head)
    if draft in FOREIGN:  # it has rules of its own
        named = head.tokens("sec-websocket-protocol") + head.tokens("websocket-protocol")
        return Request(
            target, key, asked, named, head.tokens("sec-websocket-extensions"), head, (OLD_DRAFT,), draft
        )  # fmt: skip
    objections = {
        OLD_HTTP: version.strip() != "HTTP/1.1",
        NO_HOST: head.first("host") is None,
        NO_CONNECTION: not head.lists("connection", "upgrade"),
        BAD_KEY: key is None or len(head.all("sec-websocket-key")) > 1 or not _is_key(key),
        BAD_VERSION: asked != VERSION,
    }
    return Request(
        target, key, asked, head.tokens("sec-websocket-protocol"), head.tokens("sec-websocket-extensions"), head,
        _true(objections), draft,
    )  # fmt: skip


# Drafts before the RFC. The first two came from WHATWG; of the IETF's, -00 is hixie-76, and -07 has the RFC's frames.
HIXIE_75, HIXIE_76 = "hixie-75", "hixie-76"
_BY_VERSION = {"4": "hybi-04", "5": "hybi-05", "6": "hybi-06", "7": "hybi-07", "8": "hybi-08"}  # and up to -12
FOREIGN = (HIXIE_75, HIXIE_76, "hybi-01", "hybi-02", "hybi-03", "hybi-04", "hybi-05", "hybi-06")
_KEYS = "sec-websocket-key1", "sec-websocket-key2"
KEY_3, SUM = 8, 16  # bytes that hixie-76 puts behind the request's head, and behind the answer's


def draft_of(head: Head) -> str:
    """Returns the draft that a request goes by: some have headers that no other has, later ones a version."""
    if all(head.all(key) for key in _KEYS):
        told = head.first("sec-websocket-draft") or ""
        return f"hybi-0{told}" if told in ("1", "2", "3") else HIXIE_76
    if head.first("origin") is not None and not any(
        each.name.lower().startswith("sec-websocket-") for each in head.headers
    ):
        return HIXIE_75
    return _BY_VERSION.get(head.first("sec-websocket-version") or "", "")


def sum_of(head: Head, third: bytes) -> bytes | None:
    """Returns hixie-76's answer to two keys and the bytes behind the head; None where the keys are none.

    Of each key the digits, as one number, are divided by how many spaces it has (draft-hixie-thewebsocketprotocol-76
    section 1.3).
    """
    numbers = []
    for name in _KEYS:
        key = head.first(name) or ""
        digits, spaces = "".join(each for each in key if each in "0123456789"), key.count(" ")
        if not digits or not spaces or len(digits) > 20 or len(third) != KEY_3:
            return None
        numbers.append((int(digits) // spaces) & 0xFFFFFFFF)
    return hashlib.md5(b"".join(each.to_bytes(4, "big") for each in numbers) + third, usedforsecurity=False).digest()


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
    subprotocol = head.first("sec-websocket-protocol") or head.first("websocket-protocol")
    extensions = head.tokens("sec-websocket-extensions")
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
        extensions, body(head, int(status)), head, _true(objections) if int(status) == SWITCHING else (),
    )  # fmt: skip


def accepts(head: Head) -> bool:
    """Whether an answer, whatever it answers, changes to this protocol: no other has Sec-WebSocket-Accept."""
    answer = response(head, None)
    return (
        answer is not None
        and answer.status == SWITCHING
        and head.lists("upgrade", "websocket")
        and answer.accept is not None
    )


def parameters(extension: str) -> tuple[str, dict[str, str]]:
    """Returns the name and the parameters of one extension: `permessage-deflate; server_max_window_bits=12`."""
    name, *rest = (part.strip() for part in extension.split(";"))
    pairs = (each.partition("=") for each in rest if each)
    return name.lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _names(extensions: Iterable[str]) -> set[str]:
    return {parameters(each)[0] for each in extensions}


_NO_BODY = (204, 304)  # statuses (RFC 9112 section 6.3)


def body(head: Head, status: int | None = None) -> int | None:
    """Returns how many bytes follow a head, a request's where there is no status; None where none are told."""
    if status in _NO_BODY:
        return 0
    length = head.first("content-length")
    if head.all("transfer-encoding"):
        return None
    if length is None or not (length.isascii() and length.isdigit()):
        return 0 if status is None else None
    return int(length[:18])


def chunked(head: Head) -> bool:
    """Whether the body behind a head comes in chunks: that coding is the last (RFC 9112 section 6.1)."""
    return [each.lower() for each in head.tokens("transfer-encoding")][-1:] == ["chunked"]


def is_request(head: Head) -> bool:
    """Whether a head is a request of HTTP/1."""
    method, _, rest = head.line.partition(" ")
    return method.isalpha() and rest.rpartition(" ")[2].startswith("HTTP/1.")


def _true(objections: dict[str, bool]) -> tuple[str, ...]:
    return tuple(code for code, holds in objections.items() if holds)
