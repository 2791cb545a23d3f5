"""The fast reader reads what Scapy wrote, says what is wrong with the rest, and never raises."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Padding, Raw

from lab.dissect.fields import fields
from lab.dissect.packet import ETHERNET, RAW_IP, RAW_IPV4, RAW_IPV6
from lab.model import Frame
from lab.protocols.tcp.segment import FRAGMENT, NOT_TCP, TRUNCATED, Segment, segment
from lab.protocols.transport import FIELDS
from tests.packets import CAPTURES, IPV4, IPV6, LETTERS, ladder

LINK: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4: Any = IP(src="192.0.2.1", dst="192.0.2.2")
V6: Any = IPv6(src="2001:db8::1", dst="2001:db8::2")
SEGMENT: Any = TCP(sport=40000, dport=80, seq=0xFFFFFFFF, ack=0x80000000, flags="PAUECN", window=1) / Raw(b"seven77")
VLAN: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8100)
QINQ: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88A8)

WRAPPED: dict[str, Any] = {
    "IPv4": LINK / V4 / SEGMENT,
    "IPv4 with options": LINK / IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_NOP()] * 5) / SEGMENT,
    "IPv4 padded": LINK / V4 / TCP(flags="A") / Padding(bytes(6)),
    "IPv6": LINK / V6 / SEGMENT,
    "VLAN": VLAN / Dot1Q(vlan=7) / V4 / SEGMENT,
    "two VLANs": QINQ / Dot1AD(vlan=7, type=0x8100) / Dot1Q(vlan=8) / V6 / SEGMENT,
    "hop-by-hop": LINK / V6 / IPv6ExtHdrHopByHop() / SEGMENT,
    "destination options": LINK / V6 / IPv6ExtHdrDestOpt(options=[]) / SEGMENT,
    "routing, arrived": LINK / V6 / IPv6ExtHdrRouting(addresses=["2001:db8::2"], segleft=0) / SEGMENT,
    "atomic fragment": LINK / V6 / IPv6ExtHdrFragment() / SEGMENT,
    "a chain": LINK / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment() / SEGMENT,
    "TCP options": LINK / V4 / TCP(flags="S", options=[("MSS", 1460), ("WScale", 7)]) / Raw(b"early"),
    "a long segment": LINK / V6 / TCP() / Raw(bytes(9000)),
}


def frame(data: bytes, length: int | None = None, linktype: int = ETHERNET) -> Frame:
    return Frame(1, None, data, len(data) if length is None else length, linktype)


def read(data: bytes, linktype: int = ETHERNET) -> Segment:
    found = segment(frame(data, linktype=linktype))
    assert isinstance(found, Segment), found
    return found


def of_scapy(packet: Any, data: bytes) -> Segment:
    """Returns what Scapy reads in the same bytes, in our form."""
    again = packet.__class__(data)
    ip, tcp = again[IPv6] if IPv6 in again else again[IP], again[TCP]
    payload = bytes(tcp.payload)
    if Padding in again:
        payload = payload[: len(payload) - len(again[Padding])]
    header = data.index(struct.pack("!HHI", tcp.sport, tcp.dport, tcp.seq))
    pair = ip_address(ip.src).packed + ip_address(ip.dst).packed + struct.pack("!HH", tcp.sport, tcp.dport)
    flags = sum(1 << LETTERS.index(letter) for letter in str(tcp.flags))
    start = header + tcp.dataofs * 4
    return Segment(pair, tcp.seq, tcp.ack, flags, tcp.window, header, start, len(payload), ())


@pytest.mark.parametrize("name", WRAPPED)
def test_what_scapy_wrote_is_read(name: str) -> None:
    data = bytes(WRAPPED[name])
    assert read(data) == of_scapy(WRAPPED[name], data)


@pytest.mark.parametrize("pair", [IPV4, IPV6, IPV4._replace(timestamps=True)], ids=["IPv4", "IPv6", "timestamps"])
@pytest.mark.parametrize("name", CAPTURES)
def test_the_captures_that_tests_write_by_hand_are_what_scapy_reads(name: str, pair: Any) -> None:
    for line, made in zip(CAPTURES[name], ladder(*CAPTURES[name], pair=pair), strict=True):
        again = Ether(made.data)
        assert segment(made) == of_scapy(again, made.data), line
        for layer, field in ((IP, "chksum"), (TCP, "chksum")):
            if layer in again:
                given = getattr(again[layer], field)
                delattr(again[layer], field)
                assert getattr(Ether(bytes(again))[layer], field) == given, line


@pytest.mark.parametrize("linktype", [RAW_IP, RAW_IPV4, RAW_IPV6])
@pytest.mark.parametrize("packet", [V4 / SEGMENT, V6 / SEGMENT], ids=["IPv4", "IPv6"])
def test_raw_ip_has_no_link_header(packet: Any, linktype: int) -> None:
    data = bytes(packet)
    assert read(data, linktype) == of_scapy(packet, data)


@given(
    st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
    st.integers(0, 511), st.integers(0, 65535), st.binary(max_size=40), st.booleans(),
)  # fmt: skip
def test_every_number_of_any_segment_is_read(
    sport: int, dport: int, seq: int, ack: int, flags: int, window: int, payload: bytes, six: bool
) -> None:
    packet = LINK / (V6 if six else V4) / TCP(
        sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=window
    ) / Raw(payload)  # fmt: skip
    found = read(bytes(packet))
    header = 54 if six else 34
    assert found[1:] == (seq, ack, flags, window, header, header + 20, len(payload), ())
    hosts = [ip_address(host).packed for host in ((V6 if six else V4).src, (V6 if six else V4).dst)]
    assert [found.source, found.destination] == hosts
    assert (found.source_port, found.destination_port) == (sport, dport)
    assert found.reversed_pair == found.destination + found.source + struct.pack("!HH", dport, sport)


# Checksums.


@pytest.mark.parametrize("name", WRAPPED)
def test_one_flipped_bit_anywhere_in_the_segment_is_a_bad_checksum(name: str) -> None:
    data = bytes(WRAPPED[name])
    whole = read(data)
    end = whole.start + whole.payload
    for at in (whole.header + 4, whole.header + 17, whole.start - 1, end - 1):
        spoilt = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert read(spoilt).problems == ("bad-checksum",), at


@pytest.mark.parametrize("name", WRAPPED)
def test_the_sum_of_the_pseudo_header_alone_is_a_checksum_left_unfinished(name: str) -> None:
    """What checksum offload leaves for the network card to complete."""
    data = bytes(WRAPPED[name])
    whole = read(data)
    pseudo = whole.source + whole.destination + struct.pack("!HH", 6, whole.start + whole.payload - whole.header)
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    total = (total & 0xFFFF) + (total >> 16)
    unfinished = data[: whole.header + 16] + struct.pack("!H", total) + data[whole.header + 18 :]
    assert read(unfinished).problems == ("unfinished-checksum",)


def test_a_checksum_of_0_and_of_ffff_are_the_same_number() -> None:
    """One's complement has two zeroes (RFC 1071): a segment whose sum is one of them may bear the other."""
    ack = bytes(LINK / V4 / TCP(flags="A", chksum=0))
    found = (ack[:48] + struct.pack("!H", window) + ack[50:] for window in range(1 << 16))
    data = next(each for each in found if not read(each).problems)
    assert read(data[:50] + b"\xff\xff" + data[52:]).problems == ()
    assert read(data[:50] + b"\xff\xfe" + data[52:]).problems == ("bad-checksum",)


