"""However a file is divided, and whichever way through it is chosen, it says the same; and the way fits the file."""

from __future__ import annotations

import io
import random
import ssl
from pathlib import Path

import pytest

from lab import bulk
from lab.app.formats import Format, write_rows
from lab.bulk import RowFormat, first_look, two_processes
from lab.engine import path
from lab.runs.recorded import open_run
from scripts import generate
from tests import transfers
from tests.bulk.test_prediction import CABLES, record, secret_talk
from tests.bulk.test_two_processes import written
from tests.packets import IPV4, ladder
from tests.transfers import Shape, Transfer


@pytest.mark.parametrize("form", list(RowFormat))
@pytest.mark.parametrize("halved", [True, False])
def test_long_connections_are_said_alike_however_the_file_is_divided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: RowFormat, halved: bool
) -> None:
    dice = random.Random(str(form))
    versions = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    made = [Transfer(dice, secret_talk(dice, versions[at % 2]), CABLES["lossy"], Shape(), at) for at in range(9)]
    file = transfers.write(transfers.together(made), tmp_path / "made.pcap")
    monkeypatch.setattr(two_processes, "_ENOUGH", 1)
    monkeypatch.setattr(two_processes, "two_processors", lambda: halved)
    out = io.StringIO()
    with bulk.rows(str(file), form) as rows:
        assert rows is not None
        write_rows(rows, Format(form.value), out, "en", live=False)
    said, expected = out.getvalue(), written(file, form, halved=False)
    end = said.rfind('\n"file": ') if form is RowFormat.JSON else len(said)  # which has a digest of the file
    assert said[:end] == expected[:end]


def test_conversations_that_are_alike_are_told_behind_the_beginning_of_a_file(tmp_path: Path) -> None:
    dice = random.Random(4)
    long = [Transfer(dice, [("server", b"-" * 300_000)], CABLES["clean"], Shape(), at) for at in range(40)]
    openings = [each.packets[:3] for each in long]
    packets = [each for opening in openings for each in opening]
    packets += [each for one in long for each in one.packets[3:]]
    assert not first_look.alike(str(transfers.write(packets, tmp_path / "long.pcap")), whatever_carried=True)
    generate.write(12_000, tmp_path / "alike.pcap")
    assert first_look.alike(str(tmp_path / "alike.pcap"), whatever_carried=False)


def test_where_conversations_carry_tls_their_rows_are_not_worth_to_be_compared(tmp_path: Path) -> None:
    dice = random.Random(4)
    hellos = secret_talk(dice, ssl.TLSVersion.TLSv1_3)[:2]
    short = [Transfer(dice, hellos, CABLES["clean"], Shape(), at) for at in range(40)]
    file = str(transfers.write([each for one in short for each in one.packets], tmp_path / "short.pcap"))
    assert first_look.alike(file, whatever_carried=True)
    assert not first_look.alike(file, whatever_carried=False)


@pytest.mark.parametrize("words", [False, True])
def test_messages_that_nobody_reads_take_no_room_while_their_packets_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: bool
) -> None:
    dice = random.Random(5)
    said = [*secret_talk(dice, ssl.TLSVersion.TLSv1_3)[:3], ("server", record(dice, 16_401) * 100)]
    (syn,) = ladder("c> SYN 0", pair=IPV4._replace(client="198.51.100.7"))  # nobody answers: all others wait
    packets = [(0.0, syn.data), *Transfer(dice, said, CABLES["clean"], Shape()).packets]
    monkeypatch.setattr(path, "_MOST_BYTES", 800_000)
    with open_run(str(transfers.write(packets, tmp_path / "made.pcap")), frames=False, words=words) as run:
        given_up = [packet.number for packet in run.packets() if "given-up" in packet.labels]
    assert given_up == ([1] if words else [])
