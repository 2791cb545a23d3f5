"""What a witness is told by a real kernel: every state, the memory of what was open, timers, queues and counters."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.model import Captured, Final, Kernels, Packet, Settled, Socket
from lab.protocols.catalogue import scenario as named
from lab.protocols.scenario import Scenario
from lab.protocols.tcp import endpoints
from lab.protocols.tcp.scenarios import endpoint
from lab.protocols.tcp.scripts import ANSWER, HELLO, PORT, connection
from lab.testbed import messages, netns
from lab.testbed.rules import parse
from lab.testbed.stage import Stage
from tests.left_behind import AS_NOBODY
from tests.places import ROOT

if sys.platform != "linux":
    pytest.skip("network namespaces exist on Linux only", allow_module_level=True)

from lab.testbed.kernel import STATES, Counters, Witness
from tests.testbed.forged import Forger, fates, played

IP = pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])


def instants(packets: list[Packet]) -> list[Kernels]:
    return [each for packet in packets for each in (packet.asked_held, packet.asked_delivered) if each is not None]


def known(end: Socket) -> set[str]:
    """Returns the fields that have a value, but for the state."""
    return {name for name, value in end._asdict().items() if value is not None} - {"state"}


CONNECTION = set(Socket._fields) - {"state", "timer", "expires", "ssthresh", "rtt", "rttvar"}  # the last five: or None


# The states


@IP
def test_every_state_that_a_script_can_reach_is_told(namespaces: None, tmp_path: Path, ipv6: bool) -> None:
    found = set()
    for name in ("tcp/connection", "tcp/simultaneous-close"):
        scenario = named(name)
        run, packets = played(scenario.script, tmp_path / "run.pcapng", *scenario.rules, ipv6=ipv6)
        assert run.source.early is None
        assert not run.agreement.disagreements
        found |= {state for kernels in instants(packets) for state in kernels.states}
    assert found == {*STATES.values(), "CLOSED"}


def test_simultaneous_open_is_received_with_a_connection_of_its_own(namespaces: None, tmp_path: Path) -> None:
    """No listener's request: a whole socket, with all that belongs to one."""
    scenario = named("tcp/simultaneous-open")
    _, packets = played(scenario.script, tmp_path / "run.pcapng", *scenario.rules)
    received = [end for kernels in instants(packets) for end in kernels[:2] if end.state == "SYN-RECEIVED"]
    assert received
    assert all(known(end) >= CONNECTION for end in received)


@pytest.fixture
def witness() -> Iterator[Witness]:
    opened = Witness()
    yield opened
    opened.close()


def pair(own: tuple[str, int], peer: tuple[str, int]) -> bytes:
    family = socket.AF_INET6 if ":" in own[0] else socket.AF_INET
    addresses = socket.inet_pton(family, own[0]) + socket.inet_pton(family, peer[0])
    return addresses + struct.pack("!HH", own[1], peer[1])


def of(end: socket.socket) -> bytes:
    """Returns an end's pair as it sends it: of an IPv4-mapped address, IPv4."""
    own, peer = (name[:2] for name in (end.getsockname(), end.getpeername()))
    return pair(*((address.removeprefix("::ffff:"), port) for address, port in (own, peer)))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_listener_is_told_until_the_pair_was_open_and_closed_from_then_on(witness: Witness, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError as error:
        pytest.skip(f"nobody can listen on {address} here: {error}")  # as in a container without IPv6
    with listener:
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
        theirs, mine = of(server), of(client)
        stranger = pair((address, listener.getsockname()[1]), (address, 1))
        assert (witness.socket(mine).state, witness.socket(theirs).state) == ("ESTABLISHED", "ESTABLISHED")
        assert witness.socket(stranger).state == "LISTEN"
        for end in (client, server):  # RST: no TIME-WAIT stays
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        assert witness.socket(theirs) == Socket("CLOSED"), "the kernel would answer with the listener"
        assert witness.socket(mine) == Socket("CLOSED")
        assert witness.socket(stranger).state == "LISTEN"
        late = Witness()
        assert late.socket(theirs).state == "LISTEN", "who has not seen it open can't know"
        late.close()
    assert witness.socket(stranger) == Socket("CLOSED")


def test_a_listener_says_how_many_wait_and_how_many_may(witness: Witness) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=7) as listener:
        asked = pair(listener.getsockname(), ("127.0.0.1", 1))
        assert witness.socket(asked) == Socket("LISTEN", receive_queue=0, send_queue=7, drops=0)
        with socket.create_connection(listener.getsockname()):
            assert witness.socket(asked) == Socket("LISTEN", receive_queue=1, send_queue=7, drops=0)


