"""What a host's kernel says of its sockets, read over sock_diag: the first of the two witnesses.

A witness only listens. It asks for one socket, by its addresses and ports, and never sees a packet. Beside that it
reads the counters of its host that tell why a segment was taken or refused. It needs no privileges.

The kernel's answer is the connection with these addresses; else the listener that a SYN to them would reach; else none.
That it answers with the listener also where a connection has been there and is gone, is what the memory is for.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys

from lab.errors import MachineError
from lab.model import Socket, Timer
from lab.testbed.netlink import DUMP, Netlink, attributes
from lab.text import Text

# include/net/tcp_states.h; NEW_SYN_RECV (12) is told as SYN_RECV, 7 (CLOSE) and 13 (BOUND_INACTIVE) are no connection
STATES = {
    1: "ESTABLISHED",
    2: "SYN-SENT",
    3: "SYN-RECEIVED",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN-RECEIVED",
}
_BEFORE_OPEN = ("SYN-SENT", "SYN-RECEIVED")
_TIMERS: dict[int, Timer] = {1: "retransmission", 2: "keepalive", 3: "time-wait", 4: "persist"}

# include/uapi/linux/netlink.h, sock_diag.h, inet_diag.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_INFO, _SKMEMINFO = 2, 7
_EXTENSIONS = 1 << _INFO - 1 | 1 << _SKMEMINFO - 1
_REQUEST = struct.Struct("=BBBxI2s2s16s16sI8s")  # family, protocol, extensions, states; ports, addresses, ...
_ANY_COOKIE = b"\xff" * 8
_ANSWER = struct.Struct("=4B48xIII8x")  # family, state, timer, retransmits; the socket; expires, receive, send queue
_SK_DROPS = 32  # an offset in SKMEMINFO
# include/uapi/linux/tcp.h, tcp_info: rto, mss; unacked; rtt, rttvar, ssthresh, cwnd; bytes acked and received
_TCP_INFO = struct.Struct("=8xI4xI4xI40xIIII36xQQ")
_SEND_WINDOW, _RECEIVE_WINDOW = 228, 232  # offsets in it, since Linux 5.4 and 6.2
_NO_SSTHRESH = 0x7FFFFFFF

# In /proc/net/netstat and /proc/net/snmp: what moves where a segment is refused, put aside, or ends a connection. What
# only counts traffic, timers and congestion is left out.
_FILES = ("netstat", "snmp")
COUNTERS = {
    "TcpExt": (
        "SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "EmbryonicRsts", "PruneCalled", "RcvPruned",
        "OfoPruned", "TWRecycled", "TWKilled", "PAWSActive", "PAWSEstab", "BeyondWindow", "TSEcrRejected",
        "PAWSOldAck", "PAWSTimewait", "DelayedACKLost", "ListenOverflows", "ListenDrops", "TCPSACKReneging",
        "TCPRcvCollapsed", "TCPDSACKOldSent", "TCPDSACKOfoSent", "TCPAbortOnData", "TCPAbortOnClose",
        "TCPAbortOnMemory", "TCPAbortOnTimeout", "TCPAbortOnLinger", "TCPAbortFailed", "TCPSACKDiscard",
        "TCPMD5NotFound", "TCPMD5Unexpected", "TCPMD5Failure", "TCPBacklogDrop", "PFMemallocDrop", "TCPMinTTLDrop",
        "TCPDeferAcceptDrop", "IPReversePathFilter", "TCPTimeWaitOverflow", "TCPReqQFullDoCookies",
        "TCPReqQFullDrop", "TCPOFOQueue", "TCPOFODrop", "TCPOFOMerge", "TCPChallengeACK", "TCPSYNChallenge",
        "TCPFastOpenPassiveFail", "TCPFastOpenListenOverflow", "TCPFastOpenBlackhole", "TCPFromZeroWindowAdv",
        "TCPToZeroWindowAdv", "TCPWantZeroWindowAdv", "TCPSynRetrans", "TCPACKSkippedSynRecv", "TCPACKSkippedPAWS",
        "TCPACKSkippedSeq", "TCPACKSkippedFinWait2", "TCPACKSkippedTimeWait", "TCPACKSkippedChallenge",
        "TCPZeroWindowDrop", "TCPRcvQDrop", "TCPAORequired", "TCPAOBad", "TCPAOKeyNotFound",
    ),
    "Tcp": ("AttemptFails", "EstabResets", "InErrs", "OutRsts", "InCsumErrors"),
    "Ip": ("InHdrErrors", "InAddrErrors", "InUnknownProtos", "InDiscards", "ReasmTimeout", "ReasmFails"),
}  # fmt: skip


class Witness:
    """One host's kernel. Open it while in the host's network namespace: it stays there wherever the process goes.

    Raises MachineError where the kernel can't tell (without tcp_diag).
    """

    def __init__(self) -> None:
        self._opened: set[bytes] = set()  # pairs that have got past SYN-RECEIVED
        try:
            self._diag = Netlink(_NETLINK_SOCK_DIAG)
            # Without tcp_diag the exact question has the answer it has without such a socket. So ask for all sockets
            # that are in no state.
            self._diag.ask(_SOCK_DIAG_BY_FAMILY, _request(bytes(12), 0), DUMP)
        except OSError as error:
            raise _mute(error) from error
        self._counters = Counters()

    def socket(self, pair: bytes) -> Socket:
        """Returns what the kernel says now of the host's own end of a pair: packed source address (4 or 16 bytes),
        destination address, source port, destination port, as the host itself sends them.

        Its state is that of the connection with this pair; else LISTEN where a SYN would find a listener and the pair
        never got past SYN-RECEIVED; else CLOSED. Takes a tenth of a millisecond. Raises MachineError.
        """
        found = self._exactly(pair)
        if found.state == "SYN-RECEIVED" and found.drops is None:
            middle = len(pair) // 2 - 2
            nobody = pair[:middle] + bytes(middle) + pair[-4:-2] + bytes(2)
            return found._replace(drops=self._exactly(nobody).drops)  # it has none: its listener counts for it
        if found.state == "LISTEN" and pair in self._opened:
            return Socket("CLOSED")
        if found.state not in (*_BEFORE_OPEN, "LISTEN", "CLOSED"):
            self._opened.add(pair)
        return found

    def moved(self) -> list[tuple[str, int]]:
        """Returns the counters that have grown since this was last asked (first: since the witness was opened)."""
        return self._counters.moved()

    def close(self) -> None:
        self._diag.close()
        self._counters.close()

    def _exactly(self, pair: bytes) -> Socket:
        try:
            return _read(self._diag.ask(_SOCK_DIAG_BY_FAMILY, _request(pair)))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return Socket("CLOSED")
            raise _mute(error) from error


class Counters:
    """The counters of the network namespace in which it was opened. Where they can't be read, none ever grows."""

    def __init__(self) -> None:
        self._files: list[int] = []
        self._bytes: dict[bytes, bytes] = {}  # a line's first word: the line
        self._places: dict[bytes, tuple[bytes, list[tuple[int, str]]]] = {}  # and its header, and what is read of it
        self._values: dict[str, int] = {}
        for name in _FILES:
            try:
                # of the thread: its namespace may be another than that of the process's first
                self._files.append(os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                continue
        self.moved()

    def moved(self) -> list[tuple[str, int]]:
        """Returns which have grown since the last time, and by how much, in the kernel's order."""
        found: list[tuple[str, int]] = []
        for file in self._files:
            lines = os.pread(file, 1 << 16, 0).split(b"\n")
            for header, line in zip(lines[::2], lines[1::2], strict=False):
                group = line[: line.find(b":")]
                if group.decode() in COUNTERS and self._bytes.get(group) != line:
                    self._bytes[group] = line
                    found += self._grown(group, header, line.split())
        return found

    def _grown(self, group: bytes, header: bytes, values: list[bytes]) -> list[tuple[str, int]]:
        if self._places.get(group, (b"", []))[0] != header:
            names, kept = header.decode().split(), COUNTERS[group.decode()]
            places = [(at, f"{group.decode()} {name}") for at, name in enumerate(names) if name in kept]
            self._places[group] = header, places
        found = []
        for at, name in self._places[group][1]:
            value = int(values[at])
            before = self._values.get(name, value)
            self._values[name] = value
            if value > before:
                found.append((name, value - before))
        return found

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop())


