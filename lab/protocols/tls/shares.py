"""What a key share is made of where a group does more than one key exchange at once (RFC 10024), or a KEM's (FIPS 203).

With a KEM the two ends do not send the same: the client an encapsulation key, the server what it has encapsulated to
that. A hybrid's share is the parts of both, one behind the other, in an order of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from lab.dissect.formats import decimal, dump
from lab.model import Role
from lab.protocols.tls import codes
from lab.protocols.tls.shapes import Shape, Sheet, coded, fixed, opaque


class Part(NamedTuple):
    """One part: what does it, what it is called in each direction, and how many bytes it has there."""

    by: str
    client: str
    server: str
    sizes: tuple[int, int]

    def sent_by(self, role: Role) -> tuple[str, int]:
        return (self.client, self.sizes[0]) if role == "client" else (self.server, self.sizes[1])


def _kem(by: str, key: int, ciphertext: int) -> Part:
    name = by.replace("-", "").lower()
    return Part(by, f"{name}_encapsulation_key", f"{name}_ciphertext", (key, ciphertext))


def _curve(name: str, size: int) -> Part:
    return Part(name, name, name, (size, size))


_ML_KEM_512, _ML_KEM_768, _ML_KEM_1024 = (
    _kem("ML-KEM-512", 800, 768), _kem("ML-KEM-768", 1184, 1088), _kem("ML-KEM-1024", 1568, 1568),
)  # fmt: skip
_X25519, _P256, _P384 = _curve("x25519", 32), _curve("secp256r1", 65), _curve("secp384r1", 97)
_KYBER = _kem("Kyber768", 1184, 1088)
_PARTS = {
    512: (_ML_KEM_512,), 513: (_ML_KEM_768,), 514: (_ML_KEM_1024,), 4587: (_P256, _ML_KEM_768),
    4588: (_ML_KEM_768, _X25519), 4589: (_P384, _ML_KEM_1024), 25497: (_X25519, _KYBER), 25498: (_P256, _KYBER),
}  # fmt: skip


def parts(group: int, role: Role, size: int) -> tuple[tuple[str, int], ...]:
    """Returns what a share of this group that this end sends is made of: names and sizes in wire order.

    Nothing where the group has one key exchange of the old kind, or where `size` bytes are not what it takes.
    """
    found = tuple(part.sent_by(role) for part in _PARTS.get(group, ()))
    return found if sum(each for _, each in found) == size else ()


def kem(group: int, size: int) -> tuple[str, int] | None:
    """Returns the KEM that a client's share of this group and size brings a key of, and that key's size."""
    found = _PARTS.get(group, ())
    if sum(part.sizes[0] for part in found) != size:
        return None
    return next(((part.by, part.sizes[0]) for part in found if part.client != part.server), None)


def entry(role: Role) -> tuple[Shape, Shape]:
    """Returns the shapes of a KeyShareEntry's two members."""

    def key_exchange(sheet: Sheet) -> bool:
        group = int.from_bytes(sheet.data[sheet.at - 2 : sheet.at], "big")
        size = int.from_bytes(sheet.data[sheet.at : sheet.at + 2], "big")
        found = parts(group, role, size)
        if not found:
            return opaque("key_exchange", 2)(sheet)
        fixed("key_exchange length", 2, decimal)(sheet)
        with sheet.container("key_exchange") as value:
            value[0] = f"{size} bytes"
            return all(fixed(name, each, dump)(sheet) for name, each in found)

    return coded("group", 2, codes.GROUPS), key_exchange
