"""The public ways to a run: `lab.open`, `lab.run`, `lab.compare`. The commands use them too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path as File

from lab.errors import InputError
from lab.protocols.registry import UPPERS
from lab.report.comparison import Comparison
from lab.report.comparison import compare as compare_sides
from lab.runs.compare import side_of
from lab.runs.recorded import open_run
from lab.runs.run import Run
from lab.text import Text

Secret = bytes | str | PathLike[str] | None
_MOST_SECRET = 64 << 20  # bytes of a file of secrets


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
    sides = [
        side_of(
            open_run(fspath(file), only=number, words=True, frames=False, keylog=log, server_key=key, limited=limit)
        )
        for file, number in zip((a, b), conversations, strict=True)
    ]
    return compare_sides(*sides)


def secrets(keylog: Secret, server_key: Secret) -> tuple[bytes, bytes]:
    """Returns a key log and a server's key that are given as bytes or as the paths of files.

    Raises InputError where a file can't be read, or is not what it is given for.
    """
    log, key = _secret(keylog), _secret(server_key)
    for given, of in ((keylog, (log, b"")), (server_key, (b"", key))):
        if given is None or isinstance(given, bytes):
            continue
        why = [each.refuses(*of) for each in UPPERS if each.refuses is not None]
        if why and all(why):  # nobody can do anything with it
            assert why[0] is not None
            raise _no_secrets(fspath(given), why[0])
    return log, key


def _secret(given: Secret) -> bytes:
    if given is None or isinstance(given, bytes):
        return given or b""
    path = File(fspath(given))
    try:
        with path.open("rb") as file:
            found = file.read(_MOST_SECRET + 1)
    except OSError as error:
        raise InputError(
            Text(f"{path} can't be read: {error.strerror}", f"无法读取 {path}：{error.strerror}"),
            Text("give a file of secrets that you may read", "请给出一个可读取的密钥文件"),
        ) from error
    if not 0 < len(found) <= _MOST_SECRET:
        most = _MOST_SECRET >> 20
        why = Text("is larger than {0} MB", "超过 {0} MB").format(most) if found else Text("is empty", "是空的")
        raise _no_secrets(str(path), why)
    return found


def _no_secrets(path: str, why: Text) -> InputError:
    return InputError(
        Text(f"{path} {why.en}", f"{path} {why.zh}"),
        Text("give a key log or a private key, or leave the option out", "请给出密钥日志或私钥，或去掉该选项"),
    )
