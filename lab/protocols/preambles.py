"""What may stand in a TCP stream before the protocol that it is about, or around it: one table, a row a kind.

A proxy says whom it speaks for (PROXY protocol), or is asked to connect on (CONNECT, SOCKS); a protocol of its own
begins in the clear and asks for TLS (STARTTLS, and what databases have instead). Mostly that stands in segments of its
own. Where it shares one with the protocol behind it, `engine/layers.py` takes it off before that is recognised.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lab.engine.protocol import Preamble
from lab.text import Text, safe

if TYPE_CHECKING:
    from lab.engine.protocol import Wrapping
    from lab.model import Role

_MOST_LINE, _MOST_HEAD = 512, 4096  # bytes
_SHOWN = 60  # characters of what somebody has written


def _prefix(data: bytes, expected: bytes) -> bool:
    """Whether data begins with what is expected, as far as it goes."""
    return data[: len(expected)] == expected[: len(data)]


# The PROXY protocol: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1 and 2.2.

_V1, _V2 = b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"
_MOST_V1 = 107  # bytes, with its CRLF
_V1_LINE = re.compile(
    rb"PROXY (?:TCP4(?: [\d.]+){2}(?: \d+){2}|TCP6(?: [\da-fA-F:.]+){2}(?: \d+){2}|UNKNOWN[^\r\n]*)\r\n"
)
_SIZES = {1: 4, 2: 16}  # of the address in v2, by family


def _proxy(data: bytes, role: Role, first: bool) -> int | None:
    if role != "client" or not first:
        return 0
    if _prefix(data, _V2):
        if len(data) < 16:
            return None
        return 16 + int.from_bytes(data[14:16], "big") if data[12] in (0x20, 0x21) else 0
    if not _prefix(data, _V1):
        return 0
    line = _V1_LINE.match(data, 0, _MOST_V1)
    return line.end() if line else None if len(data) < _MOST_V1 and b"\n" not in data else 0


def _proxy_words(data: bytes) -> Text:
    version, source, target = _proxy_addresses(data)
    name = Text(f"PROXY protocol header, version {version}: ", f"PROXY 协议首部（版本 {version}）：")
    if not source:
        return Text(name.en + "names no addresses", name.zh + "没有给出地址")
    return Text(
        f"{name.en}the proxy speaks for {source}, which had connected to {target}",
        f"{name.zh}代理所代表的连接由 {source} 连到 {target}",
    )


def _proxy_addresses(data: bytes) -> tuple[int, str, str]:
    """Returns the version, and both ends as text, empty where none are told."""
    if data[:1] == b"P":
        words = data.partition(b"\r\n")[0].decode("ascii", "replace").split(" ")
        if len(words) == 6:
            return 1, _end(words[2], words[4]), _end(words[3], words[5])
        return 1, "", ""
    size = _SIZES.get(data[13] >> 4, 0) if data[12] == 0x21 else 0
    block = data[16 : 16 + int.from_bytes(data[14:16], "big")]
    if not size or len(block) < 2 * size + 4:
        return 2, "", ""
    ports = [str(int.from_bytes(block[at : at + 2], "big")) for at in (2 * size, 2 * size + 2)]
    hosts = [str(ip_address(block[at : at + size])) for at in (0, size)]
    return 2, _end(hosts[0], ports[0]), _end(hosts[1], ports[1])


def _end(host: str, port: str) -> str:
    return f"[{safe(host)}]:{safe(port)}" if ":" in host else f"{safe(host)}:{safe(port)}"


# What asks for TLS within another protocol.

_MYSQL_SIZE, _CLIENT_SSL = 32, 0x0800


def _mysql(data: bytes, role: Role, _first: bool) -> int | None:
    """MySQL's SSLRequest: packet header, capabilities, largest packet, character set, 23 bytes of filler (MariaDB uses
    the last four of them)."""
    if role != "client" or not _prefix(data, b"\x20\0\0"):
        return 0
    if len(data) < 4 + _MYSQL_SIZE:
        return None
    fits = data[3] in (1, 2) and int.from_bytes(data[4:6], "little") & _CLIENT_SSL and not any(data[13:32])
    return 4 + _MYSQL_SIZE if fits else 0


def _postgresql(data: bytes, role: Role, first: bool) -> int | None:
    request = b"\0\0\0\x08\x04\xd2\x16\x2f"  # its length and 80877103
    if role != "client" or not first or not _prefix(data, request):
        return 0
    return len(request) if len(data) >= len(request) else None


def _postgresql_answer(data: bytes) -> int:
    return 1 if data[:1] == b"S" else 0


_START = re.compile(
    rb"(?:(?:EHLO|LHLO) [!-~]{1,255}\r\n)?(?:[!-~]{1,32} )?STARTTLS\r\n|STLS\r\n|AUTH (?:TLS|SSL|TLS-C)\r\n|"
    rb"<starttls [^<>]{1,200}/>",
    re.IGNORECASE,
)  # SMTP (RFC 3207), IMAP (RFC 9051), NNTP, ManageSieve; POP3 (RFC 2595); FTP (RFC 4217); XMPP (RFC 6120)
_STARTED = re.compile(rb"(?:[^\r\n]{0,500}\r\n){1,40}?(?=[\x14-\x17]\x03)|<proceed [^<>]{1,200}/>")


def _starttls(data: bytes, role: Role, _first: bool) -> int | None:
    found = _START.match(data, 0, _MOST_LINE) if role == "client" else None
    return found.end() if found else 0


def _started(data: bytes) -> int:
    found = _STARTED.match(data, 0, _MOST_HEAD)
    return found.end() if found else _whole_lines(data)


def _whole_lines(data: bytes) -> int:
    """An answer in a segment of its own: lines of text, and nothing else."""
    return len(data) if data.endswith(b"\r\n") and len(data) <= _MOST_LINE and data.isascii() else 0


_LDAP_START = b"1.3.6.1.4.1.1466.20037"


def _ldap(data: bytes, role: Role, _first: bool) -> int | None:
    """An ExtendedRequest for StartTLS (RFC 4511 section 4.14.1): a SEQUENCE of a short length with that OID in it."""
    size = 2 + data[1] if len(data) > 1 and data[0] == 0x30 and data[1] < 0x80 else 0
    return size if role == "client" and _LDAP_START in data[:size] else 0


def _ldap_answer(data: bytes) -> int:
    return 2 + data[1] if len(data) > 1 and data[0] == 0x30 and data[1] < 0x80 else 0


def _amqp(data: bytes, role: Role, first: bool) -> int | None:
    header = b"AMQP\x02\x01\0\0"  # AMQP 1.0 section 5.2.1: protocol id 2, TLS
    if role != "client" or not first or not _prefix(data, header):
        return 0
    return len(header) if len(data) >= len(header) else None


def _amqp_answer(data: bytes) -> int:
    return 8 if data[:5] == b"AMQP\x02" else 0


# Tunnels.

_CONNECT = re.compile(rb"CONNECT ([!-~]{1,300}) HTTP/1\.[01]\r\n(?:[^\r\n]{1,1000}\r\n){0,60}?\r\n")
_CONNECTED = re.compile(rb"HTTP/1\.[01] 2\d\d[^\r\n]{0,200}\r\n(?:[^\r\n]{1,1000}\r\n){0,60}?\r\n")


def _connect(data: bytes, role: Role, _first: bool) -> int | None:
    found = _CONNECT.match(data, 0, _MOST_HEAD) if role == "client" else None
    return found.end() if found else 0


def _connected(data: bytes) -> int:
    found = _CONNECTED.match(data, 0, _MOST_HEAD)
    return found.end() if found else 0


def _connect_words(data: bytes) -> Text:
    target = data[8:].partition(b" ")[0].decode("ascii", "replace")[:_SHOWN]
    return Text(
        f"HTTP CONNECT: asks a proxy for a tunnel to {safe(target)}",
        f"HTTP CONNECT：请代理建立到 {safe(target)} 的隧道",
    )


_SOCKS_SIZES = {1: 10, 4: 22}  # of a request, or an answer, with an address of that type (RFC 1928 sections 4 to 6)


def _socks_message(data: bytes) -> int:
    """Returns the length of a SOCKS 5 request or reply, 0 where it is none or is not whole."""
    if len(data) < 5 or data[2]:
        return 0
    size = 7 + data[4] if data[3] == 3 else _SOCKS_SIZES.get(data[3], 0)
    return size if size <= len(data) else 0


def _socks(data: bytes, role: Role, first: bool) -> int | None:
    """SOCKS 5: the greeting with its methods where the stream begins, the request, or one behind the other."""
    if role != "client":
        return 0
    greeting = 2 + data[1] if first and len(data) > 2 and data[1] else 0
    for at in (greeting, 0):
        if data[at : at + 2] == b"\x05\x01" and (size := _socks_message(data[at:])):
            return at + size
    return greeting


def _socks4(data: bytes, role: Role, first: bool) -> int | None:
    """SOCKS 4 and 4A: version, command, port, address, the user's name, and where that is told, the host's."""
    if role != "client" or not first or data[:2] != b"\x04\x01" or len(data) < 9:
        return 0
    end = data.find(b"\0", 8, 300)
    if end >= 0 and data[4:7] == bytes(3) and data[7]:
        end = data.find(b"\0", end + 1, 600)
    return end + 1


def _socks4_answer(data: bytes) -> int:
    return 8 if data[:2] == b"\0\x5a" else 0


def _socks_answer(data: bytes) -> int:
    at = 2 if data[:2] == b"\x05\0" and data[2:3] == b"\x05" else 0
    if data[at : at + 2] == b"\x05\0" and (size := _socks_message(data[at:])):
        return at + size
    return 2 if data[:2] == b"\x05\0" else 0


# MS SQL: while the handshake lasts, TLS stands inside packets of TDS.


def _tds(data: bytes, role: Role, _first: bool) -> int | None:
    """A TDS PRELOGIN packet (MS-TDS section 2.2.3): type, status, length, channel, packet's number, window."""
    if role != "client" or data[:1] != b"\x12" or len(data) < 9:
        return 0
    fits = data[1] in (0, 1) and int.from_bytes(data[2:4], "big") > 8 and data[4:6] == b"\0\0" and not data[7]
    return 8 if fits else 0


