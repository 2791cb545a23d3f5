"""Wireshark's fields say what the trace says, for every packet of all reference captures, and no more."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.capture.pcapng import Writer
from lab.engine import journal
from lab.model import Frame, Packet, States
from lab.render.comments import comments, sentence
from lab.runs.recorded import open_run
from lab.text import LANGUAGES, Lang
from lab.wireshark.profile import SCRIPT
from tests.left_behind import AS_USER
from tests.packets import OPEN, ladder, walk
from tests.places import REFERENCES

INSTANTS, ROLES = ("held", "delivered"), ("client", "server")
FIELDS = (
    "lab.step", "lab.note", "lab.from", "lab.label", "lab.fate", "lab.refused", "lab.client.state", "lab.server.state",
    *(f"lab.{of}{role}.{instant}" for of in ("", "kernel.") for instant in INSTANTS for role in ROLES),
)  # fmt: skip
BETWEEN = "\x1f"  # between the values of a field
Row = dict[str, list[str]]


def asked(tshark: str, place: Path, capture: Path, *words: str, lang: Lang = "en") -> str:
    """Runs tshark with the script, and nobody's settings; what it complains about fails."""
    script = place / SCRIPT.name
    script.write_bytes(SCRIPT.read_bytes())
    environ = {**os.environ, "HOME": str(place), "WIRESHARK_CONFIG_DIR": str(place), "LAB_LANG": lang}
    command = [*AS_USER, tshark, "-n", "-X", f"lua_script:{script}", "-r", str(capture), *words]
    done = subprocess.run(command, env=environ, capture_output=True, timeout=120, check=False)
    complaints = done.stderr.decode().splitlines()
    assert complaints == []
    return done.stdout.decode()


def fields(tshark: str, place: Path, capture: Path, lang: Lang = "en") -> list[Row]:
    words = [word for field in FIELDS for word in ("-e", field)]
    said = asked(
        tshark, place, capture, "-T", "fields", "-E", "occurrence=a", "-E", f"aggregator={BETWEEN}", *words, lang=lang
    )
    rows = [line.split("\t") for line in said.splitlines()]
    return [
        {name: value.split(BETWEEN) if value else [] for name, value in zip(FIELDS, row, strict=True)} for row in rows
    ]


def saved(frames: Sequence[Frame], path: Path) -> Path:
    with path.open("wb") as stream:
        writer = Writer(stream)
        for frame in frames:
            writer.packet(frame, frame.comments)
        writer.finish()
    return path


def expected(packet: Packet, lang: Lang) -> Row:
    """Returns what the trace says, by the names of the fields."""
    words = sentence(packet)
    found: Row = {"lab.note": [words.pick(lang)] if words else []}
    if packet.sender is not None and packet.held is not None:
        arrived = packet.delivered or packet.held
        found |= {
            "lab.step": list(packet.steps),
            "lab.from": [packet.sender],
            "lab.label": list(packet.labels),
            "lab.fate": [packet.fate],
            "lab.refused": [packet.refused.code] if packet.refused else [],
        }
        for role in ROLES:
            found[f"lab.{role}.state"] = _said(packet.held if role == packet.sender else arrived, role)
    told = {"": (packet.held, packet.delivered), "kernel.": (packet.kernel_held, packet.kernel_delivered)}
    for of, states in told.items():
        for instant, each in zip(INSTANTS, states, strict=True):
            found |= {f"lab.{of}{role}.{instant}": _said(each, role) for role in ROLES}
    return {name: found.get(name, []) for name in FIELDS}


def _said(states: States | None, role: str) -> list[str]:
    value = states and (states.client if role == "client" else states.server)
    return [value] if value else []


def test_every_field_is_what_the_trace_says_in_all_captures(tshark: str, theirs: Path) -> None:
    """All packets in one file: tshark takes long to begin."""
    frames, packets = [], []
    for capture in sorted(REFERENCES.glob("*.pcapng")):
        with open_run(str(capture), words=True) as run:
            for packet in run.packets():
                assert packet.frame is not None
                packets.append(packet)
                frames.append(packet.frame._replace(comments=tuple(comments(packet))))
    together = saved(frames, theirs / "all.pcapng")
    for lang in LANGUAGES:
        found = fields(tshark, theirs, together, lang)
        assert len(found) == len(packets) > 500
        for packet, row in zip(packets, found, strict=True):
            assert row == expected(packet, lang)
    seen = {name for row in found for name, values in row.items() if values}
    assert seen == set(FIELDS), "each field is there at least once"


