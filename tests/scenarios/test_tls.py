"""The TLS scenarios: what Wireshark reads of them, which decrypts with what is in the file.

Its secrets block stands before the frames that it opens.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path as File
from typing import NamedTuple

from lab.protocols.catalogue import scenario, scenarios
from lab.protocols.tls.scenarios import ANSWER, HELLO, PORT, REQUEST, RESPONSE, SCENARIOS
from tests.runs import Run, play
from tests.scenarios.plays import Dissected, Witness, every, only
from tests.scenarios.plays import tshark as ask

# Handshake messages by Wireshark's numbers (IANA's); an alert is `!` and its number, a ChangeCipherSpec `ccs`.
NAMES = {
    1: "ClientHello", 2: "ServerHello", 4: "Ticket", 5: "EndOfEarlyData", 8: "EncryptedExtensions", 11: "Certificate",
    12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone", 15: "CertificateVerify",
    16: "ClientKeyExchange", 20: "Finished", 24: "KeyUpdate",
}  # fmt: skip
SUITES = {0x009C: "RSA", 0xC02F: "ECDHE", 0x1302: "1.3"}

OFFER = "c ClientHello s ServerHello Certificate ServerKeyExchange ServerHelloDone"
FULL = f"{OFFER} c ClientKeyExchange ccs Finished"
STATIC = "c ClientHello s ServerHello Certificate ServerHelloDone c ClientKeyExchange ccs Finished"
ONE_ROUND = "s ServerHello ccs EncryptedExtensions Certificate CertificateVerify Finished c ccs Finished"
HELLOS = f"c ClientHello {ONE_ROUND}"
ASKED = "c ClientHello s ServerHello Certificate ServerKeyExchange CertificateRequest ServerHelloDone"
TALK, ON = "c data s data", "data s data"  # the client goes on, where it has spoken last
RENEWED = "c KeyUpdate data s KeyUpdate data"
ENDED = "c !0 s !0"


class Expected(NamedTuple):
    """The suite that was chosen, and of each conversation the messages in order, behind the letter of who said them."""

    suite: str | None
    said: tuple[str, ...]


SHORT = "c ClientHello s ServerHello ccs Finished c ccs Finished"
RESUMED = "c ClientHello s ServerHello ccs EncryptedExtensions Finished c ccs Finished"
EARLY = "c ClientHello ccs data s ServerHello ccs EncryptedExtensions Finished c EndOfEarlyData Finished"
RETRIED = f"c ClientHello s ServerHello ccs c ccs ClientHello {ONE_ROUND.replace('ccs ', '')}"
PROVED = f"{ASKED} c Certificate ClientKeyExchange CertificateVerify ccs Finished s ccs Finished"

EXPECTED = {
    "tls/1.2-rsa":           Expected("RSA", (f"{STATIC} s ccs Finished {TALK} {ENDED}",)),
    "tls/1.2-ecdhe":         Expected("ECDHE", (f"{FULL} s ccs Finished {TALK} {ENDED}",)),
    "tls/1.3":               Expected("1.3", (f"{HELLOS} {ON} {ENDED}",)),
    "tls/1.3-hello-retry":   Expected("1.3", (f"{RETRIED} {ON} {ENDED}",)),
    "tls/1.3-hybrid":        Expected("1.3", (f"{HELLOS} {ON} {ENDED}",)),
    "tls/1.3-hybrid-retry":  Expected("1.3", (f"{RETRIED} {ON} {ENDED}",)),
    "tls/1.2-resumption":    Expected(
                                 "ECDHE", (f"{FULL} s Ticket ccs Finished {TALK} {ENDED}", f"{SHORT} {ON} {ENDED}")),
    "tls/1.2-resumption-id": Expected("ECDHE", (f"{FULL} s ccs Finished {TALK} {ENDED}", f"{SHORT} {ON} {ENDED}")),
    "tls/1.3-resumption":    Expected(
                                 "1.3", (f"{HELLOS} s Ticket {TALK} {ENDED}", f"{RESUMED} s Ticket {TALK} {ENDED}")),
    "tls/0-rtt":             Expected("1.3", (f"{HELLOS} s Ticket {TALK} {ENDED}", f"{EARLY} s Ticket data {ENDED}")),
    "tls/key-update":        Expected("1.3", (f"{HELLOS} {ON} {RENEWED} {ENDED}",)),
    "tls/mutual":            Expected("ECDHE", (f"{PROVED} {TALK} {ENDED}",)),
    "tls/alpn-sni":          Expected("1.3", (f"{HELLOS} {ON} {ENDED}",)),
    "tls/expired":           Expected("ECDHE", (f"{OFFER} c !45",)),
    "tls/unknown-ca":        Expected("ECDHE", (f"{OFFER} c !48",)),
    "tls/wrong-host":        Expected("ECDHE", (f"{OFFER} c !42",)),
    "tls/no-shared-cipher":  Expected(None, ("c ClientHello s !40",)),
    "tls/version-refused":   Expected(None, ("c ClientHello s !70",)),
    "tls/downgrade":         Expected("ECDHE", (f"{OFFER} c !47",)),
    "tls/client-certificate-missing":
                             Expected("ECDHE", (f"{ASKED} c Certificate ClientKeyExchange ccs Finished s !40",)),
    "tls/truncated":         Expected("1.3", (f"{HELLOS} {ON} c !50",)),
}  # fmt: skip


def messages(packets: Iterable[Dissected]) -> list[str]:
    """Returns each conversation's messages as Wireshark read and decrypted them, in the notation of `EXPECTED`."""
    said: dict[str, list[str]] = {}
    ends: dict[str, str] = {}
    for packet in packets:
        stream, who = packet.first("tcp.stream"), "c" if packet.first("tcp.dstport") == str(PORT) else "s"
        for word in filter(None, (_word(name, value) for name, value in packet.fields)):
            words = said.setdefault(stream, [])
            words += [word] if ends.get(stream) == who else [who, word]
            ends[stream] = who
    return [" ".join(words) for words in said.values()]


