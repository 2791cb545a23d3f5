"""How what is encrypted is opened: what is known of secrets becomes keys, each direction's record by record.

Keys may be learnt at any time, so they are looked for again whenever something has been learnt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from lab.model import DerivationLine, Role
from lab.protocols.tls.agreed import Agreed, nothing_given, unsupported
from lab.protocols.tls.ciphers import TLS10, TLS12, TLS13
from lab.protocols.tls.direction import Direction
from lab.protocols.tls.handshake import Handshake
from lab.protocols.tls.messages import Finished
from lab.protocols.tls.reasons import (
    BAD_MAC,
    BAD_TAG,
    HELLO_CUT,
    HELLO_MISSING,
    HELLOS_CUT,
    HELLOS_MISSING,
    NO_PREMASTER,
    RECORDS_MISSING,
    SESSION_UNKNOWN,
    UNSUPPORTED_SUITE,
    Reason,
)
from lab.protocols.tls.records import Record
from lab.protocols.tls.sessions import Sessions
from lab.protocols.tls.suites import TLCP_SUITES

if TYPE_CHECKING:  # what secrets become is imported when there are some
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from lab.protocols.tls.keylog import KeyLog
    from lab.protocols.tls.keys12 import Keys12
    from lab.protocols.tls.keys13 import Keys13
    from lab.protocols.tls.protection import Opened, Protection
    from lab.protocols.tls.secrets import Epochs

_LEAST_RECORD = 22  # bytes of a record that is encrypted
_MOST_PASSED = 64  # records that may have had a direction's keys before these were known


class Secrets:
    """What is known to open connections with: a key log that may grow, and the server's private key."""

    def __init__(self) -> None:
        self.keylog: KeyLog | None = None
        self.server_key: PrivateKeyTypes | None = None
        self.refused: Reason | None = None  # why the server's key can't be used
        self.learnt = 0  # how often
        self.sessions = Sessions()  # that were opened, for those that resume them

    def learn(self, keylog: bytes, server_key: bytes) -> None:
        """Takes in more lines of a key log, or the server's key (PEM)."""
        self.learnt += 1
        if keylog:
            from lab.protocols.tls.keylog import parse_keylog

            self.keylog = parse_keylog(keylog, self.keylog)
        if server_key:
            from lab.protocols.tls.rsa import load_server_key

            key = load_server_key(server_key)
            if isinstance(key, Reason):
                self.refused = key
            else:
                self.server_key = key


class Lazy(Protocol):
    """Whoever has the secrets, and may have more of them each time."""

    @property
    def known(self) -> Secrets: ...


