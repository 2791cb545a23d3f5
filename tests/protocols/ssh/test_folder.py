"""A protocol is a folder and one line of the registry: SSH is put into a copy of the lab, and every command is tried.

The folder stands beside this file, exactly as it would stand in lab/protocols/ssh. Nothing else of the copy is changed.
"""

from __future__ import annotations

import base64
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path as File
from typing import Any

import jsonschema
import pytest

import lab
from tests.places import ROOT

LANGUAGES = ("en", "zh")
ROWS = ("json", "ndjson", "csv", "conversations", "events")
DRAWN = ("svg", "mermaid")
FORMATS = ("ladder", *ROWS, *DRAWN, "pcapng")
CONNECTION, GREETING, FAILING = "ssh/connection", "ssh/greeting", "ssh/no-common-key-exchange"
SCENARIOS = (CONNECTION, GREETING, FAILING)
NAMES = ("identification", "KEXINIT", "KEX_ECDH_INIT", "KEX_ECDH_REPLY", "NEWKEYS", "encrypted-packet")
# What the four steps must be seen in, scenario by scenario: (step, how it departs).
DEPARTURES = {
    CONNECTION: {},
    GREETING: {"ssh.1": "lines-before"},
    FAILING: {"ssh.2": "nothing-in-common", "ssh.3": "nothing-in-common", "ssh.4": "nothing-in-common"},
}
PROPOSED = ("kex_algorithms", "encryption_algorithms_client_to_server", "compression_algorithms_server_to_client")
CHINESE = re.compile(r"[\u3400-\u9fff]")
_LAB = File(lab.__file__).parent
_FOLDER = File(__file__).parent / "folder"
_LINE = '    "ssh",\n'
_BEFORE = '    "websocket",\n'


pytestmark = pytest.mark.slow  # the lab is started about a hundred times


class Copy:
    """The lab with SSH in it."""

    def __init__(self, root: File) -> None:
        self.root = root
        self._captures: dict[str, File] = {}
        shutil.copytree(_LAB, root / "lab", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(_FOLDER, root / "lab" / "protocols" / "ssh", ignore=shutil.ignore_patterns("__pycache__"))
        registry = root / "lab" / "protocols" / "registry.py"
        text = registry.read_text("utf-8")
        assert text.count(_BEFORE) == 1
        registry.write_text(text.replace(_BEFORE, _BEFORE + _LINE), "utf-8")

    def python(self, *words: str, given: bytes = b"", status: int = 0) -> bytes:
        """Runs Python with the copy as its lab, and returns what that writes; the lab's errors are never tracebacks."""
        environment = {**os.environ, "PYTHONPATH": str(self.root), "LC_ALL": "C.UTF-8", "COLUMNS": "80"}
        done = subprocess.run(
            [sys.executable, *words], input=given, capture_output=True, env=environment, cwd=self.root, timeout=100
        )
        assert done.returncode == status, done.stderr.decode()
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done.stdout

    def lab(self, *words: str, given: bytes = b"", status: int = 0) -> str:
        return self.python("-m", "lab", *words, given=given, status=status).decode()

    def capture(self, scenario: str) -> File:
        """Returns the file that a scenario was saved in; it is played when that is first asked for."""
        if scenario not in self._captures:
            file = self.root / f"{scenario.replace('/', '-')}.pcapng"
            self.lab("run", scenario, "--testbed", "netns", "-o", str(file))
            self._captures[scenario] = file
        return self._captures[scenario]

    def trace(self, scenario: str) -> Any:
        return json.loads(self.lab("annotate", str(self.capture(scenario)), "--json"))

    @cached_property
    def schemas(self) -> dict[str, Any]:
        """The schemas that the copy puts together."""
        asked = "import json, lab; print(json.dumps({name: lab.schema(name) for name in ('trace', 'events')}))"
        found: dict[str, Any] = json.loads(self.python("-c", asked))
        return found

    @cached_property
    def validators(self) -> dict[str, Any]:
        for schema in self.schemas.values():
            jsonschema.Draft202012Validator.check_schema(schema)
        return {name: jsonschema.Draft202012Validator(schema) for name, schema in self.schemas.items()}

    def valid(self, of: str, value: object) -> None:
        self.validators[of].validate(value)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def played(copy: Copy, namespaces: None) -> Copy:
    """The copy on a machine where scenarios can be played."""
    return copy


def listed(root: File) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_folder_and_one_line_is_all_that_is_added(copy: Copy) -> None:
    before, after = listed(_LAB), listed(copy.root / "lab")
    added = {name for name in after if name not in before}
    assert added == {f"protocols/ssh/{name}" for name in listed(_FOLDER)}
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"protocols/registry.py"}
    usual, ours = (text["protocols/registry.py"].decode().splitlines(keepends=True) for text in (before, after))
    delta = [line for line in difflib.ndiff(usual, ours) if line[0] in "+-"]
    assert delta == ["+ " + _LINE]
    where = copy.python("-c", "import lab; print(lab.__file__)").decode().strip()
    assert File(where).is_relative_to(copy.root)


