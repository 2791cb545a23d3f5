"""Which options go with a capture, with a scenario, with a page: one that would do nothing is refused."""

from __future__ import annotations

from collections.abc import Mapping

from lab.errors import UsageError
from lab.text import Text


def refuse_with_a_capture(given: Mapping[str, bool]) -> None:
    """Raises UsageError for the first of these options, by name, that is given where a capture is to be shown."""
    _refuse(
        given,
        Text("{0} goes only with a scenario", "{0} 只能与场景同用"),
        Text("leave it out, or name a scenario: lab scenarios lists them", "请去掉它，或给出 lab scenarios 所列的场景"),
    )


def refuse_with_a_scenario(given: Mapping[str, bool]) -> None:
    """Raises UsageError for the first of these options, by name, that is given where a scenario is to be played."""
    _refuse(
        given,
        Text("{0} goes only with a capture", "{0} 只能与抓包文件同用"),
        Text("leave it out, or name a capture's file", "请去掉它，或给出抓包文件"),
    )


def refuse_without_a_page(given: Mapping[str, bool]) -> None:
    """Raises UsageError for the first of these options, by name, that is given where the terminal is stepped in."""
    _refuse(
        given,
        Text("{0} goes only with --page", "{0} 只能与 --page 同用"),
        Text("leave it out, or add --page", "请去掉它，或加上 --page"),
    )


def _refuse(given: Mapping[str, bool], said: Text, hint: Text) -> None:
    if name := next((name for name, is_given in given.items() if is_given), None):
        raise UsageError(said.format(name), hint)
