"""The reference captures in `captures/`: one of each scenario, the ladder it must render, and the page on all."""

from __future__ import annotations

import io
from pathlib import Path

from lab.app.formats import write_ladder
from lab.protocols.catalogue import scenarios
from lab.protocols.notes import notes
from lab.render.comments import sentence
from lab.report import steps
from lab.runs.recorded import open_run
from lab.text import Lang, Text
from tests.places import REFERENCES

FOLDER = REFERENCES


def name_of(scenario: str) -> str:
    return scenario.replace("/", "-")


def drawn(capture: Path, lang: Lang) -> str:
    """Returns a capture's ladder, plain, in one language."""
    page = io.StringIO()
    with open_run(str(capture), words=True) as run:
        write_ladder(run, run.packets(), page, lang)
    return page.getvalue()


_HEAD = Text(
    """\
# Reference captures

[中文](README.zh.md)

One capture of every scenario that the lab can play (`lab scenarios`), recorded between two real hosts. Each is a pcapng
that explains itself: open it in Wireshark, which needs no set-up.

- **Steps and states** are comments of each packet: the first lines of the packet details, and the column you get by
  right-clicking one, *Apply as Column*.
- **Secrets** are inside: Wireshark decrypts TLS.
- **Names**, client and server, are in the address columns as soon as *View, Name Resolution, Resolve Network
  Addresses* is on.
- **What the capture is about** stands under *Statistics, Capture File Properties*.

Beside each is the ladder that `lab annotate` draws of it, in both languages. [docs/capture.md](../docs/capture.md) says
what else is in these files. `python scripts/record.py` makes all of it, this page too.
""",
    """\
# 参考抓包

[English](README.md)

实验室能运行的每个场景（`lab scenarios`）各有一个抓包，都在两台真实主机之间录制。每个文件都是自带讲解的 pcapng：
用 Wireshark 打开即可，无需任何设置。

- **步骤和状态**写在每个包的注释里：就是包详情最前面的几行；右键选择 *Apply as Column*（应用为列）就能看到整列。
- **密钥**在文件里：Wireshark 会直接解密 TLS。
- **名称**（client、server）在打开 *View, Name Resolution, Resolve Network Addresses*（解析网络地址）之后出现在地址列。
- **抓包的内容**写在 *Statistics, Capture File Properties*（捕获文件属性）里。

旁边是 `lab annotate` 画出的时序图，中英文各一份。[docs/capture.md](../docs/capture.md) 说明文件里还有什么。
全部文件（包括本页）都由 `python scripts/record.py` 生成。
""",
)
_SHOWS = Text("**{}.** {}\n", "**{}**。{}\n")
_LOOK = Text("Look at packet {}: {}", "请看第 {} 号包：{}")
_RULE = Text("The wire's rule: `{}`", "线路规则：`{}`")
_LAST = Text(
    "{} packets · [the ladder]({}) · `lab annotate captures/{} --explain {}`",
    "{} 个包 · [时序图]({}) · `lab annotate captures/{} --explain {}`",
)
_MOST = 3  # packets to look at


def index(lang: Lang) -> str:
    """Returns the page on all reference captures: what each teaches, by the catalogue, and where that shows in it."""
    lines, protocol = [_HEAD.pick(lang)], ""
    for scenario in scenarios():
        of, stem = scenario.name.partition("/")[0], name_of(scenario.name)
        if of != protocol:
            protocol = of
            lines.append(f"## {notes(of).title.pick(lang)}\n")
        note = notes(of).scenarios[scenario.name]
        packets, look = _worth_a_look(FOLDER / f"{stem}.pcapng")
        lines.append(f"### [{scenario.name}]({stem}.pcapng)\n")
        lines.append(_SHOWS.pick(lang).format(note.title.pick(lang), note.teaches.pick(lang)))
        lines += [f"- {_RULE.pick(lang).format(rule)}" for rule in scenario.rules]
        lines += [f"- {_LOOK.pick(lang).format(number, words.pick(lang))}" for number, words in look]
        lines.append(f"- {_LAST.pick(lang).format(packets, f'{stem}.{lang}.txt', f'{stem}.pcapng', look[0][0])}\n")
    return "\n".join(lines)


def page(lang: Lang) -> Path:
    """Returns where the index stands."""
    return FOLDER / ("README.md" if lang == "en" else f"README.{lang}.md")


def _worth_a_look(capture: Path) -> tuple[int, list[tuple[int, Text]]]:
    """Returns how many packets a capture has, and those that show what it is about: the odd ones, else the telling."""
    with open_run(str(capture), words=True) as run:
        packets = list(run.packets())
        telling = steps.telling(run.conversations)
    odd = [each for each in packets if each.refused or each.points or each.fate == "lost"]
    found = odd[:_MOST] or [packets[telling - 1]]
    return len(packets), [(each.number, sentence(each) or Text("", "")) for each in found]
