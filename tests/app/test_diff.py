"""Two captures compared: what a lecturer shows, the same in both languages, from either side, whatever comes in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lab.app.diff import compared
from lab.capture.reader import open_capture
from lab.errors import InputError, UsageError
from lab.model import Frame
from lab.render.diff import NARROWEST, USUAL, WIDEST, draw
from lab.report.align import MOST, Pair, align
from lab.report.comparison import Side, compare, side
from lab.report.summary import SENTENCES, in_short
from lab.runs.recorded import open_run
from lab.text import LANGUAGES, Lang, Text
from scripts import generate
from tests.packets import CAPTURES, IPV6, OPEN, ladder, walk
from tests.places import GOLDEN, ROOT
from tests.references import FOLDER

LECTURES = [
    ("tcp-connection", "tcp-three-segment-close"),
    ("tls-1.2-rsa", "tls-1.3"),
    ("websocket-connection", "websocket-tls"),
]
OTHER_WIDTHS = (60, 120)
REFERENCES = sorted(path.stem for path in FOLDER.glob("*.pcapng"))


def file(name: str) -> str:
    return str(FOLDER / f"{name}.pcapng")


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", "diff", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)


def on_terminal(width: int, *words: str) -> str:
    """Returns what the command writes on a terminal of that many columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (50, width))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "lab", "diff", *words, "--lang", "en"]
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, env=environment):
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
            while more := os.read(ours, 65536):
                said += more
    os.close(ours)
    return said.decode()


def drawn(a: str, b: str, lang: str) -> str:
    done = lab(f"captures/{a}.pcapng", f"captures/{b}.pcapng", "--lang", lang)
    assert done.returncode == 0, done.stderr
    return done.stdout


def golden(a: str, b: str, lang: str) -> Path:
    return GOLDEN / f"diff-{a}-{b}.{lang}.txt"


def at(a: str, b: str, lang: Lang, width: int) -> str:
    """Returns what a terminal of that many columns would show."""
    out = io.StringIO()
    draw(compared(file(a), file(b), "0"), out, lang, width)
    return out.getvalue()


def beside(name: str, frames: Iterable[Frame]) -> Side:
    """Returns the last conversation of these frames as one side."""
    walked = walk(frames)
    last = walked.reports[-1]
    rows = side(packet for packet in walked.packets if packet.conversation == last.id)
    return Side(name, last, *rows)


# What is shown.


@pytest.mark.slow
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("a", "b"), LECTURES)
def test_a_lecture_is_drawn_as_it_was_found_good(a: str, b: str, lang: Lang) -> None:
    found = drawn(a, b, lang)
    assert found == golden(a, b, lang).read_text("utf-8")
    assert found == at(a, b, lang, USUAL)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", OTHER_WIDTHS)
def test_a_terminal_of_another_width_is_drawn_on_as_it_was_found_good(lang: Lang, width: int) -> None:
    assert at(*LECTURES[0], lang, width) == golden(*LECTURES[0], f"{width}.{lang}").read_text("utf-8")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [1, NARROWEST, 60, USUAL - 1, USUAL, 93, WIDEST - 1, WIDEST, 500])
@pytest.mark.parametrize(("a", "b"), [*LECTURES, ("websocket-connection", "websocket-bad-key")])
def test_no_line_is_wider_than_the_terminal(a: str, b: str, lang: Lang, width: int) -> None:
    widest = max(map(cell_len, at(a, b, lang, width).splitlines()))
    assert widest <= min(max(width, NARROWEST), WIDEST)


@pytest.mark.parametrize("width", [NARROWEST, USUAL, WIDEST])
def test_long_addresses_and_numbers_find_room(width: int) -> None:
    frames = ladder(*CAPTURES["connection"], pair=IPV6._replace(client="2001:db8:1234:5678:9abc:def0:1234:5678"))
    found = beside("x" * 99 + ".pcapng", frames)
    found = found._replace(packets=tuple(number + 1_000_000 for number in found.packets))
    out = io.StringIO()
    draw(compare(found, found), out, "en", width)
    assert max(map(cell_len, out.getvalue().splitlines())) <= width
    assert "[2001:db8::2]:8080" in out.getvalue().replace("\n", "").replace(" ", "")


def test_a_real_terminal_says_how_wide_it_is() -> None:
    """Two ladders with the states of both ends where there are 120 columns, one column of names where there are 60."""
    for width, said in ((120, "─ SYN ──────────▶ SYN-RECEIVED"), (60, "=   1    1 ─▶ SYN")):
        assert said in on_terminal(width, *(f"captures/{name}.pcapng" for name in LECTURES[0]))