def test_its_types_are_strict(copy: Copy) -> None:
    words = ("-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(copy.root / "types"))
    copy.python(*words, "-p", "lab.protocols.ssh")


# What is there before anything is played.


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_command_is_among_the_others(copy: Copy, lang: str) -> None:
    assert re.search(r"^ +ssh  ", copy.lab("--lang", lang, "--help"), re.MULTILINE)
    assert bool(CHINESE.search(copy.lab("--lang", lang, "ssh", "--help"))) == (lang == "zh")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_scenarios_are_listed(copy: Copy, lang: str) -> None:
    said = copy.lab("scenarios", "--lang", lang)
    for name in SCENARIOS:
        assert re.search(rf"^{name} ", said, re.MULTILINE)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_notes_tell_steps_states_and_both_tables(copy: Copy, lang: str) -> None:
    said = copy.lab("notes", "ssh", "--lang", lang)
    event = "sent NEWKEYS" if lang == "en" else "发出 NEWKEYS"
    for word in ("ssh.1", "ssh.4", "KEXINIT_EARLY", event, "4253 7.3"):
        assert word in said
    assert bool(CHINESE.search(said)) == (lang == "zh")
    assert all(len(line) <= 100 for line in said.splitlines())


def test_every_state_and_departure_has_its_note(copy: Copy) -> None:
    asked = (
        "import json; from lab.protocols.ssh import PROTOCOL; from lab.protocols.notes import notes;"
        "found = notes('ssh'); tables = PROTOCOL.tables.values();"
        "print(json.dumps([sorted({s for t in tables for s in t.states} ^ set(found.states)),"
        " sorted({e.name for e in PROTOCOL.scenarios()} ^ set(found.scenarios))]))"
    )
    assert json.loads(copy.python("-c", asked)) == [[], []]


def test_doctor_says_the_same_as_ever(copy: Copy) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "COLUMNS": "80"}
    usual = subprocess.run(
        [sys.executable, "-m", "lab", "doctor"], env=environment, cwd=copy.root, capture_output=True, timeout=100
    )
    assert copy.lab("doctor", status=usual.returncode) == usual.stdout.decode()


def test_an_unknown_protocol_is_told_which_there_are(copy: Copy) -> None:
    assert copy.lab("notes", "quic", status=2) == ""


def test_without_a_layout_it_has_a_table_and_no_diagram(copy: Copy) -> None:
    assert copy.lab("notes", "ssh", "--diagram", "svg", status=2) == ""


# Played on real hosts.


@pytest.mark.parametrize(("form", "lang"), [*((form, "en") for form in FORMATS), ("ladder", "zh")])
def test_it_is_played_in_every_format(played: Copy, tmp_path: File, form: str, lang: str) -> None:
    file = tmp_path / "run.pcapng"
    words = ("run", CONNECTION, "--testbed", "netns", "--format", form, "--lang", lang, "-o", str(file))
    if form == "pcapng":
        assert played.python("-m", "lab", *words) == file.read_bytes()
        return
    _check(played, form, lang, played.lab(*words))


