"""TCP as RFC 9293 draws it (section 3.3.2, figure 5, with the resets and repetitions of sections 3.5 to 3.10).

This is the one table; both ends of every connection walk it, independently.

1. An end changes its state only when it sends or gets something. "Sent" is when the segment leaves, "got" when it has
   arrived: between the two lies the network, and a segment may be lost there. Timers are not seen on the wire: here a
   TIME-WAIT does not expire.
2. `events.py` names the events. A segment can have several, walked in this order: "ACK of SYN", "ACK of FIN", "FIN".
   One that has none, such as plain data, moves nothing.
3. An event without a row, such as a SYN got in CLOSED, moves nothing and is noted on the ladder as a surprise.
   A repetition that can move nothing is no event (`events.py`).

A step is a number of the lecture notes: `open.3/2` is step 3 where the end that opened does it and step 2 where the
other end does, so a server's SYN-ACK is step 2; `close.1/3` is step 1 for the end that closes first, 3 for the other.
"""

from __future__ import annotations

from enum import StrEnum

from lab.engine.protocol import Phase
from lab.engine.table import Row, Table


class State(StrEnum):
    """RFC 9293 section 3.3.2."""

    CLOSED = "CLOSED"
    SYN_SENT = "SYN-SENT"
    LISTEN = "LISTEN"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    CLOSE_WAIT = "CLOSE-WAIT"
    FIN_WAIT_2 = "FIN-WAIT-2"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"
    CLOSING = "CLOSING"


class Event(StrEnum):
    """What happens to an end: it sends something, or gets it."""

    SENT_SYN = "sent SYN"
    GOT_SYN = "got SYN"
    SENT_SYN_ACK = "sent SYN-ACK"
    GOT_SYN_ACK = "got SYN-ACK"
    SENT_ACK_OF_SYN = "sent ACK of SYN"
    GOT_ACK_OF_SYN = "got ACK of SYN"
    SENT_FIN = "sent FIN"
    GOT_FIN = "got FIN"
    SENT_ACK_OF_FIN = "sent ACK of FIN"
    GOT_ACK_OF_FIN = "got ACK of FIN"
    GOT_RST = "got RST"
    GOT_RST_ACTIVE = "got RST (active)"
    SENT_RST = "sent RST"


