"""Where a kernel is explored: on this machine, or where that has no namespaces, or is not Linux, in a container."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from lab.errors import MachineError
from lab.explore.play import Asked
from lab.explore.run import explored
from lab.explore.told import Connections, Over, Told, read, read_asked, write, write_asked
from lab.protocols.exploration import Options
from lab.testbed.auto import require_docker
from lab.testbed.containers import alone, begun, ended_early, ended_with_us


def explored_on(testbed: str, asked: Sequence[Asked] | Connections, options: Options) -> Iterator[Told]:
    """Yields what `explored` does; `auto` is this machine's kernel, where it has namespaces, else the Docker engine's.

    Raises MachineError where neither is to be had.
    """
    if testbed != "docker":
        here = explored(asked, options)
        try:
            first = next(here)
        except MachineError as refused:
            if testbed == "netns":
                raise
            require_docker(refused)
        else:
            yield first
            yield from here
            return
    yield from _explored_there(asked, options)


def _explored_there(asked: Sequence[Asked] | Connections, options: Options) -> Iterator[Told]:
    """Yields what `explored` does, of the kernel that the Docker engine runs on."""
    with begun() as run, ended_with_us(alone(run, "kernel", {})) as process:
        if process.stdin:
            with contextlib.suppress(OSError):  # it has not started: its last words say why
                process.stdin.write(write_asked(asked, options) + "\n")
                process.stdin.flush()
        others: list[str] = []
        for line in process.stdout or ():
            try:
                told = read(line)
            except ValueError:
                others.append(line)
                continue
            if isinstance(told, Over):
                return
            yield told
        raise ended_early(process, others, "the container with the kernel ended early")


def tell_cells(asked: TextIO, tell: Callable[[str], object]) -> int:
    """The program in the container: reads which cells are asked for, explores, and tells a line each."""
    try:
        for found in explored(*read_asked(asked.readline())):
            tell(write(found))
        tell(write(Over()))
    except MachineError as error:
        tell(write(error))
        return error.status
    return 0
