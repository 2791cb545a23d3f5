"""What is wrong with a TCP connection as a whole: nobody answered, somebody refused or reset it, something was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.engine.protocol import Placed, Trouble
from lab.protocols.tcp.icmp import Kind
from lab.text import ROLES, Text

_NO_ANSWER, _REFUSED, _RESET, _HALF, _WINDOW, _HOLES = 85, 80, 60, 30, 15, 5
_NOT_YET = 1  # an answer that may have been on its way
_ERRORS = frozenset(Kind) - {Kind.QUENCH}
_LOST, _MOST_LOST = 10, 40  # retransmissions: at least, and where half of all packets are some


def troubles(facts: Mapping[str, Any], placed: Placed) -> list[Trouble]:
    """Returns what is wrong, by the facts of the trace, the `details` beside them and the packets that have a label."""
    return [*_ending(facts, placed), *_losses(facts, placed)]


def _ending(facts: Mapping[str, Any], placed: Placed) -> Iterator[Trouble]:
    resets = placed.get("RST", ())
    who = resets[0][0] if resets else None
    packet = resets[0][1] if resets else None
    state, closed = facts["conn_state"], facts["closed"]
    if state == "REJ" and closed is None:
        said = Text(
            "the SYN brought only a RST that does not acknowledge it, which is not heeded",
            "对 SYN 的回应只有没有确认它的 RST，会被丢弃",
        )
        yield Trouble(_NO_ANSWER, said, packet)
    elif state == "REJ" and who == "server" and not facts["opened"] and facts["tcp"]["server_isn"] is None:
        yield Trouble(_REFUSED, Text("the server refused the connection: RST", "服务器拒绝了连接：RST"), packet)
    elif state == "S0":
        yield _unanswered(facts, placed)
    elif closed == "rst" and who is not None:
        yield Trouble(_RESET, Text(f"the {who} reset it", f"{ROLES[who].zh}复位了连接"), packet)
    elif state in ("S2", "S3"):
        role = "client" if state == "S2" else "server"
        yield Trouble(_HALF, Text(f"only the {role} has closed", f"只有{ROLES[role].zh}关闭了"), None)


def _unanswered(facts: Mapping[str, Any], placed: Placed) -> Trouble:
    """Returns what became of a SYN that the server's side of its own connection has not answered."""
    asked = placed.get("SYN", ())
    times, first = len(asked), asked[0][1] if asked else None
    codes = [step["differs"]["code"] for step in facts["steps"] if step["id"] == "tcp.open.2" and step["differs"]]
    by = facts["answered_by"]
    if codes and codes[0] in _ERRORS:
        said = Text("the SYN was answered by an ICMP error alone", "SYN 得到的应答只有 ICMP 差错报文")
        return Trouble(_NO_ANSWER, said, by)
    if "challenged" in codes:
        said = Text(
            "the SYN was refused: an ACK of the old connection on these ports answers it",
            "SYN 被拒收：由这一对端口上的旧连接以 ACK 应答",
        )
        return Trouble(_REFUSED, said, by)
    not_yet = Text("the capture ends before an answer to the SYN", "抓包结束时 SYN 尚未得到应答")
    return Trouble(
        _NO_ANSWER,
        Text(f"nobody answered the SYN, sent {times} times", f"SYN 发送 {times} 次，无人应答")
        if times > 1
        else Text("nobody answered the SYN", "SYN 无人应答"),
        first,
        Trouble(_NOT_YET, not_yet, first) if times == 1 else None,
    )


def _losses(facts: Mapping[str, Any], placed: Placed) -> Iterator[Trouble]:
    again = facts["tcp"]["retransmissions"]
    if again:
        weight = min(_MOST_LOST, _LOST + 60 * again // max(1, facts["packets"]))
        first = placed.get("retransmission", ())
        plural = "s" if again > 1 else ""
        said = Text(f"{again} retransmission{plural}", f"{again} 次重传")
        yield Trouble(weight, said, first[0][1] if first else None)
    if shut := placed.get("zero-window", ()):
        who, packet = shut[0]
        yield Trouble(_WINDOW, Text(f"the {who}'s window was closed", f"{ROLES[who].zh}的窗口曾经关闭"), packet)
    if left := facts["holes"]:  # what came out of order has filled the others
        found = placed.get("previous-segment-not-captured", ())
        place = found[0][1] if len(found) == left else None  # else nobody can tell which of them
        yield Trouble(_HOLES, Text("something was not captured", "有内容未抓到"), place)
