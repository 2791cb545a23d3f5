"""Segments of an established connection that are as predicted: the engine may skip them, where all stands as it should.

What they say is known without it: nobody moves, all of them arrive, and both streams have come further. `may_skip` says
whether a conversation stands where a stretch of them begins, and nothing is open that one of them might decide; `skip`
takes it to where the stretch ends. Where a state may move before all have arrived, `follow` does, and leaves open what
is still under way then. Which segments are as predicted is found out elsewhere (`lab/bulk/prediction.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lab.model import Frame
from lab.protocols.tcp import delivery, still_open
from lab.protocols.tcp.conversation import Conversation, End, SegmentRecord
from lab.protocols.tcp.doubts import ahead_of
from lab.protocols.tcp.labels import letters_of, spell
from lab.protocols.tcp.segment import FIN, RST, SYN, Segment
from lab.protocols.tcp.states import State

_WRAP = 1 << 32
_MOVING = SYN | FIN | RST
_HAVE_SENT_FIN = frozenset((State.FIN_WAIT_1, State.FIN_WAIT_2))
_OPEN = frozenset((State.ESTABLISHED, State.CLOSE_WAIT, *_HAVE_SENT_FIN))
_DATA, _ACK = letters_of(("data",)), letters_of(("ACK",))


class Side(NamedTuple):
    """How far one end comes in a stretch: all numbers are raw, those of what it acknowledges are its peer's."""

    next_before: int  # the number behind the last that it had sent
    next: int
    acked_before: int  # by its last segment
    acked: int
    window_before: int  # of its last segment
    window: int
    stamp: int | None  # of its last segment with data
    data: int  # the place of the first segment with data, counted in both directions; -1 where there is none
    bare: int  # and of the first without any
    doubled: bool  # one may report that something has come twice (D-SACK)


class Stretch(NamedTuple):
    """Segments of a conversation, one behind the other; `first` is the end that sends the first of them."""

    first: Side
    other: Side
    packets: int
    last: int  # the number of the last packet

    @property
    def size(self) -> int:
        """The bytes that both ends send."""
        return sum((side.next - side.next_before) % _WRAP for side in (self.first, self.other))


def may_begin(which: Conversation, first: End) -> bool:
    """Whether a conversation stands where anything may be passed by: open, maybe one way only, and nothing odd."""
    if which.former is not None or which.latter is not None or which.reset_by or which.alone is not None:
        return False
    for end in (first, first.peer):
        if end.state not in _OPEN or end.owes or not end.syn_acked or end.aside:
            return False
        if end.isn is None or end.heard > end.next:  # what acknowledged more than that tells nothing of what has come
            return False
        if which.above is not None and (end.holes or end.state != State.ESTABLISHED):
            return False
        if (end.fin is not None) != (end.state in _HAVE_SENT_FIN) or end.fin_inferred is not None:
            return False
    return True


def may_skip(first: End, stretch: Stretch) -> bool:
    """Whether both ends stand where a stretch begins, and nothing is open that this could decide."""
    heard = _heard(first, stretch)
    for end, side, acked in zip((first, first.peer), (stretch.first, stretch.other), reversed(heard), strict=True):
        peer = end.peer
        if end.next_raw != side.next_before or end.window != side.window_before or peer.next_raw is None:
            return False
        if (peer.next_raw - peer.next + end.acked) % _WRAP != side.acked_before:
            return False
        if end.copies and _may_decide(end, stretch.other if end is first else stretch.first):
            return False
        if end.fin is not None and (side.data >= 0 or (not end.fin_acked and acked > end.fin)):
            return False
        # It may be got in between, and move somebody: but for a FIN, which is not before it is acknowledged.
        if any(each.segment.flags & _MOVING and not (each.new and each.stop - 1 == end.fin) for each in end.pending):
            return False
    return True


def closing(first: End) -> bool:
    """Whether a FIN of either end is under way: what is under way too may arrive in another state than it left in."""
    return any(end.fin is not None and not end.fin_acked for end in (first, first.peer))


