"""What Python's `ssl` has no call for: the OpenSSL that it uses is asked itself, about the object that it keeps.

Where that is out of reach, on another Python or with another layout, each call says so, and `out_of_reach` beforehand.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys
from functools import cache
from typing import Any

from lab.text import Text

# OpenSSL's ssl.h: SSL_CTRL_SET_GROUPS_LIST, SSL_KEY_UPDATE_REQUESTED, SSL_READ_EARLY_DATA_ERROR
_SET_GROUPS_LIST, _UPDATE_REQUESTED, _EARLY_DATA_ERROR = 92, 1, 0
_RECORD = 1 << 14  # bytes: RFC 9846 section 5.1


def choose_groups(context: ssl.SSLContext, groups: str) -> None:
    """Has a context offer or accept these groups alone, in OpenSSL's notation, with a key share of the first.

    Before Python 3.15 `ssl` can name one curve, and no hybrid group (RFC 10024), which is none: so OpenSSL itself is
    asked. Raises ssl.SSLError where it does not know one of them, or can't be asked.
    """
    wanted = groups.strip(":")
    if hasattr(context, "set_groups"):
        context.set_groups(wanted)
        return
    place = _openssl() and _place_of_context(context)
    if not place or _openssl().SSL_CTX_ctrl(place, _SET_GROUPS_LIST, 0, wanted.encode()) != 1:
        raise ssl.SSLError(f"OpenSSL has no groups {wanted}")


@cache
def lacking(group: str) -> Text | None:
    """Returns why no connection of this machine's Python can have a group; None where it can."""
    try:
        choose_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), group)
    except ssl.SSLError:
        return Text(
            f"{group} needs OpenSSL 3.5 or later, and this Python has {ssl.OPENSSL_VERSION}",
            f"{group} 需要 OpenSSL 3.5 或更新的版本，而这个 Python 使用的是 {ssl.OPENSSL_VERSION}",
        )
    return None


def update_keys(connection: ssl.SSLSocket) -> None:
    """Has a connection send KeyUpdate with its next handshake, and ask for the peer's. Raises OSError."""
    place = _place_of(connection)
    if place is None or _openssl().SSL_key_update(place, _UPDATE_REQUESTED) != 1:
        raise OSError("OpenSSL updates no keys here")


def allow_early(context: ssl.SSLContext, most: int) -> None:
    """Has a server take so many bytes of early data with each of the tickets it hands out. Raises OSError."""
    if _openssl() is None:
        raise OSError("OpenSSL takes no early data here")
    _openssl().SSL_CTX_set_max_early_data(_place_of_context(context), most)


def send_early(connection: ssl.SSLSocket, data: bytes) -> None:
    """Sends the ClientHello and data behind it. Raises OSError, also where the session allows none."""
    place, written = _place_of(connection), ctypes.c_size_t()
    if place is None or _openssl().SSL_write_early_data(place, data, len(data), ctypes.byref(written)) != 1:
        raise OSError("OpenSSL sends no early data here")


def receive_early(connection: ssl.SSLSocket) -> bytes:
    """Returns early data, nothing at its end. Raises OSError: BlockingIOError where it is still to come."""
    place, room, read = _place_of(connection), ctypes.create_string_buffer(_RECORD), ctypes.c_size_t()
    if place is None:
        raise OSError("OpenSSL reads no early data here")
    said = _openssl().SSL_read_early_data(place, room, _RECORD, ctypes.byref(read))
    if said == _EARLY_DATA_ERROR:
        if _openssl().SSL_get_error(place, said) == ssl.SSL_ERROR_WANT_READ:
            raise BlockingIOError
        raise OSError("no early data can be read")
    return room.raw[: read.value]


@cache
def out_of_reach() -> Text | None:
    """Returns why `ssl`'s connections can't be told what it has no call for; None where they can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if _place_of(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())) is None:
        return Text("this Python keeps OpenSSL out of reach", "这个 Python 无法直接调用 OpenSSL")
    return None


@cache
def _openssl() -> Any:
    """Returns the OpenSSL that `ssl` itself uses; None where that can't be reached."""
    if sys.implementation.name != "cpython":
        return None
    try:
        found = ctypes.CDLL(_ssl.__file__)
        found.SSL_CTX_ctrl.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
        found.SSL_CTX_ctrl.restype = ctypes.c_long
        found.SSL_key_update.argtypes = (ctypes.c_void_p, ctypes.c_int)
        found.SSL_get_error.argtypes = (ctypes.c_void_p, ctypes.c_int)
        found.SSL_CTX_set_max_early_data.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        early = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)
        found.SSL_write_early_data.argtypes = found.SSL_read_early_data.argtypes = early
    except (AttributeError, OSError):
        return None
    return found


def _place_of_context(context: ssl.SSLContext) -> int | None:
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value  # behind CPython's header


def _place_of(connection: Any) -> int | None:
    """Returns where OpenSSL's own object of a connection is, None where that can't be reached.

    In CPython's `PySSLSocket` (Modules/_ssl.c) it stands between the socket and the context. If that is not what stands
    there, this Python has another layout.
    """
    if _openssl() is None:
        return None
    pointers = (ctypes.c_void_p * 3).from_address(id(connection._sslobj) + object.__basicsize__)
    return pointers[1] if pointers[2] == id(connection.context) else None
