"""Real TLS as frames of a TCP connection: what two OpenSSL ends said, cut into segments, each flight acknowledged.

capture = captured("TLS 1.3")
walk(capture.frames, keylog=capture.keylog)
"""

from __future__ import annotations

import io
import json
import ssl
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from rich.console import Console

from lab.engine.layer import Layer
from lab.engine.record import Record
from lab.model import Frame, Packet, Role
from lab.protocols.tcp.conversation import Conversation
from lab.protocols.tls.session import Session
from lab.render.comments import comments
from lab.render.keys import worked_examples
from lab.render.ladder import Ladder
from lab.render.trace import as_json, dump, packet_lines
from lab.report import schema
from lab.report.agreement import agreement
from lab.report.conversations import entry, report
from lab.report.packets import packet
from lab.report.steps import steps
from lab.text import LANGUAGES
from tests.packets import IPV4, OPEN, Pair, ladder, path
from tests.protocols.tls import handshakes
from tests.protocols.tls.handshakes import Contexts, converse, identity

MSS = 1460
SCHEMA = Draft202012Validator(schema.trace())
Flights = Sequence[tuple[Role, bytes]]


class Capture(NamedTuple):
    """What passed between two ends, and the secrets that open it."""

    flights: Flights
    keylog: bytes
    server_key: bytes

    @property
    def frames(self) -> list[Frame]:
        return frames(self.flights)

    def stream(self, role: Role) -> bytes:
        return b"".join(data for sender, data in self.flights if sender == role)


class Walked(NamedTuple):
    """What the path made of a capture with one conversation in it."""

    records: list[Record]
    only: Conversation

    @property
    def packets(self) -> list[Packet]:
        """The packets, told in words."""
        return [packet(record, words=True) for record in self.records]

    @property
    def above(self) -> Layer:
        above: Layer = self.only.above
        return above

    @property
    def session(self) -> Session:
        assert isinstance(self.above.session, Session)
        return self.above.session

    @property
    def tls(self) -> dict[str, Any]:
        """The trace's `tls` object."""
        found: dict[str, Any] = entry(self.only)["tls"]
        return found

    @property
    def steps(self) -> dict[int, tuple[tuple[int, ...], str | None]]:
        """The notes' steps of TLS: packets, and the code of how each differs."""
        return {
            int(step.id[-1]): (step.packets, step.differs and step.differs.code)
            for step in steps(self.only)
            if step.id.startswith("tls.")
        }

    @property
    def ladder(self) -> list[str]:
        """Each packet that completes messages: the sender's state when it left, the receiver's when it had arrived."""
        return [
            f"{_led(record)}: {' '.join(each.said.name for each in record.messages)}"
            for record in self.records
            if record.above
        ]

    @property
    def messages(self) -> list[str]:
        """The names of all messages in order, each with who sends it: `c> ClientHello`."""
        return [f"{_who(record)}> {message.said.name}" for record in self.records for message in record.messages]

    @property
    def surprises(self) -> list[object]:
        return [surprise for record in self.records for surprise in record.surprises]


def _led(record: Record) -> str:
    assert record.end
    ((_, held, delivered),) = record.above
    if record.end.role == "client":
        return f"{held.client} > {delivered.server if delivered else 'lost'}"
    return f"{delivered.client if delivered else 'lost'} < {held.server}"


def _who(record: Record) -> str:
    assert record.end
    return record.end.role[0]


def lines(flights: Flights, mss: int = MSS, close: bool = True) -> list[str]:
    """Returns a connection in the notation of tests/packets.py, from the SYN to the last ACK."""
    said = list(OPEN)
    numbers = {"client": 1, "server": 1}
    for role, data in flights:
        other: Role = "server" if role == "client" else "client"
        for at in range(0, len(data), mss):
            piece = data[at : at + mss]
            said.append(f'{role[0]}> data {numbers[role]} {numbers[other]} x"{piece.hex()}"')
            numbers[role] += len(piece)
        said.append(f"{other[0]}> ACK {numbers[other]} {numbers[role]}")
    if close:
        c, s = numbers["client"], numbers["server"]
        said += [f"c> FIN {c} {s}", f"s> FIN {s} {c + 1}", f"c> ACK {c + 1} {s + 1}"]
    return said


def frames(flights: Flights, mss: int = MSS, pair: Pair = IPV4, close: bool = True) -> list[Frame]:
    return ladder(*lines(flights, mss, close), pair=pair)


