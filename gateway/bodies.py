"""Request bodies, bounded while they stream in: nobody fills our memory, by size, by gzip or by being slow."""

import asyncio
import zlib

from fastapi import Request
from starlette.requests import ClientDisconnect

_GZIP = 31  # zlib's word for: expect a gzip header, with the largest window


class Refused(Exception):
    """Nothing was kept. `reason` is a short word for metrics, the text is for the sender."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason


class _Plain:
    """Keeps what comes, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise _too_large(self._limit)
        self._parts.append(chunk)

    def finish(self) -> bytes:
        return b"".join(self._parts)


class _Gzip(_Plain):
    """Inflates as it goes, never more than one byte beyond the limit: a bomb costs no more than an honest body."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._inflater = zlib.decompressobj(_GZIP)
        self._on_the_wire = 0

    def feed(self, chunk: bytes) -> None:
        self._on_the_wire += len(chunk)  # empty blocks inflate to nothing, for ever
        if self._on_the_wire > self._limit:
            raise _too_large(self._limit)
        try:
            super().feed(self._inflater.decompress(chunk, self._limit - self._size + 1))
        except zlib.error:
            raise _broken_gzip() from None
        if self._inflater.unused_data:
            raise _broken_gzip()

    def finish(self) -> bytes:
        if not self._inflater.eof:
            raise _broken_gzip()
        return super().finish()


def _too_large(limit: int) -> Refused:
    return Refused(413, "too_large", f"The body is larger than {limit} bytes; nothing was kept.")


def _broken_gzip() -> Refused:
    return Refused(400, "encoding", "The body says it is gzip and is not one whole gzip stream; nothing was kept.")


def _collector(encoding: str, limit: int) -> _Plain:
    if encoding in {"", "identity"}:
        return _Plain(limit)
    if encoding in {"gzip", "x-gzip"}:
        return _Gzip(limit)
    raise Refused(415, "encoding", "The body's Content-Encoding is neither gzip nor identity; nothing was kept.")


async def read(request: Request, *, limit: int, seconds: float) -> bytes:
    """Return the whole body, inflated where it came as gzip. Raises Refused."""
    collector = _collector(request.headers.get("content-encoding", "").strip().lower(), limit)
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                collector.feed(chunk)
    except TimeoutError:
        raise Refused(408, "slow", f"The body took longer than {seconds:g} s to arrive; nothing was kept.") from None
    except ClientDisconnect:
        raise Refused(400, "cut", "The connection ended before the body did; nothing was kept.") from None
    return collector.finish()
