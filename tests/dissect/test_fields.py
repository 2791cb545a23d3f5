"""Every byte of a frame is spoken for, and two independent readers, Scapy and Wireshark, say the same of it."""

from __future__ import annotations

import random
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet, inet6
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Padding, Raw
from scapy.utils import wrpcap

from lab.dissect.fields import fields
from lab.dissect.packet import RAW_IP, RAW_IPV4, RAW_IPV6
from lab.model import LINKTYPE_ETHERNET, Field, Frame
from lab.protocols.tcp.segment import FLAGS, RST, Segment, segment
from lab.protocols.transport import FIELDS

HOST, PEER = "02:00:00:00:00:01", "02:00:00:00:00:02"
LINK: Any = Ether(dst=PEER, src=HOST)
V4 = LINK / IP(src="192.0.2.1", dst="192.0.2.2")
V6 = LINK / IPv6(src="2001:db8::1", dst="2001:db8::2", tc=0xBA, fl=0xABCDE)
SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (4294967295, 0)), ("NOP", None), ("WScale", 7)]


def link(kind: int) -> Any:
    return Ether(dst=PEER, src=HOST, type=kind)


def tcp(flags: str = "PA", **values: Any) -> Any:
    return TCP(sport=49152, dport=4433, seq=4294967295, ack=4026531840, window=64240, flags=flags, **values)


