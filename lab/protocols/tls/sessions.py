"""TLS 1.2 sessions that were opened, by what resumes them: the main secret is the earlier connection's.

A session is resumed by its number, which the server has given in its hello (RFC 5246 section 7.3), or by a ticket,
which stands in the clear in NewSessionTicket (RFC 5077 section 3.1).
"""

from __future__ import annotations

from typing import NamedTuple

from lab.protocols.tls.handshake import Handshake

_MOST = 8192  # sessions; the first to come goes first


class Resumable(NamedTuple):
    """A session: its secret, what it was agreed for, and the client's random of the connection it was opened in."""

    master: bytes
    version: int | None
    suite: int | None
    client_random: bytes


class Sessions:
    """Those of one capture."""

    def __init__(self) -> None:
        self._known: dict[bytes, Resumable] = {}

    def remember(self, shake: Handshake, master: bytes) -> None:
        """Takes in the session of a handshake, under the number and the ticket that the server has given for it."""
        if shake.server_hello is None or shake.client_hello is None:
            return
        session = Resumable(master, shake.version, shake.suite_code, shake.client_hello.random)
        for name in (_number(shake.server_hello.session_id), _ticket(shake.ticket)):
            if name:
                self._known.pop(name, None)
                self._known[name] = session
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def resumed(self, shake: Handshake) -> Resumable | None:
        """Returns the session that a handshake resumes, which keeps version and suite (RFC 5246 section 7.4.1.3)."""
        if shake.server_hello is None or not self._known:
            return None
        offered = getattr(shake.client_hello, "ticket", None)
        found = self._known.get(_ticket(offered)) or self._known.get(_number(shake.server_hello.session_id))
        fits = found is not None and (found.version, found.suite) == (shake.version, shake.suite_code)
        return found if fits else None


def _number(session_id: bytes) -> bytes:
    return b"number " + session_id if session_id else b""


def _ticket(ticket: bytes | None) -> bytes:
    from hashlib import sha256  # here: it loads OpenSSL, which a capture without keys does not need

    return b"ticket " + sha256(ticket).digest() if ticket else b""
