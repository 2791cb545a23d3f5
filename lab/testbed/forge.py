"""Frames that nobody has sent: a captured one with some fields changed, or a segment made from nothing.

Bytes in, bytes out. Where a field lies is asked of `lab.dissect.fields`; what is written there is read back the same.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import NamedTuple

from lab.dissect.fields import fields
from lab.model import Field, Frame
from lab.protocols.transport import ACK, FIN, NUMBER, RST, SYN, Segment, segment
from lab.protocols.transport import FIELDS as READERS
from lab.testbed.control import Inject, RefusedError, Value, flags_of
from lab.text import Text

LONGEST_FRAME = 1514  # bytes: what the cable carries, an Ethernet header and 1500 bytes
_ETHERNET, _IPV4_HEADER, _IPV6_HEADER, _TCP_HEADER = 14, 20, 40, 20
_PSEUDO = struct.Struct("!II")
_TCP = struct.Struct("!HHIIHHHH")
_WRAP, _HALF = 1 << 32, 1 << 31

Key = tuple[str, str]  # a field's layer and its name

# Short names, and how `lab.dissect.fields` names the field: of several, the one that the frame has.
FIELDS: dict[str, tuple[Key, ...]] = {
    "sport": (("TCP", "Source Port"),),
    "dport": (("TCP", "Destination Port"),),
    "seq": (("TCP", "Sequence Number"),),
    "ack": (("TCP", "Acknowledgment Number"),),
    "offset": (("TCP", "Data Offset"),),  # in units of four bytes
    "reserved": (("TCP", "Reserved"),),
    "flags": (("TCP", "Control bits"),),
    "window": (("TCP", "Window"),),
    "checksum": (("TCP", "Checksum"),),
    "urgent": (("TCP", "Urgent Pointer"),),
    "mss": (("TCP", "Maximum Segment Size (MSS)"),),
    "wscale": (("TCP", "shift.cnt"),),
    "tsval": (("TCP", "TS Value (TSval)"),),
    "tsecr": (("TCP", "TS Echo Reply (TSecr)"),),
    "payload": (("TCP", "payload"),),
    "src": (("IPv4", "Source Address"), ("IPv6", "Source Address")),
    "ttl": (("IPv4", "Time to Live"), ("IPv6", "Hop Limit")),
    "length": (("IPv4", "Total Length"), ("IPv6", "Payload Length")),
    "ipchecksum": (("IPv4", "Header Checksum"),),
    "id": (("IPv4", "Identification"),),
    "dscp": (("IPv4", "DSCP"),),
    "ecn": (("IPv4", "ECN"),),
    "tclass": (("IPv6", "Traffic Class"),),
    "flow": (("IPv6", "Flow Label"),),
}
# Fields that share bytes with others: the first bit, counted from the left, and how many.
_BITS: dict[Key, tuple[int, int]] = {
    ("TCP", "Data Offset"): (0, 4),
    ("TCP", "Reserved"): (4, 3),
    ("TCP", "Control bits"): (7, 9),
    ("IPv4", "Version"): (0, 4),
    ("IPv4", "IHL"): (4, 4),
    ("IPv4", "DSCP"): (0, 6),
    ("IPv4", "ECN"): (6, 2),
    ("IPv4", "Flags"): (0, 3),
    ("IPv4", "Fragment Offset"): (3, 13),
    ("IPv6", "Version"): (0, 4),
    ("IPv6", "Traffic Class"): (4, 8),
    ("IPv6", "Flow Label"): (12, 20),
}
_PAYLOAD = ("TCP", "payload")
_STAMP, _STAMPS, _NOPS = "TS Value (TSval)", {"tsval", "tsecr"}, b"\x01\x01"
_CHECKSUMS = frozenset({("TCP", "Checksum"), ("IPv4", "Header Checksum")})
# Bytes that are no field, and to whom a frame goes: its receiver is at the other end of the cable.
_NOT_TO_CHANGE = {"data", "padding", "truncated", "Destination Address"}


def edited(data: bytes, changes: Mapping[str, Value]) -> bytes:
    """Returns a frame with these fields changed and its lengths and checksums made right again.

    A length or a checksum that is among the changes stays as it is given. Raises RefusedError where a field or a value
    does not exist, or where what comes out is no whole TCP segment that the cable carries.
    """
    if not changes:
        raise RefusedError(
            Text("nothing is to be changed", "没有要修改的字段"),
            Text("name a field and its value: seq=+1", "写出字段和它的值：seq=+1"),
        )
    if _segment(data) is None:
        raise RefusedError(
            Text("this packet is no TCP segment", "这个包不是 TCP 报文段"),
            Text("only TCP segments can be edited", "只能修改 TCP 报文段"),
        )
    named = {_named(name, _fields(data)): value for name, value in changes.items()}
    if _PAYLOAD in named:
        data = _with_payload(data, named.pop(_PAYLOAD))
    for key in sorted(named, key=_CHECKSUMS.__contains__):  # checksums last, so that `+1` is one more than right
        if key in _CHECKSUMS:
            data = checked(data, kept=_CHECKSUMS - {key})
        data = _changed(data, key, named[key])
    if _segment(data) is None:
        raise RefusedError(
            Text(
                "with these changes the packet is no whole TCP segment any more",
                "这样修改之后，它不再是完整的 TCP 报文段",
            ),
            Text("version, lengths, offset and protocol must fit the bytes", "版本、长度、偏移和协议必须与字节相符"),
        )
    return checked(data, kept=_CHECKSUMS & named.keys())


def corrupted(data: bytes, tcp: Segment) -> bytes:
    """Returns a segment's frame with one bit flipped, as noise does it: in its last byte. No checksum follows."""
    at = tcp.start + tcp.payload - 1
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def marked(data: bytes) -> bytes:
    """Returns a frame marked as a router with a long queue marks it: congestion experienced (RFC 3168 section 5).

    One that does not say that it may be marked stays as it is.
    """
    shift = 0 if data[14] >> 4 == 4 else 4  # IPv6 has the two bits in the middle of its first four bytes
    if not data[15] >> shift & 3:
        return data
    return checked(data[:15] + bytes([data[15] | 3 << shift]) + data[16:], kept=frozenset())


