"""A capture, recorded anywhere by anyone, from a file or standard input: as a source of a run, and written again."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from lab.capture import pcapng
from lab.capture.pcapng import Interface, Writer
from lab.capture.reader import Capture, open_capture
from lab.capture.rewrite import Options, Passed, Rewriter
from lab.engine import journal
from lab.engine.path import Mine
from lab.engine.record import Record
from lab.errors import InputError
from lab.events import Begun
from lab.model import Frame, Problem
from lab.runs.run import Inputs, Learn, Run
from lab.text import Lang, Text

_AT_FIRST, _WHERE_SILENT = 1.0, 0.05  # seconds that a question waits


def open_run(path: str, *, digest: bool = False, limited: bool = True, **options: Any) -> Run:
    """Returns the run of the capture at `path` ("-": standard input); `options` are those of Run.

    What is compressed may only be read to a limit, unless it is not `limited`.

    Raises InputError where there is nothing to read, or what is there is no capture.
    """
    return Run(Recorded(open_capture(path, digest=digest, limited=limited)), **options)


class Recorded:
    """A capture as a source. Where its first packet has a wire's journal, all of it is replayed."""

    keeps = False

    def __init__(self, capture: Capture, secrets: list[bytes] | None = None) -> None:
        self.capture = capture
        self._known = secrets  # all of the file, where somebody has looked for them
        self.name = capture.name
        self.early: Text | None = None
        self._ahead: list[bytes] | None = None  # all secrets of a file, where it can be read twice

    @contextlib.contextmanager
    def begin(self, learn: Learn, mine: Mine | None) -> Iterator[Inputs]:
        """Reads the first frame, which tells what the rest is. Raises InputError where there is none, but damage."""
        capture = self.capture
        frames = iter(capture)
        first = next(frames, None)
        if first is None:
            if capture.problems:
                raise InputError(
                    capture.problems[0].text,
                    Text("record it again, or try another file", "请重新抓包，或换一个文件"),
                )
            yield Inputs(Begun(self.name, False, False, None, dict(capture.hosts)), None, ())
            return
        frames = itertools.chain([first], frames)
        self._ahead = capture.secrets_ahead() if self._known is None else self._known
        if known := self._ahead or capture.secrets:
            learn(b"\n".join(known), b"")
        if self._ahead is None:  # what a pipe brings later opens what comes behind it
            capture.on_secrets = lambda log: learn(log, b"")
        told = journal.told(first)
        begun = Begun(self.name, False, told, None, dict(capture.hosts))
        if told:
            chosen = _Chosen(frames, mine) if mine else None
            yield Inputs(begun, journal.events(chosen or frames, _Closing(capture, chosen)), None)
        else:
            more = None if capture.size is not None else _Patience(capture).question
            yield Inputs(begun, None, frames, more)

    def captured(self, record: Record) -> None:
        """Nothing is kept."""

    def over(self, run: Run) -> None:
        """Nothing is saved."""

    @property
    def secrets(self) -> tuple[bytes, bytes]:
        return b"\n".join(self._ahead or self.capture.secrets), b""

    @property
    def packets(self) -> int:
        return self.capture.packets

    @property
    def refused(self) -> InputError | None:
        return self.capture.refused

    @property
    def position(self) -> int:
        return self.capture.position

    def problems(self) -> list[Problem]:
        return self.capture.problems

    def about(self, lang: Lang, problems: list[Problem]) -> dict[str, Any]:
        capture = self.capture
        return {
            "name": capture.name,
            "sha256": capture.sha256,
            "format": capture.format,
            "packets": capture.packets,
            "problems": [
                {"offset": problem.offset, "packet": problem.packet, "text": problem.text.pick(lang)}
                for problem in problems
            ],
        }

    def close(self) -> None:
        self.capture.close()


class _Patience:
    """How long a question about packets to come waits for them, where they come through a pipe.

    Whoever writes a whole file into it is never silent for long: all that is asked is answered as of that file. Once
    the pipe has been silent, packets are captured while they happen, and somebody waits for the answer.
    """

    def __init__(self, pipe: Capture) -> None:
        self._pipe = pipe
        self._patience = _AT_FIRST

    def question(self) -> Callable[[], bool]:
        """Begins a question; returns what says, before each packet, whether to wait for it is worth while."""
        left = self._patience

        def comes() -> bool:
            nonlocal left
            if self._pipe.comes_within(0):
                return True
            began = time.monotonic()
            self._pipe.waits()
            found = self._pipe.comes_within(left)
            left = max(0.0, left - (time.monotonic() - began))
            if not found:
                self._patience = _WHERE_SILENT
            return found

        return comes


class _Chosen:
    """The frames that are asked for, and whether the `last` of the file was."""

    def __init__(self, frames: Iterable[Frame], mine: Mine) -> None:
        self._frames = frames
        self._mine = mine
        self.last = True

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.last = self._mine(frame) is not False
            if self.last:
                yield frame


class _Closing:
    """The comments at the file's end, asked for only when that has been reached.

    They are of the conversation that was last, and there are none where that is not asked for.
    """

    def __init__(self, capture: Capture, chosen: _Chosen | None) -> None:
        self._capture = capture
        self._chosen = chosen

    def __iter__(self) -> Iterator[str]:
        return iter(self._capture.closing_comments if self._chosen is None or self._chosen.last else ())


def write_again(
    run: Run, stream: BinaryIO, scenario: str | None = None, beside: Callable[[int], list[str]] = lambda _: []
) -> None:
    """Writes the packets of a recorded run again, with the notes in it; of a pcapng, all else that is in it too.

    The run is made with `words`. What the capture says of itself is of the `scenario`, else stays as it is. `beside`
    makes further comments of a packet, by its number.
    """
    from lab.render import about
    from lab.render.comments import comments

    told = about.of_scenario(scenario) if scenario is not None else about.of_any()
    source = run.source
    assert isinstance(source, Recorded)
    capture, packets = source.capture, run.packets()
    if capture.format == "pcapng":
        capture.passed = Passed()
        rewriter = Rewriter(stream, capture.passed, lambda options: _told(options, told, scenario is not None))
        for packet in packets:
            if packet.frame is not None:
                rewriter.packet(packet.frame, [*comments(packet), *beside(packet.number)])
        rewriter.finish()
        if lost := capture.passed.lost:
            text = Text("{} blocks between packets were left out: too many", "略去了包与包之间的 {} 个块：太多")
            capture.problem(capture.position, None, text.format(lost))
        return
    first = next(packets, None)  # with it, the header has been read
    writer = Writer(stream, comments=told, interface=Interface(name=""), snaplen=capture.snaplen)
    for packet in itertools.chain([first] if first else [], packets):
        if packet.frame is not None:
            writer.packet(packet.frame, [*comments(packet), *beside(packet.number)])
    writer.finish()


def _told(options: Options, ours: Sequence[str], replace: bool) -> Options:
    """Returns the options of a section with what we say of the capture behind what others do."""
    said = [each for each in options if each[0] == pcapng.COMMENT and journal.is_ours(each[1].decode(errors="replace"))]
    if said and not replace:
        return options
    return (*(each for each in options if each not in said), *pcapng.commented(ours))
