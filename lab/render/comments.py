"""What the lab writes into a capture: a packet's step in both languages, and one line of what was really measured."""

from __future__ import annotations

from lab import protocols
from lab.annotate import journal
from lab.annotate.layers import layers_of
from lab.model import Rung, States
from lab.render import trace
from lab.render.words import brief
from lab.text import PROTOCOL_NAMES, ROLES, Text

MARKS = Text("[lab] ", "[实验] ")


def comments(rung: Rung) -> list[str]:
    """Returns a packet's comments: everyone else's kept, ours made anew. In words only for a packet that is TCP."""
    written = rung.frame.comments if rung.frame else ()
    others = [text for text in written if not journal.is_ours(text)]
    # What was measured once is not measured again: it stays as it was written.
    line = next((text for text in written if text.startswith(journal.PREFIX)), None) or journal.comment(rung)
    words = sentence(rung)
    ours = [MARKS.en + words.en, MARKS.zh + words.zh] if words else []
    return others + ours + ([line] if line else [])


def sentence(rung: Rung) -> Text | None:
    """Returns a packet's steps and the states it leads from and to, in words; None for a packet that is no TCP."""
    which, end = rung.conversation, rung.end
    if which is None or end is None:
        return None
    said = []
    if rung.journal is not None and rung.journal.forged:
        said.append(Text("Forged on the wire: its sender has not sent it.", "线路伪造：所称的发送方并未发送。"))
    if rung.journal is not None and rung.journal.absorbed:
        said.append(Text("Sent again while another packet was held: dropped.", "另一个包被扣住期间的重传：已丢弃。"))
    for step in rung.steps:
        told = trace.told(rung, step)
        said.append(Text(f"{told.name.en}: {told.title.en}.", f"{told.name.zh}：{told.title.zh}。"))
    layers = {layer.name: layer for layer in layers_of(which)}
    for message in rung.messages:
        layer = layers.get(message.protocol)
        if layer and message.said.event == layer.carries and rung.messages[-1].protocol != layer.name:
            continue
        words = protocols.upper(layer.name).words(layer, message.said) if layer else Text("", "")
        name = f"{PROTOCOL_NAMES[message.protocol]} {message.name}"
        en, zh = (f"{name}: {words.en}", f"{name}：{words.zh}") if words.en else (name, name)
        said.append(Text(brief(en) + ".", brief(zh) + "。"))
    words = Text(" ".join(each.en for each in said), "".join(each.zh for each in said))
    states = _states(rung)
    return Text(f"{words.en} {states.en}".strip(), f"{words.zh}{states.zh}")


def _states(rung: Rung) -> Text:
    """Returns the sender's state when the packet left and the receiver's when it had arrived."""
    if rung.end is None or rung.held is None:
        return Text("", "")
    sender, receiver = rung.end.role, rung.end.peer.role
    left = _of(rung.held, sender)
    mine, theirs = ROLES[sender], ROLES[receiver]
    if rung.delivered is None:
        return Text(f"{mine.en} {left.en}; never seen to arrive.", f"{mine.zh} {left.zh}；未见送达。")
    arrived = _of(rung.delivered, receiver)
    return Text(
        f"{mine.en} {left.en} -> {theirs.en} {arrived.en}.",
        f"{mine.zh} {left.zh} → {theirs.zh} {arrived.zh}。",
    )


def _of(states: States, role: str) -> Text:
    state = states.client if role == "client" else states.server
    return Text(state or "state unknown", state or "状态未知")
