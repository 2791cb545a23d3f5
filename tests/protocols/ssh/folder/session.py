"""One SSH connection as it is seen from outside: two versions, two proposals, a key exchange, then what nobody reads.

Fed with each direction's bytes in the order of the stream, it returns what has been said with them, however they were
cut. It decides nothing about states: that is the table's (states.py). What is damaged ends that direction, never the
reading. Behind an end's NEWKEYS its packets are encrypted; where the cipher leaves their lengths in the clear (AES-GCM,
the encrypt-then-MAC modes) each is told, else only that it has begun.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from lab.model import Role, Span
from lab.protocols.ssh import packets
from lab.protocols.ssh.packets import Read
from lab.protocols.tcp.stream import Stream

ROLES: tuple[Role, Role] = ("client", "server")
_TAGS = {  # bytes behind an encrypted packet whose length is not encrypted
    "aes128-gcm@openssh.com": 16, "aes256-gcm@openssh.com": 16, "AEAD_AES_128_GCM": 16, "AEAD_AES_256_GCM": 16,
    "hmac-sha2-256-etm@openssh.com": 32, "hmac-sha2-512-etm@openssh.com": 64, "hmac-sha1-etm@openssh.com": 20,
    "umac-64-etm@openssh.com": 8, "umac-128-etm@openssh.com": 16,
}  # fmt: skip
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # no text has them
_NO_MAC = ("gcm", "chacha20-poly1305", "AEAD_")  # ciphers that authenticate by themselves (RFC 5647)


class Said(NamedTuple):
    """One message, told when its last byte is there. `stop` is the relative sequence number behind it.

    `name` is a label, `event` what the table calls it, empty where it moves nobody. `agreed` is what the second of the
    two proposals has settled.
    """

    name: str
    event: str
    stop: int
    spans: tuple[Span, ...]
    read: Read
    agreed: Agreed | None = None


class Agreed(NamedTuple):
    """The algorithms that both have, each the client's first that the server has too; None where there is none.

    RFC 4253 section 7.1. Pairs are of what the client sends, and the server. A cipher that authenticates needs no MAC.
    """

    kex: str | None
    host_key: str | None
    ciphers: tuple[str | None, str | None]
    macs: tuple[str | None, str | None]
    compressions: tuple[str | None, str | None]

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the lists that have nothing in common."""
        macs = [mac or _authenticates(cipher) for cipher, mac in zip(self.ciphers, self.macs, strict=True)]
        found = (self.kex, self.host_key, *self.ciphers, *macs, *self.compressions)
        return tuple(name for name, each in zip(packets.LISTS, found, strict=False) if not each)


def _authenticates(cipher: str | None) -> bool:
    return cipher is not None and any(part in cipher for part in _NO_MAC)


class _Way:
    """One end's side of the connection. All offsets are in its stream."""

    def __init__(self, role: Role, first: int, base: int) -> None:
        self.role: Role = role
        self.base = base  # the relative sequence number of the stream's first byte
        self.stream = Stream(first)
        self.buffer = bytearray()  # what has been delivered and not yet read
        self.at = 0  # the offset of its first byte
        self.looked = 0  # so many bytes of it hold no further end of a line
        self.line_at = 0  # where in it the line begins that may be the version
        self.lines = 0  # before that
        self.version: Read | None = None
        self.proposal: Read | None = None
        self.guesses = False  # its next message of the key exchange is a guess (section 7)
        self.sealed = False  # it has said NEWKEYS
        self.counted = 0  # encrypted packets, or 1 where they can't be counted
        self.over = False  # nothing more is read


