"""Where what a run captures is saved, and whether a capture is meant: known before what plays one is imported."""

from __future__ import annotations

import os
from pathlib import Path as File

from lab.errors import UsageError
from lab.protocols.scenario import Scenario
from lab.system.files import require_writable
from lab.text import Text

CAPTURES = (".pcap", ".pcapng", ".cap", ".gz", ".zst", ".lz4", ".xz", ".bz2")  # how their names end


def require_place(file: File, scenario: Scenario) -> None:
    """Raises MachineError where the capture can't be saved, UsageError where its key would replace another's."""
    require_writable(file)
    key = key_place(file)
    if scenario.credentials is None or not key.exists():
        return
    require_writable(key)
    if not file.exists():
        raise UsageError(
            Text(
                f"{key} is there, and the server's key would be saved under that name",
                f"{key} 已存在，而服务器私钥会以这个名字保存",
            ),
            Text("give the capture another name, or move that key", "请给抓包文件换个名字，或移走那个私钥"),
        )


def key_place(file: File) -> File:
    """Returns where the server's private key is saved, beside the capture."""
    return file.with_suffix(".key")


def is_file(what: str) -> bool:
    """Whether a capture is meant: what is there as a file, or is called like one."""
    return what == "-" or os.path.lexists(what) or what.lower().endswith(CAPTURES)


def bare_name(what: str) -> str:
    """Returns a capture's name without its folder, and without how captures' names end: other dots stay."""
    name = File(what).name
    while name.lower().endswith(CAPTURES):
        name = name.rpartition(".")[0]
    return name
