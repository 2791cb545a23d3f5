"""One packet, or some, in words: what it is, what it changes, every field with its bytes, and the bytes themselves."""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TextIO, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Styled

from lab.dissect.fields import fields
from lab.model import Carrier, Field, Message, Packet, Span, States, Verdict
from lab.protocols.registry import TRANSPORT
from lab.protocols.transport import FIELDS
from lab.render import trace
from lab.render.bytes import carried, dumped
from lab.render.meanings import with_meanings
from lab.render.trace import dump
from lab.render.words import (
    EXPLAINED,
    LABELS,
    MEANINGS,
    TITLES,
    brief,
    clip,
    columns,
    console,
    event,
    pad,
    refusal,
    sections,
    wrap,
)
from lab.report import fate, steps
from lab.text import ROLES, Lang, Text, address, safe

NARROWEST, WIDEST = 60, 100
_NAME = 28  # columns of a field's name
_PLACE = 15  # and of where it lies
_MOST_FIELDS, _MOST_BYTES, _MOST_PLAIN, _MOST_CARRIERS = 400, 2048, 512, 8  # that are shown
_HEX = re.compile(r"(?:[0-9a-f]{2} )+(?:…|[0-9a-f]{2})")
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")
_WHAT = {
    "SYN": Text("asks to open a connection", "请求建立连接"),
    "SYN-ACK": Text("agrees to open it, and acknowledges the SYN", "同意建立连接，并确认对方的 SYN"),
    "ACK": Text("acknowledges what has arrived, and carries no data", "确认已收到的内容，不带数据"),
    "data": Text("carries data", "携带数据"),
    "FIN": Text("says that no more data will come", "表示不会再发送数据"),
    "RST": Text("declares the connection over", "宣告连接终止"),
}


class Explained(NamedTuple):
    """A packet with its messages' fields, and both ends' states before it (None where nobody knows them).

    `speaks` is the protocol that its sender has spoken before it, above the transport.
    """

    packet: Packet
    before: States | None
    began: int | None  # the first packet's time
    speaks: str


Value = TypeVar("Value")


class _Latest(Generic[Value]):
    """The latest of a few values, by number from 0 on: two bytes each, as conversations may be very many."""

    def __init__(self, first: Value) -> None:
        self._places = {first: 0}
        self._values = [first]
        self._latest = array("H")

    def get(self, number: int) -> Value:
        return self._values[self._latest[number] if number < len(self._latest) else 0]

    def put(self, number: int, value: Value) -> None:
        place = self._places.setdefault(value, len(self._values))
        if place == len(self._values):
            self._values.append(value)
        if number >= len(self._latest):
            self._latest.frombytes(bytes(self._latest.itemsize * (number + 1 - len(self._latest))))
        self._latest[number] = place


def find(packets: Iterator[Packet], numbers: range) -> Iterator[Explained]:
    """Yields the packets with these numbers, as far as there are any, and takes none behind them."""
    before, speaking = _Latest[States | None](None), _Latest("")
    began: int | None = None
    for packet in packets:
        began = packet.time if began is None else began
        which, ends = packet.conversation, packet.ends
        speaker = None if which is None else 2 * which + (packet.sender == "client")
        if packet.number in numbers:
            first = TRANSPORT.tables["client"].starts["client"]
            start = States(first, packet.held and packet.held.server) if ends and ends.from_start else None
            known = None if which is None else before.get(which) or start
            yield Explained(packet, known, began, "" if speaker is None else speaking.get(speaker))
        if 0 < numbers.stop - 1 <= packet.number:
            return
        if which is not None and packet.held is not None:
            before.put(which, packet.delivered or packet.held)
        if speaker is not None and packet.messages:
            speaking.put(speaker, packet.messages[0].protocol)


def as_json(found: Iterable[Explained], out: TextIO, several: bool) -> None:
    """Writes packets as entries of the trace, with `fields`: layer, name, span, value of each; `several` as a list.

    Each message has `fields` too, and the `records` it came in: offsets in the message, or the record.
    """
    lines = (dump(entry(each.packet)) for each in found)
    out.write(f"[{(',' + chr(10)).join(lines)}]\n" if several else "".join(line + "\n" for line in lines))


