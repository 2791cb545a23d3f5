"""What is written is read as it is meant, short or long; what is none says where it goes wrong, and what is near."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UsageError
from lab.runs.until import END, until
from lab.stepping.commands import COMMANDS, NotationError, named, parse, told
from lab.testbed.control import Delay, Drop, Edit, Hold, Inject
from lab.text import LANGUAGES


def test_each_command_is_found_by_its_name_and_its_short_forms() -> None:
    for each in COMMANDS:
        assert named(each.name) is each
        for short in each.short:
            assert named(short) is each
    names = [word for each in COMMANDS for word in (each.name, *each.short)]
    assert len(names) == len(set(names))
    assert named("s") is named("step")
    assert named("f") is named("forward")
    assert named("de") is named("delay")
    assert named("re") is named("release")
    assert named("") is None


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("s", "step"),
        ("n", "next"),
        ("u FIN", "until"),
        ("c", "continue"),
        ("r", "release"),
        ("dup", "duplicate"),
        ("dr", "drop"),
        ("dela 2s", "delay"),
        ("p kernel", "show"),
        ("q", "quit"),
        ("  STEP 3  # on", "step"),
    ],
)
def test_a_command_may_be_short(line: str, name: str) -> None:
    asked = parse(line)
    assert asked is not None
    assert asked.name == name


def test_what_stands_behind_a_name_is_read() -> None:
    def order(line: str) -> object:
        asked = parse(line)
        assert asked is not None
        return asked.order, asked.named

    assert order("drop") == (Drop(0), False)
    assert order("drop 7") == (Drop(7), True)
    assert order("delay 2s") == (Delay(0, 2_000_000_000), False)
    assert order("delay 3 200ms") == (Delay(3, 200_000_000), True)
    assert order("edit seq=+1 flags=PSH,ACK") == (Edit(0, {"seq": "+1", "flags": "PSH,ACK"}), False)
    assert order("edit payload=a#b # note") == (Edit(0, {"payload": b"a#b"}), False)
    assert order(f"edit payload=0x{'00' * 1448} # {'x' * 4000}") == (Edit(0, {"payload": bytes(1448)}), False)
    assert order("edit payload=\udcff") == (Edit(0, {"payload": b"\xff"}), False), "a byte that is no UTF-8"
    assert order("delay\t3\t2s\t# tabs") == (Delay(3, 2_000_000_000), True)
    assert order("inject client RST seq=rcv.nxt") == (Inject("client", "RST", "rcv.nxt"), True)
    assert order("hold off") == (Hold(False), True)
    step, there, show = parse("step 3"), parse("until server=CLOSE-WAIT"), parse("show k")
    assert step is not None
    assert step.number == 3
    assert there is not None
    assert there.until == until("server=CLOSE-WAIT") != END
    assert show is not None
    assert show.word == "kernel"
    assert parse("") is parse("  # only a comment") is None


@pytest.mark.parametrize(
    ("line", "column", "near"),
    [
        ("frob", 1, "drop"),
        ("  stpe", 3, "step"),
        ("step soon", 6, "step [N]"),
        ("until", 6, "until FIN"),
        ("until client SYNN", 14, "SYN"),
        ("until server=CLOSE-WAT", 7, "server=CLOSE-WAIT"),
        ("delay 3 soon", 7, "delay [N]"),
        ("delay 11s", 7, "10 s"),
        ("edit seq=+1 flags", 13, "edit [N]"),
        ("edit", 5, "edit [N]"),
        ("inject clint RST", 8, "inject client"),
        ("show kernl", 6, "kernel"),
        ("save x.txt", 6, "x.txt.pcapng"),
        ("help stp", 6, "step"),
        ("predict end", 9, "predict"),
        ("quit now", 6, "quit"),
        ("hold maybe", 6, "hold [off]"),
        (f"edit payload=0x{'0' * 4000}", 4001, "shorter payload"),
        ("edit payload=don't", 6, 'payload="don\'t"'),
        ("edit payload=a\ud800", 15, "payload=0x00ff"),
        (" save a\0.pcapng", 8, "payload=0x00ff"),
    ],
)
def test_what_is_no_command_says_where_it_goes_wrong(line: str, column: int, near: str) -> None:
    with pytest.raises(NotationError) as refused:
        parse(line)
    assert refused.value.column == column, refused.value.message.en
    assert near in refused.value.hint.en
    assert f"column {column}" in refused.value.message.en
    assert f"第 {column} 列" in refused.value.message.zh


@given(st.text(st.characters()))
def test_any_line_is_read_or_refused_in_a_few_words(line: str) -> None:
    said = ""
    try:
        parse(line)
    except UsageError as refused:
        said = refused.message.en
    assert len(said) < 400


def test_help_tells_of_every_command_in_both_languages() -> None:
    for lang in LANGUAGES:
        lines = [each.pick(lang) for each in told()]
        assert [line.split()[0] for line in lines] == [each.name for each in COMMANDS]
        assert all(len(part) <= 120 for line in lines for part in line.splitlines())
    assert [each.en.split()[0] for each in told("dup")] == ["duplicate"]
