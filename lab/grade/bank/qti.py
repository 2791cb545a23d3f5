"""A question bank as QTI 1.2, in a content package that Canvas imports: a quiz that draws one capture for each student.

An item has a blank for each question, of the type that Canvas calls fill_in_multiple_blanks_question: so all questions
of a draw are about one capture. Only what is right is accepted: QTI 1.2 as Canvas reads it has no partial credit in a
blank, and no tolerance, so durations are left out.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote
from xml.sax.saxutils import escape as xml

from lab.grade.assignment import Assignment
from lab.grade.bank.item import Blank, Item
from lab.grade.kinds.kind import FULL
from lab.text import Lang, Text, safe

_QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
_PACKAGE = "http://www.imsglobal.org/xsd/imscp_v1p1"
_CANVAS = "http://canvas.instructure.com/xsd/cccv1p0"
_RESOURCE = "associatedcontent/imscc_xmlv1p1/learning-application-resource"
_META = "assessment_meta.xml"
_WHEN = (2026, 1, 1, 0, 0, 0)  # of every file: the same questions make the same package
_FILES = "web_resources/captures"  # Canvas calls what is in web_resources $IMS-CC-FILEBASE$
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
_TYPE = "fill_in_multiple_blanks_question"


def qti_package(assignment: Assignment, items: Sequence[Item], lang: Lang) -> bytes:
    """Returns the bank of an assignment as a zip."""
    name = f"lab-{hashlib.sha256(assignment.source).hexdigest()[:16]}"
    place = f"{name}/{name}.xml"
    found = [
        ("imsmanifest.xml", _manifest(name, place, items).encode()),
        (place, _questions(name, assignment, items, lang).encode()),
        (f"{name}/{_META}", _about(name, assignment, items, lang).encode()),
        *((f"{_FILES}/{item.file}", item.capture) for item in items),
    ]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in found:
            entry = zipfile.ZipInfo(path, _WHEN)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, data)
    return out.getvalue()


def _manifest(name: str, place: str, items: Sequence[Item]) -> str:
    files = [
        f'<resource identifier="{name}-{at}" type="webcontent" href="{_attribute(f"{_FILES}/{item.file}")}">'
        f'<file href="{_attribute(f"{_FILES}/{item.file}")}"/></resource>'
        for at, item in enumerate(items, 1)
    ]
    asked = (
        f'<resource identifier="{name}" type="imsqti_xmlv1p2" href="{place}"><file href="{place}"/>'
        f'<dependency identifierref="{name}-about"/></resource>'
    )
    about = (
        f'<resource identifier="{name}-about" type="{_RESOURCE}" href="{name}/{_META}">'
        f'<file href="{name}/{_META}"/></resource>'
    )
    lines = [
        _HEAD,
        f'<manifest xmlns="{_PACKAGE}" identifier="{name}-package">',
        "<metadata><schema>IMS Content</schema><schemaversion>1.1.3</schemaversion></metadata>",
        "<organizations/>",
        "<resources>",
        asked,
        about,
        *files,
        "</resources>",
        "</manifest>",
    ]
    return "\n".join(lines) + "\n"


def _about(name: str, assignment: Assignment, items: Sequence[Item], lang: Lang) -> str:
    """Returns what Canvas reads of the quiz as a whole, in a file of its own."""
    title, points = xml(safe(assignment.title.pick(lang))), f"{_points(items[0]):g}"
    return (
        f'{_HEAD}\n<quiz identifier="{name}" xmlns="{_CANVAS}"><title>{title}</title><description></description>'
        f"<quiz_type>assignment</quiz_type><points_possible>{points}</points_possible></quiz>\n"
    )


def _questions(name: str, assignment: Assignment, items: Sequence[Item], lang: Lang) -> str:
    title = _attribute(assignment.title.pick(lang))
    lines = [_HEAD, f'<questestinterop xmlns="{_QTI}">', f'<assessment ident="{name}" title="{title}">']
    lines += ['<section ident="root_section">', f'<section ident="{name}-group" title="{title}">']
    points = f"<points_per_item>{_points(items[0]):g}</points_per_item>"
    lines.append(
        "<selection_ordering><selection><selection_number>1</selection_number>"
        f"<selection_extension>{points}</selection_extension></selection></selection_ordering>"
    )
    for at, item in enumerate(items, 1):
        lines += _item(f"{name}-item-{at}", assignment, item, lang)
    return "\n".join([*lines, "</section>", "</section>", "</assessment>", "</questestinterop>"]) + "\n"


def _item(ident: str, assignment: Assignment, item: Item, lang: Lang) -> Iterator[str]:
    blanks = _asked(item)
    total = sum(each.weight for each in blanks)
    yield f'<item ident="{ident}" title="{_attribute(f"{assignment.title.pick(lang)} · {item.name}")}">'
    yield "<itemmetadata><qtimetadata>"
    for label, entry in (("question_type", _TYPE), ("points_possible", f"{_points(item):g}")):
        yield f"<qtimetadatafield><fieldlabel>{label}</fieldlabel><fieldentry>{entry}</fieldentry></qtimetadatafield>"
    yield "</qtimetadata></itemmetadata>"
    yield f'<presentation><material><mattext texttype="text/html">{xml(_text(item, blanks, lang))}</mattext></material>'
    for at, blank in enumerate(blanks, 1):
        yield f'<response_lid ident="response_b{at}"><material><mattext>b{at}</mattext></material><render_choice>'
        for count, said in enumerate(_right(blank), 1):
            label = f'<mattext texttype="text/plain">{xml(safe(said))}</mattext>'
            yield f'<response_label ident="b{at}a{count}"><material>{label}</material></response_label>'
        yield "</render_choice></response_lid>"
    yield "</presentation>"
    yield '<resprocessing><outcomes><decvar maxvalue="100" minvalue="0" varname="SCORE" vartype="Decimal"/></outcomes>'
    for at, blank in enumerate(blanks, 1):
        for count, _ in enumerate(_right(blank), 1):
            yield (
                '<respcondition continue="Yes"><conditionvar>'  # or a reader may stop behind the first that is so
                f'<varequal respident="response_b{at}">b{at}a{count}</varequal></conditionvar>'
                f'<setvar varname="SCORE" action="Add">{100 * blank.weight / total:.4f}</setvar>'
                "</respcondition>"
            )
    yield "</resprocessing></item>"


def _asked(item: Item) -> list[Blank]:
    """Returns the blanks of an item that can be asked there."""
    return [each for each in item.blanks if not each.tolerance]


def _points(item: Item) -> float:
    return round(sum(each.points for each in _asked(item)), 2)


def _right(blank: Blank) -> list[str]:
    """Returns what a blank accepts; letters count in any case there, so each is written once."""
    found = [each.said for each in blank.accepted if each.credit == FULL]
    return list({each.casefold(): each for each in reversed(found)}.values())[::-1]


def _text(item: Item, blanks: Sequence[Blank], lang: Lang) -> str:
    """Returns the text of an item, as HTML; [b1] is where a blank stands, so other brackets are written as codes."""
    link = f'<a href="$IMS-CC-FILEBASE$/captures/{quote(item.file)}">{_html(item.file)}</a>'
    lines = [f"<p>{Text('Open this capture: {0}', '打开这份抓包：{0}').pick(lang).format(link)}</p>"]
    for at, blank in enumerate(blanks, 1):
        lines.append(f"<p><strong>{at}.</strong> {_html(blank.text.pick(lang))}</p>")
        listed = (*blank.items, *((each.id, each.text) for each in blank.options))
        lines += [f"<p>{_html(id_)}: {_html(said.pick(lang))}</p>" for id_, said in listed]
        lines.append(f"<p>[b{at}] <em>({_html(blank.expects.pick(lang))})</em></p>")
    return "\n".join(lines)


def _html(said: str) -> str:
    return escape(safe(said)).replace("[", "&#91;").replace("]", "&#93;")


def _attribute(said: str) -> str:
    return xml(safe(said), {'"': "&quot;"})
