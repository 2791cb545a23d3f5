"""What is to be pointed out in a segment: of a RST who sends it, and as far as the evidence goes, why.

What made it is seen from its own numbers (RFC 9293 section 3.5.2, section 3.10.7.1): a RST with ACK and without a
connection answers what had no ACK; one without ACK takes its number from the acknowledgement that it answers; one with
ACK in a connection answers nothing, its end breaks off. A kernel's counters, where they were asked, say more.
"""

from __future__ import annotations

from lab.protocols.tcp.conversation import SegmentRecord
from lab.protocols.tcp.events import answers_syn
from lab.protocols.tcp.segment import ACK, RST
from lab.text import ROLES, Text

_WHY = {  # a counter of its sender's kernel that has moved by the time that the RST leaves
    "TcpExt TCPAbortOnClose": Text("its program closed with data unread", "程序关闭时还有数据未读"),
    "TcpExt TCPAbortOnData": Text("its program closed without waiting (SO_LINGER 0)", "程序以 SO_LINGER 0 关闭"),
    "TcpExt TCPAbortOnTimeout": Text("it has waited too long for an answer", "等待应答超时"),
    "TcpExt TCPAbortOnMemory": Text("its kernel has no memory left for it", "内核内存不足"),
}  # fmt: skip


def points(record: SegmentRecord) -> tuple[Text, ...]:
    """Returns the sentence on a RST, unless its alleged sender has not sent it, or on what answers a refusal."""
    if record.answers is not None:
        return (_refusal(record, record.answers),)
    if not record.segment.flags & RST or "forged" in record.labels or record.disowned:
        return ()
    end, peer = record.end, record.receiver
    mine, other = ROLES[end.role], ROLES[peer.role]
    asks = record.held is not None and getattr(record.held, peer.role) == "SYN-SENT"
    if record.conversation.unheeded and asks and not answers_syn(record, peer):
        without = Text(" without ACK", "不带 ACK ") if record.ack is None else Text("", "")
        return (
            Text(
                f"RST of the {mine.en}{without.en}: it does not acknowledge the SYN, so the {other.en} in SYN-SENT "
                "drops it (RFC 9293 section 3.10.7.3)",
                f"{mine.zh}{without.zh}的 RST：它没有确认 SYN，处于 SYN-SENT 的{other.zh}将其丢弃"
                "（RFC 9293 第 3.10.7.3 节）",
            ),
        )
    if not record.segment.flags & ACK:
        if record.seq == peer.acked:
            return (
                Text(
                    f"RST of the {mine.en}, with the number that the {other.en} last acknowledged: so one answers a "
                    "segment for which there is no connection, none open yet, or no program any more",
                    f"{mine.zh}的 RST，序号取自{other.zh}最近的确认号：没有对应的连接、连接尚未建立，"
                    "或程序已关闭套接字时，就这样应答",
                ),
            )
        return (
            Text(
                f"RST of the {mine.en}: the connection is to end at once, without an answer",
                f"{mine.zh}的 RST：要求立即终止连接，无需应答",
            ),
        )
    if end.isn is None and peer.isn is not None and peer.acked < 0:
        return (
            Text(
                f"The {mine.en} refuses the connection: RST in answer to the SYN",
                f"{mine.zh}拒绝连接：以 RST 应答 SYN",
            ),
        )
    if end.fin is not None and end.fin < record.seq:
        return (_after_fin(mine, peer.fin is not None and record.ack is not None and record.ack > peer.fin),)
    why = _why(record)
    return (
        Text(
            f"The {mine.en} aborts the connection: RST instead of FIN, at once and without an answer"
            + (f"; {why.en}" if why else ""),
            f"{mine.zh}中止连接：不发 FIN 而发 RST，立即终止，无需应答" + (f"；{why.zh}" if why else ""),
        ),
    )


def _after_fin(mine: Text, both: bool) -> Text:
    """Returns what a RST says of an end that has sent its FIN, `both` where it has the other's too."""
    if both:
        return Text(
            f"RST of the {mine.en} after both ends' FINs: neither had anything more to say, and what is left of the "
            "connection ends at once",
            f"{mine.zh}在双方的 FIN 之后发出的 RST：双方都已没有数据要发，连接余下的部分立即终止",
        )
    return Text(
        f"The {mine.en} aborts the connection after its own FIN: RST, at once and without an answer",
        f"{mine.zh}在自己的 FIN 之后中止连接：发出 RST，立即终止，无需应答",
    )


def _refusal(record: SegmentRecord, number: int) -> Text:
    refused = record.conversation.refuses_in or {}
    if refused.get(number) == "TIME-WAIT":
        return Text(
            f"ACK of the old connection on these ports, which is in TIME-WAIT here: in answer to the SYN in packet "
            f"{number} (RFC 9293 section 3.10.7.4)",
            f"旧连接的 ACK，用来应答第 {number} 号包的 SYN：在这一端，这一对端口上的旧连接处于 TIME-WAIT"
            "（RFC 9293 第 3.10.7.4 节）",
        )
    if number in refused:
        return Text(
            f"Challenge ACK, in answer to the SYN in packet {number}: here the old connection on these ports is still "
            "open (RFC 9293 section 3.5.1)",
            f"挑战 ACK，应答第 {number} 号包的 SYN：在这一端，这一对端口上的旧连接仍然打开（RFC 9293 第 3.5.1 节）",
        )
    if "challenge-ack" not in record.labels:  # the receiver's kernel has told
        return Text(
            f"Challenge ACK, in answer to packet {number} (RFC 5961)", f"挑战 ACK，应答第 {number} 号包（RFC 5961）"
        )
    return Text(
        f"Answers packet {number}, which acknowledges what was not sent here: that is refused",
        f"应答第 {number} 号包：它确认了这一端没有发送过的数据，因而被拒收",
    )


def _why(record: SegmentRecord) -> Text | None:
    kernels = record.asked_held
    if kernels is None:
        return None
    moved = {each.counter for each in kernels.moved if each.role == record.end.role}
    return next((text for counter, text in _WHY.items() if counter in moved), None)
