"""What is inside each extension, by the message it stands in: an extension has another form where it answers.

The table's second column: CH ClientHello, SH ServerHello (and TLS 1.2's answers in general), HRR HelloRetryRequest,
EE EncryptedExtensions, CT Certificate, CR CertificateRequest, NST NewSessionTicket (RFC 9846 section 4.3). What has no
row keeps its name, and its bytes are data.
"""

from __future__ import annotations

from typing import Literal

from lab.dissect.formats import decimal, hexadecimal, number
from lab.protocols.tls import codes, shares
from lab.protocols.tls.shapes import Shape, Shapes, Sheet, coded, fixed, opaque, rest, struct, texts, vector, within

Where = Literal["CH", "SH", "HRR", "EE", "CT", "CR", "NST"]

_SCHEMES = vector("supported_signature_algorithms", 2, coded("SignatureScheme", 2, codes.SIGNATURE_SCHEMES))
_OCSP_RESPONSE = (coded("status_type", 1, codes.STATUS_TYPES), opaque("response", 3))
_PROTOCOLS = vector("protocol_name_list", 2, texts("ProtocolName", 1))


def _encrypted_hello(sheet: Sheet) -> bool:
    """RFC 9849 section 5: only the outer ClientHello carries anything."""
    outer = sheet.left > 0 and sheet.data[sheet.at] == 0
    return coded("type", 1, codes.ECH_TYPES)(sheet) and (not outer or sheet.all(_ECH_OUTER))


_HPKE_SUITE: Shapes = (coded("kdf_id", 2, codes.HPKE_KDFS), coded("aead_id", 2, codes.HPKE_AEADS))
_ECH_OUTER: Shapes = (
    struct("cipher_suite", *_HPKE_SUITE),
    fixed("config_id", 1, decimal),
    opaque("enc", 2),
    opaque("payload", 2),
)
_ECH_CONTENTS: Shapes = (
    fixed("config_id", 1, decimal),
    coded("kem_id", 2, codes.HPKE_KEMS),
    opaque("public_key", 2),
    vector("cipher_suites", 2, struct("HpkeSymmetricCipherSuite", *_HPKE_SUITE)),
    fixed("maximum_name_length", 1, decimal),
    texts("public_name", 1),
    vector(
        "ech_config_extensions", 2, struct("ECHConfigExtension", fixed("type", 2, decimal), opaque("extension_data", 2))
    ),
)


def _ech_config(sheet: Sheet) -> bool:
    """RFC 9849 section 4: what a version that nobody knows says is data."""
    version = int.from_bytes(sheet.data[sheet.at : sheet.at + 2], "big")
    contents = _ECH_CONTENTS if version == codes.ENCRYPTED_CLIENT_HELLO else ()
    with sheet.container("ECHConfig"):
        return fixed("version", 2, hexadecimal)(sheet) and within("contents", 2, *contents)(sheet)


