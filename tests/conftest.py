"""What a machine must have for a test: without it the test is skipped and says why, or fails where LAB_NO_SKIP=1."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from lab.errors import MachineError
from lab.protocols.scenario import Scenario
from lab.protocols.tcp.scenarios import endpoint
from tests.left_behind import AS_NOBODY
from tests.places import PACKAGES

# How long an example takes says how busy the machine is, not whether the code is right. The examples are the same each
# time, so that what a run says is about the code it ran; new ones are looked for with --hypothesis-profile search.
settings.register_profile("lab", deadline=None, derandomize=True)
settings.register_profile("fast", deadline=None, derandomize=True, max_examples=10)  # make test-fast
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("lab")

# Tests with one of these fixtures, also by way of another, are marked `machine`.
MACHINE = {
    "namespaces",
    "user_namespaces",
    "nobodys_python",
    "watched",
    "tshark",
    "docker",
    "chromium",
    "axe",
    "tsc",
    "pyodide",
}
# What is asked of every version of tshark that there is to test with (make test-image): all that uses it, and these.
TSHARKS_FOLDERS = ("wireshark", "witnesses")
# What is slow as a whole; single tests say so themselves.
SLOW_FOLDERS = ("bulk",)
SLOW = {"large", "busy"}  # captures of many thousand packets

# Side by side, a file's tests stay together in one process. So do those of all files that share something, here by its
# fixture: Docker's engine; the one processor that all network namespaces run on, and the runs of the scenarios; a
# browser.
TOGETHER = {
    "docker": (
        "tests/testbed/test_docker.py", "tests/testbed/test_one_container.py", "tests/scenarios/test_containers.py",
        "tests/app/test_mischief.py",
    ),
    "namespaces": (
        "tests/scenarios/", "tests/testbed/", "tests/explore/", "tests/app/test_tls.py", "tests/app/test_ws.py",
        "tests/app/test_variant.py", "tests/app/test_loaded.py", "tests/app/test_next.py", "tests/app/test_output.py",
        "tests/app/test_streamed.py", "tests/test_api.py", "tests/test_docs.py", "tests/test_events.py",
        "tests/test_kill.py", "tests/test_moments.py", "tests/test_soak.py", "tests/test_traffic.py",
        "tests/test_bench.py", "tests/protocols/ssh/test_folder.py", "tests/grade/test_variants.py",
        "tests/grade/test_course.py", "tests/wireshark/test_opening.py", "tests/wireshark/test_extcap.py",
        "tests/wireshark/test_tshark.py", "tests/stepping/test_plans.py", "tests/stepping/test_step.py",
        "tests/stepping/test_screen.py", "tests/grade/test_predicted.py",
        "tests/page/test_server.py", "tests/page/test_live.py",
    ),
    "browser": ("tests/page/test_browser.py", "tests/page/test_page.py", "tests/page/test_hostile.py",
                "tests/page/test_looks.py", "tests/page/test_modes.py", "tests/page/test_site_in_browser.py"),
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what needs more of a machine than Python, and has what takes longest begin first."""
    missing = dict[str, None]()
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & MACHINE:
            item.add_marker(pytest.mark.machine)
        if "tshark" in fixtures or item.path.parent.name in TSHARKS_FOLDERS:
            item.add_marker(pytest.mark.tshark)
        if fixtures & SLOW or item.path.parent.name in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
        if fixtures & TOGETHER.keys() and _company(item.nodeid) not in TOGETHER:
            missing[item.nodeid.partition("::")[0]] = None
    if missing:
        raise pytest.UsageError(f"these share what others use, TOGETHER (tests/conftest.py) lacks: {' '.join(missing)}")
    if hasattr(config, "workerinput"):  # one of several processes
        items.sort(key=lambda item: _company(item.nodeid) not in TOGETHER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than processors: those of TOGETHER mostly wait, for containers and for the hosts' timers."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Gives each process a file after the other, but what is TOGETHER as if it were one file."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return _company(nodeid)

    return Together(config, log)


def _company(nodeid: str) -> str:
    """Returns with what a test shares a process."""
    file = nodeid.partition("::")[0]
    return next((name for name, places in TOGETHER.items() if file.startswith(places)), file)


@pytest.fixture(scope="session")
def namespaces() -> None:
    """The network-namespace testbed, tried by playing a scenario in which nothing happens."""
    from lab.testbed.netns import play  # here: elsewhere than on Linux it need not even be importable

    try:
        with play(Scenario("nothing", lambda _: None, endpoint), (), False) as events:
            list(events)
    except MachineError as error:
        pytest.skip(f"{error.message.en}: {error.hint.en}")


@pytest.fixture(scope="session")
def user_namespaces() -> None:
    """User namespaces, for whoever runs the tests and, if that is root, for ordinary users too."""
    for prefix in ((), AS_NOBODY) if os.geteuid() == 0 else ((),):
        command = [*prefix, "unshare", "--user", "true"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except FileNotFoundError as error:
            pytest.skip(f"{error.filename} is not installed (Debian: apt-get install util-linux)")
        if done.returncode:
            pytest.skip(f"this machine lets nobody make a user namespace: {done.stderr.strip()}")


@pytest.fixture(scope="session")
def tshark() -> str:
    """The path of tshark."""
    path = shutil.which("tshark")
    if path is None:
        pytest.skip("tshark is not installed (Debian: apt-get install tshark)")
    return path


@pytest.fixture(scope="session")
def docker() -> str:
    """The Docker testbed's image; without an engine that answers there is none."""
    from lab.testbed import engine

    try:
        return engine.image(engine.require())
    except MachineError as error:
        pytest.skip(f"{error.message.en}: {error.hint.en}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return path


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core, which npm brings once into pytest's cache."""
    from tests.page.axe import script

    try:
        return script(pytestconfig.cache.mkdir("axe-core"))
    except OSError as error:
        pytest.skip(f"{error} (Debian: apt-get install nodejs npm)")


@pytest.fixture(scope="session")
def pyodide() -> Path:
    """The folder of Pyodide, and a node to run it."""
    from scripts.pyodide import folder

    if shutil.which("node") is None:
        pytest.skip("node is not installed (Debian: apt-get install nodejs)")
    try:
        return folder()
    except MachineError as error:
        pytest.skip(f"{error.message.en}: {error.hint.en}")


@pytest.fixture
def nobodys_python() -> str:
    """A Python that an ordinary user can run, and that finds the lab's packages."""
    for python in (sys.executable, "/usr/bin/python3"):
        trial = [*AS_NOBODY, "sh", "-c", 'exec "$0" -m lab scenarios', python]
        if (
            subprocess.run(trial, env={**os.environ, "PYTHONPATH": PACKAGES}, cwd="/", capture_output=True).returncode
            == 0
        ):
            return python
    pytest.skip("no Python that an ordinary user may run finds the lab's packages")


# Not only the fixtures above: whatever skips, by whatever means.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _not_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _not_skipped((yield))


def _not_skipped(report: Any) -> Any:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("LAB_NO_SKIP") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"LAB_NO_SKIP=1: here nothing may be skipped, but this was. {reason}"
    return report