class Stream(NamedTuple):
    """How far one direction of a connection has come on the wire. Numbers are raw."""

    isn: int | None  # of its SYN
    next: int  # behind the last it has sent
    acked: int | None  # what it has last acknowledged
    window: int


class Streams:
    """What every host has sent, by socket pair: what a repetition is told by, and what is injected is numbered by."""

    def __init__(self) -> None:
        self._streams: dict[bytes, Stream] = {}
        self._frames: dict[bytes, bytes] = {}

    def add(self, tcp: Segment, data: bytes) -> None:
        """Takes in a segment that a host itself has sent."""
        before, end = self._streams.get(tcp.pair), _end(tcp)
        if tcp.flags & RST and before is not None:
            return  # its number may be whatever it answers
        isn = tcp.seq if tcp.flags & SYN else before.isn if before else None
        if before is not None and before.isn == isn and (end - before.next) % _WRAP >= _HALF:
            end = before.next
        acked = tcp.ack if tcp.flags & ACK else before.acked if before else None
        self._streams[tcp.pair] = Stream(isn, end, acked, tcp.window)
        self._frames[tcp.pair] = data

    def knows(self, tcp: Segment) -> bool:
        """Whether a host has sent anything on this connection."""
        return tcp.pair in self._streams or tcp.reversed_pair in self._streams

    def repeats(self, tcp: Segment) -> bool:
        """Whether all the sequence space that a segment takes was sent before. What takes none repeats nothing, but a
        probe, which is one number behind.
        """
        stream = self._streams.get(tcp.pair)
        if stream is None or (tcp.flags & SYN and tcp.seq != stream.isn):
            return False
        takes = _end(tcp) != tcp.seq
        probe = not takes and (stream.next - tcp.seq) % _WRAP == 1
        return probe or (takes and (stream.next - _end(tcp)) % _WRAP < _HALF)

    def acceptable(self, tcp: Segment) -> bool:
        """Whether the acknowledgement that a segment carries is of something that was sent."""
        stream = self._streams.get(tcp.reversed_pair)
        return stream is not None and (stream.next - tcp.ack) % _WRAP < _HALF

    def forged(self, wanted: Inject, pair: bytes) -> bytes:
        """Returns the frame of a segment on `pair` (of the sender's own packets). Raises RefusedError, as `edited`."""
        back = pair_reversed(pair)
        own, peer = self._streams.get(pair), self._streams.get(back)
        template = self._frames.get(pair) or _mirrored(self._frames[back])
        bits = flags_of(wanted.flags)
        snd_next = own.next if own else peer.acked if peer else None
        expected = peer.acked if peer else None
        seq = _number(wanted.seq, "snd.nxt", {
            "snd.nxt": snd_next, "rcv.nxt": expected, "isn": own.isn if own else None,
        })  # fmt: skip
        ack = 0
        if bits & ACK:
            acked = own.acked if own and own.acked is not None else peer.next if peer else None
            ack = _number(wanted.ack, "rcv.nxt", {
                "rcv.nxt": acked, "snd.nxt": peer.next if peer else None, "isn": peer.isn if peer else None,
            })  # fmt: skip
        options = _timestamps(self._frames.get(pair)) if wanted.fields.keys() & _STAMPS else b""
        data = _bare(template, seq, ack, bits, own.window if own else 65535, wanted.payload, options)
        return edited(data, wanted.fields) if wanted.fields else data


