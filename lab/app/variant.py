"""`lab run --variant`: a student's own capture is made. No ladder is drawn: the packets are for the student to read."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError, UsageError
from lab.grade.assignment import load, shipped
from lab.grade.handout import predicts
from lab.grade.playing import run_of, variant_in
from lab.grade.submissions import CAPTURE
from lab.grade.variant import Variant
from lab.runs.live import ending
from lab.system.files import require_writable
from lab.text import Lang, Text

_UNPREDICTED = Text(
    "Some questions are answered before a packet shows: lab step --variant makes a capture with your predictions.",
    "有些题必须在某个包出现之前作答：lab step --variant 会生成含有你的预测的抓包。",
)


def _predicts(variant: Variant) -> bool:
    return variant.assignment in shipped() and predicts(load(variant.assignment))


def play(folder: Path, wire: Sequence[str], testbed: str, again: bool, lang: Lang) -> None:
    """Plays the variant in a folder. Raises UsageError where a capture is there already: answers may be about it."""
    variant = variant_in(folder)
    capture = folder / CAPTURE
    run = run_of(variant, folder, testbed, wire)
    if capture.exists() and not again:
        raise UsageError(
            Text(f"{capture} is there already, and answers may be about it", f"{capture} 已存在，答案可能依据它"),
            Text(
                "--again makes a new one in its place: all numbers will be others",
                "--again 会重新生成并替换它：所有数字都会改变",
            ),
        )
    require_writable(capture)
    run.play_on()
    where = shlex.quote(str(folder))
    next_ = Text(
        f"Next: lab annotate {where}/{CAPTURE}, fill in answers.toml, lab check {where}",
        f"接下来：lab annotate {where}/{CAPTURE}，填写 answers.toml，再运行 lab check {where}",
    )
    with contextlib.suppress(OSError):  # whoever reads it may have gone away
        for line in (*ending(run), *([_UNPREDICTED] if _predicts(variant) else []), next_):
            sys.stdout.write(line.pick(lang) + "\n")
        sys.stdout.flush()
    early = run.source.early
    if early is not None and not wire:
        raise LabError(early, Text("play it again: --again", "请用 --again 重新运行"))
