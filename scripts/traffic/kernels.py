"""Real kernels over a lossy, reordering cable: long transfers and short ones, idle, half closed, reset, refused.

Both IP versions, a part with VLAN tags, MTU 1500, nothing offloaded, some hundred connections, many at once.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lab.model import Role
from scripts.traffic import cable
from scripts.traffic.cable import IPV4, IPV6, Frames, Line, Work

_SEED = 9293
LINE = Line(lost_unseen=0.003, lost=0.008, late_unseen=0.004, late=0.01, twice=0.001, delay=0.008, rate=60e6, queue=0.5)
PORTS = range(7001, 7006)
TAGGED = {7005: 50}  # ports whose traffic is in a VLAN where it is captured, as on a trunk
_CLOSED_PORT = 7999
_AT_ONCE = 100
_WHOLE = 40_000  # packets: for fewer, transfers are shorter too, so that there are as many kinds
_REQUEST = struct.Struct("!4sIII")  # what is asked for: magic, bytes the client sends, bytes it wants, how it goes
_MAGIC = b"take"
_PLAIN, _INTERACTIVE, _SERVER_RESETS = range(3)
_NOISE = random.Random(_SEED).randbytes(1 << 20)
_LINGER_NOT = struct.pack("ii", 1, 0)  # close() resets
_PATIENCE = 20.0  # seconds


Play = Callable[[socket.socket, "Connection"], None]


class Connection(NamedTuple):
    """One connection as the client means it."""

    play: Play
    given: int  # bytes
    taken: int
    ipv6: bool
    port: int
    source: int  # which of the client's addresses
    target: int


def record(count: int, *, line: Line = LINE, at_once: int = _AT_ONCE, seconds: float = 60) -> Iterator[Frames]:
    """Yields `count` frames, some at a time as they come, or those of `seconds`.

    Raises LabError where this machine makes no namespaces.
    """
    hosts: dict[Role, Work] = {"server": _server, "client": lambda: _client(count, at_once)}
    for batch in cable.record(hosts, count, line, _SEED, seconds):
        yield [(at, _tagged(data)) for at, data in batch]


def _tagged(frame: bytes) -> bytes:
    """Returns a frame as it is on a trunk: with the tag of its VLAN (IEEE 802.1Q), if its ports are in one."""
    ports = 34 if frame[12:14] == b"\x08\x00" else 54
    for port in struct.unpack_from("!HH", frame, ports):
        if port in TAGGED:
            return frame[:12] + struct.pack("!HH", 0x8100, TAGGED[port]) + frame[12:]
    return frame


def connections(count: int, dice: random.Random) -> Iterator[Connection]:
    """Yields connections for a capture of `count` packets, without end: first one of each kind."""
    scale = min(1.0, count / _WHOLE)

    def long(low: int, high: int) -> int:
        return int(dice.uniform(low, high) * scale) + 1

    kinds: tuple[tuple[int, Callable[[], tuple[Play, int, int]]], ...] = (  # how often, what
        (1, lambda: (_refused, 0, 0)),
        (2, lambda: (_reset_by_server, 200, 2_000)),
        (4, lambda: (_aborted, 200, long(200_000, 600_000))),
        (30, lambda: (_exchange, dice.randrange(40, 400), dice.randrange(100, 4_000))),
        (22, lambda: (_exchange, 200, long(200_000, 3_000_000))),
        (12, lambda: (_exchange, long(200_000, 2_000_000), 200)),
        (9, lambda: (_both_ways, long(100_000, 700_000), long(100_000, 700_000))),
        (9, lambda: (_interactive, dice.randrange(8, 60), dice.randrange(20, 900))),
        (4, lambda: (_half_closed, 3_000, long(100_000, 500_000))),
        (2, lambda: (_read_slowly, 200, long(100_000, 300_000))),
    )
    weights = [weight for weight, _ in kinds]
    for number in itertools.count():
        kind = kinds[number] if number < len(kinds) else dice.choices(kinds, weights)[0]
        port = PORTS[number % len(PORTS)] if number < len(kinds) else dice.choice(PORTS)
        source, target = dice.randrange(len(IPV4["client"])), dice.randrange(len(IPV4["server"]))
        yield Connection(*kind[1](), dice.random() < 0.4, port, source, target)


def _client(count: int, at_once: int) -> None:
    wanted, lock = connections(count, random.Random(_SEED)), threading.Lock()

    def work(idle: bool) -> None:
        while True:
            with lock:
                connection = next(wanted)
            if idle:
                connection = connection._replace(play=_idle, given=100, taken=100)
            with contextlib.suppress(OSError):  # refused, reset, timed out: that is what is to be captured
                _play(connection)

    for number in range(max(5, min(at_once, count // 400))):
        threading.Thread(target=work, args=(number % 5 == 0,), daemon=True).start()


def _play(connection: Connection) -> None:
    family = socket.AF_INET6 if connection.ipv6 else socket.AF_INET
    addresses = IPV6 if connection.ipv6 else IPV4
    port = _CLOSED_PORT if connection.play is _refused else connection.port
    with socket.socket(family, socket.SOCK_STREAM) as link:
        link.settimeout(_PATIENCE)
        if connection.play is _read_slowly:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        link.bind((addresses["client"][connection.source], 0))
        link.connect((addresses["server"][connection.target], port))
        connection.play(link, connection)


def _ask(link: socket.socket, connection: Connection, how: int = _PLAIN) -> None:
    link.sendall(_REQUEST.pack(_MAGIC, connection.given, connection.taken, how))


def _exchange(link: socket.socket, connection: Connection) -> None:
    _ask(link, connection)
    _give(link, connection.given)
    _take(link, connection.taken)


def _both_ways(link: socket.socket, connection: Connection) -> None:
    _ask(link, connection)
    giving = threading.Thread(target=_give, args=(link, connection.given), daemon=True)
    giving.start()
    _take(link, connection.taken)
    giving.join()


def _interactive(link: socket.socket, connection: Connection) -> None:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _ask(link, connection, _INTERACTIVE)
    for _ in range(60):
        _give(link, connection.given)
        _take(link, connection.taken)


def _idle(link: socket.socket, connection: Connection) -> None:
    """Keeps a connection open that nobody uses: its kernel probes every second."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    _exchange(link, connection)
    time.sleep(5.5)


