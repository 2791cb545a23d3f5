"""Initial sequence numbers in words, and as a picture (SVG): over time, those of one address pair, and of others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TextIO
from xml.sax.saxutils import escape

from rich.text import Text as Styled

from lab.protocols.exploration import SPACE, Isns, Opened
from lab.render.svg import FONTS, INKS, NAMESPACE, PAPER
from lab.render.words import columns, console, wrap
from lab.text import Lang, Text

SCHEMA = "handshake-lab/isns/v1"
_NARROWEST, _WIDEST = 60, 100
_SECTION = Text("RFC 9293 section 3.4.1, RFC 6528 section 3", "RFC 9293 第 3.4.1 节，RFC 6528 第 3 节")
WHY = (
    Text(
        "The notes say that the SYN's sequence number is random, and that this defends against some attacks. What is "
        "random in it, and against which:",
        "讲义说 SYN 的序号是随机的，可以防御一些攻击。随机在哪里，防御哪些攻击：",
    ),
    Text(
        "ISN = M + F(both addresses, both ports, secret). M is a clock; F is a hash that nobody else can work out "
        f"({_SECTION.en}).",
        f"ISN = M + F(双方地址, 双方端口, 密钥)：M 是时钟，F 是别人算不出来的散列值（{_SECTION.zh}）。",
    ),
    Text(
        "Against old duplicates: for the same addresses and ports F stays, and only the clock goes on. So a new "
        "connection begins above what the one before has used, and what is still on its way from that one is not taken "
        "for new.",
        "防御旧的重复报文段：地址和端口相同时 F 不变，只有时钟在走。新连接的序号从上一个连接用过的之后开始，"
        "滞留在网络中的旧报文段不会被当成新的。",
    ),
    Text(
        "Against blind attackers: whoever can't see the packets must guess a number to forge a connection, or data in "
        "one. With one clock for all he would open a connection of his own and know everybody's; with F his own tell "
        "nothing of others (RFC 6528 section 1).",
        "防御盲注入：看不到报文的攻击者要伪造连接，或向连接中注入数据，必须猜中序号。如果所有连接共用一个时钟，"
        "他自己连一次就知道所有人的序号；有了 F，自己的序号说明不了别人的（RFC 6528 第 1 节）。",
    ),
    Text(
        "Not against one who sees the packets: he reads the numbers. That takes encryption.",
        "防不住能看到报文的人：他可以直接读出序号。那需要加密。",
    ),
)


def said(found: Isns, kernel: str) -> list[Text]:
    """Returns what was found, a sentence each."""
    count, seconds = len(found.same) + len(found.others), found.seconds
    release = kernel.partition("-")[0]
    return [
        Text(
            f"{count:,} connections in {seconds:.1f} s, on Linux {release}",
            f"Linux {release} 在 {seconds:.1f} 秒内打开的 {count:,} 个连接",
        ),
        Text(
            f"{len(found.same)} from one port: the numbers go up with a clock, one each {found.tick:.1f} ns, "
            f"once around in {SPACE / found.rate / 60:.1f} minutes. "
            f"Whoever knows one misses the next by {found.missed_same:,}.",
            f"{len(found.same)} 个来自同一个端口：序号随时钟上升，每 {found.tick:.1f} 纳秒加一，"
            f"{SPACE / found.rate / 60:.1f} 分钟转一圈。"
            f"知道上一个的人，估计下一个只差 {found.missed_same:,}。",
        ),
        Text(
            f"{len(found.others)} from ports in a row: none follows from the one before. Whoever knows that "
            f"misses by {found.missed_others:,}, a blind guess by {SPACE >> 2:,}.",
            f"{len(found.others)} 个来自相邻的端口：由前一个推不出后一个。知道前一个的人相差 {found.missed_others:,}，"
            f"盲猜则相差 {SPACE >> 2:,}。",
        ),
    ]


def told(found: Isns, kernel: str, out: TextIO, lang: Lang) -> None:
    """Prints what was found, and why it is so."""
    page = console(out)
    width = columns(page, _NARROWEST, _WIDEST)
    for at, text in enumerate((*said(found, kernel), *WHY)):
        if at == len(said(found, kernel)):
            page.print()
        for line in wrap(text.pick(lang), width):
            page.print(Styled(line, "bold" if not at else ""), soft_wrap=True)
    out.flush()


def as_json(found: Isns, kernel: str) -> dict[str, Any]:
    """Returns the numbers for other programs; times are nanoseconds since the first connection."""
    first = min(found.same[0].at, found.others[0].at)

    def each(opened: tuple[Opened, ...]) -> list[dict[str, int]]:
        return [{"time": one.at - first, "port": one.port, "isn": one.isn} for one in opened]

    return {
        "schema": SCHEMA,
        "kernel": kernel,
        "same": each(found.same),
        "others": each(found.others),
        "tick": found.tick,
        "missed": {"same": found.missed_same, "others": found.missed_others, "blind": SPACE >> 2},
    }


# The picture: the axes' place in it, in pixels.
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 64, 740, 92, 392
_ROW, _WRAPPED = 17, 108  # pixels of a line of text, columns of one
_SAME, _OTHERS = ("#c21f2c", "#ff7b84"), ("#1b6099", "#67b5f0")


def svg(found: Isns, kernel: str, lang: Lang) -> str:
    """Returns the picture as a document, light and dark, with the same sentences below it."""
    lines = [line for text in (*said(found, kernel)[1:], *WHY) for line in wrap(text.pick(lang), _WRAPPED)]
    height = _BOTTOM + 60 + _ROW * len(lines)
    title = Text("Initial sequence numbers over time", "初始序号随时间的变化").pick(lang)
    size, tag = f'width="{_WIDTH}" height="{height}"', "zh-CN" if lang == "zh" else "en"
    parts = [
        f'<svg xmlns="{NAMESPACE}" class="isns" viewBox="0 0 {_WIDTH} {height}" {size} role="img" lang="{tag}">',
        f"<title>{escape(title)}</title>",
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}" rx="6"/>',
        _text(_LEFT, 26, "title", title),
        _text(_RIGHT, 26, "end", said(found, kernel)[0].pick(lang)),
        *_legend(lang),
        *_axes(found, lang),
        *_points(found),
        *(_text(_LEFT, _BOTTOM + 56 + _ROW * at, "said", line) for at, line in enumerate(lines)),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(lang: Lang) -> Iterator[str]:
    names = (
        ("same", Text("the same port each time", "每次同一个端口")),
        ("others", Text("ports in a row", "相邻的端口")),
    )
    for at, (name, text) in enumerate(names):
        x = _LEFT + 220 * at
        yield f'<circle class="{name}" cx="{x + 4}" cy="48" r="4"/>'
        yield _text(x + 14, 52, "said", text.pick(lang))


def _axes(found: Isns, lang: Lang) -> Iterator[str]:
    yield f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/>'
    for quarter in range(5):
        y = _BOTTOM - (_BOTTOM - _TOP) * quarter / 4
        yield f'<path class="rule" d="M{_LEFT} {y:g}H{_RIGHT}"/>'
        yield _text(_LEFT - 8, y + 4, "end", ("0", "2³⁰", "2³¹", "3·2³⁰", "2³²")[quarter])
    for second in range(math.floor(found.seconds) + 1):
        x = _LEFT + (_RIGHT - _LEFT) * second / found.seconds
        yield _text(x, _BOTTOM + 18, "middle", f"{second} s")
    yield _text(_LEFT, _TOP - 10, "said", Text("the SYN's sequence number", "SYN 的序号").pick(lang))


def _points(found: Isns) -> Iterator[str]:
    first = min(found.same[0].at, found.others[0].at)
    for name, opened in (("others", found.others), ("same", found.same)):
        for each in opened:
            x = _LEFT + (_RIGHT - _LEFT) * (each.at - first) / 1e9 / found.seconds
            y = _BOTTOM - (_BOTTOM - _TOP) * each.isn / SPACE
            yield f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>'


def _text(x: float, y: float, kind: str, what: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(what)}</text>'


def _style() -> str:
    rules = [
        f".isns{{font-family:{FONTS};font-size:12.5px}}",
        ".isns .title{font-size:15px;font-weight:700}",
        ".isns .end{text-anchor:end;font-size:11.5px}.isns .middle{text-anchor:middle;font-size:11.5px}",
        ".isns .axis{fill:none;stroke-width:1.4px}.isns .rule{fill:none;stroke-width:.5px;stroke-dasharray:2 4}",
        _colours(0),
    ]
    return "".join(rules) + f"@media screen and (prefers-color-scheme:dark){{{_colours(1)}}}"


def _colours(of: int) -> str:
    ink, dim = INKS["step"][of], INKS["note"][of]
    return (
        f".isns .paper{{fill:{PAPER[of]}}}.isns text{{fill:{ink}}}.isns .end,.isns .middle{{fill:{dim}}}"
        f".isns .axis,.isns .rule{{stroke:{dim}}}.isns .same{{fill:{_SAME[of]}}}.isns .others{{fill:{_OTHERS[of]}}}"
    )
