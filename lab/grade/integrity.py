"""Is a capture the student's own, and as it was captured? Evidence for a person to judge, worth no points.

A capture is its own copy detector: initial sequence numbers, randoms and keys are drawn for each connection. One that
was edited rarely fits itself: checksums, numbers, clocks and what is proved by cryptography have to agree. A wire that
damages packets on purpose leaves the same traces: so these are findings, and no verdicts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from lab.grade.facts import AbsentError, Facts, other, within
from lab.grade.naming import student_key
from lab.model import Field, Message, Packet
from lab.text import Text, packets

_MOST_PACKETS, _MOST_PRINTS, _SHOWN = 12, 200, 32  # of a finding; of a capture; hexadecimal digits that are shown
_MOST_NAMES = 8  # that a finding says in words
_MOD, _HALF = 1 << 32, 1 << 31
_MILLISECOND = 1_000_000
_DRIFT = 500  # milliseconds by which two clocks may differ: a process can wait so long for a processor


class Print(NamedTuple):
    """A value by which a capture is known: what it is, its digits, the packet that has it."""

    name: Text
    value: str
    packet: int


@cache
def _known() -> dict[str, Any]:
    return tomllib.loads((files("lab.grade") / "integrity.toml").read_text("utf-8"))


def finding(code: str, said: Text, packets: Iterable[int] = (), **evidence: object) -> dict[str, Any]:
    """Returns a finding as grade/v1 has it."""
    listed = list(packets)
    shown = listed[:_MOST_PACKETS]
    return {"code": code, "said": {"en": said.en, "zh": said.zh}, "packets": shown, **evidence}


def prints(facts: Facts) -> list[Print]:
    """Returns the values that tell this capture from every other."""
    found = [
        Print(Text("initial sequence numbers", "初始序号"), f"{ends.isns[0]:08x}{ends.isns[1]:08x}", packet.number)
        for packet in facts.packets
        if (ends := packet.ends) is not None and ends.from_start and None not in ends.isns
    ]
    for packet in facts.packets:
        for message in packet.messages:
            for each in _known()["print"]:
                if each["message"] == message.name and (value := _value(facts, message, each["field"])):
                    found.append(Print(Text(**each["name"]), value, packet.number))
    return list({each.value: each for each in reversed(found)}.values())[::-1][:_MOST_PRINTS]


def _value(facts: Facts, message: Message, field: str) -> str:
    """Returns a field as hexadecimal digits; within another protocol's records, as it is told."""
    found = next(iter(within(message, field)), None)
    if found is None:
        return ""
    try:
        return facts.octets(message)[found.start : found.end].hex()
    except AbsentError:
        return found.value.encode("utf-8", "replace").hex()


def edited(facts: Facts, damaged: int = 0) -> list[dict[str, Any]]:
    """Returns what in a capture does not fit the rest of it. So many packets or fewer the wire has `damaged`."""
    listed = ((code, said, list(numbers)) for code, said, numbers in _misfits(facts))
    found = [
        finding(code, _with(said, numbers), numbers)
        for code, said, numbers in listed
        if len(numbers) > (damaged if code == "checksum" else 0)
    ]
    for rule in _known()["holds"]:
        for conversation in facts.conversations:
            try:
                holds = facts.fact(conversation.id, rule["fact"])
            except AbsentError:
                continue
            if holds is False:
                found.append(finding("unproved", Text(**rule["said"]), (conversation.first,)))
    return found


def _with(said: Text, numbers: Sequence[int]) -> Text:
    shown = packets(numbers[:_MOST_PACKETS], len(numbers) > _MOST_PACKETS)
    return Text(f"{said.en} ({shown.en})", f"{said.zh}（{shown.zh}）")


def _misfits(facts: Facts) -> Iterator[tuple[str, Text, Iterable[int]]]:
    packets = facts.packets
    yield (
        "checksum",
        Text("a checksum is wrong: bytes were changed after it was made", "校验和错误：其后字节被改动过"),
        (each.number for each in packets if _damaged(facts.header(each))),
    )
    yield (
        "time",
        Text("the time of capture runs backwards", "抓包时间倒退"),
        (
            after.number
            for before, after in pairwise(packets)
            if before.time is not None and after.time is not None and after.time < before.time
        ),
    )
    yield (
        "missing",
        Text(
            "it builds on bytes that the capture does not have: a packet is missing",
            "它所依据的字节不在抓包中：缺少了包",
        ),
        _beyond(packets),
    )
    clocks = list(_clocks(facts))
    yield (
        "echo",
        Text("it echoes a timestamp that the capture does not have", "它回显的时间戳不在抓包中"),
        (number for number, echoed, _ in clocks if not echoed),
    )
    yield (
        "clock",
        Text("its sender's clock and the time of capture disagree", "发送方时钟与抓包时间不一致"),
        (number for number, _, agrees in clocks if not agrees),
    )


