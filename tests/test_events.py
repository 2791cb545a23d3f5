"""Events add up to the trace, are told while things happen, and harm nobody who hears them, or no longer does.

What is told of a capture is held against the packets that the same capture becomes; what is told of a run against the
kernels of its hosts, which know what has arrived.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import lab
from lab.app.annotate import Asked, annotate
from lab.app.formats import Format
from lab.capture.pcapng import Writer
from lab.engine import path
from lab.engine.conversation import LANES
from lab.events import NAMES, Event, PacketArrived, PacketLost, PacketSent, as_json
from lab.protocols.tcp import room
from lab.render import trace
from tests.left_behind import PATIENCE, Watched, packets, processes, until, watching
from tests.packets import OPEN, Pair, ladder, renumbered
from tests.places import CORPUS, REFERENCES

CAPTURES = [*sorted(REFERENCES.glob("*.pcapng")), *sorted(CORPUS.glob("*.pcap*"))]
SAVED = "captures/out/tcp-connection.pcapng"
CONNECTION = 11  # packets
HELD = ("run", "tcp/connection", "--format", "events", "--wire", "delay client FIN 2s")
Told = list[dict[str, Any]]

every_capture = pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and /proc exist on Linux only")


@pytest.fixture(scope="module")
def watched() -> Iterator[None]:
    with watching():
        yield


@cache
def told(capture: Path) -> Told:
    """Returns the events of a capture as a reader of the lines has them."""
    with lab.open(capture) as run:
        return in_lines(run.events())


def in_lines(events: Iterator[Event]) -> Told:
    return [json.loads(trace.dump(as_json(event))) for event in events]


@cache
def kinds() -> dict[str, Draft202012Validator]:
    """Returns a validator for each kind of event: one that may be any of them says only that it is none."""
    schema = lab.schema("events")
    return {
        each["properties"]["event"]["const"]: Draft202012Validator({**schema, "oneOf": [each]})
        for each in schema["oneOf"]
    }


def valid(events: Told) -> None:
    """Asserts that each event is as the schema has its kind, and that the first of each kind is no other as well."""
    for event in events:
        kinds()[event["event"]].validate(event)
    whole = Draft202012Validator(lab.schema("events"))
    for event in {event["event"]: event for event in reversed(events)}.values():
        whole.validate(event)


def added_up(events: Told) -> list[dict[str, Any]]:
    """Returns the packets' entries in the trace, made of nothing but events."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        name, packet = event["event"], found.get(event.get("packet") or 0, {})
        if name == "packet-sent":
            found[event["packet"]] = _sent(event)
        elif name == "packet-arrived":
            packet["states"]["delivered"] = event["states"]
            packet |= {"fate": "arrived", "by": event["by"]}
            packet["above"] = [_above(each) for each in event["above"]]
            packet["refused"] = event["refused"]
        elif name == "packet-lost":
            packet |= {"fate": "lost", "by": event["by"]}
        elif name == "step-seen":
            packet["steps"] = event["steps"]
        elif name == "message-read":
            message = {key: value for key, value in event["message"].items() if key != "words"}
            packet["messages"] = [each for each in packet["messages"] if each["spans"] != message["spans"]] + [message]
            packet["labels"] = event["labels"]
        elif name == "surprise":
            packet["surprises"].append({"role": event["end"], "state": event["state"], "on": event["on"]})
        elif name == "kernel" and event["packet"] is not None:
            packet["kernel"] = {"held": None, "delivered": None, **(packet["kernel"] or {})}
            packet["kernel"][event["instant"]] = event["states"]
        elif name == "conversation-closed":
            for number, labels in event["labels"].items():
                found[int(number)]["labels"] = labels
    for packet in found.values():
        for key in ("above", "surprises", "refused"):
            if not packet.get(key):
                packet.pop(key, None)
    return list(found.values())


def _sent(event: dict[str, Any]) -> dict[str, Any]:
    copied = ("conversation", "from", "flags", "seq", "ack", "seq_raw", "ack_raw", "window", "payload", "labels")
    return {
        "number": event["packet"],
        "time": trace.time(event["time"]),
        **{key: event[key] for key in copied},
        "messages": [],
        "states": None if event["from"] is None else {"held": event["states"], "delivered": None},
        "kernel": None,
        "fate": "unknown",
        "by": None,
        "steps": [],
        "above": [_above(each) for each in event["above"]],
        "surprises": [],
    }


