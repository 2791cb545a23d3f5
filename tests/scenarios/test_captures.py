"""What is saved is what was seen: the capture of a run, read again."""

from __future__ import annotations

from lab.render import trace
from tests.runs import Run, read
from tests.scenarios.plays import every

READ_BACK = (
    "number", "time", "labels", "seq", "ack", "stop", "steps", "fate", "departures",
    "held", "delivered", "assumed", "surprises", "kernel_held", "kernel_delivered", "journal",
)  # fmt: skip


@every()
def test_the_saved_capture_reads_back_as_what_was_seen_live(played: Run) -> None:
    key = played.file.with_suffix(".key")  # the server's, which is not in the capture
    again = read(played.file, server_key=key.read_bytes() if key.exists() else b"")
    assert not again.problems
    assert len(again.packets) == len(played.packets)
    for live, now in zip(played.packets, again.packets, strict=True):
        for name in READ_BACK:
            was, is_ = getattr(live, name), getattr(now, name)
            assert is_ == was, played.shows(f"{name} of packet {live.number}: {was}", str(is_))
        assert trace.packet(now) == trace.packet(live)
    assert again.agreement.compared == played.agreement.compared
    assert again.agreement.disagreements == played.agreement.disagreements
    assert again.conversations == played.conversations
