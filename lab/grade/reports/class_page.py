"""A class's report for its teacher, as one page of HTML: who has what, what to look at, what became of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lab.grade.reports.chart import EASY, HARD, chart
from lab.grade.reports.page import page, text
from lab.text import Lang, Text, counted


def class_page(marked: Mapping[str, Any], feedback: Mapping[str, str], lang: Lang) -> str:
    """Returns the page; `feedback` are places of what students are told, by submission, as seen from it."""
    submissions = marked["submissions"]
    titles = dict.fromkeys(each["assignment"]["title"][lang] for each in submissions)
    title = " · ".join(titles) or Text("A class", "班级").pick(lang)
    body = [f"<h1>{text(title)}</h1>\n", f'<p class="dim">{_told(marked, lang)}</p>\n']
    for assignment in dict.fromkeys(each["assignment"] for each in marked["statistics"]):
        of_it = [each for each in marked["statistics"] if each["assignment"] == assignment]
        body += [f"<h2>{Text('Questions', '题目').pick(lang)} · {text(assignment)}</h2>\n"]
        body += [f'<div class="wide">{chart(of_it, lang)}</div>\n', _questions(of_it, submissions, lang)]
    body += [f"<h2>{Text('Submissions', '提交物').pick(lang)}</h2>\n", _submissions(marked, feedback, lang)]
    return page(title, lang, "".join(body))


def _told(marked: Mapping[str, Any], lang: Lang) -> str:
    submissions = marked["submissions"]
    shares = [each["points"] / each["of"] for each in submissions if each["of"]]
    found = sum(bool(each["findings"]) for each in submissions)
    pending = sum(each["pending"] > 0 for each in submissions)
    count = len(submissions) + len(marked["unmarked"])
    parts = [
        Text(counted(count, "submission"), f"{count} 份提交物"),
        Text("mean {0:.0f} % of the points", "平均得分率 {0:.0f}%").format(100 * sum(shares) / len(shares))
        if shares
        else Text("", ""),
        Text("{0} with findings to look at", "{0} 份有需要查看的发现").format(found) if found else Text("", ""),
        Text(f"{pending} to be marked by a person", f"{pending} 份待人工评阅") if pending else Text("", ""),
        Text("marked by the lab {0}", "由实验室 {0} 评阅").format(marked["lab"]),
    ]
    return text(" · ".join(part.pick(lang) for part in parts if part.en))


def _questions(statistics: Sequence[Mapping[str, Any]], submissions: Sequence[Mapping[str, Any]], lang: Lang) -> str:
    """Returns what went wrong most in each question, in words."""
    heads = Text("question|answers|reached|discriminates|commonest mistakes", "题目|份数|得分率|区分度|最常见的错误")
    rows = ["<table>\n<thead>", _heads(heads.pick(lang).split("|"), numbers=(1, 2, 3)), "</thead>\n<tbody>\n"]
    for each in statistics:
        words = _words(each, submissions, lang)
        mistakes = "<br>".join(
            f"{found['count']} × {text(words.get(found['code'], found['code']))}" for found in each["mistakes"]
        )
        easiness, apart = each["easiness"], each["discrimination"]
        reached = "–" if easiness is None else f"{easiness * 100:.0f} %"
        rows.append(
            f'<tr><td>{text(each["question"])}</td><td class="number">{each["answers"]}</td>'
            f'<td class="number{_hard(easiness)}">{reached}</td>'
            f'<td class="number{" warn" if apart is not None and apart < 0 else ""}">'
            f"{'–' if apart is None else f'{round(apart, 2) + 0.0:+.2f}'}</td><td>{mistakes}</td></tr>\n"
        )
    note = Text(
        "Discrimination is the correlation with the points of all other questions: below 0, better students did worse.",
        "区分度是与其余各题总分的相关系数：小于 0 说明成绩好的学生反而答得差。",
    )
    return "".join([*rows, f'</tbody>\n</table>\n<p class="dim">{text(note.pick(lang))}</p>\n'])


def _hard(easiness: float | None) -> str:
    return "" if easiness is None or easiness >= EASY else " warn" if easiness < HARD else " look"


def _words(each: Mapping[str, Any], submissions: Sequence[Mapping[str, Any]], lang: Lang) -> dict[str, str]:
    """Returns what is said of the mistakes made in a question, by their codes; of the first that made each."""
    found: dict[str, str] = {}
    for marks in submissions:
        for question in marks["questions"] if marks["assignment"]["id"] == each["assignment"] else ():
            if question["id"] == each["question"] and "said" in question:
                found.setdefault(question["code"], question["said"][lang])
    return found


def _submissions(marked: Mapping[str, Any], feedback: Mapping[str, str], lang: Lang) -> str:
    heads = Text("submission|student|points|by a person|to look at", "提交物|学号|得分|待人工评阅|需要查看")
    rows = ["<table>\n<thead>", _heads(heads.pick(lang).split("|"), numbers=(2, 3)), "</thead>\n<tbody>\n"]
    for each in marked["submissions"]:
        name = text(each["submission"])
        if (place := feedback.get(each["submission"])) is not None:
            name = f'<a href="{text(quote(place))}">{name}</a>'
        told = [f'<div class="warn">{text(said[lang])}</div>' for said in each["problems"]]
        told += [f'<div class="look">{text(found["said"][lang])}</div>' for found in each["findings"]]
        pending = f"{each['pending']:g}" if each["pending"] else ""
        points = f"{each['points']:g} / {each['of']:g}"
        numbers = f'<td class="number">{points}</td><td class="number">{pending}</td>'
        rows.append(f"<tr><td>{name}</td><td>{text(each['student'])}</td>{numbers}<td>{''.join(told)}</td></tr>\n")
    for each in marked["unmarked"]:
        told = [f'<div class="warn">{text(said[lang])}</div>' for said in (each["why"], *each["refused"])]
        rows.append(
            f"<tr><td>{text(each['submission'])}</td><td></td><td></td><td></td><td>{''.join(told)}</td></tr>\n"
        )
    return "".join([*rows, "</tbody>\n</table>\n"])


def _heads(names: Sequence[str], numbers: tuple[int, ...]) -> str:
    cells = (
        f'<th class="number">{text(name)}</th>' if at in numbers else f"<th>{text(name)}</th>"
        for at, name in enumerate(names)
    )
    return f"<tr>{''.join(cells)}</tr>"
