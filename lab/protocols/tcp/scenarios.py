"""The TCP scenarios: each a short script for two hosts, one thing at a time. What each teaches is in notes.toml."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lab.protocols.scenario import Scenario

if TYPE_CHECKING:
    from lab.testbed.stage import Stage

PORT = 8080
CLIENT_PORT = 40000  # only where both ends must know it beforehand
HELLO, ANSWER = "Hello, server!", "Hello, client!"


def _open(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()


def _talk(stage: Stage) -> None:
    stage.client.send(HELLO)
    stage.server.receive()
    stage.server.send(ANSWER)
    stage.client.receive()


def connection(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def three_segment_close(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.client.close()
    stage.server.close()
    stage.acknowledged(stage.server)


def server_closes_first(stage: Stage) -> None:
    _open(stage)
    _talk(stage)
    stage.server.close()
    stage.acknowledged(stage.server)
    stage.client.close()
    stage.acknowledged(stage.client)


def half_close(stage: Stage) -> None:
    _open(stage)
    stage.client.send(HELLO)
    stage.server.receive()
    stage.client.shutdown()
    stage.acknowledged(stage.client)
    stage.server.send(ANSWER)
    stage.client.receive()
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


SCENARIOS = (
    Scenario("tcp/connection", connection),
    Scenario("tcp/three-segment-close", three_segment_close),
    Scenario("tcp/server-closes-first", server_closes_first),
    Scenario("tcp/half-close", half_close),
    Scenario("tcp/simultaneous-close", simultaneous_close, ("hold client FIN #1", "hold server FIN #1")),
    Scenario("tcp/simultaneous-open", simultaneous_open, ("hold client SYN #1", "hold server SYN #1")),
    Scenario("tcp/refused", refused),
    Scenario("tcp/reset", reset),
    Scenario("tcp/syn-lost", connection, ("drop client SYN #1",)),
    Scenario("tcp/final-ack-lost", final_ack_lost, ("drop client ACK #1",)),
    Scenario("tcp/last-ack-lost", last_ack_lost, ("drop client ACK #3",)),
)
