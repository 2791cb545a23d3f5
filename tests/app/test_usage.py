"""What the command line can't be: said in both languages, whatever the parser's own words are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from lab.app.usage import told
from lab.version import __version__

pytestmark = pytest.mark.slow  # a process for each

WRONG = {
    "nots": "there is no command 'nots'; did you mean notes?",
    "anotate": "there is no command 'anotate'; did you mean annotate, notes?",
    "xyzzy": "there is no command 'xyzzy'",
    "--nope": "there is no option --nope",
    "tcp --jsn": "there is no option --jsn; did you mean --json?",
    "annotate --sho x": "there is no option --sho; did you mean --json, --show?",
    "annotate": "the argument file is missing",
    "diff a": "the argument B is missing",
    "annotate x --format moon": (
        "--format can't be 'moon': it is one of ladder, json, ndjson, csv, conversations, events, svg, mermaid, html, "
        "pcapng"
    ),
    "annotate x --conversation abc": "--conversation takes a whole number",
    "tcp more {0}": "too many arguments: more {0}",
    "tcp --ipv6=3": "option --ipv6 takes no value",
    "tcp --wire": "option --wire needs a value",
    "step x.pcapng -o y.pcapng": "-o goes only with a scenario",
    "step x.pcapng --wire nonsense": "--wire goes only with a scenario",
    "step x.pcapng --ipv6": "--ipv6 goes only with a scenario",
    "step x.pcapng --testbed docker": "--testbed goes only with a scenario",
    "step tcp/connection --conversation 0": "--conversation goes only with a capture",
    "step tcp/connection --port 8000": "--port goes only with --page",
    "view x.pcapng --slow 2s --no-open": "--slow goes only with a scenario",
    "view x.pcapng -o y.pcapng --no-open": "-o goes only with a scenario",
    "view tcp/connection --no-open --filter tcp": "--filter goes only with a capture",
    "view tcp/connection --no-open --conversation 0": "--conversation goes only with a capture",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_command_line_is_said_to_be_so_in_the_readers_language(arguments: str) -> None:
    said = {}
    for locale in ("C.UTF-8", "zh_CN.UTF-8"):
        command = [sys.executable, "-m", "lab", *arguments.split()]
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", env={"LANG": locale}, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        said[locale] = done.stderr.splitlines()
    assert said["C.UTF-8"][0] == f"error: {WRONG[arguments]}"
    assert re.fullmatch(r"错误：.*[\u4e00-\u9fff].*", said["zh_CN.UTF-8"][0])
    assert not re.search(r"\b(no|is|takes|needs|must|value)\b", said["zh_CN.UTF-8"][0], re.IGNORECASE)
    assert len(said["zh_CN.UTF-8"]) == len(said["C.UTF-8"]) == 2


@pytest.mark.parametrize("arguments", ["annotate {}", "annotate README.md --keylog {}", "run {}", "diff {0} {0}", "{}"])
def test_a_name_on_the_command_line_steers_no_terminal(arguments: str) -> None:
    name = "x\x1b[31m\n\u202ey\x9b"
    command = [sys.executable, "-m", "lab", *(each.format(name) for each in arguments.split())]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env={"LANG": "C.UTF-8"}, check=False)
    assert (done.returncode in (2, 3), done.stdout) == (True, "")
    assert re.fullmatch(r"error: .*\nhint: .*\n", done.stderr)
    assert not set(done.stderr) & set("\x1b\x9b\u202e")


def said(*arguments: str, status: int = 0) -> str:
    """Returns what the lab says, on either stream."""
    command = [sys.executable, "-m", "lab", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env={"LANG": "C.UTF-8"}, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("command", ["", "tls", "run", "annotate", "diff", "notes", "scenarios", "doctor"])
def test_h_is_help(command: str) -> None:
    assert said(*command.split(), "-h") == said(*command.split(), "--help")


def test_the_version_is_told() -> None:
    assert said("--version") == f"handshake-lab {__version__}\n"
    assert "--version" in said("--help")


def test_the_notes_know_a_protocol_by_the_name_of_its_command() -> None:
    assert said("notes", "ws") == said("notes", "websocket") == said("notes", "WebSocket")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("tcp", "tcp/connection"), ("TCP/", "tcp/connection"), ("tls", "tls/1.2-rsa"), ("ws", "websocket/connection"),
        ("WebSocket", "websocket/connection"), ("tcp/conection", "tcp/connection"), ("TCP/RESET", "tcp/reset"),
    ],
)  # fmt: skip
def test_a_scenario_that_is_not_there_is_guessed(asked: str, meant: str) -> None:
    assert f"hint: did you mean {meant}? " in said("run", asked, status=2)


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("--keylog README.md", "error: README.md is no key log: no line is a label, a random, a secret"),
        ("--server-key README.md", "error: README.md can't be used: this is no private key in PEM or DER form"),
        ("--server-key {key}", "error: {key} can't be used: the private key is protected by a password"),
        ("--keylog {plain}", "error: {plain} is a private key: --server-key takes it"),
        ("--server-key {log}", "error: {log} is a key log: --keylog takes it"),
    ],
)
@pytest.mark.parametrize("given", ["annotate {}", "annotate {} --json", "annotate {} --format csv", "diff {} {}"])
def test_a_file_of_secrets_that_has_none_is_refused_at_once(
    tmp_path: Path, given: str, command: str, first: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files = {name: str(tmp_path / name) for name in ("key", "plain", "log")}
    for name, protection in (("key", BestAvailableEncryption(b"password")), ("plain", NoEncryption())):
        Path(files[name]).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    Path(files["log"]).write_text(f"CLIENT_RANDOM {'00' * 32} {'00' * 48}\n")
    words = f"{given} {command}".replace("{}", "captures/tls-1.3.pcapng").format(**files)
    lines = said(*words.split(), status=3).splitlines()
    assert lines[0].startswith(first.format(**files))
    assert len(lines) == 2


@pytest.mark.parametrize("label", ["CLIENT_RANDOM", "A_LABEL_OF_TOMORROW"])
def test_a_key_log_of_other_connections_is_one(tmp_path: Path, label: str) -> None:
    (tmp_path / "log").write_text(f"# a comment\n{label} {'00' * 32} {'00' * 48}\n")
    said("annotate", "captures/tls-1.3.pcapng", "--keylog", str(tmp_path / "log"))


def test_what_nobody_has_foreseen_is_passed_on() -> None:
    assert told("Something {odd}.").en == "Something {odd}."
    assert told("Something {odd}.").zh == "命令行有误：Something {odd}."


@pytest.mark.parametrize(("secret", "why"), [("/dev/null", "is empty"), ("/dev/zero", "is larger than 64 MB")])
@pytest.mark.parametrize("option", ["--keylog", "--server-key"])
def test_a_file_of_secrets_that_can_be_none_is_refused(option: str, secret: str, why: str) -> None:
    command = [sys.executable, "-m", "lab", "annotate", "captures/tls-1.3.pcapng", option, secret]
    done = subprocess.run(command, capture_output=True, text=True, env={"LANG": "C.UTF-8"}, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(rf"error: {secret} {why}\nhint: .*\n", done.stderr)
