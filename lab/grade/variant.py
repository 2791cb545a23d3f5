"""A variant: what one student's capture has that nobody else's has. Derived from the course's key, and written down.

    seed  = HMAC-SHA-256(key, "handshake-lab/variant/v1", assignment, student)
    value = HMAC-SHA-256(seed, the name of what is chosen)

Each value is drawn for itself: one that is added changes no other. The scenario says what can be chosen (`varies`), the
assignment what stays as it is (`keep`), between which scenarios, and between which rules of the wire. The key stands in
nothing that is written.
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
import unicodedata
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from lab.errors import InputError, UsageError
from lab.grade.assignment import Assignment
from lab.grade.sheet import literal, quoted
from lab.protocols.catalogue import scenario
from lab.protocols.choices import Choices, checked
from lab.protocols.scenario import Scenario
from lab.testbed.rules import Rule, parse
from lab.text import Text

SCHEMA = "handshake-lab/variant/v1"
NAME = "variant.toml"
PRACTICE = b"practice"  # the key of who has none: known to everybody
MOST_BYTES = 64 << 10
MOST_STUDENT = 200  # characters
_CANDIDATES = 500  # among which one is of each kind
_PORTS = range(35_000, 44_000)  # no protocol has them by name, in Wireshark neither
_CLIENT_PORTS = range(49_152, 57_000)  # RFC 6335 section 6; above, Wireshark may take TLS for something else
_LENGTHS = range(24, 112)  # bytes: each fits a segment, and seven bits of length
_FIRST = (
    "amber", "brisk", "calm", "clear", "coral", "dusky", "early", "fresh", "gentle", "golden", "hazel", "ivory",
    "jolly", "keen", "late", "lively", "mellow", "misty", "noble", "olive", "plain", "quiet", "rapid", "ruby",
    "sandy", "silver", "still", "sunny", "tidal", "vivid", "warm", "young",
)  # fmt: skip
_SECOND = (
    "badger", "beaver", "bison", "crane", "cuckoo", "dolphin", "eagle", "egret", "falcon", "finch", "gecko", "heron",
    "ibis", "jackal", "koala", "lemur", "lynx", "marten", "newt", "ocelot", "otter", "panda", "plover", "quail",
    "raven", "robin", "salmon", "stork", "swan", "tapir", "turtle", "wren",
)  # fmt: skip
_FILL = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "

_T = TypeVar("_T")


class Variant(NamedTuple):
    """One student's. `rules` are the wire's; with `own_rules` a student may add others. `secrets` says whether those
    stand in the capture. One for `practice` was made without a key."""

    assignment: str
    student: str
    scenario: str
    choices: Choices
    rules: tuple[str, ...] = ()
    own_rules: bool = False
    secrets: bool = True
    practice: bool = False

    @property
    def kind(self) -> tuple[str, str | None, tuple[str, ...]]:
        """What decides which packets there are: the scenario, the end that closes first, the rules."""
        return self.scenario, self.choices.first, self.rules

    @property
    def played(self) -> Scenario:
        """The scenario with its choices. Raises UsageError where this lab has none of that name."""
        return scenario(self.scenario)._replace(choices=self.choices)

    @property
    def wire(self) -> tuple[Rule, ...]:
        """All rules that it is played with. Raises UsageError where one is none."""
        return (*parse(self.rules), *parse(scenario(self.scenario).rules))


class _Draw:
    """Draws values by name, always the same."""

    def __init__(self, key: bytes, *of: str) -> None:
        said = b"".join(
            len(part).to_bytes(4, "big") + part for part in (SCHEMA.encode(), *(each.encode() for each in of))
        )
        self._seed = hmac.new(key, said, hashlib.sha256).digest()

    def bits(self, name: str) -> int:
        return int.from_bytes(hmac.new(self._seed, name.encode(), hashlib.sha256).digest(), "big")

    def one(self, name: str, of: Sequence[_T]) -> _T:
        return of[self.bits(name) % len(of)]

    def words(self, name: str) -> str:
        """Returns a name that hardly anybody else draws: 2 words and 32 bits."""
        return f"{self.one(name + ' 1', _FIRST)}-{self.one(name + ' 2', _SECOND)}-{self.bits(name) & 0xFFFFFFFF:08x}"

    def saying(self, name: str, said: str) -> str:
        """Returns a text of a length of its own that begins with something said, and has a name in it."""
        text = f"{said} {self.words(name)}. "
        return (text + _FILL)[: max(self.one(name + " length", _LENGTHS), len(text))].rstrip()


def damaged(assignment: Assignment) -> int:
    """Returns how many packets the wire damages at most, in whichever variant of an assignment."""
    given = assignment.variant
    try:
        played = [scenario(each).rules for each in given.get("scenario") or (assignment.scenario,)]
        sets = [(*rules, *more) for rules in played for more in given.get("wire") or ((),)]
        return max(sum(rule.action == "corrupt" for rule in parse(each)) for each in sets)
    except UsageError:  # a scenario, or a rule, that this lab does not know
        return 0


def derive(assignment: Assignment, student: str, key: bytes | None) -> Variant:
    """Returns a student's variant of an assignment; without a key, one to practise with.

    Raises UsageError where the assignment wants of a scenario what that does not vary.
    """
    student = student_id(student)
    given = assignment.variant
    draw = _Draw(PRACTICE if key is None else key, assignment.id, student)
    of = draw.one("scenario", given.get("scenario") or (assignment.scenario,))
    keep, varies = given.get("keep", ()), scenario(of).varies
    rules = tuple(draw.one("wire", given.get("wire") or ((),)))
    parse(rules)
    choices = Choices(**{name: _value(name, draw) for name in varies if name.replace("_", "-") not in keep})
    own, secrets = given.get("own-rules", False), given.get("secrets", True)
    return Variant(assignment.id, student, of, choices, rules, own, secrets, key is None)


def diverse(assignment: Assignment, count: int, key: bytes) -> tuple[list[Variant], int]:
    """Returns so many variants of nobody's, of each kind one before any has two, and how many kinds there are."""
    kinds: dict[object, list[Variant]] = {}
    for at in range(_CANDIDATES):
        variant = derive(assignment, f"{at + 1}", key)
        kinds.setdefault(variant.kind, []).append(variant)
    rounds = (each[at] for at in range(_CANDIDATES) for each in kinds.values() if at < len(each))
    return list(islice(rounds, count)), len(kinds)


