"""What the toolbar and the options are for Wireshark, and the packets in which both talk. Pure."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UsageError
from lab.protocols.catalogue import scenarios
from lab.text import LANGUAGES, Lang, Text
from lab.wireshark import options, toolbar
from lab.wireshark.toolbar import Control, Message, Order, Panel, Reader
from tests.places import ROOT

# The grammar that Wireshark has for what an extcap says (extcap_parser.c): a word, then `{key=value}` again and again.
SENTENCE = re.compile(r"(extcap|interface|control|arg|value|dlt) (\{[a-z]+=[^{}]+\})+")
MESSAGES = st.lists(
    st.builds(Message, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300)), min_size=1, max_size=5
)


def read(pieces: list[bytes]) -> list[Message]:
    reader = Reader()
    return [message for piece in pieces for message in reader.feed(piece)]


def test_a_control_packet_is_as_the_guide_has_it() -> None:
    assert Message(Control.UNTIL, Order.SET, b"FIN").packed() == b"T\x00\x00\x05\x04\x01FIN"
    assert Message(0, Order.INITIALIZED).packed() == b"T\x00\x00\x02\x00\x00"
    assert len(Message(0, Order.STATUS, b"x" * toolbar.MOST).packed()) == 6 + toolbar.MOST


@given(MESSAGES, st.lists(st.integers(1, 200)))
def test_however_the_bytes_are_cut_the_packets_are_the_same(messages: list[Message], sizes: list[int]) -> None:
    data = b"".join(message.packed() for message in messages)
    cuts = [0, *(at for at in accumulate(sizes) if at < len(data)), len(data)]
    assert read([data[start:end] for start, end in pairwise(cuts)]) == messages


@pytest.mark.parametrize(
    "data", [b"X\0\0\x02\0\0", b"T\0\0\x01\0\0", b"T\0\0\0\0\0", b"T\x01\0\x02\0\0", b"GET / HTTP/1.1"]
)
def test_what_is_no_control_packet_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no control packet"):
        read([data])


@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        found = read([data])
    except ValueError:
        return
    assert data.startswith(b"".join(message.packed() for message in found))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_sentence_is_one_that_wireshark_reads(lang: Lang) -> None:
    said = [*toolbar.sentences(lang), *options.sentences(lang)]
    assert [line for line in said if not SENTENCE.fullmatch(line)] == []
    numbers = [re.findall(rf"^{word} {{number=(\d+)}}", "\n".join(said), re.MULTILINE) for word in ("control", "arg")]
    assert numbers == [[str(number) for number in range(len(found))] for found in numbers]


def test_all_scenarios_are_listed_and_the_first_is_the_default() -> None:
    said = [line for line in options.sentences("en") if line.startswith("value {arg=0}")]
    assert [re.search("{value=(.*?)}", line)[1] for line in said] == [each.name for each in scenarios()]  # type: ignore[index]
    assert [line.endswith("{default=true}") for line in said] == [True] + [False] * (len(said) - 1)


@pytest.mark.parametrize(("half", "lang"), [*enumerate(LANGUAGES)])
def test_the_page_tells_of_every_control_and_option(half: int, lang: Lang) -> None:
    page = (ROOT / "docs" / "wireshark.md").read_text("utf-8").split("\n---\n")[half]
    shown = [re.search("{display=(.*?)}", line)[1] for line in toolbar.sentences(lang)]  # type: ignore[index]
    assert [name for name in shown if name not in page] == []
    assert [option.call for option in options.OPTIONS if f"`{option.call}`" not in page] == []


def test_the_panel_never_sends_more_than_a_payload_holds() -> None:
    sent: list[Message] = []
    panel, long = Panel(sent.append, "zh"), Text("x", "长" * 50_000)
    panel.status(long)
    panel.log(long)
    panel.kernels(long)
    assert max(len(message.payload) for message in sent) <= toolbar.MOST
    for message in sent:
        message.payload.decode()


def test_a_command_line_is_read_in_any_order() -> None:
    words = "--fifo /x --ipv6 --scenario=tls/1.3 --capture --extcap-interface handshake-lab --pace 0.000000 --wire"
    asked = options.read([*words.split(), "drop client SYN #1"])
    assert asked.flags == {"--ipv6", "--capture"}
    assert asked.values["--scenario"] == "tls/1.3"
    assert asked.values["--wire"] == "drop client SYN #1"
    assert asked.pace == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--scenari", "x"], "--scenario"),
        (["--capture=yes"], "no value"),
        (["--fifo"], "a value"),
        (["--colour", "x"], "it has: --scenario"),
        (["x"], "it has"),
        ([""], "it has"),
    ],
)
def test_what_nobody_says_is_refused_with_what_is_near(words: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as error:
        options.read(words)
    assert hint in error.value.hint.en


@pytest.mark.parametrize("pace", ["-1", "nan", "inf", "601", "fast", "1e999"])
def test_a_pace_is_some_seconds(pace: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        _ = options.read(["--pace", pace]).pace