def test_the_three_segment_close_has_one_row_less_and_says_why() -> None:
    found = compared(file("tcp-connection"), file("tcp-three-segment-close"), "0")
    rows, names = found.ours.rows, [(step.id, step.differs and step.differs.code) for _, step in found.steps if step]
    (alone,) = (each for each in found.matches if each.theirs is None)
    (changed,) = (each for each in found.matches if each.fields)
    assert alone.ours is not None
    assert (rows[alone.ours].name, rows[alone.ours].steps) == ("ACK", ("tcp.close.2",))
    assert changed.theirs is not None
    assert found.theirs.rows[changed.theirs].steps == ("tcp.close.2", "tcp.close.3")
    assert names == [("tcp.close.2", "merged"), ("tcp.close.3", "merged")]


def test_tls_13_saves_a_round_trip_and_sends_no_secret() -> None:
    found = compared(file("tls-1.2-rsa"), file("tls-1.3"), "0")
    facts = {fact.name: (fact.ours, fact.theirs) for fact in found.facts}
    assert facts["tls_version"] == ("TLS 1.2", "TLS 1.3")
    assert facts["round_trips"] == (3, 2), "TCP's own among them"
    alone = [found.ours.rows[each.ours].name for each in found.matches if each.theirs is None and each.ours is not None]
    assert "ClientKeyExchange" in alone


def test_what_a_handshake_message_begins_in_is_no_data_of_a_program() -> None:
    found = compared(file("tls-1.3"), file("tls-1.3-hybrid"), "0")
    facts = {fact.name: (fact.ours, fact.theirs) for fact in found.facts}
    assert "round_trips" not in facts, "a ClientHello in two segments takes no other"
    assert facts["group"] == ("x25519", "X25519MLKEM768")
    assert facts["key_exchange"] == ("ECDHE", "ECDHE+ML-KEM")
    retried = compared(file("tls-1.3-hybrid"), file("tls-1.3-hybrid-retry"), "0")
    assert {fact.name: (fact.ours, fact.theirs) for fact in retried.facts}["round_trips"] == (2, 3)


def test_websocket_says_the_same_in_tls_as_without() -> None:
    found = compared(file("websocket-connection"), file("websocket-tls"), "0")
    assert not any(each.fields for each in found.matches)
    alone = {
        found.theirs.rows[each.theirs].protocol
        for each in found.matches
        if each.ours is None and each.theirs is not None
    }
    assert alone == {"tls"}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_capture_says_the_same_as_itself(name: str) -> None:
    found = compared(file(name), file(name), "0")
    assert found.same
    assert [each[:2] for each in found.matches] == [(at, at) for at in range(len(found.ours.rows))]


def test_the_close_is_told_in_a_sentence() -> None:
    (said,) = in_short(compared(file("tcp-connection"), file("tcp-three-segment-close"), "0"))
    assert said.en.startswith("B closes with three segments, A with four")
    (said,) = in_short(compared(file("tcp-three-segment-close"), file("tcp-connection"), "0"))
    assert said.en.startswith("A closes with three segments, B with four")


def test_a_message_that_comes_earlier_is_found_again() -> None:
    found = compared(file("tls-1.2-rsa"), file("tls-1.3"), "0")
    moved = [
        (found.ours.packets[each.ours], found.theirs.packets[each.elsewhere], found.ours.rows[each.ours].name)
        for each in found.matches
        if each.ours is not None and each.elsewhere is not None
    ]
    assert moved == [(9, 6, "ChangeCipherSpec"), (9, 6, "Finished")]
    assert "Earlier in B than in A, from the server: ChangeCipherSpec, Finished." in [
        each.en for each in in_short(found)
    ]


def test_a_ticket_is_nothing_to_wait_for() -> None:
    found = compared(file("tls-1.3"), file("tls-1.3-resumption"), "0,1")
    assert found.facts
    assert "round_trips" not in {fact.name for fact in found.facts}


def words_of(said: list[Text], letters: str) -> list[list[str]]:
    """Returns the words of sentences, in no order, with A and B called by other letters."""
    sentences = [re.findall(r"\w+", each.en.replace("'s", "")) for each in said]
    return sorted(sorted(letters["AB".index(word)] if word in "AB" else word for word in each) for each in sentences)


