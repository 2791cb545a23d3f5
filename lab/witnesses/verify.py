"""A run held against its witnesses: both kernels where they were asked, the packets alone where there is a journal, and
Wireshark's dissectors where they are to be asked too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from lab.engine.path import Path
from lab.errors import InputError, LabError, MachineError
from lab.model import ConversationReport, Frame, Packet
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.report import agreement
from lab.report.agreement import Agreement
from lab.report.witnesses import Disagreement, Row, Verification, Witness
from lab.runs.recorded import Recorded
from lab.runs.run import Run
from lab.text import ROLES, Text
from lab.witnesses import above, wireshark
from lab.witnesses.histories import EntangledError, mismatches, untold
from lab.witnesses.question import LABELS, Opinion, Question, no_file

# The numbers of DEVIATIONS.md.
UNTOLD, STOPS_AT_DAMAGE = 8, 24
_MOST_REPLAYED = 50_000  # packets of a journal that are kept to be told again
_MOST_LISTED = 100_000  # disagreements
_DAMAGE = ("damaged or corrupt", "cut short", "malformed", "isn't a capture", "not supported")


class Watch(Protocol):
    """Who looks on: sees each packet, and in the end the report on each conversation."""

    def packet(self, packet: Packet, /) -> object: ...
    def conversation(self, report: ConversationReport, /) -> object: ...


def verify(run: Run, *, dissectors: bool | Question = False, watch: Watch | None = None) -> Verification:
    """Goes through a run, closes it, and returns what its witnesses say of it: the kernels and the journal, and with
    `dissectors` Wireshark's, which are asked about the file of a recorded run, or have been already.

    Raises what `run.packets` raises. A scenario that stopped before its end is a fault. Where Wireshark can't be asked,
    or does not answer to the end, `lacking` says why, and the others have been.
    """
    with ExitStack() as stack:
        stack.enter_context(run)
        told = _Told(run)
        wire = None
        if dissectors:
            wire = _Dissected(run, dissectors if isinstance(dissectors, Question) else stack.enter_context(_asked(run)))
        for packet in run.packets():
            told.packet(packet)
            if watch is not None:
                watch.packet(packet)
            if wire is not None:
                wire.packet(packet)
        if wire is not None:
            wire.over()
        if watch is not None or told.any:
            for report in run.reports():  # each is made when it is asked for
                told.conversation(report)
                if watch is not None:
                    watch.conversation(report)
                if wire is not None:
                    wire.conversation(report.id, report.first, report.facts)
        elif wire is not None:
            for each in run.carried(wire.told_of):
                wire.conversation(*each)
        told.over()
        if wire is not None:
            wire.count()
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


def _asked(run: Run) -> Question:
    """Returns the question about the file of a run. Raises UsageError for one that has none."""
    source = run.source
    if not isinstance(source, Recorded):
        raise no_file()
    return Question(source.capture, *run.secrets)


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
        self._disagree(self.kernels.add(packet), packet.conversation)
        self.refusals += packet.refused is not None and packet.refused.agrees is not None
        if packet.journal is not None or self._packets:
            if len(self._packets) < _MOST_REPLAYED:
                self._packets.append(packet)
            else:
                self._too_many = True

    @property
    def any(self) -> bool:
        """Whether they have told anything."""
        return bool(self._packets)

    def conversation(self, report: ConversationReport) -> None:
        self._disagree(self.kernels.add_final(report, self._run.source.packets), report.id)

    def over(self) -> None:
        run = self._run
        if self._too_many:
            many = f"{_MOST_REPLAYED:,}"
            self.notes.append(
                Text(
                    f"the journal is longer than {many} packets: not compared with the packets alone",
                    f"日志超过 {many} 个包：未与仅凭抓包的推断核对",
                )
            )
        elif self._packets:
            try:
                self._alone(_numbered(self._packets))
            except EntangledError:
                self.notes.append(
                    Text(
                        "too many packets of the journal are under way at once: not compared with the packets alone",
                        "日志中同时在途的包过多：未与仅凭抓包的推断核对",
                    )
                )
        if run.source.early is not None:
            self.disagreements.append(Disagreement(None, "journal", "early", "", "", None, run.source.early))

    def _disagree(self, found: list[agreement.Disagreement], conversation: int | None) -> None:
        """Takes in what the kernels say differently: behind a packet whose fate nobody tells, that is the reason."""
        for each in found:
            if len(self.disagreements) >= _MOST_LISTED:
                self.left_out += 1
            elif conversation in self._lost and not each.deviation:
                self.disagreements.append(_of_kernel(each._replace(deviation=UNTOLD)))
            else:
                self.disagreements.append(_of_kernel(each))

    def _alone(self, packets: list[Packet]) -> None:
        """Compares the journal with what the packets alone tell."""
        path = Path(TRANSPORT, UPPERS)
        path.learn(*self._run.secrets)
        hidden = untold(packets)
        departures = mismatches(packets, path.annotate(_frames(packets)), hidden)
        self.untold = len(hidden)
        self.replayed = len(hidden) if "whether" in hidden.values() else len(packets)
        for packet in packets:
            for each in packet.surprises:
                said = Text(
                    f"the {each.role} {each.on} in {each.state}, which has no row",
                    f"{ROLES[each.role].zh}在 {each.state} 状态下的事件 {each.on}，表中没有这一行",
                )
                self.disagreements.append(Disagreement(packet.number, "journal", "surprise", "", "", None, said))
        for found in departures:
            self.disagreements.append(
                Disagreement(
                    found.packet, "journal", found.what, str(found.inferred), str(found.journal), None, found.words
                )
            )


class _Dissected:
    """What Wireshark says of the same packets, while they come."""

    def __init__(self, run: Run, question: Question) -> None:
        self.lacking = question.lacking
        self.asked = False  # and has begun to answer, or never did
        self.disagreements: list[Disagreement] = []
        self.left_out = 0
        self.segments, self.above = wireshark.Comparison(), above.Comparison()
        self._run = run
        self._asking = question.asking
        self._opinions = question.opinions()
        self._more = self._compared = 0  # opinions

    def packet(self, packet: Packet) -> None:
        if self._asking is None or self.lacking is not None:
            return
        opinion = self._of(packet.number)
        if opinion is None:
            return
        self._compared += 1
        for each in self.segments.of(packet, opinion):
            self._disagree(_of_segment(each))
            if packet.conversation is not None and each.field not in LABELS:
                self.above.odd(packet.conversation)
        self.above.of(packet, opinion)

    def _of(self, number: int) -> Opinion | None:
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
        """Takes what more it says, and what is known only when all packets have been told."""
        if self._asking is None:
            return
        if self.lacking is None:
            try:
                self._more = sum(1 for _ in self._opinions)
            except (MachineError, InputError) as error:
                self._lacks(error)
        for each in self.segments.completeness() if self._to_the_end else ():
            self._disagree(_of_segment(each))
        for found in self.above.of_packets():
            self._disagree(_of_above(found))

    @property
    def _to_the_end(self) -> bool:
        return self._asking is not None and self.lacking is None and not self._asking.status

    @property
    def told_of(self) -> Collection[int]:
        """The conversations of which it has told something as a whole."""
        return self.above.told_of if self._to_the_end else ()

    def conversation(self, which: int, first: int, facts: Mapping[str, Any]) -> None:
        for found in self.above.of_conversation(which, first, facts) if self._to_the_end else ():
            self._disagree(_of_above(found))

    def count(self) -> None:
        """Compares how many packets there are, where all of them have been asked for."""
        self.left_out += self.above.left_out
        self.disagreements.sort(key=lambda each: each.packet or 0)
        asking = self._asking
        if asking is None or self.lacking is not None:
            return
        ours = self._run.source.packets
        theirs = self._compared + self._more
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
    return "analysis" if each.what in LABELS else each.what


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


def _of_above(each: above.Difference) -> Disagreement:
    return Disagreement(
        each.number, "wireshark", each.tells.name, _listed(each.ours), _listed(each.theirs), each.deviation,
        title=each.tells.title,
    )  # fmt: skip


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
