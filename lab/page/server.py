"""What serves a page while there is something to see: on loopback, to whoever has the token, and to nobody else.

    GET /    the page, which says nothing of a run
    /live    a WebSocket: the page says the token, then gets its data, then what is new

A page elsewhere may ask for anything on loopback, also by a name of its own that leads there (DNS rebinding). So Host
must be ours, for the socket Origin too, and the token comes in the address's fragment, which no browser sends anywhere.
Whoever shares the machine can connect as well: without the token nothing is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from lab.errors import LabError, MachineError
from lab.page.html import shell, written
from lab.render.trace import dump
from lab.stepping.commands import LONGEST
from lab.text import Text

LOOPBACK = "127.0.0.1"
SOCKET = "/live"
_MOST_PAGES = 20  # at a time
_PATIENCE = 10.0  # seconds for a page to say the token, and for one that goes to be gone
_BETWEEN = 0.05  # seconds between two messages of what is new
_LARGEST = 6 * LONGEST + 100  # bytes that a page has to say: JSON takes six for a character, at most
_BEHIND = 200  # messages that wait for a page; one that is further behind gets all anew
_SILENT = logging.Logger("lab.page", logging.CRITICAL + 1)  # what pages do wrong is nobody's business but theirs
_BAD_TOKEN, _GOING, _TOO_MANY = 1008, 1001, 1013  # RFC 6455 section 7.4.1, and its registry


class Shown(Protocol):
    """What pages show. All of it is asked for in the thread that serves; it calls `changed` in whichever."""

    changed: Callable[[], object]

    def begin(self) -> None:
        """The first page is there."""

    def whole(self) -> dict[str, Any]:
        """Returns a page's data (handshake-lab/page/v1)."""

    def beside(self) -> dict[str, Any]:
        """Returns what else a page that is new is told."""

    def news(self) -> dict[str, Any] | None:
        """Returns what is new since this was asked for last; None where nothing is."""

    def do(self, line: str, /) -> list[Text]:
        """Does what a page asks for, and returns what is to be said of that. Raises LabError."""

    def pages(self, count: int, /) -> None:
        """Hears how many pages are there, whenever that changes."""

    @property
    def left(self) -> bool:
        """Whether somebody has asked to end it all."""


