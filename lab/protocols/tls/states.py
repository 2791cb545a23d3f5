"""TLS as RFC 9846 appendix A draws it, and up to TLS 1.2 as RFC 5246 section 7.3 lists its messages: two tables.

1. The client walks the first table, the server the second. Both begin in START, and which version it will be the
   ServerHello tells: the rows part there. States of TLS 1.3 have the RFC's names. RFC 5246 names none; those that end
   in _12 are ours, each called after what is awaited or sent next.
2. A message is sent when its last byte leaves, got when its last byte has arrived, as in TCP's table (tcp/states.py).
   What can't be decrypted leaves open where an end stands, but for what its place and its length tell (inferred.py).

A step is a number of the lecture notes, which tell TLS 1.2 with RSA key exchange; where another version or key exchange
has the same step done otherwise, the row says the same number and `differs` says how.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from lab.engine.table import Row, Table


class State(StrEnum):
    """RFC 9846 appendix A, and up to TLS 1.2 ours, which end in _12."""

    START = "START"
    WAIT_SH = "WAIT_SH"
    WAIT_EE = "WAIT_EE"
    WAIT_CERT_CR = "WAIT_CERT_CR"
    WAIT_CERT = "WAIT_CERT"
    WAIT_CV = "WAIT_CV"
    SEND_FINISHED = "SEND_FINISHED"
    WAIT_FINISHED = "WAIT_FINISHED"
    CONNECTED = "CONNECTED"
    WAIT_FLIGHT_12 = "WAIT_FLIGHT_12"
    SEND_FLIGHT_12 = "SEND_FLIGHT_12"
    WAIT_FINISHED_12 = "WAIT_FINISHED_12"
    SEND_FINISHED_12 = "SEND_FINISHED_12"
    RENEGOTIATING_12 = "RENEGOTIATING_12"
    REFINISHING_12 = "REFINISHING_12"
    CLOSE_SENT = "CLOSE_SENT"
    CLOSE_GOT = "CLOSE_GOT"
    CLOSED = "CLOSED"
    FAILED = "FAILED"
    RECVD_CH = "RECVD_CH"
    NEGOTIATED = "NEGOTIATED"
    WAIT_EOED = "WAIT_EOED"
    WAIT_FLIGHT2 = "WAIT_FLIGHT2"
    WAIT_CKE_12 = "WAIT_CKE_12"
    WAIT_LAST_12 = "WAIT_LAST_12"


class Event(StrEnum):
    """A message is sent, or got, by its last byte."""

    SENT_CLIENT_HELLO = "sent ClientHello"
    SENT_CLIENT_HELLO_AGAIN = "sent ClientHello (again)"
    SENT_NO_RENEGOTIATION = "sent no_renegotiation"
    GOT_NO_RENEGOTIATION = "got no_renegotiation"
    GOT_HELLO_REQUEST = "got HelloRequest"
    GOT_HELLO_RETRY_REQUEST = "got HelloRetryRequest"
    GOT_SERVER_HELLO_1_3 = "got ServerHello (1.3)"
    GOT_ENCRYPTED_EXTENSIONS = "got EncryptedExtensions"
    GOT_CERTIFICATE_REQUEST = "got CertificateRequest"
    GOT_CERTIFICATE = "got Certificate"
    GOT_FINISHED = "got Finished"
    GOT_FINISHED_0_RTT = "got Finished (0-RTT)"
    GOT_COMPRESSED_CERTIFICATE = "got CompressedCertificate"
    GOT_CERTIFICATE_VERIFY = "got CertificateVerify"
    SENT_EARLY_DATA = "sent early data"
    SENT_END_OF_EARLY_DATA = "sent EndOfEarlyData"
    SENT_ENCRYPTED_EXTENSIONS = "sent EncryptedExtensions"
    SENT_CERTIFICATE = "sent Certificate"
    SENT_COMPRESSED_CERTIFICATE = "sent CompressedCertificate"
    SENT_CERTIFICATE_VERIFY = "sent CertificateVerify"
    SENT_FINISHED = "sent Finished"
    GOT_SERVER_HELLO_1_2 = "got ServerHello (1.2)"
    GOT_CERTIFICATE_STATUS = "got CertificateStatus"
    GOT_SERVER_KEY_EXCHANGE = "got ServerKeyExchange"
    GOT_SERVER_HELLO_DONE = "got ServerHelloDone"
    SENT_CLIENT_KEY_EXCHANGE = "sent ClientKeyExchange"
    SENT_CHANGE_CIPHER_SPEC = "sent ChangeCipherSpec"
    GOT_NEW_SESSION_TICKET = "got NewSessionTicket"
    GOT_CHANGE_CIPHER_SPEC = "got ChangeCipherSpec"
    SENT_DATA = "sent data"
    GOT_DATA = "got data"
    SENT_KEY_UPDATE = "sent KeyUpdate"
    GOT_KEY_UPDATE = "got KeyUpdate"
    SENT_CLOSE_NOTIFY = "sent close_notify"
    GOT_CLOSE_NOTIFY = "got close_notify"
    SENT_FATAL_ALERT = "sent fatal alert"
    GOT_FATAL_ALERT = "got fatal alert"
    SENT_HELLO_REQUEST = "sent HelloRequest"
    GOT_CLIENT_HELLO_AGAIN = "got ClientHello (again)"
    GOT_CLIENT_HELLO = "got ClientHello"
    SENT_HELLO_RETRY_REQUEST = "sent HelloRetryRequest"
    SENT_SERVER_HELLO_1_3 = "sent ServerHello (1.3)"
    SENT_CERTIFICATE_REQUEST = "sent CertificateRequest"
    SENT_FINISHED_0_RTT = "sent Finished (0-RTT)"
    GOT_EARLY_DATA = "got early data"
    GOT_END_OF_EARLY_DATA = "got EndOfEarlyData"
    SENT_SERVER_HELLO_1_2 = "sent ServerHello (1.2)"
    SENT_CERTIFICATE_STATUS = "sent CertificateStatus"
    SENT_SERVER_KEY_EXCHANGE = "sent ServerKeyExchange"
    SENT_SERVER_HELLO_DONE = "sent ServerHelloDone"
    GOT_CLIENT_KEY_EXCHANGE = "got ClientKeyExchange"
    SENT_NEW_SESSION_TICKET = "sent NewSessionTicket"


_CLIENT = (
    #   state               on                          goes to             step      RFC and section
    Row("START",            "sent ClientHello",         "WAIT_SH",          "tls.1",  "9846 A.1"),
    Row("WAIT_SH",          "got HelloRetryRequest",    "START",            None,     "9846 A.1"),
    # TLS 1.3
    Row("WAIT_SH",          "got ServerHello (1.3)",    "WAIT_EE",          None,     "9846 A.1"),
    Row("WAIT_EE",          "got EncryptedExtensions",  "WAIT_CERT_CR",     None,     "9846 A.1"),
    Row("WAIT_CERT_CR",     "got CertificateRequest",   "WAIT_CERT",        None,     "9846 A.1"),
    Row("WAIT_CERT_CR",     "got Certificate",          "WAIT_CV",          None,     "9846 A.1"),
    Row("WAIT_CERT_CR",     "got Finished",             "SEND_FINISHED",    None,     "9846 A.1"),  # with a PSK
    Row("WAIT_CERT_CR",     "got Finished (0-RTT)",     "SEND_FINISHED",    None,     "9846 A.1"),  # takes early data
    Row("WAIT_CERT",        "got Certificate",          "WAIT_CV",          None,     "9846 A.1"),
    Row("WAIT_CERT_CR",     "got CompressedCertificate", "WAIT_CV",         None,     "8879 4"),
    Row("WAIT_CERT",        "got CompressedCertificate", "WAIT_CV",         None,     "8879 4"),
    Row("WAIT_CV",          "got CertificateVerify",    "WAIT_FINISHED",    None,     "9846 A.1"),
    Row("WAIT_FINISHED",    "got Finished",             "SEND_FINISHED",    None,     "9846 A.1"),
    Row("SEND_FINISHED",    "sent EndOfEarlyData",      "SEND_FINISHED",    None,     "9846 A.1"),
    Row("SEND_FINISHED",    "sent EncryptedExtensions", "SEND_FINISHED",    None,     "tls-alps 3"),  # a draft
    Row("SEND_FINISHED",    "sent Certificate",         "SEND_FINISHED",    None,     "9846 A.1"),
    Row("SEND_FINISHED",    "sent CompressedCertificate", "SEND_FINISHED",  None,     "8879 4"),
    Row("SEND_FINISHED",    "sent CertificateVerify",   "SEND_FINISHED",    None,     "9846 A.1"),
    Row("SEND_FINISHED",    "sent Finished",            "CONNECTED",        "tls.5",  "9846 A.1"),
    # up to TLS 1.2
    Row("WAIT_SH",          "got ServerHello (1.2)",    "WAIT_FLIGHT_12",   None,     "5246 7.3"),
    Row("WAIT_FLIGHT_12",   "got Certificate",          "WAIT_FLIGHT_12",   None,     "5246 7.4.2"),
    Row("WAIT_FLIGHT_12",   "got CertificateStatus",    "WAIT_FLIGHT_12",   None,     "6066 8"),
    Row("WAIT_FLIGHT_12",   "got ServerKeyExchange",    "WAIT_FLIGHT_12",   None,     "5246 7.4.3"),
    Row("WAIT_FLIGHT_12",   "got CertificateRequest",   "WAIT_FLIGHT_12",   None,     "5246 7.4.4"),
    Row("WAIT_FLIGHT_12",   "got ServerHelloDone",      "SEND_FLIGHT_12",   None,     "5246 7.4.5"),
    Row("SEND_FLIGHT_12",   "sent Certificate",         "SEND_FLIGHT_12",   None,     "5246 7.4.6"),
    Row("SEND_FLIGHT_12",   "sent ClientKeyExchange",   "SEND_FLIGHT_12",   "tls.3",  "5246 7.4.7"),
    Row("SEND_FLIGHT_12",   "sent CertificateVerify",   "SEND_FLIGHT_12",   None,     "5246 7.4.8"),
    Row("SEND_FLIGHT_12",   "sent ChangeCipherSpec",    "SEND_FLIGHT_12",   None,     "5246 7.1"),
    Row("SEND_FLIGHT_12",   "sent Finished",            "WAIT_FINISHED_12", "tls.5",  "5246 7.4.9"),
    Row("WAIT_FINISHED_12", "got NewSessionTicket",     "WAIT_FINISHED_12", None,     "5077 3.3"),
    Row("WAIT_FINISHED_12", "got ChangeCipherSpec",     "WAIT_FINISHED_12", None,     "5246 7.1"),
    Row("WAIT_FINISHED_12", "got Finished",             "CONNECTED",        "tls.6",  "5246 7.4.9"),
    # up to TLS 1.2, resumed: the server finishes first
    Row("WAIT_FLIGHT_12",   "got NewSessionTicket",     "WAIT_FLIGHT_12",   None,     "5077 3.3"),
    Row("WAIT_FLIGHT_12",   "got ChangeCipherSpec",     "WAIT_FLIGHT_12",   None,     "5246 7.3"),
    Row("WAIT_FLIGHT_12",   "got Finished",             "SEND_FINISHED_12", None,     "5246 7.3"),
    Row("SEND_FINISHED_12", "sent ChangeCipherSpec",    "SEND_FINISHED_12", None,     "5246 7.3"),
    Row("SEND_FINISHED_12", "sent Finished",            "CONNECTED",        "tls.5",  "5246 7.3"),
    # connected
    Row("CONNECTED",        "got NewSessionTicket",     "CONNECTED",        None,     "9846 4.7.1"),
    Row("SEND_FINISHED",    "got NewSessionTicket",     "SEND_FINISHED",    None,     "9846 4.7.1"),
    Row("CLOSE_SENT",       "got NewSessionTicket",     "CLOSE_SENT",       None,     "9846 4.7.1"),
    # authentication after the handshake
    Row("CONNECTED",        "got CertificateRequest",   "CONNECTED",        None,     "9846 4.7.2"),
    Row("CONNECTED",        "sent Certificate",         "CONNECTED",        None,     "9846 4.7.2"),
    Row("CONNECTED",        "sent CompressedCertificate", "CONNECTED",      None,     "8879 4"),
    Row("CONNECTED",        "sent CertificateVerify",   "CONNECTED",        None,     "9846 4.7.2"),
    Row("CONNECTED",        "sent Finished",            "CONNECTED",        None,     "9846 4.7.2"),
)  # fmt: skip

_SERVER = (
    #   state               on                          goes to             step      RFC and section
    Row("START",            "got ClientHello",          "RECVD_CH",         None,     "9846 A.2"),
    Row("RECVD_CH",         "sent HelloRetryRequest",   "START",            None,     "9846 A.2"),
    # TLS 1.3
    Row("RECVD_CH",         "sent ServerHello (1.3)",   "NEGOTIATED",       "tls.2",  "9846 A.2"),
    Row("NEGOTIATED",       "sent EncryptedExtensions", "NEGOTIATED",       None,     "9846 A.2"),
    Row("NEGOTIATED",       "sent CertificateRequest",  "NEGOTIATED",       None,     "9846 A.2"),
    Row("NEGOTIATED",       "sent Certificate",         "NEGOTIATED",       "tls.2",  "9846 A.2"),
    Row("NEGOTIATED",       "sent CompressedCertificate", "NEGOTIATED",     "tls.2",  "8879 4"),
    Row("NEGOTIATED",       "sent CertificateVerify",   "NEGOTIATED",       None,     "9846 A.2"),
    Row("NEGOTIATED",       "sent Finished",            "WAIT_FLIGHT2",     "tls.5",  "9846 A.2"),
    Row("NEGOTIATED",       "sent Finished (0-RTT)",    "WAIT_EOED",        "tls.5",  "9846 A.2"),  # takes early data
    Row("WAIT_EOED",        "got EndOfEarlyData",       "WAIT_FLIGHT2",     None,     "9846 A.2"),
    Row("WAIT_FLIGHT2",     "got EncryptedExtensions",  "WAIT_FLIGHT2",     None,     "tls-alps 3"),  # a draft
    Row("WAIT_FLIGHT2",     "got Certificate",          "WAIT_CV",          None,     "9846 A.2"),
    Row("WAIT_FLIGHT2",     "got CompressedCertificate", "WAIT_CV",         None,     "8879 4"),
    Row("WAIT_CV",          "got CertificateVerify",    "WAIT_FINISHED",    None,     "9846 A.2"),
    Row("WAIT_CV",          "got Finished",             "CONNECTED",        "tls.6",  "9846 A.2"),  # no certificate
    Row("WAIT_FLIGHT2",     "got Finished",             "CONNECTED",        "tls.6",  "9846 A.2"),
    Row("WAIT_FINISHED",    "got Finished",             "CONNECTED",        "tls.6",  "9846 A.2"),
    # up to TLS 1.2
    Row("RECVD_CH",         "sent ServerHello (1.2)",   "SEND_FLIGHT_12",   "tls.2",  "5246 7.3"),
    Row("SEND_FLIGHT_12",   "sent Certificate",         "SEND_FLIGHT_12",   "tls.2",  "5246 7.4.2"),
    Row("SEND_FLIGHT_12",   "sent CertificateStatus",   "SEND_FLIGHT_12",   None,     "6066 8"),
    Row("SEND_FLIGHT_12",   "sent ServerKeyExchange",   "SEND_FLIGHT_12",   None,     "5246 7.4.3"),
    Row("SEND_FLIGHT_12",   "sent CertificateRequest",  "SEND_FLIGHT_12",   None,     "5246 7.4.4"),
    Row("SEND_FLIGHT_12",   "sent ServerHelloDone",     "WAIT_CKE_12",      None,     "5246 7.4.5"),
    Row("WAIT_CKE_12",      "got Certificate",          "WAIT_CKE_12",      None,     "5246 7.4.6"),
    Row("WAIT_CKE_12",      "got ClientKeyExchange",    "WAIT_FINISHED_12", "tls.4",  "5246 7.4.7"),
    Row("WAIT_FINISHED_12", "got CertificateVerify",    "WAIT_FINISHED_12", None,     "5246 7.4.8"),
    Row("WAIT_FINISHED_12", "got ChangeCipherSpec",     "WAIT_FINISHED_12", None,     "5246 7.1"),
    Row("WAIT_FINISHED_12", "got Finished",             "SEND_FINISHED_12", None,     "5246 7.4.9"),
    Row("SEND_FINISHED_12", "sent NewSessionTicket",    "SEND_FINISHED_12", None,     "5077 3.3"),
    Row("SEND_FINISHED_12", "sent ChangeCipherSpec",    "SEND_FINISHED_12", None,     "5246 7.1"),
    Row("SEND_FINISHED_12", "sent Finished",            "CONNECTED",        "tls.5",  "5246 7.4.9"),
    # up to TLS 1.2, resumed: the server finishes first
    Row("SEND_FLIGHT_12",   "sent NewSessionTicket",    "SEND_FLIGHT_12",   None,     "5077 3.3"),
    Row("SEND_FLIGHT_12",   "sent ChangeCipherSpec",    "SEND_FLIGHT_12",   None,     "5246 7.3"),
    Row("SEND_FLIGHT_12",   "sent Finished",            "WAIT_LAST_12",     "tls.5",  "5246 7.3"),
    Row("WAIT_LAST_12",     "got ChangeCipherSpec",     "WAIT_LAST_12",     None,     "5246 7.3"),
    Row("WAIT_LAST_12",     "got Finished",             "CONNECTED",        "tls.6",  "5246 7.3"),
    # connected
    Row("CONNECTED",        "sent NewSessionTicket",    "CONNECTED",        None,     "9846 4.7.1"),
    Row("WAIT_EOED",        "sent NewSessionTicket",    "WAIT_EOED",        None,     "9846 4.7.1"),
    Row("WAIT_FLIGHT2",     "sent NewSessionTicket",    "WAIT_FLIGHT2",     None,     "9846 4.7.1"),
    Row("CLOSE_GOT",        "sent NewSessionTicket",    "CLOSE_GOT",        None,     "9846 4.7.1"),
    # authentication after the handshake
    Row("CONNECTED",        "sent CertificateRequest",  "CONNECTED",        None,     "9846 4.7.2"),
    Row("CONNECTED",        "got Certificate",          "CONNECTED",        None,     "9846 4.7.2"),
    Row("CONNECTED",        "got CompressedCertificate", "CONNECTED",       None,     "8879 4"),
    Row("CONNECTED",        "got CertificateVerify",    "CONNECTED",        None,     "9846 4.7.2"),
    Row("CONNECTED",        "got Finished",             "CONNECTED",        None,     "9846 4.7.2"),
)  # fmt: skip

# The same at both ends: data under the session keys, and the end. A close_notify closes one direction (RFC 9846 6.1).
_BOTH = (
    Row("CONNECTED",        "sent data",                "CONNECTED",        "tls.6",  "9846 5.2"),
    Row("CONNECTED",        "got data",                 "CONNECTED",        None,     "9846 5.2"),
    Row("CONNECTED",        "sent KeyUpdate",           "CONNECTED",        None,     "9846 4.7.3"),
    Row("CONNECTED",        "got KeyUpdate",            "CONNECTED",        None,     "9846 4.7.3"),
    Row("CONNECTED",        "sent close_notify",        "CLOSE_SENT",       None,     "9846 6.1"),
    Row("CONNECTED",        "got close_notify",         "CLOSE_GOT",        None,     "9846 6.1"),
    Row("CLOSE_SENT",       "got data",                 "CLOSE_SENT",       None,     "9846 6.1"),
    Row("CLOSE_GOT",        "sent data",                "CLOSE_GOT",        "tls.6",  "9846 6.1"),
    Row("CLOSE_SENT",       "got KeyUpdate",            "CLOSE_SENT",       None,     "9846 4.7.3"),
    Row("CLOSE_GOT",        "sent KeyUpdate",           "CLOSE_GOT",        None,     "9846 4.7.3"),
    Row("CLOSE_SENT",       "got close_notify",         "CLOSED",           None,     "9846 6.1"),
    Row("CLOSE_GOT",        "sent close_notify",        "CLOSED",           None,     "9846 6.1"),
    # what was under way when an end has failed is discarded
    Row("FAILED",           "got data",                 "FAILED",           None,     "9846 6.2"),
    Row("FAILED",           "got fatal alert",          "FAILED",           None,     "9846 6.2"),
    Row("FAILED",           "got close_notify",         "FAILED",           None,     "9846 6.2"),
)  # fmt: skip
# Data may pass before its sender has heard the other's Finished: the server's behind its own (RFC 9846 section 4.5.3,
# in a resumed session RFC 5246 section 7.3), the client's behind its own (False Start, RFC 7918 sections 3 and 4).
# Nobody's handshake is complete with that: it is no step.
_AHEAD: dict[str, tuple[tuple[str, str, str], ...]] = {
    "client": (
        ("WAIT_FINISHED_12", "sent data", "7918 4"), ("SEND_FINISHED", "got data", "9846 4.5.3"),
        ("SEND_FINISHED_12", "got data", "5246 7.3"), ("SEND_FINISHED", "got KeyUpdate", "9846 4.7.3"),
    ),
    "server": (
        ("SEND_FINISHED_12", "got data", "7918 3"), ("WAIT_LAST_12", "sent data", "5246 7.3"),
        *((name, "sent data", "9846 4.5.3") for name in ("WAIT_EOED", "WAIT_FLIGHT2", "WAIT_CV", "WAIT_FINISHED")),
        *((name, "sent KeyUpdate", "9846 4.7.3") for name in ("WAIT_EOED", "WAIT_FLIGHT2", "WAIT_CV", "WAIT_FINISHED")),
    ),
}  # fmt: skip

# While a client sends early data, and while it comes: read, or skipped where the server does not take it.
_ZERO_RTT = {
    "client": ("WAIT_SH", "WAIT_EE", "WAIT_CERT_CR", "SEND_FINISHED"),
    "server": ("START", "RECVD_CH", "NEGOTIATED", "WAIT_EOED", "WAIT_FLIGHT2"),
}

# Another handshake under the keys of the one before, up to TLS 1.2. Whoever asks for it, full or resumed, each end is
# connected again when both have finished. Its messages are none of the notes' steps. Data may pass meanwhile.
_CLIENT_SAYS = {"Certificate": "7.4.6", "ClientKeyExchange": "7.4.7", "CertificateVerify": "7.4.8"}
_SERVER_SAYS = {
    "HelloRequest": "7.4.1.1", "ServerHello (1.2)": "7.4.1.3", "Certificate": "7.4.2", "ServerKeyExchange": "7.4.3",
    "CertificateRequest": "7.4.4", "ServerHelloDone": "7.4.5",
}  # fmt: skip
_EITHER = {"ChangeCipherSpec": "7.1", "data": "7.4.1"}


def _renegotiation(role: str) -> Iterator[Row]:
    """Yields the rows of a renegotiation (RFC 5246 section 7.4.1) for one end."""
    client, server = ("sent", "got") if role == "client" else ("got", "sent")
    going, last = "RENEGOTIATING_12", "REFINISHING_12"
    yield Row("CONNECTED", f"{server} HelloRequest", "CONNECTED", None, "5246 7.4.1.1")
    yield Row("CONNECTED", f"{client} ClientHello (again)", going, None, "5246 7.4.1.2")
    for name, section in _SERVER_SAYS.items():
        yield Row(going, f"{server} {name}", going, None, f"5246 {section}")
    yield Row(going, f"{server} CertificateStatus", going, None, "6066 8")
    for name, section in _CLIENT_SAYS.items():
        yield Row(going, f"{client} {name}", going, None, f"5246 {section}")
    for state, to in ((going, last), (last, "CONNECTED")):
        yield Row(state, f"{server} NewSessionTicket", state, None, "5077 3.3")
        for way in ("sent", "got"):
            for name, section in _EITHER.items():
                yield Row(state, f"{way} {name}", state, None, f"5246 {section}")
            yield Row(state, f"{way} Finished", to, None, "5246 7.4.9")
    for way in ("sent", "got"):
        for state in ("CONNECTED", going):
            yield Row(state, f"{way} no_renegotiation", "CONNECTED", None, "5246 7.2.2")


def _whole(rows: Iterable[Row], role: str) -> tuple[Row, ...]:
    """Returns one end's rows, with those both ends have and with what ends it from anywhere: a fatal alert."""
    way = "sent" if role == "client" else "got"
    ahead = [Row(state, on, state, None, source) for state, on, source in _AHEAD[role]]
    zero = [Row(name, f"{way} early data", name, None, "9846 4.3.10") for name in _ZERO_RTT[role]]
    listed = (*rows, *_BOTH, *ahead, *zero, *_renegotiation(role))
    states = dict.fromkeys(name for row in listed for name in (row.state, row.to))
    there = {(row.state, row.on) for row in listed}
    ends = [
        Row(name, f"{way} {what}", to, None, "9846 6.2" if what == "fatal alert" else "9846 6.1")
        for name in states
        for way in ("sent", "got")
        for what, to in (("fatal alert", "FAILED"), ("close_notify", "CLOSED"))
        if name != "FAILED" and (name, f"{way} {what}") not in there
    ]
    return (*listed, *ends)


CLIENT = Table("tls", State, Event, _whole(_CLIENT, "client"), {"client": State.START})
SERVER = Table("tls", State, Event, _whole(_SERVER, "server"), {"server": State.START})
TABLES = {"client": CLIENT, "server": SERVER}
