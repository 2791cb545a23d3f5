"""TCP: the programs the hosts run, the table of states, the notes and the scenarios."""

from __future__ import annotations

from lab.annotate.walk import Protocol
from lab.protocols.tcp import acceptance
from lab.protocols.tcp.dissect import begin, got, sent
from lab.protocols.tcp.states import ENDED, TABLE

TCP = Protocol("tcp", {"client": TABLE, "server": TABLE}, begin, sent, got, ENDED)
CHECKING = TCP._replace(sent=acceptance.sent, got=acceptance.got)  # where a journal tells what arrived
