"""The programs inside the containers: `client` and `server` do what the `sniffer` tells them, and it listens.

Commands go through sockets in a folder that the three share, never over the network that is being watched. A fourth
program, `wire`, is the whole network-namespace testbed in one container, for scenarios that a tap can't play.

    python -m lab.testbed.container client|server|sniffer|wire
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from queue import SimpleQueue

from lab.errors import MachineError
from lab.model import Role
from lab.protocols import scenario
from lab.protocols.scenario import Scenario
from lab.testbed.messages import Begun, Ended, Event, write
from lab.testbed.rules import Rule, parse
from lab.text import Text

CONTROL = Path("/control")
CAPTURES = Path("captures/out")
INTERFACE = "eth0"
ROLES: tuple[Role, Role] = ("client", "server")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    program = sys.argv[1] if len(sys.argv) == 2 else ""
    if program in ROLES:
        _host(program)
    elif program == "sniffer":
        sys.exit(_sniffer())
    elif program == "wire":
        sys.exit(_wire())
    else:
        sys.exit(f"usage: {(__doc__ or '').strip().splitlines()[-1].strip()}")


def _host(role: Role) -> None:
    """Waits for the sniffer, obeys it, and ends with it."""
    from lab.testbed.host import serve

    address = os.environ["LAB_ADDRESS"]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    os.umask(0)  # the sniffer is another user
    with Listener(str(CONTROL / role), "AF_UNIX") as listener:
        connection = listener.accept()

    class Host(_scenario().endpoint()):  # type: ignore[misc]  # which class it is, the scenario says
        def save(self, name: str, data: bytes) -> None:
            """Writes a capture where the sniffer, which is root without any of root's rights, may not."""
            (CAPTURES / name).write_bytes(data)

    serve(connection, Host(family, address))


def _scenario() -> Scenario:
    return scenario(os.environ.get("LAB_SCENARIO") or "tcp/connection")


@contextlib.contextmanager
def play(played: Scenario, rules: Sequence[Rule], _ipv6: bool) -> Iterator[Iterator[Event]]:
    """Plays a scenario between the two other containers. Which addresses those have is in the environment."""
    if rules:
        raise MachineError(*NEEDS_A_WIRE)
    yield _events(played)


NEEDS_A_WIRE = (
    Text("this scenario needs the wire, which three containers do not have", "此场景需要线路，三个容器之间没有线路"),
    Text(
        "lab run SCENARIO --testbed docker plays it in one container",
        "lab run 场景名 --testbed docker 会在一个容器里运行它",
    ),
)


def _events(played: Scenario) -> Iterator[Event]:
    addresses: dict[Role, str] = {role: os.environ[f"LAB_{role.upper()}"] for role in ROLES}
    told: SimpleQueue[Event | BaseException] = SimpleQueue()
    threading.Thread(target=_perform, args=(played, addresses, told), daemon=True).start()
    while True:
        event = told.get()
        if isinstance(event, BaseException):
            raise event
        yield event
        if isinstance(event, Ended):
            return


def _perform(played: Scenario, addresses: dict[Role, str], told: SimpleQueue[Event | BaseException]) -> None:
    from lab.capture.sniff import Sniffer
    from lab.testbed.stage import Host, SceneEnded, Stage
    from lab.testbed.tap import Tap

    try:
        sniffer = Sniffer(INTERFACE)  # before anything is said
        credentials = played.make_credentials([addresses["server"]])
        names = {address: role for role, address in addresses.items()}
        told.put(Begun(INTERFACE, names, False, credentials.server_key if credentials else ""))
        tap = Tap(sniffer, names, told.put)
        hosts = {role: Host(role, addresses[role], _channel(role), tap, told.put) for role in ROLES}
        early = None
        try:
            played.script(Stage(hosts["client"], hosts["server"], tap, credentials))
        except SceneEnded as ended:
            early = ended.reason
        except OSError as error:
            early = Text(str(error), str(error))
        told.put(Ended(early, tap.close()))
    except BaseException as error:  # raised where the events are waited for
        told.put(error)


_channels: dict[Role, Connection] = {}


def _channel(role: Role) -> Connection:
    if role not in _channels:
        _channels[role] = Client(str(CONTROL / role), "AF_UNIX")
    return _channels[role]


def _sniffer() -> int:
    """Plays the scenario; its events go to `lab` on the host, or as a ladder to whoever reads the log."""
    played = _scenario()
    try:
        if os.environ.get("LAB_TELL") == "events":
            return _tell(play(played, parse(played.rules), False))
        return _ladder(played)
    finally:
        for role in ROLES:  # who was never called waits still, and `up` with it
            with contextlib.suppress(OSError):
                _channel(role)


def _wire() -> int:
    """Plays a scenario with network namespaces, all in this container."""
    from lab.testbed import netns

    played, rules = scenario(os.environ["LAB_SCENARIO"]), parse([os.environ.get("LAB_RULES", "")])
    return _tell(netns.play(played, rules, bool(os.environ.get("LAB_IPV6"))))


def _tell(playing: contextlib.AbstractContextManager[Iterator[Event]]) -> int:
    try:
        with playing as events:
            for event in events:
                _print(write(event))
    except MachineError as error:
        _print(write(error))
        return error.status
    return 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _ladder(played: Scenario) -> int:
    from lab import text
    from lab.app.cli import guarded
    from lab.live import Session, ending
    from lab.render.notes import introduction
    from lab.show import Format, show

    lang = text.choose([], {"LC_ALL": os.environ.get("LAB_LANG", ""), "LANG": os.environ.get("LAB_LOCALE", "")})
    name = played.name.replace("/", "-") if played.name != "tcp/connection" else "tcp"
    session = Session(played, parse(played.rules), False, CAPTURES / f"{name}.pcapng", play, save=_save)

    def draw() -> None:
        introduction(played.name, [], sys.stdout, lang)
        show(session, session.rungs(), Format.LADDER, session.about, sys.stdout, lang)
        for line in ending(session):
            _print(line.pick(lang))

    return guarded(draw)


def _save(file: Path, data: bytes) -> None:
    """Writes the capture, or has the client write it: one of the two may, unless the folder is somebody else's."""
    try:
        file.write_bytes(data)
    except OSError:
        client = _channel("client")
        client.send(("save", (file.name, data)))
        kind, value, _ = client.recv()
        if kind != "done":
            raise MachineError(
                Text(f"{file} can't be written: {value}", f"无法写入 {file}：{value}"),
                Text(
                    "LAB_USER=$(id -u):$(id -g) docker compose up writes it as you",
                    "LAB_USER=$(id -u):$(id -g) docker compose up 会以你的身份写入",
                ),
            ) from None


if __name__ == "__main__":
    main()
