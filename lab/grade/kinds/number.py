"""A sequence or acknowledgment number, raw as on the wire or relative to its stream's first: told apart."""

from __future__ import annotations

from collections.abc import Iterator

from lab.grade.assignment import Question
from lab.grade.facts import AbsentError
from lab.grade.kinds.kind import Answer, FormError, Kind, Right, Slip, whole
from lab.grade.places import Seen
from lab.model import Packet
from lab.text import Text

WRAP = 1 << 32  # sequence numbers begin anew behind it (RFC 9293 section 3.4)


class Number(Kind):
    name = "number"

    def expects(self, question: Question) -> Text:
        if question.given["reading"] == "raw":
            return Text("the number as on the wire, 0 to 4294967295", "报文中的原始值，0 至 4294967295")
        return Text("the relative number, where the SYN's is 0", "相对值（以 SYN 的序号为 0）")

    def read(self, question: Question, raw: object) -> int:
        number = whole(raw)
        if not 0 <= number < WRAP:
            raise FormError
        return number

    def right(self, question: Question, seen: Seen) -> Right:
        packet = seen.at(question.given["place"])
        found = _of(packet, question.given["field"], question.given["reading"] == "raw")
        if found is None:
            name = question.given["field"]
            raise AbsentError(Text(f"{name} in packet {packet.number}", f"第 {packet.number} 号包的 {name}"))
        return Right(found, (packet.number,))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        field, raw = question.given["field"], question.given["reading"] == "raw"
        packet = seen.facts.packet(right.packets[0])
        for code, found in (
            ("relative-for-raw" if raw else "raw-for-relative", _of(packet, field, not raw)),
            ("one-number-too-few", (right.answer - 1) % WRAP if raw else right.answer - 1),
            ("one-number-too-many", (right.answer + 1) % WRAP if raw else right.answer + 1),
            ("other-number", _of(packet, "ack" if field == "seq" else "seq", raw)),
            ("own-number", _own(packet, field, raw)),
            ("other-direction", _opposite(packet, field, raw, seen)),
            ("byte-order", int.from_bytes(right.answer.to_bytes(4, "little"), "big") if raw else None),
        ):
            if found is not None and found >= 0:
                yield Slip(code, found)

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        return [answer, str(answer), hex(answer)] if question.given["reading"] == "raw" else [answer, str(answer)]

    def shown(self, question: Question, answer: Answer) -> Text:
        said = f"{answer} = 0x{answer:08x}" if question.given["reading"] == "raw" else str(answer)
        return Text(said, said)


def _of(packet: Packet, field: str, raw: bool) -> int | None:
    if field == "seq":
        return packet.seq_raw if raw else packet.seq
    return packet.ack_raw if raw else packet.ack


def _own(packet: Packet, field: str, raw: bool) -> int | None:
    """Returns what an acknowledgment of the segment's own numbers would say."""
    seq = _of(packet, "seq", raw)
    return None if field == "seq" or seq is None else (seq + 1) % WRAP


def _opposite(packet: Packet, field: str, raw: bool, seen: Seen) -> int | None:
    """Returns the same field of the last segment of the other end before this one, or of its first one behind it."""
    of = [each for each in seen.facts.packets if each.conversation == packet.conversation and each.sender]
    others = [each for each in of if each.sender != packet.sender]
    near = [each for each in others if each.number < packet.number][-1:] or others[:1]
    return _of(near[0], field, raw) if near else None