def pair_reversed(pair: bytes) -> bytes:
    half = len(pair) // 2 - 2
    return pair[half:-4] + pair[:half] + pair[-2:] + pair[-4:-2]


def _end(tcp: Segment) -> int:
    return (tcp.seq + tcp.payload + bool(tcp.flags & SYN) + bool(tcp.flags & FIN)) % _WRAP


def _number(value: int | str, usual: str, known: Mapping[str, int | None]) -> int:
    """Returns a sequence number that is given as a number, or as what is known with so much added."""
    if isinstance(value, int):
        found: int | None = value
        name, step = "", 0
    else:
        said = re.fullmatch(r"([a-z.]*)\s*([+-]\s*\d{1,10})?", value.strip().lower(), re.ASCII)
        name, step = (said[1] or usual, int((said[2] or "0").replace(" ", ""))) if said else ("?", 0)
        if name not in known:
            near = ", ".join(known)
            raise RefusedError(
                Text(f"'{value}' is no sequence number", f"“{value}”不是序号"),
                Text(f"a number, or one of {near}, with +1 or -1 behind", f"写数字，或 {near}，后面可以加 +1 或 -1"),
            )
        found = known[name]
    if found is None:
        raise RefusedError(
            Text(f"nobody knows {name} yet", f"还不知道 {name}"),
            Text("give it as a number", "请直接写数字"),
        )
    if not 0 <= found < _WRAP:
        raise _out_of_range(str(value), 0, _WRAP - 1)
    return (found + step) % _WRAP


# Fields.


def _frame(data: bytes) -> Frame:
    return Frame(1, None, data, len(data))


def _fields(data: bytes) -> list[Field]:
    return [
        each for each in fields(_frame(data), READERS) if each.name not in _NOT_TO_CHANGE and each.layer != "Ethernet"
    ]


def _segment(data: bytes) -> Segment | None:
    found = segment(_frame(data))
    return found if isinstance(found, Segment) and "truncated" not in found.problems else None


