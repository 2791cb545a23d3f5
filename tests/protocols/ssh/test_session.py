"""The folder's reader, fed by its own programs' real bytes: however they are cut, and whatever is wrong with them."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.engine.layer import layers_of
from lab.engine.path import Path
from lab.protocols.registry import TRANSPORT, UPPERS
from tests.packets import ladder
from tests.protocols.ssh.loaded import module
from tests.protocols.ssh.talks import Talk, talk

CONNECTION, GREETING, FAILING = "ssh/connection", "ssh/greeting", "ssh/no-common-key-exchange"
Cuts = list[list[int]]


@cache
def said(name: str) -> Talk:
    return talk(name)


class Heard(NamedTuple):
    """What the engine has read: each message with its sender and its bytes, the states at the end, and the layer."""

    messages: list[tuple[str, str, str, bytes]]
    states: tuple[str | None, str | None]
    layer: Any


def pieces(turns: tuple[tuple[str, bytes], ...], cuts: Cuts) -> list[tuple[str, int, int, bytes]]:
    """Returns segments: sender, sequence number, acknowledgement, payload. Cuts count modulo the turn's size."""
    reached = {"client": 1, "server": 1}
    found = []
    for at, (role, data) in enumerate(turns):
        places = cuts[at] if at < len(cuts) else []
        other = "server" if role == "client" else "client"
        bounds = sorted({0, len(data), *(each % len(data) for each in places)})
        for start, stop in itertools.pairwise(bounds):
            found.append((role, reached[role] + start, reached[other], data[start:stop]))
        reached[role] += len(data)
    return found


def hear(segments: list[tuple[str, int, int, bytes]], keylog: bytes = b"") -> Heard | None:
    """Takes segments through the engine; None where it has not found SSH in them."""
    lines = [f'{role[0]}> data {seq} {ack} x"{data.hex()}"' for role, seq, ack, data in segments]
    ends = {role: max((seq + len(data) for who, seq, _, data in segments if who == role), default=1) for role in ROLES}
    last = [f"c> ACK {ends['client']} {ends['server']}", f"s> ACK {ends['server']} {ends['client']}"]
    frames = ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", *lines, *last)
    path = Path(TRANSPORT, (*UPPERS, module().PROTOCOL))
    path.learn(keylog)
    records = list(path.annotate(frames))
    (conversation,) = path.conversations
    layers = [each for each in layers_of(conversation) if each.name == "ssh"]
    if not layers:
        return None
    (layer,) = layers
    data = {frame.number: frame.data for frame in frames}
    messages: list[tuple[str, str, str, bytes]] = []
    for record in records:
        assert not record.surprises, record.surprises
        for of, message in record.messages:
            assert of is layer
            spans = b"".join(data[span.number][span.start : span.end] for span in message.spans)
            assert record.end
            messages.append((record.end.role, message.name, message.event, spans))
            layer.message(message, words=True, fields=True)
    layer.protocol.steps(layer)
    layer.protocol.facts(layer)
    layer.protocol.example(layer)
    return Heard(messages, (layer.client.state, layer.server.state), layer)


ROLES = ("client", "server")
CUTS = st.lists(st.lists(st.integers(0, 400), max_size=6), max_size=16)


@pytest.mark.parametrize(("name", "state"), [(CONNECTION, "ENCRYPTED"), (GREETING, "ENCRYPTED"), (FAILING, "CLOSED")])
def test_what_the_programs_say_is_read_message_by_message(name: str, state: str) -> None:
    turns = said(name).turns
    heard = hear(pieces(turns, []))
    assert heard
    assert [(role, data) for role, _, _, data in heard.messages] == list(turns)  # no byte is lost, none is told twice
    assert heard.states == (state, state)


@pytest.mark.parametrize("name", [CONNECTION, GREETING, FAILING])
@settings(max_examples=40)
@given(cuts=CUTS)
def test_cutting_a_stream_anywhere_does_not_change_its_messages(name: str, cuts: Cuts) -> None:
    turns = said(name).turns
    whole, cut = hear(pieces(turns, [])), hear(pieces(turns, cuts))
    assert whole
    assert cut
    assert cut[:2] == whole[:2]


