"""What this machine can do for the lab, found out by doing it.

Every check tries the thing itself, takes seconds at most, leaves nothing behind, and answers whatever happens. What an
answer means, and which command mends it, is told by lab/system/remedies.py.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from lab.render.checks import Check
from lab.system import processes
from lab.system.remedies import Machine, diagnose, install, read_machine, set_encoding, sudo
from lab.testbed import engine
from lab.text import Text
from lab.wireshark import finding

_PATIENCE, _ENGINE_PATIENCE = 5, 3  # seconds; what is asked takes milliseconds


class Step(NamedTuple):
    """One thing the testbed does inside its namespaces; `module` is what the kernel would load for it."""

    name: Text
    attempt: Callable[[], str]
    module: str
    optional: bool
    why: Text


class Outcome(NamedTuple):
    """How a step ended: with what it returned; or with an error, its number and the Python package that is missing."""

    ok: bool
    said: str
    error: int = 0
    package: str = ""


def examine() -> list[Check]:
    """Returns every check, made now and for real: in about half a second, at worst in twenty."""
    checks: list[Check] = []
    for look in (_python, _system, _testbed, _tools, _docker, _terminal, _captures):
        try:
            checks += look()
        except Exception as error:  # a doctor who faints helps nobody
            why = Text("this check itself failed", "该项检查自身出错")
            checks.append(Check(_same(look.__name__.strip("_")), False, _same(repr(error)), "", why))
    return checks


def _same(words: str) -> Text:
    return Text(words, words)


def _python() -> list[Check]:
    ok = sys.version_info >= (3, 11)
    remedy = "" if ok else install("python", shutil.which, read_machine())
    why = Text("everything: 3.11 or later", "全部功能：3.11 或更新版本")
    return [Check(_same("Python"), ok, _same(platform.python_version()), remedy, why)]


def _system() -> list[Check]:
    name, system = Text("operating system", "操作系统"), platform.system()
    if system == "Linux":
        return [Check(name, True, _same(f"{system} {platform.release()}"), "", _HOSTS)]
    found = Text(
        f"{system}: by Docker (lab tcp --testbed docker)", f"{system}：通过 Docker（lab tcp --testbed docker）"
    )
    return [Check(name, None, found, "wsl --install" if system == "Windows" else "", _HOSTS)]


def _testbed() -> list[Check]:
    if sys.platform != "linux":
        return []
    machine, outcomes = read_machine(), _try(_STEPS)
    checks = []
    for at, step in enumerate(_STEPS):
        outcome = outcomes[at] if at < len(outcomes) else Outcome(False, "", errno.ETIMEDOUT)
        if at and outcomes and not outcomes[0].ok:
            found, remedy = Text("not tried: no namespace to try it in", "未尝试：没有命名空间"), ""
        else:
            found, remedy = _judge(outcome, step, machine)
        ok = True if outcome.ok else None if step.optional else False
        checks.append(Check(step.name, ok, found, remedy, step.why))
    return checks


def _judge(outcome: Outcome, step: Step, machine: Machine) -> tuple[Text, str]:
    if outcome.ok:
        return _WORKS[outcome.said], ""
    if outcome.package:
        found = Text(f"Python package {outcome.package} is missing", f"缺少 Python 包 {outcome.package}")
        return found, f"{shlex.quote(sys.executable)} -m pip install {outcome.package}"
    return diagnose(outcome.error, machine, step.module) if outcome.error else (_same(outcome.said), "")


def _try(steps: Sequence[Step]) -> list[Outcome]:
    """Tries the steps in a child: the namespaces end with it, and an alarm ends it where nothing else does."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as outcomes, os.fdopen(writing, "w") as report:
        child = 0
        try:
            with processes.signals_waiting():
                child = processes.fork(lambda: _report(report, steps), (outcomes,))
            report.close()
            return [Outcome(*json.loads(line)) for line in outcomes]
        finally:
            if child:
                processes.end(child)


def _report(report: IO[str], steps: Sequence[Step]) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_PATIENCE)
    for step in steps:
        outcome = _outcome(step.attempt)
        report.write(json.dumps(outcome) + "\n")
        report.flush()
        if step is steps[0] and not outcome.ok:
            break  # the rest would happen to the machine itself


