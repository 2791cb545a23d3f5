"""A look at the packets to come: all of a file's, and of a pipe's those that are worth waiting for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from lab.engine.lookahead import WITHIN, Lookahead
from lab.model import Frame

FRAMES = [Frame(number, None, b"x", 1) for number in range(1, 9)]


def numbers(ahead: Lookahead, number: int) -> list[int]:
    return [frame.number for frame, _ in ahead.behind(number)]


def patience(*answers: bool) -> Callable[[], Callable[[], bool]]:
    """Each question is given these answers, one before each packet that is not there yet."""

    def question() -> Callable[[], bool]:
        left = iter(answers)
        return lambda: next(left)

    return question


def test_all_of_a_file_is_looked_at_and_then_comes_in_its_turn() -> None:
    ahead = Lookahead(iter(FRAMES), str)
    turns = iter(ahead)
    assert next(turns)[0].number == 1
    assert numbers(ahead, 1) == list(range(2, 9))
    assert [frame.number for frame, _ in turns] == list(range(2, 9))


def test_where_nothing_comes_soon_the_answer_is_as_at_the_end_and_no_packet_is_lost() -> None:
    ahead = Lookahead(iter(FRAMES), str, more=patience(True, True, False))
    turns = iter(ahead)
    next(turns)
    assert numbers(ahead, 1) == [2, 3]
    assert numbers(ahead, 1) == [2, 3, 4, 5]  # the next question has a patience of its own
    assert [frame.number for frame, _ in turns] == list(range(2, 9))


def test_what_is_there_already_needs_no_patience() -> None:
    ahead = Lookahead(iter(FRAMES), str, more=patience(True, False))
    next(iter(ahead))
    assert numbers(ahead, 1) == [2]
    looked = ahead.behind(1)
    assert next(looked)[0].number == 2


def test_a_question_ends_after_so_many_packets() -> None:
    def forever() -> Iterator[Frame]:
        yield from (Frame(number, None, b"x", 1) for number in range(1, 10_000))

    ahead = Lookahead(forever(), str, more=patience(*[True] * 1000))
    next(iter(ahead))
    assert len(numbers(ahead, 1)) == WITHIN


class Said(NamedTuple):
    """What is read of a packet of a connection."""

    pair: bytes


def of_two_connections(frame: Frame) -> Said | None:
    return None if frame.number == 5 else Said(b"even" if frame.number % 2 == 0 else b"odd")


def test_where_pairs_are_given_only_their_packets_are_looked_at_and_all_come_in_their_turn() -> None:
    ahead = Lookahead(iter(FRAMES), of_two_connections)
    turns = iter(ahead)
    next(turns)
    odd = ahead.behind(1, 4, pairs=(b"odd",))
    assert [frame.number for frame, _ in odd] == [3]  # of packet 5 nobody says whose it is
    assert [frame.number for frame, _ in ahead.behind(1, pairs=(b"odd",))] == [3, 7]
    assert [frame.number for frame, _ in ahead.behind(1, pairs=(b"even", b"odd"))] == [2, 3, 4, 6, 7, 8]
    ahead.take(3)
    ahead.take(4)
    assert next(turns)[0].number == 2
    ahead.put_back(FRAMES[1], Said(b"even"))
    assert [frame.number for frame, _ in ahead.behind(1, pairs=(b"even",))] == [2, 6, 8]
    assert [frame.number for frame, _ in ahead.behind(1, pairs=(b"odd",))] == [7]
    assert [frame.number for frame, _ in turns] == [2, 5, 6, 7, 8]
