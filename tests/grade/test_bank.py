"""Question banks, held against the formats of those who read them.

Moodle: `Embedded` is the grammar of question/type/multianswer/questiontype.php, by which Moodle itself reads a Cloze
question. QTI 1.2: the elements, their order and their attributes, as far as we write them, by its DTD
(ims_qtiasiv1p2p1), and what Canvas reads of them. What each blank accepts is marked by the lab as well: both must say
the same.
"""

from __future__ import annotations

import base64
import html
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from lab.app import assign
from lab.capture.reader import open_capture
from lab.errors import InputError, UsageError
from lab.grade.assignment import Assignment, load, shipped
from lab.grade.bank import item as items_
from lab.grade.bank.item import Accepted, Blank, Item, Option
from lab.grade.bank.moodle import moodle_xml
from lab.grade.bank.qti import qti_package
from lab.grade.marking import mark
from lab.grade.recording import facts_of
from lab.grade.sheet import Sheet
from lab.text import LANGUAGES, Lang, Text
from tests.grade.shared import capture, facts

in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)
EVIL = "}~=100#<script>{1:SHORTANSWER:=x}%100%&lt;\\*/:\"'\x1b]]>[b1]"


@pytest.fixture(scope="module")
def made() -> dict[str, list[Item]]:
    """The items of every assignment that comes with the lab, on the captures that it is proved by."""
    found = {}
    for name in shipped():
        assignment = load(name)
        found[name] = list(items_.items(assignment, [capture(each) for each in assignment.proof]))
    return found


# Moodle.


class Alternative(NamedTuple):
    """An answer as Moodle has read it: its fraction of the weight, the text, its tolerance, the feedback."""

    fraction: float
    answer: str
    tolerance: float
    feedback: str


class Embedded(NamedTuple):
    """A blank as Moodle has read it."""

    weight: int
    kind: str
    alternatives: list[Alternative]


FRACTION = r"=|%(-?[0-9]+(?:[.,][0-9]*)?)%"
ALTERNATIVE = rf"({FRACTION})?(.+?(?<!\\)(?<!&)(?<!&amp;)(?=[~#}}]|$))(#(.*?(?<!\\)(?=[~}}]|$)))?"
KINDS = "NUMERICAL|MULTICHOICE_VS|MULTICHOICE_V|MULTICHOICE|SHORTANSWER_C|SHORTANSWER|MULTIRESPONSE_S|MULTIRESPONSE"
START = rf"\{{([0-9]*):({KINDS}):"
WHOLE = re.compile(rf"{START}((?:{ALTERNATIVE})(?:~(?:{ALTERNATIVE}))*)\}}", re.DOTALL)
NUMBER = re.compile(r"(-?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][-+]?[0-9]+)?)(?::([0-9.]+))?")


def embedded(text: str) -> Iterator[Embedded]:
    for found in WHOLE.finditer(text):
        alternatives = []
        for each in re.finditer(rf"~?{ALTERNATIVE}", found[3], re.DOTALL):
            fraction = 1.0 if each[1] == "=" else float(each[2]) / 100 if each[2] else 0.0
            number = NUMBER.fullmatch(each[3]) if found[2] == "NUMERICAL" else None
            answer = number[1] if number is not None else html.unescape(each[3])
            tolerance = float(number[2] or 0) if number is not None else 0.0
            alternatives.append(Alternative(fraction, answer, tolerance, html.unescape(each[5] or "")))
        yield Embedded(int(found[1]), found[2], alternatives)


def cloze(assignment: Assignment, items: list[Item], lang: Lang) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(moodle_xml(assignment, items, lang))
    assert root.tag == "quiz"
    category, *questions = root
    assert category.get("type") == "category"
    assert (category.findtext("category/text") or "").startswith("$course$/top/")
    for each in questions:
        assert each.get("type") == "cloze"
        assert each.findtext("name/text")
        assert {child.tag for child in each} == {
            "name", "questiontext", "generalfeedback", "penalty", "hidden", "idnumber",
        }  # fmt: skip
    return questions


