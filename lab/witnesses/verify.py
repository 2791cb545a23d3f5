"""A run held against its witnesses: both kernels where they were asked, the packets alone where there is a journal, and
Wireshark's dissectors where they are to be asked too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path as File

from lab.engine.path import Path
from lab.errors import InputError, LabError, MachineError, UsageError
from lab.model import Frame, Packet
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.report import agreement
from lab.report.agreement import Agreement
from lab.report.witnesses import Disagreement, Row, Verification, Witness
from lab.runs.recorded import Recorded
from lab.runs.run import Run
from lab.text import ROLES, Text
from lab.witnesses import above, wireshark
from lab.witnesses.histories import mismatches, untold
from lab.witnesses.tshark import Asking
from lab.witnesses.unfolded import unfolded

# The numbers of DEVIATIONS.md.
UNTOLD, STOPS_AT_DAMAGE = 8, 24
_MOST_REPLAYED = 50_000  # packets of a journal that are kept to be told again
_MOST_LISTED = 100_000  # disagreements
_DAMAGE = ("damaged or corrupt", "cut short", "malformed", "isn't a capture", "not supported")


def verify(
    run: Run, *, dissectors: bool = False, watch: Callable[[Packet], object] = lambda _packet: None
) -> Verification:
    """Goes through a run, closes it, and returns what its witnesses say of it: the kernels and the journal, and with
    `dissectors` Wireshark's, which are asked about the file of a recorded run. `watch` sees each packet.

    Raises what `run.packets` raises. A scenario that stopped before its end is a fault. Where Wireshark can't be asked,
    or does not answer to the end, `lacking` says why, and the others have been.
    """
    with ExitStack() as stack:
        stack.enter_context(run)
        told = _Told(run)
        wire = _Dissected(run, stack) if dissectors else None
        for packet in run.packets():
            told.packet(packet)
            watch(packet)
            if wire is not None:
                wire.packet(packet)
        told.over()
        if wire is not None:
            wire.over()
    return Verification(
        run.name,
        run.source.packets,
        tuple(_rows(told, wire)),
        (*told.disagreements, *(wire.disagreements if wire is not None else ())),
        told.left_out + (wire.left_out if wire is not None else 0),
        wire.lacking if wire is not None else None,
        wire is not None and wire.asked,
        tuple(told.notes),
    )


class _Told:
    """What the kernels said and what the wire did."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.kernels = Agreement()
        self.refusals = 0
        self.replayed = 0
        self.untold = 0
        self.disagreements: list[Disagreement] = []
        self.left_out = 0
        self._packets: list[Packet] = []
        self._too_many = False
        self.notes: list[Text] = []
        self._lost: set[int] = set()  # conversations with a packet that has lost its journal

    def packet(self, packet: Packet) -> None:
        if packet.journal is None and packet.conversation is not None and self._packets:
            self._lost.add(packet.conversation)
        before = len(self.kernels.disagreements)
        self.kernels.add(packet)
        if packet.conversation in self._lost:
            self._explain(before)
        self.refusals += packet.refused is not None and packet.refused.agrees is not None
        if packet.journal is not None or self._packets:
            if len(self._packets) < _MOST_REPLAYED:
                self._packets.append(packet)
            else:
                self._too_many = True

    def over(self) -> None:
        run = self._run
        for which in run.conversations:
            before = len(self.kernels.disagreements)
            self.kernels.add_final(which, run.source.packets)
            if which.id in self._lost:
                self._explain(before)
        self.disagreements += map(_of_kernel, self.kernels.disagreements)
        if self._too_many:
            many = f"{_MOST_REPLAYED:,}"
            self.notes.append(
                Text(
                    f"the journal is longer than {many} packets: not compared with the packets alone",
                    f"日志超过 {many} 个包：未与仅凭抓包的推断核对",
                )
            )
        elif self._packets:
            self._alone(_numbered(self._packets))
        if run.source.early is not None:
            self.disagreements.append(Disagreement(None, "journal", "early", "", "", None, run.source.early))

    def _explain(self, since: int) -> None:
        """Gives differences behind a packet whose fate nobody tells their reason."""
        found = self.kernels.disagreements
        found[since:] = [each if each.deviation else each._replace(deviation=UNTOLD) for each in found[since:]]

    def _alone(self, packets: list[Packet]) -> None:
        """Compares the journal with what the packets alone tell."""
        path = Path(TRANSPORT, UPPERS)
        path.learn(*self._run.secrets)
        hidden = untold(packets)
        self.untold = len(hidden)
        self.replayed = len(hidden) if "whether" in hidden.values() else len(packets)
        for packet in packets:
            for each in packet.surprises:
                said = Text(
                    f"the {each.role} {each.on} in {each.state}, which has no row",
                    f"{ROLES[each.role].zh}在 {each.state} 状态下的事件 {each.on}，表中没有这一行",
                )
                self.disagreements.append(Disagreement(packet.number, "journal", "surprise", "", "", None, said))
        for found in mismatches(packets, path.annotate(_frames(packets))):
            self.disagreements.append(
                Disagreement(
                    found.packet, "journal", found.what, str(found.inferred), str(found.journal), None, found.words
                )
            )