def _word(name: str, value: str) -> str | None:
    if name == "tls.handshake.type":
        return NAMES.get(int(value), value)
    if name == "tls.alert_message.desc":
        return f"!{value}"
    if name == "tls.record.content_type":  # the inner one, where it is encrypted
        return {"20": "ccs", "23": "data"}.get(value)
    return None


def of_type(packets: Iterable[Dissected], number: int) -> list[Dissected]:
    """Returns the packets in which there is such a handshake message."""
    return [packet for packet in packets if str(number) in packet.all("tls.handshake.type")]


def test_every_scenario_is_expected() -> None:
    assert list(EXPECTED) == [each.name for each in SCENARIOS]
    assert set(EXPECTED) == {each.name for each in scenarios() if each.name.startswith("tls/")}


@every("tls")
def test_tcp_is_closed_by_both_ends_and_reset_by_none(played: Run) -> None:
    labels = [label for packet in played.packets for label in packet.labels]
    assert "RST" not in labels
    assert labels.count("FIN") == 2 * len(EXPECTED[played.scenario.name].said)
    ends = [each.facts["final"]["states"] for each in played.conversations]
    assert [each["client"] for each in ends if not each["server"]] == []
    assert {each["server"] for each in ends} <= {"CLOSED", "TIME-WAIT"}


@every("tls")
def test_the_client_speaks_from_a_port_that_wireshark_gives_to_no_other_protocol(played: Run, tshark: str) -> None:
    assert ports_with_a_protocol().isdisjoint(range(49152, 57000))
    assert {each.ends.client.port for each in played.conversations} <= set(range(49152, 57000))


@cache
def ports_with_a_protocol() -> set[int]:
    known = (line.split("\t") for line in ask("-G", "decodes").splitlines())
    return {int(port) for table, port, _ in known if table == "tcp.port"}


@every("tls")
def test_wireshark_reads_the_messages_in_their_order(played: Run, witness: Witness) -> None:
    assert messages(witness.dissected[played.file]) == list(EXPECTED[played.scenario.name].said)


