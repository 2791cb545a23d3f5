"""A run's containers, however many: named, labelled, and gone when `lab` is; and one that has what namespaces take.

Containers are no children of `lab`, so a process of its own ends them, the sweeper: it waits for its standard input to
be closed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lab.errors import MachineError, UsageError
from lab.system.signals import uninterrupted
from lab.testbed import engine
from lab.text import Text

_SWEPT_WITHIN = 15.0  # seconds
_RIGHTS = (  # AppArmor and a read-only /proc/sys would forbid the parameters of its own namespaces
    "--cap-drop=ALL", "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=NET_RAW", "--network=none", "--init",
    "--security-opt=no-new-privileges", "--security-opt=apparmor=unconfined", "--security-opt=systempaths=unconfined",
    "--read-only", "--memory=256m", "--pids-limit=64",
)  # fmt: skip


class Run(NamedTuple):
    """One run's names: of the compose project and the label, and whose it is; its image, and who takes it down.

    LAB_RUN, as for compose alone, says what the name begins with: so somebody's runs can be told from others'.
    """

    client: engine.Client
    image: str
    name: str
    owner: str
    sweeper: subprocess.Popen[bytes]


@contextlib.contextmanager
def begun() -> Iterator[Run]:
    """Begins a run of containers; leaving the context takes down whatever bears its label.

    Raises MachineError where Docker is not to be had, UsageError for a LAB_RUN that is no name.
    """
    name = _name()
    client = engine.require()
    image = engine.image(client)
    engine.sweep_leftovers(client)
    name = f"{name}-{secrets.token_hex(4)}"
    sweeper = subprocess.Popen(
        [*engine.SWEEPER, name], stdin=subprocess.PIPE, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("LAB_DEBUG") else subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Run(client, image, name, engine.owner(), sweeper)
    except MachineError:
        if os.environ.get("LAB_DEBUG"):
            with contextlib.suppress(MachineError, subprocess.TimeoutExpired):
                sys.stderr.write(client.logs(name) + "\n")
        raise
    finally:
        with uninterrupted():
            if sweeper.stdin:
                with contextlib.suppress(OSError):
                    sweeper.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                sweeper.wait(_SWEPT_WITHIN)


def alone(run: Run, program: str, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """Starts a program of the image in one container that has the rights namespaces take, and no network.

    Its standard input is open: a program that is told nothing need not read it.
    """
    labels = [f"--label=handshake-lab.run={run.name}", f"--label=handshake-lab.owner={run.owner}"]
    environment = [f"--env={name}={value}" for name, value in variables.items()]
    words = ("run", "--rm", "--interactive", *labels, *_RIGHTS, *environment, run.image, program)
    return run.client.start(*words, told=True)


@contextlib.contextmanager
def ended_with_us(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Ends the engine's client that shows a container's output; the container itself is the sweeper's."""
    try:
        yield process
    finally:
        with uninterrupted():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(OSError):  # a line that was not yet passed on
                        stream.close()


def no_start(said: str) -> MachineError:
    """Returns what is said where containers did not start, or ended early, by their last words."""
    last = re.sub(r"^(ERROR|Error response from daemon): *(for \S+ +)?", "", engine.last_words(said))
    return MachineError(
        Text(f"the containers did not start: {last}", f"容器未能启动：{last}"),
        Text("lab doctor looks for the reason; LAB_DEBUG=1 shows more", "lab doctor 会查找原因；LAB_DEBUG=1 显示更多"),
    )  # fmt: skip


def ended_early(process: subprocess.Popen[str], others: list[str], otherwise: str) -> MachineError:
    """Returns what is said where a container's output ends too soon. `others` are its lines that were no message."""
    if process.stderr:
        others += process.stderr.readlines()
    if os.environ.get("LAB_DEBUG"):
        sys.stderr.writelines(others)
    said = "".join(others)
    return no_start(traceback(said) or said or otherwise)


def traceback(said: str) -> str:
    """Returns the last line of the last traceback in what containers have said: the error; empty without one."""
    _, begun, rest = said.rpartition("Traceback (most recent call last):\n")
    return next((line for line in rest.splitlines() if line.strip() and not line.startswith(" ")), "") if begun else ""


def _name() -> str:
    """Returns what a run's name begins with. Raises UsageError where that can't be one of a compose project."""
    name = os.environ.get("LAB_RUN") or "lab"
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,99}", name):
        raise UsageError(
            Text(f"LAB_RUN can't be '{name}'", f"LAB_RUN 不能是“{name}”"),
            Text("take lower-case letters, digits, - and _", "请只用小写字母、数字、- 和 _"),
        )
    return name
