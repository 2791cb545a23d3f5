"""Records taken apart: one `Protection` for each direction, which counts its records as the ends do.

Every byte of a record's fragment gets a name, the RFC's: the parts of `Opened` cover it without gap or overlap. A
record that can't be opened marks the protection as failed, and nothing is opened after it: the ends would have closed.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

from lab.protocols.tls import prf, reasons
from lab.protocols.tls.ciphers import TLS10, TLS13, Suite
from lab.protocols.tls.reasons import Reason
from lab.tuples import NamedTuple

if TYPE_CHECKING:
    from lab.protocols.tls import undoing

CHANGE_CIPHER_SPEC, ALERT, APPLICATION_DATA = 20, 21, 23
_record_header, _numbered_header = Struct(">BHH").pack, Struct(">QBHH").pack
MOST = (1 << 14) + 2048  # of a fragment, RFC 5246 section 6.2.3


class Keys(NamedTuple):
    """What one direction takes from the key block, or from its traffic secret."""

    key: bytes
    iv: bytes  # or the salt
    mac_key: bytes = b""


class Part(NamedTuple):
    """Bytes `start` to before `end` of a record's fragment, by the RFC's name for them."""

    name: str
    start: int
    end: int


class Opened(NamedTuple):
    """A record in the clear. `content_type` is the real one, which TLS 1.3 hides inside."""

    content_type: int
    plaintext: bytes
    parts: tuple[Part, ...]
    sequence: int | None  # None where the record was never encrypted
    nonce: bytes = b""  # or IV
    authenticated: bytes = b""  # what the tag or the MAC covers beside the content: additional data, or the header


class Protection(ABC):
    """One direction of a connection, from where its keys are put to use. `failed` says what went wrong."""

    def __init__(self) -> None:
        self.sequence = 0
        self.failed: Reason | None = None

    def open(self, content_type: int, version: int, fragment: bytes) -> Opened | None:
        """Opens the next record; `content_type` and `version` are its header's. Returns None where it can't."""
        if self.failed:
            return None
        opened = self._open(content_type & 0xFF, version & 0xFFFF, fragment) if len(fragment) <= MOST else None
        if isinstance(opened, Opened):
            self.sequence += opened.sequence is not None
            return opened
        self.failed = opened or self._too(len(fragment))
        return None

    @abstractmethod
    def _open(self, content_type: int, version: int, fragment: bytes) -> Opened | Reason: ...

    def _too(self, length: int) -> Reason:
        return reasons.RECORD_LENGTH.format(length, "TLS")

    def _header(self, content_type: int, version: int, length: int) -> bytes:
        """Returns what is authenticated beside the content up to TLS 1.2: number, type, version, length."""
        return _numbered_header(self.sequence, content_type, version, length)


class Unsupported(Protection):
    """Keys are known, the cipher is not: failed from the beginning."""

    def __init__(self, reason: Reason) -> None:
        super().__init__()
        self.failed = self._reason = reason

    def _open(self, _type: int, _version: int, _fragment: bytes) -> Opened | Reason:
        return self._reason


class _Mac(NamedTuple):
    """A suite's HMAC (RFC 5246 section 6.2.3.1). Length 0 for the suite that protects nothing."""

    name: str
    key: bytes
    length: int

    def fits(self, mac: bytes, header: bytes, content: bytes) -> bool:
        return not self.length or hmac.compare_digest(prf.mac(self.name, self.key, header + content), mac)


class Stream(Protection):
    """A stream cipher, or none at all, with a MAC behind the content: RFC 5246 section 6.2.3.1."""

    def __init__(self, decrypt: Callable[[bytes], bytes] | None, mac: _Mac) -> None:
        super().__init__()
        self._decrypt, self._mac = decrypt, mac

    def _open(self, content_type: int, version: int, fragment: bytes) -> Opened | Reason:
        end = len(fragment) - self._mac.length
        if end < 0:
            return self._too(len(fragment))
        plain = self._decrypt(fragment) if self._decrypt else fragment
        header = self._header(content_type, version, end)
        if not self._mac.fits(plain[end:], header, plain[:end]):
            return reasons.BAD_MAC.format(self.sequence)
        parts = _parts(("content", end), ("MAC", self._mac.length))
        return Opened(content_type, plain[:end], parts, self.sequence, b"", header)


