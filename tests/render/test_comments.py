"""What the lab writes into a capture says the step in both languages, replaces its own, and keeps everyone else's."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.engine import journal
from lab.model import Captured, Frame
from lab.render.comments import MARKS, comments, comments_of_held, sentence
from lab.runs.recorded import open_run, write_again
from tests.packets import CAPTURES, OPEN, TALK, kernels, ladder, prompt, replay, walk
from tests.places import REFERENCES

ARP = Frame(1, None, bytes(12) + b"\x08\x06" + bytes(28), 42)
OTHERS = ("somebody's remark", "别人的备注", "[Lab] not ours", "lab1")


def save(path: Path, frames: list[Frame], closing: tuple[str, ...] = ()) -> None:
    with path.open("wb") as file:
        writer = Writer(file)
        for frame in frames:
            writer.packet(frame, frame.comments)
        writer.finish(closing)


def said(line: str) -> Any:
    assert line.startswith(journal.PREFIX)
    return json.loads(line.removeprefix(journal.PREFIX))


def annotated(path: Path) -> tuple[list[Frame], list[str]]:
    """Annotates a capture into itself, as `lab annotate FILE --format pcapng -o FILE`; returns what is in it then."""
    out = io.BytesIO()
    with open_run(str(path), words=True) as run:
        write_again(run, out)
    path.write_bytes(out.getvalue())
    with open_capture(str(path)) as capture:
        return list(capture), list(capture.closing_comments)


def test_a_step_is_told_in_english_and_in_chinese() -> None:
    syn, *_ = walk(ladder(*OPEN)).packets
    english, chinese, _ = comments(syn)
    assert english == "[lab] open 1: The client asks for a connection: SYN. client SYN-SENT -> server SYN-RECEIVED."
    assert chinese == "[实验] 握手 1：客户端请求建立连接：SYN。客户端 SYN-SENT → 服务器 SYN-RECEIVED。"


def test_a_packet_with_two_steps_tells_both() -> None:
    ack = walk(ladder(*OPEN)).packets[2]
    english, chinese, _ = comments(ack)
    assert english.count("open 3:") == english.count("open 4:") == 1
    assert chinese.count("握手 3：") == chinese.count("握手 4：") == 1


def test_a_packet_that_was_dropped_and_one_of_which_nobody_knows_say_so() -> None:
    (syn,) = walk(ladder("c> SYN 0")).packets
    english, chinese, _ = comments(syn)
    assert english.endswith("client SYN-SENT; not seen acknowledged.")
    assert chinese.endswith("客户端 SYN-SENT；未见确认。")
    (dropped,) = replay(prompt(ladder("c> SYN 0"), dropped=(1,))).packets
    english, chinese, line = comments(dropped)
    assert english.endswith("client SYN-SENT; the wire dropped it.")
    assert chinese.endswith("客户端 SYN-SENT；被线路丢弃。")
    assert said(line)["told"]["fate"] == "lost"


def test_where_nobody_knows_the_state_the_comment_says_that() -> None:
    data, *_ = walk(ladder("c> data 1 1 5", "s> ACK 1 6")).packets
    text = sentence(data)
    assert text
    assert text.en == "client state unknown -> server state unknown."
    assert text.zh == "客户端 状态未知 → 服务器 状态未知。"


def test_a_packet_that_is_no_tcp_gets_no_comment() -> None:
    (packet,) = walk([ARP]).packets
    assert comments(packet) == []


@pytest.mark.parametrize("name", CAPTURES)
def test_every_comment_is_one_printable_line_and_ours(name: str) -> None:
    for packet in replay(prompt(ladder(*CAPTURES[name]))).packets:
        written = comments(packet)
        assert len(written) == 3
        assert all(text.isprintable() and journal.is_ours(text) for text in written), written
        assert written[0].isascii()
        assert written[1].startswith(MARKS.zh)


def test_annotating_again_replaces_ours_and_keeps_everyone_elses() -> None:
    (syn,) = ladder("c> SYN 0")
    old = ("[lab] an older remark", "[实验] 旧的备注")
    (packet,) = walk([syn._replace(comments=(OTHERS[0], *old, *OTHERS[1:]))]).packets
    written = comments(packet)
    assert written[: len(OTHERS)] == list(OTHERS)
    assert not set(written) & set(old)
    assert len(written) == len(OTHERS) + 3


def test_a_file_annotated_twice_is_the_same_as_annotated_once(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    save(path, [frame._replace(comments=OTHERS) for frame in ladder(*OPEN, *TALK)], ("a last word",))
    first, closing = annotated(path)
    assert all(frame.comments[: len(OTHERS)] == OTHERS for frame in first)
    assert all(len(frame.comments) == len(OTHERS) + 3 for frame in first)
    assert closing == ["a last word"]
    once = path.read_bytes()
    assert annotated(path) == (first, closing)
    assert path.read_bytes() == once


def test_the_journal_and_the_kernels_words_survive_annotating_again(tmp_path: Path) -> None:
    told = {"arrived": 0, "settled": 2, "delivered": [1]}
    kernel = {
        "held": {"client": "SYN-SENT", "server": "LISTEN"},
        "delivered": {"client": "SYN-SENT", "server": "SYN-RECEIVED"},
    }
    line = journal.PREFIX + json.dumps({**told, "kernel": kernel})
    final = journal.closing_comment(kernels("SYN-SENT", "SYN-RECEIVED"))
    path = tmp_path / "capture.pcapng"
    save(path, [frame._replace(comments=(line,)) for frame in ladder("c> SYN 0")], ("a last word", final))
    for _ in range(2):
        (frame,), closing = annotated(path)
        (kept,) = (text for text in frame.comments if text.startswith(journal.PREFIX))
        assert said(kept) == {**told, "kernel": kernel, "told": said(kept)["told"]}
        assert list(said(kept)["told"]["states"].values()) == list(kernel.values())
        assert closing == ["a last word", final]


def test_a_journal_survives_where_the_first_packet_has_none(tmp_path: Path) -> None:
    """As where another tool has put two captures together."""
    line = journal.PREFIX + '{"arrived":0,"settled":2,"delivered":[1]}'
    path = tmp_path / "capture.pcapng"
    save(path, [ARP, *(frame._replace(comments=(line,)) for frame in ladder("c> SYN 0", first=2))])
    frames, _ = annotated(path)
    (kept,) = (text for text in frames[1].comments if text.startswith(journal.PREFIX))
    assert kept.startswith(line.removesuffix("}") + ',"told":')
    assert not any(text.startswith(journal.PREFIX) for text in frames[0].comments)


def test_programs_are_told_the_states_of_both_ends_at_both_instants() -> None:
    """Also where there is no journal: Wireshark's fields are made of this line."""
    _, _, line = comments(walk(ladder(*OPEN)).packets[2])
    assert said(line) == {
        "told": {
            "from": "client",
            "labels": ["ACK"],
            "steps": ["tcp.open.3", "tcp.open.4"],
            "states": {
                "held": {"client": "ESTABLISHED", "server": "SYN-RECEIVED"},
                "delivered": {"client": "ESTABLISHED", "server": "ESTABLISHED"},
            },
            "fate": "arrived",
        }
    }


