"""`lab explore --isn`: initial sequence numbers over 1,000 connections, in words, as a picture, for programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from lab.errors import MachineError
from lab.explore.anywhere import explored_on
from lab.explore.told import Connections, Kernel
from lab.protocols.exploration import Opened, Options, isns
from lab.render.isns import as_json, svg, told
from lab.render.trace import dump
from lab.system import files
from lab.text import Lang, Text

_COUNT = 1_000


class As(StrEnum):
    """How they are written."""

    TEXT = "text"
    SVG = "svg"
    JSON = "json"


def show(options: Options, form: As, testbed: str, out: Path | None, lang: Lang) -> None:
    """Opens the connections and writes what their numbers are. Raises MachineError."""
    if out:
        files.require_writable(out)
    heard = list(explored_on(testbed, Connections(_COUNT), options))
    (kernel,) = (each.release for each in heard if isinstance(each, Kernel))
    try:
        found = isns([each for each in heard if isinstance(each, Opened)])
    except ValueError as error:
        raise MachineError(
            Text(f"the connections can't be compared: {error}", f"这些连接无法比较：{error}"),
            Text("try again", "请重试"),
        ) from error
    with files.rendered(out) as stream:
        if form is As.SVG:
            stream.write(svg(found, kernel, lang))
        elif form is As.JSON:
            stream.write(dump(as_json(found, kernel)) + "\n")
        else:
            told(found, kernel, stream, lang)
        stream.flush()
