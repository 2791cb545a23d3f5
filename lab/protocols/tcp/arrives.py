"""What TCP does with a segment that arrives: RFC 9293 section 3.10.7 as a pure function, branch by branch.

No capture and no kernel is asked here. What later documents add stands beside it and can be left out: RFC 5961 (blind
attacks), RFC 1337 (TIME-WAIT and RST), RFC 7323 (old timestamps). Security (step 3) is left out, as nobody uses it.
All numbers are raw, modulo 2**32.
"""

from __future__ import annotations

from typing import NamedTuple

from lab.protocols.tcp.segment import ACK, FIN, RST, SYN, URG
from lab.protocols.tcp.states import State
from lab.text import Text

_WRAP, _HALF = 1 << 32, 1 << 31
RFC_5961, RFC_1337, RFC_7323 = "RFC 5961", "RFC 1337", "RFC 7323"
ADDITIONS = frozenset({RFC_5961, RFC_7323})  # what Linux has by default
_GOT_FIN = frozenset({State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK, State.TIME_WAIT})


class Variables(NamedTuple):
    """What an end remembers of a connection (RFC 9293 section 3.3.1); where it has none, the numbers mean nothing."""

    state: str
    iss: int = 0
    snd_una: int = 0
    snd_nxt: int = 0
    max_snd_wnd: int = 0
    rcv_nxt: int = 0
    rcv_wnd: int = 0
    passive: bool = True  # opened by a listener
    fin_sent: bool = False
    user: bool = True  # a program that would hear of it is there
    ts_recent: int | None = None  # RFC 7323 section 4.3; None without timestamps


class Arriving(NamedTuple):
    """A segment: `length` is that of its text, without SYN and FIN."""

    flags: int
    seq: int
    ack: int = 0
    length: int = 0
    tsval: int | None = None
    damaged: bool = False

    @property
    def takes(self) -> int:
        """SEG.LEN: the sequence numbers that it takes."""
        return self.length + bool(self.flags & SYN) + bool(self.flags & FIN)


class Sent(NamedTuple):
    """A segment that is sent in reply; `ack` is None without the flag, `seq` where the end is free to choose it."""

    flags: int
    seq: int | None
    ack: int | None


class Branch(NamedTuple):
    """A place in the text: a section, and of the long one the step."""

    code: str
    section: str
    text: Text


class Outcome(NamedTuple):
    """What is sent, where the end is then, and what its program hears: open, data, urgent, end, reset, refused."""

    sent: tuple[Sent, ...]
    state: str
    heard: tuple[str, ...]
    branches: tuple[Branch, ...]  # the steps that decided it, in order


def _branch(code: str, section: str, en: str, zh: str) -> Branch:
    return Branch(code, section, Text(en, zh))


