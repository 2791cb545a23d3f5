"""WebSocket as RFC 6455 tells it, state by state: CONNECTING, OPEN, CLOSING, CLOSED, at each end.

1. The client walks the first table, the server the second. Both begin in CONNECTING (section 4.1). A server is OPEN as
   soon as it has sent its 101, a client when it has got it and found it right; they are not OPEN at the same moment.
2. CLOSING begins with the first Close that an end sends or gets (section 7.1.3). An end that has both sent and got one
   has nothing more to do but to close the TCP connection (section 5.5.1). It is CLOSED when that is (section 7.1.4):
   when its TCP is in TIME-WAIT or CLOSED. So it is too where TCP goes away without a Close: what programs then report,
   1006, is never sent (section 7.1.5).
3. A message is sent when its last byte leaves, got when its last byte has arrived, as in TCP's table (tcp/states.py).
   A frame that breaks a rule moves nobody by itself: whoever gets it fails the connection, mostly with a Close of its
   own (section 7.1.7).

The lecture notes number no steps of WebSocket. The lab does: 1 the request, 2 the answer, 3 frames, 4 closing.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from lab.engine.table import Row, Table


class State(StrEnum):
    """RFC 6455 sections 4.1, 7.1.3 and 7.1.4."""

    CONNECTING = "CONNECTING"
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class Event(StrEnum):
    """A message is sent, or got, by its last byte; or TCP is closed."""

    SENT_UPGRADE_REQUEST = "sent upgrade-request"
    GOT_101 = "got 101"
    GOT_WRONG_101 = "got wrong 101"
    GOT_REFUSAL = "got refusal"
    SENT_TEXT = "sent text"
    GOT_TEXT = "got text"
    SENT_BINARY = "sent binary"
    GOT_BINARY = "got binary"
    SENT_CONTINUATION = "sent continuation"
    GOT_CONTINUATION = "got continuation"
    SENT_PING = "sent ping"
    GOT_PING = "got ping"
    SENT_PONG = "sent pong"
    GOT_PONG = "got pong"
    SENT_BAD_FRAME = "sent bad frame"
    GOT_BAD_FRAME = "got bad frame"
    SENT_CLOSE = "sent close"
    GOT_CLOSE = "got close"
    TCP_CLOSED = "TCP closed"
    GOT_UPGRADE_REQUEST = "got upgrade-request"
    SENT_101 = "sent 101"
    SENT_WRONG_101 = "sent wrong 101"
    SENT_REFUSAL = "sent refusal"


_CLIENT = (
    #   state          on                      goes to       step           RFC and section
    Row("CONNECTING", "sent upgrade-request",  "CONNECTING", "websocket.1", "6455 4.1"),
    Row("CONNECTING", "got 101",               "OPEN",       None,          "6455 4.1"),
    Row("CONNECTING", "got wrong 101",         "CONNECTING", None,          "6455 4.1"),  # it will close TCP
    Row("CONNECTING", "got refusal",           "CONNECTING", None,          "6455 4.1"),  # and may ask again: 401
)  # fmt: skip

_SERVER = (
    #   state          on                      goes to       step           RFC and section
    Row("CONNECTING", "got upgrade-request",   "CONNECTING", None,          "6455 4.2.1"),
    Row("CONNECTING", "sent 101",              "OPEN",       "websocket.2", "6455 4.2.2"),
    Row("CONNECTING", "sent wrong 101",        "OPEN",       "websocket.2", "6455 4.2.2"),  # so it believes
    Row("CONNECTING", "sent refusal",          "CONNECTING", None,          "6455 4.2.2"),
)  # fmt: skip

# The same at both ends.
_BOTH = (
    Row("OPEN",       "sent text",             "OPEN",       "websocket.3", "6455 5.6"),
    Row("OPEN",       "got text",              "OPEN",       None,          "6455 5.6"),
    Row("OPEN",       "sent binary",           "OPEN",       "websocket.3", "6455 5.6"),
    Row("OPEN",       "got binary",            "OPEN",       None,          "6455 5.6"),
    Row("OPEN",       "sent continuation",     "OPEN",       "websocket.3", "6455 5.4"),
    Row("OPEN",       "got continuation",      "OPEN",       None,          "6455 5.4"),
    Row("OPEN",       "sent ping",             "OPEN",       "websocket.3", "6455 5.5.2"),
    Row("OPEN",       "got ping",              "OPEN",       None,          "6455 5.5.2"),
    Row("OPEN",       "sent pong",             "OPEN",       "websocket.3", "6455 5.5.3"),
    Row("OPEN",       "got pong",              "OPEN",       None,          "6455 5.5.3"),
    Row("OPEN",       "sent bad frame",        "OPEN",       "websocket.3",         "6455 7.1.7"),
    Row("OPEN",       "got bad frame",         "OPEN",       None,          "6455 7.1.7"),
    # closing: whoever begins, the other end
    Row("OPEN",       "sent close",            "CLOSING",    "websocket.4", "6455 7.1.3"),
    Row("OPEN",       "got close",             "CLOSING",    None,          "6455 7.1.3"),
    Row("CLOSING",    "sent close",            "CLOSING",    "websocket.4", "6455 5.5.1"),
    Row("CLOSING",    "got close",             "CLOSING",    None,          "6455 5.5.1"),
    # the end, whatever went before
    Row("CLOSING",    "TCP closed",            "CLOSED",     None,          "6455 7.1.4"),
    Row("OPEN",       "TCP closed",            "CLOSED",     None,          "6455 7.1.5"),  # abnormal: 1006
    Row("CONNECTING", "TCP closed",            "CLOSED",     None,          "6455 4.1"),
)  # fmt: skip
# What may pass when a Close has: the other end has not heard it yet, or finishes a message first. Behind its own Close
# an end may still send Ping and Pong (sections 5.5.2 and 5.5.3); all else is a bad frame.
_LATE = (
    "sent text", "got text", "sent binary", "got binary", "sent continuation", "got continuation", "sent ping",
    "got ping", "sent pong", "got pong", "sent bad frame", "got bad frame",
)  # fmt: skip


def _whole(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Returns one end's rows, with those both ends have, and what is late."""
    both = {row.on: row for row in _BOTH if row.state == "OPEN"}
    late = (both[on]._replace(state="CLOSING", to="CLOSING", source="6455 5.5.1") for on in _LATE)
    return (*rows, *_BOTH, *late)


CLIENT = Table("websocket", State, Event, _whole(_CLIENT), {"client": State.CONNECTING})
SERVER = Table("websocket", State, Event, _whole(_SERVER), {"server": State.CONNECTING})
TABLES = {"client": CLIENT, "server": SERVER}
