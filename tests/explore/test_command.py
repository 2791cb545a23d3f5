"""`lab explore` as it is called: names, users, machines that can't, and nothing left behind."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import MachineError, UsageError
from lab.explore.run import explored
from lab.protocols.exploration import WAYS, Cell, Options, stimulus, ways
from lab.render.cells import Played
from lab.render.explored import in_full
from lab.text import LANGUAGES, Lang
from tests.left_behind import AS_NOBODY, AS_USER, TWO_LINES, Watched, until
from tests.places import ROOT

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes another user, as root can"
)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that an ordinary user reaches and may write to; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="lab-test-"))
    (folder / "work").mkdir()
    for each in (folder, folder / "work"):
        each.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_a_state_is_found_by_its_name_however_it_is_written() -> None:
    assert [each.name for each in ways("fin_wait_2")] == ["FIN-WAIT-2", "FIN-WAIT-2/close"]
    assert [each.name for each in ways("FIN-WAIT-2/Close")] == ["FIN-WAIT-2/close"]
    assert ways("syn_rcvd")[0].name == "SYN-RECEIVED"  # as the notes spell it
    assert ways("listen")[0].name == "LISTEN"
    assert stimulus("SYN_ACK").name == "syn-ack"


def test_a_way_hurries_where_the_kernel_will_send_its_syn_again() -> None:
    """Those are played apart, and again where a second has passed meanwhile."""
    assert {each.name for each in WAYS if each.hurries} == {
        "LISTEN", "SYN-SENT", "SYN-RECEIVED", "SYN-RECEIVED/both", "FIN-WAIT-1/early",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ESTABLISHD", "FIN-WAIT-3", "FIN-WAIT-2/clos", "\x1b[31m", "", "x" * 5000])
def test_of_an_unknown_state_the_nearest_are_told(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        ways(name)
    assert len(caught.value.message.en) < 100
    assert "nearest: " in caught.value.hint.en
    if name[:3] in ("EST", "FIN"):
        assert name[:3] in caught.value.hint.zh


@pytest.mark.parametrize(("name", "near"), [("rst-ahed", "rst-ahead"), ("synack2", "syn-ack"), ("dta", "data")])
def test_of_an_unknown_segment_the_nearest_are_told(name: str, near: str) -> None:
    with pytest.raises(UsageError, match="no segment") as caught:
        stimulus(name)
    assert near in caught.value.hint.en


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_cell_is_told_in_full(namespaces: None, lang: Lang) -> None:
    out, way, tried = io.StringIO(), ways("FIN-WAIT-1/close")[0], stimulus("data")
    cells = [each for each in explored([(way, tried)], Options()) if isinstance(each, Cell)]
    in_full(Played("6.18.44", Options(), cells), way, tried, [], out, lang)
    said = out.getvalue()
    assert said in (ROOT / "docs/explore.md").read_text("utf-8")
    for what in ("RST seq 2", "ACK seq 2 ack 11", "CLOSED", "FIN-WAIT-2", "TcpExt TCPAbortOnData +1", "3.6.1", "≈"):
        assert what in said
    assert max(map(len, said.splitlines())) <= 80


@as_root
def test_an_ordinary_user_explores_as_well(
    namespaces: None, user_namespaces: None, nobodys_python: str, public: Path
) -> None:
    run = Watched(public, "explore", "CLOSE-WAIT", "rst-below", prefix=AS_NOBODY, python=nobodys_python)
    ended = run.ended()
    assert (ended.status, ended.err) == (0, "")
    assert "CLOSED" in ended.out
    run.left()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_where_namespaces_are_not_to_be_had_it_says_so_in_two_lines(
    namespaces: None, tmp_path: Path, lang: Lang
) -> None:
    rights = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if not AS_USER else ()
    run = Watched(tmp_path, "explore", "LISTEN", "syn", "--lang", lang, prefix=(*rights, "prlimit", "--nofile=6"))
    ended = run.ended()
    assert (ended.status, ended.out) == (4, "")
    assert TWO_LINES[lang].fullmatch(ended.err), ended.err
    run.left()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_stopped_it_leaves_nothing(namespaces: None, tmp_path: Path, number: signal.Signals) -> None:
    run = Watched(tmp_path, "explore")
    run.listening()
    assert until(lambda: len(run.living()) == 2)  # the kernel's process is there
    run.process.send_signal(number)
    ended = run.ended()
    assert ended.status == (130 if number is signal.SIGINT else -number)
    run.left(orphans=True)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_without_linux_it_says_what_there_is_to_see_there(monkeypatch: pytest.MonkeyPatch, lang: Lang) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(MachineError, match="only Linux") as caught:
        next(explored([(ways("LISTEN")[0], stimulus("syn"))], Options()))
    assert "lab notes tcp --coverage" in caught.value.hint.pick(lang)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has namespaces")
def test_a_file_that_can_t_be_written_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    run = Watched(tmp_path, "explore", "-o", "no/such/folder/x", "--json")
    ended = run.ended()
    assert ended.status == 4
    assert TWO_LINES["en"].fullmatch(ended.err), ended.err
