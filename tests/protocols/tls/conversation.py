"""A real TLS conversation without a socket: two OpenSSL ends in one process, and all that passed between them.

As a program it plays one and prints it as JSON: TLS 1.3's suites can be chosen in OPENSSL_CONF alone, which OpenSSL
reads when it starts. Standard library only, so that this is quick.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

REQUEST, RESPONSE = b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500
Sent = list[tuple[str, bytes]]


class Conversation:
    """Two ends and the wire between them. `sent` is what each wrote, in order."""

    def __init__(
        self, for_client: ssl.SSLContext, for_server: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        self.sent: Sent = []
        self._incoming = {"client": ssl.MemoryBIO(), "server": ssl.MemoryBIO()}
        self._outgoing = {"client": ssl.MemoryBIO(), "server": ssl.MemoryBIO()}
        self.client = for_client.wrap_bio(self._incoming["client"], self._outgoing["client"], session=session)
        self.server = for_server.wrap_bio(self._incoming["server"], self._outgoing["server"], server_side=True)

    def play(self) -> None:
        """A handshake, a request, an answer, and both goodbyes."""
        for _ in range(3):
            self._act("client", self.client.do_handshake)
            self._act("server", self.server.do_handshake)
        self._act("client", lambda: self.client.write(REQUEST))
        assert self.server.read(9999) == REQUEST
        self._act("server", lambda: self.server.write(RESPONSE))
        assert self.client.read(9999) == RESPONSE
        self._act("client", self.client.unwrap)
        self._act("server", self.server.unwrap)

    def _act(self, role: str, action: Callable[[], object]) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            action()
        written = self._outgoing[role].read()
        if written:
            self.sent.append((role, written))
            self._incoming["server" if role == "client" else "client"].write(written)


def contexts(pem: str, cipher: str, version: int, options: int, keylog: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Returns the client's and the server's."""
    for_server, for_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for_server.load_cert_chain(pem)
    for_client.check_hostname, for_client.verify_mode = False, ssl.CERT_NONE
    for_client.keylog_filename = keylog
    for context in (for_client, for_server):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of old versions, which are meant here
            context.minimum_version = context.maximum_version = ssl.TLSVersion(version)
        context.options |= options
        if cipher:
            context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    return for_client, for_server


def play(
    pem: str, cipher: str, version: int, options: int = 0, resume: bool = False, curve: str = ""
) -> tuple[Sent, bytes]:
    """Returns what passed, and the client's key log.

    With `resume` it is the second conversation of two, which resumes the first; a server that wants another `curve`
    than the client expects asks for a second ClientHello.
    """
    with tempfile.TemporaryDirectory() as folder:
        keylog = Path(folder, "keys")
        for_client, for_server = contexts(pem, cipher, version, options, str(keylog))
        if curve:
            for_server.set_ecdh_curve(curve)
        conversation = Conversation(for_client, for_server)
        conversation.play()
        if resume:
            conversation = Conversation(for_client, for_server, conversation.client.session)
            conversation.play()
            assert conversation.client.session_reused
        return conversation.sent, keylog.read_bytes()


if __name__ == "__main__":
    passed, keys = play(sys.argv[1], "", ssl.TLSVersion.TLSv1_3)
    print(json.dumps([[[role, written.hex()] for role, written in passed], keys.hex()]))
