"""Wireshark is found on each system, and called with paths and variables that it understands there."""

from __future__ import annotations

import pytest

from lab.wireshark.finding import Machine, Wireshark, command, find, has_screen, variables

WINDOWS = "/mnt/c/Program Files/Wireshark/"
MAC = "/Applications/Wireshark.app/Contents/MacOS/"


def machine(platform: str = "linux", *there: str, path: str = "", inside: bool = False, **environ: str) -> Machine:
    return Machine(
        platform, inside, environ, lambda name: f"{path}/{name}" if path else None, lambda place: place in there
    )


@pytest.mark.parametrize(
    ("on", "found"),
    [
        (machine(), None),
        (machine(path="/usr/bin"), Wireshark("/usr/bin/wireshark", "/usr/bin/tshark")),
        (machine("darwin", MAC + "Wireshark", MAC + "tshark"), Wireshark(MAC + "Wireshark", MAC + "tshark")),
        (machine("darwin", "/u" + MAC + "Wireshark", HOME="/u"), Wireshark("/u" + MAC + "Wireshark", None)),
        (machine("linux", MAC + "Wireshark"), None),
        (
            machine("linux", WINDOWS + "Wireshark.exe", WINDOWS + "tshark.exe", inside=True),
            Wireshark(WINDOWS + "Wireshark.exe", WINDOWS + "tshark.exe", True),
        ),
        (machine("linux", WINDOWS + "Wireshark.exe"), None),
        (machine(inside=True, path="/usr/bin"), Wireshark("/usr/bin/wireshark", "/usr/bin/tshark")),
        (
            machine("win32", r"D:\Apps\Wireshark\Wireshark.exe", ProgramFiles=r"D:\Apps"),
            Wireshark(r"D:\Apps\Wireshark\Wireshark.exe", None, True),
        ),
    ],
)  # fmt: skip
def test_it_is_found_where_the_system_has_it(on: Machine, found: Wireshark | None) -> None:
    assert find(on) == found


def test_only_linux_needs_to_be_told_of_a_screen() -> None:
    ours, theirs = Wireshark("/usr/bin/wireshark", None), Wireshark(WINDOWS + "Wireshark.exe", None, True)
    assert not has_screen(ours, machine())
    assert not has_screen(ours, machine(DISPLAY=""))
    assert has_screen(ours, machine(DISPLAY=":0"))
    assert has_screen(ours, machine(WAYLAND_DISPLAY="wayland-0"))
    assert has_screen(ours, machine("darwin"))
    assert has_screen(theirs, machine(inside=True))


def test_a_file_is_opened_and_a_scenario_read_as_it_comes() -> None:
    program = Wireshark("/usr/bin/wireshark", None)
    begin = ["/usr/bin/wireshark", "-C", "Handshake lab", "-X", "lua_script:</x.lua>"]

    def called(file: str | None, live: bool) -> list[str]:
        return list(command(program, "/x.lua", "Handshake lab", file, live=live, translate=lambda path: f"<{path}>"))

    assert called("/a b.pcapng", live=False) == [*begin, "-r", "</a b.pcapng>"]
    assert called(None, live=True) == [*begin, "-k", "-i", "-"]
    assert called(None, live=False) == begin


def test_what_windows_is_told_by_the_linux_inside_it() -> None:
    theirs = Wireshark(WINDOWS + "Wireshark.exe", None, True)
    told = variables(theirs, machine(inside=True, WSLENV="A:B/p"), "/tmp/x", "zh")
    assert told["WSLENV"] == "A:B/p:WIRESHARK_CONFIG_DIR/p:LAB_LANG"
    assert variables(Wireshark("w", None), machine(), "/tmp/x", "zh") == {
        "WIRESHARK_CONFIG_DIR": "/tmp/x",
        "LAB_LANG": "zh",
    }
