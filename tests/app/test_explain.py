"""One packet in words, its fields and its bytes; and a part of a capture: by conversation, by address and port."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lab.errors import UsageError
from lab.protocols.selection import chosen
from lab.render.explain import explain, find
from lab.report.packets import packet
from lab.text import LANGUAGES
from scripts import generate
from tests.app.test_diff import ERROR
from tests.packets import IPV6, OPEN, Pair, ladder, path, renumbered
from tests.places import GOLDEN, ROOT
from tests.protocols.tls.captures import captured, frames, walk

pytestmark = pytest.mark.slow  # a process for each

PACKETS = [
    ("tcp-connection", 1), ("tcp-connection", 9), ("tls-1.2-rsa", 6), ("tls-1.3", 6), ("websocket-connection", 8),
    ("websocket-connection", 6), ("tcp-syn-lost", 1), ("tcp-blind-reset", 9),
]  # fmt: skip


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", "annotate", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)


def told(name: str, number: int, lang: str) -> str:
    done = lab(f"captures/{name}.pcapng", "--explain", str(number), "--lang", lang)
    assert done.returncode == 0, done.stderr
    return done.stdout


def golden(name: str, number: int, lang: str) -> Path:
    return GOLDEN / f"explain-{name}-{number}.{lang}.txt"


# One packet.


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("name", "number"), PACKETS)
def test_a_packet_is_told_as_it_was_found_good(name: str, number: int, lang: str) -> None:
    found = told(name, number, lang)
    assert found == golden(name, number, lang).read_text("utf-8")
    assert max(cell_len(line) for line in found.splitlines()) <= 80


@pytest.mark.parametrize(
    ("name", "number", "said", "not_said"),
    [
        ("tls-1.2-rsa", 8, "only the owner of the private key can read it", "diffie-hellman"),
        ("tls-1.2-ecdhe", 8, "diffie-hellman instead of rsa", "the rsa public key out of the certificate"),
        ("tls-1.3", 6, "the handshake keys", "serverhellodone"),
        ("tls-1.3-resumption", 23, "no certificate is sent", "its certificate with its public key"),
        ("tls-1.2-resumption", 23, "no certificate is sent", "its certificate with its public key"),
        ("tcp-simultaneous-close", 9, "it does not count the other fin yet", "waits in last-ack"),
        ("tcp-simultaneous-close", 10, "nothing is half-closed", "the other can still carry data"),
        ("tcp-three-segment-close", 9, "from fin-wait-1 to time-wait", "takes the client to fin-wait-2"),
    ],
)
def test_a_step_is_told_as_this_connection_has_it(name: str, number: int, said: str, not_said: str) -> None:
    found = " ".join(told(name, number, "en").split()).lower()
    assert said in found
    assert not_said not in found


def test_what_is_no_tcp_is_told_too(tmp_path: Path) -> None:
    file = tmp_path / "arp.pcap"
    generate._write([bytes(12) + b"\x08\x06" + bytes(28)], file)
    found = lab(str(file), "--explain", "1", "--lang", "en").stdout
    assert "Packet 1: not-tcp" in found
    assert "  ARP\n" in found


def test_a_huge_packet_is_told_in_part(tmp_path: Path) -> None:
    file = tmp_path / "huge.pcap"
    generate._write([bytes(12) + b"\x88\xb5" + bytes(range(256)) * 256], file)
    found = lab(str(file), "--explain", "1", "--lang", "en").stdout
    assert "… and 63502 bytes more" in found
    assert len(found.splitlines()) < 200


def test_a_range_is_told_packet_by_packet() -> None:
    done = lab("captures/tls-1.3.pcapng", "--explain", "3-5", "--lang", "en")
    one = [told("tls-1.3", number, "en") for number in (3, 4, 5)]
    assert done.stdout == f"\n{'─' * 80}\n\n".join(one)
    found = json.loads(lab("captures/tls-1.3.pcapng", "--explain", "15-99", "--json").stdout)
    assert [packet["number"] for packet in found] == [15, 16, 17]
    assert all(packet["fields"] for packet in found)


def test_a_range_carries_the_states_on() -> None:
    found = lab("captures/tcp-connection.pcapng", "--explain", "1-2", "--lang", "en").stdout.split("─" * 80)[1]
    assert found.split("before")[1].split("when sent")[0].split() == ["SYN-SENT", "SYN-RECEIVED"]


def test_each_conversation_carries_its_own_states_on() -> None:
    one, other = (ladder(*OPEN, pair=Pair(client_port=port)) for port in (40_000, 40_001))
    mixed = renumbered(*(frame for both in zip(one, other, strict=True) for frame in both))
    packets = [packet(record) for record in path().settled(mixed)]
    found = [each.before for each in find(iter(packets), range(1, len(packets) + 1))]
    assert found[2:] == [each.delivered or each.held for each in packets[:-2]]


@pytest.mark.parametrize("mss", [100, 300, 1460])
def test_every_byte_of_a_payload_has_its_protocols_name(mss: int) -> None:
    """A message in several segments too: from its first byte on the sender speaks that protocol."""
    capture = captured("TLS 1.3")
    records = walk(frames(capture.flights, mss), capture.keylog).records
    packets = [packet(record, words=True, fields=True) for record in records]
    out = StringIO()
    explain(find(iter(packets), range(1, len(packets) + 1)), out, "en")
    spoken: set[str | None] = set()
    for each, text in zip(packets, out.getvalue().split("\n" + "─" * 80), strict=True):
        rows = text.split("The bytes\n")[1].strip().splitlines()
        named = [row[72:].split() for row in rows]
        assert named[0] == ["Ethernet"]
        spoken |= {each.sender} if each.messages else set()
        first, last = each.payload_at // 16, (each.payload_at + (each.payload or 0) - 1) // 16
        if each.payload and each.sender in spoken:
            assert named[first:] == [["TCP", "TLS"], *[["TLS"]] * (last - first)]
        for message in each.messages:
            assert f" {message.name}\n" in text.split("\n  TLS\n")[1]


@pytest.mark.parametrize("said", ["5-3", "3-", "-", "3--5", "1,2", "3-x", "٣", "1" * 30])
def test_what_is_no_range_is_refused_in_two_lines(said: str) -> None:
    done = lab("captures/tls-1.3.pcapng", f"--explain={said}", "--lang", "en")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ERROR["en"]


def test_names_of_fields_and_layers_are_whole() -> None:
    found = told("tls-1.3", 6, "en")
    for name in ("legacy_session_id_echo length  32", "certificate_request_context length  0"):
        assert name in found
    assert "Etherne…" not in found
    (suite,) = re.findall("CipherSuite +0x00ff\n +(.*)", told("tls-1.3", 4, "en"))
    assert suite == "(TLS_EMPTY_RENEGOTIATION_INFO_SCSV)"


@pytest.mark.parametrize("number", ["0", "-1", "99", "98-99"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_packet_that_is_not_there_is_refused(number: str, lang: str) -> None:
    done = lab("captures/tls-1.3.pcapng", "--explain", number, "--lang", lang)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.replace("：", ": ").split(": ")[0] for line in done.stderr.splitlines()] == ERROR[lang]


def test_what_is_no_number_is_refused() -> None:
    assert lab("captures/tls-1.3.pcapng", "--explain", "first").returncode == 2
    assert lab("captures/tls-1.3.pcapng", "--explain", "1", "--format", "csv").returncode == 2


def test_json_is_the_packet_with_its_fields() -> None:
    found = json.loads(lab("captures/tls-1.3.pcapng", "--explain", "4", "--json").stdout)
    (same,) = (
        packet
        for packet in json.loads(lab("captures/tls-1.3.pcapng", "--json").stdout)["packets"]
        if packet["number"] == 4
    )
    fields = found.pop("fields")
    ((told, records),) = ((message.pop("fields"), message.pop("records")) for message in found["messages"])
    assert found == same
    assert [field["value"] for field in told if field["name"] == "msg_type"] == ["1 (client_hello)"]
    assert (told[0]["start"], told[0]["end"]) == (0, 221)
    assert [(each["seq"], each["fields"][3]["value"]) for each in records] == [(1, "221")]
    spans = [field["span"] for field in fields]
    assert spans[0] == {"buffer": "frame", "number": 4, "start": 0, "end": 6}
    assert [field["value"] for field in fields if field["name"] == "Destination Port"] == ["4433"]


# A part of a capture.


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three conversations, one of them over IPv6, and an ARP packet."""
    file = tmp_path_factory.mktemp("several") / "several.pcap"
    frames = renumbered(*ladder(*OPEN), *ladder(*OPEN, pair=Pair(client_port=50_000)), *ladder(*OPEN, pair=IPV6))
    generate._write([bytes(12) + b"\x08\x06" + bytes(28), *(frame.data for frame in frames)], file)
    return file


