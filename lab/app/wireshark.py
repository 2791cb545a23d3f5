"""`lab wireshark`: a capture, or a scenario while it is played, in Wireshark with the lab's profile and fields.

Wireshark gets a folder of settings made for the occasion: whoever has settings of his own keeps them untouched.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, BinaryIO, cast

from lab.app.formats import Format
from lab.app.waiting import waited
from lab.capture.reader import Capture, open_capture
from lab.engine import journal
from lab.errors import InputError, MachineError, UsageError
from lab.protocols.catalogue import scenario
from lab.runs.place import CAPTURES, bare_name
from lab.runs.recorded import Recorded, open_run, write_again
from lab.runs.run import Run
from lab.system import files, processes, streams
from lab.system.remedies import install as command_to_install
from lab.system.remedies import read_machine as read_remedies
from lab.text import Lang, Text
from lab.wireshark import installing, profile
from lab.wireshark.finding import Machine, Wireshark, command, find, has_screen, read_machine, variables

_LOOKED_AT = 1000  # packets of a capture, for the lab's notes
_PATIENCE = 30  # seconds for what takes a second
_A_LOOK = 0.2  # seconds between looks at whether Wireshark is still there
_CLOSING = 4.0  # seconds for Wireshark to close


def show(what: str | None, ipv6: bool, wire: Sequence[str], testbed: str, out: Path | None, lang: Lang) -> None:
    """Opens a capture or plays a scenario, and waits until Wireshark is closed. What is "-" comes on standard input.

    Raises UsageError, InputError, and MachineError where there is no Wireshark, or nothing to show it on.
    """
    machine = read_machine()
    file = _file(what)
    if file is None and what not in (None, "-"):
        scenario(what)  # before a window opens
    wireshark = _found(machine)
    capture = open_capture("-") if what == "-" else None
    with _settings(lang) as folder:
        if file is not None and not _has_notes(file):
            file = _annotated(file, folder)
        words = command(
            wireshark, str(profile.SCRIPT), profile.NAME, str(file) if file else None,
            live=file is None and what is not None, translate=_translation(wireshark, machine),
        )  # fmt: skip
        with _started(words, variables(wireshark, machine, str(folder), lang), folder) as process:
            if capture is not None:
                _pass_on(process, capture, lang)
            elif file is None and what is not None:
                _play(
                    process,
                    what,
                    ipv6,
                    wire,
                    testbed,
                    out or Path(f"captures/out/{what.replace('/', '-')}.pcapng"),
                    lang,
                )
            process.wait()


def _file(what: str | None) -> Path | None:
    """Returns the capture that is meant, None for a scenario. Raises InputError where there is no such file."""
    if what is None or not (Path(what).exists() or what.lower().endswith(CAPTURES)):
        return None
    path = Path(what)
    if not path.is_file():
        raise InputError(
            Text(f"{what} is no file that Wireshark could open", f"{what} 不是 Wireshark 能打开的文件"),
            Text(
                "name a capture, or a scenario: lab scenarios lists them", "请指定抓包文件，或 lab scenarios 所列的场景"
            ),
        )
    return path


def _found(machine: Machine) -> Wireshark:
    wireshark = find(machine)
    if wireshark is None:
        hint = command_to_install("wireshark", machine.which, read_remedies())
        raise MachineError(
            Text("Wireshark is not installed", "未安装 Wireshark"),
            Text(f"install it: {hint}", f"安装命令：{hint}")
            if hint
            else Text("install it: https://www.wireshark.org", "请安装：https://www.wireshark.org"),
        )
    if not has_screen(wireshark, machine):
        raise MachineError(
            Text(
                "there is no screen for Wireshark: DISPLAY is not set", "没有可供 Wireshark 使用的屏幕：未设置 DISPLAY"
            ),
            Text("lab annotate FILE explains a capture in the terminal", "lab annotate FILE 可在终端中讲解抓包"),
        )
    return wireshark


@contextlib.contextmanager
def _settings(lang: Lang) -> Iterator[Path]:
    """Makes Wireshark's settings, for its owner alone, and takes them away in the end."""
    with contextlib.ExitStack() as made:
        try:
            name = made.enter_context(tempfile.TemporaryDirectory(prefix="lab-wireshark-", ignore_cleanup_errors=True))
            profile.lay_out(Path(name), lang)
        except OSError as error:
            raise MachineError(
                Text(f"no temporary folder can be made: {error.strerror}", f"无法建立临时目录：{error.strerror}"),
                Text("name a folder with room in TMPDIR", "请用 TMPDIR 指定一个有空间的目录"),
            ) from error
        yield Path(name)