CRAFTED: dict[str, Any] = {
    "syn": V4 / tcp("S", options=SYN_OPTIONS),
    "syn over IPv6": V6 / tcp("S", options=SYN_OPTIONS),
    "data": V4 / tcp() / Raw(b"odd"),
    "data over IPv6": V6 / tcp() / Raw(bytes(range(200))),
    "padded ACK": V4 / tcp("A") / Padding(bytes(6)),
    "padded data over IPv6": V6 / tcp() / Raw(b"x") / Padding(b"\x01\x02\x03"),
    "every flag": V4 / tcp("FSRPAUECN", urgptr=9, reserved=5),
    "no flag": V4 / tcp(""),
    "no option": V4 / tcp("S"),
    "one SACK block": V4 / tcp("A", options=[("NOP", None), ("NOP", None), ("SAck", (1, 4294967295))]),
    "three SACK blocks": V4 / tcp("A", options=[("Timestamp", (1, 2)), ("SAck", (1, 2, 3, 4, 5, 6)), ("NOP", None)]),
    "four SACK blocks": V4 / tcp("A", options=[("SAck", tuple(range(8)))]),
    "Fast Open request": V4 / tcp("S", options=[("TFO", b"")]),
    "Fast Open cookie": V4 / tcp("S", options=[("TFO", (0x01020304, 0x05060708))]) / Raw(b"GET"),
    "MD5": V4 / tcp("S", options=[("MD5", (bytes(range(16)),))]),
    "user timeout": V4 / tcp("S", options=[(28, b"\x80\x05")]),
    "unknown kinds": V4 / tcp("S", options=[(253, b"abc"), ("NOP", None), (77, b""), (30, b"\x00\x01")]),
    "end of options": V4 / tcp("S", options=[("MSS", 536), ("EOL", None), ("NOP", None)]),
    "a wrong length": V4 / tcp("S", options=[(2, b"\x05\xb4\x00"), (8, b"\x00\x00\x00"), (3, b"")]),
    "IPv4 route options": LINK / IP(
        src="192.0.2.1", dst="192.0.2.2", flags="DF", tos=0xB9, ttl=1,
        options=[inet.IPOption_NOP(), inet.IPOption_RR(pointer=4, routers=["192.0.2.131", "0.0.0.0"])],
    ) / tcp() / Raw(b"payload"),
    "IPv4 source route": LINK / IP(
        dst="192.0.2.2", src="192.0.2.1", options=[inet.IPOption_LSRR(pointer=4, routers=["192.0.2.3"])]
    ) / tcp(),
    "IPv4 strict route": LINK / IP(
        dst="192.0.2.2", src="192.0.2.1", options=[inet.IPOption_SSRR(pointer=4, routers=["192.0.2.3"])]
    ) / tcp(),
    "IPv4 options": LINK / IP(
        src="192.0.2.1", dst="192.0.2.2", options=[
            inet.IPOption_Router_Alert(), inet.IPOption_Stream_Id(security=7),
            inet.IPOption_Timestamp(length=8, pointer=5, flg=0, timestamp=99),
        ],
    ) / tcp(),
    "IPv4 unknown option": LINK / IP(src="192.0.2.1", dst="192.0.2.2", options=[inet.IPOption(b"\x9e\x04ab")]) / tcp(),
    "IPv4 first fragment": LINK / IP(src="192.0.2.1", dst="192.0.2.2", flags="MF") / tcp() / Raw(bytes(20)),
    "IPv4 later fragment": LINK / IP(src="192.0.2.1", dst="192.0.2.2", frag=185, proto=6) / Raw(bytes(20)),
    "IPv4 UDP": V4 / UDP() / Raw(b"datagram") / Padding(bytes(9)),
    "IPv6 hop-by-hop": V6 / IPv6ExtHdrHopByHop(options=[inet6.RouterAlert(), inet6.PadN(optdata=b"\x00\x00")]) / tcp(),
    "IPv6 destination options": V6 / IPv6ExtHdrDestOpt(options=[inet6.PadN(optdata=bytes(20))]) / tcp() / Raw(b"x"),
    "IPv6 home address": V6 / IPv6ExtHdrDestOpt(options=[inet6.HAO(hoa="2001:db8::9")]) / tcp(),
    "IPv6 routing": V6 / IPv6ExtHdrRouting(addresses=["2001:db8::5", "2001:db8::6"]) / tcp() / Raw(b"x"),
    "IPv6 routed": V6 / IPv6ExtHdrRouting(addresses=["2001:db8::5"], segleft=0) / tcp() / Raw(b"x"),
    "IPv6 first fragment": V6 / IPv6ExtHdrFragment(m=1, id=0xDEADBEEF) / tcp() / Raw(bytes(20)),
    "IPv6 later fragment": V6 / IPv6ExtHdrFragment(offset=5, id=1, nh=6) / Raw(bytes(20)),
    "IPv6 atomic fragment": V6 / IPv6ExtHdrFragment(id=1) / tcp() / Raw(bytes(20)),
    "IPv6 chain": V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / IPv6ExtHdrFragment() / tcp(),
    "IPv6 without a next header": LINK / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=59) / Padding(bytes(6)),
    "VLAN": LINK / Dot1Q(prio=5, dei=1, vlan=291) / V4[IP] / tcp() / Raw(b"x"),
    "two VLANs": link(0x88A8) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / V6[IPv6] / tcp(),
    "ARP request": LINK / ARP(op=1, psrc="192.0.2.1", pdst="192.0.2.2", hwsrc=HOST) / Padding(bytes(18)),
    "ARP reply": LINK / ARP(op=2, psrc="192.0.2.2", pdst="192.0.2.1", hwsrc=HOST),
    "ARP of another kind": LINK / ARP(hwtype=6, hwlen=8, hwsrc=b"12345678", hwdst=b"abcdefgh", psrc="1.1.1.1"),
    "ICMP echo": V4 / inet.ICMP(id=7, seq=1) / Raw(b"ping"),
    "ICMP error": V4 / inet.ICMP(type=3, code=13) / IP(src="192.0.2.1", dst="192.0.2.2") / tcp("S"),
    "ICMP error with an MTU": V4 / inet.ICMP(type=3, code=4, nexthopmtu=1400) / IP(src="192.0.2.1") / UDP() / Raw(b"x"),
    "ICMPv6 error": V6 / inet6.ICMPv6PacketTooBig(mtu=1280) / IPv6(src="2001:db8::1", dst="2001:db8::2") / tcp("S"),
    "LLDP": link(0x88CC) / Raw(b"neighbour"),
    "IEEE 802.3": link(9) / Raw(b"\x42\x42\x03" + b"bridge" + bytes(5)),
}  # fmt: skip
FRAMES = {name: Frame(7, None, bytes(packet), len(packet)) for name, packet in CRAFTED.items()}


def cut(frame: Frame, size: int) -> Frame:
    return frame._replace(data=frame.data[:size])


def by_name(found: list[Field], layer: str, name: str) -> list[str]:
    return [field.value for field in found if (field.layer, field.name) == (layer, name)]


def only(frame: Frame, layer: str, name: str) -> str:
    (value,) = by_name(fields(frame, FIELDS), layer, name)
    return value


def flag_names(flags: int) -> str:
    return " ".join(name for bit, name in enumerate(FLAGS) if flags >> bit & 1) or "none"


