"""Which conversations are asked for, in tcpdump's words: `host 192.0.2.2 and not port 22`.

Always whole conversations, both directions: a state is known only to who has seen both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from ipaddress import ip_address, ip_network

from lab.errors import UsageError
from lab.model import Frame
from lab.protocols.transport import FRAGMENT, Quoted, Segment, segment
from lab.text import Text

Test = Callable[[bytes], bool]  # of a socket pair, either way round

_WORDS = re.compile(r"\s*(\(|\)|!|&&|\|\||[^\s()!&|]+)")
_MOST_WORDS, _MOST_NESTED = 500, 50
_SAME = {"&&": "and", "||": "or", "!": "not"}
_HINT = Text(
    "say it like this: host 192.0.2.2 and not port 22; also net 192.0.2.0/24, portrange 8000-8080, or, ( )",
    "请这样写：host 192.0.2.2 and not port 22；还可用 net 192.0.2.0/24、portrange 8000-8080、or 和括号",
)


def chosen(expression: str) -> Callable[[Frame], bool | None]:
    """Returns a test: whether a frame is of a conversation that is asked for. Raises UsageError for no expression."""
    test = lru_cache(65_536)(_Parser(expression).parsed())

    def of(frame: Frame) -> bool | None:
        found = segment(frame)
        if found is FRAGMENT:  # its whole packet tells
            return None
        return isinstance(found, Segment | Quoted) and test(found.pair)

    return of


class _Parser:
    """Reads an expression from left to right: `not` binds most, then `and`, then `or`."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._words = list(self._split())
        self._at = self._nested = 0
        if len(self._words) > _MOST_WORDS:
            raise self._refused(f"more than {_MOST_WORDS} words", f"超过 {_MOST_WORDS} 个词")

    def _split(self) -> Iterator[str]:
        at, text = 0, self._expression.strip()
        while at < len(text):
            found = _WORDS.match(text, at)
            if found is None:
                raise self._refused(f"{text[at:]!r} is no word", f"{text[at:]!r} 不是一个词")
            yield _SAME.get(found.group(1), found.group(1))
            at = found.end()

    def parsed(self) -> Test:
        test = self._either()
        if self._at < len(self._words):
            raise self._refused(
                f"{self._words[self._at]!r} is not expected there", f"{self._words[self._at]!r} 不应出现在那里"
            )
        return test

    def _next(self) -> str:
        self._at += 1
        if self._at > len(self._words):
            raise self._refused("it ends too early", "表达式不完整")
        return self._words[self._at - 1]

    def _takes(self, word: str) -> bool:
        taken = self._at < len(self._words) and self._words[self._at] == word
        self._at += taken
        return taken

    def _either(self) -> Test:
        tests = [self._both()]
        while self._takes("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda pair: any(test(pair) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._takes("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda pair: all(test(pair) for test in tests)

    def _one(self) -> Test:
        word = self._next()
        if word in ("not", "("):
            self._nested += 1
            if self._nested > _MOST_NESTED:
                raise self._refused(f"nested deeper than {_MOST_NESTED}", f"嵌套超过 {_MOST_NESTED} 层")
            test = self._one() if word == "not" else self._either()
            if word == "(" and not self._takes(")"):
                raise self._refused("a ) is missing", "缺少 )")
            self._nested -= 1
            return (lambda pair: not test(pair)) if word == "not" else test
        if word in ("src", "dst"):
            raise self._refused("whole conversations are chosen, both directions", "选择的是整个连接，包含两个方向")
        if word == "tcp":
            return (
                self._one() if self._at < len(self._words) and self._words[self._at] in _KINDS else lambda _pair: True
            )
        if word not in _KINDS:
            raise self._refused(f"{word!r} is no host, net or port", f"{word!r} 不是 host、net 或 port")
        value = self._next()
        try:
            return _KINDS[word](value)
        except ValueError:
            raise self._refused(f"{value!r} is no {word}", f"{value!r} 不是有效的 {word}") from None

    def _refused(self, en: str, zh: str) -> UsageError:
        return UsageError(Text(f"--filter can't be understood: {en}", f"看不懂 --filter：{zh}"), _HINT)


def _host(value: str) -> Test:
    address = ip_address(value).packed
    return lambda pair: address in _addresses(pair)


def _net(value: str) -> Test:
    network = ip_network(value, strict=False)
    mask, prefix, size = int(network.netmask), int(network.network_address), len(network.network_address.packed)

    def within(address: bytes) -> bool:
        return len(address) == size and int.from_bytes(address, "big") & mask == prefix

    return lambda pair: any(map(within, _addresses(pair)))


def _portrange(value: str) -> Test:
    low, dash, high = value.partition("-")
    first, last = _number(low), _number(high if dash else low)
    if first > last:
        raise ValueError(value)
    return lambda pair: any(first <= port <= last for port in _ports(pair))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 0xFFFF):
        raise ValueError(text)
    return int(text)


def _addresses(pair: bytes) -> tuple[bytes, bytes]:
    size = (len(pair) - 4) // 2
    return pair[:size], pair[size : 2 * size]


def _ports(pair: bytes) -> tuple[int, int]:
    return int.from_bytes(pair[-4:-2], "big"), int.from_bytes(pair[-2:], "big")


_KINDS: dict[str, Callable[[str], Test]] = {"host": _host, "net": _net, "port": _portrange, "portrange": _portrange}
