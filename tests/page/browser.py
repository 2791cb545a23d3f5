"""A real Chromium, driven by its debugging protocol: what a person does with a page, and all that the page does.

https://chromedevtools.github.io/devtools-protocol/ describes the protocol. Nobody sleeps here: conditions are asked for
within the page, once for each picture that it draws.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.left_behind import until

PATIENCE = 30.0  # seconds
# Chromium lets go of what it is loading where an interface comes or goes, also of what is on loopback. Other tests make
# hosts and containers meanwhile; a person would load the page again.
_NETWORK_CHANGED, _MOST_LOADS = "ERR_NETWORK_CHANGED", 5
_OPTIONS = (
    "--headless", "--remote-debugging-port=0", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--font-render-hinting=none", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip
# What tells the page which key it was; where it is none of these, it is a character.
_KEYS = {
    "Backspace": 8, "Tab": 9, "Enter": 13, "Escape": 27, "Space": 32, "PageUp": 33, "PageDown": 34, "End": 35,
    "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Delete": 46,
}  # fmt: skip
# What Chromium answers where a page has gone elsewhere.
_ELSEWHERE = ("Inspected target navigated or closed", "Execution context was destroyed", "Cannot find context")
_MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
_TYPED = {"Enter": "\r", "Space": " "}


class Said(NamedTuple):
    """What stands in the page's console."""

    level: str  # log, warning, error, …; exception: nobody has caught it
    text: str


class Gone(AssertionError):  # noqa: N818  # what has happened, and no fault of the page's
    """What was asked of a page has no answer: it has gone to another place meanwhile."""


class Browser:
    """A Chromium that runs. What is stored in one of its pages no other page finds."""

    def __init__(self, socket: ClientConnection, profile: Path) -> None:
        self.profile = profile  # the folder of all that it stores
        self._socket = socket
        self._calls = 0
        self._pages: dict[str, Page] = {}

    def call(self, method: str, session: str = "", /, **params: Any) -> Any:
        """Has Chromium do something and returns what it answers; what pages do meanwhile they note."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": params}
        self._socket.send(json.dumps({**message, "sessionId": session} if session else message))
        while (answer := self._next(PATIENCE)).get("id") != self._calls:
            pass
        if "error" in answer:
            said = f"{method}: {answer['error']}"
            raise Gone(said) if any(each in said for each in _ELSEWHERE) else AssertionError(said)
        return answer["result"]

    def listen(self) -> None:
        """Has pages note one thing more that they do."""
        self._next(PATIENCE)

    def _next(self, patience: float) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._socket.recv(timeout=2 * patience))
        if page := self._pages.get(told.get("sessionId", "")):
            page.hear(told.get("method", ""), told.get("params", {}))
        return told

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """Opens an empty page, and closes it again with all that it has stored."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._pages[session] = page = Page(self, session)
        try:
            for domain in ("Page", "Runtime", "Network", "Log", "Inspector"):
                page.call(f"{domain}.enable")
            yield page.window(1280, 800)  # Chromium's own is so small that a ladder's last rungs are not drawn
        finally:
            del self._pages[session]
            self.call("Target.disposeBrowserContext", browserContextId=context)


