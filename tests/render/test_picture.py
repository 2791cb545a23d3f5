"""The ladder as a picture: valid XML, the same every time, true to the packets, and nothing in a capture is markup."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.app.annotate import Asked, annotate
from lab.app.formats import Format, write_drawn
from lab.errors import UsageError
from lab.model import Packet
from lab.protocols.registry import TRANSPORT
from lab.protocols.tcp.states import State
from lab.render.mermaid import mermaid
from lab.render.picture import CLIENT, MOST, MOST_LINES, SAID, SERVER, WIDTH, picture
from lab.render.svg import svg
from lab.runs.recorded import open_run
from lab.text import LANGUAGES, Lang
from tests.packets import ladder, prompt, replay, walk
from tests.places import REFERENCES

SVG = "{http://www.w3.org/2000/svg}"
CAPTURES = sorted(REFERENCES.glob("*.pcapng"))
HOSTILE = '<script>alert("1")</script>;&amp; #35; ]]>\x1b[2J\u202e%%{init}%%'
OPEN = ("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1")
in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)


def read(name: str) -> tuple[list[Packet], ElementTree.Element]:
    with open_run(str(REFERENCES / f"{name}.pcapng"), words=True) as run:
        packets = list(run.packets())
    return packets, ElementTree.fromstring(svg(picture(packets, "en"), "en"))


def of(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [each for each in root if kind in each.get("class", "").split()]


def texts(root: ElementTree.Element, kind: str) -> list[str]:
    return [each.text or "" for each in of(root, kind)]


@in_both_languages
@pytest.mark.parametrize("form", [Format.SVG, Format.MERMAID])
def test_every_reference_is_drawn_and_the_same_each_time(form: Format, lang: Lang) -> None:
    every = 1 if (form, lang) == (Format.SVG, "en") else 6
    for at, path in enumerate(CAPTURES[::every]):
        drawn = []
        for _ in range(1 if at % 4 else 2):
            out = io.StringIO()
            with open_run(str(path), words=True) as run:
                write_drawn(run, form, out, lang)
            drawn.append(out.getvalue())
        assert drawn[0] == drawn[-1]
        if form is Format.SVG:
            root = ElementTree.fromstring(drawn[0])
            assert root.tag == f"{SVG}svg"
            assert root.get("lang") == {"en": "en", "zh": "zh-CN"}[lang]
            assert "id=" not in drawn[0]
            assert "://" not in drawn[0].replace('"http://www.w3.org/2000/svg"', "")
        else:
            assert_is_a_sequence_diagram(drawn[0])


def assert_is_a_sequence_diagram(said: str) -> None:
    """Each line is one statement of Mermaid's, and what is said in it has neither markup nor what ends a statement."""
    first, *lines = said.splitlines()
    assert first == "sequenceDiagram"
    end, text = r"(?:client|server)\d+", r"(?:[^#;<>:%{}]|#\d+;|<br/>)+"
    for line in lines:
        statement = rf"    (?:participant {end} as {text}|Note (?:over|right of) {end}: {text}"
        assert re.fullmatch(rf"{statement}|{end}(?:->>|-x|-->>){end}: {text})", line), line


def test_it_shows_each_packet_its_step_and_what_is_said_of_it() -> None:
    packets, root = read("tcp-syn-lost")
    assert texts(root, "number") == [str(each.number) for each in packets]
    assert texts(root, "label")[:3] == ["SYN seq=0", "SYN seq=0", "SYN-ACK seq=0 ack=1"]
    assert texts(root, "named") == [
        "open 1", "open 1", "open 2", "open 3+4", "close 1", "close 2", "close 3", "close 4",
    ]  # fmt: skip
    assert "The client asks for a connection: SYN" in texts(root, "step")
    assert texts(root, "remark") == ["the wire dropped it", "sent again"]
    assert len(of(root, "cross")) == 1
    assert len(of(root, "head")) == len(packets) - 1


def test_each_axis_goes_through_the_states_of_its_end() -> None:
    _, root = read("tcp-connection")
    left = [each for each in of(root, "state") if float(each.get("x", "0")) < CLIENT]
    assert [each.text for each in left] == [
        "CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT",
    ]  # fmt: skip
    right = [each for each in of(root, "state") if float(each.get("x", "0")) > SERVER]
    assert [each.text for each in right] == [
        "LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED",
    ]  # fmt: skip
    for axis in of(root, "axis"):  # what is one colour is one part of a connection's life
        assert "unknown" not in axis.get("class", "")


def test_every_state_has_its_colour() -> None:
    assert set(TRANSPORT.phases) == set(State)