def test_a_listener_for_both_families_is_found_by_ipv4_and_its_connections_too(witness: Witness) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        assert witness.socket(pair(("127.0.0.1", port), ("127.0.0.1", 1))).state == "LISTEN"
        assert witness.socket(pair(("::1", port), ("::1", 1))).state == "LISTEN"
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, _ = listener.accept()
            with server:
                assert witness.socket(of(server)).state == "ESTABLISHED"
                own, peer = (f"::ffff:{each.getsockname()[0].removeprefix('::ffff:')}" for each in (server, client))
                mapped = pair((own, port), (peer, client.getsockname()[1]))
                assert witness.socket(mapped).state == "ESTABLISHED"


def test_a_listener_for_ipv6_alone_is_none_for_ipv4(witness: Witness) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        assert witness.socket(pair(("::1", port), ("::1", 1))).state == "LISTEN"
        assert witness.socket(pair(("127.0.0.1", port), ("127.0.0.1", 1))) == Socket("CLOSED")


# What belongs to a socket


@IP
def test_a_request_has_a_timer_and_its_listeners_drops(namespaces: None, tmp_path: Path, ipv6: bool) -> None:
    """Nothing more: the kernel keeps little of who has not answered yet."""

    def script(stage: Stage) -> None:
        forger = Forger(stage)
        stage.server.listen(PORT)
        forger.send("client", "R", ports=(50_000, PORT))  # the listener throws it away
        stage.client.connect(stage.server.address, PORT)

    _, packets = played(script, tmp_path / "run.pcapng", "hold client ACK #1", ipv6=ipv6)
    requests = [each.server for each in instants(packets) if each.server.state == "SYN-RECEIVED"]
    assert requests
    for request in requests:
        assert known(request) == {"timer", "expires", "retransmits", "drops"}
        assert (request.timer, request.retransmits, request.drops) == ("retransmission", 0, 1)
        assert request.expires is not None
        assert 0 < request.expires <= 1000


@IP
def test_time_wait_has_a_timer_of_a_minute_and_nothing_more(namespaces: None, tmp_path: Path, ipv6: bool) -> None:
    _, packets = played(connection, tmp_path / "run.pcapng", ipv6=ipv6)
    end = instants(packets)[-1].client
    assert end.state == "TIME-WAIT"
    assert known(end) == {"timer", "expires", "retransmits"}
    assert end.timer == "time-wait"
    assert end.expires is not None
    assert 50_000 < end.expires <= 60_000


@IP
def test_a_connection_says_what_it_has_sent_and_what_waits_to_be_read(
    namespaces: None, tmp_path: Path, ipv6: bool
) -> None:
    _, packets = played(connection, tmp_path / "run.pcapng", ipv6=ipv6)
    data = next(packet for packet in packets if packet.payload)
    held, delivered = data.asked_held, data.asked_delivered
    assert held is not None
    assert delivered is not None
    assert data.kernel_held == held.states
    assert data.kernel_delivered == delivered.states
    sender = held.client
    assert known(sender) >= CONNECTION
    assert (sender.timer, sender.retransmits, sender.drops) == ("retransmission", 0, 0)
    assert sender.expires is not None
    assert sender.rto is not None
    assert sender.expires <= sender.rto / 1000 + 10
    assert sender.rto >= 1_000_000, "the hosts' smallest (RFC 6298)"
    assert sender.rtt is not None
    assert 0 < sender.rtt < 1_000_000
    assert (sender.cwnd, sender.ssthresh) == (10, None), "RFC 6928, and no loss yet"
    assert (sender.unacked, sender.send_queue, sender.receive_queue) == (1, len(HELLO), 0)
    assert sender.mss == (1428 if ipv6 else 1448), "1500 less the headers, less 12 for timestamps"
    assert held.server.receive_queue == 0
    assert delivered.server.receive_queue == len(HELLO)
    assert delivered.server.bytes_received == len(HELLO)
    last = next(each for each in reversed(instants(packets)) if known(each.client) >= CONNECTION).client
    assert last.bytes_acked is not None
    assert last.bytes_acked >= len(HELLO)
    assert last.bytes_received in (len(ANSWER), len(ANSWER) + 1), "the FIN is one"


