"""What the kernel answered and what /proc shows, turned into a reason and the command that mends it.

`read_machine` reads; everything else is pure, and nothing runs a command. A command is for the shell of whoever asks:
root gets it without `sudo`. It is empty where none helps.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lab.text import Text

_CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "SYS_ADMIN": 21}  # include/uapi/linux/capability.h
_LIMITS = ("user.max_user_namespaces", "user.max_net_namespaces")
_SWITCHES = {"kernel.unprivileged_userns_clone": 0, "kernel.apparmor_restrict_unprivileged_userns": 1}  # that forbid
_ENOUGH = 10000
_NO_MODULE = (errno.EOPNOTSUPP, errno.ENOENT, errno.ENODEV, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)

_PACKAGES = {
    "apt-get": {
        "tshark": "tshark",
        "wireshark": "wireshark",
        "docker": "docker.io",
        "compose": "docker-compose",
        "python": "python3.11",
    },
    "dnf": {
        "tshark": "wireshark-cli",
        "wireshark": "wireshark",
        "docker": "moby-engine",
        "compose": "docker-compose",
        "python": "python3.12",
    },
    "pacman": {
        "tshark": "wireshark-cli",
        "wireshark": "wireshark-qt",
        "docker": "docker",
        "compose": "docker-compose",
        "python": "python",
    },
    "brew": {
        "tshark": "wireshark",
        "wireshark": "wireshark-app",
        "docker": "docker-desktop",
        "compose": "docker-compose",
        "python": "python",
    },
}
_CASKS = ("wireshark-app", "docker-desktop")


class Machine(NamedTuple):
    """What can be read of this process and its kernel. A parameter that this kernel does not have is left out."""

    root: bool
    container: str = ""  # docker, podman, other; empty outside
    lacking: tuple[str, ...] = ()  # of the rights it takes: what root has not, others couldn't get
    parameters: Mapping[str, int] = MappingProxyType({})  # those that limit or forbid namespaces
    lab: str = "lab"  # how the console script is called from anywhere


def diagnose(error: int, machine: Machine, module: str = "") -> tuple[Text, str]:
    """Returns why the kernel answered `error` to a request for namespaces, cables or packets, and what mends it.

    `module` is the kernel module that has what was asked for, where there is one.
    """
    if error == errno.ENOSPC:
        return _spent(machine)
    if error == errno.EROFS:
        return Text("/proc/sys is read-only", "/proc/sys 是只读的"), _unlock(machine)
    if module and error in _NO_MODULE:
        return Text(f"the kernel has no {module}", f"内核中没有 {module}"), sudo(f"modprobe {module}", machine)
    if error in (errno.EPERM, errno.EACCES):
        return _forbidden(machine)
    words = os.strerror(error)
    return Text(f"does not work: {words}", f"不可用：{words}"), ""


def read_machine() -> Machine:
    """Reads what diagnoses rest on. Limits and capabilities are those of this process's user namespace."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    status = dict(line.split(":\t", 1) for line in _read("/proc/self/status").splitlines() if ":\t" in line)
    held = int(status.get("CapEff" if root else "CapBnd", "0"), 16)
    parameters = {name: _read("/proc/sys/" + name.replace(".", "/")).strip() for name in (*_LIMITS, *_SWITCHES)}
    script = Path(sys.executable).with_name("lab")
    return Machine(
        root=root,
        container=_container(),
        lacking=tuple(name for name, bit in _CAPABILITIES.items() if not held >> bit & 1),
        parameters={name: int(value) for name, value in parameters.items() if value.isdecimal()},
        lab=shlex.quote(str(script)) if script.exists() else "lab",
    )


