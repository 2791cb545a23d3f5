"""The ladder: 80 columns in either language, states under each other, and nothing in a packet steers the terminal."""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from lab.app.formats import write_ladder
from lab.model import Captured, Frame, Settled, States
from lab.protocols.notes import note
from lab.render.ladder import Ladder
from lab.render.telling import Telling
from lab.report.agreement import Agreement, Disagreement, agreement
from lab.text import LANGUAGES, Lang
from tests.packets import (
    BEGAN,
    CAPTURES,
    CLOSE,
    IPV4,
    IPV6,
    OPEN,
    TALK,
    Pair,
    Walked,
    kernels,
    ladder,
    prompt,
    renumbered,
    replay,
    walk,
)

LONG = Pair("2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", 40000, 50000)
ARP = Frame(1, None, bytes(12) + b"\x08\x06" + bytes(28), 42)
RIGHT, STEP = 56, 69  # the columns at which the right end's state and the step begin

in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)
every_capture = pytest.mark.parametrize("name", CAPTURES)


def states(walked: Walked) -> Counter[str]:
    return Counter(each.facts["conn_state"] for each in walked.reports)


def draw(walked: Walked, lang: Lang = "en", agreed: Agreement | None = None, **console: Any) -> str:
    out = io.StringIO()
    picture = Ladder(Console(file=out, highlight=False, **console), lang)
    for packet in walked.packets:
        picture.rung(packet)
    picture.summary(walked.reports, agreed or agreement(walked.packets), states(walked))
    return out.getvalue()


@pytest.mark.parametrize(("lang", "said"), [("en", ("cut short", "not read")), ("zh", ("被截断", "未能解读"))])
def test_of_what_nobody_can_tell_it_is_not_said_that_it_is_no_tcp(lang: Lang, said: tuple[str, str]) -> None:
    (syn,) = ladder("c> SYN 0")
    for frame, words in zip((syn._replace(data=syn.data[:40]), syn._replace(linktype=104)), said, strict=True):
        (packet,) = walk([frame]).packets
        line = Telling(lang).other(packet)
        assert words in line
        assert "TCP" not in line


@pytest.mark.parametrize(("lang", "said"), [("en", "1,234 more are not listed"), ("zh", "另有 1,234 处未列出")])
def test_of_very_many_differences_it_says_how_many_are_not_listed(lang: Lang, said: str) -> None:
    many = Agreement()
    many.compared, many.left_out = 10_000, 1234
    many.disagreements = [Disagreement(2, "held", "client", "ESTABLISHED", "SYN-SENT", None)]
    drawn = draw(walk(ladder(*OPEN)), lang, many)
    assert "≠ packet 2" in drawn or "≠ 第 2 号包" in drawn
    assert said in drawn
    assert "8765 of 10000" in drawn or "10000 个状态中 8765 个" in drawn


def numbered(lines: Iterable[str]) -> Iterator[str]:
    """Returns the lines that are rungs: they begin with a packet's number, and have an arrow."""
    return (line for line in lines if re.match(r" *\d+ .*[▶◀─]", line))


def column(line: str, at: int) -> str:
    """Returns what stands from this column of a terminal on."""
    width = 0
    for index, char in enumerate(line):
        if width >= at:
            return line[index:]
        width += cell_len(char)
    return ""


def assert_harmless(text: str) -> None:
    """Nothing in it moves the cursor, changes a colour or turns the direction of writing."""
    for char in text.replace("\n", ""):
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), ascii(text)


def assert_fits(text: str, width: int = 80) -> None:
    for line in text.splitlines():
        assert cell_len(line) <= width, f"{cell_len(line)} columns: {line!r}"


def assert_aligned(text: str) -> None:
    """The right end's state, the step and the proof each begin at one column in every rung, the arrow ends before."""
    for line in numbered(text.splitlines()):
        assert re.match(r"[A-Z?]|$| ", column(line, RIGHT)), line
        assert column(line, RIGHT - 1)[:1] in (" ", ""), line
        assert column(line, RIGHT - 2)[:1] in ("▶", "─", " ", ""), line
        assert re.match(r"$| |open|close|握手|挥手", column(line, STEP)), line
        assert column(line, STEP - 1)[:1] in (" ", ""), line
        assert cell_len(line) == 80 or line[-1] not in "✓≈≠", line