_OTHER = "3.10.7.4"
BRANCHES = {
    each.code: each
    for each in (
        _branch("checksum", "3.1", "a wrong checksum: the segment is dropped without a word", "校验和错误：直接丢弃"),
        _branch("closed-rst", "3.10.7.1", "no connection: a RST is dropped", "没有连接：丢弃 RST"),
        _branch("closed", "3.10.7.1", "no connection: answered by RST", "没有连接：以 RST 应答"),
        _branch("listen-rst", "3.10.7.2 (1)", "LISTEN ignores a RST", "LISTEN 忽略 RST"),
        _branch("listen-ack", "3.10.7.2 (2)", "LISTEN answers any ACK by RST", "LISTEN 对任何 ACK 都以 RST 应答"),
        _branch("listen-syn", "3.10.7.2 (3)", "LISTEN answers a SYN by SYN-ACK", "LISTEN 对 SYN 以 SYN+ACK 应答"),
        _branch("listen-other", "3.10.7.2 (4)", "LISTEN drops anything else", "LISTEN 丢弃其他报文段"),
        _branch("syn-sent-ack", "3.10.7.3 (1)", "it does not acknowledge our SYN: answered by RST",
                "没有确认我方的 SYN：以 RST 应答"),
        _branch("syn-sent-ack-rst", "3.10.7.3 (1)", "a RST that does not acknowledge our SYN is dropped",
                "没有确认我方 SYN 的 RST 被丢弃"),
        _branch("syn-sent-rst", "3.10.7.3 (2)", "a RST that acknowledges our SYN: the connection is given up",
                "RST 确认了我方的 SYN：放弃连接"),
        _branch("syn-sent-rst-no-ack", "3.10.7.3 (2)", "a RST without ACK is dropped", "不带 ACK 的 RST 被丢弃"),
        _branch("syn-sent-syn-ack", "3.10.7.3 (4)", "our SYN is acknowledged, and here is the peer's: ESTABLISHED",
                "我方的 SYN 得到确认，对方的 SYN 也到了：进入 ESTABLISHED"),
        _branch("syn-sent-syn", "3.10.7.3 (4)", "both ends open at once: SYN-RECEIVED",
                "双方同时打开：进入 SYN-RECEIVED"),
        _branch("syn-sent-neither", "3.10.7.3 (5)", "neither SYN nor RST: dropped", "既无 SYN 也无 RST：丢弃"),
        _branch("paws", "RFC 7323 section 5.3 (R1)", "older than a segment before it (PAWS): answered by ACK, dropped",
                "比已收到的报文段旧（PAWS）：以 ACK 应答并丢弃"),
        _branch("sequence", f"{_OTHER} (1)", "outside the window: answered by ACK, dropped",
                "在窗口之外：以 ACK 应答并丢弃"),
        _branch("sequence-rst", f"{_OTHER} (1)", "a RST outside the window is dropped", "窗口之外的 RST 被丢弃"),
        _branch("rst-challenge", f"{_OTHER} (2), RFC 5961 section 3.2",
                "a RST in the window, not at RCV.NXT: a challenge ACK", "RST 在窗口内但不等于 RCV.NXT：发送挑战 ACK"),
        _branch("rst-time-wait", "RFC 1337 (F1)", "TIME-WAIT ignores a RST", "TIME-WAIT 忽略 RST"),
        _branch("rst-listen", f"{_OTHER} (2)", "back to LISTEN; the program hears nothing",
                "回到 LISTEN，程序不会得知"),
        _branch("rst-refused", f"{_OTHER} (2)", "the connection was refused", "连接被拒绝"),
        _branch("rst", f"{_OTHER} (2)", "the connection is reset", "连接被复位"),
        _branch("rst-quiet", f"{_OTHER} (2)", "the connection is gone; the program is told nothing",
                "连接就此消失，不通知程序"),
        _branch("syn-listen", f"{_OTHER} (4)", "a SYN in the window takes a passive open back to LISTEN",
                "窗口内的 SYN 使被动打开回到 LISTEN"),
        _branch("syn-challenge", f"{_OTHER} (4), RFC 5961 section 4.2", "a SYN: a challenge ACK", "SYN：发送挑战 ACK"),
        _branch("syn-reset", f"{_OTHER} (4)",
                "a SYN in the window is an error: answered by RST, the connection is reset",
                "窗口内的 SYN 是错误：以 RST 应答，连接复位"),
        _branch("no-ack", f"{_OTHER} (5)", "no ACK flag: dropped", "没有 ACK 标志：丢弃"),
        _branch("ack-opens", f"{_OTHER} (5)", "our SYN is acknowledged: ESTABLISHED",
                "我方的 SYN 得到确认：进入 ESTABLISHED"),
        _branch("ack-bad", f"{_OTHER} (5)", "it does not acknowledge our SYN: answered by RST",
                "没有确认我方的 SYN：以 RST 应答"),
        _branch("ack-range", f"{_OTHER} (5), RFC 5961 section 5.2",
                "it acknowledges what lies too far back: answered by ACK, dropped", "确认号过旧：以 ACK 应答并丢弃"),
        _branch("ack-unsent", f"{_OTHER} (5)", "it acknowledges what was never sent: answered by ACK, dropped",
                "确认了从未发送的数据：以 ACK 应答并丢弃"),
        _branch("ack", f"{_OTHER} (5)", "the acknowledgement is taken", "接受其确认"),
        _branch("ack-duplicate", f"{_OTHER} (5)", "the acknowledgement says nothing new", "确认没有带来新信息"),
        _branch("ack-of-fin", f"{_OTHER} (5)", "our FIN is acknowledged", "我方的 FIN 得到确认"),
        _branch("ack-ignored", f"{_OTHER} (5)", "our FIN is not acknowledged: ignored", "没有确认我方的 FIN：忽略"),
        _branch("urgent", f"{_OTHER} (6)", "the program is told of urgent data", "通知程序有紧急数据"),
        _branch("text", f"{_OTHER} (7)", "its data is delivered and acknowledged", "交付数据并予以确认"),
        _branch("text-kept", f"{_OTHER} (7)", "something before it is missing: kept, and acknowledged (MAY-13)",
                "前面的数据缺失：保存，并可发送确认（MAY-13）"),
        _branch("text-ignored", f"{_OTHER} (7)", "data behind the peer's FIN is ignored", "忽略对方 FIN 之后的数据"),
        _branch("fin", f"{_OTHER} (8)", "the peer has no more to send: acknowledged", "对方不再发送：予以确认"),
        _branch("fin-again", f"{_OTHER} (8)", "another FIN: acknowledged, the state stays",
                "又一个 FIN：予以确认，状态不变"),
    )
}  # fmt: skip