class Page:
    """One page: what a person can do with it, what can be asked of it, and what it has done."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.console: list[Said] = []
        self.elsewhere: list[str] = []  # requests that went anywhere but to itself: to its file, to where it came from
        self._browser, self._session = browser, session
        self._url, self._loaded = "about:blank", False

    # What a person does.

    def open(self, place: Path | str) -> Self:
        """Opens a file or an address, and waits until all that belongs to it has loaded."""
        self._url = place.absolute().as_uri() if isinstance(place, Path) else place
        for _ in range(_MOST_LOADS):
            self._loaded, said = False, len(self.console)
            done = self.call("Page.navigate", url=self._url)
            if _NETWORK_CHANGED not in done.get("errorText", ""):
                break
        assert "errorText" not in done, f"{self._url}: {done['errorText']}"
        if "loaderId" in done:  # without, it went to another place of the same page
            self._load(said)
        return self

    def reload(self) -> Self:
        """Loads the page anew, and waits until all that belongs to it has loaded."""
        self._loaded, said = False, len(self.console)
        self.call("Page.reload")
        self._load(said)
        return self

    def _load(self, said: int) -> None:
        """Waits until it has loaded: what was said of a load that the network broke is forgotten from there on."""
        for _ in range(_MOST_LOADS):
            while not self._loaded:
                self._browser.listen()
            if not any(_NETWORK_CHANGED in each.text for each in self.console[said:]):
                return
            del self.console[said:]
            self._loaded = False
            self.call("Page.reload")  # to go to where it is would load nothing if a place of the page is named
        raise AssertionError(f"{self._url}: the network changed {_MOST_LOADS} times while it was loaded")

    def press(self, *keys: str) -> Self:
        """Presses keys one after the other: `a`, `?`, `ArrowRight`, `Space`, `Shift+Tab`, …"""
        for each in keys:
            *held, key = each.split("+") if len(each) > 1 else [each]
            text = _TYPED.get(key, key if len(key) == 1 else "")
            known = {
                "key": text if key == "Space" else key,
                "code": key if key in _KEYS else f"Key{key.upper()}" if key.isalpha() else "",
                "windowsVirtualKeyCode": _KEYS.get(key, ord(key.upper()) if key.isalnum() and len(key) == 1 else 0),
                "modifiers": sum(_MODIFIERS[modifier] for modifier in held),
            }
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **known)
            self.call("Input.dispatchKeyEvent", type="keyUp", **known)
        return self

    def type(self, text: str) -> Self:
        """Has this text come from the keyboard, as an input method brings it: all at once, for any script."""
        self.call("Input.insertText", text=text)
        return self

    def click(self, selector: str) -> Self:
        """Clicks into the middle of an element, which must be there, in view, and not covered by another."""
        place = self.wait_for(_CLICKED.format(json.dumps(selector)), f"{selector} can't be clicked")
        where = {"x": place["x"], "y": place["y"]}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **where)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)
        return self

    def window(self, width: int, height: int, scheme: Literal["light", "dark"] = "light", media: str = "") -> Self:
        """Gives the page this much room, in pixels, on a device set to light or dark; `print` is a medium."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )  # fmt: skip
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        return self

    # What can be asked.

    def evaluate(self, expression: str) -> Any:
        """Returns what a JavaScript expression is, waited for where it is a promise."""
        given = {"expression": expression, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self.call("Runtime.evaluate", **given)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}\n{_exception(found['exceptionDetails'])}")
        return found["result"].get("value")

    def wait_for(self, expression: str, told: str = "") -> Any:
        """Waits until an expression is true in JavaScript's sense, and returns it; else says why it never was."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = self.evaluate(_WAITING.format(expression=expression, milliseconds=PATIENCE * 1000))
                break
            except Gone:  # a link was followed: what is waited for may be where that leads
                if time.monotonic() > deadline:
                    raise
        assert "never" not in found, f"{told or expression}: {found['never']}; console: {self.console}"
        return found["value"]

    def text(self, selector: str = "body") -> str:
        """Returns the text of the first such element as it can be seen."""
        return str(
            self.wait_for(f"document.querySelector({json.dumps(selector)})?.innerText", f"{selector} has no text")
        )

    def screenshot(self, file: Path, whole: bool = False) -> None:
        """Writes a picture of what is in the window, or of the page from its beginning to its end."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(taken["data"]))

    def pdf(self, file: Path) -> None:
        """Prints the page into a file."""
        file.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    # What it has done.

    @property
    def faults(self) -> list[Said]:
        """What it has complained of until now."""
        return [each for each in self.console if each.level in ("warning", "error", "assert", "exception")]

    def call(self, method: str, **params: Any) -> Any:
        return self._browser.call(method, self._session, **params)

    def hear(self, event: str, told: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            url = told["url"] if "url" in told else told["request"]["url"]
            if not _same(urlsplit(url), urlsplit(self._url)):
                self.elsewhere.append(url)
        elif event == "Runtime.consoleAPICalled":
            words = (str(each.get("value", each.get("description", each["type"]))) for each in told["args"])
            self.console.append(Said(told["type"], " ".join(words)))
        elif event == "Runtime.exceptionThrown":
            self.console.append(Said("exception", _exception(told["exceptionDetails"])))
        elif event == "Log.entryAdded":  # what no script has said: what can't be loaded, what a policy forbids
            self.console.append(Said(told["entry"]["level"], f"{told['entry']['text']} {told['entry'].get('url', '')}"))
        elif event == "Inspector.targetCrashed":
            raise AssertionError(f"{self._url}: the page has crashed")


@contextlib.contextmanager
def started(chromium: str) -> Iterator[Browser]:
    """Starts Chromium with a profile of its own. It ends with the block, and with this process whatever ends that."""
    with _profile() as home:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has none
        command = ["setpriv", "--pdeathsig", "KILL", chromium, *_OPTIONS, *sandbox, f"--user-data-dir={home}"]
        with (
            Path(home, "said").open("wb") as said,
            subprocess.Popen(
                command, stdout=said, stderr=said, env={**os.environ, "HOME": home}, start_new_session=True
            ) as process,
        ):
            try:
                where = Path(home, "DevToolsActivePort")  # two lines: the port, the path
                until(lambda: process.poll() is not None or (where.exists() and "/" in where.read_text()), PATIENCE)
                assert where.exists(), f"Chromium does not start: {Path(home, 'said').read_text(errors='replace')}"
                port, path = where.read_text().split()
                with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, max_size=None) as socket:
                    browser = Browser(socket, Path(home))
                    yield browser
                    with contextlib.suppress(ConnectionClosed):  # it may be gone before it has answered
                        browser.call("Browser.close")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its helpers too: they write into the profile
                process.wait()
                until(lambda: _over(process.pid))


