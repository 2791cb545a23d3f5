"""`lab verify`: every reference capture held against Wireshark, by tshark and by pyshark, and what goes wrong."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as File
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import lab
from lab.capture.reader import open_capture
from lab.model import Address, ConversationReport, Frame, Packet
from lab.report.witnesses import Disagreement, Verification
from lab.system import processes
from lab.witnesses import above, histories, question, verify, wireshark
from lab.witnesses.dissection import Dissected, dissected
from lab.witnesses.question import Opinion
from lab.witnesses.tshark import Asking
from tests.places import REFERENCES, ROOT
from tests.scenarios.expected import expected

CAPTURES = sorted(REFERENCES.glob("*.pcapng"))


@contextmanager
def in_one_file() -> Iterator[File]:
    """All reference captures, one behind the other: a pcapng may have many sections."""
    with NamedTemporaryFile(suffix=".pcapng") as file:
        for capture in CAPTURES:
            file.write(capture.read_bytes())
        file.flush()
        yield File(file.name)


def frames(capture: File) -> list[Frame]:
    with open_capture(str(capture)) as opened:
        return list(opened)


@pytest.fixture(scope="session")
def by_tshark(tshark: str) -> dict[File, list[Opinion]]:
    """What tshark says of each capture: asked once, for to start it takes longest."""
    with in_one_file() as file, Asking(file, question.ALL, (*question.PREFERENCES, *question.TWICE)) as asking:
        return parted(list(question.read(asking, question.ALL)))


@pytest.fixture(scope="session")
def by_pyshark(tshark: str) -> dict[File, list[Opinion]]:
    """The same by pyshark, of each packet's full dissection."""
    pytest.importorskip("pyshark")
    with in_one_file() as file:
        return parted([opinion(each) for each in dissected(file)])


def parted(opinions: Sequence[Opinion]) -> dict[File, list[Opinion]]:
    """Gives each capture the opinions on its packets, numbered from 1."""
    found, left = {}, list(opinions)
    for capture in CAPTURES:
        count = len(frames(capture))
        found[capture] = [each._replace(number=at) for at, each in enumerate(left[:count], 1)]
        del left[:count]
    assert not left
    return found


def opinion(packet: Dissected) -> Opinion:
    """Returns what a dissection says, in the words of the comparison."""

    def number(name: str) -> int:
        return int((packet.all(name) or ["0"])[0], 0)

    labels = dict.fromkeys(
        label for label, names in question.ANALYSIS.items() for name in names if packet.all(f"tcp.analysis.{name}")
    )
    hosts = [next(iter(packet.all(f"ip.{end}") or packet.all(f"ipv6.{end}")), "") for end in ("src", "dst")]
    return Opinion(
        packet.number, ":".join(dict.fromkeys(each.layer for each in packet.fields)), number("tcp.stream"),
        number("tcp.flags") & 0x1FF, number("tcp.seq"), number("tcp.ack"), number("tcp.len"), number("tcp.hdr_len"),
        tuple(labels), (), None,
        (Address(hosts[0], number("tcp.srcport")), Address(hosts[1], number("tcp.dstport"))), None,
        {name: tuple(packet.all(name)) for name in question.ALL if packet.all(name)},
    )  # fmt: skip


def differing(capture: File, opinions: Sequence[Opinion]) -> tuple[dict[str, int], list[tuple[Any, ...]]]:
    """Returns what was compared, how often, and all that differs."""
    segments, carried = wireshark.Comparison(), above.Comparison()
    found: list[tuple[Any, ...]] = []
    with lab.open(capture, words=False) as run:
        for packet, said in zip(run, opinions, strict=True):
            for each in segments.of(packet, said):
                found.append(tuple(each))
                carried.odd(packet.conversation or 0)
            carried.of(packet, said)
        found += map(tuple, segments.completeness())
        found += [(each.number, each.tells.name, *each[2:]) for each in both(carried, run.reports())]
    return {**segments.compared, **carried.compared}, found


