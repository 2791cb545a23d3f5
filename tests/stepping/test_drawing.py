"""What the panels hold: within their width, in both languages; a held packet stops halfway, its bytes are lit."""

from __future__ import annotations

import pytest

from lab.model import Kernels, Moved, Socket
from lab.render.words import cells
from lab.stepping import drawing
from lab.stepping.drawing import Line
from lab.text import LANGUAGES
from tests.stepping.test_view import do, opened


def text(line: Line) -> str:
    return "".join(part for part, _ in line)


@pytest.mark.parametrize("name", ["tcp-connection", "tls-1.3", "websocket-connection", "tcp-syn-lost"])
@pytest.mark.parametrize(("width", "height"), [(58, 4), (78, 7), (116, 30)])
def test_every_panel_keeps_to_its_place(name: str, width: int, height: int) -> None:
    debugger = opened(f"{name}.pcapng")
    while True:
        view = debugger.view()
        for lang in LANGUAGES:
            for lines in (
                drawing.ladder(view, lang, width, height),
                drawing.about(view, lang, width, height, 0.0),
                drawing.kernels(view, lang, width, height, 0.0),
                drawing.kernels_short(view, lang, width, height, 0.0),
                drawing.packet(view, lang, width, height, 5),
            ):
                assert len(lines) <= height
                for line in lines:
                    assert cells(text(line).rstrip()) <= width, text(line)
        if view.over:
            break
        do(debugger, "step")


def test_a_held_packet_stops_halfway() -> None:
    debugger = opened("tcp-connection.pcapng")
    held, arrived = (
        text(drawing.ladder(debugger.view(), "en", 80, 9)[2]),
        text(drawing.ladder(do(debugger, "step"), "en", 80, 9)[2]),
    )
    assert "SYN seq=0 ───────────▶▌" in held
    assert "SYN-RECEIVED" not in held
    assert "▶ SYN-RECEIVED open 1" in arrived
    assert drawing.ladder(debugger.view(), "en", 80, 9)[3][0][1] == drawing.HELD
    assert "▐◀" in text(drawing.ladder(debugger.view(), "en", 80, 9)[3])


def test_a_lost_packet_ends_in_a_cross() -> None:
    debugger = opened("tcp-syn-lost.pcapng")
    assert "✗" in text(drawing.ladder(do(debugger, "step"), "en", 80, 9)[2])


def test_the_bytes_of_the_chosen_field_are_lit() -> None:
    view = opened("tcp-connection.pcapng").view()
    found = drawing.fields_of(view.rung)
    chosen = drawing.place_of(found, ("TCP", "Sequence Number"))
    assert found[chosen].name == "Sequence Number"
    lines = drawing.packet(view, "en", 100, 30, chosen)
    lit = "".join(part for line in lines for part, style in line if style == drawing.LIT)
    assert view.rung is not None
    assert view.rung.frame is not None
    seq = view.rung.frame.data[found[chosen].span.start : found[chosen].span.end]
    assert all(f"{byte:02x}" in lit for byte in seq)
    assert str(int.from_bytes(seq, "big")) in lit


def test_what_a_kernel_says_that_is_new_is_lit() -> None:
    view = opened("tcp-connection.pcapng").view()
    before = Socket("SYN-SENT", "retransmission", 1000, 0, 1_000_000, cwnd=10)
    now = before._replace(retransmits=1, rto=2_000_000, expires=2000)
    moved = Kernels(now, Socket("LISTEN"), (Moved("client", "TcpExt TCPTimeouts", 1),))
    client = view.client._replace(kernel=moved.client, before=before, moved=(("TcpExt TCPTimeouts", 1),))
    view = view._replace(client=client, live=True)
    lit = {
        part.strip()
        for line in drawing.kernels(view, "en", 80, 30, 0.5)
        for part, style in line
        if style == drawing.NEW
    }
    assert lit == {"1 •", "2.0 s •", "+1 •"}
    assert any("resend in 1.5 s" in text(line) for line in drawing.kernels(view, "en", 90, 30, 0.5))
    assert any("1.5 s 后重传" in text(line) for line in drawing.kernels_short(view, "zh", 90, 6, 0.5))
