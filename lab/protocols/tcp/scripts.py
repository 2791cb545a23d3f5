"""What the two hosts are told to do in the scenarios of TCP: the life of a connection, one thing at a time.

What is lost there, only the wire loses. Where the hosts themselves, or somebody else, go wrong, see mishaps.py.
"""

from __future__ import annotations

import contextlib

from lab.protocols.scenario import Stage, in_order

PORT = 8080
CLIENT_PORT = 40000  # only where both ends must know it beforehand
HELLO, ANSWER, AGAIN = "Hello, server!", "Hello, client!", "More slowly now."
MUCH = "".join(f"{number % 1000:03} " for number in range(1500))  # five segments


def opened(stage: Stage) -> None:
    port = stage.choices.port or PORT
    stage.server.listen(port)
    if stage.choices.client_port:
        stage.client.bind(stage.choices.client_port)
    stage.client.connect(stage.server.address, port)
    stage.client.connected()
    stage.server.accept()


def talk(stage: Stage) -> None:
    _hello(stage)
    _answer(stage)


def _hello(stage: Stage) -> None:
    stage.client.send(stage.choices.hello or HELLO)
    stage.server.receive()


def _answer(stage: Stage) -> None:
    stage.server.send(stage.choices.answer or ANSWER)
    stage.client.receive()


def close(stage: Stage) -> None:
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def connection(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    for host in in_order(stage):
        host.close()
        stage.acknowledged(host)


def three_segment_close(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    first, second = in_order(stage)
    first.close()
    second.close()
    stage.acknowledged(second)


def server_closes_first(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    for host in in_order(stage, "server"):
        host.close()
        stage.acknowledged(host)


def half_close(stage: Stage) -> None:
    opened(stage)
    _hello(stage)
    stage.client.shutdown()
    stage.acknowledged(stage.client)
    _answer(stage)
    stage.server.close()
    stage.acknowledged(stage.server)
    stage.client.close()


def simultaneous_close(stage: Stage) -> None:
    opened(stage)
    talk(stage)
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
    talk(stage)
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def refused(stage: Stage) -> None:
    stage.client.connect(stage.server.address, PORT)
    with contextlib.suppress(OSError):
        stage.client.connected()


def reset(stage: Stage) -> None:
    opened(stage)
    talk(stage)
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
    opened(stage)
    talk(stage)
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def ecn(stage: Stage) -> None:
    for host in (stage.client, stage.server):
        host.set_kernel("tcp_ecn", "1")
    opened(stage)
    talk(stage)
    stage.client.send(AGAIN)
    stage.server.receive()
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def window_scale(stage: Stage) -> None:
    opened(stage)
    stage.client.send(MUCH)
    stage.acknowledged(stage.client)
    stage.server.receive()
    close(stage)


def syn_cookies(stage: Stage) -> None:
    stage.server.set_kernel("tcp_syncookies", "2")
    connection(stage)
