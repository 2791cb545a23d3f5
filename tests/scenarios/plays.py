"""Which scenario is played how often, and what Wireshark says of all that were: each is played once, all are asked of
together.

LAB_REPEAT says how often each scenario of TCP is played over IPv4 and over IPv6 (default 2).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate
from pathlib import Path as File
from typing import NamedTuple, TypeVar
from xml.etree import ElementTree

import pytest

from lab.protocols.catalogue import scenario, scenarios
from lab.protocols.scenario import Scenario
from lab.witnesses import question
from lab.witnesses.question import Opinion, Opinions
from tests.runs import Run, play

T = TypeVar("T")

REPEAT = max(int(os.environ.get("LAB_REPEAT", "2")), 1)
# What carries a protocol is proved by TCP: of the others some are played over IPv6 as well.
OVER_IPV6 = ("tls/1.2-rsa", "tls/1.3", "tls/expired", "websocket/connection", "websocket/tls")


class Play(NamedTuple):
    """One play of a scenario among those that are planned."""

    scenario: Scenario
    ipv6: bool = False
    time: int = 1

    @property
    def name(self) -> str:
        return f"{self.scenario.name}-{'ipv6' if self.ipv6 else 'ipv4'}-{self.time}"


def plays(*wanted: str) -> list[Play]:
    """Returns the plays of these protocols; of all there are, where none is named."""
    return [
        Play(each, ipv6, time)
        for each in scenarios()
        if each.lacking() is None  # else tests/testbed/test_docker.py plays it in the image
        if not wanted or protocol(each) in wanted
        for ipv6 in (False, True)
        if not ipv6 or protocol(each) == "tcp" or each.name in OVER_IPV6
        for time in range(1, 1 + (REPEAT if protocol(each) == "tcp" else 1))
    ]


def protocol(scenario: Scenario) -> str:
    return scenario.name.partition("/")[0]


class Played:
    """Plays each scenario when its run is first asked for, and keeps it for all who look at it."""

    def __init__(self, folder: File) -> None:
        self._folder = folder
        self._runs: dict[Play, Run] = {}

    def __getitem__(self, wanted: Play) -> Run:
        if wanted not in self._runs:
            self._runs[wanted] = self._play(wanted)
        return self._runs[wanted]

    def named(self, name: str) -> Run:
        """Returns the first run of a scenario over IPv4."""
        return self[Play(scenario(name))]

    def _play(self, wanted: Play) -> Run:
        """A run in which a busy machine let a timer go off must agree too, and is played again."""
        file = self._folder / f"{wanted.name.replace('/', '-')}.pcapng"
        for _ in range(5):
            run = play(wanted.scenario, file, wanted.ipv6)
            if not run.disturbed:
                break
            assert not run.faults, run.shows("no fault", "; ".join(run.faults))
        return run


class Dissected(NamedTuple):
    """A packet as Wireshark shows it in detail: its protocols and fields, each with its value, in their order."""

    fields: tuple[tuple[str, str], ...]

    def has(self, name: str) -> bool:
        return any(each == name for each, _ in self.fields)

    def all(self, *names: str) -> list[str]:
        """Returns all values of these fields."""
        return [value for name in names for each, value in self.fields if each == name]

    def first(self, name: str) -> str:
        """Returns the outermost value of a field, "" where there is none."""
        return next(iter(self.all(name)), "")


class Witness:
    """Wireshark, asked once about many runs: to start tshark takes longer than to read what any of them has captured.

    A pcapng file may have many sections, so captures one behind the other are one file.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    @cached_property
    def opinions(self) -> dict[File, Opinions]:
        """What lab.witnesses.wireshark makes of each run's file."""
        with self._in_one_file() as file:
            asked = question.ask(file)
        split = self._split(asked)
        for mine in split.values():
            mine[:] = [each._replace(number=number) for number, each in enumerate(mine, 1)]
        return {file: _opinions(mine, asked.complaints) for file, mine in split.items()}

    @cached_property
    def dissected(self) -> dict[File, list[Dissected]]:
        """Each run's packets with all their fields, decrypted with what is in the file."""
        return self._split(self._in_detail[0])

    @property
    def followed(self) -> dict[str, str]:
        """What was said inside TLS in each of Wireshark's streams, as text."""
        return self._in_detail[1]

    @cached_property
    def hosts(self) -> dict[File, list[list[str]]]:
        """Each packet's sender, by the name it has in the file, and the interface's name."""
        asked = ("ip.src_host", "ipv6.src_host", "frame.interface_name")
        with self._in_one_file() as file:
            said = tshark(
                "-N", "n", "-r", str(file), "-T", "fields", *(word for name in asked for word in ("-e", name))
            )
        return self._split([line.split() for line in said.splitlines()])

    @cached_property
    def _in_detail(self) -> tuple[list[Dissected], dict[str, str]]:
        with self._in_one_file() as file:
            return dissect(file, sum(len(run.conversations) for run in self._runs))

    @contextmanager
    def _in_one_file(self) -> Iterator[File]:
        with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
            for run in self._runs:
                file.write(run.file.read_bytes())
            file.flush()
            yield File(file.name)

    def _split(self, packets: Sequence[T]) -> dict[File, list[T]]:
        """Gives each run its packets."""
        ends = list(accumulate(len(run.packets) for run in self._runs))
        assert len(packets) == ends[-1], "Wireshark counts other packets than we do"
        return {
            run.file: list(packets[end - len(run.packets) : end]) for run, end in zip(self._runs, ends, strict=True)
        }


def _opinions(told: Iterable[Opinion], complaints: list[str]) -> Opinions:
    made = Opinions()
    made += told
    made.complaints += complaints
    return made


def dissect(file: File, streams: int = 0) -> tuple[list[Dissected], dict[str, str]]:
    """Returns all packets of a file, and by number what was said inside TLS in the first `streams` of its streams."""
    follow = (word for stream in range(streams) for word in ("-z", f"follow,tls,ascii,{stream}"))
    packets, closed, followed = tshark("-2", "-r", str(file), "-T", "pdml", *follow).partition("</pdml>")
    dissected = [
        Dissected(tuple((field.get("name", ""), field.get("show", "")) for field in packet.iter()))
        for packet in ElementTree.fromstring(packets + closed)
    ]
    _, *parts = re.split(r"^Filter: tcp\.stream eq (\d+)$", followed, flags=re.MULTILINE)
    return dissected, dict(zip(parts[::2], parts[1::2], strict=True))


def tshark(*words: str) -> str:
    """Returns what tshark writes. It cuts long comments anywhere, also within a character."""
    return subprocess.run(["tshark", *words], check=True, capture_output=True, timeout=100).stdout.decode(
        errors="replace"
    )


def every(*wanted: str) -> pytest.MarkDecorator:
    """Gives a test every run that is planned of these protocols, as `played`; of all, where none is named."""
    return _given(plays(*wanted))


def only(*names: str) -> pytest.MarkDecorator:
    """Gives a test the first run of each of these scenarios, as `played`."""
    return _given([Play(scenario(name)) for name in names])


def _given(planned: list[Play]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("played", planned, ids=[each.name for each in planned], indirect=True)
