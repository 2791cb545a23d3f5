"""TCP is found wherever Wireshark finds it: in every link layer and tunnel that the lab opens, and never by a crash."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import GRE, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from lab.dissect.encapsulation import ENCAPSULATIONS, LINKS
from lab.dissect.fields import fields
from lab.model import Frame
from lab.protocols.tcp.segment import Segment, segment
from lab.protocols.transport import FIELDS
from lab.witnesses import question, wireshark
from lab.witnesses.question import Opinion
from tests.packets import renumbered, walk
from tests.runs import saved

V4: Any = IP(src="192.0.2.1", dst="192.0.2.2")
V6: Any = IPv6(src="2001:db8::1", dst="2001:db8::2")
ENDS: dict[str, Any] = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # without them Scapy asks the network
LINK: Any = Ether(**ENDS)
OUTER: Any = LINK / IP(src="198.51.100.1", dst="198.51.100.2")
OUTER6: Any = LINK / IPv6(src="2001:db8:1::1", dst="2001:db8:1::2")
MAC: dict[str, Any] = dict.fromkeys(("addr1", "addr2", "addr3", "addr4"), "02:00:00:00:00:01")
SNAPPED: Any = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x0800)
SNAPPED6: Any = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x86DD)
QOS: Any = Dot11(type=2, subtype=8, FCfield=1, **MAC)
FULL: Any = RadioTap(present="TSFT+Flags+Rate", mac_timestamp=1, Flags=0, Rate=2)

CLIENT_PORTS = 40000


def loop(family: int) -> Any:
    return Raw(struct.pack(">I", family))


# Link type, and what stands before the packet.
BEFORE: dict[str, tuple[int, Any, Any]] = {
    "VLAN": (1, LINK / Dot1Q(vlan=7), V4),
    "QinQ": (1, LINK / Dot1AD(vlan=7) / Dot1Q(vlan=8), V6),
    "old QinQ": (1, Ether(**ENDS, type=0x9100) / Dot1Q(vlan=7, type=0x8100) / Dot1Q(vlan=8), V4),
    "four tags": (1, LINK / Dot1AD(vlan=1) / Dot1AD(vlan=2) / Dot1Q(vlan=3) / Dot1Q(vlan=4), V4),
    "LLC": (1, Ether(src=MAC["addr1"], dst=MAC["addr1"], type=0x60) / SNAPPED, V4),
    "MPLS": (1, Ether(**ENDS, type=0x8847) / MPLS(label=17, s=0) / MPLS(label=18, s=1), V4),
    "MPLS, IPv6": (1, Ether(**ENDS, type=0x8847) / MPLS(label=18, s=1), V6),
    "VLAN and MPLS": (1, LINK / Dot1Q(vlan=7, type=0x8847) / MPLS(label=18, s=1), V4),
    "PPPoE": (1, Ether(**ENDS, type=0x8864) / PPPoE(sessionid=5) / PPP(proto=0x0021), V4),
    "PPPoE, IPv6": (1, Ether(**ENDS, type=0x8864) / PPPoE(sessionid=5) / PPP(proto=0x0057), V6),
    "PPP": (9, Raw(b"\xff\x03\x00\x21"), V4),
    "PPP, short": (9, Raw(b"\x21"), V4),
    "PPP in HDLC": (50, Raw(b"\xff\x03\x00\x57"), V6),
    "Linux cooked": (113, CookedLinux(proto=0x0800), V4),
    "Linux cooked, IPv6": (113, CookedLinux(proto=0x86DD), V6),
    "Linux cooked, VLAN": (113, CookedLinux(proto=0x8100) / Dot1Q(vlan=9), V4),
    "Linux cooked 2": (276, CookedLinuxV2(proto=0x0800), V4),
    "Linux cooked 2, IPv6": (276, CookedLinuxV2(proto=0x86DD), V6),
    "NULL": (0, Loopback(type=2), V4),
    "NULL, big-endian": (0, loop(2), V4),
    "NULL, IPv6 of a Mac": (0, Loopback(type=30), V6),
    "NULL, IPv6 of FreeBSD": (0, Loopback(type=28), V6),
    "LOOP": (108, loop(2), V4),
    "LOOP, IPv6 of OpenBSD": (108, loop(24), V6),
    "raw": (101, None, V4),
    "raw, IPv6": (101, None, V6),
    "raw, number 12": (12, None, V4),
    "raw IPv4": (228, None, V4),
    "raw IPv6": (229, None, V6 / IPv6ExtHdrHopByHop()),
    "802.11": (105, Dot11(type=2, subtype=0, FCfield=1, **MAC) / SNAPPED, V4),
    "802.11, QoS": (105, QOS / Dot11QoS() / SNAPPED6, V6),
    "802.11, four addresses": (105, Dot11(type=2, subtype=0, FCfield=3, **MAC) / SNAPPED, V4),
    "radiotap": (127, RadioTap() / Dot11(type=2, subtype=0, FCfield=2, **MAC) / SNAPPED, V4),
    "radiotap, full": (127, FULL / QOS / Dot11QoS() / SNAPPED, V4),
    "IP in IP": (1, OUTER, V4),
    "IPv6 in IPv4": (1, OUTER, V6),
    "IPv4 in IPv6": (1, OUTER6, V4),
    "GRE": (1, OUTER / GRE(), V4),
    "GRE with all": (1, OUTER / GRE(chksum_present=1, key_present=1, seqnum_present=1, key=7, sequence_number=1), V6),
    "GRE, bridged": (1, OUTER / GRE(proto=0x6558) / LINK / Dot1Q(vlan=3), V4),
    "VXLAN": (1, OUTER / UDP(sport=50000, dport=4789) / VXLAN(vni=9, flags=8) / LINK, V4),
    "VXLAN in IPv6": (1, OUTER6 / UDP(sport=50000, dport=4789) / VXLAN(vni=9, flags=8) / LINK / Dot1Q(vlan=2), V6),
    "Geneve": (1, OUTER / UDP(sport=50000, dport=6081) / GENEVE(vni=9, proto=0x6558) / LINK, V4),
    "Geneve, IP": (1, OUTER / UDP(sport=50000, dport=6081) / GENEVE(vni=9, proto=0x0800), V4),
}  # fmt: skip
# What is not opened: Wireshark may.
CLOSED: dict[str, tuple[int, bytes]] = {
    "GRE, version 1": (1, bytes(OUTER / GRE(version=1) / V4 / TCP())),
    "802.11, protected": (105, bytes(Dot11(type=2, FCfield=0x40, **MAC) / SNAPPED / V4 / TCP())),
    "802.11, a beacon": (105, bytes(Dot11(type=0, subtype=8, **MAC)) + bytes(40)),
    "802.11, no data": (105, bytes(Dot11(type=2, subtype=4, **MAC)) + bytes(40)),
    "PPPoE discovery": (1, bytes(Ether(**ENDS, type=0x8863)) + bytes(40)),
    "UDP": (1, bytes(OUTER / UDP(sport=53, dport=53) / Raw(bytes(40)))),
    "another link type": (147, bytes(V4 / TCP())),
    "three packets": (1, bytes(OUTER / V4 / V4 / TCP())),
    "a stranger behind MPLS": (1, bytes(Ether(**ENDS, type=0x8847) / MPLS(s=1)) + bytes(60)),
}


def talk(name: str) -> Iterator[bytes]:
    """Yields the segments of a small connection, wrapped up."""
    client = CLIENT_PORTS + list(BEFORE).index(name)  # in one file they are as many conversations
    ends = (client, 8080), (8080, client)
    _, before, packet = BEFORE[name]
    said = (
        (0, "S", 7, 0, b""),
        (1, "SA", 9, 8, b""),
        (0, "A", 8, 10, b""),
        (0, "PA", 8, 10, b"hello"),
        (1, "FA", 10, 13, b""),
    )
    for who, flags, seq, ack, data in said:
        ours = packet.copy()
        if who:
            ours.src, ours.dst = packet.dst, packet.src
        (sport, dport) = ends[who]
        segment = ours / TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack) / Raw(data)
        yield bytes(before / segment if before is not None else segment)


def frames(name: str) -> list[Frame]:
    linktype, _, _ = BEFORE[name]
    data = list(talk(name))
    if name == "LLC":  # the length of what follows, not a type
        data = [each[:12] + (len(each) - 14).to_bytes(2, "big") + each[14:] for each in data]
    return [Frame(at, at * 1000, each, len(each), linktype) for at, each in enumerate(data, 1)]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them in one file: a pcapng has an interface for each link type."""
    packets = (frame for name in BEFORE for frame in frames(name))
    return saved(renumbered(*packets), tmp_path_factory.mktemp("all") / "in.pcapng")


