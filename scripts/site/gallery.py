"""The captures: a page of each, and the index of all, with a small ladder of each beside what it teaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lab.page import html as one_file
from lab.page.model import MOST, of_run
from lab.protocols.catalogue import scenarios
from lab.protocols.notes import NoteScenario, notes
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.runs.recorded import open_run
from lab.text import LANGUAGES, Lang, Text
from scripts.site.shell import NAME, Place, head, page, text

CAPTURES = Path(__file__).parent.parent.parent / "captures"
_WIDE, _STEP, _SHOWN = 96, 7, 18  # of a small ladder: its width, a rung's height, rungs
_SLANT = 3

ABOUT = Text(
    "Real connections between two real hosts, recorded packet by packet. Each page shows the ladder, both ends' states "
    "at every packet beside what both kernels said, the step of the lecture, and every field with its bytes.",
    "两台真实主机之间的真实连接，逐包录制。每一页都有时序图、每个包前后两端的状态（旁边是两端内核自己的说法）、"
    "对应的讲义步骤，以及每个字段和它的字节。",
)
_ALL = Text("All captures", "全部抓包")
_SAVE = Text("Download", "下载")
_SAVE_WHAT = Text(
    "{} for Wireshark, with notes and secrets in it: {} kB", "{}，可用 Wireshark 打开，内含讲解和密钥：{} kB"
)
_PACKETS = Text("{} packets", "{} 个包")
_NEXT, _BEFORE = Text("next", "下一个"), Text("previous", "上一个")
_LICENCES = Text(
    'The handshake lab is free software (<a href="licences/handshake-lab.txt">GPL-2.0-or-later</a>); its pages use '
    '<a href="licences/lit-html.txt">lit-html</a>.',
    '握手实验室是自由软件（<a href="licences/handshake-lab.txt">GPL-2.0-or-later</a>）；网页使用了'
    ' <a href="licences/lit-html.txt">lit-html</a>。',
)
_NO_SCRIPT = Text("This page needs JavaScript; the capture itself does not: ", "本页需要 JavaScript；抓包文件不需要：")


class Shown(NamedTuple):
    """A capture, what it is about, and what its page shows of it."""

    scenario: str
    stem: str
    size: int
    note: NoteScenario
    data: dict[str, Any]

    @property
    def place(self) -> str:
        return f"captures/{self.stem}"


def captures() -> list[Shown]:
    """Returns all reference captures, in the order of the scenarios, annotated."""
    return [_shown(each.name) for each in scenarios()]


def _shown(scenario: str) -> Shown:
    file = CAPTURES / f"{scenario.replace('/', '-')}.pcapng"
    with open_run(str(file), words=True, fields=range(1, MOST + 1)) as run:
        data = of_run(run)
    return Shown(
        scenario,
        file.stem,
        file.stat().st_size,
        notes(scenario.partition("/")[0]).scenarios[scenario],
        data | {"name": scenario, "rungs": list(data["rungs"])},
    )


def capture_page(shown: Shown, before: Shown | None, after: Shown | None) -> str:
    """Returns a capture's page: one for both languages, which its scripts switch."""
    place = Place(shown.place, "en")
    data = "".join(one_file.written(shown.data)).replace("<", "\\u003c")
    more = (
        f'<link rel="stylesheet" href="{place.to("beside.css")}">\n'
        f'<script src="{place.to("page.js")}" defer></script>\n'
    )
    ways = [(before, "prev", f"‹ {_each(_BEFORE)}"), (after, "next", f"{_each(_NEXT)} ›")]
    links = "".join(
        f'<a href="{each.stem}.html" rel="{rel}" title="{text(each.scenario)}">{said}</a>'
        for each, rel, said in ways
        if each is not None
    )
    file = f"{shown.stem}.pcapng"
    return (
        head(place, f"{shown.scenario} – {NAME.en}", more, style="page.css")
        + f'<body>\n<nav class="beside" aria-label="{NAME.en}">'
        + _both(f'<a href="{{}}">‹ {_ALL.en}</a>', f'<a href="{{}}">‹ {_ALL.zh}</a>', place)
        + f'<span class="title">{_each(shown.note.title)}</span>{links}'
        + f'<a href="{file}" download>{_each(_SAVE)} .pcapng</a></nav>\n<div id="app"></div>\n'
        + f'<noscript><p>{_each(_NO_SCRIPT)}<a href="{file}">{file}</a></p></noscript>\n'
        + f'<script type="application/json" id="data" data-form="json">{data}</script>\n</body>\n</html>\n'
    )


def _both(en: str, zh: str, place: Place) -> str:
    ways = [place._replace(lang=lang).link("index") for lang in LANGUAGES]
    return f'<span lang="en">{en.format(ways[0])}</span><span lang="zh-CN">{zh.format(ways[1])}</span>'


