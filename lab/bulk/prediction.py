"""Which segments say nothing but that their streams go on: header prediction, of all segments at once.

In an established connection most segments are what both ends expect (V. Jacobson's header prediction, RFC 7323 appendix
C): no flag but ACK and PSH, data that begin where the last ended, an acknowledgement that goes on or stands. They move
no table. What is said of each, its labels, numbers, and that it has arrived, follows from how far both streams have
come, and that is a running maximum in each direction.

All else goes through the engine: what opens, closes, resets, repeats, leaves a gap, looks odd or may begin a protocol.
With it goes what that depends on: of what is sent again the first copy, and what tells which has come. So the engine
has before it all it could ask for, and stays the only judge; `passing.py` lets it skip the stretches between only where
its own numbers are those that are predicted here. Of what may move a state it is asked what was under way then, for
that may arrive in another state than it left in: such stretches are marked `open`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lab.bulk.headers import RIGHT, WRONG, Packets
from lab.bulk.scan import Array
from lab.protocols.transport import ACK, FIN, MOST_PENDING, PSH, RST, SYN

DATA, BARE, UPDATE, DUPLICATE = range(4)  # what a segment that was predicted is
_LABELS = {DATA: ("data",), BARE: ("ACK",), UPDATE: ("ACK", "window-update"), DUPLICATE: ("ACK", "duplicate-ack")}
_HALF, _MASK = 1 << 31, (1 << 32) - 1
_APART = 1 << 34  # more than two numbers of one stream can lie apart
_NEVER = -(1 << 32)  # less than any number
_FAR = 1 << 30  # the largest window (RFC 7323): an acknowledgement of less than that may as well be of what is to come
_LEAST, _LEAST_OPEN = 3, 6  # segments in a stretch that are worth it, and in one that stays open
_FEW = 16  # segments before some that stay open that are not worth a stretch of their own
_MOST_ALIKE = 8  # acknowledgements with the same bytes; the engine looks at no more of them
MANY_OPTIONS = 20  # bytes beside a header: more than timestamps need
_PATIENCE = 60_000  # packets: an acknowledgement that comes later may come too late for the row


class Wanted(NamedTuple):
    """What is wanted of packets: what became of each, and how that left what it carries. Else only conversations."""

    fates: bool = True
    above: bool = False


class Predicted(NamedTuple):
    """Segments conversation by conversation (`order` are their places among all packets), and the stretches of them.

    Numbers are relative to the first segment that its sender has in these packets.
    """

    order: Array
    segments: Packets  # in this order
    conversation: Array  # an index
    back: Array  # sent by the other end than the one whose side is 0
    seq: Array
    ack: Array
    reach: Array  # how far the sender's stream has come with it
    told: Array  # how far the sender has acknowledged with it
    before: Array  # the place of its sender's segment before, in this order
    theirs: Array  # and of the other end's, -1 where that has none
    kind: Array  # DATA and so on
    starts: Array  # of stretches, in this order; as are the ends
    ends: Array
    open: Array  # of each stretch, whether what it sends may still be under way when a state moves


def predicted(
    packets: Packets, which_: Array, round_: int, plain: Array, wanted: Wanted, whole: int = 0, crowded: bool = False
) -> Predicted:
    """Returns the stretches of segments that go as predicted; `which_` are their places: usual segments only.

    None has segments from two rounds (numbers divided by `round_`), nor any that are `plain`. From number `whole` on
    all packets are here that may be copies of each other. Where it is `crowded`, conversations may be let go of between
    two rounds.
    """
    count = len(which_)
    by_key = np.argsort((packets.source + packets.destination)[which_], kind="stable")
    order, plain = which_[by_key], plain[by_key]
    it = packets.part(order)
    del packets
    key = it.source + it.destination
    places = np.arange(count)
    new = np.ones(count, bool)
    new[1:] = key[1:] != key[:-1]
    which = np.cumsum(new) - 1
    begins = np.maximum.accumulate(np.where(new, places, 0))  # of its conversation
    back = it.source > it.destination
    side = which * 2 + back
    flags, payload = it.flags, it.payload

    # Each direction by itself.
    by_side = np.argsort(side, kind="stable")
    sides = side[by_side]
    first = np.ones(count, bool)
    first[1:] = sides[1:] != sides[:-1]
    begin = np.maximum.accumulate(np.where(first, places, 0))
    away = sides * _APART
    seq_ = it.seq[by_side]
    relative = (seq_ - seq_[begin] + _HALF & _MASK) - _HALF
    counts_ = ((flags & RST) == 0)[by_side] & (it.problem != WRONG)[by_side]
    taken_ = (payload + ((flags & SYN) > 0) + ((flags & FIN) > 0))[by_side]
    reached = np.maximum.accumulate(np.where(counts_, relative + taken_, _NEVER) + away)
    base, seq, reach = (np.empty(count, np.int64) for _ in range(3))
    base[by_side], seq[by_side], reach[by_side] = seq_[begin], relative, reached - away
    taken, counts = payload + ((flags & SYN) > 0) + ((flags & FIN) > 0), np.empty(count, bool)
    counts[by_side] = counts_

    # Both together.
    latest = [np.maximum.accumulate(np.where(back == way, places, -1)) for way in (False, True)]
    mine = np.full(count, -1)
    mine[1:] = np.where(back[1:], latest[1][:-1], latest[0][:-1])  # its sender's segment before
    theirs = np.where(back, latest[0], latest[1])  # the other end's
    spoke, heard = mine >= begins, theirs >= begins
    ack = (it.ack - base[theirs] + _HALF & _MASK) - _HALF
    acks = ((flags & ACK) > 0) & counts & heard
    true = acks & (ack <= reach[theirs]) & (ack > reach[theirs] - _FAR)
    told_ = np.maximum.accumulate(np.where(true, ack, _NEVER)[by_side] + away)
    told = np.empty(count, np.int64)  # how far its sender has acknowledged
    told[by_side] = told_ - away

    usual = ((flags & ~PSH) == ACK) & (it.problem != WRONG) & (it.window > 0) & true & spoke & ~plain
    usual &= (seq == reach[mine]) & acks[mine] & (it.ttl == it.ttl[mine]) & (it.source != it.destination)
    data, on, stands = payload > 0, ack > ack[mine], ack == ack[mine]
    aged = (it.stamp - it.stamp[mine] + _HALF & _MASK) - _HALF
    sound = (it.stamp < 0) | (it.stamp[mine] < 0) | (aged >= 0)
    alone = _alone(it, side, ~data)
    again = stands & (it.problem == RIGHT) & (it.number >= whole)
    usual &= np.where(data, (on | stands) & sound, (on | again) & alone)
    fins = np.flatnonzero(((flags & FIN) > 0) & counts)
    over = np.full(2 * count, _APART)  # where the stream of each side ends
    over[side[fins]] = reach[fins]
    usual &= (told < over[side ^ 1]) | (told[mine] >= over[side ^ 1])  # what acknowledges a FIN moves both
    updates = it.window != it.window[mine]
    kind = np.where(data, DATA, np.where(on, BARE, np.where(updates, UPDATE, DUPLICATE)))
    kind[(kind == DUPLICATE) & (reach[theirs] <= ack)] = BARE  # nothing is outstanding

    # What the engine sees: what is not as predicted, and what that repeats. Where it may move a state, what was under
    # way then stays open.
    odd = np.flatnonzero(~usual)
    repeats = odd[(taken[odd] > 0) & spoke[odd] & (seq[odd] < reach[mine[odd]])]
    known = np.where(heard, told[theirs], _NEVER)
    needless = repeats[known[repeats] > seq[repeats]]
    ahead = spoke[odd] & (taken[odd] > 0) & (seq[odd] > reach[mine[odd]])  # what is missing nobody may ever see
    moving = odd[((flags[odd] & (SYN | FIN | RST)) > 0) | ~true[odd] | (ahead & wanted.above)]
    rounds = it.number // round_
    # The last of each conversation: what comes behind it nobody knows yet.
    last = np.flatnonzero(np.append(new[1:] | (crowded & (rounds[1:] != rounds[:-1])), True)[:count])
    if not wanted.fates:  # whether a RST counts depends on what is under way, whoever asks; nothing else does
        moving, needless, last = moving[(flags[moving] & RST) > 0], needless[:0], last[:0]
    # An acknowledgement is taken to arrive only behind what its sender has under way, and not by one that acknowledges
    # more of what it had got before: what was under way two segments of the other end before may still keep it open.
    theirs_, asked_ = (np.where(known_, before, each) for known_, before, each in (
        (heard[moving], theirs[moving], moving), (spoke[needless], mine[needless], needless),
    ))  # fmt: skip
    earlier = [np.where(spoke[each], mine[each], each) for each in (theirs_, asked_)]
    at = np.concatenate([moving, theirs_, earlier[0], needless, asked_, earlier[1], last + 1])
    until = np.concatenate([*[moving] * 3, *[needless] * 3, last]) + 1
    first_of, since = begins[until - 1], until
    for way in (0, 1):
        said = latest[1 - way][at - 1]  # the last before it by the end which acknowledges this way's stream
        heard_of = np.where((said >= first_of) & (at > 0), told[said], _NEVER)
        first_open = _first_beyond(reached, sides, by_side, which[until - 1] * 2 + way, heard_of, at)
        # Something may be under way from before these packets.
        since = np.where(heard_of < 0, first_of, np.minimum(since, first_open))
    under_way = _between(since, until, count)
    seen = ~usual
    seen[by_side[_copied(reached, sides, side[repeats], seq[repeats], taken[repeats])]] = True
    carrying = np.flatnonzero(data)
    seen[carrying[np.unique(which[carrying], return_index=True)[1]]] = True  # it may begin a protocol
    twins = np.concatenate([repeats, np.flatnonzero(~data & ~alone & spoke)])
    seen[mine[twins]] = True  # what its sender has said before tells whether it numbers its packets
    run = first.copy()
    run[1:] |= it.ident[by_side][1:] != it.ident[by_side][:-1]
    other = np.empty(count, np.int64)  # its sender's last with another identification, in the order side by side
    other[by_side] = np.where(first, -1, np.maximum.accumulate(np.where(run, places, 0)) - 1)
    numbered = twins[(other[twins] >= 0) & (side[by_side[other[twins]]] == side[twins])]
    seen[by_side[other[numbered]]] = True
    asks = np.maximum.accumulate(np.where((kind == DUPLICATE) & usual, places, -1))[repeats]
    seen[asks[asks >= begins[repeats]]] = True  # what is asked for is sent again soon
    quiet = ~(seen | _answering(it, side, by_side, told_, repeats, on, seq, seq + taken))

    # Where an acknowledgement comes very late, rows are shown before it; where it comes behind very many, the oldest of
    # them have been given up.
    sent = np.flatnonzero(data)
    end = by_side[np.minimum(_first_reaching(told_, side[sent] ^ 1, reach[sent]), count - 1)]
    before = np.searchsorted(sides * count + by_side, side[sent] * count + end)
    after = np.searchsorted(sides * count + by_side, side[sent] * count + sent)
    late = (it.number[end] - it.number[sent] > _PATIENCE) | (before - after > MOST_PENDING)
    quiet &= ~np.isin(which, which[sent[late]])

    same = np.zeros(count, bool)
    same[1:] = (which[1:] == which[:-1]) & quiet[1:] & quiet[:-1] & (rounds[1:] == rounds[:-1])
    parted = ~same
    parted[1:] |= under_way[1:] != under_way[:-1]
    edge = np.flatnonzero(parted)
    few = np.flatnonzero(same[edge[1:]] & ~under_way[edge[:-1]] & (np.diff(edge) < _FEW))
    edge = np.delete(edge, few + 1)
    stops = np.append(edge[1:], count)[: len(edge)]
    open_ = under_way[stops - 1]
    worth = quiet[edge] & (stops - edge >= np.where(open_, _LEAST_OPEN, _LEAST))
    edge, stops, open_ = edge[worth], stops[worth], open_[worth]
    return Predicted(order, it, which, back, seq, ack, reach, told, mine, theirs, kind, edge, stops, open_)


def labels(kind: int, unfinished: bool, large: bool) -> tuple[str, ...]:
    """Returns what a segment that was predicted is called."""
    return _LABELS[kind] + ("unfinished-checksum",) * unfinished + ("larger-than-mss",) * large


def _between(since: Array, until: Array, count: int) -> Array:
    """Returns which of so many places lie in any of these ranges."""
    edges = np.zeros(count + 1, np.int64)
    np.add.at(edges, since, 1)
    np.add.at(edges, until, -1)
    found: Array = np.cumsum(edges[:-1]) > 0
    return found


def _alone(it: Packets, side: Array, bare: Array) -> Array:
    """Whether no other acknowledgement of an end is the same, as where it was captured twice, nor too many are alike.

    Where one of them has a checksum that is not finished, theirs tell nothing.
    """
    which = np.flatnonzero(bare)
    same = side[which].astype(np.uint64)
    for column in (it.seq, it.ack):
        same = _with(same, column[which])
    unfinished = (it.problem[which] != RIGHT).astype(np.int64)
    told = (_sizes(same, unfinished) == 0) | (_sizes(same) == 1)
    same = _with(same, it.checksum[which])
    told &= _sizes(same) <= _MOST_ALIKE
    alone = np.zeros(len(side), bool)
    alone[which] = told & (_sizes(_with(same, it.ident[which] + 1)) == 1)
    return alone


def _with(numbers: Array, column: Array) -> Array:
    mixed: Array = numbers * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def _sizes(numbers: Array, counts: Array | None = None) -> Array:
    """Returns for each number how often it is there, or the sum of what each counts."""
    _, group = np.unique(numbers, return_inverse=True)
    found: Array = np.bincount(group, counts, minlength=1)[group]
    return found


def _first_beyond(reached: Array, sides: Array, by_side: Array, side: Array, number: Array, at: Array) -> Array:
    """Returns the place of the first segment of a side that reaches beyond a number, `at` where none before that does.

    `reached` grows along the segments side by side.
    """
    found = np.searchsorted(reached, side * _APART + number, side="right")
    inside = np.minimum(found, len(sides) - 1)
    there = (found < len(sides)) & (sides[inside] == side)
    return np.where(there, np.minimum(by_side[inside], at), at)


def _copied(reached: Array, sides: Array, side: Array, seq: Array, taken: Array) -> Array:
    """Returns which of the segments side by side hold anything that is sent again."""
    low = np.searchsorted(reached, side * _APART + seq, side="right")
    high = np.searchsorted(reached, side * _APART + seq + taken, side="left") + 1
    edges = np.zeros(len(sides) + 2, np.int64)
    np.add.at(edges, low, 1)
    np.add.at(edges, np.minimum(np.maximum(high, low), len(sides)), -1)
    return np.flatnonzero(np.cumsum(edges)[: len(sides)] > 0)


def _answering(
    it: Packets, side: Array, by_side: Array, told: Array, repeats: Array, on: Array, seq: Array, stop: Array
) -> Array:
    """Whether a segment may tell which copy of something has come: until that is acknowledged, by all that is new."""
    answers = side[repeats] ^ 1
    # Where among the segments of the other end, side by side, the copy stands, and where it is acknowledged.
    before = np.searchsorted(side[by_side] * len(side) + by_side, answers * len(side) + repeats)
    until = np.minimum(np.searchsorted(told, answers * _APART + stop[repeats], side="left") + 1, len(side))
    begun = np.searchsorted(told, answers * _APART + seq[repeats], side="right")  # where any of it is
    waited, reached = (
        _between(np.minimum(since, until), until, len(side)) for since in (before, np.maximum(before, begun))
    )
    found = np.empty(len(side), bool)
    found[by_side] = (reached & on[by_side]) | (waited & it.doubled[by_side])
    return found


def _first_reaching(told: Array, side: Array, number: Array) -> Array:
    """Returns which of the segments side by side is the first of a side that acknowledges a number."""
    return np.searchsorted(told, side * _APART + number, side="left")