def entry(packet: Packet) -> dict[str, Any]:
    """Returns the entry of a packet with all its fields."""
    told, frame = trace.packet(packet), packet.frame
    for each, message in zip(told["messages"], packet.messages, strict=True):
        each["fields"] = [field._asdict() for field in message.fields]
        each["records"] = [
            {
                "seq": carrier.start,
                "spans": [span._asdict() for span in carrier.spans],
                "fields": [field._asdict() for field in carrier.fields],
                "plaintext": carrier.plain.hex() if carrier.plain else None,
            }
            for carrier in message.carriers
        ]
    told["fields"] = [
        {"layer": field.layer, "name": field.name, "span": field.span._asdict(), "value": field.value}
        for field in (fields(frame, FIELDS) if frame else [])
    ]
    return told


def explain(found: Iterable[Explained], out: TextIO, lang: Lang) -> None:
    """Tells packets for people, as wide as the terminal is, within reason."""
    on = console(out)
    page = _Page(on, lang, columns(on, NARROWEST, WIDEST))
    for at, each in enumerate(found):
        if at:
            page.part()
        page.head(each)
        page.words(each.packet)
        page.states(each)
        page.numbers(each.packet)
        page.messages(each.packet)
        page.fields(each)


class _Page:
    def __init__(self, on: Console, lang: Lang, width: int) -> None:
        self._console = on
        self._lang: Lang = lang
        self._width = width

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Styled(text.rstrip(), style), soft_wrap=True)

    def _paragraph(self, text: str, style: str = "", indent: int = 2) -> None:
        for line in wrap(text, self._width - indent):
            self._line(" " * indent + line, style)

    def _title(self, en: str, zh: str) -> None:
        self._line()
        self._line(Text(en, zh).pick(self._lang), "bold")

    def part(self) -> None:
        """Parts two packets."""
        self._line()
        self._line("─" * self._width, "dim")
        self._line()

    def head(self, found: Explained) -> None:
        """Draws which packet it is, whose, when, and how large."""
        packet, lang = found.packet, self._lang
        names = [message.name for message in packet.messages] or list(packet.labels)
        title = Text(f"Packet {packet.number}: ", f"第 {packet.number} 号包：").pick(lang)
        title += Text(", ", "、").pick(lang).join(map(safe, names))
        for line in wrap(title, self._width):
            self._line(line, "bold")
        if packet.ends is not None:
            both = [f"{ROLES[role].pick(lang)} {address(*getattr(packet.ends, role))}" for role in ("client", "server")]
            ends = both if packet.sender == "client" else both[::-1]
            self._paragraph(f"{ends[0]} → {ends[1]}", "dim")
        said = []
        if packet.time is not None and found.began is not None:
            seconds = f"{(packet.time - found.began) / 1e9:.6f}"
            said.append(Text(f"{seconds} s after the first packet", f"首包之后 {seconds} 秒").pick(lang))
        if packet.frame is not None:
            size, captured = packet.frame.length, len(packet.frame.data)
            said.append(Text(f"{size} bytes", f"{size} 字节").pick(lang))
            if captured < size:
                said.append(Text(f"{captured} of them captured", f"其中抓到 {captured} 字节").pick(lang))
        if packet.conversation is not None:
            number = packet.conversation
            said.append(Text(f"conversation {number}", f"连接 {number}").pick(lang))
        if said:
            self._paragraph(Text(", ", "，").pick(lang).join(said), "dim")

    def words(self, packet: Packet) -> None:
        """Draws what it does, which of the notes' steps it is, and what its labels mean."""
        lang = self._lang
        does = [_WHAT[label].pick(lang) for label in packet.labels if label in _WHAT]
        said = [EXPLAINED.get(label, LABELS[label]).pick(lang) for label in packet.labels if label in LABELS]
        said += [brief(each.words.pick(lang)) + _places(each.spans) for each in packet.remarks]
        if (became := fate.words(packet)) is not None:
            said.append(became.pick(lang))
        if not (does or said or packet.points or packet.steps or packet.refused or packet.surprises):
            return
        self._title("In words", "文字说明")
        if does and packet.sender is not None:
            who = ROLES[packet.sender]
            listed = Text("; it ", "；并且").pick(lang).join(does)
            what = Text(f"The {who.en} {listed}.", f"{who.zh}的这个包{listed}。")
            if packet.journal is not None and packet.journal.forged:
                what = Text(f"In the {who.en}'s name, it {listed}.", f"它以{who.zh}的名义{listed}。")
            self._paragraph(what.pick(lang))
        for each in said:
            self._paragraph(Text(f"Note: {each.rstrip('.')}.", f"注意：{each.rstrip('。')}。").pick(lang), "yellow")
        for step in packet.steps:
            told = steps.told(packet, step)
            self._paragraph(
                f"{told.name.pick(lang)}  {told.title.pick(lang)}  [{sections(told.rfc).pick(lang)}]", "yellow"
            )
            self._paragraph(told.text.pick(lang), indent=4)
        if packet.refused:
            self._refused(packet, packet.refused)
        for point in packet.points:
            self._paragraph(brief(point.pick(lang)) + Text(".", "。").pick(lang), "yellow")
        for surprise in packet.surprises:
            who = ROLES[surprise.role]
            self._paragraph(
                Text(
                    f"Surprise: the {who.en} {surprise.on} in {surprise.state}, which no row of the table has.",
                    f"意外：{who.zh}处于 {surprise.state} 状态，却{event(surprise.on).zh}，状态表中没有对应的行。",
                ).pick(lang),
                "red",
            )

    def _refused(self, packet: Packet, why: Verdict) -> None:
        """Draws why its receiver has thrown it away, and by what of its kernel that is known."""
        lang = self._lang
        self._paragraph(refusal(why, True).pick(lang) + Text(".", "。").pick(lang), "yellow")
        grown = [f"{name} +{by}" for name, by in why.counters]
        grown += [f"sk_drops +{why.dropped}"] if why.dropped else []
        listed = Text(", ", "、").pick(lang).join(grown)
        who = ROLES[packet.receiver or "server"]
        self._paragraph(
            Text(
                f"So says the {who.en}'s kernel: {listed or 'no counter has moved'}; "
                + (f"it answered with {why.answer}" if why.answer else "it sent nothing"),
                f"依据{who.zh}内核：{listed or '没有计数器变化'}；"
                + (f"以 {why.answer} 应答" if why.answer else "没有应答"),
            ).pick(lang)
            + Text(".", "。").pick(lang),
            "dim",
            4,
        )

    def states(self, found: Explained) -> None:
        """Draws both ends' states before it, when it has left, and when it has arrived."""
        packet, lang = found.packet, self._lang
        if packet.held is None:
            return
        self._title("Both ends", "两端状态")
        heads = (ROLES["client"], ROLES["server"], Text("* has just changed", "* 刚刚改变"))
        room = min(24, (self._width - 32) // 2)
        self._line(" " * 14 + "".join(pad(head.pick(lang), room) for head in heads).rstrip(), "dim")
        rows: list[tuple[Text, States | None]] = [
            (Text("before", "之前"), found.before),
            (Text("when sent", "发出时"), packet.held),
            (Text("on arrival", "送达后"), packet.delivered),
        ]
        last: States | None = None
        for name, states in rows:
            cells = []
            for at in (0, 1):
                value = (states[at] or "?") if states else "–"
                mark = "*" if states and last and states[at] != last[at] else ""
                cells.append(pad(value + mark, room))
            self._line(f"  {pad(name.pick(lang), 12)}{''.join(cells)}")
            last = states or last
        if packet.kernel_held or packet.kernel_delivered:
            said = [states for states in (packet.kernel_held, packet.kernel_delivered) if states]
            told = [f"{states.client or '?'}/{states.server or '?'}" for states in said]
            self._paragraph(Text("The kernels said: ", "内核所说：").pick(lang) + " → ".join(told), "dim")
        for protocol, held, delivered in packet.above:
            after = delivered or held
            self._paragraph(
                f"{TITLES[protocol]}: {held.client or '?'}/{held.server or '?'} → "
                f"{after.client or '?'}/{after.server or '?'}",
                "dim",
            )

    def numbers(self, packet: Packet) -> None:
        """Draws how its relative numbers follow from the raw ones."""
        if not packet.reckoned:
            return
        self._title("Its numbers, and how they follow from the raw ones", "各个数值及其由原始值的推算")
        room = 2 + max(cell_len(each.name.pick(self._lang)) for each in packet.reckoned)
        for each in packet.reckoned:
            name = each.name.pick(self._lang)
            for line in wrap(each.text.pick(self._lang), self._width - room - 2):
                self._line(f"  {pad(name, room)}{line}")
                name = ""

    def messages(self, packet: Packet) -> None:
        """Draws what a protocol above TCP says in it, field by field."""
        if not packet.messages:
            return
        self._title("What it carries", "携带的内容")
        if any(carrier.plain for message in packet.messages for carrier in message.carriers):
            opened = Text(
                "What was encrypted is shown as it was decrypted. – in front: it is not sent, both ends work it out.",
                "加密的内容按解密后的显示。前面为 – 的值并不发送，由两端各自算出。",
            )
            self._paragraph(opened.pick(self._lang), "dim")
        left = _MOST_FIELDS
        for message in packet.messages:
            carriers = message.carriers
            if len(carriers) > _MOST_CARRIERS:
                count = len(carriers) - _MOST_CARRIERS
                self._paragraph(Text(f"… {count} records more", f"……另有 {count} 条记录").pick(self._lang), "dim")
            for carrier in carriers[-_MOST_CARRIERS:]:
                self._carrier(message, carrier)
                if carrier.plain and not message.fields:
                    self._paragraph(Text("Decrypted:", "解密后：").pick(self._lang), indent=4)
                    for line in dumped(carrier.plain[:_MOST_PLAIN], self._width, "    "):
                        self._console.print(line, soft_wrap=True)
            self._paragraph(f"{TITLES[message.protocol]} {safe(message.name)}{_places(message.spans)}", "cyan")
            words = message.words.pick(self._lang)
            if words:
                self._paragraph(brief(words), indent=4)
            details = message.fields
            for field, meaning in with_meanings(details[:left], MEANINGS[message.protocol]):
                self._field(field.start, field.end, " " * field.depth + field.name, field.value)
                if meaning is not None:
                    self._paragraph(meaning.pick(self._lang), "green", _PLACE)
            left = max(left - len(details), 0)
        if not left:
            self._paragraph(Text("… and more fields, not shown", "……还有更多字段，未列出").pick(self._lang), "dim")

    def _carrier(self, message: Message, carrier: Carrier) -> None:
        """Draws the header of the record that a message came in."""
        record = Text("record", "记录").pick(self._lang)
        self._paragraph(f"{TITLES[message.protocol]} {record}{_places(carrier.spans)}", "cyan")
        for field in carrier.fields:
            self._field(field.start, field.end, " " * field.depth + field.name, field.value)

    def fields(self, each: Explained) -> None:
        """Draws the frame's fields and its bytes, layer by layer."""
        packet, frame = each.packet, each.packet.frame
        if frame is None:
            return
        found = [*fields(frame, FIELDS), *carried(packet, each.speaks, self._lang)]
        layers = list(dict.fromkeys(field.layer for field in found))
        colours = {layer: _COLOURS[at % len(_COLOURS)] for at, layer in enumerate(layers)}
        self._title("Fields of the frame, with the bytes they lie in", "帧的各个字段及其所在字节")
        for layer, group in itertools.groupby(found[:_MOST_FIELDS], lambda field: field.layer):
            self._line(f"  {layer}", colours[layer])
            for field in group:
                self._field(field.span.start, field.span.end, field.name, field.value)
        if len(found) > _MOST_FIELDS:
            self._paragraph(Text("… and more fields, not shown", "……还有更多字段，未列出").pick(self._lang), "dim")
        self._dump(frame.data, found, colours)

    def _field(self, start: int, end: int, name: str, value: str) -> None:
        """Draws where a field lies, its name and its value: both whole, but for bytes, of which there may be many."""
        place = f"{start:>6}–{end - 1:<5}" if end - start > 1 else f"{start if end > start else '–':>6}{'':6}"
        name, value, room = safe(name), brief(value), self._width - _PLACE - _NAME
        said = [clip(value, room)] if _HEX.fullmatch(value) else wrap(value, room)
        head = f"  {place} {pad(name, _NAME)}"
        if cell_len(name) >= _NAME:  # too long for its column: the value stands behind it, or below
            short = len(said) == 1 and _PLACE + cell_len(name) + 2 + cell_len(said[0]) <= self._width
            head, said = (f"{head}  ", said) if short else (head, ["", *said])
        for line in said or [""]:
            self._line(head + line)
            head = " " * (_PLACE + _NAME)

    def _dump(self, data: bytes, found: list[Field], colours: dict[str, str]) -> None:
        self._title("The bytes", "字节")
        of = [""] * min(len(data), _MOST_BYTES)
        for field in found:
            start, end = field.span[2:]
            of[start:end] = [field.layer] * (min(end, len(of)) - start) if start < len(of) else []
        for line in dumped(data[: len(of)], self._width, "", of, colours):
            self._console.print(line, soft_wrap=True)
        if len(data) > len(of):
            more = len(data) - len(of)
            self._paragraph(Text(f"… and {more} bytes more", f"……还有 {more} 字节").pick(self._lang), "dim")


def _places(spans: Sequence[Span]) -> str:
    """Returns where something lies: packet and bytes, the first few of many places."""
    places = [
        f"{span.number}:{span.start}–{span.end - 1}{' (plain)' if span.buffer == 'plain' else ''}" for span in spans[:4]
    ]
    return f"  [{', '.join(places)}{' …' if len(spans) > 4 else ''}]" if places else ""
