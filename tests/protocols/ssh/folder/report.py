"""What became of an SSH connection: the four steps, how they went otherwise, a summary, each message in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.engine.layer import Layer
from lab.engine.protocol import StepOutcome
from lab.model import Detail, Example
from lab.text import Text

if TYPE_CHECKING:
    from lab.protocols.ssh.packets import Read
    from lab.protocols.ssh.session import Said, Session

STEPS = tuple(f"ssh.{number}" for number in range(1, 5))
_NOTES_METHODS = ("curve25519-", "curve448-", "ecdh-")  # which the notes tell


def steps(layer: Layer) -> list[StepOutcome]:
    """Returns each step with its packets and the code of how it went otherwise."""
    session: Session = layer.session
    found = []
    for step in STEPS:
        packets = tuple(sorted({seen.number for seen in layer.steps.get(step, ())}))
        found.append(StepOutcome(step, packets, _differs(session, step) if packets else _why_unseen(session, step)))
    return found


def _differs(session: Session, step: str) -> str | None:
    if step == "ssh.1":
        return _greeting(session)
    if step == "ssh.2" and session.agreed is not None:
        return "nothing-in-common" if session.agreed.missing else None
    if step == "ssh.3":
        method = (session.agreed.kex if session.agreed is not None else None) or ""
        return None if method.startswith(_NOTES_METHODS) else "other-key-exchange"
    if step == "ssh.4" and session.sealed("client") != session.sealed("server"):
        return _broken_off(session) or "one-direction"
    return None


def _greeting(session: Session) -> str | None:
    versions = [session.version("client"), session.version("server")]
    if any("old-version" in each.problems for each in versions if each is not None):
        return "old-version"
    if None in versions:
        return "one-version"
    return "lines-before" if any(each.values["before"] for each in versions if each is not None) else None


def _why_unseen(session: Session, step: str) -> str:
    if step == "ssh.1":
        return "not-captured"
    if (why := _broken_off(session)) is not None:
        return why
    return "bytes-missing" if session.incomplete else "not-reached"


def _broken_off(session: Session) -> str | None:
    if session.agreed is not None and session.agreed.missing:
        return "nothing-in-common"
    if session.disconnected is not None:
        return "disconnected"
    return "bad-packet" if session.bad is not None else None


def summary(layer: Layer) -> dict[str, Any]:
    """Returns the trace's `ssh` object."""
    from lab.protocols.ssh.exchange import fingerprint, signature_valid

    session: Session = layer.session
    agreed, ended = session.agreed, session.disconnected
    answered = session.said.get(("server", "KEX_ECDH_REPLY"))
    key = answered.values.get("K_S", b"") if answered is not None else b""
    return {
        "versions": {role: _line(session.version(role)) for role in ("client", "server")},
        "key_exchange": agreed.kex if agreed is not None else None,
        "host_key_algorithm": agreed.host_key if agreed is not None else None,
        "ciphers": _pair(agreed.ciphers if agreed is not None else None),
        "macs": _pair(agreed.macs if agreed is not None else None),
        "compressions": _pair(agreed.compressions if agreed is not None else None),
        "nothing_in_common": list(agreed.missing) if agreed is not None else [],
        "host_key": fingerprint(key) if key else None,
        "signature_valid": signature_valid(session),
        "encrypted_packets": {role: session.encrypted(role) for role in ("client", "server")},
        "disconnected": None
        if ended is None
        else {"from": ended[0], "code": ended[1].values["reason code"], "description": _said(ended[1], "description")},
    }


def _line(version: Read | None) -> str | None:
    return None if version is None else version.values["line"].decode("utf-8", "replace")


def _pair(both: tuple[str | None, str | None] | None) -> dict[str, str | None]:
    client, server = both or (None, None)
    return {"client": client, "server": server}


def example(layer: Layer) -> Example:
    """Returns how the exchange hash and the keys come about, as far as that is known."""
    from lab.protocols.ssh.exchange import exchanged, lines

    session: Session = layer.session
    title = Text("The exchange hash of conversation {0}", "连接 {0} 的交换散列")
    locked = None
    if exchanged(session) is None:
        locked = Text(
            "The shared secret K never crosses the wire: without it neither the exchange hash nor a key can be told.",
            "共享秘密 K 从不经过线路：不知道它，就得不出交换散列，也得不出任何密钥。",
        )
    return Example(title, locked, lines(session))


# Messages in words.


