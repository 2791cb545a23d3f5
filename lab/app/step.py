"""`lab step`: the debugger, on real hosts or over a recorded capture; by lines, or on the whole screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.app.beside import refuse_with_a_capture, refuse_with_a_scenario
from lab.errors import InputError, LabError, UsageError
from lab.text import Lang, Text

if TYPE_CHECKING:
    from lab.app.view import Serving
    from lab.runs.live import Live
    from lab.runs.run import Run
    from lab.stepping.commands import Asked
    from lab.stepping.debugger import Debugger

_MOST_SCRIPT = 1 << 20  # characters


class Wanted(NamedTuple):
    """What is to be stepped through, and how."""

    what: str
    script: str | None
    json: bool
    ipv6: bool
    wire: Sequence[str]
    testbed: str
    out: Path | None
    conversation: int | None
    keylog: bytes
    server_key: bytes
    variant: Path | None = None  # the folder of a student's
    again: bool = False
    page: Serving | None = None


def step(wanted: Wanted, lang: Lang) -> int:
    """Steps through a scenario or a capture; returns the exit status: 1 where a command of a script was refused.

    Raises UsageError, InputError, MachineError.
    """
    from lab.runs.place import is_file

    capture = wanted.variant is None and is_file(wanted.what)
    _refuse_beside(wanted, capture)
    given = _script(wanted.script) if wanted.script is not None else None
    by_lines = given is not None or wanted.json or not (sys.stdin.isatty() and sys.stdout.isatty())
    asks = iter(given) if given is not None else _typed(prompt=not wanted.json and sys.stdin.isatty())
    if capture:
        return _walk(wanted, asks, by_lines, given is not None, lang)
    return _play(wanted, asks, by_lines, given is not None, lang)


def _refuse_beside(wanted: Wanted, capture: bool) -> None:
    """Raises UsageError for options that would do nothing."""
    if capture:
        refuse_with_a_capture(
            {
                "--ipv6": wanted.ipv6, "--wire": bool(wanted.wire), "--testbed": wanted.testbed != "auto",
                "-o": wanted.out is not None,
            }
        )  # fmt: skip
    else:
        refuse_with_a_scenario(
            {
                "--conversation": wanted.conversation is not None, "--keylog": bool(wanted.keylog),
                "--server-key": bool(wanted.server_key),
            }
        )  # fmt: skip


def _script(name: str) -> list[Asked]:
    from lab.stepping.lines import script

    if name == "-":
        return script(sys.stdin.read(_MOST_SCRIPT).splitlines(), "-")
    try:
        with Path(name).open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_SCRIPT)
    except OSError as error:
        raise InputError(
            Text(f"{name} can't be read: {error.strerror}", f"无法读取 {name}：{error.strerror}"),
            Text("give a file with a command on each line: --script FILE", "请给出每行一条命令的文件：--script 文件"),
        ) from error
    return script(text.splitlines(), name)


def _typed(prompt: bool) -> Iterator[str]:
    """Yields the lines of standard input, as they are typed."""
    while True:
        if prompt:
            sys.stdout.write("(lab) ")
            sys.stdout.flush()
        line = sys.stdin.readline(_MOST_SCRIPT)
        if not line:
            return
        yield line


def _walk(wanted: Wanted, asks: Iterator[Asked | str], by_lines: bool, strict: bool, lang: Lang) -> int:
    from lab.runs.recorded import open_run
    from lab.stepping.debugger import Debugger, walked
    from lab.stepping.lines import Lines

    debugger = Debugger(save=None if wanted.what == "-" else lambda name: _save_again(wanted, debugger, name))
    debugger.predictions.recorded = True
    if wanted.page is not None:
        from lab.app.view import walk

        run = open_run(
            wanted.what, keylog=wanted.keylog, server_key=wanted.server_key, only=wanted.conversation, words=True,
            fields=_by_field(wanted),
        )  # fmt: skip
        walk(run, debugger, wanted.page, lang)
        return 0
    with open_run(
        wanted.what, keylog=wanted.keylog, server_key=wanted.server_key, only=wanted.conversation, words=True
    ) as run:
        debugger.load(walked(run.events()))
    if not by_lines:
        from lab.stepping.screen import screen

        screen(debugger, None, lang)
        return 0
    lines = Lines(debugger, asks, sys.stdout, lang, wanted.json)
    lines.run(None)
    return 1 if strict and lines.refused else 0


def _play(wanted: Wanted, asks: Iterator[Asked | str], by_lines: bool, strict: bool, lang: Lang) -> int:
    from lab.runs.live import Live, ending
    from lab.stepping.debugger import Debugger
    from lab.stepping.lines import Lines

    run = _run_of(wanted) if wanted.variant is None else _run_of_variant(wanted, wanted.variant)
    source = run.source
    assert isinstance(source, Live)
    rules = source.scenario.rules or wanted.wire
    debugger = Debugger(lambda: run.control, lambda name: _save(source, run, name))
    if wanted.variant is not None:
        _ask(debugger, wanted.variant)
    source.beside = debugger.predictions.comments
    if wanted.page is not None:
        from lab.app.view import live

        live(run, debugger, wanted.testbed, wanted.page, lang)
        if source.early is not None and not debugger.over and not rules:
            raise _stopped(source.early)
        return 0
    with run:
        if by_lines:
            lines = Lines(debugger, asks, sys.stdout, lang, wanted.json, typed=not strict)
            lines.run(run.events())
        else:
            from lab.stepping.screen import screen

            screen(debugger, run, lang)
    said = ending(run)
    for line in said[1:] if debugger.over and source.early is not None else said:
        print(line.pick(lang), file=sys.stderr if wanted.json else sys.stdout)
    if source.early is not None and not debugger.over and not rules and not strict:
        raise _stopped(source.early)
    return 1 if strict and by_lines and lines.refused else 0


def _stopped(early: Text) -> LabError:
    return LabError(early, Text("the ladder shows how far it came", "时序图里可以看到进行到了哪一步"))


def _by_field(wanted: Wanted) -> range:
    """Returns the packets whose messages are told field by field: a page shows them so."""
    if wanted.page is None:
        return range(0)
    from lab.app.formats import Format, told_by_field

    return told_by_field(Format.HTML)


def _run_of(wanted: Wanted) -> Run:
    from lab.protocols.catalogue import scenario
    from lab.runs.live import Live
    from lab.runs.run import Run
    from lab.testbed.play import played_on
    from lab.testbed.rules import parse

    played = scenario(wanted.what)
    rules = *parse(wanted.wire), *parse(played.rules)
    on = played_on(wanted.testbed, control=True)
    return Run(Live(played, rules, wanted.ipv6, wanted.out, on), words=True, fields=_by_field(wanted))


def _run_of_variant(wanted: Wanted, folder: Path) -> Run:
    """Returns the run of a student's variant. Raises UsageError where there is a capture already."""
    from lab.grade.playing import run_of, variant_in
    from lab.grade.submissions import CAPTURE
    from lab.system.files import require_writable

    run = run_of(variant_in(folder), folder, wanted.testbed, wanted.wire, control=True, fields=_by_field(wanted))
    capture = folder / CAPTURE
    if capture.exists() and not wanted.again:
        raise UsageError(
            Text(f"{capture} is there already, and answers may be about it", f"{capture} 已存在，答案可能依据它"),
            Text("--again makes a new one in its place", "--again 会重新生成并替换它"),
        )
    require_writable(capture)
    return run


