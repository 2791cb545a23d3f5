"""What is made of marks: feedback for each student, a report on the class. Each says what it may, and only text."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

import lab
from lab.app import grade as app
from lab.app.formats import FormOfMarks
from lab.app.marks import Asked
from lab.capture.reader import open_capture
from lab.grade import classes
from lab.grade.classes import Marking
from lab.grade.collected import collect
from lab.grade.feedback import DEGREES, Degree, within
from lab.grade.gradebook import comment
from lab.grade.kept import Kept
from lab.grade.reports.chart import chart
from lab.grade.reports.class_page import class_page
from lab.grade.reports.student import as_html, as_markdown
from lab.grade.statistics import statistics
from lab.text import LANGUAGES, Lang
from scripts.classroom import make, written
from tests.places import REFERENCES

SIZE = 10
in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)
EVIL = "<script>alert(1)</script>\x1b[2J\u202e`x` [a](javascript:b) =1+1 &amp; \"'"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class") / "handed-in"
    make(folder, SIZE)
    return folder


@pytest.fixture(scope="module")
def ladders() -> dict[str, Mapping[str, str]]:
    return {}


@pytest.fixture(scope="module")
def marked(room: Path, ladders: dict[str, Mapping[str, str]]) -> dict[str, Any]:
    """The marks of a class whose sheets name no language."""
    for each in room.rglob("answers.toml"):
        each.write_bytes(each.read_bytes().replace(b'language = "en"\n', b""))
    return classes.marked(
        collect(room),
        Marking(None, Kept(room.parent / "kept")),
        ladder=lambda name, drawn: ladders.update({name: drawn}),
    )


class Page(HTMLParser):
    """A page taken apart: its tags, what they refer to, and its texts."""

    EMPTY = ("meta", "br")

    def __init__(self, said: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.refers: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(said)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "xlink:href"):
                self.refers.append(value or "")
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def a_page(said: str) -> Page:
    """Takes a page apart that must stand alone: no script, nothing from elsewhere."""
    page = Page(said)
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(page.tags)
    assert "default-src 'none'" in said
    assert not re.search(r"url\(|@import|://(?!www\.w3\.org/2000/svg)", said)
    return page


@in_both_languages
@pytest.mark.parametrize("degree", DEGREES)
def test_feedback_says_as_much_as_its_degree_and_always_the_total(
    marked: dict[str, Any], degree: Degree, lang: Lang
) -> None:
    full = marked["submissions"][0]
    wrong = next(each for each in full["questions"] if each["status"] != "right" and each["why"])
    marks = within(full, degree)
    html, markdown = a_page(as_html(marks, lang)).text, as_markdown(marks, lang)
    shown = MarkdownIt().render(markdown)
    total = {"en": f"{full['points']:g} of {full['of']:g} points", "zh": f"得分 {full['points']:g} / {full['of']:g}"}
    rank = DEGREES.index(degree)
    for said in (html, Page(shown).text):
        assert total[lang] in said
        assert (wrong["id"] in said) is (rank >= 1)
        assert (wrong["said"][lang] in said) is (rank >= 2)
        assert (wrong["why"][lang] in said) is (rank >= 3)
        assert (wrong["right"][lang] in said) is (rank >= 3)


@pytest.mark.parametrize("own", LANGUAGES)
def test_each_student_is_told_in_the_language_of_their_sheet(
    marked: dict[str, Any], ladders: dict[str, Mapping[str, str]], own: Lang
) -> None:
    first = marked["submissions"][0] | {"language": own}
    for lang in LANGUAGES:
        assert as_html(first, lang, ladders[first["submission"]]) == as_html(first, own, ladders[first["submission"]])
        assert as_markdown(first, lang) == as_markdown(first, own)
    said = {"en": " points", "zh": "得分"}[own]
    for text in (as_html(first, "en"), as_html(first, "zh"), comment(first, "en"), comment(first, "zh")):
        assert said in text


@in_both_languages
def test_nothing_of_anybody_else_and_no_path_is_in_it(
    marked: dict[str, Any], ladders: dict[str, Mapping[str, str]], room: Path, lang: Lang
) -> None:
    copied = next(each for each in marked["submissions"] if any("others" in found for found in each["findings"]))
    html = as_html(copied, lang, ladders[copied["submission"]])
    for said in (html, as_markdown(copied, lang)):
        for other in marked["submissions"]:
            if other is not copied:
                assert other["submission"] not in said
                assert not other["student"] or not re.search(rf"\b{other['student']}\b", said)
        assert copied["findings"][0]["said"][lang] not in said
        assert str(room) not in said
        assert "/tmp" not in said
    assert "svg" in a_page(html).tags


@given(st.text(max_size=60) | st.just(EVIL))
def test_what_a_student_writes_is_text_in_every_report(evil: str) -> None:
    marks = _marks(evil)
    page = a_page(as_html(marks, "en"))
    within_page = "html", "head", "meta", "title", "style", "body", "h1", "h3", "p", "section", "span", "b", "code"
    assert set(page.tags) <= set(within_page)
    tags = set(Page(MarkdownIt("commonmark").render(as_markdown(marks, "en"))).tags)
    assert tags <= {"h1", "h2", "p", "strong", "ul", "li", "code"}
    marked = {"submissions": [marks | {"submission": evil}], "unmarked": [], "lab": "1", "statistics": []}
    whole = a_page(class_page(marked, {evil: "feedback/a.html"}, "en"))
    assert whole.refers == ["feedback/a.html"]
    assert "\x1b" not in "".join(whole.texts)


def _marks(said: str) -> dict[str, Any]:
    both = {"en": "What?", "zh": "什么？"}
    question = {
        "id": "a", "kind": "number", "text": both, "points": 0, "of": 1, "status": "wrong", "answer": said,
        "code": "wrong", "said": both, "rule": "RFC 9293 section 3.4", "right": both, "packets": [1], "why": both,
        "override": {"points": 0, "was": 1, "why": said},
    }  # fmt: skip
    return {
        "schema": "handshake-lab/grade/v1", "assignment": {"id": "t", "sha256": "0" * 64, "title": both},
        "student": said, "capture": None, "feedback": "full", "points": 0, "of": 1, "pending": 0,
        "questions": [question], "problems": [], "findings": [],
    }  # fmt: skip


@in_both_languages
def test_the_report_on_a_class_has_a_row_for_each_and_what_went_wrong(marked: dict[str, Any], lang: Lang) -> None:
    page = a_page(class_page(marked, {}, lang))
    for each in marked["submissions"]:
        assert each["submission"] in page.text
        assert f"{each['points']:g} / {each['of']:g}" in page.text
        for found in each["findings"]:
            assert found["said"][lang] in page.text
    for each in marked["statistics"]:
        assert each["question"] in page.text
        for mistake in each["mistakes"]:
            assert mistake["code"] not in page.texts  # it is said in words
    assert "svg" in page.tags


def test_a_class_of_one_is_counted_in_english() -> None:
    told = _marks("x") | {"submission": "x", "pending": 1}
    page = a_page(class_page({"submissions": [told], "unmarked": [], "lab": "1", "statistics": []}, {}, "en"))
    assert "1 submission · mean 0 % of the points · 1 to be marked by a person" in page.text


@in_both_languages
def test_the_plot_has_a_bar_and_a_dot_for_each_question(marked: dict[str, Any], lang: Lang) -> None:
    root = ElementTree.fromstring(chart(marked["statistics"], lang))
    bars = [each for each in root.iter() if (each.get("class") or "").startswith("bar")]
    dots = [each for each in root.iter() if each.get("class") == "dot"]
    assert len(bars) == sum(each["easiness"] is not None for each in marked["statistics"])
    assert len(dots) == sum(each["discrimination"] is not None for each in marked["statistics"])
    widths = [float(each.get("width", "0")) for each in bars]
    shares = [each["easiness"] for each in marked["statistics"] if each["easiness"] is not None]
    assert [round(width / 360, 2) for width in widths] == [round(share, 2) for share in shares]


def test_statistics_are_those_of_the_field() -> None:
    """Worked out by hand: of four, the first question is right for the two who have more of the others."""

    def of(*points: float) -> dict[str, Any]:
        said = ["right" if each == 2 else "wrong" for each in points]
        questions = [
            {"id": "abc"[at], "of": 2, "points": each, "status": said[at], "code": said[at]}
            for at, each in enumerate(points)
        ]
        return {"capture": {}, "assignment": {"id": "t"}, "points": sum(points), "questions": questions}

    a, b, c = statistics([of(2, 2, 2), of(2, 0, 2), of(0, 2, 2), of(0, 0, 2)])
    assert (a["easiness"], a["discrimination"]) == (0.5, 0.0)
    assert (c["easiness"], c["discrimination"]) == (1.0, None)
    assert b["mistakes"] == [{"code": "wrong", "count": 2}]
    first, *_ = statistics([of(2, 2, 2), of(2, 2, 0), of(0, 2, 0), of(0, 0, 0)])
    # Point-biserial: means of those who have it, and have not, less each other, by the deviation: (3 - 1) / √2 · √¼.
    assert first["discrimination"] == pytest.approx(0.707, abs=0.001)


def test_what_a_person_has_still_to_mark_is_not_counted() -> None:
    question = {"id": "a", "of": 2, "points": 0, "status": "person", "code": "person"}
    marks = {"capture": {}, "assignment": {"id": "t"}, "points": 0, "questions": [question]}
    decided = marks | {"points": 2, "questions": [question | {"points": 2, "override": {}}]}
    assert statistics([marks])[0]["easiness"] is None
    told = statistics([marks, decided])[0]
    assert (told["answers"], told["easiness"]) == (1, 1.0)


def test_a_class_has_the_shape_of_its_schema(marked: dict[str, Any]) -> None:
    validator = Draft202012Validator(lab.schema("grade-class"))
    validator.validate(marked)
    for broken in ("submissions", "statistics", "oral"):
        assert not validator.is_valid({key: value for key, value in marked.items() if key != broken})
    nameless = copy.deepcopy(marked)
    del nameless["submissions"][0]["submission"]
    assert not validator.is_valid(nameless)


def test_reports_are_written_and_replaced_and_the_teacher_is_told_where(
    room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "marks"
    app.grade(Asked(room, "", "full", FormOfMarks.TABLE, None, to), "en")
    assert f"The report for you: {to / 'report.html'}" in capsys.readouterr().out
    page = a_page((to / "report.html").read_text("utf-8"))
    assert len(page.refers) == SIZE
    for place in page.refers:
        assert ("svg" in a_page((to / place).read_text("utf-8")).tags) is ("Student_10" not in place)  # a bomb
        assert (to / place).stat().st_mode & 0o077 == 0
    (to / "feedback" / "gone.html").write_text("of somebody who has left")
    app.grade(Asked(room, "", "none", FormOfMarks.TABLE, None, to), "zh")
    assert not (to / "feedback" / "gone.html").exists()
    for place in page.refers:
        said = (to / place).read_text("utf-8")
        assert "<svg" not in said
        assert "<section" not in said
        assert "得分" in said
    marks = json.loads((to / "marks.json").read_text("utf-8"))
    Draft202012Validator(lab.schema("grade-class")).validate(marks)


def test_what_was_marked_without_a_picture_is_marked_again_for_one(room: Path, tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    handed_in = collect(room)[:1]
    classes.marked(handed_in, Marking(None, kept))
    drawn: dict[str, Mapping[str, str]] = {}
    for _ in range(2):
        drawn.clear()
        classes.marked(handed_in, Marking(None, kept), ladder=lambda name, pictures: drawn.update({name: pictures}))
        assert set(drawn[handed_in[0].name]) == {*LANGUAGES, "pcapng"}


def test_a_capture_by_which_nobody_is_known_is_marked_again_for_a_picture_and_none_is_not(tmp_path: Path) -> None:
    for name in ("an", "bo"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "answers.toml").write_text('assignment = "tcp-close"\n')
    late = list(open_capture(str(REFERENCES / "tcp-connection.pcapng")))[3:]
    (tmp_path / "in" / "an" / "capture.pcapng").write_bytes(written(late))
    handed_in, kept, drawn = collect(tmp_path / "in"), Kept(tmp_path / "kept"), dict[str, Mapping[str, str]]()
    classes.marked(handed_in, Marking(None, kept))
    counts: list[int] = []
    classes.marked(handed_in, Marking(None, kept), counts.append, drawn.__setitem__)
    assert counts == [1, 2], "what has no capture is taken as it is"
    assert set(drawn) == {"an"}