def test_a_pseudo_header_whose_sum_is_0_leaves_either_zero_unfinished() -> None:
    ack = bytes(LINK / IP(src="10.0.51.227", dst="192.0.2.2") / TCP(flags="A"))
    for zero in (b"\0\0", b"\xff\xff"):
        assert read(ack[:50] + zero + ack[52:]).problems == ("unfinished-checksum",)


def test_a_fragments_first_part_is_no_segment_yet() -> None:
    for packet in (IP(src="192.0.2.1", dst="192.0.2.2", flags="MF") / SEGMENT, V6 / IPv6ExtHdrFragment(m=1) / SEGMENT):
        assert segment(frame(bytes(LINK / packet))) == FRAGMENT


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_said_of_checksums_is_what_the_fields_say(name: str) -> None:
    data = bytes(WRAPPED[name])
    at = read(data).header + 16
    for checksum in (data[at : at + 2], b"\0\0", b"\x12\x34"):
        spoilt = frame(data[:at] + checksum + data[at + 2 :])
        found = segment(spoilt)
        assert isinstance(found, Segment)
        (told,) = (field.value for field in fields(spoilt, FIELDS) if (field.layer, field.name) == ("TCP", "Checksum"))
        verdict = "unfinished" if "unfinished" in told else "incorrect" if "incorrect" in told else "correct"
        assert (
            found.problems
            == {"correct": (), "incorrect": ("bad-checksum",), "unfinished": ("unfinished-checksum",)}[verdict]
        )


# What is cut short, and what is no TCP.


@pytest.mark.parametrize("name", WRAPPED)
def test_a_frame_that_is_cut_anywhere_is_truncated(name: str) -> None:
    whole = bytes(WRAPPED[name])
    entire = read(whole)
    end = entire.start + entire.payload
    for size in (*range(min(end, 200)), end - 1):
        found = segment(frame(whole[:size], len(whole)))
        if size < entire.header + 20:
            assert found == TRUNCATED, size
        else:
            assert found == entire._replace(problems=("truncated",)), size
    assert segment(frame(whole[:end], len(whole))) == entire


