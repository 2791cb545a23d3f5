"""A host: one process in a network namespace of its own, doing one thing at a time, when it is told to.

It never acts by itself, so that between two commands the kernel is the only one that does anything: then what the
kernel says and what the packets show can be compared exactly.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from lab.protocols.scenario import Endpoint
from lab.system import processes

# "done" and a value, "again" where it would block, "failed" and the error's words, "broken" and where it should not
# have; and the secrets that the command has added to the key log: whoever sees its packets needs them first.
Answer = tuple[str, object, str]


def serve(connection: Connection, endpoint: Endpoint) -> None:
    """Obeys commands `(method, arguments)` on `endpoint` until the other side of `connection` goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the lab, which then closes the connection
    with contextlib.suppress(EOFError, OSError):
        while True:
            method, arguments = connection.recv()
            kind, value = _obey(getattr(endpoint, method), arguments)
            answer: Answer = kind, value, endpoint.secrets()
            connection.send(answer)


def _obey(command: Callable[..., object], arguments: tuple[Any, ...]) -> tuple[str, object]:
    try:
        return ("done", command(*arguments))
    except BlockingIOError:
        return ("again", None)
    except OSError as error:
        return ("failed", os.strerror(error.errno) if error.errno else str(error))
    except Exception as error:
        if os.environ.get("LAB_DEBUG"):
            sys.excepthook(*sys.exc_info())
        return ("broken", processes.place(error).en)
