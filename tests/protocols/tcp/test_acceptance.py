"""What a receiver's kernel says of a segment decides: what it refuses moves nobody, whatever the numbers say."""

from __future__ import annotations

from lab.model import Captured, Delivered, Frame, Kernels, Moved, Role, Settled, Socket, WireEvent
from lab.protocols.tcp import refusals
from lab.report.agreement import agreement
from lab.report.conversations import entry
from tests.packets import OPEN, TALK, Walked, ladder, prompt, replay


def kernel(role: Role = "server", *counters: str, drops: int = 0) -> Kernels:
    """What kernels say of which only these counters, each by one, and the drops of that end are of interest."""
    ends = {each: Socket("ESTABLISHED", drops=drops if each == role else 0) for each in ("client", "server")}
    return Kernels(ends["client"], ends["server"], tuple(Moved(role, each, 1) for each in counters))


def told(frames: list[Frame], said: dict[int, Kernels]) -> Walked:
    """Returns what becomes of packets that are all delivered, and of which the kernels say this."""
    return replay([_with(event, said) for event in prompt(frames)])


def _with(event: WireEvent, said: dict[int, Kernels]) -> WireEvent:
    if isinstance(event, Captured):
        return event._replace(kernel=kernel())
    if isinstance(event, Delivered | Settled):
        return event._replace(kernel=said.get(event.number))
    return event


def states(walked: Walked, number: int) -> str:
    packet = walked.packets[number - 1]
    assert packet.delivered is not None
    return f"{packet.delivered.client} {packet.delivered.server}"


def refused(walked: Walked) -> dict[int, str]:
    return {packet.number: packet.refused.code for packet in walked.packets if packet.refused}


def test_a_syn_that_finds_the_queue_full_leaves_the_listener_where_it_is() -> None:
    walked = told(ladder("c> SYN 0", *OPEN), {1: kernel("server", "TcpExt ListenOverflows", "TcpExt ListenDrops")})
    assert refused(walked) == {1: "accept-queue-full"}
    assert [states(walked, number) for number in (1, 2)] == ["SYN-SENT LISTEN", "SYN-SENT SYN-RECEIVED"]


def test_an_ack_that_finds_the_queue_full_completes_no_handshake() -> None:
    frames = ladder(*OPEN, "s> SYN-ACK 0 1", "c> ACK 1 1")
    walked = told(frames, {3: kernel("server", "TcpExt ListenOverflows", "TcpExt ListenDrops")})
    assert [states(walked, number) for number in (3, 5)] == ["ESTABLISHED SYN-RECEIVED", "ESTABLISHED ESTABLISHED"]


def test_a_syn_cookie_is_answered_from_listen_and_comes_back_as_established() -> None:
    walked = told(ladder(*OPEN, *TALK), {1: kernel("server", "TcpExt TCPReqQFullDoCookies", "TcpExt SyncookiesSent")})
    assert refused(walked) == {}
    assert [states(walked, number) for number in (1, 2, 3)] == [
        "SYN-SENT LISTEN", "ESTABLISHED LISTEN", "ESTABLISHED ESTABLISHED",
    ]  # fmt: skip
    assert not any(packet.surprises for packet in walked.packets)
    steps = {step["id"]: step for step in entry(walked.only)["steps"]}
    assert steps["tcp.open.2"]["differs"]["code"] == "syn-cookie"
    assert steps["tcp.open.4"]["packets"] == [3]


def test_an_ack_that_brings_back_another_number_is_no_cookie() -> None:
    frames = ladder(*OPEN[:2], "c> ACK 1 2")
    walked = told(frames, {1: kernel("server", "TcpExt TCPReqQFullDoCookies")})
    assert states(walked, 3) == "ESTABLISHED LISTEN"


def test_data_with_an_old_timestamp_is_not_got_and_comes_again() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "c> FIN 6 1")
    refusing = told(frames, {4: kernel("server", "TcpExt PAWSEstab", drops=1)})
    taking = told(frames, {})
    assert refused(refusing) == {4: "old-timestamp"}
    assert (states(refusing, 5), states(taking, 5)) == ("FIN-WAIT-1 ESTABLISHED", "FIN-WAIT-1 CLOSE-WAIT")


def test_of_data_for_a_closed_window_the_acknowledgement_still_counts() -> None:
    frames = ladder(*OPEN, "s> FIN 1 1", "c> data 1 2 5", "c> FIN 6 2")
    walked = told(frames, {5: kernel("server", "TcpExt TCPZeroWindowDrop", drops=1)})
    assert refused(walked) == {5: "window-closed"}
    assert states(walked, 5) == "CLOSE-WAIT FIN-WAIT-2"
    assert states(walked, 6) == "LAST-ACK FIN-WAIT-2", "the FIN stands behind data that was not taken"


def test_data_for_a_program_that_is_gone_is_read_by_nobody() -> None:
    frames = ladder(*OPEN, "c> FIN 1 1", "s> data 1 2 5", "c> RST 2")
    walked = told(frames, {5: kernel("client", "TcpExt TCPAbortOnData", "Tcp OutRsts")})
    assert refused(walked) == {5: "data-after-close"}
    assert walked.only.client.got_next == 1
    assert states(walked, 5) == "FIN-WAIT-2 CLOSE-WAIT", "what it acknowledges counts"
    assert states(walked, 6) == "CLOSED CLOSED"


def test_where_a_rule_would_have_taken_what_the_kernel_refuses_that_is_told() -> None:
    frames = ladder(*OPEN, "c> RST 1")
    walked = told(frames, {4: kernel("server", "TcpExt TCPChallengeACK", drops=1)})
    (_, _, _, reset) = walked.packets
    assert reset.refused is not None
    assert (reset.refused.code, reset.refused.agrees) == ("reset-not-exact", False)
    assert states(walked, 4) == "CLOSED ESTABLISHED"
    said = [each for each in agreement([reset]).unexplained if each.role == "server"]
    assert [each[:5] for each in said] == [(4, "delivered", "server", "taken", "refused (reset-not-exact)")]


def test_the_first_that_its_receiver_sends_meanwhile_is_the_answer_and_nothing_else() -> None:
    frames = ladder(*OPEN, "c> RST 11", "s> ACK 1 1", "c> RST 100001", "c> ACK 1 1")
    events = [_with(event, {4: kernel("server", "TcpExt TCPChallengeACK", drops=1)}) for event in prompt(frames[:4])]
    *before, settled = events
    answer = Captured(frames[4], 90, kernel(), False)
    walked = replay([*before, answer, settled, Delivered(5, 91), Settled(5, 92, None)])
    assert walked.packets[3].refused is not None
    assert walked.packets[3].refused.answer == "ACK"


def test_of_what_is_delivered_twice_nothing_is_said() -> None:
    """The counters tell of both copies."""
    frames = ladder(*OPEN, "c> data 1 1 5")
    events = [_with(event, {}) for event in prompt(frames)]
    twice = [*events[:-1], Delivered(4, 90), events[-1]._replace(kernel=kernel("server", "TcpExt TCPDSACKOldSent"))]
    assert replay(twice).packets[3].verdict is None


def test_each_code_that_is_named_elsewhere_is_one_of_the_table() -> None:
    known = {refusals.UNSENT.code, *(row.reason.code for row in refusals.TABLE)}
    assert known >= refusals.WHOLLY | refusals.ITS_DATA | {refusals.COOKIE, refusals.NOBODY, refusals.OPEN}
