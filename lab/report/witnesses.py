"""What the witnesses say of a run, as values: a table of what was compared, and every disagreement."""

from __future__ import annotations

from typing import Literal, NamedTuple

from lab.errors import MachineError
from lab.text import Text

Witness = Literal["kernels", "journal", "wireshark"]

WITNESSES: dict[Witness, Text] = {
    "kernels": Text("both kernels", "两端内核"),
    "journal": Text("the wire's journal", "线路的日志"),
    "wireshark": Text("Wireshark", "Wireshark 解析器"),
}
# What is compared, in words; what a protocol above the transport has of its own comes with a title.
TITLES = {
    "states": Text("states of both ends", "两端状态"),
    "refusals": Text("refused packets", "被拒收的包"),
    "history": Text("packets alone", "仅凭抓包的推断"),
    "packets": Text("number of packets", "包的数量"),
    "segment": Text("what is a segment", "是否为报文段"),
    "conversation": Text("conversations", "连接的划分"),
    "addresses": Text("addresses and ports", "地址和端口"),
    "flags": Text("flags", "标志位"),
    "seq": Text("sequence numbers", "序号"),
    "ack": Text("acknowledgement numbers", "确认号"),
    "payload": Text("payload lengths", "载荷长度"),
    "analysis": Text("analysis flags", "分析标记"),
    "completeness": Text("completeness", "连接完整性"),
}
_WHETHER = {"yes": "是", "no": "否"}


class Row(NamedTuple):
    """One thing that was compared with one witness: of so many, how many differ by each numbered deviation, and how
    many without a reason. All others agree."""

    witness: Witness
    name: str
    own_title: Text | None
    compared: int
    deviations: dict[int, int]
    unexplained: int

    @property
    def title(self) -> Text:
        return self.own_title or TITLES[self.name]

    @property
    def agree(self) -> int:
        return self.compared - sum(self.deviations.values()) - self.unexplained


class Disagreement(NamedTuple):
    """One thing told differently. `packet` is None where it is of no packet; `deviation` is the number in
    DEVIATIONS.md, None where nothing explains it; `said` tells it where `ours` and `theirs` alone would not."""

    packet: int | None
    witness: Witness
    what: str
    ours: str
    theirs: str
    deviation: int | None
    said: Text | None = None
    title: Text | None = None

    def text(self) -> Text:
        """Returns it in a line."""
        place = Text(f"packet {self.packet}, ", f"第 {self.packet} 号包，") if self.packet is not None else Text("", "")
        if self.said is not None:
            return Text(place.en + self.said.en, place.zh + self.said.zh)
        title, who = self.title or TITLES.get(self.what) or Text(self.what, self.what), WITNESSES[self.witness]
        ours, theirs = (_WHETHER.get(each, f" {each}") for each in (self.ours, self.theirs))
        return Text(
            f"{place.en}{title.en}: {self.ours} here, {self.theirs} to {who.en}",
            f"{place.zh}{title.zh}：此处为{ours}，{who.zh}为{theirs}",
        )


class Verification(NamedTuple):
    """What the witnesses say of a run: the table, and the disagreements, of which `left_out` are not listed.

    `lacking` is why Wireshark could not be asked, or, where it was `asked`, has not answered to the end; `notes` say
    what else was not compared.
    """

    name: str
    packets: int
    rows: tuple[Row, ...]
    disagreements: tuple[Disagreement, ...]
    left_out: int = 0
    lacking: MachineError | None = None
    asked: bool = False
    notes: tuple[Text, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether nothing differs without a reason that has a number."""
        return not self.unexplained and not any(each.unexplained for each in self.rows)

    @property
    def unexplained(self) -> tuple[Disagreement, ...]:
        return tuple(each for each in self.disagreements if each.deviation is None)

    @property
    def faults(self) -> tuple[Text, ...]:
        """All that differs without a numbered reason, in words."""
        return tuple(each.text() for each in self.unexplained)

    @property
    def compared(self) -> int:
        """How many states both kernels were asked about."""
        return sum(each.compared for each in self.rows if (each.witness, each.name) == ("kernels", "states"))

    @property
    def deviations(self) -> dict[int, int]:
        """How often each deviation of DEVIATIONS.md from the kernels was needed."""
        found: dict[int, int] = {}
        for each in self.rows:
            if each.witness == "kernels":
                for number, count in each.deviations.items():
                    found[number] = found.get(number, 0) + count
        return dict(sorted(found.items()))
