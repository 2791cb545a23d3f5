"""Messages out of fragments, inflated with a bound; whatever a frame breaks as part of one is a label."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.protocols.websocket.frames import FORBIDDEN, MOST_KEPT, Frames
from lab.protocols.websocket.messages import Message, Messages, close_of
from tests.protocols.websocket.talks import frame


def read(*written: bytes, deflate: bool = False, takeover: bool = True) -> list[tuple[tuple[str, ...], Message | None]]:
    frames, messages = Frames("server"), Messages()
    messages.deflate, messages.takeover = deflate, takeover
    told = [messages.feed(each) for each in frames.feed(b"".join(written))]
    assert {label for each in told for label in each.problems} <= set(FORBIDDEN)
    return [(each.problems, each.message) for each in told]


def payloads(told: list[tuple[tuple[str, ...], Message | None]]) -> list[bytes | None]:
    return [message.payload for _, message in told if message is not None]


def test_fragments_with_a_ping_in_between() -> None:
    told = read(frame(1, b"one ", fin=False), frame(9, b"?"), frame(0, b"two ", fin=False), frame(0, b"three"))
    assert [problems for problems, _ in told] == [()] * 4
    ping, text = (message for _, message in told if message is not None)
    assert (ping.opcode, ping.payload) == (9, b"?")
    assert text == Message(1, b"one two three", 13, 13, 3, False, False)


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        ([frame(0, b"x")], ["unexpected-continuation"]),
        ([frame(1, b"x", fin=False), frame(1, b"y"), frame(0, b"z")],
         ["", "unfinished-message", "unexpected-continuation"]),
        ([frame(1, b"\xff")], ["invalid-utf8"]),
        ([frame(1, b"\xe4\xb8", fin=False), frame(0, b"\xad")], ["", ""]),  # a character cut in two is no fault
        ([frame(1, b"\xe4\xb8", fin=False), frame(0, b"x")], ["", "invalid-utf8"]),
        ([frame(2, b"\xff")], [""]),
        ([frame(1, b"x", reserved=4)], ["reserved-bit"]),
        ([frame(1, b"x", reserved=1)], ["reserved-bit"]),
        ([frame(9, b"x", reserved=2)], ["reserved-bit"]),
        ([frame(8, b"\x03\xe8"), frame(1, b"x")], ["", "after-close"]),
        ([frame(8, b"\x03\xe8"), frame(10, b"?"), frame(9), frame(0, b"x")], ["", "", "", "after-close"]),
        ([frame(8, b"\x03\xe8"), frame(10), frame(8, b"\x03\xe8")], ["", "", "after-close"]),
        ([frame(8, b"\x03")], ["bad-close-body"]),
        ([frame(8, b"\x03\xed")], ["bad-close-code"]),
        ([frame(8, b"\x03\xe8\xff")], ["invalid-utf8"]),
    ],
)  # fmt: skip
def test_every_broken_rule_of_a_message_has_its_label(written: list[bytes], labels: list[str]) -> None:
    assert [problems[0] if problems else "" for problems, _ in read(*written)] == labels


def test_close_codes() -> None:
    good = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    for code in range(1 << 16):
        assert (close_of(code.to_bytes(2, "big"))[2] == []) == (code in good), code
    assert close_of(b"") == (1005, "", [])
    assert close_of("\x03é再见".encode("latin-1", "ignore")[:1] + b"\xe8" + "再见".encode()) == (1000, "再见", [])


# permessage-deflate


class Packer:
    """A sender that compresses as RFC 7692 section 7.2.1 says."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(9, zlib.DEFLATED, -15)

    def pack(self, data: bytes) -> bytes:
        return (self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_the_examples_of_rfc_7692() -> None:
    hello = bytes.fromhex("f248cdc9c90700")
    assert payloads(read(frame(1, hello, reserved=4), deflate=True)) == [b"Hello"]
    cut = (frame(1, hello[:3], fin=False, reserved=4), frame(0, hello[3:]))
    assert payloads(read(*cut, deflate=True)) == [b"Hello"]
    again = bytes.fromhex("f200110000")
    both = (frame(1, hello, reserved=4), frame(1, again, reserved=4))
    assert payloads(read(*both, deflate=True)) == [b"Hello", b"Hello"]
    assert [problems for problems, _ in read(*both, deflate=True, takeover=False)] == [(), ("bad-deflate",)]
    last_block = bytes.fromhex("f348cdc9c9070000")  # section 7.2.3.4: a block with BFINAL
    assert payloads(read(frame(1, last_block, reserved=4), frame(1, hello, reserved=4), deflate=True)) == [b"Hello"] * 2
    stored = bytes.fromhex("000500faff48656c6c6f00")
    assert payloads(read(frame(1, stored, reserved=4), deflate=True)) == [b"Hello"]


@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_what_was_compressed_is_inflated(said: list[bytes], takeover: bool) -> None:
    packer, written = Packer(), []
    for each in said:
        packed = packer.pack(each) if takeover else Packer().pack(each)
        written += [frame(2, packed[:2], fin=False, reserved=4), frame(0, packed[2:]), frame(2, each)]
    told = read(*written, deflate=True, takeover=takeover)
    assert payloads(told) == [each for each in said for _ in range(2)]
    assert not any(problems for problems, _ in told)


def test_a_decompression_bomb_is_not_kept_and_breaks_no_rule() -> None:
    packer = Packer()
    bomb = packer.pack(bytes(MOST_KEPT + 1))
    assert len(bomb) < 2000
    told = read(frame(2, bomb, reserved=4), frame(1, packer.pack(b"after"), reserved=4), frame(1, b"x"), deflate=True)
    assert [problems for problems, _ in told] == [()] * 3
    assert payloads(told) == [None, None, b"x"]  # what follows needs what was not kept
    fresh = read(frame(2, bomb, reserved=4), frame(1, Packer().pack(b"y"), reserved=4), deflate=True, takeover=False)
    assert payloads(fresh) == [None, b"y"]
    fits = read(frame(2, Packer().pack(bytes(MOST_KEPT)), reserved=4), deflate=True)
    assert [message.length for _, message in fits if message] == [MOST_KEPT]


def test_a_long_message_of_short_fragments_is_counted_and_not_kept() -> None:
    piece = bytes(1 << 18)
    told = read(frame(2, piece, fin=False), *[frame(0, piece, fin=False)] * 4, frame(0, b""), frame(1, b"next"))
    long, after = (message for _, message in told if message is not None)
    assert (long.payload, long.length, long.fragments) == (None, 5 << 18, 6)
    assert after.payload == b"next"


@given(st.lists(st.tuples(st.integers(0, 15), st.binary(max_size=20), st.booleans(), st.integers(0, 7)), max_size=8))
def test_nothing_is_too_much(said: list[tuple[int, bytes, bool, int]]) -> None:
    for deflate in (False, True):
        told = read(*(frame(op, data, fin=fin, reserved=rsv) for op, data, fin, rsv in said), deflate=deflate)
        assert len(told) == len(said)
