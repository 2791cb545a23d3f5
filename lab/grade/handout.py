"""The handout: what a student gets to read, as Markdown. Values that tell their capture apart are in it, no answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.grade.assignment import Assignment, Question
from lab.grade.kinds import KINDS
from lab.grade.variant import Variant
from lab.text import Lang, Text

NAME = "handout.md"
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+.!|~&=-])")
_VALUES = (  # not who closes first, nor what the wire does: that is asked
    ("port", Text("server's port", "服务器端口")),
    ("client_port", Text("client's port", "客户端端口")),
    ("name", Text("server's name", "服务器名称")),
    ("path", Text("path", "路径")),
    ("subprotocol", Text("subprotocol", "子协议")),
    ("hello", Text("the client says", "客户端发送")),
    ("answer", Text("the server answers", "服务器回答")),
)


def written(assignment: Assignment, variant: Variant, langs: tuple[Lang, ...]) -> str:
    """Returns the handout of a student's variant, in one language or one after the other."""
    return "\n---\n\n".join("\n".join(_lines(assignment, variant, lang)) + "\n" for lang in langs)


def command(assignment: Assignment) -> str:
    """Returns what plays a variant: where something is to be predicted, packet by packet."""
    return "lab step" if predicts(assignment) else "lab run"


def predicts(assignment: Assignment) -> bool:
    return any(each.kind == "prediction" for each in assignment.questions)


def _lines(assignment: Assignment, variant: Variant, lang: Lang) -> Iterator[str]:
    yield f"# {assignment.title.pick(lang)}"
    yield ""
    points = _POINTS.pick(lang).format(f"{assignment.points:g}")
    yield f"{escaped(variant.student)} · {assignment.id} · {points}"
    if variant.practice:
        yield ""
        yield _PRACTICE.pick(lang)
    yield ""
    yield assignment.about.pick(lang)
    yield ""
    yield from _own(variant, lang)
    yield f"## {_TO_DO.pick(lang)}"
    yield ""
    rules = " --wire 'drop client SYN #1'" if variant.own_rules else ""
    play = f"{command(assignment)} --variant .{rules}"
    steps = [
        _PLAY.pick(lang).format(f"`{play}`"),
        *([_PREDICT.pick(lang)] if predicts(assignment) else []),
        *([_AGAIN.pick(lang)] if variant.own_rules else []),
    ]
    for at, step in enumerate((*steps, _ANSWER.pick(lang), _CHECK.pick(lang), _HAND_IN.pick(lang)), 1):
        yield f"{at}. {step}"
    yield ""
    yield f"## {_QUESTIONS.pick(lang)}"
    yield ""
    for at, question in enumerate(assignment.questions, 1):
        yield from _question(at, question, lang)


def _own(variant: Variant, lang: Lang) -> Iterator[str]:
    made = variant.choices.made
    if not made:
        return
    yield f"## {_YOURS.pick(lang)}"
    yield ""
    yield _ALONE.pick(lang)
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, what in _VALUES:
        if name in made:
            yield f"| {what.pick(lang)} | `{made[name]}` |"
    yield ""


def _question(at: int, question: Question, lang: Lang) -> Iterator[str]:
    points = (_POINT if question.points == 1 else _POINTS).pick(lang).format(f"{question.points:g}")
    yield f"{at}. **{question.id}** ({points}) {question.text.pick(lang)}"
    for option in (*question.given.get("option", ()), *question.given.get("item", ())):
        yield f"   - `{option['id']}`: {' '.join(option['text'][lang].split())}"
    say = _SAY.pick(lang).format(f"`predict {question.id}: …`") if question.kind == "prediction" else _WRITE.pick(lang)
    yield f"   - {say}{KINDS[question.kind].expects(question).pick(lang)}"
    yield ""


def escaped(said: str) -> str:
    """Returns a text as Markdown shows it, whatever is in it."""
    return _SPECIAL.sub(r"\\\1", said)


_POINT = Text("{0} point", "{0} 分")
_POINTS = Text("{0} points", "{0} 分")
_PRACTICE = Text(
    "This one is to practise with: it was made without the course's key.", "本份仅供练习：生成时没有使用课程密钥。"
)
_YOURS = Text("Your connection", "你的连接")
_ALONE = Text(
    "These values are yours and nobody else's. They have to be in the capture that you hand in.",
    "下列取值只属于你，你提交的抓包中必须有它们。",
)
_TO_DO = Text("What to do", "要做什么")
_PLAY = Text(
    "In this folder, run {0}. Two real hosts play your connection; `capture.pcapng` is what passed between them.",
    "在此文件夹中运行 {0}。两台真实的主机会运行你的连接，`capture.pcapng` 就是它们之间传输的内容。",
)
_PREDICT = Text(
    "Each packet is held until you let it go. Some questions have to be answered before a packet shows: they say so, "
    "and `predict` records your answer in the capture. What has shown can't be taken back; `--again` plays it anew, "
    "with other numbers.",
    "每个包都停在线路上，由你放行。有些题必须在某个包出现之前作答（题目中会说明），`predict` 把你的答案记入抓包。"
    "包一旦出现就不能收回；`--again` 会重新运行，所有数字都会改变。",
)
_SAY = Text("Say in the debugger, {0}: ", "在调试器中作答 {0}：")
_AGAIN = Text(
    "The rules of the wire (`--wire`, as many as you like) are your own. `--again` plays it anew.",
    "线路规则（`--wire`，可以有多条）由你自己决定。加 `--again` 可重新运行。",
)
_ANSWER = Text("Fill in `answers.toml`.", "填写 `answers.toml`。")
_CHECK = Text(
    "Run `lab check .`: it says what is missing or can't be read, and nothing about what is right.",
    "运行 `lab check .`：它会指出缺少什么、什么无法识别，但不透露答案是否正确。",
)
_HAND_IN = Text(
    "Hand in the folder: `answers.toml`, `capture.pcapng`, `variant.toml`.",
    "提交整个文件夹：`answers.toml`、`capture.pcapng`、`variant.toml`。",
)
_QUESTIONS = Text("Questions", "题目")
_WRITE = Text("Write: ", "写法：")
