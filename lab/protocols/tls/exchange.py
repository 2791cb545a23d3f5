"""What key exchange messages show of themselves where no ServerHello was read, up to TLS 1.2.

The suite says how the secret comes about. Without it the shape of the message does, as far as it goes: a point of a
curve has its length in one byte, all else in two; and what the client has not offered it is not.
"""

from __future__ import annotations

from lab.protocols.tls import codes
from lab.protocols.tls.hello import ClientHello
from lab.protocols.tls.suites import KeyExchange, key_exchange

_HEADER = 4
_POINTS = frozenset((32, 33, 49, 56, 57, 65, 67, 97, 133))  # bytes of a public value on a curve (RFC 8422, RFC 7748)
_MODULI = range(48, 2049)  # bytes of what RSA encrypts, and of a public value of Diffie-Hellman: as long as the modulus
_ON_CURVES: frozenset[KeyExchange] = frozenset(("ECDH", "ECDHE", "ECDH_anon"))
_LONG: frozenset[KeyExchange] = frozenset(("RSA", "RSA_PSK", "DH", "DHE", "DH_anon", "DHE_PSK", "PSK", "ECDHE_PSK"))


def of_client(raw: bytes, hello: object, signed: bool) -> KeyExchange | None:
    """Returns the key exchange that a ClientKeyExchange is of, or the beginning of one; None where it may be several.

    `hello` is what was read of the ClientHello; `signed` whether a ServerKeyExchange came, of which RSA has none. A
    point stands for every agreement on a curve.
    """
    size, body = int.from_bytes(raw[1:_HEADER], "big"), raw[_HEADER:]
    if len(body) < 2:
        return None
    offers = isinstance(hello, ClientHello) and not hello.damaged
    offered = {key_exchange(each) for each in hello.suites} if isinstance(hello, ClientHello) and offers else None
    if body[0] + 1 == size and body[0] in _POINTS:
        return "ECDHE" if offered is None or offered & _ON_CURVES else None
    if int.from_bytes(body[:2], "big") + 2 != size or size - 2 not in _MODULI or offered is None:
        return None
    left = offered & _LONG - ({"RSA"} if signed else set[KeyExchange]())
    return left.pop() if len(left) == 1 else None


def of_server(raw: bytes) -> KeyExchange | None:
    """Returns the key exchange that a ServerKeyExchange is of: on a named curve, or it is not known."""
    body = raw[_HEADER:]
    group, size = int.from_bytes(body[1:3], "big"), body[3] if len(body) > 3 else 0
    named = body[:1] == bytes([codes.NAMED_CURVE]) and group in codes.GROUPS.names
    return "ECDHE" if named and size in _POINTS and len(body) > 4 + size else None
