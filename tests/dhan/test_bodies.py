"""Bodies of answers, packed and not."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import httpx
import pytest

from dhan.bodies import read_body

MOST = 1024 * 1024


def an_answer(body: bytes, encoding: str = "") -> httpx.Response:
    headers = {"Content-Encoding": encoding} if encoding else {}
    return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"{}", ""),
        (b"{}", "Identity"),
        (gzip.compress(b"{}", mtime=0), "gzip"),
        (zlib.compress(b"{}"), "deflate"),
    ],
)
async def test_a_body_is_read_packed_or_not(body: bytes, encoding: str) -> None:
    assert await read_body(an_answer(body, encoding), MOST) == b"{}"


async def test_a_body_of_the_most_bytes_is_read_and_one_of_more_is_none() -> None:
    for encoding, pack in (("", bytes), ("gzip", gzip.compress)):
        whole, longer = b" " * MOST, b" " * (MOST + 1)
        assert await read_body(an_answer(pack(whole), encoding), MOST) == whole
        assert await read_body(an_answer(pack(longer), encoding), MOST) is None


async def test_no_more_of_a_packed_body_is_unpacked_than_may_be_read() -> None:
    answer = an_answer(gzip.compress(b" " * (32 * MOST)), "gzip")
    tracemalloc.start()

    body = await read_body(answer, MOST)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body is None
    assert peak < 8 * MOST


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "gzip, gzip"),
        (b"{}", "br"),
        (b"{}", "gzip"),
    ],
    ids=["packed twice", "unknown", "not packed at all"],
)
async def test_what_is_packed_in_another_way_is_no_answer(body: bytes, encoding: str) -> None:
    with pytest.raises(httpx.DecodingError):
        await read_body(an_answer(body, encoding), MOST)
