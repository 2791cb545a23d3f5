"""All that Wireshark says of a packet: its full dissection, field by field, through pyshark.

pyshark is not needed for anything else, and is imported when somebody asks. It is slow: one packet at a time.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from lab.capture.reader import open_capture
from lab.errors import InputError, MachineError
from lab.text import Text, safe
from lab.witnesses.question import PREFERENCES
from lab.witnesses.tshark import AT_LEAST, BYTES_A_SECOND, kept, missing
from lab.witnesses.unfolded import unfolded


class Shown(NamedTuple):
    """A field as Wireshark shows it: its layer, its name in filters, where it lies, its value, and all of its line.

    `start` and `end` are offsets in the frame, or in what was put together or decrypted of it; `end` is `start` where
    it is no field of a header: Wireshark has worked it out. One that is `hidden` is only there to be filtered by.
    """

    layer: str
    name: str
    start: int
    end: int
    value: str
    line: str
    hidden: bool


class Dissected(NamedTuple):
    """A packet's fields, layer by layer, in the order in which Wireshark names them."""

    number: int
    fields: tuple[Shown, ...]

    def all(self, name: str) -> list[str]:
        """Returns all values of a field."""
        return [each.value for each in self.fields if each.name == name]


def dissected(
    file: Path, number: int | None = None, *, keylog: bytes = b"", server_key: bytes = b"", limited: bool = True
) -> Iterator[Dissected]:
    """Yields packets of a capture as Wireshark dissects them: all, or the one of this number.

    Raises MachineError where pyshark or tshark is missing, ends early or takes too long, InputError for no capture.
    """
    pyshark = _pyshark()
    with ExitStack() as stack:
        capture = stack.enter_context(open_capture(str(file), limited=limited))
        secrets = b"\n".join([*(capture.secrets_ahead() or []), keylog]).strip()
        options = [*PREFERENCES, "-n"]
        if secrets:
            options += ["-o", f"tls.keylog_file:{_path(kept(secrets), stack)}"]
        if server_key:
            options += ["-o", f'uat:rsa_keys:"{_path(kept(server_key), stack)}",""']
        plain = unfolded(file, limited)
        found: list[Dissected] = []
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        asked = pyshark.FileCapture(
            str(file.absolute()) if plain is None else _path(plain, stack), eventloop=loop, keep_packets=False,
            display_filter=None if number is None else f"frame.number=={number}", custom_parameters=options,
            tshark_path=shutil.which("tshark"),
        )  # fmt: skip
        try:
            _run(lambda: asked.apply_on_packets(lambda each: found.append(_read(each)), timeout=_patience(file)))
        finally:
            _quietly(asked.close)
    yield from found


def _run(ask: Callable[[], object]) -> None:
    """Has pyshark ask, and turns what goes wrong into one of our errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ways of asyncio's that are going out of use
            ask()
    except TimeoutError:
        raise MachineError(
            Text("pyshark takes too long", "pyshark 花费的时间过长"),
            Text("lab verify without --packet is faster", "不带 --packet 的 lab verify 更快"),
        ) from None
    except OSError as error:
        raise InputError(
            Text(f"pyshark can't read it: {error}", f"pyshark 无法读取：{error}"),
            Text("lab annotate FILE says what is wrong with it", "lab annotate FILE 会说明问题所在"),
        ) from error
    except Exception as error:  # pyshark has many of its own, all without a common base
        said = safe(" ".join(str(error).split()))[:300]
        raise MachineError(
            Text(f"pyshark ended early: {said}", f"pyshark 提前结束：{said}"),
            Text("lab verify without --packet needs only tshark", "不带 --packet 的 lab verify 只需要 tshark"),
        ) from error


def _quietly(close: Callable[[], object]) -> None:
    try:
        close()
    except Exception as error:  # it raises again what it has been ended by
        del error


def _read(packet: Any) -> Dissected:
    """Reads what pyshark has made of a packet: its `frame` layer is about the capture, a comment a layer of its own."""
    fields = [
        Shown(
            layer.layer_name, field.name or "", int(field.pos or 0), int(field.pos or 0) + int(field.size or 0),
            field.show or "", field.showname or field.show or "", bool(field.hide),
        )
        for layer in packet.layers
        if layer.layer_name not in ("frame", "pkt_comment")
        for several in layer._all_fields.values()
        for field in several.all_fields
    ]  # fmt: skip
    return Dissected(int(packet.number), tuple(fields))


def _path(file: IO[bytes], stack: ExitStack) -> str:
    """Returns a path of a file without a name, by which other processes of ours find it."""
    stack.callback(file.close)
    file.flush()
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _patience(file: Path) -> float:
    return AT_LEAST + file.stat().st_size / BYTES_A_SECOND * 10


def _pyshark() -> Any:
    if shutil.which("tshark") is None:
        raise missing()
    try:
        import pyshark
    except ImportError as error:
        command = f"{sys.executable} -m pip install pyshark"
        raise MachineError(
            Text(
                "pyshark, which asks tshark for all of a packet, is not installed",
                "未安装 pyshark（用它向 tshark 询问一个包的全部内容）",
            ),
            Text(f"install it: {command}", f"安装命令：{command}"),
        ) from error
    pyshark.config.fp_config_path = pyshark.config.pyshark_config_path  # a config.ini in this folder is somebody else's
    return pyshark
