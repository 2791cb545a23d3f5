"""A question bank as Moodle XML: an item is a Cloze question, with its capture beside it.

What a blank accepts is one text in Moodle's own small language ("Embedded answers"): its type and weight, then answers,
each with what it is worth and a feedback. What is special there is written as HTML's number of the character, which
Moodle's reader undoes; so nothing that a capture or an assignment says can end an answer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from html import escape
from xml.sax.saxutils import escape as xml

from lab.grade.assignment import Assignment
from lab.grade.bank.item import Blank, Item
from lab.grade.kinds.kind import FULL
from lab.text import Lang, Text, safe

_SPECIAL = re.compile(r"[{}#~=%/\"\\:]")


def moodle_xml(assignment: Assignment, items: Iterable[Item], lang: Lang) -> str:
    """Returns the bank of an assignment; its category is called as the assignment."""
    category = f"$course$/top/{_category(assignment.title.pick(lang))}"
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<quiz>", '<question type="category">']
    lines += [f"<category><text>{xml(category)}</text></category>", "</question>"]
    for item in items:
        lines += _question(assignment, item, lang)
    return "\n".join([*lines, "</quiz>"]) + "\n"


def _category(title: str) -> str:
    """Returns a category's name: a slash in it is written twice."""
    return safe(title).replace("/", "//")


def _question(assignment: Assignment, item: Item, lang: Lang) -> Iterator[str]:
    title = f"{assignment.title.pick(lang)} · {item.name}"
    data = base64.b64encode(item.capture).decode()
    yield '<question type="cloze">'
    yield f"<name><text>{xml(safe(title))}</text></name>"
    yield f'<questiontext format="html"><text>{xml(_text(item, lang))}</text>'
    yield f'<file name="{_attribute(item.file)}" path="/" encoding="base64">{data}</file></questiontext>'
    yield '<generalfeedback format="html"><text></text></generalfeedback>'
    yield "<penalty>0.3333333</penalty><hidden>0</hidden>"
    yield f"<idnumber>{xml(safe(f'{assignment.id}-{item.name}'))}</idnumber>"
    yield "</question>"


def _text(item: Item, lang: Lang) -> str:
    """Returns the text of a question, as HTML, with its blanks."""
    link = f'<a href="@@PLUGINFILE@@/{_prompt(item.file)}">{_prompt(item.file)}</a>'
    intro = Text("Open this capture: {0}", "打开这份抓包：{0}").pick(lang).format(link)
    lines = [f"<p>{intro}</p>"]
    for at, blank in enumerate(item.blanks, 1):
        lines.append(f"<p><strong>{at}.</strong> {_prompt(blank.text.pick(lang))}</p>")
        lines += [f"<p>{_prompt(id_)}: {_prompt(said.pick(lang))}</p>" for id_, said in blank.items]
        hint = "" if blank.options else f" <em>({_prompt(blank.expects.pick(lang))})</em>"
        lines.append(f"<p>{_embedded(blank, lang)}{hint}</p>")
    return "\n".join(lines)


def _embedded(blank: Blank, lang: Lang) -> str:
    """Returns a blank in Moodle's language."""
    if blank.options:
        several = blank.kind == "choices"
        alternatives = [
            _worth(each.credit, several) + _html(each.text.pick(lang)) + _feedback(each.feedback, lang)
            for each in blank.options
        ]
        return _blank(blank.weight, "MULTIRESPONSE" if several else "MULTICHOICE_VS", alternatives)
    if blank.kind == "number":
        off = f":{blank.tolerance:g}" if blank.tolerance else ":0"
        alternatives = [
            _worth(each.credit) + each.said + off + _feedback(each.feedback, lang) for each in blank.accepted
        ]
        return _blank(blank.weight, "NUMERICAL", alternatives)
    alternatives = [
        _worth(each.credit) + _coded(each.said.replace("*", "\\*")) + _feedback(each.feedback, lang)
        for each in blank.accepted
    ]
    return _blank(blank.weight, "SHORTANSWER_C" if blank.exact else "SHORTANSWER", alternatives)


def _blank(weight: int, kind: str, alternatives: list[str]) -> str:
    return f"{{{weight}:{kind}:{'~'.join(alternatives)}}}"


def _worth(credit: int, several: bool = False) -> str:
    """Returns what stands before an answer. Of several that may be chosen a wrong one takes what a right one gives: so
    it is where nothing is said."""
    return "=" if credit == FULL else "" if several else f"%{credit}%"


def _feedback(said: Text, lang: Lang) -> str:
    return f"#{_html(said.pick(lang))}" if said.pick(lang) else ""


def _html(said: str) -> str:
    """Returns a text that is shown as HTML once it has been read."""
    return _coded(escape(safe(said), quote=False))


def _coded(said: str) -> str:
    """Returns a text in which nothing is special to Moodle's language; its reader undoes HTML's codes."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", escape(safe(said), quote=False))


def _prompt(said: str) -> str:
    """Returns a text of the question itself, in HTML: a brace would begin a blank."""
    return escape(safe(said)).replace("{", "&#123;").replace("}", "&#125;")


def _attribute(said: str) -> str:
    return xml(safe(said), {'"': "&quot;"})
