"""The page that annotates a capture which is dropped into it: the lab itself, in the browser, and nothing is uploaded.

Pyodide and the lab's own files are put beside it. Its policy allows what that takes and no more: WebAssembly, a worker,
and what lies on the site.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lab.page.dropped import LARGEST
from lab.page.model import MOST
from lab.text import Lang, Text
from scripts import pyodide
from scripts.site.shell import POLICY, Place, page

_LAB = Path(__file__).parent.parent.parent / "lab"
_HERE = Path(__file__).parent
# What no page asks for: it touches a machine, or marks a class.
_WITHOUT = ("app", "explore", "grade", "testbed", "wireshark", "witnesses")
_KINDS = {".py", ".toml", ".json", ".css", ".js", ".LICENSE"}
# What MPL-2.0 section 3.2 asks for, and the licence of the Python within.
_SOURCE = """\
Pyodide {0}, unchanged, as npm has it: https://www.npmjs.com/package/pyodide/v/{0}
Its source: https://github.com/pyodide/pyodide/tree/{0}
Its licence, MPL-2.0, is the file LICENSE beside this one.
It contains CPython (https://www.python.org/), whose licence is PSF-2.0: https://docs.python.org/3/license.html
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the archive is the same each time
_POLICY = {**POLICY, "script-src": "'self' 'wasm-unsafe-eval'", "worker-src": "'self'", "connect-src": "'self'"}

_TITLE = Text("Your own capture", "解读自己的抓包")
_LEAD = Text(
    "Drop a pcap or pcapng here. The lab itself, running in this page, explains it packet by packet. "
    "<b>Nothing is uploaded</b>: the file never leaves your computer.",
    "把 pcap 或 pcapng 文件拖到这里。实验室本身就在这个网页里运行，逐包讲解。"
    "<b>不上传任何内容</b>：文件不会离开你的电脑。",
)
_LEFT_OUT = Text(
    "This site was made without Python for the browser, which that takes. <code>make site</code> puts it in where npm "
    "is installed. With the lab on your machine: <code>lab annotate FILE --format html -o page.html</code>",
    "制作本站时没有放入浏览器用的 Python，因此无法在这里解读。装有 npm 时，<code>make site</code> 会把它放进来。"
    "也可以在自己的机器上运行：<code>lab annotate FILE --format html -o page.html</code>",
)
_CHOOSE = Text("Choose a file", "选择文件")
_OR = Text("or drop it anywhere on this page", "或拖到本页任意位置")
_LIMITS = Text("What works here, and what does not", "这里能做什么，不能做什么")
_POINTS = (
    Text(
        "TCP, WebSocket, and TLS as far as it is in the clear: it is the code of <code>lab annotate</code>.",
        "TCP、WebSocket 和 TLS 的明文部分：与 <code>lab annotate</code> 是同一份代码。",
    ),
    Text(
        "TLS is not decrypted here: the library for that, <code>cryptography</code>, is not made for browsers. The lab "
        "on your machine does it.",
        "这里不解密 TLS：所需的库（<code>cryptography</code>）没有浏览器版本。在自己的机器上运行实验室就可以解密。",
    ),
    Text(
        f"Up to {LARGEST >> 20} MB and {MOST:,} packets, also compressed with gzip, xz or bzip2. Of a larger capture "
        "take a part (Wireshark’s <code>editcap</code> cuts one out), or use the lab on your machine.",
        f"最多 {LARGEST >> 20} MB、{MOST:,} 个包，可以用 gzip、xz 或 bzip2 压缩。更大的请取其中一部分"
        "（可用 Wireshark 的 <code>editcap</code>），或在自己的机器上使用实验室。",
    ),
    Text(
        "The first time, some 13 MB of Python are loaded from this site and kept by the browser (Pyodide, "
        '<a href="pyodide/LICENSE">MPL-2.0</a>, <a href="pyodide/SOURCE">source</a>).',
        "第一次使用时，会从本站载入约 13 MB 的 Python，之后由浏览器缓存（Pyodide，"
        '<a href="pyodide/LICENSE">MPL-2.0</a>，<a href="pyodide/SOURCE">源代码</a>）。',
    ),
)
# What the script says, by its name.
_WORDS: dict[str, Text] = {
    "loading": Text("Loading Python: some 13 MB, once …", "正在载入 Python：约 13 MB，仅第一次……"),
    "loaded": Text("{} MB so far", "已载入 {} MB"),
    "starting": Text("Starting the lab …", "正在启动实验室……"),
    "reading": Text("Annotating {} …", "正在解读 {}……"),
    "passed": Text("{} packets so far", "已读 {} 个包"),
    "stop": Text("Stop", "停止"),
    "stopped": Text("Stopped.", "已停止。"),
    "large": Text("{} has {} MB: this page reads at most {} MB", "{} 有 {} MB：本页最多读取 {} MB"),
    "large-hint": Text(
        "take a part of it, e.g. with editcap -r FILE part.pcapng 1-10000, or use the lab on your machine",
        "请取其中一部分，例如 editcap -r FILE part.pcapng 1-10000，或在自己的机器上使用实验室",
    ),
    "unreadable": Text("{} can't be read: {}", "无法读取 {}：{}"),
    "unreadable-hint": Text("choose a file, not a folder", "请选择文件，而不是文件夹"),
    "failed": Text("Python could not be loaded: {}", "无法载入 Python：{}"),
    "failed-hint": Text(
        "load this page anew, from a web server that sends .mjs and .wasm files; from disk (file:) it can't work",
        "请从能提供 .mjs 和 .wasm 文件的网站服务器重新打开本页；直接从磁盘打开（file:）无法工作",
    ),
    "died": Text("the lab has come to its end over this capture: {}", "实验室在解读这份抓包时中止：{}"),
    "died-hint": Text("try a part of it, or the lab on your machine", "请试试其中一部分，或在自己的机器上使用实验室"),
    "another": Text("Another capture", "另一份抓包"),
    "save": Text("Save this page as a file", "把本页存为文件"),
    "saving": Text("Writing …", "正在写入……"),
}  # fmt: skip


def drop_page(lang: Lang, there: int) -> str:
    """Returns the page; `there` are the bytes that it loads, 0 where there is no Pyodide, and it says so."""
    place = Place("drop", lang)
    if not there:
        said = _LEFT_OUT.pick(lang)
        return page(place, _TITLE.pick(lang), f"<h1>{_TITLE.pick(lang)}</h1>\n<p class=lead>{said}</p>\n")
    known = {name: said.pick(lang) for name, said in _WORDS.items()} | {"largest": LARGEST, "bytes": there}
    words = json.dumps(known, ensure_ascii=False).replace("<", "\\u003c")
    body = (
        f"<h1>{_TITLE.pick(lang)}</h1>\n<p class=lead>{_LEAD.pick(lang)}</p>\n"
        f'<div class="drop" id="drop"><input type="file" id="file"><label for="file">{_CHOOSE.pick(lang)}</label>'
        f'<p class="soft">{_OR.pick(lang)}</p></div>\n'
        '<div class="status" id="status" role="status" aria-live="polite"></div>\n'
        f"<h2>{_LIMITS.pick(lang)}</h2>\n<ul>{''.join(f'<li>{each.pick(lang)}</li>' for each in _POINTS)}</ul>\n"
        f'<script type="application/json" id="words">{words}</script>\n'
    )
    more = (
        '<link rel="stylesheet" href="page.css" media="not all" class="shown">\n'
        '<link rel="stylesheet" href="beside.css" media="not all" class="shown">\n'
        '<script src="page.js" defer></script>\n<script src="drop.js" defer></script>\n'
    )
    return page(place, _TITLE.pick(lang), body, more, _POLICY)


def files(given: Path | None) -> dict[str, Path | bytes]:
    """Returns what lies beside the page, by its name. Raises LabError where there is no Pyodide."""
    place = pyodide.folder(given)
    found: dict[str, Path | bytes] = {f"pyodide/{name}": place / name for name in pyodide.FILES}
    found["pyodide/LICENSE"] = _HERE / "MPL-2.0.txt"
    found["pyodide/SOURCE"] = _SOURCE.format(pyodide.version(place)).encode()
    found["lab.zip"] = packed()
    return found | {name: _HERE / "static" / name for name in ("drop.js", "worker.js")}


def fetched(beside: Mapping[str, Path | bytes]) -> int:
    """Returns how many bytes the page fetches, of the files beside it: scripts come another way."""
    found = [each for name, each in beside.items() if name.endswith((".wasm", ".zip", ".json"))]
    return sum(len(each) if isinstance(each, bytes) else each.stat().st_size for each in found)


def packed() -> bytes:
    """Returns the lab's own files, as far as a page needs them, as one archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(_LAB.rglob("*")):
            within = file.relative_to(_LAB)
            if file.is_file() and file.suffix in _KINDS and within.parts[0] not in _WITHOUT:
                archive.writestr(
                    zipfile.ZipInfo(f"lab/{within.as_posix()}", _EPOCH), file.read_bytes(), zipfile.ZIP_DEFLATED
                )
    return out.getvalue()
