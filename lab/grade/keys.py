"""Touches files: the course's key. It stands in one file, which nobody else may read, and in nothing that goes out."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

from lab.errors import InputError, MachineError, UsageError
from lab.system import files
from lab.text import Text

_BYTES = 32
_MARK = "handshake-lab course key: "  # so that nobody takes another file of hexadecimal digits for one
_WRITTEN = re.compile(re.escape(_MARK) + f"([0-9a-f]{{{2 * _BYTES}}})\\s*")


def make(path: Path) -> None:
    """Writes a new key, which only its owner can read. Raises UsageError where a file of that name is there already:
    without the old key no variant of the course can be derived any more."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            Text(f"{path} is there already", f"{path} 已存在"),
            Text("a key is never overwritten: name another file", "密钥不会被覆盖：请换一个文件名"),
        ) from None
    except OSError as error:
        raise _refused(path, error) from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_MARK}{secrets.token_hex(_BYTES)}\n")
            if user := files.caller():
                os.fchown(file.fileno(), *user)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        with contextlib.suppress(OSError):
            path.unlink()
        if isinstance(error, OSError):
            raise _refused(path, error) from error
        raise


def read(path: Path) -> bytes:
    """Returns the key in a file. Raises InputError where there is none."""
    try:
        with path.open("rb") as file:
            found = _WRITTEN.fullmatch(file.read(4096).decode("ascii", "replace"))
    except OSError as error:
        raise InputError(
            Text(f"{path} can't be read: {error.strerror}", f"无法读取 {path}：{error.strerror}"), _MAKE
        ) from error
    if found is None:
        raise InputError(Text(f"{path} is no course key", f"{path} 不是课程密钥"), _MAKE)
    return bytes.fromhex(found[1])


def exposed(path: Path) -> bool:
    """Whether others than its owner can read it."""
    return bool(path.stat().st_mode & 0o077)


_MAKE = Text("lab assign --new-key FILE makes one", "lab assign --new-key 文件 可生成一个")


def _refused(path: Path, error: OSError) -> MachineError:
    return MachineError(
        Text(f"{path} can't be written: {error.strerror}", f"无法写入 {path}：{error.strerror}"),
        Text("name a file in a folder of yours", "请指定你自己目录中的文件"),
    )
