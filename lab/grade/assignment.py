"""An assignment is data: a TOML file with places in the capture and questions on them. Read once, checked, frozen.

The format is documented by its JSON Schema, `assignment.schema.json`; what a schema can't say (names that must exist)
is checked here. A shipped assignment goes by its name, one of a teacher's own by the path of its file.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from lab.errors import InputError, UsageError
from lab.grade.shape import Fault, faults, near
from lab.text import Text

SCHEMA = "handshake-lab/assignment/v1"
_MOST = 1 << 20  # bytes of a file
_MOST_FAULTS = 5  # that are told at a time
_PLACES = ("place", "from", "to", "after", "before", "count", "sum")  # keys whose values are names of places


class Place(NamedTuple):
    """A place in a capture, by meaning: `wanted` are the schema's conditions, all of which must hold of a packet."""

    id: str
    name: Text
    wanted: Mapping[str, Any]


class Carry(NamedTuple):
    """How a wrong answer to the question `source` is used rightly: plus `add`, or as the packet at `place`."""

    source: str
    add: int | None
    place: str | None


class Mistake(NamedTuple):
    """A known mistake: what it is worth in per cent, and what is said of it."""

    code: str
    credit: int
    text: Text
    rfc: str


class Question(NamedTuple):
    """A question; `given` is all that its kind needs, as the file has it. `own` are mistakes that only it has: where
    the value is that somebody writes who makes it, and what is said."""

    id: str
    kind: str
    points: float
    text: Text
    why: Text | None
    rfc: str
    after: tuple[str, ...]
    carry: Carry | None
    credit: Mapping[str, int]
    own: tuple[tuple[Mapping[str, Any], Mistake], ...]
    given: Mapping[str, Any]


class Assignment(NamedTuple):
    """An assignment as it was read; `source` is its file, and by its SHA-256 marks say by what they were given."""

    id: str
    title: Text
    about: Text
    scenario: str
    proof: tuple[str, ...]
    variant: Mapping[str, Any]
    places: Mapping[str, Place]
    questions: tuple[Question, ...]
    source: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source).hexdigest()

    @property
    def points(self) -> float:
        return round(sum(each.points for each in self.questions), 2)

    def question(self, id_: str) -> Question | None:
        return next((each for each in self.questions if each.id == id_), None)


@cache
def schema() -> dict[str, Any]:
    """Returns the JSON Schema of an assignment."""
    found: dict[str, Any] = json.loads((files("lab.grade") / "assignment.schema.json").read_text("utf-8"))
    return found


