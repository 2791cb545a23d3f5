"""What became of a TCP conversation as a whole: its steps, where they depart from the notes, and Zeek's short form."""

from __future__ import annotations

import re
import struct
from binascii import b2a_base64
from collections.abc import Sequence
from typing import Any

from lab.engine.conversation import Seen
from lab.engine.protocol import StepOutcome
from lab.model import Role
from lab.protocols.tcp.conversation import Conversation, End
from lab.protocols.tcp.icmp import Kind
from lab.protocols.tcp.segment import TCP, options
from lab.protocols.tcp.states import TABLE

STEPS = tuple(f"tcp.{phase}.{number}" for phase in ("open", "close") for number in (1, 2, 3, 4))
OTHER: dict[Role, Role] = {"client": "server", "server": "client"}
GOT = frozenset(row.step for row in TABLE.rows if row.step and row.on.startswith("got "))  # steps that nobody sends
_NEVER: tuple[Seen, ...] = ()
_ASKED_AND_RESET = re.compile("S[^HAFGIQ]*R")
_COMMUNITY = struct.Struct("!BxHH").pack
_ERRORS = frozenset(Kind)
_OF_WHO_BEGAN = ("tcp.open.1", "tcp.open.3", "tcp.close.1", "tcp.close.4")


def usual_actor(step: str, began: Role = "client") -> Role:
    """Returns who acts in a step, where `began` is who opened, or closed first."""
    return began if step in _OF_WHO_BEGAN else OTHER[began]


def actor(conversation: Conversation, step: str) -> Role:
    """Returns who acts in a step of a conversation: who did first, or where it was not seen, who would have."""
    found = seen(conversation, step)
    if found and step == "tcp.open.4" and not seen(conversation, "tcp.open.1"):
        return usual_actor(step)  # its own packets show it, where the client's were not captured
    if found:
        return OTHER[found[0].sender] if step in GOT else found[0].sender
    return usual_actor(step, conversation.began.get(step.rpartition(".")[0], "client"))


def steps(conversation: Conversation) -> list[StepOutcome]:
    """Returns what became of each of the notes' steps."""
    return [_outcome(conversation, step) for step in STEPS]


def _outcome(conversation: Conversation, step: str) -> StepOutcome:
    packets = tuple(dict.fromkeys(each.number for each in seen(conversation, step)))
    code = differs(conversation, step)
    return StepOutcome(step, packets, code, actor(conversation, step), *_known(conversation, packets, code))


def _known(conversation: Conversation, packets: tuple[int, ...], code: str | None) -> tuple[str, tuple[int, ...]]:
    """Returns what more is known of how a step departs from the notes, and of which of its packets."""
    if code is None:
        return "", ()
    if code in _ERRORS:
        asked = not seen(conversation, "tcp.open.2") and _refused(conversation, seen(conversation, "tcp.open.1"))
        return ("syn" if asked else ""), ()
    if code in ("half-open", "challenged"):
        return ("time-wait" if conversation.refused_in == "TIME-WAIT" else ""), ()
    refused = tuple(number for number in packets if conversation.undelivered.get(number) == "inferred")
    refused = tuple(number for number in refused if number in (conversation.errors or ()))
    if code == "retransmitted" and refused:
        return "icmp", refused
    for by in ("journal", "inferred") if code in ("lost", "unanswered", "retransmitted") else ():
        gone = tuple(number for number in packets if conversation.undelivered.get(number) == by)
        if gone:
            return by, gone
    if code == "unanswered" and conversation.unheeded and conversation.server.isn is None:
        return "unheeded", ()
    return ("reset" if code == "unanswered" and packets and conversation.reset_by else ""), ()


def facts(which: Conversation) -> dict[str, Any]:
    """Returns what the trace has of a conversation that is TCP's own."""
    client, server = which.client, which.server
    return {
        "community_id": community_id(client.address, client.port, server.address, server.port),
        "opened": opened(which),
        "closed": closed(which),
        "conn_state": conn_state(which),
        "history": which.history,
        "tcp": {
            "client_isn": client.isn,
            "server_isn": server.isn,
            "retransmissions": which.retransmissions,
            "options": {end.role: _options(end) for end in which.ends},
            **({"one_direction": which.alone} if which.alone is not None else {}),
        },
    }


def details(which: Conversation) -> dict[str, Any]:
    """Returns what a comparison or a summary asks for, and the trace does not have."""
    return {
        "closes_first": which.began.get("tcp.close"),
        "answered_by": which.answered_by,
        "holes": sum(len(end.holes or ()) for end in which.ends),  # that nothing captured later has filled
    }


def _options(end: End) -> dict[str, Any] | None:
    return options(end.options)._asdict() if end.options is not None else None


def community_id(address: bytes, port: int, other: bytes, other_port: int) -> str:
    """Returns the Community ID, version 1, seed 0, of two ends, whichever comes first."""
    from hashlib import sha1  # here: it loads OpenSSL, which no other command needs

    if (other, other_port) < (address, port):
        address, port, other, other_port = other, other_port, address, port
    hashed = b"\0\0" + address + other + _COMMUNITY(TCP, port, other_port)
    return "1:" + b2a_base64(sha1(hashed, usedforsecurity=False).digest(), newline=False).decode()


