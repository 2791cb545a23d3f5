"""Feedback for a student, as Markdown and as one page of HTML, from the canonical JSON of their marks.

As much is said as the marks say: their degree has taken out the rest. Of findings nothing is told: those are for a
person to judge, and name other submissions. The total is always there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lab.grade.feedback import comment_on, is_good, spoken, standing
from lab.grade.reports.page import page, text
from lab.grade.reports.sheets import plain
from lab.render.words import sections
from lab.text import Lang, Text, packets, safe

_MARKS = {
    "right": ("✓", "good"), "carried": ("✓", "good"), "partial": ("◐", "half"), "wrong": ("✗", "bad"),
    "empty": ("–", "bad"), "malformed": ("?", "half"), "skipped": ("–", "open"), "absent": ("!", "bad"),
    "person": ("…", "open"),
}  # fmt: skip


class Said(NamedTuple):
    """A sentence on a question: its kind, and what stands before what a student, or their capture, has said."""

    kind: str
    text: str
    quoted: str = ""


def total(marks: Mapping[str, Any], lang: Lang) -> str:
    """Returns how many points there are, and how many a person has still to give."""
    points = Text("{0:g} of {1:g} points", "得分 {0:g} / {1:g}").pick(lang).format(marks["points"], marks["of"])
    if marks["pending"]:
        points += (
            Text("; a person has {0:g} more to give", "；另有 {0:g} 分待人工评阅").pick(lang).format(marks["pending"])
        )
    return points


def as_markdown(marks: Mapping[str, Any], lang: Lang) -> str:
    """Returns the feedback as Markdown, in which nothing that a student has written is markup.

    It is in the student's language, else in `lang`.
    """
    lang = spoken(marks, lang)
    lines = [f"# {plain(marks['assignment']['title'][lang])}", ""]
    lines += [plain(marks["student"]), ""] if marks["student"] else []
    lines += [f"**{plain(total(marks, lang))}**", ""]
    lines += [f"> {plain(each[lang])}\n" for each in marks["problems"]]
    for at, each in enumerate(marks["questions"], 1):
        mark, _ = _MARKS[standing(each)]
        lines += [f"## {at}. {mark} {plain(each['id'])}: {each['points']:g} / {each['of']:g}", ""]
        lines += [plain(each["text"][lang]), ""]
        for said in said_of(each, lang):
            quoted = f" {_code(said.quoted)}" if said.quoted else ""
            lines += [f"- {plain(said.text)}{quoted}"]
        lines.append("")
    return "\n".join(lines)


def as_html(marks: Mapping[str, Any], lang: Lang, ladder: Mapping[str, str] | None = None) -> str:
    """Returns the feedback as a page, in the student's language, else in `lang`.

    `ladder` is the picture of their capture by language, as SVG, and as `pcapng` the capture itself with notes, which
    only who is told everything gets.
    """
    lang = spoken(marks, lang)
    title = marks["assignment"]["title"][lang]
    body = [f"<h1>{text(title)}</h1>\n"]
    body += [f'<p class="dim">{text(marks["student"])}</p>\n'] if marks["student"] else []
    body.append(f'<p class="total">{text(total(marks, lang))}</p>\n')
    body += [f'<p class="warn">{text(each[lang])}</p>\n' for each in marks["problems"]]
    body += [_card(at, each, lang) for at, each in enumerate(marks["questions"], 1)]
    if ladder is not None:
        head = Text("Your capture", "你的抓包").pick(lang)
        body.append(f'<h2>{head}</h2>\n<div class="wide">\n{ladder[lang]}</div>\n')
        if marks["feedback"] == "full" and "pcapng" in ladder:
            body.append(_download(ladder["pcapng"], lang))
    return page(f"{title} · {marks['student']}" if marks["student"] else title, lang, "".join(body))


def _download(capture: str, lang: Lang) -> str:
    said = Text("with a note on each packet, for Wireshark", "每个包都附有讲解，可用 Wireshark 打开").pick(lang)
    link = f'<a download="explained.pcapng" href="data:application/octet-stream;base64,{text(capture)}">'
    return f"<p>{link}explained.pcapng</a>: {said}</p>\n"


def _card(at: int, each: Mapping[str, Any], lang: Lang) -> str:
    mark, style = _MARKS[standing(each)]
    lines = [f'<section class="card {style}">\n<h3><span>{at}. {mark} {text(each["id"])}</span>']
    lines.append(f"<b>{each['points']:g} / {each['of']:g}</b></h3>\n<p>{text(each['text'][lang])}</p>\n")
    for said in said_of(each, lang):
        quoted = f" <code>{text(said.quoted)}</code>" if said.quoted else ""
        lines.append(f'<p class="{said.kind}">{text(said.text)}{quoted}</p>\n')
    return "".join([*lines, "</section>\n"])


def said_of(each: Mapping[str, Any], lang: Lang) -> Iterator[Said]:
    """Yields what is to be said of a question, as far as its marks have it."""
    if each["answer"] is not None:
        yield Said("dim", Text("Your answer:", "你的答案：").pick(lang), each["answer"])
    decided = "override" in each
    if (said := comment_on(each, lang)) and (decided or each["status"] != "right"):
        rule = f" [{sections(each['rule']).pick(lang)}]" if each.get("rule") and not decided else ""
        yield Said("said", said + rule)
    if each.get("right") is not None and not is_good(each):
        shown = packets(each["packets"])
        where = Text(f"In your capture ({shown.en}):", f"你的抓包中（{shown.zh}）：").pick(lang)
        alone = Text("In your capture:", "你的抓包中：").pick(lang)
        yield Said("right", where if each["packets"] else alone, each["right"][lang])
    if each.get("why") is not None:
        yield Said("why", each["why"][lang])


def _code(said: str) -> str:
    """Returns a text as code in Markdown, whatever backticks it has."""
    said = safe(said).replace("`", "ˋ")
    return f"`{said}`"
