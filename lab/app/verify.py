"""`lab verify`: a capture held against its witnesses, and against what somebody expects of it."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.app.waiting import Waiting
from lab.capture.reader import Capture, open_capture
from lab.errors import MachineError, UsageError
from lab.system import files, streams
from lab.text import Lang, Text
from lab.witnesses.question import Question

_DISAGREES, _CANNOT = 1, 4  # exit statuses


def verify(
    file: str, expected: Sequence[str], keylog: bytes, server_key: bytes, json: bool, out: Path | None, limited: bool,
    lang: Lang,
) -> int:  # fmt: skip
    """Does all of it and returns the exit status: 1 where something differs without a numbered reason, or is not as
    expected. Raises UsageError, InputError, and MachineError where there is nobody to ask."""
    if file == "-":
        raise _standard_input()
    gc.disable()  # nothing made for a packet is part of a cycle
    with open_capture(file, limited=limited) as capture, Question(capture, keylog, server_key) as question:
        return _verified(capture, question, expected, keylog, server_key, json, out, lang)


def _verified(
    capture: Capture, question: Question, expected: Sequence[str], keylog: bytes, server_key: bytes, json: bool,
    out: Path | None, lang: Lang,
) -> int:  # fmt: skip
    from lab.render import verification  # while tshark starts up
    from lab.report.expectations import Expectations, parse
    from lab.runs.recorded import Recorded
    from lab.runs.run import Run
    from lab.witnesses.verify import verify as held

    conditions = parse(expected)
    capture.watched_by(Waiting(capture, lang).goes_on)
    expectations = Expectations(conditions)
    run = Run(Recorded(capture), keylog=keylog, server_key=server_key)
    found = held(run, dissectors=question, watch=expectations if conditions else None)
    outcomes = expectations.judge(len(run.reports()), run.source.packets, len(run.problems()))
    lacking = found.lacking
    if lacking is not None and not found.rows and not outcomes:
        raise lacking
    with contextlib.suppress(BrokenPipeError), files.rendered(out) as stream:  # the status is told to whoever asks
        if json:
            verification.write(found, outcomes, stream)
        else:
            verification.draw(found, outcomes, stream, lang)
        sys.stdout.flush()
    if said := run.complaint():
        streams.say(said.pick(lang))
    if lacking is not None:
        _say_lacking(lacking, found.asked, lang)
        if found.asked:
            return _CANNOT
    elif not found.rows and not outcomes:
        streams.say(Text(f"{found.name} has no packets", f"{found.name} 中没有任何包").pick(lang))
    return 0 if found.agrees and all(each.holds for each in outcomes) else _DISAGREES


def _say_lacking(lacking: MachineError, asked: bool, lang: Lang) -> None:
    """Says that Wireshark has not answered, or not to the end, and what was compared nevertheless."""
    if asked:
        streams.complain(lacking, lang)
        return
    alone = Text("not compared with Wireshark: {}; {}", "未与 Wireshark 核对：{}；{}")
    streams.say(
        Text(
            alone.en.format(lacking.message.en, lacking.hint.en), alone.zh.format(lacking.message.zh, lacking.hint.zh)
        ).pick(lang)
    )


def one(
    file: str, number: int, expected: Sequence[str], keylog: bytes, server_key: bytes, json: bool, out: Path | None,
    limited: bool, lang: Lang,
) -> None:  # fmt: skip
    """Shows one packet, field by field, as the lab and as Wireshark dissect it. Raises UsageError, InputError, and
    MachineError where pyshark or tshark is missing."""
    from lab.render import beside
    from lab.runs.recorded import Recorded
    from lab.runs.run import Run
    from lab.witnesses.dissection import dissected

    if file == "-":
        raise _standard_input()
    if expected:
        raise UsageError(
            Text("--packet and --expect can't be used together", "--packet 与 --expect 不能同时使用"),
            Text("leave one of them out", "请去掉其中一个"),
        )
    with open_capture(file, limited=limited) as capture:
        numbers = range(number, number + 1)
        run = Run(Recorded(capture), keylog=keylog, server_key=server_key, words=True, fields=numbers)
        ours = next((each for each in run.packets() if each.number == number), None)
        if ours is None:
            raise UsageError(
                Text(f"{capture.name} has no packet {number}", f"{capture.name} 中没有第 {number} 号包"),
                Text(f"it has {capture.packets}, numbered from 1", f"共有 {capture.packets} 个包，从 1 开始编号"),
            )
    found = dissected(Path(file), number, keylog=keylog, server_key=server_key, limited=limited)
    theirs = [beside.Theirs(*each[:-1]) for packet in found for each in packet.fields if not each.hidden]
    with files.rendered(out) as stream:
        if json:
            beside.as_json(ours, theirs, stream)
        else:
            beside.draw(ours, theirs, stream, lang)


def _standard_input() -> UsageError:
    return UsageError(
        Text(
            "standard input can't be verified: two programs read the file",
            "无法核对标准输入：该文件要由两个程序读取",
        ),
        Text("save it first: cat > capture.pcapng", "请先保存：cat > capture.pcapng"),
    )
