"""The bytes of an SMTP connection: lines and mails, bounded in size and in time."""

import socket
import ssl
import time
from collections.abc import Callable

_LONGEST_LINE = 2048  # RFC 5321 section 4.5.3.1.4 asks for 512 and for what extensions add
_CHUNK = 64 * 1024
_END = b"\r\n.\r\n"


class Gone(Exception):
    """The other side hung up, or took too long."""


class Wire:
    """One connection. Nothing of what it keeps grows beyond the limit of one mail."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        idle_seconds: float,
        session_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = connection
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._deadline = clock() + session_seconds
        self._kept = bytearray()

    def send(self, *lines: str) -> None:
        """Answer. Raises Gone."""
        try:
            self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode("ascii", "replace"))
        except OSError as error:
            raise Gone from error

    def line(self) -> str | None:
        """The next command; None of one that is too long, which is passed over. Raises Gone."""
        too_long = False
        while (end := self._kept.find(b"\n")) < 0:
            if len(self._kept) > _LONGEST_LINE:
                too_long = True
                self._kept.clear()
            self._more()
        line = bytes(self._kept[:end])
        del self._kept[: end + 1]
        if too_long or end > _LONGEST_LINE:
            return None
        return line.decode("utf-8", "replace").rstrip("\r")

    def mail(self, limit: int) -> bytes | None:
        """A mail up to its final dot; None of one beyond the limit, which is passed over. Raises Gone.

        Only CR LF dot CR LF ends it: who takes other line ends for one lets a second mail be smuggled in.
        """
        self._kept[:0] = b"\r\n"  # the dot may stand in the first line
        looked, passed_over = 0, 0
        while (end := self._kept.find(_END, looked)) < 0:
            looked = max(0, len(self._kept) - len(_END) + 1)
            if len(self._kept) > limit + _CHUNK or passed_over:
                passed_over += looked
                del self._kept[:looked]
                looked = 0
            if passed_over > 10 * limit:
                raise Gone
            self._more()
        mail = None if passed_over or end > limit else bytes(self._kept[2 : end + 2])
        del self._kept[: end + len(_END)]
        return None if mail is None else _unstuffed(mail)

    def secure(self, context: ssl.SSLContext) -> None:
        """Go on under TLS; what came in clear beyond the command is forgotten (CVE-2011-0411). Raises Gone."""
        self._kept.clear()
        try:
            self._socket = context.wrap_socket(self._socket, server_side=True)
        except OSError as error:
            raise Gone from error

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _more(self) -> None:
        left = self._deadline - self._clock()
        if left <= 0:
            raise Gone
        try:
            self._socket.settimeout(min(self._idle_seconds, left))
            received = self._socket.recv(_CHUNK)
        except OSError as error:
            raise Gone from error
        if not received:
            raise Gone
        self._kept += received


def _unstuffed(mail: bytes) -> bytes:
    """Without the dots that stand before a line's own (RFC 5321 section 4.5.2)."""
    return mail.removeprefix(b".").replace(b"\r\n.", b"\r\n")
