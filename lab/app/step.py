"""`lab step`: the debugger, on real hosts or over a recorded capture; by lines, or on the whole screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.errors import InputError, LabError
from lab.text import Lang, Text

if TYPE_CHECKING:
    from lab.runs.live import Live
    from lab.runs.run import Run
    from lab.stepping.commands import Asked

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


def step(wanted: Wanted, lang: Lang) -> int:
    """Steps through a scenario or a capture; returns the exit status: 1 where a command of a script was refused.

    Raises UsageError, InputError, MachineError.
    """
    given = _script(wanted.script) if wanted.script is not None else None
    by_lines = given is not None or wanted.json or not (sys.stdin.isatty() and sys.stdout.isatty())
    asks = iter(given) if given is not None else _typed()
    if _is_file(wanted.what):
        return _walk(wanted, asks, by_lines, given is not None, lang)
    return _play(wanted, asks, by_lines, given is not None, lang)


def _is_file(what: str) -> bool:
    """Whether a capture is meant: what is there as a file, or is called like one."""
    return what == "-" or os.path.lexists(what) or what.lower().endswith((".pcap", ".pcapng", ".gz", ".zst", ".xz"))


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


def _typed() -> Iterator[str]:
    """Yields the lines of standard input, as they are typed."""
    asks = sys.stdin.isatty()
    while True:
        if asks:
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

    debugger = Debugger()
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
    from lab.protocols.catalogue import scenario
    from lab.runs.live import Live, ending
    from lab.runs.run import Run
    from lab.stepping.debugger import Debugger
    from lab.stepping.lines import Lines
    from lab.testbed.play import played_on
    from lab.testbed.rules import parse

    played = scenario(wanted.what)
    rules = *parse(wanted.wire), *parse(played.rules)
    source = Live(played, rules, wanted.ipv6, wanted.out, played_on(wanted.testbed, control=True))
    run = Run(source, words=True)
    debugger = Debugger(lambda: run.control, lambda name: _save(source, run, name, wanted.what))
    source.beside = debugger.predictions.comments
    with run:
        if by_lines:
            lines = Lines(debugger, asks, sys.stdout, lang, wanted.json)
            lines.run(run.events())
        else:
            from lab.stepping.screen import screen

            screen(debugger, run, lang)
    said = ending(run)
    for line in said[1:] if debugger.over and source.early is not None else said:
        print(line.pick(lang), file=sys.stderr if wanted.json else sys.stdout)
    if source.early is not None and not debugger.over and not rules and not strict:
        raise LabError(source.early, Text("the ladder shows how far it came", "梯形图里可以看到进行到了哪一步"))
    return 1 if strict and by_lines and lines.refused else 0


def _save(source: Live, run: Run, name: str, scenario: str) -> list[Text]:
    """Saves the capture as far as it has come; the rest is saved when the run is over."""
    from lab.runs.place import require_place

    file = Path(name) if name else source.file or Path(f"captures/out/{scenario.replace('/', '-')}.pcapng")
    require_place(file, source.scenario)
    source.file = file
    source.save_now(run)
    return [Text(f"saved: {file}", f"已保存：{file}")]