ROWS = (
    #   state           on                 goes to         step                RFC 9293 section
    # opening: the client's side, the server's side
    Row("CLOSED",       "sent SYN",        "SYN-SENT",     "tcp.open.1",       "3.10.1"),
    Row("LISTEN",       "got SYN",         "SYN-RECEIVED", None,               "3.10.7.2"),
    Row("SYN-RECEIVED", "sent SYN-ACK",    "SYN-RECEIVED", "tcp.open.3/2",     "3.5"),
    Row("SYN-SENT",     "got SYN-ACK",     "ESTABLISHED",  None,               "3.10.7.3"),
    Row("ESTABLISHED",  "sent ACK of SYN", "ESTABLISHED",  "tcp.open.3",       "3.10.7.3"),
    Row("SYN-RECEIVED", "got ACK of SYN",  "ESTABLISHED",  "tcp.open.4",       "3.10.7.4"),
    # opening, less usual: both ends at once, and a SYN that is sent again
    Row("LISTEN",       "sent SYN",        "SYN-SENT",     "tcp.open.1",       "3.10.2"),
    Row("SYN-SENT",     "sent SYN",        "SYN-SENT",     "tcp.open.1",       "3.8.1"),
    Row("SYN-SENT",     "got SYN",         "SYN-RECEIVED", None,               "3.10.7.3"),
    Row("SYN-RECEIVED", "got SYN-ACK",     "ESTABLISHED",  "tcp.open.4",       "3.10.7.4"),
    Row("ESTABLISHED",  "sent SYN-ACK",    "ESTABLISHED",  "tcp.open.3/2",     "3.8.1"),  # the other end's was lost
    # a listener that answers with a SYN cookie (RFC 4987 section 3.6) keeps nothing until that comes back
    Row("LISTEN",       "sent SYN-ACK",    "LISTEN",       "tcp.open.3/2",     "RFC 4987 3.6"),
    Row("LISTEN",       "got ACK of SYN",  "ESTABLISHED",  "tcp.open.4",       "RFC 4987 3.6"),
    # opening, other ways to answer: the SYN-ACK in two segments; one ACK of SYN, data and FIN
    Row("SYN-RECEIVED", "sent ACK of SYN", "SYN-RECEIVED", "tcp.open.3/2",     "3.5"),
    Row("SYN-RECEIVED", "sent SYN",        "SYN-RECEIVED", "tcp.open.3/2",     "3.5"),
    Row("CLOSE-WAIT",   "sent ACK of SYN", "CLOSE-WAIT",   "tcp.open.3",       "3.10.7.4"),
    # closing: the end that closes first, the other end
    Row("ESTABLISHED",  "sent FIN",        "FIN-WAIT-1",   "tcp.close.1/3",    "3.10.4"),
    Row("ESTABLISHED",  "got FIN",         "CLOSE-WAIT",   None,               "3.10.7.4"),
    Row("CLOSE-WAIT",   "sent ACK of FIN", "CLOSE-WAIT",   "tcp.close.2",      "3.10.7.4"),
    Row("FIN-WAIT-1",   "got ACK of FIN",  "FIN-WAIT-2",   None,               "3.10.7.4"),
    Row("CLOSE-WAIT",   "sent FIN",        "LAST-ACK",     "tcp.close.3",      "3.10.4"),
    Row("FIN-WAIT-2",   "got FIN",         "TIME-WAIT",    None,               "3.10.7.4"),
    Row("TIME-WAIT",    "sent ACK of FIN", "TIME-WAIT",    "tcp.close.4/2",    "3.10.7.4"),
    Row("LAST-ACK",     "got ACK of FIN",  "CLOSED",       None,               "3.10.7.4"),
    # closing, less usual: both at once, before the opening is complete, and a FIN that is sent again
    Row("FIN-WAIT-1",   "got FIN",         "CLOSING",      None,               "3.10.7.4"),
    Row("CLOSING",      "sent ACK of FIN", "CLOSING",      "tcp.close.4/2",    "3.10.7.4"),
    Row("CLOSING",      "got ACK of FIN",  "TIME-WAIT",    None,               "3.10.7.4"),
    Row("SYN-RECEIVED", "sent FIN",        "FIN-WAIT-1",   "tcp.close.1/3",    "3.10.4"),
    Row("FIN-WAIT-1",   "got ACK of SYN",  "FIN-WAIT-1",   "tcp.open.4",       "3.10.7.4"),
    Row("FIN-WAIT-1",   "sent FIN",        "FIN-WAIT-1",   "tcp.close.1/3",    "3.8.1"),
    Row("CLOSING",      "sent FIN",        "CLOSING",      "tcp.close.1/3",    "3.8.1"),
    Row("LAST-ACK",     "sent FIN",        "LAST-ACK",     "tcp.close.3",      "3.8.1"),
    Row("LAST-ACK",     "sent ACK of FIN", "LAST-ACK",     "tcp.close.2",      "3.10.7.4"),
    # resetting
    Row("SYN-SENT",     "got RST",         "CLOSED",       None,               "3.10.7.3"),
    Row("SYN-RECEIVED", "got RST",         "LISTEN",       None,               "3.10.7.4"),
    Row("SYN-RECEIVED", "got RST (active)", "CLOSED",      None,               "3.10.7.4"),  # after an active open
    Row("ESTABLISHED",  "got RST",         "CLOSED",       None,               "3.10.7.4"),
    Row("FIN-WAIT-1",   "got RST",         "CLOSED",       None,               "3.10.7.4"),
    Row("FIN-WAIT-2",   "got RST",         "CLOSED",       None,               "3.10.7.4"),
    Row("CLOSE-WAIT",   "got RST",         "CLOSED",       None,               "3.10.7.4"),
    Row("CLOSING",      "got RST",         "CLOSED",       None,               "3.10.7.4"),
    Row("LAST-ACK",     "got RST",         "CLOSED",       None,               "3.10.7.4"),
    Row("TIME-WAIT",    "got RST",         "CLOSED",       None,               "3.10.7.4"),
    Row("CLOSED",       "got RST",         "CLOSED",       None,               "3.10.7.1"),
    Row("LISTEN",       "got RST",         "LISTEN",       None,               "3.10.7.2"),
    Row("ESTABLISHED",  "sent RST",        "CLOSED",       None,               "3.10.5"),
    Row("SYN-SENT",     "sent RST",        "SYN-SENT",     None,               "3.10.7.3"),
    Row("SYN-RECEIVED", "sent RST",        "CLOSED",       None,               "3.10.5"),
    Row("FIN-WAIT-1",   "sent RST",        "CLOSED",       None,               "3.10.5"),
    Row("FIN-WAIT-2",   "sent RST",        "CLOSED",       None,               "3.10.5"),
    Row("CLOSE-WAIT",   "sent RST",        "CLOSED",       None,               "3.10.5"),
    Row("CLOSING",      "sent RST",        "CLOSED",       None,               "3.6.1"),
    Row("LAST-ACK",     "sent RST",        "CLOSED",       None,               "3.6.1"),
    Row("TIME-WAIT",    "sent RST",        "CLOSED",       None,               "3.6.1"),
    Row("CLOSED",       "sent RST",        "CLOSED",       None,               "3.10.7.1"),
    Row("LISTEN",       "sent RST",        "LISTEN",       None,               "3.10.7.2"),
)  # fmt: skip

# Where an end is done with a connection: whoever stands on TCP hears that it is closed. In TIME-WAIT only TCP itself
# still waits (RFC 9293 section 3.6.1).
ENDED = frozenset({State.TIME_WAIT, State.CLOSED})

# RFC 9293 section 3.3.2 tells them apart: no connection, opening, data may flow, closing, waiting for what is late.
PHASES: dict[str, Phase] = {
    State.CLOSED: "closed", State.LISTEN: "closed",
    State.SYN_SENT: "opening", State.SYN_RECEIVED: "opening",
    State.ESTABLISHED: "open",
    State.FIN_WAIT_1: "closing", State.FIN_WAIT_2: "closing", State.CLOSE_WAIT: "closing", State.CLOSING: "closing",
    State.LAST_ACK: "closing",
    State.TIME_WAIT: "waiting",
}  # fmt: skip

# Where the two ends start. That somebody listens is an assumption until the first answer shows it.
TABLE = Table("tcp", State, Event, ROWS, {"client": State.CLOSED, "server": State.LISTEN}, "RFC 9293")
TABLES = {"client": TABLE, "server": TABLE}
