"""Which bytes of a frame are whose: each above the transport once, by its own name."""

from __future__ import annotations

from lab.render.bytes import carried, dumped
from lab.report.packets import packet
from tests.packets import OPEN, ladder
from tests.packets import walk as walked
from tests.protocols.tls.captures import captured, frames, walk

PROXY = b"PROXY TCP4 198.51.100.7 192.0.2.3 51234 443\r\n"


def test_what_stands_before_a_protocol_is_not_called_by_its_name() -> None:
    (_, hello), *others = captured("TLS 1.3").flights
    made = frames([("client", PROXY + hello), *others])
    first = next(record for record in walk(made).records if record.messages)
    found = carried(packet(first, words=True, fields=True), "", "en")
    at = found[0].span.start
    assert [(field.layer, field.name, field.span.start - at, field.span.end - at) for field in found] == [
        ("proxy-header", "proxy-header", 0, len(PROXY)),
        ("TLS", "record", len(PROXY), len(PROXY) + len(hello)),
        ("TLS", "ClientHello", len(PROXY) + 5, len(PROXY) + len(hello)),
    ]


def test_data_that_no_protocol_reads_has_no_name() -> None:
    record = walked(ladder(*OPEN, "c> data 1 1 14")).records[-1]
    assert carried(packet(record, words=True, fields=True), "", "en") == []


def test_lines_are_as_wide_as_they_may_be_and_names_are_whole() -> None:
    of = ["Ethernet"] * 14 + ["IPv4"] * 20 + ["WebSocket"] * 30
    for width in (60, 79, 80, 100):
        lines = [line.plain for line in dumped(bytes(range(64)), width, "", of)]
        assert max(map(len, lines)) <= width
        assert len(lines) == (4 if width >= 80 else 8)
        assert lines[-1].endswith("WS")
        assert "…" not in "".join(lines)
    assert dict.fromkeys(line.plain[-13:] for line in dumped(bytes(16), 100, "", of)) == {"Ethernet IPv4": None}
