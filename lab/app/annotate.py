"""`lab annotate`: a capture is opened, annotated, and written as it was asked for."""

from __future__ import annotations

import contextlib
import gc
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from lab import bulk
from lab.app.formats import (
    DRAWN,
    Format,
    beginning,
    in_words,
    told_by_field,
    write_drawn,
    write_events,
    write_ladder,
    write_rows,
)
from lab.app.waiting import Waiting, waited
from lab.bulk.rows import Gone, RowFormat, Rows, RowsOfRun, keeps_lines
from lab.capture.reader import Capture, open_capture
from lab.engine.path import Mine
from lab.errors import InputError, UsageError
from lab.runs.recorded import Recorded, write_again
from lab.runs.run import MOST_AT_THE_END, Run
from lab.system import files, streams
from lab.text import Lang, Text

_NUMBERS = re.compile(r"(-?[0-9]{1,18})(?:-([0-9]{1,18}))?")  # of packets: one, or the first and the last
_WORTH_A_BAR = 8 << 20  # bytes of a file


class Asked(NamedTuple):
    """The command line's options."""

    file: str
    form: Format
    keylog: bytes
    server_key: bytes
    show_keys: bool
    out: Path | None
    explain: str | None
    conversation: int | None
    filter: str | None
    limited: bool = True
    with_keys: bool = False


def annotate(asked: Asked, lang: Lang) -> None:
    """Does all of it. Raises UsageError and InputError."""
    gc.disable()  # nothing made for a packet is part of a cycle: looking for cycles would cost half of the time
    if asked.form is Format.PCAPNG and asked.out is None and sys.stdout.isatty():
        raise UsageError(
            Text("a capture can't be shown on a terminal", "抓包文件不能直接显示在终端上"),
            Text("name a file: -o notes.pcapng", "请指定文件：-o notes.pcapng"),
        )
    if asked.explain is not None and asked.form not in (Format.LADDER, Format.JSON):
        raise UsageError(
            Text("--explain writes only words or JSON", "--explain 只能输出文字或 JSON"),
            Text("leave --format out, or give --json", "请去掉 --format，或使用 --json"),
        )
    if asked.explain is not None and asked.conversation is not None:
        raise UsageError(
            Text("--explain and --conversation can't be used together", "--explain 与 --conversation 不能同时使用"),
            Text("leave --explain or --conversation out", "请去掉 --explain 或 --conversation"),
        )
    if asked.show_keys and (asked.explain is not None or asked.form is not Format.LADDER):
        raise UsageError(
            Text("--show keys works only with the ladder", "--show keys 只能与时序图一起使用"),
            Text("leave --format and --explain out", "请去掉 --format 和 --explain"),
        )
    if asked.with_keys and (asked.form is not Format.HTML or asked.explain is not None):
        raise UsageError(
            Text("--with-keys works only with a page", "--with-keys 只能用于网页"),
            Text("add --format html, or give --show keys", "请加上 --format html，或使用 --show keys"),
        )
    chosen = _chosen(asked.filter)
    if asked.explain is not None:
        _explain(asked, asked.explain, chosen, lang)
    elif not (asked.conversation is None and asked.limited and _quickly(asked, chosen, lang)):
        _one_by_one(asked, chosen, lang)


def in_place(form: Format, explain: str | None, conversation: int | None, expression: str | None) -> bool:
    """Whether a capture may be replaced by what is made of it: the whole capture again, with the notes in it."""
    return form is Format.PCAPNG and explain is None and conversation is None and expression is None


def refuse_beside(
    form: Format, show_keys: bool, explain: str | None, conversation: int | None, expression: str | None
) -> Mine | None:
    """Returns which frames a summary is of. Raises UsageError for what can't stand beside it."""
    if show_keys or explain is not None or conversation is not None or form not in (Format.LADDER, Format.JSON):
        raise UsageError(
            Text(
                "--summary goes only with --json, --filter and secrets", "--summary 只能与 --json、--filter、密钥同用"
            ),
            Text("leave the other options out", "请去掉其他选项"),
        )
    return _chosen(expression)


def _chosen(expression: str | None) -> Mine | None:
    if expression is None:
        return None
    from lab.protocols.selection import chosen

    return chosen(expression)


