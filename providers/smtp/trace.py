"""The lines that who takes a mail writes above it (RFC 5321 section 4.4): for whom it was, and when it came."""

from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime


def stamped(body: bytes, *, by: str, at: datetime, recipients: Iterable[str] = ()) -> bytes:
    """The mail with its trace. The envelope is lost with the connection, and the return path is in it."""
    lines = [f"Received: by {by}; {format_datetime(at)}"]
    lines += [f"Delivered-To: {one}" for one in recipients if one.isprintable()]
    return "".join(f"{line}\r\n" for line in lines).encode() + body
