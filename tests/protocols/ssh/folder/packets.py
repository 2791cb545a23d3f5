"""What SSH's transport layer says in the clear, byte by byte: the identification string and the binary packets.

RFC 4253 sections 4.2, 6, 7 and 11; ECDH's messages RFC 5656 section 4. Every field keeps its place in the message, and
what is cut short or makes no sense is told as such, never raised. Names of messages are the RFCs' without SSH_MSG_.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lab.model import Detail

IDENTIFIES = b"SSH-"
LONGEST_LINE = 8192  # bytes: section 4.2 allows 255 for the version, nothing is said of the lines before it
MOST_LINES = 64
MOST_BEFORE = 1 << 15  # bytes of lines before the version
LARGEST = 1 << 18  # bytes of a packet: section 6.1 asks for 35,000, OpenSSH takes so many
LEAST_PADDING, BLOCK = 4, 8  # bytes, before there is a cipher (section 6)

DISCONNECT, SERVICE_REQUEST, SERVICE_ACCEPT, KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 1, 5, 6, 20, 21, 30, 31
_NAMES = {
    DISCONNECT: "DISCONNECT",
    2: "IGNORE",
    3: "UNIMPLEMENTED",
    4: "DEBUG",
    SERVICE_REQUEST: "SERVICE_REQUEST",
    SERVICE_ACCEPT: "SERVICE_ACCEPT",
    7: "EXT_INFO",
    KEXINIT: "KEXINIT",
    NEWKEYS: "NEWKEYS",
}
# What the numbers from 30 on mean is the key exchange method's affair: by the beginning of its name.
_METHODS: tuple[tuple[tuple[str, ...], dict[int, str]], ...] = (
    (("curve25519-", "curve448-", "ecdh-"), {KEX_INIT: "KEX_ECDH_INIT", KEX_REPLY: "KEX_ECDH_REPLY"}),
    (
        ("diffie-hellman-group-exchange-",),
        {
            30: "KEX_DH_GEX_REQUEST_OLD", 31: "KEX_DH_GEX_GROUP", 32: "KEX_DH_GEX_INIT", 33: "KEX_DH_GEX_REPLY",
            34: "KEX_DH_GEX_REQUEST",
        },
    ),
    (("diffie-hellman-",), {KEX_INIT: "KEXDH_INIT", KEX_REPLY: "KEXDH_REPLY"}),
    (("mlkem", "sntrup"), {KEX_INIT: "KEX_HYBRID_INIT", KEX_REPLY: "KEX_HYBRID_REPLY"}),
)  # fmt: skip
# What the table calls them.
EVENTS = {
    **dict.fromkeys(("KEX_ECDH_INIT", "KEXDH_INIT", "KEX_DH_GEX_INIT", "KEX_HYBRID_INIT"), "KEX_INIT"),
    **dict.fromkeys(("KEX_ECDH_REPLY", "KEXDH_REPLY", "KEX_DH_GEX_REPLY", "KEX_HYBRID_REPLY"), "KEX_REPLY"),
    **{name: name for name in ("identification", "KEXINIT", "NEWKEYS", "DISCONNECT")},
}

LISTS = (
    "kex_algorithms", "server_host_key_algorithms", "encryption_algorithms_client_to_server",
    "encryption_algorithms_server_to_client", "mac_algorithms_client_to_server", "mac_algorithms_server_to_client",
    "compression_algorithms_client_to_server", "compression_algorithms_server_to_client", "languages_client_to_server",
    "languages_server_to_client",
)  # fmt: skip
REASONS = {
    1: "HOST_NOT_ALLOWED_TO_CONNECT", 2: "PROTOCOL_ERROR", 3: "KEY_EXCHANGE_FAILED", 4: "RESERVED", 5: "MAC_ERROR",
    6: "COMPRESSION_ERROR", 7: "SERVICE_NOT_AVAILABLE", 8: "PROTOCOL_VERSION_NOT_SUPPORTED",
    9: "HOST_KEY_NOT_VERIFIABLE", 10: "CONNECTION_LOST", 11: "BY_APPLICATION", 12: "TOO_MANY_CONNECTIONS",
    13: "AUTH_CANCELLED_BY_USER", 14: "NO_MORE_AUTH_METHODS_AVAILABLE", 15: "ILLEGAL_USER_NAME",
}  # fmt: skip


class Read(NamedTuple):
    """A message taken apart: its number, what its fields hold, where each lies, and what is wrong with it."""

    number: int | None
    name: str
    values: dict[str, Any]
    fields: tuple[Detail, ...]
    problems: tuple[str, ...]


class _Sheet:
    """Takes a message apart from its beginning on. Offsets are in the message."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stop = len(data)
        self.depth = 0
        self.short = False
        self.fields: list[Detail] = []
        self.values: dict[str, Any] = {}

    def put(self, name: str, size: int, show: Callable[[bytes], str]) -> bytes:
        """Takes a field of so many bytes; of one that is cut short, what is there."""
        found = self.data[self.at : min(self.at + size, self.stop)]
        self.short = self.short or len(found) < size
        if found:
            self.fields.append(Detail(self.depth, name, self.at, self.at + len(found), show(found)))
        self.at += len(found)
        return found

    def number(self, name: str, size: int = 4, show: Callable[[int], str] = str) -> int:
        found = int.from_bytes(self.put(name, size, lambda data: show(int.from_bytes(data, "big"))), "big")
        self.values[name] = found
        return found

    def string(self, name: str, show: Callable[[bytes], str]) -> bytes:
        """Takes bytes behind their length (RFC 4251 section 5)."""
        size = int.from_bytes(self.put(f"{name} length", 4, _number), "big")
        found = self.put(name, size, show) if not self.short else b""
        self.values[name] = found
        return found

    def names(self, name: str) -> None:
        """Takes a name-list: names parted by commas, behind their length (RFC 4251 section 5)."""
        found = self.string(name, _text).decode("ascii", "replace")
        self.values[name] = tuple(found.split(",")) if found else ()

    def inside(self, outer: str, *names: tuple[str, Callable[[bytes], str]]) -> None:
        """Takes apart the string that was read last: strings in a string, as keys and signatures are."""
        last = self.fields[-1] if self.fields else None
        if last is None or last.name != outer or self.short:
            return
        behind = self.at, self.stop
        self.at, self.stop, self.depth = last.start, last.end, self.depth + 1
        for name, show in names:
            if self.at < self.stop and not self.short:
                self.string(name, show)
        (self.at, self.stop), self.depth = behind, self.depth - 1