def _in_rows(form: Format) -> bool:
    return form.value in tuple(RowFormat)


def _quickly(asked: Asked, chosen: Mine | None, lang: Lang) -> bool:
    """Writes rows, or a ladder, the faster way; returns whether there is one."""
    if asked.form is Format.LADDER and chosen is None and not asked.show_keys:
        return _by_two(asked, lang)
    if not _in_rows(asked.form):
        return False
    form = RowFormat(asked.form.value)
    with bulk.rows(asked.file, form, asked.keylog, asked.server_key, chosen) as rows:
        if rows is None:
            return False
        with files.rendered(asked.out) as out, _progress(rows.size, lambda: rows.position, lang) as passing:
            write_rows(_Watched(rows, passing), asked.form, out, lang, live=False)
        if said := rows.complaint():
            streams.say(said.pick(lang))
        return True


def _by_two(asked: Asked, lang: Lang) -> bool:
    """Writes a ladder that two processes draw; returns whether that is faster."""
    if not bulk.halved(asked.file, asked.server_key):
        return False
    from lab.render.ladder import Ladder
    from lab.render.words import console

    capture = open_capture(asked.file)
    capture.watched_by(Waiting(capture, lang).goes_on)
    with files.rendered(asked.out) as out:
        ladder = Ladder(console(out), lang)
        with bulk.rungs(capture, asked.file, ladder, asked.keylog) as rungs:
            with _progress(capture.size, lambda: rungs.position, lang) as passing:
                for lines in passing(rungs.lines()):
                    out.write(lines)
            out.flush()
            _at_the_end(capture, rungs.complaint(), rungs.shown, lang)
    return True


def _at_the_end(capture: Capture, complaint: Text | None, shown: bool, lang: Lang) -> None:
    """Says what is wrong with a capture, or why nothing of it is drawn."""
    if complaint:
        streams.say(complaint.pick(lang))
    elif not shown:
        streams.say(_nothing(capture).pick(lang))


def _one_by_one(asked: Asked, chosen: Mine | None, lang: Lang) -> None:
    form = asked.form
    capture = open_capture(asked.file, digest=form in (Format.JSON, Format.EVENTS), limited=asked.limited)
    capture.watched_by(Waiting(capture, lang).goes_on)
    live = capture.size is None
    if live:
        streams.show_each_line()  # a pipe: somebody waits for the rows
    lines = _in_rows(form) and keeps_lines(RowFormat(form.value))
    gone = Gone(lines)
    run = Run(
        Recorded(capture), keylog=asked.keylog, server_key=asked.server_key, mine=chosen, only=asked.conversation,
        words=in_words(form), fields=told_by_field(form), frames=in_words(form),
        messages=form not in (Format.CSV, Format.CONVERSATIONS), beginning=beginning(form),
        late=waited if live and form in (Format.LADDER, Format.PCAPNG) else None,
        let_go=gone.take if lines else None,
        kept=MOST_AT_THE_END if form is Format.EVENTS else 0,  # the last event tells of them
    )  # fmt: skip
    with run:
        if form is Format.PCAPNG:
            with _bytes(asked.out) as stream:
                write_again(run, stream)
                if capture.problems:
                    _keep_the_only(asked, capture)
        else:
            with files.rendered(asked.out) as out:
                if form is Format.LADDER:
                    with _progress(capture.size, lambda: capture.position, lang) as passing:
                        write_ladder(run, passing(run.packets()), out, lang, capture)
                    if asked.show_keys:
                        from lab.render.keys import worked_examples

                        worked_examples(run.reports(examples=True), out, lang)
                elif form is Format.EVENTS:
                    write_events(run, out)
                elif form in DRAWN:
                    write_drawn(run, form, out, lang, asked.with_keys)
                else:
                    write_rows(RowsOfRun(run, RowFormat(form.value), gone), form, out, lang, live)
        _at_the_end(capture, run.complaint(), form is not Format.LADDER or run.shown, lang)


