"""`lab diff`: two captures are read, and a conversation of each is compared."""

from __future__ import annotations

import gc
from pathlib import Path

from lab.errors import UsageError
from lab.render import diff_json
from lab.render.diff import draw
from lab.report.comparison import Comparison
from lab.runs.api import compare
from lab.system import files, streams
from lab.text import Lang, Text


def diff(found: Comparison, json: bool, out: Path | None, lang: Lang) -> None:
    """Shows a comparison; what is wrong with the files is said on standard error, once what could be read is out."""
    with files.rendered(out) as stream:
        if json:
            diff_json.write(found, stream)
        else:
            draw(found, stream, lang)
    _say_problems(found, lang)


def _say_problems(found: Comparison, lang: Lang) -> None:
    for problems in dict.fromkeys((found.ours.problems, found.theirs.problems)):
        if problems is not None:
            streams.say(problems.pick(lang))


def as_page(
    a: str, b: str, conversation: str, out: Path | None, lang: Lang, keylog: bytes, server_key: bytes, limit: bool
) -> None:
    """Writes the comparison as a page. Raises what `compared` raises."""
    from lab.page.comparison import of_captures
    from lab.page.html import document

    gc.disable()
    data, found = of_captures(a, b, _numbers(a, b, conversation), keylog, server_key, limit)
    with files.rendered(out) as stream:
        stream.write(document(data))
    _say_problems(found, lang)


def compared(
    a: str, b: str, conversation: str, keylog: bytes = b"", server_key: bytes = b"", limit: bool = True
) -> Comparison:
    """Returns the comparison of a conversation of capture `a` with one of `b`; `conversation` is `N` or `N,M`.

    Raises UsageError where that is no such thing or a file has no such conversation, InputError where it can't be read.
    """
    first, second = _numbers(a, b, conversation)
    gc.disable()  # nothing made for a packet is part of a cycle
    return compare(a, b, conversations=(first, second), keylog=keylog, server_key=server_key, limit=limit)


def _numbers(a: str, b: str, conversation: str) -> tuple[int, int]:
    numbers = conversation.split(",")
    if len(numbers) > 2 or not all(each.isascii() and each.isdigit() and len(each) < 10 for each in numbers):
        raise UsageError(
            Text(
                f"--conversation {conversation} is no id and no two",
                f"--conversation {conversation} 不是一个编号，也不是两个",
            ),
            Text(
                "give the ids that lab annotate shows: --conversation 0, or --conversation 0,3",
                "请给出 lab annotate 显示的编号：--conversation 0，或 --conversation 0,3",
            ),
        )
    if a == b == "-":
        raise UsageError(
            Text("standard input can't be both captures", "标准输入不能同时作为两个抓包"),
            Text("name a file for one of them", "请为其中一个指定文件"),
        )
    first, second = map(int, (numbers * 2)[:2])
    return first, second