@pytest.mark.parametrize("name", WRAPPED)
def test_a_frame_that_was_cut_with_no_word_about_it_is_truncated(name: str) -> None:
    """As packet slicers do, for which what is left is the frame."""
    whole = bytes(WRAPPED[name])
    entire = read(whole)
    for size in range(entire.header + 20, min(entire.start + entire.payload, 200)):
        left = entire._replace(payload=max(size - entire.start, 0), problems=("truncated",))
        assert segment(frame(whole[:size])) == left, size


@pytest.mark.parametrize("linktype", [RAW_IP, RAW_IPV4, RAW_IPV6])
def test_raw_ip_that_is_cut_anywhere_is_truncated(linktype: int) -> None:
    whole = bytes(V4 / SEGMENT)
    for size in range(len(whole)):
        found = segment(frame(whole[:size], len(whole), linktype))
        problems = found.problems if isinstance(found, Segment) else found
        assert "truncated" in problems, size


@pytest.mark.parametrize(
    "packet",
    [
        LINK / ARP(), LINK / V4 / UDP() / Raw(b"datagram"), LINK / V6 / UDP(), LINK / Raw(bytes(60)),
        LINK / IPv6(nh=59), Ether(type=0x88CC) / Raw(bytes(40)), VLAN / Dot1Q(type=0x0806) / ARP(),
    ],
    ids=["ARP", "UDP", "UDP over IPv6", "zeroes", "no next header", "LLDP", "ARP in a VLAN"],
)  # fmt: skip
def test_what_is_no_tcp_is_called_so(packet: Any) -> None:
    assert segment(frame(bytes(packet))) == NOT_TCP


def test_a_link_type_that_nobody_knows_is_no_tcp() -> None:
    assert segment(frame(bytes(V4 / SEGMENT), linktype=147)) == NOT_TCP


@pytest.mark.parametrize(
    "packet",
    [IP(src="192.0.2.1", dst="192.0.2.2", frag=9, proto=6) / Raw(bytes(40)), V6 / IPv6ExtHdrFragment(offset=9, nh=6)],
)
def test_a_later_fragment_has_no_header_to_read(packet: Any) -> None:
    assert segment(frame(bytes(LINK / packet))) == FRAGMENT


@pytest.mark.parametrize(
    ("at", "value"),
    [(14, 0x44), (14, 0x65), (14, 0x40), (46, 0x40), (46, 0xF0), (46, 0x60)],
    ids=["short IP header", "wrong version", "no IP header", "short TCP header", "options beyond", "one option beyond"],
)
def test_headers_that_contradict_themselves_are_no_tcp(at: int, value: int) -> None:
    data = bytearray(bytes(LINK / V4 / TCP()))
    data[at] = value
    assert segment(frame(bytes(data))) == NOT_TCP


def test_a_total_length_of_0_means_what_was_on_the_wire() -> None:
    """Segmentation offload leaves it so in what is larger than the field can say."""
    data = bytearray(bytes(LINK / V4 / TCP() / Raw(bytes(3000))))
    data[16:18] = b"\0\0"
    found = segment(frame(bytes(data[:100]), len(data)))
    assert isinstance(found, Segment)
    assert (found.payload, found.problems) == (3000, ("truncated",))


@given(st.binary(max_size=120), st.integers(0, 70_000), st.sampled_from([ETHERNET, RAW_IP, RAW_IPV4, RAW_IPV6, 0, 147]))
def test_random_bytes_never_raise(data: bytes, length: int, linktype: int) -> None:
    found = segment(frame(data, length, linktype))
    assert isinstance(found, Segment) or set(found) <= {"not-tcp", "truncated", "fragment"}


@given(
    st.sampled_from(sorted(WRAPPED)),
    st.lists(st.tuples(st.integers(12, 90), st.integers(0, 255)), max_size=5),
    st.data(),
)
def test_damaged_frames_never_raise_and_what_is_read_lies_within_them(
    name: str, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    damaged = bytearray(bytes(WRAPPED[name])[:200])
    for at, value in changes:
        if at < len(damaged):
            damaged[at] = value
    size = data.draw(st.integers(0, len(damaged)))
    found = segment(frame(bytes(damaged[:size]), len(damaged)))
    if isinstance(found, Segment):
        assert 14 <= found.header <= found.header + 20 <= min(size, found.start)
        assert found.payload >= 0
        assert ("truncated" in found.problems) == (size < found.start + found.payload)