def _outcome(attempt: Callable[[], str]) -> Outcome:
    try:
        return Outcome(True, attempt())
    except ModuleNotFoundError as error:
        return Outcome(False, "", 0, error.name or "")
    except Exception as error:
        cause = error.__cause__ or error  # a MachineError speaks to users: the number is in what caused it
        number = getattr(cause, "errno", None)
        return Outcome(False, repr(error), number or 0)


def _enter() -> str:
    from lab.testbed.namespaces import enter_namespaces

    user = Path("/proc/self/ns/user")
    before = user.readlink()
    enter_namespaces()
    return "as root" if user.readlink() == before else "as user"


def _make_cable() -> str:
    from lab.testbed.links import lay_cable

    lay_cable("lab0", "lab1")
    return "works"


def _capture() -> str:
    from lab.testbed.cables import open_link

    open_link("lo").close()
    return "works"


def _ask_kernel() -> str:
    from lab.testbed.kernel import Witness

    with socket.create_server(("", 0)) as listener:
        witness = Witness()
        addresses = socket.inet_aton("192.0.2.2") + socket.inet_aton("192.0.2.3")
        ports = listener.getsockname()[1].to_bytes(2, "big") + (1).to_bytes(2, "big")
        state = witness.socket(addresses + ports).state
        witness.close()
    if state != "LISTEN":
        raise OSError(errno.EPROTONOSUPPORT, f"a listener is told as {state}")
    return "works"


def _set_parameter() -> str:
    parameter = Path("/proc/sys/net/ipv4/tcp_syn_retries")
    parameter.write_text(parameter.read_text())
    return "works"


def _tools() -> list[Check]:
    verifying = Text("optional: lab verify, make test", "可选：lab verify、make test")
    opening = Text("optional: lab wireshark", "可选：lab wireshark")
    found = finding.find(finding.read_machine())
    return [
        _tool("tshark", shutil.which("tshark"), verifying),
        _tool("wireshark", found.program if found is not None else None, opening),
    ]


def _tool(tool: str, path: str | None, why: Text) -> Check:
    status, said, _ = _run(path, "--version", seconds=_PATIENCE) if path else (None, "", "")
    if status == 0 and (version := re.search(r"\d+(\.\d+)+", said)):
        return Check(_same(tool), True, _same(version[0]), "", why)
    found = Text("installed, but does not run", "已安装，但无法运行") if path else Text("not installed", "未安装")
    return Check(_same(tool), None, found, install(tool, shutil.which, read_machine()), why)


def _docker() -> list[Check]:
    name = Text("Docker engine", "Docker 引擎")
    why = _IN_CONTAINERS
    machine, client = read_machine(), shutil.which("docker")
    if client is None:
        return [Check(name, None, Text("not installed", "未安装"), install("docker", shutil.which, machine), why)]
    status, said, complaint = _run(client, "version", "--format", "{{.Server.Version}}", seconds=_ENGINE_PATIENCE)
    if status == 0 and said.strip():
        return [Check(name, True, _same(said.strip()), "", why), *_compose(), *_image(client)]
    if "permission denied" in complaint.lower():
        found = Text("you may not use its socket; mend, then log in again", "无权使用其套接字；修复后请重新登录")
        return [Check(name, None, found, sudo('usermod -aG docker "$USER"', machine), why)]
    if sys.platform == "darwin":
        return [Check(name, None, Text("not running", "未运行"), "open -a Docker", why)]
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    if shutil.which("dockerd", path=path) is None:  # in Debian an ordinary user's PATH does not lead there
        found = Text("only the client is installed", "只安装了客户端")
        return [Check(name, None, found, install("docker", shutil.which, machine), why)]
    found, verb = Text("not running", "未运行"), "start"
    if status is None:
        found, verb = Text(f"no answer within {_ENGINE_PATIENCE} s", f"{_ENGINE_PATIENCE} 秒内没有应答"), "restart"
    command = f"systemctl {verb} docker" if Path("/run/systemd/system").exists() else f"service docker {verb}"
    return [Check(name, None, found, sudo(command, machine), why)]


def _compose() -> list[Check]:
    found = engine.compose(shutil.which("docker") or "docker")
    if not found:
        remedy = install("compose", shutil.which, read_machine())
        missing = Text("not installed, or no answer", "未安装，或没有应答")
        return [Check(_same("compose"), None, missing, remedy, _IN_CONTAINERS)]
    status, said, _ = _run(*found, "version", "--short", seconds=_PATIENCE)
    version = said.strip() if status == 0 and said.strip() else " ".join(map(os.path.basename, found))
    return [Check(_same("compose"), True, _same(version), "", _IN_CONTAINERS)]