def assert_covered(frame: Frame) -> list[Field]:
    """Each byte is in one field, or in neighbours that share it; returns the fields."""
    found, at = fields(frame, FIELDS), 0
    for span, _ in groupby(field.span for field in found):
        assert (span.buffer, span.number, span.start) == ("frame", frame.number, at), found
        assert span.end > span.start, found
        at = span.end
    assert at == len(frame.data), found
    return found


# Every byte is spoken for.


@pytest.mark.parametrize("name", CRAFTED)
def test_the_fields_cover_the_frame_and_none_is_cut_short(name: str) -> None:
    assert "truncated" not in [field.name for field in assert_covered(FRAMES[name])]


@pytest.mark.parametrize("name", CRAFTED)
def test_a_frame_cut_anywhere_shows_the_same_fields_up_to_the_cut(name: str) -> None:
    whole = fields(FRAMES[name], FIELDS)
    for size in range(len(FRAMES[name].data)):
        found = assert_covered(cut(FRAMES[name], size))
        before = [field for field in whole if field.span.end <= size]
        assert [field[:3] for field in found[: len(before)]] == [field[:3] for field in before]
        rest = [field.name for field in found[len(before) :]]
        inside = [field.name for field in whole if field.span.start < size < field.span.end][:1]
        as_much_as_there_is = inside in (["payload"], ["padding"]) or (inside == ["data"] and rest != ["truncated"])
        assert rest == (inside if as_much_as_there_is else ["truncated"] if inside else []), (size, inside)


LINKTYPES = (LINKTYPE_ETHERNET, RAW_IP, RAW_IPV4, RAW_IPV6, 113)


@st.composite
def damaged(draw: st.DrawFn) -> Frame:
    """A crafted frame, as Ethernet or without, with some of its bytes changed, cut or prolonged anywhere."""
    linktype = draw(st.sampled_from(LINKTYPES))
    data = bytearray(draw(st.sampled_from(list(FRAMES.values()))).data)
    if linktype != LINKTYPE_ETHERNET:
        del data[:14]
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=8)):
        data[at] = draw(st.integers(0, 255))
    length = draw(st.integers(0, 200)) if draw(st.booleans()) else len(data)
    size = draw(st.integers(0, len(data))) if draw(st.booleans()) else len(data)
    return Frame(1, None, bytes(data[:size]) + draw(st.binary(max_size=4)), length, linktype)


@given(st.binary(max_size=150), st.integers(0, 200), st.sampled_from(LINKTYPES))
def test_random_bytes_are_covered_without_an_exception(data: bytes, length: int, linktype: int) -> None:
    assert_covered(Frame(1, None, data, length, linktype))


@given(damaged())
def test_damaged_frames_are_covered_without_an_exception(frame: Frame) -> None:
    assert_covered(frame)


@given(damaged())
def test_the_fields_show_the_numbers_that_the_fast_path_reads(frame: Frame) -> None:
    read = segment(frame)
    if not isinstance(read, Segment):
        return
    found = {field.name: field for field in assert_covered(frame) if field.layer == "TCP"}
    assert found["Source Port"].span.start == read.header
    for name, number in (
        ("Source Port", read.source_port), ("Destination Port", read.destination_port), ("Sequence Number", read.seq),
        ("Acknowledgment Number", read.ack), ("Window", read.window),
    ):  # fmt: skip
        assert found[name].value == str(number)
    assert found["Control bits"].value == flag_names(read.flags)
    payload = frame.data[read.start : read.start + read.payload]
    assert ("payload" in found) == bool(payload)
    if payload:
        assert found["payload"].span[2:] == (read.start, read.start + len(payload))
    _, _, verdict = found["Checksum"].value.partition(" ")
    if verdict:
        assert ("bad-checksum" in read.problems) == verdict.startswith("incorrect")
        assert ("unfinished-checksum" in read.problems) == (verdict == "unfinished")


# What the fields say.


def test_checksums_are_correct_incorrect_or_unfinished() -> None:
    for version, address in ((IP, 26), (IPv6, 22)):
        frame = FRAMES["data" if version is IP else "data over IPv6"]
        packet = Ether(frame.data)
        right = packet[TCP].chksum
        assert only(frame, "TCP", "Checksum") == f"0x{right:04x} correct"
        packet[TCP].chksum = 0x1234
        wrong = frame._replace(data=bytes(packet))
        assert only(wrong, "TCP", "Checksum") == f"0x1234 incorrect, should be 0x{right:04x}"
        words = frame.data[address : address + (8 if version is IP else 32)]
        pseudo = sum(int.from_bytes(words[at : at + 2]) for at in range(0, len(words), 2)) + 6 + len(packet[TCP])
        packet[TCP].chksum = (pseudo & 0xFFFF) + (pseudo >> 16)
        assert only(frame._replace(data=bytes(packet)), "TCP", "Checksum").endswith(" unfinished")