class _Dissected:
    """What Wireshark says of the same packets, while they come."""

    def __init__(self, run: Run, stack: ExitStack) -> None:
        source = run.source
        if not isinstance(source, Recorded) or source.capture.size is None:
            raise UsageError(
                Text("Wireshark can be asked only about a file", "只能就文件询问 Wireshark"),
                Text("save the capture first, then verify the file", "请先保存抓包，再核对该文件"),
            )
        self.lacking: MachineError | None = None
        self.asked = False  # and has begun to answer, or never did
        self.disagreements: list[Disagreement] = []
        self.left_out = 0
        self.segments, self.above = wireshark.Comparison(), above.Comparison()
        self._run = run
        self._opinions: Iterator[wireshark.Opinion] = iter(())
        self._asking: Asking | None = None
        self._next: wireshark.Opinion | None = None
        self._compared = 0
        try:
            file = File(source.name)
            ahead = source.capture.secrets_ahead() or []
            keylog, server_key = run.secrets
            self._asking = stack.enter_context(
                Asking(
                    file, wireshark.ALL, (*wireshark.PREFERENCES, *wireshark.TWICE),
                    keylog=b"\n".join([*ahead, keylog]).strip(), server_key=server_key,
                    unfold=lambda: unfolded(file, source.capture.limited),
                )
            )  # fmt: skip
            self._opinions = wireshark.read(self._asking, wireshark.ALL)
        except MachineError as error:
            self.lacking = error

    def packet(self, packet: Packet) -> None:
        if self._asking is None or self.lacking is not None:
            return
        opinion = self._of(packet.number)
        if opinion is None:
            return
        self._compared += 1
        for each in self.segments.of(packet, opinion):
            self._disagree(_of_segment(each))
            if packet.conversation is not None and each.field not in wireshark.LABELS:
                self.above.odd(packet.conversation)
        self.above.of(packet, opinion)

    def _of(self, number: int) -> wireshark.Opinion | None:
        """Returns what is said of a packet; None where nothing is any more."""
        try:
            for opinion in self._opinions:
                if opinion.number == number:
                    return opinion
        except (MachineError, InputError) as error:
            self._lacks(error)
        return None

    def _lacks(self, error: LabError) -> None:
        """Notes why there is no answer: the file is refused, or it takes too long."""
        self.asked = isinstance(error, MachineError)
        self.lacking = error if isinstance(error, MachineError) else MachineError(error.message, error.hint)

    def over(self) -> None:
        asking = self._asking
        if asking is None:
            return
        more = 0
        if self.lacking is None:
            try:
                more = sum(1 for _ in self._opinions)
            except (MachineError, InputError) as error:
                self._lacks(error)
        to_the_end = self.lacking is None and not asking.status
        for each in self.segments.completeness() if to_the_end else ():
            self._disagree(_of_segment(each))
        for found in self.above.at_the_end(self._run.reports() if to_the_end else ()):
            self._disagree(
                Disagreement(
                    found.number, "wireshark", found.tells.name, _listed(found.ours), _listed(found.theirs),
                    found.deviation, title=found.tells.title,
                )
            )  # fmt: skip
        self.left_out += self.above.left_out
        self.disagreements.sort(key=lambda each: each.packet or 0)
        if self.lacking is None:
            self._count(asking, more)

    def _count(self, asking: Asking, more: int) -> None:
        """Compares how many packets there are, where all of them have been asked for."""
        ours = self._run.source.packets
        theirs = self._compared + more
        if asking.status and not any(word in each for each in asking.complaints for word in _DAMAGE):
            complaint, self.asked = asking.complaints[0], True
            self.lacking = MachineError(
                Text(
                    f"tshark ended after {theirs} of {ours} packets: {complaint}",
                    f"tshark 在 {ours} 个包中的第 {theirs} 个之后结束：{complaint}",
                ),
                Text("what it has said until then was compared", "到此为止它所说的已经核对"),
            )
        elif self._run.whole and ours != theirs:
            reason = STOPS_AT_DAMAGE if asking.status and theirs < ours else None
            self._disagree(Disagreement(min(ours, theirs) + 1, "wireshark", "packets", str(ours), str(theirs), reason))

    def _disagree(self, each: Disagreement) -> None:
        if len(self.disagreements) < _MOST_LISTED:
            self.disagreements.append(each)
        else:
            self.left_out += 1


