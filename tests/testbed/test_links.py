"""What is set up in a namespace holds at once: nothing of it is left to a thread of the kernel's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.places import ROOT

if sys.platform != "linux":
    pytest.skip("network namespaces exist on Linux only", allow_module_level=True)

# On one CPU and without a call that waits, so that no thread of the kernel runs between giving the address and its use.
TO_ITSELF = """
import os, socket
from lab.testbed import links
from lab.testbed.namespaces import enter_namespaces

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
enter_namespaces()
links.switch_on("lo")
family = socket.AF_INET6 if ":" in ADDRESS else socket.AF_INET
listener, client = socket.socket(family), socket.socket(family)
client.settimeout(10)
links.add_address("lo", ADDRESS, 128 if ":" in ADDRESS else 32)
listener.bind((ADDRESS, 8080))
listener.listen()
client.connect((ADDRESS, 8080))
retransmissions = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[100:]  # tcpi_total_retrans
assert not any(retransmissions), "the first SYN went nowhere"
"""


@pytest.mark.parametrize("address", ["192.0.2.2", "2001:db8::2"])
def test_an_address_reaches_itself_as_soon_as_it_is_given(namespaces: None, address: str) -> None:
    script = TO_ITSELF.replace("ADDRESS", repr(address))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
