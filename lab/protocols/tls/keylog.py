"""A key log: what an end wrote down of its secrets while it spoke, in the format that NSS began.

One secret a line: label, client random, secret, in hexadecimal (RFC 9850). The file comes from
outside: whatever can't be understood is passed over.
"""

from __future__ import annotations

import codecs
import re

# Every label: the bytes that tell the connection, and the lengths a secret may have.
_TRAFFIC = (32, (32, 48))
LABELS: dict[str, tuple[int, tuple[int, ...]]] = {
    "RSA": (8, (48,)),  # NSS's own, not in the RFC: by the first 8 bytes of the encrypted pre-master secret
    "CLIENT_RANDOM": (32, (48,)),  # TLS 1.0 to 1.2: the main secret
    "CLIENT_EARLY_TRAFFIC_SECRET": _TRAFFIC,
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET": _TRAFFIC,
    "SERVER_HANDSHAKE_TRAFFIC_SECRET": _TRAFFIC,
    "CLIENT_TRAFFIC_SECRET_0": _TRAFFIC,
    "SERVER_TRAFFIC_SECRET_0": _TRAFFIC,
    "EARLY_EXPORTER_SECRET": _TRAFFIC,
    "EARLY_EXPORTER_MASTER_SECRET": _TRAFFIC,  # as some libraries call it
    "EXPORTER_SECRET": _TRAFFIC,
}
MOST = 200_000  # secrets in one log: about 35 MB of text
_LINE = re.compile(  # a whole line; a log of 60 MB has no room for a list of its lines
    rb"(?<![^\r\n])[ \t]*+([A-Z0-9_]{1,40}+)[ \t]++([0-9A-Fa-f]{16,64}+)[ \t]++([0-9A-Fa-f]{64,96}+)[ \t]*+(?![^\r\n])"
)


class KeyLog:
    """The secrets of any number of connections."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, bytes], bytes] = {}
        self._clients: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._secrets)

    def get(self, label: str, client_random: bytes) -> bytes | None:
        """Returns a secret. For label RSA give the first 8 bytes of the encrypted pre-master secret."""
        return self._secrets.get((label, client_random))

    def labels(self, client_random: bytes) -> tuple[str, ...]:
        """Returns the labels known for a connection, in the order of `LABELS`."""
        return tuple(label for label in LABELS if (label, client_random) in self._secrets)

    @property
    def connections(self) -> int:
        """How many different connections the log knows by their client random."""
        return len(self._clients)

    def add(self, label: str, client_random: bytes, secret: bytes) -> bool:
        """Takes a secret in, the last one of a name wins. Returns whether it was one."""
        identifying, lengths = LABELS.get(label, (0, ()))
        key = label, client_random
        fits = len(client_random) == identifying and len(secret) in lengths
        if not fits or (len(self._secrets) >= MOST and key not in self._secrets):
            return False
        self._secrets[key] = secret
        if label != "RSA":
            self._clients.add(client_random)
        return True


def parse_keylog(text: str | bytes, log: KeyLog | None = None) -> KeyLog:
    """Reads a key log, into `log` where there is one: of a secret that both have, the later one counts.

    Comments and empty lines are passed over, so is anything else that makes no sense.
    """
    log = KeyLog() if log is None else log
    if isinstance(text, str):
        text = text.encode("utf-8", "replace")
    for match in _LINE.finditer(text.removeprefix(codecs.BOM_UTF8)):
        label, *values = (each.decode("ascii") for each in match.groups())
        if not any(len(each) % 2 for each in values):
            log.add(label, *map(bytes.fromhex, values))
    return log


def has_lines(text: bytes) -> bool:
    """Whether there is a line in the format of a key log, whatever its label."""
    return _LINE.search(text.removeprefix(codecs.BOM_UTF8)) is not None
