"""What may differ between two runs of one scenario: ports, texts, names, who closes first.

Frozen and plain, so that they go from process to process, and as JSON into a container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from lab.model import Role

LOWEST_PORT = 1024  # below it an ordinary user may not listen
MOST_TEXT = 1000  # characters
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_PATH = re.compile(r"/[A-Za-z0-9/._~-]{0,200}")
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Choices(NamedTuple):
    """What was chosen; None leaves it as the script has it."""

    port: int | None = None  # the server's
    client_port: int | None = None
    hello: str | None = None  # what the client says
    answer: str | None = None  # what the server answers
    first: Role | None = None  # which end closes first
    name: str | None = None  # the server's, as a client asks for it
    path: str | None = None
    subprotocol: str | None = None

    @property
    def made(self) -> dict[str, int | str]:
        """Those that were made, by their names."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def checked(found: Mapping[str, object]) -> Choices:
    """Returns choices that come from outside. Raises ValueError, with the name of what can't be one."""
    for name, value in found.items():
        if name not in Choices._fields or not _can_be(name, value):
            raise ValueError(name)
    return Choices(**found)  # type: ignore[arg-type]  # they have been looked at


def _can_be(name: str, value: object) -> bool:
    if name in ("port", "client_port"):
        return isinstance(value, int) and not isinstance(value, bool) and LOWEST_PORT <= value <= 65535
    if not isinstance(value, str):
        return False
    if name == "first":
        return value in ("client", "server")
    if name in ("hello", "answer"):
        return 0 < len(value) <= MOST_TEXT and value.isprintable()
    return {"name": _NAME, "path": _PATH, "subprotocol": _TOKEN}[name].fullmatch(value) is not None
