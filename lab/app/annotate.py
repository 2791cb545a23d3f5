"""`lab annotate`: a capture is opened, annotated, in halves where that pays, and shown as it was asked for."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TextIO

from lab.bulk import halves
from lab.capture.reader import Capture, open_capture
from lab.engine.path import Mine
from lab.errors import InputError, UsageError
from lab.recorded import Recording, shown_progress
from lab.show import Format, Gone, show
from lab.system import files, streams
from lab.text import Lang, Text

if TYPE_CHECKING:
    from lab.bulk.conversations import Made


class Asked(NamedTuple):
    """The command line's options."""

    file: str
    form: Format
    keylog: bytes
    server_key: bytes
    show_keys: bool
    out: Path | None
    explain: int | None
    conversation: int | None
    filter: str | None


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
            Text("one packet is explained in words or as JSON", "讲解单个包只能用文字或 JSON"),
            Text("leave --format out, or give --json", "请去掉 --format，或使用 --json"),
        )
    chosen = _chosen(asked.filter)
    with open_capture(asked.file, digest=asked.form is Format.JSON and asked.explain is None) as capture:
        if capture.size is None:
            streams.show_each_line()  # a pipe: somebody waits for the rows
        if asked.explain is not None:
            _explain(asked, capture, chosen, lang)
        else:
            _annotate(asked, capture, chosen, lang)


def _chosen(expression: str | None) -> Mine | None:
    if expression is None:
        return None
    from lab.protocols.selection import chosen

    return chosen(expression)


def _annotate(asked: Asked, capture: Capture, chosen: Mine | None, lang: Lang) -> None:
    form, secrets = asked.form, (asked.keylog, asked.server_key)
    keep = form in (Format.LADDER, Format.PCAPNG)
    halved = not keep and asked.conversation is None and halves.worthwhile(capture)
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(halves.other_half(asked.file, form, *secrets, chosen)) if halved else None
        made = _in_columns(asked, halves.OURS if halved else halves.ALL) if _large(asked, capture) else None
        gone = Gone(form)
        mine = halves.ours(chosen) if halved else chosen
        recording = Recording(capture, keep, mine, *secrets, gone.take, asked.conversation)
        rungs = shown_progress(capture, recording.rungs(), lang)
        live = capture.size is None

        def elsewhere() -> int:
            return (theirs.evicted if theirs else 0) + (made.evicted if made else 0)

        def write(out: TextIO) -> None:
            show(recording, rungs, form, lambda: recording.about(lang, elsewhere()), out, lang, theirs, live, gone,
                 made)  # fmt: skip
            if asked.show_keys and form is Format.LADDER:
                from lab.render.keys import worked_examples

                worked_examples(recording.conversations, out, lang)

        if form is Format.PCAPNG:
            with _bytes(asked.out) as stream:
                recording.write(stream, rungs)
        else:
            _rendered(asked.out, write)
        if said := recording.complaint(elsewhere()):
            streams.say(said.pick(lang))
        elif form is Format.LADDER and not recording.shown:
            streams.say(_nothing(capture).pick(lang))


def _nothing(capture: Capture) -> Text:
    """Returns why an empty page is no mistake of ours."""
    if not capture.packets:
        return Text(f"{capture.name} has no packets", f"{capture.name} 中没有任何包")
    return Text(
        f"none of the {capture.packets} packets in {capture.name} fits the filter",
        f"{capture.name} 共有 {capture.packets} 个包，没有一个符合过滤条件",
    )


def _large(asked: Asked, capture: Capture) -> bool:
    """Whether conversations are counted in columns."""
    whole = asked.conversation is None and asked.filter is None
    return whole and halves.fits_columns(asked.form) and halves.large(capture)


def _in_columns(asked: Asked, lanes: frozenset[int]) -> Made | None:
    from lab.bulk.conversations import made

    return made(asked.file, lanes, asked.form is Format.CSV, asked.keylog, asked.server_key)


def _explain(asked: Asked, capture: Capture, chosen: Mine | None, lang: Lang) -> None:
    from lab.render.explain import as_json, explain, find

    number = asked.explain or 0
    recording = Recording(capture, True, chosen, asked.keylog, asked.server_key)
    found = find(recording.rungs(), number)
    if found is None:
        raise InputError(
            Text(f"{capture.name} has no packet {number}", f"{capture.name} 中没有第 {number} 号包"),
            Text(f"it has {capture.packets}, numbered from 1", f"共有 {capture.packets} 个包，从 1 开始编号"),
        )
    _rendered(asked.out, lambda out: as_json(found, out) if asked.form is Format.JSON else explain(found, out, lang))


def _rendered(out: Path | None, write: Callable[[TextIO], None]) -> None:
    with files.rendered(out) as stream:
        write(stream)


@contextlib.contextmanager
def _bytes(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        return
    with files.to_file(out) as stream:
        yield stream
