"""Bytes are taken as they arrive: whoever needs some waits for those and for no more.

A `Source` holds the bytes read and not yet consumed; `Findings` holds what is found beside the frames. Both have
limits, so that no file, however damaged, takes more than a fixed amount of memory.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Protocol

from lab.capture.compressed import DamagedError, Unfolded
from lab.capture.rewrite import Passed
from lab.model import Problem
from lab.text import Text

CHUNK = 1 << 20  # bytes asked for at a time
_HEARD_WITHIN = 0.5  # seconds: a signal that comes just before a wait does not end it, and is heard after it
MAX_PROBLEMS = 100
MAX_KEPT = 65_536  # interfaces of a section, host names, blocks of secrets
MAX_NAME = 255  # characters of a host's name (RFC 1035 section 2.3.4 allows as many octets); what is longer is none
MAX_SECRETS = 36 << 20  # bytes: the text of more secrets than are told apart
MAX_CLOSING, MAX_CLOSING_BYTES = 1000, 8 << 20  # comments, and the memory for them


class Raw(Protocol):
    """A file that is read as it is: `read` returns what is there, None for nothing yet."""

    def fileno(self) -> int: ...
    def read(self, size: int, /) -> bytes | None: ...


class Source:
    """The bytes of `file` as a window: `buffer[at:]` has been read and is not yet consumed."""

    __slots__ = (
        "_base", "_ended", "_file", "_hash", "_limited", "_raw", "_unfolded", "at", "buffer", "failure", "on_wait",
        "watch",
    )  # fmt: skip

    def __init__(self, file: Raw, *, digest: bool, limited: bool = True) -> None:
        self.buffer = b""
        self.at = 0
        self.failure: OSError | None = None  # why reading ended before the file did
        self.on_wait: Callable[[], object] | None = None  # called before waiting for what is not there yet
        self.watch: Callable[[], object] | None = None  # is called at each reading
        self._limited = limited  # what is compressed unfolds to a reasonable size, or reading ends
        self._base = 0  # the file offset of buffer[0]
        self._raw = 0  # bytes read of the file, as it is
        self._unfolded: Unfolded | None = None  # where it is compressed
        self._ended = False
        self._file = file
        self._hash = None
        if digest:
            import hashlib  # not with every command: it takes long

            self._hash = hashlib.sha256()

    @property
    def position(self) -> int:
        """Returns how many bytes have been consumed; of what was compressed, where it is."""
        return self._base + self.at

    @property
    def progress(self) -> int:
        """Returns how many bytes of the file, as it is, have been consumed, or read where it is compressed."""
        return self._raw if self._unfolded else self.position

    def unfold(self, kind: str) -> None:
        """From here on it is the bytes that were compressed; those in the window are the first of the compressed."""
        self._unfolded = Unfolded(kind, self.buffer[self.at :], self._read_raw, self._limited)
        self.buffer, self.at = b"", 0

    def fill(self, need: int) -> int:
        """Waits until `need` unconsumed bytes are there and returns how many are; fewer only at the end of the file.

        Afterwards the window has moved: read `buffer` and `at` again.
        """
        have = len(self.buffer) - self.at
        if have >= need:
            return have
        window = bytearray(self.buffer[self.at :])
        self._base += self.at
        self.buffer, self.at = b"", 0  # what has been consumed may be as large as what is needed
        try:
            while len(window) < need and (piece := self._read()):
                window += piece
        finally:
            self.buffer = bytes(window)
        return len(window)

    def comes_within(self, seconds: float) -> bool:
        """Waits so long at most until bytes are there, or the end; whether they are. True where only reading tells."""
        if len(self.buffer) > self.at or self._ended or self._unfolded is not None:
            return True
        return _readable(self._file, seconds)

    def drain(self) -> str:
        """Reads to the end of the file and returns the SHA-256 of all of it in hex; empty when no digest is kept."""
        if self._hash is None:
            return ""
        while self._read_raw():
            pass
        return self._hash.hexdigest()

    def _read(self) -> bytes:
        """Returns the bytes that have arrived, waiting for the first of them; none at the end."""
        if self.watch is not None:
            self.watch()
        if self._unfolded is None:
            return self._read_raw()
        if self.failure is not None:
            return b""
        try:
            return self._unfolded.read(CHUNK)
        except DamagedError as error:
            self.failure = error
            return b""

    def _read_raw(self) -> bytes:
        if self.on_wait is not None and not self._ended and not _readable(self._file, 0):
            self.on_wait()  # what it raises is no failure of this file
            while not _readable(self._file, _HEARD_WITHIN):
                pass
        piece: bytes | None = None
        try:
            while piece is None and not self._ended:
                piece = self._file.read(CHUNK)
                if piece is None:  # a descriptor someone has made non-blocking
                    select.select([self._file], [], [])
        except OSError as error:
            self.failure = error
        if not piece:
            self._ended = True
            return b""
        self._raw += len(piece)
        if self._hash is not None:
            self._hash.update(piece)
        return piece


def _readable(file: Raw, seconds: float) -> bool:
    return bool(select.select([file], [], [], seconds)[0])


class Findings:
    """What a capture file says beside its frames, up to the frame read last; never more than the limits above."""

    def __init__(self) -> None:
        self.packets = 0
        self.problems: list[Problem] = []
        self.hosts: dict[str, str] = {}  # address -> name, from name resolution blocks
        self.secrets: list[bytes] = []  # TLS key logs, from decryption secrets blocks
        self.known: list[bytes] = []  # the same, where they have been read ahead
        self.on_secrets: Callable[[bytes], object] | None = None  # hears of each, as it comes
        self.closing_comments: tuple[str, ...] = ()  # of the interface statistics blocks
        self.passed: Passed | None = None  # the blocks of a pcapng, where it is to be written again
        self.snaplen = 0  # bytes, 0: no limit; of a pcap
        self._secret_bytes = 0
        self._closing_bytes = 0

    def problem(self, offset: int, packet: int | None, text: Text) -> None:
        """Notes a problem; after `MAX_PROBLEMS` only that there are more."""
        if len(self.problems) == MAX_PROBLEMS:
            text = Text("there are more problems, not listed", "还有更多问题，不再列出")
        if len(self.problems) <= MAX_PROBLEMS:
            self.problems.append(Problem(offset, packet, text))

    def keep_host(self, address: str, name: str) -> None:
        if len(self.hosts) < MAX_KEPT and len(name) <= MAX_NAME:
            self.hosts[address] = name

    def keep_secrets(self, secrets: bytes) -> bool:
        """Keeps a key log, and returns whether there was room for it."""
        if len(self.secrets) >= MAX_KEPT or self._secret_bytes + len(secrets) > MAX_SECRETS:
            return False
        self._secret_bytes += len(secrets)
        at = len(self.secrets)
        if at < len(self.known) and self.known[at] == secrets:
            secrets = self.known[at]  # once is enough
        self.secrets.append(secrets)
        if self.on_secrets is not None:
            self.on_secrets(secrets)
        return True

    def keep_closing(self, comments: tuple[str, ...]) -> None:
        """Keeps comments, as many as there is room for."""
        for comment in comments[: MAX_CLOSING - len(self.closing_comments)]:
            size = comment.__sizeof__()
            if self._closing_bytes + size > MAX_CLOSING_BYTES:
                return
            self._closing_bytes += size
            self.closing_comments += (comment,)
