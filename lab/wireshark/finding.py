"""Where Wireshark is, and how it is called: on Linux, macOS, Windows, and on Windows from a Linux inside it (WSL).

`read_machine` reads; everything else is a pure function of the machine that it describes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

_DRIVES = ("/mnt/c", "/c", "/mnt/d")  # where a Linux inside Windows finds that one's disks
_APPLICATIONS = ("/Applications", "~/Applications")
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


class Machine(NamedTuple):
    """What finding Wireshark rests on. `platform` is as in sys.platform; `inside_windows`: it is a Linux in there."""

    platform: str
    inside_windows: bool
    environ: Mapping[str, str]
    which: Callable[[str], str | None]
    exists: Callable[[str], bool]


class Wireshark(NamedTuple):
    """A Wireshark: its program, the tshark beside it if there is one, and whether it is a program of Windows."""

    program: str
    tshark: str | None
    of_windows: bool = False


def read_machine() -> Machine:
    """Reads what this machine is."""
    release = Path("/proc/sys/kernel/osrelease")
    inside = sys.platform == "linux" and release.exists() and "microsoft" in release.read_text().lower()
    return Machine(sys.platform, inside, os.environ, shutil.which, os.path.exists)


def find(machine: Machine) -> Wireshark | None:
    """Returns the Wireshark of a machine, None where there is none.

    Inside Windows that system's own comes first: it needs no screen of Linux.
    """
    if machine.inside_windows:
        for drive in _DRIVES:
            folder = PurePosixPath(drive) / "Program Files" / "Wireshark"
            if (found := _in(folder, "Wireshark.exe", "tshark.exe", machine, of_windows=True)) is not None:
                return found
    if (program := machine.which("wireshark")) is not None:
        return Wireshark(program, machine.which("tshark"))
    if machine.platform == "darwin":
        home = machine.environ.get("HOME", "")
        for applications in _APPLICATIONS:
            folder = PurePosixPath(applications.replace("~", home)) / "Wireshark.app" / "Contents" / "MacOS"
            if (found := _in(folder, "Wireshark", "tshark", machine)) is not None:
                return found
    if machine.platform == "win32":
        windows = PureWindowsPath(machine.environ.get("ProgramFiles", r"C:\Program Files")) / "Wireshark"
        return _in(windows, "Wireshark.exe", "tshark.exe", machine, of_windows=True)
    return None


def has_screen(wireshark: Wireshark, machine: Machine) -> bool:
    """Whether there is something to show a window on: only X and Wayland need to be told where."""
    if wireshark.of_windows or machine.platform in ("darwin", "win32"):
        return True
    return any(machine.environ.get(name) for name in _SCREENS)


def command(
    wireshark: Wireshark, script: str, profile: str, file: str | None, *, live: bool, translate: Callable[[str], str]
) -> Sequence[str]:
    """Returns the command line that opens a file, or packets as they come on standard input.

    `translate` makes of a path one that the program understands.
    """
    words = [wireshark.program, "-C", profile, "-X", "lua_script:" + translate(script)]
    if live:
        return [*words, "-k", "-i", "-"]
    return [*words, "-r", translate(file)] if file is not None else words


def variables(wireshark: Wireshark, machine: Machine, settings: str, lang: str) -> dict[str, str]:
    """Returns the variables of the environment by which Wireshark has settings of its own, and the notes' language."""
    wanted = {"WIRESHARK_CONFIG_DIR": settings, "LAB_LANG": lang}
    if wireshark.of_windows and machine.inside_windows:  # what Linux passes on to Windows, and which of it are paths
        passed = filter(None, [machine.environ.get("WSLENV"), "WIRESHARK_CONFIG_DIR/p", "LAB_LANG"])
        wanted["WSLENV"] = ":".join(passed)
    return wanted


def _in(
    folder: PurePosixPath | PureWindowsPath, program: str, tshark: str, machine: Machine, *, of_windows: bool = False
) -> Wireshark | None:
    if not machine.exists(str(folder / program)):
        return None
    beside = str(folder / tshark)
    return Wireshark(str(folder / program), beside if machine.exists(beside) else None, of_windows)