def _image(client: str) -> list[Check]:
    """Looks for the image of these sources, else for what it would be made of."""
    name = Text("the lab's image", "实验室镜像")
    if not (engine.ROOT / "docker-compose.yml").exists():
        return []
    if _run(client, "image", "inspect", engine.image_name(), seconds=_ENGINE_PATIENCE)[0] == 0:
        return [Check(name, True, Text("is there", "已就绪"), "", _IN_CONTAINERS)]
    if _run(client, "image", "inspect", engine.BASE, seconds=_ENGINE_PATIENCE)[0] == 0:
        found = Text("the first run builds it", "首次运行时构建")
        return [Check(name, True, found, "", _IN_CONTAINERS)]
    found = Text(f"{engine.BASE} is pulled, or made here", f"需拉取 {engine.BASE}，或在本机制作")
    remedy = sudo(shlex.quote(str(engine.ROOT / "scripts" / "base-image")), read_machine())
    return [Check(name, None, found, remedy, _IN_CONTAINERS)]


def _run(*command: str, seconds: float) -> tuple[int | None, str, str]:
    """Runs a program and returns its status, output and complaints; with all it started it ends within `seconds`."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
        errors="replace",
        start_new_session=True,
        env=processes.environment(),
    ) as process:
        try:
            said, complaint = process.communicate(timeout=seconds)
        except BaseException as error:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                return None, "", ""
            raise
    return process.returncode, said, complaint


def _terminal() -> list[Check]:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    utf8 = codecs.lookup(encoding).name == "utf-8"
    drawn = Text("Chinese text, the ladder's lines", "中文和时序图的线条")
    remedy = "" if utf8 else set_encoding(os.environ)
    text = Check(Text("text encoding", "字符编码"), utf8, _same(encoding), remedy, drawn)
    if not sys.stdout.isatty():
        return [text]
    columns = shutil.get_terminal_size().columns
    name, why = Text("terminal width", "终端宽度"), Text("the ladder: 80 columns or more", "时序图：至少 80 列")
    return [text, Check(name, True if columns >= 80 else None, Text(f"{columns} columns", f"{columns} 列"), "", why)]


def _captures() -> list[Check]:
    """Makes a file that has no name, in captures/out or where that would be made."""
    where = next(place for place in map(Path, ("captures/out", "captures", ".")) if place.is_dir())
    name, why = _same("captures/out"), Text("lab tcp, lab run: captures go there", "lab tcp、lab run：保存抓包")
    try:
        tempfile.TemporaryFile(dir=where).close()
    except OSError as error:
        words, ours = os.strerror(error.errno or 0), where != Path() and os.access(".", os.W_OK)
        # in a folder of one's own, captures that are not come from a run as root
        remedy = sudo('chown -R "$(id -u)" captures', read_machine()) if ours else 'cd "$HOME"'
        return [Check(name, False, Text(f"{where}: {words}", f"{where}：{words}"), remedy, why)]
    return [Check(name, True, Text("writable", "可写"), "", why)]


_IN_CONTAINERS = Text("optional: lab tcp --testbed docker", "可选：lab tcp --testbed docker")
_HOSTS = Text("lab tcp, lab step: real hosts on this machine", "lab tcp、lab step：在本机运行真实主机")
_STATES = Text("the kernels' states at each packet", "逐包询问内核状态")
_QUIET = Text("optional: no IPv6 chatter in a capture", "可选：抓包里没有 IPv6 杂音")
_WORKS = {
    "works": Text("works", "可用"),
    "as root": Text("work, as root", "可用（以 root 身份）"),
    "as user": Text("work, through a user namespace", "可用（经由用户命名空间）"),
}
_STEPS = (
    Step(Text("network namespaces", "网络命名空间"), _enter, "", False, _HOSTS),
    Step(Text("virtual cable (veth)", "虚拟网线（veth）"), _make_cable, "veth", False, _HOSTS),
    Step(Text("packet capture", "抓包"), _capture, "af_packet", False, _HOSTS),
    Step(Text("socket states", "套接字状态"), _ask_kernel, "tcp_diag", False, _STATES),
    Step(Text("namespace parameters", "命名空间内核参数"), _set_parameter, "", True, _QUIET),
)
