"""A capture, recorded anywhere by anyone: the same path, from a file or from standard input."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from lab.annotate import journal
from lab.annotate.agreement import Agreement
from lab.capture.again import Again, Passed
from lab.capture.pcapng import Writer
from lab.capture.reader import Capture
from lab.dissect.conversations import LANES, MOST_IN_A_LANE, Conversation
from lab.errors import InputError
from lab.model import Problem, Rung
from lab.path import Mine, Path
from lab.render.comments import comments
from lab.text import Lang, Text


class Recording:
    """One capture on its way through, or the part of it that is `mine`.

    `keep_frames` where the bytes of packets are still wanted behind the path.
    """

    def __init__(
        self,
        capture: Capture,
        keep_frames: bool,
        mine: Mine | None = None,
        keylog: bytes = b"",
        server_key: bytes = b"",
        let_go: Callable[[Conversation], None] | None = None,
        only: int | None = None,
    ) -> None:
        self.capture = capture
        self.evicted = 0  # conversations that were let go of before they had ended
        self.shown = False  # whether there was a packet to show
        self._told = let_go
        self._only = only  # the conversation that is asked for
        self.agreement = Agreement()
        self._keep = keep_frames
        self._mine = mine
        self._path = Path(self._let_go)
        self._path.learn(keylog, server_key)

    @property
    def conversations(self) -> list[Any]:
        if self._only is None:
            return self._path.conversations
        return [which for which in self._path.conversations if which.id == self._only]

    def rungs(self) -> Iterator[Rung]:
        """Yields each packet's rung in order, when its fate is known. Raises InputError where nothing can be read."""
        if self._only is None:
            yield from self._all()
            return
        seen = False
        for rung in self._all():
            if rung.conversation is not None and rung.conversation.id == self._only:
                seen = True
                yield rung
        if not seen:
            name = self.capture.name
            raise InputError(
                Text(
                    f"{name} has no conversation {self._only}",
                    f"{name} 中没有连接 {self._only}",
                ),
                Text(
                    f"lab annotate {name} --format conversations lists those that it has",
                    f"lab annotate {name} --format conversations 会列出其中的连接",
                ),
            )

    def _all(self) -> Iterator[Rung]:
        frames = iter(self.capture)
        first = next(frames, None)
        if first is None:
            if self.capture.problems:
                raise InputError(
                    self.capture.problems[0].text,
                    Text("record it again, or try another file", "请重新抓包，或换一个文件"),
                )
            return
        frames = itertools.chain([first], frames)
        if self.capture.secrets:  # those that stand before the packets: Wireshark, too, needs them there
            self._path.learn(keylog=b"\n".join(self.capture.secrets))
        if journal.told(first):
            mine = (frame for frame in frames if self._mine(frame) is not False) if self._mine else frames
            for rung in self._path.replay(journal.events(mine, _Closing(self.capture))):
                self.agreement.add(rung)
                self.shown = True
                yield rung
        else:
            rungs = self._path.settled(frames, self._keep, self._mine)
            for rung in rungs:
                self.shown = True
                yield rung
                break
            yield from rungs
        for which in self.conversations:  # the kernels were asked about one of them
            self.agreement.add_final(which, self.capture.packets)

    def _let_go(self, which: Conversation) -> None:
        self.evicted += which.evicted
        if self._told and self._only in (None, which.id):
            self._told(which)

    def problems(self, elsewhere: int = 0) -> list[Problem]:
        """Returns what is wrong with the file, and how many conversations were let go of, here and elsewhere.

        True when all rungs have been taken.
        """
        count, most = self.evicted + elsewhere, LANES * MOST_IN_A_LANE
        if not count:
            return self.capture.problems
        text = Text(
            f"of more than {most} conversations at a time, {count} were let go of before they had ended",
            f"同时进行的连接超过 {most} 个，其中 {count} 个在结束之前就不再跟踪",
        )
        return [*self.capture.problems, Problem(self.capture.position, None, text)]

    def complaint(self, elsewhere: int = 0) -> Text | None:
        """Returns one line on what is wrong with the file, None where nothing is."""
        problems = self.problems(elsewhere)
        if not problems:
            return None
        count, first = len(problems), problems[0]
        return Text(
            f"problems: {count} in {self.capture.name}; at byte {first.offset}: {first.text.en}",
            f"问题：{self.capture.name} 中有 {count} 处；第 {first.offset} 字节：{first.text.zh}",
        )

    def about(self, lang: Lang, elsewhere: int = 0) -> dict[str, Any]:
        """Returns the trace's entry on the file; true only when all rungs have been taken."""
        capture = self.capture
        return {
            "name": capture.name,
            "sha256": capture.sha256,
            "format": capture.format,
            "packets": capture.packets,
            "problems": [
                {"offset": problem.offset, "packet": problem.packet, "text": problem.text.pick(lang)}
                for problem in self.problems(elsewhere)
            ],
        }

    def write(self, stream: BinaryIO, rungs: Iterator[Rung]) -> None:
        """Writes the same packets again, with the notes in it; of a pcapng, all else that is in it too."""
        if self.capture.format == "pcapng":
            self.capture.passed = Passed()
            again = Again(stream, self.capture.passed)
            for rung in rungs:
                if rung.frame is not None:
                    again.packet(rung.frame, comments(rung))
            again.finish()
            if lost := self.capture.passed.lost:
                text = Text("{} blocks between packets were left out: too many", "略去了报文之间的 {} 个块：太多")
                self.capture.problem(self.capture.position, None, text.format(lost))
            return
        first = next(rungs, None)  # with it, the header has been read
        writer = Writer(stream, snaplen=self.capture.snaplen)
        for rung in itertools.chain([first] if first else [], rungs):
            if rung.frame is not None:
                writer.packet(rung.frame, comments(rung))
        writer.finish()


class _Closing:
    """The comments at the file's end, asked for only when that has been reached."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def __iter__(self) -> Iterator[str]:
        return iter(self._capture.closing_comments)


def shown_progress(capture: Capture, rungs: Iterator[Rung], lang: Lang, enough: int = 8 << 20) -> Iterator[Rung]:
    """Passes rungs on, with a progress bar on standard error for a file of at least `enough` bytes."""
    import sys

    if not capture.size or capture.size < enough or not sys.stderr.isatty():
        yield from rungs
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(Text("annotating", "解读中").pick(lang), total=capture.size)
        for rung in rungs:
            if not rung.number & 0x3FFF:
                bar.update(task, completed=capture.position)
            yield rung
