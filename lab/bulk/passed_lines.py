"""The JSON lines of segments that the engine has passed by, among those of what it has seen."""

from __future__ import annotations

import numpy as np

from lab.bulk.chunk import Chunk
from lab.bulk.passing import Passed
from lab.bulk.predicted_rows import PassedRows, places_of, times
from lab.bulk.prediction import DATA
from lab.bulk.scan import Array
from lab.model import By, Packet
from lab.render.rows import JSON_PLACES
from lab.render.trace import around_numbers

_NOBODY: tuple[str, str] = "", "}"


class PassedLines(PassedRows):
    """Keeps what is passed by until the lines before it have been written."""

    number_at = JSON_PLACES.number

    def __init__(self) -> None:
        super().__init__(10)
        self._around: dict[int, tuple[str, str, str]] = {}
        self._lines: dict[int, tuple[str, str]] = {}  # by packet: its messages, and how its line ends

    def _written(self, columns: Array) -> list[str]:
        numbers, codes = columns[0].tolist(), columns[6].tolist()
        known, said = self._around, self._lines
        for code in set(codes) - known.keys():
            known[code] = self._said_around(code)
        messages = [said.pop(number, _NOBODY) for number in numbers]
        return [
            f'{{"number":{number},"time":"{when}{fraction:09}Z","conversation":{which}{head}{seq},"ack":{ack},'
            f'"seq_raw":{seq_raw},"ack_raw":{ack_raw},"window":{window},"payload":{payload}{labels}{told}{tail}{end}'
            for number, when, fraction, which, seq, ack, payload, (head, labels, tail), seq_raw, ack_raw, window, (
                told, end,
            ) in zip(
                numbers, *times(columns[1]), *columns[2:6].tolist(), map(known.__getitem__, codes),
                *columns[7:].tolist(), messages, strict=True,
            )
        ]  # fmt: skip

    def _of_chunk(self, chunk: Chunk, all_: list[Passed]) -> Array:
        it, these = chunk.segments, places_of(all_)
        for passed in all_:
            if (lines := passed.lines) is not None:
                self._lines.update({number: (messages, lines.end) for number, messages in lines.messages.items()})
        return np.concatenate([super()._of_chunk(chunk, all_), [it.seq[these], it.ack[these], it.window[these]]])

    def _said_around(self, code: int) -> tuple[str, str, str]:
        sender, flags, states, labels, steps = self._meaning(code)
        by: By = "acknowledged" if code & 3 == DATA else "inferred"
        return around_numbers(
            Packet(
                0, 0, None, None, labels, 0, None, sender, flags, 0, 0, 0, 0, 0, 0, 0, 0, states, states, "arrived", by,
                (), None, None, None, None, None, steps, (), (), (), (),
            )
        )  # fmt: skip
