"""Secrets as somebody gives them: a key log or a private key, in bytes or in a file."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path as File

from lab.errors import InputError
from lab.protocols.registry import UPPERS
from lab.text import Text

Secret = bytes | str | PathLike[str] | None
_MOST_SECRET = 64 << 20  # bytes of a file of secrets


def secrets(keylog: Secret, server_key: Secret) -> tuple[bytes, bytes]:
    """Returns a key log and a server's key that are given as bytes or as the paths of files.

    Raises InputError where a file can't be read, or is not what it is given for.
    """
    log, key = _secret(keylog), _secret(server_key)
    for given, of in ((keylog, (log, b"")), (server_key, (b"", key))):
        if given is None or isinstance(given, bytes):
            continue
        why = [each.refuses(*of) for each in UPPERS if each.refuses is not None]
        if why and all(why):  # nobody can do anything with it
            assert why[0] is not None
            raise _no_secrets(fspath(given), why[0])
    return log, key


def _secret(given: Secret) -> bytes:
    if given is None or isinstance(given, bytes):
        return given or b""
    path = File(fspath(given))
    try:
        with path.open("rb") as file:
            found = file.read(_MOST_SECRET + 1)
    except OSError as error:
        raise InputError(
            Text(f"{path} can't be read: {error.strerror}", f"无法读取 {path}：{error.strerror}"),
            Text("give a file of secrets that you may read", "请给出一个可读取的密钥文件"),
        ) from error
    if not 0 < len(found) <= _MOST_SECRET:
        most = _MOST_SECRET >> 20
        why = Text("is larger than {0} MB", "超过 {0} MB").format(most) if found else Text("is empty", "是空的")
        raise _no_secrets(str(path), why)
    return found


def _no_secrets(path: str, why: Text) -> InputError:
    return InputError(
        Text(f"{path} {why.en}", f"{path} {why.zh}"),
        Text("give a key log or a private key, or leave the option out", "请给出密钥日志或私钥，或去掉该选项"),
    )
