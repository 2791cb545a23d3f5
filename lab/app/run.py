"""`lab run` and its aliases: a scenario is played on real hosts, written while packets pass, and saved."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lab.app.formats import DRAWN, Format, in_words, told_by_field, write_drawn, write_events, write_ladder, write_rows
from lab.errors import LabError, UsageError
from lab.text import Lang, Text

if TYPE_CHECKING:
    from lab.runs.run import Run
    from lab.runs.taken import Written
    from lab.testbed.messages import Event
    from lab.testbed.play import Play


def play(
    name: str, form: Format, ipv6: bool, wire: Sequence[str], file: Path, testbed: str, lang: Lang, slow: str = ""
) -> None:
    """Plays a scenario by its name. Raises UsageError, MachineError, and LabError where it stopped before its end.

    `slow` is for how long each packet is held on the wire, such as 2s; without it none is.

    Whoever reads the output may go away: the scenario is played to its end all the same, and saved whole.
    """
    from lab.protocols.catalogue import scenario
    from lab.runs.place import require_place
    from lab.testbed.play import played_on
    from lab.testbed.rules import parse

    played = scenario(name)
    rules = *parse(wire), *parse(played.rules)
    pace = seconds(slow) if slow else 0.0
    on = played_on(testbed, control=bool(pace))
    _require_capture(file, form)
    if form is Format.PCAPNG and sys.stdout.isatty():
        raise UsageError(
            Text("a capture can't be shown on a terminal", "抓包文件不能直接显示在终端上"),
            Text(
                f"lab run {name} --format pcapng | wireshark -k -i - ; without --format it is saved in a file too",
                f"lab run {name} --format pcapng | wireshark -k -i - ；不带 --format 也会存入文件",
            ),
        )
    require_place(file, played)
    with contextlib.ExitStack() as hosts:
        if testbed != "docker":  # containers take so long that one may as well read meanwhile
            # Hosts are made while what shows their packets is imported, and end while the capture is saved.
            on = _begun(hosts.enter_context(on(played, rules, ipv6)))
        from lab.runs.live import Live
        from lab.runs.run import Run

        run = Run(Live(played, rules, ipv6, file, on), words=in_words(form), fields=told_by_field(form))
        if pace:
            run.listen(Pace(run, pace).hear)
        _show(run, name, [*wire, *played.rules], form, lang)
    early = run.source.early
    if form is Format.LADDER and early is None and sys.stdout.isatty():
        with contextlib.suppress(OSError):  # a terminal that has hung up
            sys.stdout.write(_what_next(run, name, file).pick(lang) + "\n")
    if early is not None and not wire:
        raise LabError(
            early,
            Text("the capture shows how far it came", "抓包里可以看到进行到了哪一步"),
        )


def seconds(slow: str) -> float:
    """Returns a time as it is written for the wire, `2s`, in seconds. Raises UsageError for one that is none."""
    from lab.testbed.control import Delay, RefusedError, check_delay, parse

    try:
        command = parse(f"delay 1 {slow}")
        assert isinstance(command, Delay)
        check_delay(command.ns)
    except RefusedError as error:
        raise UsageError(
            Text(f"--slow can't be '{slow[:30]}'", f"--slow 不能是“{slow[:30]}”"),
            Text("a time up to 10 s: --slow 2s, --slow 500ms", "至多 10 秒的时间：--slow 2s、--slow 500ms"),
        ) from error
    return command.ns / 1e9


class Pace:
    """Lets go of each held packet by itself, one at a time, so many seconds after the one before."""

    def __init__(self, run: Run, seconds: float) -> None:
        self._run = run
        self._seconds = seconds
        self._last = 0.0

    def hear(self, event: object) -> None:
        from threading import Timer

        from lab.events import PacketHeld

        if isinstance(event, PacketHeld):
            now = time.monotonic()
            self._last = max(now, self._last) + self._seconds
            timer = Timer(self._last - now, self._run.control.release, (event.packet,))
            timer.daemon = True
            timer.start()


def _require_capture(file: Path, form: Format) -> None:
    """Raises UsageError for a name that is none of a capture, unless what has it is no file, such as /dev/null."""
    if file.suffix.lower() == ".pcapng" or (file.exists() and not file.is_file()):
        return
    capture, given = shlex.quote(str(file.with_suffix(".pcapng"))), shlex.quote(str(file))
    hint = Text(f"give it such a name: -o {capture}", f"请改用这样的名字：-o {capture}")
    if form not in (Format.LADDER, Format.PCAPNG):
        hint = Text(
            f"{form.value} goes to standard output: > {given}; the capture: -o {capture}",
            f"{form.value} 写到标准输出：> {given}；抓包文件：-o {capture}",
        )
    raise UsageError(
        Text(
            f"-o names the capture, and {file} does not end in .pcapng",
            f"-o 指定的是抓包文件，而 {file} 不以 .pcapng 结尾",
        ),
        hint,
    )


def _show(run: Run, name: str, rules: list[str], form: Format, lang: Lang) -> None:
    """Goes through a run to its end."""
    try:
        # What writes the capture on standard output has the last word, behind what saves it in its file: whoever reads
        # it may be slow.
        with _written(run) if form is Format.PCAPNG else contextlib.nullcontext() as written, run:
            try:
                if form is Format.LADDER:
                    from lab.render.notes import introduction

                    introduction(name, rules, sys.stdout, lang)
                if written is not None:
                    for packet in run.packets():
                        written.packet(packet)
                else:
                    _write(run, form, lang)
            except (OSError, UsageError):  # a closed pipe, a full disk behind it; too much for a picture
                run.play_on()
                raise
    finally:
        _tell_the_end(run, sys.stdout if form is Format.LADDER else sys.stderr, lang)


@contextlib.contextmanager
def _written(run: Run) -> Iterator[Written]:
    """Yields what writes a run's capture on standard output; it is finished whatever ends the run."""
    from lab.runs.live import Live, said_last
    from lab.runs.taken import Written
    from lab.system.streams import blocks

    assert isinstance(run.source, Live)
    with blocks() as out:
        written = Written(out, run.source.taken)
        try:
            yield written
        finally:
            written.finish(said_last(run))


