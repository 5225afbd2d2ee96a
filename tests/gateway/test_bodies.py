"""A body costs no more memory than its limit allows, whatever it would inflate to."""

import gzip
import tracemalloc
import zlib

import anyio
import pytest
from fastapi import Request

from gateway import bodies

LIMIT = 1_000_000


def request(*chunks: bytes) -> Request:
    messages = iter(
        [
            *({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks),
            {"type": "http.request", "body": b"", "more_body": False},
        ]
    )

    async def receive() -> dict:
        return next(messages)

    return Request({"type": "http", "headers": [(b"content-encoding", b"gzip")]}, receive)


def read(*chunks: bytes) -> bytes:
    async def run() -> bytes:
        return await bodies.read(request(*chunks), limit=LIMIT, seconds=30)

    return anyio.run(run)


def test_a_bomb_in_one_chunk_costs_little_more_than_the_limit():
    bomb = gzip.compress(bytes(200_000_000), compresslevel=9)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    with pytest.raises(bodies.Refused) as refusal:
        read(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refusal.value.status == 413
    assert peak < 4 * LIMIT


def test_a_stream_of_empty_blocks_comes_to_an_end():
    deflater = zlib.compressobj(wbits=31)
    start = deflater.compress(b"") + deflater.flush(zlib.Z_SYNC_FLUSH)
    nothing = b"\x00\x00\x00\xff\xff" * 20_000  # a stored block of length 0, over and over
    with pytest.raises(bodies.Refused) as refusal:
        read(start, *([nothing] * 11))
    assert refusal.value.status == 413


def test_a_body_cut_anywhere_inflates_to_the_same():
    packed = gzip.compress(b"0123456789" * 1000)
    for cut in range(0, len(packed), 7):
        assert read(packed[:cut], packed[cut:]) == b"0123456789" * 1000
