"""What Python's ssl can't do, recorded with OpenSSL's own programs: 0-RTT, renegotiation, psk_ke, no certificate.

    python -m tests.protocols.tls.openssl [NAME ...]

talks anew and writes `openssl.json`, which tests read. A relay between `s_client` and `s_server` on the loopback writes
down what passes.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.protocols.tls.captures import Capture
from tests.protocols.tls.handshakes import NAME, identity

FILE = Path(__file__).with_suffix(".json")
EARLY = b"early bird data"


@cache
def _recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def recorded(name: str, connection: int = -1) -> Capture:
    """Returns one of the connections that were recorded, the last where several belong together."""
    found = _recorded()[name]
    flights = [(role, bytes.fromhex(data)) for role, data in found["connections"][connection]]
    return Capture(flights, found["keylog"].encode(), found["server_key"].encode())


def names() -> list[str]:
    return list(_recorded())


# Recording.


class Relay:
    """Forwards connections to a port, and writes down what each end says."""

    def __init__(self, port: int) -> None:
        self.connections: list[list[tuple[str, bytes]]] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def towards(self, port: int) -> None:
        self._port = port

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._port))
            said: list[tuple[str, bytes]] = []
            self.connections.append(said)
            ends = {client: ("client", server), server: ("server", client)}
            while ends:
                for each in select.select([*ends], [], [])[0]:
                    role, other = ends[each]
                    with contextlib.suppress(OSError):
                        if data := each.recv(65536):
                            said.append((role, data))
                            other.sendall(data)
                            continue
                        other.shutdown(socket.SHUT_WR)
                    del ends[each]
            client.close()
            server.close()


@contextlib.contextmanager
def server(folder: Path, *options: str, types: Mapping[float, str] = {}) -> Iterator[int]:
    """Runs `s_server`, which says what is typed so many seconds later, and gives its port."""
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "pem", "-naccept", "9", *options]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for line in running.stdout:
            if found := re.match(r"ACCEPT .*:(\d+)", line):
                threading.Thread(target=running.stdout.read, daemon=True).start()
                assert running.stdin
                for seconds, line in types.items():
                    threading.Timer(seconds, print, [line], {"file": running.stdin, "flush": True}).start()
                yield int(found[1])
                break
        running.kill()


def client(folder: Path, port: int, *options: str, types: tuple[str, ...] = ("hello\n", "Q\n")) -> None:
    """Runs `s_client`, which says what is typed, line by line: Q ends it, R renegotiates."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME, "-keylogfile", "keys"]
    with subprocess.Popen(
        [*command, *options], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        text=True,
    ) as running:  # fmt: skip
        assert running.stdin
        for line in types:
            time.sleep(0.7)  # s_client takes a letter for a command only where it is all there is to read
            running.stdin.write(line)
            running.stdin.flush()
        try:
            running.wait(20)
        finally:
            running.kill()


ONE_3, ONE_2 = "-tls1_3", ("-tls1_2", "-cipher", "AES128-GCM-SHA256@SECLEVEL=0")
AGAIN = ("-sess_in", "session", "-early_data", "early", ONE_3)
FIRST = ("-sess_out", "session", ONE_3)


def _accept(folder: Path, relay: Relay) -> None:
    with server(folder, ONE_3, "-early_data") as port:
        relay.towards(port)
        client(folder, relay.port, *FIRST)
        client(folder, relay.port, *AGAIN)


def _forgotten(folder: Path, relay: Relay) -> None:
    """The server has been started anew and can't read its ticket."""
    for options in (FIRST, AGAIN):
        with server(folder, ONE_3, "-early_data") as port:
            relay.towards(port)
            client(folder, relay.port, *options)


def _other_protocol(folder: Path, relay: Relay) -> None:
    """The server takes the ticket, but chooses another application protocol: early data is for the old one."""
    with server(folder, ONE_3, "-early_data", "-alpn", "two,one") as port:
        relay.towards(port)
        client(folder, relay.port, *FIRST, "-alpn", "one")
        client(folder, relay.port, *AGAIN, "-alpn", "one,two")


