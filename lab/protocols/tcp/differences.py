"""Where Linux does otherwise than the rules say, and why. A difference that is not in this table is not explained.

A row holds for certain ways or states, certain segments, and what the kernel does there: what it sends, where it is
then, and what its program hears, where that is what differs. Numbers are not used twice.
"""

from __future__ import annotations

from typing import NamedTuple

from lab.protocols.tcp.cells import Cell
from lab.text import Text


class Difference(NamedTuple):
    """A number, where it is found, and a sentence on it. `does` is what the kernel does, as `did` says it."""

    number: int
    where: frozenset[str]
    segments: frozenset[str]
    does: frozenset[str]
    text: Text

    def holds(self, cell: Cell) -> bool:
        return bool(
            {cell.way, cell.before} & self.where and cell.segment in self.segments and did(cell) in self.does
        )  # fmt: skip


def did(cell: Cell) -> str:
    """Returns what a kernel did: "RST LISTEN", "- CLOSED EPIPE"; what the program heard only where that differs."""
    heard = cell.heard if "heard" in cell.differs else ()
    return " ".join((*([each.name for each in cell.sent] or ["-"]), cell.after, *heard))


def _row(number: int, where: str, segments: str, does: str, en: str, zh: str) -> Difference:
    outcomes = frozenset(each.strip() for each in does.split(","))
    return Difference(number, frozenset(where.split()), frozenset(segments.split()), outcomes, Text(en, zh))


