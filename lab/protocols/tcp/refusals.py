"""Why a segment was refused, by the receiver's own account: its counters, its drops and what it answered.

The wire stands still while a frame is delivered, so whatever moves meanwhile belongs to that frame. One table, first
row that fits; tested against real kernels (Linux 6.18) row by row. Where no row fits, nothing is said.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from lab.model import Kernels, Role, Socket
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN
from lab.text import Text

Answer = Literal["ACK", "SYN-ACK", "RST"]
_LISTENING = ("LISTEN", "SYN-RECEIVED")
_OPEN = (
    "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
)  # fmt: skip
Unknown = Literal["unknown"]
COOKIE, NOBODY, OPEN = "syn-cookie", "no-connection", "syn-on-connection"
NOT_OUR_SYN, OPEN_TO_SYN_ACK = "syn-not-acknowledged", "syn-ack-on-connection"
WRONG_ACK = "ack-too-old"  # as far as the counters tell; of what was never sent it is `UNSENT`


class Reason(NamedTuple):
    """`taken` tells what was put aside or obeyed from what was thrown away; `checked`: numbers and flags show it."""

    code: str
    taken: bool
    text: Text
    checked: bool = False


class _Row(NamedTuple):
    moved: tuple[str, ...]  # one of these counters, where there are any
    flags: int  # the segment has all of these
    no_flags: int  # and none of these
    answer: Answer | Literal["any"] | None
    dropped: bool | None  # whether sk_drops has grown; None where that does not matter
    states: tuple[str, ...]  # that the receiver is in, where there are any
    reason: Reason


def _row(
    code: str, en: str, zh: str, *moved: str, flags: int = 0, no_flags: int = 0,
    answer: Answer | Literal["any"] | None = "any", dropped: bool | None = None, taken: bool = False,
    states: tuple[str, ...] = (),
) -> _Row:  # fmt: skip
    return _Row(moved, flags, no_flags, answer, dropped, states, Reason(code, taken, Text(en, zh), code in _CHECKED))


UNSENT = Reason(
    "ack-of-unsent",
    taken=False,
    text=Text(
        "it acknowledges what was never sent; answered by a challenge ACK", "确认了从未发送过的数据，以挑战 ACK 应答"
    ),
    checked=True,
)

# Of these nothing at all is taken, and so they move nobody. Of others, an acknowledgement may count though the data
# does not, or the answer moves the receiver.
WHOLLY = frozenset({
    "bad-ip-header", "bad-checksum", "accept-queue-full", "request-queue-full", "listener-dropped", "old-timestamp",
    "timestamp-not-ours", "beyond-window", "outside-window", OPEN, OPEN_TO_SYN_ACK, "reset-not-exact",
    WRONG_ACK, UNSENT.code, NOBODY, NOT_OUR_SYN, "reset-to-listener", "reset-not-ours", "reset-outside",
    "reset-ignored", "syn-with-fin", "no-ack-flag",
})  # fmt: skip
CHALLENGED = frozenset({OPEN, OPEN_TO_SYN_ACK, "reset-not-exact", WRONG_ACK, UNSENT.code})  # RFC 5961
ITS_DATA = frozenset({"window-closed", "out-of-order-dropped", "no-room", "data-after-close"})  # the ACK still counts
# What the rules of acceptance.py can see as well.
_CHECKED = frozenset({
    "bad-checksum", OPEN, OPEN_TO_SYN_ACK, "reset-not-exact", "reset-to-listener", "reset-not-ours",
    "reset-outside", "no-ack-flag", "syn-with-fin",
})  # fmt: skip


TABLE = (
    # The packet itself
    _row("bad-ip-header", "its IP header is damaged", "IP 首部有错", "Ip InHdrErrors"),
    _row("bad-checksum", "its checksum is wrong", "校验和错误", "Tcp InCsumErrors"),
    # A listener and its queues
    _row("accept-queue-full", "the queue of connections that wait to be accepted is full", "等待 accept 的连接队列已满",
         "TcpExt ListenOverflows"),
    _row("request-queue-full", "too many handshakes are not complete yet (SYN-RECEIVED)",
         "尚未完成的握手（SYN-RECEIVED）过多", "TcpExt TCPReqQFullDrop"),
    _row(COOKIE, "too many handshakes are not complete yet: answered with a SYN cookie, nothing is remembered",
         "尚未完成的握手过多，以 SYN cookie 应答，不保存任何状态", "TcpExt TCPReqQFullDoCookies", taken=True),
    _row("listener-dropped", "the listener dropped it", "监听套接字将其丢弃", "TcpExt ListenDrops"),
    _row("syn-again", "the same SYN once more: the SYN-ACK is sent again", "同一个 SYN 再次到达：重发 SYN+ACK",
         "TcpExt TCPSynRetrans", flags=SYN, answer="SYN-ACK"),
    # RFC 7323 section 5.3, R1
    _row("old-timestamp", "its timestamp is older than one seen before (PAWS)", "时间戳比已收到的旧（PAWS）",
         "TcpExt PAWSEstab", "TcpExt PAWSTimewait", "TcpExt PAWSOldAck"),
    # The echo (TSecr) during the handshake: tcp_rcv_synsent_state_process, tcp_check_req
    _row("timestamp-not-ours", "it echoes a timestamp that was never sent", "回显了从未发出过的时间戳",
         "TcpExt PAWSActive", "TcpExt TSEcrRejected"),
    # RFC 9293 section 3.10.7.4, first: check sequence number
    _row("beyond-window", "it reaches beyond the receive window", "超出接收窗口", "TcpExt BeyondWindow"),
    _row("window-closed", "the receive window is closed", "接收窗口已关闭", "TcpExt TCPZeroWindowDrop"),
    _row("old-data", "all of it has been received before", "其中的数据都已收到过",
         "TcpExt TCPDSACKOldSent", dropped=True),
    _row("old-data", "all of it has been received before", "其中的数据都已收到过",
         "TcpExt DelayedACKLost", answer="ACK", dropped=True),
    _row("out-of-order-dropped", "something before it is missing, and there was no room to keep it",
         "前面的数据缺失，又没有空间保存它", "TcpExt TCPOFODrop"),
    _row("out-of-order", "something before it is missing: kept until that comes",
         "前面的数据缺失：先保存，等缺失部分到达", "TcpExt TCPOFOQueue", taken=True),
    _row("no-room", "the receiver had no memory left for it", "接收方没有内存可用",
         "TcpExt TCPBacklogDrop", "TcpExt TCPRcvQDrop", "TcpExt RcvPruned", "TcpExt PFMemallocDrop"),
    # RFC 5961 sections 3, 4 and 5: a challenge ACK is sent
    _row(OPEN_TO_SYN_ACK, "a SYN-ACK on an open connection; answered by a challenge ACK",
         "连接已建立，又来了 SYN+ACK，以挑战 ACK 应答", "TcpExt TCPSYNChallenge", flags=SYN | ACK),
    _row(OPEN, "a SYN on an open connection; answered by a challenge ACK",
         "已建立的连接上又来了 SYN，以挑战 ACK 应答", "TcpExt TCPSYNChallenge"),
    _row("reset-not-exact", "a RST inside the window, but not at the next number; answered by a challenge ACK",
         "RST 在窗口内，但序号不是期望的下一个，以挑战 ACK 应答", "TcpExt TCPChallengeACK", flags=RST),
    _row(WRONG_ACK, "it acknowledges what was acknowledged far too long ago; answered by a challenge ACK",
         "确认号过于陈旧，以挑战 ACK 应答", "TcpExt TCPChallengeACK", no_flags=RST | SYN),
    # The end of a connection
    _row("data-after-close", "data for a program that has closed its socket; answered by RST",
         "程序已关闭套接字，却又收到数据，以 RST 应答", "TcpExt TCPAbortOnData"),
    _row("data-after-close", "data for a program that has closed its socket; answered by RST",
         "程序已关闭套接字，却又收到数据，以 RST 应答", "Tcp OutRsts",
         flags=ACK, no_flags=SYN | RST, answer="RST", states=("FIN-WAIT-2",)),  # a TIME-WAIT socket plays that one
    _row("closed-unread", "the program closed its socket with data unread: RST instead of FIN",
         "程序在还有数据未读时关闭了套接字：发 RST 而不是 FIN", "TcpExt TCPAbortOnClose"),
    _row("reset", "it ends the connection", "连接就此终止",
         "Tcp EstabResets", "Tcp AttemptFails", flags=RST, taken=True),
    _row("syn-in-handshake", "another SYN before the handshake is complete; answered by RST, the handshake is given up",
         "握手尚未完成又来了另一个 SYN，以 RST 应答，放弃这次握手", "Tcp AttemptFails", flags=SYN, answer="RST"),
    # Not what an opening end waits for (RFC 9293 sections 3.5.2, 3.10.7.3 and 3.10.7.4, fifth)
    _row(NOT_OUR_SYN, "it does not acknowledge the SYN that was sent from here; answered by RST",
         "它没有确认这一端发出的 SYN，以 RST 应答", "Tcp OutRsts",
         flags=ACK, answer="RST", states=("SYN-SENT", "SYN-RECEIVED")),
    # No connection it could belong to (RFC 9293 section 3.10.7.1 to .3)
    _row(NOBODY, "its acknowledgement fits no connection here; answered by RST",
         "它的确认号与这里的任何连接都不符，以 RST 应答", "Tcp OutRsts", flags=ACK, answer="RST"),
    _row("no-listener", "nobody listens on this port; answered by RST", "该端口无人监听，以 RST 应答",
         "Tcp OutRsts", answer="RST"),
    # Dropped without a word
    _row("reset-to-listener", "a listener takes no RST; dropped without a word", "监听套接字不接受 RST，直接丢弃",
         flags=RST, answer=None, dropped=True, states=("LISTEN",)),
    _row("reset-not-ours", "a RST that does not acknowledge the SYN; dropped without a word",
         "RST 没有确认所发的 SYN，直接丢弃", flags=RST, answer=None, dropped=True, states=("SYN-SENT",)),
    _row("reset-outside", "a RST outside the receive window; dropped without a word", "RST 在接收窗口之外，直接丢弃",
         flags=RST, answer=None, dropped=True, states=_OPEN),
    _row("reset-ignored", "a RST that counts for nothing here; dropped without a word",
         "这个 RST 在此不起作用，直接丢弃", flags=RST, answer=None, dropped=True),
    _row("outside-window", "it lies outside the receive window; answered by ACK", "在接收窗口之外，以 ACK 应答",
         flags=ACK, no_flags=RST | SYN, answer="ACK", dropped=True),
    _row("syn-with-fin", "SYN and FIN in one segment; dropped without a word", "SYN 与 FIN 同时置位，直接丢弃",
         flags=SYN | FIN, answer=None, dropped=True),
    _row("no-ack-flag", "it has no ACK flag; dropped without a word", "没有 ACK 标志，直接丢弃",
         no_flags=ACK | RST | SYN, answer=None, dropped=True),
)  # fmt: skip


def why(
    flags: int, dropped: int, moved: Collection[str], answer: Answer | Unknown | None, state: str | None = None
) -> Reason | None:
    """Returns why a segment with these flags was not simply taken, or None where nothing tells.

    `dropped` and `moved` are the receiver's, over the delivery: by how much its drops have grown, and which counters
    have. `answer` is what it sent meanwhile, None where it was silent, "unknown" where that is not known yet.
    `state` is the receiver's before, None where nobody knows it.
    """
    for row in TABLE:
        if (
            (not row.moved or any(counter in moved for counter in row.moved))
            and flags & row.flags == row.flags
            and not flags & row.no_flags
            and (answer == "unknown" or row.answer in ("any", answer))
            and row.dropped in (None, dropped > 0)
            and (not row.states or state in row.states)
        ):
            return row.reason
    return None


def answer(flags: int) -> Answer:
    """Returns what a segment with these flags is as an answer."""
    return "RST" if flags & RST else "SYN-ACK" if flags & SYN else "ACK"


def at(receiver: Role, before: Kernels | None, after: Kernels) -> tuple[int, tuple[str, ...]]:
    """Returns by how much the receiver's drops have grown over a delivery, and which of its counters have."""
    dropped = 0
    if before is not None:
        dropped = _dropped(*((before.client, after.client) if receiver == "client" else (before.server, after.server)))
    return dropped, tuple(each.counter for each in after.moved if each.role == receiver)


def _dropped(before: Socket, after: Socket) -> int:
    if before.drops is None or after.drops is None:
        return 0
    if (before.state in _LISTENING) != (after.state in _LISTENING):
        return 0  # the listener counted then, the connection counts now
    return max(0, after.drops - before.drops)