def both(carried: above.Comparison, reports: Sequence[ConversationReport]) -> list[above.Difference]:
    """Returns what is told differently of packets, and of whole conversations."""
    found = [*carried.of_packets()]
    for each in reports:
        found += carried.of_conversation(each.id, each.first, each.facts)
    return found


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_every_reference_agrees_with_tshark(capture: File, by_tshark: dict[File, list[Opinion]]) -> None:
    compared, found = differing(capture, by_tshark[capture])
    assert [each for each in found if each[-1] is None] == []
    assert {each[-1] for each in found} == set(expected(capture.stem.replace("-", "/", 1)).wireshark)
    everything(capture, compared, found)
    assert compared["completeness"] >= 1


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_every_reference_agrees_with_pyshark(capture: File, by_pyshark: dict[File, list[Opinion]]) -> None:
    compared, found = differing(capture, by_pyshark[capture])
    assert [each for each in found if each[-1] is None] == []
    everything(capture, compared, found)


def everything(capture: File, compared: dict[str, int], found: list[tuple[Any, ...]]) -> None:
    """Asserts that every flag, number and message of every packet has been compared; but not the numbers of a stream
    that Wireshark has begun anew in the middle of a connection, where it counts from elsewhere. Where it has only
    another number for a whole connection, these are compared as well."""
    anew = sum(each[1] == "conversation" for each in found)
    with lab.open(capture, words=False) as run:
        packets = [packet for packet in run if packet.conversation is not None]
    for name in ("flags", "payload"):
        assert compared[name] == len(packets)
    for name in ("seq", "ack", "addresses", "analysis"):
        assert len(packets) - anew <= compared[name] <= len(packets)
    messages = {each.name for packet in packets for each in packet.messages}
    names = {
        "ClientHello": "tls.handshake", "ChangeCipherSpec": "tls.change_cipher_spec", "alert": "tls.alert",
        "close_notify": "tls.alert", "application-data": "tls.data", "ServerHello": "tls.version",
        "upgrade-request": "websocket.request", "101": "websocket.accept", "text": "websocket.frame",
    }  # fmt: skip
    assert {name for message, name in names.items() if message in messages} <= compared.keys()


# Numbered deviations.


