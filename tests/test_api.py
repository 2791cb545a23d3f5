"""`import lab`: what scripts, notebooks and the lab's own commands are made of. docs/api.md shows how to use it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import lab
from lab.capture.pcapng import Writer
from lab.protocols.tls.credentials import make
from lab.render import trace
from lab.report import agreement
from lab.witnesses import verify
from tests.left_behind import packets
from tests.places import CORPUS, REFERENCES
from tests.scenarios.expected import expected

CONNECTION = REFERENCES / "tcp-connection.pcapng"
THREE = REFERENCES / "tcp-three-segment-close.pcapng"
TWICE = REFERENCES / "tls-1.3-resumption.pcapng"  # two conversations
TLS = REFERENCES / "tls-1.3.pcapng"
HEAVY = {
    "asyncio", "cryptography", "json", "jsonschema", "multiprocessing", "numpy", "orjson", "pyroute2", "rich", "scapy",
    "socket", "ssl", "subprocess", "textual", "typer", "websockets",
}  # fmt: skip

every_way = pytest.mark.parametrize("way", [str, Path, lambda path: path])


def numbers(run: lab.Run) -> list[int]:
    with run:
        return [packet.number for packet in run]


# What is there


def imported_by(program: str) -> set[str]:
    """Returns the modules that a program has loaded when it is over, beyond those of a bare interpreter."""
    told = "\nimport sys; print(*sys.modules)"
    bare, full = (
        subprocess.run([sys.executable, "-c", each + told], capture_output=True, text=True, check=True).stdout.split()
        for each in ("", program)
    )
    return set(full) - set(bare)


def test_importing_lab_loads_nothing_else() -> None:
    assert {each for each in imported_by("import lab") if each.partition(".")[0] == "lab"} == {"lab", "lab.version"}
    assert not {each.partition(".")[0] for each in imported_by("import lab")} & HEAVY


def test_reading_a_capture_loads_no_testbed_and_no_library_of_packets() -> None:
    loaded = imported_by(f"import lab\nfor _ in lab.open({str(CONNECTION)!r}): pass")
    assert "lab.engine.path" in loaded
    assert not {each for each in loaded if each.startswith(("lab.testbed", "lab.app"))}
    assert not {each.partition(".")[0] for each in loaded} & {"scapy", "typer", "websockets", "pyroute2", "textual"}


def test_all_that_is_offered_is_there_and_nothing_else() -> None:
    for name in lab.__all__:
        assert getattr(lab, name) is not None
    assert set(lab.__all__) <= set(dir(lab))
    assert lab.events.PacketSent is lab.events.PacketSent
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        lab.nothing_of_that_name  # noqa: B018  # asking is what is tested


def test_a_schema_is_the_caller_s_own() -> None:
    for name in (
        "trace",
        "events",
        "summary",
        "verify",
        "verify-packet",
        "grade",
        "grade-class",
        "explore",
        "coverage",
    ):
        schema = lab.schema(name)
        Draft202012Validator.check_schema(schema)
        schema["$defs"].clear()
        assert lab.schema(name)["$defs"]
    with pytest.raises(KeyError, match="ladder"):
        lab.schema("ladder")


def test_scenarios_have_the_names_that_run_takes() -> None:
    names = [each.name for each in lab.scenarios()]
    assert {"tcp/connection", "tls/1.3", "websocket/connection"} <= set(names)
    assert len(set(names)) == len(names)


# Open


@every_way
def test_a_capture_is_opened_by_a_path_of_any_kind(way: Callable[[Path], Any]) -> None:
    assert numbers(lab.open(way(CONNECTION))) == list(range(1, 12))


def test_a_compressed_capture_is_opened_too() -> None:
    assert numbers(lab.open(CORPUS / "gzip.pcap"))


def test_only_the_packets_of_one_conversation_come() -> None:
    whole = numbers(lab.open(TWICE))
    with lab.open(TWICE, conversation=1) as run:
        mine = list(run)
    assert {packet.conversation for packet in mine} == {1}
    assert [which.id for which in run.conversations] == [1]
    other = numbers(lab.open(TWICE, conversation=0))
    assert sorted(other + [packet.number for packet in mine]) == whole
    assert run.agreement.compared == 4 * len(whole) + 2, "of the whole capture, whatever is shown of it"


def test_a_filter_chooses_whole_conversations() -> None:
    with lab.open(TWICE) as run:
        (first, second) = [list(each) for _, each in itertools.groupby(run, lambda packet: packet.conversation)]
    assert first[0].ends is not None
    port = first[0].ends.client.port
    assert numbers(lab.open(TWICE, filter=f"port {port}")) == [packet.number for packet in first]
    assert numbers(lab.open(TWICE, filter=f"not port {port}")) == [packet.number for packet in second]
    assert numbers(lab.open(TWICE, filter="host 203.0.113.9")) == []


def test_the_kernels_agreement_is_counted_however_a_run_is_gone_through() -> None:
    ways: tuple[Callable[[lab.Run], Any], ...] = (list, lambda run: list(run.events()), lambda run: run.play_on())
    counted = []
    for way in ways:
        with lab.open(TWICE) as run:
            way(run)
        counted.append((run.agreement.compared, run.agreement.unexplained))
    assert counted == [(138, [])] * 3


def test_the_kernels_last_word_stays_with_the_conversation_it_is_about() -> None:
    with lab.open(TWICE) as run:
        pairs = {packet.conversation: packet.ends for packet in run}
    assert [each.kernel_final is not None for each in run.conversations] == [False, True]
    for number, asked in ((0, False), (1, True)):
        ends = pairs[number]
        assert ends is not None
        with lab.open(TWICE, filter=f"port {ends.client.port}") as run:
            list(run)
        assert [each.kernel_final is not None for each in run.conversations] == [asked]


def test_without_words_nothing_else_is_missing() -> None:
    with lab.open(TLS) as told, lab.open(TLS, words=False) as bare:
        pairs = list(zip(told, bare, strict=True))
    assert any(message.words.en and message.words.zh for packet, _ in pairs for message in packet.messages)
    assert not any(message.words.en for _, packet in pairs for message in packet.messages)
    for packet, other in pairs:
        assert trace.packet(packet) == trace.packet(other)


def test_facts_and_packets_are_as_the_schema_has_them() -> None:
    defs = lab.schema("trace")["$defs"]
    packet, conversation = (
        Draft202012Validator({"$defs": defs, "$ref": f"#/$defs/{each}"}) for each in ("packet", "conversation")
    )
    with lab.open(TLS) as run:
        for each in run:
            packet.validate(trace.packet(each))
    for which in run.conversations:
        conversation.validate(which.facts)


# Secrets


def without_secrets(capture: Path, folder: Path) -> tuple[Path, bytes]:
    """Writes a capture's packets without what opens them; returns the file, and the key log."""
    file = folder / "locked.pcapng"
    with lab.open(capture) as run, file.open("wb") as stream:
        writer = Writer(stream)
        for packet in run:
            assert packet.frame is not None
            writer.packet(packet.frame, ())
        writer.finish()
        return file, run.secrets[0]


