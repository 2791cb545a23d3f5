"""The other tools that open captures: which version is here, and what they complain of."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from scapy.layers.tls import all as _tls  # noqa: F401 - else Scapy warns that it can't use the secrets in a capture
from scapy.utils import PcapNgReader, RawPcapNgReader

ROOT = "Running as user"  # what tshark says of whoever calls it
_Told = TypeVar("_Told")


def of_version(tshark: str, table: Mapping[tuple[int, int], _Told]) -> _Told:
    """Returns what this version of tshark says: the entry of the newest version of the table that is no newer."""
    said = subprocess.run([tshark, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"TShark \(Wireshark\) (\d+)\.(\d+)", said)
    assert found is not None, said
    return table[max(each for each in table if each <= (int(found[1]), int(found[2])))]


def complaints(captures: Sequence[Path], folder: Path) -> list[str]:
    """Returns what tshark, capinfos, editcap, mergecap and Scapy say against captures, each with who says it.

    To start tshark takes longer than to read a capture, so it reads all, one behind the other as the sections of one
    file, and what editcap and mergecap have written.
    """
    names, one = list(map(str, captures)), folder / "one.pcapng"
    one.write_bytes(b"".join(each.read_bytes() for each in captures))
    merged, again = folder / "merged.pcapng", folder / "again.pcapng"
    said = _run("capinfos", *names) + _run("mergecap", "-w", str(merged), *names, names[0])
    written = [merged, one]
    for at, name in enumerate(names):
        written.append(folder / f"edited-{at}.pcapng")
        said += _run("editcap", name, str(written[-1]))
    again.write_bytes(b"".join(each.read_bytes() for each in written))
    said += _run("tshark", "-r", str(one)) + _run("tshark", "-2", "-r", str(again))
    for each in captures:
        for reader in (RawPcapNgReader, PcapNgReader):
            try:
                with reader(str(each)) as opened:
                    assert list(opened)
            except Exception as error:
                said.append(f"{reader.__name__} {each.name}: {error!r}")
    return said


def _run(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    told = [line for line in done.stderr.splitlines() if not line.startswith(ROOT)]
    return [f"{command[0]}: {line}" for line in (*told, *([f"status {done.returncode}"] if done.returncode else []))]
