"""The diagrams as pictures: valid, the same every time, a path as the events have it, and nothing in it is markup."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.app.formats import DiagramForm
from lab.app.notes import Drawing, draw
from lab.engine.protocol import Descriptor
from lab.errors import LabError
from lab.events import StateChanged
from lab.protocols.registry import PROTOCOLS, protocol
from lab.protocols.subject import subjects
from lab.render.diagram import Walked, diagram, walked
from lab.render.diagram_mermaid import mermaid
from lab.render.diagram_svg import svg
from lab.render.lit import HEIGHT, lit, numbers
from lab.render.placed import Diagram
from lab.runs.recorded import open_run
from lab.text import LANGUAGES, ROLES, Lang
from tests.places import REFERENCES, ROOT

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("1")</script>;&amp; #35; ]]>\x1b[2J\u202e%%{init}%%\n}'
in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)
of_each_protocol = pytest.mark.parametrize("about", PROTOCOLS, ids=lambda about: about.name)


@cache
def drawn(name: str) -> Diagram:
    found = diagram(protocol(name))
    assert found is not None
    return found


@cache
def changes(capture: str) -> list[StateChanged]:
    with open_run(str(REFERENCES / f"{capture}.pcapng"), only=0) as run:
        return [each for each in run.events() if isinstance(each, StateChanged)]


def moves(capture: str, name: str) -> tuple[Walked, ...]:
    return walked(drawn(name), changes(capture))


def of(root: ElementTree.Element, *kinds: str) -> list[ElementTree.Element]:
    return [each for each in root.iter() if {*kinds} <= {*each.get("class", "").split()}]


def texts(root: ElementTree.Element, kind: str) -> list[str]:
    return ["".join(each.itertext()) for each in of(root, kind)]


@in_both_languages
@of_each_protocol
def test_all_that_is_in_a_diagram_is_in_its_picture(about: Descriptor, lang: Lang) -> None:
    found = drawn(about.name)
    picture = svg(found, lang)
    assert picture == svg(found, lang)
    assert "id=" not in picture
    assert "://" not in picture.replace('"http://www.w3.org/2000/svg"', "")
    root = ElementTree.fromstring(picture)
    assert root.get("lang") == {"en": "en", "zh": "zh-CN"}[lang]
    assert root.findtext(f"{SVG}title") == found.title.pick(lang)
    assert texts(root, "state") == [node.state for node in found.nodes]
    said = [text for kind in ("said", "inside") for text in texts(root, kind)]
    for edge in found.edges:
        for line in edge.lines:
            step = line.step.pick(lang) if line.step else ""
            assert edge.kind == "gathered" or line.text.pick(lang) + step in said
    assert len(of(root, "way")) == len([edge for edge in found.edges if edge.points and edge.drawn]) + len(
        [caption for caption in found.captions if caption.points]
    ) + len(of(root, "way", "silent")) - len([edge for edge in found.edges if edge.kind == "silent"])
    assert not of(root, "lit")


@pytest.mark.parametrize(
    ("capture", "name"),
    [
        ("tcp-connection", "tcp"), ("tcp-simultaneous-close", "tcp"), ("tcp-reset", "tcp"), ("tls-1.3", "tls"),
        ("tls-unknown-ca", "tls"), ("tls-1.2-resumption", "tls"), ("websocket-connection", "websocket"),
        ("websocket-abnormal", "websocket"),
    ],
)  # fmt: skip
def test_what_is_lit_is_what_the_events_say(capture: str, name: str) -> None:
    path = moves(capture, name)
    root = ElementTree.fromstring(svg(drawn(name), "en", path))
    for role in ROLES:
        gone = {each.edge for each in path if each.end == role}
        assert gone
        assert len(of(root, "lit", role)) == len(gone)
        packets = [str(each.packet) for each in path if each.end == role]
        marks = [number.text for number in numbers(drawn(name), lit(drawn(name), path)) if number.end == role]
        assert sorted(",".join(marks).split(","), key=int) == sorted(packets, key=int)
    states = {node.id: node.state for node in drawn(name).nodes}
    along = lit(drawn(name), path)
    assert {role: states[node] for role, node in along.ended.items()} == {each.end: each.after for each in path}
    assert len(of(root, "begins")) == len(ROLES) + 1  # with the one that says what the sign means
    described = root.findtext(f"{SVG}desc") or ""
    assert all(f"{each.after} ({each.packet})" in described for each in path)


def test_what_was_taken_back_is_not_lit() -> None:
    found = drawn("tcp")
    path = moves("tcp-connection", "tcp")
    last = [each for each in path if each.end == "server"][-1]
    back = Walked(12, "server", last.after, last.before, None, 0)
    assert lit(found, [*path, back]) == lit(found, [each for each in path if each is not last])
    assert lit(found, [*path, back, last]) == lit(found, path)


def test_the_number_of_a_packet_hides_no_label_and_no_other_number() -> None:
    for capture in sorted(REFERENCES.glob("*.pcapng")):
        for about in PROTOCOLS:
            found = drawn(about.name)
            boxes = [line.box for edge in found.edges for line in edge.lines if edge.kind != "gathered"]
            for each in numbers(found, lit(found, moves(capture.stem, about.name))):
                box = each.x - each.width / 2, each.y - HEIGHT / 2, each.width, float(HEIGHT)
                for x, y, w, h in boxes:
                    apart = x >= box[0] + box[2] or box[0] >= x + w or y >= box[1] + box[3] or box[1] >= y + h
                    assert apart, (capture.stem, each)
                boxes.append(box)


def test_a_path_that_goes_to_and_fro_for_ever_makes_no_larger_picture() -> None:
    found, path = drawn("tcp"), moves("tcp-connection", "tcp")
    fro = Walked(2, "server", "SYN-RECEIVED", "LISTEN", "SYN-RECEIVED>LISTEN", 0)
    endless = [path[0], *(path[1], fro) * 50_000]
    picture = svg(found, "en", endless)
    assert len(picture) < 1.2 * len(svg(found, "en", path))
    assert "1,1,1…" in texts(ElementTree.fromstring(picture), "number")
    assert len(mermaid(found, "en", endless)) < 1.2 * len(mermaid(found, "en", path))


@in_both_languages
def test_a_name_that_is_markup_is_text_in_a_picture(lang: Lang) -> None:
    path = moves("tcp-connection", "tcp")
    picture = svg(drawn("tcp"), lang, path, HOSTILE)
    root = ElementTree.fromstring(picture)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "path", "text", "tspan", "g",
    }  # fmt: skip
    assert any("<script>" in text for text in texts(root, "legend"))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", picture)


@in_both_languages
@pytest.mark.parametrize("capture", ["", "tcp-connection", "tls-1.3", "tls-unknown-ca", "websocket-connection"])
@of_each_protocol
def test_as_mermaid_each_line_is_one_statement(about: Descriptor, capture: str, lang: Lang) -> None:
    """The form of each line was tried once with Mermaid itself, which parses and draws them."""
    found = drawn(about.name)
    path = moves(capture, about.name) if capture else None
    first, *lines = mermaid(found, lang, path, HOSTILE).splitlines()
    assert first == "stateDiagram-v2"
    name, text = r"(?:\[\*\]|\w+)", r"(?:[^#;<>:%{}\"]|#\d+;|<br/>)+"
    forms = (
        rf'accTitle: {text}|state "{text}" as \w+(?: \{{)?|\}}|{name} : {text}|{name} --> {name} : {text}'
        rf"|note right of {name} : {text}|classDef \w+ [\w:#,]+|class \w+ (?:client|server|both)"
    )
    for line in lines:
        assert re.fullmatch(rf" +(?:{forms})", line), line
    for edge in found.edges:
        if edge.kind in ("arrow", "silent"):
            arrow = f"{edge.start} --> {edge.end} :".replace("-", "_").replace(".", "_").replace("__>", "-->")
            assert any(line.strip().startswith(arrow) for line in lines), arrow
    marks = re.findall(r"[●■]([\d,]+)", "\n".join(lines))
    assert sorted(",".join(marks).split(",")) == sorted(str(each.packet) for each in path or ()) or not path


def test_the_command_draws_the_first_conversation_that_has_the_protocol(tmp_path: Path) -> None:
    out = tmp_path / "tls.svg"
    capture = str(REFERENCES / "tls-1.2-resumption.pcapng")
    draw(subjects(["tls"]), Drawing(DiagramForm.SVG, capture, None, False), out, "en")
    first = out.read_text(encoding="utf-8")
    assert "tls-1.2-resumption.pcapng · " in first
    draw(subjects(["tls"]), Drawing(DiagramForm.SVG, capture, 0, False), out, "en")
    assert out.read_text(encoding="utf-8") == first
    draw(subjects(["tls"]), Drawing(DiagramForm.SVG, capture, 1, False), out, "zh")
    assert out.read_text(encoding="utf-8") != first


@in_both_languages
def test_the_picture_in_the_readme_is_what_the_command_draws(lang: Lang, tmp_path: Path) -> None:
    out = tmp_path / "states.svg"
    capture = str(REFERENCES / "tcp-connection.pcapng")
    draw(subjects(["tcp"]), Drawing(DiagramForm.SVG, capture, None, False), out, lang)
    kept = ROOT / f"docs/pictures/states.{lang}.svg"
    assert kept.read_bytes() == out.read_bytes(), "python scripts/picture.py --states draws it anew"


@pytest.mark.parametrize(
    ("said", "form", "capture", "conversation", "what"),
    [
        ("tcp", None, "tcp-connection", None, "--path goes only with --diagram"),
        ("tcp", DiagramForm.SVG, None, 1, "--conversation goes only with --path"),
        ("FIN-WAIT-2", DiagramForm.SVG, None, None, "a diagram is of a protocol, not of FIN-WAIT-2"),
        ("tls", DiagramForm.SVG, "tcp-connection", None, "shows no connection of TLS"),
        ("tls", DiagramForm.MERMAID, "tcp-connection", 0, "nothing of TLS is seen to move"),
        ("tcp", DiagramForm.SVG, "tcp-connection", 7, "has no conversation 7"),
        ("tcp", DiagramForm.SVG, "there-is-none", None, "there is no file"),
    ],
)
def test_what_can_not_be_drawn_is_said_with_what_to_do(
    said: str, form: DiagramForm | None, capture: str | None, conversation: int | None, what: str, tmp_path: Path
) -> None:
    path = str(REFERENCES / f"{capture}.pcapng") if capture else None
    with pytest.raises(LabError) as refused:
        draw(subjects([said]), Drawing(form, path, conversation, False), tmp_path / "out", "en")
    assert what in refused.value.message.en
    assert re.search("[\u4e00-\u9fff]", refused.value.message.zh + refused.value.hint.zh)
    assert refused.value.hint.en
    assert not list(tmp_path.iterdir())