# Columns.


@in_both_languages
@every_capture
@pytest.mark.parametrize("pair", [IPV4, IPV6, LONG], ids=["IPv4", "IPv6", "long IPv6"])
def test_every_line_has_at_most_80_columns(name: str, lang: Lang, pair: Pair) -> None:
    assert_fits(draw(walk(ladder(*CAPTURES[name], pair=pair)), lang))


@in_both_languages
@every_capture
@pytest.mark.parametrize("width", [60, 61, 79, 80, 81, 100, 140])
def test_the_ladder_takes_the_width_that_the_terminal_has(name: str, lang: Lang, width: int) -> None:
    walked = walk(ladder(*CAPTURES[name]))
    drawn = draw(walked, lang, width=width, force_terminal=True, color_system=None)
    assert_fits(drawn, width)
    right = width - 24 if width >= 80 else width - 14
    rungs = list(numbered(drawn.splitlines()))
    assert len(rungs) == len(walked.records)
    for line in rungs:
        assert re.match(r"[A-Z?]|$| ", column(line, right)), line
        assert re.match(r" |$", column(line, right - 1)), line
        assert column(line, right - 2)[:1] in ("▶", "─", " ", ""), line
    assert "…" not in drawn.replace("……", "") or name == "every flag"
    steps = [note(step).name.pick(lang).rsplit(" ", 1) for packet in walked.packets for step in packet.steps]
    assert all(phase in drawn for phase, _ in steps)


def test_the_raw_isns_stand_once_under_the_header() -> None:
    drawn = draw(walk(ladder(*OPEN, *TALK))).splitlines()
    assert drawn[3].split() == ["ISN", "1000000000", "ISN", "3000000000"]
    assert column(drawn[3], RIGHT) == "ISN 3000000000"
    assert "\n".join(drawn).count("ISN") == 2
    interleaved = renumbered(
        *(each for both in zip(ladder(*OPEN), ladder(*OPEN, pair=IPV6), strict=True) for each in both)
    )
    assert draw(walk(interleaved)).count("ISN") == 4


def test_an_isn_that_comes_later_stands_below_its_packet() -> None:
    walked = walk(ladder("c> SYN 0", *OPEN))
    first, *others = walked.packets
    assert first.ends is not None
    early = first._replace(ends=first.ends._replace(isns=(first.seq_raw, None)))
    out = io.StringIO()
    picture = Ladder(Console(file=out, highlight=False), "en")
    for packet in (early, *others):
        picture.rung(packet)
    lines = out.getvalue().splitlines()
    assert lines[3].split() == ["ISN", "1000000000"]
    at = next(at for at, line in enumerate(lines) if "SYN-ACK" in line)
    assert lines[at + 1].split() == ["ISN", "3000000000"]
    assert "ISN" not in draw(walk(ladder(*TALK)))


@in_both_languages
@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_syn_ack_has_both_its_numbers_at_every_width(lang: Lang, width: int) -> None:
    drawn = draw(walk(ladder(*OPEN)), lang, width=width, force_terminal=True, color_system=None)
    assert " SYN-ACK seq=0 ack=1 ─" in drawn


@pytest.mark.parametrize("width", [20, 59, 500])
def test_there_is_a_least_and_a_greatest_width(width: int) -> None:
    drawn = draw(walk(ladder(*OPEN)), "en", width=width, force_terminal=True, color_system=None)
    assert_fits(drawn, min(max(width, 60), 140))


def test_what_teaches_is_not_dim() -> None:
    """A projector shows nothing of it."""
    drawn = draw(walk(ladder(*OPEN)), "en", force_terminal=True, color_system="truecolor")
    dim = re.findall(r"\x1b\[2m([^\x1b]*)", drawn)
    assert {each.strip()[:1] for each in dim} <= set("123p"), "numbers and times, and the packets of a step"
    assert "\x1b[2m" in drawn