def decrypted(run: lab.Run) -> bool:
    with run:
        said = [message.words.en for packet in run for message in packet.messages]
    opened = run.conversations[0].facts["tls"]["decrypted"]
    assert any("Hello, server!" in each for each in said) == opened
    return bool(opened)


@every_way
def test_a_key_log_is_the_path_of_a_file(way: Callable[[Path], Any], tmp_path: Path) -> None:
    file, keylog = without_secrets(TLS, tmp_path)
    assert not decrypted(lab.open(file))
    keys = tmp_path / "session.keys"
    keys.write_bytes(keylog)
    assert decrypted(lab.open(file, keylog=way(keys)))


def test_a_key_log_is_bytes_too_and_another_s_opens_nothing(tmp_path: Path) -> None:
    file, keylog = without_secrets(TLS, tmp_path)
    assert decrypted(lab.open(file, keylog=keylog))
    with lab.open(REFERENCES / "tls-mutual.pcapng") as run:
        assert list(run)
    others, _ = run.secrets
    assert others
    assert not decrypted(lab.open(file, keylog=others))


def test_the_server_s_key_opens_rsa_and_is_among_the_run_s_secrets(namespaces: None, tmp_path: Path) -> None:
    live = tmp_path / "run.pcapng"
    with lab.run("tls/1.2-rsa", testbed="netns", file=live) as run:
        assert len(list(run)) == packets(live)
    keylog, key = run.secrets
    assert (tmp_path / "run.key").read_bytes() == key
    assert keylog
    file, _ = without_secrets(live, tmp_path)
    assert not decrypted(lab.open(file))
    assert decrypted(lab.open(file, server_key=key))
    assert decrypted(lab.open(file, server_key=tmp_path / "run.key"))
    assert not decrypted(lab.open(file, server_key=make(("192.0.2.3",)).server_key.encode())), "another server's"