def _ask(debugger: Debugger, folder: Path) -> None:
    """Tells the debugger whose variant is played, and which questions are answered in it, where that is known."""
    from lab.grade.assignment import load, shipped
    from lab.grade.playing import variant_in
    from lab.report.predictions import of_variant

    variant, predictions = variant_in(folder), debugger.predictions
    predictions.variant = of_variant(variant.assignment, variant.student)
    if variant.assignment in shipped():
        asked = load(variant.assignment).questions
        predictions.questions = {each.id: each.text for each in asked if each.kind == "prediction"}


def _save_again(wanted: Wanted, debugger: Debugger, name: str) -> list[Text]:
    """Saves a recorded capture once more, with what was predicted over it: in words that say so."""
    from lab.runs.place import bare_name
    from lab.runs.recorded import open_run, write_again
    from lab.system.files import require_other, to_file

    name = name or f"captures/out/{bare_name(wanted.what)}-predicted.pcapng"
    require_other(Path(name), wanted.what)
    with (
        open_run(wanted.what, keylog=wanted.keylog, server_key=wanted.server_key, words=True) as run,
        to_file(Path(name)) as stream,
    ):
        write_again(run, stream, beside=debugger.predictions.comments)
    return [Text(f"saved: {name}", f"已保存：{name}")]


def _save(source: Live, run: Run, name: str) -> list[Text]:
    """Saves the capture as far as it has come; the rest is saved, where it has its place, when the run is over."""
    from lab.runs.place import require_place

    file = Path(name) if name else source.file or Path(f"captures/out/{source.scenario.name.replace('/', '-')}.pcapng")
    require_place(file, source.scenario)
    source.file = source.file or file
    source.save_now(run, file)
    return [Text(f"saved: {file}", f"已保存：{file}")]
