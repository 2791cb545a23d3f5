"""The sniffer's program in a test: 500 kB in one transfer, as fast as the two kernels go."""

from __future__ import annotations

import sys

from lab.app.container import tell
from lab.protocols.scenario import Scenario
from lab.protocols.tcp.scenarios import endpoint
from lab.testbed.container import play
from lab.testbed.stage import Stage

BYTES, AT_ONCE = 500_000, 65_536
PORT = 8080


def script(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()
    sent = received = 0
    while received < BYTES:
        if sent < BYTES:
            sent += stage.client.send("x" * min(AT_ONCE, BYTES - sent))
        received += len(stage.server.receive())
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


if __name__ == "__main__":
    sys.exit(tell(play(Scenario("bulk", script, endpoint), (), False)))
