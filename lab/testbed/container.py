"""What the programs inside the containers do: hosts that obey, and a sniffer that tells them what to do, and listens.

Commands go through sockets in a folder that the three share, never over the network that is being watched. Which
program a container runs is lab/app/container.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from queue import SimpleQueue

from lab.errors import MachineError, UsageError
from lab.model import Role
from lab.protocols.catalogue import scenario, scenarios
from lab.protocols.choices import checked
from lab.protocols.scenario import Scenario
from lab.system.files import opened
from lab.testbed.messages import Begun, Ended, Event
from lab.testbed.rules import Rule
from lab.text import Text

CONTROL = Path("/control")
CAPTURES = Path("captures/out")
INTERFACE = "eth0"
_CALLED_WITHIN = 120  # seconds; a sniffer calls as soon as it is there
DEFAULT = scenarios()[0].name  # what is played where nothing is asked for
ROLES: tuple[Role, Role] = ("client", "server")


def host(role: Role) -> None:
    """Waits for the sniffer, obeys it, and ends with it."""
    from lab.testbed.host import serve

    address = os.environ["LAB_ADDRESS"]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    os.umask(0)  # the sniffer is another user
    with Listener(str(CONTROL / role), "AF_UNIX") as listener:
        signal.alarm(_CALLED_WITHIN)  # which ends us: a sniffer that has failed calls nobody
        connection = listener.accept()
        signal.alarm(0)
    try:
        endpoint = wanted().endpoint()
    except UsageError:  # the sniffer says so
        return

    class Host(endpoint):  # type: ignore[misc, valid-type]  # which class it is, the scenario says
        def save(self, name: str, data: bytes, private: bool) -> None:
            """Writes a capture where the sniffer, which is root without any of root's rights, may not."""
            os.umask(0o022)
            with opened(CAPTURES / name, private=private) as file:
                file.write(data)

    serve(connection, Host(family, address))


def wanted() -> Scenario:
    """Returns the scenario that the environment names, with the choices there. Raises UsageError for what is none."""
    named, chosen = scenario(os.environ.get("LAB_SCENARIO") or DEFAULT), os.environ.get("LAB_CHOICES")
    if not chosen:
        return named
    try:
        return named._replace(choices=checked(dict(json.loads(chosen))))
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            Text("LAB_CHOICES are no choices of a scenario", "LAB_CHOICES 不是场景的取值"),
            Text("leave it empty: lab run --variant fills it in", "请留空：lab run --variant 会填写它"),
        ) from error


@contextlib.contextmanager
def play(played: Scenario, rules: Sequence[Rule], _ipv6: bool) -> Iterator[Iterator[Event]]:
    """Plays a scenario between the two other containers. Which addresses those have is in the environment."""
    if rules or played.needs_wire:
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
        told.put(Begun(INTERFACE, names, False, credentials.server_key if credentials else "", sniffer.mac))
        tap = Tap(sniffer, names, told.put)
        hosts = {role: Host(role, addresses[role], channel(role), tap, told.put, played.endpoint) for role in ROLES}
        early = None
        try:
            played.script(Stage(hosts["client"], hosts["server"], tap, credentials, played.choices))
        except SceneEnded as ended:
            early = ended.reason
        except OSError as error:
            early = Text(str(error), str(error))
        told.put(Ended(early, tap.close()))
    except BaseException as error:  # raised where the events are waited for
        told.put(error)


_channels: dict[Role, Connection] = {}


def channel(role: Role) -> Connection:
    """Returns the connection to a host, made when it is first asked for."""
    if role not in _channels:
        _channels[role] = Client(str(CONTROL / role), "AF_UNIX")
    return _channels[role]
