"""Three questions to be asked face to face, from a student's own packets, with what to expect for an answer.

They are chosen by the capture: the same one gives the same three. Who made the capture, and marked its sheet alone,
answers them in a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from lab.grade.facts import Facts
from lab.model import Packet
from lab.text import ROLES, Text, counted

COUNT = 3


class Asked(NamedTuple):
    """A question, what to expect, and the packet that it is about. `kind` keeps three questions from being one."""

    kind: str
    ask: Text
    expect: Text
    packet: int


def questions(facts: Facts) -> list[dict[str, Any]]:
    """Returns three questions on a capture, of three kinds; fewer where it has too little in it."""
    kinds: dict[str, list[Asked]] = {}
    for each in _all(facts):
        kinds.setdefault(each.kind, []).append(each)
    drawn = [min(listed, key=lambda each: _lot(facts, each)) for listed in kinds.values()]
    chosen = sorted(sorted(drawn, key=lambda each: _lot(facts, each))[:COUNT], key=lambda each: each.packet)
    return [{"ask": each.ask._asdict(), "expect": each.expect._asdict(), "packet": each.packet} for each in chosen]


def _lot(facts: Facts, asked: Asked) -> str:
    return hashlib.sha256(f"{facts.sha256} {asked.kind} {asked.packet}".encode()).hexdigest()


def _all(facts: Facts) -> Iterator[Asked]:
    for packet in facts.packets:
        yield from _of(packet)


def _of(packet: Packet) -> Iterator[Asked]:
    number, sender = packet.number, packet.sender
    if sender is None or packet.seq is None:
        return
    takes = packet.stop - packet.seq
    if takes > 0:
        yield Asked(
            "next",
            Text(
                f"Which number must acknowledge packet {number} ({_named(packet)}), and why?",
                f"第 {number} 号包（{_named(packet)}）应以哪个确认号确认？为什么？",
            ),
            Text(
                f"{packet.stop} (relative): it takes {counted(takes, 'number')} from {packet.seq} on",
                f"{packet.stop}（相对）：它从 {packet.seq} 起占用 {takes} 个序号",
            ),
            number,
        )
    if packet.ack and "ACK" in packet.flags:
        yield Asked(
            "acknowledges",
            Text(f"What exactly does packet {number} acknowledge?", f"第 {number} 号包究竟确认了什么？"),
            Text(
                f"all that the {_peer(sender).en} has sent before number {packet.ack} (relative)",
                f"{_peer(sender).zh}发出的、序号在 {packet.ack}（相对）之前的全部内容",
            ),
            number,
        )
    if packet.held != packet.delivered and packet.held and packet.held.client and packet.held.server:
        yield Asked(
            "states",
            Text(
                f"Packet {number} is on its way. Which state is each end in, and which of them does it change?",
                f"第 {number} 号包在途时，两端各处于什么状态？它会改变哪一端？",
            ),
            Text(*[f"{packet.held.client} / {packet.held.server} → {_then(packet)}"] * 2),
            number,
        )
    for message in packet.messages[:1]:
        yield Asked(
            "message",
            Text(
                f"Which message does packet {number} complete, and what does its receiver do with it?",
                f"第 {number} 号包完成了哪条消息？接收方如何处理？",
            ),
            Text(f"{message.name}: {message.words.en}", f"{message.name}：{message.words.zh}"),
            number,
        )


def _then(packet: Packet) -> str:
    after = packet.delivered
    return f"{after.client} / {after.server}" if after is not None else "?"


def _named(packet: Packet) -> str:
    return " ".join(packet.labels) or " ".join(packet.flags)


def _peer(sender: str) -> Text:
    return ROLES["server" if sender == "client" else "client"]