def _over(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@contextlib.contextmanager
def _profile() -> Iterator[str]:
    """A folder that is gone in the end, however long Chromium's helpers go on writing."""
    home = tempfile.mkdtemp(prefix="lab-browser-")
    try:
        yield home
    finally:
        assert away(home), f"{home} can't be removed"


def away(profile: str | Path) -> bool:
    """Removes a profile, as soon as nobody writes into it any more."""

    def gone() -> bool:
        shutil.rmtree(profile, ignore_errors=True)
        return not Path(profile).exists()

    return until(gone)


def _exception(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])


def _same(request: Any, own: Any) -> bool:
    if request.scheme in ("data", "blob", "about"):
        return True
    if own.scheme == "file":
        return bool(request.scheme == "file" and request.path == own.path)
    return bool(request.netloc == own.netloc)


_WAITING = """
new Promise(done => {{
  const end = performance.now() + {milliseconds};
  const look = () => {{
    let value, why = "it is false to the end";
    try {{ value = ({expression}); }} catch (error) {{ why = String(error); }}
    if (value) done({{ value }});
    else if (performance.now() > end) done({{ never: why }});
    else next();
  }};
  const next = () => {{  // a page that is not drawn for a while has no pictures
    const later = setTimeout(() => {{ cancelAnimationFrame(drawn); look(); }}, 500);
    const drawn = requestAnimationFrame(() => {{ clearTimeout(later); look(); }});
  }};
  look();
}})
"""
# Scrolling may take a picture or two; what is behind another element can't be clicked.
_CLICKED = """
(() => {{
  const found = document.querySelector({0});
  if (!found) throw "it is not there";
  found.scrollIntoView({{ block: "center", inline: "center", behavior: "instant" }});
  const box = found.getBoundingClientRect();
  if (!box.width && !box.height) throw "it has no size";
  const place = {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
  const hit = document.elementFromPoint(place.x, place.y);
  if (!found.contains(hit)) throw "there is " + (hit ? hit.outerHTML.slice(0, 120) : "nothing");
  return place;
}})()
"""
