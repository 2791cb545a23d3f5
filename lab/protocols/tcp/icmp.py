"""ICMP error messages that quote a TCP segment: what they say of it, and how much of it they quote.

A router, or the host itself, sends back the IP header of what it could not pass on and at least eight bytes behind it
(RFC 792, RFC 4443 section 2.4 (c)): of TCP these are the ports and the sequence number, enough to tell whose it was.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple

from lab.dissect.packet import Inside, within
from lab.model import Frame
from lab.text import Text, address

ICMP, ICMPV6 = 1, 58  # IANA's numbers of protocols
_TCP = 6
_HEADER = 8  # bytes of an error message before what it quotes
LABELS = ("not-tcp", "icmp-error")
DAMAGED = ("not-tcp", "icmp-error", "bad-checksum")


class Kind(StrEnum):
    """What an error comes to for a connection: the codes of notes.toml, as far as there is one."""

    PROHIBITED = "icmp-prohibited"
    UNREACHABLE = "icmp-unreachable"
    TOO_BIG = "icmp-too-big"
    OTHER = "icmp-error"
    QUENCH = ""  # asks for less, and says nothing of this segment


class Quoted(NamedTuple):
    """An ICMP error and the segment that it quotes: raw numbers, `flags` None where that was not quoted.

    It stands at `at` of the frame's data and is `end - at` bytes long.
    """

    labels: tuple[str, ...]
    reporter: bytes  # who sends it
    version: int  # of IP: 4 or 6
    type: int
    code: int
    mtu: int | None  # of the next link, where that is what it says
    pair: bytes  # as of a Segment
    seq: int
    flags: int | None
    ident: bytes  # its identification, of IPv4: copies differ in it
    at: int
    end: int

    @property
    def source_port(self) -> int:
        return int.from_bytes(self.pair[-4:-2], "big")

    @property
    def destination_port(self) -> int:
        return int.from_bytes(self.pair[-2:], "big")

    @property
    def kind(self) -> Kind:
        if self.version == 4:
            if self.type == 3:
                return _KINDS_4.get(self.code, Kind.UNREACHABLE)
            return Kind.QUENCH if self.type == 4 else Kind.OTHER
        if self.type == 1:
            return Kind.PROHIBITED if self.code in _PROHIBITED_6 else Kind.UNREACHABLE
        return Kind.TOO_BIG if self.type == 2 else Kind.OTHER

    @property
    def name(self) -> str:
        """Its name with type and code: `ICMP 3/13`."""
        return f"{'ICMP' if self.version == 4 else 'ICMPv6'} {self.type}/{self.code}"


_KINDS_4 = {4: Kind.TOO_BIG, **dict.fromkeys((9, 10, 13), Kind.PROHIBITED)}
_PROHIBITED_6 = (1, 5, 6)
_ERRORS = {4: (3, 4, 11, 12), 6: (1, 2, 3, 4)}  # types

# RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7; RFC 4443.
_MEANINGS = {
    (4, 3, 0): Text("network unreachable", "网络不可达"),
    (4, 3, 1): Text("host unreachable", "主机不可达"),
    (4, 3, 2): Text("protocol unreachable", "协议不可达"),
    (4, 3, 3): Text("port unreachable", "端口不可达"),
    (4, 3, 4): Text("fragmentation needed, and it must not be fragmented", "需要分片，但不允许分片"),
    (4, 3, 5): Text("source route failed", "源路由失败"),
    (4, 3, 6): Text("destination network unknown", "目的网络未知"),
    (4, 3, 7): Text("destination host unknown", "目的主机未知"),
    (4, 3, 8): Text("source host isolated", "源主机被隔离"),
    (4, 3, 9): Text("network administratively prohibited", "管理上禁止访问目的网络"),
    (4, 3, 10): Text("host administratively prohibited", "管理上禁止访问目的主机"),
    (4, 3, 11): Text("network unreachable for this type of service", "对此服务类型网络不可达"),
    (4, 3, 12): Text("host unreachable for this type of service", "对此服务类型主机不可达"),
    (4, 3, 13): Text("communication administratively prohibited", "管理上禁止通信"),
    (4, 3, 14): Text("host precedence violation", "违反主机优先级"),
    (4, 3, 15): Text("precedence cutoff in effect", "优先级低于下限"),
    (4, 11, 0): Text("time to live exceeded in transit", "途中 TTL 减为 0"),
    (4, 11, 1): Text("fragments not reassembled in time", "分片重组超时"),
    (6, 1, 0): Text("no route to the destination", "没有到目的地的路由"),
    (6, 1, 1): Text("communication administratively prohibited", "管理上禁止通信"),
    (6, 1, 2): Text("beyond the scope of the source address", "超出源地址的范围"),
    (6, 1, 3): Text("address unreachable", "地址不可达"),
    (6, 1, 4): Text("port unreachable", "端口不可达"),
    (6, 1, 5): Text("the source address fails a policy", "源地址不符合策略"),
    (6, 1, 6): Text("the route rejects it", "路由拒绝该目的地"),
    (6, 1, 7): Text("error in the source routing header", "源路由首部有误"),
    (6, 3, 0): Text("hop limit exceeded in transit", "途中跳数限制减为 0"),
    (6, 3, 1): Text("fragments not reassembled in time", "分片重组超时"),
}
_BY_TYPE = {
    (4, 3): Text("destination unreachable", "目的地不可达"),
    (4, 4): Text("source quench, which hosts ignore (RFC 6633)", "源点抑制，主机不予理会（RFC 6633）"),
    (4, 11): Text("time exceeded", "超时"),
    (4, 12): Text("parameter problem: a header field is not understood", "参数问题：首部中有无法处理的字段"),
    (6, 1): Text("destination unreachable", "目的地不可达"),
    (6, 2): Text("packet too big", "分组过大"),
    (6, 3): Text("time exceeded", "超时"),
    (6, 4): Text("parameter problem: a header field is not understood", "参数问题：首部中有无法处理的字段"),
}


def quoted(frame: Frame, inside: Inside) -> Quoted | None:
    """Returns the error that an ICMP message is, where it quotes a TCP segment; None for all others. Never raises."""
    data, at = frame.data, inside.at
    version = 4 if inside.protocol == ICMP else 6
    if len(data) < at + _HEADER or data[at] not in _ERRORS[version]:
        return None
    found = within(data, at + _HEADER, version)
    if found is None or found.protocol != _TCP or found.fragment & ~7 or len(data) < found.at + 8:
        return None
    mtu = None
    if (version, data[at], data[at + 1]) == (4, 3, 4):
        mtu = int.from_bytes(data[at + 6 : at + 8], "big") or None  # RFC 1191; an older router says 0
    elif (version, data[at]) == (6, 2):
        mtu = int.from_bytes(data[at + 4 : at + 8], "big")
    end = min(inside.end, len(data))
    header = data[found.at : min(found.at + 14, end)]
    flags = int.from_bytes(header[12:14], "big") & 0x1FF if len(header) == 14 else None
    size = len(inside.addresses) // 2
    return Quoted(
        LABELS if inside.end > len(data) or _sound(data[at:end], inside) else DAMAGED,
        inside.addresses[:size], version, data[at], data[at + 1], mtu, found.addresses + header[:4],
        int.from_bytes(header[4:8], "big"), flags, data[at + _HEADER + 4 : at + _HEADER + 6] if version == 4 else b"",
        at, end,
    )  # fmt: skip


def _sound(message: bytes, inside: Inside) -> bool:
    """Whether its checksum is right; ICMPv6's covers the addresses too (RFC 4443 section 2.3)."""
    total = int.from_bytes(message + bytes(len(message) % 2), "big")
    if inside.protocol == ICMPV6:
        total += int.from_bytes(inside.addresses, "big") + ICMPV6 + len(message)
    return total % 0xFFFF == 0


