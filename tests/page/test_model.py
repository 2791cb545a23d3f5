"""What a page shows: every packet, in both languages, every byte a field's; and no text of a capture is markup."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.capture.pcapng import Writer
from lab.model import Frame
from lab.page.html import document, joined
from lab.page.model import MOST, of_run
from lab.page.words import LIVE, WORDS
from lab.runs.recorded import open_run
from tests.packets import ladder
from tests.places import CORPUS

CAPTURES = Path(lab.__file__).parents[1] / "captures"
SOME = ("tcp-connection", "tcp-syn-lost", "tls-1.3", "tls-1.2-rsa")
STATIC = Path(lab.__file__).parent / "page" / "static"


def of(name: str) -> dict[str, Any]:
    with open_run(str(CAPTURES / f"{name}.pcapng"), words=True, fields=range(1, MOST + 1)) as run:
        return of_run(run)


@pytest.fixture(scope="module", params=SOME)
def page(request: pytest.FixtureRequest) -> dict[str, Any]:
    return of(request.param)


def test_each_packet_is_a_rung(page: dict[str, Any]) -> None:
    assert [each["number"] for each in page["rungs"]] == list(range(1, len(page["rungs"]) + 1))


def test_an_arrow_ends_no_higher_than_it_begins(page: dict[str, Any]) -> None:
    for at, rung in enumerate(page["rungs"]):
        assert at <= rung["got"] < len(page["rungs"])


def test_a_packet_that_was_overtaken_arrives_behind_the_other() -> None:
    rungs = of("tcp-syn-lost")["rungs"]
    lost = [each for each in rungs if each["fate"] == "lost"]
    assert lost
    assert all("why" in each for each in lost)


def covered(entry: dict[str, Any]) -> Iterator[bool]:
    """Yields for each byte of the frame that is shown whether a field has it."""
    data = base64.b64decode(entry["buffers"][0]["bytes"])
    spans = [each["at"] for layer in entry["layers"] for each in layer["fields"] if each.get("at", [1])[0] == 0]
    for at in range(len(data)):
        yield any(start <= at < end for _, start, end in spans)


def test_every_byte_of_a_frame_has_a_field(page: dict[str, Any]) -> None:
    for rung in page["rungs"]:
        assert all(covered(rung["detail"])), rung["number"]


def test_a_packet_of_which_no_byte_was_captured_has_no_layer(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        for frame in (*ladder("c> SYN 0"), Frame(2, 0, b"", 60)):
            writer.packet(frame, ())
    with open_run(str(path), words=True, fields=range(1, MOST + 1)) as run:
        _, empty = of_run(run)["rungs"]
    assert empty["detail"]["layers"] == []


def test_each_field_lies_in_a_buffer(page: dict[str, Any]) -> None:
    for rung in page["rungs"]:
        sizes = [len(base64.b64decode(each["bytes"])) + each["more"] for each in rung["detail"]["buffers"]]
        for layer in rung["detail"]["layers"]:
            for field in layer["fields"]:
                if "at" in field:
                    buffer, start, end = field["at"]
                    assert 0 <= start < end <= sizes[buffer], (rung["number"], field)


def both(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Yields each text of a page, and where it is."""
    if isinstance(value, dict):
        if {"en", "zh"} <= set(value):
            yield path, value
        for key, each in value.items():
            yield from both(each, f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for at, each in enumerate(value):
            yield from both(each, f"{path}[{at}]")


def test_each_text_is_there_in_both_languages(page: dict[str, Any]) -> None:
    for where, text in both(page):
        assert bool(text["en"]) == bool(text["zh"]), where


def test_scripts_ask_for_no_word_that_is_not_there_and_none_is_in_vain() -> None:
    asked = set()
    for each in STATIC.glob("*.js"):
        text = each.read_text("utf-8")
        asked |= set(re.findall(r"""\bw\(\s*"([a-z-]+)"\s*\)""", text))
        asked |= set(re.findall(r'"([a-z-]+)"', text)) & {*WORDS, *LIVE}
    assert asked == {*WORDS, *LIVE}


def test_a_script_that_is_joined_imports_and_exports_nothing() -> None:
    script = joined("main.js")
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)


def told(text: str) -> Any:
    """Returns the data of a page."""
    found = re.search(r'<script type="application/json" id="data" data-form="(\w+)">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[2])) if found[1] == "gzip" else found[2])


def test_the_file_has_the_data(page: dict[str, Any]) -> None:
    assert told(document(page)) == json.loads(json.dumps({**page, "rungs": list(page["rungs"])}))


def test_no_text_of_a_capture_ends_the_data() -> None:
    data = {"name": "</title><script>alert(1)</script>", "rungs": ["</script><img src=x onerror=alert(1)>", "\ud800"]}
    text = document(data)
    assert "<img" not in text
    assert "alert(1)</script>" not in text
    assert told(text)["rungs"][0] == data["rungs"][0]


def test_keys_are_in_a_page_only_where_they_were_asked_for() -> None:
    with open_run(str(CAPTURES / "tls-1.3.pcapng"), words=True, fields=range(1, MOST + 1)) as run:
        with_keys = of_run(run, with_keys=True)
    secrets = [line.split()[-1] for line in with_keys["keylog"].splitlines() if not line.startswith("#")]
    assert len(secrets) > 3
    assert with_keys["examples"][0]["lines"]
    told = json.dumps({**of("tls-1.3"), "rungs": list(of("tls-1.3")["rungs"])})
    for each in secrets:
        assert each not in told
        assert bytes.fromhex(each).hex(" ") not in told


def test_a_step_that_nobody_saw_is_said_of_who_would_have_acted() -> None:
    with open_run(str(CORPUS / "geneve.pcap"), words=True) as run:  # the server has closed first
        steps = {each["id"]: each for each in of_run(run)["outcome"][0]["steps"]}
    assert steps["tcp.close.2"]["packets"] == []
    assert steps["tcp.close.2"]["title"]["en"] == "The client acknowledges the FIN: half-closed"
    assert steps["tcp.close.4"]["title"]["zh"] == "服务器确认 FIN，进入 TIME-WAIT"
    assert steps["tcp.open.2"]["title"]["en"] == "The server agrees and sends its own SYN: SYN + ACK"
