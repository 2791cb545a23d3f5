"""What may be asked of a wire that holds its frames: commands, how they are written, and what is told of each.

A command is a value. It names a held frame by its number; what it asks for is checked where the frame is, so that a
command that makes no sense changes nothing: it is answered with a message and a hint, and the frame stays held.
Written, a command is a line of words, `delay 3 200ms`, `edit 5 seq=+1 flags=PSH,ACK`, `inject client RST seq=rcv.nxt`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from lab.errors import UsageError
from lab.model import Role
from lab.protocols.transport import FLAGS
from lab.text import Text

Value = int | str | bytes  # "+1" and "-1" are relative to what stands there; bytes are a payload
LONGEST_DELAY = 10_000_000_000  # nanoseconds: less than the patience of a script
ROLES: tuple[Role, Role] = ("client", "server")


class Hold(NamedTuple):
    """Holds every frame from now on; with `on` False no more, and what is held goes on."""

    on: bool


class Release(NamedTuple):
    """Lets a held frame go on: to its receiver, or to what a rule of the run says of it."""

    number: int


class Drop(NamedTuple):
    """Loses a held frame."""

    number: int


class Duplicate(NamedTuple):
    """Delivers a held frame twice."""

    number: int


class Delay(NamedTuple):
    """Delivers a held frame `ns` nanoseconds later; time in which a frame is held does not count."""

    number: int
    ns: int


class Swap(NamedTuple):
    """Delivers a held frame behind its sender's next; alone where none comes within a second of the run."""

    number: int


class Edit(NamedTuple):
    """Drops a held frame and sends a forged one in its place, with these fields changed.

    Fields are named as in `lab.testbed.forge.FIELDS` or as their RFC names them. Checksums are made right again, unless
    one is itself among the fields. The forged frame is held as any other, under a number of its own.
    """

    number: int
    fields: Mapping[str, Value]


class Inject(NamedTuple):
    """Sends a segment that its sender has not sent, on the connection that was seen last.

    `seq` and `ack` are raw numbers or expressions: `snd.nxt`, `rcv.nxt`, `isn`, each may be followed by `+1` or `-1`,
    which may also stand alone. For `seq`, `snd.nxt` (the default) is the number after the last one that the sender has
    put on the wire, and `rcv.nxt` the peer's last acknowledgement number, which is the peer's RCV.NXT unless it still
    delays an ACK. For `ack`, `rcv.nxt` (the default) is the sender's own last acknowledgement number, and `snd.nxt` the
    number after the last one that its peer has sent. `isn` is the initial sequence number: for `seq` the sender's, for
    `ack` the peer's. Without the flag ACK there is no acknowledgement number. `fields` are changed last, as by Edit.
    """

    sender: Role
    flags: str  # names, parted by commas or spaces; empty for none
    seq: int | str = "snd.nxt"
    ack: int | str = "rcv.nxt"
    payload: bytes = b""
    fields: Mapping[str, Value] = {}  # nobody writes to it


class Leave(NamedTuple):
    """Ends the run where it is: what is held, or on its way, is lost."""


Command = Hold | Release | Drop | Duplicate | Delay | Swap | Edit | Inject | Leave
COMMANDS: tuple[type[Command], ...] = (Hold, Release, Drop, Duplicate, Delay, Swap, Edit, Inject, Leave)


class Held(NamedTuple):
    """A frame waits until a command says what becomes of it; `more` says that another is told of next."""

    number: int
    more: bool = False


class Controlled(NamedTuple):
    """What became of a command: done, or refused with a message and a hint. `number` is that of a forged frame."""

    command: Command
    message: Text | None = None
    hint: Text | None = None
    number: int | None = None

    @property
    def done(self) -> bool:
        return self.message is None


class RefusedError(UsageError):
    """A command that makes no sense, or not now. It is told, and raised to nobody."""


