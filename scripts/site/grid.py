"""What a kernel does with each segment in each state, as it was recorded: no kernel is asked when the site is made."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from itertools import groupby

from lab.protocols.exploration import DIFFERENCES, STIMULI, WAYS, Line, Options, Stimulus, Way, grid, read
from lab.render.cells import heard
from lab.render.explored_html import KINDS, REPLIES, SHORT
from lab.text import Lang, Text
from scripts.site.shell import Place, page, text

_TITLE = Text("What a real kernel does with segment X in state Y", "真实内核在状态 Y 收到报文段 X 会怎么做")
_ABOUT = Text(
    "Recorded on Linux {}: {} cells, {} as RFC 9293 says, {} otherwise for a known reason. <code>lab explore</code> "
    "asks the kernel of your own machine, and tells of each cell which rule of the RFC it is.",
    "在 Linux {} 上录制：共 {} 格，{} 格与 RFC 9293 一致，{} 格不同但原因已知。"
    "<code>lab explore</code> 会询问你自己机器的内核，并说明每一格对应 RFC 的哪条规则。",
)
_LETTERS = Text(
    "A ACK · S SYN-ACK · R RST · below it the next state", "A：ACK · S：SYN+ACK · R：RST · 下方是之后的状态"
)
_DIFFERS = Text("differs from RFC 9293", "与 RFC 9293 不同")
_WHY = Text("Where this kernel does otherwise, and why", "内核在哪里不同，为什么")
_SENDS, _STATE, _HEARS, _COUNTERS = (
    Text("sends", "发出"), Text("state", "状态"), Text("program hears", "程序得知"), Text("counters", "计数器"),
)  # fmt: skip
_NOTHING, _CLOSE = Text("nothing", "无"), Text("close", "关闭")
_WAY = Text("way into the state", "进入该状态的途径")


def explored(lang: Lang) -> str:
    """Returns the page."""
    place, known = Place("explore", lang), grid()
    lines = [
        (way, stimulus, read(known.lines(Options())[way.name][stimulus.name])) for way in WAYS for stimulus in STIMULI
    ]
    agree = sum(line.agrees for _, _, line in lines)
    why = sum(line.difference is not None for _, _, line in lines)
    title = _TITLE.pick(lang)
    body = [f"<h1>{title}</h1>\n<p>{_ABOUT.pick(lang).format(known.kernel, len(lines), agree, why)}</p>\n", _key(lang)]
    body += _grid(lines, lang)
    for way, stimulus, line in lines:
        body.append(_cell(way, stimulus, line, lang))
    body.append(f'<h2 id="why">{_WHY.pick(lang)}</h2>\n<ol>')
    for each in DIFFERENCES:
        count = sum(line.difference == each.number for _, _, line in lines)
        if count:
            said = f'{text(each.text.pick(lang))} <span class="soft">({count})</span>'
            body.append(f'<li value="{each.number}" id="why-{each.number}">{said}</li>\n')
    body.append("</ol>\n")
    return page(place, title, "".join(body), f'<link rel="stylesheet" href="{place.to("grid.css")}">\n')


def style() -> str:
    """Returns the grid's style, where the site's own has said how a page looks."""
    style_ = (files("lab.render") / "explored.css").read_text(encoding="utf-8")
    own = style_[style_.index("table.grid{") :].replace("--mark", "--differs").replace("--bad", "--reset")
    return f"{own}.grid th,.grid td{{padding:0;border:0}}.grid{{min-width:60rem;--line:var(--paper)}}\n"


def _key(lang: Lang) -> str:
    colours = "".join(f'<span><em class="{name}"></em>{said.pick(lang)}</span>' for name, said in KINDS)
    short = " · ".join(f"{short} {state}" for state, short in SHORT.items())
    return (
        f'<div class="key">{colours}<span><u>◥</u> {_DIFFERS.pick(lang)}</span>'
        f"<span>{_LETTERS.pick(lang)}</span></div>\n"
        f'<p class="soft short">{short}</p>\n'
    )


def _grid(lines: list[tuple[Way, Stimulus, Line]], lang: Lang) -> Iterator[str]:
    yield f'<div class="wide" tabindex="0" role="region" aria-label="{_TITLE.pick(lang)}"><table class="grid"><thead>'
    yield f'<tr><th class="way" scope=col><span class="gone">{_WAY.pick(lang)}</span></th>'
    for each in STIMULI:
        yield f'<th class="name" scope=col title="{text(each.text.pick(lang))}"><span>{text(each.name)}</span></th>'
    yield "</tr></thead>\n<tbody>"
    before = ""
    for way, cells in groupby(lines, key=lambda each: each[0]):
        first = ' class="first"' if way.state != before else ""
        before = way.state
        yield f'<tr{first}><th class="way" scope=row title="{text(way.text.pick(lang))}">{text(way.name)}</th>'
        yield "".join(_square(way, stimulus, line) for _, stimulus, line in cells)
        yield "</tr>\n"
    yield "</tbody></table></div>\n"


def _square(way: Way, stimulus: Stimulus, line: Line) -> str:
    name = line.sent.partition(" ")[0]
    reply = "·" if name == "-" else REPLIES.get(name, name[:1])
    moved = line.after != way.state
    to = f"<i>→{SHORT.get(line.after, line.after)}</i>" if moved else ""
    mark = "" if line.agrees else "<s></s>"
    title = text(f"{way.name} + {stimulus.name}: {name}; {line.after}")
    return (
        f'<td class="{_kind(way, stimulus, line)}{" moved" if moved else ""}"><a href="#{_anchor(way, stimulus)}" '
        f'title="{title}"><b>{text(reply)}</b>{to}{mark}</a></td>'
    )


def _kind(way: Way, stimulus: Stimulus, line: Line) -> str:
    """Returns what happens, as colours tell it."""
    if line.after == way.state:
        return "quiet" if line.sent == "-" else "rst" if line.sent.startswith("RST") else "ack"
    gone = line.after == "CLOSED" or (line.after == "LISTEN" and way.state != "LISTEN")
    done = way.state == "LAST-ACK" and not stimulus.name.startswith("rst")  # CLOSED is where it was to go
    return "end" if gone and not done else "on"


def _cell(way: Way, stimulus: Stimulus, line: Line, lang: Lang) -> str:
    nothing, shut = _NOTHING.pick(lang), _CLOSE.pick(lang)
    rows = (
        (_SENDS, nothing if line.sent == "-" else ", ".join(map(_segment, line.sent.split(", ")))),
        (_STATE, f"{way.state} → {line.after}" if line.after != way.state else line.after),
        (_HEARS, nothing if line.heard == "-" else heard(line.heard.split(", ")).pick(lang)),
        (_COUNTERS, nothing if line.moved == "-" else line.moved),
    )
    told = "".join(f"<tr><th scope=row>{name.pick(lang)}</th><td>{text(said)}</td></tr>" for name, said in rows)
    why = next((each for each in DIFFERENCES if each.number == line.difference), None)
    more = f'<p>≈ <a href="#why-{why.number}">{why.number}</a>. {text(why.text.pick(lang))}</p>' if why else ""
    return (
        f'<section class="cell" id="{_anchor(way, stimulus)}">'
        f'<a class="shut" href="#main" title="{shut}" aria-label="{shut}">✕</a>'
        f"<h2>{text(way.name)} + {text(stimulus.name)}</h2>"
        f'<p class="soft">{text(way.text.pick(lang))} · {text(stimulus.text.pick(lang))}</p>'
        f"<table>{told}</table>{more}</section>\n"
    )


def _segment(recorded: str) -> str:
    """Returns a segment with its relative numbers, of what is recorded: `RST 2 -`."""
    name, seq, ack = recorded.split(" ")
    return " ".join([name, *([f"seq {seq}"] if seq != "-" else []), *([f"ack {ack}"] if ack != "-" else [])])


def _anchor(way: Way, stimulus: Stimulus) -> str:
    return anchor(f"{way.name} + {stimulus.name}")


def anchor(cell: str) -> str:
    """Returns the place of a cell by its name: `LISTEN + syn`."""
    return "".join(each if each.isalnum() else "-" for each in cell.replace(" ", ""))
