"""Real WebSocket conversations without a socket: two ends of the `websockets` library, and all that they wrote."""

from __future__ import annotations

from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from lab.model import Role
from lab.protocols.websocket.messages import Message
from lab.protocols.websocket.session import Said, Session

ISN: dict[Role, int] = {"client": (1 << 32) - 40, "server": 7}  # the client's stream wraps


class Written(NamedTuple):
    """What one end wrote at once."""

    role: Role
    data: bytes


class Talk:
    """Two ends that hear each other at once. `written` is what passed, in order."""

    def __init__(self, deflate: bool = False, takeover: bool = True, subprotocols: tuple[str, ...] = ()) -> None:
        self.written: list[Written] = []
        names = [Subprotocol(each) for each in subprotocols] or None
        ours = [ClientPerMessageDeflateFactory(client_no_context_takeover=not takeover)] if deflate else None
        theirs = [ServerPerMessageDeflateFactory(server_no_context_takeover=not takeover)] if deflate else None
        self.client = ClientProtocol(parse_uri("ws://server.example/chat"), subprotocols=names, extensions=ours)
        self.server = ServerProtocol(subprotocols=names, extensions=theirs)
        self.heard: list[tuple[Role, Frame]] = []

    def open(self) -> Talk:
        self.client.send_request(self.client.connect())
        self.pass_on()
        return self

    def pass_on(self) -> None:
        """Until both have nothing more to say."""
        ends: tuple[tuple[Role, ClientProtocol | ServerProtocol, ClientProtocol | ServerProtocol], ...] = (
            ("client", self.client, self.server),
            ("server", self.server, self.client),
        )
        going = True
        while going:
            going = False
            for role, one, other in ends:
                data = b"".join(one.data_to_send())
                if data:
                    going = True
                    self.written.append(Written(role, data))
                    other.receive_data(data)
                    for event in other.events_received():
                        if isinstance(event, Request):
                            self.server.send_response(self.server.accept(event))
                        elif isinstance(event, Frame):
                            self.heard.append((role, event))

    def close(self) -> Talk:
        self.client.send_close(1000, "done")
        self.pass_on()
        return self


def read(written: list[Written], plain: bool = False, step: int = 0) -> tuple[Session, list[tuple[Role, Said]]]:
    """Has a session read it, in pieces of `step` bytes (0: as it was written); `plain` as TLS would hand it on."""
    session = Session()
    offsets: dict[Role, int] = {"client": 0, "server": 0}
    if not plain:
        session.begins("client", ISN["client"], 1)
        session.begins("server", ISN["server"], 1)
    told: list[tuple[Role, Said]] = []
    number = 0
    for role, data in written:
        for at in range(0, len(data), step or len(data)):
            piece = data[at : at + (step or len(data))]
            number += 1
            start = offsets[role]
            offsets[role] += len(piece)
            if plain:
                said = session.told(role, piece, number, start + len(piece) + 1)
            else:
                said = session.sent(role, (ISN[role] + start) % (1 << 32), start + 1, piece, number, 54)
            told += [(role, each) for each in said]
    return session, told


def messages(told: list[tuple[Role, Said]]) -> list[tuple[Role, Message]]:
    found = []
    for role, said in told:
        message = getattr(said.parsed, "message", None)
        if message is not None:
            found.append((role, message))
    return found


def frame(
    opcode: int, payload: bytes = b"", key: bytes | None = None, fin: bool = True, reserved: int = 0, form: int = 0,
    length: int | None = None,
) -> bytes:  # fmt: skip
    """Returns a frame written by hand; `form` is how many bytes of extended length it has at least (0, 2 or 8)."""
    size = len(payload) if length is None else length
    form = form or (0 if size < 126 else 2 if size < 1 << 16 else 8)
    short = {0: size, 2: 126, 8: 127}[form]
    head = bytes([fin << 7 | reserved << 4 | opcode, (key is not None) << 7 | short]) + (
        size.to_bytes(form, "big") if form else b""
    )
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if key is not None else payload
    return head + (key or b"") + body
