"""What a comparison comes to, in a few sentences: each from one row of a table, from either side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from lab.model import Role, StepReport
from lab.report.comparison import Comparison, Row
from lab.text import ROLES, Text

_MOST_NAMES = 8  # messages named in one sentence


class Sentence(NamedTuple):
    """What is said where a fact is as `one` has it in X and as `other` has it in Y, whichever of the two X is.

    A fact is one of the comparison's, or whether some step of a protocol goes another way: `tcp half-close`.
    """

    fact: str
    one: Callable[[Any], bool]
    other: Callable[[Any], bool]
    text: Text  # {x} and {y}: the letters; {one} and {other}: the values


def _is(value: Any) -> Callable[[Any], bool]:
    return lambda found: bool(found == value)


def _number(found: Any) -> bool:
    return isinstance(found, int)


def _no_secret_sent(found: Any) -> bool:
    return isinstance(found, str) and "DHE" in found


SENTENCES = (
    Sentence("opened", _is(True), _is(False), Text(
        "{x} is opened; {y} never is.",
        "{x} 建立了连接；{y} 始终没有建立。")),
    Sentence("tcp refused", _is(False), _is(True), Text(
        "In {y} the SYN is answered with a RST: as a rule, nobody listens on that port.",
        "{y} 的 SYN 得到的是 RST：通常说明该端口上没有程序在监听。")),
    Sentence("tcp simultaneous-open", _is(False), _is(True), Text(
        "In {y} the two SYNs cross: both ends open the connection at once.",
        "{y} 的两个 SYN 在途中交错：双方同时发起连接。")),
    Sentence("retransmissions", _is(0), _number, Text(
        "In {y} something was lost or late (segments sent again: {other}); in {x} nothing was.",
        "{y} 中有报文段丢失或迟到（重传 {other} 次）；{x} 中没有。")),
    Sentence("decrypted", _is(True), _is(False), Text(
        "In {y} not all of TLS could be decrypted, so its messages stay unnamed: give the keys with --keylog.",
        "{y} 的 TLS 未能全部解密，其中的消息无从得知名称：请用 --keylog 提供密钥。")),
    Sentence("tls_version", _is(None), _is("TLS 1.2"), Text(
        "{y} puts TLS 1.2 on top of TCP; in {x} anyone on the way can read along.",
        "{y} 在 TCP 之上使用 TLS 1.2；{x} 的内容途中任何人都能看到。")),
    Sentence("tls_version", _is(None), _is("TLS 1.3"), Text(
        "{y} puts TLS 1.3 on top of TCP; in {x} anyone on the way can read along.",
        "{y} 在 TCP 之上使用 TLS 1.3；{x} 的内容途中任何人都能看到。")),
    Sentence("hello_retry", _is(False), _is(True), Text(
        "In {y} the server first asks for another ClientHello (HelloRetryRequest).",
        "{y} 的服务器先要求客户端重发 ClientHello（HelloRetryRequest）。")),
    Sentence("key_exchange", _is("RSA"), _no_secret_sent, Text(
        "In {x} the secret itself is sent, encrypted with the server's public key (RSA): whoever gets the private key "
        "later can read it all. In {y} no secret is ever sent ({other}).",
        "{x} 把密钥材料用服务器公钥加密后发送（RSA）：日后谁拿到私钥，谁就能读出全部内容。"
        "{y} 从不发送任何秘密（{other}）。")),
    Sentence("resumed", _is(False), _is(True), Text(
        "{y} resumes an earlier session, so the server sends no certificate.",
        "{y} 恢复了先前的会话，服务器因此不再发送证书。")),
    Sentence("client_certificate", _is(False), _is(True), Text(
        "In {y} the client shows a certificate too.",
        "{y} 的客户端也出示证书。")),
    Sentence("round_trips", _number, _number, Text(
        "Round trips before the client's first data, TCP's handshake included: {one} in {x}, {other} in {y}.",
        "客户端发出首个数据之前的往返次数（含 TCP 握手）：{x} 为 {one} 次，{y} 为 {other} 次。")),
    Sentence("client_alerts", _is([]), bool, Text(
        "In {y} the client breaks off with an alert: {other}.",
        "{y} 的客户端以警报中断：{other}。")),
    Sentence("server_alerts", _is([]), bool, Text(
        "In {y} the server breaks off with an alert: {other}.",
        "{y} 的服务器以警报中断：{other}。")),
    Sentence("accepted", _is(True), _is(False), Text(
        "In {y} the server refuses the upgrade, so it never becomes a WebSocket.",
        "{y} 的服务器拒绝升级，连接没有成为 WebSocket。")),
    Sentence("closes_first", _is("client"), _is("server"), Text(
        "In {x} the client closes first, in {y} the server: whoever closes first is to wait in TIME-WAIT.",
        "{x} 由客户端先关闭，{y} 由服务器先关闭：先关闭的一端要在 TIME-WAIT 中等待。")),
    Sentence("tcp simultaneous-close", _is(False), _is(True), Text(
        "In {y} the two FINs cross: both ends close first, so both are to wait in TIME-WAIT.",
        "{y} 的两个 FIN 在途中交错：双方都算先关闭，都要在 TIME-WAIT 中等待。")),
    Sentence("tcp half-close", _is(False), _is(True), Text(
        "In {y} the end that got the first FIN goes on sending (half-close).",
        "{y} 中收到第一个 FIN 的一端仍继续发送数据（半关闭）。")),
    Sentence("close_segments", _is(4), _is(3), Text(
        "{y} closes with three segments, {x} with four: in {y} the second FIN and the ACK before it travel together.",
        "{y} 用三个报文段关闭，{x} 用四个：{y} 的第二个 FIN 与它前面的 ACK 合在一起发送。")),
    Sentence("closed", _is("fin"), _is("rst"), Text(
        "{x} ends in order, with a FIN from each side; {y} is cut off by a RST.",
        "{x} 由双方各发一个 FIN，正常关闭；{y} 被 RST 中断。")),
    Sentence("closed", _is("fin"), _is(None), Text(
        "{x} is closed; {y} is not when its capture ends.",
        "{x} 已关闭；{y} 到抓包结束时仍未关闭。")),
    Sentence("closed", _is("rst"), _is(None), Text(
        "{x} is cut off by a RST; {y} is not closed when its capture ends.",
        "{x} 被 RST 中断；{y} 到抓包结束时仍未关闭。")),
)  # fmt: skip


def in_short(found: Comparison) -> list[Text]:
    """Returns the sentences on what differs, in the order of a connection's life; none where nothing does."""
    if found.same:
        return []
    facts = {fact.name: (fact.ours, fact.theirs) for fact in found.facts}
    ways = [_ways(side) for side in zip(*found.steps, strict=True)]
    facts |= {way: (way in ways[0], way in ways[1]) for each in ways for way in each}
    said = [text for sentence in SENTENCES for text in _of_fact(sentence, facts)]
    said += [*_only(found), *_earlier(found)]
    return said or [Text("They differ only in what is marked above.", "二者只在上面标出之处不同。")]


