"""The notes are read part by part, and are what the whole file says."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from lab.protocols.notes import notes
from lab.protocols.registry import PROTOCOLS


@pytest.mark.parametrize("protocol", [each.name for each in PROTOCOLS])
def test_all_parts_are_read_whatever_stands_between_them(protocol: str) -> None:
    whole = tomllib.loads((files("lab.protocols") / protocol / "notes.toml").read_text("utf-8"))
    found = notes(protocol)
    assert found.protocol == whole["protocol"] == protocol
    assert (found.about is not None) == ("about" in whole)
    assert list(found.steps) == [each["id"] for each in whole["step"]]
    assert list(found.states) == [each["name"] for each in whole["state"]]
    assert list(found.scenarios) == [each["name"] for each in whole["scenario"]]
    assert set(found.instead) == {(each["step"], each["differs"]) for each in whole.get("instead", ())}
    assert [*found.differs, *found.known] == [
        *(each["code"] for each in whole["differs"] if "when" not in each),
        *((each["code"], each["when"]) for each in whole["differs"] if "when" in each),
    ]