_CLOSED_FIRST = "FIN-WAIT-1/close FIN-WAIT-1/early FIN-WAIT-2/close"
DIFFERENCES = (
    _row(1, "LISTEN", "syn-fin", "- LISTEN",
         "Linux drops a segment with SYN and FIN: no program sends one, scanners do.",
         "Linux 丢弃同时带 SYN 和 FIN 的报文段：正常程序不会发出，只有扫描器会。"),
    _row(2, "SYN-SENT", "syn-ack-unsent ack-old ack-ancient ack-unsent", "RST SYN SYN-SENT",
         "The RST should have freed the other end of an old connection: Linux sends its SYN again at once, not after a "
         "second.",
         "这个 RST 应当已释放对方的旧连接，所以 Linux 立即重发 SYN，而不是等一秒。"),
    _row(3, "SYN-SENT", "rst-ack", "- CLOSED ECONNREFUSED",
         "The RFC calls it reset; the socket interface calls a reset of connect() ECONNREFUSED.",
         "RFC 称为复位；套接字接口把 connect() 遇到的复位称为 ECONNREFUSED。"),
    _row(4, "SYN-RECEIVED/both", "rst rst-ack", "- CLOSED ECONNRESET",
         "The RFC calls it refused; Linux says ECONNREFUSED only in SYN-SENT.",
         "RFC 称为被拒绝；Linux 只在 SYN-SENT 时报告 ECONNREFUSED。"),
    _row(5, "CLOSE-WAIT", "rst rst-ack", "- CLOSED EPIPE",
         "In CLOSE-WAIT Linux calls a reset EPIPE: the program has read the end, and can only write.",
         "在 CLOSE-WAIT，Linux 把复位报告为 EPIPE：程序已读到末尾，只可能再写。"),
    _row(6, "CLOSING LAST-ACK", "rst rst-ack", "- CLOSED ECONNRESET",
         "The RFC has nobody told; in Linux SO_ERROR tells, where the program still has its socket. Reading gives the "
         "end, as before.",
         "RFC 不要求通知任何人；在 Linux 中，只要程序仍持有套接字，SO_ERROR 就会给出错误。读取的结果仍是流的末尾。"),
    _row(7, "SYN-RECEIVED", "syn syn-fin syn-ack", "RST-ACK LISTEN, RST LISTEN",
         "The handshake is given up, as the RFC says, but the peer is told by a RST, as it was in RFC 793.",
         "如 RFC 所说放弃握手，但另外用 RST 告知对方，这是 RFC 793 的做法。"),
    _row(8, "SYN-RECEIVED", "syn-again", "SYN-ACK SYN-RECEIVED",
         "Whoever sends the SYN again has not got the SYN-ACK: Linux sends that again, not an ACK, which says less.",
         "重发 SYN 说明对方没有收到 SYN+ACK：Linux 重发 SYN+ACK，而不是信息更少的 ACK。"),
    _row(9, "SYN-RECEIVED", "syn-ack-unsent", "RST SYN-RECEIVED",
         "A request that is no connection yet looks at the ACK before the window: RST, as RFC 9293 section "
         "3.5.2 has it for states that are not synchronized.",
         "尚未成为连接的请求先看确认号，再看窗口：按 RFC 9293 第 3.5.2 节对未同步状态的规定发 RST。"),
    _row(10, "SYN-RECEIVED/both FIN-WAIT-1 CLOSING LAST-ACK", "syn-ack-again data-old fin-old",
         "ACK ESTABLISHED open, ACK FIN-WAIT-2, - TIME-WAIT, - CLOSED",
         "Linux drops what ends before RCV.NXT: of a segment that ends just there it still takes the acknowledgement, "
         "and moves on. The RFC drops all of it.",
         "Linux 只丢弃止于 RCV.NXT 之前的报文段；恰好止于该处的，仍接受其确认并转移状态。RFC 则整段丢弃。"),
    _row(11, "ESTABLISHED FIN-WAIT-1 CLOSE-WAIT CLOSING LAST-ACK", "ack-old",
         "ACK ESTABLISHED, ACK FIN-WAIT-1, ACK CLOSE-WAIT, ACK CLOSING, ACK LAST-ACK",
         "It acknowledges less than this end ever had acknowledged: Linux looks back no further than it has sent, "
         "stricter than RFC 5961 section 5.2, which takes it for a mere duplicate.",
         "它的确认号早于本端曾被确认的任何数据：Linux 的回溯不超过实际发送量，比 RFC 5961 第 5.2 节更严，"
         "后者视之为普通的重复 ACK。"),
    _row(12, _CLOSED_FIRST, "data data-ahead data-old-stamp urgent", "RST CLOSED",
         "Nobody is left to read it: RFC 9293 section 3.6.1 (half-duplex close) has an end that was closed for both "
         "directions answer data by RST, so that its sender knows that it is lost.",
         "已经没有程序会读取它：按 RFC 9293 第 3.6.1 节（半双工关闭），两个方向都已关闭的一端以 RST 应答数据，"
         "让发送方知道数据已丢失。"),
    _row(13, "CLOSE-WAIT", "urgent", "- CLOSE-WAIT urgent",
         "Behind the peer's FIN the RFC ignores URG; Linux looks at it before it drops the data.",
         "在对方 FIN 之后 RFC 忽略 URG；Linux 在丢弃数据之前就处理了它。"),
    _row(14, "CLOSE-WAIT CLOSING", "fin", "- CLOSE-WAIT, - TIME-WAIT",
         "A FIN behind the FIN belongs to no stream: Linux drops it without a word.",
         "FIN 之后的又一个 FIN 不属于任何数据流：Linux 直接丢弃。"),
    _row(15, "CLOSE-WAIT CLOSING LAST-ACK", "rst-below", "- CLOSED EPIPE, - CLOSED ECONNRESET",
         "A RST with the number of the FIN itself resets too: some systems (macOS) send one behind a FIN "
         "without counting "
         "that.",
         "序号等于 FIN 本身的 RST 也会复位：有的系统（macOS）在 FIN 之后发出的 RST 没有把 FIN 计入。"),
    _row(16, "TIME-WAIT", "syn syn-again syn-old syn-new", "SYN-ACK SYN-RECEIVED",
         "A new connection opens from TIME-WAIT, where its number or its timestamp is newer than all before: RFC 9293 "
         "section 3.6.1 (MAY-2), RFC 6191.",
         "只要序号或时间戳比之前的都新，就可以从 TIME-WAIT 直接建立新连接：RFC 9293 第 3.6.1 节（MAY-2）、RFC 6191。"),
    _row(17, "TIME-WAIT", "syn-fin", "- CLOSED",
         "With a newer timestamp it ends TIME-WAIT as a SYN does, and then the listener drops it for its FIN.",
         "时间戳较新时，它像 SYN 一样结束 TIME-WAIT，随后监听者因其中的 FIN 而将其丢弃。"),
    _row(18, "TIME-WAIT", "ack-ancient ack-unsent", "- TIME-WAIT",
         "In TIME-WAIT Linux does not look at what is acknowledged.",
         "在 TIME-WAIT，Linux 不检查确认号。"),
    _row(19, "TIME-WAIT", "rst-ahead", "- TIME-WAIT",
         "Of TIME-WAIT little is left; it challenges nobody.",
         "TIME-WAIT 只保留少量信息，不会发送挑战 ACK。"),
    _row(20, "TIME-WAIT", "data data-ahead data-old-stamp urgent fin-no-ack data-no-ack", "ACK TIME-WAIT",
         "In TIME-WAIT Linux answers whatever takes sequence numbers, taking it for the peer's FIN sent again.",
         "在 TIME-WAIT，凡占用序号的报文段 Linux 都会应答，当作对方重发的 FIN。"),
)  # fmt: skip


def explained(cell: Cell) -> Difference | None:
    """Returns why a kernel does otherwise there, None where nobody knows, or where it does as the rules say."""
    return next((each for each in DIFFERENCES if cell.differs and each.holds(cell)), None)
