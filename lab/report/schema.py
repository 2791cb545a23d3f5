"""The JSON schemas of what the lab writes, with what each protocol adds: its labels, its facts, its steps."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any

from lab.protocols import registry
from lab.protocols.exploration import KINDS, STIMULI, WAYS
from lab.protocols.notes import notes


@cache
def trace() -> dict[str, Any]:
    """Returns the schema of the trace, handshake-lab/trace/v1."""
    schema = _read("lab.report", "trace.schema.json")
    defs = schema["$defs"]
    conversation, packet, message = (defs[name]["properties"] for name in ("conversation", "packet", "message"))
    defs["state"]["enum"] = [*registry.TRANSPORT.tables["client"].states, None]
    conversation["protocols"]["items"]["enum"] = [each.name for each in registry.PROTOCOLS]
    for each in registry.PROTOCOLS:
        added = _read(f"lab.protocols.{each.name}", "schema.json")
        defs["label"]["enum"] += added["labels"]
        defs["step"]["enum"] += notes(each.name).steps
        defs |= added.get("defs", {})
        conversation[each.name] = added["facts"]
        defs["conversation"]["required"].append(each.name)
        message |= added.get("message", {})
    defs["label"]["enum"] += dict.fromkeys(each.name for each in registry.TRANSPORT.preambles)
    for upper in registry.UPPERS:
        packet["above"]["items"]["properties"]["protocol"]["enum"].append(upper.name)
        message["protocol"]["enum"].append(upper.name)
    return schema


@cache
def events() -> dict[str, Any]:
    """Returns the schema of one event, handshake-lab/events/v1; its definitions are the trace's."""
    schema = _read("lab.report", "events.schema.json")
    schema["$defs"] |= trace()["$defs"]
    return schema


@cache
def verify() -> dict[str, Any]:
    """Returns the schema of what the witnesses say, handshake-lab/verify/v1."""
    schema = _read("lab.report", "verify.schema.json")
    names = schema["$defs"]["name"]["enum"]
    for each in registry.UPPERS:
        if each.dissector is not None:
            names += [tells.name for tells in each.dissector.tells]
    return schema


@cache
def verify_packet() -> dict[str, Any]:
    """Returns the schema of one packet read twice, handshake-lab/verify-packet/v1; its definitions are the trace's."""
    schema = _read("lab.report", "verify-packet.schema.json")
    schema["$defs"] |= trace()["$defs"]
    return schema


@cache
def summary() -> dict[str, Any]:
    """Returns the schema of a line a conversation, handshake-lab/summary/v1."""
    return _read("lab.report", "summary.schema.json")


@cache
def grade() -> dict[str, Any]:
    """Returns the schema of a submission's marks, handshake-lab/grade/v1."""
    return _read("lab.grade", "marks.schema.json")


@cache
def grade_class() -> dict[str, Any]:
    """Returns the schema of a class's marks, handshake-lab/grade-class/v1, with those of its submissions."""
    schema = _read("lab.grade", "class.schema.json")
    marks = {key: value for key, value in grade().items() if key not in ("$schema", "$id", "$defs")}
    schema["$defs"] = {**grade()["$defs"], "marks": marks}
    return schema


@cache
def explore() -> dict[str, Any]:
    """Returns the schema of what a kernel does with segments in states, handshake-lab/explore/v1."""
    schema = _read("lab.report", "explore.schema.json")
    defs, cell = schema["$defs"], schema["$defs"]["cell"]["properties"]
    defs["state"]["enum"] = list(registry.TRANSPORT.tables["client"].states)
    cell["way"]["enum"] = [each.name for each in WAYS]
    cell["segment"]["enum"] = [each.name for each in STIMULI]
    return schema


@cache
def coverage() -> dict[str, Any]:
    """Returns the schema of what of the state diagram real kernels have walked, handshake-lab/coverage/v1."""
    schema = _read("lab.report", "coverage.schema.json")
    schema["$defs"]["state"]["enum"] = list(registry.TRANSPORT.tables["client"].states)
    schema["$defs"]["segment"]["properties"]["kind"]["enum"] = list(KINDS)
    return schema


@cache
def isns() -> dict[str, Any]:
    """Returns the schema of initial sequence numbers over many connections, handshake-lab/isns/v1."""
    return _read("lab.report", "isns.schema.json")


@cache
def view() -> dict[str, Any]:
    """Returns the schema of where a run stands that is stepped through, handshake-lab/view/v1."""
    schema = _read("lab.report", "view.schema.json")
    schema["$defs"]["state"]["enum"] = [*registry.TRANSPORT.tables["client"].states, None]
    return schema


@cache
def page() -> dict[str, Any]:
    """Returns the schema of what a page shows, handshake-lab/page/v1."""
    return _read("lab.report", "page.schema.json")


_SCHEMAS = {
    "trace": trace, "events": events, "summary": summary, "verify": verify, "verify-packet": verify_packet,
    "grade": grade, "grade-class": grade_class,
    "explore": explore, "coverage": coverage, "isns": isns, "view": view, "page": page,
}  # fmt: skip


def schema(name: str) -> dict[str, Any]:
    """Returns the JSON Schema of this name: "trace", "events", "summary", "verify", "verify-packet", "grade",
    "grade-class", "explore", "coverage", "isns", "view" or "page". It is the caller's own, to do with as it likes.
    Raises KeyError for another.
    """
    return deepcopy(_SCHEMAS[name]())


def _read(package: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(package) / name).read_text("utf-8"))
    return found
