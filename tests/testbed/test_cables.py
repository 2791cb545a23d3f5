"""What a host's timer sends stands where the host sent it, even if the wire sees it later."""

from __future__ import annotations

import select
import sys
from pathlib import Path

import pytest

import lab
from lab.model import Role

if sys.platform != "linux":
    pytest.skip("network namespaces exist on Linux only", allow_module_level=True)

from lab.testbed.cables import Cables

_LONGER_THAN_A_DELAYED_ACK = 1.0  # seconds
_FIN, _FLAGS = 0x01, {False: 14 + 20 + 13, True: 14 + 40 + 13}


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_a_delayed_ack_that_comes_while_a_frame_is_put_on_the_cable_was_sent_before(
    namespaces: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ipv6: bool
) -> None:
    """The server's FIN waits on its way until the client has acknowledged the alert: the wire has not seen that yet."""
    send = Cables.send

    def slowly(cables: Cables, receiver: Role, data: bytes) -> None:
        if receiver == "client" and len(data) > _FLAGS[ipv6] and data[_FLAGS[ipv6]] & _FIN:
            select.select([cables.links["client"].socket], [], [], _LONGER_THAN_A_DELAYED_ACK)
        send(cables, receiver, data)

    monkeypatch.setattr(Cables, "send", slowly)
    file = tmp_path / "run.pcapng"
    found = lab.verify(lab.run("tls/client-certificate-missing", testbed="netns", ipv6=ipv6, file=file, words=False))
    assert not found.faults
    packets = list(lab.open(file).packets())
    fin = next(each for each in packets if "FIN" in each.flags)
    [delayed] = [each for each in packets if each.sender == "client" and each.flags == ("ACK",) and each.ack == fin.seq]
    assert fin.journal is not None
    assert delayed.journal is not None
    assert delayed.journal.arrived < fin.journal.delivered[0]
    assert delayed.held is not None
    assert delayed.held.client == "ESTABLISHED"