def test_programs_are_told_what_a_kernel_has_refused() -> None:
    with open_run(str(REFERENCES / "tcp-blind-reset.pcapng"), words=True) as run:
        told = [said(comments(packet)[-1])["told"] for packet in run.packets()]
    assert [each["refused"] for each in told if "refused" in each] == [
        "reset-outside",
        "reset-not-exact",
        "no-connection",
    ]


def test_of_a_packet_that_is_held_no_fate_is_told_and_what_the_kernels_said_survives(tmp_path: Path) -> None:
    """A capture that was saved while somebody stepped has no journal: nobody knew what would become of a packet."""
    (frame,) = ladder("c> SYN 0")
    syn = replay([Captured(frame, 1, kernels("SYN-SENT", "LISTEN"))]).packets[0]
    *words, line = comments_of_held(syn)
    assert words[0].endswith("Held: client SYN-SENT, server LISTEN, as both kernels say.")
    assert said(line)["kernel"] == {"held": {"client": "SYN-SENT", "server": "LISTEN"}}
    assert "fate" not in said(line)["told"]
    save(file := tmp_path / "held.pcapng", [frame._replace(comments=(*words, line))])
    for _ in range(2):
        (again,), _ = annotated(file)
        assert said(again.comments[-1])["kernel"] == {"held": {"client": "SYN-SENT", "server": "LISTEN"}}
        assert said(again.comments[-1])["told"]["fate"] == "unknown"
        assert again.comments[0].endswith("not seen acknowledged.")


def test_what_is_told_to_programs_is_no_journal() -> None:
    frames = ladder(*OPEN)
    line = comments(walk(frames).packets[0])[-1]
    assert not journal.told(frames[0]._replace(comments=(line,)))


@pytest.mark.parametrize("first", ["lab1 {}", "lab1 nothing", 'lab1 {"told":{"fate":"lost"}}'])
def test_a_journal_behind_something_that_only_looks_like_one_is_kept(first: str) -> None:
    (syn,) = ladder("c> SYN 0")
    line = journal.PREFIX + '{"arrived":0,"settled":2,"delivered":[1],"later":"added"}'
    (packet,) = walk([syn._replace(comments=(first, line))]).packets
    *_, kept = comments(packet)
    assert said(kept) == {**said(line), "told": said(kept)["told"]}


def test_a_journal_that_leaves_no_room_for_more_stays_whole() -> None:
    (syn,) = ladder("c> SYN 0")
    line = journal.PREFIX + '{"arrived":0,"settled":2,"delivered":[1],"x":"' + "x" * 65_400 + '"}'
    (packet,) = walk([syn._replace(comments=(line,))]).packets
    assert comments(packet)[-1] == line


def test_what_a_hostile_comment_says_stays_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    hostile = ("x" * 60_000, "\x1b[2J", "[red]", "")
    save(path, [frame._replace(comments=hostile) for frame in ladder("c> SYN 0")])
    (frame,), _ = annotated(path)
    assert frame.comments[: len(hostile)] == hostile