def arrives(end: Variables, segment: Arriving, additions: frozenset[str] = ADDITIONS) -> Outcome:
    """Returns what an end does with a segment, by RFC 9293 section 3.10.7 and the additions that are named.

    Where the text leaves a choice, a SHOULD is done; of MAY the acknowledgement of data ahead (MAY-13) is.
    """
    walk = _Walk(end, segment)
    if segment.damaged:
        walk.over("checksum")
    else:
        match end.state:
            case State.CLOSED:
                _closed(walk)
            case State.LISTEN:
                _listen(walk)
            case State.SYN_SENT:
                _syn_sent(walk)
            case _:
                _other(walk, additions)
    heard = tuple(walk.heard) if end.user else ()
    return Outcome(tuple(walk.sent), walk.state, heard, tuple(BRANCHES[code] for code in walk.codes))


class _Walk:
    """One segment on its way through the text."""

    def __init__(self, end: Variables, segment: Arriving) -> None:
        self.end, self.segment = end, segment
        self.state = end.state
        self.rcv_nxt = end.rcv_nxt
        self.owes = False  # an acknowledgement, sent once, when all has been processed (MUST-59)
        self.sent: list[Sent] = []
        self.heard: list[str] = []
        self.codes: list[str] = []

    def has(self, flag: int) -> bool:
        return bool(self.segment.flags & flag)

    def passes(self, code: str, state: str | None = None, heard: str | None = None) -> None:
        """Notes a step that does something, after which the text goes on."""
        self.codes.append(code)
        self.state = state or self.state
        if heard:
            self.heard.append(heard)

    def over(self, code: str, state: str | None = None, heard: str | None = None, sent: Sent | None = None) -> None:
        """Notes the step that the text ends with: "drop the segment and return"."""
        self.passes(code, state, heard)
        if sent:
            self.sent.append(sent)

    def ack(self) -> Sent:
        return Sent(ACK, self.end.snd_nxt, self.rcv_nxt)

    def reset(self) -> Sent:
        """The reset that its receiver finds acceptable (RFC 9293 section 3.5.3)."""
        if self.has(ACK):
            return Sent(RST, self.segment.ack, None)
        return Sent(RST | ACK, 0, (self.segment.seq + self.segment.takes) % _WRAP)


