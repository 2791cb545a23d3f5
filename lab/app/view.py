"""`lab view`, and `lab step --page`: the page in the browser, from a capture or while hosts play."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, NamedTuple

from lab.app.beside import refuse_with_a_capture, refuse_with_a_scenario
from lab.errors import LabError
from lab.page.live import Growing, Still, Walked, in_one
from lab.page.server import Server, Shown, listen
from lab.system import files, processes, signals, streams
from lab.text import Lang, Text

if TYPE_CHECKING:
    from lab.runs.run import Run
    from lab.stepping.debugger import Debugger

_PATIENCE, _AT_LAST = 4.0, 8.0  # seconds: for hosts to end, and for all of it after a signal
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")


class Serving(NamedTuple):
    """How a page is served: at which port (the system chooses 0), and whether a browser is opened."""

    port: int
    opens: bool


class Asked(NamedTuple):
    """What is to be viewed, and how."""

    what: str
    serving: Serving
    ipv6: bool
    wire: Sequence[str]
    testbed: str
    out: Path | None
    slow: str
    conversation: int | None
    filter: str | None
    keylog: bytes
    server_key: bytes


def view(asked: Asked, lang: Lang) -> None:
    """Shows a capture or a scenario until it is stopped. Raises UsageError, InputError, MachineError."""
    from lab.runs.place import is_file

    if is_file(asked.what):
        refuse_with_a_capture(
            {
                "--ipv6": asked.ipv6, "--wire": bool(asked.wire), "--testbed": asked.testbed != "auto",
                "--slow": bool(asked.slow), "-o": asked.out is not None,
            }
        )  # fmt: skip
        serve(Still(_page_of(asked, lang)), asked.serving, lang)
    else:
        refuse_with_a_scenario(
            {
                "--conversation": asked.conversation is not None, "--filter": asked.filter is not None,
                "--keylog": bool(asked.keylog), "--server-key": bool(asked.server_key),
            }
        )  # fmt: skip
        _play(asked, lang)


def _page_of(asked: Asked, lang: Lang) -> dict[str, object]:
    from lab.app.formats import Format, told_by_field
    from lab.page.model import of_run
    from lab.protocols.selection import chosen
    from lab.runs.recorded import open_run

    with open_run(
        asked.what, keylog=asked.keylog, server_key=asked.server_key, only=asked.conversation, words=True,
        mine=chosen(asked.filter) if asked.filter is not None else None, fields=told_by_field(Format.HTML),
    ) as run:  # fmt: skip
        page = of_run(run)
        if said := run.complaint():
            streams.say(said.pick(lang))
        return page


def _play(asked: Asked, lang: Lang) -> None:
    from lab.app.formats import Format, told_by_field
    from lab.app.run import Pace, seconds
    from lab.protocols.catalogue import scenario
    from lab.runs.live import Live
    from lab.runs.place import require_place
    from lab.runs.run import Run
    from lab.testbed.play import played_on
    from lab.testbed.rules import parse

    played = scenario(asked.what)
    rules = *parse(asked.wire), *parse(played.rules)
    pace = seconds(asked.slow) if asked.slow else 0.0
    file = asked.out or Path(f"captures/out/{played.name.replace('/', '-')}.pcapng")
    require_place(file, played)
    source = Live(played, rules, asked.ipv6, file, played_on(asked.testbed, control=bool(pace)))
    run = Run(source, words=True, fields=told_by_field(Format.HTML))
    if pace:
        run.listen(Pace(run, pace).hear)
    live(run, None, asked.testbed, asked.serving, lang)
    if source.early is not None and not rules:
        raise LabError(source.early, Text("the capture shows how far it came", "抓包里可以看到进行到了哪一步"))


def walk(run: Run, debugger: Debugger, serving: Serving, lang: Lang) -> None:
    """Serves the page of a capture that is walked."""
    with run:
        serve(Walked(run, debugger), serving, lang)


def live(run: Run, debugger: Debugger | None, testbed: str, serving: Serving, lang: Lang) -> None:
    """Serves the page of a run of real hosts, which begins when the first page is there; says how it has ended.

    Raises what the run raises.
    """
    from lab.runs.live import Live

    source = run.source
    assert isinstance(source, Live)
    with contextlib.ExitStack() as hosts:
        # Containers are made by the thread that goes through the run: that takes long, and forks nothing.
        growing = Growing(source.scenario.name, run, debugger, lambda: source.make(hosts), forks=testbed != "docker")
        growing.at_end = lambda: _tell_the_end(growing, run, lang)
        growing.count = lambda count: _tell_waiting(growing, count, lang)
        try:
            serve(growing, serving, lang)
        finally:
            growing.stop()
            if source.control is not None:
                growing.join(_PATIENCE)
            hosts.close()
            growing.join(_PATIENCE)
            growing.at_end()
    if growing.failure is not None and not growing.stopped:
        raise growing.failure


def _tell_the_end(growing: Growing, run: Run, lang: Lang) -> None:
    """Says once how a run has ended, as soon as it has."""
    from lab.runs.live import ending

    growing.at_end = lambda: None
    if growing.over and (growing.failure is None or growing.stopped):
        said, by_hand = ending(run), growing.stopped or growing.left
        for line in said[1:] if by_hand and run.source.early is not None else said:
            _say(line, lang)


def _tell_waiting(growing: Growing, count: int, lang: Lang) -> None:
    if count == 0 and growing.held:
        _say(
            Text(
                "No page is open. The packet that is held waits for as long as it takes: open the address again.",
                "没有打开的页面。扣住的包会一直等待：请重新打开上面的地址。",
            ),
            lang,
        )


def serve(shown: Shown, serving: Serving, lang: Lang) -> None:
    """Serves until that is left. Raises MachineError where the port can't be had, Stopped where a signal ended it."""
    gc.enable()  # what serves makes circles
    server = Server(shown, listen(serving.port))
    shown.changed = server.changed
    _say(Text(f"The page: {server.address}", f"页面：{server.address}"), lang)
    if isinstance(shown, Growing):
        _say(Text("The hosts begin when it is open. Ctrl-C ends it.", "打开页面后主机开始运行。Ctrl-C 结束。"), lang)
    else:
        _say(Text("Ctrl-C ends it.", "Ctrl-C 结束。"), lang)
    if serving.opens and sys.stdout.isatty():
        _open(server.address)
    with _signals(server.stop) as heard:
        server.run(lambda: _last_word(shown, bool(heard)))
    if heard:
        raise signals.Stopped(heard[0])