def _request(pair: bytes, states: int = 0xFFFFFFFF) -> bytes:
    middle = len(pair) // 2 - 2
    family = socket.AF_INET if middle == 4 else socket.AF_INET6
    source, destination = pair[:middle], pair[middle : 2 * middle]
    ports = pair[-4:-2], pair[-2:]
    return _REQUEST.pack(family, socket.IPPROTO_TCP, _EXTENSIONS, states, *ports, source, destination, 0, _ANY_COOKIE)


def _read(answer: bytes) -> Socket:
    """Reads an answer to an exact question (inet_diag_msg and its attributes)."""
    _, number, timer, retransmits, expires, receive_queue, send_queue = _ANSWER.unpack_from(answer)
    told = dict(attributes(answer, _ANSWER.size))
    info, memory = told.get(_INFO, b""), told.get(_SKMEMINFO, b"")
    drops = _number(memory, _SK_DROPS)
    state = STATES.get(number, "CLOSED")
    if state == "LISTEN":
        return Socket(state, receive_queue=receive_queue, send_queue=send_queue, drops=drops)
    kind = _TIMERS.get(timer)
    found = Socket(state, kind, expires if kind else None, retransmits if kind else None)
    if state == "CLOSED" or len(info) < _TCP_INFO.size:  # a request, or what is left of a connection in TIME-WAIT
        return found
    rto, mss, unacked, rtt, rttvar, ssthresh, cwnd, acked, received = _TCP_INFO.unpack_from(info)
    return Socket(
        state, kind, found.expires, retransmits,
        rto, rtt or None, rttvar if rtt else None, cwnd, ssthresh if ssthresh < _NO_SSTHRESH else None, mss, unacked,
        receive_queue, send_queue, _number(info, _SEND_WINDOW), _number(info, _RECEIVE_WINDOW), acked, received, drops,
    )  # fmt: skip


def _number(told: bytes, at: int) -> int | None:
    return int.from_bytes(told[at : at + 4], sys.byteorder) if len(told) >= at + 4 else None


def _mute(error: OSError) -> MachineError:
    words = os.strerror(error.errno) if error.errno else str(error)
    return MachineError(
        Text(f"the kernel does not tell its sockets' states: {words}", f"内核不提供套接字状态：{words}"),
        Text("lab doctor says why, and the command that mends it", "运行 lab doctor 查看原因和修复命令"),
    )