def _named(name: str, there: list[Field]) -> Key:
    """Returns which field a name means. Raises RefusedError where the frame has no such field."""
    here: dict[str, Key] = {field.name.lower(): (field.layer, field.name) for field in there}
    keys = {(field.layer, field.name) for field in there} | {_PAYLOAD}  # one without payload can be given some
    short = {each: key for each, possible in FIELDS.items() for key in possible if key in keys}
    found = short.get(name.lower()) or here.get(name.lower())
    if found is not None:
        return found
    near = get_close_matches(name.lower(), [*short, *here], 4, 0.5) or list(short)
    raise RefusedError(
        Text(f"this packet has no field '{name[:40]}'", f"这个包没有字段“{name[:40]}”"),
        Text(f"the nearest: {', '.join(near)}", f"相近的有：{', '.join(near)}"),
    )


def _changed(data: bytes, key: Key, value: Value) -> bytes:
    field = next((each for each in _fields(data) if (each.layer, each.name) == key), None)
    if field is None:  # what was changed before has taken it away
        raise RefusedError(
            Text(f"with these changes there is no field '{key[1]}' any more", f"这样修改之后就没有字段“{key[1]}”了"),
            Text("change fewer fields at once", "一次少改几个字段"),
        )
    start, end = field.span.start, field.span.end
    size = (end - start) * 8
    first, count = _BITS.get(key, (0, size))
    whole = int.from_bytes(data[start:end], "big")
    shift, mask = size - first - count, (1 << count) - 1
    number = _value(field, value, whole >> shift & mask, count)
    whole = whole & ~(mask << shift) | number << shift
    return data[:start] + whole.to_bytes(end - start, "big") + data[end:]


def _value(field: Field, value: Value, before: int, count: int) -> int:
    """Returns the number that stands for a value; sequence numbers and timestamps count on from the last to 0."""
    if isinstance(value, bytes):
        value = "0x" + value.hex()
    if isinstance(value, str):
        text = value.strip()
        if field.name == "Control bits" and not text[:1].isdigit():
            return flags_of(text, before)
        if field.name.endswith(" Address") and (number := _address(text, count)) is not None:
            return number
        if re.fullmatch(r"[+-]\d{1,10}", text, re.ASCII):
            number = before + int(text)
            number = number % _WRAP if count == 32 else number
        elif re.fullmatch(r"0x[0-9a-f]{1,32}|\d{1,39}", text, re.ASCII | re.IGNORECASE):
            number = int(text, 16 if text[1:2] in ("x", "X") else 10)
        else:
            raise RefusedError(
                Text(f"'{text[:40]}' is no value of {field.name}", f"“{text[:40]}”不是 {field.name} 的值"),
                Text(
                    f"write it like {before}, or +1 and -1 for one more and one less",
                    f"写法如 {before}，或用 +1、-1 表示加一、减一",
                ),
            )
    else:
        number = value
    if not 0 <= number < 1 << count:
        raise _out_of_range(field.name, 0, (1 << count) - 1, number)
    return number


def _address(text: str, count: int) -> int | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return int(found) if found.max_prefixlen == count else None


def _out_of_range(name: str, low: int, high: int, number: int | None = None) -> RefusedError:
    value = "" if number is None else f" {number}"
    return RefusedError(
        Text(f"{name}{value} is out of range", f"{name}{value} 超出范围"),
        Text(f"it holds {low} to {high}", f"范围是 {low} 到 {high}"),
    )


# Lengths and checksums.


def _with_payload(data: bytes, value: Value) -> bytes:
    if isinstance(value, int):
        value = str(value)
    payload = value.encode() if isinstance(value, str) else value
    found = _segment(data)
    assert found is not None  # it was looked at before
    return _fitting(data[: found.start] + payload, len(payload) - found.payload)


