"""Explicit congestion notification: what SYNs offer, what answers accept, and what the flags mean behind them.

With ECN (RFC 3168 section 6.1) a router marks a packet instead of dropping it, its receiver echoes that with ECE until
the sender says with CWR that it has slowed down. Accurate ECN (RFC 9768 section 3.1) uses AE, CWR and ECE together as a
counter of marked packets. Which of the two holds, or neither, only the SYN and its answer tell.
"""

from __future__ import annotations

from typing import Protocol, Self

from lab.protocols.tcp.segment import ACK, AE, CWR, ECE, SYN

BITS = ECE | CWR | AE
_CLASSIC, _ACCURATE = ECE | CWR, ECE | CWR | AE
OFFERED, ACCURATELY_OFFERED, AGREED, ACCURATELY_AGREED = "offered", "accurate offered", "agreed", "accurate agreed"
GIVEN_UP = "given up"  # by the last SYN; an answer to an earlier one may still accept
_ACCURATELY = (ACCURATELY_OFFERED, ACCURATELY_AGREED)


class End(Protocol):
    """One end of a conversation: what it has offered, or both have agreed on."""

    ecn: str | None
    peer: Self


def of_ecn(labels: tuple[str, ...], end: End, flags: int) -> tuple[str, ...]:
    """Returns the labels with those for ECN: of a SYN, of its answer, or of a segment that has one of the flags."""
    found = flags & BITS
    if not flags & SYN:
        if end.ecn != AGREED:
            return labels  # not known, not agreed on, or a counter
        echo: tuple[str, ...] = ("ecn-echo",) if found & ECE else ()
        return (*labels, *echo, "cwr") if found & CWR else (*labels, *echo)
    if flags & ACK:
        return _answered(labels, end, found)
    if found == _ACCURATE:
        end.ecn = ACCURATELY_OFFERED
        return (*labels, "accecn-offered")
    if found == _CLASSIC:
        end.ecn = OFFERED
        return (*labels, "ecn-offered")
    if end.ecn is None:
        return labels
    if end.ecn not in (AGREED, ACCURATELY_AGREED):
        end.ecn = GIVEN_UP
    return (*labels, "ecn-given-up")


def _answered(labels: tuple[str, ...], end: End, found: int) -> tuple[str, ...]:
    """Of a SYN-ACK. One that mirrors all that the SYN had comes from an end that knows none of it."""
    offered = end.peer.ecn
    if offered is None:
        return labels
    if offered in _ACCURATELY and found not in (0, ECE, _ACCURATE):
        end.ecn = end.peer.ecn = ACCURATELY_AGREED
        return (*labels, "accecn-accepted")
    if found & _CLASSIC == ECE:
        end.ecn = end.peer.ecn = AGREED
        return (*labels, "ecn-accepted")
    end.ecn = None  # the other end's offer stands: another SYN-ACK may accept it
    if offered == GIVEN_UP:
        return labels
    return (*labels, "ecn-declined")
