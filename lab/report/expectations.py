"""What somebody expects of a capture, as conditions on the facts of the trace: `close=fin`, `any:tls.version>=1.2`.

A condition is `[WHICH:]NAME OPERATOR VALUE`. NAME is a fact of a conversation, spelled by its place in the trace with
dots between; a label, which is how many of its packets have it; or one of `SHORT`. Of a file there are a few of its
own. WHICH is `all` (where nothing is said), `any`, or a conversation's id. docs/verify.md has the language.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lab.errors import UsageError
from lab.model import ConversationReport, Packet
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.text import Text

_CONDITION = re.compile(r"\s*(?:(all|any|[0-9]{1,9})\s*:)?\s*([\w.-]+?)\s*(!=|<=|>=|==?|<|>)\s*(.*?)\s*", re.DOTALL)
_NUMBER = re.compile(r"(?:^|\s)(-?[0-9]+(?:\.[0-9]+)?)$")
_OLDER = re.compile(r"SSL\s", re.IGNORECASE)  # of these names 3.0 comes before 1.0 of those that followed
_BEFORE_ALL = 100
_MOST_SHOWN, _NEAREST, _MOST_FOUND = 3, 3, 1000

# Short names, and where the trace has them.
SHORT = {"close": "closed", "state": "conn_state", "retransmissions": f"{TRANSPORT.name}.retransmissions"}
OF_FILE = {
    "conversations": Text("conversations of the file", "文件中的连接数"),
    "file.packets": Text("packets of the file", "文件中的包数"),
    "file.problems": Text("what is damaged in the file", "文件中的损坏处"),
}
OF_STEPS = {
    "steps": Text("the steps that were seen", "出现过的步骤"),
    "differs": Text("codes of how steps depart from the notes", "与讲义不同之处的代码"),
}
_WORDS: dict[str, bool | None] = {
    "true": True, "yes": True, "false": False, "no": False, "null": None, "none": None,
}  # fmt: skip


class Condition(NamedTuple):
    """One condition: of which conversations, what, compared how, with what."""

    text: str
    which: str  # all, any, or an id
    name: str
    operator: str
    value: str


class Outcome(NamedTuple):
    """Whether a condition holds; `found` is what there is where it does not: conversations (None: the file), values."""

    expected: str
    name: str
    holds: bool
    found: tuple[tuple[int | None, Any], ...] = ()
    asked: int = 0  # conversations

    def text(self) -> Text:
        """Returns it in a line: where it does not hold, what there is instead."""
        if self.holds:
            return Text(self.expected, self.expected)
        if not self.found:
            return Text(f"{self.expected}: there is no such conversation", f"{self.expected}：没有这样的连接")
        parts = [_told(self.name, *each) for each in self.found[:_MOST_SHOWN]]
        more = len(self.found) - len(parts)
        en = "; ".join(each.en for each in parts) + (f"; and {more} more" if more else "")
        zh = "；".join(each.zh for each in parts) + (f"；另有 {more} 个" if more else "")
        return Text(f"{self.expected}: {en}", f"{self.expected}：{zh}")


def _told(name: str, which: int | None, value: Any) -> Text:
    shown = _shown(value)
    if which is None:
        return Text(f"{name} is {shown}", f"{name} 为 {shown}")
    return Text(f"in conversation {which} {name} is {shown}", f"连接 {which} 的 {name} 为 {shown}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "empty"
    return "null" if value is None else str(value)


def parse(conditions: Sequence[str]) -> list[Condition]:
    """Returns conditions by their texts. Raises UsageError for one that is none, or that names what there is not."""
    found = []
    for text in conditions:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UsageError(
                Text(f"--expect '{text}' is no condition", f"--expect '{text}' 不是条件"),
                Text(
                    "write NAME=VALUE, with = != < <= > or >=: --expect 'close=fin' --expect '2:retransmissions<=1'",
                    "写成 名称=值，可用 = != < <= > >=：--expect 'close=fin' --expect '2:retransmissions<=1'",
                ),
            )
        which, name, operator, value = match.groups()
        if not _known(name):
            raise _no_such(name)
        found.append(Condition(text.strip(), which or "all", name, operator.replace("==", "="), value))
    return found


def names() -> list[str]:
    """Returns all names that there are, but for those within lists and objects of a protocol's own facts."""
    return sorted({*_places(), *SHORT, *OF_FILE, *OF_STEPS, *_labels()})


def _labels() -> set[str]:
    from lab.report import schema

    return {str(each) for each in schema.trace()["$defs"]["label"]["enum"]}


def _places() -> set[str]:
    """Returns the facts of a conversation by their places, as the trace's schema has them."""
    found: set[str] = set()

    def look(properties: Mapping[str, Any], before: str) -> None:
        for name, inside in properties.items():
            place = before + name
            found.add(place)
            look(inside.get("properties", {}), place + ".")
            found.update(f"{place}.{each}" for each in inside.get("required", ()))

    from lab.report import schema  # only where something is expected

    look(schema.trace()["$defs"]["conversation"]["properties"], "")
    return found


def _known(name: str) -> bool:
    every = names()
    if name in every:
        return True
    parts = name.split(".")  # the schema does not go everywhere: what there is, is seen in the facts
    return any(".".join(parts[:count]) in every for count in range(2, len(parts)))


