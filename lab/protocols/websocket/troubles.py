"""What is wrong with a WebSocket connection as a whole: refused, a wrong answer, an ending that is none (RFC 6455)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.engine.protocol import Placed, Trouble
from lab.text import Text

_REFUSED, _WRONG, _CODE, _ABNORMAL = 75, 78, 65, 45
_GOOD = (1000, 1001, 1005)  # section 7.4.1


def troubles(facts: Mapping[str, Any], placed: Placed) -> list[Trouble]:
    """Returns what is wrong, by the facts of the trace and the packets with answers and Closes."""
    told = facts["websocket"]
    found: list[Trouble] = []

    def at(label: str) -> int | None:
        packets = placed.get(label, ())
        return packets[0][1] if packets else None

    if told["accepted"] is False and told.get("status") is not None:
        status = told["status"]
        said = Text(f"the server refused the upgrade, {status}", f"服务器拒绝了升级，{status}")
        found.append(Trouble(_REFUSED, said, at("refused")))
    if told["accept_valid"] is False:
        found.append(Trouble(_WRONG, Text("Sec-WebSocket-Accept is wrong", "Sec-WebSocket-Accept 不符"), at("101")))
    code = told["close_code"]
    if code is not None and code not in _GOOD:
        found.append(Trouble(_CODE, Text(f"closed with code {code}", f"以关闭码 {code} 关闭"), at("close")))
    elif code is None and told["accepted"] and told["accept_valid"] is not False and facts["closed"] is not None:
        found.append(Trouble(_ABNORMAL, Text("TCP ended without a Close (1006)", "TCP 结束前没有 Close（1006）"), None))
    return found