class Opening:
    """The keys of one connection, as far as they can be known. `secrets` may learn more while it goes on."""

    def __init__(self, secrets: Lazy) -> None:
        self.keys12: Keys12 | None = None
        self.first12: Keys12 | None = None  # of the first handshake, where there was another
        self.epochs: Epochs | None = None
        self.locked: Reason | None = None  # why something could not be opened
        self.opened = False  # something was
        self._source = secrets
        self._unlocked = -1  # how much was known when TLS 1.3's keys were looked for
        self._failed: tuple[object, Reason] | None = None  # what opened nothing up to TLS 1.2, and why not

    @property
    def known12(self) -> Keys12 | None:
        """The keys up to TLS 1.2, of the first handshake where there was another."""
        return self.first12 or self.keys12

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The worked example of the keys, as far as they are known."""
        if self.known12 is not None:
            return self.known12.lines
        return self.epochs.lines if self.epochs is not None else ()

    @property
    def _secrets(self) -> Secrets:
        return self._source.known

    @property
    def given(self) -> bool:
        """Whether any secret was given, be it for this connection or not."""
        known = self._secrets
        return known.keylog is not None or known.server_key is not None or known.refused is not None

    def begin(self) -> None:
        """Another handshake begins: its keys are still to be agreed."""
        self.first12 = self.first12 or self.keys12
        self.keys12, self.epochs, self._unlocked = None, None, -1

    def open(self, way: Direction, record: Record, shake: Handshake) -> tuple[int, bytes] | None:
        """Returns the content type and the plaintext of a record, None where it can't be opened."""
        if way.protection is None:
            self._unlock(way, shake)
        if way.protection is None:
            return None
        if record.gaps:  # not all of it was captured: it can't be opened, those behind it can
            way.protection.sequence += 1
            return None
        opened = way.protection.open(record.type, record.version, record.fragment)
        failed = way.protection.failed
        if opened is None and way.passed:
            opened = self._open_late(way, record)
            if opened is None and way.holed and failed is not None and failed.code in (BAD_TAG.code, BAD_MAC.code):
                failed = RECORDS_MISSING
        if opened is None:
            self.locked = self.locked or failed
            return None
        way.last_opened = opened
        self.opened = self.opened or opened.sequence is not None
        return opened.content_type, opened.plaintext

    def tried(self, way: Direction, record: Record, shake: Handshake) -> Opened | None:
        """As `open`, of a record that may have been protected otherwise: what does not open spoils nothing."""
        if way.protection is None:
            self._unlock(way, shake)
        return None if way.protection is None else self.with_(way.protection, record)

    def with_(self, protection: Protection, record: Record) -> Opened | None:
        """Returns what a protection makes of a record that it may not be of."""
        before = protection.failed
        opened = protection.open(record.type, record.version, record.fragment)
        protection.failed = before
        self.opened = self.opened or (opened is not None and opened.sequence is not None)
        return opened

    def early(self, shake: Handshake) -> Protection | None:
        """Returns the protection of the client's early data, None where nobody knows its secret."""
        agreed = _agreed(shake)
        if self.epochs is None and (agreed is None or self._secrets.keylog is None):
            return None
        found: Epochs | Reason | None = self.epochs
        if found is None and agreed is not None:
            from lab.protocols.tls.secrets import unlock13

            found = unlock13(agreed, None, self._secrets.keylog)
        keys = found.client_early if found is not None and not isinstance(found, Reason) else None
        return keys.protection() if keys is not None else None

    def change(self, way: Direction) -> None:
        """Counts the records that a direction may have sent with its keys since a change that was not captured."""
        way.protect()
        way.passed = min(way.gone // _LEAST_RECORD, _MOST_PASSED)

    def skip(self, way: Direction, size: int) -> None:
        """Counts the records that there may have been in bytes that were not captured: from none to many."""
        if way.encrypted:
            sequence = way.protection.sequence if way.protection is not None else 0
            way.least += sequence
            way.passed += sequence + min(size // _LEAST_RECORD, _MOST_PASSED)
            way.protection, way.tried = None, -1

    def _open_late(self, way: Direction, record: Record) -> Opened | None:
        """Opens a record with keys that were learnt late: how many before it had the same keys, nobody has told."""
        candidates: list[tuple[bool, Keys13 | None, Protection]] = []
        if self.keys12 is not None:
            candidates.append((way.finished, None, self.keys12.protection(way.role)))
        elif self.epochs is not None:
            for finished in (True, False):
                keys = self.epochs.of(way.role, finished)
                if keys is not None:
                    candidates.append((finished, keys, keys.protection()))
        for finished, keys, protection in candidates:
            for number in _numbers(way, way.least if keys is None else 0):
                protection.sequence, protection.failed = number, None
                opened = protection.open(record.type, record.version, record.fragment)
                if opened is not None:
                    way.finished, way.keys, way.protection, way.passed = finished, keys, protection, 0
                    way.least = 0
                    self.locked = None
                    return opened
        way.protection = None  # more may be learnt
        if way.holed and way.tries:
            way.tries, way.tried = way.tries - 1, -1
        return None

    def _unlock(self, way: Direction, shake: Handshake) -> None:
        """Looks for the keys of what a direction sends from now on, once for each thing that is learnt."""
        learnt = self._secrets.learnt
        if way.tried == learnt:
            return
        way.tried = learnt
        if shake.client_hello is None or (shake.server_hello is None and way.encrypted):
            self.locked = self.locked or _hellos(shake)
        if shake.suite is None and shake.suite_code is not None and shake.suite_code in TLCP_SUITES:
            self.locked = self.locked or UNSUPPORTED_SUITE.format(TLCP_SUITES[shake.suite_code])
        if shake.version == TLS13:
            self._unlock13(way, shake)
            return
        agreed = _agreed(shake) if self.keys12 is None else None
        if agreed is not None:
            keys = self._unlocked12(agreed, shake)
            if isinstance(keys, Reason) and not shake.full:
                resumed = self._secrets.sessions.resumed(shake)
                if resumed is not None:
                    from lab.protocols.tls.secrets import resumed12

                    keys = resumed12(agreed, resumed.master, resumed.client_random)
                elif keys.code == NO_PREMASTER.code and shake.server_first:
                    keys = SESSION_UNKNOWN
            if isinstance(keys, Reason):
                self.locked = self._secrets.refused or keys
            else:
                self.keys12 = keys
        if self.keys12 is not None:
            way.protection = self.keys12.protection(way.role)

    def _unlocked12(self, agreed: Agreed, shake: Handshake) -> Keys12 | Reason:
        """Returns the keys up to TLS 1.2, or why there are none; what has failed is not tried again with the same."""
        if not self.given:
            return unsupported(agreed, TLS10, TLS12) or nothing_given(agreed.suite)
        from lab.protocols.tls.secrets import Flight, unlock12

        encrypted, certificate = shake.encrypted_premaster, next(iter(shake.certificates), None)
        given = (self._secrets.learnt, agreed, shake.exchanged, encrypted, certificate)
        if self._failed is not None and self._failed[0] == given:
            return self._failed[1]
        flight = Flight(shake.until_exchange, encrypted, certificate)
        keys = unlock12(agreed, flight, self._secrets.server_key, self._secrets.keylog)
        self._failed = (given, keys) if isinstance(keys, Reason) else None
        return keys

    def _unlock13(self, way: Direction, shake: Handshake) -> None:
        learnt = self._secrets.learnt
        agreed = _agreed(shake) if self._unlocked != learnt else None  # the other direction may have been here
        if agreed is not None:
            self._unlocked = learnt
            found = self._unlocked13(agreed)
            if isinstance(found, Reason):
                self.locked = self._secrets.refused or found
            else:
                self.epochs = found if self.epochs is None else self.epochs.grown(found)
        if self.epochs is None:
            return
        keys = self.epochs.of(way.role, way.finished)
        way.use(keys, learnt)
        way.tried = learnt
        self.locked = (self.locked or self.epochs.missing) if keys is None else None

    def _unlocked13(self, agreed: Agreed) -> Epochs | Reason:
        if not self.given:
            return unsupported(agreed, TLS13, TLS13) or nothing_given(agreed.suite)
        from lab.protocols.tls.secrets import unlock13

        return unlock13(agreed, self._secrets.server_key, self._secrets.keylog)

    def update(self, way: Direction) -> None:
        """An end has said that its next record has the next keys (RFC 9846 section 4.7.3)."""
        if way.keys is not None:
            way.use(way.keys.update(), self._secrets.learnt)

    def finish(self, way: Direction, finished: Finished, before: int, shake: Handshake) -> None:
        """Checks an end's Finished by what was said before it, as many bytes; other keys may follow."""
        wrong: Reason | None = None
        heard = shake.heard(before) if self.keys12 is not None or way.keys is not None else None
        if self.keys12 is not None:
            if heard is not None:
                wrong = self.keys12.check_finished(way.role, heard, finished.verify_data)
                way.verified = wrong is None
            if wrong is None:
                self._secrets.sessions.remember(shake, self.keys12.master)
        elif way.keys is not None and heard is not None:
            wrong = way.keys.check_finished(heard, finished.verify_data)
            if wrong is not None and shake.may_be_hidden:
                wrong, way.hidden = None, True
            else:
                way.verified = wrong is None
        if self.epochs is not None:
            way.use(self.epochs.of(way.role, True), self._secrets.learnt)
        self.locked = self.locked or wrong


def _numbers(way: Direction, least: int) -> Iterator[int]:
    """Yields the numbers that a record may have: most passed under its own keys. In a hole there may have been few."""
    middle = max(least, way.passed - _MOST_PASSED)
    if way.holed:
        yield from range(least, min(middle, least + _MOST_PASSED))
    yield from range(way.passed, middle - 1, -1)


def _hellos(shake: Handshake) -> Reason:
    """Says which hello is not there, or not all of it."""
    read: dict[Role, bool] = {"client": shake.client_hello is not None, "server": shake.server_hello is not None}
    gone = [role for role in read if not read[role] and role not in shake.cut]
    if gone:
        return HELLOS_MISSING if len(gone) > 1 else HELLO_MISSING[gone[0]]
    cut = [role for role in read if not read[role]]
    return HELLOS_CUT if len(cut) > 1 else HELLO_CUT[cut[0]]


def _agreed(shake: Handshake) -> Agreed | None:
    client, server, suite = shake.client_hello, shake.server_hello, shake.suite
    if client is None or server is None or suite is None:
        return None
    return Agreed(
        suite, server.selected_version, client.version, client.random, server.random,
        server.extended_master_secret, server.encrypt_then_mac,
    )  # fmt: skip