@in_both_languages
@every_capture
def test_the_right_column_of_states_begins_at_the_same_column_everywhere(name: str, lang: Lang) -> None:
    walked = walk(ladder(*CAPTURES[name]))
    drawn = draw(walked, lang)
    assert len(list(numbered(drawn.splitlines()))) == len(walked.records)
    assert_aligned(drawn)


@in_both_languages
@pytest.mark.parametrize("first", [95, 995, 9_995, 99_995, 9_999_995])
def test_packets_far_into_a_capture_fit_and_are_aligned(lang: Lang, first: int) -> None:
    drawn = draw(walk(ladder(*OPEN, *TALK, *CLOSE, first=first)), lang)
    assert_fits(drawn)
    assert_aligned(drawn)


@in_both_languages
@pytest.mark.parametrize("apart", [1, 10**9, 10**11, 10**13, 10**16])
def test_packets_far_apart_in_time_fit_and_are_aligned(lang: Lang, apart: int) -> None:
    drawn = draw(walk(ladder(*OPEN, *TALK, *CLOSE, apart=apart)), lang)
    assert_fits(drawn)
    assert_aligned(drawn)


@in_both_languages
def test_packets_out_of_the_order_of_time_and_without_a_time_fit_and_are_aligned(lang: Lang) -> None:
    frames = ladder(*OPEN, *TALK)
    times = [BEGAN, 0, None, BEGAN - 10**12, None, BEGAN + 10**15, BEGAN]
    drawn = draw(walk([frame._replace(time=time) for frame, time in zip(frames, times, strict=True)]), lang)
    assert_fits(drawn)
    assert_aligned(drawn)


@in_both_languages
@pytest.mark.parametrize("size", [1, 40_000])
@pytest.mark.parametrize("at", [1, 100, 12_345, 1_234_567, 2_000_000_000])
@pytest.mark.parametrize("mark", "✗?")
def test_a_packet_that_is_not_known_to_have_arrived_ends_in_its_mark_and_is_as_wide_as_the_others(
    lang: Lang, at: int, size: int, mark: str
) -> None:
    frames = ladder(*OPEN, f"s> data {at} 1 7", f"c> data {at} 1 {size}", f"s> data {at + 7} 1 {size}")
    drawn = draw(walk(frames) if mark == "?" else replay(prompt(frames, dropped=(4, 5, 6))), lang)
    left = list(numbered(drawn.splitlines()))[3:]
    assert [line.count(mark) for line in left] == [1, 1, 1]
    assert not any("▶" in line or "◀" in line for line in left)
    assert_fits(drawn)
    assert_aligned(drawn)


@in_both_languages
def test_several_steps_of_both_phases_in_one_packet_fit(lang: Lang) -> None:
    """A FIN that is the opening's ACK is three steps; with the kernels asked there is a mark behind them, too."""
    told = prompt(ladder(*OPEN[:2], "c> FIN 1 1", "s> FIN 1 2", "c> ACK 2 2"))
    asked = [
        event._replace(kernel=kernels("CLOSED", "CLOSED")) if isinstance(event, Captured) else event for event in told
    ]
    drawn = draw(replay(asked), lang)
    assert_fits(drawn)
    assert_aligned(drawn)


@in_both_languages
def test_a_step_that_was_seen_in_many_packets_far_into_a_capture_is_summed_up_in_80_columns(lang: Lang) -> None:
    assert_fits(draw(walk(ladder(*["c> SYN 0"] * 12, first=10_000_000)), lang))


@in_both_languages
def test_many_conversations_of_all_kinds_are_summed_up_in_80_columns(lang: Lang) -> None:
    kinds = list(CAPTURES.values())
    frames = [
        frame for at, lines in enumerate(kinds * 4) for frame in ladder(*lines, pair=Pair(client_port=50000 + at))
    ]
    assert_fits(draw(walk(renumbered(*frames)), lang))


@in_both_languages
def test_a_long_address_beside_a_short_one_is_not_run_together_with_it(lang: Lang) -> None:
    drawn = draw(walk(ladder("c> SYN 0", pair=LONG._replace(server="::1", server_port=80))), lang)
    assert_fits(drawn)
    assert re.search(r"\[2001:db8:1111:2222:3333:4444:5555:6666\]:40000(\s)", drawn)