def _value(name: str, draw: _Draw) -> Any:
    if name == "port":
        return draw.one(name, _PORTS)
    if name == "client_port":
        return draw.one(name, _CLIENT_PORTS)
    if name == "first":
        return draw.one(name, ("client", "server"))
    if name in ("hello", "answer"):
        return draw.saying(name, "This is" if name == "hello" else "And here is")
    if name == "name":
        return f"{draw.words(name)}.example"  # RFC 2606
    return f"/{draw.words(name)}" if name == "path" else f"{draw.words(name)}.example"


def student_id(said: str) -> str:
    """Returns a student's id as it is derived from, however it was typed. Raises UsageError where it can't be one."""
    found = unicodedata.normalize("NFC", said).strip()
    if not found or len(found) > MOST_STUDENT or not found.isprintable():
        raise UsageError(
            Text(f"'{found[:40]}' can't be a student's id", f"“{found[:40]}”不能作为学号"),
            Text(
                f"an id has 1 to {MOST_STUDENT} characters that can be printed",
                f"学号由 1 至 {MOST_STUDENT} 个可打印字符组成",
            ),
        )
    return found


def written(variant: Variant) -> str:
    """Returns a variant as TOML."""
    lines = [
        "# What `lab run --variant` plays: your own ports, names and texts. Leave it as it is, and hand it in.",
        "# `lab run --variant` 据此运行，其中是你自己的端口、名称和文本。请勿修改，并随作业提交。",
        f"schema = {quoted(SCHEMA)}",
        f"assignment = {quoted(variant.assignment)}",
        f"student = {quoted(variant.student)}",
        f"practice = {literal(variant.practice)}",
        f"scenario = {quoted(variant.scenario)}",
        f"rules = {literal(variant.rules)}",
        f"own-rules = {literal(variant.own_rules)}",
        f"secrets = {literal(variant.secrets)}",
        "",
        "[choices]",
        *(f"{name.replace('_', '-')} = {literal(value)}" for name, value in variant.choices.made.items()),
    ]
    return "\n".join(lines) + "\n"


def read(data: bytes) -> Variant:
    """Returns a variant from what `written` has written, or somebody has made of it. Raises InputError."""
    if len(data) > MOST_BYTES:
        raise _broken(Text("is too large", "过大"))
    try:
        found = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise _broken(Text("is no TOML", "不是 TOML")) from None
    try:
        return _of(found)
    except (KeyError, ValueError) as error:
        raise _broken(Text(f"{error.args[0]} is missing or wrong", f"{error.args[0]} 缺失或有误")) from None


def _of(found: dict[str, Any]) -> Variant:
    def value(name: str, kind: type[_T]) -> _T:
        if not isinstance(found[name], kind):
            raise ValueError(name)
        return found[name]  # type: ignore[no-any-return]  # it has been looked at

    if value("schema", str) != SCHEMA:
        raise ValueError("schema")
    rules, chosen = value("rules", list), value("choices", dict)
    try:
        named, wire = scenario(value("scenario", str)), tuple(map(str, parse(map(str, rules[:100]))))
        student = student_id(value("student", str))
    except UsageError as error:
        raise ValueError(error.message.en) from None
    choices = checked({name.replace("-", "_"): each for name, each in chosen.items()})
    if surplus := [name for name in choices.made if name not in named.varies]:
        raise ValueError(surplus[0])
    return Variant(
        value("assignment", str), student, named.name, choices, wire, value("own-rules", bool), value("secrets", bool),
        value("practice", bool),
    )  # fmt: skip


def _broken(why: Text) -> InputError:
    return InputError(
        Text(f"{NAME} is not as it was made: {why.en}", f"{NAME} 与发放时不符：{why.zh}"),
        Text("take the one that came with the assignment", "请换回随作业发放的文件"),
    )
