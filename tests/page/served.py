"""A folder served on loopback as a careful administrator would: with a strict policy, and what was asked for noted."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

# As docs/site.md has it.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Asked(NamedTuple):
    """A request: its method, path and answer's status, and how many bytes came with it."""

    method: str
    path: str
    status: int
    size: int


class Served(NamedTuple):
    """Where the folder is served, and all requests so far."""

    address: str
    asked: list[Asked]


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *given: object, asked: list[Asked], **more: object) -> None:
        self._asked = asked
        super().__init__(*given, **more)  # type: ignore[arg-type]  # the library's own, handed on

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_request(self, code: int | str = "-", _size: int | str = "-") -> None:
        self._asked.append(Asked(self.command, self.path, int(code), int(self.headers.get("Content-Length", 0))))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library calls it
        """Says nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serves the folder for the length of the block."""
    asked: list[Asked] = []
    handler = functools.partial(_Handler, directory=str(folder), asked=asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{server.server_port}/", asked)
        finally:
            server.shutdown()
            thread.join()