@pytest.mark.parametrize("name", [CONNECTION, GREETING])
def test_byte_by_byte_it_is_the_same(name: str) -> None:
    turns = said(name).turns
    whole, cut = hear(pieces(turns, [])), hear(pieces(turns, [list(range(len(data))) for _, data in turns]))
    assert whole
    assert cut
    assert cut[:2] == whole[:2]


@settings(max_examples=40)
@given(cuts=CUTS, order=st.randoms(use_true_random=False), again=st.booleans())
def test_segments_out_of_order_and_repeated_do_not_change_its_messages(cuts: Cuts, order: Any, again: bool) -> None:
    turns = said(CONNECTION).turns
    cuts = [each[:1] if at == 0 else each for at, each in enumerate(cuts)]  # of "S", "S" nobody knows what it begins
    mixed = []
    for _, group in itertools.groupby(pieces(turns, cuts), lambda each: each[0]):
        segments = list(group)
        segments += segments[:1] * again
        order.shuffle(segments)
        mixed += segments
    whole, cut = hear(pieces(turns, [])), hear(mixed)
    assert whole
    assert cut
    assert [each[1:] for each in sorted(cut.messages)] == [each[1:] for each in sorted(whole.messages)]


@settings(max_examples=100)
@given(
    name=st.sampled_from([CONNECTION, GREETING]),
    cuts=CUTS,
    damage=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 400), st.integers(1, 255)), min_size=1, max_size=4),
    dropped=st.sets(st.integers(0, 30), max_size=2),
)
def test_damage_never_raises(
    name: str, cuts: Cuts, damage: list[tuple[int, int, int]], dropped: set[int]
) -> None:  # fmt: skip
    turns = [(role, bytearray(data)) for role, data in said(name).turns]
    for turn, at, flip in damage:
        data = turns[turn % len(turns)][1]
        data[at % len(data)] ^= flip
    segments = pieces(tuple((role, bytes(data)) for role, data in turns), cuts)
    frames = [each for at, each in enumerate(segments) if at not in dropped]
    _read_anything(frames)


def _read_anything(segments: list[tuple[str, int, int, bytes]]) -> None:
    lines = [f'{role[0]}> data {seq} {ack} x"{data.hex()}"' for role, seq, ack, data in segments]
    path = Path(TRANSPORT, (*UPPERS, module().PROTOCOL))
    records = list(path.annotate(ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", *lines)))
    for record in records:
        for layer, message in record.messages:
            layer.message(message, words=True, fields=True)
    for layer in layers_of(path.conversations[0]):
        layer.protocol.steps(layer)
        layer.protocol.facts(layer)
        layer.protocol.example(layer)


def test_a_server_that_only_talks_is_no_ssh() -> None:
    """Mail and file servers greet first as well: what the client answers shows that this is something else."""
    assert hear([("server", 1, 1, b"220 mail.example ready\r\n"), ("client", 1, 25, b"HELO me\r\n")]) is None
    assert (
        hear([("client", 1, 1, b"GET / HTTP/1.1\r\n\r\n"), ("server", 1, 19, b"SSH is not what this is\r\n")]) is None
    )


def test_what_is_kept_of_an_endless_greeting_is_bounded() -> None:
    session = module("session").Session(None)
    session.begins("server", 1, 1)
    session.begins("client", 1, 1)
    most = module("packets").MOST_BEFORE + 2 * module("packets").LONGEST_LINE
    for at in range(200):
        assert not session.sent("server", 1 + 1000 * at, 1 + 1000 * at, b"x" * 999 + b"\n", at, 0)
        assert session.held < 2 * most + 150 * 200
    assert session.refuted


def test_the_exchange_hash_that_was_signed_is_the_one_that_is_shown() -> None:
    found = said(CONNECTION)
    heard = hear(pieces(found.turns, []), found.keylog)
    assert heard
    facts = heard.layer.protocol.facts(heard.layer)
    assert facts["signature_valid"] is True
    example = heard.layer.protocol.example(heard.layer)
    assert example.locked is None
    assert {"fingerprint", "K", "H", "signature", "A", "D"} <= {line.output_name for line in example.lines}


def test_a_signature_over_something_else_is_told() -> None:
    found = said(CONNECTION)
    changed = [(role, data.replace(b"lab_client", b"LAB_client")) for role, data in found.turns]
    heard = hear(pieces(tuple(changed), []), found.keylog)
    assert heard
    assert heard.layer.protocol.facts(heard.layer)["signature_valid"] is False
