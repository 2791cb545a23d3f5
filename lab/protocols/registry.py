"""The protocols that the lab knows, in the order in which they stand on each other: a folder and a line each.

A folder's `__init__.py` has the descriptor, `PROTOCOL`. Nothing registers itself: what is not listed here is not there.
"""

from __future__ import annotations

from importlib import import_module

from lab.engine.protocol import Descriptor, Upper
from lab.errors import UsageError
from lab.protocols import tcp
from lab.text import Text

# What the transport carries, by folder. Of a conversation's first bytes the first one that recognises them is asked on.
CARRIED = (
    "tls",
    "websocket",
)

TRANSPORT = tcp.PROTOCOL  # what divides a capture into conversations
UPPERS: tuple[Upper, ...] = tuple(import_module(f"lab.protocols.{folder}").PROTOCOL for folder in CARRIED)
PROTOCOLS: tuple[Descriptor, ...] = (TRANSPORT, *UPPERS)
UNREAD = "not-tcp"  # the label of a packet that no transport reads: a name of the trace, older than the registry


def protocol(name: str) -> Descriptor:
    """Returns a protocol by its name. Raises UsageError."""
    for each in PROTOCOLS:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in PROTOCOLS)
    raise UsageError(
        Text(f"the lab has no notes on '{name}'", f"实验室没有关于“{name}”的讲义"),
        Text(f"it has: {known}", f"现有：{known}"),
    )


def of_step(step: str) -> Descriptor:
    """Returns the protocol that a step is of, by the step's id."""
    return protocol(step.partition(".")[0])
