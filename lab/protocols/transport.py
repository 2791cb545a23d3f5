"""What is there of the one transport that the lab has, for those that can't ask its descriptor packet by packet.

When there is a second one, this is where they are told apart.
"""

from __future__ import annotations

from lab.engine.conversation import LANES
from lab.protocols.tcp import header
from lab.protocols.tcp.conversation import LEAST_LARGE
from lab.protocols.tcp.delivery import MOST_PENDING
from lab.protocols.tcp.icmp import Quoted
from lab.protocols.tcp.predicted import Side, Stretch, arrive, closing, follow, left, may_begin, may_skip, skip
from lab.protocols.tcp.report import community_id, conn_state
from lab.protocols.tcp.room import MOST_IN_A_LANE, Elsewhere, UnsureError
from lab.protocols.tcp.segment import ACK, FIN, FLAGS, FRAGMENT, PSH, RST, SYN, TCP, Segment, flag_names, segment

NUMBER = TCP  # IANA's
FIELDS = {NUMBER: header.read}  # what takes apart what IP carries

__all__ = [
    "ACK", "FIELDS", "FIN", "FLAGS", "FRAGMENT", "LANES", "LEAST_LARGE", "MOST_IN_A_LANE", "MOST_PENDING", "NUMBER",
    "PSH", "RST", "SYN", "Elsewhere", "Quoted", "Segment", "Side", "Stretch", "UnsureError", "arrive", "closing",
    "community_id", "conn_state", "flag_names", "follow", "left", "may_begin", "may_skip", "segment", "skip",
]  # fmt: skip