def identification(data: bytes, line_at: int) -> Read:
    """Returns the version that an end says, with the lines that it has said before; `line_at` is where that begins."""
    sheet = _Sheet(data)
    while sheet.at < line_at:
        sheet.put("line before", data.index(b"\n", sheet.at) + 1 - sheet.at, lambda line: _text(line.rstrip(b"\r\n")))
    line = data[line_at:].removesuffix(b"\n").removesuffix(b"\r")
    version, dash, rest = line[len(IDENTIFIES) :].partition(b"-")
    software, space, comments = rest.partition(b" ")
    sheet.put("SSH-", len(IDENTIFIES), _text)
    for name, value, parted in (
        ("protoversion", version, dash), ("softwareversion", software, space), ("comments", comments, b""),
    ):  # fmt: skip
        if value:
            sheet.put(name, len(value), _text)
        sheet.at += len(parted)
    sheet.put("line end", len(data) - sheet.at, lambda end: "CR LF" if end == b"\r\n" else "LF")
    problems = []
    if version not in (b"2.0", b"1.99"):
        problems.append("old-version")
    if not data.endswith(b"\r\n"):
        problems.append("bare-newline")
    if len(line) > 253:
        problems.append("long-version")
    values = {"line": line, "before": data[:line_at].splitlines(), "version": version, "software": software}
    return Read(None, "identification", values, tuple(sheet.fields), tuple(problems))


