"""What is wrong with a TLS connection as a whole: who ended it, and by which alert (RFC 9846)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.engine.protocol import Placed, Trouble
from lab.text import ROLES, Text

_FATAL, _WARNING, _WRONG = 90, 20, 88
_ABOUT_A_CERTIFICATE = {
    "bad_certificate", "unsupported_certificate", "certificate_revoked", "certificate_expired", "certificate_unknown",
    "unknown_ca", "certificate_required", "bad_certificate_status_response",
}  # fmt: skip
_ABOUT_THE_OFFER = {
    "handshake_failure", "protocol_version", "insufficient_security", "no_application_protocol",
    "inappropriate_fallback", "missing_extension", "unrecognized_name",
}  # fmt: skip


def troubles(facts: Mapping[str, Any], placed: Placed) -> list[Trouble]:
    """Returns what is wrong, by the facts of the trace and the packets with alerts."""
    told = facts["tls"]
    packets: dict[str, list[int]] = {"client": [], "server": []}
    for _, who, number in sorted(
        (number, who, number) for label in ("alert", "close_notify") for who, number in placed.get(label, ())
    ):
        packets[who].append(number)
    found: list[Trouble] = []
    for alert in told["alerts"]:
        place = packets[alert["from"]].pop(0) if packets[alert["from"]] else None
        if alert["description"] not in ("close_notify", "user_canceled"):
            said = _said(alert, chosen=told["cipher_suite"] is not None)
            found.append(Trouble(_FATAL if alert["level"] == "fatal" else _WARNING, said, place))
    if told["finished_verified"] is False:
        found.append(Trouble(_WRONG, Text("a Finished is wrong", "Finished 不符"), None))
    return found


def _said(alert: Mapping[str, Any], chosen: bool) -> Text:
    who, why = alert["from"], alert["description"]
    role = ROLES[who]
    if why in _ABOUT_A_CERTIFICATE:
        return Text(f"the {role.en} rejected the certificate, {why}", f"{role.zh}拒绝了证书，{why}")
    if why in _ABOUT_THE_OFFER and who == "server" and not chosen:
        return Text(f"the server refused what was offered, {why}", f"服务器拒绝了所提供的参数，{why}")
    return Text(f"the {role.en} sent the alert {why}", f"{role.zh}发出警报 {why}")
