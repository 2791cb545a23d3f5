"""What the command line can't be: said in both languages, whatever the parser's own words are."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lab.app.usage import told

pytestmark = pytest.mark.slow  # a process for each

WRONG = {
    "nots": "there is no command 'nots'; did you mean notes?",
    "xyzzy": "there is no command 'xyzzy'",
    "--nope": "there is no option --nope",
    "tcp --jsn": "there is no option --jsn; did you mean --json?",
    "annotate --sho x": "there is no option --sho; did you mean --json, --show?",
    "annotate": "the argument file is missing",
    "diff a": "the argument B is missing",
    "annotate x --format moon": (
        "--format can't be 'moon': it is one of 'ladder', 'json', 'ndjson', 'csv', 'conversations', 'events', 'pcapng'"
    ),
    "annotate x --conversation abc": "--conversation takes a whole number",
    "tcp more {0}": "too many arguments: more {0}",
    "tcp --ipv6=3": "option --ipv6 takes no value",
    "tcp --wire": "option --wire needs a value",
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
