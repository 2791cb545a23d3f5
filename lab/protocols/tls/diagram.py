"""TLS's diagrams, the client's and the server's: on the left TLS 1.3 as RFC 9846 draws it, on the right TLS 1.2.

Both come together in CONNECTED, and end alike. A fatal alert, and a close_notify before that, can come anywhere: those
arrows are seen where somebody went along them.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.protocols.layout import Gathering, Layout, Place, Route, Way

_WIDTH, _HEIGHT = 870, 1700
_MIDDLE, _NEW, _OLD = 425, 290, 690  # columns of boxes: all, TLS 1.3, and before
_OUTER, _PAST_NEW, _BETWEEN, _PAST_OLD, _OUTERMOST = 14, 150, 552, 828, 852  # of arrows that pass boxes by
_CONNECTED, _CLOSING, _CLOSED, _FAILED = 1080, 1270, 1420, 1610  # levels
_PORT = 18  # where arrows reach a box's sides

_END_PLACES = (
    Place("CONNECTED", _MIDDLE, _CONNECTED, "open", 420, 2),
    Place("CLOSE_SENT", 235, _CLOSING, "closing", 156),
    Place("CLOSE_GOT", 395, _CLOSING, "closing", 156),
    Place("CLOSED", 315, _CLOSED, "closed"),
    Place("RENEGOTIATING_12", _OLD, _CLOSING, "opening", 240),
    Place("REFINISHING_12", _OLD, 1560, "opening", 240),
    Place("FAILED", 315, _FAILED, "closed"),
)
_END_ROUTES = (
    Route("CONNECTED", "CLOSE_SENT", ("s-190", "n"), "0l"),
    Route("CONNECTED", "CLOSE_GOT", ("s-30", "n"), "0l"),
    Route("CLOSE_SENT", "CLOSED", ("s", "n-80"), "0l"),
    Route("CLOSE_GOT", "CLOSED", ("s", "n+80"), "0r"),
    Route("CONNECTED", "RENEGOTIATING_12", ("s+165", "n-100"), "0l"),
    Route("RENEGOTIATING_12", "CONNECTED", ("n-65", "s+200"), "0r"),
    Route("RENEGOTIATING_12", "REFINISHING_12"),
    Route("REFINISHING_12", "CONNECTED", ("e", (_PAST_OLD, None), (None, _CONNECTED + 60), "e+42"), "2a"),
)


def _gathered(left: Iterable[str], right: Iterable[str]) -> tuple[Gathering, ...]:
    """Returns what ends a connection from everywhere; `left` and `right` are the states before CONNECTED."""
    left, right = (*left,), (*right, "RENEGOTIATING_12", "REFINISHING_12")
    to_closed: tuple[Way, Way] = (
        ("w", (_OUTER, None), (None, _CLOSED + _PORT), "w"),
        ("e", (_OUTERMOST, None), (None, 1528), (545, None), (None, _CLOSED + _PORT), "e"),
    )
    to_failed: tuple[Way, Way] = (
        ("w", (_OUTER, None), (None, _FAILED + _PORT), "w"),
        ("e", (_OUTERMOST, None), (None, 1670), (315, None), "s"),
    )
    closing = {**dict.fromkeys(left, to_closed[0]), **dict.fromkeys(right, to_closed[1])}
    failing = {
        **dict.fromkeys((*left, "CONNECTED", "CLOSE_SENT", "CLOSED"), to_failed[0]),
        **dict.fromkeys(right, to_failed[1]),
        "CLOSE_GOT": ("e", (545, None), (None, 1585), (375, None), "n+60"),
    }
    return (
        Gathering("CLOSED", ("sent close_notify", "got close_notify"), (315, 1506, "middle"), closing, False,
                  ((315, 1496), "s")),
        Gathering("FAILED", ("sent fatal alert", "got fatal alert"), (315, _FAILED - 38, "middle"), failing, False,
                  ((315, _FAILED - 26), "n")),
    )  # fmt: skip


CLIENT = Layout(
    _WIDTH,
    _HEIGHT,
    (
        Place("START", _MIDDLE, 56, "closed"), Place("WAIT_SH", _MIDDLE, 160, "opening"),
        Place("WAIT_EE", _NEW, 275, "opening"), Place("WAIT_CERT_CR", _NEW, 385, "opening"),
        Place("WAIT_CERT", _NEW, 495, "opening"), Place("WAIT_CV", _NEW, 600, "opening"),
        Place("WAIT_FINISHED", _NEW, 700, "opening"), Place("SEND_FINISHED", _NEW, 800, "opening", 210),
        Place("WAIT_FLIGHT_12", _OLD, 275, "opening", 230), Place("SEND_FLIGHT_12", _OLD, 475, "opening", 230),
        Place("WAIT_FINISHED_12", _OLD, 650, "opening", 230), Place("SEND_FINISHED_12", _OLD, 855, "opening", 230),
        *_END_PLACES,
    ),
    (
        Route("START", "WAIT_SH", ("s-40", "n-40"), "0l"),
        Route("WAIT_SH", "START", ("n+40", "s+40"), "0r"),
        Route("WAIT_SH", "WAIT_EE", ("w", (_NEW, None), "n"), "1r"),
        Route("WAIT_EE", "WAIT_CERT_CR", ("s-60", "n-60")),
        Route("WAIT_CERT_CR", "WAIT_CERT", ("s-60", "n-60")),
        Route("WAIT_CERT_CR", "WAIT_CV", ("w", (_PAST_NEW + 30, None), (None, 600 + _PORT), "w"), "1l"),
        Route("WAIT_CERT_CR", "SEND_FINISHED", ("e", (425, None), (None, 800 + _PORT), "e"), "1r"),
        Route("WAIT_CERT", "WAIT_CV", ("s-60", "n-60")),
        Route("WAIT_CV", "WAIT_FINISHED", ("s-60", "n-60")),
        Route("WAIT_FINISHED", "SEND_FINISHED", ("s-60", "n-60")),
        Route("SEND_FINISHED", "CONNECTED", ("s", "n-135")),
        Route("WAIT_SH", "WAIT_FLIGHT_12", ("e", (_OLD, None), "n"), "1r"),
        Route("WAIT_FLIGHT_12", "SEND_FLIGHT_12"),
        Route("SEND_FLIGHT_12", "WAIT_FINISHED_12"),
        Route("WAIT_FINISHED_12", "CONNECTED", ("w", (_BETWEEN, None), "n+127"), "1l"),
        Route("WAIT_FLIGHT_12", "SEND_FINISHED_12",
              ("e", (_PAST_OLD, None), (None, 810), (_OLD + 40, None), "n+40"), "2a"),
        Route("SEND_FINISHED_12", "CONNECTED", ("s", (None, _CONNECTED + _PORT), "e"), "0r"),
        *_END_ROUTES,
    ),
    _gathered(
        ("START", "WAIT_SH", "WAIT_EE", "WAIT_CERT_CR", "WAIT_CERT", "WAIT_CV", "WAIT_FINISHED", "SEND_FINISHED"),
        ("WAIT_FLIGHT_12", "SEND_FLIGHT_12", "WAIT_FINISHED_12", "SEND_FINISHED_12"),
    ),
)  # fmt: skip

SERVER = Layout(
    _WIDTH,
    _HEIGHT,
    (
        Place("START", _MIDDLE, 56, "closed"), Place("RECVD_CH", _MIDDLE, 166, "opening"),
        Place("NEGOTIATED", _NEW, 285, "opening", 250), Place("WAIT_EOED", _NEW, 490, "opening"),
        Place("WAIT_FLIGHT2", _NEW, 640, "opening", 210), Place("WAIT_CV", _NEW, 820, "opening"),
        Place("WAIT_FINISHED", _NEW, 940, "opening"),
        Place("SEND_FLIGHT_12", _OLD, 285, "opening", 230), Place("WAIT_CKE_12", _OLD, 475, "opening", 230),
        Place("WAIT_FINISHED_12", _OLD, 590, "opening", 230), Place("SEND_FINISHED_12", _OLD, 720, "opening", 230),
        Place("WAIT_LAST_12", _OLD, 915, "opening"),
        *_END_PLACES,
    ),
    (
        Route("START", "RECVD_CH", ("s-40", "n-40"), "0l"),
        Route("RECVD_CH", "START", ("n+40", "s+40"), "0r"),
        Route("RECVD_CH", "NEGOTIATED", ("w", (_NEW, None), "n"), "1r"),
        Route("NEGOTIATED", "WAIT_EOED"),
        Route("NEGOTIATED", "WAIT_FLIGHT2", ("w", (_PAST_NEW, None), (None, 640 + _PORT), "w"), "1l"),
        Route("WAIT_EOED", "WAIT_FLIGHT2"),
        Route("WAIT_FLIGHT2", "WAIT_CV", ("s-60", "n-60")),
        Route("WAIT_FLIGHT2", "CONNECTED", ("e", (470, None), "n+45"), (478, 690, "start")),
        Route("WAIT_CV", "WAIT_FINISHED"),
        Route("WAIT_CV", "CONNECTED", ("w", (_PAST_NEW, None), (None, _CONNECTED + _PORT), "w"), "1l"),
        Route("WAIT_FINISHED", "CONNECTED", ("s", "n-135")),
        Route("RECVD_CH", "SEND_FLIGHT_12", ("e", (_OLD, None), "n"), "1r"),
        Route("SEND_FLIGHT_12", "WAIT_CKE_12", ("s-60", "n-60")),
        Route("SEND_FLIGHT_12", "WAIT_LAST_12",
              ("e", (_PAST_OLD, None), (None, 865), (_OLD + 5, None), "n+5"), "2a"),
        Route("WAIT_CKE_12", "WAIT_FINISHED_12", ("s-60", "n-60")),
        Route("WAIT_FINISHED_12", "SEND_FINISHED_12", ("s-60", "n-60")),
        Route("SEND_FINISHED_12", "CONNECTED", ("w", (_BETWEEN, None), "n+127"), (_BETWEEN + 8, 1030, "start")),
        Route("WAIT_LAST_12", "CONNECTED", ("s", (None, _CONNECTED + _PORT), "e"), "0r"),
        *_END_ROUTES,
    ),
    _gathered(
        ("START", "RECVD_CH", "NEGOTIATED", "WAIT_EOED", "WAIT_FLIGHT2", "WAIT_CV", "WAIT_FINISHED"),
        ("SEND_FLIGHT_12", "WAIT_CKE_12", "WAIT_FINISHED_12", "SEND_FINISHED_12", "WAIT_LAST_12"),
    ),
)  # fmt: skip
LAYOUTS = {"client": CLIENT, "server": SERVER}
