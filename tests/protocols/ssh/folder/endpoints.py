"""The programs on the two hosts: an SSH client and server on top of TCP's, each call a command.

Real X25519, a real Ed25519 host key, real AES-GCM (RFC 4253, 8731, 8709, 5647), as far as the keys and one service
request. As with TCP nothing here waits: a call that would block says so (BlockingIOError) and is tried again when a
packet has passed. Between two commands nothing is sent.
"""

from __future__ import annotations

import os
import socket

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab.protocols.ssh import packets
from lab.protocols.ssh.exchange import ED25519, LABEL, METHODS, Exchanged, derived, exchange_hash, string
from lab.protocols.tcp import endpoints

CIPHER = "aes128-gcm@openssh.com"
_TAG, _BLOCK = 16, 16


class _Seal:
    """One direction's key: AES-GCM as OpenSSH has it, the length in the clear (RFC 5647)."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._key = AESGCM(key)
        self._fixed, self._count = nonce[:4], int.from_bytes(nonce[4:], "big")

    def _nonce(self) -> bytes:
        nonce = self._fixed + (self._count & (1 << 64) - 1).to_bytes(8, "big")
        self._count += 1
        return nonce

    def seal(self, packet: bytes) -> bytes:
        return packet[:4] + self._key.encrypt(self._nonce(), packet[4:], packet[:4])

    def open(self, packet: bytes) -> bytes:
        return packet[:4] + self._key.decrypt(self._nonce(), packet[4:], packet[:4])


class Endpoint(endpoints.Endpoint):
    """One end. What the other may not say is an OSError, in words."""

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        super().__init__(family, address)
        self._came = bytearray()
        self._lines: dict[bool, bytes] = {}  # versions: its own (True) and the other end's
        self._proposals: dict[bool, bytes] = {}  # payloads of KEXINIT
        self._private = X25519PrivateKey.generate()
        self._asked = b""  # Q_C
        self._exchanged: Exchanged | None = None
        self._seals: dict[bool, _Seal] = {}  # of what it sends (True), and gets
        self._keylog = ""

    # Either end's.

    def identify(self, software: str, before: tuple[str, ...] = ()) -> None:
        """Sends its version, behind lines that only a server may say."""
        self._lines[True] = f"SSH-2.0-{software}".encode()
        self._write("".join(f"{line}\r\n" for line in before).encode() + self._lines[True] + b"\r\n")

    def hear_version(self) -> str:
        """Returns the other end's version."""
        self._read()
        while True:
            line, end, rest = bytes(self._came).partition(b"\n")
            if not end:
                raise BlockingIOError
            self._came[:] = rest
            if line.startswith(packets.IDENTIFIES):
                self._lines[False] = line.removesuffix(b"\r")
                return line.decode(errors="replace")

    def propose(self, methods: tuple[str, ...] = METHODS) -> None:
        """Sends KEXINIT. The MACs are there for whoever would take another cipher; this one needs none."""
        lists = (",".join(methods), ED25519, CIPHER, CIPHER, *["hmac-sha2-256"] * 2, *["none"] * 2, "", "")
        payload = bytes([packets.KEXINIT]) + os.urandom(16)
        payload += b"".join(string(each.encode()) for each in lists) + bytes(5)
        self._proposals[True] = payload
        self._send(payload)

    def hear_proposal(self) -> None:
        """Takes in the other end's KEXINIT."""
        self._proposals[False] = self._hear(packets.KEXINIT)

    def new_keys(self) -> None:
        """Sends NEWKEYS; what it sends from here on is encrypted."""
        self._send(bytes([packets.NEWKEYS]))
        self._seals[True] = self._seal(mine=True)

    def hear_new_keys(self) -> None:
        """Takes in NEWKEYS; what comes from here on is encrypted."""
        self._hear(packets.NEWKEYS)
        self._seals[False] = self._seal(mine=False)

    def disconnect(self, code: int, why: str) -> None:
        """Sends DISCONNECT. TCP stays open."""
        self._send(bytes([packets.DISCONNECT]) + code.to_bytes(4, "big") + string(why.encode()) + string(b""))

    def hear_disconnect(self) -> str:
        """Returns why the other end has disconnected."""
        payload = self._hear(packets.DISCONNECT)
        return payload[9 : 9 + int.from_bytes(payload[5:9], "big")].decode(errors="replace")

    # The key exchange.

    def ask(self) -> None:
        """Sends the client's ephemeral public key."""
        self._asked = self._private.public_key().public_bytes_raw()
        self._send(bytes([packets.KEX_INIT]) + string(self._asked))

    def answer(self, host_key: str) -> None:
        """Answers with the server's, and a signature over all that was said, with this key (PEM)."""
        if not self._asked:
            self._asked = _strings(self._hear(packets.KEX_INIT)[1:])[0]
        key = load_pem_private_key(host_key.encode(), None)
        assert isinstance(key, Ed25519PrivateKey)
        public = string(ED25519.encode()) + string(key.public_key().public_bytes_raw())
        ours = self._private.public_key().public_bytes_raw()
        exchanged = self._exchange(public, self._asked, ours, peer=self._asked)
        signature = string(ED25519.encode()) + string(key.sign(exchange_hash(exchanged)))
        self._send(bytes([packets.KEX_REPLY]) + string(public) + string(ours) + string(signature))

    def hear_answer(self) -> None:
        """Takes in the server's, and checks its signature. Raises OSError where that is wrong."""
        public, theirs, signature = _strings(self._hear(packets.KEX_REPLY)[1:])
        exchanged = self._exchange(public, self._asked, theirs, peer=theirs)
        try:
            key = Ed25519PublicKey.from_public_bytes(_strings(public)[1])
            key.verify(_strings(signature)[1], exchange_hash(exchanged))
        except (ValueError, InvalidSignature) as error:
            raise OSError("the host's signature is wrong") from error

    def _exchange(self, public: bytes, q_c: bytes, q_s: bytes, peer: bytes) -> Exchanged:
        client = self._listener is None
        secret = self._private.exchange(X25519PublicKey.from_public_bytes(peer))
        self._exchanged = Exchanged(
            self._lines[client], self._lines[not client], self._proposals[client], self._proposals[not client],
            public, q_c, q_s, secret,
        )  # fmt: skip
        self._keylog += f"{LABEL} {self._proposals[client][1:17].hex()} {secret.hex()}\n"
        return self._exchanged

    def _seal(self, mine: bool) -> _Seal:
        if self._exchanged is None:
            raise OSError("no keys have been exchanged")
        to_server = mine == (self._listener is None)
        nonce, key = ("A", "C") if to_server else ("B", "D")
        return _Seal(derived(self._exchanged, key, 16), derived(self._exchanged, nonce, 12))

    # What is encrypted.

    def request(self, service: str) -> None:
        """Asks for a service."""
        self._send(bytes([packets.SERVICE_REQUEST]) + string(service.encode()))

    def accept_request(self) -> str:
        """Answers that the service which was asked for is there, and returns its name."""
        service = _strings(self._hear(packets.SERVICE_REQUEST)[1:])[0]
        self._send(bytes([packets.SERVICE_ACCEPT]) + string(service))
        return service.decode(errors="replace")

    def hear_accepted(self) -> None:
        self._hear(packets.SERVICE_ACCEPT)

    def secrets(self) -> str:
        """Returns the shared secret as a line of a key log, once (exchange.py)."""
        told, self._keylog = self._keylog, ""
        return told

    # Bytes.

    def _send(self, payload: bytes) -> None:
        seal = self._seals.get(True)
        before = 1 if seal else 5  # the length is not encrypted, so it is not counted for the blocks
        block = _BLOCK if seal else packets.BLOCK
        padding = -(before + len(payload)) % block
        padding += block if padding < packets.LEAST_PADDING else 0
        packet = (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + os.urandom(padding)
        self._write(seal.seal(packet) if seal else packet)

    def _hear(self, number: int) -> bytes:
        """Returns the payload of the next packet. Raises OSError where it is not this message."""
        self._read()
        seal = self._seals.get(False)
        size = 4 + int.from_bytes(self._came[:4], "big") + (_TAG if seal else 0)
        if len(self._came) < max(size, 5):
            raise BlockingIOError
        packet = bytes(self._came[:size])
        del self._came[:size]
        if seal:
            packet = seal.open(packet)
        payload = packet[5 : len(packet) - packet[4]]
        if payload[:1] != bytes([number]):
            raise OSError(f"message {payload[0]} came instead of {number}")
        return payload

    def _read(self) -> None:
        """Takes in what has arrived; that nothing has is no reason to stop, enough may have come before."""
        try:
            self._came += self._end.recv(1 << 16)
        except BlockingIOError:
            return

    def _write(self, data: bytes) -> None:
        if self._end.send(data) != len(data):
            raise OSError("the kernel took only a part")


def _strings(data: bytes) -> list[bytes]:
    """Returns the strings that bytes are made of (RFC 4251 section 5)."""
    found = []
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found
