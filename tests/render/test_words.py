"""Texts of either language fit into columns: nothing is lost, nothing sticks out, no line begins with a full stop."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from lab.engine.protocol import Descriptor
from lab.protocols.notes import notes
from lab.protocols.registry import PROTOCOLS
from lab.render import words as fitted
from lab.render.words import LABELS, brief, clip, event, numbers, pad, sections, wrap
from lab.text import LANGUAGES, safe

NEVER_FIRST = "，。；：、！？）】》”’,.;:!?)]}%"
WORDS = st.text("abcdefg hij .,;:!?()[]“”，。；：、！？（）《》中文字符 0123456789…·-", max_size=120)
ANYTHING = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me")), max_size=60
)
WIDTHS = st.integers(4, 80)


def letters(text: str) -> str:
    return "".join(text.split())


@given(WORDS | ANYTHING, WIDTHS)
@example("x " + "." * 100, 20)
@example("a" * 100, 7)
@example("中" * 50, 5)
def test_no_line_is_wider_than_asked(text: str, width: int) -> None:
    assert all(cell_len(line) <= width for line in wrap(text, width))


@given(WORDS | ANYTHING, WIDTHS)
def test_no_character_is_lost_and_none_moves(text: str, width: int) -> None:
    assert letters("".join(wrap(text, width))) == letters(text)


@pytest.mark.parametrize(
    "text", ["a" * 60_000, "." * 60_000, "中" * 20_000, "a " * 20_000, "a." * 20_000, "，" * 20_000]
)
def test_a_text_of_any_length_is_measured_a_few_times_over(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes a name of 60 kB into a handshake must not stop the reader for minutes."""
    measured: list[int] = []

    def counted(piece: str) -> int:
        measured.append(len(piece))
        return cell_len(piece)

    monkeypatch.setattr(fitted, "cell_len", counted)
    lines = wrap(text, 64)
    assert letters("".join(lines)) == letters(text)
    assert clip(text, 64) == text[: 63 if cell_len(text[0]) == 1 else 31] + "…"
    assert sum(measured) < 70 * len(text)
    assert len(brief(text)) <= 401


@given(WORDS, WIDTHS)
def test_no_line_is_empty_or_begins_or_ends_with_a_space(text: str, width: int) -> None:
    assert all(line and line == line.strip() for line in wrap(text, width))


@given(st.lists(st.text("abcde中文字符", min_size=1, max_size=5), min_size=1, max_size=30), st.integers(20, 80))
def test_punctuation_never_begins_a_line(words: list[str], width: int) -> None:
    for mark in NEVER_FIRST:
        for joint in (mark, mark + " "):
            for line in wrap(joint.join(words) + joint, width):
                assert line[0] not in NEVER_FIRST, line


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=9), max_size=30), st.integers(9, 60))
def test_english_is_broken_between_words_only_and_lines_are_as_full_as_they_can_be(
    words: list[str], width: int
) -> None:
    lines = [line.split(" ") for line in wrap(" ".join(words), width)]
    assert [word for line in lines for word in line] == words
    for line, following in pairwise(lines):
        assert len(" ".join((*line, following[0]))) > width


