"""A cipher suite's name says everything about it: read it, rather than keep a table of what each suite uses.

`TLS_<key exchange>_WITH_<cipher>_<hash>` up to TLS 1.2 (RFC 5246 appendix C), `TLS_<cipher>_<hash>` in TLS 1.3
(RFC 9846 appendix B.4). The one table here is of ciphers: their key, block and nonce lengths.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304

Kind = Literal["null", "stream", "cbc", "gcm", "ccm", "chacha"]


class Cipher(NamedTuple):
    """What a cipher needs, in bytes. `fixed_iv` comes from the key block, `record_iv` travels in each record."""

    kind: Kind
    key_length: int
    fixed_iv: int = 0
    record_iv: int = 0
    tag_length: int = 0


CIPHERS = {
    "NULL": Cipher("null", 0),
    "RC4_128": Cipher("stream", 16),
    "3DES_EDE_CBC": Cipher("cbc", 24, record_iv=8),
    "AES_128_CBC": Cipher("cbc", 16, record_iv=16),
    "AES_256_CBC": Cipher("cbc", 32, record_iv=16),
    # RFC 5288 section 3: a salt of 4 bytes, 8 explicit ones
    "AES_128_GCM": Cipher("gcm", 16, 4, 8, 16),
    "AES_256_GCM": Cipher("gcm", 32, 4, 8, 16),
    # RFC 6655 section 3 and, for the short tags, section 4
    "AES_128_CCM": Cipher("ccm", 16, 4, 8, 16),
    "AES_256_CCM": Cipher("ccm", 32, 4, 8, 16),
    "AES_128_CCM_8": Cipher("ccm", 16, 4, 8, 8),
    "AES_256_CCM_8": Cipher("ccm", 32, 4, 8, 8),
    "CHACHA20_POLY1305": Cipher("chacha", 32, 12, 0, 16),  # RFC 7905 section 2: nothing explicit
    # Seen in captures and named, but not decrypted by this lab.
    "DES_CBC": Cipher("cbc", 8, record_iv=8),
    "IDEA_CBC": Cipher("cbc", 16, record_iv=8),
    "SEED_CBC": Cipher("cbc", 16, record_iv=16),
    "CAMELLIA_128_CBC": Cipher("cbc", 16, record_iv=16),
    "CAMELLIA_256_CBC": Cipher("cbc", 32, record_iv=16),
    "CAMELLIA_128_GCM": Cipher("gcm", 16, 4, 8, 16),
    "CAMELLIA_256_GCM": Cipher("gcm", 32, 4, 8, 16),
    "ARIA_128_CBC": Cipher("cbc", 16, record_iv=16),
    "ARIA_256_CBC": Cipher("cbc", 32, record_iv=16),
    "ARIA_128_GCM": Cipher("gcm", 16, 4, 8, 16),
    "ARIA_256_GCM": Cipher("gcm", 32, 4, 8, 16),
}
MACS = {"NULL": 0, "MD5": 16, "SHA": 20, "SHA256": 32, "SHA384": 48}

# The longer names first: AES_128_CCM_8 is not AES_128_CCM with a hash called 8.
_CIPHERS = sorted(CIPHERS, key=len, reverse=True)
_FORWARD_SECRET = frozenset(("TLS13", "DHE", "ECDHE", "DH_anon", "ECDH_anon", "PSK_DHE", "ECCPWD"))


class Suite(NamedTuple):
    """A cipher suite. `mac` is None for an AEAD; `prf` is the hash of the PRF in TLS 1.2, of HKDF in TLS 1.3."""

    code: int
    name: str
    key_exchange: str  # as in the name; "TLS13" where the name has none
    cipher: str
    mac: str | None
    prf: str
    kind: Kind
    key_length: int
    mac_length: int  # of the MAC and of its key; 0 for an AEAD
    fixed_iv: int
    record_iv: int
    tag_length: int

    @property
    def forward_secret(self) -> bool:
        """True where the server's long-lived key signs and can't decrypt."""
        return self.key_exchange in _FORWARD_SECRET or self.key_exchange.startswith(("DHE_", "ECDHE_"))

    def key_block_iv(self, version: int) -> int:
        """Returns how many bytes of IV each side takes from the key block.

        TLS 1.0 takes the first IV of a CBC cipher from there (RFC 2246 section 6.3), later versions send one with
        every record (RFC 4346 section 6.2.3.2).
        """
        return self.record_iv if self.kind == "cbc" and version <= TLS10 else self.fixed_iv

    def key_block_length(self, version: int) -> int:
        return 2 * (self.mac_length + self.key_length + self.key_block_iv(version))


@lru_cache(256)
def suite(code: int, name: str) -> Suite | None:
    """Reads a suite's IANA name. Returns None for a name that can't be understood, and for signalling values."""
    exchange, parted, rest = name.removeprefix("TLS_").partition("_WITH_")
    if not parted:
        exchange, rest = "TLS13", exchange
    algorithm = next((each for each in _CIPHERS if f"{rest}_".startswith(f"{each}_")), "")
    hash_name = rest[len(algorithm) + 1 :]
    if not algorithm or (hash_name and hash_name not in MACS):
        return None
    cipher = CIPHERS[algorithm]
    aead = cipher.tag_length > 0
    if aead and hash_name not in ("SHA256", "SHA384") and (hash_name or cipher.kind != "ccm"):
        return None  # an AEAD's hash is the PRF's; those of RFC 6655 alone don't name it
    if not hash_name and (exchange == "TLS13" or not aead):
        return None
    if exchange == "TLS13":
        if not aead:
            return None  # TLS 1.3 has nothing else (RFC 9846 section 4.2.2)
        cipher = cipher._replace(fixed_iv=12, record_iv=0)  # RFC 9846 section 5.3
    mac = None if aead else hash_name
    prf = "SHA384" if hash_name == "SHA384" else "SHA256"  # RFC 5246 section 5, RFC 5288 section 3
    return Suite(code, name, exchange, algorithm, mac, prf, *_sizes(cipher, mac))


def _sizes(cipher: Cipher, mac: str | None) -> tuple[Kind, int, int, int, int, int]:
    length = MACS[mac] if mac else 0
    return cipher.kind, cipher.key_length, length, cipher.fixed_iv, cipher.record_iv, cipher.tag_length
