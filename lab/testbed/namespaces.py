"""Namespaces of a process's own, and what is set up inside: the part of the testbed that knows only the kernel.

A namespace ends with the last process in it, and the lab's (lab/system/processes.py) end with the lab.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.errors import MachineError
from lab.text import Text

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
# include/uapi/linux/ethtool.h, sockios.h
_SIOCETHTOOL = 0x8946
_OFFLOADS = {"tx checksum": 0x17, "TSO": 0x1F, "GSO": 0x24, "GRO": 0x2C}


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
