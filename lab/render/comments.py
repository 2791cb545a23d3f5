"""What the lab writes into a capture: a packet's step in both languages, and a line for programs.

That line has what was really measured, where something was, and what the lab says of the packet.
"""

from __future__ import annotations

from typing import Any

from lab.engine import journal
from lab.model import Packet, States
from lab.render.words import TITLES, brief, refusal
from lab.report import fate, steps
from lab.text import ROLES, Text

MARKS = Text("[lab] ", "[实验] ")


def comments(packet: Packet) -> list[str]:
    """Returns a packet's comments: everyone else's kept, ours made anew.

    In words only for a packet that is TCP, or is about it.
    """
    written = packet.frame.comments if packet.frame else ()
    others = [text for text in written if not journal.is_ours(text)]
    line = journal.comment(packet, told(packet))
    words = sentence(packet)
    ours = [MARKS.en + words.en, MARKS.zh + words.zh] if words else []
    return others + ours + ([line] if line else [])


def told(packet: Packet) -> dict[str, Any]:
    """Returns what the lab says of a packet as plain values of JSON, by the names that the trace has for them.

    `refused` is the code of why its receiver has thrown it away. Empty for a packet that is no TCP.
    """
    if packet.sender is None or packet.held is None:
        return {}
    instants = {"held": packet.held, "delivered": packet.delivered}
    said: dict[str, Any] = {"from": packet.sender, "labels": list(packet.labels), "steps": list(packet.steps)}
    said["states"] = {instant: states and states._asdict() for instant, states in instants.items()}
    said["fate"] = packet.fate
    if packet.refused:
        said["refused"] = packet.refused.code
    return said


def comments_of_held(packet: Packet) -> list[str]:
    """Returns the comments of a packet that is held now: what can be said of it before its fate is known."""
    words = sentence(packet, held=True)
    line = journal.comment_of_held(packet, {name: each for name, each in told(packet).items() if name != "fate"})
    return [mark + text for mark, text in zip(MARKS, words or (), strict=False)] + ([line] if line else [])


def sentence(packet: Packet, held: bool = False) -> Text | None:
    """Returns a packet's steps and the states it leads from and to, in words; where it is `held`, those of then.

    None for a packet that is no TCP, but for one that has something to say of TCP.
    """
    said = [Text(brief(each.words.en) + ".", brief(each.words.zh) + "。") for each in packet.remarks]
    if packet.sender is None and not said:
        return None
    if packet.journal is not None and packet.journal.forged:
        said.append(Text("Forged on the wire: its sender has not sent it.", "线路伪造：所称的发送方并未发送。"))
    if packet.refused:
        why = refusal(packet.refused, True)
        said.append(Text(why.en + ".", why.zh + "。"))
    for step in packet.steps:
        told = steps.told(packet, step)
        said.append(Text(f"{told.name.en}: {told.title.en}.", f"{told.name.zh}：{told.title.zh}。"))
    for message in packet.messages:
        if message.wraps and packet.messages[-1].protocol != message.protocol:
            continue
        words, name = message.words, f"{TITLES[message.protocol]} {message.name}"
        en, zh = (f"{name}: {words.en}", f"{name}：{words.zh}") if words.en else (name, name)
        said.append(Text(brief(en) + ".", brief(zh) + "。"))
    said += [Text(brief(point.en) + ".", brief(point.zh) + "。") for point in packet.points]
    words = Text(" ".join(each.en for each in said), "".join(each.zh for each in said))
    states = _states_of_held(packet) if held else _states(packet)
    return Text(f"{words.en} {states.en}".strip(), f"{words.zh}{states.zh}")


def _states(packet: Packet) -> Text:
    """Returns the sender's state when the packet left and the receiver's when it had arrived."""
    sender, receiver = packet.sender, packet.receiver
    if sender is None or receiver is None or packet.held is None:
        return Text("", "")
    left = _of(packet.held, sender)
    mine, theirs = ROLES[sender], ROLES[receiver]
    became = fate.words(packet)
    if became is not None:
        return Text(f"{mine.en} {left.en}; {became.en}.", f"{mine.zh} {left.zh}；{became.zh}。")
    arrived = _of(packet.delivered or packet.held, receiver)
    return Text(
        f"{mine.en} {left.en} -> {theirs.en} {arrived.en}.",
        f"{mine.zh} {left.zh} → {theirs.zh} {arrived.zh}。",
    )


def _states_of_held(packet: Packet) -> Text:
    """Returns both ends' states while the packet is held, and what the kernels say of that."""
    if packet.held is None:
        return Text("", "")
    ours, kernels = _both(packet.held), packet.kernel_held
    if kernels is None:
        return Text(f"Held: {ours.en}.", f"扣住时：{ours.zh}。")
    if kernels == packet.held:
        return Text(f"Held: {ours.en}, as both kernels say.", f"扣住时：{ours.zh}，两端内核所说相同。")
    said = _both(kernels)
    return Text(f"Held: {ours.en}; the kernels say {said.en}.", f"扣住时：{ours.zh}；内核说的是 {said.zh}。")


def _both(states: States) -> Text:
    client, server = (_of(states, role) for role in ROLES)
    return Text(
        f"{ROLES['client'].en} {client.en}, {ROLES['server'].en} {server.en}",
        f"{ROLES['client'].zh} {client.zh}，{ROLES['server'].zh} {server.zh}",
    )


def _of(states: States, role: str) -> Text:
    state = states.client if role == "client" else states.server
    return Text(state or "state unknown", state or "状态未知")
