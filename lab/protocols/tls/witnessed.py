"""What Wireshark's dissector tells of TLS, by its names of fields, and what of the lab's it is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.engine.protocol import Dissector, Witnessed
from lab.protocols.tls import codes
from lab.protocols.tls.codes import MESSAGES
from lab.text import Text

if TYPE_CHECKING:
    from lab.model import Message

Values = Mapping[str, Sequence[str]]

_RECORD, _OUTER, _TYPE = "tls.record.content_type", "tls.record.opaque_type", "tls.handshake.type"
_VERSION, _SELECTED = "tls.handshake.version", "tls.handshake.extensions.supported_version"
_SUITE, _ALERT = "tls.handshake.ciphersuite", "tls.alert_message.desc"
_SNI = "tls.handshake.extensions_server_name"
_CLIENT_HELLO, _SERVER_HELLO = str(codes.CLIENT_HELLO), str(codes.SERVER_HELLO)
# HelloRetryRequest is a ServerHello with a random of its own (RFC 9846): Wireshark has one name for both.
_HANDSHAKES = {
    **{name: name for name in MESSAGES.values()},
    "HelloRetryRequest": "ServerHello",
    "handshake": "handshake",
}
_ALERTS = {"alert", "close_notify"}


def _handshakes(messages: Sequence[Message]) -> list[str]:
    return [_HANDSHAKES[each.name] for each in messages if each.name in _HANDSHAKES]


def _their_handshakes(values: Values) -> list[str]:
    return [MESSAGES.get(_number(each), "handshake") for each in values.get(_TYPE, ())]


def _of(names: set[str]) -> Callable[[Sequence[Message]], list[str]]:
    return lambda messages: [each.name for each in messages if each.name in names]


def _their_records(kind: int, name: str) -> Callable[[Values], list[str]]:
    return lambda values: [name for each in values.get(_RECORD, ()) if _number(each) == kind]


def _their_alerts(values: Values) -> list[str]:
    """An alert that is not opened is a record and has no description."""
    told = ["close_notify" if _number(each) == 0 else "alert" for each in values.get(_ALERT, ())]
    return told + ["alert"] * (len(_their_records(codes.ALERT, "")(values)) - len(told))


def _sealed(messages: Sequence[Message], values: Values) -> bool:
    """Whether a message has its name by its place and its length only: it was not opened here, or not there."""
    ours, theirs = Counter(_handshakes(messages)), Counter(_their_handshakes(values))
    inferred = Counter(
        _HANDSHAKES[each.name]
        for each in messages
        if each.name in _HANDSHAKES and all(span.buffer == "frame" for span in each.spans)
    )
    closed = len(values.get(_OUTER, ())) or (
        len(_their_records(codes.HANDSHAKE, "")(values)) > 0 and sum(theirs.values()) < sum(ours.values())
    )
    return bool(closed) and not ours - theirs - inferred and not theirs - ours


def _hello(values: Values) -> bool:
    """Whether there is a ServerHello, and no ClientHello whose offers would stand beside what is chosen."""
    types = values.get(_TYPE, ())
    return _SERVER_HELLO in types and _CLIENT_HELLO not in types


def _their_version(values: Values) -> list[str]:
    if not _hello(values):
        return []
    return [codes.name(codes.VERSIONS, _number(each)) for each in (values.get(_SELECTED) or values.get(_VERSION, ()))]


def _their_suite(values: Values) -> list[str]:
    return [codes.name(codes.SUITES, _number(each)) for each in values.get(_SUITE, ())] if _hello(values) else []


def _their_sni(values: Values) -> list[str]:
    return list(values.get(_SNI, ())[:1]) if _CLIENT_HELLO in values.get(_TYPE, ()) else []


def _their_descriptions(values: Values) -> list[str]:
    return [codes.name(codes.ALERTS, _number(each)) for each in values.get(_ALERT, ())]


def _fact(name: str) -> Callable[[Mapping[str, Any]], list[str]]:
    return lambda facts: [str(facts[name])] if facts.get(name) is not None else []


def _descriptions(facts: Mapping[str, Any]) -> list[str]:
    return [each["description"] for each in facts["alerts"]]


def _number(value: str) -> int:
    """Returns a number as tshark writes it, -1 for none."""
    try:
        return int(value, 0)
    except ValueError:
        return -1


def _same(names: Iterable[str]) -> Text:
    return Text(*[" ".join(names)] * 2)


DISSECTOR = Dissector(
    frozenset({"tls"}),
    (
        Witnessed(
            "tls.handshake",
            Text("TLS handshake messages", "TLS 握手消息"),
            (_TYPE, _RECORD, _OUTER),
            _handshakes,
            _their_handshakes,
            sealed=_sealed,
        ),
        Witnessed(
            "tls.change_cipher_spec",
            Text("TLS ChangeCipherSpec", "TLS ChangeCipherSpec 消息"),
            (_RECORD,),
            _of({"ChangeCipherSpec"}),
            _their_records(codes.CHANGE_CIPHER_SPEC, "ChangeCipherSpec"),
        ),
        Witnessed("tls.alert", Text("TLS alerts", "TLS 警报"), (_ALERT, _RECORD), _of(_ALERTS), _their_alerts),
        Witnessed(
            "tls.data",
            Text("TLS application data", "TLS 应用数据"),
            (_RECORD,),
            _of({"application-data"}),
            _their_records(codes.APPLICATION_DATA, "application-data"),
        ),
        Witnessed(
            "tls.version",
            Text("TLS version", "TLS 版本"),
            (_TYPE, _VERSION, _SELECTED),
            _fact("version"),
            _their_version,
            whole=True,
        ),
        Witnessed(
            "tls.cipher_suite",
            Text("TLS cipher suite", "TLS 加密套件"),
            (_TYPE, _SUITE),
            _fact("cipher_suite"),
            _their_suite,
            whole=True,
        ),
        Witnessed(
            "tls.sni", Text("TLS server name", "TLS 服务器名称"), (_TYPE, _SNI), _fact("sni"), _their_sni, whole=True
        ),
        Witnessed(
            "tls.descriptions",
            Text("TLS alerts' descriptions", "TLS 警报的内容"),
            (_ALERT,),
            _descriptions,
            _their_descriptions,
            whole=True,
        ),
    ),
)