def _closed(walk: _Walk) -> None:
    """RFC 9293 section 3.10.7.1."""
    if walk.has(RST):
        return walk.over("closed-rst")
    return walk.over("closed", sent=walk.reset())


def _listen(walk: _Walk) -> None:
    """RFC 9293 section 3.10.7.2."""
    if walk.has(RST):
        return walk.over("listen-rst")
    if walk.has(ACK):
        return walk.over("listen-ack", sent=walk.reset())
    if walk.has(SYN):
        answer = Sent(SYN | ACK, None, (walk.segment.seq + 1) % _WRAP)
        return walk.over("listen-syn", State.SYN_RECEIVED, sent=answer)
    return walk.over("listen-other")


def _syn_sent(walk: _Walk) -> None:
    """RFC 9293 section 3.10.7.3. In SYN-SENT there is no RCV.NXT yet that a RST could match exactly (RFC 5961)."""
    end, segment = walk.end, walk.segment
    if walk.has(ACK) and not _within(segment.ack, end.iss + 1, end.snd_nxt):
        if walk.has(RST):
            return walk.over("syn-sent-ack-rst")
        return walk.over("syn-sent-ack", sent=walk.reset())
    if walk.has(RST):
        if walk.has(ACK):
            return walk.over("syn-sent-rst", State.CLOSED, "reset")
        return walk.over("syn-sent-rst-no-ack")
    if not walk.has(SYN):
        return walk.over("syn-sent-neither")
    walk.rcv_nxt = (segment.seq + 1) % _WRAP
    if not walk.has(ACK):
        return walk.over("syn-sent-syn", State.SYN_RECEIVED, sent=Sent(SYN | ACK, end.iss, walk.rcv_nxt))
    walk.passes("syn-sent-syn-ack", State.ESTABLISHED, "open")
    walk.owes = True
    return _sixth_on(walk, (segment.seq + 1) % _WRAP)


def _other(walk: _Walk, additions: frozenset[str]) -> None:
    """RFC 9293 section 3.10.7.4, first to fourth."""
    end, segment = walk.end, walk.segment
    old = RFC_7323 in additions and segment.tsval is not None and end.ts_recent is not None
    if old and not walk.has(RST | SYN) and _less(segment.tsval or 0, end.ts_recent or 0):
        return walk.over("paws", sent=walk.ack())
    if not acceptable(end, segment):
        return walk.over("sequence-rst") if walk.has(RST) else walk.over("sequence", sent=walk.ack())
    if walk.has(RST):
        return _reset(walk, additions)
    if walk.has(SYN):
        if end.state == State.SYN_RECEIVED and end.passive:
            return walk.over("syn-listen", State.LISTEN)
        if RFC_5961 in additions:
            return walk.over("syn-challenge", sent=walk.ack())
        return walk.over("syn-reset", State.CLOSED, "reset", walk.reset())
    if not walk.has(ACK):
        return walk.over("no-ack")
    return _fifth(walk, additions)


def acceptable(end: Variables, segment: Arriving) -> bool:
    """RFC 9293 section 3.10.7.4, table 6."""
    first, window = (segment.seq - end.rcv_nxt) % _WRAP, end.rcv_wnd
    if not window:
        return not segment.takes and not first
    last = (segment.seq + segment.takes - 1 - end.rcv_nxt) % _WRAP
    return first < window or (segment.takes > 0 and last < window)


def _reset(walk: _Walk, additions: frozenset[str]) -> None:
    """RFC 9293 section 3.10.7.4, second: the sequence number is in the window."""
    end = walk.end
    if end.state == State.TIME_WAIT and RFC_1337 in additions:
        return walk.over("rst-time-wait")
    if RFC_5961 in additions and walk.segment.seq != end.rcv_nxt:
        return walk.over("rst-challenge", sent=walk.ack())
    match end.state:
        case State.SYN_RECEIVED if end.passive:
            return walk.over("rst-listen", State.LISTEN)
        case State.SYN_RECEIVED:
            return walk.over("rst-refused", State.CLOSED, "refused")
        case State.CLOSING | State.LAST_ACK | State.TIME_WAIT:
            return walk.over("rst-quiet", State.CLOSED)
    return walk.over("rst", State.CLOSED, "reset")


