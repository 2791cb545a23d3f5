"""`lab tls`: the options pick a scenario, and it is said how the keys come about."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from lab.protocols.tls.openssl import lacking as lacking_for
from lab.protocols.tls.scenarios import HYBRID
from lab.text import LANGUAGES
from tests.left_behind import TWO_LINES
from tests.places import ROOT


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
def test_the_command_picks_the_scenario(namespaces: None, tmp_path: Path, words: tuple[str, ...], name: str) -> None:
    done = lab("tls", *words, "--lang", "en", "--testbed", "netns", "-o", str(tmp_path / "out.pcapng"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name}: ")


@pytest.mark.parametrize(("version", "key"), [("1.2", True), ("1.3", False)])
def test_the_command_for_the_keys_names_the_servers_where_that_is_of_use(
    namespaces: None, tmp_path: Path, version: str, key: bool
) -> None:
    done = lab("tls", "--version", version, "--lang", "en", "--testbed", "netns", "-o", str(tmp_path / "out.pcapng"))
    _, found, command = done.stdout.partition("How the keys come about: lab ")
    assert found, done.stdout
    shown = lab(*command.split(), "--lang", "en")
    assert ("--server-key" in command) is key
    assert ("c^d mod n" in shown.stdout, "HKDF-Expand-Label" in shown.stdout) == (key, not key)


def test_where_there_were_no_keys_no_command_shows_them(namespaces: None, tmp_path: Path) -> None:
    done = lab("run", "tls/expired", "--lang", "en", "--testbed", "netns", "-o", str(tmp_path / "out.pcapng"))
    assert "Saved with its notes" in done.stdout
    assert "--show keys" not in done.stdout


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_scenario_for_which_this_machine_lacks_something_says_what_and_is_not_played(
    namespaces: None, tmp_path: Path, lang: str
) -> None:
    lacking = lacking_for(HYBRID)
    listed, said = lab("scenarios", "--lang", lang).stdout, "--testbed docker"
    done = lab("run", "tls/1.3-hybrid", "--testbed", "netns", "--lang", lang, "-o", str(tmp_path / "out.pcapng"))
    if lacking is None:
        assert done.returncode == 0, done.stderr
        assert said not in listed
        return
    assert done.returncode == 4
    assert TWO_LINES[lang].fullmatch(done.stderr)
    assert ssl.OPENSSL_VERSION in done.stderr
    assert "lab run tls/1.3-hybrid --testbed docker" in done.stderr
    assert listed.count(said) == 2
    assert not (tmp_path / "out.pcapng").exists()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_tls_13_has_no_rsa_key_exchange(lang: str) -> None:
    done = lab("tls", "--version", "1.3", "--key-exchange", "rsa", "--lang", lang)
    assert done.returncode == 2
    assert done.stdout == ""
    assert TWO_LINES[lang].fullmatch(done.stderr)