@given(st.integers(2, 80), st.integers(1, 100))
def test_chinese_is_broken_between_any_two_characters(width: int, count: int) -> None:
    lines = wrap("字" * count, width)
    assert {len(line) for line in lines[:-1]} <= {width // 2}
    assert sum(len(line) for line in lines) == count


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_notes_own_texts_are_wrapped_without_loss(lang: str) -> None:
    lesson = notes("tcp")
    texts = [*(step.text for step in lesson.steps.values()), *(step.beyond for step in lesson.steps.values())]
    for text in (each.en if lang == "en" else each.zh for each in (*texts, *lesson.differs.values())):
        for width in range(20, 81):
            lines = wrap(text, width)
            assert letters("".join(lines)) == letters(text)
            assert all(cell_len(line) <= width and line[0] not in NEVER_FIRST for line in lines), lines


def test_an_empty_text_has_no_lines() -> None:
    assert wrap("", 10) == wrap("   ", 10) == []


@given(st.text(max_size=60))
def test_a_safe_text_can_neither_steer_a_terminal_nor_turn_the_direction_of_writing(text: str) -> None:
    made = safe(text)
    assert len(made) == len(text)
    assert not {unicodedata.category(char) for char in made} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert all(new == old or new == "·" for new, old in zip(made, text, strict=True))


def test_a_harmless_text_is_safe_as_it_is() -> None:
    assert safe("Hello, 世界! — [red] ñ") == "Hello, 世界! — [red] ñ"


@given(ANYTHING, st.integers(1, 40))
def test_a_clipped_text_fits_and_is_the_texts_beginning(text: str, width: int) -> None:
    made = clip(text, width)
    assert cell_len(made) <= width
    assert made == text or (made.endswith("…") and text.startswith(made[:-1]))
    assert (made == text) == (cell_len(text) <= width) or made == text


@given(ANYTHING, st.integers(0, 40))
def test_a_padded_text_is_at_least_as_wide_as_asked(text: str, width: int) -> None:
    made = pad(text, width)
    assert made.rstrip(" ") == text.rstrip(" ")
    assert cell_len(made) == max(width, cell_len(text))


def test_of_many_packets_the_first_few_are_named_in_the_languages_punctuation() -> None:
    assert numbers((1, 2, 3), "en") == "1, 2, 3"
    assert numbers((1, 2, 3), "zh") == "1、2、3"
    assert numbers(tuple(range(1, 8)), "en") == "1, 2, 3, 4, 5, 6 …"
    assert numbers(tuple(range(1, 7)), "zh") == "1、2、3、4、5、6"


def test_every_label_that_needs_words_has_them_in_both_languages() -> None:
    assert all(text.en and text.zh and text.zh != text.en for text in LABELS.values())


@pytest.mark.parametrize(
    ("source", "zh"),
    [
        ("RFC 9293 section 3.5", "RFC 9293 第 3.5 节"),
        ("RFC 9293 sections 3.4.1, 3.5 and 3.10.1", "RFC 9293 第 3.4.1、3.5、3.10.1 节"),
        ("RFC 6455 sections 5.1 to 5.6", "RFC 6455 第 5.1 至 5.6 节"),
        ("RFC 6455 section 4.2.2, item 5.4", "RFC 6455 第 4.2.2 节第 5.4 条"),
        (
            "RFC 5246 section 7.4.9, RFC 9846 section 4.5.3 (RFC 8446 section 4.4.4)",
            "RFC 5246 第 7.4.9 节，RFC 9846 第 4.5.3 节（RFC 8446 第 4.4.4 节）",
        ),
        ("RFC 4253 section 8 and RFC 5656 section 4", "RFC 4253 第 8 节和 RFC 5656 第 4 节"),
        ("RFC 9850", "RFC 9850"),
    ],
)
def test_chinese_writes_sections_its_own_way(source: str, zh: str) -> None:
    assert sections(source) == (source, zh)


@pytest.mark.parametrize("name", [protocol.name for protocol in PROTOCOLS])
def test_no_step_tells_its_sections_in_english_to_who_reads_chinese(name: str) -> None:
    for step in notes(name).steps.values():
        assert not re.search("section| and |, ", sections(step.rfc).zh)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_every_event_is_told_in_chinese(protocol: Descriptor) -> None:
    told = {each: event(each) for table in protocol.tables.values() for each in table.events}
    assert all(words.en == each for each, words in told.items())
    assert not any(re.search(r"\b(sent|got|closed|of)\b", words.zh) for words in told.values())
    assert len({words.zh for words in told.values()}) == len(told)


def test_an_event_is_a_verb_and_what_was_sent_or_got() -> None:
    assert event("got SYN").zh == "收到 SYN"
    assert event("sent ACK of FIN").zh == "发出对 FIN 的 ACK"
    assert event("got early data").zh == "收到早期数据"