@in_both_languages
@pytest.mark.parametrize("name", shipped())
def test_moodle_reads_every_blank_as_it_is_meant(made: dict[str, list[Item]], name: str, lang: Lang) -> None:
    assignment = load(name)
    for item, question in zip(made[name], cloze(assignment, made[name], lang), strict=True):
        text = question.findtext("questiontext/text") or ""
        found = list(embedded(text))
        assert [each.weight for each in found] == [blank.weight for blank in item.blanks]
        assert not re.search(r"[{}]", WHOLE.sub("", text))  # nothing is left that could have been a blank
        for each, blank in zip(found, item.blanks, strict=True):
            assert any(alternative.fraction == 1 for alternative in each.alternatives)
            wanted = blank.options or blank.accepted
            assert len(each.alternatives) == len(wanted)
            if not blank.options:
                assert [one.fraction for one in each.alternatives] == [
                    accepted.credit / 100 for accepted in blank.accepted
                ]
                said = [one.answer.replace("\\*", "*") for one in each.alternatives]
                assert said == [accepted.said for accepted in blank.accepted]
            else:
                right = [option.id for option in blank.options if option.credit == 100]
                assert sum(one.fraction == 1 for one in each.alternatives) == len(right)


@pytest.mark.parametrize("name", shipped())
def test_what_a_quiz_accepts_the_lab_marks_the_same(made: dict[str, list[Item]], name: str) -> None:
    assignment = load(name)
    for item, scenario in zip(made[name], assignment.proof, strict=True):
        for blank in item.blanks:
            for accepted in blank.accepted:
                question = assignment.question(blank.id)
                assert question is not None
                alone = assignment._replace(questions=(question._replace(after=(), carry=None),))
                (mark_,) = mark(alone, Sheet(name, "", {blank.id: accepted.said}), facts(scenario)).marks
                assert mark_.status != "malformed", (blank.id, accepted)
                assert abs(mark_.credit - accepted.credit) <= 1, (blank.id, accepted, mark_)


def test_a_hexadecimal_number_is_accepted_without_0x_too(made: dict[str, list[Item]]) -> None:
    for name, id_, written in (("websocket", "opcode", "9"), ("tls-today", "record-version", "0301")):
        blank = next(each for each in made[name][0].blanks if each.id == id_)
        assert written in [each.said for each in blank.accepted if each.credit == 100]
        assert blank.kind == "text"


def test_the_capture_is_in_it_without_what_would_answer_a_question(made: dict[str, list[Item]], tmp_path: Path) -> None:
    (question,) = cloze(load("tls-rsa"), made["tls-rsa"], "en")
    (attached,) = question.findall("questiontext/file")
    assert attached.get("encoding") == "base64"
    assert f"@@PLUGINFILE@@/{attached.get('name')}" in (question.findtext("questiontext/text") or "")
    path = tmp_path / "capture.pcapng"
    path.write_bytes(base64.b64decode(attached.text or ""))
    with open_capture(str(path)) as opened, open_capture(str(capture("tls/1.2-rsa"))) as whole:
        bare, frames = list(opened), list(whole)
        assert [each.data for each in bare] == [each.data for each in frames]
        assert not any(each.comments for each in bare)
        assert not opened.closing_comments
        assert opened.secrets
    assert b"lab1" not in path.read_bytes()
    sealed = load("tls-rsa")._replace(variant={"secrets": False})
    with io.BytesIO(next(iter(items_.items(load("tls-today"), [capture("tls/1.3")]))).capture) as found:
        assert b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" in found.getvalue()
    assert b"CLIENT_RANDOM" not in items_._bare(capture("tls/1.2-ecdhe"), bool(sealed.variant["secrets"]))


def evil() -> tuple[Assignment, list[Item]]:
    said = Text(EVIL, EVIL)
    options = (Option("a", said, 100, said), Option("b", said, 0, said))
    blanks = (
        Blank("t", said, said, 1, 1, "text", (Accepted(EVIL, 100, said), Accepted("x*", 50, said))),
        Blank("o", said, said, 1, 1, "choice", (Accepted("a", 100, said),), options),
        Blank("s", said, said, 1, 1, "choices", (Accepted("a", 100, said),), options, (("i", said),)),
        Blank("n", said, said, 1, 1, "number", (Accepted("7", 100, said),), tolerance=0.5),
    )
    return load("tcp-open")._replace(title=said), [Item(EVIL, "a b&c.pcapng", b"x", blanks)]


