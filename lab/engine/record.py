"""A packet while the engine has it: made when captured, filled in as its fate becomes known, written by no other.

What leaves the engine is made of it: events while things happen (lab/events.py), a `Packet` when its fate is known
(lab/report/packets.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lab.engine.conversation import Conversation, End
from lab.model import Above, By, Fate, Frame, Journal, Kernels, Message, Remark, Role, States, Surprise, Verdict

_OVERHEAD, _SPAN = 1000, 200  # bytes that a packet or a message costs beside its own, and one of the places of that
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
PATIENCE = 256  # so many packets later what is not known of a packet is decided from what is known, if it can be


class Told(NamedTuple):
    """A message that a packet completes: whose it is, and its protocol's own account of it.

    Without a layer it is the message as it leaves the engine: nobody will ask for more of it.
    """

    layer: Any  # of lab/engine/layer.py
    said: Any


_UNTOLD = Told(None, Message("", "", ()))


class Record:
    """What is known of one packet so far; `settled` says that nothing will change any more.

    Sequence numbers are relative; a packet takes those from `seq` to before `stop`. A packet that no transport reads
    has neither `segment` nor conversation nor sender (`end`).
    """

    __slots__ = (
        "above", "ack", "answers", "asked_delivered", "asked_held", "assumed", "awaits", "by", "conversation", "copies",
        "copy_of", "delivered", "discarded", "disowned", "end", "frame", "got", "held", "journal", "kernel_delivered",
        "kernel_held", "labels", "messages", "new", "number", "quotes", "remarks", "segment", "seq", "settled", "shown",
        "steps", "stop", "surprises", "time", "verdict",
        "whole",
    )  # fmt: skip

    def __init__(
        self,
        frame: Frame,
        labels: tuple[str, ...],
        segment: Any = None,
        conversation: Conversation | None = None,
        end: End | None = None,
        seq: int = 0,
        stop: int = 0,
    ) -> None:
        self.number = frame.number
        self.time = frame.time
        self.frame: Frame | None = frame  # let go of where only the numbers are asked for
        self.whole: Frame | None = None  # the packet that it completes, where that came in IP fragments
        self.labels = labels
        self.segment = segment  # as its transport reads it
        self.conversation = conversation
        self.end = end  # the sender
        self.seq = seq
        self.ack: int | None = None
        self.stop = stop  # the number behind the last it takes
        self.new = False  # takes sequence space that nobody has acknowledged yet
        self.disowned = False  # its alleged sender has not sent it
        self.discarded = False  # its receiver has not taken it, if it got it
        self.got = False  # its receiver has walked the table by it: known to have arrived only where `by` says how
        self.by: By | None = None  # how its fate is known; None while it is not, and where it will not be
        self.copies: tuple[Record, ...] = ()  # the same packet, captured once more
        self.copy_of: Record | None = None  # that which it is one of
        self.settled = False
        self.shown = False  # it has left the engine: what is learnt of it later nobody will see
        self.awaits = 0  # how many of its messages only a later packet tells
        self.held: States | None = None
        self.assumed: tuple[Role, ...] = ()  # ends whose state when held rests on an assumption
        self.delivered: States | None = None
        self.kernel_held: States | None = None
        self.kernel_delivered: States | None = None
        self.asked_held: Kernels | None = None  # what the kernels' states above were taken from
        self.asked_delivered: Kernels | None = None
        self.journal: Journal | None = None
        self.steps: tuple[str, ...] = ()
        self.messages: tuple[Told, ...] = ()
        self.above: tuple[Above, ...] = ()  # of protocols of which it completes a message, or which hear it close
        self.surprises: tuple[Surprise, ...] = ()
        self.remarks: tuple[Remark, ...] = ()
        self.answers: int | None = None  # the packet that it quotes or, where that is refused, replies to
        self.quotes: int | None = None  # and the id of that packet's conversation
        self.verdict: Verdict | None = None  # of its receiver's kernel, where a wire's journal tells it

    @property
    def size(self) -> int:
        """The bytes of memory that its frame and its messages take, roughly."""
        size = 0
        if self.frame is not None:
            size = _OVERHEAD + self.frame.size
            if self.whole is not None:
                size += self.whole.size
        for layer, said in self.messages:
            size += _OVERHEAD + (_SPAN * len(said.spans) if layer is None else getattr(said, "held", 0))
        return size

    def slim(self, told: bool) -> None:
        """Lets go of what its messages hold: they become what they are to a packet that is not told of in words.

        Where they are not `told` at all, no more is kept than how many there are.
        """
        if self.awaits:
            return
        self.messages = (
            tuple([_new(Told, (None, said if layer is None else layer.message(said))) for layer, said in self.messages])
            if told
            else (_UNTOLD,) * len(self.messages)
        )

    def forget(self) -> None:
        """Lets go of what only those need who are shown the packet: its frame and its messages."""
        self.shown = True
        self.frame = self.whole = None
        self.messages = ()

    @property
    def fate(self) -> Fate:
        """What is known of where it has gone, as far as it is settled."""
        if self.by is None or not self.settled:
            return "unknown"
        return "arrived" if self.got else "lost"
