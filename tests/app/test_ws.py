"""`lab ws`: what it writes fits the schema of the trace, in the clear and inside TLS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lab.report import schema
from tests.places import ROOT


@pytest.mark.parametrize("options", [[], ["--tls"]])
def test_the_command_writes_a_trace_that_fits_the_schema(namespaces: None, tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "lab", "ws", *options, "--json", "-o", str(tmp_path / "ws.pcapng")]
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, timeout=60)
    told = json.loads(done.stdout)
    Draft202012Validator(schema.trace()).validate(told)
    (which,) = told["conversations"]
    assert which["protocols"] == ["tcp", *(["tls"] if options else []), "websocket"]
    assert {message["opcode"] for each in told["packets"] for message in each["messages"] if "opcode" in message} >= {
        1,
        8,
    }
