"""The server's private key, and the one secret it opens: the pre-master secret of a static RSA handshake.

RSA is done by hand here, c^d mod n and then the padding byte by byte. A library's decryption answers a wrong key with
random bytes (OpenSSL since 3.2, against Bleichenbacher's attack); who looks back at a capture wants to know why.
What reads keys is imported when there is one: it takes as long as all the rest of TLS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lab.protocols.tls import reasons
from lab.protocols.tls.derivation import Derivation, Named
from lab.protocols.tls.reasons import Reason
from lab.text import Text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MOST_BITS = 16384
MOST_BYTES = 65536  # of a key's file

PREMASTER = "pre-master secret"
_SOURCE = "RFC 5246 section 7.4.7.1"


class Premaster(NamedTuple):
    """The pre-master secret, or why there is none. `block` is what RSA gave, with its padding, where it gave any."""

    secret: bytes | None
    reason: Reason | None
    block: bytes = b""


def load_server_key(pem: bytes) -> PrivateKeyTypes | Reason:
    """Returns the private key in `pem` (or DER), or why it can't be used."""
    if len(pem) > MOST_BYTES:
        return reasons.KEY_UNREADABLE
    try:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
    except ImportError:
        return reasons.NO_LIBRARY
    load = load_pem_private_key if b"-----BEGIN " in pem else load_der_private_key
    try:
        # The library's own check tests both primes: 30 ms for a usual key, minutes for a monstrous one.
        key = load(pem, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, RSAPrivateKey):
            if key.key_size > MOST_BITS:
                return reasons.KEY_TOO_LARGE.format(key.key_size, MOST_BITS)
            if not _fits_together(key):
                return reasons.KEY_UNREADABLE
    except TypeError:  # the library's word for "needs a password"
        return reasons.KEY_ENCRYPTED
    except Exception:  # whatever a damaged key makes the library say
        return reasons.KEY_UNREADABLE
    return key


def _fits_together(key: RSAPrivateKey) -> bool:
    """Returns whether a key's numbers belong together (RFC 8017 section 3.2): they do not where any is damaged."""
    numbers = key.private_numbers()
    e, n = numbers.public_numbers.e, numbers.public_numbers.n
    p, q, d = numbers.p, numbers.q, numbers.d
    return (
        p * q == n
        and numbers.iqmp * q % p == 1
        and (numbers.dmp1, numbers.dmq1) == (d % (p - 1), d % (q - 1))
        and d * e % (p - 1) == d * e % (q - 1) == 1
    )


def matches(key: PrivateKeyTypes, certificate_der: bytes) -> bool:
    """Returns whether `key` belongs to the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        theirs = x509.load_der_x509_certificate(certificate_der).public_key()
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        return key.public_key().public_bytes(*form) == theirs.public_bytes(*form)
    except Exception:  # whatever a damaged certificate makes the library say
        return False


def decrypt_premaster(
    key: PrivateKeyTypes, encrypted: bytes, client_version: int, derivation: Derivation | None = None
) -> Premaster:
    """Decrypts ClientKeyExchange's EncryptedPreMasterSecret, without its two bytes of length.

    `client_version` is ClientHello's legacy version, which need not be the version agreed on.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if not isinstance(key, RSAPrivateKey):
        return Premaster(None, reasons.KEY_NOT_RSA)
    if key.key_size > MOST_BITS:
        return Premaster(None, reasons.KEY_TOO_LARGE.format(key.key_size, MOST_BITS))
    size = (key.key_size + 7) // 8
    if len(encrypted) != size:
        return Premaster(None, reasons.PREMASTER_SIZE.format(len(encrypted), size))
    block = _power(key, encrypted, size)
    # RFC 8017 section 7.2.2: 00 02, at least eight bytes that are not zero, 00, the message
    end = block.find(0, 2)
    if block[:2] != b"\x00\x02" or end < 10:
        return Premaster(None, reasons.PREMASTER_PADDING, block)
    secret = block[end + 1 :]
    if len(secret) != 48:
        return Premaster(None, reasons.PREMASTER_LENGTH.format(len(secret)), block)
    version = int.from_bytes(secret[:2], "big")
    if version != client_version:
        return Premaster(None, reasons.PREMASTER_VERSION.format(version, client_version), block)
    if derivation is not None:
        _write(derivation, key, encrypted, block)
    return Premaster(secret, None, block)


def _power(key: RSAPrivateKey, encrypted: bytes, size: int) -> bytes:
    """Returns c^d mod n, by the Chinese remainder theorem: four times as fast (RFC 8017 section 5.1.2)."""
    numbers = key.private_numbers()
    c = int.from_bytes(encrypted, "big")
    one, two = pow(c, numbers.dmp1, numbers.p), pow(c, numbers.dmq1, numbers.q)
    m = two + numbers.q * ((one - two) * numbers.iqmp % numbers.p)
    return m.to_bytes(size, "big")


def _write(derivation: Derivation, key: RSAPrivateKey, encrypted: bytes, block: bytes) -> None:
    size = len(block)
    modulus = key.private_numbers().public_numbers.n.to_bytes(size, "big")
    padded = derivation.add(
        Text(
            "Raise the encrypted pre-master secret to the server's private exponent d, modulo n: what only the "
            "server could do. The result is padded: 00 02, random bytes without a zero, 00, then the secret.",
            "用服务器的私钥指数 d 对加密的预主密钥做模 n 幂运算：这只有服务器能做到。"
            "结果带有填充：00 02、不含零的随机字节、00，然后是密钥。",
        ),
        (Named("c", encrypted), Named("n", modulus)),
        "c^d mod n",
        Named("padded block", block),
        "RFC 8017 section 7.2.2",
    )
    secret = derivation.cut(
        Text("The last 48 bytes are the pre-master secret.", "最后 48 字节就是预主密钥。"),
        padded, size - 48, size, PREMASTER, _SOURCE,
    )  # fmt: skip
    derivation.cut(
        Text(
            "It begins with the version that the client offered in its ClientHello: nobody made the ends agree on an "
            "older one.",
            "它以客户端在 ClientHello 中提出的版本开头：没有人迫使双方降到旧版本。",
        ),
        secret, 0, 2, "client version", _SOURCE,
    )  # fmt: skip