# Run


def test_a_scenario_is_played_under_rules_and_saved(namespaces: None, tmp_path: Path) -> None:
    file = tmp_path / "lost.pcapng"
    with lab.run("tcp/connection", rules=["drop client SYN #1"], testbed="netns", file=file) as run:
        played = list(run)
    assert [packet.fate for packet in played[:2]] == ["lost", "arrived"]
    assert [packet.number for packet in played if "retransmission" in packet.labels] == [2]
    assert run.source.early is None
    with lab.open(file) as saved:
        assert [trace.packet(packet) for packet in saved] == [trace.packet(packet) for packet in played]
    assert saved.conversations[0].facts == run.conversations[0].facts


@pytest.mark.slow
def test_a_challenge_ack_is_not_the_third_step(namespaces: None) -> None:
    """The SYN's copies come to a server that is past it already."""
    with lab.run("tcp/connection", rules="delay client SYN 3s", testbed="netns") as run:
        packets = list(run)
    assert [packet.fate for packet in packets if packet.labels[0] == "SYN"] == ["arrived"] * 2
    assert sum("tcp.open.3" in packet.steps for packet in packets) == 1
    assert run.agreement.unexplained == []


def test_several_rules_are_one_text_or_many(namespaces: None) -> None:
    both = "duplicate client SYN #1; duplicate server RST #1"
    for rules in (both, both.split("; ")):
        with lab.run("tcp/refused", rules=rules, testbed="netns") as run:
            twice = [packet.labels for packet in run if packet.journal and len(packet.journal.delivered) == 2]
        assert twice == [("SYN",), ("RST",)]


def test_what_is_not_gone_through_is_not_played_and_saves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    with lab.run("tcp/connection", testbed="netns", file=file) as run:
        pass
    run.close()  # once more: it changes nothing
    assert not file.exists()


def test_the_six_is_in_the_addresses(namespaces: None) -> None:
    with lab.run("tcp/refused", ipv6=True, testbed="netns") as run:
        assert {packet.ends.client.host for packet in run if packet.ends} == {"2001:db8::2"}


# Compare


def test_a_capture_is_the_same_as_itself_and_not_as_another() -> None:
    assert lab.compare(CONNECTION, str(CONNECTION)).same
    found = lab.compare(CONNECTION, THREE)
    assert not found.same
    assert {(fact.name, fact.ours, fact.theirs) for fact in found.facts} >= {("close_segments", 4, 3)}
    assert [theirs.differs.code for _, theirs in found.steps if theirs and theirs.differs] == ["merged", "merged"]
    turned = lab.compare(THREE, CONNECTION)
    assert [(fact.theirs, fact.ours) for fact in turned.facts] == [(fact.ours, fact.theirs) for fact in found.facts]


def test_two_conversations_of_one_file_are_compared() -> None:
    found = lab.compare(TWICE, TWICE, conversations=(0, 1))
    assert (found.ours.which.id, found.theirs.which.id) == (0, 1)
    assert ("resumed", False, True) in {(fact.name, fact.ours, fact.theirs) for fact in found.facts}
    assert lab.compare(TWICE, TWICE, conversations=(1, 1)).same


# Verify


