"""The TLS scenarios, really played: what Wireshark reads of them, and that both kernels agree with every packet.

Wireshark decrypts with what is in the file: its secrets block stands before the frames that it opens. A failure shows
all that was said, then what was expected.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path as File
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab import protocols
from lab.capture.reader import open_capture
from lab.engine.path import Path
from lab.live import Session
from lab.model import Captured
from lab.engine.record import Record
from lab.protocols.scenario import Scenario
from lab.protocols.tls import credentials
from lab.protocols.tls.scenarios import ANSWER, HELLO, PORT, REQUEST, RESPONSE, SCENARIOS
from lab.protocols.tls.terms import SERVER, Terms
from lab.testbed import netns
from lab.testbed.messages import Begun, Event, Secrets
from lab.testbed.rules import Rule, parse
from lab.testbed.stage import Stage
from lab.text import LANGUAGES
from lab.witnesses import histories
from lab.witnesses import wireshark as second
from tests.left_behind import ROOT, TWO_LINES

# Handshake messages by Wireshark's numbers (IANA's); an alert is `!` and its number, a ChangeCipherSpec `ccs`.
NAMES = {
    1: "ClientHello", 2: "ServerHello", 4: "Ticket", 8: "EncryptedExtensions", 11: "Certificate",
    12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone", 15: "CertificateVerify",
    16: "ClientKeyExchange", 20: "Finished",
}  # fmt: skip
SUITES = {0x009C: "RSA", 0xC02F: "ECDHE", 0x1302: "1.3"}

OFFER = "c ClientHello s ServerHello Certificate ServerKeyExchange ServerHelloDone"
FULL = f"{OFFER} c ClientKeyExchange ccs Finished"
STATIC = "c ClientHello s ServerHello Certificate ServerHelloDone c ClientKeyExchange ccs Finished"
ONE_ROUND = "s ServerHello ccs EncryptedExtensions Certificate CertificateVerify Finished c ccs Finished"
HELLOS = f"c ClientHello {ONE_ROUND}"
ASKED = "c ClientHello s ServerHello Certificate ServerKeyExchange CertificateRequest ServerHelloDone"
TALK, ON = "c data s data", "data s data"  # the client goes on, where it has spoken last
ENDED = "c !0 s !0"


class Expected(NamedTuple):
    """The suite that was chosen, and of each conversation the messages in order, behind the letter of who said them."""

    suite: str | None
    said: tuple[str, ...]


SHORT = "c ClientHello s ServerHello ccs Finished c ccs Finished"
RESUMED = "c ClientHello s ServerHello ccs EncryptedExtensions Finished c ccs Finished"
RETRIED = f"c ClientHello s ServerHello ccs c ccs ClientHello {ONE_ROUND.replace('ccs ', '')}"
PROVED = f"{ASKED} c Certificate ClientKeyExchange CertificateVerify ccs Finished s ccs Finished"

EXPECTED = {
    "tls/1.2-rsa":           Expected("RSA", (f"{STATIC} s ccs Finished {TALK} {ENDED}",)),
    "tls/1.2-ecdhe":         Expected("ECDHE", (f"{FULL} s ccs Finished {TALK} {ENDED}",)),
    "tls/1.3":               Expected("1.3", (f"{HELLOS} {ON} {ENDED}",)),
    "tls/1.3-hello-retry":   Expected("1.3", (f"{RETRIED} {ON} {ENDED}",)),
    "tls/1.2-resumption":    Expected(
                                 "ECDHE", (f"{FULL} s Ticket ccs Finished {TALK} {ENDED}", f"{SHORT} {ON} {ENDED}")),
    "tls/1.2-resumption-id": Expected("ECDHE", (f"{FULL} s ccs Finished {TALK} {ENDED}", f"{SHORT} {ON} {ENDED}")),
    "tls/1.3-resumption":    Expected(
                                 "1.3", (f"{HELLOS} s Ticket {TALK} {ENDED}", f"{RESUMED} s Ticket {TALK} {ENDED}")),
    "tls/mutual":            Expected("ECDHE", (f"{PROVED} {TALK} {ENDED}",)),
    "tls/alpn-sni":          Expected("1.3", (f"{HELLOS} {ON} {ENDED}",)),
    "tls/expired":           Expected("ECDHE", (f"{OFFER} c !45",)),
    "tls/unknown-ca":        Expected("ECDHE", (f"{OFFER} c !48",)),
    "tls/wrong-host":        Expected("ECDHE", (f"{OFFER} c !42",)),
    "tls/no-shared-cipher":  Expected(None, ("c ClientHello s !40",)),
    "tls/version-refused":   Expected(None, ("c ClientHello s !70",)),
    "tls/client-certificate-missing":
                             Expected("ECDHE", (f"{ASKED} c Certificate ClientKeyExchange ccs Finished s !40",)),
    "tls/truncated":         Expected("1.3", (f"{HELLOS} {ON} c !50",)),
}  # fmt: skip
IPV6 = ("tls/1.2-rsa", "tls/1.3", "tls/expired")
PLAYS = [(each, False) for each in SCENARIOS] + [(each, True) for each in SCENARIOS if each.name in IPV6]


class Run(NamedTuple):
    """A scenario that has been played, its rungs as they came from the wire, and the file it was saved in."""

    scenario: Scenario
    session: Session
    rungs: list[Record]
    file: File

    @property
    def conversations(self) -> int:
        return len(EXPECTED[self.scenario.name].said)


def play(scenario: Scenario, file: File, ipv6: bool = False, *rules: str) -> Run:
    session = Session(scenario, parse(rules), ipv6, file, netns.play)
    return Run(scenario, session, list(session.rungs()), file)


@pytest.fixture(scope="module", params=PLAYS, ids=[f"{each.name}-{'ipv6' if ipv6 else 'ipv4'}" for each, ipv6 in PLAYS])
def played(request: pytest.FixtureRequest, namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario, ipv6 = request.param
    return play(scenario, tmp_path_factory.mktemp("run") / "run.pcapng", ipv6)


def wireshark(file: File, *words: str) -> str:
    command = ["tshark", "-2", "-r", str(file), *words]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    return done.stdout.decode(errors="replace")  # it cuts long comments anywhere


def fields(file: File, shown: str, *names: str) -> list[list[str]]:
    """Returns all values of these fields in the frames that are shown, each frame's as one list."""
    words = [word for name in names for word in ("-e", name)]
    said = wireshark(file, "-Y", shown, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator= ", *words)
    return [line.split() for line in said.splitlines()]


def messages(file: File) -> list[str]:
    """Returns each conversation's messages as Wireshark read and decrypted them, in the notation of `EXPECTED`."""
    said: dict[str, list[str]] = {}
    ends: dict[str, str] = {}
    for packet in ElementTree.fromstring(wireshark(file, "-Y", "tls", "-T", "pdml")):
        stream = ""
        for field in packet.iter("field"):
            name, value = field.get("name"), field.get("show", "")
            if name == "tcp.stream":
                stream = value
            elif name == "tcp.dstport":
                who = "c" if int(value) == PORT else "s"
            if word := _word(name, value):
                words = said.setdefault(stream, [])
                words += [word] if ends.get(stream) == who else [who, word]
                ends[stream] = who
    return [" ".join(words) for words in said.values()]


def _word(name: str | None, value: str) -> str | None:
    if name == "tls.handshake.type":
        return NAMES.get(int(value), value)
    if name == "tls.alert_message.desc":
        return f"!{value}"
    if name == "tls.record.content_type":  # the inner one, where it is encrypted
        return {"20": "ccs", "23": "data"}.get(value)
    return None


def test_every_scenario_is_expected() -> None:
    assert list(EXPECTED) == [each.name for each in SCENARIOS]
    assert set(EXPECTED) == {each.name for each in protocols.SCENARIOS if each.name.startswith("tls/")}


def test_it_runs_to_its_end_and_both_kernels_agree_with_every_packet(played: Run) -> None:
    found = played.session.agreement
    assert played.session.early is None
    assert found.compared == 2 * (1 + sum(1 + bool(rung.got) for rung in played.rungs))
    assert found.disagreements == []
    assert [each for rung in played.rungs for each in rung.surprises] == []
    frames = [rung.frame for rung in played.rungs if rung.frame]
    alone = Path()
    alone.learn(played.session.keylog, played.session.server_key)
    assert histories.faults(played.rungs, alone.annotate(frames), found) == []


def test_tcp_is_closed_by_both_ends_and_reset_by_none(played: Run) -> None:
    labels = [label for rung in played.rungs for label in rung.labels]
    assert "RST" not in labels
    assert labels.count("FIN") == 2 * played.conversations
    assert [each.states.client for each in played.session.conversations if not each.states.server] == []
    assert {each.states.server for each in played.session.conversations} <= {"CLOSED", "TIME-WAIT"}


def test_the_client_speaks_from_a_port_that_wireshark_gives_to_no_other_protocol(played: Run, tshark: str) -> None:
    known = subprocess.run([tshark, "-G", "decodes"], check=True, capture_output=True, text=True, timeout=60).stdout
    taken = {int(port) for table, port, _ in (line.split("\t") for line in known.splitlines()) if table == "tcp.port"}
    assert taken.isdisjoint(range(49152, 57000))
    assert {each.client.port for each in played.session.conversations} <= set(range(49152, 57000))


def test_wireshark_reads_the_messages_in_their_order(played: Run, tshark: str) -> None:
    assert messages(played.file) == list(EXPECTED[played.scenario.name].said)


def test_wireshark_sees_version_and_suite(played: Run, tshark: str) -> None:
    hellos = fields(
        played.file,
        "tls.handshake.type == 2",
        "tls.handshake.ciphersuite",
        "tls.handshake.extensions.supported_version",
    )
    suite = EXPECTED[played.scenario.name].suite
    assert {SUITES[int(hello[0], 16)] for hello in hellos} == ({suite} if suite else set())
    assert {hello[1:] == ["0x0304"] for hello in hellos} == ({suite == "1.3"} if suite else set())


def test_wireshark_sees_the_same_segments(played: Run, tshark: str) -> None:
    opinions = second.ask(played.file)
    assert opinions.complaints == []
    assert [each for each in second.compare(played.rungs, opinions) if each.deviation is None] == []


def test_wireshark_decrypts_what_was_said(played: Run, tshark: str) -> None:
    for stream, said in enumerate(EXPECTED[played.scenario.name].said):
        followed = wireshark(played.file, "-q", "-z", f"follow,tls,ascii,{stream}")
        for text in (REQUEST, RESPONSE) if played.scenario.name == "tls/alpn-sni" else (HELLO, ANSWER):
            assert (text.replace("\r\n", "\n").strip() in followed.replace("\r\n", "\n")) == ("data" in said)


def test_names_and_protocols_are_offered_and_one_is_chosen(namespaces: None, tshark: str, tmp_path: File) -> None:
    run = play(protocols.scenario("tls/alpn-sni"), tmp_path / "run.pcapng")
    asked = ("tls.handshake.extensions_server_name", "tls.handshake.extensions_alpn_str")
    assert fields(run.file, "tls.handshake.type == 1", *asked) == [["server.example", "h2", "http/1.1"]]
    assert fields(run.file, "tls.handshake.type == 8", asked[1]) == [["http/1.1"]]
    assert fields(run.file, "http", "http.host", "http.response.code") == [["server.example"], ["200"]]


def test_a_session_is_resumed_by_what_the_scenario_says(namespaces: None, tshark: str, tmp_path: File) -> None:
    names = ("1.2-resumption", "1.2-resumption-id", "1.3-resumption")
    runs = {name: play(protocols.scenario(f"tls/{name}"), tmp_path / f"{name}.pcapng").file for name in names}
    second = "tcp.stream == 1 && tls.handshake.type == "
    ((ticket,),) = fields(runs["1.2-resumption"], "tls.handshake.type == 4", "tls.handshake.session_ticket")
    assert ticket in fields(runs["1.2-resumption"], second + "1", "tls.handshake.extension.data")[0]
    ids = [fields(runs["1.2-resumption-id"], second + hello, "tls.handshake.session_id") for hello in "12"]
    assert ids[0] == ids[1] != [[]]
    assert ids[0] == fields(
        runs["1.2-resumption-id"], "tcp.stream == 0 && tls.handshake.type == 2", "tls.handshake.session_id"
    )
    psk = "tls.handshake.extensions.psk.identity.selected"
    assert fields(runs["1.3-resumption"], second + "2", psk) == [["0"]]


# Secrets


def test_secrets_are_told_before_the_frames_that_they_open(namespaces: None) -> None:
    with netns.play(protocols.scenario("tls/1.3"), (), False) as events:
        told = list(events)
    begun = told[0]
    assert isinstance(begun, Begun)
    assert "PRIVATE KEY" in begun.server_key
    payloads = [
        at for at, each in enumerate(told)
        if isinstance(each, Captured) and b"\x16\x03" in each.frame.data[66:69]
    ]  # fmt: skip
    client_hello, server_hello = payloads[:2]
    first, *_ = (at for at, each in enumerate(told) if isinstance(each, Secrets))
    assert client_hello < first < server_hello
    lines = Counter(line for each in told if isinstance(each, Secrets) for line in each.keylog.splitlines())
    assert set(lines.values()) == {2}, "both ends have come to the same secrets"
    assert {line.split()[0] for line in lines} == {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET",
    }  # fmt: skip


def test_the_servers_key_opens_the_pre_master_secret_that_the_client_wrote_down(
    namespaces: None, tshark: str, tmp_path: File
) -> None:
    keys: list[str] = []

    @contextlib.contextmanager
    def overheard(scenario: Scenario, rules: Sequence[Rule], ipv6: bool) -> Iterator[Iterator[Event]]:
        with netns.play(scenario, rules, ipv6) as events:
            begun = next(events)
            assert isinstance(begun, Begun)
            keys.append(begun.server_key)
            yield itertools.chain([begun], events)

    file = tmp_path / "run.pcapng"
    session = Session(protocols.scenario("tls/1.2-rsa"), (), False, file, overheard)
    assert list(session.rungs())
    ((encrypted,),) = fields(file, "tls.handshake.type == 16", "tls.handshake.epms")
    key = load_pem_private_key(keys[0].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    secret = key.decrypt(bytes.fromhex(encrypted.replace(":", "")), padding.PKCS1v15())
    with open_capture(str(file)) as capture:
        assert list(capture)
        log = b"".join(capture.secrets).decode()
    (line,) = {line for line in log.splitlines() if line.startswith("RSA ")}
    assert line.split()[2] == secret.hex()
    assert secret[:2] == b"\x03\x03"


def test_a_key_is_never_kept(namespaces: None) -> None:
    assert credentials.make(["192.0.2.3"]) != credentials.make(["192.0.2.3"])


# Certificates


def test_certificates_are_what_their_scenarios_say() -> None:
    now = datetime.datetime.now(datetime.UTC)
    for how in ({}, {"expired": True}, {"stranger": True}, {"other_name": True}, {"client": True}):
        made = credentials.make(["192.0.2.3", "2001:db8::3"], **how)
        known = x509.load_pem_x509_certificate(made.authority.encode())
        server = x509.load_pem_x509_certificate(made.server.certificate.encode())
        names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert (server.not_valid_after_utc < now) == ("expired" in how)
        assert server.not_valid_before_utc < now
        assert ("server.example" in names.get_values_for_type(x509.DNSName)) == ("other_name" not in how)
        if "other_name" not in how:
            assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.3", "2001:db8::3"]
        assert (server.issuer == known.subject) == ("stranger" not in how)
        if "stranger" not in how:
            server.verify_directly_issued_by(known)
        assert bool(made.client) == ("client" in how)
        for identity in filter(None, (made.server, made.client)):
            own = x509.load_pem_x509_certificate(identity.certificate.encode())
            key = load_pem_private_key(identity.key.encode(), None)
            assert key.public_key() == own.public_key()


# The programs on the hosts


def test_a_lost_hello_is_sent_again_and_the_handshake_goes_on(namespaces: None, tshark: str, tmp_path: File) -> None:
    run = play(protocols.scenario("tls/1.3"), tmp_path / "run.pcapng", False, "drop client data #1")
    assert run.session.early is None
    assert run.session.agreement.unexplained == []
    assert [rung.got for rung in run.rungs if "data" in rung.labels][:2] == [False, True]
    assert messages(run.file) == list(EXPECTED["tls/1.3"].said)


def test_what_fails_is_said_in_words(namespaces: None, tmp_path: File) -> None:
    def script(stage: Stage) -> None:
        said = []
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        with contextlib.suppress(OSError):
            said.append(stage.client.handshake())
        stage.client.secure(Terms("1.2", trusted=stage.credentials.authority, name=SERVER))
        stage.server.secure(Terms("1.2", identity=stage.credentials.server))
        for attempt in (lambda: stage.both("handshake"), stage.server.handshake):
            try:
                said.append(attempt())
            except OSError as error:
                said.append(str(error))
        raise OSError("; ".join(map(str, said)))  # the script runs in a process of its own: this comes out of it

    run = play(protocols.scenario("tls/expired")._replace(script=script), tmp_path / "run.pcapng")
    assert run.session.early is not None
    assert run.session.early.en.lower() == (
        "certificate verify failed: certificate has expired; sslv3 alert certificate expired"
    )


def test_tls_before_there_is_any_is_refused(namespaces: None, tmp_path: File) -> None:
    def script(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.client.handshake()

    run = play(protocols.scenario("tls/1.3")._replace(script=script), tmp_path / "run.pcapng")
    assert run.session.early is not None
    assert run.session.early.en == "there is no TLS on this connection"


# The command


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "lab", *words]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((), "tls/1.2-rsa"),
        (("--version", "1.2", "--key-exchange", "ecdhe"), "tls/1.2-ecdhe"),
        (("--version", "1.3"), "tls/1.3"),
        (("--version", "1.3", "--key-exchange", "ecdhe"), "tls/1.3"),
    ],
)
def test_the_command_picks_the_scenario(namespaces: None, tmp_path: File, words: tuple[str, ...], name: str) -> None:
    done = lab("tls", *words, "--lang", "en", "--testbed", "netns", "-o", str(tmp_path / "out.pcapng"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name}: ")


@pytest.mark.parametrize(("version", "key"), [("1.2", True), ("1.3", False)])
def test_the_command_for_the_keys_names_the_servers_where_that_is_of_use(
    namespaces: None, tmp_path: File, version: str, key: bool
) -> None:
    done = lab("tls", "--version", version, "--lang", "en", "--testbed", "netns", "-o", str(tmp_path / "out.pcapng"))
    _, found, command = done.stdout.partition("How the keys come about: lab ")
    assert found, done.stdout
    shown = lab(*command.split(), "--lang", "en")
    assert ("--server-key" in command) is key
    assert ("c^d mod n" in shown.stdout, "HKDF-Expand-Label" in shown.stdout) == (key, not key)


def test_where_there_were_no_keys_no_command_shows_them(namespaces: None, tmp_path: File) -> None:
    done = lab("run", "tls/expired", "--lang", "en", "--testbed", "netns", "-o", str(tmp_path / "out.pcapng"))
    assert "Saved with its notes" in done.stdout
    assert "--show keys" not in done.stdout


@pytest.mark.parametrize("lang", LANGUAGES)
def test_tls_13_has_no_rsa_key_exchange(lang: str) -> None:
    done = lab("tls", "--version", "1.3", "--key-exchange", "rsa", "--lang", lang)
    assert done.returncode == 2
    assert done.stdout == ""
    assert TWO_LINES[lang].fullmatch(done.stderr)


# Containers


@pytest.mark.parametrize("name", ["tls/1.2-rsa", "tls/expired"])
def test_containers_say_the_same(docker: str, tshark: str, tmp_path: File, name: str) -> None:
    file = tmp_path / "out.pcapng"
    done = lab("run", name, "--testbed", "docker", "--json", "-o", str(file))
    assert done.returncode == 0, done.stderr
    assert messages(file) == list(EXPECTED[name].said)
    (conversation,) = json.loads(done.stdout)["conversations"]
    assert conversation["closed"] == "fin"
