"""The numbered deviations of DEVIATIONS.md, made real: each is seen where it is expected, and nothing else is."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path as File

import pytest

import lab
from lab.model import Role
from lab.protocols.scenario import Scenario
from lab.protocols.tcp import endpoints
from lab.protocols.tcp.scenarios import endpoint
from lab.protocols.tcp.scripts import CLIENT_PORT, PORT, connection
from lab.report import agreement
from lab.testbed.stage import Stage
from tests.runs import Run, play
from tests.scenarios.scripts import closed, hand_over, opened, opened_from


class Endpoint(endpoints.Endpoint):
    """Endpoints that can be asked for what no scenario needs."""

    def option(self, level: int, name: int, value: int) -> None:
        self._end.setsockopt(level, name, value)

    def alone(self) -> None:
        """Returns when the kernel has no connection any more."""
        for table in ("tcp", "tcp6"):
            for line in File(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
                if line.split()[3] != "0A":  # LISTEN
                    raise BlockingIOError

    def shorten_the_queue(self) -> None:
        """Leaves room for one connection that nobody has accepted."""
        assert self._listener is not None
        self._listener.listen(0)

    def open_another(self, address: str, port: int) -> None:
        self._others = [self._new()]
        self._others[0].connect_ex((address, port))

    def fill(self) -> int:
        """Hands over bytes until the kernel takes no more and returns how many it took."""
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                taken += self._end.send(bytes(65536))
        return taken

    def drain(self) -> int:
        return len(self._end.recv(1 << 20))


@pytest.fixture
def willing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "Endpoint", Endpoint)


def deviations(run: Run) -> list[tuple[str, Role, str | None, str | None]]:
    """Returns every difference from the kernels, each once: instant, end, the table's state, the kernel's."""
    return list(dict.fromkeys((x.instant, x.role, x.ours, x.kernel) for x in run.agreement.disagreements))


def test_number_1_a_listener_is_assumed_where_the_journal_does_not_say_who_listens(
    cable: Callable[..., Run], tmp_path: File
) -> None:
    def nobody_listens(stage: Stage) -> None:
        stage.client.connect(stage.server.address, PORT)
        with contextlib.suppress(OSError):
            stage.client.connected()

    run = cable(nobody_listens)
    assert not run.agreement.disagreements
    assert run.packets[0].held == ("SYN-SENT", "CLOSED")
    assert not run.packets[0].assumed
    said = run.file.read_bytes()
    assert said.count(b'"listening":[]') == 1
    forgetful = tmp_path / "forgetful.pcapng"
    forgetful.write_bytes(said.replace(b'"listening":[]', b'"listening":{}'))
    with lab.open(forgetful) as old:
        first, *_ = old.packets()
    assert first.held == ("SYN-SENT", "LISTEN")
    assert first.assumed == ("server",)
    assert {each.deviation for each in old.agreement.disagreements} == {agreement.LISTENER_ASSUMED}


def test_number_2_a_close_behind_unsent_data_is_seen_when_its_fin_is(cable: Callable[..., Run]) -> None:
    def closes_with_data_unsent(stage: Stage) -> None:
        opened(stage)
        hand_over(stage.client, 60_000)  # more than the wire holds: the rest waits in the kernel
        stage.client.close()
        stage.release()
        stage.acknowledged(stage.client)
        while stage.server.receive():
            pass
        stage.server.close()
        stage.acknowledged(stage.server)

    run = cable(closes_with_data_unsent, *(f"hold client data #{number}" for number in range(1, 14)))
    assert run.agreement.deviations == [agreement.CLOSED_BEHIND_DATA]
    assert {each[1:] for each in deviations(run)} == {("client", "ESTABLISHED", "FIN-WAIT-1")}
    fin = run.of("client", "FIN")[0].number
    last = run.agreement.disagreements[-1].number
    assert last < fin, run.shows(f"agreement from the FIN on, packet {fin}", f"a difference at packet {last}")


def test_number_2_also_behind_the_peers_fin(cable: Callable[..., Run]) -> None:
    def closes_second_with_data_unsent(stage: Stage) -> None:
        opened(stage)
        stage.server.shutdown()
        stage.acknowledged(stage.server)
        hand_over(stage.client, 60_000)
        stage.client.close()
        stage.release()
        stage.acknowledged(stage.client)

    run = cable(closes_second_with_data_unsent, *(f"hold client data #{number}" for number in range(1, 14)))
    assert run.agreement.deviations == [agreement.CLOSED_BEHIND_DATA]
    assert {each[1:] for each in deviations(run)} == {("client", "CLOSE-WAIT", "LAST-ACK")}


def test_number_3_nobody_hears_a_close_in_syn_sent(namespaces: None, tmp_path: File) -> None:
    def gives_up(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.close()
        stage.release()

    run = play(Scenario("test", gives_up, endpoint, ("hold client SYN #1",)), tmp_path / "run.pcapng")
    assert not run.agreement.unexplained, run.shows("number 3 only", str(run.agreement.unexplained))
    assert deviations(run) == [
        ("delivered", "client", "SYN-SENT", "CLOSED"),
        ("held", "client", "SYN-SENT", "CLOSED"),
    ]
    assert run.agreement.deviations == [agreement.SILENT_EVENT]
    assert [bool("RST" in packet.flags) for packet in run.packets] == [False, False, True]


def test_number_3_nobody_hears_fin_wait_2_expire(namespaces: None, willing: None, tmp_path: File) -> None:
    def waits_in_vain(stage: Stage) -> None:
        opened(stage)
        stage.client.option(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)  # seconds, instead of 60
        stage.client.close()
        stage.acknowledged(stage.client)
        stage.client.alone()
        stage.server.close()

    run = play(Scenario("test", waits_in_vain, endpoint), tmp_path / "run.pcapng")
    assert not run.agreement.unexplained, run.shows("number 3 only", str(run.agreement.unexplained))
    assert deviations(run) == [("held", "client", "FIN-WAIT-2", "CLOSED")]
    assert run.agreement.deviations == [agreement.SILENT_EVENT]
    *_, fin, answer = run.packets
    assert "FIN" in fin.flags
    assert "RST" in answer.flags


def test_number_3_nobody_hears_connect_give_up(namespaces: None, willing: None, tmp_path: File) -> None:
    def tries_for_a_moment(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.bind(CLIENT_PORT)
        stage.client.option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)  # milliseconds
        stage.client.connect(stage.server.address, PORT)
        with contextlib.suppress(OSError):
            stage.client.connected()
        stage.client.alone()

    run = play(Scenario("test", tries_for_a_moment, endpoint, ("drop client SYN",)), tmp_path / "run.pcapng")
    assert deviations(run) == [("final", "client", "SYN-SENT", "CLOSED")]
    assert run.agreement.deviations == [agreement.SILENT_EVENT]


def test_number_4_of_what_a_full_queue_ignores_the_kernel_tells_and_nobody_moves(
    namespaces: None, willing: None, tmp_path: File
) -> None:
    def two_for_one_place(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.server.shorten_the_queue()
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.client.open_another(stage.server.address, PORT)

    run = play(Scenario("test", two_for_one_place, endpoint), tmp_path / "run.pcapng")
    assert deviations(run) == [], run.shows("no difference", str(run.agreement.disagreements))
    ignored = run.packets[-1]
    assert ignored.refused is not None, run.shows("a SYN ignored", "none")
    assert (ignored.refused.code, ignored.refused.counters[0]) == ("accept-queue-full", ("TcpExt ListenOverflows", 1))
    assert ignored.delivered == ignored.held


def test_number_5_with_cookies_a_listener_remembers_nothing_and_the_table_goes_with_it(
    namespaces: None, willing: None, tmp_path: File
) -> None:
    def flooded(stage: Stage) -> None:
        stage.server.set_kernel("tcp_syncookies", "2")
        connection(stage)

    run = play(Scenario("test", flooded, endpoint), tmp_path / "run.pcapng")
    assert deviations(run) == [], run.shows("no difference", str(run.agreement.disagreements))
    assert [packet.delivered and packet.delivered.server for packet in run.packets[:3]] == [
        "LISTEN", "LISTEN", "ESTABLISHED",
    ]  # fmt: skip


def test_number_7_a_server_in_time_wait_takes_the_same_pair_again(namespaces: None, tmp_path: File) -> None:
    def again_from_the_same_port(stage: Stage) -> None:
        stage.server.listen(PORT)
        for _ in range(2):
            stage.client.bind(CLIENT_PORT)
            stage.client.connect(stage.server.address, PORT)
            stage.client.connected()
            stage.server.accept()
            stage.server.close()
            stage.acknowledged(stage.server)
            stage.client.close()
            stage.acknowledged(stage.client)

    run = play(Scenario("test", again_from_the_same_port, endpoint), tmp_path / "run.pcapng")
    assert len(run.conversations) == 2
    assert deviations(run) == [("held", "server", "LISTEN", "TIME-WAIT")]
    assert run.agreement.deviations == [agreement.SAME_PAIR_AGAIN]


def test_number_7_a_client_that_has_lost_its_connection_asks_again_and_resets_the_old_one(
    namespaces: None, tmp_path: File
) -> None:
    """RFC 9293 section 3.5.1, figure 9."""

    def comes_back(stage: Stage) -> None:
        opened_from(stage, CLIENT_PORT)
        stage.client.crash()
        opened_from(stage, CLIENT_PORT, listens=False)
        closed(stage)

    run = play(Scenario("test", comes_back, endpoint), tmp_path / "run.pcapng")
    assert len(run.conversations) == 2
    assert not run.agreement.unexplained, run.shows("number 7 only", str(run.agreement.unexplained))
    assert run.agreement.deviations == [agreement.SAME_PAIR_AGAIN]
    syn, challenge, reset, again = run.packets[3:7]
    assert syn.refused is not None
    assert (syn.refused.code, syn.refused.answer, syn.delivered) == ("syn-on-connection", "ACK", syn.held)
    assert challenge.refused is not None
    assert (challenge.refused.code, challenge.refused.answer) == ("syn-not-acknowledged", "RST")
    assert ("RST" in reset.flags, "retransmission" in again.labels) == (True, True)
    old, new = ({packet.conversation for packet in some} for some in ((challenge, reset), (syn, again)))
    assert (old, new) == ({0}, {1})


def test_number_7_while_the_rst_for_the_old_one_is_under_way(namespaces: None, tmp_path: File) -> None:
    """The SYN is sent again at once, before the server has heard that its connection is lost."""

    def comes_back(stage: Stage) -> None:
        opened_from(stage, CLIENT_PORT)
        stage.client.crash()
        opened_from(stage, CLIENT_PORT, listens=False)
        closed(stage)

    run = play(Scenario("test", comes_back, endpoint), tmp_path / "run.pcapng", rules=("delay client RST 300ms",))
    (reset,) = run.of("client", "RST")[:1]
    again = next(each for each in run.packets[reset.number :] if "retransmission" in each.labels)
    assert reset.journal is not None
    assert again.journal is not None
    assert reset.journal.arrived < again.journal.arrived < reset.journal.delivered[0]
    assert again.kernel_held is not None
    assert again.kernel_held.server == "ESTABLISHED"
    assert not run.agreement.unexplained, run.shows("number 7 only", str(run.agreement.unexplained))
    assert run.agreement.deviations == [agreement.SAME_PAIR_AGAIN]


def test_wireshark_sees_the_same_windows_close_and_open(cable: Callable[..., Run], willing: None) -> None:
    def overwhelms(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.bind(CLIENT_PORT)
        stage.client.option(socket.SOL_SOCKET, socket.SO_SNDBUF, 30_000)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        stage.server.option(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        left = sum(stage.client.fill() for _ in range(6))
        while left:
            left -= stage.server.drain()
        closed(stage)

    run = cable(overwhelms)
    assert run.of("server", "zero-window"), run.shows("a window of 0", "none")
    assert run.of("server", "window-update"), run.shows("a window opened again", "none")


def test_wireshark_sees_the_same_keep_alives(cable: Callable[..., Run], willing: None) -> None:
    def stays(stage: Stage) -> None:
        opened(stage)
        for option, value in (
            (socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_USER_TIMEOUT, 1500),
        ):  # fmt: skip
            stage.client.option(socket.IPPROTO_TCP, option, value)
        stage.client.option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stage.client.alone()

    run = cable(stays, "drop server ACK")
    assert run.of("client", "keep-alive"), run.shows("a keep-alive", "none")
