"""TCP's diagram as RFC 9293 draws it (section 3.3.2, figure 5): opening above, the end that closes first on the left.

CLOSED stands twice, as there: above, where a connection begins, and below, where it ends.
"""

from __future__ import annotations

from lab.protocols.layout import Gathering, Label, Layout, Place, Route, Silent, Way
from lab.protocols.tcp.coverage import ARROWS
from lab.protocols.tcp.states import PHASES

LEFT, MIDDLE, RIGHT = 215, 560, 905
FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH = 60, 195, 345, 515, 665, 830, 985
_PORT = 18  # where arrows reach a box's sides
OUTER_LEFT, OUTER_RIGHT = 50, 1070
_ABOVE = 26  # where what comes from the right passes over CLOSED
_LEVEL = FIRST + _PORT


def _place(state: str, x: float, y: float) -> Place:
    return Place(state, x, y, PHASES[state])


def _silent(start: str, end: str, way: Way, label: Label) -> Silent:
    states = start.partition(".")[0], end.partition(".")[0]
    arrow = next(each for each in ARROWS if (each.state, each.to) == states)
    return Silent(start, end, arrow.label, way, label)


_RESETS = ("got RST", "sent RST", "got RST (active)")


def _left(port: str = "w") -> Way:
    return (port, (OUTER_LEFT, None), (None, _LEVEL), "w")


def _right(port: str = "e") -> Way:
    return (port, (OUTER_RIGHT, None), (None, _ABOVE), (MIDDLE, None), "n")


LAYOUT = Layout(
    1120,
    1080,
    (
        _place("CLOSED", MIDDLE, FIRST), _place("LISTEN", MIDDLE, SECOND),
        _place("SYN-RECEIVED", LEFT, THIRD), _place("SYN-SENT", RIGHT, THIRD), _place("ESTABLISHED", MIDDLE, FOURTH),
        _place("FIN-WAIT-1", LEFT, FIFTH), _place("CLOSE-WAIT", RIGHT, FIFTH),
        _place("FIN-WAIT-2", LEFT, SIXTH), _place("CLOSING", MIDDLE, SIXTH), _place("LAST-ACK", RIGHT, SIXTH),
        _place("TIME-WAIT", MIDDLE, SEVENTH), _place("CLOSED", RIGHT, SEVENTH),
    ),
    (
        Route("CLOSED", "SYN-SENT", ("e-6", (RIGHT + 20, None), "n+20"), "1r"),
        Route("LISTEN", "SYN-RECEIVED", ("w+12", (LEFT + 30, None), "n+30"), "1r"),
        Route("SYN-RECEIVED", "LISTEN", ("n-10", (None, SECOND + _PORT - 8), "w-8"), "0l", ("got RST",)),
        Route("LISTEN", "SYN-SENT", ("e", (RIGHT - 60, None), "n-60"), "0a"),
        Route("LISTEN", "ESTABLISHED", ("s", "n"), (MIDDLE + 8, FOURTH - 62, "start")),
        Route("SYN-SENT", "SYN-RECEIVED", ("w+20", "e+20"), (MIDDLE + 110, THIRD + 29, "middle")),
        Route("SYN-RECEIVED", "ESTABLISHED", ("s+40", (None, FOURTH + _PORT), "w"), "1a"),
        Route("SYN-SENT", "ESTABLISHED", ("s", (None, FOURTH + _PORT), "e"), "1a"),
        Route("SYN-RECEIVED", "FIN-WAIT-1", ("s-40", "n-40"), "0l"),
        Route("ESTABLISHED", "FIN-WAIT-1", ("s-40", (None, FIFTH + _PORT), "e"), "1a"),
        Route("ESTABLISHED", "CLOSE-WAIT", ("s+40", (None, FIFTH + _PORT), "w"), "1a"),
        Route("FIN-WAIT-1", "FIN-WAIT-2", ("s", "n"), "0r"),
        Route("FIN-WAIT-1", "CLOSING", ("e+46", (MIDDLE, None), "n"), "1r"),
        Route("CLOSE-WAIT", "LAST-ACK", ("s", "n"), "0l"),
        Route("FIN-WAIT-2", "TIME-WAIT", ("s", (None, SEVENTH + _PORT), "w"), "1a"),
        Route("CLOSING", "TIME-WAIT", ("s", "n"), "0r"),
        Route("LAST-ACK", "CLOSED.2", ("s", "n"), "0l", ("got ACK of FIN",)),
    ),
    (
        Gathering("CLOSED", _RESETS, (60, 120, "start"), {
            "SYN-RECEIVED": _left(), "FIN-WAIT-1": _left(), "FIN-WAIT-2": _left(),
            "TIME-WAIT": ("s", (None, 1060), (OUTER_LEFT, None), (None, _LEVEL), "w"),
            "SYN-SENT": _right(), "ESTABLISHED": _right("e+28"), "CLOSE-WAIT": _right(), "LAST-ACK": _right(),
            "CLOSING": ("e", (730, None), (None, SIXTH - 24), (OUTER_RIGHT, None), (None, _ABOVE), (MIDDLE, None), "n"),
        }),
    ),
    (
        _silent("CLOSED", "LISTEN", ("s-30", "n-30"), "0l"),
        _silent("LISTEN", "CLOSED", ("n+30", "s+30"), "0r"),
        _silent("SYN-SENT", "CLOSED", ("n-10", (None, _LEVEL + 16), "e+16"), "1b"),
        _silent("TIME-WAIT", "CLOSED.2", ("e", "w"), "0a"),
    ),
)  # fmt: skip
LAYOUTS = {"client": LAYOUT, "server": LAYOUT}