_ROWS: tuple[tuple[int, str, Shapes], ...] = (
    # RFC 6066
    (codes.SERVER_NAME, "CH", (
        vector("server_name_list", 2, struct(
            "ServerName", coded("name_type", 1, codes.NAME_TYPES), texts("HostName", 2),
        )),
    )),
    (codes.MAX_FRAGMENT_LENGTH, "CH SH EE", (coded("MaxFragmentLength", 1, codes.FRAGMENT_LENGTHS),)),
    (codes.STATUS_REQUEST, "CH CR", (
        coded("status_type", 1, codes.STATUS_TYPES),
        vector("responder_id_list", 2, opaque("ResponderID", 2)),
        opaque("request_extensions", 2),
    )),
    (codes.STATUS_REQUEST, "CT", _OCSP_RESPONSE),
    # RFC 9846 section 4.3.7, RFC 8422
    (codes.SUPPORTED_GROUPS, "CH EE SH", (vector("named_group_list", 2, coded("NamedGroup", 2, codes.GROUPS)),)),
    (codes.EC_POINT_FORMATS, "CH SH", (
        vector("ec_point_format_list", 1, coded("ECPointFormat", 1, codes.POINT_FORMATS)),
    )),
    # RFC 9846 section 4.3.3, RFC 9345 section 4.1.1
    (codes.SIGNATURE_ALGORITHMS, "CH CR", (_SCHEMES,)),
    (codes.SIGNATURE_ALGORITHMS_CERT, "CH CR", (_SCHEMES,)),
    (codes.DELEGATED_CREDENTIAL, "CH CR", (_SCHEMES,)),
    (codes.DELEGATED_CREDENTIAL, "CT", (
        struct(
            "cred",
            fixed("valid_time", 4, decimal),
            coded("dc_cert_verify_algorithm", 2, codes.SIGNATURE_SCHEMES),
            opaque("ASN1_subjectPublicKeyInfo", 3),
        ),
        coded("algorithm", 2, codes.SIGNATURE_SCHEMES),
        opaque("signature", 2),
    )),
    # RFC 5764, RFC 6520, RFC 7301, RFC 6962 section 3.3, RFC 7250, RFC 7685
    (codes.USE_SRTP, "CH SH EE", (
        vector("SRTPProtectionProfiles", 2, coded("SRTPProtectionProfile", 2, codes.SRTP_PROFILES)),
        opaque("srtp_mki", 1),
    )),
    (codes.HEARTBEAT_EXTENSION, "CH SH EE", (coded("mode", 1, codes.HEARTBEAT_MODES),)),
    (codes.ALPN, "CH SH EE", (_PROTOCOLS,)),
    (codes.SIGNED_CERTIFICATE_TIMESTAMP, "SH CT", (vector("sct_list", 2, opaque("SerializedSCT", 2)),)),
    (codes.CLIENT_CERTIFICATE_TYPE, "CH", (
        vector("client_certificate_types", 1, coded("CertificateType", 1, codes.CERTIFICATE_TYPES)),
    )),
    (codes.CLIENT_CERTIFICATE_TYPE, "SH EE", (coded("client_certificate_type", 1, codes.CERTIFICATE_TYPES),)),
    (codes.SERVER_CERTIFICATE_TYPE, "CH", (
        vector("server_certificate_types", 1, coded("CertificateType", 1, codes.CERTIFICATE_TYPES)),
    )),
    (codes.SERVER_CERTIFICATE_TYPE, "SH EE", (coded("server_certificate_type", 1, codes.CERTIFICATE_TYPES),)),
    (codes.PADDING, "CH", (rest("padding"),)),
    # RFC 8879, RFC 8449, RFC 5077, RFC 5746, RFC 9149
    (codes.COMPRESS_CERTIFICATE, "CH CR", (
        vector("algorithms", 1, coded("CertificateCompressionAlgorithm", 2, codes.CERTIFICATE_COMPRESSIONS)),
    )),
    (codes.RECORD_SIZE_LIMIT, "CH SH EE", (fixed("RecordSizeLimit", 2, decimal),)),
    (codes.SESSION_TICKET, "CH SH", (rest("ticket"),)),
    (codes.RENEGOTIATION_INFO, "CH SH", (opaque("renegotiated_connection", 1),)),
    (codes.TICKET_REQUEST, "CH", (fixed("new_session_count", 1, decimal), fixed("resumption_count", 1, decimal))),
    (codes.TICKET_REQUEST, "EE", (fixed("expected_count", 1, decimal),)),
    # RFC 9846 sections 4.3.11, 4.3.10, 4.3.1, 4.3.2, 4.3.9, 4.3.4, 4.3.5, 4.3.8
    (codes.PRE_SHARED_KEY, "CH", (
        vector("identities", 2, struct(
            "PskIdentity", opaque("identity", 2), fixed("obfuscated_ticket_age", 4, decimal),
        )),
        vector("binders", 2, opaque("PskBinderEntry", 1)),
    )),
    (codes.PRE_SHARED_KEY, "SH", (fixed("selected_identity", 2, decimal),)),
    (codes.EARLY_DATA, "NST", (fixed("max_early_data_size", 4, decimal),)),
    (codes.SUPPORTED_VERSIONS, "CH", (vector("versions", 1, coded("ProtocolVersion", 2, codes.VERSIONS)),)),
    (codes.SUPPORTED_VERSIONS, "SH HRR", (coded("selected_version", 2, codes.VERSIONS),)),
    (codes.COOKIE, "CH HRR", (opaque("cookie", 2),)),
    (codes.PSK_KEY_EXCHANGE_MODES, "CH", (vector("ke_modes", 1, coded("PskKeyExchangeMode", 1, codes.PSK_MODES)),)),
    (codes.CERTIFICATE_AUTHORITIES, "CH CR", (vector("authorities", 2, opaque("DistinguishedName", 2)),)),
    (codes.OID_FILTERS, "CR", (
        vector("filters", 2, struct(
            "OIDFilter", opaque("certificate_extension_oid", 1), opaque("certificate_extension_values", 2),
        )),
    )),
    (codes.KEY_SHARE, "CH", (vector("client_shares", 2, struct("KeyShareEntry", *shares.entry("client"))),)),
    (codes.KEY_SHARE, "SH", (struct("server_share", *shares.entry("server")),)),
    (codes.KEY_SHARE, "HRR", (coded("selected_group", 2, codes.GROUPS),)),
    # draft-vvv-tls-alps section 4, RFC 9849 section 5
    (codes.APPLICATION_SETTINGS_OLD, "CH", (vector("supported_protocols", 2, texts("ProtocolName", 1)),)),
    (codes.APPLICATION_SETTINGS, "CH", (vector("supported_protocols", 2, texts("ProtocolName", 1)),)),
    (codes.ENCRYPTED_CLIENT_HELLO, "CH", (_encrypted_hello,)),
    (codes.ENCRYPTED_CLIENT_HELLO, "HRR", (fixed("confirmation", 8),)),
    (codes.ENCRYPTED_CLIENT_HELLO, "EE", (vector("retry_configs", 2, _ech_config),)),
    (codes.ECH_OUTER_EXTENSIONS, "CH", (vector("OuterExtensions", 1, coded("ExtensionType", 2, codes.EXTENSIONS)),)),
)  # fmt: skip
_CONTENTS = {(kind, where): shapes for kind, places, shapes in _ROWS for where in places.split()}


def extensions(where: Where) -> Shape:
    """The list of extensions of a message."""

    def extension(sheet: Sheet) -> bool:
        kind = int.from_bytes(sheet.data[sheet.at : min(sheet.at + 2, sheet.stop)], "big")
        with sheet.container(codes.name(codes.EXTENSIONS, kind)):
            shapes = _CONTENTS.get((kind, where), ())
            return _EXTENSION_TYPE(sheet) and within("extension_data", 2, *shapes)(sheet)

    return vector("extensions", 2, extension)


_EXTENSION_TYPE = fixed("extension_type", 2, number(lambda kind: codes.numbered(codes.EXTENSIONS, kind)))