def test_the_header_checksum_is_checked_as_soon_as_the_header_is_whole() -> None:
    data = bytearray(FRAMES["data"].data)
    right = int.from_bytes(data[24:26])
    assert only(cut(FRAMES["data"], 34), "IPv4", "Header Checksum") == f"0x{right:04x} correct"
    assert only(cut(FRAMES["data"], 33), "IPv4", "Header Checksum") == f"0x{right:04x}"
    data[24:26] = b"\x00\x01"
    frame = FRAMES["data"]._replace(data=bytes(data))
    assert only(frame, "IPv4", "Header Checksum") == f"0x0001 incorrect, should be 0x{right:04x}"


def test_a_checksum_over_bytes_that_are_not_there_is_not_judged() -> None:
    for name in (
        "IPv4 first fragment", "IPv6 first fragment", "IPv4 source route", "IPv4 strict route", "IPv6 routing",
        "IPv6 home address",
    ):  # fmt: skip
        assert re.fullmatch("0x....", only(FRAMES[name], "TCP", "Checksum"))
    assert re.fullmatch("0x....", only(cut(FRAMES["data"], len(FRAMES["data"].data) - 1), "TCP", "Checksum"))


def test_a_segment_larger_than_the_length_field_ends_with_the_frame() -> None:
    for version, field in ((IP, "len"), (IPv6, "plen")):
        packet = Ether(FRAMES["data" if version is IP else "data over IPv6"].data)
        setattr(packet[version], field, 0)
        data = bytes(packet)
        frame = Frame(1, None, data, len(data))
        assert only(frame, "TCP", "Checksum").endswith(" correct")
        assert fields(frame, FIELDS)[-1].name == "payload"
        assert re.fullmatch("0x....", only(cut(frame, len(data) - 1), "TCP", "Checksum"))


def test_padding_behind_the_packet_is_not_payload() -> None:
    for name, size in (("padded ACK", 6), ("padded data over IPv6", 3), ("ARP request", 18), ("IEEE 802.3", 5)):
        padding = fields(FRAMES[name], FIELDS)[-1]
        assert (padding.layer, padding.name, padding.span.end - padding.span.start) == ("Ethernet", "padding", size)


def test_a_header_ends_with_its_packet_whatever_follows_in_the_frame() -> None:
    for name, length, counted_from, end in (("padded ACK", 17, 14, 45), ("IPv6 hop-by-hop", 19, 54, 59)):
        data = bytearray(FRAMES[name].data)
        data[length] = end - counted_from
        truncated, padding = assert_covered(FRAMES[name]._replace(data=bytes(data)))[-2:]
        assert (truncated.name, truncated.span.end) == ("truncated", end)
        assert (padding.name, padding.span.end) == ("padding", len(data))


def test_headers_that_contradict_themselves_are_followed_by_data() -> None:
    for at, byte in ((14, 0x44), (14, 0x65), (17, 19)):  # header too short, another version, packet in its own header
        data = bytearray(FRAMES["data"].data)
        data[at] = byte
        last = assert_covered(FRAMES["data"]._replace(data=bytes(data)))[-1]
        assert (last.layer, last.name, last.span.start) == ("IPv4", "data", 34)
    data = bytearray(FRAMES["data"].data)
    data[46] = 0x40
    last = assert_covered(FRAMES["data"]._replace(data=bytes(data)))[-1]
    assert (last.layer, last.name, last.span.start) == ("TCP", "data", 54)


def test_an_option_that_runs_out_of_its_header_is_truncated() -> None:
    data = bytearray(FRAMES["Fast Open cookie"].data)
    for length in (0, 1, 13):
        data[55] = length
        found = assert_covered(FRAMES["Fast Open cookie"]._replace(data=bytes(data)))
        assert [(field.name, field.span.end - field.span.start) for field in found[-4:]] == [
            ("Kind", 1), ("Length", 1), ("truncated", 10), ("payload", 3),
        ]  # fmt: skip


def test_an_option_of_a_wrong_length_keeps_its_bytes_as_data() -> None:
    found = fields(FRAMES["a wrong length"], FIELDS)
    assert by_name(found, "TCP", "data") == ["05 b4 00", "00 00 00"]
    assert by_name(found, "TCP", "Maximum Segment Size (MSS)") == []


