"""The JSON lines of segments that the engine has passed by, among those of what it has seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lab.bulk.chunk import Chunk
from lab.bulk.passing import Passed
from lab.bulk.predicted_rows import PassedRows, places_of
from lab.bulk.prediction import DATA
from lab.bulk.scan import Array
from lab.model import By, Packet
from lab.render.rows import JSON_PLACES
from lab.render.trace import around_numbers, time

_NOBODY: tuple[str, str] = "", "}"


class PassedLines(PassedRows):
    """Keeps what is passed by until the lines before it have been written."""

    number_at = JSON_PLACES.number

    def __init__(self) -> None:
        super().__init__(10)
        self._around: dict[int, tuple[str, str, str]] = {}
        self._lines: dict[int, tuple[str, str]] = {}  # by packet: its messages, and how its line ends

    def _written(self, columns: Array) -> Iterator[tuple[int, str]]:
        seconds, fractions = np.divmod(columns[1], 1_000_000_000)
        known, said, when, second = self._around, self._lines, "", -1
        for number, moment, fraction, which, seq, ack, payload, code, seq_raw, ack_raw, window in zip(
            columns[0].tolist(), seconds.tolist(), fractions.tolist(), *(each.tolist() for each in columns[2:]),
            strict=True,
        ):  # fmt: skip
            if moment != second:
                second, when = moment, str(time(moment * 1_000_000_000))[:-10]
            around = known.get(code)
            if around is None:
                around = known[code] = self._said_around(code)
            head, labels, tail = around
            messages, end = said.pop(number, _NOBODY)
            yield (
                number,
                (
                    f'{{"number":{number},"time":"{when}{fraction:09}Z","conversation":{which}{head}{seq},"ack":{ack},'
                    f'"seq_raw":{seq_raw},"ack_raw":{ack_raw},"window":{window},"payload":{payload}{labels}{messages}'
                    f"{tail}{end}"
                ),
            )

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
