"""What the extcap is asked on its command line: by Wireshark, which has the options from here, or by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lab.errors import UsageError
from lab.text import Lang, Text

INTERFACE = "handshake-lab"
SLOWEST = 600.0  # seconds for a packet that goes by itself
_SYSTEMS = Text("as the system", "跟随系统")


class Option(NamedTuple):
    """An option of a capture: how it is called, its type in Wireshark's dialog, what it is called there, what else."""

    call: str
    kind: str
    name: Text
    tip: Text
    more: str = ""


OPTIONS = (
    Option("--scenario", "selector", Text("Scenario", "场景"), Text("What the two hosts play", "两台主机运行的场景")),
    Option(
        "--wire",
        "string",
        Text("Rules for the wire", "线路规则"),
        Text("What it does with some packets by itself; several are parted by ;", "线路自行处理某些包；多条用 ; 隔开"),
        "{placeholder=drop client SYN #1; delay server FIN 200ms}",
    ),
    Option("--ipv6", "boolflag", Text("IPv6", "IPv6"), Text("IPv6 instead of IPv4", "用 IPv6 代替 IPv4")),
    Option(
        "--lang",
        "selector",
        Text("Language", "语言"),
        Text("Of the toolbar, the log and errors", "工具栏、日志和错误信息的语言"),
    ),
    Option(
        "--play",
        "boolflag",
        Text("Packets go by themselves", "数据包自行通过"),
        Text(
            "The toolbar's Hold stops them. Without a toolbar, as in tshark, they always do",
            "可用工具栏的“暂停”停住；没有工具栏时（如 tshark）总是如此",
        ),
    ),
    Option(
        "--pace",
        "double",
        Text("Seconds for each of those", "自行通过时每个包的秒数"),
        Text("How long a packet is held that then goes by itself", "自行通过的包先扣住多久"),
        f"{{range=0,{SLOWEST:.0f}}}{{default=0}}",
    ),
    Option(
        "--repetitions",
        "boolflag",
        Text("Show needless repetitions", "显示多余的重传"),
        Text(
            "What a kernel sends again only because a packet is held; the wire drops it",
            "仅因某个包被扣住而由内核重发的包；线路会丢弃它们",
        ),
    ),
    Option(
        "--save",
        "fileselect",
        Text("Save all of it", "完整保存"),
        Text(
            "A capture in which each packet also has what became of it, for lab annotate",
            "保存为含每个包结果的抓包，供 lab annotate 使用",
        ),
        "{mustexist=false}{fileext=pcapng}",
    ),
)
_FLAGS = {"--extcap-interfaces", "--extcap-dlts", "--extcap-config", "--capture"}
_FLAGS |= {option.call for option in OPTIONS if option.kind == "boolflag"}
_VALUES = {
    "--extcap-interface", "--extcap-version", "--extcap-capture-filter", "--extcap-reload-option", "--fifo",
    "--extcap-control-in", "--extcap-control-out", *(option.call for option in OPTIONS if option.kind != "boolflag"),
}  # fmt: skip


class Asked(NamedTuple):
    """What a command line says: the flags that are there, and the values that are."""

    flags: frozenset[str]
    values: dict[str, str]

    @property
    def pace(self) -> float:
        """Seconds for each packet that goes by itself. Raises UsageError for what is no such time."""
        given = self.values.get("--pace") or "0"
        try:
            pace = float(given)
        except ValueError:
            pace = math.nan
        if not 0 <= pace <= SLOWEST:
            raise UsageError(
                Text(f"'{given}' is no time for a packet", f"“{given}”不是每个包的有效时长"),
                Text(f"give seconds, 0 to {SLOWEST:.0f}: --pace 0.5", f"请给出 0 到 {SLOWEST:.0f} 秒：--pace 0.5"),
            )
        return pace


def read(words: Sequence[str]) -> Asked:
    """Reads a command line. Raises UsageError for what no version of Wireshark says."""
    flags: set[str] = set()
    values: dict[str, str] = {}
    waiting = list(reversed(words))
    while waiting:
        word, equals, value = waiting.pop().partition("=")
        if word in _FLAGS and not equals:
            flags.add(word)
        elif word in _VALUES and (equals or waiting):
            values[word] = value if equals else waiting.pop()
        else:
            raise _unknown(word)
    return Asked(frozenset(flags), values)


def _unknown(word: str) -> UsageError:
    from difflib import get_close_matches  # not before: Wireshark asks for the options each time it starts

    near = get_close_matches(word, [*_FLAGS, *_VALUES], 1, 0.6)
    calls = " ".join(option.call for option in OPTIONS)
    if near == [word]:
        said = Text(f"{word} is not given like that", f"{word} 的写法不对")
        hint = Text(
            f"{word} takes {'no' if word in _FLAGS else 'a'} value",
            f"{word} {'不带值' if word in _FLAGS else '需要一个值'}",
        )
        return UsageError(said, hint)
    return UsageError(
        Text(f"the interface has no option '{word}'", f"该接口没有选项“{word}”"),
        Text(f"did you mean {near[0]}?", f"是不是 {near[0]}？")
        if near
        else Text(f"it has: {calls}", f"可用的有：{calls}"),
    )


def sentences(lang: Lang) -> Iterator[str]:
    """Yields the lines that describe the options to Wireshark, which makes a dialog of them."""
    for number, option in enumerate(OPTIONS):
        words = f"{{display={option.name.pick(lang)}}}{{tooltip={option.tip.pick(lang)}}}"
        yield f"arg {{number={number}}}{{call={option.call}}}{words}{{type={option.kind}}}{option.more}"
        for at, (value, shown) in enumerate(_choices(option.call, lang)):
            default = "true" if at == 0 else "false"
            yield f"value {{arg={number}}}{{value={value}}}{{display={shown}}}{{default={default}}}"


def _choices(call: str, lang: Lang) -> Iterator[tuple[str, str]]:
    if call == "--lang":
        yield from (("auto", _SYSTEMS.pick(lang)), ("en", "English"), ("zh", "中文"))
    elif call == "--scenario":
        from lab.protocols.catalogue import scenarios
        from lab.protocols.notes import notes

        for each in scenarios():
            title = notes(each.name.partition("/")[0]).scenarios[each.name].title
            yield each.name, f"{each.name}: {title.pick(lang)}"
