"""The numbers of TLS and their names, as IANA registers them. No number is ever lost behind a name.

Sources: IANA "TLS Parameters" and "TLS ExtensionType Values"; where RFCs spell a name differently, RFC 9846 counts.
GREASE values (RFC 8701) are numbers that clients send so that servers get used to what they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lab.protocols.tls.suites import SUITES as SUITE_NAMES
from lab.protocols.tls.suites import TLCP_SUITES


class Registry(NamedTuple):
    """Names by number; how a number is written; in how many bytes its GREASE values come (0: it has none)."""

    names: Mapping[int, str]
    form: str = "{}"
    grease: int = 0


def is_grease(value: int, size: int = 2) -> bool:
    """Says whether a number is kept for GREASE (RFC 8701 section 2): 0x0a0a to 0xfafa, or of one byte 0x0b to 0xe4."""
    if size == 1:
        return 0x0B <= value <= 0xE4 and (value - 0x0B) % 0x1F == 0
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def name(registry: Registry, value: int) -> str:
    """Returns the registered name, `GREASE (0x0a0a)`, or `unknown (…)` with the number."""
    if value in registry.names:
        return registry.names[value]
    if registry.grease and is_grease(value, registry.grease):
        return f"GREASE (0x{value:0{2 * registry.grease}x})"
    return f"unknown ({registry.form.format(value)})"


def numbered(registry: Registry, value: int) -> str:
    """Returns the number followed by its name: `0x1301 (TLS_AES_128_GCM_SHA256)`, `0x0a0a (GREASE)`, `99 (unknown)`."""
    text = registry.form.format(value)
    if value in registry.names:
        return f"{text} ({registry.names[value]})"
    grease = registry.grease and is_grease(value, registry.grease)
    return f"0x{value:0{2 * registry.grease}x} (GREASE)" if grease else f"{text} (unknown)"


# The record layer.

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = range(20, 25)
SSL2 = 0x80  # ours: a ClientHello as SSL 2.0 wrote it (RFC 5246 appendix E.2) has no content type

CONTENT_TYPES = Registry({
    CHANGE_CIPHER_SPEC: "change_cipher_spec", ALERT: "alert", HANDSHAKE: "handshake",
    APPLICATION_DATA: "application_data", HEARTBEAT: "heartbeat", 25: "tls12_cid", 26: "ACK", SSL2: "SSL 2.0",
})  # fmt: skip

TLCP = 0x0101  # GB/T 38636-2020: TLS 1.1 with the algorithms SM2, SM3, SM4, and two certificates
SSL_2, SSL_3, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0200, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

VERSIONS = Registry(
    {
        TLCP: "TLCP 1.1",
        0x0002: "SSL 2.0",  # as it stands in an SSL 2.0 hello
        SSL_2: "SSL 2.0", SSL_3: "SSL 3.0", TLS_1_0: "TLS 1.0", TLS_1_1: "TLS 1.1", TLS_1_2: "TLS 1.2",
        TLS_1_3: "TLS 1.3", 0xFEFF: "DTLS 1.0", 0xFEFD: "DTLS 1.2", 0xFEFC: "DTLS 1.3",
        # RFC 8446's drafts said 0x7f00 + their number (draft-ietf-tls-tls13 section 4.2.1.1).
        **{0x7F00 + draft: f"TLS 1.3 (draft {draft})" for draft in range(14, 29)},
    },
    "0x{:04x}",
    2,
)  # fmt: skip

ALERT_LEVELS = Registry({1: "warning", 2: "fatal"})
ALERTS = Registry({
    0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow",
    30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
    43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
    47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
    52: "too_many_cids_requested", 60: "export_restriction", 70: "protocol_version", 71: "insufficient_security",
    80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation",
    109: "missing_extension", 110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
    113: "bad_certificate_status_response", 114: "bad_certificate_hash_value", 115: "unknown_psk_identity",
    116: "certificate_required", 117: "general_error", 120: "no_application_protocol", 121: "ech_required",
})  # fmt: skip
CHANGE_CIPHER_SPECS = Registry({1: "change_cipher_spec"})
HEARTBEATS = Registry({1: "heartbeat_request", 2: "heartbeat_response"})

# Handshake messages.

HELLO_REQUEST, CLIENT_HELLO, SERVER_HELLO = 0, 1, 2
NEW_SESSION_TICKET, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS = 4, 5, 8
CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = 11, 12, 13, 14
CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE, FINISHED = 15, 16, 20
CERTIFICATE_STATUS, KEY_UPDATE, COMPRESSED_CERTIFICATE, MESSAGE_HASH = 22, 24, 25, 254

HANDSHAKE_TYPES = Registry({
    HELLO_REQUEST: "hello_request", CLIENT_HELLO: "client_hello", SERVER_HELLO: "server_hello",
    3: "hello_verify_request", NEW_SESSION_TICKET: "new_session_ticket", END_OF_EARLY_DATA: "end_of_early_data",
    6: "hello_retry_request", ENCRYPTED_EXTENSIONS: "encrypted_extensions", 9: "request_connection_id",
    10: "new_connection_id", CERTIFICATE: "certificate", SERVER_KEY_EXCHANGE: "server_key_exchange",
    CERTIFICATE_REQUEST: "certificate_request", SERVER_HELLO_DONE: "server_hello_done",
    CERTIFICATE_VERIFY: "certificate_verify", CLIENT_KEY_EXCHANGE: "client_key_exchange",
    17: "client_certificate_request", FINISHED: "finished", 21: "certificate_url",
    CERTIFICATE_STATUS: "certificate_status", 23: "supplemental_data", KEY_UPDATE: "key_update",
    COMPRESSED_CERTIFICATE: "compressed_certificate", 26: "ekt_key", MESSAGE_HASH: "message_hash",
})  # fmt: skip
# As the lab calls those that it tells of.
MESSAGES = {
    HELLO_REQUEST: "HelloRequest", CLIENT_HELLO: "ClientHello", SERVER_HELLO: "ServerHello",
    NEW_SESSION_TICKET: "NewSessionTicket", END_OF_EARLY_DATA: "EndOfEarlyData",
    ENCRYPTED_EXTENSIONS: "EncryptedExtensions", CERTIFICATE: "Certificate", SERVER_KEY_EXCHANGE: "ServerKeyExchange",
    CERTIFICATE_REQUEST: "CertificateRequest", SERVER_HELLO_DONE: "ServerHelloDone",
    CERTIFICATE_VERIFY: "CertificateVerify", CLIENT_KEY_EXCHANGE: "ClientKeyExchange", FINISHED: "Finished",
    CERTIFICATE_STATUS: "CertificateStatus", KEY_UPDATE: "KeyUpdate", COMPRESSED_CERTIFICATE: "CompressedCertificate",
}  # fmt: skip

SUITES = Registry({**SUITE_NAMES, **TLCP_SUITES}, "0x{:04x}", 2)
SSL2_SUITES = Registry(  # three bytes; those that begin with 0 are suites of TLS
    {
        **SUITE_NAMES,
        0x010080: "SSL_CK_RC4_128_WITH_MD5", 0x020080: "SSL_CK_RC4_128_EXPORT40_WITH_MD5",
        0x030080: "SSL_CK_RC2_128_CBC_WITH_MD5", 0x040080: "SSL_CK_RC2_128_CBC_EXPORT40_WITH_MD5",
        0x050080: "SSL_CK_IDEA_128_CBC_WITH_MD5", 0x060040: "SSL_CK_DES_64_CBC_WITH_MD5",
        0x0700C0: "SSL_CK_DES_192_EDE3_CBC_WITH_MD5",
    },
    "0x{:06x}",
)  # fmt: skip
COMPRESSIONS = Registry({0: "null", 1: "DEFLATE", 64: "LZS"})

# Extensions.

SERVER_NAME, MAX_FRAGMENT_LENGTH, STATUS_REQUEST, SUPPORTED_GROUPS, EC_POINT_FORMATS = 0, 1, 5, 10, 11
SIGNATURE_ALGORITHMS, USE_SRTP, HEARTBEAT_EXTENSION, ALPN, SIGNED_CERTIFICATE_TIMESTAMP = 13, 14, 15, 16, 18
CLIENT_CERTIFICATE_TYPE, SERVER_CERTIFICATE_TYPE, PADDING = 19, 20, 21
ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, COMPRESS_CERTIFICATE, RECORD_SIZE_LIMIT = 22, 23, 27, 28
DELEGATED_CREDENTIAL, SESSION_TICKET, PRE_SHARED_KEY, EARLY_DATA, SUPPORTED_VERSIONS, COOKIE = 34, 35, 41, 42, 43, 44
PSK_KEY_EXCHANGE_MODES, CERTIFICATE_AUTHORITIES, OID_FILTERS, POST_HANDSHAKE_AUTH = 45, 47, 48, 49
SIGNATURE_ALGORITHMS_CERT, KEY_SHARE, TICKET_REQUEST = 50, 51, 58
NEXT_PROTOCOL_NEGOTIATION, APPLICATION_SETTINGS_OLD, APPLICATION_SETTINGS = 13172, 17513, 17613
ECH_OUTER_EXTENSIONS, ENCRYPTED_CLIENT_HELLO, RENEGOTIATION_INFO = 0xFD00, 0xFE0D, 0xFF01

EXTENSIONS = Registry(
    {
        SERVER_NAME: "server_name", MAX_FRAGMENT_LENGTH: "max_fragment_length", 2: "client_certificate_url",
        3: "trusted_ca_keys", 4: "truncated_hmac", STATUS_REQUEST: "status_request", 6: "user_mapping",
        7: "client_authz", 8: "server_authz", 9: "cert_type", SUPPORTED_GROUPS: "supported_groups",
        EC_POINT_FORMATS: "ec_point_formats", 12: "srp", SIGNATURE_ALGORITHMS: "signature_algorithms",
        USE_SRTP: "use_srtp", HEARTBEAT_EXTENSION: "heartbeat", ALPN: "application_layer_protocol_negotiation",
        17: "status_request_v2", SIGNED_CERTIFICATE_TIMESTAMP: "signed_certificate_timestamp",
        CLIENT_CERTIFICATE_TYPE: "client_certificate_type", SERVER_CERTIFICATE_TYPE: "server_certificate_type",
        PADDING: "padding", ENCRYPT_THEN_MAC: "encrypt_then_mac", EXTENDED_MASTER_SECRET: "extended_main_secret",
        24: "token_binding", 25: "cached_info", 26: "tls_lts", COMPRESS_CERTIFICATE: "compress_certificate",
        RECORD_SIZE_LIMIT: "record_size_limit", 29: "pwd_protect", 30: "pwd_clear", 31: "password_salt",
        32: "ticket_pinning", 33: "tls_cert_with_extern_psk", DELEGATED_CREDENTIAL: "delegated_credential",
        SESSION_TICKET: "session_ticket", 36: "TLMSP", 37: "TLMSP_proxying", 38: "TLMSP_delegate",
        39: "supported_ekt_ciphers", PRE_SHARED_KEY: "pre_shared_key", EARLY_DATA: "early_data",
        SUPPORTED_VERSIONS: "supported_versions", COOKIE: "cookie", PSK_KEY_EXCHANGE_MODES: "psk_key_exchange_modes",
        CERTIFICATE_AUTHORITIES: "certificate_authorities", OID_FILTERS: "oid_filters",
        POST_HANDSHAKE_AUTH: "post_handshake_auth", SIGNATURE_ALGORITHMS_CERT: "signature_algorithms_cert",
        KEY_SHARE: "key_share", 52: "transparency_info", 53: "connection_id (deprecated)", 54: "connection_id",
        55: "external_id_hash", 56: "external_session_id", 57: "quic_transport_parameters",
        TICKET_REQUEST: "ticket_request", 59: "dnssec_chain", 60: "sequence_number_encryption_algorithms", 61: "rrc",
        62: "tls_flags",
        NEXT_PROTOCOL_NEGOTIATION: "next_protocol_negotiation",  # what HTTP/2's forerunner used before ALPN
        APPLICATION_SETTINGS_OLD: "application_settings", APPLICATION_SETTINGS: "application_settings",
        30032: "channel_id", ECH_OUTER_EXTENSIONS: "ech_outer_extensions",
        ENCRYPTED_CLIENT_HELLO: "encrypted_client_hello", RENEGOTIATION_INFO: "renegotiation_info",
    },
    "{}",
    2,
)  # fmt: skip

GROUPS = Registry(
    {
        1: "sect163k1", 2: "sect163r1", 3: "sect163r2", 4: "sect193r1", 5: "sect193r2", 6: "sect233k1",
        7: "sect233r1", 8: "sect239k1", 9: "sect283k1", 10: "sect283r1", 11: "sect409k1", 12: "sect409r1",
        13: "sect571k1", 14: "sect571r1", 15: "secp160k1", 16: "secp160r1", 17: "secp160r2", 18: "secp192k1",
        19: "secp192r1", 20: "secp224k1", 21: "secp224r1", 22: "secp256k1", 23: "secp256r1", 24: "secp384r1",
        25: "secp521r1", 26: "brainpoolP256r1", 27: "brainpoolP384r1", 28: "brainpoolP512r1", 29: "x25519",
        30: "x448", 31: "brainpoolP256r1tls13", 32: "brainpoolP384r1tls13", 33: "brainpoolP512r1tls13",
        34: "GC256A", 35: "GC256B", 36: "GC256C", 37: "GC256D", 38: "GC512A", 39: "GC512B", 40: "GC512C",
        41: "curveSM2", 256: "ffdhe2048", 257: "ffdhe3072", 258: "ffdhe4096", 259: "ffdhe6144", 260: "ffdhe8192",
        512: "MLKEM512", 513: "MLKEM768", 514: "MLKEM1024", 4587: "SecP256r1MLKEM768", 4588: "X25519MLKEM768",
        4589: "SecP384r1MLKEM1024", 4590: "curveSM2MLKEM768", 25497: "X25519Kyber768Draft00",
        25498: "SecP256r1Kyber768Draft00", 0xFF01: "arbitrary_explicit_prime_curves",
        0xFF02: "arbitrary_explicit_char2_curves",
    },
    "0x{:04x}",
    2,
)  # fmt: skip

_HASHES = {1: "md5", 2: "sha1", 3: "sha224", 4: "sha256", 5: "sha384", 6: "sha512"}
_SIGNATURES = {1: "rsa_pkcs1", 2: "dsa", 3: "ecdsa"}

SIGNATURE_SCHEMES = Registry(
    {
        # TLS 1.2's pairs of a hash and a signature (RFC 5246 section 7.4.1.4.1), named as RFC 9846 names some of them.
        **{
            (first << 8) + second: f"{signature}_{hashing}"
            for first, hashing in _HASHES.items()
            for second, signature in _SIGNATURES.items()
        },
        0x0403: "ecdsa_secp256r1_sha256", 0x0503: "ecdsa_secp384r1_sha384", 0x0603: "ecdsa_secp521r1_sha512",
        0x0420: "rsa_pkcs1_sha256_legacy", 0x0520: "rsa_pkcs1_sha384_legacy", 0x0620: "rsa_pkcs1_sha512_legacy",
        0x0704: "eccsi_sha256", 0x0705: "iso_ibs1", 0x0706: "iso_ibs2", 0x0707: "iso_chinese_ibs",
        0x0708: "sm2sig_sm3", 0x0709: "gostr34102012_256a", 0x070A: "gostr34102012_256b",
        0x070B: "gostr34102012_256c", 0x070C: "gostr34102012_256d", 0x070D: "gostr34102012_512a",
        0x070E: "gostr34102012_512b", 0x070F: "gostr34102012_512c", 0x0804: "rsa_pss_rsae_sha256",
        0x0805: "rsa_pss_rsae_sha384", 0x0806: "rsa_pss_rsae_sha512", 0x0807: "ed25519", 0x0808: "ed448",
        0x0809: "rsa_pss_pss_sha256", 0x080A: "rsa_pss_pss_sha384", 0x080B: "rsa_pss_pss_sha512",
        0x081A: "ecdsa_brainpoolP256r1tls13_sha256", 0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
        0x081C: "ecdsa_brainpoolP512r1tls13_sha512", 0x0904: "mldsa44", 0x0905: "mldsa65", 0x0906: "mldsa87",
    },
    "0x{:04x}",
    2,
)  # fmt: skip

NAME_TYPES = Registry({0: "host_name"})
FRAGMENT_LENGTHS = Registry({1: "512", 2: "1024", 3: "2048", 4: "4096"})  # bytes (RFC 6066 section 4)
STATUS_TYPES = Registry({1: "ocsp", 2: "ocsp_multi"})
POINT_FORMATS = Registry({0: "uncompressed", 1: "ansiX962_compressed_prime", 2: "ansiX962_compressed_char2"})
NAMED_CURVE = 3
CURVE_TYPES = Registry({1: "explicit_prime", 2: "explicit_char2", NAMED_CURVE: "named_curve"})
PSK_MODES = Registry({0: "psk_ke", 1: "psk_dhe_ke"}, "{}", 1)
CERTIFICATE_TYPES = Registry({0: "X509", 1: "OpenPGP", 2: "RawPublicKey", 3: "1609Dot2"})
CERTIFICATE_COMPRESSIONS = Registry({1: "zlib", 2: "brotli", 3: "zstd"})
CLIENT_CERTIFICATE_TYPES = Registry({
    1: "rsa_sign", 2: "dss_sign", 3: "rsa_fixed_dh", 4: "dss_fixed_dh", 5: "rsa_ephemeral_dh", 6: "dss_ephemeral_dh",
    20: "fortezza_dms", 64: "ecdsa_sign", 65: "rsa_fixed_ecdh", 66: "ecdsa_fixed_ecdh", 67: "gost_sign256",
    68: "gost_sign512",
})  # fmt: skip
KEY_UPDATES = Registry({0: "update_not_requested", 1: "update_requested"})
HEARTBEAT_MODES = Registry({1: "peer_allowed_to_send", 2: "peer_not_allowed_to_send"})
SRTP_PROFILES = Registry(
    {
        1: "SRTP_AES128_CM_HMAC_SHA1_80", 2: "SRTP_AES128_CM_HMAC_SHA1_32", 5: "SRTP_NULL_HMAC_SHA1_80",
        6: "SRTP_NULL_HMAC_SHA1_32", 7: "SRTP_AEAD_AES_128_GCM", 8: "SRTP_AEAD_AES_256_GCM",
    },
    "0x{:04x}",
)  # fmt: skip
ECH_TYPES = Registry({0: "outer", 1: "inner"})
HPKE_KEMS = Registry(
    {
        0x0010: "DHKEM(P-256, HKDF-SHA256)", 0x0011: "DHKEM(P-384, HKDF-SHA384)", 0x0012: "DHKEM(P-521, HKDF-SHA512)",
        0x0020: "DHKEM(X25519, HKDF-SHA256)", 0x0021: "DHKEM(X448, HKDF-SHA512)", 0x647A: "X-Wing",
    },
    "0x{:04x}",
)  # fmt: skip
HPKE_KDFS = Registry({1: "HKDF-SHA256", 2: "HKDF-SHA384", 3: "HKDF-SHA512"}, "0x{:04x}")
HPKE_AEADS = Registry({1: "AES-128-GCM", 2: "AES-256-GCM", 3: "ChaCha20Poly1305", 0xFFFF: "Export-only"}, "0x{:04x}")
