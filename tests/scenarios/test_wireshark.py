"""Self-proof, third witness: Wireshark reads the saved captures as we do, with the notes and the names in them."""

from __future__ import annotations

from lab.render.comments import comments
from lab.witnesses import question, wireshark
from tests.runs import Run
from tests.scenarios.expected import expected
from tests.scenarios.plays import Witness, dissect, every, only

SEEN = ("tls.handshake.type", "tls.record.content_type", "tls.alert_message.desc", "websocket.opcode", "http.request")


@every()
def test_wireshark_sees_the_same_segments(played: Run, witness: Witness) -> None:
    opinions, wanted = witness.opinions[played.file], expected(played.scenario.name).wireshark
    assert opinions.complaints == []
    found = wireshark.compare(played.packets, opinions)
    numbers = {each.deviation for each in found}
    assert numbers == set(wanted), played.shows(wanted, "; ".join(map(str, found)))


@every()
def test_wireshark_shows_the_notes_in_both_languages(played: Run, witness: Witness) -> None:
    for packet, opinion in zip(played.packets, witness.opinions[played.file], strict=True):
        assert opinion.comments == tuple(comments(packet))
        english, chinese, journal = opinion.comments
        assert english.startswith("[lab] ")
        assert chinese.startswith("[实验] ")
        assert journal.startswith("lab1 {")


@every()
def test_wireshark_shows_the_hosts_by_name_and_the_cable(played: Run, witness: Witness) -> None:
    senders = [packet.sender for packet in played.packets if packet.sender]
    assert witness.hosts[played.file] == [[sender, "wire"] for sender in senders]


@only("tcp/simultaneous-open", "tcp/last-ack-lost", "tls/1.2-resumption", "websocket/tls")
def test_asked_of_all_runs_together_it_says_what_it_says_of_one(played: Run, witness: Witness) -> None:
    together, alone = witness.opinions[played.file], question.ask(played.file)
    first = together[0].stream or 0
    assert [each._replace(stream=None if each.stream is None else each.stream - first) for each in together] == alone
    assert [packet.all(*SEEN) for packet in witness.dissected[played.file]] == [
        packet.all(*SEEN) for packet in dissect(played.file)[0]
    ]
