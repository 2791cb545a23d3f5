"""A descriptor is frozen and complete, and what it says is imported when somebody asks for it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from lab.engine.protocol import Descriptor, later
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.text import Text

GIVEN: dict[str, Any] = {"name": "toy", "title": "Toy", "tables": {}, "steps": list, "facts": dict}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.name)
def test_all_that_a_descriptor_names_is_there(protocol: Descriptor) -> None:
    for name in type(protocol)._fields:
        assert getattr(protocol, name) is getattr(protocol, name), name


def test_a_value_is_looked_up_when_it_is_asked_for_and_once() -> None:
    toy = Descriptor(**GIVEN, sentences=later("lab.text", "Text"), details=later("lab.text"))
    assert "sentences" not in vars(toy)
    found: Any = toy.sentences
    assert found is Text
    assert vars(toy)["sentences"] == Text
    assert toy.details.__name__ == "lab.text"


@pytest.mark.parametrize("wrong", [{"nmae": "toy"}, {"title": "Toy"}, {}])
def test_one_that_is_not_complete_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="lacks"):
        Descriptor(**wrong)
    with pytest.raises(TypeError, match=r"knows no .*nmae"):
        Descriptor(**{**GIVEN, "nmae": "toy"})


def test_it_never_changes_but_there_can_be_another() -> None:
    with pytest.raises(AttributeError, match="never changes"):
        TRANSPORT.name = "toy"  # type: ignore[misc]  # that is what is tested
    with pytest.raises(AttributeError, match="has no nmae"):
        TRANSPORT.nmae  # type: ignore[attr-defined]  # noqa: B018  # asking is what is tested
    toy = TRANSPORT.replace(name="toy")
    assert (toy.name, toy.read, TRANSPORT.name) == ("toy", TRANSPORT.read, "tcp")


def test_the_command_line_reads_no_table_before_a_command_needs_one() -> None:
    told = "import sys, lab.app.cli; print(*(each for each in sys.modules if each.startswith('lab.')))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {f"lab.protocols.{each.name}" for each in PROTOCOLS} <= loaded
    assert not loaded & {"lab.model", "lab.engine.path", "lab.protocols.tcp.states", "lab.protocols.tls.states"}