def saved(file: File, packets: Sequence[Frame]) -> File:
    """Writes a pcap: without secrets, journal and names."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    rows = [
        struct.pack("<IIII", *divmod((each.time or 0) // 1000, 10**6), len(each.data), each.length) + each.data
        for each in packets
    ]
    file.write_bytes(head + b"".join(rows))
    return file


def asked(file: File) -> Verification:
    return lab.verify(lab.open(file, words=False), dissectors=True)


def numbers(found: Verification) -> set[int | None]:
    return {each.deviation for each in found.disagreements}


def test_number_21_a_port_that_is_another_protocols(tshark: str, tmp_path: File) -> None:
    def moved(frame: Frame) -> Frame:
        data = bytearray(frame.data)
        for at in (34, 36):
            if data[at : at + 2] == struct.pack(">H", 8080):
                data[at : at + 2] = struct.pack(">H", 22)
        return frame._replace(data=bytes(data))

    found = asked(saved(tmp_path / "22.pcap", [moved(each) for each in frames(reference("websocket-connection"))]))
    assert numbers(found) == {above.OTHER_PROTOCOL}
    assert found.agrees


def reference(name: str) -> File:
    return REFERENCES / f"{name}.pcapng"


def test_number_22_without_secrets_a_finished_is_known_by_its_place(tshark: str, tmp_path: File) -> None:
    found = asked(saved(tmp_path / "closed.pcap", frames(reference("tls-1.2-ecdhe"))))
    assert [(each.packet, each.ours, each.theirs, each.deviation) for each in found.disagreements] == [
        (8, "ClientKeyExchange Finished", "ClientKeyExchange", above.NOT_OPENED_BY_BOTH),
        (9, "Finished", "-", above.NOT_OPENED_BY_BOTH),
    ]


def test_number_23_behind_a_packet_that_was_not_captured(tshark: str, tmp_path: File) -> None:
    kept = [each for each in frames(reference("websocket-connection")) if each.number != 8]
    found = asked(saved(tmp_path / "hole.pcap", kept))
    assert numbers(found) == {above.BEHIND_A_HOLE}
    assert found.agrees


def test_number_24_a_damaged_file_is_read_on_here(tshark: str, tmp_path: File) -> None:
    data = bytearray(reference("tcp-connection").read_bytes())
    at = data.index(frames(reference("tcp-connection"))[4].data) - 28
    data[at + 20 : at + 24] = b"\xff\xff\xff\x7f"  # how much of the packet was captured
    file = tmp_path / "damaged.pcapng"
    file.write_bytes(data)
    (only,) = [each for each in asked(file).disagreements if each.witness == "wireshark"]
    assert (only.what, only.ours, only.theirs, only.deviation) == ("packets", "10", "4", verify.STOPS_AT_DAMAGE)


# A difference is found wherever it is.


def changed(packet: Packet, **facts: Any) -> Packet:
    return packet._replace(messages=tuple(each._replace(**facts) for each in packet.messages))


def test_a_message_that_is_told_differently_is_found(by_tshark: dict[File, list[Opinion]]) -> None:
    for name, number, row in (("tls-1.3", 4, "tls.handshake"), ("websocket-connection", 8, "websocket.frame")):
        capture = reference(name)
        opinions = by_tshark[capture]
        comparison = above.Comparison()
        with lab.open(capture, words=False) as run:
            for packet, said in zip(run, opinions, strict=True):
                other = {"name": "Certificate"} if name == "tls-1.3" else {"facts": {"opcode": 2}}
                comparison.of(changed(packet, **other) if packet.number == number else packet, said)
            found = both(comparison, run.reports())
        assert [(each.number, each.tells.name, each.deviation) for each in found] == [(number, row, None)]


def test_a_fact_of_a_conversation_that_is_told_differently_is_found(by_tshark: dict[File, list[Opinion]]) -> None:
    capture = reference("tls-1.3")
    comparison = above.Comparison()
    with lab.open(capture, words=False) as run:
        for packet, said in zip(run, by_tshark[capture], strict=True):
            comparison.of(packet, said)
        (report,) = run.reports()
    facts = {**report.facts, "tls": {**report.facts["tls"], "version": "TLS 1.2", "sni": "elsewhere"}}
    found = both(comparison, [report._replace(facts=facts)])
    assert [(each.tells.name, each.ours, each.theirs) for each in found] == [
        ("tls.version", ("TLS 1.2",), ("TLS 1.3",)),
        ("tls.sni", ("elsewhere",), (report.facts["tls"]["sni"],)),
    ]


# The command.


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", "verify", *words], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=100,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_what_is_printed_and_its_schema(tshark: str, tmp_path: File) -> None:
    file, out = str(reference("tcp-old-timestamp")), tmp_path / "found.json"
    told = run(file)
    assert told.returncode == 0
    assert "≈ packet 10, retransmission: no here, yes to Wireshark (DEVIATIONS.md, no. 20)" in told.stdout
    assert "states of both ends" in told.stdout
    done = run(file, "--json", "-o", str(out), "--expect", "close=rst", "--expect", "file.packets=13")
    assert (done.returncode, done.stdout) == (1, "")
    document = json.loads(out.read_text("utf-8"))
    Draft202012Validator(lab.schema("verify")).validate(document)
    assert document["agrees"] is True
    assert [each["holds"] for each in document["expectations"]] == [False, True]
    assert document["expectations"][0]["found"] == [{"conversation": 0, "value": "fin"}]
    for row in document["compared"]:
        assert row["compared"] == row["agree"] + sum(row["deviations"].values()) + row["unexplained"]


def test_the_schema_is_one_and_knows_every_name() -> None:
    schema = lab.schema("verify")
    Draft202012Validator.check_schema(schema)
    assert {"states", "tls.handshake", "websocket.frame"} <= set(schema["$defs"]["name"]["enum"])


def test_a_kernel_that_says_otherwise_gives_status_1(tmp_path: File) -> None:
    file = tmp_path / "changed.pcapng"
    true, false = b'"delivered":{"client":"FIN-WAIT-2"', b'"delivered":{"client":"FIN-WAIT-1"'
    file.write_bytes(reference("tcp-connection").read_bytes().replace(true, false))
    done = run(str(file), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "≠ packet 9, delivered: the client's kernel says FIN-WAIT-1, the table FIN-WAIT-2" in done.stdout


@pytest.mark.parametrize("end", [0.55, 0.6, 0.65, 0.7, 0.75, 0.8])
def test_a_file_that_ends_in_a_packet_is_no_fault(end: float, tmp_path: File) -> None:
    data = reference("tcp-connection").read_bytes()
    file = tmp_path / "cut.pcapng"
    file.write_bytes(data[: int(len(data) * end)])
    found = lab.verify(lab.open(file, words=False))
    assert found.faults == ()
    assert found.compared >= 20


def test_a_packet_whose_journal_is_lost_explains_what_follows() -> None:
    found = lab.verify(lab.open(ROOT / "tests" / "corpus" / "padding-like-a-hello.pcapng", words=False))
    assert {each.packet for each in found.disagreements} == {9, 10, 11}  # packet 8 is the client's FIN
    assert {each.deviation for each in found.disagreements} == {3, verify.UNTOLD}


def test_a_journal_that_is_too_long_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: File) -> None:
    monkeypatch.setattr(verify, "_MOST_REPLAYED", 10)
    found = lab.verify(lab.open(reference("tcp-connection"), words=False))
    assert [row.name for row in found.rows] == ["states"]
    assert [each.en for each in found.notes] == [
        "the journal is longer than 10 packets: not compared with the packets alone"
    ]


def test_a_journal_that_is_too_entangled_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "_MOST_LOOKED_AT", 10)
    found = lab.verify(lab.open(reference("tcp-connection"), words=False))
    assert [row.name for row in found.rows] == ["states"]
    assert [each.en for each in found.notes] == [
        "too many packets of the journal are under way at once: not compared with the packets alone"
    ]


def test_secrets_are_given_to_wireshark_too(tshark: str, tmp_path: File) -> None:
    capture = reference("tls-1.2-ecdhe")
    with open_capture(str(capture)) as opened:
        keylog = tmp_path / "keys"
        keylog.write_bytes(b"\n".join(opened.secrets_ahead() or []))
    file = saved(tmp_path / "open.pcap", frames(capture))
    found = lab.verify(lab.open(file, keylog=keylog, words=False), dissectors=True)
    assert found.disagreements == ()


def test_who_reads_no_further_is_told_by_the_status_all_the_same(tmp_path: File) -> None:
    for condition, status in (("close=fin", 0), ("close=rst", 1)):
        reads, writes = os.pipe()
        os.close(reads)
        done = subprocess.run(
            [sys.executable, "-m", "lab", "verify", str(reference("tcp-connection")), "--expect", condition],
            cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, timeout=100, check=False,
            env={**os.environ, "PATH": str(tmp_path)},
        )  # fmt: skip
        os.close(writes)
        assert done.returncode == status


# Bad moments.


def program(folder: File, script: str) -> str:
    """Puts a tshark of its own in front of all others."""
    path = folder / "tshark"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return f"{folder}:{os.environ['PATH']}"


def test_without_tshark_the_kernels_are_compared_and_without_them_too_it_is_an_error(tmp_path: File) -> None:
    done = run(str(reference("tcp-connection")), PATH=str(tmp_path))
    assert done.returncode == 0
    assert "46        46" in done.stdout
    assert "not compared with Wireshark: tshark, the command line of Wireshark, is not installed" in done.stderr
    file = saved(tmp_path / "bare.pcap", frames(reference("tcp-connection")))
    done = run(str(file), PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (4, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert run(str(file), "--expect", "close=fin", PATH=str(tmp_path)).returncode == 0
    assert run(str(file), "--expect", "close=rst", PATH=str(tmp_path)).returncode == 1


def test_a_tshark_that_dies_halfway_is_said_and_the_rest_compared(tshark: str, tmp_path: File) -> None:
    path = program(tmp_path, f'{tshark} "$@" | head -n 5; kill -SEGV $$')
    done = run(str(reference("tcp-connection")), PATH=path)
    assert done.returncode == 4
    assert "error: tshark ended after 5 of 11 packets: tshark ended with signal 11" in done.stderr
    assert "hint: " in done.stderr
    (flags,) = (line for line in done.stdout.splitlines() if line.startswith("✓ flags"))
    assert flags.split()[2:] == ["Wireshark", "5", "5", "-", "-"]


def test_a_tshark_that_refuses_the_file(tmp_path: File) -> None:
    path = program(tmp_path, "echo 'tshark: The file is not a capture.' >&2; exit 2")
    done = run(str(reference("tcp-connection")), PATH=path)
    assert done.returncode == 0
    assert "not compared with Wireshark: Wireshark can't read it: tshark: The file is not a capture." in done.stderr


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec head -c 30000000 /dev/zero", "error: tshark writes a row of more than 16 MB"),
        (None, "not compared with Wireshark: {}/tshark can't be started: "),
    ],
)
def test_a_tshark_that_is_none_is_said_and_the_kernels_compared(script: str | None, said: str, tmp_path: File) -> None:
    path = program(tmp_path, script or "")
    if script is None:
        (tmp_path / "tshark").write_text("#!/nowhere/sh\n")
    done = run(str(reference("tcp-connection")), PATH=path)
    assert done.returncode == (4 if script else 0)
    assert said.format(tmp_path) in done.stderr
    assert "46        46" in done.stdout


def test_a_tshark_that_takes_too_long_is_given_up(tshark: str, tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, "exec sleep 1000"))
    asking = Asking(reference("tcp-connection"), question.ALL, patience=0.1)
    with asking, pytest.raises(lab.MachineError, match="not done after"):
        next(iter(asking))


def test_how_long_a_process_has_worked() -> None:
    with subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) as busy:
        try:
            while not processes.worked(busy.pid):
                pass
        finally:
            busy.kill()
    assert processes.worked(busy.pid) == 0.0  # it is no more


@pytest.mark.parametrize(("a_look", "looks"), [(0.0005, 10), (0.006, 2), (0.0, 1)])
def test_patience_is_counted_in_tsharks_own_time(
    a_look: float, looks: int, tshark: str, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def worked(child: int) -> float:
        asked.append(child)
        return a_look * len(asked)

    monkeypatch.setattr(processes, "worked", worked)
    monkeypatch.setenv("PATH", program(tmp_path, "exec sleep 1000"))
    asking = Asking(tmp_path / "any", question.ALL, patience=0.01)
    with asking, pytest.raises(lab.MachineError, match="not done after"):
        next(iter(asking))
    assert len(asked) == 1 + looks


def test_a_field_that_this_tshark_does_not_know_is_left_out(tshark: str) -> None:
    with Asking(reference("tls-1.3"), ("tcp.stream", "tls.nobody.knows", "tcp.len")) as asking:
        rows = list(asking)
    assert len(rows) == 17
    assert rows[3][:2] == ["0", ""]
    assert int(rows[3][2]) > 100


def test_what_tshark_can_not_unfold_is_unfolded_for_it(tshark: str) -> None:
    found = asked(ROOT / "tests" / "corpus" / "xz.pcap")
    assert found.lacking is None
    assert {row.name for row in found.rows} >= {"flags", "seq"}
    assert found.agrees


def test_one_packet_is_shown_twice(tshark: str) -> None:
    pytest.importorskip("pyshark")
    done = run(str(reference("tls-1.2-rsa")), "--packet", "6")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "22        Time to Live 64                     Time to Live: 64" in lines
    assert any("TLS ServerHello" in line and "TLSv1.2 Record Layer" in line for line in lines)
    told = json.loads(run(str(reference("tls-1.2-rsa")), "--packet", "6", "--json").stdout)
    assert told["schema"] == "handshake-lab/verify-packet/v1"
    assert {"layer": "ip", "name": "ip.ttl"}.items() <= next(
        each for each in told["wireshark"] if each["name"] == "ip.ttl"
    ).items()
    assert told["lab"]["number"] == 6
    Draft202012Validator(lab.schema("verify-packet")).validate(told)


def test_a_disagreement_is_told_in_both_languages() -> None:
    each = Disagreement(9, "wireshark", "seq", "1", "5000", 17)
    assert each.text().en == "packet 9, sequence numbers: 1 here, 5000 to Wireshark"
    assert each.text().zh == "第 9 号包，序号：此处为 1，Wireshark 解析器为 5000"
