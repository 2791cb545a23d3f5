"""The profile loads quietly, and each of its filters picks the packets that it says, without our script too."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from lab.capture.pcapng import Writer
from lab.render.comments import comments
from lab.runs.recorded import open_run
from lab.wireshark import profile
from tests.packets import ladder
from tests.places import REFERENCES

FILES = {name: content.decode() for name, content in profile.files("en").items()}


def lines(name: str) -> list[str]:
    return [line for line in FILES[name].splitlines() if line and not line.startswith("#")]


def buttons() -> dict[str, str]:
    """Returns the filters by their buttons, as Wireshark reads them."""
    rows = csv.reader(io.StringIO("\n".join(lines("dfilter_buttons"))))
    return {label: re.sub(r"\\x(..)", lambda code: chr(int(code[1], 16)), text) for _, label, text, _ in rows}


def colours() -> dict[str, str]:
    return dict(line.split("@")[1:3] for line in lines("colorfilters"))


FILTERS = {**buttons(), **colours(), "profile_settings": lines("profile_settings")[0].partition(": ")[2]}


NAMES = ("tcp-connection", "tcp-syn-lost", "tcp-blind-reset", "tls-unknown-ca", "websocket-connection")


class Place(NamedTuple):
    """A folder of settings with the profile, and a file with captures one after the other: whose each packet is."""

    folder: Path
    capture: Path
    packets: list[tuple[str, int]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The captures have today's notes in them; the last packet is somebody else's."""
    folder = tmp_path_factory.mktemp("settings")
    profile.lay_out(folder, "en")
    found = Place(folder, folder / "all.pcapng", [])
    with found.capture.open("wb") as stream:
        writer = Writer(stream)
        for name in NAMES:
            with open_run(str(REFERENCES / f"{name}.pcapng"), words=True) as run:
                for packet in run.packets():
                    assert packet.frame
                    writer.packet(packet.frame, comments(packet))
                    found.packets.append((name, packet.number))
        writer.packet(ladder("c> SYN 0")[0], ["somebody's"])
        found.packets.append(("others", 1))
        writer.finish()
    return found


def asked(tshark: str, place: Place, *words: str) -> list[str]:
    environ = {**os.environ, "WIRESHARK_CONFIG_DIR": str(place.folder), "HOME": str(place.folder)}
    command = [tshark, "-n", "-C", profile.NAME, "-r", str(place.capture), *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert [each for each in done.stderr.splitlines() if "Running as user" not in each and each.strip()] == []
    return done.stdout.splitlines()


def test_there_is_a_button_for_each_part_and_a_colour_for_each_of_the_ladders() -> None:
    assert [label.partition(" ")[0] for label in buttons()] == ["Open", "TLS", "WebSocket", "Close", "Trouble"]
    assert [label.partition(" ")[0] for label in colours()] == ["lost", "refused", "RST", "FIN", "SYN", "data", "TCP"]


def test_it_loads_without_a_word_and_shows_the_notes(tshark: str, place: Place) -> None:
    first, *_ = asked(tshark, place)
    assert "[lab] open 1: The client asks for a connection: SYN." in first
    assert "Seq=0" in first


PICKED: dict[str, dict[str, list[int]]] = {
    "Open 握手": {name: [1, 2, 3, 4] if name == "tcp-syn-lost" else [1, 2, 3] for name in NAMES},
    "TLS": {"tls-unknown-ca": [4, 6, 8]},
    "WebSocket": {"websocket-connection": [4, 6, 8, 9, 10, 11, 12, 13]},
    "Close 挥手": {
        "tcp-connection": [8, 9, 10, 11],
        "tcp-syn-lost": [9, 10, 11, 12],
        "tcp-blind-reset": [8, 9, 13, 15],
        "tls-unknown-ca": [9, 10, 11, 12],
        "websocket-connection": [14, 15, 16, 17],
    },
    "Trouble 异常": {"tcp-syn-lost": [1, 2], "tcp-blind-reset": [8, 9, 13, 14, 15], "tls-unknown-ca": [8]},
    "lost 丢失": {"tcp-syn-lost": [1]},
    "refused 被拒收": {"tcp-blind-reset": [8, 9, 14]},
    "RST": {"tcp-blind-reset": [8, 9, 13, 15]},
}
DOUBTED = ("tcp-blind-reset", {10, 11})  # by Wireshark, after forged numbers: not by every version of it


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_picks_what_it_is_for(tshark: str, place: Place, name: str) -> None:
    numbers = asked(tshark, place, "-Y", FILTERS[name], "-T", "fields", "-e", "frame.number")
    found: dict[str, list[int]] = {}
    for number in numbers:
        capture, packet = place.packets[int(number) - 1]
        found.setdefault(capture, []).append(packet)
    if name == "profile_settings":
        assert set(found) == set(NAMES), "and no capture of others"
        assert len(numbers) == len(place.packets) - 1
    elif name in PICKED:
        capture, doubted = DOUBTED
        if name.startswith("Trouble"):
            found[capture] = [number for number in found[capture] if number not in doubted]
        assert found == PICKED[name]


def test_the_archive_is_the_folder_and_the_same_each_time() -> None:
    made = profile.archive("en")
    assert made == profile.archive("en")
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        found = {entry.filename: archive.read(entry).decode() for entry in archive.infolist()}
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    assert found == {f"{profile.NAME}/{name}": content for name, content in FILES.items()}


def test_in_chinese_the_notes_are_the_chinese_ones() -> None:
    english, chinese = (profile.files(lang)["preferences"].decode() for lang in ("en", "zh"))
    assert chinese == english.replace('"Note", "%Cus:frame.comment:1:R"', '"讲解", "%Cus:frame.comment:2:R"') != english
