"""What stands in the screen's panels, as lines of styled texts: pure, and for any width and language.

ladder    a packet a line; one that is held stops halfway, one that was lost ends in a cross
kernels   what both say, side by side, what has changed since the place before lit
packet    its fields by layer, and its bytes, those of the chosen field lit
about     the notes' step, the rows that have fired, the timers, what was refused or surprising
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from lab.dissect.fields import fields
from lab.model import Field, Role
from lab.protocols.transport import FIELDS
from lab.render.parts import kind, steps
from lab.render.words import TITLES, brief, cells, clip, event, pad, refusal, wrap
from lab.stepping import words
from lab.stepping.view import ROLES, End, Rung, View
from lab.text import ROLES as NAMES
from lab.text import Lang, Text

Line = list[tuple[str, str]]  # texts, each with its style

# Bright on black: readable from the last row.
PLAIN, BRIGHT, HEAD = "#e4e4e4", "bold #ffffff", "bold #87d7ff"
GREEN, CYAN, MAGENTA, YELLOW, RED = "#5fff87", "#5fd7ff", "#ff87ff", "#ffd75f", "bold #ff6b6b"
NEW = "bold #ffd75f"
LIT, HELD = "bold #000000 on #ffd75f", "bold #000000 on #5fd7ff"
_STYLES = {"SYN": GREEN, "SYN-ACK": GREEN, "FIN": MAGENTA, "RST": RED, "data": CYAN}
_MARK = " •"  # of what is new, also where there are no colours
_NUMBER, _STATE, _STEP = 4, 12, 10  # columns


# The ladder.


def ladder(view: View, lang: Lang, width: int, height: int) -> list[Line]:
    """Returns the last packets of the conversation at hand, and both ends above them."""
    step = _STEP if width >= 76 else 0
    arrow = width - _NUMBER - 2 * _STATE - 2 - step
    which = view.rung.sent.conversation if view.rung is not None else None
    rungs = [each for each in view.rungs if each.sent.conversation in (which, None)]
    names = [f"{NAMES[role].pick(lang)}" for role in ROLES]
    room = width - _NUMBER - step
    lines: list[Line] = [_spread(names[0], names[1], room, HEAD)]
    if view.ends is not None:
        ends = [f"{end.host}:{end.port}" if ":" not in end.host else f"[{end.host}]:{end.port}" for end in view.ends]
        if sum(map(cells, ends)) < room:
            lines.append(_spread(ends[0], ends[1], room, PLAIN))
    shown = max(1, height - len(lines))
    before = rungs[-shown - 1] if len(rungs) > shown else None
    states: dict[Role, str | None] = {role: _at(before, role) if before else None for role in ROLES}
    for rung in rungs[-shown:]:
        lines.append(_rung(rung, states, lang, arrow, step, rung.number == view.at))
    return lines


def _spread(left: str, right: str, room: int, style: str) -> Line:
    return [(" " * _NUMBER, ""), (left + " " * max(1, room - cells(left) - cells(right)) + right, style)]


def _at(rung: Rung, role: Role) -> str | None:
    """Returns the state of an end that stands at a rung: its sender's when it left, its receiver's when it arrived."""
    states = rung.held if role == rung.sender else rung.delivered
    return getattr(states, role) if states is not None else None


def _rung(rung: Rung, states: dict[Role, str | None], lang: Lang, width: int, step: int, at: bool) -> Line:
    columns: dict[Role, tuple[str, str]] = {}
    for role in ROLES:
        state = _at(rung, role)
        columns[role] = (pad(clip(state or "", _STATE), _STATE), BRIGHT if state not in (None, states[role]) else PLAIN)
        states[role] = state or states[role]
    line: Line = [
        (f"{rung.number:>3} ", HELD if at and rung.fate == "held" else BRIGHT if at else PLAIN),
        columns["client"],
        (" ", ""),
        *arrow(rung, width),
        (" ", ""),
        columns["server"],
    ]
    if step and rung.steps:
        line.append((clip(" " + steps(rung.steps, lang), step), YELLOW))
    return line


def arrow(rung: Rung, width: int) -> Line:
    """Returns a packet's arrow: whole where it arrived, half of it where it is held, with a cross where it was lost."""
    style = next((_STYLES[label] for label in rung.labels if label in _STYLES), BRIGHT)
    fate, forward = rung.fate, rung.sender != "server"
    reach = width if fate == "arrived" else max(width * 5 // 8, 10)
    text = _text_on(rung, reach - 5)
    tip = {"arrived": ("▶", "◀"), "held": ("▶▌", "▐◀"), "under-way": ("╌▷", "◁╌"), "lost": ("✗", "✗")}[fate]
    dash = "╌" if fate == "under-way" else "─"
    line = dash * max(0, reach - cells(text) - len(tip[0]) - 3)
    rest = " " * (width - reach)
    if fate == "held":
        style = HELD
    if forward:
        return [(f"{dash} {text} {line}{tip[0]}", RED if fate == "lost" else style), (rest, "")]
    return [(rest, ""), (f"{tip[1]}{line} {text} {dash}", RED if fate == "lost" else style)]


def _text_on(rung: Rung, room: int) -> str:
    name, sent = kind(rung.labels)[0], rung.sent
    again = f" ×{rung.again + 1}" if rung.again else ""
    if rung.messages:
        last = rung.messages[-1].protocol
        named = [each.name for each in rung.messages if each.protocol == last]
        name = "+".join(named) if cells("+".join(named)) <= room - 12 else f"{TITLES[last]} ×{len(named)}"
    if rung.forged:
        name = f"{name}!"
    size = f" {sent.payload}B" if sent.payload else ""
    numbers = "" if sent.seq is None else f" seq={sent.seq}" + (f" ack={sent.ack}" if sent.ack is not None else "")
    for text in (f"{name}{size}{numbers}{again}", f"{name}{size}{again}", f"{name}{again}"):
        if cells(text) <= room:
            return text
    return clip(name, max(3, room))


# What both kernels say.


def kernels(view: View, lang: Lang, width: int, height: int, passed: float) -> list[Line]:
    """Returns what both kernels say; where there is little room, what matters first."""
    name_width = 16 if width >= 46 else width // 4
    each = (width - name_width) // 2
    head = pad("", name_width) + "".join(pad(NAMES[role].pick(lang), each) for role in ROLES)
    lines: list[Line] = [[(head, HEAD)]]
    if not _agree(view):
        by_table = Text("by the table", "状态表").pick(lang)
        states = [_lines_of(_states(view.end(role)), each - 1) for role in ROLES]
        for client, server in zip_longest(*states, fillvalue=""):
            lines.append([(pad(by_table, name_width), PLAIN), (pad(client, each), BRIGHT), (pad(server, each), BRIGHT)])
            by_table = ""
    rows = list(words.kernels(view, lang, passed))
    if not rows:
        lines.append([(Text("no kernel was asked", "没有询问内核").pick(lang), PLAIN)])
    order = [row for row in rows if row.changed] + [row for row in rows if not row.changed]
    room = height - len(lines)
    kept = {id(row) for row in (rows if len(rows) <= room else _first(rows, order, room))}
    for row in rows:
        if id(row) not in kept:
            continue
        line: Line = [(pad(clip(row.name.pick(lang), name_width - 1), name_width), PLAIN)]
        for role, said in zip(ROLES, (row.client, row.server), strict=True):
            if row.name.en == "state" and _agree(view):
                said = f"{said} ✓"
            new = role in row.changed and bool(said)
            line.append(
                (pad(clip(said + _MARK * (new and cells(said) < each - 2), each - 1), each - 1), NEW if new else BRIGHT)
            )
            line.append((" ", ""))
        lines.append(line)
    return lines


def kernels_short(view: View, lang: Lang, width: int, height: int, passed: float) -> list[Line]:
    """Returns what both kernels say in a few lines: a line or more for each end, what matters first."""
    lines: list[Line] = []
    rows = list(words.kernels(view, lang, passed))
    each = max(1, height // 2)
    for role in ROLES:
        lead = max(cells(name.pick(lang)) for name in NAMES.values()) + 1
        line: Line = [(pad(NAMES[role].pick(lang), lead), HEAD)]
        states = " · ".join(_states(view.end(role)))
        items = [] if _agree(view) else [(Text("by the table", "状态表").pick(lang), states, False)]
        for row in rows:
            said = row.client if role == "client" else row.server
            name = "" if row.name.en in ("state", "timer") else row.name.pick(lang)
            if said and (said != "0" or role in row.changed):
                items.append((name, said, role in row.changed))
        of_end: list[Line] = []
        used = lead
        for name, said, lit in items:
            taken = cells(name) + bool(name) + cells(said) + 2 + 2 * lit
            if used + taken > width:
                of_end.append(line)
                line, used = [(" " * lead, "")], lead
            line += [(name + " " * bool(name), PLAIN), (said + _MARK * lit, NEW if lit else BRIGHT), ("  ", "")]
            used += taken
        lines += [*of_end, line][:each]
    return lines


def _agree(view: View) -> bool:
    """Whether both kernels are in the states that the table says, and that is all there is to say of states."""
    ends = [view.end(role) for role in ROLES]
    return all(end.kernel is not None and end.kernel.state == end.state and not end.above for end in ends)


def _first(rows: list[words.Told], order: list[words.Told], room: int) -> list[words.Told]:
    """Returns the rows there is room for: state and timer, then what has changed, then the rest in order."""
    return list(dict.fromkeys([*rows[:2], *order]))[:room]


def _states(end: End) -> list[str]:
    """Returns the states that an end is in by the tables, from TCP upwards."""
    return [end.state or "?", *(f"{TITLES[name]} {state}" for name, state in end.above if state)]


def _lines_of(parts: list[str], width: int) -> list[str]:
    """Returns parts in one line where that fits, else in one each."""
    whole = " · ".join(parts)
    return [whole] if cells(whole) <= width else [clip(part, width) for part in parts]


# The packet at hand.


def fields_of(rung: Rung | None) -> list[Field]:
    """Returns every field of a packet, from the outside in, and the messages of the protocols above behind them."""
    if rung is None or rung.frame is None:
        return []
    found = [each for each in fields(rung.frame, FIELDS) if not (each.name == "payload" and rung.messages)]
    for message in rung.messages:
        for span in message.spans[:1]:
            if (span.buffer, span.number) == ("frame", rung.number):
                found.append(Field(TITLES[message.protocol], message.name, span, message.words.en))
            else:  # opened: what it came in is told by its record
                found += [
                    Field(TITLES[message.protocol], message.name, place, message.words.en)
                    for carrier in message.carriers[:1]
                    for place in carrier.spans[:1]
                ]
    return found


def place_of(found: Sequence[Field], key: tuple[str, str]) -> int:
    """Returns the place of a field among those of a packet, by layer and name; else of that layer's first, or 0."""
    named = [at for at, each in enumerate(found) if (each.layer, each.name) == key]
    layer = [at for at, each in enumerate(found) if each.layer == key[0]]
    return (named or layer or [0])[0]


def packet(view: View, lang: Lang, width: int, height: int, chosen: int) -> list[Line]:
    """Returns the fields of the packet at hand, and beside them its bytes, those of the chosen field lit."""
    found = fields_of(view.rung)
    if view.rung is None or view.rung.frame is None or not found:
        return [[(Text("no packet yet", "还没有包").pick(lang), PLAIN)]]
    data = view.rung.frame.data
    row = 16 if width >= 130 else 8
    dump = 5 + 3 * row + 1 + row
    chosen = min(chosen, len(found) - 1)
    left = _field_lines(found, chosen, width - dump - 2, height)
    right = _byte_lines(data, found[chosen], row, height)
    lines = []
    for at in range(max(len(left), len(right))):
        one = left[at] if at < len(left) else []
        gap = width - dump - sum(cells(text) for text, _ in one)
        lines.append([*one, (" " * max(1, gap), ""), *(right[at] if at < len(right) else [])])
    return lines


def _field_lines(found: Sequence[Field], chosen: int, width: int, height: int) -> list[Line]:
    lines: list[tuple[int | None, Line]] = []
    layer = ""
    for at, each in enumerate(found):
        if each.layer != layer:
            layer = each.layer
            lines.append((None, [(clip(layer, width), HEAD)]))
        name = clip(each.name, min(26, width * 3 // 5))
        value = clip(brief(each.value), max(1, width - cells(name) - 4))
        lines.append((at, [("  " + pad(f"{name} {value}", max(0, width - 2)), LIT if at == chosen else PLAIN)]))
    place = next(index for index, (at, _) in enumerate(lines) if at == chosen)
    first = max(0, min(place - height // 2, len(lines) - height))
    return [line for _, line in lines[first : first + height]]


def _byte_lines(data: bytes, field: Field, row: int, height: int) -> list[Line]:
    start, end = field.span.start, field.span.end
    count = (len(data) + row - 1) // row
    first = max(0, min(start // row - height // 2, count - height))
    lines: list[Line] = []
    for begin in range(first * row, min(len(data), (first + height) * row), row):
        line: Line = [(f"{begin:04x} ", PLAIN)]
        text: Line = [(" ", "")]
        for at in range(begin, begin + row):
            lit = LIT if start <= at < end else PLAIN
            if at < len(data):
                joined = LIT if start <= at < end - 1 and at < begin + row - 1 else ""
                line += [(f"{data[at]:02x}", lit), (" ", joined)]
                text.append((chr(data[at]) if 0x20 <= data[at] < 0x7F else "·", lit))
            else:
                line.append(("   ", ""))
        lines.append([*line, *text])
    return lines


# What is to be said of it.


def about(view: View, lang: Lang, width: int, height: int, passed: float) -> list[Line]:
    """Returns what the packet at hand means, and what has happened since the place before."""
    lines: list[Line] = []
    for text, style in _about(view, lang, passed):
        lines += [[(each, style)] for each in wrap(text, width)]
    return lines[:height]


def _about(view: View, lang: Lang, passed: float) -> Iterator[tuple[str, str]]:
    rung = view.rung
    if view.over:
        said = view.early or Text("It is over: nothing more will come.", "已结束：不会再有包了。")
        yield said.pick(lang), BRIGHT
    if rung is not None and not view.over:
        for step in words.steps(rung):
            yield step.pick(lang), YELLOW
        for message in rung.messages:
            said = Text(f"{message.name}: {message.words.en}", f"{message.name}：{message.words.zh}")
            yield brief(said.pick(lang)), CYAN
        if rung.forged:
            yield (
                Text("forged on the wire: its sender has not sent it", "线路伪造：所称的发送方并未发送").pick(lang),
                RED,
            )
    for row in view.fired:
        yield words.fired(row).pick(lang), GREEN
    for each in _lately(view):
        if each.refused is not None:
            why = refusal(each.refused)
            yield Text(f"{each.number} {why.en}", f"{each.number} {why.zh}").pick(lang), RED
        for odd in each.surprises:
            said = Text(
                f"surprise: the {odd.role} {odd.on} in {odd.state}",
                f"意外：{NAMES[odd.role].zh}处于 {odd.state} 状态，却{event(odd.on).zh}",
            )
            yield said.pick(lang), RED
    if view.live:
        for timer in words.timers(view, passed):
            yield timer.pick(lang), PLAIN


def _lately(view: View) -> Iterable[Rung]:
    return view.rungs[-3:]
