"""0-RTT: data before the server has answered, taken, refused in each of the ways there are, and never answered."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.capture.pcapng import Writer
from lab.model import Frame, Role
from lab.protocols.tls.early import END, Early
from lab.protocols.tls.handshake import Handshake
from lab.protocols.tls.opening import Opening, Secrets
from lab.protocols.tls.records import Record
from tests.packets import path
from tests.protocols.tls.captures import Flights, Walked, frames, shown, walk
from tests.protocols.tls.forged import seal
from tests.protocols.tls.openssl import EARLY, recorded

REJECTED = ("0-RTT rejected, ticket unknown", "0-RTT rejected, other ALPN", "0-RTT rejected, hello retry")
ALL = ("0-RTT accepted", *REJECTED)
ON = [
    "CONNECTED < CONNECTED: NewSessionTicket",
    "CONNECTED > CONNECTED: application-data",
    "CLOSE_SENT > CLOSE_GOT: close_notify",
    "CLOSED < CLOSED: close_notify",
]
FIRST = "WAIT_SH > RECVD_CH: ClientHello ChangeCipherSpec"
FULL = "EncryptedExtensions Certificate CertificateVerify Finished"
LADDERS = {
    "0-RTT accepted": [
        f"{FIRST} application-data",
        "SEND_FINISHED < WAIT_EOED: ServerHello ChangeCipherSpec EncryptedExtensions Finished",
        "CONNECTED > CONNECTED: EndOfEarlyData Finished",
        *ON,
    ],
    "0-RTT rejected, ticket unknown": [
        f"{FIRST} encrypted",
        f"SEND_FINISHED < WAIT_FLIGHT2: ServerHello ChangeCipherSpec {FULL}",
        "CONNECTED > CONNECTED: Finished",
        ON[0],
        *ON,
    ],
    "0-RTT rejected, other ALPN": [
        f"{FIRST} encrypted",
        "SEND_FINISHED < WAIT_FLIGHT2: ServerHello ChangeCipherSpec EncryptedExtensions Finished",
        "CONNECTED > CONNECTED: Finished",
        *ON,
    ],
    "0-RTT rejected, hello retry": [
        f"{FIRST} encrypted",
        "START < START: HelloRetryRequest ChangeCipherSpec",
        "WAIT_SH > RECVD_CH: ClientHello",
        f"SEND_FINISHED < WAIT_FLIGHT2: ServerHello {FULL}",
        "CONNECTED > CONNECTED: Finished",
        ON[0],
        *ON,
    ],
}


def words(walked: Walked, name: str) -> list[str]:
    return [each.words.en for packet in walked.packets for each in packet.messages if each.name == name]


@pytest.mark.parametrize("name", ALL)
def test_every_message_is_read_with_the_states_it_leads_to(name: str) -> None:
    capture = recorded(name)
    for size in (9000, 1460, 7):
        walked = walk(frames(capture.flights, size), capture.keylog)
        if size == 9000:
            assert walked.ladder == LADDERS[name]
        assert walked.above.states == ("CLOSED", "CLOSED")
        assert walked.surprises == []
        assert walked.session.finished_verified is True
        assert walked.session.locked is None
        assert walked.tls["early_data"] == name.split(",")[0].split()[1]
        assert {number: bool(packets) for number, (packets, _) in walked.steps.items()} == {
            1: True, 2: True, 3: False, 4: False, 5: True, 6: True
        }  # fmt: skip


def test_what_the_server_takes_is_told_in_its_own_packet() -> None:
    walked = walk(frames(recorded("0-RTT accepted").flights, 9000), recorded("0-RTT accepted").keylog)
    first = walked.packets[3]
    assert first.number == 4
    assert first.labels[-1] == "application-data"
    assert "encrypted" not in first.labels
    assert first.messages[-1].event == "early data"
    assert words(walked, "application-data")[0] == f'early data, decrypted: "{EARLY.decode()}"'
    assert words(walked, "EncryptedExtensions") == ["takes the early data"]
    assert words(walked, "ClientHello")[0].endswith("announces early data (0-RTT)")
    assert 4 not in walked.steps[6][0], "the handshake is not complete"


@pytest.mark.parametrize("name", REJECTED)
def test_what_the_server_rejects_stays_closed_as_it_does_for_the_server(name: str) -> None:
    capture = recorded(name)
    assert b"CLIENT_EARLY_TRAFFIC_SECRET" in capture.keylog, "it could be opened"
    walked = walk(capture.frames, capture.keylog)
    assert words(walked, "encrypted") == ["early data; the server has rejected it, and skips it unread"]
    assert EARLY.decode() not in shown(capture.frames, capture.keylog)
    assert words(walked, "EncryptedExtensions")[0].endswith("rejects the early data")


@pytest.mark.parametrize("name", ALL)
def test_without_secrets_the_states_go_on_at_the_server_hello_all_the_same(name: str) -> None:
    walked = walk(frames(recorded(name).flights, 9000))
    assert walked.steps[2][0], "the ServerHello is in the clear"
    assert not [line for line in walked.ladder if line.startswith("WAIT_SH") and "ClientHello" not in line]
    assert walked.surprises == []
    assert walked.session.finished_verified is None
    told = any(line.startswith("CONNECTED > CONNECTED: encrypted") for line in walked.ladder)
    assert told or name == REJECTED[1], "the client's Finished is as long as one, and EndOfEarlyData may come before"
    known = {"0-RTT accepted": "unknown", "0-RTT rejected, other ALPN": "unknown"}  # only EncryptedExtensions say it
    assert walked.tls["early_data"] == known.get(name, "rejected")


def test_a_key_log_without_the_early_secret_opens_all_but_the_early_data() -> None:
    capture = recorded("0-RTT accepted")
    log = b"\n".join(line for line in capture.keylog.splitlines() if b"EARLY" not in line)
    walked = walk(frames(capture.flights, 9000), log)
    assert walked.ladder == [
        f"{FIRST} encrypted",
        "SEND_FINISHED < WAIT_FLIGHT2: ServerHello ChangeCipherSpec EncryptedExtensions Finished",
        "CONNECTED > CONNECTED: encrypted Finished",
        *ON,
    ]
    assert walked.session.finished_verified is True, "EndOfEarlyData is known without being read"
    assert words(walked, "encrypted")[0].endswith("lacks CLIENT_EARLY_TRAFFIC_SECRET")
    assert walked.surprises == []


def test_with_the_servers_flight_cut_off_the_early_data_stays_undecided_and_is_shown() -> None:
    capture = recorded("0-RTT accepted")
    walked = walk(frames(capture.flights[:1], close=False), capture.keylog)
    assert [record.number for record in walked.records] == [1, 2, 3, 4, 5]
    assert words(walked, "encrypted") == ["early data; the capture does not show whether the server takes it"]
    assert walked.tls["early_data"] == "unknown"


def test_a_packet_whose_message_is_never_told_is_not_held_back_for_ever() -> None:
    """The server never answers, while others talk on."""
    capture = recorded("0-RTT accepted")
    begun = frames(capture.flights[:1], close=False)
    others = [frame._replace(number=6 + at, data=b"") for at, frame in enumerate(begun * 80)]
    way, seen = path(capture.keylog), 0

    def passing() -> list[Frame]:
        return [*begun, *others]

    for record in way.settled(passing()):
        seen = record.number
        if seen == 4:
            assert not record.messages[-1].said.raw
            break
    assert seen == 4


def test_early_data_that_waits_takes_only_so_much_memory() -> None:
    early, opening = Early(), Opening(Known())
    way, shake = walk(recorded("0-RTT accepted").frames).session.directions["client"], Handshake()
    for size in (10, 16_384):
        for _ in range(2000):
            early.open(way, Record(23, 0x0303, 0, size + 5, bytes(size)), shake, opening)
            assert early.held <= 1 << 20
    early.decide(True, shake, opening)
    assert early.held == 0


class Known:
    known = Secrets()


@pytest.mark.parametrize("name", ALL)
def test_damage_anywhere_is_no_exception(name: str) -> None:
    capture = recorded(name)
    whole = [(role, bytearray(data)) for role, data in capture.flights]
    for which, (_, data) in enumerate(whole[:3]):
        for at in range(0, len(data), 37):
            flights: list[tuple[Role, bytes]] = [(role, bytes(said)) for role, said in whole]
            flights[which] = flights[which][0], bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
            walked = walk(frames(flights, 9000), capture.keylog)
            assert walked.session.finished_verified is not True or name in REJECTED, (which, at)


def test_the_end_of_early_data_is_the_message_that_openssl_sent() -> None:
    walked = walk(recorded("0-RTT accepted").frames, recorded("0-RTT accepted").keylog)
    (end,) = [each.said for record in walked.records for each in record.messages if each.said.name == "EndOfEarlyData"]
    assert end.raw == END


@pytest.mark.parametrize("name", ALL)
def test_tshark_reads_the_same_handshake(name: str, tshark: str, tmp_path: Path) -> None:
    capture = recorded(name)
    made = frames(capture.flights, 9000)
    with (tmp_path / "capture.pcapng").open("wb") as file:
        writer = Writer(file)
        for frame in made:
            writer.packet(frame, ())
    (tmp_path / "keys").write_bytes(capture.keylog)
    done = subprocess.run(
        [
            tshark, "-2", "-r", "capture.pcapng", "-o", "tls.keylog_file:keys", "-d", "tcp.port==0-65535,tls",
            "-T", "fields", "-e", "frame.number", "-e", "tls.handshake.type",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    theirs = dict(line.split("\t") for line in done.stdout.splitlines())
    walked = walk(made, capture.keylog)
    for record in walked.records:
        messages = [each.said for each in record.messages if each.said.name != "ChangeCipherSpec"]
        kinds = [str(said.raw[0]) for said in messages if said.name[0].isupper()]
        assert theirs[str(record.number)] == ",".join(kinds), record.number


def early_records(count: int, size: int) -> tuple[list[bytes], bytes]:
    """Returns early data as a client would have sent it, with the secret of a real connection, and its end."""
    capture = recorded("0-RTT accepted")
    session = walk(capture.frames, capture.keylog).session
    assert session.opening.epochs
    keys = session.opening.epochs.client_early
    assert keys
    return [seal(keys, number, bytes(size), kind=23) for number in range(count)], seal(keys, count, END)


@pytest.mark.parametrize(("count", "size", "closed"), [(3, 100, 0), (40, 16_000, 0), (300, 10, 44), (100, 16_000, 35)])
def test_however_much_comes_early_its_end_is_read(count: int, size: int, closed: int) -> None:
    """What there is no room for until the server has spoken stays closed; what comes behind it does not."""
    capture = recorded("0-RTT accepted")
    hello, flight, last = (data for _, data in capture.flights[:3])
    before = hello[: 5 + int.from_bytes(hello[3:5], "big")]
    early, end = early_records(count, size)
    assert last.startswith(b"\x17\x03\x03\x00\x15"), "EndOfEarlyData"
    flights: Flights = [
        ("client", before + b"".join(early)), ("server", flight), ("client", end + last[26:]), *capture.flights[3:]
    ]  # fmt: skip
    walked = walk(frames(flights, 65_000), capture.keylog)
    told = [each.said for record in walked.records for each in record.messages if each.said.event == "early data"]
    assert len(told) == count
    assert sum(each.closed for each in told) == closed
    assert {each.raw for each in told if not each.closed} == {bytes(size)}
    assert walked.session.finished_verified is True
    assert walked.surprises == []


def test_a_decision_that_comes_after_long_changes_nothing_that_may_have_been_shown() -> None:
    """Whoever reads only some of the packets decides by their numbers, as whoever reads them all."""
    capture = recorded("0-RTT accepted")
    made = frames(capture.flights, 9000)
    for apart, name in ((200, "application-data"), (300, "encrypted")):
        late = [*made[:5], *(frame._replace(number=frame.number + apart) for frame in made[5:])]
        (early,) = [record for record in path(capture.keylog).settled(late) if record.number == 4]
        assert early.messages[-1].said.name == early.labels[-1] == name


@pytest.mark.parametrize("name", ALL)
def test_with_a_flight_missing_nothing_is_taken_for_early_data_that_is_not_and_nothing_surprises(name: str) -> None:
    capture = recorded(name)
    for keylog in (capture.keylog, b""):
        for missing in range(len(capture.flights)):
            whole = frames(capture.flights, 9000)
            carrying = [frame.number for frame in whole if frame.number > 3 and len(frame.data) > 54]
            walked = walk([frame for frame in whole if frame.number != carrying[missing]], keylog)
            assert walked.surprises == [], missing
            assert walked.session.finished_verified is not False, missing
            late = [
                record.number
                for record in walked.records
                for each in record.messages
                if each.said.event == "early data"
            ]
            assert set(late) <= {4}, missing


def test_that_no_key_log_was_given_is_told_once_of_early_data_and_all_else() -> None:
    walked = walk(frames(recorded("0-RTT accepted").flights, 9000))
    said = [message.words.en for packet in walked.packets for message in packet.messages]
    assert len([words for words in said if "no key log was given" in words]) == 1
