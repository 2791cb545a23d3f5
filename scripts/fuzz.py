"""Hostile captures, by the thousand: whatever comes in, the lab answers in every format, soon, in bounded memory.

python scripts/fuzz.py 10000                 as many mutated captures, the same for the same --seed
python scripts/fuzz.py --guided 600          seconds of fuzzing that looks for new code (needs `pip install atheris`)

What fails is kept in `captures/out/fuzz-*` with its traceback; a file that has been mended moves to tests/corpus.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.text import LANGUAGES
from scripts.mutants import MOST_SEED, mutant, seeds, spoilt

OUT = Path(__file__).parent.parent / "captures" / "out"
SECONDS, SECONDS_A_MEGABYTE = 5, 30  # of the processor: what else the machine does is no fault of a capture
MEMORY = 512 << 20  # bytes beyond what the program has when it begins
MOST_DRAWN = 40  # packets of a picture: large ones take long
MOST_FAILED = 100  # captures, until nobody looks any further
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories: controls, bidirectional ones too, half surrogates


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
        few = (("svg", "zh"), ("mermaid", "en")) if len(numbers) <= MOST_DRAWN else ()
        for form, lang in (
            ("ladder", "en"), ("ladder", "zh"), ("json", "en"), ("csv", "en"), ("conversations", "en"),
            ("events", "en"), *few,
        ):  # fmt: skip
            harmless(written(path, form, lang), form)
        again(path, len(numbers))
        explained(path, numbers)
        stepped(path)
        summed_up(path)
        in_columns(path)


def harmless(shown: str, what: str) -> None:
    if any(each != "\n" and unicodedata.category(each) in UNSEEN for each in shown):
        raise FailedError(f"the {what} has a character that steers what shows it")


def written(path: Path, form: str, lang: Any = "en") -> str:
    """Returns what `lab annotate` writes."""
    from lab.app.formats import DRAWN, Format, in_words, write_drawn, write_events, write_ladder, write_rows
    from lab.bulk.rows import Gone, RowFormat, RowsOfRun, keeps_lines
    from lab.runs.recorded import open_run

    out, asked = io.StringIO(), Format(form)
    gone = Gone(form in tuple(RowFormat) and keeps_lines(RowFormat(form)))
    words, events = in_words(asked), asked is Format.EVENTS
    with open_run(str(path), words=words, frames=words or events, let_go=gone.take) as run:
        if asked is Format.LADDER:
            write_ladder(run, run.packets(), out, lang)
        elif events:
            write_events(run, out)
        elif asked in DRAWN:
            write_drawn(run, asked, out, lang)
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
        harmless(out.getvalue(), "explanation")


def stepped(path: Path) -> None:
    """Walks the capture to its end and back, and has all shown that there is to be seen."""
    from lab.runs.recorded import open_run
    from lab.stepping.commands import SHOWN
    from lab.stepping.debugger import Debugger, walked
    from lab.stepping.lines import Lines

    shows = [f"show {each}" for each in SHOWN]
    for lang in LANGUAGES:
        out, debugger = io.StringIO(), Debugger()
        with open_run(str(path), words=True) as run:
            debugger.load(walked(run.events()))
        asks = iter([*shows, "step", *shows, "continue", *shows, "back 2", "show where"])
        Lines(debugger, asks, out, lang, json_=False).run(None)
        harmless(out.getvalue(), "debugger")


def summed_up(path: Path) -> None:
    """Tells each conversation in a line."""
    from lab.report.briefing import Briefing, as_json, words
    from lab.runs.recorded import open_run

    briefing = Briefing()
    with open_run(str(path), frames=False, let_go=briefing.over) as run:
        for packet in run.packets():
            briefing.packet(packet)
        for report in run.reports():
            briefing.over(report)
    for each in briefing.lines():
        json.dumps(as_json(each))
        words(each)


def in_columns(path: Path) -> None:
    """Writes rows as those of a large file are, where its kind has such a way, and expects the same to the byte."""
    from lab.app.formats import Format, write_rows
    from lab.bulk import predicting
    from lab.bulk.rows import RowFormat
    from lab.bulk.two_processes import ALL

    for form in (RowFormat.CSV, RowFormat.NDJSON, RowFormat.CONVERSATIONS):
        plan = predicting.plan(str(path))
        if plan is None or (plan.secrets and form is RowFormat.NDJSON):  # which is left to the engine
            continue
        rows, out = predicting.made(str(path), plan, ALL, form, None, b"", b""), io.StringIO()
        with rows.run:
            write_rows(rows, Format(form.value), out, "en", live=False)
        if out.getvalue() != written(path, form.value):
            raise FailedError(f"the {form} of columns is another")


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
    with atheris.instrument_imports(include=["lab"]):  # only what is loaded in here: so each is gone through once
        sources, count, failed = seeds(), 0, 0
        (folder / "capture").write_bytes(sources[0])
        answer(folder / "capture", True)  # the first loads nearly all: that is not to be taken for slow
        for at, data in enumerate(sources):
            failed += not tried(data, folder, True, f"seed-{at}")
    begin, corpus = folder / "begin", folder / "corpus"
    for each in (begin, corpus, OUT):
        each.mkdir(parents=True, exist_ok=True)
    for at, data in enumerate(sources):
        (begin / str(at)).write_bytes(data)

    def one(data: bytes) -> None:
        nonlocal count, failed
        count += 1
        failed += not tried(data, folder, count % 8 == 0, f"guided-{zlib.crc32(data):08x}")
        if failed >= MOST_FAILED:
            raise FailedError("see captures/out")

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        return spoilt(data, sources, dice)[:most]

    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", f"-max_len={MOST_SEED}", "-rss_limit_mb=2048", "-timeout=600",
         f"-artifact_prefix={OUT}/fuzz-", "-print_final_stats=1", str(corpus), str(begin)],
        one, custom_mutator=mutated,
    )  # fmt: skip
    atheris.Fuzz()
    return 0


def apart(does: Callable[[], int]) -> int:
    """Returns what a child returns: libFuzzer ends its process as it stands, and what it has left is to be removed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = does()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--guided", type=int, metavar="SECONDS")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-fuzz-") as name:
        if asked.guided:
            return apart(lambda: guided(asked.guided, Path(name)))
        from lab.render import ladder, table  # noqa: F401 - what is loaded once does not count as memory of a capture

        have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (have + MEMORY, resource.RLIM_INFINITY))
        return min(by_chance(asked.count, asked.seed, Path(name)), 1)


if __name__ == "__main__":
    sys.exit(main())