def _wrapping() -> Wrapping:
    from lab.protocols.tds import Wrapped

    return Wrapped()


def _asks(what: str) -> Text:
    return Text(f"{what}: asks for TLS on this connection", f"{what}：请求在此连接上改用 TLS")


PREAMBLES = (
    Preamble("proxy-header", frozenset(b"P\r"), _proxy, True, _proxy_words),
    Preamble("tls-request", frozenset(b"\x20"), _mysql, True, lambda _: _asks("MySQL SSLRequest")),
    Preamble("tls-request", frozenset(b"\0"), _postgresql, True,
             lambda _: _asks("PostgreSQL SSLRequest"), _postgresql_answer),
    Preamble("tls-request", frozenset(b"A"), _amqp, True,
             lambda _: _asks("AMQP 1.0"), _amqp_answer),
    Preamble("tls-request", frozenset(b"SsAaEeTtXx<.123456789"), _starttls, False,
             lambda _: _asks("STARTTLS"), _started),
    Preamble("tls-request", frozenset(b"\x30"), _ldap, True, lambda _: _asks("LDAP StartTLS"),
             _ldap_answer),
    Preamble("tunnel-request", frozenset(b"C"), _connect, True, _connect_words, _connected),
    Preamble("tunnel-request", frozenset(b"\x05"), _socks, False, lambda _: Text(
        "SOCKS 5: asks a proxy to connect on", "SOCKS 5：请代理继续连接"), _socks_answer),
    Preamble("tunnel-request", frozenset(b"\x04"), _socks4, False, lambda _: Text(
        "SOCKS 4: asks a proxy to connect on", "SOCKS 4：请代理继续连接"), _socks4_answer),
    Preamble("tds-header", frozenset(b"\x12"), _tds, False, lambda _: Text(
        "TDS, of MS SQL: while its handshake lasts, TLS stands inside TDS packets, each with a header of 8 bytes",
        "MS SQL 的 TDS：握手期间，TLS 装在 TDS 包里，每个 TDS 包有 8 字节的首部"), wraps=_wrapping),
)  # fmt: skip
