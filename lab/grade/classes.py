"""Touches the machine: a class marked. What its submissions have is put together, whatever became of single ones."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lab.errors import InputError, LabError
from lab.grade import cluster, integrity, pool, worker
from lab.grade.apart import Order
from lab.grade.assignment import Assignment
from lab.grade.collected import HandedIn
from lab.grade.feedback import as_json
from lab.grade.integrity import Print
from lab.grade.kept import Kept, key, release
from lab.grade.marking import mark
from lab.grade.recording import come_with, facts_of
from lab.grade.sheet import Sheet
from lab.grade.statistics import statistics
from lab.grade.worker import Limits
from lab.text import Text

SCHEMA = "handshake-lab/grade-class/v1"
Marked = dict[str, Any]
Ladder = Callable[[str, Mapping[str, str]], object]  # a submission's name, the picture of its capture by language
_WARM_FROM = 16  # submissions: for fewer it takes longer than it saves


class Marking(NamedTuple):
    """How a class is marked: by which assignment (None: by the one that each sheet names), with what at hand.

    With the `course`'s key it is also said whose capture is not of their own variant.
    """

    only: Assignment | None
    kept: Kept
    limits: Limits = Limits()
    course: bytes | None = None
    at_once: int = 0  # processes; 0: as many as there are processors
    scheduler: str = ""  # the address of a Dask cluster's, whose workers mark; empty: this machine does


def marked(
    handed_in: Sequence[HandedIn],
    how: Marking,
    done: Callable[[int], None] = lambda _: None,
    ladder: Ladder | None = None,
) -> Marked:
    """Returns the marks of a class as plain values of JSON, handshake-lab/grade-class/v1, in full.

    `done` is told how many are, `ladder` the pictures of their captures. Raises InputError where nobody can say what
    any of them was to be marked by.
    """
    assignments = {how.only.id: how.only} if how.only is not None else worker.named()
    keys = {each.name: key(each, assignments.values(), how.course) for each in handed_in}
    found: dict[str, Marked] = {}
    for each in handed_in:
        result = how.kept.get(keys[each.name])
        if result is not None and (ladder is None or "ladder" in result or _has_no_capture(result)):
            found[each.name] = result
    done(len(found))
    todo = [each for each in handed_in if each.name not in found]
    for each, result in _each(todo, assignments, how, ladder is not None):
        how.kept.put(keys[each.name], result)
        found[each.name] = result
        done(len(found))
    for name, result in found.items():
        if ladder is not None and "ladder" in result:
            ladder(name, result["ladder"])
    return _together({each.name: found[each.name] for each in handed_in}, assignments, how.only)


def _has_no_capture(result: Marked) -> bool:
    """Whether a submission has none that could be read, and drawn."""
    return result["marks"] is None or result["marks"]["capture"] is None


def _each(
    todo: Sequence[HandedIn], assignments: Mapping[str, Assignment], how: Marking, drawn: bool
) -> Iterator[tuple[HandedIn, Marked]]:
    """Yields submissions with their results, from this machine's processes or a cluster's."""
    if how.scheduler:
        yield from cluster.each_marked(todo, Order.of(how.only, how.course, how.limits, drawn), how.scheduler)
        return
    if len(todo) >= _WARM_FROM:
        worker.warm(assignments.values())

    def work(one: HandedIn) -> Marked:
        return worker.result(one, assignments, how.only, how.course, drawn)

    try:
        yield from pool.each_marked(todo, work, how.limits, how.at_once or pool.processors())
    finally:
        gc.unfreeze()


def _together(results: Mapping[str, Marked], assignments: Mapping[str, Assignment], only: Assignment | None) -> Marked:
    named = {each["marks"]["assignment"]["id"] for each in results.values() if each["marks"] is not None}
    usual = only or (assignments[next(iter(named))] if len(named) == 1 else None)
    if usual is None and not named:
        raise _nothing_known(next(iter(results.values())))
    submissions, unmarked = [], []
    for name, result in results.items():
        marks = result["marks"] or (_unread(result, usual) if usual is not None else None)
        if marks is None:
            unmarked.append({"submission": name, "why": result["why"], "refused": result["refused"]})
        else:
            submissions.append(marks | {"submission": name})
    known = {name: [_print(each) for each in result.get("prints", ())] for name, result in results.items()}
    captures = {each["submission"]: each["capture"]["sha256"] for each in submissions if each["capture"]}
    copied = integrity.shared(known, captures, _published(assignments[id_] for id_ in named))
    twice = integrity.namesakes({each["submission"]: each["student"] for each in submissions})
    for each in submissions:
        name = each["submission"]
        each["findings"] = [*twice.get(name, ()), *each["findings"], *copied.get(name, ())]
    return {
        "schema": SCHEMA,
        "lab": release(),
        "submissions": submissions,
        "unmarked": unmarked,
        "oral": {name: result["oral"] for name, result in results.items() if result.get("oral")},
        "statistics": statistics(submissions),
    }


def _nothing_known(result: Marked) -> LabError:
    """Returns why a class, or the only one in it, can't be marked at all."""
    if result.get("kind") == "name":
        return worker.unnamed()
    return InputError(
        Text(**next(iter(result["refused"]), result["why"])), _AGAIN if result.get("unfinished") else _NAME_IT
    )


_NAME_IT = Text("name the assignment: lab grade PATH --assignment NAME", "请指明作业：lab grade 路径 --assignment 名称")
_AGAIN = Text(
    "run the same again; if it ends like that once more, look at the files yourself, with lab annotate at the capture",
    "请再运行一次；若结果相同，请自行查看提交的文件，抓包可用 lab annotate 查看",
)


def _unread(result: Marked, assignment: Assignment) -> Marked:
    """Returns the marks of what could not be read: no points, and why."""
    problems = tuple(Text(**each) for each in (*result["refused"], result["why"]))
    return as_json(mark(assignment, Sheet(assignment.id, "", {}), None, problems))


def _print(of: Sequence[Any]) -> Print:
    name, value, packet = of
    return Print(Text(*name), value, packet)


def _published(assignments: Iterable[Assignment]) -> dict[str, list[Print]]:
    """Returns what tells the captures that assignments are proved by, as far as they come with the lab."""
    names = {name for each in assignments for name in each.proof}
    return {path.name: integrity.prints(facts_of(path)) for path in come_with(names)}
