"""What Wireshark's dissectors tell of a WebSocket connection, and what of the lab's it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.engine.protocol import Dissector, Witnessed
from lab.text import Text

if TYPE_CHECKING:
    from lab.model import Message

Values = Mapping[str, Sequence[str]]

_METHOD, _STATUS, _OPCODE = "http.request.method", "http.response.code", "websocket.opcode"
_KEY, _ACCEPT, _PROTOCOL = "http.sec_websocket_key", "http.sec_websocket_accept", "http.sec_websocket_protocol"
_CODE, _REASON = "websocket.payload.close.status_code", "websocket.payload.close.reason"
_SWITCHING = "101"
_ANSWERS = (_SWITCHING, "refused")


def _requests(messages: Sequence[Message]) -> list[str]:
    return ["GET" for each in messages if each.name == "upgrade-request"]


def _answers(messages: Sequence[Message]) -> list[str]:
    return [each.name for each in messages if each.name in _ANSWERS]


def _their_answers(values: Values) -> list[str]:
    return [each if each == _SWITCHING else "refused" for each in values.get(_STATUS, ())]


def _frames(messages: Sequence[Message]) -> list[str]:
    return [str(each.facts["opcode"]) for each in messages if "opcode" in each.facts]


def _values(name: str) -> Callable[[Values], Sequence[str]]:
    return lambda values: values.get(name, ())


def _answered(name: str) -> Callable[[Values], Sequence[str]]:
    return lambda values: values.get(name, ()) if values.get(_STATUS) else ()


def _fact(name: str) -> Callable[[Mapping[str, Any]], list[str]]:
    return lambda facts: [str(facts[name])] if facts.get(name) is not None else []


def _close_code(facts: Mapping[str, Any]) -> list[str]:
    """1005 is never sent: it says that there was none (RFC 6455 section 7.4.1)."""
    return [] if facts.get("close_code") == 1005 else _fact("close_code")(facts)


DISSECTOR = Dissector(
    frozenset({"http", "websocket"}),
    (
        Witnessed(
            "websocket.request",
            Text("HTTP upgrade requests", "HTTP 升级请求"),
            (_METHOD,),
            _requests,
            _values(_METHOD),
            only_ours=True,
        ),
        Witnessed(
            "websocket.answer",
            Text("HTTP answers to them", "对升级请求的应答"),
            (_STATUS,),
            _answers,
            _their_answers,
            only_ours=True,
        ),
        Witnessed("websocket.frame", Text("WebSocket frames", "WebSocket 帧"), (_OPCODE,), _frames, _values(_OPCODE)),
        Witnessed(
            "websocket.key",
            Text("Sec-WebSocket-Key", "Sec-WebSocket-Key 字段"),
            (_KEY,),
            _fact("key"),
            _values(_KEY),
            whole=True,
        ),
        Witnessed(
            "websocket.accept",
            Text("Sec-WebSocket-Accept", "Sec-WebSocket-Accept 字段"),
            (_ACCEPT,),
            _fact("accept"),
            _values(_ACCEPT),
            whole=True,
        ),
        Witnessed(
            "websocket.subprotocol",
            Text("WebSocket subprotocol", "WebSocket 子协议"),
            (_PROTOCOL, _STATUS),
            _fact("subprotocol"),
            _answered(_PROTOCOL),
            whole=True,
        ),
        Witnessed(
            "websocket.close_code",
            Text("WebSocket close code", "WebSocket 关闭码"),
            (_CODE,),
            _close_code,
            _values(_CODE),
            whole=True,
        ),
        Witnessed(
            "websocket.close_reason",
            Text("WebSocket close reason", "WebSocket 关闭原因"),
            (_REASON,),
            _fact("close_reason"),
            _values(_REASON),
            whole=True,
        ),
    ),
)
