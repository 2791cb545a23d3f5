"""What Wireshark runs: `python -I -m lab.wireshark.extcap --extcap-interfaces`, and so on, up to `--capture`.

Wireshark asks for interfaces and options each time it starts, so what those take is all that is imported before.
Source: Wireshark Developer's Guide, section "Adding Capture Interfaces And Log Sources Using Extcap".
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lab.errors import LabError, UsageError
from lab.system import signals, streams
from lab.text import Lang, Text, choose
from lab.version import __version__
from lab.wireshark import options
from lab.wireshark.options import INTERFACE, Asked
from lab.wireshark.toolbar import sentences

if TYPE_CHECKING:
    from lab.wireshark.pipes import PacketPipe, ToolbarPipe

_TITLE = Text("Handshake lab", "握手实验室")
_ETHERNET = "dlt {number=1}{name=EN10MB}{display=Ethernet}"


def main() -> None:
    sys.exit(guarded(sys.argv[1:], choose(sys.argv[1:], os.environ)))


def guarded(words: Sequence[str], lang: Lang) -> int:
    """Does what is asked and returns the exit status; what goes wrong is said in two lines, which Wireshark shows."""
    streams.take_streams()
    signals.stop_cleanly_on_signals()
    try:
        status = _told(lambda: _do(options.read(words), lang), lang)
        sys.stdout.flush()
    except signals.Stopped as stopped:
        return 128 + stopped.number
    except BrokenPipeError:
        return 0
    finally:
        signals.nothing_stops_any_more()
        streams.leave_streams()
    return status


def _told(work: Callable[[], int], lang: Lang) -> int:
    """Returns the status with which some work ends; what goes wrong in it is said."""
    try:
        return work()
    except LabError as error:
        streams.complain(error, lang)
        return error.status
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("LAB_DEBUG"):
            raise
        streams.complain(_unexpected(error), lang)
        return LabError.status


def _do(asked: Asked, lang: Lang) -> int:
    if "--extcap-interfaces" in asked.flags:
        _write(_interfaces(lang))
        return 0
    _require_ours(asked)
    if "--extcap-dlts" in asked.flags:
        _write([_ETHERNET])
    elif "--extcap-config" in asked.flags:
        _write(options.sentences(lang))
    elif "--capture" in asked.flags:
        return _capture(asked, lang)
    elif "--extcap-capture-filter" not in asked.values:
        raise _not_by_hand()
    elif asked.values["--extcap-capture-filter"]:  # Wireshark asks whether it is one; the answer is what is wrong
        _write([_no_filter().message.pick(lang)])
    return 0


def _write(lines: Iterator[str] | Sequence[str]) -> None:
    sys.stdout.write("".join(line + "\n" for line in lines))


def _interfaces(lang: Lang) -> Iterator[str]:
    yield f"extcap {{version={__version__}}}{{display={_TITLE.pick(lang)}}}"
    yield f"interface {{value={INTERFACE}}}{{display={_TITLE.pick(lang)}}}"
    yield from sentences(lang)


def _capture(asked: Asked, lang: Lang) -> int:
    if not asked.values.get("--fifo"):
        raise _not_by_hand()
    from lab.wireshark.pipes import Gone, PacketPipe, ToolbarPipe

    with contextlib.suppress(Gone), contextlib.ExitStack() as stack:
        path, toolbar = asked.values.get("--extcap-control-in"), None
        if path:
            toolbar = stack.enter_context(ToolbarPipe(path))
        pipe = stack.enter_context(PacketPipe(asked.values["--fifo"]))
        return _told(lambda: _played(asked, pipe, toolbar, lang), lang)
    return 0


def _played(asked: Asked, pipe: PacketPipe, toolbar: ToolbarPipe | None, lang: Lang) -> int:
    if asked.values.get("--extcap-capture-filter"):
        raise _no_filter()
    from lab.wireshark.capture import capture

    capture(asked, pipe, toolbar, lang)
    return 0


def _require_ours(asked: Asked) -> None:
    """Raises UsageError for an interface that is not ours; by hand it may be left out."""
    name = asked.values.get("--extcap-interface", INTERFACE)
    if name != INTERFACE:
        raise UsageError(
            Text(f"there is no interface '{name}'", f"没有接口“{name}”"),
            Text(f"this program has one: {INTERFACE}", f"本程序只有一个：{INTERFACE}"),
        )


def _not_by_hand() -> UsageError:
    return UsageError(
        Text("this is for Wireshark, which says what it wants", "这是供 Wireshark 调用的程序，由它说明要做什么"),
        Text(
            f"tshark -i {INTERFACE} captures from it; by hand it takes --capture --fifo FILE",
            f"tshark -i {INTERFACE} 会从它抓包；手工运行需要 --capture --fifo 文件",
        ),
    )


def _no_filter() -> UsageError:
    return UsageError(
        Text(
            "the lab has no capture filters: its wire has nothing but the lesson",
            "实验室没有捕获过滤器：线路上只有课程内容",
        ),
        Text("leave the filter empty; a display filter does it", "请留空捕获过滤器；可以用显示过滤器"),
    )


def _unexpected(error: Exception) -> LabError:
    name = type(error).__name__
    return LabError(
        Text(f"this should not happen: {name}: {error}", f"程序内部错误：{name}: {error}"),
        Text("please report it with what LAB_DEBUG=1 shows", "请设置 LAB_DEBUG=1 重现，并附上输出进行报告"),
    )


if __name__ == "__main__":
    main()
