"""What the two hosts are told to do where something is lost, forged, refused, or not heard of in time."""

from __future__ import annotations

import contextlib

from lab.protocols.scenario import Stage
from lab.protocols.tcp.scripts import AGAIN, CLIENT_PORT, HELLO, MUCH, PORT, close, opened, talk

OLD = b"from long ago"
_SMALL = 4096  # bytes of a receive buffer: less than is sent
_AMPLE = 20_000  # bytes: room for all of it, and little enough that the window need not grow
_ASIDE, _FAR = 1000, 1_000_000  # numbers away: within the receive window, and beyond it
_LONG_AGO = 5000  # milliseconds


def no_answer(stage: Stage) -> None:
    stage.client.set_kernel("tcp_syn_retries", "1")
    stage.client.connect(stage.server.address, PORT)
    with contextlib.suppress(OSError):
        stage.client.connected()


def half_open_found(stage: Stage) -> None:
    stage.server.listen(PORT)
    _opened_from(stage, CLIENT_PORT)
    stage.client.crash()
    _opened_from(stage, CLIENT_PORT)
    talk(stage)
    close(stage)


def _opened_from(stage: Stage, port: int) -> None:
    stage.client.bind(port)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()


def close_in_syn_sent(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.close()
    stage.release()


def listener_closes(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.deafen()
    stage.release()


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
    talk(stage)
    close(stage)


def challenge_ack(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    stage.inject(stage.client, "SYN", seq=f"snd.nxt+{_ASIDE}")
    stage.inject(stage.client, "ACK", ack=f"snd.nxt+{_ASIDE}")
    close(stage)


def blind_reset(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    stage.inject(stage.client, "RST", seq=f"snd.nxt+{_FAR}")
    stage.inject(stage.client, "RST", seq=f"snd.nxt+{_ASIDE}")
    stage.client.send(HELLO)
    stage.server.receive()
    stage.acknowledged(stage.client)
    stage.inject(stage.client, "RST")
    stage.client.send(HELLO)


def old_timestamp(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    stage.inject(stage.client, "PSH,ACK", payload=OLD, tsval=f"-{_LONG_AGO}")
    close(stage)


def half_open(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    stage.server.crash()
    stage.client.send(HELLO)


def fast_retransmit(stage: Stage) -> None:
    stage.server.listen(PORT, 1, _AMPLE)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()
    stage.client.send(MUCH)
    stage.acknowledged(stage.client)
    stage.server.receive()
    close(stage)


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
    close(stage)


def close_with_data_unread(stage: Stage) -> None:
    opened(stage)
    stage.client.send(HELLO)
    stage.acknowledged(stage.client)
    stage.server.close()


def write_after_close(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    stage.server.close()
    stage.acknowledged(stage.server)
    stage.client.send(HELLO)
    with contextlib.suppress(OSError):
        stage.client.send(AGAIN)


def close_wait_leak(stage: Stage) -> None:
    stage.client.set_kernel("tcp_fin_timeout", "1")
    stage.client.set_kernel("tcp_rto_min_us", "250000")
    opened(stage)
    talk(stage)
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.client.forgotten()
    stage.server.close()


def address_in_use(stage: Stage) -> None:
    opened(stage)
    talk(stage)
    stage.server.close()
    stage.acknowledged(stage.server)
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.deafen()
    with contextlib.suppress(OSError):
        stage.server.listen(PORT, 1, 0, False)
    opened(stage)  # not possible, had it been
    talk(stage)
    close(stage)
