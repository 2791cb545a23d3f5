"""Every byte of a record and of a handshake message is spoken for: fields in wire order, leaves without a hole.

A message may lie in several records, so the two are asked about apart: what a record of handshake messages carries is
one leaf, `fragment`, in whose place the messages' own fields belong. Names and the two that are ours: shapes.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.dissect.formats import decimal, dump, named, number
from lab.protocols.tls import codes
from lab.protocols.tls.extensions import extensions
from lab.protocols.tls.hello import RETRY_RANDOM
from lab.protocols.tls.protection import Opened
from lab.protocols.tls.records import Record
from lab.protocols.tls.shapes import Shape, Shapes, Sheet, TlsField, coded, fixed, opaque, rest, struct, vector
from lab.protocols.tls.suites import KeyExchange, key_exchange


def record_fields(record: Record, version: int | None = None, encrypted: bool = False) -> list[TlsField]:
    """Returns the fields of a record, header included; offsets count from the record's first byte.

    `version` is the negotiated one, where it is known. What is encrypted is one leaf; what is inside it, once
    decrypted, tell `content_fields` and, for TLS 1.3, `inner_fields`.
    """
    if record.type == codes.SSL2:
        sheet = Sheet((len(record.fragment) | 0x8000).to_bytes(2, "big") + record.fragment)
        struct("V2ClientHello", _v2_client_hello)(sheet)
        return sheet.fields
    head = bytes([record.type]) + record.version.to_bytes(2, "big") + len(record.fragment).to_bytes(2, "big")
    sheet = Sheet(head + record.fragment)
    tls13 = version is not None and version >= codes.TLS_1_3
    opaque_type = "opaque_type" if encrypted and tls13 else "type"
    record_version = "version" if version is not None and not tls13 else "legacy_record_version"
    with sheet.container("TLSCiphertext" if encrypted else "TLSPlaintext"):
        coded(opaque_type, 1, codes.CONTENT_TYPES)(sheet)
        coded(record_version, 2, codes.VERSIONS)(sheet)
        fixed("length", 2, decimal)(sheet)
        if encrypted:
            sheet.rest("encrypted_record" if tls13 else "fragment")
        else:
            _content(sheet, record.type)
    return sheet.fields


def content_fields(kind: int, plaintext: bytes) -> list[TlsField]:
    """Returns the fields of what a record of this content type carries, in the clear."""
    sheet = Sheet(plaintext)
    _content(sheet, kind)
    return sheet.fields


def opened_fields(record: Record, opened: Opened) -> list[TlsField]:
    """Returns the parts of an encrypted record that has been opened, and what it took to open it; offsets as above.

    Content and type are shown as decrypted, what is in the clear as it is on the wire. Nonce (or IV) and sequence
    number have no bytes of their own where they are not sent: they end where they start.
    """
    header = record.body - record.start
    shown = {"content": dump(opened.plaintext), "type": codes.numbered(codes.CONTENT_TYPES, opened.content_type)}
    found = []
    for name, start, end in opened.parts:
        in_clear = name in ("tag", "nonce_explicit", "IV") or (name == "MAC" and end == len(record.fragment))
        value = shown.get(name, dump(record.fragment[start:end]) if in_clear else "")
        found.append(TlsField(2, name, header + start, header + end, value))
    sent = {name for name, _, _ in opened.parts}
    end = record.end - record.start
    if opened.nonce and "IV" not in sent:
        found.append(TlsField(2, "nonce", end, end, dump(opened.nonce)))
    return [*found, TlsField(2, "sequence number", end, end, str(opened.sequence))]


def inner_fields(plaintext: bytes) -> list[TlsField]:
    """Returns the fields of TLS 1.3's TLSInnerPlaintext: content, its type, zeros (RFC 9846 section 5.2)."""
    sheet = Sheet(plaintext)
    size = len(plaintext.rstrip(b"\0"))
    with sheet.container("TLSInnerPlaintext"):
        if size:
            with sheet.limited(size - 1):
                _content(sheet, plaintext[size - 1])
            coded("type", 1, codes.CONTENT_TYPES)(sheet)
        sheet.rest("zeros")
    return sheet.fields


