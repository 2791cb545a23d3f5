"""Where no SYN was captured, what is said tells the client, also in protocols that the lab does not read."""

from __future__ import annotations

import time

import pytest

from lab.protocols.speakers import spoken_by
from tests.packets import Pair, ladder, walk

SSH_INIT = bytes.fromhex("0000002c 06 1e 00000020") + bytes(range(32)) + bytes(6)
SSH_REPLY = bytes.fromhex("000000bc 08 1f 00000033") + bytes(178)
MYSQL = b"\x4a\0\0\0\x0a8.0.36\0" + bytes(range(1, 60))
STARTUP = b"\0\0\0\x26\0\x03\0\0user\0lab\0database\0lab\0\0"
SAID = {
    b"220 mx.example ESMTP\r\n": "server",
    b"220-first\r\n220 second line\r\n": "server",
    b"250-mx\r\n250 STARTTLS\r\n": "server",
    b"331 Password required\r\n": "server",
    b"EHLO me\r\n": "client",
    b"MAIL FROM:<a@example>\r\nRCPT TO:<b@example>\r\nDATA\r\n": "client",
    b"USER anonymous\r\n": "client",
    b"quit\r\n": "client",
    b"* OK IMAP4rev1 ready\r\n": "server",
    b"* PREAUTH\r\n": "server",
    b"a1 LOGIN u p\r\n": "client",
    b"a2 OK done\r\n": "server",
    b"+OK POP3 ready\r\n": "server",
    b"-ERR no\r\n": "server",
    MYSQL: "server",
    STARTUP: "client",
    b"R\0\0\0\x08\0\0\0\0": "server",
    SSH_INIT: "client",
    SSH_REPLY: "server",
}
UNTOLD = (
    b"SSH-2.0-OpenSSH_9.6\r\n",  # both send it
    b"220 100\r\n",  # two numbers
    b"EHLO",
    b"a letter that says EHLO me\r\n",
    b"USER u\r\nand more",
    b"hello",
    b"\x30\0\0\0\x0b8.0.36\0",
)


@pytest.mark.parametrize("data", SAID, ids=repr)
def test_whoever_says_what_only_one_end_says_is_that_end_whatever_the_ports(data: bytes) -> None:
    for pair in (Pair(client_port=40025, server_port=25025), Pair(client_port=25025, server_port=40025)):
        sender = SAID[data]
        hexed = data.hex(" ")
        lines = f'{sender[0]}> data 1 1 x"{hexed}"', f"{'cs'[sender == 'client']}> ACK 1 {len(data) + 1}"
        walked = walk(ladder(*lines, pair=pair))
        assert walked.only.client.port == pair.client_port
        assert walked.packets[0].sender == sender


@pytest.mark.parametrize("data", UNTOLD, ids=repr)
def test_what_both_ends_may_say_tells_nobody(data: bytes) -> None:
    assert spoken_by(data) is None


def test_hostile_lines_take_no_time() -> None:
    began = time.process_time()
    for line in (b"250 " + b"a" * 95 + b"\r\n", b"EHLO a\r\n", b"a1 LIST a b\r\n", b"250-a\r\n b\r\n", b"250-a a\r\n"):
        for end in (b"", b"\0", b"250 ", b"a1 LIST"):
            spoken_by((line * 400)[: 2048 - len(end)] + end)
    assert time.process_time() - began < 1
