"""What a TCP segment says to the table: when it is sent, and when it has arrived.

A segment that repeats what was said before says it again only where that matters: an acknowledgement is a step each
time it answers a SYN or a FIN, but moves its receiver once.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.model import ACK, FIN, RST, SYN, Rung
from lab.protocols.tcp.conversations import Conversation, End
from lab.protocols.tcp.states import TABLE

_NOTHING: tuple[str, ...] = ()
_SPECIAL, _SYN_RST = SYN | FIN | RST, SYN | RST
_MOST_ASIDE = 256  # pieces an end keeps ahead of order


def begin(conversation: Conversation) -> None:
    """Puts both ends where the table has them start; where the first SYN is missing, nobody knows where they are."""
    conversation.began["tcp.open"] = "client"
    if conversation.client.isn is not None:
        for end in conversation.ends:
            end.state = TABLE.starts[end.role]
        conversation.assumed = ("server",)  # that it listens, until its first answer
    elif not conversation.from_syn:
        for end in conversation.ends:
            end.syn_acked = True


def sent(rung: Rung) -> Iterable[str]:
    """Returns the events that the segment is for its sender."""
    segment, end = rung.segment, rung.end
    if segment is None or end is None:
        return _NOTHING
    if end.state == "SYN-SENT" and not segment.flags & _SYN_RST and end.peer.unheard:
        return _answered(rung, end)
    if not (segment.flags & _SPECIAL or end.owes):
        return _NOTHING
    flags = segment.flags
    conversation = rung.conversation
    if conversation is not None and end.role == "server" and conversation.client.isn is not None:
        conversation.assumed = ()  # its first answer
    if flags & RST:
        if conversation is not None and conversation.reset_by is None and not (end.fin_acked and end.peer.fin_acked):
            conversation.reset_by = end.role
        return ("sent RST",)
    if flags & SYN:
        end.owes &= ~SYN
        return ("sent SYN-ACK",) if flags & ACK else ("sent SYN",)
    said = []
    if rung.ack is not None:
        if end.owes & SYN and rung.ack > 0:
            end.owes &= ~SYN
            said.append("sent ACK of SYN")
        if end.owes & FIN and end.peer.fin is not None and rung.ack > end.peer.fin:
            end.owes &= ~FIN
            said.append("sent ACK of FIN")
    if flags & FIN:
        said.append("sent FIN")
    return said


def _answered(rung: Rung, end: End) -> Iterable[str]:
    """What it acknowledges was not captured, but without a SYN-ACK it could not: so that has come."""
    end.syn_acked, end.got_next = True, rung.ack
    said = ("got SYN-ACK", "sent ACK of SYN")
    return (*said, "sent FIN") if rung.segment is not None and rung.segment.flags & FIN else said


def got(rung: Rung) -> Iterable[str]:
    """Returns the events that the segment, now that it has arrived, is for its receiver."""
    segment = rung.segment
    if segment is None or rung.end is None:
        return _NOTHING
    flags, end = segment.flags, rung.end.peer
    if flags & RST:
        return _got_rst(rung, end)
    if flags & SYN:
        return _got_syn(rung, end)
    fin = bool(flags & FIN)
    quiet = not fin and end.syn_acked and (end.fin is None or end.fin_acked) and end.aside is None
    if quiet and (end.got_next is None or rung.seq <= end.got_next):
        # The usual packet: nothing to say, only the stream goes on.
        if end.got_next is None or rung.stop > end.got_next:
            end.got_next = rung.stop
        return _NOTHING
    said = []
    if rung.ack is not None:
        if not end.syn_acked and rung.ack > 0:
            end.syn_acked = True
            said.append("got ACK of SYN")
        if end.fin is not None and not end.fin_acked and rung.ack > end.fin:
            end.fin_acked = True
            said.append("got ACK of FIN")
    if _advance(end, rung.seq, rung.stop, fin):
        if not end.got_fin:
            said.append("got FIN")
        end.got_fin = True
        end.owes |= FIN
    return said


def _got_rst(rung: Rung, end: End) -> Iterable[str]:
    """A reset counts where it is exactly the next in order (RFC 5961 section 3.2), or answers the SYN."""
    if end.state == "SYN-SENT":
        return ("got RST",) if rung.ack is not None and 0 < rung.ack <= end.next else _NOTHING
    if end.got_next is not None and rung.seq != end.got_next:
        return _NOTHING
    if end.state == "SYN-RECEIVED" and not end.opened_passively:
        return ("got RST (active)",)
    return ("got RST",)


def _got_syn(rung: Rung, end: End) -> Iterable[str]:
    answers = rung.ack is not None and 0 < rung.ack <= end.next
    if end.got_next is None:
        if rung.ack is not None and not answers:
            return _NOTHING  # acknowledges a SYN that was never sent: answered with RST, not believed
        end.got_next = rung.seq + 1 if end.acked == rung.seq + 1 else rung.stop  # its data may not have been taken
        end.owes |= SYN
        if answers:
            end.syn_acked = True
            return ("got SYN-ACK",)
        end.opened_passively = end.state == "LISTEN"
        return ("got SYN",)
    if answers and not end.syn_acked:  # the second half of a simultaneous open
        end.syn_acked = True
        return ("got SYN-ACK",)
    end.owes |= SYN
    return _NOTHING


def _advance(end: End, start: int, stop: int, fin: bool) -> bool:
    """Takes in a piece of the peer's stream; returns whether a FIN has been reached, for the first time or again."""
    if end.got_next is None:
        end.got_next = start
    if start > end.got_next:
        end.aside = [*(end.aside or ())[1 - _MOST_ASIDE :], (start, stop, fin)]
        return False
    reached = fin
    end.got_next = max(end.got_next, stop)
    while end.aside and (ready := [piece for piece in end.aside if piece[0] <= end.got_next]):
        end.aside = [piece for piece in end.aside if piece not in ready] or None
        end.got_next = max(end.got_next, *(piece[1] for piece in ready))
        reached = reached or any(piece[2] for piece in ready)
    return reached