def _fifth(walk: _Walk, additions: frozenset[str]) -> None:
    """RFC 9293 section 3.10.7.4, fifth: check the ACK field."""
    end, ack = walk.end, walk.segment.ack
    new = _within(ack, end.snd_una + 1, end.snd_nxt)
    if end.state == State.SYN_RECEIVED:
        # RFC 5961 section 5 amends what is said of ESTABLISHED; here an ACK that is not acceptable is reset (3.5.2)
        if not new:
            return walk.over("ack-bad", sent=walk.reset())
        walk.passes("ack-opens", State.ESTABLISHED, "open")
        return _sixth_on(walk, walk.segment.seq)
    if _less(end.snd_nxt, ack):
        return walk.over("ack-unsent", sent=walk.ack())
    if RFC_5961 in additions and _less(ack, end.snd_una - end.max_snd_wnd):
        return walk.over("ack-range", sent=walk.ack())
    of_fin = end.fin_sent and ack == end.snd_nxt
    match end.state:
        case State.FIN_WAIT_1 if of_fin:
            walk.passes("ack-of-fin", State.FIN_WAIT_2)
        case State.CLOSING if of_fin:
            walk.passes("ack-of-fin", State.TIME_WAIT)
        case State.CLOSING:
            return walk.over("ack-ignored")
        case State.LAST_ACK if of_fin:
            return walk.over("ack-of-fin", State.CLOSED)
        case _:
            walk.passes("ack" if new else "ack-duplicate")
    return _sixth_on(walk, walk.segment.seq)


def _sixth_on(walk: _Walk, seq: int) -> None:
    """RFC 9293 section 3.10.7.4, sixth to eighth. `seq` is the number of the text's first byte."""
    end, segment = walk.end, walk.segment
    beyond = walk.state in _GOT_FIN
    if walk.has(URG) and not beyond:
        walk.passes("urgent", heard="urgent")
    ahead = seq != walk.rcv_nxt and not _less(seq, walk.rcv_nxt)
    fresh = max(0, segment.length - (walk.rcv_nxt - seq) % _WRAP) if not ahead else segment.length
    if segment.length:
        if beyond:
            walk.passes("text-ignored")
        elif ahead:
            walk.passes("text-kept")
            walk.owes = True
        else:
            walk.rcv_nxt = (walk.rcv_nxt + fresh) % _WRAP
            walk.passes("text", heard=f"data {fresh}")
            walk.owes = True
    if walk.has(FIN) and not ahead:
        _eighth(walk, beyond)
    elif walk.has(FIN) and not segment.length:
        walk.passes("text-kept")
        walk.owes = True
    if walk.owes:
        walk.sent.append(Sent(ACK, end.snd_nxt, walk.rcv_nxt))


def _eighth(walk: _Walk, beyond: bool) -> None:
    """RFC 9293 section 3.10.7.4, eighth: check the FIN bit. A second FIN, behind the first, takes no number."""
    walk.owes = True
    if beyond:
        return walk.passes("fin-again")
    walk.rcv_nxt = (walk.rcv_nxt + 1) % _WRAP
    to = {State.FIN_WAIT_1: State.CLOSING, State.FIN_WAIT_2: State.TIME_WAIT}.get(State(walk.state), State.CLOSE_WAIT)
    return walk.passes("fin", to, "end")


def _less(a: int, b: int) -> bool:
    """Whether a number comes before another, on the circle (RFC 9293 section 3.4)."""
    return (a - b) % _WRAP >= _HALF


def _within(number: int, first: int, last: int) -> bool:
    return not _less(number, first) and not _less(last, number)