def walk(frames: Iterable[Frame], keylog: bytes = b"", server_key: bytes = b"") -> Walked:
    """Takes a capture of one conversation through the path, as a recording is taken."""
    way = path(keylog, server_key)
    records = list(way.settled(frames))
    (only,) = way.conversations
    return Walked(records, only)


def shown(frames: Iterable[Frame], keylog: bytes = b"", server_key: bytes = b"") -> str:
    """Returns all that the lab says of a capture, in both languages; what is JSON in it keeps its schema's promises."""
    way = path(keylog, server_key)
    records = list(way.settled(frames))
    packets = [packet(record, words=True) for record in records]
    reports = [report(each, examples=True) for each in way.conversations]
    out = io.StringIO()
    for lang in LANGUAGES:
        ladder = Ladder(Console(file=out, highlight=False), lang)
        for each in packets:
            ladder.rung(each)
        ladder.summary(reports, agreement(packets), Counter(each.facts["conn_state"] for each in reports))
        worked_examples(reports, out, lang)
    for each in packets:
        out.write("\n".join(comments(each)))
    document = io.StringIO()
    about = {"name": "", "sha256": "", "format": "pcap", "packets": len(packets), "problems": []}
    as_json(packet_lines(records), ((0, dump(each.facts)) for each in reports), lambda: about, document.write)
    SCHEMA.validate(json.loads(document.getvalue()))
    return out.getvalue()


# What is captured.


def _cbc() -> Contexts:
    return handshakes.both(ssl.TLSVersion.TLSv1_2, "AES128-SHA256")


def _untrusted(version: ssl.TLSVersion) -> Contexts:
    """The client knows no certificate authority, and says so."""
    made = handshakes.both(version)
    return made._replace(client=_bare(version))


def _no_client_certificate(version: ssl.TLSVersion) -> Contexts:
    """The server insists on a certificate that the client does not have."""
    made = handshakes.both(version)
    made.server.load_verify_locations(cadata=made.certificate)
    made.server.verify_mode = ssl.CERT_REQUIRED
    return made


def _alpn_12() -> Contexts:
    made = handshakes.ecdhe()
    made.client.set_alpn_protocols(["h2", "http/1.1"])
    made.server.set_alpn_protocols(["http/1.1"])
    return made


def _no_ticket() -> Contexts:
    made = handshakes.ecdhe()
    made.server.options |= ssl.OP_NO_TICKET
    return made


def _bare(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    return context


_TLS12, _TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MADE: dict[str, Callable[[], Contexts]] = {
    "TLS 1.2 RSA": handshakes.static_rsa,
    "TLS 1.2 RSA, CBC": _cbc,
    "TLS 1.2 ECDHE": handshakes.ecdhe,
    "TLS 1.2 ALPN": _alpn_12,
    "TLS 1.2 client certificate": handshakes.client_certificate_12,
    "TLS 1.2 resumed": handshakes.ecdhe,
    "TLS 1.2 resumed by session id": _no_ticket,
    "TLS 1.2 untrusted": partial(_untrusted, _TLS12),
    "TLS 1.2 no client certificate": partial(_no_client_certificate, _TLS12),
    "TLS 1.3": handshakes.tls13,
    "TLS 1.3 ALPN": handshakes.alpn,
    "TLS 1.3 hello retry": handshakes.hello_retry,
    "TLS 1.3 client certificate": handshakes.client_certificate,
    "TLS 1.3 resumed": handshakes.tls13,
    "TLS 1.3 untrusted": partial(_untrusted, _TLS13),
    "TLS 1.3 no client certificate": partial(_no_client_certificate, _TLS13),
    "no version in common": handshakes.no_agreement,
}


@cache
def captured(name: str) -> Capture:
    """Plays one of MADE, once for all tests."""
    return play(MADE[name], "resumed" in name)


def play(make: Callable[[], Contexts], resume: bool = False, said: bytes = b"hello") -> Capture:
    with tempfile.TemporaryDirectory() as folder:
        keylog = Path(folder, "keys")
        made = make()
        made.client.keylog_filename = str(keylog)
        talk = converse(made, said=said)
        if resume:
            talk = converse(made, talk.client.session, said)
            assert talk.client.session_reused
        return Capture(talk.flights, keylog.read_bytes(), identity("rsa")[0])
