"""The screen's keys and where its panels stand: pure."""

from __future__ import annotations

from lab.render.words import cells
from lab.stepping import drawing
from lab.stepping.drawing import Line
from lab.stepping.view import View
from lab.text import Lang, Text

SMALLEST = 60, 16
LOW = 34  # lines below which panels have no frame, and say less
WIDE = 120  # columns from which on kernels stand beside the ladder

# What a key does: a command as it would be written, or the beginning of one, which is then completed by hand.
KEYS: tuple[tuple[str, str, str, Text], ...] = (
    ("space", "␣", "step", Text("let it arrive", "放行")),
    ("x", "x", "drop", Text("lose", "丢弃")),
    ("2", "2", "duplicate", Text("twice", "两次")),
    ("d", "d", "delay …2s", Text("delay", "延迟")),
    ("s", "s", "swap", Text("swap", "交换")),
    ("e", "e", "edit …", Text("edit", "修改")),
    ("i", "i", "inject …client RST seq=rcv.nxt", Text("inject", "注入")),
    ("n", "n", "next", Text("next step", "下一步骤")),
    ("b", "b", "until …", Text("run to", "运行到")),
    ("h", "h", "hold", Text("stop", "停下")),
    ("left", "←", "back", Text("back", "回看")),
    ("right", "→", "forward", Text("forward", "向前")),
    ("p", "p", "predict …", Text("predict", "预测")),
    ("w", "w", "save", Text("save", "保存")),
    ("colon", ":", "…", Text("command", "命令")),
)
SHOWN: tuple[tuple[str, str, Text], ...] = (  # in the last line, while they do something
    ("␣", "step", Text("arrive", "放行")),
    ("x", "drop", Text("lose", "丢弃")),
    ("2", "duplicate", Text("twice", "两次")),
    ("d", "delay", Text("delay", "延迟")),
    ("s", "swap", Text("swap", "交换")),
    ("e", "edit", Text("edit", "修改")),
    ("i", "inject", Text("inject", "注入")),
    ("b", "until", Text("run to", "运行到")),
    ("←→", "back", Text("look", "回看")),
    ("p", "predict", Text("predict", "预测")),
    ("w", "save", Text("save", "保存")),
    ("n", "next", Text("next step", "下一步骤")),
    ("l", "help", Text("language", "语言")),
)
MORE: tuple[tuple[str, Text], ...] = (
    ("↑ ↓", Text("choose a field: its bytes are lit", "选择字段，其字节高亮")),
    ("o", Text("of several held packets, the next", "扣住多个包时选下一个")),
    ("P", Text("ask for a prediction before each packet", "每个包之前都要求预测")),
    ("l", Text("English or Chinese", "中文或英文")),
    ("?", Text("this help", "本帮助")),
    ("q", Text("end it", "退出")),
)


def _low_places(width: int, height: int) -> dict[str, tuple[int, int]]:
    """Returns how wide and how high each panel is where there are few lines."""
    about, kernels = (3, 3) if height < 19 else (3, 5)
    packet = max(4, (height - about - kernels) * 2 // 5)
    ladder = height - about - kernels - packet
    return {"ladder": (width, ladder), "about": (width, about), "kernels": (width, kernels), "packet": (width, packet)}


def _high_places(width: int, height: int) -> dict[str, tuple[int, int]]:
    """Returns how wide and how high each panel is: stacked, or where there is room for it, kernels at the side."""
    about = 5 if height < 24 else 7 if height < 34 else 8
    packet = max(6, min(30, height * 3 // 10))
    if width >= WIDE:
        side = min(64, max(54, width * 2 // 5))
        left, above = width - side, height - packet
        return {
            "ladder": (left, above - about), "about": (left, about), "kernels": (side, above), "packet": (width, packet)
        }  # fmt: skip
    kernels = max(5, min(20, (height - about) * 3 // 10))
    ladder = height - about - kernels - packet
    return {"ladder": (width, ladder), "about": (width, about), "kernels": (width, kernels), "packet": (width, packet)}


def keys_now(view: View, lang: Lang, width: int, most: int) -> list[Line]:
    """Returns the keys that do something now, in at most so many lines; help and quit always."""
    always = [("?", Text("help", "帮助")), ("q", Text("quit", "退出"))]
    now = [(key, text) for key, command, text in SHOWN if command in view.can]
    lines: list[Line] = [[]]
    left = width
    kept = sum(cells(key) + cells(text.pick(lang)) + 2 for key, text in always)
    for key, text in [*now, *always]:
        taken = cells(key) + cells(text.pick(lang)) + 2
        last = len(lines) == most
        if taken > left - (kept if last and (key, text) not in always else 0):
            if last:
                continue
            lines.append([])
            left = width
        left -= taken
        lines[-1] += [(f" {key}" if lines[-1] else key, drawing.YELLOW), (f" {text.pick(lang)}", drawing.PLAIN)]
    return lines


def places(width: int, height: int, low: bool) -> dict[str, tuple[int, int]]:
    """Returns how wide and how high each panel is; on a `low` screen they have no frame."""
    return _low_places(width, height) if low else _high_places(width, height)
