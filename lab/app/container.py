"""The programs inside the containers: `client` and `server` do what the `sniffer` tells them, and it listens.

A fourth program, `wire`, is the whole network-namespace testbed in one container, for scenarios that a tap can't play
and for those whose packets are held; a fifth, `kernel`, explores one.

    python -m lab.app.container client|server|sniffer|wire|kernel
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

from lab.errors import MachineError, UsageError
from lab.protocols.scenario import Scenario
from lab.system.files import opened
from lab.testbed.container import CAPTURES, DEFAULT, ROLES, channel, host, play, wanted
from lab.testbed.control import Control
from lab.testbed.control import parse as command
from lab.testbed.messages import Event, write
from lab.testbed.rules import parse
from lab.text import Text


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    program = sys.argv[1] if len(sys.argv) == 2 else ""
    if program in ROLES:
        host(program)
    elif program == "sniffer":
        # The reader's language is not the image's: it is looked for where the command line looks for it.
        os.environ.update(LC_ALL=os.environ.get("LAB_LANG", ""), LANG=os.environ.get("LAB_LOCALE", ""))
        sys.exit(_sniffer())
    elif program == "wire":
        sys.exit(_wire())
    elif program == "kernel":
        from lab.explore.anywhere import tell_cells

        sys.exit(tell_cells(sys.stdin, _print))
    else:
        sys.exit(f"usage: {(__doc__ or '').strip().splitlines()[-1].strip()}")


def _sniffer() -> int:
    """Plays the scenario; its events go to `lab` on the host, or as a ladder to whoever reads the log."""
    try:
        played = wanted()
        if os.environ.get("LAB_TELL") == "events":
            return tell(play(played, parse(played.rules), False))
        return _ladder(played)
    except UsageError:  # whoever asks for it may be wrong: what is called so is asked for again, and said not to be
        from lab.app.cli import guarded

        return guarded(wanted)
    finally:
        for role in ROLES:  # who was never called waits still, and `up` with it
            with contextlib.suppress(OSError):
                channel(role)


def _wire() -> int:
    """Plays a scenario with network namespaces, all in this container."""
    from lab.testbed import netns

    played, rules = wanted(), parse(filter(None, [os.environ.get("LAB_RULES")]))
    controlled = bool(os.environ.get("LAB_CONTROL"))
    return tell(netns.play(played, rules, bool(os.environ.get("LAB_IPV6")), control=controlled))


def tell(playing: contextlib.AbstractContextManager[Iterator[Event]]) -> int:
    try:
        with playing as events:
            if control := getattr(events, "control", None):
                Thread(target=_obey, args=(control,), daemon=True).start()
            for event in events:
                _print(write(event))
    except MachineError as error:
        _print(write(error))
        return error.status
    return 0


def _obey(control: Control) -> None:
    """Passes on the commands that come in, a line each; where nobody can give any more, the run ends."""
    for line in sys.stdin:
        control.send(command(json.loads(line)))
    control.leave()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _ladder(played: Scenario) -> int:
    from lab.app.cli import LANG, guarded
    from lab.app.formats import write_ladder
    from lab.render.notes import introduction
    from lab.runs.live import Live, ending
    from lab.runs.run import Run

    name = played.name.replace("/", "-") if played.name != DEFAULT else played.name.partition("/")[0]
    source = Live(played, parse(played.rules), False, CAPTURES / f"{name}.pcapng", play, save=_save)

    def draw() -> None:
        introduction(played.name, [], sys.stdout, LANG)
        with Run(source, words=True) as run:
            write_ladder(run, run.packets(), sys.stdout, LANG)
        for line in ending(run):
            _print(line.pick(LANG))

    return guarded(draw)


def _save(file: Path, data: bytes, private: bool) -> None:
    """Has the client write the capture, or writes it: one of the two may, unless the folder is somebody else's.

    The client first, which is an ordinary user: what it writes belongs to whoever has the folder.
    """
    client = channel("client")
    client.send(("save", (file.name, data, private)))
    kind, value, _ = client.recv()
    if kind == "done":
        return
    try:
        with opened(file, private=private) as stream:
            stream.write(data)
    except OSError:
        raise MachineError(
            Text(f"{file} can't be written: {value}", f"无法写入 {file}：{value}"),
            Text(
                "LAB_USER=$(id -u):$(id -g) docker compose up writes it as you",
                "LAB_USER=$(id -u):$(id -g) docker compose up 会以你的身份写入",
            ),
        ) from None


if __name__ == "__main__":
    main()
