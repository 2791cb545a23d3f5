"""Messages written by hand, in hex and vectors: what no library at hand would send."""

from __future__ import annotations


def x(text: str) -> bytes:
    return bytes.fromhex(text)


def vector(prefix: int, *parts: bytes) -> bytes:
    """Bytes behind their length."""
    data = b"".join(parts)
    return len(data).to_bytes(prefix, "big") + data


def message(kind: int, *parts: bytes) -> bytes:
    return bytes([kind]) + vector(3, *parts)


def extension(kind: int, *parts: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, *parts)


def client_hello(*extensions: bytes) -> bytes:
    """A ClientHello of TLS 1.3 with these extensions."""
    return message(
        1, x("0303"), bytes(range(32)), vector(1, bytes(range(32, 64))), vector(2, x("1301 1302")), x("01 00"),
        vector(2, *extensions),
    )  # fmt: skip


SHARE = bytes(range(0x80, 0xA0))
ECH_CONFIG = (  # RFC 9849 section 4
    x("2a 0020") + vector(2, SHARE) + vector(2, x("0001 0001 0001 0003")) + x("40") + vector(1, b"front.example")
    + vector(2, x("0007"), vector(2, b"abc"))
)  # fmt: skip

# As browsers send it: GREASE in every list (RFC 8701), a hybrid key share, ALPS, ECH, compressed certificates.
GREASE_HELLO = message(
    1,
    x("0303"),
    bytes(range(32)),
    vector(1, bytes(range(32, 64))),
    vector(2, x("0a0a 1301 1302 1303 c02b c02f cca9")),
    x("01 00"),
    vector(
        2,
        extension(0x1A1A),
        extension(0, vector(2, x("00"), vector(2, b"www.example"))),
        extension(23),
        extension(0xFF01, x("00")),
        extension(10, vector(2, x("2a2a 11ec 001d 0017 0018"))),
        extension(11, x("01 00")),
        extension(35),
        extension(16, vector(2, vector(1, x("0a0a")), vector(1, b"h2"), vector(1, b"http/1.1"))),
        extension(5, x("01 0000 0000")),
        extension(13, vector(2, x("0403 0804 0401 0503 0805 0501 0806 0601"))),
        extension(18),
        extension(51, vector(
            2, x("2a2a 0001 00"), x("11ec"), vector(2, bytes(1216)), x("001d"), vector(2, SHARE),
        )),
        extension(45, x("02 2a 01")),
        extension(43, x("06 3a3a 0304 0303")),
        extension(27, x("02 0002")),
        extension(17613, vector(2, vector(1, b"h2"))),
        extension(0xFE0D, x("00 0001 0001 2f"), vector(2, SHARE), vector(2, bytes(208))),
        extension(0x4A4A, x("00")),
    ),
)  # fmt: skip

# One of each that is taken apart, in the order of the table; numbers and lengths are small.
FULL_HELLO = client_hello(
    extension(0, vector(2, x("00"), vector(2, b"a.example"))),
    extension(1, x("02")),
    extension(5, x("01"), vector(2, vector(2, b"id")), vector(2, b"more")),
    extension(10, vector(2, x("001d"))),
    extension(11, x("01 00")),
    extension(13, vector(2, x("0807"))),
    extension(50, vector(2, x("0807"))),
    extension(34, vector(2, x("0403"))),
    extension(14, vector(2, x("0001 0007")), x("00")),
    extension(15, x("01")),
    extension(16, vector(2, vector(1, b"h2"))),
    extension(18),
    extension(19, vector(1, x("00 02"))),
    extension(20, vector(1, x("00 02"))),
    extension(22),
    extension(23),
    extension(27, vector(1, x("0001 0002 0003"))),
    extension(28, x("4001")),
    extension(35, b"an old ticket"),
    extension(42),
    extension(43, vector(1, x("0304 0303"))),
    extension(44, vector(2, b"cookie")),
    extension(45, vector(1, x("00 01"))),
    extension(47, vector(2, vector(2, x("30 00")))),
    extension(49),
    extension(51, vector(2, x("001d"), vector(2, SHARE))),
    extension(58, x("02 01")),
    extension(17513, vector(2, vector(1, b"h2"))),
    extension(17613, vector(2, vector(1, b"h2"))),
    extension(0xFD00, vector(1, x("000a 000d"))),
    extension(0xFE0D, x("01")),
    extension(0xFF01, vector(1, b"")),
    extension(4242, b"nobody knows"),
    extension(21, bytes(5)),
    extension(41, vector(2, vector(2, b"ticket"), x("00000001")), vector(2, vector(1, bytes(32)))),
)

