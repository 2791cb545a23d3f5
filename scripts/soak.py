"""Every scenario many times, IPv4 and IPv6 in turn, and every debugging plan: soak.py [RUNS] [SCENARIO|PLAN ...]

A run is held against both kernels and, as far as packets can tell it, against the inference from packets alone. Ends
with status 1 where anything differs without a number in DEVIATIONS.md; Ctrl-C shows the sums so far, and ends with 130.

soak.py --delay 15ms [SCENARIO ...] plays each scenario once with each kind of segment of each sender delayed by so
much: what a slow machine or a long cable puts in another order. A scenario may stop before its end there, and is
counted: what it has shown until then must be true all the same.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import lab
from lab.app.cli import guarded
from lab.errors import UsageError
from lab.protocols.catalogue import scenario
from lab.testbed.rules import KINDS
from lab.text import LANGUAGES, Text, choose
from scripts.plans import PLANS, play

RUNS = 100
MOST_SHOWN = 10  # faults of a scenario
NEVER_SENT = {("server", "SYN"), ("client", "SYN-ACK")}
LANG = choose(sys.argv[1:], os.environ)


class Sum:
    """What one scenario's runs came to, each with the rule of its turn, where there are any."""

    def __init__(self, name: str, rules: Sequence[str]) -> None:
        self.name = name
        self._rules = rules
        self.runs = 0
        self.stopped = 0  # before their end, by a rule
        self.compared = 0
        self.deviations: Counter[int] = Counter()
        self.faults: list[str] = []
        self.seconds = 0.0

    def play(self, ipv6: bool, file: Path) -> None:
        """Plays the scenario once more."""
        begun = time.perf_counter()
        rules = self._rules[self.runs : self.runs + 1]
        found = lab.verify(lab.run(self.name, testbed="netns", ipv6=ipv6, file=file, rules=rules, words=False))
        wrong = [each for each in found.unexplained if not (rules and each.what == "early")]
        self.stopped += len(wrong) < len(found.unexplained)
        where = f"{self.runs + 1}, {', '.join([*rules, 'IPv6' if ipv6 else 'IPv4'])}"
        self.faults += [f"{where}: {each.text().pick(LANG)}" for each in wrong]
        self.runs += 1
        self.compared += found.compared
        self.deviations.update(found.deviations)
        self.seconds += time.perf_counter() - begun

    def show(self) -> None:
        numbered = ", ".join(f"{count} × no. {number}" for number, count in sorted(self.deviations.items()))
        figures = (self.name, self.runs, self.compared, len(self.faults), f"{self.seconds:.1f}")
        stopped = Text(f"{self.stopped} stopped early", f"{self.stopped} 次提前结束").pick(LANG) if self.stopped else ""
        _print(figures, ", ".join(filter(None, (numbered, stopped))) or "-")
        for each in self.faults[:MOST_SHOWN]:
            print(f"  ≠ {each}", flush=True)


class PlanSum(Sum):
    """What a debugging plan's runs came to: only the kernels are asked, for what is forged deceives packets alone."""

    def play(self, ipv6: bool, file: Path) -> None:
        begun = time.perf_counter()
        found = play(*PLANS[self.name], file, ipv6).run.agreement
        self.faults += [f"{self.runs + 1}, {'IPv6' if ipv6 else 'IPv4'}: {each}" for each in found.unexplained]
        self.runs += 1
        self.compared += found.compared
        self.deviations.update(each.deviation for each in found.disagreements if each.deviation is not None)
        self.seconds += time.perf_counter() - begun


def main() -> int:
    runs, rules, names = _asked([word for word in sys.argv[1:] if word not in ("--lang", *LANGUAGES)])
    sums: list[Sum] = []
    try:
        _print(Text("scenario runs states faults seconds", "场景 次数 状态数 异常 秒").pick(LANG).split())
        with tempfile.TemporaryDirectory(prefix="lab-soak-") as folder:
            for name in names:
                sums.append((PlanSum if name in PLANS else Sum)(name, rules))
                for at in range(runs):
                    sums[-1].play(bool(at % 2), Path(folder) / "run.pcapng")
                sums[-1].show()
    except KeyboardInterrupt:
        if sums:
            sums[-1].show()
        _total(sums)
        raise
    return _total(sums)


def _print(figures: Sequence[object], rest: str = "DEVIATIONS.md") -> None:
    name, runs, states, faults_, seconds = figures
    print(f"{name:<44} {runs:>5} {states:>8} {faults_:>7} {seconds:>8}  {rest}", flush=True)


def _asked(words: list[str]) -> tuple[int, list[str], list[str]]:
    """Returns how many runs, the rule of each, if any, and the names of what is to be played."""
    runs, rules, plans = RUNS, list[str](), list(PLANS)
    if words and words[0].isdecimal():
        runs = int(words.pop(0))
    if words and words[0] == "--delay":
        delay = (words[1:2] or ["15ms"])[0]
        del words[:2]
        pairs = [(sender, kind) for sender in ("client", "server") for kind in KINDS if kind != "any"]
        rules = [f"delay {sender} {kind} {delay}" for sender, kind in pairs if (sender, kind) not in NEVER_SENT]
        runs, plans = len(rules), []  # plans have rules of their own
    if not runs:
        raise UsageError(Text("0 runs prove nothing", "运行 0 次证明不了什么"), Text("soak.py 100", "soak.py 100"))
    named = [word if word in plans else scenario(word).name for word in words]
    every = [each.name for each in lab.scenarios() if scenario(each.name).lacking() is None]
    return runs, rules, named or [*every, *plans]


def _total(sums: list[Sum]) -> int:
    runs, compared, seconds = (sum(getattr(each, name) for each in sums) for name in ("runs", "compared", "seconds"))
    wrong = sum(len(each.faults) for each in sums)
    deviations = sum((each.deviations for each in sums), Counter[int]())
    numbers = ", ".join(f"{count} × no. {number}" for number, count in sorted(deviations.items())) or "0"
    print(
        Text(
            f"{runs} runs in {seconds:.0f} s: {compared} states compared, {wrong} faults, deviations: {numbers}",
            f"共 {runs} 次，{seconds:.0f} 秒：比较 {compared} 个状态，异常 {wrong} 处，偏差：{numbers}",
        ).pick(LANG)
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
