"""The protocols the lab knows, in the order in which they stand on each other. Adding one is a folder and a line."""

from __future__ import annotations

from lab.annotate.walk import Protocol
from lab.protocols.tcp import TCP

PROTOCOLS: tuple[Protocol, ...] = (TCP,)
