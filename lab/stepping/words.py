"""The debugger's words: an event in a line, what a kernel says, which timers run and what they will do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lab.dissect.fields import fields
from lab.events import (
    Begun,
    CommandAnswered,
    ConversationClosed,
    ConversationOpened,
    Ended,
    Event,
    KernelAsked,
    MessageRead,
    PacketArrived,
    PacketHeld,
    PacketLost,
    PacketSent,
    SecretsLearnt,
    StateChanged,
    StepSeen,
    Surprised,
)
from lab.model import Field, Role, Socket, States
from lab.protocols.notes import cast, note
from lab.protocols.registry import TRANSPORT
from lab.protocols.transport import FIELDS
from lab.render.words import TITLES, brief, pad, refusal, sections
from lab.render.words import event as worded
from lab.stepping.view import ROLES, Fired, Rung, View
from lab.text import ROLES as NAMES
from lab.text import Lang, Text, address

_KINDS = {
    Begun: Text("begun", "开始"), ConversationOpened: Text("opened", "新连接"), PacketSent: Text("sent", "发出"),
    PacketHeld: Text("held", "扣住"), PacketArrived: Text("arrived", "送达"), PacketLost: Text("lost", "丢失"),
    StateChanged: Text("state", "状态"), StepSeen: Text("step", "步骤"), MessageRead: Text("message", "消息"),
    Surprised: Text("surprise", "意外"), KernelAsked: Text("kernel", "内核"), CommandAnswered: Text("command", "命令"),
    ConversationClosed: Text("closed", "连接结束"), SecretsLearnt: Text("secrets", "密钥"),
    Ended: Text("ended", "结束"),
}  # fmt: skip
_KIND = 9  # columns
# What a kernel says of a socket, in the order in which it is shown: the field, its name, what it is counted in.
KERNEL: tuple[tuple[str, Text, str], ...] = (
    ("state", Text("state", "状态"), ""),
    ("timer", Text("timer", "定时器"), "timer"),
    ("retransmits", Text("timeouts so far", "已超时次数"), ""),
    ("rto", Text("RTO", "RTO"), "us"),
    ("rtt", Text("RTT", "RTT"), "us"),
    ("cwnd", Text("cwnd", "拥塞窗口"), "segments"),
    ("ssthresh", Text("ssthresh", "慢启动门限"), "segments"),
    ("unacked", Text("unacked", "未确认"), "segments"),
    ("send_queue", Text("send queue", "发送队列"), "bytes"),
    ("receive_queue", Text("receive queue", "接收队列"), "bytes"),
    ("send_window", Text("send window", "发送窗口"), "bytes"),
    ("receive_window", Text("receive window", "接收窗口"), "bytes"),
    ("mss", Text("MSS", "MSS"), "bytes"),
    ("bytes_acked", Text("bytes acked", "已确认字节"), "bytes"),
    ("bytes_received", Text("bytes received", "已收字节"), "bytes"),
    ("drops", Text("drops", "丢弃数"), ""),
)
TIMERS = {
    "retransmission": Text("resend", "重传"),
    "keepalive": Text("keepalive", "保活"),
    "time-wait": Text("over", "结束"),
    "persist": Text("probe", "探测"),
}


def line(event: Event) -> Text:
    """Returns an event in one line: what kind it is, which packet, and what of it."""
    kind, number, said = _KINDS[type(event)], getattr(event, "packet", None), _said(event)
    at = f"{number:>3}" if number is not None and not isinstance(event, CommandAnswered) else "   "
    return Text(
        f"{pad(kind.en, _KIND)}{at}  {brief(said.en)}".rstrip(), f"{pad(kind.zh, _KIND)}{at}  {brief(said.zh)}".rstrip()
    )


def _said(event: Event) -> Text:
    if isinstance(event, Begun):
        where = Text("on real hosts", "真实主机") if event.live else Text("as it was recorded", "已录制的抓包")
        return Text(f"{event.name}, {where.en}", f"{event.name}，{where.zh}")
    if isinstance(event, ConversationOpened):
        ends = f"{address(*event.client)} → {address(*event.server)}"
        return Text(f"conversation {event.conversation}: {ends}", f"连接 {event.conversation}：{ends}")
    if isinstance(event, PacketSent):
        return joined(called(event), both(event.states))
    if isinstance(event, PacketHeld):
        return Text("waits on the wire", "停在线路上，等待命令")
    if isinstance(event, PacketArrived):
        how = both(event.states)
        return joined(how, refusal(event.refused)) if event.refused is not None else how
    if isinstance(event, PacketLost):
        return ABSORBED if event.absorbed else Text("it never arrives", "不会送达")
    if isinstance(event, StateChanged):
        name, on = NAMES[event.end], worded(event.on)
        above = "" if event.protocol == TRANSPORT.name else f"{TITLES[event.protocol]} "
        moved = f"{above}{event.before} → {event.after}"
        return Text(f"{name.en} {moved} ({on.en})", f"{name.zh} {moved}（{on.zh}）")
    if isinstance(event, KernelAsked):
        return _kernels(event)
    return _further(event)


def _further(event: Event) -> Text:
    if isinstance(event, StepSeen):
        step = note(event.step)
        return Text(step.name.en, step.name.zh)
    if isinstance(event, MessageRead):
        words, message = event.message.words, f"{TITLES[event.message.protocol]} {event.message.name}"
        return Text(f"{message} {words.en}".strip(), f"{message} {words.zh}".strip())
    if isinstance(event, Surprised):
        name, on = NAMES[event.end], worded(event.on)
        return Text(f"{name.en} {on.en} in {event.state}", f"{name.zh}处于 {event.state} 状态，却{on.zh}")
    if isinstance(event, CommandAnswered):
        if event.message is None:
            return Text(f"{event.command}: done", f"{event.command}：完成")
        hint = event.hint or Text("", "")
        return Text(
            f"{event.command}: refused: {event.message.en}; {hint.en}",
            f"{event.command}：拒绝：{event.message.zh}；{hint.zh}",
        )
    if isinstance(event, SecretsLearnt):
        count = len(event.keylog.splitlines())
        return Text(f"{count} lines of the key log", f"密钥日志 {count} 行")
    if isinstance(event, Ended):
        return event.early or Text("nothing more will come", "不会再有包了")
    return Text("", "")


ABSORBED = Text(
    "sent again while a packet is held: the wire drops it, as it would not have been sent otherwise",
    "有包被扣住期间的重传：若未扣住本不会发送，由线路丢弃",
)


def joined(*parts: Text) -> Text:
    said = [part for part in parts if part.en]
    return Text("   ".join(part.en for part in said), "   ".join(part.zh for part in said))


def called(sent: PacketSent) -> Text:
    """Returns what a packet is called: its sender, its labels, its numbers."""
    what = "+".join(sent.labels)
    numbers = "" if sent.seq is None else f" seq={sent.seq}" + ("" if sent.ack is None else f" ack={sent.ack}")
    size = f" {sent.payload}B" if sent.payload else ""
    if sent.sender is None:
        return Text(what, what)
    arrow = "──▶" if sent.sender == "client" else "◀──"
    name = NAMES[sent.sender]
    return Text(f"{name.en} {arrow} {what}{size}{numbers}", f"{name.zh} {arrow} {what}{size}{numbers}")


def both(states: States | None) -> Text:
    if states is None:
        return Text("", "")
    parts = [(NAMES[role], getattr(states, role) or "?") for role in ROLES]
    return Text(
        " · ".join(f"{name.en} {state}" for name, state in parts),
        " · ".join(f"{name.zh} {state}" for name, state in parts),
    )


def _kernels(event: KernelAsked) -> Text:
    instant = {
        "held": Text("held", "扣住时"), "delivered": Text("delivered", "送达后"), "final": Text("at the end", "结束时"),
    }[event.instant]  # fmt: skip
    said = []
    for role in ROLES:
        name, found = NAMES[role], getattr(event.kernels, role)
        timer = timer_of(found)
        said.append(
            Text(f"{name.en} {found.state} {timer.en}".rstrip(), f"{name.zh} {found.state} {timer.zh}".rstrip())
        )
    moved = ", ".join(f"{each.role} {each.counter} +{each.by}" for each in event.kernels.moved)
    more = f" · {moved}" if moved else ""
    return Text(
        f"{instant.en}: " + " · ".join(each.en for each in said) + more,
        f"{instant.zh}：" + " · ".join(each.zh for each in said) + more,
    )


def timer_of(found: Socket, passed: float = 0.0) -> Text:
    """Returns the timer that runs at a socket and when it fires, `passed` seconds after it was asked."""
    if found.timer is None or found.expires is None:
        return Text("", "")
    left = max(0.0, found.expires / 1000 - passed)
    name = TIMERS[found.timer]
    return Text(f"{name.en} in {seconds(left)}", f"{seconds(left)} 后{name.zh}")


def seconds(value: float) -> str:
    if value >= 120:
        return f"{value / 60:.0f} min"
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s" if value >= 0.1 else f"{value * 1000:.3g} ms"


def amount(found: Socket | None, name: str, unit: str, lang: Lang, passed: float = 0.0) -> str:
    """Returns what a kernel says of one field, as it is shown; empty where it says nothing."""
    if found is None:
        return ""
    if unit == "timer":
        return timer_of(found, passed).pick(lang)
    value = getattr(found, name)
    if value is None:
        return ""
    return seconds(value / 1e6) if unit == "us" else str(value)


class Told(NamedTuple):
    """A row of what both kernels say; `changed` are the ends at which it is another than before."""

    name: Text
    client: str
    server: str
    changed: tuple[Role, ...]


def kernels(view: View, lang: Lang, passed: float = 0.0) -> Iterator[Told]:
    """Yields what both kernels say, field by field, and then the counters that have moved."""
    for name, text, unit in KERNEL:
        said = [amount(view.end(role).kernel, name, unit, lang, passed) for role in ROLES]
        if any(said):
            changed = tuple(role for role in ROLES if name in view.end(role).changed)
            yield Told(text, said[0], said[1], changed)
    moved = {name for role in ROLES for name, _ in view.end(role).moved}
    for name in sorted(moved):
        counts = [dict(view.end(role).moved).get(name) for role in ROLES]
        shown = [f"+{count}" if count else "" for count in counts]
        yield Told(Text(name, name), shown[0], shown[1], tuple(ROLES))


class Running(NamedTuple):
    """A timer that runs: whose, for how many milliseconds, and in words what it will do, with a place for that time."""

    role: Role
    ms: int
    text: Text


def running(view: View) -> Iterator[Running]:
    """Yields the timers that run."""
    for role in ROLES:
        found, name = view.end(role).kernel, NAMES[role]
        if found is None or found.timer is None or found.expires is None or view.over:
            continue
        en, zh = _DOES[found.timer]
        said = Text(f"The {name.en}'s kernel: in {{}} {en}", f"{name.zh}内核：{{}} 后{zh}")
        yield Running(role, found.expires, said)


def timers(view: View, passed: float = 0.0) -> Iterator[Text]:
    """Yields what the timers that run will do, and what they have done while a packet is held."""
    for each in running(view):
        yield each.text.format(seconds(max(0.0, each.ms / 1000 - passed)))
    yield from beside_timers(view)


def beside_timers(view: View) -> Iterator[Text]:
    """Yields what else is to be said of timers, and what they have done while a packet is held."""
    if any(found is not None and found.timer for found in (view.client.kernel, view.server.kernel)) and view.held:
        yield Text(
            "Held time runs on the kernels' timers, not on anybody's patience.",
            "扣住的时间会推进内核的定时器，但不计入任何一方的等待时限。",
        )
    again = sum(each.again for each in view.rungs)
    if again:
        yield Text(
            f"Sent again so far: {again}. The wire dropped that, since it was only sent because a packet was held.",
            f"至今重传 {again} 次：只因有包被扣住才发送，由线路丢弃。",
        )


_DOES: dict[str, tuple[str, str]] = {
    "retransmission": (
        "it sends again what is not acknowledged.",
        "将重传未确认的内容。",
    ),
    "keepalive": (
        "it asks whether the peer is still there, or gives up FIN-WAIT-2.",
        "会探测对方是否仍在，或放弃 FIN-WAIT-2。",
    ),
    "time-wait": ("TIME-WAIT is over, and the connection forgotten.", "TIME-WAIT 结束，连接被遗忘。"),
    "persist": ("it asks whether the peer's window is still closed.", "会探测对方窗口是否仍为零。"),
}


def fired(row: Fired) -> Text:
    """Returns a row of a table that has fired, with where that is said."""
    name, on = NAMES[row.end], worded(row.on)
    source = sections(row.source) if row.source else Text("", "")
    title = "" if row.protocol == TRANSPORT.name else f"{TITLES[row.protocol]}  "
    moved = f"{row.before} → {row.after}"
    return Text(
        f"{title}{name.en}: {moved}  {on.en}  {source.en}".rstrip(),
        f"{title}{name.zh}：{moved}  {on.zh}  {source.zh}".rstrip(),
    )


def steps(rung: Rung) -> list[Text]:
    """Returns the notes' steps that a packet is: name and title."""
    found = []
    for each in rung.steps:
        step = note(each)
        title = cast(step.title, rung.sender or "client")
        found.append(Text(f"{step.name.en}: {title.en}", f"{step.name.zh}：{title.zh}"))
    return found


def fields_of(rung: Rung) -> list[Field]:
    """Returns every field of a packet's headers, in wire order."""
    return fields(rung.frame, FIELDS) if rung.frame is not None else []