def test_a_window_that_closes_is_told_by_both_ends_and_by_its_timer(namespaces: None, tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        stage.client.send("x" * 60_000)
        stage.client.send("x" * 60_000)
        stage.acknowledged(stage.client)

    _, packets = played(script, tmp_path / "run.pcapng")
    last = instants(packets)[-1]
    assert last.client.mss is not None
    assert last.client.send_window is not None
    assert last.client.send_queue is not None
    assert last.client.send_window < last.client.mss < last.client.send_queue, "too small to go on"
    assert last.client.timer == "persist"
    assert last.server.receive_window == last.client.send_window
    assert last.server.receive_queue == last.server.bytes_received


def test_a_segment_that_is_lost_is_sent_again_by_a_timer_that_is_told(namespaces: None, tmp_path: Path) -> None:
    _, packets = played(connection, tmp_path / "run.pcapng", "drop client SYN #1")
    again = packets[1].asked_held
    assert again is not None
    assert (again.client.state, again.client.timer, again.client.retransmits) == ("SYN-SENT", "retransmission", 1)
    assert again.client.expires is not None
    assert 1000 < again.client.expires <= 2000, "twice the first second (RFC 6298)"


# The counters


def test_each_counter_is_told_once_and_at_its_segment(namespaces: None, tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        forger = Forger(stage)
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        forger.send("client", "PA", 1 << 20, payload=b"far beyond")
        forger.send("client", "PA", 10, payload=b"in the window")

    _, packets = played(script, tmp_path / "run.pcapng")
    beyond, kept = fates(packets)
    moved = [each for kernels in instants(packets) for each in kernels.moved]
    assert moved == [("server", "TcpExt BeyondWindow", 1), ("server", "TcpExt TCPOFOQueue", 1)]
    for fate, one in zip((beyond, kept), moved, strict=True):
        assert fate.packet.asked_delivered is not None
        assert fate.packet.asked_delivered.moved == (one,)
    assert beyond.packet.asked_delivered is not None
    assert kept.packet.asked_delivered is not None
    assert beyond.packet.asked_delivered.server.drops == 1
    assert kept.packet.asked_delivered.server.drops == 1


def test_counters_begin_at_zero_and_are_told_once() -> None:
    counters = Counters()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(gone)
    first = dict(counters.moved())
    assert first["Tcp OutRsts"] >= 1, "nobody listens there any more"
    assert first["Tcp AttemptFails"] >= 1
    counters.close()
    assert counters.moved() == []


# The hosts


def test_refused_segments_are_answered_each_and_the_table_of_sockets_is_the_hosts_own(namespaces: None) -> None:
    class Endpoint(endpoints.Endpoint):
        def parameter(self, name: str) -> str:
            return Path("/proc/sys/net/ipv4", name).read_text().strip()

    def script(stage: Stage) -> None:
        names = ("tcp_ehash_entries", "tcp_invalid_ratelimit", "tcp_ecn")
        stage.server.listen(PORT)
        for host in (stage.client, stage.server):
            if (found := [host.parameter(name) for name in names]) != ["256", "0", "0"]:
                raise OSError(f"{host.role} has {found}")

    with netns.play(Scenario("test", script, lambda: Endpoint), (), False) as events:
        *_, ended = events
    assert isinstance(ended, messages.Ended)
    assert ended.early is None


# Elsewhere


def test_what_a_testbed_tells_is_read_back_as_it_was(namespaces: None) -> None:
    with netns.play(Scenario("test", connection, endpoint), parse(["drop client data #1"]), False) as events:
        all_of_it = list(events)
    assert [messages.read(messages.write(event)) for event in all_of_it] == all_of_it
    asked = [event.kernel for event in all_of_it if isinstance(event, (Captured, Settled, Final))]
    assert any(each and each.client.rto for each in asked)


SCRIPT = """
import json, sys
import lab
run = lab.run("tcp/connection", testbed="netns", ipv6=sys.argv[1] == "ipv6")
packets = list(run)
print(json.dumps([run.agreement.compared, len(run.agreement.disagreements),
                  [[packet.asked_held, packet.asked_delivered] for packet in packets]]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user, which only root can")
@IP
def test_an_ordinary_user_is_told_the_same(
    namespaces: None, user_namespaces: None, nobodys_python: str, ipv6: bool
) -> None:
    paths = os.pathsep.join((str(ROOT), *(each for each in sys.path if each.endswith("site-packages"))))
    command = [*AS_NOBODY, "sh", "-c", 'exec "$@"', "sh", nobodys_python, "-c", SCRIPT, "ipv6" if ipv6 else "ipv4"]
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    compared, disagreements, asked = json.loads(done.stdout)
    assert (compared, disagreements) == (46, 0)
    ends = [Socket(*end) for instant in asked for kernels in instant for end in kernels[:2]]
    assert {"LISTEN", "SYN-RECEIVED", "ESTABLISHED", "TIME-WAIT"} <= {end.state for end in ends}
    assert all(known(end) >= CONNECTION for end in ends if end.state == "ESTABLISHED")


def test_a_kernel_that_can_not_be_asked_is_named_in_two_lines() -> None:
    script = """
import resource, sys
from lab.errors import MachineError
from lab.testbed.kernel import Witness
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    Witness()
except MachineError as error:
    sys.stdout.write(f"{error.message.en}\\n{error.hint.en}\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    message, hint = done.stdout.splitlines()
    assert message == "the kernel does not tell its sockets' states: Too many open files"
    assert hint.startswith("lab doctor")
