"""A mailbox at somebody else's, read by IMAP (RFC 3501; MOVE of RFC 6851 and UIDPLUS of RFC 4315 where they are).

Mails are known by their UIDs, which only grow while the mailbox's UIDVALIDITY stays. Nothing is changed in it before
the caller says that a mail is kept.
"""

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from providers.smtp.config import ReturnsConfig

_INTERNAL_DATE = re.compile(rb'INTERNALDATE "([ \dA-Za-z:+-]{20,30})"')
_TROUBLE = (imaplib.IMAP4.error, OSError)


class MailboxUnavailable(RuntimeError):
    """The mailbox cannot be read now; what was read of it is kept."""


class UnreadableMail(RuntimeError):
    """The server does not give out this one mail."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A mail as it lies there, cut off beyond the limit."""

    body: bytes
    arrived_at: datetime


class Mailbox:
    """One folder, opened."""

    def __init__(self, connection: imaplib.IMAP4, config: ReturnsConfig, uid_validity: int) -> None:
        self._connection = connection
        self._config = config
        self.uid_validity = uid_validity

    def uids(self, after: int) -> list[int]:
        """What has come since, oldest first. Raises MailboxUnavailable."""
        # A range with * always matches the newest mail, also below its start.
        return [uid for uid in self._search(f"UID {after + 1}:*") if uid > after]

    def left_behind(self, until: int) -> list[int]:
        """Up to there all is kept; these were not put away, because somebody was killed. Raises MailboxUnavailable."""
        unread = "" if self._config.imap_done_folder else " UNSEEN"
        return self._search(f"UID 1:{until}{unread}") if until else []

    def read(self, uid: int) -> Fetched | None:
        """A mail, unchanged; None where it is gone. Raises UnreadableMail, MailboxUnavailable."""
        limit = self._config.max_mail_bytes
        try:
            status, answer = self._uid("FETCH", str(uid), f"(UID INTERNALDATE BODY.PEEK[]<0.{limit}>)")
        except imaplib.IMAP4.error as error:
            raise UnreadableMail(type(error).__name__) from error
        if status != "OK":
            raise UnreadableMail(status)
        found = [part for part in answer if isinstance(part, tuple)]
        if not found:
            return None
        (head, body), *_ = found
        return Fetched(bytes(body)[:limit], _arrived(bytes(head)))

    def put_away(self, uid: int) -> bool:
        """Move or mark a mail that is kept; False where the server would not. Raises MailboxUnavailable."""
        folder = self._config.imap_done_folder
        try:
            if not folder:
                return self._done("STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)")
            if "MOVE" in self._connection.capabilities:
                return self._done("MOVE", str(uid), f'"{folder}"')
            if not self._done("COPY", str(uid), f'"{folder}"'):
                return False
            self._done("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted \Seen)")
            return "UIDPLUS" not in self._connection.capabilities or self._done("EXPUNGE", str(uid))
        except imaplib.IMAP4.error:
            return False

    def _done(self, command: str, *arguments: str) -> bool:
        return bool(self._uid(command, *arguments)[0] == "OK")

    def _search(self, criteria: str) -> list[int]:
        try:
            status, answer = self._uid("SEARCH", criteria)
        except imaplib.IMAP4.error as error:
            raise _unavailable("search", error) from error
        if status != "OK":
            raise MailboxUnavailable(f"the mail server would not search the folder ({status})")
        words = b" ".join(part for part in answer if isinstance(part, bytes)).split()
        return sorted(int(word) for word in words if word.isdigit())

    def _uid(self, command: str, *arguments: str) -> tuple[str, list[Any]]:
        """One command. A broken connection is MailboxUnavailable, a command that the server refuses imaplib's error."""
        try:
            return self._connection.uid(command, *arguments)
        except (imaplib.IMAP4.abort, OSError) as error:
            raise _unavailable(command.lower(), error) from error


@contextmanager
def opened(config: ReturnsConfig) -> Iterator[Mailbox]:
    """The configured folder, until the end of the block. Raises ReturnsNotConfigured, MailboxUnavailable."""
    password = config.required_password()
    connection = _connected(config)
    try:
        yield Mailbox(connection, config, _selected(connection, config, password))
    finally:
        _hang_up(connection)


def _connected(config: ReturnsConfig) -> imaplib.IMAP4:
    context = ssl.create_default_context(cafile=config.imap_ca_file)
    host, port, patience = config.imap_host, config.imap_port, config.imap_timeout_seconds
    try:
        if config.imap_security == "tls":
            return imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=patience)
        connection = imaplib.IMAP4(host, port, timeout=patience)
    except _TROUBLE as error:
        raise _unavailable("connect", error) from error
    if config.imap_security == "starttls":
        try:
            connection.starttls(context)
        except _TROUBLE as error:
            _hang_up(connection)
            raise _unavailable("secure the connection", error) from error
    return connection


def _hang_up(connection: imaplib.IMAP4) -> None:
    with contextlib.suppress(*_TROUBLE):
        connection.logout()
    with contextlib.suppress(*_TROUBLE):
        connection.shutdown()  # logging out leaves the socket open where the server is gone


def _selected(connection: imaplib.IMAP4, config: ReturnsConfig, password: str) -> int:
    """Log in and open the folder; its UIDVALIDITY."""
    try:
        connection.login(config.imap_user, password)
    except _TROUBLE as error:
        raise _unavailable("log in", error) from error
    try:
        status, _ = connection.select(f'"{config.imap_folder}"')
        (validity,) = connection.response("UIDVALIDITY")[1]
    except _TROUBLE as error:
        raise _unavailable("open the folder", error) from error
    if status != "OK" or validity is None:
        raise MailboxUnavailable("the mail server has no such folder, or gives its mails no lasting numbers")
    return int(validity)


def _unavailable(step: str, error: BaseException) -> MailboxUnavailable:
    """Never the server's own words: some repeat the command, and with it a password."""
    return MailboxUnavailable(f"the mail server failed us ({step}: {type(error).__name__})")


def _arrived(head: bytes) -> datetime:
    """When the mail came, as the server says; the same at each reading."""
    found = _INTERNAL_DATE.search(head)
    if found is None:
        raise UnreadableMail("no INTERNALDATE")
    try:
        return datetime.strptime(found[1].decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnreadableMail("a strange INTERNALDATE") from error
