"""The arithmetic from raw numbers to relative ones, and from a window to bytes."""

from __future__ import annotations

import pytest

from lab.protocols.tcp.conversation import SegmentRecord
from lab.protocols.tcp.numbers import reckoned
from lab.runs.recorded import open_run
from tests.packets import IPV4, OPEN, Pair, ladder, walk
from tests.places import ROOT

SCALED = ("c> SYN 0 <wscale 7>", "s> SYN-ACK 0 1 <wscale 9>", "c> ACK 1 1 win 500")


def told(*lines: str, pair: Pair = IPV4) -> dict[str, str]:
    """Returns what is said of the last packet's numbers."""
    record = walk(ladder(*lines, pair=pair)).records[-1]
    assert isinstance(record, SegmentRecord)
    found: dict[str, str] = {}
    last = ""
    for name, text in reckoned(record):
        assert text.zh
        last = name.en or last
        found[last] = f"{found[last]}; {text.en}" if last in found else text.en
    return found


def test_relative_numbers_are_reckoned_from_both_isns() -> None:
    found = told(*OPEN, "c> data 1 1 14", "s> data 1 15 5")
    assert found["sequence number"] == "1 = 3000000001 − 3000000000: raw, less the server's ISN"
    assert found["takes"] == "1–5: 5 bytes of data; its next is 6"
    assert found["acknowledgment"] == (
        "15 = 1000000015 − 1000000000: raw, less the client's ISN; "
        "says that everything of the client before 15 has arrived"
    )


def test_a_syn_is_its_ends_isn() -> None:
    found = told("c> SYN 0")
    assert found["sequence number"] == "0 = 1000000000 − 1000000000: this is the client's ISN itself"
    assert found["takes"] == "0: 1 for SYN; its next is 1"
    assert "acknowledgment" not in found
    assert found["window"] == "64240 bytes: in a SYN it is never scaled (RFC 7323 section 2.2)"


def test_what_begins_anew_behind_two_to_the_32_is_said() -> None:
    found = told(*OPEN, "c> data 1 1 14", "c> FIN 15 1", pair=Pair(client_isn=(1 << 32) - 10))
    assert found["sequence number"] == "15 = 5 − 4294967286 + 2³²: raw, less the client's ISN"
    assert found["takes"] == "15: 1 for FIN; its next is 16"


def test_a_fin_with_data_takes_both() -> None:
    assert told(*OPEN, "c> FIN 1 1 1")["takes"] == "1–2: 1 byte of data, 1 for FIN; its next is 3"
    assert told(*OPEN)["takes"] == "no number"


def test_where_no_syn_was_captured_it_is_said_from_where_numbers_are_counted() -> None:
    found = told("c> data 501 901 14", "s> ACK 901 515")
    why = "SYN of the client was captured, so the first number of its stream that was seen is called 1"
    assert found["acknowledgment"].startswith(f"15 = 1000000515 − 1000000501 + 1: no {why}")
    assert found["sequence number"].startswith("1 = 3000000901 − 3000000901 + 1: no SYN of the server")
    wrapped = told("c> data 1 1 14", "c> data 15 1 5", pair=Pair(client_isn=(1 << 32) - 10))
    assert wrapped["sequence number"].startswith("15 = 5 − 4294967287 + 1 + 2³²: no SYN")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (SCALED, "500 × 2^7 = 64000 bytes: the client's SYN says shift 7"),
        ((*SCALED, "s> ACK 1 1 win 500"), "500 × 2^9 = 256000 bytes: the server's SYN says shift 9"),
        (("c> SYN 0 <wscale 15>", *SCALED[1:]), "500 × 2^14 = 8192000 bytes: the client's SYN says shift 15"),
        (OPEN, "64240 bytes: not scaled, for the client's SYN has no window scale"),
        ((SCALED[0], *OPEN[1:]), "64240 bytes: not scaled, for the server's SYN has no window scale"),
        ((SCALED[2],), "500, raw: how much it is scaled was said in the SYNs, and none of the client was captured"),
        (SCALED[1:], "500, raw: how much it is scaled was said in the SYNs, and none of the client was captured"),
        ((*SCALED[1:], "s> ACK 1 1 win 9"), "9 × 2^9 = 4608 bytes: the server's SYN says shift 9"),
        (SCALED[::2], "500, raw: how much it is scaled was said in the SYNs, and none of the server was captured"),
        ((*SCALED, "c> ACK 1 1 win 0"), "0 bytes, however it is scaled"),
    ],
)
def test_a_window_is_so_many_bytes_as_the_syns_say(lines: tuple[str, ...], expected: str) -> None:
    assert told(*lines)["window"] == expected


def test_every_packet_of_the_recorded_captures_is_reckoned_right() -> None:
    for file in sorted((ROOT / "captures").glob("*.pcapng")):
        with open_run(str(file), fields=range(1, 1000)) as run:
            for packet in run.packets():
                for at, relative in ((0, packet.seq), (2, packet.ack)):
                    if relative is not None:
                        sum_, _, _ = packet.reckoned[at].text.en.partition(":")
                        left, _, right = sum_.partition(" = ")
                        assert int(left) == relative
                        assert eval(right.replace("−", "-").replace("2³²", str(1 << 32))) == relative
