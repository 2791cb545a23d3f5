"""What a host's kernel says of its sockets, read over sock_diag: the first of the two witnesses.

A witness only listens. It knows three things the annotator does not: every socket's state, whether somebody listens,
and whether a connection was ever completed; it never sees a packet.
"""

from __future__ import annotations

import os
import socket
from typing import Any, NamedTuple

from pyroute2 import DiagSocket, NetlinkError

from lab.errors import MachineError
from lab.text import Text

# include/net/tcp_states.h; NEW_SYN_RECV (12) is told as SYN_RECV, 7 (CLOSE) and 13 (BOUND_INACTIVE) are no connection
STATES = {
    1: "ESTABLISHED",
    2: "SYN-SENT",
    3: "SYN-RECEIVED",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN-RECEIVED",
}
ALL_STATES = 0xFFFF


class Pair(NamedTuple):
    """One end's view of a conversation: addresses as text, in the kernel's spelling."""

    address: str
    port: int
    peer_address: str
    peer_port: int


class Witness:
    """One host's kernel. Open it while in the host's network namespace: it stays there wherever the process goes."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self._family = family
        self._diag = DiagSocket()
        self._diag.bind()
        self._rows: dict[Pair, str] = {}
        self._listening: set[int] = set()
        self._opened: set[Pair] = set()

    def look(self) -> None:
        """Asks the kernel once, for all sockets. Needs no privileges; costs about a millisecond.

        Raises MachineError where the kernel can't tell (without tcp_diag).
        """
        rows: dict[Pair, str] = {}
        listening: set[int] = set()
        for row in self._ask():
            state = STATES.get(row["idiag_state"])
            if state == "LISTEN":
                listening.add(row["idiag_sport"])
            elif state is not None:
                pair = Pair(row["idiag_src"], row["idiag_sport"], row["idiag_dst"], row["idiag_dport"])
                rows[pair] = state
                if state not in ("SYN-SENT", "SYN-RECEIVED"):
                    self._opened.add(pair)
        self._rows, self._listening = rows, listening

    def _ask(self) -> list[Any]:
        try:
            return list(self._diag.get_sock_stats(family=self._family, states=ALL_STATES))
        except NetlinkError as error:
            words = os.strerror(error.code)
            raise MachineError(
                Text(f"the kernel does not tell its sockets' states: {words}", f"内核不提供套接字状态：{words}"),
                Text("lab doctor says why, and the command that mends it", "运行 lab doctor 查看原因和修复命令"),
            ) from error

    def state(self, pair: Pair) -> str:
        """Returns the state at the last look: the pair's own row; else LISTEN where the pair's port is listened on and
        the pair never got past SYN-RECEIVED; else CLOSED.
        """
        row = self._rows.get(pair)
        if row is not None:
            return row
        return "LISTEN" if pair.port in self._listening and pair not in self._opened else "CLOSED"

    def close(self) -> None:
        self._diag.close()