def shipped() -> tuple[str, ...]:
    """Returns the names of the assignments that come with the lab."""
    folder = files("lab.grade") / "assignments"
    return tuple(sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml")))


def load(name: str) -> Assignment:
    """Returns an assignment, by the name of a shipped one or the path of a file.

    Raises UsageError where there is none of that name or it is not as it should be, InputError where the file can't be
    read.
    """
    return parse(source(name), name)


def source(name: str) -> bytes:
    """Returns an assignment's file, of a shipped one or at a path, as long as it may be and a byte more.

    Raises UsageError where there is none of that name, InputError where the file can't be read.
    """
    if name in shipped():
        return (files("lab.grade") / "assignments" / f"{name}.toml").read_bytes()
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        raise UsageError(
            Text(f"there is no assignment '{name}'", f"没有名为“{name}”的作业"),
            near(name, list(shipped())),
        )
    try:
        with path.open("rb") as file:
            return file.read(_MOST + 1)
    except OSError as error:
        raise InputError(
            Text(f"{name} can't be read: {error.strerror}", f"无法读取 {name}：{error.strerror}"),
            Text("give the path of an assignment in TOML", "请给出 TOML 作业文件的路径"),
        ) from error


def parse(data: bytes, name: str) -> Assignment:
    """Returns the assignment that a file holds. Raises UsageError, with all that is wrong with it."""
    if len(data) > _MOST:
        raise _wrong(name, [Fault("", Text(f"is larger than {_MOST >> 20} MB", f"超过 {_MOST >> 20} MB"))])
    try:
        read = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _wrong(name, [Fault("", Text(f"is no TOML: {error}", f"不是 TOML：{error}"))]) from None
    wrong = list(faults(read, schema(), schema())) or list(_dangling(read))
    if wrong:
        raise _wrong(name, wrong)
    return Assignment(
        read["id"],
        text(read["title"]),
        text(read["about"]),
        read["scenario"],
        tuple(read["proof"]),
        MappingProxyType(read.get("variant", {})),
        MappingProxyType({key: Place(key, text(each["name"]), each) for key, each in read.get("place", {}).items()}),
        tuple(_question(each) for each in read["question"]),
        data,
    )


def text(both: Mapping[str, str]) -> Text:
    """Returns a text of a TOML file, its lines joined."""
    return Text(" ".join(both["en"].split()), "".join(line.strip() for line in both["zh"].splitlines()))


_COMMON = ("id", "kind", "points", "text", "why", "rfc", "after", "carry", "credit", "mistake")


def _question(read: dict[str, Any]) -> Question:
    carry = read.get("carry")
    own = tuple(
        (each["source"], Mistake(each["code"], each["credit"], text(each["text"]), each.get("rfc", "")))
        for each in read.get("mistake", ())
    )
    return Question(
        read["id"],
        read["kind"],
        read["points"],
        text(read["text"]),
        text(read["why"]) if "why" in read else None,
        read.get("rfc", ""),
        tuple(read.get("after", ())),
        Carry(carry["from"], carry.get("add"), carry.get("place")) if carry else None,
        MappingProxyType(read.get("credit", {})),
        own,
        MappingProxyType({key: value for key, value in read.items() if key not in _COMMON}),
    )


def _dangling(read: dict[str, Any]) -> Iterator[Fault]:
    """Yields names that stand for nothing: of places and questions; and ids that are there twice."""
    places, known = read.get("place", {}), []
    for each in read.get("variant", {}).get("scenario", ()):
        if each not in read["proof"]:
            yield Fault("variant.scenario", Text(f"'{each}' is not in proof", f"“{each}”不在 proof 中"))
    for id_, place in places.items():
        yield from _places(place, places, f"place.{id_}")
    yield from _circles(places)
    for question in read["question"]:
        path = f"question[{question['id']}]"
        if question["id"] in known:
            yield Fault(path, Text("is there twice", "出现了两次"))
        earlier = [*question.get("after", ()), *([question["carry"]["from"]] if "carry" in question else [])]
        for each in earlier:
            if each not in known:
                yield Fault(path, Text(f"there is no question '{each}' before it", f"在它之前没有题目“{each}”"))
        if "carry" in question and ("add" in question["carry"]) == ("place" in question["carry"]):
            yield Fault(f"{path}.carry", Text("has to have either add or place", "add 与 place 必须且只能有一个"))
        if question["kind"] == "prediction":
            asked = {**question, "kind": question["of"], **question["question"]}
            of = {key: each for key, each in asked.items() if key not in ("of", "before", "question")}
            yield from faults(of, schema()["$defs"]["question"], schema(), f"{path}.question")
        rest = {key: each for key, each in question.items() if key not in ("after", "text", "why")}
        yield from _places(rest, places, path)
        known.append(question["id"])


def _places(value: Any, places: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Yields the names of places in a table, however deep, that stand for none."""
    if isinstance(value, list):
        for each in value:
            yield from _places(each, places, path)
    if not isinstance(value, dict):
        return
    for key, inside in value.items():
        if path.endswith(".carry") and key == "from":
            continue
        named = inside if key in _PLACES and isinstance(inside, str) else None
        if key in ("sender", "end") and isinstance(inside, str) and " of " in inside:
            named = inside.partition(" of ")[2]
        if named is not None and named not in places:
            told = near(named, list(places))
            yield Fault(
                f"{path}.{key}",
                Text(f"there is no place '{named}': {told.en}", f"没有名为“{named}”的位置：{told.zh}"),
            )
        yield from _places(inside, places, f"{path}.{key}")


def _circles(places: Mapping[str, Any]) -> Iterator[Fault]:
    """Yields the places that would have to be found before themselves."""

    def needs(id_: str) -> set[str]:
        place = places.get(id_, {})
        of = str(place.get("sender", "")).partition(" of ")[2]
        return {each for each in (place.get("after"), place.get("before"), of) if each}

    for id_ in places:
        seen, waiting = set(), [*needs(id_)]
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += needs(each)
        if id_ in seen:
            yield Fault(f"place.{id_}", Text("depends on itself", "依赖于自身"))


def _wrong(name: str, found: list[Fault]) -> UsageError:
    first = found[:_MOST_FAULTS]
    more = len(found) - len(first)
    en = "; ".join(f"{each.path or 'the file'}: {each.text.en}" for each in first)
    zh = "；".join(f"{each.path or '文件'}：{each.text.zh}" for each in first)
    return UsageError(
        Text(f"the assignment {name} is not right: {en}", f"作业 {name} 有误：{zh}"),
        Text(
            (f"and {more} more; " if more else "") + "lab assign --schema prints the format, shipped ones are examples",
            (f"另有 {more} 处；" if more else "") + "lab assign --schema 会输出格式说明，自带的作业可作为范例",
        ),
    )
