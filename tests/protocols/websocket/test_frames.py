"""Every bit of a frame is spoken for, every rule has its label, and the library that the hosts use reads the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as Theirs
from websockets.frames import Opcode

from lab.model import Role
from lab.protocols.websocket.frames import FORBIDDEN, MOST_KEPT, Frame, Frames, fields, masked
from tests.protocols.websocket.talks import frame

KEY = bytes.fromhex("37fa213d")


def read(role: Role, data: bytes, step: int = 0) -> list[Frame]:
    reader = Frames(role)
    step = step or len(data) or 1
    return [each for at in range(0, len(data), step) for each in reader.feed(data[at : at + step])]


# RFC 6455 section 5.7


def test_the_examples_of_the_rfc() -> None:
    (unmasked,) = read("server", bytes.fromhex("810548656c6c6f"))
    assert (unmasked.fin, unmasked.opcode, unmasked.payload, unmasked.problems) == (True, 1, b"Hello", ())
    (one,) = read("client", bytes.fromhex("818537fa213d7f9f4d5158"))
    assert (one.key, one.payload, one.problems) == (KEY, b"Hello", ())
    first, last = read("server", bytes.fromhex("010348656c80026c6f"))
    assert (first.fin, first.opcode, last.fin, last.opcode) == (False, 1, True, 0)
    (ping,) = read("server", bytes.fromhex("890548656c6c6f"))
    assert (ping.opcode, ping.control) == (9, True)
    for head, size in (("827e0100", 256), ("827f0000000000010000", 65536)):
        (long,) = read("server", bytes.fromhex(head) + bytes(size))
        assert (long.length, long.payload_at, long.problems) == (size, len(head) // 2, ())


def test_every_bit_has_a_field() -> None:
    for size in (0, 5, 125, 126, 65535, 65536):
        for key in (None, KEY):
            (one,) = read("client" if key else "server", frame(2, bytes(size), key))
            parts = fields(one)
            bits = 0
            reached = 0
            for part in parts:
                if part.bits:
                    assert not bits & part.bits << (8 * part.start)
                    bits |= part.bits << (8 * part.start)
                    reached = 2
                else:
                    assert part.start == reached
                    reached = part.end
            assert bits == 0xFFFF
            assert reached == one.end - one.start
    (one,) = read("client", frame(1, b"Hello", KEY))
    assert [(part.name, part.value) for part in fields(one)] == [
        ("FIN", "1"), ("RSV1", "0"), ("RSV2", "0"), ("RSV3", "0"), ("opcode", "1 (text)"), ("MASK", "1"),
        ("Payload len", "5"), ("Masking-key", "37 fa 21 3d"), ("Payload data", "5 bytes"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "data", "labels"),
    [
        ("server", frame(3, b"x"), ("reserved-opcode",)),
        ("server", frame(11, b"x"), ("reserved-opcode",)),
        ("client", frame(1, b"x"), ("unmasked-frame",)),
        ("server", frame(1, b"x", KEY), ("masked-frame",)),
        ("server", frame(9, b"x", fin=False), ("fragmented-control",)),
        ("server", frame(9, bytes(126)), ("long-control",)),
        ("server", frame(1, b"x", form=2), ("non-minimal-length",)),
        ("server", frame(1, bytes(126), form=8), ("non-minimal-length",)),
        ("server", frame(2, length=1 << 63), ("length-too-large",)),
        ("client", frame(15, length=(1 << 64) - 1, fin=False), (
            "reserved-opcode", "unmasked-frame", "fragmented-control", "long-control", "length-too-large")),
    ],
)  # fmt: skip
def test_every_broken_rule_of_a_frame_has_its_label(role: Role, data: bytes, labels: tuple[str, ...]) -> None:
    good = frame(1, b"after", KEY if role == "client" else None)
    for step in (0, 1):
        found = read(role, data + good, step)
        assert found[0].problems == labels
        assert set(labels) <= set(FORBIDDEN)
        if "length-too-large" in labels:
            assert len(found) == 1  # nobody can tell where the next one begins
        else:
            assert found[1].payload == b"after"


def test_a_long_payload_is_counted_and_not_kept() -> None:
    piece = bytes(1 << 16)
    reader = Frames("server")
    assert reader.feed(frame(2, length=MOST_KEPT + 1)) == []
    found = [each for _ in range(16) for each in reader.feed(piece)] + reader.feed(b"x")
    (long,) = found
    assert (long.length, long.payload) == (MOST_KEPT + 1, b"")
    (kept,) = read("server", frame(2, bytes(MOST_KEPT)))
    assert len(kept.payload) == MOST_KEPT


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_twice_is_not_masking(data: bytes, key: bytes) -> None:
    assert masked(masked(data, key), key) == data
    assert masked(data, key) == bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


SPOKEN = st.lists(
    st.tuples(
        st.sampled_from((Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.PONG)),
        st.integers(0, 125) | st.integers(126, 300) | st.just(70_000),
        st.booleans(),
    ),
    max_size=6,
)


@given(SPOKEN, st.booleans(), st.integers(1, 50))
def test_what_the_library_writes_is_read_as_it_was_meant(
    spoken: list[tuple[Opcode, int, bool]], mask: bool, step: int
) -> None:
    made = [
        Theirs(opcode, bytes(size % 126 if opcode >= 8 else size), fin or opcode >= 8) for opcode, size, fin in spoken
    ]
    data = b"".join(each.serialize(mask=mask) for each in made)
    step = step if len(data) < 2000 else step * 997
    found = read("client" if mask else "server", data, step)
    assert [(each.opcode, each.payload, each.fin, each.problems) for each in found] == [
        (each.opcode, each.data, each.fin, ()) for each in made
    ]
    assert [each.start for each in found] == [0, *(each.end for each in found)][:-1]
    assert not found or found[-1].end == len(data)


def test_what_is_turned_over_is_read_the_same_however_it_is_cut() -> None:
    chance = random.Random(6455)
    whole = b"".join(frame(opcode, b"Hello, you", KEY) for opcode in (1, 2, 9, 8, 1))
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        role: Role = chance.choice(("client", "server"))
        found = read(role, bytes(data))
        assert read(role, bytes(data), chance.randrange(1, 9)) == found
        assert {label for each in found for label in each.problems} <= set(FORBIDDEN)
