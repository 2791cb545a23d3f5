"""The server's host key, made when a scenario is played."""

from __future__ import annotations

from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Credentials(NamedTuple):
    """What the server proves with who it is (PEM). It opens nothing that was captured, so nobody is given it."""

    host_key: str
    server_key: str = ""


def make() -> Credentials:
    """Returns a fresh host key."""
    key = Ed25519PrivateKey.generate()
    return Credentials(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