@in_both_languages
def test_nothing_that_is_said_ends_an_answer_or_is_markup_in_moodle(lang: Lang) -> None:
    assignment, items = evil()
    (question,) = cloze(assignment, items, lang)
    text = question.findtext("questiontext/text") or ""
    written, chosen, several, number = embedded(text)
    said = EVIL.replace("\x1b", "·")
    assert [each.answer.replace("\\*", "*") for each in written.alternatives] == [said, "x*"]
    assert (number.alternatives[0].answer, number.alternatives[0].tolerance) == ("7", 0.5)
    for alternative in (*chosen.alternatives, *several.alternatives):  # shown as HTML
        assert html.unescape(alternative.answer) == html.unescape(html.escape(said, quote=False))
        assert "<" not in alternative.answer
        assert "<" not in alternative.feedback
    assert "<script" not in text


# QTI 1.2.

QTI = "{http://www.imsglobal.org/xsd/ims_qtiasiv1p2}"
CONTAINS = {  # an element's children, in their order: what comes once or not at all, +: at least once, *: any number
    "questestinterop": "assessment", "assessment": "section+", "section": "selection_ordering? section* item*",
    "selection_ordering": "selection", "selection": "selection_number selection_extension?",
    "item": "itemmetadata presentation resprocessing", "itemmetadata": "qtimetadata",
    "qtimetadata": "qtimetadatafield+",
    "qtimetadatafield": "fieldlabel fieldentry", "presentation": "material response_lid+", "material": "mattext",
    "response_lid": "material render_choice", "render_choice": "response_label+", "response_label": "material",
    "resprocessing": "outcomes respcondition+", "outcomes": "decvar", "respcondition": "conditionvar setvar",
    "conditionvar": "varequal",
}  # fmt: skip
ATTRIBUTES = {  # what an element may have, and what must be: what is written here, of what its DTD has
    "assessment": "ident title", "section": "ident title", "item": "ident title", "mattext": "texttype",
    "response_lid": "ident", "response_label": "ident", "varequal": "respident", "setvar": "action varname",
    "decvar": "maxvalue minvalue varname vartype", "respcondition": "continue",
}  # fmt: skip
OPTIONAL = {("section", "title"), ("mattext", "texttype")}
VALUES = {("setvar", "action"): "Add", ("decvar", "vartype"): "Decimal", ("respcondition", "continue"): "Yes"}