@pytest.fixture(scope="module")
def opinions(everything: Path, tshark: str) -> dict[str, list[Opinion]]:
    """What Wireshark says of each: it is asked once."""
    asked = question.ask(everything)
    assert not asked.complaints
    assert len(asked) == 5 * len(BEFORE)
    return {name: asked[5 * at : 5 * at + 5] for at, name in enumerate(BEFORE)}


@pytest.mark.parametrize("name", BEFORE)
def test_wireshark_finds_the_same_segments(name: str, opinions: dict[str, list[Opinion]]) -> None:
    theirs = opinions[name]
    assert {opinion.stream for opinion in theirs} == {list(BEFORE).index(name)}, "it is TCP to Wireshark"
    assert wireshark.compare(walk(frames(name)).packets, theirs) == []


def test_wireshark_finds_the_same_ports_and_every_checksum_right(everything: Path, tshark: str) -> None:
    asked = ("tcp.srcport", "tcp.checksum.status")
    words = [word for field in asked for word in ("-e", field)]
    command = [tshark, "-n", "-r", str(everything), "-o", "tcp.check_checksum:TRUE", "-T", "fields", *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    segments = [record.segment for name in BEFORE for record in walk(frames(name)).records]
    ours = [[str(each.source_port), "1"] for each in segments if each and not each.problems]
    assert [line.split("\t") for line in said.splitlines()] == ours
    assert len(ours) == 5 * len(BEFORE)


@pytest.mark.parametrize("name", BEFORE)
def test_its_ends_and_its_payload_are_those_inside(name: str) -> None:
    _, _, packet = BEFORE[name]
    records = walk(frames(name)).records
    (which,) = {id(record.conversation): record.conversation for record in records}.values()
    assert which
    assert (which.client.host, which.server.host) == (packet.src, packet.dst)
    fourth = frames(name)[3]
    assert records[3].segment
    start = records[3].segment.start
    assert fourth.data[start : start + records[3].segment.payload] == b"hello"


@pytest.mark.parametrize("name", BEFORE)
def test_every_byte_of_it_is_spoken_for(name: str) -> None:
    for frame in frames(name):
        found = fields(frame, FIELDS)
        covered = sorted({field.span[2:] for field in found})
        assert covered[0][0] == 0
        assert all(one[1] == other[0] for one, other in pairwise(covered))
        assert covered[-1][1] == len(frame.data)
        assert [field.layer for field in found if field.name == "Sequence Number"] == ["TCP"]


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_not_opened_is_no_tcp(name: str) -> None:
    linktype, data = CLOSED[name]
    assert segment(Frame(1, None, data, len(data), linktype)) == ("not-tcp",)


@pytest.mark.parametrize("name", BEFORE)
def test_cut_anywhere_it_is_truncated_and_still_spoken_for(name: str) -> None:
    whole = frames(name)[3]
    for size in range(len(whole.data)):
        frame = whole._replace(data=whole.data[:size])
        found = segment(frame)
        assert isinstance(found, Segment) or found[0] == "not-tcp"
        assert sum(end - start for start, end in {field.span[2:] for field in fields(frame, FIELDS)}) == size


@given(st.sampled_from(sorted(LINKS)), st.binary(max_size=200))
def test_nothing_it_is_fed_makes_it_fall_over(linktype: int, data: bytes) -> None:
    frame = Frame(1, None, data, len(data), linktype)
    assert isinstance(segment(frame), Segment | tuple)
    assert sum(end - start for start, end in {field.span[2:] for field in fields(frame, FIELDS)}) == len(data)


@given(st.sampled_from(sorted(BEFORE)), st.data())
def test_a_few_wrong_bytes_make_it_no_other_size(name: str, data: st.DataObject) -> None:
    whole = frames(name)[3]
    spoilt = bytearray(whole.data)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    frame = whole._replace(data=bytes(spoilt))
    found = segment(frame)
    assert not isinstance(found, Segment) or 0 <= found.start <= found.start + found.payload
    assert sum(end - start for start, end in {field.span[2:] for field in fields(frame, FIELDS)}) == len(spoilt)


def test_every_entry_names_its_source_and_leads_somewhere() -> None:
    assert all(entry.source for entry in ENCAPSULATIONS.values())
    assert set(LINKS.values()) <= ENCAPSULATIONS.keys()
