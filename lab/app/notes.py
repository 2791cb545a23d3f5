"""`lab notes --diagram`: a protocol's table as a picture, and in it the path of a connection, where one is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from lab.app.formats import DiagramForm
from lab.engine.protocol import Descriptor
from lab.errors import InputError, UsageError
from lab.events import ConversationClosed, ConversationOpened, StateChanged
from lab.protocols.registry import protocol
from lab.protocols.subject import Subject
from lab.render.diagram import diagram, walked
from lab.render.diagram_mermaid import mermaid
from lab.render.diagram_svg import svg
from lab.runs.recorded import open_run
from lab.system import files, streams
from lab.text import Lang, Text, address


class Drawing(NamedTuple):
    """The command line's options. Without a `form` nothing is drawn."""

    form: DiagramForm | None
    path: str | None
    conversation: int | None
    coverage: bool


class _Path(NamedTuple):
    """The moves of one conversation's ends, and whose they are."""

    changes: list[StateChanged]
    of: str


def draw(found: Sequence[Subject], asked: Drawing, out: Path | None, lang: Lang) -> None:
    """Draws the protocol that was asked for. Raises UsageError and InputError."""
    form, about = _form(asked), protocol(found[0].protocol)
    if [each.kind for each in found] != ["protocol"]:
        raise UsageError(
            Text(
                f"a diagram is of a protocol, not of {found[0].name}", f"状态图画的是整个协议，而不是 {found[0].name}"
            ),
            Text(f"run lab notes {about.name} --diagram {form}", f"运行 lab notes {about.name} --diagram {form}"),
        )
    drawn = diagram(about)
    if drawn is None:
        raise UsageError(
            Text(f"nobody has laid out a diagram of {about.title}", f"{about.title} 还没有状态图的布局"),
            Text(f"lab notes {about.name} prints its table", f"lab notes {about.name} 会列出它的状态表"),
        )
    files.require_other(out, asked.path)
    taken = _taken(asked.path, about, asked.conversation, lang) if asked.path is not None else None
    moves = walked(drawn, taken.changes) if taken is not None else None
    write = svg if form is DiagramForm.SVG else mermaid
    with files.rendered(out) as stream:
        stream.write(write(drawn, lang, moves, taken.of if taken is not None else ""))


def _form(asked: Drawing) -> DiagramForm:
    """Returns what to write. Raises UsageError for options that mean nothing together."""
    if asked.conversation is not None and asked.path is None:
        raise UsageError(
            Text("--conversation goes only with --path", "--conversation 只能与 --path 同用"),
            Text("name the capture that it is in: --path FILE", "请指明它所在的抓包文件：--path 文件"),
        )
    if asked.form is None:
        raise UsageError(
            Text("--path goes only with --diagram", "--path 只能与 --diagram 同用"),
            Text("say how to draw it: --diagram svg, or mermaid", "请说明画成什么：--diagram svg 或 mermaid"),
        )
    if asked.coverage:
        raise UsageError(
            Text("--coverage and --diagram can't be used together", "--coverage 与 --diagram 不能同时使用"),
            Text("leave one of them out", "请去掉其中一个"),
        )
    return asked.form


def _taken(path: str, about: Descriptor, conversation: int | None, lang: Lang) -> _Path:
    """Returns the moves in the conversation that was asked for, or else in the first one that has the protocol."""
    changes: list[StateChanged] = []
    ends: dict[int, str] = {}
    chosen = conversation
    with open_run(path, only=conversation) as run:
        for event in run.events():
            if isinstance(event, ConversationOpened) and chosen in (None, event.conversation):
                ends[event.conversation] = f"{address(*event.client)} ↔ {address(*event.server)}"
            elif isinstance(event, StateChanged) and event.protocol == about.name:
                chosen = event.conversation if chosen is None else chosen
                if event.conversation == chosen:
                    changes.append(event)
            elif isinstance(event, ConversationClosed):
                if event.conversation == chosen:
                    break
                ends.pop(event.conversation, None)
        if not changes:
            raise _none(run.name, about.title, conversation)
        if said := run.complaint():
            streams.say(said.pick(lang))
        named = [PurePath(run.name).name] if path != "-" else []
    return _Path(changes, " · ".join([*named, *([ends[chosen]] if chosen in ends else [])]))


def _none(name: str, title: str, conversation: int | None) -> InputError:
    listed = f"lab annotate {name} --format conversations"
    lists = Text(f": {listed} lists what it has", f"：{listed} 会列出其中的连接") if name != "-" else Text("", "")
    if conversation is not None:
        what = Text(
            f"in conversation {conversation} of {name} nothing of {title} is seen to move",
            f"在 {name} 的连接 {conversation} 中看不到 {title} 的状态变化",
        )
        return InputError(what, Text(f"name another conversation{lists.en}", f"请换一个连接{lists.zh}"))
    what = Text(f"{name} shows no connection of {title}", f"{name} 中没有 {title} 连接")
    return InputError(what, Text(f"name another protocol or capture{lists.en}", f"请换一个协议或抓包文件{lists.zh}"))
