"""A conversation in a line, for whoever looks for the worst of many: what is wrong, how far away, who closed it.

Round-trip times are as seen from where the capture was made. The handshake's is from the SYN to the SYN-ACK (that part
is the way to the server and back) and on to the ACK (to the client and back), where each was sent once. Data's are from
a segment to the first acknowledgement of all of it, one segment at a time in each direction, and none that was sent
again (Karn's rule, RFC 6298 section 3): a delayed ACK counts as the receiver's time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lab.engine.protocol import Trouble
from lab.model import ConversationReport, Packet, Role
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.text import ROLES, Text, address, counted

MOST = 10_000  # conversations that are told; of more, those with the worst
_SOON = 1_000_000_000  # nanoseconds: what gets no answer is sent again after that (RFC 6298 section 2.1)
_MOST_PLACES = 16  # packets that are noted of a label
_NOT_MEANT = {"forged", "refuted", "disregarded", "discarded", "captured-twice"}
_LABELS: frozenset[str] = frozenset().union(*(each.alarming for each in PROTOCOLS))


class Times(NamedTuple):
    """Round-trip times in nanoseconds, None where they are not known: to the server and to the client in the
    handshake; the shortest and the longest from data to its acknowledgement, and how many
    samples of these there were."""

    server: int | None
    client: int | None
    shortest: int | None
    longest: int | None
    samples: int

    @property
    def handshake(self) -> int | None:
        return None if self.server is None or self.client is None else self.server + self.client


class Brief(NamedTuple):
    """A conversation in short; `troubles` are the worst first."""

    id: int
    client: str
    server: str
    protocols: tuple[str, ...]
    packets: int
    troubles: tuple[Trouble, ...]
    times: Times
    retransmissions: int
    closed: str | None  # fin or rst, as in the trace
    closed_by: Role | None  # who sent the first FIN, or the RST

    @property
    def weight(self) -> int:
        return sum(each.weight for each in self.troubles[:1]) * 100 + min(99, self.retransmissions)


class Briefing:
    """Takes packets while they come and the reports on conversations when they are over; keeps lines, no packets."""

    def __init__(self) -> None:
        self.count = 0
        self._latest = 0  # of all packets so far
        self._watched: dict[int, _Watched] = {}
        self._late: dict[int, int] = {}  # of conversations that are told: how many packets are still to come
        self._worst: list[tuple[int, int, Brief]] = []

    def packet(self, packet: Packet) -> None:
        """Notes times, and the packets that troubles are told of."""
        which = packet.conversation
        if which in self._late:
            self._late[which] -= 1
            if not self._late[which]:
                del self._late[which]
        elif which is not None and packet.sender is not None:
            watched = self._watched.get(which)
            if watched is None:
                watched = self._watched[which] = _Watched()
            watched.packet(packet, packet.sender)
        self._latest = max(self._latest, packet.time or 0)

    def over(self, report: ConversationReport) -> None:
        """Makes a conversation's line."""
        self.count += 1
        watched = self._watched.pop(report.id, _Watched())
        if (late := report.facts["packets"] - watched.packets) > 0:
            self._late[report.id] = late
        brief = _brief(report, watched, watched.last is not None and self._latest - watched.last < _SOON)
        entry = (brief.weight, -brief.id, brief)
        if len(self._worst) < MOST:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)

    def lines(self) -> Iterator[Brief]:
        """Yields the conversations, worst first."""
        for _, _, brief in sorted(self._worst, reverse=True):
            yield brief


def _brief(report: ConversationReport, watched: _Watched, early: bool) -> Brief:
    """Makes a line; `early`: the capture ends before its end could have come."""
    facts = report.facts
    known = {**report.details, **facts}
    found = [
        trouble.early if early and trouble.early is not None else trouble
        for protocol in PROTOCOLS
        if protocol.name == TRANSPORT.name or facts.get(protocol.name) is not None
        for trouble in protocol.troubles(known, watched.places)
    ]
    closed = facts["closed"]
    resets = watched.places.get("RST", ())
    by = resets[0][0] if closed == "rst" and resets else watched.closes_first if closed else None
    ends = report.ends
    return Brief(
        report.id, address(*ends.client), address(*ends.server),
        tuple(facts["protocols"]), facts["packets"], tuple(sorted(found, key=lambda each: -each.weight)),
        watched.times(), facts[TRANSPORT.name]["retransmissions"], closed, by,
    )  # fmt: skip