def _above(event: dict[str, Any]) -> dict[str, Any]:
    return {"protocol": event["protocol"], "states": {"held": event["held"], "delivered": event["delivered"]}}


# What they add up to


def test_the_schema_is_one_and_knows_every_event() -> None:
    Draft202012Validator.check_schema(lab.schema("events"))
    assert list(kinds()) == list(NAMES.values())


def test_the_schema_refuses_what_is_no_event() -> None:
    whole = Draft202012Validator(lab.schema("events"))
    lost = {"event": "packet-lost", "packet": 1, "by": "journal", "absorbed": False}
    assert whole.is_valid(lost)
    for wrong in ({**lost, "packet": 0}, {**lost, "by": "chance"}, {**lost, "event": "packet-eaten"}, {"packet": 1}):
        assert not whole.is_valid(wrong), wrong


def test_an_event_as_json_has_plain_values_only() -> None:
    def kinds(value: Any) -> set[type]:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return {type(value)}.union(*map(kinds, inside))

    with lab.open(REFERENCES / "tls-1.3.pcapng") as run:
        found = set().union(*(kinds(as_json(event)) for event in run.events()))
    assert found == {dict, list, str, int, bool, type(None)}


@every_capture
def test_every_event_is_as_the_schema_has_it(capture: Path) -> None:
    valid(told(capture))


@every_capture
def test_events_add_up_to_the_trace(capture: Path) -> None:
    adds_up(capture)


@every_capture
def test_they_come_in_the_order_in_which_things_happen(capture: Path) -> None:
    comes_in_order(capture)


@every_capture
def test_an_end_goes_on_from_the_state_it_has_come_to(capture: Path) -> None:
    goes_on(capture)


@pytest.mark.parametrize("capture", sorted(REFERENCES.glob("*.pcapng")), ids=lambda path: path.name)
def test_the_same_holds_where_nobody_noted_what_arrived(capture: Path, tmp_path: Path) -> None:
    bare = tmp_path / capture.name
    with lab.open(capture) as run, bare.open("wb") as stream:
        frames = [packet.frame for packet in run if packet.frame is not None]
        writer = Writer(stream)
        if run.secrets[0]:
            writer.secrets(run.secrets[0])
        for frame in frames:
            writer.packet(frame, ())
        writer.finish()
    assert not told(bare)[0]["journal"]
    # Neither, where nobody answers.
    assert {each["by"] for each in told(bare) if "by" in each} <= {"acknowledged", "inferred"}
    valid(told(bare))
    adds_up(bare)
    comes_in_order(bare)
    goes_on(bare)


def adds_up(capture: Path) -> None:
    with lab.open(capture, words=False) as run:
        entries = [json.loads(line) for line in trace.packet_lines(run.records())]
        reports = [json.loads(trace.dump(each.facts)) for each in run.conversations]
        about = run.about()
    assert added_up(told(capture)) == entries
    assert told(capture)[-1]["conversations"] == reports
    assert told(capture)[-1]["file"] == about


def comes_in_order(capture: Path) -> None:
    events = told(capture)
    assert [at for at, each in enumerate(events) if each["event"] == "begun"] == [0]
    assert [at for at, each in enumerate(events) if each["event"] == "ended"] == [len(events) - 1]
    opened: set[int] = set()
    sent: dict[int, dict[str, Any]] = {}
    fates: Counter[int] = Counter()
    for event in events[1:-1]:
        name, number, which = event["event"], event.get("packet"), event.get("conversation")
        if name == "conversation-opened":
            assert which not in opened
            opened.add(event["conversation"])
            continue
        assert which is None or which in opened, event
        if name == "packet-sent":
            assert number == len(sent) + 1, "in the order of the capture"
            sent[event["packet"]] = event
        elif name != "secrets" and number is not None:
            assert number in sent, f"told before the packet itself: {event}"
        if name in ("packet-arrived", "packet-lost"):
            fates[event["packet"]] += 1
    assert set(fates.values()) <= {1}, "a packet arrives or is lost, and once"
    with lab.open(capture, words=False) as run:
        settled = {packet.number for packet in run if packet.fate != "unknown"}
    assert set(fates) == settled