def _begun(events: Iterator[Event]) -> Play:
    """Returns what plays the scenario whose `events` come already."""
    return lambda *_: contextlib.nullcontext(events)


def _what_next(run: Run, name: str, file: Path) -> Text:
    """Returns what to try now, as much of it as there are columns for."""
    from lab.protocols.catalogue import after
    from lab.report.steps import telling

    where = shlex.quote(str(file))
    ideas = (
        f"lab annotate {where} --explain {telling(run.conversations)}",
        f"lab run {after(name)}",
        f"wireshark {where}",
    )
    room = shutil.get_terminal_size().columns - len("Next: ")
    said = ideas[0]
    for idea in ideas[1:]:
        longer = f"{said} · {idea}"
        said = longer if len(longer) <= room else said
    return Text(f"Next: {said}", f"接下来：{said}")


def _write(run: Run, form: Format, lang: Lang) -> None:
    from lab.bulk.rows import Gone, RowFormat, RowsOfRun

    if form is Format.LADDER:
        # what was only sent because another packet was held is in the capture, and would be in the way here
        shown = (each for each in run.packets() if each.journal is None or not each.journal.absorbed)
        write_ladder(run, shown, sys.stdout, lang)
    elif form is Format.EVENTS:
        write_events(run, sys.stdout)
    elif form in DRAWN:
        write_drawn(run, form, sys.stdout, lang)
    else:
        write_rows(RowsOfRun(run, RowFormat(form.value), Gone(lines=False)), form, sys.stdout, lang, live=False)


def _tell_the_end(run: Run, out: TextIO, lang: Lang) -> None:
    from lab.runs.live import ending

    with contextlib.suppress(OSError):  # a closed pipe, a terminal that has hung up
        for line in ending(run):
            print(line.pick(lang), file=out)
