"""tshark at work: asked once for some fields of every packet of a capture, it answers a row at a time.

A witness is asked alone: with preferences of its own, no home and no name resolution, so that it answers the same on
every machine. Secrets and what it can't unfold by itself it gets through files that have no name: nothing is left
behind, however this ends. A field that its version does not know is left out, and has no values.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO

from lab.errors import InputError, MachineError
from lab.system import processes
from lab.system.remedies import install, read_machine
from lab.text import Text

BETWEEN = "\x1f"  # the ASCII unit separator, between the values of one field
AT_LEAST, BYTES_A_SECOND = 60.0, 500_000  # patience: tshark reads ten times as fast
_BUSY = 10  # on a busy machine the clock runs at most that much faster than tshark's own time
_PIECE = 1 << 16
_MOST_SAID = 1 << 16  # bytes of complaints
_LONGEST = 1 << 24  # bytes of a row
_NO_HOME = "/nonexistent"
_CHATTER = re.compile(r"Running as user |\s*\*\* \(tshark.* (MESSAGE|INFO|DEBUG|NOISY)\]|\s*$")
_UNKNOWN = re.compile(r"^tshark: Some fields aren't valid:\s*\n((?:\s+\S+\n?)+)", re.MULTILINE)
_NOWHERE = Text("install Wireshark: https://www.wireshark.org", "请安装 Wireshark：https://www.wireshark.org")


class Asking:
    """A question to tshark: iterating yields, for each of its packets, the values of `fields` as one string each.

    `options` are more words of its command line; `keylog` and `server_key` are the secrets it gets, `unfold` returns
    the file to read in place of a compressed one that it can't unfold itself. Leave it as a context manager: tshark
    ends with it. Iterating raises MachineError where tshark takes too long, InputError where it can't read the file at
    all. Afterwards `complaints` is what it said on standard error, `status` how it ended: negative by a signal.
    """

    def __init__(
        self,
        path: Path,
        fields: Sequence[str],
        options: Sequence[str] = (),
        *,
        keylog: bytes = b"",
        server_key: bytes = b"",
        unfold: Callable[[], IO[bytes] | None] = lambda: None,
        patience: float = AT_LEAST,
    ) -> None:
        found = shutil.which("tshark")
        if found is None:
            raise missing()
        self.complaints: list[str] = []
        self.status = 0
        self.rows = 0
        self._fields = tuple(fields)
        self._patience = patience + (path.stat().st_size / BYTES_A_SECOND if path.exists() else 0)
        self._open = contextlib.ExitStack()
        self._passing: list[int] = []  # descriptors of the files that it gets
        self._process: subprocess.Popen[bytes] | None = None
        try:
            unfolded = unfold()
            file = str(path.absolute()) if unfolded is None else self._passed(unfolded)
            self._command = [found, *options, *self._secrets(keylog, server_key), "-n", "-r", file, "-T", "fields"]
            self._command += ["-E", "occurrence=a", "-E", "separator=/t", "-E", f"aggregator={BETWEEN}"]
            self._start(self._fields)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends tshark, wherever it is."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._open.close()

    def __iter__(self) -> Iterator[Sequence[str]]:
        known = self._fields
        for _ in self._fields:  # older and newer versions lack some
            lines = self._lines()
            first = next(lines, None)
            if first is not None:
                yield from self._placed(known, itertools.chain([first], lines))
                break
            lacking = self._lacking()
            if self.status == 0 or not lacking:
                break
            known = tuple(each for each in known if each not in lacking)
            self._start(known)
        if self.status and not self.rows:
            raise _unreadable(self.complaints[0])

    def _placed(self, known: Sequence[str], lines: Iterable[str]) -> Iterator[Sequence[str]]:
        """Splits rows, and puts an empty string where a field is not known."""
        count, all_known = len(known), len(known) == len(self._fields)
        places = [known.index(each) if each in known else None for each in self._fields]
        for line in lines:
            values = line.split("\t", count - 1)
            if len(values) < count:
                continue  # the rest of a comment in several lines, which old versions write as it is
            self.rows += 1
            yield values if all_known else ["" if at is None else values[at] for at in places]

    def _start(self, fields: Sequence[str]) -> None:
        self._said = kept(b"")
        self._open.callback(self._said.close)
        place = {"HOME": _NO_HOME, "WIRESHARK_CONFIG_DIR": _NO_HOME, "LC_ALL": "C.UTF-8"}
        try:
            self._process = subprocess.Popen(
                [*self._command, *(word for field in fields for word in ("-e", field))],
                env=processes.environment(**place), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=self._said, pass_fds=self._passing, preexec_fn=partial(processes.die_with, os.getpid()),
            )  # fmt: skip
        except OSError as error:
            raise _not_started(self._command[0], error) from error

    def _lines(self) -> Iterator[str]:
        """Yields lines without their ends, as they come; at the end it is known how tshark ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        rest = b""
        while True:
            self._wait_for(descriptor)
            piece = os.read(descriptor, _PIECE)
            if not piece:
                break
            *whole, rest = (rest + piece).split(b"\n")
            if len(rest) > _LONGEST:
                raise _no_rows()
            for line in whole:
                yield line.decode(errors="replace")
        self.status = self._process.wait()
        self._said.seek(0)
        said = self._said.read(_MOST_SAID).decode(errors="replace")
        self.complaints = [line.strip() for line in said.splitlines() if not _CHATTER.match(line)]
        if self.status and not self.complaints:
            how = f"signal {-self.status}" if self.status < 0 else f"status {self.status}"
            self.complaints = [f"tshark ended with {how}"]

    def _wait_for(self, descriptor: int) -> None:
        """Waits until tshark writes or ends. Patience is counted in its own processor's time, and ends also where it
        does nothing that long: a busy machine gives everybody a little. Raises MachineError."""
        assert self._process is not None
        began = worked = processes.worked(self._process.pid)
        clock = time.monotonic()
        for _ in range(_BUSY):
            if select.select([descriptor], [], [], self._patience)[0]:
                return
            before, worked = worked, processes.worked(self._process.pid)
            if worked == before or worked - began >= self._patience:
                break
        raise _too_slow(time.monotonic() - clock)

    def _lacking(self) -> set[str]:
        """Returns the fields that tshark has said it does not know."""
        self._said.seek(0)
        found = _UNKNOWN.search(self._said.read(_MOST_SAID).decode(errors="replace"))
        return set(found[1].split()) if found else set()

    # What it gets.

    def _secrets(self, keylog: bytes, server_key: bytes) -> list[str]:
        options = []
        if keylog:
            options += ["-o", f"tls.keylog_file:{self._passed(kept(keylog))}"]
        if server_key:
            options += ["-o", f'uat:rsa_keys:"{self._passed(kept(server_key))}",""']
        return options

    def _passed(self, file: IO[bytes]) -> str:
        """Returns the path of a file that has no name."""
        self._open.callback(file.close)
        file.flush()
        file.seek(0)
        self._passing.append(file.fileno())
        return f"/dev/fd/{file.fileno()}"


