"""What is TLS by another name: TLCP, and a ClientHello in SSL 2.0's format. Wireshark is the witness."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from lab.model import Role
from lab.protocols.tls import codes, messages
from lab.protocols.tls.suites import TLCP_SUITES, key_exchange
from tests.protocols.tls.captures import Flights, captured, frames, shown, walk
from tests.protocols.tls.test_holes import pcap
from tests.tools import of_version

ECC, ECDHE = 0xE013, 0xE011


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("!BHH", kind, codes.TLCP, len(body)) + body


def tlcp(suite: int) -> Flights:
    """Returns a conversation of TLCP as GB/T 38636 has it, with a real certificate twice, in place of SM2's."""
    der = walk(captured("TLS 1.2 RSA").frames).session.shake.certificates[0]
    chain = b"".join(len(each).to_bytes(3, "big") + each for each in (der, der))
    signature = len(b"s" * 71).to_bytes(2, "big") + b"s" * 71
    curve = b"\x03\x00\x29" + bytes([65]) + b"\x04" + b"p" * 64
    given = curve + signature if suite == ECDHE else signature
    sealed = b"e" * 155
    key = curve if suite == ECDHE else len(sealed).to_bytes(2, "big") + sealed
    client = b"\x01\x01" + b"c" * 32 + b"\0" + struct.pack("!HHH", 4, ECC, ECDHE) + b"\x01\0"
    server = b"\x01\x01" + b"s" * 32 + b"\0" + suite.to_bytes(2, "big") + b"\0"
    flight = [(2, server), (11, len(chain).to_bytes(3, "big") + chain), (12, given), (14, b"")]
    finished = _record(20, b"\x01") + _record(22, b"\xa5" * 80)
    talk: list[tuple[Role, bytes]] = [
        ("client", _record(22, _message(1, client))),
        ("server", _record(22, b"".join(_message(*each) for each in flight))),
        ("client", _record(22, _message(16, key)) + finished),
        ("server", finished),
        ("client", _record(23, b"\xa6" * 96)),
        ("server", _record(23, b"\xa7" * 96)),
        ("client", _record(21, b"\xa8" * 64)),
    ]
    return talk


@pytest.mark.parametrize("suite", [ECC, ECDHE])
def test_tlcp_has_its_own_name_and_all_its_messages(suite: int) -> None:
    walked = walk(frames(tlcp(suite), 9000))
    assert walked.ladder == [
        "WAIT_SH > RECVD_CH: ClientHello",
        "SEND_FLIGHT_12 < WAIT_CKE_12: ServerHello Certificate ServerKeyExchange ServerHelloDone",
        "WAIT_FINISHED_12 > SEND_FINISHED_12: ClientKeyExchange ChangeCipherSpec Finished",
        "CONNECTED < CONNECTED: ChangeCipherSpec Finished",
        "CONNECTED > CONNECTED: application-data",
        "CONNECTED < CONNECTED: application-data",
        "None > None: alert",
    ]
    tls = walked.tls
    assert tls["version"] == "TLCP 1.1"
    assert tls["cipher_suite"] == TLCP_SUITES[suite]
    assert tls["key_exchange"] == ("ECC" if suite == ECC else "ECDHE")
    assert len(tls["certificates"]) == 2
    assert walked.surprises == []
    said = {message.name: message for packet in walked.packets for message in packet.messages}
    assert said["Certificate"].words.en.startswith("2 certificates, the first two of CN=")
    assert said["ServerHello"].words.en == f"chooses TLCP 1.1, {TLCP_SUITES[suite]}"
    finished = next(each.words.en for packet in walked.packets for each in packet.messages if each.name == "Finished")
    assert finished == f"encrypted; the lab does not decrypt {TLCP_SUITES[suite]}"
    shown(frames(tlcp(suite)))


def test_tlcp_sends_the_secret_encrypted_or_agrees_on_it() -> None:
    (_, key), *_ = [(role, data) for role, data in tlcp(ECC) if role == "client"][1:]
    read = messages.client_key_exchange(key[5 : 5 + 4 + 157], codes.TLCP, ECC)
    assert (read.exchange, read.encrypted, read.damaged) == ("ECC", b"e" * 155, False)
    (_, key), *_ = [(role, data) for role, data in tlcp(ECDHE) if role == "client"][1:]
    read = messages.client_key_exchange(key[5 : 5 + 4 + 69], codes.TLCP, ECDHE)
    assert (read.exchange, read.public, read.damaged) == ("ECDHE_SM2", b"\x04" + b"p" * 64, False)
    assert {key_exchange(code) for code in TLCP_SUITES} == {"ECC", "ECDHE_SM2", "RSA", "other"}


@pytest.mark.parametrize("suite", [ECC, ECDHE])
def test_wireshark_knows_it_and_finds_the_same_records(suite: int, tshark: str, tmp_path: Path) -> None:
    made = frames(tlcp(suite), 9000)
    file = tmp_path / "tlcp.pcap"
    file.write_bytes(pcap(made))
    asked = [
        tshark,
        "-d",
        "tcp.port==8080,tls",
        "-r",
        str(file),
        "-T",
        "fields",
        "-e",
        "frame.number",
        "-e",
        "_ws.col.Protocol",
    ]
    asked += ["-e", "tls.record.content_type", "-e", "tls.handshake.ciphersuite"]
    rows = [
        line.split("\t")
        for line in subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    ]
    called = of_version(tshark, {(4, 0): "GMTLSv1", (4, 4): "TLCP"})
    theirs = [int(number) for number, protocol, kinds, _ in rows if protocol == called and kinds]
    assert theirs == [record.number for record in walk(made).records if record.messages]
    names = subprocess.run([tshark, "-G", "values"], capture_output=True, text=True, check=True).stdout
    known = {
        int(row[2]): row[3] for row in map(str.split, names.splitlines()) if row[1:2] == ["tls.handshake.ciphersuite"]
    }
    assert {code: known[code] for code in TLCP_SUITES} == TLCP_SUITES


def test_a_hello_in_the_format_of_ssl_2_tells_all_its_suites_by_name() -> None:
    specs = (0x010080, 0x0700C0, 0x00002F)
    listed = b"".join(spec.to_bytes(3, "big") for spec in specs)
    for version in (0x0301, 0x0002):
        hello = b"\x01" + struct.pack("!HHHH", version, len(listed), 0, 16) + listed + b"c" * 16
        walked = walk(frames([("client", struct.pack("!H", 0x8000 | len(hello)) + hello)]))
        assert walked.messages == ["c> ClientHello"]
        words = walked.packets[3].messages[0].words.en
        assert words == f"offers {'TLS 1.0' if version == 0x0301 else 'SSL 2.0'}, 3 cipher suites"
    names = [codes.name(codes.SSL2_SUITES, spec) for spec in specs]
    assert names == ["SSL_CK_RC4_128_WITH_MD5", "SSL_CK_DES_192_EDE3_CBC_WITH_MD5", "TLS_RSA_WITH_AES_128_CBC_SHA"]
