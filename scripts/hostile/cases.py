"""All kinds of hostile captures, each with its size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from scripts.hostile import carried, files, waiting
from scripts.hostile.files import between, gzipped, plain


class Case(NamedTuple):
    """A kind of capture: how many units it has at full size, how it is written, how its file is called."""

    units: int
    write: Callable[[int, BinaryIO], None]
    suffix: str = ".pcap"


CASES: dict[str, Case] = {
    "unanswered-syn": Case(60_000, gzipped(waiting.unanswered_syn), ".pcap.gz"),
    "unanswered-syn-udp": Case(60_000, gzipped(waiting.unanswered_syn_udp), ".pcap.gz"),
    "unacknowledged": Case(1_000_000, plain(waiting.unacknowledged)),
    "swapped": Case(400_000, plain(waiting.swapped)),
    "conflicting": Case(400_000, gzipped(waiting.conflicting), ".pcap.gz"),
    "gaps": Case(60_000, gzipped(waiting.gaps), ".pcap.gz"),
    "pings": Case(5_000_000, plain(carried.pings)),
    "fragments-of-message": Case(5_000_000, plain(carried.fragments_of_message)),
    "deflated": Case(5_000, plain(carried.deflated)),
    "headers": Case(2_000_000, plain(carried.headers)),
    "requests": Case(50_000, plain(carried.requests)),
    "small-records": Case(1_700_000, plain(carried.small_records)),
    "small-handshake": Case(1_700_000, plain(carried.small_handshake)),
    "alerts": Case(1_400_000, plain(carried.alerts)),
    "changes": Case(1_700_000, plain(carried.changes)),
    "key-exchanges": Case(600_000, plain(carried.key_exchanges)),
    "finisheds": Case(300_000, plain(carried.finisheds)),
    "hellos": Case(200_000, plain(carried.hellos)),
    "greetings": Case(60_000, gzipped(carried.greetings), ".pcap.gz"),
    "ip-fragments": Case(200_000, gzipped(waiting.ip_fragments), ".pcap.gz"),
    "icmp-errors": Case(300_000, plain(waiting.icmp_errors)),
    "icmp-unsent": Case(300_000, plain(waiting.icmp_unsent)),
    "resets": Case(300_000, plain(waiting.resets)),
    "syns": Case(500_000, plain(waiting.syns)),
    "syns-of-one": Case(300_000, plain(waiting.syns_of_one)),
    "sacked": Case(300_000, plain(waiting.sacked)),
    "nested": Case(10_000, gzipped(waiting.nested), ".pcap.gz"),
    "options": Case(9_000, files.options, ".pcapng.gz"),
    "comments": Case(600, files.comments, ".pcapng.gz"),
    "claims": Case(100_000, files.claims, ".pcapng.gz"),
    "unsettled": Case(60_000, files.unsettled, ".pcapng.gz"),
    "short-comments": Case(5_000, files.short_comments, ".pcapng.gz"),
    "empty-blocks": Case(9_700_000, between(files.empty_blocks), ".pcapng.gz"),
    "large-blocks": Case(600, between(files.large_blocks), ".pcapng.gz"),
    "largest-blocks": Case(10, files.largest_blocks, ".pcapng.gz"),
    "interfaces": Case(3_000_000, between(files.interfaces), ".pcapng.gz"),
    "sections": Case(2_000_000, between(files.sections), ".pcapng.gz"),
    "host-names": Case(200_000, between(files.hosts), ".pcapng.gz"),
    "secrets": Case(400, between(files.secrets), ".pcapng.gz"),
    "secrets-one-by-one": Case(65_000, files.secrets_one_by_one, ".pcapng.gz"),
    "statistics": Case(10_000, between(files.statistics), ".pcapng.gz"),
    "bomb-bzip2": Case(40_000, files.bomb_bzip2, ".pcap.bz2"),
    "bomb-gzip": Case(4_000, files.bomb_gzip, ".pcap.gz"),
}


def make(name: str, file: Path, scale: float = 1) -> Path:
    """Writes a case to a file."""
    case = CASES[name]
    with file.open("wb") as out:
        case.write(max(int(case.units * scale), 1), out)
    return file