def test_raw_ip_starts_with_the_ip_header() -> None:
    for name, linktypes in (("syn", (RAW_IP, RAW_IPV4)), ("syn over IPv6", (RAW_IP, RAW_IPV6))):
        for linktype in linktypes:
            data = FRAMES[name].data[14:]
            found = assert_covered(Frame(1, None, data, len(data), linktype))
            assert [(field.layer, field.name, field.value) for field in found] == [
                (field.layer, field.name, field.value)
                for field in fields(FRAMES[name], FIELDS)
                if field.layer != "Ethernet"
            ]


def test_another_link_type_is_one_field_of_data() -> None:
    (field,) = fields(Frame(3, None, b"\x01" * 40, 40, 147), FIELDS)
    assert field[:2] == ("Frame", "data")
    assert field.value == "01 " * 16 + "…"
    assert fields(Frame(3, None, b"", 40, 147), FIELDS) == []


# Scapy says the same.

SCAPY: dict[tuple[str, Any], dict[str, str]] = {
    ("802.1Q", Dot1Q): {"PCP": "prio", "DEI": "dei", "VID": "vlan", "Type": "type"},
    ("ARP", ARP): {"Hardware Type": "hwtype", "Protocol Type": "ptype", "Operation": "op"},
    ("IPv4", IP): {
        "Version": "version", "IHL": "ihl", "Total Length": "len", "Identification": "id", "Fragment Offset": "frag",
        "Time to Live": "ttl", "Protocol": "proto", "Header Checksum": "chksum", "Source Address": "src",
        "Destination Address": "dst",
    },
    ("IPv6", IPv6): {
        "Version": "version", "Traffic Class": "tc", "Flow Label": "fl", "Payload Length": "plen", "Next Header": "nh",
        "Hop Limit": "hlim", "Source Address": "src", "Destination Address": "dst",
    },
    ("Routing", IPv6ExtHdrRouting): {"Next Header": "nh", "Routing Type": "type", "Segments Left": "segleft"},
    ("Fragment", IPv6ExtHdrFragment): {"Fragment Offset": "offset", "M flag": "m", "Identification": "id"},
    ("TCP", TCP): {
        "Source Port": "sport", "Destination Port": "dport", "Sequence Number": "seq", "Acknowledgment Number": "ack",
        "Data Offset": "dataofs", "Reserved": "reserved", "Window": "window", "Checksum": "chksum",
        "Urgent Pointer": "urgptr",
    },
    ("ICMP", inet.ICMP): {"Type": "type", "Code": "code", "Checksum": "chksum"},
    ("ICMPv6", inet6.ICMPv6PacketTooBig): {"Type": "type", "Code": "code", "Checksum": "cksum", "MTU": "mtu"},
    ("quoted IPv4", inet.IPerror): {"Identification": "id", "Protocol": "proto", "Source Address": "src"},
    ("quoted IPv6", inet6.IPerror6): {"Payload Length": "plen", "Next Header": "nh", "Destination Address": "dst"},
    ("quoted TCP", inet.TCPerror): {"Source Port": "sport", "Destination Port": "dport", "Sequence Number": "seq"},
}  # fmt: skip


def same(value: str, theirs: str) -> bool:
    """Compares texts, or numbers however they are written; what follows our number explains it."""
    ours, theirs = value.split(" ")[0], {"True": "1", "False": "0"}.get(theirs, theirs)
    try:
        return int(ours, 0) == int(theirs, 0)
    except ValueError:
        return ours == theirs


@pytest.mark.parametrize("name", CRAFTED)
def test_scapy_reads_the_same_headers(name: str) -> None:
    found = fields(FRAMES[name], FIELDS)
    packet: Any = Ether(FRAMES[name].data)
    layers = [packet]
    while packet := packet.payload:
        layers.append(packet)
    for (layer, kind), names in SCAPY.items():
        quoting = kind.__name__.rstrip("6").endswith("error")  # Scapy's are subclasses
        packets = [
            packet
            for packet in layers
            if isinstance(packet, kind) and type(packet).__name__.rstrip("6").endswith("error") == quoting
        ]
        for field, attribute in names.items():
            ours, theirs = by_name(found, layer, field), [str(getattr(packet, attribute)) for packet in packets]
            assert len(ours) == len(theirs)
            assert all(map(same, ours, theirs)), (layer, field, ours, theirs)
    controls = [flag_names(int(packet.flags)) for packet in layers if type(packet) is TCP]
    assert by_name(found, "TCP", "Control bits") == controls