class Session:
    """What has been said on one connection. `secrets` has what is known beside the capture (exchange.py)."""

    def __init__(self, secrets: Any) -> None:
        self.secrets = secrets
        self.ways: dict[Role, _Way] = {}
        self.agreed: Agreed | None = None
        self.said: dict[tuple[Role, str], Read] = {}  # the first message of each name
        self.disconnected: tuple[Role, Read] | None = None
        self.bad: Role | None = None  # who has sent what is no packet
        self._other = False  # what began like it is none

    # What became of it.

    @property
    def refuted(self) -> bool:
        """Whether what looked like this protocol at first is none."""
        return self._other and not any(way.version for way in self.ways.values())

    @property
    def incomplete(self) -> bool:
        """Whether bytes were not captured: a gap, behind which nothing is read."""
        return any(way.stream.held or way.stream.dropped for way in self.ways.values())

    def version(self, role: Role) -> Read | None:
        return self.ways[role].version if role in self.ways else None

    def proposal(self, role: Role) -> Read | None:
        return self.ways[role].proposal if role in self.ways else None

    def sealed(self, role: Role) -> bool:
        """Whether this end has said NEWKEYS."""
        return role in self.ways and self.ways[role].sealed

    def encrypted(self, role: Role) -> int | None:
        """Returns how many encrypted packets it has sent, None where nobody can count them."""
        way = self.ways.get(role)
        if way is None or not way.counted:
            return 0
        return way.counted if self._tag(role) is not None else None

    # Reading.

    def begins(self, role: Role, seq: int, relative: int) -> None:
        self.ways[role] = _Way(role, seq, relative)

    def unseen(self, _role: Role) -> None: ...

    def missed(self, *_missing: int | Role) -> list[Said]:
        """Behind bytes that were not captured it reads nothing more."""
        return []

    def sent(self, role: Role, seq: int, relative: int, data: bytes, number: int, at: int) -> list[Said]:
        """Takes in a segment's payload (`seq` raw, at `at` of frame `number`) and returns what is now wholly said."""
        way = self.ways.get(role)
        if way is None:
            way = self.ways[role] = _Way(role, seq, relative)
        fresh = way.stream.add(seq, data, number, at)
        said: list[Said] = []
        if not way.over:
            way.buffer += fresh
            while not way.over and (found := self._next(way)) is not None:
                said.append(found)
        if way.over:
            way.buffer.clear()
            way.stream.forget(way.stream.expected)
        return said

    @property
    def held(self) -> int:
        """The bytes of memory that it keeps to read on, roughly."""
        return sum(way.stream.kept + len(way.buffer) for way in self.ways.values())

    def let_go(self) -> None:
        """Keeps nothing more: there is no room. What both ends say from here on is not read."""
        for way in self.ways.values():
            way.over, way.stream = True, Stream(0)
            way.buffer.clear()

    def _next(self, way: _Way) -> Said | None:
        """Returns the next message of an end, None where its bytes are not all there."""
        if way.version is None:
            return self._identification(way)
        if way.sealed:
            return self._sealed(way)
        return self._packet(way)

    def _take(self, way: _Way, size: int, read: Read, agreed: Agreed | None = None, moves: bool = True) -> Said:
        """Takes a message of so many bytes off the buffer."""
        spans = way.stream.spans(way.at, way.at + size)
        del way.buffer[:size]
        way.at += size
        way.stream.forget(way.at)
        self.said.setdefault((way.role, read.name), read)
        event = packets.EVENTS.get(read.name, "") if moves else ""
        return Said(read.name, event, way.base + way.at, spans, read, agreed)

    def _identification(self, way: _Way) -> Said | None:
        """Reads lines until one begins as a version does; only a server may say others before it (section 4.2)."""
        buffer, begins = way.buffer, packets.IDENTIFIES
        while True:
            begun = bytes(buffer[way.line_at : way.line_at + len(begins)])
            other = not begins.startswith(begun)
            if other and (way.role == "client" or not self._from_start or way.lines >= packets.MOST_LINES):
                return self._no_version(way)
            begin = max(way.looked, way.line_at)
            end, way.looked = buffer.find(b"\n", begin), len(buffer)
            stop = end if end >= 0 else len(buffer)
            long = stop - way.line_at > packets.LONGEST_LINE or way.line_at > packets.MOST_BEFORE
            if long or _CONTROL.search(buffer, begin, stop):
                return self._no_version(way)
            if end < 0:
                return None
            if not other:
                break
            way.lines, way.line_at, way.looked = way.lines + 1, end + 1, end + 1
        size = end + 1
        way.version = packets.identification(bytes(buffer[:size]), way.line_at)
        if "old-version" in way.version.problems:
            for each in self.ways.values():
                each.over = each.version is not None  # whatever follows is another protocol's
        elif any("old-version" in each.version.problems for each in self.ways.values() if each.version):
            way.over = True
        return self._take(way, size, way.version)

    @property
    def _from_start(self) -> bool:
        """Whether nothing was said before what is being read: then a server may greet."""
        return all(way.base <= 1 for way in self.ways.values())

    def _no_version(self, way: _Way) -> Said | None:
        self._other = way.over = True
        if not any(each.version for each in self.ways.values()):
            return None
        self.bad = self.bad or way.role
        return self._take(way, 1, packets.BROKEN)

    def _packet(self, way: _Way) -> Said | None:
        """Reads an unencrypted packet: packet_length, padding_length, payload, padding (section 6)."""
        buffer = way.buffer
        if len(buffer) < 5:
            return None
        size = int.from_bytes(buffer[:4], "big")
        if not packets.sound(size, buffer[4]):
            return self._broken(way, 5)
        if len(buffer) < 4 + size:
            return None
        method = self.agreed.kex if self.agreed else None
        read = packets.packet(bytes(buffer[: 4 + size]), method)
        if read.name == "KEXINIT":
            way.proposal = way.proposal or read
            way.guesses = bool(read.values.get("first_kex_packet_follows"))
            both = [self.proposal(role) for role in ROLES]
            if self.agreed is None and both[0] is not None and both[1] is not None:
                self.agreed = agree(both[0], both[1])
                return self._take(way, 4 + size, read, self.agreed)
        elif read.name == "NEWKEYS":
            way.sealed = True
        elif read.name == "DISCONNECT" and self.disconnected is None:
            self.disconnected = way.role, read
        elif way.guesses and (read.number or 0) >= packets.KEX_INIT:
            way.guesses = False
            return self._take(way, 4 + size, read, moves=self._guessed())
        return self._take(way, 4 + size, read)

    def _guessed(self) -> bool:
        """Whether the first method and the first host key algorithm of both are the same: else a guess is ignored."""
        both = [read.values for read in map(self.proposal, ROLES) if read is not None]
        return all(len({each.get(name, ())[:1] for each in both}) == 1 for name in packets.LISTS[:2])

    def _broken(self, way: _Way, size: int) -> Said:
        way.over = True
        self.bad = self.bad or way.role
        return self._take(way, size, packets.BROKEN)

    def _sealed(self, way: _Way) -> Said | None:
        """Tells an encrypted packet, or where its length is encrypted too, that what follows is."""
        if not way.buffer:
            return None
        tag = self._tag(way.role)
        if tag is None:
            way.over, way.counted = True, 1
            return self._take(way, 1, packets.SEALED)
        if len(way.buffer) < 4:
            return None
        size = int.from_bytes(way.buffer[:4], "big")
        if not 0 < size <= packets.LARGEST:
            return self._broken(way, 4)
        if len(way.buffer) < 4 + size + tag:
            return None
        way.counted += 1
        return self._take(way, 4 + size + tag, packets.sealed(bytes(way.buffer[: 4 + size + tag]), tag))

    def _tag(self, role: Role) -> int | None:
        """Returns how many bytes authenticate a packet of this end, None where its length is encrypted or unknown."""
        if self.agreed is None:
            return None
        at = ROLES.index(role)
        cipher, mac = self.agreed.ciphers[at], self.agreed.macs[at]
        return _TAGS.get(cipher or "") if _authenticates(cipher) else _TAGS.get(mac or "")


def agree(client: Read, server: Read) -> Agreed:
    """Returns what two proposals agree on."""

    def first(name: str) -> str | None:
        theirs = set(server.values.get(name, ()))
        return next((each for each in client.values.get(name, ()) if each in theirs), None)

    found = [first(name) for name in packets.LISTS]
    ciphers = found[2], found[3]
    macs = [None if _authenticates(cipher) else mac for cipher, mac in zip(ciphers, found[4:6], strict=True)]
    return Agreed(found[0], found[1], ciphers, (macs[0], macs[1]), (found[6], found[7]))
