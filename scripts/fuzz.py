"""Hostile captures, by the thousand: whatever comes in, the lab answers in every format, soon, in bounded memory.

python scripts/fuzz.py 10000                 as many mutated captures, the same for the same --seed
python scripts/fuzz.py --guided 600          seconds of fuzzing that looks for new code (needs `pip install atheris`)

What fails is kept in `captures/out/fuzz-*` with its traceback; a file that has been mended moves to tests/corpus.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.text import LANGUAGES

HOME = Path(__file__).parent.parent
SEEDS = (HOME / "captures", HOME / "tests" / "corpus")
OUT = HOME / "captures" / "out"
MOST_SEED = 16_384  # bytes: small ones are gone through more often
SECONDS, SECONDS_A_MEGABYTE = 5, 30  # of the processor: what else the machine does is no fault of a capture
MEMORY = 512 << 20  # bytes beyond what the program has when it begins
TELLING = (0, 1, 2, 3, 4, 5, 6, 7, 16, 20, 22, 23, 32, 40, 60, 64, 127, 128, 254, 255)  # bytes that mean something
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories: controls, bidirectional ones too, half surrogates
INSTRUMENTED = (
    "lab.runs.recorded", "lab.app.formats", "lab.render.ladder", "lab.render.table", "lab.render.trace",
    "lab.protocols.tls.session", "lab.protocols.tls.fields", "lab.protocols.websocket.session",
)  # fmt: skip


class FailedError(Exception):
    """A capture that was not answered as it should be."""


class Slow(BaseException):
    """It took too long: a BaseException, so that nobody on the way takes it for an error of the file."""


# One capture through everything.


def answer(path: Path, every: bool) -> None:
    """Annotates a capture in the formats for programs, and if `every`, in those for people too. Raises what fails."""
    from lab.errors import LabError

    try:
        document = json.loads(written(path, "json"))
    except LabError:  # in two lines: that is an answer
        return
    numbers = [packet["number"] for packet in document["packets"]]
    if numbers != list(range(1, len(numbers) + 1)):
        raise FailedError("packets are missing from the JSON")
    if len(written(path, "csv").splitlines()) != len(numbers) + 1:
        raise FailedError("CSV and JSON have another number of packets")
    if every:
        for form, lang in (
            ("ladder", "en"), ("ladder", "zh"), ("json", "en"), ("csv", "en"), ("conversations", "en"),
            ("events", "en"),
        ):  # fmt: skip
            shown = written(path, form, lang)
            if any(each != "\n" and unicodedata.category(each) in UNSEEN for each in shown):
                raise FailedError(f"the {form} has a character that steers what shows it")
        again(path, len(numbers))
        explained(path, numbers)


def written(path: Path, form: str, lang: Any = "en") -> str:
    """Returns what `lab annotate` writes."""
    from lab.app.formats import Format, in_words, write_events, write_ladder, write_rows
    from lab.bulk.rows import Gone, RowFormat, RowsOfRun, keeps_lines
    from lab.runs.recorded import open_run

    out, asked = io.StringIO(), Format(form)
    gone = Gone(form in tuple(RowFormat) and keeps_lines(RowFormat(form)))
    words, events = in_words(asked), asked is Format.EVENTS
    with open_run(str(path), words=words, frames=words or events, let_go=gone.take) as run:
        if asked is Format.LADDER:
            write_ladder(run, run.packets(), gone, out, lang)
        elif events:
            write_events(run, out)
        else:
            write_rows(RowsOfRun(run, RowFormat(form), gone), asked, out, lang, live=False)
    return out.getvalue()


def explained(path: Path, numbers: list[int]) -> None:
    """Tells the last packet in words and its conversation beside itself."""
    from lab.render import diff, diff_json
    from lab.render.explain import as_json, explain, find
    from lab.report.comparison import compare
    from lab.runs.compare import side_of
    from lab.runs.recorded import open_run

    for lang in LANGUAGES:
        out = io.StringIO()
        last = range(len(numbers), len(numbers) + 1)
        with open_run(str(path), words=True, fields=last) as run:
            found = list(find(run.packets(), last))
        explain(found, out, lang)
        as_json(found, out, False)
        with open_run(str(path), frames=False) as run:
            ids = [packet.conversation for packet in run.packets() if packet.conversation is not None]
        if ids:
            mine = side_of(open_run(str(path), only=ids[-1], words=True, frames=False))
            same = compare(mine, mine)
            for width in (diff.NARROWEST, diff.USUAL, diff.WIDEST):
                diff.draw(same, out, lang, width)
            diff_json.write(same, out)
            if not same.same:
                raise FailedError("a conversation is not the same as itself")
        if any(each != "\n" and unicodedata.category(each) in UNSEEN for each in out.getvalue()):
            raise FailedError("an explanation has a character that steers what shows it")


def again(path: Path, packets: int) -> None:
    """Writes the capture with its notes, reads that, and expects as many packets and no new damage."""
    from lab.capture.reader import open_capture
    from lab.runs.recorded import open_run, write_again

    out = io.BytesIO()
    with open_run(str(path), words=True) as run:
        write_again(run, out)
        damages = len(run.problems())
    copy = path.with_suffix(".again")
    copy.write_bytes(out.getvalue())
    with open_capture(str(copy)) as capture:
        if sum(1 for _ in capture) != packets or len(capture.problems) > damages:
            raise FailedError("what was written with notes is damaged")


@contextlib.contextmanager
def watched(size: int) -> Iterator[None]:
    """Ends what takes too long for so many bytes."""

    def slow(_signal: int, _frame: FrameType | None) -> None:
        raise Slow

    before = signal.signal(signal.SIGPROF, slow)
    signal.setitimer(signal.ITIMER_PROF, SECONDS + size * SECONDS_A_MEGABYTE / (1 << 20))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def tried(data: bytes, folder: Path, every: bool, name: str) -> bool:
    """Tries one capture; what fails is kept under this name. Returns whether all was well."""
    path = folder / "capture"
    path.write_bytes(data)
    try:
        with watched(len(data)):
            answer(path, every)
    except (Exception, Slow):
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"fuzz-{name}").write_bytes(data)
        (OUT / f"fuzz-{name}.txt").write_text(traceback.format_exc())
        print(f"{name}: {traceback.format_exc().strip().splitlines()[-1]}", flush=True)
        return False
    return True


# Mutations.


def seeds() -> list[bytes]:
    """Returns the captures that mutants are made of, in a fixed order, the pcapng ones also as pcap."""
    found = []
    for folder in SEEDS:
        for path in sorted(folder.glob("*")):
            if path.suffix in (".pcapng", ".pcap") and path.stat().st_size <= MOST_SEED:
                found.append(path.read_bytes())
                if path.suffix == ".pcapng":
                    found.append(as_pcap(path))
    return found


def as_pcap(path: Path) -> bytes:
    from lab.capture.reader import open_capture

    with open_capture(str(path)) as capture:
        packets = [(frame.time or 0, frame.data) for frame in capture]
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
    return head + b"".join(
        struct.pack("<IIII", *divmod(time, 1_000_000_000), len(data), len(data)) + data for time, data in packets
    )


def mutant(sources: list[bytes], dice: random.Random) -> bytes:
    """Returns a capture with a few things wrong: in its bytes, or in those of its packets only."""
    data = bytearray(dice.choice(sources))
    if dice.random() < 0.6:
        return _packets_spoilt(data, sources, dice)
    for _ in range(1 << dice.randrange(5)):
        dice.choice(SPOILERS)(data, sources, dice)
    return bytes(data)


def _packets_spoilt(data: bytearray, sources: list[bytes], dice: random.Random) -> bytes:
    """Spoils packets, and leaves the file about them as it was: lengths right, records whole."""
    parts = list(_records(data))
    for _ in range(1 << dice.randrange(5)):
        at = dice.randrange(len(parts))
        head, body, tail = parts[at]
        what = dice.random()
        if what < 0.1:
            parts.insert(dice.randrange(len(parts) + 1), parts[at])
        elif what < 0.2 and len(parts) > 1:
            del parts[at]
        elif what < 0.3:
            other = dice.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif body:
            changed = bytearray(body)
            dice.choice(SPOILERS)(changed, sources, dice)
            changed = (changed + bytes(len(body)))[: len(body)]
            parts[at] = head, bytes(changed), tail
    return b"".join(head + body + tail for head, body, tail in parts)


def _records(data: bytearray) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Takes a sound file apart: what stands before each packet's bytes, these, and what stands behind them."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        at = 0
        while at + 12 <= len(data):
            size = max(int.from_bytes(data[at + 4 : at + 8], "little"), 12)
            block = bytes(data[at : at + size])
            captured = int.from_bytes(block[20:24], "little") if block[:4] == b"\x06\0\0\0" else 0
            yield block[:28], block[28 : 28 + captured], block[28 + captured :]
            at += size
        return
    yield bytes(data[:24]), b"", b""
    at = 24
    while at + 16 <= len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "little")
        yield bytes(data[at : at + 16]), bytes(data[at + 16 : at + 16 + size]), b""
        at += 16 + size


def _flip(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _byte(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        data[dice.randrange(len(data))] = dice.choice(TELLING)


def _number(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    """Another length, count or offset: most of them lie."""
    size = dice.choice((1, 2, 2, 3, 4, 8))
    value = dice.choice((0, 1, -1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1, len(data), dice.getrandbits(8 * size)))
    if len(data) >= size:
        at = dice.randrange(len(data) - size + 1)
        data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, dice.choice(("big", "little")))


def _cut(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        at = dice.randrange(len(data))
        del data[at : at + dice.choice((1, 2, 4, 64, len(data)))]


def _repeat(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        at = dice.randrange(len(data))
        data[at:at] = data[at : at + dice.choice((1, 4, 16, 256))] * dice.randrange(1, 8)


def _splice(data: bytearray, sources: list[bytes], dice: random.Random) -> None:
    other = dice.choice(sources)
    start, size = dice.randrange(len(other)), dice.choice((4, 16, 64, 512))
    at = dice.randrange(len(data) + 1)
    data[at : at + dice.choice((0, size))] = other[start : start + size]


Spoiler = Callable[[bytearray, list[bytes], random.Random], None]
SPOILERS: tuple[Spoiler, ...] = (_flip, _flip, _byte, _byte, _number, _number, _cut, _repeat, _splice)


# Both ways of going about it.


def by_chance(count: int, seed: int, folder: Path) -> int:
    """Tries `count` mutants and returns how many failed. Each depends on the seed and its own number alone."""
    sources, failed, begun = seeds(), 0, time.monotonic()
    for number in range(count):
        dice = random.Random(f"{seed}:{number}")
        failed += not tried(mutant(sources, dice), folder, number % 8 == 0, f"{seed}-{number}")
        if (number + 1) % 1000 == 0:
            print(f"{number + 1} captures, {failed} failed, {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{count} captures, seed {seed}: {failed} failed, {time.monotonic() - begun:.0f} s", flush=True)
    return failed


def guided(seconds: int, folder: Path) -> int:
    """Lets atheris look for inputs that reach new code."""
    try:
        import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        print("error: atheris is not installed", file=sys.stderr)
        print("hint: pip install atheris", file=sys.stderr)
        return 4
    with atheris.instrument_imports(include=["lab"]):
        for name in INSTRUMENTED:
            importlib.import_module(name)
    begin, corpus, count = folder / "begin", folder / "corpus", 0
    for each in (begin, corpus):
        each.mkdir()
    for at, data in enumerate(seeds()):
        (begin / str(at)).write_bytes(data)

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        if not tried(data, folder, count % 8 == 0, f"guided-{abs(hash(data)):x}"):
            raise FailedError("see captures/out")

    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", f"-max_len={MOST_SEED}", "-rss_limit_mb=2048", "-timeout=600",
         f"-artifact_prefix={OUT}/fuzz-", "-print_final_stats=1", str(corpus), str(begin)],
        one,
    )  # fmt: skip
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--guided", type=int, metavar="SECONDS")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-fuzz-") as name:
        if asked.guided:
            return guided(asked.guided, Path(name))
        from lab.render import ladder, table  # noqa: F401 - what is loaded once does not count as memory of a capture

        have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (have + MEMORY, resource.RLIM_INFINITY))
        return min(by_chance(asked.count, asked.seed, Path(name)), 1)


if __name__ == "__main__":
    sys.exit(main())