def goes_on(capture: Path) -> None:
    now: dict[tuple[int, str, str], str] = {}
    for event in told(capture):
        if event["event"] == "state-changed":
            end = event["conversation"], event["protocol"], event["end"]
            assert now.get(end, event["from_state"]) == event["from_state"], event
            now[end] = event["to_state"]
    for which in told(capture)[-1]["conversations"]:
        for role, state in which["final"]["states"].items():
            assert now.get((which["id"], "tcp", role), state) == state


def test_what_was_let_go_of_is_told_with_the_labels_that_its_packets_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More conversations than there is room for: with little room, so that few are many."""
    monkeypatch.setattr(path, "ROUND", 500)
    monkeypatch.setattr(room, "MOST_IN_A_LANE", 4)
    begun = [ladder("c> SYN 0", "s> SYN-ACK 0 1", pair=Pair(client_port=20_000 + at * LANES)) for at in range(7)]
    quiet = ladder(*["c> ACK 1 1"] * 500, pair=Pair(client_port=50_001))
    file = tmp_path / "many.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in renumbered(*(frame for each in begun for frame in each), *quiet):
            writer.packet(frame, ())
        writer.finish()
    events = told(file)
    valid(events)
    closed = [each for each in events if each["event"] == "conversation-closed" and each["evicted"]]
    assert [each["conversation"] for each in closed] == [0, 1, 2]
    assert [list(each["labels"]) for each in closed] == [["2"], ["4"], ["6"]]
    with lab.open(file, words=False) as run:
        assert added_up(events) == [json.loads(line) for line in trace.packet_lines(run.records())]
        assert events[-1]["conversations"] == [json.loads(trace.dump(each.facts)) for each in run.conversations]


def test_a_capture_without_packets_begins_and_ends(tmp_path: Path) -> None:
    file = tmp_path / "empty.pcapng"
    with file.open("wb") as stream:
        Writer(stream).finish()
    events = told(file)
    valid(events)
    assert [each["event"] for each in events] == ["begun", "ended"]
    assert events[-1]["file"]["packets"] == 0


def test_the_last_event_tells_of_conversations_that_were_let_go_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.protocols.tcp.room.MOST_IN_A_LANE", 0)
    monkeypatch.setattr("lab.engine.path.ROUND", 8)
    frames = [frame for at in range(6) for frame in ladder(*OPEN, pair=Pair(client_port=40_000 + at))]
    file = tmp_path / "many.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in renumbered(*frames):
            writer.packet(frame, [])
        writer.finish()
    annotate(Asked(str(file), Format.EVENTS, b"", b"", False, tmp_path / "told", None, None, None), "en")
    last = json.loads((tmp_path / "told").read_text().splitlines()[-1])
    assert {each["client"]["port"] for each in last["conversations"]} == set(range(40_000, 40_006))
    closed = [each for each in told(file) if each["event"] == "conversation-closed"]
    assert closed
    assert all(each["evicted"] for each in closed)
    assert {each["conversation"] for each in closed} <= {each["id"] for each in last["conversations"]}


def test_of_one_conversation_nothing_is_told_that_is_another_s() -> None:
    capture = REFERENCES / "tls-1.3-resumption.pcapng"
    both = told(capture)
    for number in (0, 1):
        with lab.open(capture, conversation=number) as run:
            one = in_lines(run.events())
        assert {each["conversation"] for each in one if "conversation" in each} == {number}
        assert [each["id"] for each in one[-1]["conversations"]] == [number]
        mine = {each["packet"] for each in both if each["event"] == "packet-sent" and each["conversation"] == number}
        about = ("packet-sent", "packet-arrived", "packet-lost", "kernel")
        assert [each for each in one if each["event"] in about and each["packet"]] == [
            each for each in both if each["event"] in about and each["packet"] in mine
        ]
        finals = [each for each in one if each.get("instant") == "final"]
        assert len(finals) == number, "the kernels are asked about the last one"
    with pytest.raises(lab.UsageError, match="no conversation 2"), lab.open(capture, conversation=2) as run:
        list(run.events())


# While it happens


def events_of(run: Watched) -> Iterator[dict[str, Any]]:
    """Yields a lab's events as their lines come."""
    assert run.process.stdout is not None
    for line in run.process.stdout:
        yield json.loads(line)


def until_fin(stream: Iterator[dict[str, Any]]) -> Told:
    """Takes events up to the one that tells of a FIN that has been sent."""
    taken = []
    for event in stream:
        taken.append(event)
        if event["event"] == "packet-sent" and "FIN" in event["labels"]:
            break
    return taken