def kept(data: bytes) -> IO[bytes]:
    """Returns a file without a name that has these bytes. Raises MachineError where there is no room for it."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the question lasts
        file.write(data)
        file.flush()
    except OSError as error:
        raise no_room(error) from error
    return file


def no_room(error: OSError) -> MachineError:
    """Returns that a temporary file can't be written."""
    return MachineError(
        Text(f"a temporary file can't be written: {error.strerror}", f"无法写入临时文件：{error.strerror}"),
        Text("name a folder with room in TMPDIR", "请用 TMPDIR 指定一个有空间的目录"),
    )


def missing() -> MachineError:
    """Returns that there is no tshark, and how to get it."""
    command = install("tshark", shutil.which, read_machine())
    return MachineError(
        Text("tshark, the command line of Wireshark, is not installed", "未安装 tshark（Wireshark 的命令行工具）"),
        Text(f"install it: {command}", f"安装命令：{command}") if command else _NOWHERE,
    )


def _not_started(program: str, error: OSError) -> MachineError:
    return MachineError(
        Text(f"{program} can't be started: {error.strerror}", f"无法启动 {program}：{error.strerror}"),
        Text("does it start without the lab?", "不通过实验室能启动它吗？"),
    )


def _no_rows() -> MachineError:
    most = _LONGEST >> 20
    return MachineError(
        Text(f"tshark writes a row of more than {most} MB", f"tshark 写出的一行超过 {most} MB"),
        Text("is it Wireshark's? tshark --version", "它是 Wireshark 的吗？tshark --version"),
    )


def _too_slow(took: float) -> MachineError:
    return MachineError(
        Text(f"tshark was not done after {took:.0f} s", f"tshark 在 {took:.0f} 秒内没有完成"),
        Text("tshark -r FILE shows whether it reads it at all", "tshark -r FILE 可以看出它能否读取该文件"),
    )


def _unreadable(complaint: str) -> InputError:
    return InputError(
        Text(f"Wireshark can't read it: {complaint}", f"Wireshark 无法读取：{complaint}"),
        Text("lab annotate FILE says what is wrong with it", "lab annotate FILE 会说明问题所在"),
    )
