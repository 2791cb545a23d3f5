"""The toolbar that Wireshark shows for the lab's interface: what is in it, and the packets in which both talk of it.

A control packet is `T`, three bytes of length (of all that follows), the control's number, a command, its payload.
Source: Wireshark Developer's Guide, section "Toolbar Controls". Wireshark without a window has no toolbar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from lab.text import Lang, Text


class Control(IntEnum):
    """The controls, in their order."""

    HELD = 0
    RELEASE = 1
    DROP = 2
    DUPLICATE = 3
    UNTIL = 4
    RUN = 5
    KERNELS = 6
    LOG = 7


class Order(IntEnum):
    """What a control packet says. Wireshark sends the first two, we all but the first."""

    INITIALIZED = 0
    SET = 1
    ADD = 2
    REMOVE = 3
    ENABLE = 4
    DISABLE = 5
    STATUS = 6


class Message(NamedTuple):
    """A control packet."""

    control: int
    order: int
    payload: bytes = b""

    def packed(self) -> bytes:
        return _SYNC + (len(self.payload) + 2).to_bytes(3, "big") + bytes((self.control, self.order)) + self.payload


MOST = 0xFFFF  # bytes of a payload
_SYNC, _HEADER = b"T", 4
_RUN_ON, _HOLD = Text("Run on", "继续运行"), Text("Hold", "暂停")
_BY_HAND = (Control.HELD, Control.RELEASE, Control.DROP, Control.DUPLICATE)  # which need a packet that is held

_SHOWN: Mapping[Control, tuple[str, Text, Text]] = {  # type, what it is called, what the mouse finds
    Control.HELD: (
        "selector",
        Text("Held", "扣住"),
        Text("The packet that the buttons are about", "按钮所针对的数据包"),
    ),
    Control.RELEASE: (
        "button",
        Text("Release", "放行"),
        Text("Lets the held packet go on to its receiver", "让扣住的数据包继续前往接收方"),
    ),
    Control.DROP: ("button", Text("Drop", "丢弃"), Text("Loses the held packet", "丢掉扣住的数据包")),
    Control.DUPLICATE: (
        "button",
        Text("Duplicate", "复制"),
        Text("Delivers the held packet twice", "把扣住的数据包送达两次"),
    ),
    Control.UNTIL: (
        "string",
        Text("Run until", "运行到"),
        Text(
            "Enter lets packets go until one is FIN, client data, server=CLOSE-WAIT, 7, a step of the notes; or: end",
            "回车后放行，直到某个包是 FIN、client data、server=CLOSE-WAIT、7 或讲义的某一步；或 end",
        ),
    ),
    Control.RUN: (
        "button",
        _RUN_ON,
        Text("Lets packets go by themselves, or holds again", "让数据包自行通过，或重新扣住"),
    ),
    Control.KERNELS: (  # a line to read: Wireshark makes a selector as wide as what is in it
        "selector",
        Text("Kernels", "内核"),
        Text("The states of both sockets, as both kernels tell them", "两端内核所说的套接字状态"),
    ),
    Control.LOG: ("button", Text("Log", "日志"), Text("All that has happened so far", "到目前为止发生的一切")),
}


def sentences(lang: Lang) -> Iterator[str]:
    """Yields the lines that describe the toolbar to Wireshark."""
    for control, (kind, name, tip) in _SHOWN.items():
        role = "{role=logger}" if control is Control.LOG else ""
        words = f"{{display={name.pick(lang)}}}{{tooltip={tip.pick(lang)}}}"
        yield f"control {{number={control.value}}}{{type={kind}}}{role}{words}"


class Reader:
    """Takes control packets out of the bytes that come, however they are cut. Raises ValueError for what is none."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        self._bytes += data
        while len(self._bytes) >= _HEADER:
            end = _HEADER + int.from_bytes(self._bytes[1:_HEADER], "big")
            if self._bytes[:1] != _SYNC or not _HEADER + 2 <= end <= _HEADER + 2 + MOST:
                raise ValueError("no control packet")
            if len(self._bytes) < end:
                return
            packet, self._bytes = self._bytes[:end], self._bytes[end:]
            yield Message(packet[4], packet[5], packet[6:])


class Panel:
    """What the toolbar shows. `send` takes each control packet; nobody waits for an answer."""

    def __init__(self, send: Callable[[Message], object], lang: Lang) -> None:
        self._send = send
        self._lang: Lang = lang

    def begin(self) -> None:
        """Shows what there is before the first packet."""
        self._set(Control.LOG, "")
        self.held([], None)

    def status(self, text: Text) -> None:
        """Says something in the status bar, where it stands for some seconds."""
        self._send(Message(0, Order.STATUS, _cut(text.pick(self._lang))))

    def log(self, text: Text) -> None:
        """Adds a line to the log."""
        self._send(Message(Control.LOG, Order.ADD, _cut(text.pick(self._lang), MOST - 1) + b"\n"))

    def held(self, packets: Sequence[tuple[int, Text]], chosen: int | None) -> None:
        """Shows which packets are held, and which of them is meant."""
        self._send(Message(Control.HELD, Order.REMOVE))
        for number, text in packets:
            value = f"{number}\0{number} {text.pick(self._lang)}"
            self._send(Message(Control.HELD, Order.ADD, _cut(value)))
        if chosen is not None:
            self._set(Control.HELD, str(chosen))
        for control in _BY_HAND:
            self._send(Message(control, Order.ENABLE if packets else Order.DISABLE))

    def running(self, until: str | None) -> None:
        """Shows how far packets go by themselves; None where each is held."""
        self._set(Control.RUN, (_RUN_ON if until is None else _HOLD).pick(self._lang))
        self._set(Control.UNTIL, until or "")

    def kernels(self, text: Text) -> None:
        """Shows what both kernels say."""
        self._send(Message(Control.KERNELS, Order.REMOVE))
        self._send(Message(Control.KERNELS, Order.ADD, _cut(text.pick(self._lang))))

    def _set(self, control: Control, value: str) -> None:
        self._send(Message(control, Order.SET, _cut(value)))


def _cut(text: str, most: int = MOST) -> bytes:
    """Returns text as UTF-8, cut between characters to what a payload holds."""
    return text.encode()[:most].decode(errors="ignore").encode()
