"""The interface as Wireshark uses it: real hosts, real pipes, a toolbar that is played. A real SYN is held, and goes.

What tshark and a person see of it is in test_tshark.py and in the picture that scripts/picture.py makes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.capture.reader import open_capture
from lab.runs.recorded import open_run
from lab.wireshark.toolbar import Control, Message, Order
from tests.left_behind import TWO_LINES, until, watching
from tests.places import PACKAGES
from tests.wireshark.window import EXTCAP, Window

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and pidfds exist on Linux only")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes rights away, which only root has")

Open = Callable[..., Window]


@pytest.fixture(scope="module")
def watched() -> Iterator[None]:
    with watching():
        yield


@pytest.fixture
def window(watched: None, namespaces: None, tmp_path: Path) -> Open:
    return lambda *options, **more: Window(tmp_path, *options, **more)


def asked(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("LANG", "LC_ALL", "LC_MESSAGES")}
    return subprocess.run(
        [sys.executable, "-c", EXTCAP, *words],
        capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        env={**clean, "PYTHONPATH": PACKAGES, "LANG": "C.UTF-8", **env},
    )  # fmt: skip


# What Wireshark asks before it captures.


def test_it_says_what_there_is_and_quickly() -> None:
    done = asked("--extcap-interfaces", "--extcap-version=4.6")
    assert "interface {value=handshake-lab}{display=Handshake lab}\n" in done.stdout
    assert "control {number=1}{type=button}{display=Release}" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    heavy = ["rich", "typer", "scapy", "cryptography", "numpy", "multiprocessing", "subprocess", "json", "tomllib"]
    listed = f"import sys; sys.argv[1:] = ['--extcap-interfaces']\ntry:\n {EXTCAP}\nfinally: print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True)
    assert not set(found.stdout.split()) & {*heavy, "lab.protocols", "lab.model"}


def test_it_says_it_in_chinese_where_the_system_is() -> None:
    done = asked("--extcap-interfaces", LANG="zh_CN.UTF-8")
    assert "{display=握手实验室}" in done.stdout
    assert "{display=放行}" in done.stdout
    config = asked("--extcap-config", "--extcap-interface", "handshake-lab", LANG="zh_CN.UTF-8")
    assert "{display=场景}" in config.stdout
    assert "value {arg=0}{value=tls/1.3}{display=tls/1.3: " in config.stdout


def test_it_says_which_link_layer_its_packets_have() -> None:
    done = asked("--extcap-dlts", "--extcap-interface", "handshake-lab")
    assert done.stdout == "dlt {number=1}{name=EN10MB}{display=Ethernet}\n"


def test_a_capture_filter_is_told_to_be_none() -> None:
    right, wrong = (
        asked("--extcap-interface", "handshake-lab", "--extcap-capture-filter", each) for each in ("", "tcp")
    )
    assert (right.stdout, right.returncode) == ("", 0)
    assert wrong.stdout.startswith("the lab has no capture filters")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "this is for Wireshark"),
        (("--capture",), "this is for Wireshark"),
        (("--extcap-dlts", "--extcap-interface", "eth0"), "no interface 'eth0'"),
        (("--extcap-config", "--extcap-interface", "eth0"), "no interface 'eth0'"),
        (("--capture", "--fifo", "/nowhere/pipe"), "/nowhere/pipe can't be written"),
        (("--capture", "--fifo", "/nowhere/pipe", "--scenari", "x"), "no option '--scenari'"),
    ],
)
def test_what_it_can_not_do_is_said_in_two_lines(words: tuple[str, ...], said: str) -> None:
    done = asked(*words)
    assert done.returncode in (2, 4)
    assert TWO_LINES["en"].fullmatch(done.stderr)
    assert said in done.stderr


# Stepping.


def test_a_real_syn_is_held_and_goes_when_it_is_released(window: Open) -> None:
    here = window()
    here.sees("1 client SYN")
    here.wait_for(lambda: len(here.frames) == 1 and bool(here.statuses))
    assert b"[lab] tcp/connection: " in here.captured, "the section says what it is"
    english, chinese, programs = here.frames[0].comments
    assert english == (
        "[lab] open 1: The client asks for a connection: SYN. "
        "Held: client SYN-SENT, server LISTEN, as both kernels say."
    )
    assert chinese.startswith("[实验] 握手 1")
    assert programs.startswith('lab1 {"kernel":{"held":{"client":"SYN-SENT","server":"LISTEN"}}')
    assert here.statuses == ["held: 1 client SYN (open 1) · kernels: client SYN-SENT · server LISTEN"]
    assert here.kernels == "client SYN-SENT · server LISTEN", "the server's kernel has not got it"
    here.press(Control.RELEASE)
    here.sees("2 server SYN-ACK")
    here.wait_for(lambda: here.kernels == "client SYN-SENT · server SYN-RECEIVED")
    here.press(Control.RELEASE)
    here.sees("3 client ACK")

    here.run_until("FNI")
    here.wait_for(lambda: "'FNI' is nothing that a packet can be: did you mean: FIN" in here.statuses[-1])
    assert here.held == ["3 client ACK"]
    here.run_until("client data")
    here.sees("4 client data")
    assert here.values[Control.UNTIL] == "", "it has come so far"
    here.press(Control.DROP)
    here.sees("5 client data retransmission")
    here.run_until("client=FIN-WAIT-1")
    here.wait_for(lambda: bool(here.held) and here.held[0].endswith("client FIN"))
    here.press(Control.DUPLICATE)
    here.wait_for(lambda: bool(here.held) and here.held[0].endswith("server ACK"))
    here.press(Control.RUN)
    ended = here.ended()
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    assert here.statuses[-1] == "the scenario has ended"
    assert "4 client data is lost\n" in here.log
    assert "5 client data retransmission has arrived\n" in here.log
    assert [frame.number for frame in here.frames] == [*range(1, len(here.frames) + 1)]
    here.left()


def test_of_two_that_are_held_the_one_that_was_chosen_goes(window: Open) -> None:
    here = window("--scenario", "tcp/simultaneous-open")
    here.sees("1 client SYN", "2 server SYN")
    here.choose(2)
    here.press(Control.RELEASE)
    here.sees("1 client SYN", "3 client SYN-ACK")
    here.press(Control.RELEASE)
    here.wait_for(lambda: here.held[0] == "3 client SYN-ACK")
    here.run_until("end")
    assert here.ended().status == 0
    here.left()


@pytest.mark.parametrize("shown", [False, True])
def test_what_is_sent_again_while_a_packet_is_held_is_shown_where_it_is_asked_for(window: Open, shown: bool) -> None:
    here = window(*["--repetitions"] * shown, "--ipv6")
    here.wait_for(lambda: "SYN retransmission: sent again while a packet is held" in here.log)
    assert here.held == ["1 client SYN"]
    here.run_until("SYN-ACK")
    here.wait_for(lambda: bool(here.held) and here.held[0].endswith("server SYN-ACK"))
    number = int(here.held[0].partition(" ")[0])
    here.wait_for(lambda: number == len(here.frames), lambda: "the numbers are not Wireshark's")
    assert (number > 2) is shown
    here.press(Control.RUN)
    assert here.ended().status == 0
    here.left()


def test_what_goes_by_itself_can_be_held_again(window: Open, tmp_path: Path) -> None:
    """And all of it is saved, with what became of each packet."""
    here = window("--play", "--pace", "600", "--lang", "zh", "--save", "all.pcapng")
    here.sees("1 客户端 SYN")
    here.wait_for(lambda: here.values.get(Control.RUN) == "暂停")
    assert here.values[Control.UNTIL] == "end"
    here.press(Control.RUN)
    here.wait_for(lambda: here.values[Control.RUN] == "继续运行")
    here.press(Control.RELEASE)
    here.sees("2 服务器 SYN-ACK")
    assert here.statuses[-1].startswith("扣住：2 服务器 SYN-ACK（握手 2） · 内核：客户端 SYN-SENT")
    here.close_toolbar()
    here.wait_for(lambda: here.values[Control.RUN] == "暂停")
    os.kill(here.extcap.process.pid, signal.SIGTERM)
    assert here.ended().status == 128 + signal.SIGTERM
    with open_run(str(here.extcap.work / "all.pcapng")) as run:
        first, second, *_ = run.packets()
    assert (first.fate, first.by, second.journal is not None) == ("arrived", "journal", True)
    here.left("all.pcapng")


def test_a_dropped_packet_ends_the_scenario_where_nobody_sends_it_again(window: Open) -> None:
    here = window("--scenario", "tcp/reset", "--wire", "drop client RST #1")
    here.run_until("RST")
    here.wait_for(lambda: bool(here.held) and here.held[0].endswith("RST"))
    here.press(Control.RUN)
    assert here.ended().status == 0
    assert "the scenario" in here.statuses[-1]
    here.left()


# Bad moments.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_while_a_packet_is_held_it_leaves_nothing(window: Open, number: signal.Signals) -> None:
    here = window()
    here.sees("1 client SYN")
    os.kill(here.extcap.process.pid, number)
    assert here.ended().status == {signal.SIGTERM: 128 + number, signal.SIGKILL: -number}[number]
    assert here.over
    here.left(orphans=True)


def test_where_nobody_reads_the_packets_any_more_it_ends(window: Open) -> None:
    here = window()
    here.sees("1 client SYN")
    here.stop_reading()
    ended = here.ended()
    assert ended.err == ""
    here.left()


def test_it_ends_with_whoever_has_started_it(window: Open) -> None:
    """Also where nothing else tells it: the pipe is still read, the toolbar still open."""
    here = window(prefix=("sh", "-c", '"$@" & echo; wait', "sh"))
    here.sees("1 client SYN")
    os.kill(here.extcap.process.pid, signal.SIGKILL)
    here.ended()
    assert until(lambda: not here.extcap.living())
    here.left(orphans=True)


@pytest.mark.parametrize("how", ["closed", "broken"])
def test_where_the_toolbar_is_gone_packets_go_by_themselves(window: Open, how: str) -> None:
    here = window("--scenario", "tcp/refused")
    here.sees("1 client SYN")
    if how == "closed":
        here.close_toolbar()
    else:
        os.write(here._out, b"GET / HTTP/1.1\r\n\r\n")
    assert here.ended().status == 0
    assert len(here.frames) == 2
    here.left()


def test_what_the_toolbar_never_says_changes_nothing(window: Open) -> None:
    here = window("--scenario", "tcp/refused")
    here.sees("1 client SYN")
    for message in (
        Message(99, Order.SET), Message(Control.RELEASE, Order.ADD), Message(Control.RELEASE, 77),
        Message(Control.HELD, Order.SET), Message(Control.HELD, Order.SET, b"\xff\0"), Message(Control.UNTIL, 1),
        Message(Control.KERNELS, Order.SET, b"x"), Message(Control.UNTIL, Order.SET, b"\xff" * 60_000),
    ):  # fmt: skip
        here.send(message)
    here.wait_for(lambda: "says nowhere to stop" in here.statuses[-1])
    assert here.held == ["1 client SYN"]
    here.press(Control.RELEASE)
    here.sees("2 server RST")
    here.press(Control.RELEASE)
    assert here.ended().status == 0
    here.left()


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--scenario", "tcp/conection"), 2, "did you mean tcp/connection?"),
        (("--wire", "drop the SYN"), 2, "the wire does not know the rule"),
        (("--pace", "-1"), 2, "is no time for a packet"),
        (("--extcap-capture-filter", "port 80"), 2, "no capture filters"),
        (("--save", "/nowhere/x.pcapng"), 4, "/nowhere"),
    ],
)
@pytest.mark.parametrize("toolbar", [True, False])
def test_what_can_not_be_played_is_said_and_keeps_nobody_waiting(
    window: Open, toolbar: bool, options: tuple[str, ...], status: int, said: str
) -> None:
    here = window(*options, toolbar=toolbar)
    ended = here.ended()
    assert ended.status == status
    assert TWO_LINES["en"].fullmatch(ended.err)
    assert said in ended.err
    assert here.over
    here.left()


@as_root
def test_without_rights_the_hint_reaches_whoever_looks(window: Open) -> None:
    here = window("--lang", "zh", prefix=("setpriv", "--bounding-set=-all", "--inh-caps=-all"))
    ended = here.ended()
    assert ended.status == 4
    assert TWO_LINES["zh"].fullmatch(ended.err)
    assert "lab doctor" in ended.err
    here.left()


# Without a toolbar.


def test_without_a_toolbar_packets_go_by_themselves_at_the_pace_that_is_asked_for(window: Open) -> None:
    here = window("--scenario", "tcp/refused", "--pace", "0.3", toolbar=False)
    assert here.ended() == (0, "", "")
    first, second = (frame.time or 0 for frame in here.frames)
    assert (second - first) / 1e9 >= 0.3
    here.left()


def test_a_file_takes_it_too(namespaces: None, tmp_path: Path) -> None:
    """By hand, without a pipe: `--fifo FILE`. Where nothing is held, each packet comes with its journal."""
    file = tmp_path / "x.pcapng"
    file.touch()
    done = asked("--capture", "--fifo", str(file), "--scenario", "tcp/refused")
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_bytes().count(b"[lab] tcp/refused: ") == 1, "the section says what it is"
    with open_capture(str(file)) as capture:
        syn, reset = capture
    assert [each.comments[2][: len('lab1 {"arrived":')] for each in (syn, reset)] == ['lab1 {"arrived":'] * 2
