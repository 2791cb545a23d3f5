"""The programs on the two hosts: a WebSocket client and server, over TCP or over TLS, each call a command.

The protocol is the `websockets` library's, of which only the part without sockets is used: it says which bytes to send,
and is told which have come. So nothing happens between two commands: even the answer to a ping waits for `pump`.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState, ProtocolError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from lab.protocols.tcp.endpoints import ROOM
from lab.protocols.tls import endpoints
from lab.protocols.tls.endpoints import in_words
from lab.protocols.websocket.http import VERSION
from lab.text import Text

_LARGEST = 1 << 20  # bytes of a message that an end takes, where it is not told otherwise
_SILENT = logging.Logger("lab.websocket", logging.CRITICAL + 1)  # what goes wrong is seen on the wire


class Endpoint(endpoints.Endpoint):
    """One end. Until `upgrade` or `accept_upgrade` it is TCP's, or after `secure` TLS's."""

    WAITS: ClassVar[Mapping[str, Text]] = {
        **endpoints.Endpoint.WAITS,
        "accept_upgrade": Text("the request to upgrade", "升级请求"),
        "pump": Text("what its peer sends", "对端发送的内容"),
        **dict.fromkeys(
            ("upgrade", "send_text", "send_binary", "send_continuation", "ping", "close_websocket", "send_bytes"), ROOM
        ),
    }

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        super().__init__(family, address)
        self._protocol: ClientProtocol | ServerProtocol | None = None
        self._unsent = bytearray()

    # The client's opening.

    def upgrade(
        self,
        host: str,
        port: int,
        path: str = "/",
        subprotocols: tuple[str, ...] = (),
        deflate: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Sends the request. `headers` take the place of those that would be right."""
        client = ClientProtocol(
            WebSocketURI(False, host, port, path, ""),
            subprotocols=[Subprotocol(each) for each in subprotocols] or None,
            extensions=[ClientPerMessageDeflateFactory()] if deflate else None,
            logger=_SILENT,
        )
        self._protocol = client
        request = client.connect()
        for name, value in headers:
            del request.headers[name]
            request.headers[name] = value
        client.send_request(request)
        self._flush()

    # The server's.

    def accept_upgrade(self, subprotocols: tuple[str, ...] = (), deflate: bool = False, largest: int = _LARGEST) -> int:
        """Answers a request that has come whole, and returns the status. `largest` is the longest message it will take.

        A version it does not speak it refuses with 426 and names its own (RFC 6455 section 4.2.2).
        """
        if not isinstance(self._protocol, ServerProtocol):
            self._protocol = ServerProtocol(
                subprotocols=[Subprotocol(each) for each in subprotocols] or None,
                extensions=[ServerPerMessageDeflateFactory()] if deflate else None,
                max_size=largest,
                logger=_SILENT,
            )
        server = self._protocol
        self._hear(server)
        request = next((each for each in server.events_received() if isinstance(each, Request)), None)
        if request is None:
            raise BlockingIOError
        if request.headers.get("Sec-WebSocket-Version") != VERSION:
            answer = server.reject(HTTPStatus.UPGRADE_REQUIRED, f"WebSocket version {VERSION} is spoken here.\n")
            answer.headers["Sec-WebSocket-Version"] = VERSION
        else:
            answer = server.accept(request)
        server.send_response(answer)
        self._flush()
        return answer.status_code

    # Either end's.

    def send_text(self, text: str, last: bool = True) -> None:
        """Sends a text message, or where it is not the `last`, its first fragment."""
        self._speak().send_text(text.encode(), last)
        self._flush()

    def send_binary(self, data: bytes, last: bool = True) -> None:
        self._speak().send_binary(data, last)
        self._flush()

    def send_continuation(self, data: bytes, last: bool) -> None:
        """Sends the next fragment of the message that was begun."""
        self._speak().send_continuation(data, last)
        self._flush()

    def ping(self, data: bytes = b"") -> None:
        self._speak().send_ping(data)
        self._flush()

    def close_websocket(self, code: int, reason: str = "") -> None:
        """Begins the closing handshake: a Close frame. TCP stays open."""
        try:
            self._speak().send_close(code, reason)
        except (ProtocolError, InvalidState) as error:
            raise OSError(str(error)) from error
        self._flush()

    def pump(self) -> list[str]:
        """Takes in what has arrived, sends what the protocol answers by itself (a pong, a Close), and returns what has
        been heard in words; an empty list means that the peer will send nothing more."""
        protocol = self._speak()
        self._flush()
        open_ = self._hear(protocol)
        heard = [_in_words(event) for event in protocol.events_received()]
        answered = self._flush()
        if open_ and not heard and not answered:
            raise BlockingIOError
        return heard

    def send_bytes(self, data: bytes) -> None:
        """Sends these bytes as they are, past the protocol: what no library would send."""
        self._unsent += data
        self._flush()

    def close(self) -> None:
        super().close()
        self._protocol = None
        self._unsent.clear()

    def _speak(self) -> ClientProtocol | ServerProtocol:
        if self._protocol is None:
            raise OSError("there is no WebSocket on this connection")
        return self._protocol

    def _hear(self, protocol: ClientProtocol | ServerProtocol) -> bool:
        """Hands what has arrived to the protocol and returns whether more may come."""
        with in_words():
            try:
                data = self._end.recv(1 << 16)
            except ssl.SSLZeroReturnError:
                data = b""
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        return bool(data)

    def _flush(self) -> bool:
        """Sends what the protocol wants sent, as much as the kernel takes, and returns whether there was any.

        That TCP is to be closed is left to the scenario: a FIN is a packet of its own.
        """
        if self._protocol is not None:
            self._unsent += b"".join(self._protocol.data_to_send())
        any_ = bool(self._unsent)
        while self._unsent:
            with in_words():
                sent = self._end.send(self._unsent)
            del self._unsent[:sent]
        return any_


def _in_words(event: object) -> str:
    if isinstance(event, Response):
        return str(event.status_code)
    if isinstance(event, Frame):
        if event.opcode is Opcode.CLOSE:
            return str(Close.parse(event.data))
        return f"{event.opcode.name.lower()} {bytes(event.data).decode(errors='replace')}"
    return str(event)