def listen(port: int) -> socket.socket:
    """Returns a socket that listens on loopback; the system chooses the port 0. Raises MachineError."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise _not_there(port, error) from error
    return listening


def _not_there(port: int, error: OSError) -> MachineError:
    if error.errno == errno.EADDRINUSE:
        said = Text(f"port {port} is taken", f"端口 {port} 已被占用")
    elif error.errno in (errno.EACCES, errno.EPERM):
        said = Text(f"port {port} may not be used", f"无权使用端口 {port}")
    else:
        said = Text(f"port {port} can't be used: {error.strerror}", f"无法使用端口 {port}：{error.strerror}")
    return MachineError(
        said, Text("leave --port out: the system chooses a free one", "不带 --port，由系统选择空闲端口")
    )


class Server:
    """Serves what is shown, from `run` until that is left or `stop` is called."""

    def __init__(self, shown: Shown, listening: socket.socket) -> None:
        self._shown = shown
        self._listening = listening
        self._token = secrets.token_urlsafe(24)
        self._port: int = listening.getsockname()[1]
        self._hosts = [f"{name}:{self._port}" for name in (LOOPBACK, "localhost")]
        page, self._policy = shell()
        self._document = page.encode()
        self._pages: dict[ServerConnection, asyncio.Queue[str | None]] = {}
        self._connected: set[ServerConnection] = set()
        self._begun = self._gone = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._new = asyncio.Event()
        self._over = asyncio.Event()
        os.register_at_fork(after_in_child=self._let_go)

    @property
    def address(self) -> str:
        """Where the page is, with the token."""
        return f"http://{self._hosts[0]}/#token={self._token}"

    # To be called from whichever thread, and from a signal's handler.

    def changed(self) -> None:
        """Says that there may be something new."""
        self._from_elsewhere(self._new.set)

    def stop(self) -> None:
        """Ends it."""
        self._from_elsewhere(self._over.set)

    def _from_elsewhere(self, do: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is over
                self._loop.call_soon_threadsafe(do)

    def run(self, last_word: Callable[[], Text]) -> None:
        """Serves; when it is over every page is told the `last_word`. Raises what `begin` of what is shown raises."""
        asyncio.run(self._run(last_word))

    async def _run(self, last_word: Callable[[], Text]) -> None:
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        async with serve(
            self._page, sock=self._listening, process_request=self._asked, compression=None, max_size=_LARGEST,
            open_timeout=_PATIENCE, close_timeout=1.0, ping_interval=None, server_header=None, logger=_SILENT,
        ):  # fmt: skip
            tell = asyncio.ensure_future(self._tell())
            over = asyncio.ensure_future(self._over.wait())
            waited: list[asyncio.Future[Any]] = [tell, over, self._failed]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for each in (tell, over):
                each.cancel()
            self._send(dump({"ended": last_word()._asdict()}))
            self._send(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while self._pages:
                        await asyncio.sleep(0.01)
        for task in (tell, self._failed):
            if task.done() and not task.cancelled():
                task.result()

    def _let_go(self) -> None:
        """In a child: closes what it has inherited. A host of the lab has no part in this."""
        if self._gone:  # a child's child: by these numbers it has something else open
            return
        self._gone = True
        for each in (self._listening, *(page.transport.get_extra_info("socket") for page in self._connected)):
            with contextlib.suppress(OSError, AttributeError):
                os.close(each.fileno())

    # What is asked for by HTTP.

    def _asked(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers a request; None lets the socket be opened."""
        headers = request.headers
        if getattr(request, "method", "GET") != "GET":
            return self._answer(HTTPStatus.METHOD_NOT_ALLOWED, more={"Allow": "GET"})
        if headers.get_all("Host") not in [[each] for each in self._hosts]:
            return self._answer(HTTPStatus.MISDIRECTED_REQUEST)
        host = headers["Host"]
        if request.path == SOCKET:
            if headers.get_all("Origin") != [f"http://{host}"]:
                return self._answer(HTTPStatus.FORBIDDEN)
            if len(self._connected) >= _MOST_PAGES:
                return self._answer(HTTPStatus.SERVICE_UNAVAILABLE)
            self._connected.add(connection)
            return None
        if request.path != "/":
            return self._answer(HTTPStatus.NOT_FOUND)
        policy = f"{self._policy}; connect-src ws://{host}{SOCKET}; frame-ancestors 'none'"
        return self._answer(
            HTTPStatus.OK, self._document, "text/html; charset=utf-8", {"Content-Security-Policy": policy}
        )

    def _answer(
        self, status: HTTPStatus, body: bytes | None = None, form: str = "text/plain; charset=utf-8",
        more: dict[str, str] | None = None,
    ) -> Response:  # fmt: skip
        body = f"{status.value} {status.phrase}\n".encode() if body is None else body
        told = {
            "Content-Type": form, "Content-Length": str(len(body)), "Connection": "close", "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
            "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
        }  # fmt: skip
        return Response(status.value, status.phrase, Headers(told | (more or {})), body)

    # What goes through the socket.

    async def _page(self, connection: ServerConnection) -> None:
        try:
            if not await self._knows_the_token(connection):
                await connection.close(_BAD_TOKEN)
                return
            await self._shows(connection)
        except ConnectionClosed:
            pass
        finally:
            self._connected.discard(connection)

    async def _knows_the_token(self, connection: ServerConnection) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                said = await connection.recv()
        except TimeoutError:
            return False
        return secrets.compare_digest(_field(said, "token").encode("utf-8", "replace"), self._token.encode())

    async def _shows(self, connection: ServerConnection) -> None:
        if not self._begun:
            self._begun = True
            self._begin()
        self._catch_up()
        queue = self._pages[connection] = asyncio.Queue(_BEHIND)
        queue.put_nowait(self._all())
        self._shown.pages(len(self._pages))
        sending: asyncio.Task[None] | None = None
        try:
            sending = asyncio.create_task(_pass_on(queue, connection))
            async for said in connection:
                self._do(_field(said, "do"), queue)
        finally:
            if sending is not None:
                sending.cancel()
            self._pages.pop(connection, None)
            if not self._over.is_set():  # else they have been sent away
                self._shown.pages(len(self._pages))

    def _begin(self) -> None:
        try:
            self._shown.begin()
        except Exception as error:
            if not self._failed.done():
                self._failed.set_exception(error)

    def _do(self, line: str, queue: asyncio.Queue[str | None]) -> None:
        """Does what a page asks for; what is said of that, it is told alone."""
        try:
            said = [each._asdict() | {"wrong": False} for each in self._shown.do(line)]
        except LabError as error:
            said = [each._asdict() | {"wrong": True} for each in (error.message, error.hint)]
        self._put(queue, dump({"said": said, "own": True}))
        self._new.set()
        if self._shown.left:
            self._over.set()

    async def _tell(self) -> None:
        """Tells all pages what is new, not more often than they can show it."""
        while not self._shown.left:
            await self._new.wait()
            self._new.clear()
            self._catch_up()
            await asyncio.sleep(_BETWEEN)

    def _catch_up(self) -> None:
        """Has all pages know the same, before one is told all of it."""
        news = self._shown.news()
        if news is not None:
            self._send(dump(news))

    def _all(self) -> str:
        page = "".join(written(self._shown.whole()))
        return f'{{"page":{page},{dump(self._shown.beside())[1:]}'

    def _send(self, message: str | None) -> None:
        for queue in self._pages.values():
            self._put(queue, message)

    def _put(self, queue: asyncio.Queue[str | None], message: str | None) -> None:
        if queue.full():  # it reads too slowly: what it has not heard stands in all of it, too
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(self._all())
        queue.put_nowait(message)


async def _pass_on(queue: asyncio.Queue[str | None], connection: ServerConnection) -> None:
    """Sends what waits for a page; None is the last."""
    with contextlib.suppress(ConnectionClosed):
        while (message := await queue.get()) is not None:
            await connection.send(message)
        await connection.close(_GOING)


def _field(said: str | bytes, name: str) -> str:
    """Returns what a page says, where it is that; else nothing."""
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return ""
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""
