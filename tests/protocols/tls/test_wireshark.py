"""An independent reader, Wireshark, finds the same fields in the same places."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from lab.model import Role
from lab.protocols.tls import codes
from lab.protocols.tls.fields import leaves, message_fields
from lab.protocols.tls.hello import server_hello
from tests.protocols.tls import hex as written
from tests.protocols.tls.handshakes import recorded
from tests.protocols.tls.test_records import record

BEFORE = 14 + 20 + 20 + 5  # headers of Ethernet, IPv4, TCP and the record
Message = tuple[Role, bytes]

# Our leaf: the end of Wireshark's name for it. Where it has two, they are for the same thing in different messages.
KNOWN: dict[str, tuple[str, ...]] = {
    "msg_type": ("type",),
    "length": ("length",),
    "legacy_version": ("version",),
    "client_version": ("version",),
    "server_version": ("version",),
    "random": ("random",),
    "legacy_session_id length": ("session_id_length",),
    "legacy_session_id": ("session_id",),
    "legacy_session_id_echo": ("session_id",),
    "cipher_suites length": ("cipher_suites_length",),
    "CipherSuite": ("ciphersuite",),
    "cipher_suite": ("ciphersuite",),
    "legacy_compression_methods length": ("comp_methods_length",),
    "CompressionMethod": ("comp_method",),
    "compression_method": ("comp_method",),
    "extensions length": ("extensions_length",),
    "extension_type": ("extension.type",),
    "extension_data length": ("extension.len",),
    "server_name_list length": ("server_name_list_len",),
    "name_type": ("server_name_type",),
    "HostName length": ("server_name_len",),
    "HostName": ("server_name",),
    "renegotiated_connection length": ("reneg_info_len",),
    "named_group_list length": ("supported_groups_length",),
    "NamedGroup": ("supported_group",),
    "ec_point_format_list length": ("ec_point_formats_length",),
    "ECPointFormat": ("ec_point_format",),
    "protocol_name_list length": ("alpn_len",),
    "status_type": ("status_request_type",),
    "responder_id_list length": ("responder_ids_len",),
    "request_extensions length": ("status_request_exts_len",),
    "SignatureScheme": ("sig_hash_alg",),
    "SignatureAndHashAlgorithm": ("sig_hash_alg",),
    "algorithm": ("sig_hash_alg",),
    "client_shares length": ("key_share_client_length",),
    "group": ("key_share_group",),
    "key_exchange length": ("key_exchange_length",),
    "key_exchange": ("key_share_key_exchange",),
    "ke_modes length": ("psk_ke_modes_length",),
    "PskKeyExchangeMode": ("psk_ke_mode",),
    "versions length": ("supported_versions_len",),
    "ProtocolVersion": ("supported_version",),
    "selected_version": ("supported_version",),
    "algorithms length": ("algorithms_length",),
    "CertificateCompressionAlgorithm": ("compress_certificate.algorithm",),
    "selected_identity": ("identity.selected",),
    "selected_group": ("selected_group",),
    "MaxFragmentLength": ("max_fragment_length",),
    "mode": ("heartbeat.mode",),
    "CertificateType": ("cert_type.type",),
    "RecordSizeLimit": ("record_size_limit",),
    "cookie length": ("cookie_len",),
    "cookie": ("cookie",),
    "certificate_authorities length": ("dnames_len",),
    "DistinguishedName length": ("dname_len",),
    "padding": ("padding_data",),
    "identities length": ("identities.length",),
    "identity length": ("identity_length",),
    "identity": ("identity.identity",),
    "obfuscated_ticket_age": ("obfuscated_ticket_age",),
    "binders length": ("binders_len",),
    "certificate_list length": ("certificates_length",),
    "ASN.1Cert length": ("certificate_length",),
    "ASN.1Cert": ("handshake.certificate",),
    "certificate_types length": ("cert_types_count",),
    "ClientCertificateType": ("cert_type",),
    "curve_type": ("server_curve_type",),
    "namedcurve": ("server_named_curve",),
    "public length": ("server_point_len",),
    "public": ("server_point",),
    "signature length": ("sig_len",),
    "signature": (".sig",),
    "ecdh_Yc length": ("client_point_len",),
    "ecdh_Yc": ("client_point",),
    "dh_p": (".p",),
    "dh_g": (".g",),
    "dh_Ys": (".ys",),
    "dh_Yc": (".yc",),
    "EncryptedPreMasterSecret": (".epms",),
    "verify_data": ("verify_data",),
    "ticket_lifetime_hint": ("lifetime_hint",),
    "ticket length": ("session_ticket_length",),
    "ticket": ("session_ticket", "extension.data"),
}


def conversation(name: str) -> list[Message]:
    """The messages of a real handshake, all in the clear."""
    return list(recorded(name).messages)


CONVERSATIONS: dict[str, list[Message]] = {
    "everything": [("client", written.FULL_HELLO), ("server", written.TLS_1_3["ServerHello"])],
    "a browser": [("client", written.GREASE_HELLO), ("server", written.TLS_1_3["HelloRetryRequest"])],
    **{
        name: conversation(name)
        for name in ("TLS 1.2 client certificate", "TLS 1.2 DHE", "TLS 1.2 static RSA", "TLS 1.3 hello retry")
    },
}


def wireshark(tshark: str, messages: list[Message], path: Path) -> list[dict[tuple[int, int], list[str]]]:
    """Returns for each message the names Wireshark has for each place in it."""
    ends: dict[Role, Any] = {
        "client": IP(src="192.0.2.1", dst="192.0.2.2") / TCP(sport=49152, dport=443, flags="PA"),
        "server": IP(src="192.0.2.2", dst="192.0.2.1") / TCP(sport=443, dport=49152, flags="PA"),
    }
    packets = []
    sent = {"client": 1000, "server": 5000}
    for role, raw in messages:
        packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ends[role] / Raw(record(22, raw))
        packet[TCP].seq = sent[role]
        packet[TCP].ack = sent["server" if role == "client" else "client"]
        sent[role] += len(raw) + 5
        packets.append(packet)
    wrpcap(str(path), packets)
    run = subprocess.run([tshark, "-r", str(path), "-T", "pdml"], capture_output=True, check=True)
    found = []
    for packet in ET.fromstring(run.stdout).iter("packet"):
        named = [field for field in packet.iter("field") if field.get("name", "").startswith("tls.")]
        places = [(int(each.get("pos", 0)) - BEFORE, int(each.get("size", 0)), each.get("name", "")) for each in named]
        places.sort(key=lambda place: place[:2])
        found.append({
            (start, start + size): [name for *_, name in same]
            for (start, size), same in groupby(places, key=lambda place: place[:2])
        })  # fmt: skip
    return found


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_wireshark_finds_the_same_fields_in_the_same_places(name: str, tshark: str, tmp_path: Path) -> None:
    messages = CONVERSATIONS[name]
    answers = [server_hello(raw) for _, raw in messages if raw[0] == codes.SERVER_HELLO]
    version, suite = answers[-1].selected_version, answers[-1].suite
    readable = [each for each in messages if version < codes.TLS_1_3 or each[1][0] in (1, 2)]
    for (_, raw), theirs in zip(readable, wireshark(tshark, readable, tmp_path / "tls.pcap"), strict=True):
        ours = leaves(message_fields(raw, version, suite))
        compared = [leaf for leaf in ours if leaf.name in KNOWN]
        assert len(compared) > len(ours) * 0.6
        for leaf in compared:
            names = theirs.get((leaf.start, leaf.end), [])
            assert any(each.endswith(KNOWN[leaf.name]) for each in names), (leaf, names)
        wholes = {(field.start, field.end) for field in message_fields(raw, version, suite)}
        numbers = [place for place, names in theirs.items() if place[1] > place[0] >= 0 and _is_number(names)]
        assert [place for place in numbers if place not in wholes] == []


def _is_number(names: list[str]) -> bool:
    """Lengths and codes: what Wireshark groups or splits for its own ends is not in the RFC's structs."""
    return any(each.endswith(("_len", "_length", ".len", "ciphersuite", "extension.type")) for each in names)