def _last_word(shown: Shown, stopped: bool) -> Text:
    if isinstance(shown, Growing) and isinstance(shown.failure, LabError):
        return in_one(shown.failure)
    if stopped:
        return Text(
            "The lab was ended on its terminal. What it has told stays here.",
            "实验室已在终端上结束。已显示的内容仍保留在此。",
        )
    return Text("The lab has ended. What it has told stays here.", "实验室已结束。已显示的内容仍保留在此。")


@contextlib.contextmanager
def _signals(stop: Callable[[], object]) -> Iterator[list[int]]:
    """Has a signal call `stop`; yields the numbers of those that have come."""
    heard: list[int] = []

    def asked(number: int, _frame: object) -> None:
        if heard:
            return
        heard.append(number)
        last = Timer(_AT_LAST, os._exit, (128 + number,))  # should anything hang
        last.daemon = True
        last.start()
        stop()

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, asked)
    try:
        yield heard
    finally:
        signals.stop_cleanly_on_signals()


def _open(address: str) -> None:
    """Opens the page in the browser, where there is one that shows windows; nobody waits for it."""
    has_screen = sys.platform == "darwin" or any(os.environ.get(name) for name in _SCREENS)
    if not has_screen or files.caller() is not None:  # root's browser is nobody's
        return
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.get()
        subprocess.Popen(
            [sys.executable, "-I", "-m", "webbrowser", address], env=processes.environment(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def _say(text: Text, lang: Lang) -> None:
    with contextlib.suppress(OSError):  # a terminal that has hung up
        sys.stdout.write(text.pick(lang) + "\n")
        sys.stdout.flush()