def words(_layer: Layer, said: Said) -> Text:
    """Returns what a message says, in a line; empty where its name says all."""
    parts = [*_told(said), *(_WRONG[each] for each in said.read.problems)]
    return Text(", ".join(each.en for each in parts), "，".join(each.zh for each in parts))


def details(_layer: Layer, said: Said) -> tuple[Detail, ...]:
    """Returns the fields of a message; offsets are in the message."""
    return said.read.fields


def _told(said: Said) -> list[Text]:
    read = said.read
    if said.name == "identification":
        return _identified(read)
    if said.name == "KEXINIT":
        return _proposed(said)
    if said.name == "KEX_ECDH_INIT":
        size = len(read.values.get("Q_C", b""))
        return [Text(f"an ephemeral public key of {size} bytes", f"{size} 字节的临时公钥")]
    if said.name == "KEX_ECDH_REPLY":
        kind = _said(read, "key type") or "?"
        signed = _said(read, "signature type") or "?"
        return [
            Text(f"host key {kind}", f"主机密钥 {kind}"),
            Text("an ephemeral public key", "临时公钥"),
            Text(f"a signature over the exchange hash ({signed})", f"对交换散列的签名（{signed}）"),
        ]
    if said.name == "NEWKEYS":
        return [Text("what this end sends from here on is encrypted", "此后这一端发送的内容都已加密")]
    if said.name == "DISCONNECT":
        from lab.protocols.ssh.packets import REASONS

        code = read.values.get("reason code", 0)
        reason = f"{code} {REASONS.get(code, '?')}"
        why = _said(read, "description")
        return [Text(reason, reason), *([Text(f'"{why}"', f"“{why}”")] if why else [])]
    if said.name == "encrypted-packet":
        return _sealed(read)
    if said.name == "bad-packet":
        return [Text("nothing behind it can be read", "其后的内容无法读取")]
    return []


def _identified(read: Read) -> list[Text]:
    line = read.values["line"].decode("utf-8", "replace")
    parts = [Text(f'"{line}"', f'"{line}"')]
    before = len(read.values["before"])
    if before:
        plural = "s" if before > 1 else ""
        parts.append(Text(f"behind {before} line{plural} of greeting", f"之前有 {before} 行问候"))
    return parts


def _proposed(said: Said) -> list[Text]:
    values, agreed = said.read.values, said.agreed
    offered = [
        _offer(values, name, what)
        for name, what in (
            ("kex_algorithms", Text("key exchange", "密钥交换")),
            ("server_host_key_algorithms", Text("host key", "主机密钥")),
            ("encryption_algorithms_client_to_server", Text("cipher", "加密算法")),
        )
    ]
    if agreed is None:
        return offered
    if agreed.missing:
        listed = ", ".join(agreed.missing)
        return [*offered, Text(f"nothing in common: {listed}", f"没有共同的算法：{listed}")]
    both = " / ".join(dict.fromkeys(each or "none" for each in agreed.ciphers))
    chosen = f"{agreed.kex}, {agreed.host_key}, {both}"
    return [*offered, Text(f"so agreed on: {chosen}", f"于是商定：{chosen}")]


def _offer(values: dict[str, Any], name: str, what: Text) -> Text:
    names = values.get(name, ())
    more = len(names) - 1
    first = names[0] if names else "-"
    if more < 1:
        return Text(f"{what.en} {first}", f"{what.zh} {first}")
    return Text(f"{what.en} {first} and {more} more", f"{what.zh} {first} 等 {more + 1} 种")


def _sealed(read: Read) -> list[Text]:
    size = read.values.get("size")
    if size is None:
        return [Text("what follows is encrypted, lengths too", "此后的内容均已加密，连长度也是")]
    return [Text(f"{size} bytes, only their number can be read", f"{size} 字节，能读出的只有长度")]


def _said(read: Read, name: str) -> str:
    value = read.values.get(name, b"")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


_WRONG = {
    "old-version": Text("not version 2.0", "版本不是 2.0"),
    "bare-newline": Text("the line ends in LF alone", "行尾只有 LF"),
    "long-version": Text("longer than 255 bytes", "超过 255 字节"),
    "cut-short": Text("it ends in the middle of a field", "在某个字段中间就结束了"),
    "misaligned": Text("its length is no multiple of 8", "长度不是 8 的倍数"),
    "no-packet": Text("this is no packet", "这不是一个合法的数据包"),
}
