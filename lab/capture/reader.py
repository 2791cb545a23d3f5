"""A capture is read as it arrives: a frame is yielded as soon as its last byte is there, from a file or from a pipe.

What can't be read at all raises InputError when it is opened. Whatever is wrong after that is noted in
`Capture.problems` with the byte it was found at; every packet that can be read is yielded.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from itertools import chain
from types import TracebackType
from typing import Literal

from lab.capture import ahead, blocks, compressed, pcap, pcapng
from lab.capture.source import Findings, Source
from lab.errors import InputError
from lab.model import Frame
from lab.text import Text

Format = Literal["pcap", "pcapng"]

PCAPNG_MAGIC = pcapng.SECTION_HEADER.to_bytes(4, "big")
READERS: dict[Format, Callable[[Source, Findings], Iterator[Frame]]] = {"pcap": pcap.frames, "pcapng": blocks.frames}

# How other files begin, and what makes a capture of them
ARCHIVES = {b"PK\x03\x04": ("zip", "unzip -p")}
OTHER_CAPTURES = {
    b"snoop\0": "snoop",
    b"GMBU": "Microsoft Network Monitor",
    b"RTSS": "Microsoft Network Monitor",
    b"XCP\0": "NetXRay",
    b"TRSNIFF": "Sniffer",
}

LONGEST_MAGIC = 8  # bytes

STANDARD_INPUT = Text("standard input", "标准输入")
NO_SUCH_FILE = Text("there is no file {}", "没有文件 {}")
DIRECTORY = Text("{} is a directory", "{} 是一个目录")
NOT_PERMITTED = Text("reading {} is not permitted", "没有读取 {} 的权限")
UNREADABLE = Text("{} can't be read: {}", "{} 无法读取：{}")
TERMINAL = Text("standard input is a terminal, not a capture", "标准输入是终端，不是抓包数据")
EMPTY = Text("{} is empty", "{} 是空的")
SHORT = Text(
    "{} is too short for a capture: {} bytes, where the header of a {} file has {} at least",
    "{} 太短，不是完整的抓包文件：只有 {} 字节，而 {} 的文件头至少有 {} 字节",
)
COMPRESSED_WITH = Text("{} is compressed ({})", "{} 是压缩文件（{}）")
NO_LIBRARY = Text(
    "{} is compressed ({}), and the Python library for that is not here",
    "{} 是压缩文件（{}），而这里没有解压它的 Python 库",
)
OTHER_FORMAT = Text("{} is a capture of another format ({})", "{} 是其他格式的抓包文件（{}）")
NO_CAPTURE = Text(
    "{} is neither a pcap nor a pcapng file: it begins with the bytes {}",
    "{} 不是 pcap 或 pcapng 文件：开头的字节是 {}",
)
HOW_TO_NAME = Text(
    "give the path of a pcap or pcapng file, or - for standard input",
    "请给出 pcap 或 pcapng 文件的路径，或用 - 表示标准输入",
)
HOW_TO_PERMIT = Text(
    "a capture made with sudo belongs to root: `sudo chown $USER FILE` makes it yours",
    "用 sudo 抓的包属于 root：`sudo chown $USER FILE` 可以把它变成你的",
)
HOW_TO_PIPE = Text(
    "pipe a capture in: `tcpdump -U -w - | lab ...`", "请用管道送入抓包数据：`tcpdump -U -w - | lab ...`"
)
HOW_TO_CAPTURE = Text(
    "capture again, e.g. with `tcpdump -w FILE`, and stop it with Ctrl-C: killed, it leaves the file incomplete",
    "请重新抓包，例如用 `tcpdump -w FILE`，并用 Ctrl-C 停止：直接杀死它会留下不完整的文件",
)
HOW_TO_DECOMPRESS = Text("decompress it on the way: `{} FILE | lab ... -`", "请边解压边读：`{} FILE | lab ... -`")
HOW_TO_CONVERT = Text(
    "if it is a capture, Wireshark's editcap converts it: `editcap -F pcapng FILE new.pcapng`",
    "如果它是抓包文件，可用 Wireshark 的 editcap 转换：`editcap -F pcapng FILE new.pcapng`",
)


class Capture(Findings):
    """A capture being read: iterating yields its frames once, and what the file says beside them is in the attributes.

    `name` is the path as given; `size` is the bytes of the file, None where only its end tells (a pipe). `packets`,
    `problems`, `hosts` and `secrets` are as of the frame yielded last; `closing_comments` and `sha256` as of the end.
    """

    def __init__(
        self,
        name: str,
        kind: Format,
        size: int | None,
        source: Source,
        file: io.FileIO,
        start: int = 0,
        limited: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self.format = kind
        self.size = size
        self.sha256 = ""  # hex, of the whole file; empty before the end, and where no digest was asked for
        self._source = source
        self._file = file
        self._start = start  # the offset in the file of the first byte
        self.limited = limited  # what is compressed is read to a reasonable size only
        self._frames = chain(READERS[kind](source, self), self._end())

    @property
    def position(self) -> int:
        """Returns how many bytes of the file have been consumed."""
        return self._source.progress

    def when_waiting(self, call: Callable[[], object]) -> None:
        """Has `call` called each time before it waits for bytes that are not there yet: of a pipe."""
        self._source.on_wait = call

    def waits(self) -> None:
        """Says that somebody waits for what is not there yet."""
        if self._source.on_wait is not None:
            self._source.on_wait()

    def comes_within(self, seconds: float) -> bool:
        """Waits so long at most until there is more, or the end; whether there is. True where only reading tells."""
        return self._source.comes_within(seconds)

    @property
    def unfolded(self) -> int:
        """Returns how many bytes have been consumed, of what was compressed."""
        return self._source.position

    def watched_by(self, watch: Callable[[], object]) -> None:
        """Has `watch` called whenever more of the file is read, also where that brings no packet."""
        self._source.watch = watch

    @property
    def refused(self) -> InputError | None:
        """Why reading has ended at a limit, and what lifts it; None where it has not."""
        failure = self._source.failure
        return InputError(failure.text, compressed.HOW_TO_GO_ON) if isinstance(failure, compressed.BombError) else None

    def secrets_ahead(self) -> list[bytes] | None:
        """Returns all TLS key logs of the file, wherever they stand; None where it can't be read twice (a pipe)."""
        if self.size is None:
            return None
        if self.format == "pcapng":
            self.known = ahead.secrets(self._file.fileno(), self._start, self.limited)
        return self.known

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; standard input stays open."""
        self._file.close()

    def _end(self) -> Iterator[Frame]:
        """Yields no frame: it runs after the last one."""
        self.sha256 = self._source.drain()
        if self._source.failure is not None:
            failure = self._source.failure
            text = Text("the file can't be read any further: {}", "文件无法继续读取：{}").format(_reason(failure))
            self.problem(
                self._source.position, None, failure.text if isinstance(failure, compressed.DamagedError) else text
            )
        yield from ()


def open_capture(path: str, *, digest: bool = False, limited: bool = True) -> Capture:
    """Returns the capture at `path` ("-": standard input) with its frames yet to be read.

    Where that is compressed, and `limited`, reading ends when it turns out to be far too large: see `Capture.refused`.
    Waits for the first bytes, which tell the format. With `digest`, reading to the end also gives `sha256`.
    Raises InputError where there is nothing to read, or what is there is no capture.
    """
    shown = os.fsencode(path).decode(errors="replace")
    name = STANDARD_INPUT if path == "-" else Text(shown, shown)
    file = _open(path, name)
    try:
        size = _size(file)
        start = file.tell() if size is not None else 0  # of standard input somebody may have read the beginning
        source = Source(file, digest=digest, limited=limited)
        return Capture(shown, _format(source, name), size, source, file, start, limited)
    except BaseException:
        file.close()
        raise


def _open(path: str, name: Text) -> io.FileIO:
    try:
        file = io.FileIO(0, closefd=False) if path == "-" else io.FileIO(path)
    except FileNotFoundError:
        raise InputError(_about(NO_SUCH_FILE, name), HOW_TO_NAME) from None
    except IsADirectoryError:
        raise InputError(_about(DIRECTORY, name), HOW_TO_NAME) from None
    except PermissionError:
        raise InputError(_about(NOT_PERMITTED, name), HOW_TO_PERMIT) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(_about(UNREADABLE, name, _reason(error)), HOW_TO_NAME) from error
    if path == "-" and file.isatty():
        raise InputError(TERMINAL, HOW_TO_PIPE)
    return file


def _size(file: io.FileIO) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _format(source: Source, name: Text) -> Format:
    """Returns the format that the first bytes tell; they stay unconsumed, but for those of a compression."""
    source.fill(LONGEST_MAGIC)
    if kind := compressed.kind_of(source.buffer):
        try:
            source.unfold(kind)
        except ImportError:  # of a library that is not everywhere: in a browser it is not
            raise InputError(_about(NO_LIBRARY, name, kind), HOW_TO_DECOMPRESS.format(f"{kind} -dc")) from None
    have = source.fill(4)
    if source.failure is not None:
        raise InputError(_about(UNREADABLE, name, _reason(source.failure)), HOW_TO_NAME) from source.failure
    if not have:
        raise InputError(_about(EMPTY, name), HOW_TO_CAPTURE)
    if have < 4 or source.buffer[:4] in pcap.VARIANTS:
        found: Format = "pcap"
        need = pcap.FILE_HEADER
    elif source.buffer[:4] == PCAPNG_MAGIC:
        found, need = "pcapng", blocks.SMALLEST
    else:
        raise _no_capture(source, name)
    have = source.fill(need)
    if have < need:
        raise InputError(_about(SHORT, name, have, found, need), HOW_TO_CAPTURE)
    if found == "pcapng" and source.buffer[8:12] not in blocks.BYTE_ORDERS:
        raise _no_capture(source, name)
    return found


def _no_capture(source: Source, name: Text) -> InputError:
    source.fill(LONGEST_MAGIC)
    begin = source.buffer[:LONGEST_MAGIC]
    for magic, (kind, command) in ARCHIVES.items():
        if begin.startswith(magic):
            return InputError(_about(COMPRESSED_WITH, name, kind), HOW_TO_DECOMPRESS.format(command))
    for magic, kind in OTHER_CAPTURES.items():
        if begin.startswith(magic):
            return InputError(_about(OTHER_FORMAT, name, kind), HOW_TO_CONVERT)
    return InputError(_about(NO_CAPTURE, name, begin.hex(" ")), HOW_TO_CONVERT)


def _about(text: Text, name: Text, *values: object) -> Text:
    """Returns `text` filled with the name of the input, which differs by language, and with `values`."""
    return Text(text.en.format(name.en, *values), text.zh.format(name.zh, *values))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
