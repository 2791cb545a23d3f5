"""How TLS makes many bytes out of few: the PRF of TLS 1.0 to 1.2, HKDF of TLS 1.3. Pure functions of bytes.

A hash is called by the name it has in a cipher suite; "MD5_SHA1" is the pair that TLS 1.0 and 1.1 use together.
"""

from __future__ import annotations

import hashlib
import hmac

from lab.protocols.tls.ciphers import TLS12, Suite

_HASHLIB = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}
_HASHES = {"MD5": hashlib.md5, "SHA": hashlib.sha1, "SHA256": hashlib.sha256, "SHA384": hashlib.sha384}
SPOKEN = {"MD5": "MD5", "SHA": "SHA-1", "SHA256": "SHA-256", "SHA384": "SHA-384", "MD5_SHA1": "MD5 + SHA-1"}
LENGTHS = {"MD5": 16, "SHA": 20, "SHA256": 32, "SHA384": 48, "MD5_SHA1": 36}


def prf_hash(suite: Suite, version: int) -> str:
    """Returns the hash of the PRF and of the transcript: before TLS 1.2 it was the same for all suites."""
    return suite.prf if version >= TLS12 else "MD5_SHA1"


def digest(name: str, data: bytes) -> bytes:
    """Returns the hash of `data`; for MD5_SHA1 both, one behind the other (RFC 2246 section 7.4.9)."""
    if name == "MD5_SHA1":
        return digest("MD5", data) + digest("SHA", data)
    return _HASHES[name](data, usedforsecurity=False).digest()


def mac(name: str, key: bytes, data: bytes) -> bytes:
    """Returns HMAC with the hash called `name`."""
    return hmac.digest(key, data, _HASHLIB[name])


def p_hash(name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """Returns `length` bytes of P_hash(secret, seed), RFC 5246 section 5."""
    out, a = b"", seed
    while len(out) < length:
        a = mac(name, secret, a)
        out += mac(name, secret, a + seed)
    return out[:length]


def prf(name: str, secret: bytes, label: str, seed: bytes, length: int) -> bytes:
    """Returns PRF(secret, label, seed)[0..length-1]: RFC 5246 section 5, for MD5_SHA1 RFC 2246 section 5."""
    seed = label.encode("ascii") + seed
    if name != "MD5_SHA1":
        return p_hash(name, secret, seed, length)
    half = (len(secret) + 1) // 2  # of an odd length both halves have the middle byte
    left = p_hash("MD5", secret[:half], seed, length)
    right = p_hash("SHA", secret[len(secret) - half :], seed, length)
    return bytes(one ^ other for one, other in zip(left, right, strict=True))


def hkdf_extract(name: str, salt: bytes, material: bytes) -> bytes:
    """Returns HKDF-Extract(salt, IKM), RFC 5869 section 2.2."""
    return mac(name, salt or bytes(LENGTHS[name]), material)


def hkdf_expand_label(name: str, secret: bytes, label: str, context: bytes, length: int) -> bytes:
    """Returns HKDF-Expand-Label(secret, label, context, length), RFC 9846 section 7.1."""
    full = b"tls13 " + label.encode("ascii")
    info = length.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    out, block, count = b"", b"", 0
    while len(out) < length:
        count += 1
        block = mac(name, secret, block + info + bytes([count]))
        out += block
    return out[:length]
