"""WebSocket's diagram: the same four boxes for client and server, beside each other."""

from __future__ import annotations

from lab.protocols.layout import Layout, Place, Route

_MIDDLE, _LEFT, _RIGHT = 275, 52, 498  # columns: the boxes, and what passes them by
_CONNECTING, _OPEN, _CLOSING, _CLOSED = 60, 200, 400, 615
_PORT = 18  # where arrows reach a box's sides

LAYOUT = Layout(
    550,
    670,
    (
        Place("CONNECTING", _MIDDLE, _CONNECTING, "opening", 240),
        Place("OPEN", _MIDDLE, _OPEN, "open", 240),
        Place("CLOSING", _MIDDLE, _CLOSING, "closing", 240),
        Place("CLOSED", _MIDDLE, _CLOSED, "closed", 240),
    ),
    (
        Route("CONNECTING", "OPEN"),
        Route("OPEN", "CLOSING"),
        Route("CLOSING", "CLOSED"),
        Route("CONNECTING", "CLOSED", ("w", (_LEFT, None), (None, _CLOSED + _PORT), "w"), "1r"),
        Route("OPEN", "CLOSED", ("e", (_RIGHT, None), (None, _CLOSED + _PORT), "e"), "1l"),
    ),
)  # fmt: skip
LAYOUTS = {"client": LAYOUT, "server": LAYOUT}