def _ways(steps: Iterable[StepReport | None]) -> set[str]:
    return {f"{step.id.partition('.')[0]} {step.differs.code}" for step in steps if step and step.differs}


def _of_fact(sentence: Sentence, facts: dict[str, tuple[Any, Any]]) -> Iterator[Text]:
    if sentence.fact not in facts:
        return
    ours, theirs = facts[sentence.fact]
    for (x, one), (y, other) in ((("A", ours), ("B", theirs)), (("B", theirs), ("A", ours))):
        if sentence.one(one) and sentence.other(other):
            yield sentence.text.format(x=x, y=y, one=one, other=", ".join(other) if isinstance(other, list) else other)
            return


def _only(found: Comparison) -> Iterator[Text]:
    """Yields which messages only one has, of the protocols above TCP that both speak."""
    spoken = {row.protocol for row in found.ours.rows} & {row.protocol for row in found.theirs.rows} - {"tcp"}
    for letter, which, other in (("A", found.ours, found.theirs), ("B", found.theirs, found.ours)):
        known = {(row.sender, row.name) for row in other.rows}
        rows = [row for row in which.rows if row.protocol in spoken and (row.sender, row.name) not in known]
        if rows:
            named = _named(rows)
            yield Text(f"Only {letter} has, {named.en}.", f"仅 {letter} 有：{named.zh}。")


def _earlier(found: Comparison) -> Iterator[Text]:
    """Yields which messages of the protocols above TCP are said earlier in one than in the other."""
    lines = {match.theirs: at for at, match in enumerate(found.matches)}
    early: dict[str, list[Row]] = {"A": [], "B": []}
    for at, match in enumerate(found.matches):
        row = None if match.ours is None else found.ours.rows[match.ours]
        if row and match.elsewhere is not None and row.protocol != "tcp":
            early["A" if at < lines[match.elsewhere] else "B"].append(row)
    for letter, rows in early.items():
        if rows:
            other, named = "B" if letter == "A" else "A", _named(rows)
            yield Text(
                f"Earlier in {letter} than in {other}, {named.en}.", f"{letter} 比 {other} 更早发送：{named.zh}。"
            )


def _named(rows: list[Row]) -> Text:
    """Returns messages by name, each once, by who sends them."""
    senders = dict.fromkeys(row.sender for row in rows)
    parts = [_of(sender, list(dict.fromkeys(row.name for row in rows if row.sender == sender))) for sender in senders]
    return Text("; ".join(part.en for part in parts), "；".join(part.zh for part in parts))


def _of(sender: Role, names: list[str]) -> Text:
    more = " …" if len(names) > _MOST_NAMES else ""
    shown = names[:_MOST_NAMES]
    role = ROLES[sender]
    return Text(f"from the {role.en}: {', '.join(shown)}{more}", f"{role.zh}的 {'、'.join(shown)}{more}")
