"""The trace for other programs: what every format says is the same, and JSON is what its schema promises."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lab.app.formats import Format, write_rows
from lab.bulk.rows import Gone, RowFormat, RowsOfRun
from lab.engine import journal
from lab.engine.record import Record
from lab.model import Captured, Frame, Settled
from lab.protocols.registry import TRANSPORT
from lab.render import trace
from lab.render.words import LABELS
from lab.report import schema
from tests.packets import (
    BEGAN,
    CAPTURES,
    CLOSE,
    IPV4,
    IPV6,
    OPEN,
    TALK,
    Walked,
    kernels,
    ladder,
    prompt,
    renumbered,
    replay,
    walk,
)

SCHEMA = schema.trace()
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
FILE = {"name": "x.pcapng", "sha256": "0" * 64, "format": "pcapng", "packets": 1, "problems": []}
ARP = Frame(1, None, bytes(12) + b"\x08\x06" + bytes(28), 42)
HEADER = (
    "number,time,conversation,from,flags,seq,ack,payload,client_state,server_state,labels,steps,"  # as it was at first
    "client_delivered,server_delivered"
)


class Given:
    """As much of a run as its rows ask for."""

    def __init__(self, walked: Walked) -> None:
        self.reports = lambda: walked.reports
        self._records = walked.records

    def records(self) -> Iterator[Record]:
        return iter(self._records)

    def about(self, _lang: str) -> dict[str, Any]:
        return FILE


def written(walked: Walked, form: str) -> str:
    """Returns the trace in this format."""
    run: Any = Given(walked)
    out = io.StringIO()
    write_rows(RowsOfRun(run, RowFormat(form), Gone(lines=False)), Format(form), out, "en", live=False)
    return out.getvalue()


def document(walked: Walked) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(walked, "json"))
    return found


def mixed(name: str) -> Walked:
    """Returns a capture with another conversation in it, packets that are no TCP, and damaged ones."""
    frames = renumbered(ARP, *ladder(*CAPTURES[name]), ARP._replace(data=b"short"), *ladder(*OPEN, pair=IPV6))
    spoilt = frames[-1]._replace(data=frames[-1].data[:-1] + b"\xee")
    cut = [
        frames[-2]._replace(data=frames[-2].data[:size], number=len(frames) + at) for at, size in enumerate((60, 74), 1)
    ]
    return walk([*frames[:-1], spoilt, *cut])


every_capture = pytest.mark.parametrize("name", CAPTURES)


# JSON.


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@every_capture
def test_the_document_is_what_the_schema_promises(name: str) -> None:
    VALIDATOR.validate(document(mixed(name)))


def test_an_empty_capture_is_a_document_too() -> None:
    VALIDATOR.validate(document(walk([])))


def test_with_the_kernels_states_in_it_the_document_is_what_the_schema_promises() -> None:
    told = [
        event._replace(kernel=kernels("SYN-SENT", "LISTEN")) if isinstance(event, (Captured, Settled)) else event
        for event in prompt(ladder(*OPEN), dropped=(3,))
    ]
    found = document(replay(told))
    VALIDATOR.validate(found)
    assert any(packet["kernel"] for packet in found["packets"])


def test_whatever_a_journal_claims_the_document_is_what_the_schema_promises() -> None:
    kernel = {"held": {"client": "[31mhacked", "server": None}, "delivered": {"client": "", "server": "open"}}
    told = {"arrived": 0, "settled": 2, "delivered": [1], "kernel": kernel}
    frames = [frame._replace(comments=("lab1 " + json.dumps(told),)) for frame in ladder("c> SYN 0")]
    VALIDATOR.validate(document(replay(journal.events(frames, ["lab1 " + json.dumps({"final": kernel["held"]})]))))


@pytest.mark.parametrize("time", [0, BEGAN, (1 << 64) - 1])  # the reader lets no later one in
def test_any_time_is_written_as_the_schema_promises(time: int) -> None:
    (frame,) = ladder("c> SYN 0")
    VALIDATOR.validate(document(walk([frame._replace(time=time)])))


def test_a_time_is_utc_to_the_nanosecond_and_null_where_the_file_has_none() -> None:
    assert trace.time(BEGAN + 1) == "2026-01-01T00:00:00.000000001Z"
    assert trace.time(None) is None


@pytest.mark.parametrize(
    "spoil",
    [
        {"seq": None}, {"states": None}, {"labels": ["SYN", "hello"]}, {"labels": []}, {"flags": ["syn"]},
        {"number": 0}, {"time": "yesterday"}, {"steps": ["tcp.open.5"]}, {"from": None}, {"ack_raw": -1},
        {"window": 65536},
        {"states": {"held": {"client": "SYN_SEND", "server": None}, "delivered": None}},
    ],
    ids=str,
)  # fmt: skip
def test_the_schema_refuses_what_was_not_promised(spoil: dict[str, Any]) -> None:
    found = document(walk(ladder("c> SYN 0")))
    found["packets"][0].update(spoil)
    assert list(VALIDATOR.iter_errors(found))


@pytest.mark.parametrize("where", ["packets", "conversations", "file", None])
def test_the_schema_wants_every_field_and_allows_new_ones(where: str | None) -> None:
    found = document(walk(ladder("c> SYN 0")))
    entry = found if where is None else found[where] if where == "file" else found[where][0]
    for field in list(entry):
        value = entry.pop(field)
        assert list(VALIDATOR.iter_errors(found)), field
        entry[field] = value
    entry["added"] = {"some": "day"}
    VALIDATOR.validate(found)


def test_the_schema_knows_the_states_of_the_table_and_every_label_that_has_words() -> None:
    assert {*TRANSPORT.tables["client"].states, None} == set(SCHEMA["$defs"]["state"]["enum"])
    assert set(LABELS) < set(SCHEMA["$defs"]["label"]["enum"])


def test_the_packets_are_written_before_what_is_known_only_at_the_end() -> None:
    asked: list[str] = []

    def records() -> Any:
        asked.append("packets")
        yield from walk(ladder("c> SYN 0")).records
        asked.append("end")

    def about() -> dict[str, Any]:
        asked.append("file")
        return FILE

    parts: list[str] = []
    trace.as_json(trace.packet_lines(records()), [], about, parts.append)
    assert asked == ["packets", "end", "file"]
    assert list(json.loads("".join(parts))) == ["schema", "packets", "conversations", "file"]


def test_what_json_says_of_a_packet_is_what_the_packet_is() -> None:
    _, second, third = document(walk(ladder(*OPEN)))["packets"]
    assert second == {
        "number": 2, "time": "2026-01-01T00:00:00.001000000Z", "conversation": 0, "from": "server",
        "flags": ["SYN", "ACK"], "seq": 0, "ack": 1, "seq_raw": IPV4.server_isn, "ack_raw": IPV4.client_isn + 1,
        "window": IPV4.window, "payload": 0, "labels": ["SYN-ACK"], "messages": [],
        "states": {
            "held": {"client": "SYN-SENT", "server": "SYN-RECEIVED"},
            "delivered": {"client": "ESTABLISHED", "server": "SYN-RECEIVED"},
        },
        "kernel": None, "fate": "arrived", "by": "acknowledged", "steps": ["tcp.open.2"],
    }  # fmt: skip
    assert third["steps"] == ["tcp.open.3", "tcp.open.4"]


@pytest.mark.parametrize(
    ("lines", "assumed"),
    [
        (("c> SYN 0",), ["server"]),
        (OPEN, []),
        (CLOSE, ["client", "server"]),
        (CLOSE[:1], []),  # who closes first nobody knows, so nothing is assumed
        (TALK, []),
    ],
)
def test_json_names_the_ends_whose_state_rests_on_an_assumption(lines: tuple[str, ...], assumed: list[str]) -> None:
    assert document(walk(ladder(*lines)))["conversations"][0]["assumed"] == assumed


def test_flags_stand_in_the_order_of_the_header_from_the_right() -> None:
    (packet,) = document(walk(ladder("c> [NCEUAPRSF] 1 1")))["packets"]
    assert packet["flags"] == ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"]


# The other formats.


@every_capture
def test_ndjson_has_the_same_entries_a_line_each(name: str) -> None:
    walked = mixed(name)
    lines = written(walked, "ndjson").splitlines()
    assert [json.loads(line) for line in lines] == document(walked)["packets"]


@every_capture
def test_conversations_has_the_same_entries_a_line_each(name: str) -> None:
    walked = mixed(name)
    lines = written(walked, "conversations").splitlines()
    assert [json.loads(line) for line in lines] == document(walked)["conversations"]


def test_conversations_takes_all_packets_first() -> None:
    assert json.loads(written(walk(ladder(*OPEN)), "conversations"))["packets"] == 3


@every_capture
def test_csv_says_the_same_in_the_columns_that_were_promised(name: str) -> None:
    walked = mixed(name)
    head, *lines = written(walked, "csv").splitlines()
    assert head == HEADER
    packets = document(walked)["packets"]
    for line, packet in zip(lines, packets, strict=True):
        assert '"' not in line
        row = dict(zip(head.split(","), line.split(","), strict=True))
        nobody = {"client": None, "server": None}
        held, delivered = ((packet["states"] and packet["states"][at]) or nobody for at in ("held", "delivered"))
        expected = {
            **{field: packet[field] for field in ("number", "time", "conversation", "from", "seq", "ack", "payload")},
            **{field: " ".join(packet[field]) for field in ("flags", "labels", "steps")},
            "client_state": held["client"], "server_state": held["server"],
            "client_delivered": delivered["client"], "server_delivered": delivered["server"],
        }  # fmt: skip
        assert row == {field: "" if value is None else str(value) for field, value in expected.items()}


def test_csv_tells_the_same_times_as_json_however_they_come() -> None:
    times = [5, 0, None, 999_999_999, 1_000_000_000, BEGAN, BEGAN + 1, 1_000_000_001, 5, (1 << 64) - 1]
    frames = ladder(*["c> ACK 1 1"] * len(times))
    walked = walk([frame._replace(time=time) for frame, time in zip(frames, times, strict=True)])
    rows = csv.DictReader(io.StringIO(written(walked, "csv")))
    assert [row["time"] for row in rows] == [packet["time"] or "" for packet in document(walked)["packets"]]


def test_csv_is_read_by_any_reader_of_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(written(mixed("connection"), "csv"))))
    assert rows[1]["labels"] == "SYN"
    assert rows[0]["client_state"] == ""


def test_packets_without_their_frames_are_written_too() -> None:
    def without(walked: Walked) -> Walked:
        for record in walked.records:
            record.frame = None
        return walked

    for form in ("json", "ndjson", "csv", "conversations"):
        assert written(without(walk(ladder(*OPEN))), form) == written(walk(ladder(*OPEN)), form)
