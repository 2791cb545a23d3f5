"""Processes in namespaces of their own, and what is set up inside: the part of the testbed that knows only the kernel.

A process made here dies with the one that made it, and its namespace with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lab.errors import MachineError
from lab.text import Text

CLONE_NEWUSER, CLONE_NEWNET, _PR_SET_PDEATHSIG = 0x10000000, 0x40000000, 1
# include/uapi/linux/ethtool.h, sockios.h
_SIOCETHTOOL = 0x8946
_OFFLOADS = {"tx checksum": 0x17, "TSO": 0x1F, "GSO": 0x24, "GRO": 0x2C}
STOPPING = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}


def require_linux() -> None:
    if sys.platform != "linux":
        raise MachineError(
            Text("network namespaces exist on Linux only", "只有 Linux 才有网络命名空间"),
            Text("Docker plays it too: lab tcp --testbed docker", "也可以用 Docker 运行：lab tcp --testbed docker"),
        )


def enter_namespaces() -> None:
    """Moves this process into a network namespace of its own, inside a user namespace where it has no privileges.

    Raises MachineError where the kernel forbids it.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            with contextlib.suppress(PermissionError):
                unshare(CLONE_NEWNET)
                return
        unshare(CLONE_NEWUSER | CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError as error:
        why = reason(error)
        raise MachineError(
            Text(
                f"this machine does not let you make a network namespace ({why.en})",
                f"这台机器不允许创建网络命名空间（{why.zh}）",
            ),
            Text("lab doctor says why, and the command that mends it", "运行 lab doctor 查看原因和修复命令"),
        ) from error


def fork(work: Callable[[], None], foreign: Sequence[Connection]) -> int:
    """Runs `work` in a child that dies with this process and never returns into our caller's code."""
    parent = os.getpid()
    status = 1
    try:
        child = os.fork()
        if child:
            return child
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; our parent answers it and ends us
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # so does the end of a terminal
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        if not os.environ.get("LAB_DEBUG"):
            sys.unraisablehook = lambda _what: None  # the parent says what is wrong, in two lines
        for connection in foreign:
            connection.close()
        die_with(parent)
        work()
        status = 0
    except Exception:
        if os.getpid() == parent:
            raise
        if os.environ.get("LAB_DEBUG"):
            sys.excepthook(*sys.exc_info())
    finally:
        if os.getpid() != parent:
            os._exit(status)
    raise AssertionError("a child ends above")


@contextlib.contextmanager
def signals_waiting() -> Iterator[None]:
    """Lets no signal come between a fork and the note of it: the child would be forgotten."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with(parent: int) -> None:
    """Asks the kernel to kill this process when `parent` dies; a change of credentials undoes it, so ask again then."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def inside(pid: int) -> Iterator[None]:
    """Visits the network namespace of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


@contextlib.contextmanager
def netlink() -> Iterator[Any]:
    """Lets this namespace be configured. Raises OSError where the kernel refuses."""
    from pyroute2 import IPRoute, NetlinkError

    try:
        with IPRoute() as ip:
            yield ip
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error


def sysctl(name: str, value: str) -> None:
    """Sets a kernel parameter of this namespace, where this kernel has it and lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/sys", name).write_text(value)


def offloads_off(interface: str) -> None:
    """Makes the kernel finish checksums and segment by itself, so that what is captured is what a wire would carry."""
    import fcntl  # not on Windows, where this file is imported to say that it can't be used

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in _OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
            with contextlib.suppress(OSError):
                fcntl.ioctl(any_socket, _SIOCETHTOOL, request)


def reason(error: OSError) -> Text:
    if error.errno == errno.ENOSPC:  # what the kernel says where a limit forbids one more; no disk is full
        return Text("the limit on namespaces is reached", "命名空间数量已达上限")
    words = os.strerror(error.errno) if error.errno else str(error)
    return Text(words, words)