def _no_such(name: str) -> UsageError:
    every = names()
    likely: dict[str, list[str]] = {}  # in any case: labels are partly in capitals
    for each in every:
        likely.setdefault(each.lower(), []).append(each)
    near = [one for each in difflib.get_close_matches(name.lower(), likely, _NEAREST, 0.5) for one in likely[each]]
    near += [each for each in every if each.rpartition(".")[2] == name and each not in near]
    listed = ", ".join(near[:_NEAREST])
    return UsageError(
        Text(f"--expect knows no '{name}'", f"--expect 没有“{name}”这一项"),
        Text(f"the nearest: {listed}", f"相近的有：{listed}")
        if near
        else Text("docs/verify.md lists the names", "docs/verify.md 列出了所有名称"),
    )


class _Judgement:
    """What has come of one condition so far."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.asked = self.right = self.missing = 0  # conversations
        self.wrong: list[tuple[int | None, Any]] = []

    def take(self, which: int, value: Any) -> None:
        """Takes what there is in a conversation."""
        self.asked += 1
        if value is _NOT_THERE:
            self.missing += 1
            value = None
        if _holds(self.condition, value):
            self.right += 1
        elif len(self.wrong) < _MOST_FOUND:
            self.wrong.append((which, value))

    def outcome(self) -> Outcome:
        """Returns what has come of it. Raises UsageError where it names what there is not."""
        condition, asked = self.condition, self.asked
        if asked and self.missing == asked and condition.name not in names():
            raise _no_such(condition.name)
        holds = bool(self.right) if condition.which == "any" else bool(asked) and self.right == asked
        return Outcome(condition.text, condition.name, holds, () if holds else tuple(self.wrong), asked)


class Expectations:
    """Conditions, and what of a capture they are asked of: each packet is counted, at the end each conversation is
    looked at, and all are judged."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions
        self._labels = {each.name for each in conditions} & _labels() if conditions else set()
        self._counted: dict[int, Counter[str]] = {}
        self._judgements = {each: _Judgement(each) for each in conditions if each.name not in OF_FILE}

    def packet(self, packet: Packet) -> None:
        """Counts the labels that are asked for."""
        if self._labels and packet.conversation is not None:
            for label in self._labels.intersection(packet.labels):
                self._counted.setdefault(packet.conversation, Counter())[label] += 1

    def conversation(self, report: ConversationReport) -> None:
        """Looks at a conversation, when all of its packets have been counted."""
        for condition, judgement in self._judgements.items():
            if _is_asked(condition, report):
                judgement.take(report.id, self._value(condition.name, report))

    def judge(self, conversations: int, packets: int, problems: int) -> list[Outcome]:
        """Returns what has come of each condition. Raises UsageError where one names what there is not."""
        of_file = {"conversations": conversations, "file.packets": packets, "file.problems": problems}
        found = []
        for each in self._conditions:
            if each.name in of_file:
                value = of_file[each.name]
                holds = _holds(each, value)
                found.append(Outcome(each.text, each.name, holds, () if holds else ((None, value),)))
            else:
                found.append(self._judgements[each].outcome())
        return found

    def _value(self, name: str, report: ConversationReport) -> Any:
        place = SHORT.get(name, name)
        if place in self._labels:
            return self._counted.get(report.id, Counter())[place]
        if place == "steps":
            return [each.id for each in report.steps if each.seen]
        if place == "differs":
            return [each.differs.code for each in report.steps if each.differs is not None]
        return _at(report.facts, place.split("."))


_NOT_THERE = object()
_CARRIED = {each.name for each in UPPERS}


def _is_asked(condition: Condition, report: ConversationReport) -> bool:
    """Whether a condition is on a conversation: what a protocol tells, only on those that carry it."""
    if condition.which.isdigit():
        return report.id == int(condition.which)
    protocol, within, _ = condition.name.partition(".")
    return not within or protocol not in _CARRIED or report.facts.get(protocol) is not None


def _at(value: Any, parts: Sequence[str]) -> Any:
    """Returns what stands at a place; of the things of a list, what stands there in each."""
    for at, part in enumerate(parts):
        if isinstance(value, list | tuple):
            inside = [_at(each, parts[at:]) for each in value]
            there = [each for each in inside if each is not _NOT_THERE]
            return there if there or not value else _NOT_THERE
        if value is None:
            return None
        if not isinstance(value, Mapping) or part not in value:
            return _NOT_THERE
        value = value[part]
    return value


def _holds(condition: Condition, value: Any) -> bool:
    operator, wanted = condition.operator, condition.value
    if isinstance(value, list | tuple):
        count = _numeric(wanted)
        plain = all(not isinstance(each, int | float) or isinstance(each, bool) for each in value)
        if operator in ("=", "!=") and (count is None or not plain):
            return any(_equal(each, wanted) for each in value) == (operator == "=")
        value = len(value)
    if operator in ("=", "!="):
        return _equal(value, wanted) == (operator == "=")
    ours, theirs = _numeric(value), _numeric(wanted)
    if ours is None or theirs is None:
        return False
    return {"<": ours < theirs, "<=": ours <= theirs, ">": ours > theirs, ">=": ours >= theirs}[operator]


def _equal(value: Any, wanted: str) -> bool:
    """Whether a fact is what was written: a number by its value, a name in any case, also without what it begins with
    (`1.3` for `TLS 1.3`)."""
    lower = wanted.lower()
    if isinstance(value, bool) or value is None:
        return lower in _WORDS and _WORDS[lower] is value
    if isinstance(value, int | float):
        return _numeric(wanted) == value
    said = str(value).lower()
    return said == lower or (bool(lower) and said.endswith(f" {lower}"))


def _numeric(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    found = _NUMBER.search(str(value))
    if found is None:
        return None
    return float(found[1]) - _BEFORE_ALL if _OLDER.match(str(value)) else float(found[1])
