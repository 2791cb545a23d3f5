"""Which copy of what was sent more than once has arrived: what the acknowledgement is for says it, as far as it does.

A later copy was needed, and those before it were lost, unless something speaks against that:

- the acknowledgement echoes a timestamp from before the later copy (RFC 3522, RFC 7323): it is for an earlier one;
- it reports the same bytes twice (D-SACK, RFC 2883): both have come, as a rule a little later than the acknowledgement
  itself, so where there may be such reports and no timestamps, they are waited for;
- the receiver's window was closed when the earlier copy was sent: it may have come and been refused.

Where nothing acknowledges any copy, nobody knows of any.
"""

from __future__ import annotations

from lab.protocols.tcp.conversation import Copy, End, SegmentRecord
from lab.protocols.tcp.segment import SYN, options

_MOST_SEARCHED = 512  # packets of one end
_MOST_COPIES = 512  # of one end; the oldest is given up for more
_NOP, _SACK, _TIMESTAMPS = 1, 5, 8
_WRAP, _HALF = 1 << 32, 1 << 31


def replaced(end: End, again: SegmentRecord) -> None:
    """Takes from what `end` has pending what it sends again. That is among the oldest."""
    oldest = end.pending[:_MOST_SEARCHED]
    found = [item for item in oldest if item.new and _repeats(again, item)]
    if not found:
        return
    # Before all that is older was acknowledged, an echo may be of something older still (RFC 7323 section 4.3).
    stamp = _stamps(again)[0] if end.heard >= found[0].seq else None
    for item in found:
        item.new = False
        end.give_up(item)
        end.copies.append(Copy(item, again, stamp))
    numbers = {item.number for item in found}
    end.pending[:_MOST_SEARCHED] = [item for item in oldest if item.number not in numbers]
    while len(end.copies) > _MOST_COPIES:
        _give_up(end.copies.pop(0).first)


def _repeats(again: SegmentRecord, item: SegmentRecord) -> bool:
    """Whether it is all sent again, or a part of what an ICMP error has answered: too large, it comes in pieces."""
    errors = item.conversation.errors
    if errors and item.number in errors:
        return again.seq < item.stop and item.seq < again.stop
    return again.seq <= item.seq and item.stop <= again.stop


def crossed(end: End, record: SegmentRecord) -> None:
    """Takes an acknowledgement for the earlier copy, where its sender repeats what the later one has acknowledged.

    So it had not got that one: the two crossed, and the later copy comes when the earlier one has come already.
    """
    for copy in end.copies:
        first, again, _ = copy
        if again in end.pending and again.new and (first.ack or 0) <= record.seq < (again.ack or 0):
            end.copies = [each for each in end.copies if each is not copy]
            end.pending.insert(end.pending.index(again), first)
            first.new, again.new, end.floor = True, False, 0
            return


def acknowledged(end: End, record: SegmentRecord, ack: int) -> list[SegmentRecord]:
    """Returns those copies of `end` that an acknowledgement shows to have been got, and says which it shows lost."""
    echo, doubled = _stamps(record)[1], _doubled(record, end, ack)
    got: list[SegmentRecord] = []
    kept: list[Copy] = []
    for copy in end.copies:
        first, again, stamp = copy
        twice = doubled is not None and doubled[0] < first.stop and first.seq < doubled[1]
        earlier = stamp is not None and echo is not None and (echo - stamp) % _WRAP >= _HALF
        if twice or (first.stop <= ack and earlier):
            needless = not twice and any(each.seq < first.stop and first.seq < each.stop for each in got)
            first.by = "inferred" if needless else "acknowledged"
            got.append(first)
            if not twice and again.by == "acknowledged":  # for all that this acknowledgement says of it
                again.by = "inferred"
        elif first.stop > ack or (stamp is None and _reports(end) and not first.segment.flags & SYN):
            kept.append(copy)
        else:
            _decide(end, first)
    end.copies = kept
    return got


def waiting(end: End) -> list[SegmentRecord]:
    """Returns the copies of which nothing is known yet."""
    return [copy.first for copy in end.copies]


def after_long(end: End, record: SegmentRecord) -> None:
    """Nothing has been said against a copy for long: where a later one was acknowledged, that was needed."""
    if end.copies and record.stop <= end.heard and any(copy.first is record for copy in end.copies):
        end.copies = [copy for copy in end.copies if copy.first is not record]
        _decide(end, record)


def at_the_end(end: End) -> None:
    """Nothing more will be said."""
    for first, _, _ in end.copies:
        if first.stop <= end.heard:
            _decide(end, first)
        else:
            _give_up(first)
    end.copies.clear()


def _decide(end: End, first: SegmentRecord) -> None:
    if not end.shut_out or first.number not in end.shut_out:
        first.by = "inferred"
    _give_up(first)


def _give_up(first: SegmentRecord) -> None:
    if not first.settled:
        first.conversation.not_got(first)


def _reports(end: End) -> bool:
    """Whether what arrives twice of an end is reported: both have offered selective acknowledgements."""
    return all(each.options is not None and options(each.options).sack_permitted for each in (end, end.peer))


def _stamps(record: SegmentRecord) -> tuple[int | None, int | None]:
    """Returns the timestamp of a segment and the one that it echoes; an echo of 0 is none."""
    found = _option(record, _TIMESTAMPS)
    if len(found) != 8:
        return None, None
    return int.from_bytes(found[:4], "big"), int.from_bytes(found[4:], "big") or None


def _doubled(record: SegmentRecord, end: End, ack: int) -> tuple[int, int] | None:
    """Returns the part of the stream of `end` that a segment reports to have come twice (RFC 2883 section 4)."""
    blocks = _option(record, _SACK)
    edges = [end.relative(int.from_bytes(blocks[at : at + 4], "big")) for at in range(0, len(blocks) - 3, 4)]
    if len(edges) < 2:
        return None
    start, stop = edges[:2]
    within = len(edges) >= 4 and edges[2] <= start and stop <= edges[3]
    return (start, stop) if start < stop and (stop <= ack or within) else None


def _option(record: SegmentRecord, kind: int) -> bytes:
    """Returns what a TCP option holds, nothing where the segment has none such."""
    frame, segment = record.whole or record.frame, record.segment
    if frame is None:
        return b""
    data = frame.data[segment.header + 20 : segment.start]
    at = 0
    while at + 1 < len(data) and data[at]:
        size = 1 if data[at] == _NOP else data[at + 1]
        if size < 1:
            break
        if data[at] == kind:
            return data[at + 2 : at + size]
        at += size
    return b""