def message_fields(raw: bytes, version: int | None = None, suite: int | None = None) -> list[TlsField]:
    """Returns the fields of a handshake message, header included.

    `version` and `suite` are the negotiated ones. Without a version hellos get RFC 9846's names, and the others are
    read as TLS 1.2's: who knows no version has seen them in the clear. Key exchange messages need the suite.
    """
    sheet = Sheet(raw)
    kind = raw[0] if raw else 0
    retry = kind == codes.SERVER_HELLO and raw[6:38] == RETRY_RANDOM
    with sheet.container(_title(6 if retry else kind)):
        if sheet.all(_HANDSHAKE):
            with sheet.limited(int.from_bytes(raw[1:4], "big")):
                sheet.all(_RETRY if retry else _body(kind, version, suite))
                sheet.rest("data")
        sheet.rest("data")
    return sheet.fields


def leaves(fields: list[TlsField]) -> list[TlsField]:
    """Returns the innermost fields: together they are all bytes, each once."""
    after = (*(field.depth for field in fields[1:]), 0)
    return [field for field, depth in zip(fields, after, strict=False) if depth <= field.depth]


# What records carry.

_CONTENTS: Mapping[int, Shape] = {  # RFC 9846 section 6, RFC 5246 section 7.1, RFC 6520 section 4
    codes.ALERT: struct("Alert", coded("level", 1, codes.ALERT_LEVELS), coded("description", 1, codes.ALERTS)),
    codes.CHANGE_CIPHER_SPEC: struct("ChangeCipherSpec", coded("type", 1, codes.CHANGE_CIPHER_SPECS)),
    codes.HEARTBEAT: struct(
        "HeartbeatMessage", coded("type", 1, codes.HEARTBEATS), opaque("payload", 2), rest("padding")
    ),
}


def _content(sheet: Sheet, kind: int) -> None:
    if kind in _CONTENTS:
        _CONTENTS[kind](sheet)
        sheet.rest("data")
    else:
        sheet.rest("fragment")


def _v2_client_hello(sheet: Sheet) -> bool:
    """RFC 5246 appendix E.2: the lengths of three lists, then the lists."""
    lengths = [int.from_bytes(sheet.data[at : at + 2], "big") for at in (5, 7, 9)]
    if not sheet.all(_V2_HEAD):
        return False
    names = ("cipher_specs", "session_id", "challenge")
    for name, size in zip(names, lengths, strict=True):
        if size > sheet.left:
            sheet.rest("truncated")
        elif name == "cipher_specs":
            with sheet.container(name), sheet.limited(size):
                while sheet.left > 0 and _V2_SPEC(sheet):
                    pass
        elif size:
            fixed(name, size)(sheet)
    sheet.rest("data")
    return True


_V2_HEAD: Shapes = (
    fixed("msg_length", 2, number(lambda value: str(value & 0x7FFF))),
    fixed("msg_type", 1, number(named({1: "client_hello"}))),
    coded("version", 2, codes.VERSIONS),
    fixed("cipher_spec_length", 2, decimal),
    fixed("session_id_length", 2, decimal),
    fixed("challenge_length", 2, decimal),
)
_V2_SPEC = coded("V2CipherSpec", 3, codes.SSL2_SUITES)

# Handshake messages.

_HANDSHAKE: Shapes = (coded("msg_type", 1, codes.HANDSHAKE_TYPES), fixed("length", 3, decimal))
_SUITES = vector("cipher_suites", 2, coded("CipherSuite", 2, codes.SUITES))
_SUITE = coded("cipher_suite", 2, codes.SUITES)
_SIGNATURE = opaque("signature", 2)
_SIGNED = (coded("algorithm", 2, codes.SIGNATURE_SCHEMES), _SIGNATURE)


def _compressions(name: str) -> Shape:
    return vector(name, 1, coded("CompressionMethod", 1, codes.COMPRESSIONS))


