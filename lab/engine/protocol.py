"""What everybody needs to know of a protocol, in one value: its descriptor. The registry lists them; nobody else does.

A `Transport` divides a capture into conversations and knows what of a packet has arrived; an `Upper` reads the bytes
that it carries. The engine walks the tables of both. What is said of them (steps, facts of the trace, words, worked
examples, what a comparison compares) is the protocol's own, and comes from here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, dataclass_transform

from lab.text import Text
from lab.tuples import NamedTuple

if TYPE_CHECKING:  # descriptors are imported with every command
    from lab.engine.record import Record
    from lab.engine.table import Table
    from lab.model import Carrier, Detail, Example, Frame, Kernels, Message, Role, States, Verdict

Labels = tuple[str, ...]
_NO_FACTS: Mapping[str, Any] = MappingProxyType({})
_NO_BYTES: Mapping[int, int] = MappingProxyType({})
_REQUIRED = object()


class StepOutcome(NamedTuple):
    """What became of a step: its packets, the code of how it departs from the notes, and who acts in it.

    `when` chooses among what is said of a code, as far as more is known: `journal`, `inferred`, or what else the
    protocol's notes have. `gone` are those of its packets of which that is known.
    """

    id: str
    packets: tuple[int, ...]
    code: str | None
    actor: Role = "client"
    when: str = ""
    gone: tuple[int, ...] = ()


class Compared(NamedTuple):
    """Something about a whole conversation that `lab diff` compares: its name, what it is called, where it is found.

    `value` takes the facts of the trace and the side's rows (lab/report/comparison.py).
    """

    name: str
    title: Text
    value: Callable[[Mapping[str, Any], Sequence[Any]], Any]
    last: bool = False  # told behind the facts of all protocols


class Sentence(NamedTuple):
    """What is said where a fact is as `one` has it in X and as `other` has it in Y, whichever of the two X is.

    A fact is one that is compared, or whether some step of a protocol goes another way: `tcp half-close`. `at` is the
    place in a connection's life: OPENING, AGREED, TALKING, BROKEN or CLOSING.
    """

    fact: str
    one: Callable[[Any], bool]
    other: Callable[[Any], bool]
    text: Text  # {x} and {y}: the letters; {one} and {other}: the values
    at: int


OPENING, AGREED, TALKING, BROKEN, CLOSING = range(5)


class Trouble(NamedTuple):
    """What is wrong with a conversation, for whoever looks for the worst of many: `weight` is from 1 to 100.

    `early` is what it is where the capture ends so soon behind the conversation that more may have been on its way.
    """

    weight: int
    text: Text
    packet: int | None  # that shows it
    early: Trouble | None = None


Placed = Mapping[str, Sequence[tuple["Role", int]]]  # by label: who has sent the packets that have it, their numbers


class Witnessed(NamedTuple):
    """Something that Wireshark's dissector of a protocol tells too, and how the two are compared.

    `theirs` takes the values of a packet's `fields`, which are Wireshark's names, and returns what they tell in the
    lab's words. `ours` takes the packet's messages of the protocol, or where it is `whole` the facts of the
    conversation, with which all that its packets tell is compared where both sides say something. Where it is
    `only_ours` Wireshark tells it of other protocols as well: it is compared where the lab says something.
    `sealed` says, of messages and values, that what differs is encrypted and was opened by one of the two at most.
    """

    name: str
    title: Text
    fields: tuple[str, ...]
    ours: Callable[[Any], Sequence[str]]
    theirs: Callable[[Mapping[str, Sequence[str]]], Sequence[str]]
    whole: bool = False
    only_ours: bool = False
    sealed: Callable[[Sequence[Message], Mapping[str, Sequence[str]]], bool] = lambda _ours, _theirs: False


class Dissector(NamedTuple):
    """Wireshark's dissector of a protocol: what it is called among a frame's protocols, and what it tells."""

    layers: frozenset[str]
    tells: tuple[Witnessed, ...]


class Command(NamedTuple):
    """A command of its own for a scenario: `lab NAME`. `choices` are its options, each with what may be chosen.

    `pick` takes what was chosen, option by option (None where it was not), and returns the scenario's name.
    """

    name: str
    help: Text
    pick: Callable[..., str]
    choices: tuple[Choice, ...] = ()


class Choice(NamedTuple):
    """An option of a command: one of `values`, or where there are none, a switch."""

    option: str
    help: Text
    values: tuple[str, ...] = ()
    default: str | None = None


def _no_facts(_subject: Any) -> Mapping[str, Any]:
    return _NO_FACTS


def _client(_step: str) -> Role:
    return "client"


def _no_points(*_subject: Any) -> Sequence[Text]:
    return ()


def _no_troubles(_facts: Mapping[str, Any], _placed: Placed) -> Sequence[Trouble]:
    return ()


def _no_examples(_subject: Any) -> Example | None:
    return None


def _no_verdict(_record: Any, _before: Any, _after: Any, _answers: Any) -> Verdict | None:
    return None


def _no_challenge(_record: Any, _of: Any) -> bool:
    return False


class _Place(NamedTuple):
    module: str
    name: str


def later(module: str, name: str = "") -> Any:
    """Returns what stands for a value, something in a module or the module itself, until somebody asks for it."""
    return _Place(module, name)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Described:
    """A frozen dataclass, kw_only, in which a value may be `later`: dataclasses knows no such thing.

    Raises TypeError where a value is missing or has a name that is no field's, AttributeError for a change.
    """

    _fields: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: vars(cls).get(name, _REQUIRED) for name in cls.__annotations__}
        cls._fields = {**cls._fields, **own}
        for name in own:
            if name in vars(cls):
                delattr(cls, name)

    def __init__(self, **given: Any) -> None:
        values = {**self._fields, **given}
        lacking = [name for name, value in values.items() if value is _REQUIRED]
        if lacking or len(values) > len(self._fields):
            unknown = [*(given.keys() - self._fields.keys())]
            raise TypeError(f"{type(self).__name__}: lacks {lacking}, knows no {unknown}")
        vars(self).update({name: value for name, value in values.items() if not isinstance(value, _Place)})
        vars(self)["_given"] = given

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} never changes")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            place = vars(self).get("_given", {}).get(name)
            if place is None:
                raise AttributeError(f"a {type(self).__name__} has no {name}")
            module = import_module(place.module)
            value = vars(self)[name] = getattr(module, place.name) if place.name else module
            return value

    def replace(self, **changes: Any) -> Self:
        """Returns the same with other values."""
        return type(self)(**{**vars(self)["_given"], **changes})


class Descriptor(_Described):
    """What a protocol says of itself. A `subject` is a Conversation for a transport, a Layer for what it carries.

    `name` is its id in traces, steps and scenarios' names, and its folder's, where notes.toml and schema.json are (what
    it adds to the trace's schema: `labels`, `facts`, keys of its `message`, `defs`). `title` is as its RFC writes it,
    `short` where there is little room. `label_words` says labels in words that need some, `explained` in more, once;
    `event_words` says an event, or what was sent or got in it, where its name in the table is not all of it.
    `details` are facts that a comparison asks for and the trace does not have. `data` are the labels of messages that
    are a program's own, `unawaited` of a server's messages that nobody waits for.
    `points` are sentences on what is to be pointed out in a packet, where that shows in the capture.
    """

    name: str
    title: str
    tables: Mapping[Role, Table]
    layouts: Mapping[Role, Any] = MappingProxyType({})  # how they are drawn (lab/protocols/layout.py), where they are
    steps: Callable[[Any], Sequence[StepOutcome]]
    facts: Callable[[Any], Mapping[str, Any]]
    short: str = ""
    label_words: Mapping[str, Text] = _NO_FACTS
    explained: Mapping[str, Text] = _NO_FACTS
    event_words: Mapping[str, Text] = _NO_FACTS
    meanings: Mapping[str, Text] = _NO_FACTS  # of its messages' fields (lab/render/meanings.py)
    details: Callable[[Any], Mapping[str, Any]] = _no_facts
    compared: tuple[Compared, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    data: frozenset[str] = frozenset()
    unawaited: frozenset[str] = frozenset()
    commands: tuple[Command, ...] = ()
    scenarios: Callable[[], Sequence[Any]] = tuple  # of lab/protocols/scenario.py; imported when somebody asks
    usual_actor: Callable[[str], Role] = _client  # who acts in a step that nobody saw
    got_steps: frozenset[str] = frozenset()  # steps that are no sending: their packet's receiver acts
    example: Callable[[Any], Example | None] = _no_examples
    points: Callable[..., Sequence[Text]] = _no_points  # of a record; of a layer and a record
    dissector: Dissector | None = None  # Wireshark's; what has none is not compared with it
    alarming: frozenset[str] = frozenset()  # labels whose packets `troubles` asks for
    troubles: Callable[[Mapping[str, Any], Placed], Sequence[Trouble]] = _no_troubles  # of a conversation's facts


class Delivery(Protocol):
    """Who got what when, where only packets tell. Packets are those of one conversation, in the order of capture."""

    def proved_by(self, record: Any) -> Sequence[Any]:
        """Returns the packets that this one, before it is sent, shows to have been got: oldest first."""

    def reset_by(self, record: Any, proved: Sequence[Any]) -> Sequence[Any]:
        """Returns those of the proved whose receiver is quiet only after this packet."""

    def sent(self, record: Any) -> None:
        """Puts a packet among those that have been sent and not yet got."""

    def after_long(self, record: Any) -> list[Any]:
        """Returns what the receiver of a packet has got when nothing has followed it for long."""

    def at_the_end(self, conversation: Any) -> list[Any]:
        """Returns what both ends have still got when the capture is over, and gives up what they have not."""

    def let_go(self, record: Any) -> None:
        """Waits no longer for a packet."""

    def waiting(self, conversation: Any) -> list[Any]:
        """Returns the packets whose fate is not known yet."""


class Conversations(Protocol):
    """All conversations of a capture that are followed, by id."""

    @property
    def followed(self) -> Mapping[int, Any]: ...

    def foresee(self, ahead: Any, spoken_by: Callable[[bytes], Role | None]) -> None:
        """Says how to look at packets to come (engine/lookahead.py), and which end it is that says some bytes."""

    def of(self, pair: bytes) -> tuple[Any, Any] | None:
        """Returns the conversation that the next packet of a pair belongs to, unless it begins one, and its sender."""

    def place(self, frame: Frame, segment: Any) -> Record:
        """Returns the packet's record: whose it is, its place in the stream, its labels.

        Where one that comes behind it was sent before it, it is that one's record, and this packet is put back.
        """

    def place_told(self, frame: Frame, segment: Any) -> Record:
        """Returns the record of a packet whose arrival a wire will tell."""

    def place_forged(self, frame: Frame, segment: Any) -> Record:
        """Returns the record of a packet that its sender has not sent: nothing that is counted of the sender moves."""

    def crowded(self, more: Sequence[int]) -> bool:
        """Whether there may be no room for all of them where so many more begin in each lane."""

    def excess(self, before: int) -> Sequence[Any]:
        """Returns the conversations that there is no room for, before this packet."""

    def forget(self, which: Any) -> None:
        """Lets go of a conversation."""


class Piece(NamedTuple):
    """Bytes that a transport carries: their sender, raw and relative sequence number, their frame and place in it."""

    end: Any
    seq: int
    relative: int
    data: bytes
    number: int
    at: int


def _nobody(_data: bytes) -> Role | None:
    return None


def _nothing_reckoned(_record: Any) -> tuple[Any, ...]:
    return ()


class Missing(NamedTuple):
    """Bytes of an end's stream that were not captured and will not come: from where on, raw and relative, how many."""

    end: Any
    seq: int
    relative: int
    size: int


class Preamble(NamedTuple):
    """What may stand in a stream before the protocol that it is about, and is none of that protocol's.

    `name` is its label, `first` the bytes it can begin with. `measure` takes what a segment has from some place on, who
    sends it, and whether the stream begins there; it returns how many bytes the preamble has, as far as they are there
    or not, 0 where this is none, None where more bytes are needed. `sure` says that nothing else looks like it; what is
    not sure counts only where a protocol is recognised behind it. `words` tells it, as far as its bytes were captured.
    `answer` measures what the other end may say to it, before its own side of that protocol. `wraps` makes what takes a
    stream apart in which it stands again and again.
    """

    name: str
    first: frozenset[int]
    measure: Callable[[bytes, Role, bool], int | None]
    sure: bool
    words: Callable[[bytes], Text]
    answer: Callable[[bytes], int] | None = None
    wraps: Callable[[], Wrapping] | None = None


class Keeper(Protocol):
    """Whoever keeps bytes of a conversation."""

    @property
    def held(self) -> int:
        """The bytes of memory that it keeps to read on, roughly."""

    def let_go(self) -> None:
        """Keeps nothing more, and reads nothing more."""


class Wrapping(Keeper, Protocol):
    """Takes apart a conversation in which one protocol's bytes are wrapped in another's packets."""

    def begins(self, role: Role, seq: int, relative: int) -> None:
        """Says where in a direction's stream it begins."""

    def opened(self, piece: Piece) -> list[Piece]:
        """Returns what a piece brings of what is wrapped, numbered as if nothing were around it."""

    def place(self, role: Role, number: int) -> int:
        """Returns the relative number, in the stream as it is, behind the byte that ends before `number`."""


# A part of a conversation's life, as one end sees it: states of one are coloured alike.
Phase = Literal["closed", "opening", "open", "closing", "waiting"]


class Transport(Descriptor):
    """What divides a capture into conversations.

    `ip_protocol` is IANA's number. `read` returns a frame's segment, or the labels that say why there is none; `begin`
    says where the ends of a new conversation begin, by who listens where a journal tells; `sent` and `got` which events
    of the table a packet is, `sent_told` and `got_told` where a wire tells what arrived: a packet that its receiver
    refuses is none there. `verdict` is what its receiver's kernel says of a packet, of what was said before and said
    behind its delivery, and of the packets that answer it (None: not known yet), `challenges` whether
    such an answer only says that it was refused. `ended` are the states in which an end is through with its
    conversation, `phases` says of every state in which part of one it is. `carried` are the bytes that a packet
    brings to whoever stands on it, `ahead` says whether it comes ahead of a gap; `cut` are those of it
    that were not captured, `missing` those before packets that will not come, as far as it tells. `reckoned` says of a
    packet how its numbers follow from those on the wire.
    `preambles` are what may stand before whatever it carries. `spoken_by` says which end it is that says a segment of a
    protocol that nobody here reads, None where it can't tell.
    """

    ip_protocol: int
    read: Callable[[Frame], Any]
    fields: Callable[[Any, int, bytes | None], None]
    conversations: Callable[[Any], Conversations]
    begin: Callable[[Any, Sequence[int] | None], States | None]
    sent: Callable[[Any], Iterable[str]]
    got: Callable[[Any], Iterable[str]]
    sent_told: Callable[[Any], Iterable[str]]
    got_told: Callable[[Any], Iterable[str]]
    delivery: Delivery
    ended: frozenset[str]
    phases: Mapping[str, Phase]
    carried: Callable[[Any, Frame], list[Piece]]
    ahead: Callable[[Any], bool]
    verdict: Callable[[Any, Kernels | None, Kernels, Sequence[Any] | None], Verdict | None] = _no_verdict
    challenges: Callable[[Any, Any], bool] = _no_challenge
    cut: Callable[[Any, Frame], Missing | None]
    missing: Callable[[Any], Sequence[Missing]]
    fragment: Labels  # the very labels that `read` returns for a piece of an IP packet
    flags: Callable[[Any], Labels]  # of a segment, by name
    reckoned: Callable[[Any], tuple[Any, ...]] = _nothing_reckoned
    kinds: Labels  # labels that say what a packet is; the others, how it fares
    bare: str  # the one among them that is an acknowledgement and nothing else
    by_chance: frozenset[str]  # labels that are there in one run and not in the next
    preambles: tuple[Preamble, ...] = ()
    spoken_by: Callable[[bytes], Role | None] = _nobody


class Session(Keeper, Protocol):
    """A protocol's own reading of a conversation: bytes go in, what was said comes out."""

    def begins(self, role: Role, seq: int, relative: int) -> None:
        """Says where in a direction's stream the protocol begins."""

    def sent(self, role: Role, seq: int, relative: int, data: bytes, number: int, at: int) -> Sequence[Said]:
        """Takes in a segment's payload (`seq` raw, at `at` of frame `number`) and returns what is now wholly said."""

    def missed(self, role: Role, seq: int, relative: int, size: int) -> Sequence[Said]:
        """Goes on behind bytes that were not captured, and returns what is said by that, and by what stood behind."""

    def unseen(self, role: Role) -> None:
        """Says that an end has sent what was not captured, behind all that was."""

    @property
    def refuted(self) -> bool:
        """Whether what looked like this protocol at first is none."""


# What a message is called that leaves open where its sender stands, and its receiver once that has it.
UNKNOWN = "?"


class TakenBack(str):
    """An event of an end whose last step was only inferred, and is shown not to have been: the state that it is in."""

    __slots__ = ()


class Said(Protocol):
    """A message, told when its last byte is there: its label, what the table calls it (empty where it moves nobody,
    UNKNOWN where nobody can say whom it moves), the relative sequence number behind it, and where it lies.

    One without a label is none: it says where bytes end that were not captured. It may have `awaits`, what it waits
    for (Awaited)."""

    @property
    def name(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def stop(self) -> int: ...
    @property
    def spans(self) -> tuple[Any, ...]: ...


class Inner(Session, Protocol):
    """A protocol that can also stand inside another, as WebSocket does in TLS."""

    def lost(self, role: Role) -> None:
        """Says that the other could not open some of what it carried here, nobody knows how much."""

    def told(self, role: Role, data: bytes, number: int, stop: int) -> Sequence[Any]:
        """Takes in what the other has carried and opened, in order; `stop` is as that one's message has it."""


class Awaited:
    """A message that only a later packet tells in full: its own packet is not shown before, for a while.

    Whoever has made it calls `tell` once, with what makes of the message the one that tells more, or not at all.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: Callable[[Callable[[Any], Any]], None] | None = None

    def by(self, told: Callable[[Callable[[Any], Any]], None]) -> None:
        self._told = told

    def tell(self, change: Callable[[Any], Any]) -> None:
        if self._told is not None:
            self._told(change)
            self._told = None


class Secrets(Protocol):
    """What a protocol knows of secrets, for all its connections."""

    def learn(self, keylog: bytes, server_key: bytes) -> None:
        """Takes in more lines of a key log (NSS), or a server's private key (PEM)."""


class NoSecrets:
    """For protocols that have none."""

    def learn(self, keylog: bytes, server_key: bytes) -> None: ...


def _nothing(_layer: Any, _said: Any) -> tuple[Any, ...]:
    return ()


def _likeliest(layer: Any, role: Role, on: str) -> str | None:
    row = layer.protocol.tables[role].assume(on)
    return row.state if row else None


def _never(_data: bytes) -> bool:
    return False


class Upper(Descriptor):
    """What a transport carries, recognised by its first bytes.

    `first` are the bytes it can begin with, and `third` says of some of them which byte then stands two further on;
    `spoken_by` says which end it is that begins a segment so, where no other
    can; `recognise` says whether a beginning is its own, None where that needs more bytes; `goes_on` says of a whole
    segment, which begins with one of `later`, whether it can only be a later part of it, whose beginning was not
    captured; `begin` makes a session of what is known of secrets. `carries` is the event of its messages whose `raw` is
    data for another protocol; `closed_below` its event, where it has one, for an end whose transport is closed. Where
    `server_may_begin`, a server's words are no proof that something before them was not captured. Of a layer and a
    message, `words` says it in a line, `fields` has all its fields, `carriers` what it came in. `assume` says of a
    layer, a role and an event in which state an end is taken to have been that nobody knew the state of, None where
    that can't be said; else it is the table's likeliest. `refuses` says of a key log and a server's key, of which one
    is empty, why they are none; a protocol without it takes none.
    """

    first: frozenset[int]
    third: Mapping[int, int] = _NO_BYTES
    recognise: Callable[[bytes, Role], bool | None]
    spoken_by: Callable[[bytes], Role | None] = _nobody
    later: frozenset[int] = frozenset()
    goes_on: Callable[[bytes], bool] = _never
    begin: Callable[[Any], Session]
    words: Callable[[Any, Any], Text]
    secrets: Callable[[], Secrets] = NoSecrets
    refuses: Callable[[bytes, bytes], Text | None] | None = None
    carries: str = ""
    closed_below: str = ""
    server_may_begin: bool = False
    fields: Callable[[Any, Any], Sequence[Detail]] = _nothing
    carriers: Callable[[Any, Any], Sequence[Carrier]] = _nothing
    assume: Callable[[Any, Role, str], str | None] = _likeliest
    message_facts: Callable[[Any], Mapping[str, Any]] = _no_facts


def same(value: Any) -> Callable[[Any], bool]:
    """Returns a test for equality: one side of a Sentence."""
    return lambda found: bool(found == value)


def fact(*path: str) -> Callable[[Mapping[str, Any], Sequence[Any]], Any]:
    """Returns what finds a value in the facts of the trace, None where it is not there: of a Compared."""

    def found(facts: Mapping[str, Any], _rows: Sequence[Any]) -> Any:
        value: Any = facts
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    return found