def questions(package: bytes) -> ElementTree.Element:
    """Returns the questions of a package, once all of it is as it has to be."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = set(archive.namelist())
        manifest = ElementTree.fromstring(archive.read("imsmanifest.xml"))
        space = "{http://www.imsglobal.org/xsd/imscp_v1p1}"
        assert [child.tag for child in manifest] == [
            f"{space}{tag}" for tag in ("metadata", "organizations", "resources")
        ]
        resources = manifest[2]
        files = [file.get("href", "") for file in resources.iter(f"{space}file")]
        known = {resource.get("identifier") for resource in resources}
        assert {each.get("identifierref") for each in resources.iter(f"{space}dependency")} <= known
        assert names == {"imsmanifest.xml", *files}
        assert len({resource.get("identifier") for resource in resources}) == len(resources)
        (main,) = [each for each in resources if each.get("type") == "imsqti_xmlv1p2"]
        root = ElementTree.fromstring(archive.read(main.get("href", "")))
        (about,) = [name for name in names if name.endswith("/assessment_meta.xml")]
        assert ElementTree.fromstring(archive.read(about))[0].tag.endswith("title")
    for element in root.iter():
        tag = element.tag.removeprefix(QTI)
        form = "".join(
            f"(?:{name.rstrip('+*?')} ){name[-1] if name[-1] in '+*?' else ''}"
            for name in CONTAINS.get(tag, "").split()
        )
        wanted = ATTRIBUTES.get(tag, "").split()
        required = [name for name in wanted if (tag, name) not in OPTIONAL or name in element.attrib]
        assert sorted(element.attrib) == required, tag
        assert all(element.get(name) == value for (of, name), value in VALUES.items() if of == tag), tag
        if tag != "selection_extension":
            assert re.fullmatch(form, "".join(f"{child.tag.removeprefix(QTI)} " for child in element)), tag
    idents = [each.get("ident") for each in root.iter() if each.get("ident") and each.tag != f"{QTI}response_lid"]
    labels = [each for each in idents if not re.fullmatch(r"b\d+a\d+", each or "")]
    assert len(labels) == len(set(labels))
    return root


@in_both_languages
@pytest.mark.parametrize("name", shipped())
def test_a_package_is_qti_1_2_and_its_blanks_accept_what_is_right(
    made: dict[str, list[Item]], name: str, lang: Lang
) -> None:
    package = qti_package(load(name), made[name], lang)
    assert package == qti_package(load(name), made[name], lang)
    found = list(questions(package).iter(f"{QTI}item"))
    for item, element in zip(made[name], found, strict=True):
        entries = [each.findtext(f"{QTI}fieldentry") for each in element.iter(f"{QTI}qtimetadatafield")]
        asked = [blank for blank in item.blanks if not blank.tolerance]
        assert entries == ["fill_in_multiple_blanks_question", f"{sum(blank.points for blank in asked):g}"]
        text = element.findtext(f"{QTI}presentation/{QTI}material/{QTI}mattext") or ""
        assert re.findall(r"\[(\w+)\]", text) == [f"b{at}" for at in range(1, len(asked) + 1)]
        scores: dict[str, set[float]] = {}
        accepted: dict[str, set[str]] = {}
        for condition in element.iter(f"{QTI}respcondition"):
            equal, add = condition.find(f"{QTI}conditionvar/{QTI}varequal"), condition.find(f"{QTI}setvar")
            assert equal is not None
            assert add is not None
            scores.setdefault(equal.get("respident", ""), set()).add(float(add.text or 0))
            accepted.setdefault(equal.get("respident", ""), set()).add(equal.text or "")
        assert sum(score for (score,) in scores.values()) == pytest.approx(100, abs=0.01)
        for at, (blank, answers) in enumerate(zip(asked, element.iter(f"{QTI}response_lid"), strict=True), 1):
            labels = {each.get("ident") for each in answers.iter(f"{QTI}response_label")}
            assert labels == accepted[f"response_b{at}"]
            said = [each.text for each in answers.iter(f"{QTI}mattext")][1:]
            right = {each.said.casefold() for each in blank.accepted if each.credit == 100}
            assert {str(each).casefold() for each in said} == right


def test_a_quiz_draws_one_capture_and_nothing_in_it_is_markup() -> None:
    root = questions(qti_package(*evil(), "en"))
    assert [each.text for each in root.iter(f"{QTI}selection_number")] == ["1"]
    for each in root.iter(f"{QTI}mattext"):
        assert "<script" not in (each.text or "") or each.get("texttype") == "text/plain"


# The command.


def test_a_bank_is_written_of_captures_that_are_named(tmp_path: Path) -> None:
    out = tmp_path / "bank.xml"
    assign.make_bank("tcp-open", "moodle", [], out, "en")
    assert len(ElementTree.parse(out).getroot()) == 1 + len(load("tcp-open").proof)
    assign.make_bank("tcp-open", "qti", [capture("tcp/syn-lost"), capture("tcp/connection")], out, "zh")
    assert len(list(questions(out.read_bytes()).iter(f"{QTI}item"))) == 2
    with pytest.raises(InputError, match="does not have"):
        assign.make_bank("tcp-open", "qti", [capture("tcp/refused")], out, "en")
    copy = tmp_path / "tcp-connection.pcapng"
    copy.write_bytes(capture("tcp/connection").read_bytes())
    with pytest.raises(UsageError):
        assign.make_bank("tcp-open", "qti", [capture("tcp/connection"), copy], out, "en")
    assert facts_of(copy).packets
