"""The programs on the two hosts: a TLS client and server on top of TCP's, OpenSSL's own, each call a command.

As with TCP nothing here waits: a call that would block says so (BlockingIOError) and is tried again when a packet has
passed. Between two commands nothing is sent: OpenSSL only acts when it is called.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import ClassVar

from lab.protocols.tcp import endpoints
from lab.protocols.tls import openssl
from lab.protocols.tls.terms import Identity, Terms
from lab.text import Text

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# Or the client's is compressed (RFC 8879) where OpenSSL 3.2 and later can: SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
_PLAIN_CERTIFICATES = 1 << 32
# The extension with TLS 1.3 and 1.2 in it (RFC 9846 section 4.3.1), and one that nobody knows (GREASE, RFC 8701).
_SUPPORTED_VERSIONS, _UNKNOWN_EXTENSION = bytes.fromhex("002b00050403040303"), bytes.fromhex("5a5a00050403040303")


class Endpoint(endpoints.Endpoint):
    """One end. Until `secure` it is TCP's; from then on `send` and `receive` are of the protected connection.

    What TLS refuses is an OSError, with OpenSSL's reason in words.
    """

    WAITS: ClassVar[Mapping[str, Text]] = {
        **endpoints.Endpoint.WAITS,
        "handshake": Text("the TLS handshake to complete", "TLS 握手完成"),
        "finish": endpoints.ROOM,
        "handshake_tampered": Text("the TLS handshake to complete", "TLS 握手完成"),
        "receive_early": Text("early data to receive", "可以接收的早期数据"),
    }

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        super().__init__(family, address)
        self._contexts: dict[tuple[Terms, bool], ssl.SSLContext] = {}
        self._session: ssl.SSLSession | None = None
        self._keylog = os.memfd_create("keylog")  # secrets never touch a disk
        self._told = 0
        self._tampered: _Tampered | None = None

    def secure(self, terms: Terms, resume: bool = False) -> None:
        """Puts TLS on top of the connection and sends nothing yet; with `resume` offers the session of the last one."""
        server = self._listener is not None
        with in_words():
            context = self._contexts.get((terms, server)) or self._new_context(terms, server)
            self._contexts[terms, server] = context
            self._socket = context.wrap_socket(
                self._end,
                server_side=server,
                server_hostname=terms.name or None,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # a FIN without close_notify is told
                session=self._session if resume else None,
            )

    def handshake(self) -> None:
        """Goes on with the handshake as far as it can alone, and returns when it is complete.

        A failure has been told to the peer, an alert, before it is raised here.
        """
        with in_words():
            self._tls.do_handshake()

    def send(self, text: str) -> int:
        """Sends one record, or hands bytes to the kernel where there is no TLS."""
        with in_words():
            return super().send(text)

    def receive(self) -> str:
        """Returns what has arrived; an empty text means that the peer will send nothing more (its close_notify).

        Raises OSError where the connection ends without one.
        """
        with in_words():
            try:
                return super().receive()
            except ssl.SSLZeroReturnError:
                return ""

    def secure_tampered(self, terms: Terms) -> None:
        """Sends a ClientHello from which somebody on the way has taken its supported_versions, and with them TLS 1.3.

        The program is both: the client that has not written that, and who has. `handshake_tampered` goes on.
        """
        self._tampered = _Tampered(self._new_context(terms, False), terms.name)
        self._end.send(self._tampered.hello())

    def handshake_tampered(self) -> None:
        """Goes on with that handshake; a failure has been told to the peer, an alert, before it is raised here."""
        assert self._tampered is not None
        with in_words():
            try:
                self._tampered.heard(socket.socket.recv(self._end, 65536))
            finally:
                self._end.send(self._tampered.says())

    def send_early(self, text: str) -> None:
        """Sends the ClientHello, and data behind it before anything is answered: 0-RTT, with the session resumed.

        `handshake` goes on from there. Raises OSError where the session allows none, or OpenSSL can't be asked.
        """
        openssl.send_early(self._tls, text.encode())

    def receive_early(self) -> str:
        """Returns early data, before any handshake; an empty text means that there is no more of it.

        Answers the ClientHello in passing. Raises OSError where OpenSSL can't be asked, or refuses what has come.
        """
        return openssl.receive_early(self._tls).decode(errors="replace")

    def update_keys(self) -> None:
        """Sends KeyUpdate and asks for the peer's, which comes before what that sends next (RFC 9846 section 4.7.3).

        `ssl` has no call for that, so OpenSSL itself is asked. Raises OSError where it can't be, or refuses.
        """
        openssl.update_keys(self._tls)
        self.handshake()

    def finish(self) -> None:
        """Says that nothing more will be sent: close_notify. The TCP connection stays open."""
        if not self._tls.server_side:
            self._session = self._tls.session
        with in_words(), contextlib.suppress(ssl.SSLWantReadError):  # the peer's may come later
            self._tls.unwrap()

    def discard(self) -> None:
        """Throws away what has arrived and will never be read: close() would answer it with RST (RFC 1122 4.2.2.13)."""
        with contextlib.suppress(BlockingIOError):
            while socket.socket.recv(self._end, 65536):
                pass

    def secrets(self) -> str:
        """Returns the lines that OpenSSL has added to the key log since it was last asked."""
        added = os.pread(self._keylog, 1 << 20, self._told)
        self._told += len(added)
        return "".join(f"{line}\n" for line in added.decode().splitlines() if not line.startswith("#"))

    @property
    def _tls(self) -> ssl.SSLSocket:
        if not isinstance(self._end, ssl.SSLSocket):
            raise OSError("there is no TLS on this connection")
        return self._end

    def _new_context(self, terms: Terms, server: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _VERSIONS[terms.oldest or terms.version]
        context.maximum_version = _VERSIONS[terms.version]
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # Python 3.11.2 has it on: a truncation would look like an end
        context.keylog_filename = _path(self._keylog)
        if terms.ciphers:
            context.set_ciphers(terms.ciphers)
        if terms.group:
            _only_group(context, terms.group)
        if terms.alpn:
            context.set_alpn_protocols(list(terms.alpn))
        if terms.trusted:
            context.load_verify_locations(cadata=terms.trusted)
            context.verify_mode = ssl.CERT_REQUIRED
        if terms.identity:
            _introduce(context, terms.identity)
        if not terms.tickets:
            context.options |= ssl.OP_NO_TICKET  # TLS 1.2's; those of 1.3 are counted
        context.options |= _PLAIN_CERTIFICATES
        if server:
            context.num_tickets = terms.tickets
            if terms.early:
                openssl.allow_early(context, terms.early)
        return context


class _Tampered:
    """A client whose bytes are in its program's hands before they go out."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)

    def hello(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._out.read().replace(_SUPPORTED_VERSIONS, _UNKNOWN_EXTENSION)

    def heard(self, data: bytes) -> None:
        self._in.write(data)
        self._tls.do_handshake()

    def says(self) -> bytes:
        return self._out.read()


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Turns what ssl raises into what any endpoint raises: BlockingIOError, or an OSError that says why."""
    try:
        yield
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
        raise BlockingIOError from error
    except ssl.SSLCertVerificationError as error:
        raise OSError(f"certificate verify failed: {error.verify_message}") from error
    except ssl.SSLError as error:  # its number is not the system's
        words = error.reason.replace("_", " ").lower() if error.reason else str(error.args[-1])
        raise OSError(words) from error


def _only_group(context: ssl.SSLContext, group: str) -> None:
    """Leaves one group; also keeps a ClientHello in one segment, which with OpenSSL 3.5's own list takes two.

    Python 3.11.2, Debian 12's, knows only older curves here; the OpenSSL beside it prefers X25519 by itself.
    """
    if ":" in group:
        openssl.choose_groups(context, group)
        return
    try:
        context.set_ecdh_curve(group)
    except ssl.SSLError:
        if group != "X25519":
            raise


def _introduce(context: ssl.SSLContext, identity: Identity) -> None:
    """Gives the context a certificate and its key; ssl takes them from files only, so this one is in memory."""
    file = os.memfd_create("identity")
    try:
        os.write(file, (identity.certificate + identity.key).encode())
        context.load_cert_chain(_path(file))
    finally:
        os.close(file)


def _path(file: int) -> str:
    return f"/proc/self/fd/{file}"