def test_arrows_fall_from_held_to_delivered_and_cross_where_packets_did() -> None:
    packets, _ = read("tcp-simultaneous-open")
    arrows = [rung.arrow for rung in picture(packets, "en").tracks[0].rungs if rung.arrow is not None]
    assert all(arrow.got > arrow.sent for arrow in arrows)
    first, second = arrows[:2]
    assert first.forward is not second.forward
    assert first.got > second.sent
    one_by_one = [rung.arrow for rung in picture(read("tcp-connection")[0], "en").tracks[0].rungs if rung.arrow]
    assert all(arrow.got < later.sent for arrow, later in pairwise(one_by_one))


def test_of_a_packet_whose_fate_is_unknown_the_arrow_is_open() -> None:
    root = ElementTree.fromstring(svg(picture(walk(ladder("c> SYN 0")).packets, "en"), "en"))
    assert texts(root, "open-end") == ["?"]
    assert of(root, "dashed")
    assert not of(root, "head")


def test_a_forged_packet_begins_on_the_wire() -> None:
    packets, _ = read("tcp-blind-reset")
    begins = [rung.arrow.begin for rung in picture(packets, "en").tracks[0].rungs if rung.arrow]
    assert [at for at, begin in enumerate(begins) if begin] == [
        at for at, packet in enumerate(packets) if packet.journal and packet.journal.forged
    ]


@in_both_languages
def test_nothing_in_a_packet_is_markup_or_steers_anything(lang: Lang) -> None:
    frames = ladder(*OPEN, f"c> data 1 1 {len(HOSTILE.encode())}")
    data = bytearray(frames[3].data)
    data[-len(HOSTILE.encode()) :] = HOSTILE.encode()
    packets = walk([*frames[:3], frames[3]._replace(data=bytes(data))]).packets
    drawn = svg(picture(packets, lang), lang)
    root = ElementTree.fromstring(drawn)
    tags = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "line", "path", "text"}
    assert "<script>" in " ".join(texts(root, "payload"))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", drawn)
    assert_is_a_sequence_diagram(mermaid(packets, lang))


def test_what_says_very_much_is_cut_short() -> None:
    hello = read("tls-1.3")[0][5]
    much = hello._replace(messages=hello.messages * 1000)
    made = picture([*read("tls-1.3")[0][:5], much], "en")
    lines = made.tracks[0].rungs[-1].lines
    assert len(lines) == MOST_LINES + 1
    assert re.fullmatch(r"… and \d+ more lines", lines[-1].text)
    assert len(mermaid([much], "en").splitlines()) < 10
    assert len(svg(made, "en")) < 40_000


def test_connections_stand_below_each_other_and_the_rest_is_listed() -> None:
    two = [*walk(ladder(*OPEN)).packets]
    other = [each._replace(number=each.number + 3, conversation=1) for each in two]
    lone = (
        walk(ladder("c> SYN 0"))
        .packets[0]
        ._replace(number=7, conversation=None, held=None, ends=None, sender=None, labels=("not-tcp",))
    )
    made = picture([*two, *other, lone], "en", more=5)
    assert [len(track.rungs) for track in made.tracks] == [3, 3]
    assert made.tracks[1].top > made.tracks[0].bottom
    assert [line.text.split()[0] for line in made.rest] == ["7", "…"]
    assert max(line.y for line in made.rest) < made.height


def test_what_is_said_fits_beside_the_ladder() -> None:
    for name in ("tls-1.3", "websocket-connection", "tcp-blind-reset"):
        for lang in LANGUAGES:
            with open_run(str(REFERENCES / f"{name}.pcapng"), words=True) as run:
                made = picture(list(run.packets()), lang)
            for line in (line for track in made.tracks for rung in track.rungs for line in rung.lines):
                wide = sum(12.5 if ord(char) >= 0x2E80 else 6.2 for char in line.text)
                assert wide <= WIDTH - SAID, line.text


def test_with_a_journal_and_without_the_same_is_drawn_where_nothing_crossed() -> None:
    frames = ladder(*OPEN)
    told, inferred = (
        [rung.arrow for rung in picture(found, "en").tracks[0].rungs]
        for found in (replay(prompt(frames)).packets, walk(frames).packets)
    )
    assert told[:2] == inferred[:2]


@pytest.mark.parametrize("form", [Format.SVG, Format.MERMAID])
def test_too_many_packets_are_refused_with_what_to_do(tmp_path: Path, form: Format) -> None:
    from lab.capture.pcapng import Writer

    path = tmp_path / "many.pcapng"
    lines = [line for at in range(MOST // 2) for line in (f"c> data {1 + at * 10} 1 10", f"s> ACK 1 {11 + at * 10}")]
    with path.open("wb") as file:
        writer = Writer(file)
        for frame in ladder(*OPEN, *lines):
            writer.packet(frame, ())
        writer.finish(())
    out = tmp_path / "out.svg"
    asked = Asked(str(path), form, b"", b"", False, out, None, None, None)
    with pytest.raises(UsageError) as refused:
        annotate(asked, "en")
    assert "--conversation" in refused.value.hint.en
    assert "--filter" in refused.value.hint.zh
    assert not out.exists()
