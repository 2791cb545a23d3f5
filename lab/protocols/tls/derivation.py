"""The worked example: every key on paper, from what goes in to what comes out.

A `Derivation` calculates and writes down in one step, so that the value shown is the value used. An operation is
written with the names of its inputs: who puts the bytes in place of the names can do the sum again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lab.model import DerivationLine
from lab.protocols.tls import prf
from lab.text import ROLES, Text

FINISHED_HASH = {
    role: Text(
        f"The hash of everything that was said before the {who.en}'s Finished.",
        f"{who.zh}的 Finished 之前全部消息的散列值。",
    )
    for role, who in ROLES.items()
}
_MOST_LINES = 256  # an example has some thirty; who updates his keys for ever makes no more


class Named(NamedTuple):
    """Bytes, and what they are called on paper: the RFC's name."""

    name: str
    value: bytes


class Derivation:
    """An ordered list of lines. Calculating the same thing twice writes it down once."""

    def __init__(self) -> None:
        self._entries: list[tuple[Text, tuple[Named, ...], str | Callable[[], str], Named, str]] = []

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The lines so far. They are written here, when somebody asks: of most connections nobody does."""
        return tuple(dict.fromkeys(map(_line, self._entries)))

    def add(
        self, what: Text, inputs: tuple[Named, ...], operation: str | Callable[[], str], output: Named, source: str
    ) -> Named:
        if len(self._entries) < _MOST_LINES:
            self._entries.append((what, inputs, operation, output, source))
        return output

    def given(self, what: Text, origin: str, output: Named, source: str) -> Named:
        """Writes down what is not calculated but read; `origin` says where."""
        return self.add(what, (), origin, output, source)

    def cut(self, what: Text, block: Named, start: int, end: int, name: str, source: str) -> Named:
        """Takes the bytes from `start` to before `end`."""
        return self.add(what, (block,), f"{block.name}{_span(start, end)}", Named(name, block.value[start:end]), source)

    def digest(self, what: Text, hash_name: str, data: Named, name: str, source: str) -> Named:
        def written() -> str:
            return " + ".join(f"{prf.SPOKEN[each]}({data.name})" for each in _parts(hash_name))

        return self.add(what, (data,), written, Named(name, prf.digest(hash_name, data.value)), source)

    def prf(
        self,
        what: Text,
        hash_name: str,
        secret: Named,
        label: str,
        seed: tuple[Named, ...],
        length: int,
        name: str,
        source: str,
    ) -> Named:
        """Calculates TLS 1.0 to 1.2's PRF. Its hash is part of its name on paper: PRF_SHA256."""

        def written() -> str:
            seeds = " + ".join(each.name for each in seed)
            return f'PRF_{hash_name}({secret.name}, "{label}", {seeds}){_span(0, length)}'

        value = prf.prf(hash_name, secret.value, label, b"".join(each.value for each in seed), length)
        return self.add(what, (secret, *seed), written, Named(name, value), source)

    def mac(self, what: Text, hash_name: str, key: Named, data: Named, name: str, source: str) -> Named:
        operation = f"HMAC_{hash_name}({key.name}, {data.name})"
        return self.add(what, (key, data), operation, Named(name, prf.mac(hash_name, key.value, data.value)), source)

    def extract(self, what: Text, hash_name: str, salt: Named, material: Named, name: str, source: str) -> Named:
        value = prf.hkdf_extract(hash_name, salt.value, material.value)
        operation = f"HKDF-Extract_{hash_name}({salt.name}, {material.name})"
        return self.add(what, (salt, material), operation, Named(name, value), source)

    def expand_label(
        self,
        what: Text,
        hash_name: str,
        secret: Named,
        label: str,
        context: Named | None,
        length: int,
        name: str,
        source: str,
    ) -> Named:
        """Calculates TLS 1.3's HKDF-Expand-Label; `context` is a hash, or None for nothing."""
        value = prf.hkdf_expand_label(hash_name, secret.value, label, context.value if context else b"", length)

        def written() -> str:
            over = context.name if context else '""'
            return f'HKDF-Expand-Label_{hash_name}({secret.name}, "{label}", {over}, {length})'

        inputs = (secret, context) if context else (secret,)
        return self.add(what, inputs, written, Named(name, value), source)


def _line(entry: tuple[Text, tuple[Named, ...], str | Callable[[], str], Named, str]) -> DerivationLine:
    what, inputs, operation, output, source = entry
    named = tuple((each.name, each.value) for each in dict.fromkeys(inputs))
    return DerivationLine(
        what, named, operation if isinstance(operation, str) else operation(), output.name, output.value, source
    )


def _parts(hash_name: str) -> tuple[str, ...]:
    return ("MD5", "SHA") if hash_name == "MD5_SHA1" else (hash_name,)


def _span(start: int, end: int) -> str:
    """Returns [first..last] as the RFCs write it: the last byte is in it."""
    return f"[{start}..{end - 1}]"