# RFC 9846 section 4.2 and, for TLS 1.2 and before, RFC 5246 section 7.4.1.
_CLIENT_HELLO: Shapes = (
    coded("legacy_version", 2, codes.VERSIONS), fixed("random", 32), opaque("legacy_session_id", 1), _SUITES,
    _compressions("legacy_compression_methods"), extensions("CH"),
)  # fmt: skip
_CLIENT_HELLO_12: Shapes = (
    coded("client_version", 2, codes.VERSIONS), fixed("random", 32), opaque("session_id", 1), _SUITES,
    _compressions("compression_methods"), extensions("CH"),
)  # fmt: skip
_SERVER_HELLO: Shapes = (
    coded("legacy_version", 2, codes.VERSIONS), fixed("random", 32), opaque("legacy_session_id_echo", 1), _SUITE,
    coded("legacy_compression_method", 1, codes.COMPRESSIONS), extensions("SH"),
)  # fmt: skip
_RETRY: Shapes = (*_SERVER_HELLO[:-1], extensions("HRR"))
_SERVER_HELLO_12: Shapes = (
    coded("server_version", 2, codes.VERSIONS), fixed("random", 32), opaque("session_id", 1), _SUITE,
    coded("compression_method", 1, codes.COMPRESSIONS), extensions("SH"),
)  # fmt: skip

_ANY: Mapping[int, Shapes] = {
    codes.HELLO_REQUEST: (),
    codes.CLIENT_HELLO: _CLIENT_HELLO,
    codes.SERVER_HELLO: _SERVER_HELLO,
    codes.END_OF_EARLY_DATA: (),
    codes.ENCRYPTED_EXTENSIONS: (extensions("EE"),),
    codes.SERVER_HELLO_DONE: (),
    codes.CERTIFICATE_VERIFY: _SIGNED,
    codes.FINISHED: (rest("verify_data"),),
    codes.CERTIFICATE_STATUS: (  # RFC 6066 section 8
        coded("status_type", 1, codes.STATUS_TYPES),
        opaque("response", 3),
    ),
    codes.KEY_UPDATE: (coded("request_update", 1, codes.KEY_UPDATES),),
    codes.COMPRESSED_CERTIFICATE: (  # RFC 8879 section 4
        coded("algorithm", 2, codes.CERTIFICATE_COMPRESSIONS),
        fixed("uncompressed_length", 3, decimal),
        opaque("compressed_certificate_message", 3),
    ),
    codes.MESSAGE_HASH: (rest("hash"),),
}
_TLS_1_3: Mapping[int, Shapes] = {  # RFC 9846 sections 4.5.1, 4.4.2 and 4.7.1
    codes.CERTIFICATE: (
        opaque("certificate_request_context", 1),
        vector("certificate_list", 3, struct("CertificateEntry", opaque("cert_data", 3), extensions("CT"))),
    ),
    codes.CERTIFICATE_REQUEST: (opaque("certificate_request_context", 1), extensions("CR")),
    codes.NEW_SESSION_TICKET: (
        fixed("ticket_lifetime", 4, decimal), fixed("ticket_age_add", 4, decimal), opaque("ticket_nonce", 1),
        opaque("ticket", 2), extensions("NST"),
    ),
}  # fmt: skip
_TLS_1_2: Mapping[int, Shapes] = {  # RFC 5246 sections 7.4.2 and 7.4.4, RFC 5077 section 3.3
    codes.CERTIFICATE: (vector("certificate_list", 3, opaque("ASN.1Cert", 3)),),
    codes.CERTIFICATE_REQUEST: (
        vector("certificate_types", 1, coded("ClientCertificateType", 1, codes.CLIENT_CERTIFICATE_TYPES)),
        vector("supported_signature_algorithms", 2, coded("SignatureAndHashAlgorithm", 2, codes.SIGNATURE_SCHEMES)),
        vector("certificate_authorities", 2, opaque("DistinguishedName", 2)),
    ),
    codes.NEW_SESSION_TICKET: (fixed("ticket_lifetime_hint", 4, decimal), opaque("ticket", 2)),
}

# Key exchanges: RFC 5246 sections 7.4.3 and 7.4.7, RFC 8422 sections 5.4 and 5.7, RFC 4279, RFC 5489.


