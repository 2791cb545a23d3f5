"""What the hosts are told to do where no scenario does it."""

from __future__ import annotations

from collections.abc import Callable

from lab.model import Role
from lab.protocols.tcp.scripts import ANSWER, HELLO, PORT
from lab.testbed.stage import Host, Stage


def opened(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()


def opened_from(stage: Stage, port: int, listens: bool = True) -> None:
    """Opens from a port that the client has taken before."""
    if listens:
        stage.server.listen(PORT)
    stage.client.bind(port)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()


def closed(stage: Stage) -> None:
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def bulk(sender: Role, size: int) -> Callable[[Stage], None]:
    """Opens, sends `size` bytes, and closes when all of them have been received."""

    def script(stage: Stage) -> None:
        opened(stage)
        here, there = (stage.client, stage.server) if sender == "client" else (stage.server, stage.client)
        hand_over(here, size)
        received = 0
        while received < size:
            received += len(there.receive())
        closed(stage)

    return script


def hand_over(host: Host, size: int) -> None:
    """Gives the kernel so many bytes to send, as it takes them."""
    while size:
        size -= host.send("x" * size)


def chat(stage: Stage) -> None:
    """Opens, says three things, each when the one before has been read, and closes."""
    opened(stage)
    for _ in range(3):
        stage.client.send(HELLO)
        stage.server.receive()
    closed(stage)


def say_thrice(stage: Stage) -> None:
    """Opens, says three things at once, is answered, and closes once what is held has been let go."""
    opened(stage)
    for _ in range(3):
        stage.client.send(HELLO)
    stage.server.send(ANSWER)
    stage.release()
    closed(stage)