def _fitting(data: bytes, longer: int) -> bytes:
    """Adds to the IP header's length. Raises RefusedError where the cable does not carry so much."""
    if len(data) > LONGEST_FRAME:
        raise RefusedError(
            Text(f"the frame would have {len(data)} bytes", f"这一帧会有 {len(data)} 字节"),
            Text(f"the cable carries {LONGEST_FRAME}", f"线路最多传 {LONGEST_FRAME} 字节"),
        )
    at = _ETHERNET + (2 if data[_ETHERNET] >> 4 == 4 else 4)
    length = int.from_bytes(data[at : at + 2], "big") + longer
    return data[:at] + length.to_bytes(2, "big") + data[at + 2 :]


def checked(data: bytes, kept: frozenset[Key] = frozenset()) -> bytes:
    """Makes both checksums right, but those that are to be kept as they are."""
    found = _segment(data)
    if found is None:
        return data
    if data[_ETHERNET] >> 4 == 4 and ("IPv4", "Header Checksum") not in kept:
        end = _ETHERNET + (data[_ETHERNET] & 15) * 4
        data = _summed(data, _ETHERNET, end, _ETHERNET + 10, b"")
    if ("TCP", "Checksum") not in kept:
        end = found.start + found.payload
        pseudo = found.source + found.destination + _PSEUDO.pack(end - found.header, NUMBER)  # RFC 9293 section 3.1
        data = _summed(data, found.header, end, found.header + 16, pseudo)
    return data


def _summed(data: bytes, start: int, end: int, at: int, pseudo: bytes) -> bytes:
    """Writes the Internet checksum (RFC 1071) of some bytes, and of the pseudo-header before them, at its place."""
    covered = pseudo + data[start:at] + bytes(2) + data[at + 2 : end]
    total = int.from_bytes(covered + bytes(len(covered) % 2), "big")
    folded = (total - 1) % 0xFFFF + 1 if total else 0
    return data[:at] + (0xFFFF - folded).to_bytes(2, "big") + data[at + 2 :]


# A segment from nothing.


def _bare(template: bytes, seq: int, ack: int, bits: int, window: int, payload: bytes, options: bytes) -> bytes:
    """Returns a segment between the hosts and ports of the template, whose own options it has not."""
    found = _segment(template)
    assert found is not None  # only segments are templates
    ip = template[: _ETHERNET + (_IPV4_HEADER if len(found.source) == 4 else _IPV6_HEADER)]
    if len(found.source) == 4:
        ip = ip[:_ETHERNET] + b"\x45" + ip[_ETHERNET + 1 :]
    offset = (_TCP_HEADER + len(options)) // 4
    header = _TCP.pack(found.source_port, found.destination_port, seq, ack, offset << 12 | bits, window, 0, 0)
    header += options
    behind = len(header) + len(payload)
    at = _ETHERNET + (2 if len(found.source) == 4 else 4)
    length = behind + (_IPV4_HEADER if len(found.source) == 4 else 0)
    if len(ip) + behind > LONGEST_FRAME:
        return _fitting(ip + header + payload, 0)
    return checked(ip[:at] + length.to_bytes(2, "big") + ip[at + 2 :] + header + payload)


def _timestamps(data: bytes | None) -> bytes:
    """Returns the timestamps option of a host's own segment, as it is usually written; nothing where it has none."""
    stamp = next((each.span for each in _fields(data) if each.name == _STAMP), None) if data is not None else None
    return _NOPS + data[stamp.start - 2 : stamp.start + 8] if data is not None and stamp is not None else b""


def _mirrored(data: bytes) -> bytes:
    """Returns a frame with sender and receiver exchanged."""
    found = _segment(data)
    assert found is not None
    at = _ETHERNET + (12 if len(found.source) == 4 else 8)
    ports, header = found.pair[-4:], found.header
    return b"".join((
        data[6:12], data[:6], data[12:at], found.destination, found.source, data[at + 2 * len(found.source) : header],
        ports[2:], ports[:2], data[header + 4 :],
    ))  # fmt: skip
