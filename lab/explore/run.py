"""Has a process of its own play cells, in an empty network namespace: it ends with whoever asks, and all with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, Pipe

from lab.errors import LabError, MachineError
from lab.explore.isns import opened
from lab.explore.machine import Machine
from lab.explore.play import Asked, play
from lab.explore.told import Connections, Kernel, Told
from lab.protocols.exploration import Options
from lab.protocols.registry import TRANSPORT
from lab.system import processes
from lab.system.signals import uninterrupted
from lab.testbed.namespaces import enter_namespaces, reason
from lab.text import Text

_PATIENCE = 2.0  # seconds


def explored(asked: Sequence[Asked] | Connections, options: Options) -> Iterator[Told]:
    """Yields which kernel it is, what that does in each of the cells, in their order, and before a way's cells how it
    came there; or the connections that it has opened.

    Raises MachineError where namespaces are not to be had.
    """
    if sys.platform != "linux":
        recorded = f"lab notes {TRANSPORT.name} --coverage"
        raise MachineError(
            Text("only Linux lets itself be explored", "只有 Linux 内核可以这样探索"),
            Text(f"what was found on one is shown by {recorded}", f"{recorded} 会显示在 Linux 上得到的结果"),
        )
    child = 0
    try:
        try:
            with processes.signals_waiting():
                ours, theirs = Pipe(duplex=False)
                child = processes.fork(lambda: _kernel(theirs, asked, options), (ours,))
                theirs.close()
        except OSError as error:
            raise _refused(error) from error
        while (told := _next(ours, child)) is not None:
            yield told
    finally:
        if child:
            with uninterrupted():
                ours.close()
                processes.end(child)


def _next(connection: Connection, child: int) -> Told | None:
    try:
        told = connection.recv()
    except (EOFError, OSError):
        processes.wait_for_any([child], _PATIENCE)
        how = processes.ended(child)
        raise MachineError(
            Text(f"the process with the kernel ended unexpectedly ({how.en})", f"内核所在的进程意外终止（{how.zh}）"),
            Text("try again; LAB_DEBUG=1 shows its last words", "请重试；LAB_DEBUG=1 会显示它最后的输出"),
        ) from None
    if isinstance(told, LabError):
        raise told
    found: Told | None = told
    return found


def _kernel(connection: Connection, asked: Sequence[Asked] | Connections, options: Options) -> None:
    """The process with the kernel: plays the cells and tells them, and at the end None, or what went wrong."""
    parent = os.getppid()
    try:
        enter_namespaces()
        processes.die_with(parent)
        machine = Machine(options)
        connection.send(Kernel(os.uname().release))
        for found in _all(machine, asked, options):
            connection.send(found)
        connection.send(None)
    except LabError as error:
        connection.send(error)
    except BrokenPipeError:
        return
    except OSError as error:
        connection.send(_refused(error))


def _all(machine: Machine, asked: Sequence[Asked] | Connections, options: Options) -> Iterator[Told]:
    if isinstance(asked, Connections):
        return opened(asked.number, machine.family)
    return play(machine, asked, options)


def _refused(error: OSError) -> MachineError:
    why = reason(error)
    return MachineError(
        Text(f"a kernel could not be set up: {why.en}", f"无法准备内核环境：{why.zh}"),
        Text("lab doctor says what this machine lacks", "运行 lab doctor 查看这台机器缺少什么"),
    )
