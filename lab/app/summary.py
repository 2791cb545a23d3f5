"""`lab annotate --summary`: a line a conversation, worst first."""

from __future__ import annotations

import gc
from pathlib import Path

from lab.app.waiting import Waiting
from lab.capture.reader import open_capture
from lab.engine.path import Mine
from lab.render.trace import dump
from lab.report.briefing import MOST, Briefing, as_json, words
from lab.runs.recorded import Recorded
from lab.runs.run import Run
from lab.system import files, streams
from lab.text import Lang, Text, safe

SCHEMA = "handshake-lab/summary/v1"


def summarise(
    file: str, keylog: bytes, server_key: bytes, mine: Mine | None, json: bool, out: Path | None, limited: bool,
    lang: Lang,
) -> None:  # fmt: skip
    """Does all of it. Raises InputError."""
    gc.disable()  # nothing made for a packet is part of a cycle
    capture = open_capture(file, limited=limited)
    capture.watched_by(Waiting(capture, lang).goes_on)
    briefing = Briefing()
    run = Run(
        Recorded(capture), keylog=keylog, server_key=server_key, mine=mine, frames=False, messages=False,
        let_go=briefing.over,
    )  # fmt: skip
    with run:
        for packet in run.packets():
            briefing.packet(packet)
        for report in run.reports():
            briefing.over(report)
        with files.rendered(out) as stream:
            if json:
                lines = ",\n".join(dump(as_json(each)) for each in briefing.lines())
                head = dump({"schema": SCHEMA, "file": capture.name, "count": briefing.count})[:-1]
                stream.write(f'{head},\n"conversations": [\n{lines}\n]}}\n')
            else:
                for each in briefing.lines():
                    stream.write(safe(f"{each.id}: {words(each).pick(lang)}") + "\n")
            stream.flush()
        if not briefing.count:
            none = Text("{} has no packets", "{} 中没有任何包")
            if capture.packets:
                none = Text("{} has no conversation to tell of", "{} 中没有可概括的连接")
            streams.say(none.format(capture.name).pick(lang))
        if briefing.count > MOST:
            said = Text(
                f"the worst {MOST:,} of {briefing.count:,} conversations",
                f"{briefing.count:,} 个连接中最差的 {MOST:,} 个",
            )
            streams.say(said.pick(lang))
        if complaint := run.complaint():
            streams.say(complaint.pick(lang))
