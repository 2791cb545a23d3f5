"""The ciphers undone, by `cryptography`: the one file that a record in the clear has no need of.

It is imported when keys are known. Where the library is not there, that is a reason like any other (`protection.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from lab.protocols.tls.ciphers import Suite

# The library may be built without an old cipher, and says so in several ways.
NOT_BUILT_IN = (UnsupportedAlgorithm, AttributeError, ValueError, LookupError)

_Block = algorithms.AES | decrepit.TripleDES


def stream(key: bytes) -> Callable[[bytes], bytes]:
    """Returns what decrypts the next bytes of an RC4 stream."""
    return Cipher(decrepit.ARC4(key), None).decryptor().update


class Cbc:
    """A block cipher in CBC mode; `block` is its size in bytes."""

    def __init__(self, suite: Suite, key: bytes) -> None:
        self._algorithm = _BLOCKS[suite.cipher](key)
        self.block = self._algorithm.block_size // 8
        self.decrypt(bytes(suite.record_iv), b"")  # is it there at all?

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        """Returns the plaintext of whole blocks."""
        return Cipher(self._algorithm, modes.CBC(iv)).decryptor().update(data)


class Aead:
    """AES-GCM, AES-CCM or ChaCha20-Poly1305."""

    def __init__(self, suite: Suite, key: bytes) -> None:
        if not suite.cipher.startswith(("AES", "CHACHA20")):
            raise LookupError(suite.cipher)
        cipher: AESGCM | AESCCM | ChaCha20Poly1305
        if suite.kind == "gcm":
            cipher = AESGCM(key)
        else:
            cipher = AESCCM(key, suite.tag_length) if suite.kind == "ccm" else ChaCha20Poly1305(key)
        self._decrypt = cipher.decrypt

    def decrypt(self, nonce: bytes, data: bytes, additional: bytes) -> bytes | None:
        """Returns the plaintext, None where the tag does not fit."""
        try:
            return self._decrypt(nonce, data, additional)
        except InvalidTag:
            return None


def _triple_des(key: bytes) -> _Block:
    return decrepit.TripleDES(key)  # looked up late: it may be gone one day


_BLOCKS: dict[str, Callable[[bytes], _Block]] = {
    "AES_128_CBC": algorithms.AES, "AES_256_CBC": algorithms.AES, "3DES_EDE_CBC": _triple_des,
}  # fmt: skip