def test_its_own_command_plays_it_over_ipv6_too(played: Copy, tmp_path: File) -> None:
    file = tmp_path / "run.pcapng"
    found = json.loads(played.lab("ssh", "--ipv6", "--testbed", "netns", "--json", "-o", str(file)))
    played.valid("trace", found)
    assert found["conversations"][0]["protocols"] == ["tcp", "ssh"]
    assert ":" in found["conversations"][0]["client"]["address"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_kernels_agree_at_every_packet(played: Copy, scenario: str) -> None:
    found = played.trace(scenario)
    assert found["packets"]
    for packet in found["packets"]:
        assert packet["kernel"] == packet["states"], packet
        assert "surprises" not in packet
    asked = (
        f"import lab; found = lab.verify(lab.open({str(played.capture(scenario))!r}));"
        "print([each.en for each in found.faults], found.deviations, found.compared > 50)"
    )
    assert played.python("-c", asked).decode() == "[] {} True\n"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_steps_go_as_the_notes_have_them_or_say_how_not(played: Copy, scenario: str) -> None:
    (conversation,) = played.trace(scenario)["conversations"]
    steps = {each["id"]: each for each in conversation["steps"]}
    ours = {name: step for name, step in steps.items() if name.startswith("ssh.")}
    assert list(ours) == ["ssh.1", "ssh.2", "ssh.3", "ssh.4"]
    departed = {name: step["differs"]["code"] for name, step in ours.items() if step["differs"]}
    assert departed == DEPARTURES[scenario]
    seen = {name for name, step in ours.items() if step["seen"]}
    assert seen == ({"ssh.1", "ssh.2"} if scenario == FAILING else set(ours))


def test_what_it_tells_of_the_connection_is_true(played: Copy) -> None:
    facts = played.trace(CONNECTION)["conversations"][0]["ssh"]
    assert facts["versions"] == {"client": "SSH-2.0-lab_client", "server": "SSH-2.0-lab_server"}
    assert facts["key_exchange"] == "curve25519-sha256"
    assert facts["host_key_algorithm"] == "ssh-ed25519"
    assert facts["signature_valid"] is True  # computed from the capture, and the secret that is in it
    assert facts["encrypted_packets"] == {"client": 2, "server": 1}
    assert facts["disconnected"] is None  # it is encrypted
    failing = played.trace(FAILING)["conversations"][0]["ssh"]
    assert failing["nothing_in_common"] == ["kex_algorithms"]
    assert failing["disconnected"]["code"] == 3
    assert failing["host_key"] is None


# The saved capture.


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_saved_capture_is_annotated_in_every_format(played: Copy, tmp_path: File, form: str, lang: str) -> None:
    file = played.capture(CONNECTION)
    if form == "pcapng":
        again = tmp_path / "again.pcapng"
        played.lab("annotate", str(file), "--format", form, "--lang", lang, "-o", str(again))
        assert b"SSH KEXINIT" in again.read_bytes()
        assert "密钥交换".encode() in again.read_bytes()
        assert played.lab("annotate", str(again)) == played.lab("annotate", str(file))
        return
    said = played.lab("annotate", str(file), "--format", form, "--lang", lang)
    _check(played, form, lang, said)


@pytest.mark.parametrize("form", FORMATS)
def test_it_is_the_same_through_a_pipe(played: Copy, form: str) -> None:
    file = played.capture(CONNECTION)
    named, piped = (
        played.python("-m", "lab", "annotate", name, "--format", form, given=given)
        for name, given in ((str(file), b""), ("-", file.read_bytes()))
    )
    for name in (str(file), file.name):
        named = named.replace(f'"name":"{name}"'.encode(), b'"name":"-"')
    if form == "events":  # the secrets of a file are told first, those from a pipe where they stand in it
        assert sorted(piped.splitlines()) == sorted(named.splitlines())
    else:
        assert piped == named


def _check(played: Copy, form: str, lang: str, said: str) -> None:
    """Looks for SSH in what was written, and holds it against its schema where it has one."""
    if form == "ladder":
        for word in ("SSH 4", "KEX_ECDH_REPLY", "SSH-2.0-lab_server", "NEWKEYS_GOT", "✓"):
            assert word in said
        assert bool(CHINESE.search(said)) == (lang == "zh")
        assert "≠" not in said
    elif form in DRAWN:
        for word in ("SSH 4", "KEX_ECDH_REPLY", "NEWKEYS_GOT"):
            assert word in said or word in said.replace("<br/>", " ")
        assert bool(CHINESE.search(said)) == (lang == "zh")
    elif form == "json":
        found = json.loads(said)
        played.valid("trace", found)
        assert [each["protocols"] for each in found["conversations"]] == [["tcp", "ssh"]]
    elif form == "ndjson":
        packets = [json.loads(line) for line in said.splitlines()]
        assert [step for packet in packets for step in packet["steps"] if step.startswith("ssh.")] == [
            "ssh.1", "ssh.1", "ssh.2", "ssh.2", "ssh.3", "ssh.3", "ssh.4", "ssh.4",
        ]  # fmt: skip
        assert {m["message_number"] for packet in packets for m in packet["messages"] if "message_number" in m} == {
            20, 21, 30, 31,
        }  # fmt: skip
    elif form == "csv":
        head, *rows = said.splitlines()
        assert head.startswith("number,")
        assert [row for row in rows if "KEX_ECDH_INIT" in row and "ssh.3" in row]
    elif form == "conversations":
        (line,) = said.splitlines()
        assert json.loads(line)["ssh"]["key_exchange"] == "curve25519-sha256"
    else:
        events = [json.loads(line) for line in said.splitlines()]
        for event in events:
            played.valid("events", event)
        read = [each["message"]["name"] for each in events if each["event"] == "message-read"]
        assert read.count("KEXINIT") == read.count("NEWKEYS") == 2
        states = [each["to_state"] for each in events if each["event"] == "state-changed" and each["protocol"] == "ssh"]
        assert states.count("ENCRYPTED") == 2


_EXPLAINED = """
import sys
from lab.app.annotate import Asked, annotate
from lab.app.formats import Format
for number in sys.argv[2:]:
    annotate(Asked(sys.argv[1], Format.JSON, b"", b"", False, None, number, None, None), "en")
"""


@pytest.fixture(scope="module")
def fields(played: Copy) -> Callable[[str], list[Any]]:
    """The messages called so, each as --explain has it, with the number of its packet."""
    trace, file = played.trace(CONNECTION), str(played.capture(CONNECTION))
    numbers = [str(packet["number"]) for packet in trace["packets"] if packet["messages"]]
    packets = [json.loads(line) for line in played.python("-c", _EXPLAINED, file, *numbers).splitlines()]
    told = [{**message, "packet": packet["number"]} for packet in packets for message in packet["messages"]]
    return lambda name: [message for message in told if message["name"] == name]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_message_is_explained(played: Copy, lang: str) -> None:
    file, trace = str(played.capture(CONNECTION)), played.trace(CONNECTION)
    numbers = {message["name"]: packet["number"] for packet in trace["packets"] for message in packet["messages"]}
    assert len(numbers) == len(NAMES)
    for name in NAMES:
        said = played.lab("annotate", file, "--explain", str(numbers[name]), "--lang", lang)
        assert f"SSH {name}" in said
        assert bool(CHINESE.search(said)) == (lang == "zh")
    told = json.loads(played.lab("annotate", file, "--explain", str(numbers["KEXINIT"]), "--json", "--lang", lang))
    assert told["messages"][0]["fields"]


def test_every_byte_of_a_message_is_in_a_field(played: Copy, fields: Callable[[str], list[Any]]) -> None:
    for name in NAMES:
        for message in fields(name):
            covered: set[int] = set()
            for field in message["fields"]:
                covered |= set(range(field["start"], field["end"]))
            size = sum(span["end"] - span["start"] for span in message["spans"])
            between = {7, 8} if name == "identification" else set()  # the dashes of the version
            assert set(range(size)) - covered <= between, name


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_exchange_hash_is_worked_out(played: Copy, lang: str) -> None:
    said = played.lab("annotate", str(played.capture(CONNECTION)), "--show", "keys", "--lang", lang)
    source = "RFC 4253 section 7.2" if lang == "en" else "RFC 4253 第 7.2 节"
    for word in ("SHA-256(exchange)", "Ed25519-Verify", source, "SHA256:"):
        assert word in said
    assert ("it is right" if lang == "en" else "结果正确") in said
    other = played.lab("annotate", str(ROOT / "captures" / "tcp-connection.pcapng"), "--show", "keys", "--lang", lang)
    assert "SSH" in other.splitlines()[-1]  # there is none in this one


def test_one_conversation_and_some_ports(played: Copy) -> None:
    file = str(played.capture(CONNECTION))
    assert "SSH 4" in played.lab("annotate", file, "--conversation", "0")
    assert "SSH 4" in played.lab("annotate", file, "--filter", "port 22")
    assert "SSH 4" not in played.lab("annotate", file, "--filter", "not port 22")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_is_compared_with_what_has_none(played: Copy, lang: str) -> None:
    ours, other = str(played.capture(CONNECTION)), str(ROOT / "captures" / "tcp-connection.pcapng")
    for one, two in ((ours, other), (other, ours)):
        said = played.lab("diff", one, two, "--lang", lang)
        assert ("carries SSH" if lang == "en" else "承载 SSH") in said
        assert ("SSH key exchange" if lang == "en" else "SSH 密钥交换") in said
    assert "kex_algorithms" in played.lab("diff", ours, str(played.capture(FAILING)), "--lang", lang)


def test_it_is_the_same_as_itself_and_as_another_run(played: Copy, tmp_path: File) -> None:
    ours = str(played.capture(CONNECTION))
    assert json.loads(played.lab("diff", ours, ours, "--json"))["same"] is True

    def is_the_same() -> bool:  # what is random is passed over
        once, again = str(tmp_path / "once.pcapng"), str(tmp_path / "again.pcapng")
        for each in (once, again):
            played.lab("run", CONNECTION, "--testbed", "netns", "-o", each)
        return bool(json.loads(played.lab("diff", once, again, "--json"))["same"])

    assert any(is_the_same() for _ in range(5)), "on a busy machine a timer goes off, and one ACK more is sent"


# Wireshark's own dissector.


def test_wireshark_sees_the_same_messages(played: Copy, tshark: str, fields: Callable[[str], list[Any]]) -> None:
    asked = ("protocol", "message_code", "packet_length", "cookie", *PROPOSED)
    command = [tshark, "-r", str(played.capture(CONNECTION)), "-T", "fields", "-e", "frame.number"]
    rows = subprocess.run(
        [*command, *(word for name in asked for word in ("-e", f"ssh.{name}"))],
        capture_output=True, check=True, timeout=100,
    )  # fmt: skip
    theirs: dict[int, dict[str, str]] = {}
    for row in rows.stdout.decode().splitlines():
        packet, *told = row.split("\t")
        theirs[int(packet)] = dict(zip(asked, told, strict=True))

    def said(name: str) -> dict[int, str]:
        return {number: row[name] for number, row in theirs.items() if row[name]}

    lines, codes, sizes = {}, {}, {}
    sealed = set()
    for message in (message for name in NAMES for message in fields(name)):
        number, values = message["packet"], {field["name"]: field["value"] for field in message["fields"]}
        if message["name"] == "identification":
            lines[number] = f"SSH-{values['protoversion']}-{values['softwareversion']}"
            continue
        sizes[number] = values["packet_length"]
        if "message_number" in message:
            codes[number] = str(message["message_number"])
        else:
            sealed.add(number)
        if message["name"] == "KEXINIT":
            assert values["cookie"].replace(" ", "") == theirs[number]["cookie"].replace(":", "")
            assert {name: values[name] for name in PROPOSED} == {name: theirs[number][name] for name in PROPOSED}
    assert said("protocol") == lines
    assert said("packet_length") == sizes
    # Wireshark 4.0 names a message that it has no key for after whatever byte stands there.
    assert {number: code for number, code in said("message_code").items() if number not in sealed} == codes
    assert len(sealed) == 3


def test_the_places_of_fields_are_their_bytes(played: Copy, fields: Callable[[str], list[Any]]) -> None:
    events = [json.loads(line) for line in played.lab(
        "annotate", str(played.capture(CONNECTION)), "--format", "events").splitlines()]  # fmt: skip
    frames = {each["packet"]: base64.b64decode(each["frame"]["data"]) for each in events if "frame" in each}
    for message in fields("KEXINIT"):
        data = b"".join(frames[span["number"]][span["start"] : span["end"]] for span in message["spans"])
        lists = [field for field in message["fields"] if re.search(r"algorithms(_[a-z_]+)?$", field["name"])]
        assert len(lists) == 8
        for field in lists:
            assert data[field["start"] : field["end"]].decode() == field["value"]
