"""What frames make: messages out of fragments (RFC 6455 section 5.4), inflated where they were compressed (RFC 7692).

Control frames may come between the fragments of a message and are messages of their own. Of a message no more than
MOST_KEPT bytes are kept, compressed or not. A longer one breaks no rule: RFC 7692 sets no limit.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from lab.protocols.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MOST_KEPT,
    OPCODES,
    PING,
    PONG,
    RSV1,
    TEXT,
    Frame,
)

_TAIL = b"\0\0\xff\xff"  # RFC 7692 section 7.2.2: what the sender has cut off behind each message
_REGISTERED = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # codes that may be sent (section 7.4)
NO_CODE = 1005
_CODE = 2  # bytes
_INFLATER = 40_000  # bytes of memory, roughly


class Message(NamedTuple):
    """A whole message. `length` counts what the application gets, `wire` the bytes of payload that carried it.

    `payload` is None where it was too long to keep, can't be inflated, or is `opaque`.
    """

    opcode: int
    payload: bytes | None
    length: int | None
    wire: int
    fragments: int
    masked: bool
    compressed: bool
    code: int | None = None  # of a Close
    reason: str | None = None
    opaque: bool = False  # an extension that nobody here knows has done something to it


class Told(NamedTuple):
    """What a frame comes to: everything wrong with it, and the message that it completes."""

    frame: Frame
    problems: tuple[str, ...]
    message: Message | None


class Messages:
    """Puts together what one end sends. `deflate` says whether it may compress, `takeover` whether it keeps its window
    from message to message (RFC 7692 section 7.1.1); `per_frame` that an older extension compresses frame by frame.

    Where an `unknown` extension was agreed on, reserved bits may mean anything, and so may the payload with them.
    """

    def __init__(self) -> None:
        self.deflate = False
        self.takeover = True
        self.per_frame = False
        self.unknown = False
        self.closed = False  # has sent its Close
        self._inflater: zlib._Decompress | None = None
        self._lost = False  # the inflater has missed something
        self._first: Frame | None = None  # of a message whose last fragment has not come
        self._body = bytearray()
        self._wire = 0
        self._fragments = 0
        self._kept = True
        self._inflated_some = False  # of a message, frames were compressed
        self._opaque = False  # a bit that nobody knows was set in a frame of it
        self._holed = False  # what was not captured may have begun a message
        self._missed = False  # what was not captured may be what a compressed message points back to

    def lose(self) -> None:
        """Nobody knows what was sent in bytes that are missing: fragments, or what an inflater needs."""
        self._first, self._holed, self._lost, self._missed = None, True, True, True
        self._body.clear()

    @property
    def held(self) -> int:
        return len(self._body) + (_INFLATER if self._inflater is not None else 0)

    def feed(self, frame: Frame) -> Told:
        problems = list(frame.problems)
        if not self.unknown and not self._known(frame):
            problems.append("reserved-bit")
        if self.closed and frame.opcode not in (PING, PONG):  # which must be answered until a Close has come
            problems.append("after-close")
            return Told(frame, tuple(problems), None)
        message = None
        if frame.control:
            if frame.opcode in OPCODES and "length-too-large" not in problems:
                message, wrong = _control(frame)
                problems += wrong if self._known(frame) or not self.unknown else []
                self.closed = self.closed or frame.opcode == CLOSE
        elif frame.opcode in OPCODES and "length-too-large" not in problems:
            message, wrong = self._fragment(frame)
            problems += wrong
        return Told(frame, tuple(problems), message)

    def _known(self, frame: Frame) -> bool:
        """Whether the frame's reserved bits are 0, or have the meaning that an extension gives them."""
        return not frame.reserved & ~RSV1 and (not frame.reserved or self._may_be_compressed(frame))

    def _may_be_compressed(self, frame: Frame) -> bool:
        if self.per_frame:
            return not frame.control
        return self.deflate and frame.opcode in (TEXT, BINARY)

    def _fragment(self, frame: Frame) -> tuple[Message | None, list[str]]:
        wrong = []
        payload: bytes | None = frame.payload if frame.length <= MOST_KEPT and not frame.cut else None
        if self.per_frame and frame.reserved & RSV1:
            payload, problem = self._inflated(payload)
            wrong += [problem] * bool(problem)
        if frame.opcode == CONTINUATION:
            if self._first is None:
                begun = self._holed  # in what is missing
                self._holed = begun and not frame.fin
                return None, wrong if begun else [*wrong, "unexpected-continuation"]
        else:
            if self._first is not None:
                wrong.append("unfinished-message")
                self._lost = self._lost or self._compressed(self._first)
            self._first, self._wire, self._fragments, self._kept = frame, 0, 0, True
            self._inflated_some = self._opaque = self._holed = False
            self._body.clear()
        first = self._first
        self._wire += frame.length
        self._fragments += 1
        self._inflated_some |= self.per_frame and bool(frame.reserved & RSV1)
        self._opaque |= self.unknown and bool(frame.reserved) and not self._known(frame)
        self._kept = self._kept and payload is not None and len(self._body) + len(payload) <= MOST_KEPT
        if self._kept and payload is not None:
            self._body += payload
        else:
            self._body.clear()
        if not frame.fin:
            return None, wrong
        return self._whole(first, wrong)

    def _whole(self, first: Frame, wrong: list[str]) -> tuple[Message | None, list[str]]:
        """Returns the message whose last fragment has come."""
        self._first = None
        payload = bytes(self._body) if self._kept else None
        self._body.clear()
        masked = first.key is not None
        if self._opaque:
            return Message(first.opcode, None, None, self._wire, self._fragments, masked, False, opaque=True), wrong
        compressed = self._compressed(first)
        length: int | None = self._wire
        if compressed:
            payload, problem = self._inflated(payload)
            wrong += [problem] * bool(problem)
        if compressed or self._inflated_some:
            length = len(payload) if payload is not None else None
        if first.opcode == TEXT and payload is not None and not self.unknown and not _is_utf8(payload):
            wrong.append("invalid-utf8")
        compressed = compressed or self._inflated_some
        return Message(first.opcode, payload, length, self._wire, self._fragments, masked, compressed), wrong

    def _compressed(self, first: Frame) -> bool:
        return self.deflate and bool(first.reserved & RSV1)

    def _inflated(self, data: bytes | None) -> tuple[bytes | None, str]:
        if self._inflater is None or not self.takeover:
            self._inflater, self._lost = zlib.decompressobj(-zlib.MAX_WBITS), False
        if data is None or self._lost:
            self._lost = True
            return None, ""
        try:
            out = self._inflater.decompress(data + _TAIL, MOST_KEPT + 1)
        except zlib.error:
            self._lost = True
            blameless = self.unknown or (self._missed and self.takeover)  # it may not be deflate alone
            return None, "" if blameless else "bad-deflate"
        if len(out) > MOST_KEPT:
            self._lost = True
            return None, ""
        if self._inflater.eof:  # a last block: what comes next begins anew (RFC 7692 section 7.2.3.4)
            self._inflater = None
        return out, ""


def _control(frame: Frame) -> tuple[Message, list[str]]:
    code: int | None = None
    reason: str | None = None
    wrong: list[str] = []
    if frame.opcode == CLOSE and (not frame.cut or len(frame.payload) >= _CODE):
        code, reason, wrong = close_of(frame.payload)
        if frame.cut:
            wrong = [each for each in wrong if each != "invalid-utf8"]
    masked = frame.key is not None
    return Message(
        frame.opcode, frame.payload, frame.length, frame.length, 1, masked, False, code, reason
    ), wrong  # fmt: skip


def close_of(payload: bytes) -> tuple[int, str, list[str]]:
    """Returns a Close's code, its reason, and what is wrong with them. Without a code it is 1005 (section 7.1.5)."""
    if not payload:
        return NO_CODE, "", []
    if len(payload) < _CODE:
        return NO_CODE, "", ["bad-close-body"]
    code = int.from_bytes(payload[:2], "big")
    wrong = [] if code in _REGISTERED else ["bad-close-code"]
    if not _is_utf8(payload[2:]):
        wrong.append("invalid-utf8")
    return code, payload[2:].decode("utf-8", "replace"), wrong


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