@st.composite
def oddities(draw_: st.DrawFn) -> Walked:
    """Packets that say anything at any number, anywhere in a capture, got or lost."""
    lines = []
    for _ in range(draw_(st.integers(1, 6))):
        what = draw_(st.sampled_from(["SYN", "SYN-ACK", "ACK", "data", "FIN", "RST", "[SF]", "[]", "[FSRPAUECN]"]))
        number = draw_(st.sampled_from([0, 1, 99, 65_536, 2**31 - 1, 2**32 - 1]))
        ack = "" if what in ("SYN", "RST", "[SF]", "[]") else f" {draw_(st.sampled_from([0, 1, 4_000_000_000]))}"
        lines.append(f"{draw_(st.sampled_from('cs'))}> {what} {number}{ack} {draw_(st.sampled_from([0, 1, 30_000]))}")
    frames = ladder(*lines, first=draw_(st.integers(1, 900)), pair=draw_(st.sampled_from([IPV4, LONG])))
    if not draw_(st.booleans()):
        return walk(frames)
    return replay(prompt(frames, dropped=[frame.number for frame in frames if draw_(st.booleans())]))


@given(oddities(), st.sampled_from(LANGUAGES))
def test_whatever_packets_come_every_line_fits_and_every_rung_is_aligned(walked: Walked, lang: Lang) -> None:
    drawn = draw(walked, lang)
    assert_fits(drawn)
    assert_aligned(drawn)


# What it shows.


def test_the_picture_of_the_notes_own_connection() -> None:
    drawn = draw(walk(ladder(*OPEN, 'c> data 1 1 "Hello, server!"', "s> ACK 1 15"))).splitlines()
    assert drawn[:10] == [
        "",
        "            client                                      server",
        "            192.0.2.1:40000                             192.0.2.2:8080",
        "            ISN 1000000000                              ISN 3000000000",
        "            CLOSED                                      LISTEN",
        "  1  0.000  SYN-SENT     ─ SYN seq=0 ─────────────────▶ SYN-RECEIVED open 1",
        "            The client asks for a connection: SYN  [notes: SYN_SEND → SYN_RCVD]",
        "  2  0.001  ESTABLISHED  ◀─────── SYN-ACK seq=0 ack=1 ─ SYN-RECEIVED open 2",
        "            The server agrees and sends its own SYN: SYN + ACK",
        "  3  0.002  ESTABLISHED  ─ ACK seq=1 ack=1 ───────────▶ ESTABLISHED  open 3+4",
    ]
    assert '            "Hello, server!"' in drawn


@in_both_languages
def test_a_lost_packets_receiver_has_no_state_beside_the_cross(lang: Lang) -> None:
    frames = ladder("c> SYN 0", "c> SYN 0", *OPEN[1:], "s> data 1 1 5")
    first, *_, line = numbered(draw(replay(prompt(frames, dropped=(1, 5))), lang).splitlines())
    assert "✗" in first
    assert "SYN-SENT" in first
    assert "LISTEN" not in first
    assert line.index("✗") < line.index("data"), "it never came to the left end"
    first, *_, line = numbered(draw(walk(frames), lang).splitlines())
    assert "✗" in first, "the second was answered"
    assert line.index("?") < line.index("data"), "whether it came to the left end nobody knows"


@in_both_languages
@pytest.mark.parametrize(
    ("kernel", "mark"),
    [(States("SYN-SENT", "LISTEN"), "✓"), (States("SYN-SENT", "CLOSED"), "≈"), (States("CLOSING", "LISTEN"), "≠")],
)
def test_the_proof_is_a_tick_where_the_kernels_agree_and_two_other_signs_where_not(
    lang: Lang, kernel: States, mark: str
) -> None:
    events = prompt(ladder("c> SYN 0"))
    walked = replay(
        event._replace(kernel=kernels(*kernel)) if isinstance(event, Captured) else event for event in events
    )
    (line,) = numbered(draw(walked, lang).splitlines())
    assert line.endswith(mark)
    assert_aligned(line)
    assert not draw(walk(ladder("c> SYN 0")), lang).splitlines()[4].endswith(("✓", "≈", "≠"))


