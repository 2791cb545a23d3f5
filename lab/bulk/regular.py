"""Which conversations go by the book, and what each of their packets is to the engine."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from lab.bulk.columns import Columns
from lab.bulk.scan import Array
from lab.protocols.transport import ACK, FIN, RST, SYN

_LEAST_LARGE = 1220  # bytes: larger payloads are held against the MSS
_SOON = 1_000_000  # nanoseconds: what repeats a segment sooner may be a copy of it


class Odd(NamedTuple):
    """A TCP segment, or a fragment, that is not read in columns. Without a pair it completes no packet."""

    number: int
    record: int
    pair: bytes


def grouped(columns: Columns, odd: list[Odd]) -> tuple[Array, Array]:
    """Returns an order in which conversations stand together, and where in it each begins; marks those of odd pairs."""
    forward = _forward(columns.addresses, columns.ports)
    low = np.where(forward, columns.addresses, _turned(columns.addresses, 32))
    ports = np.where(forward, columns.ports, _turned(columns.ports, 16))
    order = np.lexsort((ports, low))
    low, ports = low[order], ports[order]
    new = np.ones(len(order), bool)
    new[1:] = (low[1:] != low[:-1]) | (ports[1:] != ports[:-1])
    strange = {each.pair for each in odd if len(each.pair) == 12}
    for pair in strange | {pair[4:8] + pair[:4] + pair[10:] + pair[8:10] for pair in strange}:
        addresses, both = struct.unpack("!QI", pair)
        columns.plain[(columns.addresses == addresses) & (columns.ports == both)] = True
    return order, np.flatnonzero(new)


def _forward(addresses: Array, ports: Array) -> Array:
    turned = _turned(addresses, 32)
    forward: Array = (addresses < turned) | ((addresses == turned) & (ports <= _turned(ports, 16)))
    return forward


def _turned(column: Array, half: int) -> Array:
    """Returns numbers with their halves exchanged: the destination first."""
    size = column.dtype.type(half)
    turned: Array = column << size | column >> size
    return turned


def tokens(columns: Columns, starts: Array) -> tuple[Array, Array]:
    """Returns what each packet is to the engine, as a number, and which conversations go by the book."""
    count = len(columns.number)
    places = np.arange(count)
    begins = np.repeat(starts, np.diff([*starts, count]))
    other = columns.addresses != columns.addresses[begins]
    other |= columns.ports != columns.ports[begins]  # the two ends of a connection to itself differ in their ports
    before = np.full((2, count), -1)
    for at, these in enumerate((~other, other)):
        latest = np.maximum.accumulate(np.where(these, places, -1))
        before[at, 1:] = latest[:-1]
    mine = np.where(other, before[1], before[0])  # its sender's packet before, and the other end's
    theirs = np.where(other, before[0], before[1])
    spoke, heard = mine >= begins, theirs >= begins
    flags, payload = columns.flags, columns.payload
    syn, ack = (flags & SYN) > 0, (flags & ACK) > 0
    taken = payload.astype(np.uint32) + syn + ((flags & FIN) > 0)
    following = columns.seq + taken
    acks_all = ack & heard & (columns.ack == following[theirs])
    acks_again = ack & spoke & (((flags[mine] & ACK) > 0) & (columns.ack == columns.ack[mine]))
    fits = np.where(spoke, ~syn & (columns.seq == following[mine]), syn & (payload == 0))
    fits &= np.where(other | spoke, ack & heard & (acks_all | acks_again), ~ack)
    fits &= ((flags & RST) == 0) & (payload <= _LEAST_LARGE) & ~columns.plain
    same = spoke & (columns.window == columns.window[mine])
    # One acknowledgement, captured twice, is told by more than is in the columns.
    soon = np.abs(columns.time - columns.time[mine]) < _SOON
    fits &= ~(same & soon & acks_again & (taken == 0) & (columns.seq == columns.seq[mine]))
    bits = ((other, 0), (acks_all, 12), (acks_again, 13), (columns.window == 0, 14), (same, 15))
    tokens = flags << 1 | np.minimum(payload, 2) << 10
    for bit, at in bits:
        tokens |= bit.astype(np.uint16) << at
    return tokens.astype(np.uint16), np.logical_and.reduceat(fits, starts)


def first_answers(tokens: Array, starts: Array) -> Array:
    """Returns the place of each conversation's first packet from its other end, -1 where there is none."""
    count = len(tokens)
    answers = np.where(tokens & 1, np.arange(count), count)
    found = np.minimum.reduceat(answers, starts)
    return np.where(found < np.append(starts[1:], count), found, -1)


# What a kind says, with places to be filled.