@pytest.mark.slow
def test_every_sentence_is_said_of_some_two_captures_and_turned_round() -> None:
    sides = [compared(file(name), file(name), "0").ours for name in REFERENCES]
    sides += [compared(file(name), file(name), "1").ours for name in REFERENCES if name.endswith("resumption")]
    sides += [beside(name, ladder(*CAPTURES[name])) for name in CAPTURES]
    with open_capture(file("tls-1.3")) as opened:
        sides.append(beside("undecrypted", opened))
    said: set[str] = set()
    for one, other in itertools.combinations(sides, 2):
        there, back = in_short(compare(one, other)), in_short(compare(other, one))
        assert words_of(there, "AB") == words_of(back, "BA")
        assert bool(there) != compare(one, other).same
        said |= {each.en for each in there}
    patterns = [re.sub(r"\\{.*?\\}", ".*", re.escape(each.text.en)) for each in SENTENCES]
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, each) for each in said)] == []


def test_that_it_is_the_same_is_said() -> None:
    assert drawn("tls-1.3", "tls-1.3", "en").endswith("\nA and B say the same.\n")


def upgraded(target: str, nonce: bytes, *lines: str) -> Side:
    """Returns a connection on which a request asks for an upgrade and gets it."""
    key = base64.b64encode(nonce).decode()
    accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
    asked = f"GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    asked += f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    behind = 1 + len(asked), 1 + len(answer)
    opening = *OPEN, f'c> data 1 1 "{asked}"', f's> data 1 {behind[0]} "{answer}"'
    return beside("made", ladder(*opening, *(line.format(*behind) for line in lines)))


NONCES = b"the sample nonce", b"\xfb" * 16  # the first is RFC 6455's; the second begins with + in base64


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"\x81\x02ok", b"\x81\x02ok", True),
        (b"\x81\x82\0\0\0\0ok", b"\x81\x82\x01\x02\x03\x04ni", True),
        (b"\x81\x16abcdefghijklmnopqrstuv", b"\x81\x16zbcdefghijklmnopqrstuv", False),
        (b"\x81\x2a" + b"a" * 42, b"\x81\x2a" + b"a" * 38 + b"b" * 4, False),
        (b"\x82\x05\0\1\2\3\4", b"\x82\x05\0\1\2\3\5", False),
    ],
)
def test_of_what_programs_say_only_keys_and_masks_may_differ(one: bytes, other: bytes, same: bool) -> None:
    who, numbers = ("c", "{0} {1}") if one[1] & 0x80 else ("s", "{1} {0}")
    sides = [
        upgraded("/", nonce, f'{who}> data {numbers} x"{said.hex()}"')
        for nonce, said in zip(NONCES, (one, other), strict=True)
    ]
    assert [row.name for row in sides[0].rows][-1] in ("text", "binary")
    assert compare(*sides).same == same


def test_paths_that_are_as_long_as_keys_are_compared() -> None:
    asked = "/admin/delete/everything/now", "/public/listen/onlyreading/up"
    one, other = (upgraded(target, NONCES[0]) for target in asked)
    assert not compare(one, other).same


