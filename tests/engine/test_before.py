"""What stands before a protocol in the same stream is taken off and told, and no byte is taken for another."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import pytest

from lab.model import Frame, Role, Span
from tests.packets import IPV4, OPEN, ladder
from tests.protocols.tls.captures import Flights, Walked, captured, frames, lines, shown, walk

V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12 + 3) + ip_address("198.51.100.7").packed
    + ip_address("192.0.2.3").packed + struct.pack("!HH", 51234, 443) + b"\x04\0\0"
)  # fmt: skip
V1 = b"PROXY TCP4 198.51.100.7 192.0.2.3 51234 443\r\n"
V1_6 = b"PROXY TCP6 2001:db8::7 2001:db8::3 51234 443\r\n"
MYSQL = b"\x20\0\0\x01" + struct.pack("<II", 0x00FFAE85, 1 << 24) + b"\xff" + bytes(23)
LDAP = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
SOCKS = b"\x05\x01\0\x03\x0eserver.example\x01\xbb"
BEFORE: dict[str, tuple[bytes, str, str]] = {
    "PROXY, version 1": (V1, "proxy-header", "198.51.100.7:51234, which had connected to 192.0.2.3:443"),
    "PROXY, version 1, IPv6": (V1_6, "proxy-header", "[2001:db8::7]:51234"),
    "PROXY, version 1, unknown": (b"PROXY UNKNOWN\r\n", "proxy-header", "names no addresses"),
    "PROXY, version 2": (V2, "proxy-header", "198.51.100.7:51234, which had connected to 192.0.2.3:443"),
    "PROXY, version 2, local": (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "proxy-header", "names no addresses"),
    "MySQL": (MYSQL, "tls-request", "MySQL"),
    "PostgreSQL": (bytes.fromhex("0000000804d2162f"), "tls-request", "PostgreSQL"),
    "SMTP": (b"STARTTLS\r\n", "tls-request", "STARTTLS"),
    "IMAP": (b"a001 STARTTLS\r\n", "tls-request", "STARTTLS"),
    "POP3": (b"STLS\r\n", "tls-request", "STARTTLS"),
    "FTP": (b"AUTH TLS\r\n", "tls-request", "STARTTLS"),
    "XMPP": (b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "tls-request", "STARTTLS"),
    "LDAP": (LDAP, "tls-request", "LDAP"),
    "AMQP": (b"AMQP\2\1\0\0", "tls-request", "AMQP"),
    "HTTP CONNECT": (
        b"CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n", "tunnel-request",
        "server.example:443",
    ),
    "SOCKS 5": (SOCKS, "tunnel-request", "SOCKS"),
    "SOCKS 4": (b"\x04\x01\x01\xbb\xc0\0\2\3me\0", "tunnel-request", "SOCKS"),
    "SOCKS 4A": (b"\x04\x01\x01\xbb\0\0\0\1me\0server.example\0", "tunnel-request", "SOCKS"),
    "SMTP, with its EHLO": (b"EHLO client.example\r\nSTARTTLS\r\n", "tls-request", "STARTTLS"),
    "IMAP of OpenSSL": (b". STARTTLS\r\n", "tls-request", "STARTTLS"),
    "SOCKS 5, greeting too": (b"\x05\x01\0" + SOCKS, "tunnel-request", "SOCKS"),
}  # fmt: skip
ANSWERS = {
    "PostgreSQL": b"S",
    "SMTP": b"220 2.0.0 Ready to start TLS\r\n",
    "IMAP": b"a001 OK Begin TLS negotiation now\r\n",
    "SMTP, with its EHLO": b"250-server.example\r\n250 STARTTLS\r\n220 2.0.0 Ready to start TLS\r\n",
    "SOCKS 4": b"\0\x5a\0\0\0\0\0\0",
    "XMPP": b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "LDAP": bytes.fromhex("300c02010178070a010004000400"),
    "AMQP": b"AMQP\2\1\0\0",
    "HTTP CONNECT": b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n",
    "SOCKS 5": b"\x05\0\0\x01\xc0\0\2\1\x01\xbb",
    "SOCKS 5, greeting too": b"\x05\0\x05\0\0\x01\xc0\0\2\1\x01\xbb",
}


def behind(before: bytes, answer: bytes = b"", name: str = "TLS 1.3") -> Flights:
    """Returns real TLS with something before the client's first bytes, and perhaps before the server's."""
    (_, hello), (_, reply), *rest = captured(name).flights
    return [("client", before + hello), ("server", answer + reply), *rest]


def bytes_of(made: list[Frame], spans: tuple[Span, ...]) -> bytes:
    return b"".join(made[span.number - 1].data[span.start : span.end] for span in spans)


def check(made: list[Frame], name: str = "TLS 1.3") -> Walked:
    """Asserts that TLS is read as it is without anything before it, and that its messages lie where they are told."""
    capture = captured(name)
    walked = walk(made, capture.keylog)
    alone = walk(frames(capture.flights, 9000), capture.keylog)
    assert walked.messages == alone.messages
    assert walked.tls == alone.tls
    assert walked.above.states == alone.above.states
    assert not walked.surprises
    hello = next(message.said for record in walked.records for message in record.messages)
    assert bytes_of(made, hello.spans) == capture.flights[0][1][5:]
    shown(made, capture.keylog)
    return walked


@pytest.mark.parametrize("kind", BEFORE)
def test_what_is_joined_with_the_hello_is_taken_off_and_told(kind: str) -> None:
    before, label, words = BEFORE[kind]
    made = frames(behind(before), 9000)
    packet = check(made).packets[3]
    assert packet.labels == ("data", label, "ClientHello")
    (remark,) = packet.remarks
    assert words in remark.words.en
    assert bytes_of(made, remark.spans) == before


@pytest.mark.parametrize("kind", ANSWERS)
def test_the_other_end_may_answer_it_in_the_segment_of_its_own_hello_or_before(kind: str) -> None:
    before, answer = BEFORE[kind][0], ANSWERS[kind]
    check(frames(behind(before, answer), 9000))
    (_, hello), (_, reply), *rest = captured("TLS 1.3").flights
    check(frames([("client", before + hello), ("server", answer), ("server", reply), *rest], 9000))
    check(frames([("client", before), ("client", hello), ("server", answer + reply), *rest], 9000))


@pytest.mark.parametrize("kind", ["PROXY, version 1", "PROXY, version 2", "MySQL", "PostgreSQL", "HTTP CONNECT"])
def test_in_a_segment_of_its_own_it_is_told_too(kind: str) -> None:
    before, label, _ = BEFORE[kind]
    (_, hello), *rest = captured("TLS 1.3").flights
    packet = check(frames([("client", before), ("client", hello), *rest], 9000)).packets[3]
    assert packet.labels == ("data", label)
    assert len(packet.remarks) == 1


@pytest.mark.parametrize("kind", ["PROXY, version 1", "PROXY, version 2", "MySQL"])
def test_it_may_be_cut_anywhere(kind: str) -> None:
    before, label, _ = BEFORE[kind]
    (_, hello), *rest = captured("TLS 1.3").flights
    for at in range(1, len(before)):
        made = frames([("client", before[:at]), ("client", before[at:] + hello), *rest], 9000)
        walked = walk(made)
        assert "ClientHello" in walked.messages[0], at
        (remark,) = (remark for packet in walked.packets for remark in packet.remarks)
        assert remark.name == label
        assert bytes_of(made, remark.spans) == before


@pytest.mark.parametrize("kind", ["PROXY, version 1", "MySQL", "PostgreSQL", "SMTP", "HTTP CONNECT", "SOCKS 5"])
def test_without_a_syn_whoever_says_it_is_the_client(kind: str) -> None:
    before = BEFORE[kind][0]
    made = frames(behind(before), 9000, pair=IPV4._replace(client_port=443, server_port=50000))[3:]
    walked = walk(made, captured("TLS 1.3").keylog)
    assert walked.only.client.port == 443
    assert walked.messages[0] == "c> ClientHello"
    assert walked.tls["version"] == "TLS 1.3"


def test_two_may_stand_one_behind_the_other() -> None:
    packet = check(frames(behind(V1 + BEFORE["HTTP CONNECT"][0]), 9000)).packets[3]
    assert packet.labels == ("data", "proxy-header", "tunnel-request", "ClientHello")


def test_a_websocket_stands_behind_a_proxy_too() -> None:
    asked = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    walked = walk(ladder(*OPEN, f'c> data 1 1 x"{(V1 + asked).hex()}"'))
    assert walked.packets[3].labels == ("data", "proxy-header", "upgrade-request")


@pytest.mark.parametrize("said", [
    b"PROXY war is over\r\n", b"STARTTLS\r\nwas the subject", b"STARTTLS\r\n", b"a STARTTLS\r\n\x16\x03",
    b"CONNECT the dots", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", bytes.fromhex("0000000804d21630"),
    b"\x12\1\0\x20\0\0\0\0",
])  # fmt: skip
def test_what_only_looks_like_it_is_data(said: bytes) -> None:
    walked = walk(ladder(*OPEN, f'c> data 1 1 x"{said.hex()}"', f"s> ACK 1 {1 + len(said)}"))
    assert walked.records[3].labels == ("data",)
    assert not walked.records[3].remarks


def test_a_proxy_speaks_first_or_not_at_all() -> None:
    walked = walk(ladder(*OPEN, "c> data 1 1 3", f'c> data 4 1 x"{V1.hex()}"', f"s> ACK 1 {4 + len(V1)}"))
    assert walked.records[4].labels == ("data",)


# Inside TDS.


def wrapped(role: Role, data: bytes, most: int = 4096) -> bytes:
    """Returns bytes in TDS packets of at most so many bytes."""
    kind = 0x12 if role == "client" else 0x04
    made = b""
    for at in range(0, len(data), most - 8):
        piece = data[at : at + most - 8]
        last = at + most - 8 >= len(data)
        made += struct.pack("!BBHHBB", kind, int(last), len(piece) + 8, 0, 0, 0) + piece
    return made


def in_tds(name: str, most: int) -> Flights:
    """Returns TLS 1.2 as MS SQL speaks it: the handshake in TDS packets, what follows not."""
    flights = captured(name).flights
    said: list[tuple[Role, bytes]] = [
        ("client", wrapped("client", bytes(31))),
        ("server", wrapped("server", bytes(31))),
    ]
    for number, (role, data) in enumerate(flights):
        said.append((role, wrapped(role, data, most) if number < 4 else data))
    return said


@pytest.mark.parametrize("most", [4096, 512, 64])
@pytest.mark.parametrize("mss", [9000, 1460, 61])
def test_tls_inside_tds_is_read_as_it_is_elsewhere(most: int, mss: int) -> None:
    capture = captured("TLS 1.2 ECDHE")
    made = frames(in_tds("TLS 1.2 ECDHE", most), mss)
    walked, alone = walk(made, capture.keylog), walk(frames(capture.flights, 9000), capture.keylog)
    assert walked.messages == alone.messages
    assert walked.tls == alone.tls
    assert walked.above.states == alone.above.states
    assert not walked.surprises
    (remark,) = (remark for packet in walked.packets for remark in packet.remarks)
    assert remark.name == "tds-header"
    hello = next(message.said for record in walked.records for message in record.messages)
    assert bytes_of(made, hello.spans) == capture.flights[0][1][5:]
    numbers = {"client": 1, "server": 1}
    for record in walked.records:
        for message in record.messages:
            assert record.end
            assert record.seq < message.said.stop <= record.stop, "its last byte lies in the packet that completes it"
            assert message.said.stop >= numbers[record.end.role]


def test_segments_of_tds_may_come_in_any_order() -> None:
    capture = captured("TLS 1.2 ECDHE")
    said = lines(in_tds("TLS 1.2 ECDHE", 512), 400, close=False)
    at = next(number for number, line in enumerate(said) if line.startswith("s> data 40"))
    said[at : at + 2] = said[at : at + 2][::-1]
    said.insert(at + 2, said[at])
    assert walk(ladder(*said), capture.keylog).tls["cipher_suite"]
    assert "Finished" in " ".join(walk(ladder(*said), capture.keylog).messages)


def test_damage_raises_nothing() -> None:
    chance = random.Random(7)
    for kind in (*BEFORE, "TDS"):
        flights = in_tds("TLS 1.2 ECDHE", 512) if kind == "TDS" else behind(BEFORE[kind][0], ANSWERS.get(kind, b""))
        for _ in range(4):
            broken = []
            for role, data in flights[:4]:
                changed = bytearray(data)
                for _ in range(3):
                    changed[chance.randrange(min(len(changed), 60))] = chance.randrange(256)
                broken.append((role, bytes(changed)))
            shown(frames(broken, chance.choice([9000, 50])))
