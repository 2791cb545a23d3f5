"""SSH's transport layer as RFC 4253 tells it, up to the keys: versions, proposals, key exchange, NEWKEYS. Two tables.

1. The client walks the first table, the server the second. Neither waits for the other to say its version, nor to
   propose (sections 4.2 and 7.1), so the states up to KEX say which of the two have been sent and which got.
2. From KEX on one asks and the other answers (section 8, RFC 5656 section 4). Each end then says NEWKEYS for its own
   direction; it is ENCRYPTED when both have passed (section 7.3).
3. RFC 4253 names no states: these are ours. A message is sent when its last byte leaves, got when its last byte has
   arrived, as in TCP's table (tcp/states.py). What is encrypted can't be read and moves nobody.

The lecture notes number no steps of SSH. The lab does: 1 the versions, 2 the proposals, 3 the key exchange, 4 NEWKEYS.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from lab.engine.table import Row, Table


class State(StrEnum):
    """Ours: RFC 4253 names none."""

    START = "START"
    VERSION_SENT = "VERSION_SENT"
    VERSION_GOT = "VERSION_GOT"
    VERSIONS = "VERSIONS"
    KEXINIT_SENT = "KEXINIT_SENT"
    KEXINIT_GOT = "KEXINIT_GOT"
    KEXINIT_EARLY = "KEXINIT_EARLY"
    KEXINIT_AWAITS = "KEXINIT_AWAITS"
    KEX = "KEX"
    KEX_ASKED = "KEX_ASKED"
    KEYS = "KEYS"
    NEWKEYS_SENT = "NEWKEYS_SENT"
    NEWKEYS_GOT = "NEWKEYS_GOT"
    ENCRYPTED = "ENCRYPTED"
    CLOSED = "CLOSED"


class Event(StrEnum):
    """A message is sent, or got, by its last byte; or TCP is closed. KEX_INIT and KEX_REPLY are any method's."""

    SENT_IDENTIFICATION = "sent identification"
    GOT_IDENTIFICATION = "got identification"
    SENT_KEXINIT = "sent KEXINIT"
    GOT_KEXINIT = "got KEXINIT"
    SENT_KEX_INIT = "sent KEX_INIT"
    GOT_KEX_INIT = "got KEX_INIT"
    SENT_KEX_REPLY = "sent KEX_REPLY"
    GOT_KEX_REPLY = "got KEX_REPLY"
    SENT_NEWKEYS = "sent NEWKEYS"
    GOT_NEWKEYS = "got NEWKEYS"
    SENT_DISCONNECT = "sent DISCONNECT"
    GOT_DISCONNECT = "got DISCONNECT"
    TCP_CLOSED = "TCP closed"


# Both ends alike, until the algorithms are agreed on.
_FIRST = (
    #   state             on                     goes to           step     RFC and section
    Row("START",          "sent identification", "VERSION_SENT",   "ssh.1", "4253 4.2"),
    Row("START",          "got identification",  "VERSION_GOT",    None,    "4253 4.2"),
    Row("VERSION_SENT",   "got identification",  "VERSIONS",       None,    "4253 4.2"),
    Row("VERSION_GOT",    "sent identification", "VERSIONS",       "ssh.1", "4253 4.2"),
    Row("VERSIONS",       "sent KEXINIT",        "KEXINIT_SENT",   "ssh.2", "4253 7.1"),
    Row("VERSIONS",       "got KEXINIT",         "KEXINIT_GOT",    None,    "4253 7.1"),
    Row("KEXINIT_SENT",   "got KEXINIT",         "KEX",            None,    "4253 7.1"),
    Row("KEXINIT_GOT",    "sent KEXINIT",        "KEX",            "ssh.2", "4253 7.1"),
    # a proposal right behind the version, which is not awaited
    Row("VERSION_SENT",   "sent KEXINIT",        "KEXINIT_EARLY",  "ssh.2", "4253 4.2"),
    Row("KEXINIT_EARLY",  "got identification",  "KEXINIT_SENT",   None,    "4253 4.2"),
    Row("VERSION_GOT",    "got KEXINIT",         "KEXINIT_AWAITS", None,    "4253 4.2"),
    Row("KEXINIT_AWAITS", "sent identification", "KEXINIT_GOT",    "ssh.1", "4253 4.2"),
)  # fmt: skip

_CLIENT = (
    Row("KEX",            "sent KEX_INIT",       "KEX_ASKED",      "ssh.3", "5656 4"),
    Row("KEX_ASKED",      "got KEX_REPLY",       "KEYS",           None,    "5656 4"),
    Row("KEX",            "got KEX_REPLY",       "KEYS",           None,    "4253 7"),  # to a guess that was right
)  # fmt: skip

_SERVER = (
    Row("KEX",            "got KEX_INIT",        "KEX_ASKED",      None,    "5656 4"),
    Row("KEX_ASKED",      "sent KEX_REPLY",      "KEYS",           "ssh.3", "5656 4"),
    Row("KEX",            "sent KEX_REPLY",      "KEYS",           "ssh.3", "4253 7"),  # to a guess that was right
)  # fmt: skip

# Both ends alike again: each direction is encrypted from its own NEWKEYS on.
_LAST = (
    Row("KEYS",           "sent NEWKEYS",        "NEWKEYS_SENT",   "ssh.4", "4253 7.3"),
    Row("KEYS",           "got NEWKEYS",         "NEWKEYS_GOT",    None,    "4253 7.3"),
    Row("NEWKEYS_SENT",   "got NEWKEYS",         "ENCRYPTED",      None,    "4253 7.3"),
    Row("NEWKEYS_GOT",    "sent NEWKEYS",        "ENCRYPTED",      "ssh.4", "4253 7.3"),
)  # fmt: skip


def _whole(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Returns one end's rows, with those that both ends have and with what ends it from anywhere."""
    listed = (*_FIRST, *rows, *_LAST)
    states = dict.fromkeys(name for row in listed for name in (row.state, row.to))
    ends = [
        Row(state, on, State.CLOSED, None, source)
        for state in states
        for on, source in (
            (Event.SENT_DISCONNECT, "4253 11.1"), (Event.GOT_DISCONNECT, "4253 11.1"), (Event.TCP_CLOSED, "4253 4"),
        )
    ]  # fmt: skip
    crossing = [Row(State.CLOSED, Event.GOT_DISCONNECT, State.CLOSED, None, "4253 11.1")]
    return (*listed, *ends, *crossing)


CLIENT = Table("ssh", State, Event, _whole(_CLIENT), {"client": State.START})
SERVER = Table("ssh", State, Event, _whole(_SERVER), {"server": State.START})