class _Watched:
    """What is noted of a conversation while it goes on."""

    __slots__ = (
        "_asked",
        "_began",
        "_count",
        "_longest",
        "_pending",
        "_shortest",
        "_to",
        "closes_first",
        "last",
        "packets",
        "places",
    )

    def __init__(self) -> None:
        self.places: dict[str, list[tuple[Role, int]]] = {}
        self.closes_first: Role | None = None
        self.last: int | None = None  # the time of its last packet
        self.packets = 0
        self._began: int | None = None  # when the SYN was sent, once; -1: more than once
        self._asked: int | None = None  # when the SYN-ACK was, likewise
        self._to: dict[Role, int] = {}
        self._pending: dict[Role, tuple[int, int]] = {}  # up to where data goes, when it was sent
        self._shortest: int | None = None
        self._longest: int | None = None
        self._count = 0

    def packet(self, packet: Packet, sender: Role) -> None:
        labels = packet.labels
        self.packets += 1
        if not _NOT_MEANT.isdisjoint(labels):
            return
        for label in labels:
            if label in _LABELS:
                places = self.places.setdefault(label, [])
                if len(places) < _MOST_PLACES:
                    places.append((sender, packet.number))
        if self.closes_first is None and "FIN" in labels:
            self.closes_first = sender
        if packet.time is not None:
            self.last = packet.time
            self._handshake(packet, sender, packet.time)
            self._data(packet, sender, packet.time)

    def _handshake(self, packet: Packet, sender: Role, now: int) -> None:
        if "SYN" in packet.labels:
            self._began = now if self._began is None else -1
        elif "SYN-ACK" in packet.labels:
            again = self._asked is not None
            if not again and self._began is not None and self._began >= 0 and now >= self._began:
                self._to["server"] = now - self._began
            self._asked = -1 if again else now
        elif self._asked is not None and sender == "client" and "client" not in self._to and packet.ack == 1:
            if 0 <= self._asked <= now and "RST" not in packet.labels:
                self._to["client"] = now - self._asked
            self._asked = -1

    def _data(self, packet: Packet, sender: Role, now: int) -> None:
        other: Role = "server" if sender == "client" else "client"
        waiting = self._pending.get(other)
        if waiting is not None and packet.ack is not None and packet.ack >= waiting[0]:
            del self._pending[other]
            if now >= waiting[1]:
                took = now - waiting[1]
                self._shortest = took if self._shortest is None else min(self._shortest, took)
                self._longest = took if self._longest is None else max(self._longest, took)
                self._count += 1
        if "retransmission" in packet.labels or "out-of-order" in packet.labels:
            self._pending.pop(sender, None)
        elif packet.payload and sender not in self._pending:
            self._pending[sender] = packet.stop, now

    def times(self) -> Times:
        return Times(self._to.get("server"), self._to.get("client"), self._shortest, self._longest, self._count)


def words(brief: Brief) -> Text:
    """Returns a conversation's line, but for its id."""
    parts = [_troubles(brief.troubles), _between(brief), *_times(brief.times)]
    parts += [
        Text(f"{brief.retransmissions} retransmitted", f"重传 {brief.retransmissions}"),
        _ending(brief),
        Text(counted(brief.packets, "packet"), f"{brief.packets} 个包"),
    ]
    return Text(" · ".join(each.en for each in parts), " · ".join(each.zh for each in parts))


def _troubles(troubles: Sequence[Trouble]) -> Text:
    if not troubles:
        return Text("nothing wrong", "未见异常")
    parts = [
        each.text
        if each.packet is None
        else Text(f"{each.text.en}, packet {each.packet}", f"{each.text.zh}，第 {each.packet} 号包")
        for each in troubles
    ]
    return Text("; ".join(each.en for each in parts), "；".join(each.zh for each in parts))


def _between(brief: Brief) -> Text:
    said = f"{brief.client} > {brief.server} {'/'.join(brief.protocols)}"
    return Text(said, said)


def _times(times: Times) -> Iterator[Text]:
    if times.server is not None or times.client is not None:
        parts = [
            Text(f"{_ms(each)} to the {role}", f"到{ROLES[role].zh} {_ms(each)}")
            for role, each in (("server", times.server), ("client", times.client))
            if each is not None
        ]
        both = times.handshake
        whole = f"{_ms(both)}: " if both is not None else ""
        yield Text(
            f"round trip {whole}{', '.join(each.en for each in parts)}",
            f"往返 {whole}{'，'.join(each.zh for each in parts)}",
        )
    if times.shortest is not None and times.longest is not None:
        span = _ms(times.shortest) + (f"–{_ms(times.longest)}" if times.longest != times.shortest else "")
        yield Text(f"data to ACK {span}", f"数据到确认 {span}")


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.1f} ms"


def _ending(brief: Brief) -> Text:
    if brief.closed is None:
        return Text("not closed", "未关闭")
    how = brief.closed.upper()
    if brief.closed_by is None:
        return Text(f"closed ({how})", f"已关闭（{how}）")
    verb = Text("reset", "复位") if brief.closed == "rst" else Text("closed", "关闭")
    role = ROLES[brief.closed_by]
    return Text(f"{verb.en} by the {role.en} ({how})", f"由{role.zh}{verb.zh}（{how}）")


def as_json(brief: Brief) -> dict[str, Any]:
    """Returns it as plain values of JSON; times in nanoseconds."""
    return {
        "conversation": brief.id, "client": brief.client, "server": brief.server, "protocols": list(brief.protocols),
        "packets": brief.packets, "retransmissions": brief.retransmissions, "closed": brief.closed,
        "closed_by": brief.closed_by, "rtt": {"handshake": brief.times.handshake, **brief.times._asdict()},
        "troubles": [{"weight": each.weight, "packet": each.packet, **each.text._asdict()} for each in brief.troubles],
        **words(brief)._asdict(),
    }  # fmt: skip
