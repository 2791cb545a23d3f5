"""The public ways to a run: `lab.open`, `lab.run`, `lab.compare`. The commands use them too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path as File
from typing import Any

from lab.report.comparison import Comparison
from lab.report.comparison import compare as compare_sides
from lab.runs.compare import let_go, side_of
from lab.runs.recorded import open_run
from lab.runs.run import Run
from lab.runs.secrets import Secret, secrets


def open(  # noqa: A001 - it is called lab.open
    file: str | PathLike[str],
    *,
    keylog: Secret = None,
    server_key: Secret = None,
    conversation: int | None = None,
    filter: str | None = None,  # noqa: A002 - as the option of `lab annotate`
    words: bool = True,
    limit: bool = True,
) -> Run:
    """Returns the run of a capture (pcap or pcapng, compressed or not; "-" is standard input), read as it is asked for.

    `keylog` (an NSS key log) and `server_key` (PEM) are bytes, or the path of a file. `conversation` is the id of the
    only one whose packets are wanted, `filter` chooses whole conversations (`host 192.0.2.2 and not port 22`). Without
    `words` packets and messages are not told in words, which takes less time. Without `limit`, what is compressed is
    read however large it becomes. Raises InputError where there is nothing to read, UsageError for a filter that is
    none.
    """
    mine = None
    if filter is not None:
        from lab.protocols.selection import chosen

        mine = chosen(filter)
    log, key = secrets(keylog, server_key)
    return open_run(
        fspath(file), digest=True, keylog=log, server_key=key, only=conversation, mine=mine, words=words, limited=limit
    )  # fmt: skip


def run(
    scenario: str,
    *,
    rules: str | Iterable[str] = (),
    testbed: str = "auto",
    ipv6: bool = False,
    file: str | PathLike[str] | None = None,
    control: bool = False,
    words: bool = True,
) -> Run:
    """Returns the run of a scenario (`tcp/syn-lost`: `lab scenarios` lists them), played when it is gone through.

    `rules` are the wire's beside the scenario's own (`drop client SYN #1`), `testbed` is auto, netns or docker. The
    capture is saved in `file`, whatever ends the run; without one it is not. With `control` each packet is held until
    `run.control` says what becomes of it (release, drop, duplicate, delay, swap, edit, inject). Raises UsageError for a
    name, a rule or a testbed that is not there; going through it raises MachineError where this machine can't play it.
    """
    from lab.protocols.catalogue import scenario as named
    from lab.runs.live import Live
    from lab.testbed.play import played_on
    from lab.testbed.rules import parse

    played = named(scenario)
    asked = parse([rules] if isinstance(rules, str) else rules)
    save = File(fspath(file)) if file is not None else None
    source = Live(played, (*asked, *parse(played.rules)), ipv6, save, played_on(testbed, control))
    return Run(source, words=words)


def compare(
    a: str | PathLike[str],
    b: str | PathLike[str],
    *,
    conversations: Sequence[int] = (0, 0),
    keylog: Secret = None,
    server_key: Secret = None,
    limit: bool = True,
) -> Comparison:
    """Returns the comparison of a conversation of capture `a` with one of `b`, given by their ids.

    Raises InputError where a file can't be read, UsageError where it has no such conversation.
    """
    log, key = secrets(keylog, server_key)
    options: dict[str, Any] = {"words": True, "frames": False, "keylog": log, "server_key": key, "limited": limit}
    first, second = conversations
    run = open_run(fspath(a), only=first, **options)
    ours, position = side_of(run), run.source.position
    del run
    let_go(position)  # else both runs would be held
    return compare_sides(ours, side_of(open_run(fspath(b), only=second, **options)))
