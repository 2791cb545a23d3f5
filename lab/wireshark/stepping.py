"""Decides what becomes of each packet that is held, by what is asked in the toolbar and what the run tells.

Two threads come here: the run's tells its events (`hear`), another what is asked (`ask`). Nobody waits in here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock, Timer
from typing import NamedTuple

from lab.errors import UsageError
from lab.events import (
    CommandAnswered,
    Ended,
    Event,
    KernelAsked,
    PacketArrived,
    PacketLost,
    PacketSent,
)
from lab.model import States
from lab.protocols.notes import note
from lab.protocols.registry import TRANSPORT
from lab.render.words import refusal
from lab.runs.until import END, Seen, Until, Watch, until
from lab.testbed.control import Control as Wire
from lab.text import ROLES, Text
from lab.wireshark.toolbar import Control, Message, Order, Panel

_NO_PACKET = Text("no packet is held now", "现在没有扣住任何包")
_LOST = Text("is lost", "丢失了")
_ABSORBED = Text("sent again while a packet is held: the wire drops it", "包被扣住期间的重发，由线路丢弃")


class _Packet(NamedTuple):
    """A packet as it is spoken of: by the number that it has in Wireshark, None where it is not shown there."""

    number: int | None
    text: Text

    @property
    def named(self) -> Text:
        before = "" if self.number is None else f"{self.number} "
        return Text(before + self.text.en, before + self.text.zh)


class Stepping:
    """What is held, and how far packets go by themselves: `END` where nothing is to be held, None where each is.

    `wire` is asked for when there is something to say to it, `numbers` are those of the packets in Wireshark. A packet
    that goes by itself is held for `pace` seconds first.
    """

    def __init__(
        self, wire: Callable[[], Wire], numbers: Mapping[int, int], panel: Panel, going: Until | None, pace: float
    ) -> None:
        self._wire = wire
        self._numbers = numbers
        self._panel = panel
        self._going = going
        self._pace = pace
        self._watch = Watch()
        self._packets: dict[int, _Packet] = {}
        self._held: list[int] = []
        self._chosen: int | None = None
        self._kernels = States(None, None)
        self._again = 0  # copies that were absorbed since the log has told anything else
        self._arrival: Text | None = None  # that is told once the kernels have said what came of it
        self._lock = Lock()

    def begin(self) -> None:
        """Shows the toolbar as it is before the first packet."""
        with self._lock:
            self._panel.begin()
            self._panel.running(None if self._going is None else str(self._going))

    # What the run tells.

    def hear(self, event: Event) -> None:
        """Takes an event of the run; a packet that need not wait goes on at once."""
        with self._lock:
            seen = self._watch.hear(event)
            if seen is not None:
                self._is_held(seen)
            elif isinstance(event, PacketSent):
                self._packets[event.packet] = _Packet(None, _called(event))
            elif isinstance(event, KernelAsked):
                self._asked(event)
            elif isinstance(event, PacketArrived):
                why = refusal(event.refused) if event.refused is not None else Text("", "")
                self._arrival = self._over(event.packet, Text(f"has arrived {why.en}", f"已送达 {why.zh}"))
            elif isinstance(event, PacketLost) and event.absorbed:
                self._absorbed(event.packet)
            elif isinstance(event, PacketLost):
                self._say_with_kernels(self._over(event.packet, _LOST))
            elif isinstance(event, CommandAnswered) and event.message is not None:
                self._say(event.message, event.hint)
            elif isinstance(event, Ended):
                self._ended(event)

    def _is_held(self, seen: Seen) -> None:
        number, shown = seen.number, self._numbers.get(seen.number)
        packet = self._packets[number] = self._packets[number]._replace(number=shown)
        going = self._going
        if going is not None and going.holds(seen._replace(number=shown or number)):
            self._stop(Text(f"as far as {going}", f"已到 {going}"))
        elif going is not None and not self._pace:
            self._wire().release(number)
            return
        elif going is not None:
            timer = Timer(self._pace, self._time_is_up, (number,))
            timer.daemon = True
            timer.start()
        self._held.append(number)
        self._show()
        steps = [note(step).name for step in seen.steps]
        name = packet.named
        said = Text(f"held: {name.en}", f"扣住：{name.zh}")
        if steps:
            said = Text(
                f"{said.en} ({', '.join(each.en for each in steps)})",
                f"{said.zh}（{'、'.join(each.zh for each in steps)}）",
            )
        self._log(said)
        self._say_with_kernels(said)

    def _show(self) -> None:
        """Shows what is held."""
        held = [(self._number(each), self._packets[each].text) for each in self._held]
        self._panel.held(held, self._number(self._at_hand) if self._at_hand is not None else None)

    def _number(self, packet: int) -> int:
        return self._packets[packet].number or packet

    def _asked(self, event: KernelAsked) -> None:
        if event.states != self._kernels:
            self._kernels = event.states
            said = _ends(event.states)
            self._panel.kernels(said)
            self._log(Text("    " + said.en, "    " + said.zh))
        if event.instant == "delivered" and self._arrival is not None:
            arrival, self._arrival = self._arrival, None
            if not self._held:  # what is held is newer
                self._say_with_kernels(arrival)

    def _absorbed(self, number: int) -> None:
        """Counts a copy: there may be one every two seconds, so the log has the first, and how many there were."""
        packet, self._again = self._packets.pop(number), self._again + 1
        if self._again == 1:
            self._panel.log(Text(f"{packet.named.en}: {_ABSORBED.en}", f"{packet.named.zh}：{_ABSORBED.zh}"))

    def _log(self, text: Text) -> None:
        if self._again > 1:
            self._panel.log(Text(f"    {self._again} such copies in all", f"    这样的重发共 {self._again} 个"))
        self._again = 0
        self._panel.log(text)

    def _over(self, number: int, fate: Text) -> Text:
        """Returns what has become of a packet, which the log has from now on."""
        packet = self._packets.pop(number)
        said = Text(f"{packet.named.en} {fate.en}".strip(), f"{packet.named.zh} {fate.zh}".strip())
        self._log(said)
        if number in self._held:  # given up, when the scenario ended
            self._held.remove(number)
            self._show()
        return said

    def _ended(self, event: Ended) -> None:
        said = Text("the scenario has ended", "场景已结束")
        if event.early is not None:
            said = Text(f"the scenario stopped there: {event.early.en}", f"场景到此为止：{event.early.zh}")
        elif self._going not in (None, END):
            said = Text(f"the scenario has ended without {self._going}", f"场景已结束，没有遇到 {self._going}")
        self._say(said)
        self._held.clear()
        self._show()

    # What is asked.

    def ask(self, message: Message) -> None:
        """Takes a control packet from Wireshark. What is none of ours changes nothing."""
        if message.order != Order.SET:
            return
        said = message.payload.decode(errors="replace").strip()
        with self._lock:
            if message.control in _COMMANDS:
                self._command(_COMMANDS[message.control])
            elif message.control == Control.HELD:
                self._chosen = next((each for each in self._held if str(self._number(each)) == said), None)
            elif message.control == Control.UNTIL and said:
                self._run_until(said)
            elif message.control == Control.RUN and self._going is None:
                self._go(END)
            elif message.control == Control.RUN:
                self._stop(Text("each packet is held", "逐包扣住"))

    def alone(self) -> None:
        """Lets everything go, for nobody can ask for anything any more."""
        with self._lock:
            if self._going is None:
                self._go(END)

    @property
    def _at_hand(self) -> int | None:
        """The packet that is meant: the one that was chosen, else the oldest."""
        return self._chosen if self._chosen in self._held else next(iter(self._held), None)

    def _command(self, command: Callable[[Wire, int], bool]) -> None:
        number = self._at_hand
        if number is None:
            self._say(_NO_PACKET)
            return
        self._held.remove(number)
        command(self._wire(), number)
        self._show()

    def _run_until(self, said: str) -> None:
        try:
            going = until(said)
        except UsageError as error:
            self._say(error.message, error.hint)
        else:
            self._go(going)

    def _go(self, going: Until) -> None:
        self._going = going
        self._panel.running(str(going))
        for number in self._held:
            self._wire().release(number)
        self._held.clear()
        self._show()

    def _stop(self, why: Text) -> None:
        self._going = None
        self._panel.running(None)
        self._log(why)

    def _time_is_up(self, number: int) -> None:
        with self._lock:
            if self._going is not None and number in self._held:
                self._held.remove(number)
                self._wire().release(number)
                self._show()

    def _say(self, text: Text, hint: Text | None = None) -> None:
        said = text if hint is None else Text(f"{text.en}: {hint.en}", f"{text.zh}：{hint.zh}")
        self._panel.status(said)
        self._log(said)

    def _say_with_kernels(self, text: Text) -> None:
        kernels = _ends(self._kernels)
        self._panel.status(Text(f"{text.en} · kernels: {kernels.en}", f"{text.zh} · 内核：{kernels.zh}"))


_COMMANDS: Mapping[int, Callable[[Wire, int], bool]] = {
    Control.RELEASE: Wire.release,
    Control.DROP: Wire.drop,
    Control.DUPLICATE: Wire.duplicate,
}


def _called(sent: PacketSent) -> Text:
    """Returns what a packet is called, in a word or two: its sender and its labels."""
    labels = sent.labels
    if len(labels) > 2:  # a flight of messages
        labels = (*[each for each in labels if each not in TRANSPORT.data][:1], "…")
    said = " ".join(labels)
    if sent.sender is None:
        return Text(said, said)
    return Text(f"{ROLES[sent.sender].en} {said}", f"{ROLES[sent.sender].zh} {said}")


def _ends(states: States) -> Text:
    client, server = (state or "?" for state in states)
    return Text(
        f"{ROLES['client'].en} {client} · {ROLES['server'].en} {server}",
        f"{ROLES['client'].zh} {client} · {ROLES['server'].zh} {server}",
    )
