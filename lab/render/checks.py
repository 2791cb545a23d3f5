"""What `lab doctor` found, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple, TextIO

from rich.text import Text as Styled

from lab.render.words import console, pad, wrap
from lab.text import Lang, Text

_NAME, _INDENT, _WIDTH = 26, 4, 80
_MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "yellow")}
_UNMET = 4  # exit status: this machine can't


class Check(NamedTuple):
    """One thing looked at. `ok` is None for an optional thing that is missing; `remedy` a shell command, or empty."""

    name: Text
    ok: bool | None
    found: Text
    remedy: str
    why: Text  # what needs it


def report(checks: list[Check], out: TextIO, lang: Lang) -> int:
    """Prints every check and returns the exit status: 0, or 4 where something the lab needs is missing."""
    page = console(out)
    for check in checks:
        mark, style = _MARKS[check.ok]
        line = Styled(f"{mark} ", style)
        line.append(pad(check.name.pick(lang), _NAME), "bold")
        found = wrap(check.found.pick(lang), _WIDTH - _NAME - 2) or [""]
        line.append(("\n" + " " * (_NAME + 2)).join(found), "")
        page.print(line, soft_wrap=True)
        if check.ok is True:
            continue
        for text in wrap(check.why.pick(lang), _WIDTH - _INDENT):
            page.print(Styled(" " * _INDENT + text, "dim"), soft_wrap=True)
        if check.remedy:
            page.print(Styled(" " * _INDENT + "$ " + check.remedy, "cyan"), soft_wrap=True)
    missing = [check for check in checks if check.ok is False]
    page.print()
    page.print(
        Text("All that the lab needs is here.", "实验室所需的一切都已就绪。").pick(lang)
        if not missing
        else Text(f"{len(missing)} missing: see ✗ above.", f"缺少 {len(missing)} 项：见上面的 ✗。").pick(lang)
    )
    return _UNMET if missing else 0