def _has_notes(file: Path) -> bool:
    """Whether a capture has the lab's notes, with what Wireshark's fields are made of."""
    with open_capture(str(file)) as capture:
        for frame in itertools.islice(capture, _LOOKED_AT):
            if any(text.startswith(journal.PREFIX) and '"told":' in text for text in frame.comments):
                return True
    return False


def _annotated(file: Path, folder: Path) -> Path:
    """Writes the capture with notes, to be thrown away with the settings. Raises InputError."""
    noted = folder / f"{bare_name(str(file))}.pcapng"
    with noted.open("wb") as stream, open_run(str(file), words=True) as run:
        write_again(run, stream)
    return noted


def _translation(wireshark: Wireshark, machine: Machine) -> Callable[[str], str]:
    """Returns what makes of a path one that this Wireshark understands."""
    return _for_windows if wireshark.of_windows and machine.inside_windows else str


def _for_windows(path: str) -> str:
    """Returns a path of the Linux inside Windows as Windows has it."""
    return _answer(["wslpath", "-w", os.path.abspath(path)])  # noqa: PTH100  # not through links


def _for_linux(path: str) -> str:
    return _answer(["wslpath", "-u", path])


def _answer(words: Sequence[str]) -> str:
    try:
        said = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, env=processes.environment(),
            check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineError(
            Text(f"{words[0]} does not answer: {error}", f"{words[0]} 没有应答：{error}"),
            Text("lab doctor shows what this machine can do", "lab doctor 会显示这台机器能做什么"),
        ) from error
    return said.stdout.decode(errors="replace").rstrip()


