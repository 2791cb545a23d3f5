"""What the engine has said of one conversation of a kind is said of all others: numbers and addresses are filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from ipaddress import ip_address
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from lab.bulk.columns import Columns
from lab.bulk.scan import Array
from lab.protocols.registry import TRANSPORT
from lab.protocols.transport import ACK, LANES, Elsewhere, community_id
from lab.render.trace import dump, time
from lab.report.conversations import entry as told_of

Entries = Iterator[tuple[int, str]]  # of a conversation: its first packet and its line; of a packet: itself and its row

_OWN = TRANSPORT.name
_SHOWN = 65_536  # rows made at a time


class Kind(NamedTuple):
    """What the engine says of one conversation of a kind: the entry, with holes, and which values fill them."""

    format: str
    pick: Callable[[tuple[object, ...]], tuple[object, ...]]
    over: bool
    told: str  # all of it, to compare
    words: tuple[tuple[str, str], ...]  # of each packet: what stands in its row before and behind the numbers


class Group(NamedTuple):
    """A conversation that goes by the book: its packets are `begin` to before `end` in the sorted columns."""

    begin: int
    end: int
    answer: int  # the first packet from its other end; -1 where there is none
    kind: Kind


_HOLE = re.compile('"@([0-9]+)@"')
_VALUES = ("community", "client", "server", "client port", "server port", "client isn", "server isn")  # then packets


def kind(which: Any, apart: int, rows: tuple[tuple[str, str], ...]) -> Kind:
    """Returns a conversation's entry with holes for what is another in each of its kind."""

    def hole(name: str) -> str:
        return f"@{_VALUES.index(name)}@"

    entry = told_of(which)
    entry["community_id"] = hole("community")
    for end in ("client", "server"):
        entry[end] = {"address": hole(end), "port": hole(f"{end} port")}
        if entry[_OWN][f"{end}_isn"] is not None:
            entry[_OWN][f"{end}_isn"] = hole(f"{end} isn")
    for step in entry["steps"]:
        step["packets"] = [f"@{len(_VALUES) + (number - 1) // apart}@" for number in step["packets"]]
    told = dump(entry)
    return Kind(
        _HOLE.sub("%s", told.replace("%", "%%")),
        itemgetter(*map(int, _HOLE.findall(told))),
        which.over,
        told,
        rows,
    )


@lru_cache(65_536)
def _host(address: int) -> str:
    return f'"{ip_address(address)}"'


def filled(columns: Columns, groups: list[Group]) -> Entries:
    """Yields the lines of conversations that go by the book, in the order of their first packets."""
    begins = np.array([group.begin for group in groups], np.int64)
    answers = np.array([group.answer for group in groups], np.int64)
    numbers = columns.number
    firsts = (column[begins].tolist() for column in (columns.addresses, columns.ports, columns.seq))
    known = list(zip(groups, *firsts, columns.seq[answers].tolist(), strict=True))
    for at in np.argsort(numbers[begins]).tolist():
        (begin, end, _, kind), addresses, ports, asked, answered = known[at]
        packets = numbers[begin:end].tolist()
        client, server = addresses >> 32, addresses & 0xFFFFFFFF
        values = (
            f'"{_community(addresses, ports)}"', _host(client), _host(server), ports >> 16, ports & 0xFFFF, asked,
            answered, *packets,
        )  # fmt: skip
        yield packets[0], kind.format % kind.pick(values)


def rows(columns: Columns, groups: list[Group], others: list[str]) -> Entries:
    """Yields number and row of each packet: of conversations that go by the book, and of all others.

    Conversations are numbered in the order of their first packets.
    """
    begins, ends, answers = (np.array([group[at] for group in groups], np.int64) for at in range(3))
    sizes = ends - begins
    places = np.repeat(begins - np.append(0, np.cumsum(sizes)[:-1]), sizes) + np.arange(sizes.sum())
    firsts = np.sort(columns.number[begins])
    waiting, begun = _renumbered(others, firsts)
    names = np.searchsorted(firsts, columns.number[begins]) + np.searchsorted(begun, columns.number[begins])
    asked, answered = (np.repeat(columns.seq[at], sizes) for at in (begins, answers))
    back = columns.ports[places] != np.repeat(columns.ports[begins], sizes)
    back |= columns.addresses[places] != np.repeat(columns.addresses[begins], sizes)
    seq = columns.seq[places] - np.where(back, answered, asked)
    ack = columns.ack[places] - np.where(back, asked, answered)
    known: dict[int, int] = {}
    said: list[tuple[str, str]] = []
    for group in groups:
        if id(group.kind) not in known:
            known[id(group.kind)] = len(said)
            said += group.kind.words
    first = np.array([known[id(group.kind)] for group in groups], np.int64)
    word = np.repeat(first, sizes) + places - np.repeat(begins, sizes)
    order = np.argsort(columns.number[places])
    when, second = "", -1
    waiting.reverse()
    nearest = waiting[-1][0] if waiting else _NEVER
    for at in range(0, len(order), _SHOWN):
        these = order[at : at + _SHOWN]
        here = places[these]
        seconds, fractions = np.divmod(columns.time[here], 1_000_000_000)
        acks = (columns.flags[here] & ACK) > 0
        for number, moment, fraction, name, each, place, has, until, payload in zip(
            columns.number[here].tolist(), seconds.tolist(), fractions.tolist(),
            np.repeat(names, sizes)[these].tolist(), word[these].tolist(), seq[these].tolist(), acks.tolist(),
            ack[these].tolist(), columns.payload[here].tolist(), strict=True,
        ):  # fmt: skip
            while number > nearest:
                yield waiting.pop()
                nearest = waiting[-1][0] if waiting else _NEVER
            if moment != second:
                second, when = moment, str(time(moment * 1_000_000_000))[:-10]
            head, tail = said[each]
            yield number, f"{number},{when}{fraction:09}Z,{name}{head}{place},{until if has else ''},{payload}{tail}"
    while waiting:
        yield waiting.pop()


_NEVER = 1 << 62  # a number that no packet has


def _renumbered(rows: list[str], firsts: Array) -> tuple[list[tuple[int, str]], Array]:
    """Returns the engine's rows with their packets' numbers, and the first packets of its conversations.

    They are numbered anew, among others that have these first packets.
    """
    found: list[tuple[int, str]] = []
    begun: list[int] = []
    names: list[int] = []
    for row in rows:
        number, time, name, rest = row.split(",", 3)
        if name:
            own = int(name)
            if own == len(names):
                begun.append(int(number))
                names.append(own + int(np.searchsorted(firsts, int(number))))
            row = f"{number},{time},{names[own]},{rest}"
        found.append((int(number), row))
    return found, np.array(begun, np.int64)


def _community(addresses: int, ports: int) -> str:
    return community_id(
        (addresses >> 32).to_bytes(4, "big"), ports >> 16, (addresses & 0xFFFFFFFF).to_bytes(4, "big"), ports & 0xFFFF
    )


def elsewhere(columns: Columns, groups: list[Group]) -> Elsewhere:
    """Returns what must be known of conversations that are not followed, to let go of the same as if they were."""
    found: list[list[tuple[int, int, bool]]] = [[] for _ in range(LANES)]
    for begin, end, _, kind in groups:
        ports = int(columns.ports[begin])
        found[(ports >> 16 ^ ports) % LANES].append(
            (int(columns.number[begin]), int(columns.number[end - 1]), kind.over)
        )
    return Elsewhere(found)