class Control:
    """The way in to a run that is held: each method sends a command, from any thread, and comes back at once.

    What became of it is told among the events (`Controlled`). A method returns False where the run is over.
    """

    def __init__(self, send: Callable[[Command], bool]) -> None:
        self.send = send

    def hold(self, on: bool = True) -> bool:
        return self.send(Hold(on))

    def release(self, number: int) -> bool:
        return self.send(Release(number))

    def drop(self, number: int) -> bool:
        return self.send(Drop(number))

    def duplicate(self, number: int) -> bool:
        return self.send(Duplicate(number))

    def delay(self, number: int, ns: int) -> bool:
        return self.send(Delay(number, ns))

    def swap(self, number: int) -> bool:
        return self.send(Swap(number))

    def edit(self, number: int, fields: Mapping[str, Value]) -> bool:
        return self.send(Edit(number, dict(fields)))

    def inject(
        self,
        sender: Role,
        flags: str = "",
        seq: int | str = "snd.nxt",
        ack: int | str = "rcv.nxt",
        payload: bytes = b"",
        **fields: Value,
    ) -> bool:
        return self.send(Inject(sender, flags, seq, ack, payload, fields))

    def leave(self) -> bool:
        return self.send(Leave())


# Reading and writing.

_WAYS = {
    "hold": "hold [off]",
    "release": "release N",
    "drop": "drop N",
    "duplicate": "duplicate N",
    "delay": "delay N 200ms",
    "swap": "swap N",
    "edit": "edit N seq=+1 flags=PSH,ACK payload=text",
    "inject": "inject client RST seq=rcv.nxt",
    "leave": "leave",
}
_DURATION = re.compile(r"(\d{1,12})(ns|us|ms|s)")
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_HEX = re.compile(r"0x(?:[0-9a-f]{2})+", re.IGNORECASE)
_SIMPLE: dict[str, type[Release | Drop | Duplicate | Swap]] = {
    "release": Release, "drop": Drop, "duplicate": Duplicate, "swap": Swap,
}  # fmt: skip


def parse(line: str) -> Command:
    """Reads a command as it is written. Raises RefusedError for any other line."""
    try:
        word, *rest = shlex.split(line) or [""]
    except ValueError as error:
        raise RefusedError(
            Text("a quotation does not end, or a backslash is the last", "引号没有成对，或以反斜杠结尾"),
            Text('for example: payload="don\'t"', '例如：payload="don\'t"'),
        ) from error
    if word not in _WAYS:
        near = get_close_matches(word, _WAYS, 3, 0.5) or list(_WAYS)
        raise RefusedError(
            Text(f"'{_shown(line)}' is no command", f"“{_shown(line)}”不是命令"),
            Text(f"the nearest: {', '.join(near)}", f"相近的有：{'、'.join(near)}"),
        )
    command = _parsed(word, rest)
    if command is None:
        raise RefusedError(
            Text(f"'{_shown(line)}' is not how '{word}' is written", f"“{_shown(line)}”不是 {word} 的写法"),
            Text(f"write: {_WAYS[word]}", f"写法：{_WAYS[word]}"),
        )
    return command


def write(command: Command) -> str:
    """Returns the line that `parse` makes the same command of."""
    if isinstance(command, Hold):
        return "hold" if command.on else "hold off"
    if isinstance(command, Leave):
        return "leave"
    if isinstance(command, Delay):
        return f"delay {command.number} {command.ns}ns"
    if isinstance(command, Edit):
        return shlex.join(["edit", str(command.number), *_assignments(command.fields)])
    if isinstance(command, Inject):
        numbers: dict[str, Value] = {"seq": command.seq, "ack": command.ack}
        if command.payload:
            numbers["payload"] = command.payload
        flags = ",".join(re.split(r"[,\s]+", command.flags.strip())) or "none"
        return shlex.join(["inject", command.sender, flags, *_assignments(numbers), *_assignments(command.fields)])
    return f"{type(command).__name__.lower()} {command.number}"


def _parsed(word: str, rest: list[str]) -> Command | None:
    if word == "hold":
        return Hold(rest != ["off"]) if rest in ([], ["on"], ["off"]) else None
    if word == "inject":
        return _injection(rest)
    if word == "leave":
        return None if rest else Leave()
    if not rest or not re.fullmatch(r"\d{1,9}", rest[0], re.ASCII):
        return None
    number, rest = int(rest[0]), rest[1:]
    if word in _SIMPLE:
        return None if rest else _SIMPLE[word](number)
    if word == "delay":
        found = _DURATION.fullmatch(rest[0]) if len(rest) == 1 else None
        return Delay(number, int(found[1]) * _UNITS[found[2]]) if found else None
    fields = _fields(rest)
    return Edit(number, fields) if fields else None


