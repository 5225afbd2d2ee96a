"""Our end of a connection to a relay: bytes out, replies in, bounded in size and in time."""

import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

_MOST_READ = 64 * 1024
# Of one call: one record of TLS (RFC 8446 section 5.1). Of a larger call OpenSSL may send a first record, with a mail's
# final dot, and fail at a second one; what it says then is that nothing was taken.
_MOST_WRITTEN = 16 * 1024
_LONGEST_REPLY = 64 * 1024
_LINE = re.compile(rb"([2-5]\d\d)([ -]|$)(.*)", re.DOTALL)
_NO_REPLY = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the relay answered; `text` is all of its lines."""

    code: int
    text: str = ""

    @property
    def is_done(self) -> bool:
        return 200 <= self.code < 300  # noqa: PLR2004 - RFC 5321 section 4.2.1

    @property
    def is_go_on(self) -> bool:
        return 300 <= self.code < 400  # noqa: PLR2004

    @property
    def is_not_now(self) -> bool:
        return 400 <= self.code < 500  # noqa: PLR2004

    @property
    def is_never(self) -> bool:
        return 500 <= self.code < 600  # noqa: PLR2004


class Broken(Exception):
    """The connection ended, took too long, or speaks no SMTP. The message names a class, never an address."""


class HalfWritten(Broken):
    """The same while writing; `taken` bytes of it are on their way, and no more of it will ever be."""

    def __init__(self, kind: str, taken: int) -> None:
        super().__init__(kind)
        self.taken = taken


class Line:
    """One connection. Nothing is waited for beyond `until` (of the clock), nor longer than `patience` seconds."""

    def __init__(
        self, connection: socket.socket, *, patience: float, until: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket = connection
        self.patience, self.until = patience, until
        self._clock = clock
        self._kept = bytearray()
        self._torn = False  # a write broke off

    def write(self, data: bytes) -> None:
        """Hand all of it to the operating system; after a failure never anything again. Raises HalfWritten."""
        if self._torn:
            # OpenSSL may hold the rest of the record that failed, and would send it ahead of this: a final dot.
            raise HalfWritten("an earlier write broke off", 0)
        end = self._clock() + self.patience
        view, taken = memoryview(data), 0
        try:
            while taken < len(data):
                self._wait_at_most(end)
                # An error of one call means that none of that call's bytes were taken; under TLS, that its one record
                # is not whole, and only a whole one can be read.
                taken += self._socket.send(view[taken : taken + _MOST_WRITTEN])
        except (OSError, Broken) as error:
            self._torn = True
            raise HalfWritten(_name(error), taken) from None

    def reply(self) -> Reply:
        """The next answer. Raises Broken."""
        end = self._clock() + self.patience
        lines: list[str] = []
        code, size = _NO_REPLY, 0
        while True:
            found = _LINE.fullmatch(line := self._line(end))
            size += len(line)
            if found is None or size > _LONGEST_REPLY or code not in {_NO_REPLY, int(found[1])}:
                raise Broken("a reply that is no SMTP")
            code = int(found[1])
            lines.append(found[3].decode("utf-8", "replace"))
            if found[2] != b"-":
                return Reply(code, "\n".join(lines))

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Go on under TLS, with the relay's name verified. Raises Broken, and ssl.SSLError."""
        if self._kept:  # somebody put words in between, to be believed later (CVE-2021-38371 and its like)
            raise Broken("words in clear behind STARTTLS")
        self._wait_at_most(self._clock() + self.patience)
        self._socket = context.wrap_socket(self._socket, server_hostname=host)

    def is_quiet(self) -> bool:
        """Whether an idle connection is as it should be: nothing came, no goodbye and no end."""
        try:
            self._socket.setblocking(False)
            self._socket.recv(1)  # something, or the end: neither is quiet
        except (BlockingIOError, ssl.SSLWantReadError):
            return not self._kept
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _line(self, end: float) -> bytes:
        while (at := self._kept.find(b"\n")) < 0:
            if len(self._kept) > _LONGEST_REPLY:
                raise Broken("a reply without an end")
            self._wait_at_most(end)
            try:
                received = self._socket.recv(_MOST_READ)
            except OSError as error:
                raise Broken(_name(error)) from None
            if not received:
                raise Broken("the relay hung up")
            self._kept += received
        line = bytes(self._kept[:at]).rstrip(b"\r")
        del self._kept[: at + 1]
        return line

    def _wait_at_most(self, end: float) -> None:
        left = min(end, self.until) - self._clock()
        if left <= 0:
            raise Broken("the relay took too long")
        self._socket.settimeout(left)


def _name(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the relay took too long"
    return str(error) if isinstance(error, Broken) else type(error).__name__
