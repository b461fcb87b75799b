"""Reads the body of an answer, so many bytes of it at most, also where it came packed.

httpx unpacks each piece as a whole before anybody sees its size: a packed body of some kilobytes
can hold a gigabyte, and an event loop that unpacks it stands still for every account.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import httpx

# The one way of packing that we ask for.
ACCEPTED: Final = {"Accept-Encoding": "gzip"}
_PLAIN: Final = frozenset({"", "identity"})
_PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS  # by what the beginning says


async def read_body(response: httpx.Response, most: int) -> bytes | None:
    """The whole body, or None where it is longer than `most` bytes.

    Raises:
        httpx.DecodingError: it is packed in a way that nobody asked for, or broken.
        httpx.HTTPError: it did not come.
    """
    unpacked = _unpacker(response.headers.get("content-encoding", ""))
    body = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        try:
            body += unpacked(chunk, most + 1 - len(body))
        except zlib.error:
            raise httpx.DecodingError("not what its header says") from None
        if len(body) > most:
            return None
    return bytes(body)


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """What gives at least one byte and at most the number asked for of a packed piece."""
    name = encoding.strip().lower()
    if name in _PLAIN:
        return lambda chunk, _: chunk
    if name not in _PACKED:
        raise httpx.DecodingError("packed in a way that nobody asked for")
    return zlib.decompressobj(_GZIP_OR_ZLIB).decompress