def connection(host: int) -> set[str]:
    """Returns what a host's kernel calls the states of its connections (include/net/tcp_states.h), listeners apart."""
    names = {"01": "ESTABLISHED", "04": "FIN-WAIT-1", "08": "CLOSE-WAIT"}
    rows = Path(f"/proc/{host}/net/tcp").read_text().splitlines()[1:]
    return {names.get(row.split()[3], row.split()[3]) for row in rows} - {"0A"}


@on_linux
def test_a_held_packet_is_told_before_it_has_arrived(watched: None, namespaces: None, tmp_path: Path) -> None:
    run = Watched(tmp_path, *HELD, stdout=subprocess.PIPE)
    stream = events_of(run)
    before = until_fin(stream)
    hosts = run.family()
    kernels = {role: connection(hosts[role]) for role in ("client", "server")}
    fin = before[-1]
    assert kernels == {"client": {"FIN-WAIT-1"}, "server": {"ESTABLISHED"}}, "the wire has it, the server has not"
    assert fin["states"] == {"client": "FIN-WAIT-1", "server": "ESTABLISHED"}
    behind = list(stream)
    assert run.ended().status == 0
    mine = [each for each in behind if each.get("packet") == fin["packet"]]
    assert [each["to_state"] for each in mine if each["event"] == "state-changed"] == ["FIN-WAIT-1", "CLOSE-WAIT"]
    (arrived,) = (each for each in mine if each["event"] == "packet-arrived")
    assert arrived["states"]["server"] == "CLOSE-WAIT"
    valid([*before, *behind])
    assert behind[-1]["event"] == "ended"
    assert packets(run.work / SAVED) == sum(each["event"] == "packet-sent" for each in [*before, *behind])
    run.left(SAVED)


@on_linux
def test_ctrl_c_leaves_whole_lines_and_the_capture(watched: None, namespaces: None, tmp_path: Path) -> None:
    run = Watched(tmp_path, *HELD, stdout=subprocess.PIPE)
    stream = events_of(run)
    events = until_fin(stream)
    run.process.send_signal(signal.SIGINT)
    events += stream
    ended = run.ended()
    assert ended.status == 130, ended
    valid(events)
    assert events[-1]["event"] != "ended"
    sent = {each["packet"] for each in events if each["event"] == "packet-sent"}
    arrived = {each["packet"] for each in events if each["event"] == "packet-arrived"}
    assert max(sent) not in arrived
    assert packets(run.work / SAVED) >= len(sent)
    run.left(SAVED)


@on_linux
@pytest.mark.parametrize(
    ("form", "lines"), [*((form, 1) for form in Format), (Format.LADDER, 0), (Format.CSV, 0), (Format.EVENTS, 0)]
)
def test_where_the_reader_goes_away_a_run_plays_on_and_saves_all(
    watched: None, namespaces: None, tmp_path: Path, form: Format, lines: int
) -> None:
    old = tmp_path / "work" / SAVED
    old.parent.mkdir(parents=True)
    reference = (REFERENCES / "tcp-connection.pcapng").read_bytes()
    old.write_bytes(reference)
    run = Watched(tmp_path, "run", "tcp/connection", "--format", form, stdout=subprocess.PIPE)
    assert run.process.stdout is not None
    for _ in range(lines):  # as head does
        assert run.process.stdout.readline()
    run.process.stdout.close()
    ended = run.ended()
    assert ended.status == 0, ended
    assert "rror" not in ended.err
    assert packets(old) == CONNECTION
    assert old.read_bytes() != reference, "it is the new one"
    run.left(SAVED)