def install(tool: str, which: Callable[[str], str | None], machine: Machine) -> str:
    """Returns the command that installs `tool` with the first package manager that `which` finds; empty without one."""
    manager = next((manager for manager in _PACKAGES if which(manager)), None)
    if manager is None:
        return ""
    package = _PACKAGES[manager][tool]
    if manager == "brew":  # which refuses to run as root
        return f"brew install {'--cask ' if package in _CASKS else ''}{package}"
    return sudo(f"{manager} {'-S' if manager == 'pacman' else 'install'} {package}", machine)


def set_encoding(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """Returns the command after which Python writes UTF-8, and the language stays what it was."""
    if environ.get("PYTHONIOENCODING"):  # wins over LC_ALL, that over LC_CTYPE, that over LANG
        return "unset PYTHONIOENCODING"
    variable = next((name for name in ("LC_ALL", "LC_CTYPE") if environ.get(name)), "LANG")
    if environ.get(variable, "").startswith("zh"):
        return f"export {variable}=zh_CN.UTF-8"
    return f"export {variable}={'C' if platform == 'linux' else 'en_US'}.UTF-8"


def sudo(command: str, machine: Machine) -> str:
    """Returns the command as this user has to type it."""
    return command if machine.root else f"sudo {command}"


def _spent(machine: Machine) -> tuple[Text, str]:
    low = {name: machine.parameters[name] for name in _LIMITS if machine.parameters.get(name, _ENOUGH) < _ENOUGH}
    if not low:
        return Text("no namespaces left, by a limit set further out", "命名空间已用尽，限制来自外层"), ""
    shown = ", ".join(f"{name}={value}" for name, value in low.items())
    raised = " ".join(f"{name}={_ENOUGH}" for name in low)
    return Text(f"none left: {shown}", f"名额已用尽：{shown}"), sudo(f"sysctl -w {raised}", machine)


def _forbidden(machine: Machine) -> tuple[Text, str]:
    lacking = ", ".join(machine.lacking)
    if machine.container and lacking:
        return Text(f"this container lacks {lacking}", f"此容器缺少权限 {lacking}"), _rerun(machine)
    for name, forbidding in _SWITCHES.items():
        if machine.parameters.get(name) == forbidding:
            remedy = sudo(f"sysctl -w {name}={1 - forbidding}", machine)
            return Text(f"forbidden: {name}={forbidding}", f"被禁止：{name}={forbidding}"), remedy
    if not machine.root:
        return Text("forbidden to ordinary users", "普通用户被禁止"), sudo(f"{machine.lab} tcp", machine)
    if lacking:
        return Text(f"root, but without {lacking}", f"虽是 root，但缺少 {lacking}"), ""
    return Text("forbidden even to root (seccomp, AppArmor, SELinux?)", "连 root 也被禁止（seccomp、AppArmor？）"), ""


def _rerun(machine: Machine, *options: str) -> str:
    """Returns the command that starts the container with the rights the testbed uses, where its engine is known."""
    if machine.container not in ("docker", "podman"):
        return ""
    # Docker gives NET_RAW by itself, Podman does not
    rights = [f"--cap-add {name}" for name in _CAPABILITIES if name != "NET_RAW" or name in machine.lacking]
    user = () if machine.root else ("--user root",)
    return " ".join([machine.container, "run", *user, *rights, *options, "IMAGE"])


def _unlock(machine: Machine) -> str:
    if not machine.container:
        return sudo("mount -o remount,rw /proc/sys", machine)
    if machine.container == "podman":
        return _rerun(machine, "--security-opt unmask=ALL")
    # where the host has AppArmor, Docker's profile forbids the writing too
    return _rerun(machine, "--security-opt systempaths=unconfined", "--security-opt apparmor=unconfined")


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _container() -> str:
    for mark, engine in {"/.dockerenv": "docker", "/run/.containerenv": "podman"}.items():
        if Path(mark).exists():
            return engine
    told = "container" in os.environ  # LXC and systemd-nspawn say so
    return "other" if told or re.search("docker|containerd|kubepods|lxc", _read("/proc/1/cgroup")) else ""
