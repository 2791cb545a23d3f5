"""The segments that a kernel is sent in every state, by their numbers as the peer knows them.

RCV.NXT, SND.NXT and SND.UNA are the receiver's (RFC 9293 section 3.3.1); IRS is the peer's own initial number, EDGE the
first number beyond the window. Where the receiver has no such variables they are what a peer would take them for.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lab.protocols.tcp.segment import ACK, FIN, PSH, RST, SYN, URG
from lab.text import Text

Base = Literal["RCV.NXT", "IRS", "EDGE", "SND.NXT", "SND.UNA"]
KINDS = ("SYN", "SYN-ACK", "ACK", "data", "URG", "FIN", "RST", "no ACK")  # the columns of the 88 cells
FAR = 100_000  # numbers: beyond every window here
TEXT = b"0123456789"


class Place(NamedTuple):
    """A number, as one that both ends know and a distance from it."""

    base: Base
    by: int = 0

    def __str__(self) -> str:
        return self.base + (f"{self.by:+d}" if self.by else "")


class Stimulus(NamedTuple):
    """A segment to be sent; `ack` is None without the flag."""

    name: str
    kind: str
    flags: int
    seq: Place
    ack: Place | None
    length: int
    text: Text
    damaged: bool = False
    old_stamp: bool = False


_NXT, _ACKED = Place("RCV.NXT"), Place("SND.NXT")


def _sent(
    name: str, kind: str, flags: int, en: str, zh: str, seq: Place = _NXT, ack: Place = _ACKED, length: int = 0,
    damaged: bool = False, old_stamp: bool = False,
) -> Stimulus:  # fmt: skip
    return Stimulus(
        name, kind, flags, seq, ack if flags & ACK else None, length, Text(en, zh), damaged, old_stamp
    )  # fmt: skip


_DATA = PSH | ACK
STIMULI = (
    _sent("syn", "SYN", SYN, "a SYN at the next number", "序号为期望值的 SYN"),
    _sent("syn-again", "SYN", SYN, "the peer's SYN once more", "对方的 SYN 再次到达", Place("IRS")),
    _sent("syn-old", "SYN", SYN, "a SYN from long ago", "很久以前的 SYN", Place("RCV.NXT", -FAR)),
    _sent("syn-new", "SYN", SYN, "a SYN beyond the window", "超出窗口的 SYN", Place("RCV.NXT", FAR)),
    _sent("syn-fin", "SYN", SYN | FIN, "SYN and FIN in one", "SYN 与 FIN 同时置位"),
    _sent("syn-ack", "SYN-ACK", SYN | ACK, "a SYN-ACK at the next number", "序号为期望值的 SYN+ACK"),
    _sent("syn-ack-again", "SYN-ACK", SYN | ACK, "a SYN-ACK with the peer's initial number", "带对方初始序号的 SYN+ACK",
          Place("IRS")),
    _sent("syn-ack-unsent", "SYN-ACK", SYN | ACK, "a SYN-ACK that acknowledges what was never sent",
          "确认了从未发送之数据的 SYN+ACK", Place("IRS"), Place("SND.NXT", 1000)),
    _sent("ack", "ACK", ACK, "an ACK of all that was sent", "确认全部已发送数据的 ACK"),
    _sent("ack-old", "ACK", ACK, "an ACK of what was acknowledged before",
          "确认早已确认过的数据", ack=Place("SND.UNA", -1)),
    _sent("ack-ancient", "ACK", ACK, "an ACK from long ago", "很久以前的 ACK", ack=Place("SND.UNA", -FAR)),
    _sent("ack-unsent", "ACK", ACK, "an ACK of what was never sent", "确认从未发送的数据", ack=Place("SND.NXT", 1000)),
    _sent("keepalive", "ACK", ACK, "an ACK one number below: a keepalive",
          "序号小一的 ACK：保活探测", Place("RCV.NXT", -1)),
    _sent("data", "data", _DATA, "ten bytes at the next number", "期望序号处的 10 字节", length=10),
    _sent("data-old", "data", _DATA, "ten bytes that end at the next number", "止于期望序号的 10 字节",
          Place("RCV.NXT", -10), length=10),
    _sent("data-ahead", "data", _DATA, "ten bytes in the window, behind a hole", "窗口内、前面有缺口的 10 字节",
          Place("RCV.NXT", 100), length=10),
    _sent("data-beyond", "data", _DATA, "ten bytes beyond the window",
          "超出窗口的 10 字节", Place("EDGE", 100), length=10),
    _sent("data-damaged", "data", _DATA, "ten bytes with a wrong checksum",
          "校验和错误的 10 字节", length=10, damaged=True),
    _sent("data-old-stamp", "data", _DATA, "ten bytes with an old timestamp",
          "带旧时间戳的 10 字节", length=10, old_stamp=True),
    _sent("urgent", "URG", _DATA | URG, "ten urgent bytes", "10 字节紧急数据", length=10),
    _sent("fin", "FIN", FIN | ACK, "a FIN at the next number", "期望序号处的 FIN"),
    _sent("fin-old", "FIN", FIN | ACK, "a FIN one number below", "序号小一的 FIN", Place("RCV.NXT", -1)),
    _sent("rst", "RST", RST, "a RST at the next number", "期望序号处的 RST"),
    _sent("rst-ack", "RST", RST | ACK, "the same with an ACK", "同上，带 ACK"),
    _sent("rst-ahead", "RST", RST, "a RST in the window", "窗口内的 RST", Place("RCV.NXT", 100)),
    _sent("rst-below", "RST", RST, "a RST one number below", "序号小一的 RST", Place("RCV.NXT", -1)),
    _sent("rst-beyond", "RST", RST, "a RST beyond the window", "超出窗口的 RST", Place("EDGE", 100)),
    _sent("fin-no-ack", "no ACK", FIN, "a FIN without ACK", "不带 ACK 的 FIN"),
    _sent("data-no-ack", "no ACK", PSH, "ten bytes without ACK", "不带 ACK 的 10 字节", length=10),
    _sent("no-flags", "no ACK", 0, "no flags at all", "没有任何标志"),
)  # fmt: skip
