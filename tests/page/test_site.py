"""The site as files: every link leads somewhere, nothing comes from elsewhere, both languages say the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.protocols.catalogue import scenarios
from lab.protocols.exploration import STIMULI, WAYS
from lab.protocols.notes import notes
from lab.protocols.registry import PROTOCOLS
from lab.text import LANGUAGES, Text
from scripts.site.build import build
from scripts.site.links import dead, read
from tests.places import REFERENCES, ROOT

pytestmark = pytest.mark.slow  # two sites are made, and all links of one followed again and again

CHINESE = re.compile(r"[\u3400-\u9fff]")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(folder, dropping=False)
    return folder


def pages(site: Path) -> dict[str, str]:
    return {file.relative_to(site).as_posix(): file.read_text("utf-8") for file in sorted(site.rglob("*.html"))}


class Inline(HTMLParser):
    """Finds what a strict policy would not let in: styles and scripts within a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        handlers = [name for name in given if name == "style" or name.startswith("on")]
        script = tag == "script" and "src" not in given and given.get("type") != "application/json"
        if handlers or script or tag in ("style", "iframe", "object", "base"):
            self.found.append(f"{tag} {handlers}")


def test_every_link_leads_somewhere(site: Path) -> None:
    assert dead(site) == []


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("gone.html", "there is no such file"),
        ("index.html#nowhere", "there is no such place in it"),
        ("captures/tcp-connection.html#p=12", "it has no such packet"),
        ("https://example.org/", "it leads out of the site"),
        ("//example.org/", "it leads out of the site"),
        ("/index.html", "it leads out of the site"),
        ("../index.html", "there is no such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(link: str, why: str, site: Path) -> None:
    more = site / "more.html"
    good = '<a href="index.html#tcp"></a><a href="captures/tcp-connection.html#p=11"></a>'
    more.write_text(f'{good}<a href="{link}"></a>')
    try:
        assert dead(site) == [f"more.html: {link}: {why}"]
    finally:
        more.unlink()


def test_a_strict_policy_has_nothing_to_forbid(site: Path) -> None:
    assert {name: Inline(text).found for name, text in pages(site).items() if Inline(text).found} == {}
    assert {name for name, text in pages(site).items() if 'http-equiv="Content-Security-Policy"' not in text} == set()
    sources = {file.name: file.read_text("utf-8") for file in site.iterdir() if file.suffix in (".css", ".js")}
    outside = re.compile(r"https?://(?!www\.w3\.org/)|@import|\burl\((?!#)")
    assert {name: outside.findall(text) for name, text in sources.items() if outside.search(text)} == {}


def test_every_capture_is_there_as_a_page_and_as_itself(site: Path) -> None:
    for scenario in scenarios():
        stem = scenario.name.replace("/", "-")
        kept = site / "captures" / f"{stem}.pcapng"
        assert kept.read_bytes() == (REFERENCES / kept.name).read_bytes()
        assert f"{stem}.pcapng" in read((site / "captures" / f"{stem}.html").read_text("utf-8")).links
        for lang in LANGUAGES:
            index = read((site / ("index.html" if lang == "en" else "index.zh.html")).read_text("utf-8"))
            assert {f"captures/{stem}.html", f"captures/{stem}.pcapng"} <= set(index.links)


def test_both_languages_have_the_same_places_and_links(site: Path) -> None:
    found = pages(site)
    english = [name for name in found if f"{name[:-5]}.zh.html" in found]
    assert len(english) == 3 + len(PROTOCOLS)
    for name in english:
        other = f"{name[:-5]}.zh.html"
        assert not CHINESE.search(found[name].replace("中文", "")), name
        one, two = read(found[name]), read(found[other])
        assert one.names == two.names
        assert len(one.links) == len(two.links)
        assert '<html lang="zh-CN">' in found[other]


def test_the_notes_have_every_step_and_state_and_where_a_step_is_seen(site: Path) -> None:
    for about in PROTOCOLS:
        page = read((site / "notes" / f"{about.name}.html").read_text("utf-8"))
        lesson = notes(about.name)
        assert page.names >= {*lesson.steps, *lesson.states}
    assert "../captures/tcp-connection.html#p=8" in read((site / "notes/tcp.html").read_text("utf-8")).links


def test_the_grid_has_every_cell(site: Path) -> None:
    page = read((site / "explore.html").read_text("utf-8"))
    cells = [link for link in page.links if link.startswith("#") and link[1:].partition("-")[0].isupper()]
    assert len(cells) == len(WAYS) * len(STIMULI)


def test_it_is_the_same_each_time(site: Path, tmp_path: Path) -> None:
    build(tmp_path, dropping=False)
    files = [file.relative_to(site) for file in sorted(site.rglob("*")) if file.is_file()]
    assert files == [file.relative_to(tmp_path) for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    assert [file for file in files if (site / file).read_bytes() != (tmp_path / file).read_bytes()] == []


def test_without_python_for_the_browser_the_page_says_so(site: Path) -> None:
    assert "This site was made without Python" in (site / "drop.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "status", "en", "zh"),
    [
        (("--pyodide", "/nowhere"), 2, "error: /nowhere lacks pyodide.mjs", "错误：/nowhere 中缺少 pyodide.mjs"),
        (("--no-drop", "--to", "/dev/null"), 4, "error: the site can't be written", "错误：网站无法写入 /dev/null"),
    ],
)
def test_what_is_wrong_is_said_in_two_lines(options: tuple[str, ...], status: int, en: str, zh: str) -> None:
    for locale, told in (("C.UTF-8", en), ("zh_CN.UTF-8", zh)):
        done = subprocess.run(
            [sys.executable, "-m", "scripts.site", *options], cwd=ROOT, capture_output=True, text=True,
            env={**os.environ, "LC_ALL": locale, "PYTHONIOENCODING": "utf-8"}, check=False,
        )  # fmt: skip
        lines = done.stderr.splitlines()
        assert (done.returncode, len(lines)) == (status, 2), done.stderr
        assert lines[0].startswith(told)


def test_a_folder_that_is_not_pyodide_s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        build(tmp_path / "site", tmp_path)
    assert refused.value.message == Text(f"{tmp_path} lacks pyodide.mjs", f"{tmp_path} 中缺少 pyodide.mjs")
    assert not (tmp_path / "site").exists()
