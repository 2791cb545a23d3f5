"""The TCP scenarios: each a short script for two hosts, one thing at a time. What each teaches is in notes.toml."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lab.protocols.scenario import Scenario, Stage, in_order

if TYPE_CHECKING:
    from lab.protocols.tcp.endpoints import Endpoint

PORT = 8080
CLIENT_PORT = 40000  # only where both ends must know it beforehand
HELLO, ANSWER, AGAIN = "Hello, server!", "Hello, client!", "More slowly now."
OLD = b"from long ago"
MUCH = "".join(f"{number % 1000:03} " for number in range(1500))  # more bytes than the receiver has room for
_SMALL = 4096  # bytes of a receive buffer
_ASIDE, _FAR = 1000, 1_000_000  # numbers away: within the receive window, and beyond it
_LONG_AGO = 5000  # milliseconds
_SAID = ("port", "client_port", "hello", "answer")  # what may be chosen where the usual is said
_CLOSED = (*_SAID, "first")


def _open(stage: Stage) -> None:
    port = stage.choices.port or PORT
    stage.server.listen(port)
    if stage.choices.client_port:
        stage.client.bind(stage.choices.client_port)
    stage.client.connect(stage.server.address, port)
    stage.client.connected()
    stage.server.accept()


def _talk(stage: Stage) -> None:
    _hello(stage)
    _answer(stage)


def _hello(stage: Stage) -> None:
    stage.client.send(stage.choices.hello or HELLO)
    stage.server.receive()


def _answer(stage: Stage) -> None:
    stage.server.send(stage.choices.answer or ANSWER)
    stage.client.receive()


def connection(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    for host in in_order(stage):
        host.close()
        stage.acknowledged(host)


def three_segment_close(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    first, second = in_order(stage)
    first.close()
    second.close()
    stage.acknowledged(second)


def server_closes_first(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    for host in in_order(stage, "server"):
        host.close()
        stage.acknowledged(host)


def half_close(stage: Stage) -> None:
    _open(stage)
    _hello(stage)
    stage.client.shutdown()
    stage.acknowledged(stage.client)
    _answer(stage)
    stage.server.close()
    stage.acknowledged(stage.server)
    stage.client.close()


def simultaneous_close(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.client.close()
    stage.server.close()
    stage.release()
    stage.acknowledged(stage.client)
    stage.acknowledged(stage.server)


def simultaneous_open(stage: Stage) -> None:
    stage.client.bind(CLIENT_PORT)
    stage.server.bind(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.server.connect(stage.client.address, CLIENT_PORT)
    stage.release()
    stage.client.connected()
    stage.server.connected()
    _talk(stage)
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def refused(stage: Stage) -> None:
    stage.client.connect(stage.server.address, PORT)
    with contextlib.suppress(OSError):
        stage.client.connected()


def reset(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.client.abort()


def final_ack_lost(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.client.send(HELLO)
    stage.server.accept()
    stage.server.receive()
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def last_ack_lost(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def ecn(stage: Stage) -> None:
    for host in (stage.client, stage.server):
        host.set_kernel("tcp_ecn", "1")
    _open(stage)
    _talk(stage)
    stage.client.send(AGAIN)
    stage.server.receive()
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def _close(stage: Stage) -> None:
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def challenge_ack(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.inject(stage.client, "SYN", seq=f"snd.nxt+{_ASIDE}")
    stage.inject(stage.client, "ACK", ack=f"snd.nxt+{_ASIDE}")
    _close(stage)


def blind_reset(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.inject(stage.client, "RST", seq=f"snd.nxt+{_FAR}")
    stage.inject(stage.client, "RST", seq=f"snd.nxt+{_ASIDE}")
    stage.client.send(HELLO)
    stage.server.receive()
    stage.acknowledged(stage.client)
    stage.inject(stage.client, "RST")
    stage.client.send(HELLO)


def old_timestamp(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.inject(stage.client, "PSH,ACK", payload=OLD, tsval=f"-{_LONG_AGO}")
    _close(stage)


def accept_queue_full(stage: Stage) -> None:
    stage.server.listen(PORT, 1)
    stage.server.crowd(2)
    stage.client.connect(stage.server.address, PORT)
    stage.server.disperse()
    stage.client.connected()  # with the SYN that is sent again; the ACK is held
    stage.server.crowd(2)
    stage.release()
    stage.server.disperse()
    stage.server.accept()  # with the ACK of the SYN-ACK that is sent again
    _talk(stage)
    _close(stage)


def syn_cookies(stage: Stage) -> None:
    stage.server.set_kernel("tcp_syncookies", "2")
    connection(stage)


def half_open(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.server.crash()
    stage.client.send(HELLO)


def zero_window(stage: Stage) -> None:
    stage.server.listen(PORT, 1, _SMALL)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()
    stage.client.send(MUCH)
    stage.client.probed()
    left = len(MUCH)
    while left:
        left -= len(stage.server.receive())
    _close(stage)


def endpoint() -> type[Endpoint]:
    """Returns the programs of a host that speaks TCP and nothing on top of it."""
    from lab.protocols.tcp.endpoints import Endpoint

    return Endpoint


SCENARIOS = (
    Scenario("tcp/connection", connection, endpoint, varies=_CLOSED),
    Scenario("tcp/three-segment-close", three_segment_close, endpoint, varies=_CLOSED),
    Scenario("tcp/server-closes-first", server_closes_first, endpoint, varies=_SAID),
    Scenario("tcp/half-close", half_close, endpoint, varies=_SAID),
    Scenario("tcp/simultaneous-close", simultaneous_close, endpoint, ("hold client FIN #1", "hold server FIN #1")),
    Scenario("tcp/simultaneous-open", simultaneous_open, endpoint, ("hold client SYN #1", "hold server SYN #1")),
    Scenario("tcp/refused", refused, endpoint),
    Scenario("tcp/reset", reset, endpoint, varies=_SAID),
    Scenario("tcp/syn-lost", connection, endpoint, ("drop client SYN #1",), varies=_CLOSED),
    Scenario("tcp/final-ack-lost", final_ack_lost, endpoint, ("drop client ACK #1",)),
    Scenario("tcp/last-ack-lost", last_ack_lost, endpoint, ("drop client ACK #3",), varies=_SAID),
    Scenario("tcp/ecn", ecn, endpoint, ("mark client data #1",), wired=True),
    Scenario("tcp/bad-checksum", connection, endpoint, ("corrupt client data #1",), varies=_CLOSED),
    Scenario("tcp/challenge-ack", challenge_ack, endpoint, wired=True),
    Scenario("tcp/blind-reset", blind_reset, endpoint, wired=True),
    Scenario("tcp/old-timestamp", old_timestamp, endpoint, wired=True),
    Scenario("tcp/zero-window", zero_window, endpoint, wired=True),
    Scenario("tcp/half-open", half_open, endpoint, wired=True),
    Scenario("tcp/accept-queue-full", accept_queue_full, endpoint, ("hold client ACK #1",)),
    Scenario("tcp/syn-cookies", syn_cookies, endpoint, wired=True),
)