def _may_decide(end: End, answers: Side) -> bool:
    """Whether what its peer says may tell which copy of something has come (`repetitions.py`)."""
    acked = end.relative(answers.acked)
    return answers.doubled or any(each.stamp is not None and each.first.stop <= acked for each in end.copies)


def skip(which: Conversation, first: End, stretch: Stretch) -> list[SegmentRecord]:
    """Takes a conversation to the end of a stretch; returns what of the packets before it has been got by then."""
    sides = ((first, stretch.first), (first.peer, stretch.other))
    heard = _heard(first, stretch)
    got: list[SegmentRecord] = []
    for (end, _), acked in zip(sides, heard, strict=True):
        peer = end.peer
        if acked > peer.heard:
            peer.heard = acked
            got += delivery.acknowledged(peer, acked)
    for end, _ in sides:
        got += delivery.rest(end)
    _go_on(which, first, stretch, heard)
    return sorted(got, key=lambda record: record.number)


def follow(
    which: Conversation, first: End, stretch: Stretch, steps: Iterable[still_open.Step]
) -> tuple[list[SegmentRecord], list[int]] | None:
    """Takes a conversation to the end of a stretch, step by step; returns what of the packets before it has been got by
    then, and the places of those segments that are still under way. None, and nothing is done, where nobody can tell.
    """
    heard = _heard(first, stretch)
    found = still_open.followed(first, steps)
    if found is None:
        return None
    for end, acked in zip((first, first.peer), heard, strict=True):
        end.peer.heard = max(end.peer.heard, acked)
    _go_on(which, first, stretch, heard)
    return found


def left(
    which: Conversation, end: End, frame: Frame, segment: Segment, labels: tuple[str, ...], seq: int, ack: int
) -> SegmentRecord:
    """Returns the record of a segment that `follow` has left open, to be taken in as sent when its turn comes."""
    record = SegmentRecord(frame, labels, segment, which, end, seq, seq + segment.payload)
    record.ack, record.new = ack, segment.payload > 0
    return record


def _heard(first: End, stretch: Stretch) -> list[int]:
    """Returns what each end has acknowledged with the last of a stretch.

    What is acknowledged once more is what it was: a number far away may look another from where the stream is now.
    """
    sides = ((first, stretch.first), (first.peer, stretch.other))
    return [end.acked if side.acked == side.acked_before else end.peer.relative(side.acked) for end, side in sides]


def _go_on(which: Conversation, first: End, stretch: Stretch, heard: list[int]) -> None:
    """Takes what is counted of both ends to where a stretch ends."""
    for end, side, acked in zip((first, first.peer), (stretch.first, stretch.other), heard, strict=True):
        end.acked, end.window = acked, side.window
        end.next += (side.next - side.next_before) % _WRAP
        end.next_raw = side.next
        if side.stamp is not None and (end.stamp is None or ahead_of(side.stamp, end.stamp) > 0):
            end.stamp = side.stamp
    _spell(which, first, stretch)
    which.packets += stretch.packets
    which.last = stretch.last


def _spell(which: Conversation, first: End, stretch: Stretch) -> None:
    """Writes the letters of the history that are new."""
    found = [
        (place, bit, end)
        for end, side in ((first, stretch.first), (first.peer, stretch.other))
        for place, bit in ((side.data, _DATA), (side.bare, _ACK))
        if place >= 0 and bit & ~end.history
    ]
    for _, bit, end in sorted(found, key=lambda each: each[0]):
        spell(which, end, bit)


def arrive(first: End, stretch: Stretch) -> None:
    """What has been skipped has arrived, or will have when the next that is not skipped does."""
    for end, side in ((first, stretch.other), (first.peer, stretch.first)):
        sent = side.next != side.next_before  # what was not captured before may never have arrived
        if end.got_next is None or (sent and end.got_next < end.peer.next):
            end.got_next = end.peer.next
