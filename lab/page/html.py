"""A page as one HTML file: data, scripts and style in it, nothing from anywhere else.

The scripts are modules put into one: so one hash in the Content-Security-Policy allows just that. What comes from a
capture is JSON that no markup can leave. What `lab view` serves is such a file too, without data: browsers let go of
what they are loading when an interface comes or goes, and a debugger makes some just then; so there is only one thing
to load.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from itertools import chain
from typing import Any

from lab.page.kept import Kept
from lab.page.words import BEFORE
from lab.render.trace import dump, parted
from lab.text import LANGUAGES

LARGE = 30_000  # bytes of JSON: beyond, it is compressed
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|const|let|class) (\w+))", re.MULTILINE)
_EXPORTS = re.compile(r"export\s*\{([^}]*)\};?")
_COMMENT = re.compile(r"^\s*(?://.*|/\*\*(?:.|\n)*?\*/\s*)$", re.MULTILINE)  # on lines of its own
_MAIN, _LIVE = "main.js", "live.js"


def document(data: Mapping[str, Any]) -> str:
    """Returns the file."""
    form, text = _packed(data)
    script, style = joined(_MAIN), static("page.css")
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, style)}">\n'
        f"<title>{escape(str(data['name']))}</title>"
    )
    kept = f'<script type="application/json" id="data" data-form="{form}">{text}</script>\n'
    return _file(head, style, '<div id="app"></div>\n' + kept, script)


def _file(head: str, style: str, body: str, script: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"{head}\n<style>{style}</style>\n</head>\n<body>\n{body}"
        f'<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def _policy(script: str, style: str) -> str:
    """Returns what a file may do: run its script, have its style, and nothing else."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _packed(data: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the data as the page has them, and in which form that is."""
    rungs, pieces = data["rungs"], written(data)
    head = next(pieces)
    if isinstance(rungs, Kept) and rungs.size + len(head) > LARGE:
        packing = zlib.compressobj(6, wbits=31)
        packed = [packing.compress(head.encode()), *(packing.compress(piece.encode()) for piece in pieces)]
        return "gzip", base64.b64encode(b"".join([*packed, packing.flush()])).decode()
    return "json", _apart(head + "".join(pieces))


def written(data: Mapping[str, Any]) -> Iterator[str]:
    """Yields a page's data as JSON, rung by rung."""
    rungs = data["rungs"]
    lines = rungs.lines() if isinstance(rungs, Kept) else map(dump, rungs)
    head = dump({name: each for name, each in data.items() if name != "rungs"})
    return chain([f'{head[:-1]},"rungs":['], parted(lines), ["]}"])


def shell() -> tuple[str, str]:
    """Returns the page that is served, whose script asks for what is shown, and its Content-Security-Policy."""
    script, style = joined(_LIVE), static("page.css") + static("live.css")
    said = "".join(
        f'<p class="before" data-when="{when}"{"" if when == "wait" else " hidden"}>'
        + "<br>".join(f'<span lang="{lang}">{escape(text.pick(lang))}</span>' for lang in LANGUAGES)
        + "</p>"
        for when, text in BEFORE.items()
    )
    head = '<title>handshake lab</title>\n<link rel="icon" href="data:,">'
    return _file(head, style, f'<div id="app">{said}</div>\n', script), _policy(script, style)


def _apart(text: str) -> str:
    """Returns JSON in which nothing ends, or begins, an element."""
    return text.replace("<", "\\u003c")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def static(name: str) -> str:
    """Returns one of the files that a page is made of."""
    return files("lab.page").joinpath("static", *name.split("/")).read_text("utf-8")


@cache
def joined(main: str) -> str:
    """Returns a module and all that it imports as one script: each in a function of its own, behind what it needs."""
    return "".join(_modules(main, set()))


def _modules(name: str, known: set[str]) -> Iterator[str]:
    if name in known:
        return
    known.add(name)
    text, below = static(name), name.rpartition("/")[0]
    for found in _IMPORT.finditer(text):
        yield from _modules(_beside(found[2], below), known)
    yield f"const {_name(name)}=(()=>{{{_within(text, below)}}})();\n"


def _within(text: str, below: str) -> str:
    """Returns a module's text as a function's, which returns what it exports."""
    if not below:
        text = _bare(text)
    names = {found[2]: found[2] for found in _EXPORT.finditer(text)}
    for listed in _EXPORTS.finditer(text):
        for each in listed[1].split(","):
            mine, _, theirs = each.strip().partition(" as ")
            names[theirs or mine] = mine
    text = _EXPORTS.sub("", _EXPORT.sub(r"\1", text))
    text = _IMPORT.sub(
        lambda found: f"const {{{found[1].replace(' as ', ': ')}}}={_name(_beside(found[2], below))};", text
    )
    return f"{text}\nreturn {{{','.join(f'{name}:{mine}' for name, mine in names.items())}}};"


def _bare(text: str) -> str:
    """Returns a module of ours without comments of whole lines, and without what lines begin with."""
    return "\n".join(line.strip() for line in _COMMENT.sub("", text).splitlines() if line.strip())


def _beside(name: str, below: str) -> str:
    return f"{below}/{name}" if below else name


def _name(module: str) -> str:
    return "$" + re.sub(r"\W", "_", module)
