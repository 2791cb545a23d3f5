"""The debugger's commands, one table: what they are called, what stands behind them, what they do, in both languages.

A command may be written short: as gdb's are (`s`, `n`, `u`), else by its beginning, where only one has that. What is
no command is refused with the nearest names, and with the column at which it goes wrong.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from lab.errors import UsageError
from lab.runs.until import END, Until, until
from lab.testbed import control
from lab.testbed.control import RefusedError
from lab.text import Text

LONGEST = 4000  # characters of a line: more than twice as many as a frame carries bytes, for a payload in hexadecimal
_COMMENT = re.compile(r"(?:^|\s)#")
_BEGINNING = re.compile(r"\s*(\S+)\s*")
# What neither a file's name nor UTF-8 takes: NUL, and halves of pairs but those that stand for bytes that are no UTF-8.
_ODD = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
_TOO_LONG = Text(f"a line has no more than {LONGEST} characters", f"一行最多 {LONGEST} 个字符")
_SHORTER = Text("give a shorter payload: a frame carries less", "请缩短载荷：一帧容纳不下这么多")
_NO_CHARACTER = Text("that is no character", "这不是字符")
_BY_HEX = Text("bytes are written so: payload=0x00ff", "字节的写法：payload=0x00ff")
_MOST_STEPS = 100_000
_HEAD = 22  # columns of how a command is written, in the help
SHOWN = {
    "where": Text("where things stand: both ends, what is held, the timers", "当前处境：两端、扣住的包、定时器"),
    "kernel": Text("what both kernels say", "两端内核所说"),
    "ladder": Text("the ladder so far", "到目前为止的时序图"),
    "fields": Text("every field of the packet at hand", "当前包的每个字段"),
    "bytes": Text("its bytes", "当前包的字节"),
    "rows": Text("the rows of the tables that have fired", "触发了状态表的哪些行"),
    "score": Text("how your predictions went", "预测的得分"),
}


class Command(NamedTuple):
    """A command: its name, its short forms, how it is written, what it does.

    `wire` says that it is one to the wire, so that it takes real hosts; `takes` is what stands behind its name.
    """

    name: str
    short: tuple[str, ...]
    written: str
    help: Text
    takes: str = ""
    wire: bool = False


class Asked(NamedTuple):
    """A command that was given. Of what stands behind its name there is what it takes."""

    command: Command
    said: str  # as it was written
    number: int = 1
    until: Until = END
    order: control.Command | None = None  # to the wire
    named: bool = False  # whether the order names its packet; else the one at hand is meant
    word: str = ""

    @property
    def name(self) -> str:
        return self.command.name


COMMANDS: tuple[Command, ...] = (
    Command(
        "step",
        ("s", "si"),
        "step [N]",
        Text("let the packet arrive, and hold the next (N times)", "放行当前包，扣住下一个（共 N 次）"),
        "count",
    ),
    Command(
        "next",
        ("n",),
        "next [N]",
        Text("on to the next packet that is a step of the notes", "运行到下一个属于讲义步骤的包"),
        "count",
    ),
    Command(
        "until",
        ("u", "run"),
        "until FIN | server=CLOSE-WAIT | client data | 7 | close.2",
        Text(
            "on to the next packet that is this, or at which an end is in this state",
            "运行到下一个符合的包：标签、发送方、一端的状态、编号或步骤",
        ),
        "until",
    ),
    Command("continue", ("c", "cont"), "continue", Text("on to the end", "运行到结束")),
    Command(
        "release",
        ("r",),
        "release [N]",
        Text("let packet N go on (without N: the one at hand)", "放行第 N 号包（不写 N：当前包）"),
        "packet",
        True,
    ),
    Command("drop", ("x", "lose"), "drop [N]", Text("lose it", "丢弃它"), "packet", True),
    Command("duplicate", ("dup", "2"), "duplicate [N]", Text("deliver it twice", "送达两次"), "packet", True),
    Command(
        "delay",
        ("d",),
        "delay [N] 2s | 200ms",
        Text("deliver it so much later", "延迟这么久再送达"),
        "packet",
        True,
    ),
    Command(
        "swap",
        ("sw",),
        "swap [N]",
        Text("deliver it behind its sender's next packet", "排到同一发送方的下一个包之后送达"),
        "packet",
        True,
    ),
    Command(
        "edit",
        ("e",),
        "edit [N] seq=+1 flags=PSH,ACK payload=text window=0",
        Text(
            "change fields of it: the original is lost, a forged one held in its place",
            "修改它的字段：原包丢弃，改由一个伪造的包代替并扣住",
        ),
        "packet",
        True,
    ),
    Command(
        "inject",
        ("i",),
        "inject client RST seq=rcv.nxt",
        Text(
            "send a segment that this end has not sent; numbers: snd.nxt, rcv.nxt, isn, +1",
            "以该端的名义注入一个报文段；序号可写 snd.nxt、rcv.nxt、isn、+1",
        ),
        "injection",
        True,
    ),
    Command(
        "hold",
        ("h",),
        "hold [off]",
        Text("stop what runs, and hold each packet; off: hold none", "停止运行，逐包扣住；off：不再扣包"),
        "onoff",
        True,
    ),
    Command("back", ("b", "rs"), "back [N]", Text("look one place back (N places)", "回看上一处（N 处）"), "count"),
    Command(
        "forward",
        ("fw",),
        "forward [N]",
        Text("look one place forward again", "再向前看一处"),
        "count",
    ),
    Command(
        "select",
        ("sel",),
        "select N",
        Text("of several held packets, have this one at hand", "扣住多个包时，选定其中一个"),
        "number",
    ),
    Command(
        "show",
        ("p", "print", "info"),
        "show " + " | ".join(SHOWN),
        Text("show that; without a word: where things stand", "显示相应内容；不写则显示当前处境"),
        "what",
    ),
    Command(
        "predict",
        ("pr",),
        "predict server SYN-ACK | client=ESTABLISHED | next-ack: 16",
        Text(
            "say what comes next, before it shows: the next packet, an end's state, or the answer to a question",
            "在揭晓之前预测：下一个包、一端的状态，或作业中某题的答案",
        ),
        "prediction",
    ),
    Command("save", ("w", "write"), "save [FILE]", Text("save the capture", "保存抓包"), "file"),
    Command("help", ("?",), "help [COMMAND]", Text("this list", "本列表"), "command"),
    Command("quit", ("q", "exit"), "quit", Text("end it", "退出")),
)  # fmt: skip
_BY_NAME = {each.name: each for each in COMMANDS}
GO_ON, LEAVE = (Asked(_BY_NAME[name], name) for name in ("continue", "quit"))
_BY_SHORT = {short: each for each in COMMANDS for short in each.short} | _BY_NAME


class NotationError(UsageError):
    """A line that is no command: `column` is where it goes wrong, from 1."""

    def __init__(self, line: str, column: int, message: Text, hint: Text) -> None:
        shown = line if len(line) <= 60 else line[:60] + "…"
        super().__init__(
            Text(f"'{shown}', column {column}: {message.en}", f"“{shown}”第 {column} 列：{message.zh}"), hint
        )
        self.column = column


def parse(line: str) -> Asked | None:
    """Reads a line; None of one that is blank or a comment. Raises NotationError for what is no command."""
    text = _COMMENT.split(line, 1)[0].rstrip()
    if not text:
        return None
    if len(text) > LONGEST:
        raise NotationError(text, LONGEST + 1, _TOO_LONG, _SHORTER)
    if (odd := _ODD.search(text)) is not None:
        raise NotationError(text, odd.start() + 1, _NO_CHARACTER, _BY_HEX)
    found = _BEGINNING.match(text)
    assert found
    command = _named(text, found.start(1), found[1])
    return _READERS[command.takes](command, text, found.end(), text[found.end() :])


def named(word: str) -> Command | None:
    """Returns a command by its name, a short form or its beginning; None where there is none, or more than one."""
    key = word.casefold()
    if key in _BY_SHORT:
        return _BY_SHORT[key]
    found = [each for each in COMMANDS if each.name.startswith(key)]
    return found[0] if len(found) == 1 else None


def _named(line: str, at: int, word: str) -> Command:
    command = named(word)
    if command is not None:
        return command
    several = [each.name for each in COMMANDS if each.name.startswith(word.casefold())]
    near = several or get_close_matches(word.casefold(), _BY_NAME, 3, 0.5)
    said = (
        Text(f"'{word[:30]}' can be more than one command", f"“{word[:30]}”可能是多个命令")
        if several
        else Text(f"there is no command '{word[:30]}'", f"没有命令“{word[:30]}”")
    )
    hint = (
        Text(f"did you mean: {', '.join(near)}?", f"是否要写：{'、'.join(near)}？")
        if near
        else Text("help lists the commands", "help 会列出全部命令")
    )
    raise NotationError(line, at + 1, said, hint)


# What stands behind a command's name. Each reader takes the line and the offset at which that begins.


def _nothing(command: Command, line: str, at: int, rest: str) -> Asked:
    if rest:
        raise _not_so(command, line, at)
    return Asked(command, line)


def _count(command: Command, line: str, at: int, rest: str) -> Asked:
    if not rest:
        return Asked(command, line)
    if not re.fullmatch(r"\d{1,6}", rest, re.ASCII) or not 0 < int(rest) <= _MOST_STEPS:
        raise _not_so(command, line, at)
    return Asked(command, line, int(rest))


def _number(command: Command, line: str, at: int, rest: str) -> Asked:
    if not rest:
        raise _not_so(command, line, at)
    return _count(command, line, at, rest)


def _until(command: Command, line: str, at: int, rest: str) -> Asked:
    if not rest:
        raise _not_so(command, line, at)
    return Asked(command, line, until=_condition(line, at, rest))


def _condition(line: str, at: int, text: str) -> Until:
    try:
        return until(text)
    except UsageError as error:
        raise NotationError(line, at + 1 + _wrong_word(text), error.message, error.hint) from error


def _wrong_word(text: str) -> int:
    """Returns the offset of the first word of a condition that is none by itself."""
    for found in re.finditer(r"[^\s,]+", text):
        if found[0].casefold() not in ("or", "end"):
            try:
                until(found[0])
            except UsageError:
                return found.start()
    return 0


def _packet(command: Command, line: str, at: int, rest: str) -> Asked:
    named = bool(re.match(r"\d{1,9}(?!\S)", rest, re.ASCII))
    order = _order(command, line, at, f"{command.name} {rest}" if named else f"{command.name} 0 {rest}".rstrip())
    return Asked(command, line, order=order, named=named)


def _order(command: Command, line: str, at: int, written: str) -> control.Command:
    try:
        order = control.parse(written)
        if isinstance(order, control.Delay):
            control.check_delay(order.ns)
    except RefusedError as error:
        if "=" not in command.written or isinstance(error.__cause__, ValueError):
            raise NotationError(line, at + 1, *_said(command, error)) from error
        raise NotationError(line, at + 1 + _wrong_field(line[at:]), *_said(command, error)) from error
    return order


def _said(command: Command, error: RefusedError) -> tuple[Text, Text]:
    if error.hint.en.startswith("write:"):
        return _NOT_SO.format(command.name), Text(f"write: {command.written}", f"写法：{command.written}")
    return error.message, error.hint


def _wrong_field(text: str) -> int:
    """Returns the offset of the first word that is no assignment, where assignments have begun."""
    words = list(re.finditer(r"\S+", text))
    begun = next((place for place, each in enumerate(words) if "=" in each[0]), len(words))
    wrong = next((each for each in words[begun:] if not re.fullmatch(r"[^=]+=.*", each[0])), None)
    return wrong.start() if wrong is not None else 0


def _injection(command: Command, line: str, at: int, rest: str) -> Asked:
    return Asked(command, line, order=_order(command, line, at, f"inject {rest}"), named=True)


def _onoff(command: Command, line: str, at: int, rest: str) -> Asked:
    return Asked(command, line, order=_order(command, line, at, f"hold {rest}".rstrip()), named=True)


def _what(command: Command, line: str, at: int, rest: str) -> Asked:
    word = rest.casefold() or "where"
    found = [each for each in SHOWN if each.startswith(word)]
    if len(found) == 1:
        return Asked(command, line, word=found[0])
    near = get_close_matches(word, SHOWN, 3, 0.5) or list(SHOWN)
    raise NotationError(
        line,
        at + 1,
        Text(f"there is nothing '{rest[:30]}' to show", f"没有“{rest[:30]}”可以显示"),
        Text(f"show one of: {', '.join(near)}", f"可以显示：{'、'.join(near)}"),
    )


def _prediction(command: Command, line: str, at: int, rest: str) -> Asked:
    if not rest:
        raise _not_so(command, line, at)
    if re.match(r"[A-Za-z0-9-]{1,64}\s*:", rest):  # of a question of an assignment
        return Asked(command, line, word=rest)
    condition = _condition(line, at, rest)
    if condition == END:
        raise _not_so(command, line, at)
    return Asked(command, line, until=condition, word=rest)


def _file(command: Command, line: str, at: int, rest: str) -> Asked:
    if rest and not rest.lower().endswith(".pcapng"):
        raise NotationError(
            line,
            at + 1,
            Text("the name of a capture ends in .pcapng", "抓包文件名须以 .pcapng 结尾"),
            Text(f"write: save {rest}.pcapng", f"请写：save {rest}.pcapng"),
        )
    return Asked(command, line, word=rest)


def _command(command: Command, line: str, at: int, rest: str) -> Asked:
    if rest:
        _named(line, at, rest)
    return Asked(command, line, word=rest)


_READERS = {
    "": _nothing, "count": _count, "number": _number, "until": _until, "packet": _packet, "injection": _injection,
    "onoff": _onoff, "what": _what, "prediction": _prediction, "file": _file, "command": _command,
}  # fmt: skip
_NOT_SO = Text("that is not how '{0}' is written", "{0} 不是这样写的")


def _not_so(command: Command, line: str, at: int) -> NotationError:
    how = Text(f"write: {command.written}", f"写法：{command.written}")
    return NotationError(line, min(at, len(line)) + 1, _NOT_SO.format(command.name), how)


def told(word: str = "") -> list[Text]:
    """Returns the help on one command, or on all, a line each."""
    one = named(word) if word else None
    lines = [_line(each) for each in ([one] if one else COMMANDS)]
    if one is not None and one.name == "show":
        lines += [Text(f"    {name:<10} {text.en}", f"    {name:<10} {text.zh}") for name, text in SHOWN.items()]
    return lines


def _line(command: Command) -> Text:
    short = ", ".join(command.short[:1])
    head = f"{command.written}" + (f"  ({short})" if short else "")
    between = f"\n{'':<{_HEAD}}" if len(head) >= _HEAD else " " * (_HEAD - len(head))
    return Text(f"{head}{between}{command.help.en}", f"{head}{between}{command.help.zh}")
