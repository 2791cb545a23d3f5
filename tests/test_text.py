"""The language comes from --lang, else from the locale, else it is English; a text has both, and one is picked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.text import LANGUAGES, ROLES, Text, choose, counted


@pytest.mark.parametrize(
    ("argv", "environ", "lang"),
    [
        ([], {}, "en"),
        (["--lang", "zh"], {}, "zh"),
        (["--lang=zh"], {}, "zh"),
        (["annotate", "x.pcap", "--lang", "zh"], {}, "zh"),
        (["--lang", "en"], {"LANG": "zh_CN.UTF-8"}, "en"),
        (["--lang=en", "tcp", "--lang=zh"], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_TW"}, "zh"),
        ([], {"LANG": "ZH_cn"}, "zh"),
        ([], {"LANG": "de_DE.UTF-8"}, "en"),
        ([], {"LANG": "C"}, "en"),
        ([], {"LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
        ([], {"LC_ALL": "en_US", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ([], {"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ([], {"LC_ALL": "zh_CN", "LANG": "en_US"}, "zh"),
        (["--lang"], {"LANG": "zh_CN"}, "zh"),
        (["--lang", "fr"], {"LANG": "zh_CN"}, "zh"),
        (["--lang="], {}, "en"),
        (["--language", "zh"], {}, "en"),
        (["zh"], {}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_locales_else_english(
    argv: list[str], environ: dict[str, str], lang: str
) -> None:
    assert choose(argv, environ) == lang


def test_a_text_is_picked_in_either_language_and_filled_in_in_both() -> None:
    text = Text("{} packets of {who}", "{who}的 {} 个包").format(3, who="x")
    assert [text.pick(lang) for lang in LANGUAGES] == ["3 packets of x", "x的 3 个包"]


def test_both_roles_have_a_name() -> None:
    assert set(ROLES) == {"client", "server"}


@pytest.mark.parametrize(("lang", "word"), [("en", "usage"), ("zh", "用法")])
def test_the_help_is_in_the_language_asked_for(lang: str, word: str) -> None:
    said = subprocess.run([sys.executable, "-m", "lab", "--lang", lang, "--help"], capture_output=True, check=True)
    assert word in said.stdout.decode().lower()


def test_one_is_one_and_all_else_is_many() -> None:
    assert [counted(number, "packet") for number in (0, 1, 2)] == ["0 packets", "1 packet", "2 packets"]
