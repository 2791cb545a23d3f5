"""The TCP scenarios: the programs, the scripts and the wire's rules. What each teaches is in notes.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.protocols.scenario import Scenario
from lab.protocols.tcp import mishaps, scripts

if TYPE_CHECKING:
    from lab.protocols.tcp.endpoints import Endpoint

_SAID = ("port", "client_port", "hello", "answer")  # what may be chosen where the usual is said
_CLOSED = (*_SAID, "first")


def endpoint() -> type[Endpoint]:
    """Returns the programs of a host that speaks TCP and nothing on top of it."""
    from lab.protocols.tcp.endpoints import Endpoint

    return Endpoint


SCENARIOS = (
    Scenario("tcp/connection", scripts.connection, endpoint, varies=_CLOSED),
    Scenario("tcp/three-segment-close", scripts.three_segment_close, endpoint, varies=_CLOSED),
    Scenario("tcp/server-closes-first", scripts.server_closes_first, endpoint, varies=_SAID),
    Scenario("tcp/half-close", scripts.half_close, endpoint, varies=_SAID),
    Scenario(
        "tcp/simultaneous-close", scripts.simultaneous_close, endpoint, ("hold client FIN #1", "hold server FIN #1")
    ),
    Scenario(
        "tcp/simultaneous-open", scripts.simultaneous_open, endpoint, ("hold client SYN #1", "hold server SYN #1")
    ),
    Scenario("tcp/refused", scripts.refused, endpoint),
    Scenario("tcp/reset", scripts.reset, endpoint, varies=_SAID),
    Scenario("tcp/syn-lost", scripts.connection, endpoint, ("drop client SYN #1",), varies=_CLOSED),
    Scenario(
        "tcp/syn-ack-lost",
        scripts.connection,
        endpoint,
        ("delay client SYN #1 200ms", "drop server SYN-ACK #1"),
        varies=_CLOSED,
    ),
    Scenario("tcp/no-answer", mishaps.no_answer, endpoint, ("drop client SYN",)),
    Scenario("tcp/final-ack-lost", scripts.final_ack_lost, endpoint, ("drop client ACK #1",)),
    Scenario(
        "tcp/in-trouble",
        scripts.connection,
        endpoint,
        ("drop client SYN #1", "drop client ACK #1", "corrupt server data #1"),
        varies=_CLOSED,
    ),
    Scenario("tcp/fin-lost", scripts.connection, endpoint, ("drop client FIN #1",), varies=_SAID),
    Scenario("tcp/last-ack-lost", scripts.last_ack_lost, endpoint, ("drop client ACK #3",), varies=_SAID),
    Scenario("tcp/ecn", scripts.ecn, endpoint, ("mark client data #1",), wired=True),
    Scenario("tcp/bad-checksum", scripts.connection, endpoint, ("corrupt client data #1",), varies=_CLOSED),
    Scenario("tcp/challenge-ack", mishaps.challenge_ack, endpoint, wired=True),
    Scenario("tcp/blind-reset", mishaps.blind_reset, endpoint, wired=True),
    Scenario("tcp/old-timestamp", mishaps.old_timestamp, endpoint, wired=True),
    Scenario("tcp/zero-window", mishaps.zero_window, endpoint, wired=True),
    Scenario("tcp/half-open", mishaps.half_open, endpoint, wired=True),
    Scenario("tcp/half-open-found", mishaps.half_open_found, endpoint, wired=True),
    Scenario("tcp/accept-queue-full", mishaps.accept_queue_full, endpoint, ("hold client ACK #1",)),
    Scenario("tcp/syn-cookies", scripts.syn_cookies, endpoint, wired=True),
    Scenario("tcp/address-in-use", mishaps.address_in_use, endpoint),
    Scenario("tcp/close-in-syn-sent", mishaps.close_in_syn_sent, endpoint, ("hold server SYN-ACK #1",)),
    Scenario("tcp/listener-closes", mishaps.listener_closes, endpoint, ("hold client ACK #1",)),
    Scenario(
        "tcp/fast-retransmit",
        mishaps.fast_retransmit,
        endpoint,
        ("delay client SYN 200ms", "drop client data #2", "delay client data 300ms"),
    ),
    Scenario("tcp/window-scale", scripts.window_scale, endpoint),
    Scenario("tcp/close-with-data-unread", mishaps.close_with_data_unread, endpoint),
    Scenario("tcp/write-after-close", mishaps.write_after_close, endpoint),
    Scenario("tcp/close-wait-leak", mishaps.close_wait_leak, endpoint, wired=True),
)
