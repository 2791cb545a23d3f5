"""Who says a segment of a protocol that the lab does not read: where no SYN was captured, that tells the client.

One small table, a row a kind. Only what one of the two can't say is in it: greetings and answers are a server's,
commands a client's. SSH's identification is in it for neither, for both send one, and in either order (RFC 4253
section 4.2); what follows of its key exchange tells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.model import Role

_MOST = 2048  # bytes of a segment that are looked at: more than a line or two is no command and no greeting

# Commands, whole lines and nothing else: SMTP (RFC 5321), POP3 (RFC 1939), FTP (RFC 959), NNTP (RFC 3977).
_COMMANDS = (
    rb"(?:(?:EHLO|HELO|LHLO|MAIL FROM|RCPT TO|VRFY|USER|PASS|APOP|AUTH|ACCT|CWD|TYPE|PORT|EPRT|RETR|STOR|LIST|NLST|"
    rb"SIZE|MODE|GROUP|ARTICLE|UIDL|TOP|DELE|OPTS)[ :][^\r\n]{0,500}|"
    rb"(?:QUIT|DATA|RSET|NOOP|STARTTLS|STLS|CAPA|STAT|LIST|UIDL|SYST|FEAT|PWD|PASV|EPSV|CAPABILITIES|MODE READER))\r\n"
)
# Commands of IMAP, each with its tag (RFC 9051 section 6).
_TAGGED = (
    rb"[!#-'+-Z\]-z|}~]{1,32} (?:(?:UID )?(?:LOGIN|AUTHENTICATE|SELECT|EXAMINE|FETCH|STORE|SEARCH|COPY|APPEND|STATUS|"
    rb"LIST|LSUB|SUBSCRIBE|ENABLE|ID) [^\r\n]{1,500}|CAPABILITY|NOOP|LOGOUT|STARTTLS|IDLE|NAMESPACE|EXPUNGE|CLOSE)\r\n"
)
# Answers of SMTP, FTP and NNTP: a number of three digits and some words, over several lines where `-` follows it.
_ANSWER = rb"(?:[1-5][0-5]\d-[^\r\n]*\r\n(?: [^\r\n]*\r\n)*)*[1-5][0-5]\d (?=[^\r\n]*[A-Z])[^\r\n]*\r\n"
_OF_EIGHT = b"[" + b"".join(rb"\x%02x" % size for size in range(4, 256, 8)) + b"]"  # SSH pads a packet to 8 bytes
_ROWS: tuple[tuple[Role, bytes], ...] = (
    ("client", rb"(?:" + _COMMANDS + rb"){1,20}\Z"),
    ("client", rb"(?:" + _TAGGED + rb"){1,20}\Z"),
    ("server", rb"(?:" + _ANSWER + rb"){1,20}\Z"),
    ("server", rb"(?:\+OK|-ERR)(?: [^\r\n]{0,500})?\r\n"),  # POP3
    ("server", rb"\* (?:OK|PREAUTH|BYE|CAPABILITY|FLAGS|\d{1,10} (?:EXISTS|RECENT|FETCH))\b"),  # IMAP
    ("server", rb"[!#-'+-Z\]-z|}~]{1,32} (?:OK|NO|BAD)(?: [^\r\n]{0,500})?\r\n\Z"),
    # MySQL's greeting: number 0, version 10 of the protocol, the server's version, ended by a zero.
    ("server", rb"[\s\S]{2}\0\0\x0a\d[!-~]{1,80}\0"),
    # PostgreSQL: StartupMessage of version 3, and what answers it.
    ("client", rb"\0\0[\s\S]{2}\0\x03\0[\0-\x02](?:[ -~]{1,200}\0){2,}"),
    ("server", rb"R\0\0[\s\S]{2}\0\0\0[\0-\x0c]"),
    # SSH's key exchange (RFC 4253 section 8, RFC 4419, RFC 5656): the requests are even, the answers odd.
    ("client", rb"\0\0[\s\S]" + _OF_EIGHT + rb"[\x04-\x20][\x1e\x20\x22]\0\0"),
    ("server", rb"\0\0[\s\S]" + _OF_EIGHT + rb"[\x04-\x20][\x1f\x21]\0\0"),
)
_TABLE = tuple((role, re.compile(pattern, re.IGNORECASE)) for role, pattern in _ROWS)


def spoken_by(data: bytes) -> Role | None:
    """Returns who says a segment, None where this can't be told. Never raises, and looks at no long one's end."""
    if not data or len(data) > _MOST:
        return None
    return next((role for role, pattern in _TABLE if pattern.match(data)), None)