def _damaged(header: Iterable[Field]) -> bool:
    return any(" incorrect" in field.value for field in header if field.name.endswith("hecksum"))


def _beyond(packets: Sequence[Packet]) -> Iterator[int]:
    """Yields packets that acknowledge, or begin behind, what nobody was seen to send."""
    sent: dict[tuple[int, str], int] = {}
    for each in packets:
        if each.conversation is None or each.sender is None or each.seq is None or not each.ends:
            continue
        if not each.ends.from_start or each.ends.alone is not None:
            continue
        own, peer = (each.conversation, each.sender), (each.conversation, other(each.sender))
        beyond = own in sent and each.seq > sent[own]
        if each.ack is not None and peer in sent and each.ack > sent[peer]:
            beyond = True
        if beyond:
            yield each.number
        sent[own] = max(sent.get(own, 0), each.stop)


def _clocks(facts: Facts) -> Iterator[tuple[int, bool, bool]]:
    """Yields of each packet with a timestamp whether what it echoes was sent, and whether its clock and ours agree."""
    told: dict[tuple[int, str], set[int]] = {}
    began: dict[tuple[int, str], tuple[int, int]] = {}
    for each in facts.packets:
        if each.conversation is None or each.sender is None or each.time is None:
            continue
        values = {field.name: field.value for field in facts.header(each)}
        try:
            clock, echo = int(values[_known()["clock"]].split()[0]), int(values[_known()["echo"]].split()[0])
        except (KeyError, ValueError, IndexError):
            continue
        own, peer = (each.conversation, each.sender), (each.conversation, other(each.sender))
        told.setdefault(own, set()).add(clock)
        first, since = began.setdefault(own, (clock, each.time))
        ticks = (clock - first + _HALF) % _MOD - _HALF
        agrees = abs(ticks - (each.time - since) // _MILLISECOND) <= _DRIFT  # Linux counts milliseconds
        yield each.number, not echo or peer not in told or echo in told[peer], agrees


def shared(
    known: Mapping[str, Sequence[Print]], captures: Mapping[str, str], published: Mapping[str, Sequence[Print]]
) -> dict[str, list[dict[str, Any]]]:
    """Returns findings of those that have handed in the same capture, by submission.

    `captures` are the SHA-256 of their files: where these differ, the copy was edited or saved again. `published` are
    captures that anybody can have, by name.
    """
    by_value: dict[str, dict[str, Print]] = {}
    for name, listed in known.items():
        for each in listed:
            by_value.setdefault(each.value, {})[name] = each
    anybodys = {each.value: name for name, listed in published.items() for each in listed}
    found: dict[str, list[dict[str, Any]]] = {}
    told: set[tuple[str, str]] = set()  # whose capture is which that comes with the lab: it shares several values
    seen: set[tuple[str, ...]] = set()
    for value, holders in by_value.items():
        if value in anybodys:
            whose = anybodys[value]
            said = Text(f"the capture is {whose}, which comes with the lab", f"该抓包就是实验室自带的 {whose}")
            for holder, each in holders.items():
                if (holder, whose) not in told:
                    told.add((holder, whose))
                    one = finding("published", said, (each.packet,), value=value[:_SHOWN])
                    found.setdefault(holder, []).append(one)
        if len(holders) < 2 or tuple(holders) in seen:
            continue
        seen.add(tuple(holders))
        for holder, each in holders.items():
            others = [who for who in holders if who != holder]
            same = all(captures.get(who) == captures.get(holder) for who in others)
            said = _copied(each.name, others, same)
            more = {"value": value[:_SHOWN], "others": others, "same_file": same}
            found.setdefault(holder, []).append(finding("same-capture", said, (each.packet,), **more))
    return found


def namesakes(students: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Returns findings of submissions that have the same student's id on their sheets, however it is typed; by
    submission, as `students` are."""
    by_id: dict[str, list[str]] = {}
    for name, student in students.items():
        if key := student_key(student):
            by_id.setdefault(key, []).append(name)
    found = {}
    for holders in by_id.values():
        for holder in holders if len(holders) > 1 else ():
            others = [who for who in holders if who != holder]
            who = _listed(others)
            said = Text(
                f"the same student's id as in {who}: each was marked, and none goes into a gradebook by this id",
                f"与 {who} 的学号相同：均已评阅，但都不会凭此学号写入成绩表",
            )
            found[holder] = [finding("same-student", said, others=others)]
    return found


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" … (+{more})" if more > 0 else "")


def _copied(name: Text, others: Sequence[str], same: bool) -> Text:
    who = _listed(others)
    how = Text("the same file", "同一文件") if same else Text("files that differ", "文件内容不同")
    return Text(
        f"the same connection as that of {who}: equal {name.en} ({how.en})",
        f"与 {who} 是同一个连接：{name.zh}相同（{how.zh}）",
    )