def _ec_params(sheet: Sheet) -> bool:
    """Curves that are described, not named, are history (RFC 8422 section 5.4): not taken apart."""
    known = sheet.left > 0 and sheet.data[sheet.at] == codes.NAMED_CURVE
    return coded("curve_type", 1, codes.CURVE_TYPES)(sheet) and (known and sheet.all(_NAMED_CURVE))


_NAMED_CURVE: Shapes = (coded("namedcurve", 2, codes.GROUPS), opaque("public", 1))
_EC_PARAMS: Shapes = (struct("params", _ec_params),)
_DH_PARAMS: Shapes = (struct("params", opaque("dh_p", 2), opaque("dh_g", 2), opaque("dh_Ys", 2)),)
_HINT: Shapes = (opaque("psk_identity_hint", 2),)
_IDENTITY: Shapes = (opaque("psk_identity", 2),)
_PRE_MASTER_SECRET: Shapes = (opaque("EncryptedPreMasterSecret", 2),)
_DH_PUBLIC: Shapes = (opaque("dh_Yc", 2),)
_EC_PUBLIC: Shapes = (opaque("ecdh_Yc", 1),)

_SERVER_KEY_EXCHANGES: Mapping[KeyExchange, Shapes] = {
    "DHE": _DH_PARAMS, "DH_anon": _DH_PARAMS, "ECDHE": _EC_PARAMS, "ECDH_anon": _EC_PARAMS, "PSK": _HINT,
    "RSA_PSK": _HINT, "DHE_PSK": _HINT + _DH_PARAMS, "ECDHE_PSK": _HINT + _EC_PARAMS,
}  # fmt: skip
_CLIENT_KEY_EXCHANGES: Mapping[KeyExchange, Shapes] = {
    "RSA": _PRE_MASTER_SECRET, "ECC": _PRE_MASTER_SECRET,
    "DH": _DH_PUBLIC, "DHE": _DH_PUBLIC, "DH_anon": _DH_PUBLIC, "ECDH": _EC_PUBLIC,
    "ECDHE": _EC_PUBLIC, "ECDH_anon": _EC_PUBLIC, "PSK": _IDENTITY, "RSA_PSK": _IDENTITY + _PRE_MASTER_SECRET,
    "DHE_PSK": _IDENTITY + _DH_PUBLIC, "ECDHE_PSK": _IDENTITY + _EC_PUBLIC,
}  # fmt: skip


def _body(kind: int, version: int | None, suite: int | None) -> Shapes:
    """Returns the shapes of a message's body; none for a message that is not known."""
    exchange = key_exchange(suite)
    before = version is not None and version < codes.TLS_1_2
    signature = (_SIGNATURE,) if before else _SIGNED
    if kind == codes.SERVER_KEY_EXCHANGE:
        signed = exchange in ("DHE", "ECDHE", "ECC")
        return _SERVER_KEY_EXCHANGES.get(exchange, ()) + (signature if signed else ())
    if kind == codes.CLIENT_KEY_EXCHANGE:
        unframed = exchange == "RSA" and version == codes.SSL_3
        return (rest("EncryptedPreMasterSecret"),) if unframed else _CLIENT_KEY_EXCHANGES.get(exchange, ())
    if version is not None and version >= codes.TLS_1_3:
        return _TLS_1_3.get(kind) or _ANY.get(kind, ())
    if kind == codes.CERTIFICATE_VERIFY:
        return signature
    if version is not None and kind in (codes.CLIENT_HELLO, codes.SERVER_HELLO):
        return _CLIENT_HELLO_12 if kind == codes.CLIENT_HELLO else _SERVER_HELLO_12
    if before and kind == codes.CERTIFICATE_REQUEST:
        types, _, authorities = _TLS_1_2[kind]
        return (types, authorities)
    return _TLS_1_2.get(kind) or _ANY.get(kind, ())


def _title(kind: int) -> str:
    """Returns a message's name as the RFCs' structs have it: ClientHello, Finished."""
    known = kind in codes.HANDSHAKE_TYPES.names
    return "".join(part.capitalize() for part in codes.HANDSHAKE_TYPES.names[kind].split("_")) if known else "Handshake"