def _keep_the_only(asked: Asked, capture: Capture) -> None:
    """Raises InputError where a damaged capture would be replaced by what could be read of it."""
    try:
        files.require_other(asked.out, asked.file)
    except UsageError:
        raise InputError(
            Text(
                f"{capture.name} is damaged: replaced by what can be read, the rest would be lost",
                f"{capture.name} 已损坏：用能读出的内容替换它，其余内容就会丢失",
            ),
            Text("write to another file", "请写到另一个文件"),
        ) from None


def _nothing(capture: Capture) -> Text:
    """Returns why an empty page is no mistake of ours."""
    if not capture.packets:
        return Text(f"{capture.name} has no packets", f"{capture.name} 中没有任何包")
    return Text(
        f"none of the {capture.packets} packets in {capture.name} matches the filter",
        f"{capture.name} 共有 {capture.packets} 个包，没有一个符合过滤条件",
    )


def _numbers(said: str) -> range:
    """Returns which packets `N` or `N-M` means. Raises UsageError where it means none."""
    found = _NUMBERS.fullmatch(said)
    first = int(found[1]) if found else 0
    last = int(found[2] or found[1]) if found else -1
    if last < first:
        raise UsageError(
            Text(
                f"--explain {said} is no packet's number and no range", f"--explain {said} 不是包的编号，也不是编号范围"
            ),
            Text(
                "give a number, or the first and the last: --explain 3-5",
                "请给出一个编号，或首尾两个编号：--explain 3-5",
            ),
        )
    return range(first, last + 1)


def _explain(asked: Asked, said: str, chosen: Mine | None, lang: Lang) -> None:
    from lab.render.explain import as_json, explain, find

    numbers = _numbers(said)
    with open_capture(asked.file, limited=asked.limited) as capture:
        capture.watched_by(Waiting(capture, lang).goes_on)
        run = Run(
            Recorded(capture), keylog=asked.keylog, server_key=asked.server_key, mine=chosen, words=True,
            fields=numbers, kept=0,
        )  # fmt: skip
        with run:
            found = find(run.packets(), numbers)
            first = next(found, None)
            if first is None:
                raise capture.refused or _nowhere(capture, said, numbers)
            with files.rendered(asked.out) as out:
                if asked.form is Format.JSON:
                    as_json(itertools.chain([first], found), out, len(numbers) > 1)
                else:
                    explain(itertools.chain([first], found), out, lang)


def _nowhere(capture: Capture, said: str, numbers: range) -> UsageError:
    """Returns why there is no such packet to tell of."""
    if numbers.stop > 1 and numbers.start <= capture.packets:
        return UsageError(
            Text(
                f"packet {said} of {capture.name} does not match the filter",
                f"{capture.name} 的第 {said} 号包不符合过滤条件",
            ),
            Text("leave --filter out", "请去掉 --filter"),
        )
    return UsageError(
        Text(f"{capture.name} has no packet {said}", f"{capture.name} 中没有第 {said} 号包"),
        Text(f"it has {capture.packets}, numbered from 1", f"共有 {capture.packets} 个包，从 1 开始编号"),
    )


@contextlib.contextmanager
def _progress(
    size: int | None, position: Callable[[], int], lang: Lang
) -> Iterator[Callable[[Iterator[Any]], Iterator[Any]]]:
    """Yields what passes packets or rows on, with a progress bar on standard error where there are many bytes."""
    if not size or size < _WORTH_A_BAR or not sys.stderr.isatty():
        yield lambda items: items
        return
    from lab.render.progress import bar

    with bar(Text("annotating", "解读中").pick(lang), size) as update:

        def passing(items: Iterator[Any]) -> Iterator[Any]:
            for count, item in enumerate(items):
                if not count & 0x3FFF:
                    update(position())
                yield item

        yield passing


class _Watched:
    """Rows whose packets are watched as they pass."""

    def __init__(self, rows: Rows, passing: Callable[[Iterator[Any]], Iterator[Any]]) -> None:
        self._rows = rows
        self._passing = passing
        self.conversations, self.about, self.complaint = rows.conversations, rows.about, rows.complaint
        self.size, self.position = rows.size, rows.position

    def packets(self) -> Iterator[str]:
        return self._passing(self._rows.packets())


@contextlib.contextmanager
def _bytes(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        with streams.blocks() as stream:
            yield stream
        return
    with files.to_file(out) as stream:
        yield stream
