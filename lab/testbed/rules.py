"""What the wire is told to do with some frames: `drop client SYN #1`, `delay server FIN 200ms`.

A rule is an action, a sender, a kind of segment, and where wanted which one of them: `#2` is the second such segment of
that sender, without a number every one is meant. Everything no rule names is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.errors import UsageError
from lab.protocols.transport import ACK, FIN, RST, SYN, Segment
from lab.text import Text

ACTIONS = {
    "drop": Text("never delivered", "不送达"),
    "corrupt": Text("one bit flipped on the way", "途中翻转一个比特"),
    "mark": Text("marked for congestion on the way, if it may be (ECN)", "途中打上拥塞标记（ECN），若它允许"),
    "delay": Text("delivered later", "延迟送达"),
    "duplicate": Text("delivered twice", "送达两次"),
    "swap": Text("delivered after the same sender's next frame", "排在同一发送方的下一帧之后送达"),
    "hold": Text("kept until the scenario lets it go", "扣住，直到场景放行"),
}
SENDERS = ("client", "server", "any")
KINDS = ("SYN", "SYN-ACK", "ACK", "FIN", "RST", "data", "any")
LONGEST_DELAY = 10_000_000_000  # nanoseconds

_RULE = re.compile(r"(\w+)\s+(\w+)\s+([\w-]+)(?:\s+#(\d{1,9}))?(?:\s+(\d{1,9})\s*(ms|s))?")


class Rule(NamedTuple):
    """One rule of the wire. `delay` is in nanoseconds, `nth` counts from 1, None means every one."""

    action: str
    sender: str
    kind: str
    nth: int | None
    delay: int = 0

    def __str__(self) -> str:
        nth = f" #{self.nth}" if self.nth else ""
        delay = f" {self.delay // 1_000_000}ms" if self.delay else ""
        return f"{self.action} {self.sender} {self.kind}{nth}{delay}"


def parse(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Reads rules, several in one text parted by commas or semicolons. Raises UsageError naming the first bad one.

    A text without any is one: who writes it means something.
    """
    parted = ([part for part in re.split(r"[,;\n]", text) if part.strip()] or [text] for text in texts)
    return tuple(_parse(part) for parts in parted for part in parts)


def _parse(text: str) -> Rule:
    match = _RULE.fullmatch(text.strip())
    if match:
        action, sender, kind, nth, amount, unit = match.groups()
        delay = int(amount) * (1_000_000 if unit == "ms" else 1_000_000_000) if amount else 0
        known = action in ACTIONS and sender in SENDERS and kind in KINDS
        if known and (action == "delay") == (0 < delay <= LONGEST_DELAY) and nth != "0":
            return Rule(action, sender, kind, int(nth) if nth else None, delay)
    raise UsageError(
        Text(f"the wire does not know the rule '{text.strip()}'", f"线路不认识规则“{text.strip()}”"),
        Text(
            f"write: {'|'.join(ACTIONS)} {'|'.join(SENDERS)} {'|'.join(KINDS)} [#N]; "
            "delay ends with a time up to 10 s, as in 'delay server FIN 200ms'",
            f"写法：{'|'.join(ACTIONS)} {'|'.join(SENDERS)} {'|'.join(KINDS)} [#N]；"
            "delay 以时长结尾（最长 10 s），例如 'delay server FIN 200ms'",
        ),
    )


def kinds(segment: Segment | None) -> tuple[str, ...]:
    """Returns the kinds a rule may call this segment by; a frame that is no TCP is only `any`."""
    if segment is None:
        return ("any",)
    flags = segment.flags
    if flags & RST:
        return ("RST", "any")
    if flags & SYN:
        return ("SYN-ACK" if flags & ACK else "SYN", "any")
    found = [kind for kind, here in (("FIN", flags & FIN), ("data", segment.payload)) if here] or ["ACK"]
    return (*found, "any")


class Policy:
    """Decides what happens to each frame. It counts, so it must see every frame once, in the order of capture."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._applied: set[int] = set()
        self._seen: dict[tuple[str, str], int] = {}

    def decide(self, sender: str, segment: Segment | None) -> Rule | None:
        """Returns the first rule that names this frame, None where it is simply passed on."""
        found = kinds(segment)
        for kind in found:
            self._seen[sender, kind] = self._seen.get((sender, kind), 0) + 1
        for at, rule in enumerate(self._rules):
            if rule.sender in (sender, "any") and rule.kind in found:
                nth = self._seen[sender, rule.kind]
                if rule.sender == "any":
                    nth = sum(self._seen.get((side, rule.kind), 0) for side in ("client", "server"))
                if rule.nth in (None, nth):
                    self._applied.add(at)
                    return rule
        return None

    @property
    def unused(self) -> tuple[int, ...]:
        """Which rules have not been applied to any frame, by their places."""
        return tuple(at for at in range(len(self._rules)) if at not in self._applied)
