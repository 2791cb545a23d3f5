"""Touches hosts and files: a student's own capture is made, real, with nothing in it that answers a question."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.errors import InputError, UsageError
from lab.grade import variant as variants
from lab.grade.submissions import CAPTURE
from lab.grade.variant import Variant
from lab.runs.live import Live
from lab.runs.run import Run
from lab.testbed.play import played_on
from lab.testbed.rules import parse
from lab.text import Text


def variant_in(folder: Path) -> Variant:
    """Returns the variant in a student's folder. Raises InputError where there is none that can be read."""
    path = folder / variants.NAME
    try:
        with path.open("rb") as file:
            return variants.read(file.read(variants.MOST_BYTES + 1))
    except OSError as error:
        raise InputError(
            Text(f"{path} can't be read: {error.strerror}", f"无法读取 {path}：{error.strerror}"),
            Text(
                "name the folder that came with the assignment; lab assign NAME -o FOLDER makes one to practise with",
                "请给出随作业发放的文件夹；lab assign 名称 -o 文件夹 可生成一份练习",
            ),
        ) from error


def run_of(
    variant: Variant, folder: Path, testbed: str = "auto", rules: Iterable[str] = (), control: bool = False,
    fields: range = range(0),
) -> Run:  # fmt: skip
    """Returns the run of a variant, played when it is gone through; its capture is saved in the folder, whatever ends
    it. `rules` are the student's own. With `control` each packet is held, as by `lab step`.

    Raises UsageError for a rule that is none, or that this assignment does not leave to the student.
    """
    own = parse(rules)
    if own and not variant.own_rules:
        raise UsageError(
            Text("this assignment leaves no rules of the wire to you", "这份作业不允许自定线路规则"),
            Text(
                "lab run without --variant plays any scenario with any rule",
                "不带 --variant 的 lab run 可用任意规则运行任意场景",
            ),
        )
    source = Live(
        variant.played, (*own, *variant.wire), False, folder / CAPTURE, played_on(testbed, control), bare=True,
        sealed=not variant.secrets,
    )  # fmt: skip
    return Run(source, words=control, fields=fields)