@pytest.mark.slow
def test_what_was_not_compared_is_not_said_to_be_the_same(tmp_path: Path) -> None:
    def made(name: str, *lines: str) -> str:
        path = tmp_path / name
        generate._write([frame.data for frame in ladder(*OPEN, *lines)], path)
        return str(path)

    one, other = made("one.pcap", 'c> data 1 1 "one"'), made("other.pcap", 'c> data 1 1 "two"')
    told = lab(one, other, "--lang", "en").stdout
    assert told.endswith("\nA and B say the same. The bytes of their data were not compared.\n")
    long = [f"c> data {at} 1 1" for at in range(1, 1101)]
    told = lab(made("a.pcap", *long), made("b.pcap", *long), "--lang", "en").stdout
    assert told.endswith("\nA and B say the same as far as they were compared: see above.\n")
    assert json.loads(lab(str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap"), "--json").stdout)["same"] is False


@pytest.mark.parametrize(("a", "b"), [*LECTURES, ("tcp-syn-lost", "tls-1.3"), ("tls-mutual", "tls-1.2-resumption")])
def test_from_the_other_side_it_is_the_same_turned_round(a: str, b: str) -> None:
    one, other = compared(file(a), file(b), "0"), compared(file(b), file(a), "0")
    assert [each._replace(ours=each.theirs, theirs=each.ours) for each in one.matches] == list(other.matches)
    assert [(fact.name, fact.theirs, fact.ours) for fact in one.facts] == [tuple(fact) for fact in other.facts]
    assert [pair[::-1] for pair in one.steps] == list(other.steps)


@given(st.sampled_from(list(CAPTURES)), st.sampled_from(list(CAPTURES)))
def test_any_two_are_compared_and_turned_round(a: str, b: str) -> None:
    ours, theirs = (beside(name, ladder(*CAPTURES[name])) for name in (a, b))
    one, other = compare(ours, theirs), compare(theirs, ours)
    assert [each._replace(ours=each.theirs, theirs=each.ours) for each in one.matches] == list(other.matches)
    assert one.same == other.same
    assert one.same or a != b


def test_json_tells_the_same() -> None:
    done = lab("captures/tls-1.2-rsa.pcapng", "captures/tls-1.3.pcapng", "--json")
    found = json.loads(done.stdout)
    assert (found["schema"], found["same"]) == ("handshake-lab/diff/v1", False)
    shown = compared(file("tls-1.2-rsa"), file("tls-1.3"), "0")
    assert len(found["rows"]) == len(shown.matches)
    assert {row["change"] for row in found["rows"]} == {"same", "changed", "a", "b"}
    assert {fact["name"]: fact["b"] for fact in found["facts"]}["tls_version"] == "TLS 1.3"
    assert found["rows"][0]["a"]["packet"] == 1
    assert {row["b"]["name"]: row["elsewhere"] for row in found["rows"] if row["elsewhere"] and row["b"]} == {
        "ChangeCipherSpec": 9,
        "Finished": 9,
    }
    assert found["summary"] == [said._asdict() for said in in_short(shown)]


def test_it_goes_into_a_file(tmp_path: Path) -> None:
    out = tmp_path / "diff.txt"
    done = lab("captures/tls-1.3.pcapng", "captures/tls-1.3.pcapng", "-o", str(out), "--lang", "en")
    assert (done.returncode, done.stdout) == (0, "")
    assert "say the same" in out.read_text("utf-8")


def test_secrets_open_what_is_compared(tmp_path: Path) -> None:
    capture, keys = FOLDER / "tls-1.3.pcapng", tmp_path / "keys"
    from scripts.mutants import as_pcap

    bare = tmp_path / "bare.pcap"
    bare.write_bytes(as_pcap(capture))
    with open_capture(str(capture)) as opened:
        next(iter(opened))
        keys.write_bytes(b"".join(opened.secrets))
    closed, opened_too = (compared(str(bare), str(capture), "0", log) for log in (b"", keys.read_bytes()))
    assert "encrypted" in {row.name for row in closed.ours.rows}
    assert [row.name for row in opened_too.ours.rows] == [row.name for row in opened_too.theirs.rows]


# What can't be compared.


@pytest.mark.parametrize("asked", ["", "x", "1,2,3", "-1", "0,", "٣", "9999999999999"])
def test_what_is_no_conversation_is_refused(asked: str) -> None:
    with pytest.raises(UsageError):
        compared(file("tls-1.3"), file("tls-1.3"), asked)


def test_a_conversation_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no conversation 7"):
        compared(file("tls-1.3"), file("tls-1.3"), "0,7")


ERROR = {"en": ["error", "hint"], "zh": ["错误", "提示"]}


def test_a_wide_comparison_shows_both_instants_as_the_ladder_does() -> None:
    """The sender's state when it is sent, the receiver's when it has arrived."""
    shown = at("tcp-connection", "tcp-syn-lost", "en", 120)
    with open_run(file("tcp-connection")) as run:
        rungs = {
            packet.number: (
                (packet.held.client, packet.delivered.server)
                if packet.sender == "client"
                else (packet.delivered.client, packet.held.server)
            )
            for packet in run.packets()
            if packet.held and packet.delivered
        }
    lines = [line[:58] for line in shown.splitlines() if re.match(r" +[0-9]+ [A-Z]", line)]
    assert len(lines) == 9
    for line in lines:
        number, left, *_ = line.split()
        right = re.findall(r"[▶─] ([A-Z][A-Z0-9-]+)", line)[-1]
        assert (left, right) == rungs[int(number)], line


def test_a_packet_that_never_arrived_ends_in_a_cross_and_moves_nobody() -> None:
    shown = at("tcp-connection", "tcp-syn-lost", "en", 120)
    (lost,) = [line for line in shown.splitlines() if "✗" in line]
    assert re.search(r"SYN-SENT +─ SYN ─+✗ +open 1", lost)


def test_states_that_differ_only_before_it_came_are_told_below() -> None:
    for width in (60, 80, 120):
        shown = at("tcp-connection", "tcp-three-segment-close", "en", width)
        assert "the client before: FIN-WAIT-2" in shown
        assert "the client before: FIN-WAIT-1" in shown


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_empty_file_is_told_in_two_lines(tmp_path: Path, lang: str) -> None:
    empty = tmp_path / "empty.pcap"
    empty.touch()
    done = lab(str(empty), file("tls-1.3"), "--lang", lang)
    assert done.returncode == 3
    assert [line.replace("：", ": ").split(": ")[0] for line in done.stderr.splitlines()] == ERROR[lang]


def test_one_standard_input_is_not_two_captures() -> None:
    with pytest.raises(UsageError):
        compared("-", "-", "0")


def test_what_is_cut_off_is_compared_as_far_as_it_goes_and_said(tmp_path: Path) -> None:
    whole = Path(file("tls-1.3")).read_bytes()
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(whole[: len(whole) // 2])
    done = lab(str(cut), file("tls-1.3"), "--lang", "en")
    assert done.returncode == 0
    assert done.stderr.startswith(f"problems: 1 in {cut}; at byte ")
    assert "in A; " not in done.stdout


@pytest.mark.slow
@given(st.integers(0, 1 << 14), st.binary(max_size=8))
def test_whatever_comes_in_is_compared_or_refused(at: int, noise: bytes) -> None:
    whole = bytearray(Path(file("tls-1.3")).read_bytes())
    at %= len(whole)
    whole[at : at + len(noise)] = noise
    with tempfile.NamedTemporaryFile(suffix=".pcapng") as damaged, contextlib.suppress(InputError):
        damaged.write(whole[: len(whole) if noise else at])
        damaged.flush()
        found = compared(damaged.name, file("tls-1.3"), "0")
        for lang in LANGUAGES:
            draw(found, io.StringIO(), lang)


# The alignment.


class Said(NamedTuple):
    who: int
    what: int


def likeness(a: Said, b: Said) -> int:
    return (a.who == b.who) * (1 + 3 * (a.what == b.what))


said = st.lists(st.builds(Said, st.integers(0, 1), st.integers(0, 3)), max_size=9)


def worth(pairs: list[Pair], ours: list[Said], theirs: list[Said]) -> int:
    return sum(likeness(ours[a], theirs[b]) for a, b in pairs if a is not None and b is not None)


def best(ours: list[Said], theirs: list[Said]) -> int:
    """Returns the most that any alignment is worth, tried the slow way."""
    table: dict[tuple[int, int], int] = {}
    for a in range(len(ours), -1, -1):
        for b in range(len(theirs), -1, -1):
            ways = [0]
            if a < len(ours):
                ways.append(table[a + 1, b])
            if b < len(theirs):
                ways.append(table[a, b + 1])
            if a < len(ours) and b < len(theirs):
                ways.append(table[a + 1, b + 1] + likeness(ours[a], theirs[b]))
            table[a, b] = max(ways)
    return table[0, 0]


@given(said, said)
def test_everything_is_there_once_and_in_order_and_nothing_fits_better(ours: list[Said], theirs: list[Said]) -> None:
    pairs = align(ours, theirs, likeness)
    assert [a for a, _ in pairs if a is not None] == list(range(len(ours)))
    assert [b for _, b in pairs if b is not None] == list(range(len(theirs)))
    assert all(likeness(ours[a], theirs[b]) for a, b in pairs if a is not None and b is not None)
    assert worth(pairs, ours, theirs) == best(ours, theirs)


def test_two_long_ones_that_have_nothing_in_common_are_soon_compared() -> None:
    ours, theirs = [Said(0, at) for at in range(MOST)], [Said(1, at) for at in range(MOST)]
    assert len(align(ours, theirs, likeness)) == 2 * MOST


def write(*_: Any) -> None:
    """Draws the lectures anew: python -m tests.test_diff, then look at what has changed."""
    for a, b in LECTURES:
        for lang in LANGUAGES:
            golden(a, b, lang).write_text(drawn(a, b, lang), "utf-8")
    for width, lang in itertools.product(OTHER_WIDTHS, LANGUAGES):
        golden(*LECTURES[0], f"{width}.{lang}").write_text(at(*LECTURES[0], lang, width), "utf-8")


if __name__ == "__main__":
    write()