def options_of(frame: Frame) -> list[tuple[int, tuple[object, ...]]]:
    """The TCP options of our fields in Scapy's manner: kind, numbers or bytes."""
    found = [
        field for field in fields(frame, FIELDS) if field.layer == "TCP" and field.name not in ("padding", "payload")
    ]
    options: list[tuple[int, tuple[object, ...]]] = []
    for field in found[10:]:
        if field.name == "Kind":
            options.append((int(field.value.split(" ")[0]), ()))
        elif field.name != "Length":
            kind, values = options[-1]
            raw = frame.data[field.span.start : field.span.end]
            options[-1] = kind, (*values, int(field.value.split(" ")[0]) if kind in (2, 3, 5, 8) else raw)
    return options


SCAPY_KINDS = {"EOL": 0, "NOP": 1, "MSS": 2, "WScale": 3, "SAckOK": 4, "SAck": 5, "Timestamp": 8, "MD5": 19, "TFO": 34}


def scapy_options(data: bytes) -> Iterator[tuple[int, tuple[object, ...]]]:
    for name, value in Ether(data)[TCP].options:
        kind = SCAPY_KINDS.get(name, name)
        values = value if isinstance(value, tuple) else () if value in (None, b"", "") else (value,)
        if kind == 34 and values:
            values = (b"".join(word.to_bytes(4) for word in values),)
        yield kind, values
        if kind == 0:
            return


PLAIN_OPTIONS = st.one_of(
    st.just(("NOP", None)), st.just(("SAckOK", b"")), st.tuples(st.just("MSS"), st.integers(0, 65535)),
    st.tuples(st.just("WScale"), st.integers(0, 255)),
    st.tuples(st.just("Timestamp"), st.tuples(*[st.integers(0, 2**32 - 1)] * 2)),
    st.tuples(st.just("SAck"), st.tuples(*[st.integers(0, 2**32 - 1)] * 4)),
    st.tuples(st.just("MD5"), st.tuples(st.binary(min_size=16, max_size=16))),
    st.tuples(st.just("TFO"), st.tuples(*[st.integers(0, 2**32 - 1)] * 2)),
    st.tuples(st.integers(200, 255), st.binary(max_size=6)),
)  # fmt: skip


@given(st.lists(PLAIN_OPTIONS, max_size=6).filter(lambda options: len(TCP(options=options)) <= 60), st.binary())
def test_scapy_reads_the_same_options(options: list[tuple[Any, Any]], payload: bytes) -> None:
    data = bytes(V4 / tcp(options=options) / payload)
    frame = Frame(1, None, data, len(data))
    assert_covered(frame)
    assert options_of(frame) == list(scapy_options(data))


# Wireshark says the same.