def words(error: Quoted, packet: int | None, known: bool, part: bool) -> Text:
    """Returns what an error says: of which packet, or `part` of one, of a `known` connection or of none."""
    meaning = _MEANINGS.get((error.version, error.type, error.code)) or _BY_TYPE[error.version, error.type]
    mtu_en = f", at most {error.mtu} bytes fit (MTU)" if error.mtu is not None else ""
    mtu_zh = f"，下一跳 MTU 为 {error.mtu} 字节" if error.mtu is not None else ""
    who = ip_address(error.reporter)
    said = Text(f"{error.name} from {who}: {meaning.en}{mtu_en}", f"{who} 发来 {error.name}：{meaning.zh}{mtu_zh}")
    if not known:
        size = len(error.pair) // 2 - 2
        ends = [ip_address(error.pair[:size]), ip_address(error.pair[size:-4])]
        pair = f"{address(str(ends[0]), error.source_port)} → {address(str(ends[1]), error.destination_port)}"
        return Text(
            f"{said.en}; it quotes a segment of no connection in this capture ({pair})",
            f"{said.zh}；所引用的报文段不属于本抓包中的任何连接（{pair}）",
        )
    if packet is None:
        return Text(
            f"{said.en}; it quotes a segment of this connection that is not outstanding",
            f"{said.zh}；它引用了此连接的报文段，但该报文段并非在途未确认",
        )
    if error.kind is Kind.QUENCH:
        return Text(f"{said.en}; it quotes packet {packet}", f"{said.zh}；它引用了第 {packet} 号包")
    if part:
        return Text(
            f"{said.en}; it answers a part of packet {packet}, which has not got through",
            f"{said.zh}；它是对第 {packet} 号包中一部分的回答，这一部分没有送到对方的 TCP",
        )
    return Text(
        f"{said.en}; it answers packet {packet}, which has not got through",
        f"{said.zh}；它是对第 {packet} 号包的回答，该包没有送到对方的 TCP",
    )
