"""What the two hellos of a connection settled, and why that alone opens nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from lab.protocols.tls import reasons
from lab.protocols.tls.ciphers import TLS13, Suite
from lab.protocols.tls.reasons import Reason


class Agreed(NamedTuple):
    """What the two hellos settled. `client_version` is ClientHello's own, `version` the one agreed on."""

    suite: Suite
    version: int
    client_version: int
    client_random: bytes
    server_random: bytes
    extended_master_secret: bool = False
    encrypt_then_mac: bool = False


def unsupported(agreed: Agreed, first: int, last: int) -> Reason | None:
    """Returns why nothing that may be given opens a connection of the versions from `first` to `last`, if so."""
    if not first <= agreed.version <= last:
        return reasons.UNSUPPORTED_VERSION.format(agreed.version)
    if (agreed.suite.key_exchange == "TLS13") != (last == TLS13):
        return reasons.UNSUPPORTED_SUITE.format(agreed.suite.name)
    return None


@lru_cache(64)
def nothing_given(suite: Suite) -> Reason:
    """Returns why a connection stays closed for which no secret was given."""
    if suite.key_exchange == "TLS13":
        return reasons.NO_KEY_LOG.format("TLS 1.3")
    return reasons.NO_KEY_LOG.format(suite.key_exchange) if suite.forward_secret else reasons.NO_SECRETS