WIRESHARK = {
    "eth.dst": "Destination Address", "eth.src": "Source Address", "eth.type": "Type", "eth.len": "Type",
    "vlan.priority": "PCP",
    "vlan.dei": "DEI", "vlan.id": "VID", "vlan.etype": "Type",
    "arp.hw.type": "Hardware Type", "arp.proto.type": "Protocol Type", "arp.hw.size": "Hardware Address Length",
    "arp.proto.size": "Protocol Address Length", "arp.opcode": "Operation",
    "arp.src.hw_mac": "Sender Hardware Address", "arp.src.proto_ipv4": "Sender Protocol Address",
    "arp.dst.hw_mac": "Target Hardware Address", "arp.dst.proto_ipv4": "Target Protocol Address",
    "ip.version": "Version", "ip.dsfield.dscp": "DSCP", "ip.dsfield.ecn": "ECN", "ip.len": "Total Length",
    "ip.src": "Source Address", "ip.dst": "Destination Address", "ip.frag_offset": "Fragment Offset",
    "ip.id": "Identification", "ip.ttl": "Time to Live", "ip.proto": "Protocol", "ip.checksum": "Header Checksum",
    "ip.opt.type": "option-type", "ip.opt.len": "option-length", "ip.opt.ptr": "pointer", "ip.opt.flag": "flag",
    "ip.opt.overflow": "overflow", "ip.opt.ra": "value", "ip.opt.sid": "Stream ID",
    "ipv6.flow": "Flow Label", "ipv6.plen": "Payload Length", "ipv6.nxt": "Next Header", "ipv6.hlim": "Hop Limit",
    "ipv6.tclass": "Traffic Class", "ipv6.src": "Source Address", "ipv6.dst": "Destination Address",
    "ipv6.hopopts.nxt": "Next Header", "ipv6.hopopts.len": "Hdr Ext Len", "ipv6.dstopts.nxt": "Next Header",
    "ipv6.dstopts.len": "Hdr Ext Len", "ipv6.opt.type": "Option Type", "ipv6.opt.length": "Opt Data Len",
    "ipv6.opt.router_alert": "Value", "ipv6.routing.nxt": "Next Header", "ipv6.routing.len": "Hdr Ext Len",
    "ipv6.routing.type": "Routing Type", "ipv6.routing.segleft": "Segments Left", "ipv6.fraghdr.nxt": "Next Header",
    "ipv6.fraghdr.reserved_octet": "Reserved", "ipv6.fraghdr.more": "M flag", "ipv6.fraghdr.reserved_bits": "Res",
    "ipv6.fraghdr.offset": "Fragment Offset", "ipv6.fraghdr.ident": "Identification",
    "udp.srcport": "Source Port", "udp.dstport": "Destination Port", "udp.length": "Length", "udp.checksum": "Checksum",
    "tcp.srcport": "Source Port", "tcp.dstport": "Destination Port", "tcp.seq_raw": "Sequence Number",
    "tcp.ack_raw": "Acknowledgment Number", "tcp.window_size_value": "Window",
    "icmp.type": "Type", "icmp.code": "Code", "icmp.checksum": "Checksum", "icmp.mtu": "Next-Hop MTU",
    "icmpv6.type": "Type", "icmpv6.code": "Code", "icmpv6.checksum": "Checksum", "icmpv6.mtu": "MTU",
    "tcp.checksum": "Checksum", "tcp.urgent_pointer": "Urgent Pointer", "tcp.option_kind": "Kind",
    "tcp.option_len": "Length", "tcp.options.mss_val": "Maximum Segment Size (MSS)",
    "tcp.options.wscale.shift": "shift.cnt", "tcp.options.timestamp.tsval": "TS Value (TSval)",
    "tcp.options.timestamp.tsecr": "TS Echo Reply (TSecr)", "tcp.options.user_to_val": "User Timeout",
}  # fmt: skip
BYTES = {  # shown as bytes, or in bytes where our number counts words
    "ip.hdr_len": "IHL", "tcp.hdr_len": "Data Offset", "tcp.options.md5.digest": "MD5 digest",
    "tcp.options.tfo.cookie": "Cookie", "tcp.payload": "payload", "eth.padding": "padding", "eth.trailer": "padding",
}  # fmt: skip
EDGES = {"tcp.options.sack_le": "Left", "tcp.options.sack_re": "Right"}  # of the nth block
KNOWN = {**WIRESHARK, **BYTES, **EDGES}
UNSEEN = {("IPv4", "padding"), ("TCP", "padding")}  # read on as options
SEEN_AS_FLAG = {("TCP", "Reserved")}
WIRESHARK_FLAGS = {"push": "PSH", "reset": "RST"} | {name.lower(): name for name in FLAGS if name not in ("PSH", "RST")}
WIRESHARK_DIFFERS = {
    "IPv4 source route": "it calls the last hop in the option the destination",
    "IPv4 strict route": "the same",
    "IPv4 unknown option": "it leaves kind and length out",
    "two VLANs": "it leaves the type between them out",
    "ARP of another kind": "it takes the addresses apart",
}
VERDICTS = {"0": "incorrect", "1": "correct"}


def wireshark(frames: list[Frame], folder: Path) -> list[list[ET.Element]]:
    """Returns the fields that Wireshark finds in each of the (Ethernet) frames."""
    packets: list[Any] = [frame.data for frame in frames]
    wrpcap(str(folder / "frames.pcap"), packets, linktype=LINKTYPE_ETHERNET)
    command = ["tshark", "-n", "-r", str(folder / "frames.pcap"), "-T", "pdml"]
    command += ["--disable-protocol", "prp"]  # newer versions take any padding for its trailer
    for preference in (
        "ip.check_checksum:TRUE", "ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.check_checksum:TRUE",
        "tcp.desegment_tcp_streams:FALSE", "tcp.analyze_sequence_numbers:FALSE", "tcp.relative_sequence_numbers:FALSE",
    ):  # fmt: skip
        command += ["-o", preference]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    return [list(packet.iter("field")) for packet in ET.fromstring(output).iter("packet")]