@in_both_languages
def test_where_nobody_knows_the_state_there_is_a_question_mark(lang: Lang) -> None:
    (line, *_) = numbered(draw(walk(ladder("c> data 1 1 5", "s> ACK 1 6")), lang).splitlines())
    assert line.split()[2] == "?"
    assert column(line, RIGHT).strip() == "?"


@in_both_languages
def test_a_packet_that_is_no_tcp_is_one_line_in_brackets(lang: Lang) -> None:
    (line,) = [line for line in draw(walk([ARP]), lang).splitlines() if line.strip()]
    opening, closing = (r"\(", r"\)") if lang == "en" else "（）"
    assert re.fullmatch(rf"  1 +{opening}.*42.*{closing}", line)


# What a packet says can't steer the terminal.

HOSTILE = [
    "\x1b[2J\x1b[1;1Hgone", "\x1b]0;title\x07", "\x9b31mred", "a\rb", "bell\x07bell", "back\x08\x08\x08",
    "\x7f\x7f", "\x00\x00", "tab\tnew\nline", "line\u2028break\u2029", "\u202egnitirw\u202c",
    "\u2066isolate\u2069", "\u200bzero\u200fwidth", "\ufeffmark", "\U000e0041tag",
    "[red]markup[/red]", "[/]", ":smile:", "[link=http://x]x[/link]",
]  # fmt: skip


@in_both_languages
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_payload_cannot_steer_the_terminal(hostile: str, lang: Lang) -> None:
    padding = "so that it counts as text " * 3
    drawn = draw(walk(ladder(*OPEN, f'c> data 1 1 "{hostile}{padding}"', "s> ACK 1 500")), lang)
    assert_harmless(drawn)
    assert "so that it" in drawn, "the payload was meant to be shown"
    assert_fits(drawn)


def test_markup_and_emoji_names_in_a_payload_are_shown_as_they_are() -> None:
    drawn = draw(walk(ladder(*OPEN, 'c> data 1 1 "[red]x[/red] :smile: [/]"', "s> ACK 1 500")), force_terminal=True)
    assert "[red]x[/red] :smile: [/]" in drawn


@given(st.text(st.characters(exclude_characters='"'), max_size=60), st.sampled_from(LANGUAGES))
def test_whatever_text_is_carried_the_lines_are_printable_and_fit(text: str, lang: Lang) -> None:
    encoded = text.encode("utf-8", "ignore").decode()
    drawn = draw(walk(ladder(*OPEN, f'c> data 1 1 "{encoded}"', "s> ACK 1 500")), lang)
    assert_harmless(drawn)
    assert_fits(drawn)


def test_a_payload_that_is_no_text_is_not_shown() -> None:
    drawn = draw(walk(ladder(*OPEN, 'c> data 1 1 "\x01\x02\x03\x04ab"', "s> ACK 1 7")))
    assert '"' not in drawn


def test_a_kernels_word_cannot_steer_the_terminal() -> None:
    events = [
        event._replace(kernel=kernels("\x1b[2J", "\u202eb")) if isinstance(event, (Captured, Settled)) else event
        for event in prompt(ladder("c> SYN 0"))
    ]
    assert_harmless(draw(replay(events)))


# Colour.


def test_what_is_no_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b" not in draw(walk(ladder(*OPEN, *TALK, *CLOSE)))
    assert "\x1b" in draw(walk(ladder(*OPEN)), force_terminal=True, color_system="standard")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Given:
    """As much of a run as the ladder asks for."""

    def __init__(self, walked: Walked) -> None:
        self.agreement = Agreement()
        self.reports, self.states = lambda: walked.reports, lambda: states(walked)


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_gives_a_terminal_plain_text(monkeypatch: pytest.MonkeyPatch, no_color: bool) -> None:
    """Design section 2: NO_COLOR and non-terminals get plain text."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    walked, out = walk(ladder(*OPEN)), Terminal()
    run: Any = Given(walked)
    write_ladder(run, iter(walked.packets), out, "en")
    assert ("\x1b" not in out.getvalue()) == no_color