def _retry(folder: Path, relay: Relay) -> None:
    """The server wants a key share of another group."""
    with server(folder, ONE_3, "-early_data", "-groups", "P-384") as port:
        relay.towards(port)
        client(folder, relay.port, *FIRST, "-groups", "P-384")
        client(folder, relay.port, *AGAIN, "-groups", "X25519:P-384")


def _renegotiated(folder: Path, relay: Relay) -> None:
    with server(folder, *ONE_2, "-client_renegotiation", "-no_ticket") as port:
        relay.towards(port)
        client(folder, relay.port, *ONE_2, types=("before\n", "R\n", "after\n", "Q\n"))


def _renegotiated_resumed(folder: Path, relay: Relay) -> None:
    """The server asks for it, and OpenSSL's client then offers to resume."""
    with server(folder, *ONE_2, types={1.1: "r"}) as port:
        relay.towards(port)
        client(folder, relay.port, *ONE_2, types=("before\n", "after\n", "Q\n"))


def _key_alone(folder: Path, relay: Relay) -> None:
    """Both have a pre-shared key, and no group in common: there is no Diffie-Hellman (psk_ke)."""
    shared = (ONE_3, "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-psk", "00112233445566778899aabbccddeeff")
    with server(folder, *shared, "-psk_identity", "lab", "-allow_no_dhe_kex", "-groups", "X25519") as port:
        relay.towards(port)
        client(folder, relay.port, *shared, "-psk_identity", "lab", "-allow_no_dhe_kex", "-groups", "P-256")


def _resumed(group: str) -> Callable[[Path, Relay], None]:
    """With a ticket and a key share of a group."""

    def play(folder: Path, relay: Relay) -> None:
        with server(folder, ONE_3, "-groups", group) as port:
            relay.towards(port)
            client(folder, relay.port, *FIRST, "-groups", group)
            client(folder, relay.port, "-sess_in", "session", ONE_3, "-groups", group)

    return play


def _unsigned(cipher: str, *options: str) -> Callable[[Path, Relay], None]:
    """Nothing is signed: the suite knows no certificate."""

    def play(folder: Path, relay: Relay) -> None:
        shared = ("-tls1_2", "-cipher", f"{cipher}@SECLEVEL=0", *options)
        with server(folder, *shared, *(("-psk_hint", "lab") if options else ())) as port:
            relay.towards(port)
            client(folder, relay.port, *shared)

    return play


PLAYS = {
    "pre-shared key alone": _key_alone,
    "resumed, ffdhe2048": _resumed("ffdhe2048"),
    "ECDH_anon": _unsigned("AECDH-AES128-SHA"),
    "DH_anon": _unsigned("ADH-AES128-SHA"),
    "PSK with a hint": _unsigned("PSK-AES128-CBC-SHA256", "-psk", "00112233445566778899aabbccddeeff"),
    "0-RTT accepted": _accept,
    "0-RTT rejected, ticket unknown": _forgotten,
    "0-RTT rejected, other ALPN": _other_protocol,
    "0-RTT rejected, hello retry": _retry,
    "renegotiation": _renegotiated,
    "renegotiation, resumed": _renegotiated_resumed,
}


def record(*names: str) -> None:
    """Talks anew, all or these, and writes it."""
    written = dict(_recorded()) if names else {}
    for name, play in ((name, play) for name, play in PLAYS.items() if name in names or not names):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            pem = identity("rsa")[0]
            (folder / "pem").write_bytes(pem)
            (folder / "early").write_bytes(EARLY)
            relay = Relay(0)
            play(folder, relay)
            written[name] = {
                "connections": [[(role, data.hex()) for role, data in each] for each in relay.connections],
                "keylog": (folder / "keys").read_text(),
                "server_key": pem.decode(),
            }
            for each in relay.connections:
                print(name, [(role[0], len(data)) for role, data in each])
    FILE.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    record(*sys.argv[1:])
