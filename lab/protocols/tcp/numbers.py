"""The numbers of a segment, reckoned out: what is raw, what is relative, what is scaled, and from what it follows."""

from __future__ import annotations

from lab.model import Reckoning
from lab.protocols.tcp.conversation import End, SegmentRecord
from lab.protocols.tcp.segment import FIN, SYN, options
from lab.text import ROLES, Text

_WRAP = 1 << 32
_MOST_SHIFT = 14  # RFC 7323 section 2.3: whoever says more means this
_NOTHING = Text("", "")


def reckoned(record: SegmentRecord) -> tuple[Reckoning, ...]:
    """Returns how the relative numbers of a segment follow from the raw ones, and how many bytes its window is."""
    end, peer, segment = record.end, record.receiver, record.segment
    found = [
        Reckoning(Text("sequence number", "序号"), _relative(end, segment.seq, record.seq)),
        Reckoning(Text("takes", "占用"), _taken(record)),
    ]
    if record.ack is not None:
        found.append(Reckoning(Text("acknowledgment", "确认号"), _relative(peer, segment.ack, record.ack)))
        found.append(Reckoning(_NOTHING, _awaited(peer, record.ack)))
    found.append(Reckoning(Text("window", "窗口"), _window(end, peer, segment.window, bool(segment.flags & SYN))))
    return tuple(found)


def _relative(end: End, raw: int, relative: int) -> Text:
    """Returns the arithmetic from a raw number of an end's stream to the relative one."""
    role, isn = ROLES[end.role], end.isn
    turns, rest = divmod(relative - raw + isn, _WRAP) if isn is not None else (0, 1)
    if isn is None or rest:
        first = (raw - relative + 1) % _WRAP
        turns = (relative - raw + first - 1) // _WRAP
        return Text(
            f"{relative} = {raw} − {first} + 1{_turned(turns)}: no SYN of the {role.en} was captured, so the "
            "first number of its stream that was seen is called 1",
            f"{relative} = {raw} − {first} + 1{_turned(turns)}：没有抓到{role.zh}的 SYN，"
            "因此把其字节流中见到的第一个序号记为 1",
        )
    if raw == isn and not turns:
        return Text(
            f"0 = {raw} − {isn}: this is the {role.en}'s ISN itself", f"0 = {raw} − {isn}：这正是{role.zh}的 ISN"
        )
    return Text(
        f"{relative} = {raw} − {isn}{_turned(turns)}: raw, less the {role.en}'s ISN",
        f"{relative} = {raw} − {isn}{_turned(turns)}：原始值减去{role.zh}的 ISN",
    )


def _turned(turns: int) -> str:
    """Returns what is added because raw numbers begin anew after 2³²."""
    if not turns:
        return ""
    sign = "+" if turns > 0 else "−"
    return f" {sign} 2³²" if abs(turns) == 1 else f" {sign} {abs(turns)} × 2³²"


def _taken(record: SegmentRecord) -> Text:
    """Returns which numbers of its sender's stream a segment takes, and for what."""
    count = record.stop - record.seq
    if not count:
        return Text("no number", "不占用序号")
    flags = record.segment.flags
    ones = [name for name, bit in (("SYN", SYN), ("FIN", FIN)) if flags & bit]
    payload = count - len(ones)
    bytes_en = [f"{payload} byte{'' if payload == 1 else 's'} of data"] if payload > 0 else []
    bytes_zh = [f"数据 {payload} 字节"] if payload > 0 else []
    en = ", ".join([*bytes_en, *(f"1 for {name}" for name in ones)])
    zh = "，".join([*bytes_zh, *(f"{name} 占 1 个" for name in ones)])
    which = str(record.seq) if count == 1 else f"{record.seq}–{record.stop - 1}"
    return Text(f"{which}: {en}; its next is {record.stop}", f"{which}：{zh}；下一个序号是 {record.stop}")


def _awaited(peer: End, ack: int) -> Text:
    role = ROLES[peer.role]
    return Text(
        f"says that everything of the {role.en} before {ack} has arrived",
        f"表示{role.zh}在 {ack} 之前的内容均已收到",
    )


def _window(end: End, peer: End, raw: int, in_syn: bool) -> Text:
    """Returns how many bytes a window is: the shift is in the SYNs, and holds where both have one (RFC 7323)."""
    role = ROLES[end.role]
    if in_syn:
        return Text(
            f"{raw} bytes: in a SYN it is never scaled (RFC 7323 section 2.2)",
            f"{raw} 字节：SYN 中的窗口从不缩放（RFC 7323 第 2.2 节）",
        )
    known = {each.role: options(each.options).window_scale for each in (end, peer) if each.options is not None}
    without = next((who for who, shift in known.items() if shift is None), None)
    if without is not None:
        who = ROLES[without]
        return Text(
            f"{raw} bytes: not scaled, for the {who.en}'s SYN has no window scale",
            f"{raw} 字节：不扩大，因为{who.zh}的 SYN 没有窗口扩大选项",
        )
    if not raw:
        return Text("0 bytes, however it is scaled", "0 字节，无论如何缩放")
    answered = len(known) == 2 or "server" in known  # a SYN-ACK has the option only where the SYN had it
    shift = known.get(end.role) if answered else None
    if shift is None:
        unseen = ROLES[end.role if end.role not in known else peer.role]
        return Text(
            f"{raw}, raw: how much it is scaled was said in the SYNs, and none of the {unseen.en} was captured",
            f"{raw}（原始值）：缩放位数在 SYN 中约定，而没有抓到{unseen.zh}的 SYN",
        )
    used = min(shift, _MOST_SHIFT)
    return Text(
        f"{raw} × 2^{used} = {raw << used} bytes: the {role.en}'s SYN says shift {shift}",
        f"{raw} × 2^{used} = {raw << used} 字节：{role.zh}的 SYN 约定左移 {shift} 位",
    )
