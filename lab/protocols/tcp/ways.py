"""The ways in which a kernel gets into each of the eleven states: what its program does, and what its peer sends.

A way is a line of words. `listen connect accept write shutdown close` are calls of the program; `SYN SYN-ACK ACK FIN`
are segments of the peer, with the numbers that come next (FIN with ACK). An ACK acknowledges all that the kernel has
sent, an `old-FIN` only what was acknowledged before.
"""

from __future__ import annotations

from typing import NamedTuple

from lab.protocols.tcp.states import State
from lab.text import Text

CALLS = ("listen", "connect", "accept", "write", "shutdown", "close")


class Way(NamedTuple):
    """A way into a state. `name` is the state's, and behind a slash which of its ways; the first has none."""

    name: str
    state: State
    script: str
    text: Text

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.script.split())

    @property
    def passive(self) -> bool:
        return "connect" not in self.words

    @property
    def user(self) -> bool:
        """Whether a program is there that would hear of the connection."""
        return self.words[-1] != "close" and "close" not in self.words

    @property
    def hurries(self) -> bool:
        """Whether the kernel's SYN is not acknowledged, or is about to be sent: it is sent again after a second."""
        return self.state != State.CLOSED and not {"ACK", "SYN-ACK"} & set(self.words)

    @property
    def fin_sent(self) -> bool:
        return self.state not in (State.CLOSED, State.LISTEN) and bool({"shutdown", "close"} & set(self.words))


def _way(name: str, script: str, en: str, zh: str) -> Way:
    return Way(name, State(name.partition("/")[0]), script, Text(en, zh))


WAYS = (
    _way("CLOSED", "listen close", "nobody listens any more", "已无人监听"),
    _way("CLOSED/connect", "connect close", "the program gave up its connect()", "程序放弃了 connect()"),
    _way("LISTEN", "listen", "a program listens", "程序在监听"),
    _way("SYN-SENT", "connect", "a program connects, nobody has answered", "程序发起连接，尚无应答"),
    _way("SYN-RECEIVED", "listen SYN", "a SYN has come to a listener", "监听者收到 SYN"),
    _way("SYN-RECEIVED/both", "connect SYN", "both ends opened at once", "双方同时打开"),
    _way("ESTABLISHED", "listen SYN ACK accept", "a listener's connection, accepted", "监听者的连接，已被 accept"),
    _way("ESTABLISHED/active", "connect SYN-ACK", "a connection that the program opened", "程序主动打开的连接"),
    _way("ESTABLISHED/both", "connect SYN SYN-ACK", "both ends had opened at once", "由双方同时打开而来"),
    _way("ESTABLISHED/sent", "listen SYN ACK accept write", "with data sent and not acknowledged",
          "有已发送而未确认的数据"),
    _way("FIN-WAIT-1", "listen SYN ACK accept shutdown", "the program has shut down sending", "程序关闭了发送方向"),
    _way("FIN-WAIT-1/close", "listen SYN ACK accept close", "the program has closed its socket", "程序关闭了套接字"),
    _way("FIN-WAIT-1/early", "connect SYN close", "closed in SYN-RECEIVED", "在 SYN-RECEIVED 中关闭"),
    _way("FIN-WAIT-2", "listen SYN ACK accept shutdown ACK", "the program still reads", "程序仍在接收"),
    _way("FIN-WAIT-2/close", "listen SYN ACK accept close ACK", "the program has closed its socket",
          "程序关闭了套接字"),
    _way("CLOSE-WAIT", "listen SYN ACK accept FIN", "the peer has closed, the program has not",
          "对方已关闭，本端程序尚未关闭"),
    _way("CLOSING", "listen SYN ACK accept shutdown old-FIN", "both ends closed at once", "双方同时关闭"),
    _way("LAST-ACK", "listen SYN ACK accept FIN shutdown", "both have closed, the peer first",
          "双方都已关闭，对方在先"),
    _way("TIME-WAIT", "listen SYN ACK accept close ACK FIN", "the usual way, from FIN-WAIT-2",
          "通常的路径，经 FIN-WAIT-2"),
    _way("TIME-WAIT/both", "listen SYN ACK accept close old-FIN ACK", "from CLOSING", "经 CLOSING"),
    _way("TIME-WAIT/at-once", "listen SYN ACK accept close FIN", "from FIN-WAIT-1: FIN and ACK in one",
          "从 FIN-WAIT-1 直达：FIN 与 ACK 同在一段"),
)  # fmt: skip