def _each(said: Text) -> str:
    return f'<span lang="en">{text(said.en)}</span><span lang="zh-CN">{text(said.zh)}</span>'


def index(all_shown: Sequence[Shown], lang: Lang, dropping: bool) -> str:
    """Returns the page that one comes in by."""
    place = Place("index", lang)
    body = [f"<h1>{NAME.pick(lang)}</h1>\n<p class=lead>{ABOUT.pick(lang)}</p>\n", _ways(place, dropping)]
    for protocol in PROTOCOLS:
        mine = [each for each in all_shown if each.scenario.startswith(f"{protocol.name}/")]
        if mine:
            title = notes(protocol.name).title.pick(lang)
            body.append(f'<section id="{protocol.name}"><h2>{text(title)}</h2>\n<ul class="cards">\n')
            body += [_card(each, place) for each in mine]
            body.append("</ul></section>\n")
    body.append(f'<footer class="soft"><p>{_LICENCES.pick(lang)}</p></footer>\n')
    return page(place, NAME.pick(lang), "".join(body))


_WAYS = (
    (
        f"notes/{TRANSPORT.name}",
        Text("The notes", "讲义"),
        Text("steps, states, and the tables that both ends walk", "步骤、状态，以及两端遵循的状态表"),
    ),
    (
        "explore",
        Text("What a kernel does", "内核怎么做"),
        Text("30 segments in each of 11 states", "11 个状态下收到 30 种报文段"),
    ),
    (
        "drop",
        Text("Your own capture", "解读自己的抓包"),
        Text("read here in the browser; nothing is uploaded", "就在浏览器里解读，不上传任何内容"),
    ),
)


def _ways(place: Place, dropping: bool) -> str:
    return (
        '<ul class="ways">'
        + "".join(
            f'<li><a href="{place.link(name)}">{text(title.pick(place.lang))}</a> {text(said.pick(place.lang))}</li>'
            for name, title, said in _WAYS
            if dropping or name != "drop"
        )
        + "</ul>\n"
    )


def _card(shown: Shown, place: Place) -> str:
    lang, note = place.lang, shown.note
    file = f"{shown.stem}.pcapng"
    told = _SAVE_WHAT.pick(lang).format(file, max(1, round(shown.size / 1000)))
    return (
        f'<li id="{shown.stem}"><a class="picture" href="captures/{shown.stem}.html" tabindex="-1" aria-hidden="true">'
        f"{small_ladder(shown.data['rungs'])}</a><div>"
        f'<h3><a href="captures/{shown.stem}.html">{text(note.title.pick(lang))}</a></h3>'
        f"<p>{text(note.teaches.pick(lang))}</p>"
        f'<p class="soft facts"><code>lab run {shown.scenario}</code>'
        f"<span>{_PACKETS.pick(lang).format(len(shown.data['rungs']))}</span>"
        f'<a href="captures/{file}" download title="{text(told)}">{_SAVE.pick(lang)}</a></p></div></li>\n'
    )


def small_ladder(rungs: Sequence[dict[str, Any]]) -> str:
    """Returns a picture of a capture that fits beside its name: an arrow a packet, in its colour."""
    listed = list(_arrows([each for each in rungs if each.get("from")][:_SHOWN]))
    height = len(listed) * _STEP + 10
    lines = f'<path class="lives" d="M8 2V{height - 2}M{_WIDE - 8} 2V{height - 2}"/>'
    return f'<svg viewBox="0 0 {_WIDE} {height}" width="{_WIDE}" height="{height}">{lines}{"".join(listed)}</svg>'


def _arrows(rungs: Sequence[dict[str, Any]]) -> Iterator[str]:
    left, right = 9, _WIDE - 9
    for at, rung in enumerate(rungs):
        y = 5 + at * _STEP
        begin, end = (left, right) if rung["from"] == "client" else (right, left)
        way = 1 if end > begin else -1
        kind = rung["style"]
        if rung["fate"] == "lost":
            x, y_end = (begin + end) // 2, y + _SLANT // 2 + 0.5
            head_ = f"M{x - 3} {y_end - 3}l6 6m0 -6l-6 6"
        else:
            x, y_end = end, y + _SLANT
            head_ = f"M{x - 4 * way} {y_end - 3}L{x} {y_end}L{x - 5 * way} {y_end + 1.5}"
        yield f'<path class="{kind}" d="M{begin} {y}L{x} {y_end}{head_}"/>'


def scripts() -> dict[str, str]:
    """Returns the files that the captures' pages share, by name."""
    return {"page.js": one_file.joined("main.js"), "page.css": one_file.static("page.css")}