@contextlib.contextmanager
def _started(words: Sequence[str], more: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts Wireshark, as whoever has called sudo; whatever happens here, it does not outlive this.

    Raises MachineError where it can't be started, or complains and ends.
    """
    user = files.caller()
    with tempfile.TemporaryFile() as complaints:
        process = _start(words, processes.environment(**more), folder, user, complaints)
        try:
            yield process
        except BrokenPipeError:
            process.wait()  # it was closed while packets came, which is nobody's fault
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_CLOSING)
                except subprocess.TimeoutExpired:  # it may ask somebody first
                    process.kill()
                    process.wait()
        if process.returncode > 0:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines()[-1:] or [
                f"status {process.returncode}"
            ]
            raise MachineError(
                Text(f"Wireshark has ended: {said[0]}", f"Wireshark 已退出：{said[0]}"),
                Text("does it start without the lab?", "不通过实验室能启动它吗？"),
            )


def _start(
    words: Sequence[str], environ: dict[str, str], folder: Path, user: tuple[int, int] | None, complaints: IO[bytes]
) -> subprocess.Popen[bytes]:
    if user is not None:
        import pwd

        for each in (folder, *folder.rglob("*")):
            os.chown(each, *user)
        environ = {**environ, "HOME": pwd.getpwuid(user[0]).pw_dir}
    uid, gid = user or (None, None)
    try:
        return subprocess.Popen(
            words, env=environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints,
            user=uid, group=gid, extra_groups=None if user is None else [],
        )  # fmt: skip
    except OSError as error:
        raise MachineError(
            Text(f"{words[0]} can't be started: {error.strerror}", f"无法启动 {words[0]}：{error.strerror}"),
            Text("lab doctor shows what this machine can do", "lab doctor 会显示这台机器能做什么"),
        ) from error


def _pass_on(process: subprocess.Popen[bytes], capture: Capture, lang: Lang) -> None:
    """Writes what comes on standard input to Wireshark, notes in it. Raises BrokenPipeError once that closes."""

    def wait() -> None:
        while not capture.comes_within(_A_LOOK):
            if process.poll() is not None:
                raise BrokenPipeError

    assert process.stdin is not None
    capture.when_waiting(wait)
    with process.stdin as pipe, Run(Recorded(capture), words=True, late=waited, kept=0) as run:
        write_again(run, cast(BinaryIO, pipe))
        if said := run.complaint():
            streams.say(said.pick(lang))


def _play(
    process: subprocess.Popen[bytes], name: str, ipv6: bool, wire: Sequence[str], testbed: str, file: Path, lang: Lang
) -> None:
    """Plays a scenario whose capture goes to Wireshark instead of standard output. Raises BrokenPipeError."""
    from lab.app.run import play

    assert process.stdin is not None
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(process.stdin.fileno(), 1)
    process.stdin.close()
    try:
        play(name, Format.PCAPNG, ipv6, wire, file, testbed, lang)
        sys.stdout.flush()
    finally:
        os.dup2(ours, 1)  # which is the end of the pipe
        os.close(ours)


def install(lang: Lang) -> None:
    """Puts profile, script and the way to the scenarios into Wireshark's own folders, and says what it has written.

    Raises MachineError where a folder can't be written, or it would be somebody else's.
    """
    where, wireshark, machine = _places()
    program = None
    if find_spec("lab.wireshark.extcap") is not None and not (wireshark.of_windows and machine.inside_windows):
        program = installing.launcher(machine.platform == "win32", sys.executable)
    report = installing.install(where, installing.wanted(where, lang, program))
    _tell(report, Text("wrote {0}", "已写入 {0}"), lang)
    if where.scripts is None:
        _say(_NO_LUA.pick(lang))


def uninstall(lang: Lang) -> None:
    """Takes out what `install` has put in, and says what. Raises MachineError where it can't."""
    where, _, _ = _places()
    if not installing.is_installed(where):
        _say(Text("nothing of the lab is in Wireshark's folders", "Wireshark 的目录中没有实验室的文件").pick(lang))
        return
    _tell(installing.uninstall(where), Text("took out {0}", "已移除 {0}"), lang)


def _places() -> tuple[installing.Places, Wireshark, Machine]:
    machine = read_machine()
    if (files.caller() or (0, 0)) != (0, 0):
        raise MachineError(
            Text(
                "this writes into your own home, and sudo would write into root's",
                "这会写入你自己的主目录，而 sudo 会写入 root 的",
            ),
            Text("do it without sudo", "请不要使用 sudo"),
        )
    wireshark = find(machine) or _only_tshark() or _found(machine)
    told = _answer([wireshark.tshark or wireshark.program, "-G", "folders"])
    translate = _for_linux if wireshark.of_windows and machine.inside_windows else str
    where = installing.places(told, translate)
    if where is None:
        raise MachineError(
            Text("Wireshark does not say where its folders are", "Wireshark 没有给出它的目录"),
            Text("lab wireshark FILE opens a capture without them", "lab wireshark FILE 无需它们即可打开抓包"),
        )
    return where, wireshark, machine


def _only_tshark() -> Wireshark | None:
    tshark = shutil.which("tshark")
    return Wireshark(tshark, tshark) if tshark else None


def _tell(report: installing.Report, done: Text, lang: Lang) -> None:
    for path in report.done:
        _say(done.format(path).pick(lang))
    for each in report.kept:
        _say(Text("kept {0}: {1}", "保留 {0}：{1}").pick(lang).format(each.path, each.why.pick(lang)))


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")


def print_folder() -> None:
    """Prints where profile and script are, for who sets up the machines of a lab."""
    _say(profile.FOLDER)


def write_archive(file: Path, lang: Lang) -> None:
    """Writes the profile as a zip, for Wireshark's window to import. Raises MachineError."""
    if file.suffix.lower() != ".zip":
        raise UsageError(
            Text(f"{file} does not end in .zip", f"{file} 不以 .zip 结尾"),
            Text("Wireshark imports nothing else", "Wireshark 只导入 zip 文件"),
        )
    with files.to_file(file) as stream:
        stream.write(profile.archive(lang))


_NO_LUA = Text(
    "This Wireshark has no Lua: the columns for steps and states stay empty, the notes are there.",
    "这个 Wireshark 不支持 Lua：步骤和状态列为空，讲解仍会显示。",
)
