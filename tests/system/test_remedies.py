"""A refusal has a reason, and the reason a command: tried for machines that this one is not."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from lab.system.remedies import Machine, diagnose, install, set_encoding
from tests.places import ROOT


@pytest.mark.parametrize(
    ("error", "machine", "reason", "remedy"),
    [
        (errno.EPERM, Machine(False, parameters={"kernel.apparmor_restrict_unprivileged_userns": 1}),
            "forbidden: kernel.apparmor_restrict_unprivileged_userns=1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        (errno.EACCES, Machine(False, parameters={"kernel.apparmor_restrict_unprivileged_userns": 1}),
            "forbidden: kernel.apparmor_restrict_unprivileged_userns=1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        (errno.EPERM, Machine(False, parameters={"kernel.unprivileged_userns_clone": 0}),
            "forbidden: kernel.unprivileged_userns_clone=0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        (errno.EPERM, Machine(False, parameters={"kernel.unprivileged_userns_clone": 1}, lab="/v/bin/lab"),
            "forbidden to ordinary users", "sudo /v/bin/lab tcp"),
        (errno.EPERM, Machine(False, "docker", ("NET_ADMIN", "SYS_ADMIN"), {"kernel.unprivileged_userns_clone": 0}),
            "this container lacks NET_ADMIN, SYS_ADMIN",
            "docker run --user root --cap-add NET_ADMIN --cap-add SYS_ADMIN IMAGE"),
        (errno.EPERM, Machine(True, "podman", ("NET_ADMIN", "NET_RAW", "SYS_ADMIN")),
            "this container lacks NET_ADMIN, NET_RAW, SYS_ADMIN",
            "podman run --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN IMAGE"),
        (errno.EPERM, Machine(True, "other", ("SYS_ADMIN",)), "this container lacks SYS_ADMIN", ""),
        (errno.EPERM, Machine(False, "docker", parameters={"kernel.unprivileged_userns_clone": 0}),
            "forbidden: kernel.unprivileged_userns_clone=0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        (errno.EPERM, Machine(True, "", ("SYS_ADMIN",)), "root, but without SYS_ADMIN", ""),
        (errno.EPERM, Machine(True), "forbidden even to root (seccomp, AppArmor, SELinux?)", ""),
        (errno.ENOSPC, Machine(False, parameters={"user.max_user_namespaces": 0, "user.max_net_namespaces": 0}),
            "none left: user.max_user_namespaces=0, user.max_net_namespaces=0",
            "sudo sysctl -w user.max_user_namespaces=10000 user.max_net_namespaces=10000"),
        (errno.ENOSPC, Machine(False, parameters={"user.max_user_namespaces": 96365}),
            "no namespaces left, by a limit set further out", ""),
        (errno.EOPNOTSUPP, Machine(False), "the kernel has no veth", "sudo modprobe veth"),
        (errno.EROFS, Machine(True), "/proc/sys is read-only", "mount -o remount,rw /proc/sys"),
        (errno.EROFS, Machine(True, "podman"), "/proc/sys is read-only",
            "podman run --cap-add NET_ADMIN --cap-add SYS_ADMIN --security-opt unmask=ALL IMAGE"),
        (errno.EINVAL, Machine(True), "does not work: Invalid argument", ""),
    ],
)  # fmt: skip
def test_a_refusal_has_a_reason_and_a_command(error: int, machine: Machine, reason: str, remedy: str) -> None:
    found, command = diagnose(error, machine, module="veth")
    assert (found.en, command) == (reason, remedy)


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", "sudo apt-get install tshark"),
        ("dnf", "sudo dnf install wireshark-cli"),
        ("pacman", "sudo pacman -S wireshark-cli"),
        ("brew", "brew install wireshark"),
        ("none of these", ""),
    ],
)
def test_every_package_manager_has_its_own_name_for_a_package(manager: str, command: str) -> None:
    assert install("tshark", lambda name: name if name == manager else None, Machine(False)) == command


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({"LANG": "en_US.ISO-8859-1"}, "export LANG=C.UTF-8"),
        ({"LANG": "zh_CN.GBK"}, "export LANG=zh_CN.UTF-8"),
        ({"LANG": "zh_CN.UTF-8", "LC_CTYPE": "POSIX"}, "export LC_CTYPE=C.UTF-8"),
        ({"LANG": "C.UTF-8", "LC_ALL": "zh_CN.GB18030"}, "export LC_ALL=zh_CN.UTF-8"),
        ({"LANG": "C", "PYTHONIOENCODING": "ascii"}, "unset PYTHONIOENCODING"),
    ],
)
def test_the_encoding_is_mended_without_changing_the_language(environ: dict[str, str], command: str) -> None:
    assert set_encoding(environ, "linux") == command


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_root_without_rights_is_not_taken_for_root_with_them(user_namespaces: None) -> None:
    script = (
        "from lab.system.remedies import read_machine\nmachine = read_machine(); print(machine.root, *machine.lacking)"
    )
    done = subprocess.run(
        ["unshare", "-Ur", "setpriv", "--securebits", "+noroot", "--inh-caps=-all", sys.executable, "-c", script],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "NET_ADMIN", "NET_RAW", "SYS_ADMIN"]