def numbers(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert done.returncode == 0, done.stderr
    return [packet["number"] for packet in json.loads(done.stdout)["packets"]]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_conversation_is_shown_alone(several: Path, which: int) -> None:
    done = lab(str(several), "--conversation", str(which), "--json")
    assert numbers(done) == [2 + 3 * which + at for at in range(3)]
    assert [each["id"] for each in json.loads(done.stdout)["conversations"]] == [which]
    csv = lab(str(several), "--conversation", str(which), "--format", "csv").stdout.splitlines()
    assert [line.split(",")[2] for line in csv[1:]] == [str(which)] * 3


def test_a_conversation_that_is_not_there_is_refused(several: Path) -> None:
    done = lab(str(several), "--conversation", "3", "--lang", "en")
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no conversation 3" in done.stderr


@pytest.mark.parametrize(
    ("expression", "packets"),
    [
        ("port 50000", [5, 6, 7]),
        ("not port 50000", [2, 3, 4, 8, 9, 10]),
        ("host 192.0.2.1 and not port 50000", [2, 3, 4]),
        ("host 192.0.2.2 or net 2001:db8::/32", [2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("net 192.0.2.0/24 and (port 1 or portrange 49999-50001)", [5, 6, 7]),
        ("tcp port 50000 || ! net 0.0.0.0/0", [5, 6, 7, 8, 9, 10]),
        ("tcp", [2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("host 198.51.100.1", []),
    ],
)
def test_whole_conversations_are_chosen_in_tcpdumps_words(several: Path, expression: str, packets: list[int]) -> None:
    assert numbers(lab(str(several), "--filter", expression, "--json")) == packets


def test_an_empty_page_is_explained(several: Path, tmp_path: Path) -> None:
    done = lab(str(several), "--filter", "port 9")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"none of the 10 packets in {several} matches the filter\n"
    (empty := tmp_path / "empty.pcap").write_bytes(several.read_bytes()[:24])
    assert lab(str(empty)).stderr == f"{empty} has no packets\n"
    assert lab(str(empty), "--json").stderr == ""


@pytest.mark.parametrize(
    "expression",
    ["", "src host 192.0.2.2", "port", "port x", "port 70000", "host nowhere", "net 1/99", "udp", "(port 1", "port 1 )",
     "port 1 port 2", "not", "portrange 1-", "portrange 90-80", "port 00000099999", "host ٣", "&",
     "port 1 and " * 300 + "port 1", "(" * 498, "not " * 498 + "port 1"],
)  # fmt: skip
def test_what_is_no_filter_is_refused_in_two_lines(several: Path, expression: str) -> None:
    with pytest.raises(UsageError):
        chosen(expression)
    if len(expression) < 20:
        done = lab(str(several), "--filter", expression)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 2


def test_packets_that_a_filter_leaves_out_are_there_nevertheless(several: Path) -> None:
    done = lab(str(several), "--explain", "1", "--filter", "port 50000")
    assert done.stderr.splitlines()[0] == f"error: packet 1 of {several} does not match the filter"
    assert "has no packet 11" in lab(str(several), "--explain", "11", "--filter", "port 50000").stderr


@pytest.mark.parametrize(
    "options",
    [("--explain", "3", "--conversation", "0"), ("--show", "keys", "--format", "csv"),
     ("--show", "keys", "--explain", "3")],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_two_lines(several: Path, options: tuple[str, ...]) -> None:
    done = lab(str(several), *options)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)


WORDS = st.sampled_from(["host", "port", "net", "not", "and", "or", "(", ")", "1", "192.0.2.1", "tcp", "!", "&&"])


@given(st.lists(WORDS | st.text(max_size=5), max_size=20).map(" ".join))
def test_any_words_are_understood_or_refused(expression: str) -> None:
    try:
        test = chosen(expression)
    except UsageError:
        return
    assert all(test(frame) in (True, False) for frame in ladder(*OPEN))


def test_fields_whose_names_do_not_say_it_are_said_what_they_are_for_once() -> None:
    hello = told("tls-1.3-hybrid", 5, "en")
    assert hello.count("It takes 1,184 bytes") == 1
    assert re.search(r"mlkem768_encapsulation_key\s", hello)
    assert "服务器用客户端的 ML-KEM-768 公钥封装的密钥" in told("tls-1.3-hybrid", 8, "zh")
    assert "FIPS 203" not in told("tls-1.3", 4, "en")


def test_two_processes_choose_the_same(tmp_path: Path) -> None:
    file = tmp_path / "large.pcap"
    generate.write(50_000, file)
    whole = lab(str(file), "--format", "csv").stdout.splitlines()
    some = lab(str(file), "--format", "csv", "--filter", "host 203.0.113.3 and net 198.51.100.0/24").stdout.splitlines()
    assert 0.1 < len(some) / len(whole) < 0.2
    known = {line.split(",")[0]: line.split(",", 3)[3] for line in whole[1:]}
    assert all(known[line.split(",")[0]] == line.split(",", 3)[3] for line in some[1:])


def write() -> None:
    """Tells the packets anew: python -m tests.test_explain, then look at what has changed."""
    for name, number in PACKETS:
        for lang in LANGUAGES:
            golden(name, number, lang).write_text(told(name, number, lang), "utf-8")


if __name__ == "__main__":
    write()
