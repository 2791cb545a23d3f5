"""TCP: the programs the hosts run, the table of states, the notes and the scenarios."""

from __future__ import annotations

from lab.engine.walk import Protocol
from lab.protocols.tcp.events import begin, got, sent
from lab.protocols.tcp.states import ENDED, TABLE

TCP = Protocol("tcp", {"client": TABLE, "server": TABLE}, begin, sent, got, ENDED)