@on_linux
def test_a_full_disk_behind_the_output_costs_no_packet_either(watched: None, namespaces: None, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        run = Watched(tmp_path, "run", "tcp/connection", "--format", "events", stdout=full)
    ended = run.ended()
    assert ended.status == 4
    assert "error: " in ended.err
    assert packets(run.work / SAVED) == CONNECTION
    run.left(SAVED)


# Listeners


def children() -> set[int]:
    return {pid for pid, (parent, _) in processes().items() if parent == os.getpid()}


@on_linux
def test_a_slow_listener_misses_nothing_and_stops_nobody(namespaces: None, tmp_path: Path) -> None:
    """It is so slow that all has been played before it takes the first packet: the hosts wait for nobody."""
    before = children()
    slow: list[Event] = []
    others: list[Event] = []
    played = []

    def listener(event: Event) -> None:
        if isinstance(event, PacketSent) and event.packet == 1:
            (stage,) = children() - before
            handle = os.pidfd_open(stage)
            played.append(select.select([handle], [], [], PATIENCE)[0] == [handle])
            os.close(handle)
        slow.append(event)

    file = tmp_path / "run.pcapng"
    with lab.run("tcp/connection", testbed="netns", file=file) as run:
        run.listen(listener)
        run.listen(others.append)
        numbers = [packet.number for packet in run]
    assert played == [True]
    assert numbers == list(range(1, CONNECTION + 1))
    assert slow == others
    valid(in_lines(iter(slow)))
    assert run.lost_listeners == []
    assert packets(file) == CONNECTION
    assert children() == before


@on_linux
def test_a_listener_that_raises_is_heard_no_more_and_nothing_else_is_lost(namespaces: None, tmp_path: Path) -> None:
    heard = []
    others: list[Event] = []
    trouble = RuntimeError("enough")

    def listener(event: Event) -> None:
        heard.append(event)
        if len(heard) == 3:
            raise trouble

    file = tmp_path / "run.pcapng"
    with lab.run("tcp/connection", testbed="netns", file=file) as run:
        run.listen(listener)
        run.listen(others.append)
        numbers = [packet.number for packet in run]
    assert run.lost_listeners == [trouble]
    assert heard == others[:3]
    assert numbers == list(range(1, CONNECTION + 1))
    assert len(added_up(in_lines(iter(others)))) == CONNECTION
    assert packets(file) == CONNECTION


def test_whoever_comes_too_late_is_told_so_and_the_run_goes_on() -> None:
    with lab.open(REFERENCES / "tcp-connection.pcapng") as run:
        numbers = iter(packet.number for packet in run)
        assert next(numbers) == 1
        with pytest.raises(ValueError, match="from its beginning"):
            run.listen(print)
        assert list(numbers) == list(range(2, CONNECTION + 1))


@pytest.mark.parametrize("first", [lab.Run.packets, lab.Run.events])
@pytest.mark.parametrize("again", [lab.Run.packets, lab.Run.events, iter])
def test_a_run_is_gone_through_once(first: Callable[..., Any], again: Callable[..., Any]) -> None:
    with lab.open(REFERENCES / "tcp-connection.pcapng") as run:
        assert list(first(run))
        with pytest.raises(ValueError, match="once"):
            list(again(run))
        assert len(run.conversations) == 1, "what it came to is still there"


def test_events_and_listeners_hear_the_same() -> None:
    heard: list[Event] = []
    with lab.open(REFERENCES / "websocket-tls.pcapng") as run:
        run.listen(heard.append)
        assert list(run.events()) == heard


# Left before the end


@on_linux
@pytest.mark.parametrize("way", ["packets", "events", "error"])
def test_a_live_run_that_is_left_early_saves_what_was_captured(namespaces: None, tmp_path: Path, way: str) -> None:
    before = children()
    file = tmp_path / "run.pcapng"

    def see_enough() -> None:
        with lab.run("tcp/syn-lost", testbed="netns", file=file) as run:
            if way == "events":  # the first SYN is lost, and a second goes by before the next
                assert any(isinstance(event, PacketLost) for event in run.events())
                return
            assert next(iter(run)).fate == "lost"
            if way == "error":
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") if way == "error" else contextlib.nullcontext():
        see_enough()
    assert 1 <= packets(file) < CONNECTION
    assert until(lambda: children() == before)
    with lab.open(file) as saved:
        assert next(iter(saved)).labels == ("SYN",)


@on_linux
def test_whoever_has_seen_enough_can_have_it_played_on(namespaces: None, tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    with lab.run("tcp/connection", testbed="netns", file=file) as run:
        assert any(isinstance(event, PacketArrived) for event in run.events())
        run.play_on()
    assert packets(file) == CONNECTION


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_a_capture_that_is_left_early_is_closed(taken: int) -> None:
    file = REFERENCES / "tcp-connection.pcapng"

    def held() -> list[str]:
        links = (each for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
        return [str(each) for each in links if os.path.realpath(each) == str(file)]

    with lab.open(file) as run:
        assert len(held()) == 1
        for packet, _ in zip(run, range(taken), strict=False):
            assert packet.frame is not None
    assert held() == []