def _rows(told: _Told, wire: _Dissected | None) -> Iterator[Row]:
    """Yields the table: what has been compared with whom, how often, and how that came out."""
    found: list[tuple[Witness, str, Text | None, int]] = [
        ("kernels", "states", None, told.kernels.compared), ("kernels", "refusals", None, told.refusals),
        ("journal", "history", None, told.replayed),
    ]  # fmt: skip
    if wire is not None:
        found += [("wireshark", name, None, count) for name, count in wire.segments.compared.items()]
        titles = {
            each.name: each.title for upper in UPPERS if upper.dissector is not None for each in upper.dissector.tells
        }
        found += [
            ("wireshark", name, title, wire.above.compared[name])
            for name, title in titles.items()
            if wire.above.compared[name]
        ]
    rows = {(witness, name): (title, count) for witness, name, title, count in found}
    differing: dict[tuple[Witness, str], list[Disagreement]] = {}
    for each in (*told.disagreements, *(wire.disagreements if wire is not None else ())):
        place = each.witness, _row_of(each)
        rows.setdefault(place, (each.title, 0))
        differing.setdefault(place, []).append(each)
    for place, (title, count) in rows.items():
        mine = _by_packet(differing.get(place, []))
        deviations: Counter[int] = Counter(each.deviation for each in mine if each.deviation is not None)
        if place == ("journal", "history") and told.untold:
            deviations[UNTOLD] += told.untold
        unexplained = sum(each.deviation is None for each in mine)
        if count or mine:
            count = max(count, unexplained + sum(deviations.values()))
            yield Row(*place, title, count, dict(sorted(deviations.items())), unexplained)


def _row_of(each: Disagreement) -> str:
    if each.witness == "journal":
        return "history"
    if each.witness == "kernels":
        return each.what if each.what == "refusals" else "states"
    return "analysis" if each.what in wireshark.LABELS else each.what


def _by_packet(found: list[Disagreement]) -> list[Disagreement]:
    """Returns a disagreement of each packet that has some, one without a reason before others; of states, all."""
    if found and found[0].witness == "kernels":
        return found
    worst: dict[int | None, Disagreement] = {}
    for each in found:
        if each.packet not in worst or each.deviation is None:
            worst[each.packet] = each
    return list(worst.values())


def _of_segment(each: wireshark.Disagreement) -> Disagreement:
    what = "segment" if each.field == TRANSPORT.name else each.field
    return Disagreement(each.number, "wireshark", what, _value(each.ours), _value(each.theirs), each.deviation)


def _value(told: object) -> str:
    """Returns a value as it is listed: of what is there or not, yes or no."""
    return "-" if told is None else ("no", "yes")[told] if isinstance(told, bool) else str(told)


def _of_kernel(each: agreement.Disagreement) -> Disagreement:
    number, instant, role, ours, kernel, deviation = each
    what = "refusals" if ours == "taken" else "states"
    return Disagreement(
        number, "kernels", what, str(ours), str(kernel), deviation,
        Text(
            f"{instant}: the {role}'s kernel says {kernel}, the table {ours}",
            f"{_INSTANTS[instant]}：{ROLES[role].zh}内核说 {kernel}，状态表说 {ours}",
        ),
    )  # fmt: skip


_INSTANTS = {"held": "扣住时", "delivered": "送达时", "final": "结束时"}


def _listed(values: Iterable[str]) -> str:
    return " ".join(values) or "-"


def _numbered(packets: Iterable[Packet]) -> list[Packet]:
    """Returns packets whose conversations count from 0, as they do where these packets are all there is."""
    ids: dict[int, int] = {}
    return [
        packet if (old := packet.conversation) is None else packet._replace(conversation=ids.setdefault(old, len(ids)))
        for packet in packets
    ]


def _frames(packets: list[Packet]) -> list[Frame]:
    return [packet.frame for packet in packets if packet.frame is not None]