def _injection(rest: list[str]) -> Inject | None:
    sender: Role | None = next((role for role in ROLES if rest[:1] == [role]), None)
    flags = rest[1] if len(rest) > 1 and "=" not in rest[1] else ""
    fields = _fields(rest[2 if flags else 1 :])
    if sender is None or fields is None:
        return None
    seq, ack, payload = fields.pop("seq", "snd.nxt"), fields.pop("ack", "rcv.nxt"), fields.pop("payload", b"")
    data = payload if isinstance(payload, bytes) else str(payload).encode()
    assert not isinstance(seq, bytes)
    assert not isinstance(ack, bytes)
    return Inject(sender, "" if flags == "none" else flags, seq, ack, data, fields)


def _fields(words: Iterable[str]) -> dict[str, Value] | None:
    found: dict[str, Value] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or name in found:
            return None
        if name == "payload":
            found[name] = bytes.fromhex(value[2:]) if _HEX.fullmatch(value) else value.encode(errors="surrogateescape")
        else:
            found[name] = int(value) if re.fullmatch(r"\d{1,20}", value, re.ASCII) else value
    return found


def _assignments(fields: Mapping[str, Value]) -> list[str]:
    return [f"{name}={'0x' + value.hex() if isinstance(value, bytes) else value}" for name, value in fields.items()]


def _shown(line: str) -> str:
    return line.strip() if len(line) <= 60 else line.strip()[:60] + "…"


# What is refused, and why.


def not_held(number: int, captured: int, held: Iterable[int]) -> RefusedError:
    """Returns what is said of a frame that is not held: `captured` is the last number there is."""
    waiting = ", ".join(map(str, held))
    hint = (
        Text(f"held now: {waiting}", f"现在扣住的是：{waiting}")
        if waiting
        else Text("nothing is held now", "现在没有扣住任何包")
    )
    if 0 < number <= captured:
        return RefusedError(Text(f"packet {number} is not held", f"第 {number} 号包没有被扣住"), hint)
    return RefusedError(Text(f"there is no packet {number} yet", f"还没有第 {number} 号包"), hint)


def check(command: Command) -> None:
    """Raises RefusedError where what a command holds is not of the kind that it says."""
    numbers = [getattr(command, name) for name in ("number", "ns") if hasattr(command, name)]
    right = all(isinstance(each, int) for each in numbers)
    if isinstance(command, Inject):
        right = command.sender in ROLES and isinstance(command.flags, str) and isinstance(command.payload, bytes)
        right = right and isinstance(command.seq, int | str) and isinstance(command.ack, int | str)
    if isinstance(command, Edit | Inject):
        fields = command.fields
        right = right and isinstance(fields, Mapping)
        right = right and all(isinstance(name, str) and isinstance(value, Value) for name, value in fields.items())
    if not right:
        word = type(command).__name__.lower()
        raise RefusedError(
            Text(f"a command '{word}' can't take that", f"命令 {word} 不能带这样的内容"),
            Text(f"as a line: {_WAYS[word]}", f"写成一行：{_WAYS[word]}"),
        )


def check_delay(ns: int) -> None:
    """Raises RefusedError for a delay that is none, or too long."""
    if not 0 < ns <= LONGEST_DELAY:
        raise RefusedError(
            Text(f"a frame can't be delayed by {ns / 1e9:g} s", f"不能把一帧延迟 {ns / 1e9:g} 秒"),
            Text("more than 0 s and at most 10 s", "延迟须大于 0 秒，且不超过 10 秒"),
        )


def flags_of(text: str, before: int = 0) -> int:
    """Returns the control bits that a text names, parted by commas or spaces: `PSH,ACK`; `+FIN`, `-ACK` change those
    that stand there. Raises RefusedError for a name that is none.
    """
    words = [word for word in re.split(r"[,\s]+", text.strip()) if word and word != "none"]
    bits = before if words and all(word[0] in "+-" for word in words) else 0
    for word in words:
        name = word.lstrip("+-").upper()
        if name not in FLAGS:
            raise RefusedError(
                Text(f"there is no flag '{_shown(word)}'", f"没有标志“{_shown(word)}”"),
                Text(f"write names with commas: {', '.join(FLAGS)}", f"写名称，用逗号隔开：{', '.join(FLAGS)}"),
            )
        bit = 1 << FLAGS.index(name)
        bits = bits & ~bit if word[0] == "-" else bits | bit
    return bits
