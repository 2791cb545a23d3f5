"""What two TCP connections are compared by, and the sentences on what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.engine.protocol import CLOSING, OPENING, TALKING, Compared, Sentence, fact, same
from lab.text import Text


def _final(facts: Mapping[str, Any], _rows: Sequence[Any]) -> str:
    states = facts["final"]["states"]
    return f"{states['client'] or '?'} · {states['server'] or '?'}"


def _close_segments(facts: Mapping[str, Any], _rows: Sequence[Any]) -> int | None:
    """Returns how many segments the notes' four steps of closing are; None where they are not all there."""
    steps = [step for step in facts["steps"] if step["id"].startswith("tcp.close.")]
    return (
        len({packet for step in steps for packet in step["packets"]}) if all(step["seen"] for step in steps) else None
    )


def round_trips(facts: Mapping[str, Any], rows: Sequence[Any]) -> int | None:
    """Returns how often the client waits, from its SYN on, before the first data of its own that are no handshake.

    None where it never sends any, or its SYN was not captured.
    """
    if facts["tcp"]["client_isn"] is None:
        return None
    trips, waited = 0, False
    for row in rows:
        if row.sender == "server":
            waited = waited or row.awaited
            continue
        trips, waited = trips + waited, False
        if row.data:
            return trips
    return None


def _number(found: Any) -> bool:
    return isinstance(found, int)


COMPARED = (
    Compared("opened", Text("opened", "已建立"), fact("opened")),
    Compared("closed", Text("closed by", "关闭方式"), fact("closed")),
    Compared("conn_state", Text("Zeek's conn_state", "Zeek 的 conn_state"), fact("conn_state")),
    Compared("retransmissions", Text("retransmissions", "重传次数"), fact("tcp", "retransmissions")),
    Compared("final_states", Text("states at the end", "最终状态"), _final, last=True),
    Compared("close_segments", Text("segments to close", "关闭所用报文段"), _close_segments, last=True),
    Compared("closes_first", Text("closes first", "先关闭的一端"), fact("details", "closes_first"), last=True),
    Compared("round_trips", Text("round trips before data", "数据之前的往返次数"), round_trips, last=True),
)

SENTENCES = (
    Sentence("opened", same(True), same(False), Text(
        "{x} is opened; {y} never is.",
        "{x} 建立了连接；{y} 始终没有建立。"), OPENING),
    Sentence("tcp refused", same(False), same(True), Text(
        "In {y} the SYN is answered with a RST: as a rule, nobody listens on that port.",
        "{y} 的 SYN 得到的是 RST：通常说明该端口上没有程序在监听。"), OPENING),
    Sentence("tcp simultaneous-open", same(False), same(True), Text(
        "In {y} the two SYNs cross: both ends open the connection at once.",
        "{y} 的两个 SYN 在途中交错：双方同时发起连接。"), OPENING),
    Sentence("retransmissions", same(0), _number, Text(
        "In {y} something was lost or late (segments sent again: {other}); in {x} nothing was.",
        "{y} 中有报文段丢失或迟到（重传 {other} 次）；{x} 中没有。"), OPENING),
    Sentence("round_trips", _number, _number, Text(
        "Round trips before the client's first data, TCP's handshake included: {one} in {x}, {other} in {y}.",
        "客户端发出首个数据之前的往返次数（含 TCP 握手）：{x} 为 {one} 次，{y} 为 {other} 次。"), TALKING),
    Sentence("closes_first", same("client"), same("server"), Text(
        "In {x} the client closes first, in {y} the server: whoever closes first is to wait in TIME-WAIT.",
        "{x} 由客户端先关闭，{y} 由服务器先关闭：先关闭的一端要在 TIME-WAIT 中等待。"), CLOSING),
    Sentence("tcp simultaneous-close", same(False), same(True), Text(
        "In {y} the two FINs cross: both ends close first, so both are to wait in TIME-WAIT.",
        "{y} 的两个 FIN 在途中交错：双方都算先关闭，都要在 TIME-WAIT 中等待。"), CLOSING),
    Sentence("tcp half-close", same(False), same(True), Text(
        "In {y} the end that got the first FIN goes on sending (half-close).",
        "{y} 中收到第一个 FIN 的一端仍继续发送数据（半关闭）。"), CLOSING),
    Sentence("close_segments", same(4), same(3), Text(
        "{y} closes with three segments, {x} with four: in {y} the second FIN and the ACK before it travel together.",
        "{y} 用三个报文段关闭，{x} 用四个：{y} 的第二个 FIN 与它前面的 ACK 合在一起发送。"), CLOSING),
    Sentence("closed", same("fin"), same("rst"), Text(
        "{x} ends in order, with a FIN from each side; {y} is cut off by a RST.",
        "{x} 由双方各发一个 FIN，正常关闭；{y} 被 RST 中断。"), CLOSING),
    Sentence("closed", same("fin"), same(None), Text(
        "{x} is closed; {y} is not when its capture ends.",
        "{x} 已关闭；{y} 到抓包结束时仍未关闭。"), CLOSING),
    Sentence("closed", same("rst"), same(None), Text(
        "{x} is cut off by a RST; {y} is not closed when its capture ends.",
        "{x} 被 RST 中断；{y} 到抓包结束时仍未关闭。"), CLOSING),
)  # fmt: skip
