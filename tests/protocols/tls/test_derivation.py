"""The worked example does itself again: every operation, read as it is written, gives the value beside it.

The sums are done here with the hashes of `cryptography` and nothing of the lab's, from the line's own inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lab.model import DerivationLine
from lab.protocols.tls.keylog import parse_keylog
from lab.protocols.tls.keys12 import Keys12
from lab.protocols.tls.keys13 import Schedule13
from lab.protocols.tls.prf import prf as lab_prf
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.secrets import unlock12, unlock13
from tests.protocols.tls.talks import SUITES, Talk, key_of, talk, talk13
from tests.protocols.tls.test_openssl import STATIC_RSA, SUITES13, read12, read13

ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    "MD5": hashes.MD5(),
    "SHA": hashes.SHA1(),
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
}


def digest(name: str, data: bytes) -> bytes:
    sum_ = hashes.Hash(ALGORITHMS[name])
    sum_.update(data)
    return sum_.finalize()


def hmac(name: str, key: bytes, data: bytes) -> bytes:
    sum_ = HMAC(key, ALGORITHMS[name])
    sum_.update(data)
    return sum_.finalize()


def prf(name: str, secret: bytes, label: bytes, seed: bytes) -> bytes:
    """As RFC 5246 section 5 writes it: A(0) = seed, A(i) = HMAC(secret, A(i-1)). More bytes than anybody asks for."""
    seed = label + seed
    if name == "MD5_SHA1":
        half = -(-len(secret) // 2)
        both = zip(prf("MD5", secret[:half], b"", seed), prf("SHA", secret[-half:], b"", seed), strict=False)
        return bytes(a ^ b for a, b in both)
    a = [seed]
    for _ in range(12):
        a.append(hmac(name, secret, a[-1]))
    return b"".join(hmac(name, secret, each + seed) for each in a[1:])


def expand_label(name: str, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    info = length.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label + bytes([len(context)]) + context
    return HKDFExpand(ALGORITHMS[name], length, info).derive(secret)


@pytest.mark.parametrize("name", ["MD5_SHA1", "SHA256", "SHA384"])
@pytest.mark.parametrize("length", [0, 1, 47, 48, 100])
def test_a_secret_of_any_length_gives_bytes(name: str, length: int) -> None:
    """Of an odd one TLS 1.0 takes the middle byte twice (RFC 2246 section 5)."""
    secret = bytes(range(length))
    ours = lab_prf(name, secret, "label", b"seed", 100)
    assert ours == prf(name, secret, b"label", b"seed")[:100] if length else len(ours) == 100


def again(line: DerivationLine) -> bytes:
    """Does the sum of a line, with its operation as the only instruction."""
    values = sorted(line.inputs, key=lambda each: -len(each[0]))
    assert len(dict(values)) == len(values)

    def value(term: str) -> bytes:
        term = term.strip()
        total = b""
        while term:
            name = next((name for name, _ in values if term.startswith(name)), None)
            if term.startswith('"'):
                label, _, term = term[1:].partition('"')
                total += label.encode()
            else:
                assert name is not None, (line.operation, term)
                total += dict(values)[name]
                term = term[len(name) :]
            term = term.lstrip().removeprefix("+").lstrip()
        return total

    text = line.operation
    if text == "c^d mod n":  # d is the server's alone: the public exponent leads back
        (_, encrypted), (_, modulus) = line.inputs
        back = pow(int.from_bytes(line.output, "big"), 65537, int.from_bytes(modulus, "big"))
        assert back == int.from_bytes(encrypted, "big")
        return line.output
    span = re.fullmatch(r"(.+)\[(\d+)\.\.(\d+)\]", text)
    if span:
        text = span[1]
    called = re.fullmatch(r"(PRF|HMAC|HKDF-Extract|HKDF-Expand-Label)_(\w+?)\((.+)\)", text)
    if called:
        terms = called[3].split(", ")
        if called[1] == "PRF":
            whole = prf(called[2], *(value(each) for each in terms))
        elif called[1] == "HKDF-Expand-Label":
            secret, label, context, length = terms
            whole = expand_label(called[2], value(secret), value(label), value(context), int(length))
        else:
            whole = hmac(called[2], *(value(each) for each in terms))
    elif re.match(r"(MD5|SHA-\d+)\(", text):
        spoken = {"MD5": "MD5", "SHA-1": "SHA", "SHA-256": "SHA256", "SHA-384": "SHA384"}
        parts = (re.fullmatch(r"([\w-]+)\((.+)\)", each) for each in text.split(" + "))
        whole = b"".join(digest(spoken[each[1]], value(each[2])) for each in parts if each)
    else:
        whole = value(text)
    return whole[int(span[2]) : int(span[3]) + 1] if span else whole


def assert_all_do_themselves_again(lines: Iterable[DerivationLine]) -> dict[str, bytes]:
    """Every value must be given or calculated on a line before it is used. Returns all of them by name."""
    known = dict[str, bytes]()
    for line in lines:
        for name, value in line.inputs:
            assert known.get(name, value) == value, f"{name} is two things"
        if not line.operation.startswith("key log: "):
            assert again(line) == line.output, line.operation
        assert known.get(line.output_name, line.output) == line.output, f"{line.output_name} is two things"
        known[line.output_name] = line.output
        assert line.source.startswith("RFC ")
        assert line.what.en.endswith(".")
        assert line.what.zh.endswith("。")
    return known


def by_hand(conversation: Talk) -> Keys12:
    keys = unlock12(conversation.agreed, conversation.flight(), key_of())
    assert isinstance(keys, Keys12)
    read12(conversation, keys)
    return keys


@pytest.mark.parametrize(("cipher", "version", "options"), STATIC_RSA)
def test_a_static_rsa_handshake_step_by_step(cipher: str, version: int, options: int) -> None:
    keys = by_hand(talk(cipher, version, options))
    values = assert_all_do_themselves_again(keys.lines)
    assert values["client version"] == keys.version.to_bytes(2, "big")
    assert len(values["pre-master secret"]) == 48
    assert values["main secret"] == keys.master
    assert ("session hash" in values) == keys.extended_master_secret
    assert len(values["client verify_data"]) == len(values["server verify_data"]) == 12
    whole = b"".join(
        values.get(f"{role}_{name}", b"")
        for name in ("write_MAC_key", "write_key", "write_IV")
        for role in ("client", "server")
    )
    assert whole == values["key block"]  # all of it is cut up, in RFC 5246 section 6.3's order


def test_what_is_calculated_twice_is_written_once() -> None:
    keys = by_hand(talk("AES128-GCM-SHA256"))
    before = keys.lines
    keys.verify_data("client", b"more")
    assert len(keys.lines) == len(before) + 2
    keys.verify_data("client", b"more")
    assert len(keys.lines) == len(before) + 2


def test_a_key_log_s_master_secret_is_said_to_be_one() -> None:
    conversation = talk("ECDHE-RSA-CHACHA20-POLY1305")
    keys = unlock12(conversation.agreed, conversation.flight(), None, parse_keylog(conversation.keylog))
    assert isinstance(keys, Keys12)
    assert keys.lines[0].operation == "key log: CLIENT_RANDOM"
    values = assert_all_do_themselves_again(keys.lines)
    assert values["main secret"] == keys.master


@pytest.mark.parametrize("name", SUITES13)
def test_tls_13_from_its_key_log(name: str) -> None:
    conversation = talk13(name)
    epochs = unlock13(conversation.agreed, None, parse_keylog(conversation.keylog))
    assert not isinstance(epochs, Reason)
    read13(conversation, epochs)
    values = assert_all_do_themselves_again(epochs.lines)
    assert {"client_handshake_write_key", "server_application_write_iv_0", "server verify_data"} < set(values)
    assert [line.output_name for line in epochs.lines if line.operation.startswith("key log: ")] == [
        "client_handshake_traffic_secret",
        "server_handshake_traffic_secret",
        "client_application_traffic_secret_0",
        "server_application_traffic_secret_0",
    ]


@pytest.mark.parametrize("code", [0x1301, 0x1302, 0x1303])
def test_the_schedule_from_the_shared_secret(code: int) -> None:
    schedule = Schedule13(SUITES[code], psk=b"p" * 32)
    schedule.early(b"hello")
    schedule.handshake(b"shared" * 5, b"hello hello")
    _, server = schedule.application(b"all of it")
    schedule.exporter(b"all of it")
    schedule.resumption(b"all of it and more", b"\0")
    updated = server.update().update()
    assert updated.name == "server_application_traffic_secret_2"
    assert updated.secret != server.secret
    assert "server_application_write_key_2" in assert_all_do_themselves_again(schedule.derivation.lines)