def packet(data: bytes, method: str | None) -> Read:
    """Returns an unencrypted packet, whole as it was sent; `method` is the key exchange method that is agreed on."""
    sheet = _Sheet(data)
    size, padding = sheet.number("packet_length"), sheet.number("padding_length", 1)
    sheet.stop = max(4 + size - padding, sheet.at)
    payload = data[sheet.at : sheet.stop]
    number = sheet.number("message number", 1, lambda found: f"{found} {name_of(found, method)}") if payload else None
    name = name_of(number, method)
    read = _READERS.get(name)
    if read is not None and number is not None:
        read(sheet)
    short = sheet.short
    if sheet.at < sheet.stop:
        sheet.put("data", sheet.stop - sheet.at, _dump)
    sheet.stop = len(data)
    if padding:
        sheet.put("padding", padding, _dump)
    problems = ["cut-short"] * short + ["misaligned"] * bool((4 + size) % BLOCK)
    return Read(number, name, {**sheet.values, "payload": payload}, tuple(sheet.fields), tuple(problems))


def sealed(data: bytes, tag: int) -> Read:
    """Returns an encrypted packet whose length can be read, with `tag` bytes of authentication behind it."""
    sheet = _Sheet(data)
    sheet.number("packet_length")
    sheet.put("encrypted", len(data) - 4 - tag, _dump)
    sheet.put("authentication", tag, _dump)
    return Read(None, ENCRYPTED, {"size": len(data)}, tuple(sheet.fields), ())


ENCRYPTED, BAD, UNKNOWN = "encrypted-packet", "bad-packet", "unknown-message"
SEALED = Read(None, ENCRYPTED, {}, (), ())  # where not even its length can be read
BROKEN = Read(None, BAD, {}, (), ("no-packet",))


def sound(size: int, padding: int) -> bool:
    """Whether a packet can have this packet_length and padding_length (section 6)."""
    return LEAST_PADDING <= padding < size <= LARGEST


def name_of(number: int | None, method: str | None) -> str:
    """Returns a message's name, in a key exchange by this method."""
    if number in _NAMES:
        return _NAMES[number]
    for beginnings, names in _METHODS:
        if method is not None and method.startswith(beginnings):
            return names.get(number or 0, UNKNOWN)
    return UNKNOWN


def _kexinit(sheet: _Sheet) -> None:
    sheet.values["cookie"] = sheet.put("cookie", 16, _dump)
    for name in LISTS:
        if not sheet.short:
            sheet.names(name)
    sheet.number("first_kex_packet_follows", 1)
    sheet.number("reserved")


def _ecdh_init(sheet: _Sheet) -> None:
    sheet.string("Q_C", _dump)


def _ecdh_reply(sheet: _Sheet) -> None:
    sheet.string("K_S", _nothing)
    sheet.inside("K_S", ("key type", _text), ("key", _dump))
    sheet.string("Q_S", _dump)
    sheet.string("signature", _nothing)
    sheet.inside("signature", ("signature type", _text), ("signature value", _dump))


def _disconnect(sheet: _Sheet) -> None:
    sheet.number("reason code", 4, lambda code: f"{code} {REASONS.get(code, '?')}")
    sheet.string("description", _text)
    sheet.string("language tag", _text)


def _service(sheet: _Sheet) -> None:
    sheet.string("service name", _text)


_READERS: dict[str, Callable[[_Sheet], None]] = {
    "KEXINIT": _kexinit,
    "KEX_ECDH_INIT": _ecdh_init,
    "KEX_ECDH_REPLY": _ecdh_reply,
    "DISCONNECT": _disconnect,
    "SERVICE_REQUEST": _service,
    "SERVICE_ACCEPT": _service,
}


def _number(data: bytes) -> str:
    return str(int.from_bytes(data, "big"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _dump(data: bytes) -> str:
    return data[:32].hex(" ") + (" …" if len(data) > 32 else "")


def _nothing(_data: bytes) -> str:
    return ""