class Cbc(Protection):
    """A block cipher in CBC mode: RFC 5246 section 6.2.3.2, with the MAC outside RFC 7366."""

    def __init__(self, cipher: undoing.Cbc, chained: bytes | None, mac: _Mac, encrypt_then_mac: bool) -> None:
        super().__init__()
        self._cipher, self._mac, self._outside = cipher, mac, encrypt_then_mac
        self._chained = chained  # TLS 1.0: the IV is the last block of the record before
        self._block = cipher.block

    def _open(self, content_type: int, version: int, fragment: bytes) -> Opened | Reason:
        block, length = self._block, self._mac.length
        outside, inside = (length, 0) if self._outside else (0, length)
        start, end = 0 if self._chained else block, len(fragment) - outside
        if end - start < max(block, inside + 1) or (end - start) % block:
            return self._too(len(fragment))
        header = self._header(content_type, version, end)
        # RFC 7366 section 3: the MAC is of the IV and what is encrypted, and looked at before anything is decrypted
        if self._outside and not self._mac.fits(fragment[end:], header, fragment[:end]):
            return reasons.BAD_MAC.format(self.sequence)
        iv = self._chained or fragment[:block]
        plain = self._cipher.decrypt(iv, fragment[start:end])
        padding = plain[-1]
        content = len(plain) - padding - 1 - inside
        if content < 0 or plain[-padding - 1 :] != bytes([padding]) * (padding + 1):
            return reasons.BAD_MAC.format(self.sequence)
        if not self._outside:
            header = self._header(content_type, version, content)
            if not self._mac.fits(plain[content : content + inside], header, plain[:content]):
                return reasons.BAD_MAC.format(self.sequence)
        if self._chained:
            self._chained = fragment[end - block : end]
        parts = _parts(
            ("IV", start), ("content", content), ("MAC", inside), ("padding", padding), ("padding_length", 1),
            ("MAC", outside),
        )  # fmt: skip
        return Opened(content_type, plain[:content], parts, self.sequence, iv, header)

    def _too(self, length: int) -> Reason:
        return reasons.RECORD_LENGTH.format(length, f"CBC ({self._block})")


class Aead(Protection):
    """An AEAD in TLS 1.2: RFC 5246 section 6.2.3.3. `explicit` bytes of the nonce travel with the record, or none."""

    def __init__(self, cipher: undoing.Aead, iv: bytes, explicit: int, tag: int) -> None:
        super().__init__()
        self._cipher, self._iv, self._explicit, self._tag = cipher, iv, explicit, tag
        self._iv_number = int.from_bytes(iv, "big")

    def _nonce(self, fragment: bytes) -> bytes:
        if self._explicit:  # RFC 5288 section 3, RFC 6655 section 3
            return self._iv + fragment[: self._explicit]
        # RFC 7905 section 2, RFC 9846 section 5.3
        return (self._iv_number ^ self.sequence).to_bytes(len(self._iv), "big")

    def _open(self, content_type: int, version: int, fragment: bytes) -> Opened | Reason:
        content = len(fragment) - self._explicit - self._tag
        if content < 0:
            return self._too(len(fragment))
        nonce, additional = self._nonce(fragment), self._header(content_type, version, content)
        plain = self._cipher.decrypt(nonce, fragment[self._explicit :], additional)
        if plain is None:
            return reasons.BAD_TAG.format(self.sequence)
        parts = _parts(("nonce_explicit", self._explicit), ("content", content), ("tag", self._tag))
        return Opened(content_type, plain, parts, self.sequence, nonce, additional)


class Aead13(Aead):
    """TLS 1.3: RFC 9846 section 5.2. Records that are never encrypted are passed on as they are."""

    def _open(self, content_type: int, version: int, fragment: bytes) -> Opened | Reason:
        # Section 5: change_cipher_spec is there for middleboxes; an end without keys yet sends its alert in the clear.
        if content_type == CHANGE_CIPHER_SPEC or (content_type == ALERT and len(fragment) == 2):
            return Opened(content_type, fragment, _parts(("content", len(fragment))), None)
        inner = len(fragment) - self._tag
        if inner < 1:
            return self._too(len(fragment))
        nonce, additional = self._nonce(fragment), _record_header(content_type, version, len(fragment))
        plain = self._cipher.decrypt(nonce, fragment, additional)
        if plain is None:
            return reasons.BAD_TAG.format(self.sequence)
        content = len(plain.rstrip(b"\0")) - 1
        if content < 0:
            return reasons.NO_CONTENT_TYPE.format(self.sequence)
        parts = _parts(("content", content), ("type", 1), ("zeros", inner - content - 1), ("tag", self._tag))
        return Opened(plain[content], plain[:content], parts, self.sequence, nonce, additional)


def protection(suite: Suite, version: int, keys: Keys, encrypt_then_mac: bool = False) -> Protection:
    """Returns the protection of one direction. A cipher that the lab can't undo gives one that has failed already."""
    if (suite.key_exchange == "TLS13") != (version >= TLS13):  # no suite belongs to both (RFC 9846 section 4.2.2)
        return Unsupported(reasons.UNSUPPORTED_SUITE.format(suite.name))
    mac = _Mac(suite.mac or "NULL", keys.mac_key, suite.mac_length)
    if suite.kind == "null":
        return Stream(None, mac)
    try:
        from lab.protocols.tls import undoing
    except ImportError:
        return Unsupported(reasons.NO_LIBRARY)
    try:
        if suite.kind == "stream":
            return Stream(undoing.stream(keys.key), mac)
        if suite.kind == "cbc":
            chained = keys.iv if version <= TLS10 else None
            return Cbc(undoing.Cbc(suite, keys.key), chained, mac, encrypt_then_mac)
        cipher = undoing.Aead(suite, keys.key)
    except undoing.NOT_BUILT_IN:
        return Unsupported(reasons.UNSUPPORTED_SUITE.format(suite.name))
    if version >= TLS13:
        return Aead13(cipher, keys.iv, 0, suite.tag_length)
    return Aead(cipher, keys.iv, suite.record_iv, suite.tag_length)


@lru_cache(1024)
def _parts(*lengths: tuple[str, int]) -> tuple[Part, ...]:
    """Lays parts one behind the other; those without a byte are left out."""
    parts, at = [], 0
    for name, length in lengths:
        if length:
            parts.append(Part(name, at, at + length))
        at += length
    return tuple(parts)
