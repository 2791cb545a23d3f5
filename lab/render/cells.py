"""What is said of a cell, for whoever shows it: how it stands to the rules, and each part of it in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.protocols.exploration import (
    CALLS,
    DIFFERENCES,
    STIMULI,
    WAYS,
    Branch,
    Cell,
    Difference,
    Options,
    Sent,
    Shown,
    Way,
    explained,
)
from lab.render.words import sections
from lab.text import Text

_OPTIONS = (Text("timestamps", "时间戳"), Text("RFC 1337", "RFC 1337"))  # in their order
NOTHING = Text("nothing", "无")
HEARD = {
    "open": Text("it is open", "连接已打开"),
    "urgent": Text("urgent data", "紧急数据"),
    "end": Text("the end of the stream", "流的末尾"),
    "reset": Text("connection reset", "连接被复位"),
    "refused": Text("connection refused", "连接被拒绝"),
}
MARKS = {"agree": "✓", "explained": "≈", "unexplained": "≠"}


class Played(Sequence[Cell]):
    """Cells that were played, on which kernel, with which options."""

    def __init__(self, kernel: str, options: Options, cells: Iterable[Cell]) -> None:
        self.kernel, self.options, self._cells = kernel, options, list(cells)

    def __getitem__(self, at: int) -> Cell:  # type: ignore[override]  # slices are not asked for
        return self._cells[at]

    def __len__(self) -> int:
        return len(self._cells)

    @property
    def title(self) -> Text:
        """What it was played on: a kernel, and options that are not the usual ones."""
        more = [text for text, on in zip(_OPTIONS, self.options[1:], strict=True) if on]
        ip = "IPv6" if self.options.ipv6 else "IPv4"
        said = [Text(*[f"Linux {self.kernel.partition('-')[0]}"] * 2), Text(ip, ip), *more]
        return Text(", ".join(each.en for each in said), "，".join(each.zh for each in said))


def verdict(cell: Cell) -> str:
    """Returns how a cell stands to the rules: agree, explained or unexplained."""
    return "agree" if not cell.differs else "explained" if explained(cell) else "unexplained"


def counted(cell: Cell) -> list[str]:
    """Returns what has been counted while a segment was taken or refused."""
    drops = [f"sk_drops +{cell.dropped}"] if cell.dropped else []
    return [f"{name} +{by}" for name, by in cell.moved] + drops


def heard(words: Sequence[str]) -> Text:
    """Returns what a program hears, in words."""
    said = [HEARD.get(each) or _bytes(each) for each in words]
    if not said:
        return NOTHING
    return Text(", ".join(each.en for each in said), "、".join(each.zh for each in said))


def segments(sent: Sequence[Shown | Sent]) -> Text:
    """Returns segments with their relative numbers, in words."""
    if not sent:
        return NOTHING
    told = []
    for each in sent:
        shown = each if isinstance(each, Shown) else Shown(*each)
        seq = "" if shown.seq is None else f" seq {shown.seq}"
        told.append(f"{shown.name}{seq}{'' if shown.ack is None else f' ack {shown.ack}'}")
    return Text(", ".join(told), "、".join(told))


def rule(branch: Branch) -> Text:
    """Returns a step of the rules in words, and where it stands."""
    where = branch.section if branch.section.startswith("RFC") else f"RFC 9293 section {branch.section}"
    return Text(f"{where}: {branch.text.en}", f"{sections(where).zh}：{branch.text.zh}")


def script(way: Way) -> str:
    """Returns what leads there: calls of the program, and segments of its peer."""
    return " · ".join(f"{word}()" if word in CALLS else word for word in way.words)


def kind(cell: Cell) -> str:
    """Returns what happens in a cell, as colours tell it: quiet, ack, on (to the next state), rst, end."""
    if cell.after == cell.before:
        return "quiet" if not cell.sent else "rst" if cell.sent[0].name.startswith("RST") else "ack"
    gone = cell.after == "CLOSED" or (cell.after == "LISTEN" and cell.before != "LISTEN")
    done = cell.before == "LAST-ACK" and not cell.segment.startswith("rst")  # CLOSED is where it was to go
    return "end" if gone and not done else "on"


def numbered(found: Iterable[Cell]) -> list[tuple[Difference, int]]:
    """Returns the explained differences that there are, and in how many cells each."""
    seen = [why.number for cell in found if (why := explained(cell))]
    return [(each, seen.count(each.number)) for each in DIFFERENCES if each.number in seen]


def _bytes(word: str) -> Text:
    kind, _, length = word.partition(" ")
    return Text(f"{length} bytes", f"{length} 字节") if kind == "data" else Text(word, word)


ALL = [(way, stimulus) for way in WAYS for stimulus in STIMULI]
