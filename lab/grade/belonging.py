"""Whether a capture is of a variant: its ports, names and texts are in it. That answers no question."""

from __future__ import annotations

from collections.abc import Iterator

from lab.grade.facts import Facts
from lab.grade.variant import Variant
from lab.text import Text

_MASK = 4  # bytes of a key that a text may be masked with


def foreign(variant: Variant, facts: Facts) -> list[Text]:
    """Returns what of a variant a capture does not have, in words for the student; empty where all of it is there."""
    chosen = variant.choices
    ends = [(each.facts["client"]["port"], each.facts["server"]["port"]) for each in facts.conversations]
    found = []
    for at, wanted, whose in ((1, chosen.port, _SERVERS), (0, chosen.client_port, _CLIENTS)):
        if wanted is not None and not any(each[at] == wanted for each in ends):
            found.append(whose.format(wanted))
    said = list(_said(facts))
    for text, what in (
        (chosen.name, _NAMED), (chosen.path, _PATH), (chosen.subprotocol, _NAMED), (chosen.hello, _HELLO),
        (chosen.answer, _ANSWER),
    ):  # fmt: skip
        if text is not None and not any(holds(each, text) for each in said):
            found.append(what.format(text))
    return found


_SERVERS = Text("no connection to the server's port {0}", "没有连到服务器端口 {0} 的连接")
_CLIENTS = Text("no connection from the client's port {0}", "没有来自客户端端口 {0} 的连接")
_NAMED = Text("the name {0} is not in it", "其中没有名称 {0}")
_PATH = Text("the path {0} is not in it", "其中没有路径 {0}")
_HELLO = Text("the client does not say '{0}'", "客户端没有发送“{0}”")
_ANSWER = Text("the server does not say '{0}'", "服务器没有发送“{0}”")


def _said(facts: Facts) -> Iterator[bytes]:
    """Yields all bytes in which something may be said: frames, and what records held when they were opened."""
    for packet in facts.packets:
        if packet.frame is not None:
            yield packet.frame.data
        for message in packet.messages:
            yield from (each.plain for each in message.carriers if each.plain)


def holds(data: bytes, text: str) -> bool:
    """Whether a text is in some bytes, plain or masked with any key of four bytes, as clients mask what they send."""
    wanted = text.encode()
    return wanted in data or (len(wanted) > 2 * _MASK and _differences(wanted) in _differences(data))


def _differences(data: bytes) -> bytes:
    """Returns each byte XOR the one a key's length behind it: the key drops out."""
    left = max(0, len(data) - _MASK)
    return (int.from_bytes(data[:left], "big") ^ int.from_bytes(data[_MASK:], "big")).to_bytes(left, "big")