_HEAD = x("0303") + bytes(range(32)) + vector(1, bytes(range(32, 64))) + x("1301 00")
_RETRY = x("0303 cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c 00 1301 00")

# Messages of TLS 1.3 with what OpenSSL does not send.
TLS_1_3 = {
    "ClientHello": FULL_HELLO,
    "ClientHello with GREASE": GREASE_HELLO,
    "ServerHello": message(2, _HEAD, vector(
        2, extension(43, x("0304")), extension(51, x("001d"), vector(2, SHARE)), extension(41, x("0000")),
    )),
    "HelloRetryRequest": message(2, _RETRY, vector(
        2, extension(43, x("0304")), extension(51, x("0017")), extension(44, vector(2, b"cookie")),
        extension(0xFE0D, bytes(8)),
    )),
    "EncryptedExtensions": message(8, vector(
        2, extension(0), extension(16, vector(2, vector(1, b"h2"))), extension(10, vector(2, x("001d"))),
        extension(28, x("4001")), extension(42), extension(58, x("01")), extension(17613, b"settings"),
        extension(0xFE0D, vector(2, x("fe0d"), vector(2, ECH_CONFIG))), extension(20, x("02")), extension(1, x("02")),
    )),
    "Certificate": message(11, vector(1, b"ctx"), vector(3, vector(3, b"DER"), vector(
        2, extension(5, x("01"), vector(3, b"OCSP")), extension(18, vector(2, vector(2, b"SCT"))),
        extension(34, x("00000e10 0403"), vector(3, b"key"), x("0804"), vector(2, b"signature")),
    ), vector(3, b"root"), vector(2))),
    "CompressedCertificate": message(25, x("0002 000400"), vector(3, b"brotli")),
    "CertificateRequest": message(13, vector(1), vector(
        2, extension(13, vector(2, x("0403 0804"))), extension(47, vector(2, vector(2, b"DN"))),
        extension(48, vector(2, vector(1, b"OID"), vector(2, b"values"))), extension(5),
    )),
    "NewSessionTicket": message(
        4, x("00001c20 01020304"), vector(1, b"nonce"), vector(2, b"ticket"), vector(2, extension(42, x("00004000"))),
    ),
    "KeyUpdate": message(24, x("01")),
    "EndOfEarlyData": message(5),
    "MessageHash": message(254, bytes(32)),
    "Finished": message(20, bytes(32)),
}  # fmt: skip

# Key exchanges by suite, as server and client write them, and older messages of TLS 1.2.
TLS_1_2 = {
    "ECDHE": (0xC02F, message(12, x("03 001d"), vector(1, SHARE), x("0804"), vector(2, b"signature")),
              message(16, vector(1, SHARE))),
    "ECDH_anon": (0xC018, message(12, x("03 0017"), vector(1, SHARE)), message(16, vector(1, SHARE))),
    "DHE": (0x009E, message(12, vector(2, b"p"), vector(2, b"g"), vector(2, b"Y"), x("0401"), vector(2, b"signature")),
            message(16, vector(2, b"Yc"))),
    "DH_anon": (0x0034, message(12, vector(2, b"p"), vector(2, b"g"), vector(2, b"Y")), message(16, vector(2, b"Yc"))),
    "PSK": (0x008C, message(12, vector(2, b"hint")), message(16, vector(2, b"identity"))),
    "RSA_PSK": (0x0094, message(12, vector(2, b"hint")), message(16, vector(2, b"identity"), vector(2, b"secret"))),
    "DHE_PSK": (0x0090, message(12, vector(2, b"hint"), vector(2, b"p"), vector(2, b"g"), vector(2, b"Y")),
                message(16, vector(2, b"identity"), vector(2, b"Yc"))),
    "ECDHE_PSK": (0xC035, message(12, vector(2, b"hint"), x("03 001d"), vector(1, SHARE)),
                  message(16, vector(2, b"identity"), vector(1, SHARE))),
}  # fmt: skip