def test_a_capture_from_elsewhere_has_states_and_steps_too(tshark: str, theirs: Path) -> None:
    packets = walk(ladder(*OPEN)).packets
    noted = [each.frame._replace(comments=tuple(comments(each))) for each in packets if each.frame]
    assert fields(tshark, theirs, saved(noted, theirs / "elsewhere.pcapng")) == [
        expected(packet, "en") for packet in packets
    ]


def line(**told: Any) -> str:
    return journal.PREFIX + json.dumps({"told": told})


SAID = {"from": "client", "steps": ["tcp.open.1"], "states": {"held": {"client": "SYN-SENT", "server": None}}}
HOSTILE: list[tuple[str, dict[str, list[str]]]] = [
    ("lab1 ", {}),
    ("lab1 {", {}),
    ("lab1 []", {}),
    ("lab1 [[1,2],null,true,-1.5e3]", {}),
    ("lab1 " + "[" * 60_000, {}),
    ("lab1 " + '{"told":' * 8_000, {}),
    ('lab1 {"told":' + "9" * 5_000 + "}", {}),
    (line(**SAID) + " and more", {}),
    (line(**SAID).replace("SYN-SENT", "\\u0053YN"), {"lab.step": ["tcp.open.1"], "lab.from": ["client"]}),
    ('lab1 {"told":{"steps":"tcp.open.1","states":[],"from":{},"labels":[[],null,"x y","ok"]}}', {"lab.label": ["ok"]}),
    (line(fate="x" * 65, refused="\x1b[2J", steps=[1, "%s%n", "a.b"]), {"lab.step": ["a.b"]}),
    (line(steps=["a"] * 1_000), {"lab.step": ["a"] * 64}),
    ('lab1 {"kernel":{"held":{"client":"listen","server":"LISTEN"}}}', {"lab.kernel.server.held": ["LISTEN"]}),
    ("[lab] ", {}),
    ("[lab] said \u202e \x01", {"lab.note": ["said · ·"]}),
    ("[Lab] not ours", {}),
    ("lab2 {}", {}),
    ("", {}),
]


def test_what_does_not_fit_is_taken_as_not_said(tshark: str, theirs: Path) -> None:
    (frame,) = ladder("c> SYN 0")
    frames = [frame._replace(number=at, comments=(text,)) for at, (text, _) in enumerate(HOSTILE, 1)]
    found = fields(tshark, theirs, saved(frames, theirs / "hostile.pcapng"))
    shown = [{name: values for name, values in row.items() if values} for row in found]
    wanted = [dict(fields) for _, fields in HOSTILE]
    assert shown == wanted


def test_of_several_comments_ours_is_read_and_of_two_of_ours_the_first(tshark: str, theirs: Path) -> None:
    (frame,) = ladder("c> SYN 0")
    told = (
        "somebody's",
        "lab1 nothing",
        line(fate="lost"),
        "[实验] 二",
        "[lab] one",
        "[lab] two",
        line(fate="arrived"),
    )
    capture = saved([frame._replace(comments=told)], theirs / "several.pcapng")
    (row,) = fields(tshark, theirs, capture)
    assert (row["lab.fate"], row["lab.note"]) == (["lost"], ["one"])
    (row,) = fields(tshark, theirs, capture, "zh")
    assert row["lab.note"] == ["二"]


def test_states_stand_in_the_flow_graph(tshark: str, theirs: Path) -> None:
    packets = walk(ladder(*OPEN)).packets
    noted = [each.frame._replace(comments=tuple(comments(each))) for each in packets if each.frame]
    capture = saved(noted, theirs / "flow.pcapng")
    graph = asked(tshark, theirs, capture, "-q", "-z", "flow,any,network")
    assert "[client SYN-SENT, server SYN-RECEIVED]" in graph
    without = asked(tshark, theirs, capture, "-q", "-z", "flow,any,network", "-o", "lab.info:FALSE")
    assert "SYN-SENT" not in without


def test_a_preference_chooses_the_language(tshark: str, theirs: Path) -> None:
    (packet,) = walk(ladder("c> SYN 0")).packets
    assert packet.frame
    capture = saved([packet.frame._replace(comments=tuple(comments(packet)))], theirs / "one.pcapng")
    note = ("-T", "fields", "-e", "lab.note")
    assert asked(tshark, theirs, capture, *note, "-o", "lab.language:中文").startswith("握手 1：")
    assert asked(tshark, theirs, capture, *note, "-o", "lab.language:English", lang="zh").startswith("open 1:")


def test_who_has_it_installed_may_be_given_it_once_more(tshark: str, theirs: Path) -> None:
    second = theirs / "second.lua"
    second.write_bytes(SCRIPT.read_bytes())
    capture = saved(ladder("c> SYN 0"), theirs / "one.pcapng")
    assert asked(tshark, theirs, capture, "-X", f"lua_script:{second}")