@pytest.mark.parametrize("capture", sorted(REFERENCES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_every_reference_is_verified(capture: Path) -> None:
    found = lab.verify(lab.open(capture, words=False))
    assert found.agrees, [str(fault.en) for fault in found.faults]
    assert found.compared > 0
    assert set(found.deviations) == set(expected(capture.stem.replace("-", "/", 1)).kernels)


@pytest.mark.parametrize("number", [0, 1])
def test_one_conversation_of_two_is_verified(number: int) -> None:
    found = lab.verify(lab.open(TWICE, conversation=number, words=False))
    assert found.agrees, [fault.en for fault in found.faults]
    assert 0 < found.compared < lab.verify(lab.open(TWICE)).compared


def test_what_a_kernel_says_otherwise_is_a_fault(tmp_path: Path) -> None:
    """A capture that somebody has changed: in one packet's journal the server's kernel claims another state."""
    file = tmp_path / "changed.pcapng"
    true, false = b'"delivered":{"client":"FIN-WAIT-2"', b'"delivered":{"client":"FIN-WAIT-1"'
    data = CONNECTION.read_bytes()
    assert true in data  # in the journal, and in the line for programs
    file.write_bytes(data.replace(true, false))
    found = lab.verify(lab.open(file))
    assert not found.agrees
    (fault,) = found.faults
    assert "kernel says FIN-WAIT-1, the table FIN-WAIT-2" in fault.en
    assert "FIN-WAIT-1" in fault.zh


def test_of_very_many_differences_the_first_are_listed_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "changed.pcapng"
    file.write_bytes(CONNECTION.read_bytes().replace(b'{"client":"ESTABLISHED"', b'{"client":"SYN-SENT"   '))
    found = lab.verify(lab.open(file))
    of_kernels = sum(each.witness == "kernels" for each in found.disagreements)
    assert of_kernels > 2
    monkeypatch.setattr(agreement, "_MOST_LISTED", 2)
    monkeypatch.setattr(verify, "_MOST_LISTED", 2)
    with lab.open(file) as run:
        list(run.packets())
    assert (len(run.agreement.disagreements), run.agreement.left_out) == (2, of_kernels - 2)
    assert run.agreement.differing == of_kernels
    found = lab.verify(lab.open(file))
    assert sum(each.witness == "kernels" for each in found.disagreements) == 2
    assert found.left_out >= of_kernels - 2
    assert not found.agrees


def test_a_live_run_is_verified_and_saved(namespaces: None, tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    found = lab.verify(lab.run("tcp/connection", testbed="netns", file=file, words=False))
    assert (found.agrees, found.compared, found.deviations) == (True, 46, {})
    assert packets(file) == 11


def test_of_a_capture_from_elsewhere_nothing_is_compared(tmp_path: Path) -> None:
    file, _ = without_secrets(CONNECTION, tmp_path)
    found = lab.verify(lab.open(file))
    assert (found.compared, found.deviations, found.faults) == (0, {}, ())


# Errors


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (lab.InputError, lambda folder: lab.open(folder / "missing.pcap")),
        (lab.InputError, lambda folder: lab.open(folder)),
        (lab.InputError, lambda _: lab.open(CONNECTION.with_suffix(".en.txt"))),
        (lab.UsageError, lambda _: numbers(lab.open(CONNECTION, conversation=1))),
        (lab.InputError, lambda folder: lab.open(TLS, keylog=folder / "missing.keys")),
        (lab.InputError, lambda folder: lab.open(TLS, server_key=folder)),
        (lab.InputError, lambda _: lab.open(TLS, keylog="/dev/null")),
        (lab.InputError, lambda folder: lab.compare(CONNECTION, folder / "missing.pcap")),
        (lab.UsageError, lambda _: lab.compare(CONNECTION, THREE, conversations=(0, 1))),
        (lab.UsageError, lambda _: lab.verify(lab.open(CONNECTION, conversation=3))),
        (lab.UsageError, lambda _: lab.open(CONNECTION, filter="host of mine")),
        (lab.UsageError, lambda _: lab.run("tcp/conection")),
        (lab.UsageError, lambda _: lab.run("tcp/connection", rules="eat client SYN")),
        (lab.UsageError, lambda _: lab.run("tcp/connection", rules=["drop client SYN", "drop nobody"])),
        (lab.UsageError, lambda _: lab.run("tcp/connection", testbed="moon")),
    ],
)
def test_what_goes_wrong_is_said_in_two_lines_and_both_languages(
    error: type[lab.LabError], call: Callable[[Path], object], tmp_path: Path
) -> None:
    with pytest.raises(lab.LabError) as raised:
        call(tmp_path)
    assert type(raised.value) is error
    for text in (raised.value.message, raised.value.hint):
        assert text.en
        assert text.zh != text.en
        assert "\n" not in text.en + text.zh
    assert str(raised.value) == raised.value.message.en


def test_a_capture_that_can_not_be_saved_is_an_error_and_the_old_one_stays(namespaces: None, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("old")
    with pytest.raises(lab.MachineError, match="can't be written"):
        numbers(lab.run("tcp/refused", testbed="netns", file=occupied / "run.pcapng"))
    assert occupied.read_text() == "old"


def test_damage_is_told_and_what_can_be_read_is_read(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcapng"
    data = CONNECTION.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    with lab.open(cut) as run:
        read = len(list(run))
    assert 1 <= read < 11
    assert len(run.problems()) == 1
    complaint = run.complaint()
    assert complaint is not None
    assert str(cut) in complaint.en
    assert [each["text"] for each in run.about("zh")["problems"]] == [run.problems()[0].text.zh]