def random_frames(count: int) -> Iterator[Frame]:
    """Segments with options, payloads and checksums (right, wrong, unfinished) at random, the same every time.

    No RST: Wireshark takes what it carries for a reason, not for a payload.
    """
    chance = random.Random(793)

    def words(number: int) -> tuple[int, ...]:
        return tuple(chance.getrandbits(32) for _ in range(number))

    for number in range(1, count + 1):
        options: list[Any] = []
        while chance.random() < 0.8:
            options.append(chance.choice((
                ("NOP", None), ("SAckOK", b""), ("MSS", chance.getrandbits(16)), ("WScale", chance.getrandbits(8)),
                ("Timestamp", words(2)), ("SAck", words(2)), ("SAck", words(4)), ("TFO", words(2)),
                ("MD5", (chance.randbytes(16),)), (chance.randint(200, 250), chance.randbytes(chance.randint(0, 5))),
            )))  # fmt: skip
        while len(tcp(options=options)) > 60:
            options.pop()
        packet: Any = chance.choice((V4, V6)) / TCP(
            sport=chance.randint(49152, 65535), dport=chance.randint(49152, 65535), seq=words(1)[0], ack=words(1)[0],
            flags=chance.getrandbits(9) & ~RST, window=chance.getrandbits(16), urgptr=chance.getrandbits(16),
            reserved=chance.getrandbits(3), options=options,
        ) / Raw(chance.randbytes(chance.randint(0, 40)))  # fmt: skip
        if chance.random() < 0.3:
            packet[TCP].chksum = chance.getrandbits(16)
        data = bytes(packet)
        yield Frame(number, None, data, len(data))


def assert_wireshark_agrees(frame: Frame, theirs: list[ET.Element]) -> set[str]:
    """Each of Wireshark's fields that we know is one of ours, and the other way round; returns the names compared."""
    ours, matched, compared = fields(frame, FIELDS), set(), set()
    for element in theirs:
        name, show = element.get("name", ""), element.get("show", "")
        start = int(element.get("pos", "0"))
        end = start + int(element.get("size", "0"))
        around = {at: field for at, field in enumerate(ours) if field.span.start <= start and end <= field.span.end}
        values = {field.name: field.value for field in around.values()}
        if any(field.layer.startswith("quoted ") for field in around.values()):
            continue  # Scapy reads it
        if name in ("tcp.checksum.status", "ip.checksum.status"):
            _, _, verdict = (values.get("Checksum") or values["Header Checksum"]).partition(" ")
            assert not verdict or verdict.startswith(VERDICTS[show]), (name, show, verdict)
        elif name.startswith("tcp.flags.") and (flag := WIRESHARK_FLAGS.get(name[10:])):
            assert (flag in values["Control bits"].split()) == (show in ("1", "True")), (name, show, values)
        elif name == "tcp.flags.res":
            assert (values["Reserved"] != "0") == (show in ("1", "True")), (name, show, values)
        elif name in KNOWN and start < end and not any(field[:2] in UNSEEN for field in around.values()):
            (at,) = [at for at, field in around.items() if field.name.startswith(KNOWN[name])]
            value, raw = ours[at].value, frame.data[start:end].hex(":")
            in_bytes = name in BYTES and (show == raw or f"({show} bytes)" in value)
            assert in_bytes or same(value, show), (name, show, value)
            matched.add(at)
        else:
            continue
        compared.add(name)
    names = {*KNOWN.values()}
    missed = [
        field
        for at, field in enumerate(ours)
        if field.name in names and at not in matched and not field.layer.startswith("quoted ")
    ]
    assert [field for field in missed if field[:2] not in UNSEEN | SEEN_AS_FLAG] == []
    return compared


def test_wireshark_reads_the_same_fields_of_every_header_and_option(tshark: str, tmp_path: Path) -> None:
    frames = [frame for name, frame in FRAMES.items() if name not in WIRESHARK_DIFFERS]
    compared = set()
    for frame, theirs in zip(frames, wireshark(frames, tmp_path), strict=True):
        compared |= assert_wireshark_agrees(frame, theirs)
    assert KNOWN.keys() - compared == set()


def test_wireshark_reads_the_same_fields_of_random_segments(tshark: str, tmp_path: Path) -> None:
    frames = list(random_frames(400))
    for frame, theirs in zip(frames, wireshark(frames, tmp_path), strict=True):
        assert_wireshark_agrees(frame, theirs)
