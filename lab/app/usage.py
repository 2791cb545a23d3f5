"""What the command line's parser complains of, in both languages: it speaks English only."""

from __future__ import annotations

import re

from lab.text import Text

# What the parser says, as a pattern, and what the lab says; longer complaints before those that are their beginning.
# What is `offered` instead is a list of names.
_COMPLAINTS = tuple(
    (re.compile(pattern, re.DOTALL), text)
    for pattern, text in (
        (
            r"No such command '(.*)'\. Did you mean (?P<offered>.*)\?",
            Text("there is no command '{0}'; did you mean {offered}?", "没有命令“{0}”；是不是 {offered}？"),
        ),
        (r"No such command '(.*?)'\..*", Text("there is no command '{0}'", "没有命令“{0}”")),
        (
            r"No such option: (.*?) (?:Did you mean|\(Possible options:) (?P<offered>.*)[?)]",
            Text("there is no option {0}; did you mean {offered}?", "没有选项 {0}；是不是 {offered}？"),
        ),
        (r"No such option: (.*)", Text("there is no option {0}", "没有选项 {0}")),
        (r"Missing argument '(.*)'\.", Text("the argument {0} is missing", "缺少参数 {0}")),
        (r"Missing command\.", Text("a command is missing", "缺少命令")),
        (
            r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)",
            Text("too many arguments: {0}", "多余的参数：{0}"),
        ),
        (r"Option '(.*)' does not take a value\.", Text("option {0} takes no value", "选项 {0} 不带值")),
        (r"Option '(.*)' requires .*", Text("option {0} needs a value", "选项 {0} 需要一个值")),
        (
            r"Invalid value for '(.*?)': (?:Value error, )?(.*) is not one of (?P<offered>.*)\.",
            Text("{0} can't be {1}: it is one of {offered}", "{0} 不能是 {1}，可取 {offered}"),
        ),
        (r"Invalid value for '(.*?)': .*integer.*", Text("{0} takes a whole number", "{0} 须为整数")),
        (r"Invalid value for '(.*?)': (.*)", Text("{0} can't be that: {1}", "{0} 的值无效：{1}")),
    )
)


def told(complaint: str) -> Text:
    """Returns a complaint of the parser in both languages; one that nobody has foreseen as it is."""
    for pattern, text in _COMPLAINTS:
        if match := pattern.fullmatch(complaint):
            names = (match.groupdict().get("offered") or "").replace("'", "").split(", ")
            found = match.groups()
            return Text(
                text.en.format(*found, offered=", ".join(names)), text.zh.format(*found, offered="、".join(names))
            )
    return Text(complaint, "命令行有误：" + complaint)