def seen(conversation: Conversation, step: str) -> Sequence[Seen]:
    """Returns the packets in which a step was seen."""
    return conversation.steps.get(step, _NEVER)


def opened(conversation: Conversation) -> bool:
    """Whether the opening was seen to its end, step 4."""
    return bool(seen(conversation, "tcp.open.4"))


def closed(conversation: Conversation) -> str | None:
    """Returns `fin` where both ends' FINs were acknowledged, or both sent before a reset, `rst` where a reset ended it.

    None while it is open.
    """
    if conversation.reset_by and not conversation.fins_before:
        return "rst"
    return "fin" if conversation.over else None


def differs(conversation: Conversation, step: str) -> str | None:
    """Returns the code of how this step departs from the notes (the codes of notes.toml), None where it does not."""
    found = seen(conversation, step)
    if not found:
        return _why_unseen(conversation, step)
    opening = step.startswith("tcp.open")
    if opening and _both(seen(conversation, "tcp.open.1")):
        return "simultaneous-open" if {"h", "H"} <= set(conversation.history) else "split-handshake"
    second, third = (seen(conversation, f"tcp.close.{number}") for number in (2, 3))
    if not opening and step != "tcp.close.1" and second and third:
        if third[0].number < second[0].number:
            return "simultaneous-close"
        if step != "tcp.close.4" and third[0].number in [each.number for each in second]:
            return "merged"
    return _of_its_segments(conversation, step, found, second)


def _of_its_segments(
    conversation: Conversation, step: str, found: Sequence[Seen], second: Sequence[Seen]
) -> str | None:
    if step == "tcp.close.1" and conversation.began.get("tcp.close") == "server":
        return "server-closes-first"
    if step == "tcp.open.2" and any(end.cookie for end in conversation.ends):
        return "syn-cookie"
    if step != "tcp.open.4":
        if all(each.number in conversation.undelivered for each in found):
            known = any(conversation.undelivered[each.number] for each in found)
            left = "unanswered" if step != "tcp.open.3" else "lost" if known else "unconfirmed"
            return _refused(conversation, found) or left
        if len(found) > 1 and any(each.number in conversation.refused for each in found):
            return "half-open"
        if found[0].number in conversation.refused:
            return "challenged"
        if len(found) > 1:
            halves = step == "tcp.open.2" and found[0].start == found[0].stop
            return "split-handshake" if halves else "retransmitted"
        if step == "tcp.close.3" and second and found[0].start > second[0].stop:
            return "half-close"
        if found[0].payload:
            return "carries-data"
    return None


def _why_unseen(conversation: Conversation, step: str) -> str:
    if conversation.refused:
        return "challenged"
    if conversation.order_unknown and step.startswith("tcp.close"):
        return "order-unknown"
    first_syn_missing = step == "tcp.open.1" and conversation.client.isn is None
    unheard = conversation.client.unheard or conversation.server.unheard
    if unheard or (step == "tcp.open.2" and seen(conversation, "tcp.open.3")):
        return "not-captured"
    if first_syn_missing or (step.startswith("tcp.open") and not conversation.from_syn):
        return "not-captured"
    if conversation.reset_by == "server" and conversation.server.isn is None and conversation.from_syn:
        return "refused"
    if conversation.reset_by:
        return "reset"
    if step.startswith("tcp.open") or not opened(conversation):
        if not conversation.from_syn:
            return "not-finished"
        last = next((found for part in (3, 2, 1) if (found := seen(conversation, f"tcp.open.{part}"))), ())
        return _refused(conversation, last) or "unanswered"
    return "not-finished"


def _refused(conversation: Conversation, found: Sequence[Seen]) -> str | None:
    """Returns what the last ICMP error says that answers one of these packets, None where none does."""
    errors = conversation.errors or {}
    return next((errors[each.number] for each in reversed(found) if each.number in errors), None)


def _both(found: Sequence[Seen]) -> bool:
    return len({each.sender for each in found}) == 2


def conn_state(conversation: Conversation) -> str:
    """Returns Zeek's conn_state, decided from the history as Zeek's own script decides it, with our roles.

    To it an end that was seen, and not its SYN, is partial, as if it were not there: but for the originator where the
    responder's SYN-ACK stands before all that it says.
    """
    letters = conversation.history
    before, _, after = letters.partition("h")
    asked = "S" in letters or "H" in letters
    client = asked or ((before.islower() or not before) and after != after.lower())
    server = "h" in letters or "s" in letters
    fins = "F" in letters, "f" in letters
    if conversation.fins_before and server:
        return "SF"
    if conversation.reset_by and "r" in letters:
        if "R" in letters:
            return "RSTR" if "d" in letters.lower() else "REJ"
        if asked and not server and not fins[0]:
            return "REJ"
        return "RSTR" if client or fins[0] else "RSTRH"
    if conversation.reset_by:
        if server or fins[1]:
            return "RSTO"
        return "RSTOS0" if _ASKED_AND_RESET.match(letters) else "OTH"
    if conversation.unheeded and not server:
        return "REJ"  # to Zeek any RST that comes back for a SYN refuses it
    if any(fins):
        return {(True, True): "SF", (True, False): "S2" if server else "SH"}.get(fins, "S3" if client else "SHR")
    if client and server:
        return "S1"
    return "S0" if asked and not server and not {"d", "t"} & set(letters) else "OTH"
