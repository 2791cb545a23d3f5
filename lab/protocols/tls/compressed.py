"""Compressed certificates (RFC 8879): a Certificate message as it would have been, out of what was sent instead of it.

What comes out is bounded by the length that the message announces, and that by what a handshake message may have: no
few bytes become many. A library that is not there is said to be missing.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

from lab.protocols.tls import codes, reasons
from lab.protocols.tls.messages import Certificate, CompressedCertificate, certificate
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.records import MAX_MESSAGE

ZLIB, BROTLI, ZSTD = 1, 2, 3
_ZSTD_WINDOW = 1 << 23  # bytes; RFC 8879 section 4 allows no more


@lru_cache(16)
def opened(message: CompressedCertificate) -> Certificate | Reason:
    """Returns the Certificate that was compressed, or why it can't be had."""
    name = codes.name(codes.CERTIFICATE_COMPRESSIONS, message.algorithm)
    if message.damaged or message.algorithm not in _METHODS:
        return reasons.COMPRESSION_UNKNOWN.format(name) if not message.damaged else _damaged(message)
    if message.length > MAX_MESSAGE:
        return reasons.COMPRESSION_TOO_LONG.format(message.length, MAX_MESSAGE)
    try:
        body = _METHODS[message.algorithm](message.compressed, message.length)
    except ImportError:
        return reasons.COMPRESSION_LIBRARY.format(name)
    if body is None or len(body) != message.length:
        return _damaged(message)
    return certificate(bytes([codes.CERTIFICATE]) + len(body).to_bytes(3, "big") + body, codes.TLS_1_3)


def _damaged(message: CompressedCertificate) -> Reason:
    return reasons.COMPRESSION_DAMAGED.format(message.length)


# Each returns at most a little more than `size` bytes, None for what is damaged, or has something behind it.


def _zlib(data: bytes, size: int) -> bytes | None:
    inner = zlib.decompressobj()
    try:
        found = inner.decompress(data, size + 1)
    except zlib.error:
        return None
    return found if inner.eof and not inner.unused_data else None


def _brotli(data: bytes, size: int) -> bytes | None:
    import brotli

    inner, found = brotli.Decompressor(), bytearray()
    try:
        while not inner.is_finished() and len(found) <= size:
            piece = inner.process(data, output_buffer_limit=size + 1 - len(found))
            if not piece and not data:
                return None  # it is cut short
            found += piece
            data = b""
    except brotli.error:
        return None
    return bytes(found) if inner.is_finished() else None


def _zstd(data: bytes, size: int) -> bytes | None:
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(data) as inner:
            return inner.read(size + 1)
    except (zstandard.ZstdError, MemoryError):
        return None


_METHODS = {ZLIB: _zlib, BROTLI: _brotli, ZSTD: _zstd}