@every("tls")
def test_wireshark_sees_version_and_suite(played: Run, witness: Witness) -> None:
    hellos = of_type(witness.dissected[played.file], 2)
    suite = EXPECTED[played.scenario.name].suite
    chosen = {int(value, 16) for hello in hellos for value in hello.all("tls.handshake.ciphersuite")}
    assert {SUITES[each] for each in chosen} == ({suite} if suite else set())
    versions = {tuple(hello.all("tls.handshake.extensions.supported_version")) for hello in hellos}
    assert {each == ("0x0304",) for each in versions} == ({suite == "1.3"} if suite else set())


@every("tls")
def test_wireshark_decrypts_what_was_said(played: Run, witness: Witness) -> None:
    streams = dict.fromkeys(packet.first("tcp.stream") for packet in witness.dissected[played.file])
    for stream, said in zip(streams, EXPECTED[played.scenario.name].said, strict=True):
        followed = witness.followed[stream].replace("\r\n", "\n")
        for text in (REQUEST, RESPONSE) if played.scenario.name == "tls/alpn-sni" else (HELLO, ANSWER):
            assert (text.replace("\r\n", "\n").strip() in followed) == ("data" in said)


@only("tls/alpn-sni")
def test_names_and_protocols_are_offered_and_one_is_chosen(played: Run, witness: Witness) -> None:
    packets = witness.dissected[played.file]
    (hello,), (chosen,) = of_type(packets, 1), of_type(packets, 8)
    names = "tls.handshake.extensions_server_name", "tls.handshake.extensions_alpn_str"
    assert hello.all(*names) == ["server.example", "h2", "http/1.1"]
    assert chosen.all(names[1]) == ["http/1.1"]
    inside = [packet.all("http.host", "http.response.code") for packet in packets if packet.has("http")]
    assert inside == [["server.example"], ["200"]]


@only("tls/downgrade")
def test_the_servers_random_says_that_it_could_do_better(played: Run, witness: Witness) -> None:
    (hello,) = of_type(witness.dissected[played.file], 2)
    assert bytes.fromhex(hello.first("tls.handshake.random").replace(":", ""))[-8:] == b"DOWNGRD\x01"
    assert [text.en for packet in played.packets for text in packet.points] == [], "that no session is resumed, too"


@only("tls/0-rtt")
def test_early_data_is_there_before_the_server_has_answered(played: Run) -> None:
    (early,) = (each for each in played.packets if "early data" in [message.event for message in each.messages])
    assert [message.event for message in early.messages] == ["ClientHello", "", "early data"]
    assert HELLO in early.messages[-1].words.en
    assert early.sender == "client"


@only("tls/1.2-resumption")
def test_a_session_is_resumed_by_its_ticket(played: Run, witness: Witness) -> None:
    packets = witness.dissected[played.file]
    (given,) = of_type(packets, 4)
    _, hello = of_type(packets, 1)
    (ticket,) = given.all("tls.handshake.session_ticket")
    assert ticket
    assert ticket in hello.all("tls.handshake.extension.data")


@only("tls/1.2-resumption-id")
def test_a_session_is_resumed_by_its_number(played: Run, witness: Witness) -> None:
    packets = witness.dissected[played.file]
    (_, asked), (given, resumed) = of_type(packets, 1), of_type(packets, 2)
    ids = [packet.all("tls.handshake.session_id") for packet in (given, asked, resumed)]
    assert ids[0] == ids[1] == ids[2] != []


@only("tls/1.3-resumption")
def test_a_session_is_resumed_by_a_key_shared_before(played: Run, witness: Witness) -> None:
    _, resumed = of_type(witness.dissected[played.file], 2)
    assert resumed.all("tls.handshake.extensions.psk.identity.selected") == ["0"]


def test_a_lost_hello_is_sent_again_and_the_handshake_goes_on(namespaces: None, tshark: str, tmp_path: File) -> None:
    run = play(scenario("tls/1.3"), tmp_path / "run.pcapng", rules=("drop client data #1",))
    assert run.early is None
    assert run.agreement.unexplained == []
    assert [packet.fate for packet in run.packets if "data" in packet.labels][:2] == ["lost", "arrived"]
    assert messages(Witness([run]).dissected[run.file]) == list(EXPECTED["tls/1.3"].said)