def _aborted(link: socket.socket, connection: Connection) -> None:
    _ask(link, connection)
    _give(link, connection.given)
    _take(link, connection.taken // 2)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def _reset_by_server(link: socket.socket, connection: Connection) -> None:
    _ask(link, connection, _SERVER_RESETS)
    _give(link, connection.given)
    _take(link, connection.taken + 1)


def _half_closed(link: socket.socket, connection: Connection) -> None:
    _ask(link, connection)
    _give(link, connection.given)
    link.shutdown(socket.SHUT_WR)
    _take(link, connection.taken)


def _read_slowly(link: socket.socket, connection: Connection) -> None:
    """Lets the window close, and open again."""
    _ask(link, connection)
    _give(link, connection.given)
    for _ in range(4):
        time.sleep(0.4)
        _take(link, connection.taken // 4)
    _take(link, connection.taken % 4)


def _refused(link: socket.socket, connection: Connection) -> None:
    """The server has no listener there."""


def _give(link: socket.socket, count: int) -> None:
    while count > 0:
        link.sendall(_NOISE[: min(count, 65_536)])
        count -= 65_536


def _take(link: socket.socket, count: int) -> None:
    while count > 0:
        data = link.recv(min(count, 1 << 16))
        if not data:
            raise ConnectionResetError
        count -= len(data)


def _server() -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        for port in PORTS:
            listener = socket.create_server(("", port), family=family, backlog=256)
            threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    cable.ready()


def _accept(listener: socket.socket) -> None:
    while True:
        link = listener.accept()[0]
        threading.Thread(target=_serve, args=(link,), daemon=True).start()


def _serve(link: socket.socket) -> None:
    with link, contextlib.suppress(OSError):
        link.settimeout(_PATIENCE)
        request = link.recv(_REQUEST.size, socket.MSG_WAITALL)
        if len(request) < _REQUEST.size:
            return
        _, given, taken, how = _REQUEST.unpack(request)
        if how == _INTERACTIVE:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                _take(link, given)
                _give(link, taken)
        giving = threading.Thread(target=_give_quietly, args=(link, taken), daemon=True)
        if given > 50_000:  # both at once
            giving.start()
            _take(link, given)
        else:
            _take(link, given)
            giving.start()
        giving.join()
        if how == _SERVER_RESETS:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            return
        link.shutdown(socket.SHUT_WR)
        link.recv(1)  # the client has closed, or never will


def _give_quietly(link: socket.socket, count: int) -> None:
    with contextlib.suppress(OSError):
        _give(link, count)
