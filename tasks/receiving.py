"""Mail that comes back, from the wire to the inbox: what the listener and the mailbox have in common.

The raw mail is committed before the sender hears 250, and before it is marked in its mailbox. Killed in between, the
sender brings it again and the mailbox still has it: a mail is known by its bytes there, and its events by what they
say here (DeliveryEvent.dedupe_key).
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from data import database, dead_letters, inbox, mailbox_cursors
from data.dead_letters import BadRow
from data.mailbox_cursors import Place
from providers.smtp import mailbox, trace
from providers.smtp.config import ReturnsConfig
from providers.smtp.mailbox import Mailbox, UnreadableMail
from providers.smtp.returns import PROVIDER
from providers.smtp.session import TryAgain

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Keeps what the listener takes."""

    engine: sa.Engine
    max_backlog: int
    clock: Callable[[], datetime]

    def keep(self, body: bytes, recipients: Collection[str]) -> None:
        """Commit a mail for its recipients; one that is known already is kept once. Raises TryAgain."""
        now = self.clock()
        try:
            if is_full(self.engine, self.max_backlog):
                raise TryAgain("too much waits to be read")
            with database.write(self.engine) as connection:
                stamped = trace.stamped(body, by="returns listen", at=now, recipients=recipients)
                inbox.store(connection, provider=PROVIDER, body=stamped, now=now)
        except sa.exc.SQLAlchemyError as error:
            # Never the error's text: it may quote the mail.
            _log.error("a returned mail could not be stored: %s", type(error).__name__)
            raise TryAgain("the store does not answer") from None


def is_full(engine: sa.Engine, max_backlog: int) -> bool:
    """Whether so much waits to be read that more is not taken in."""
    with database.read(engine) as connection:
        return inbox.backlog(connection) >= max_backlog


@dataclass(slots=True)
class Round:
    """What one reading of a mailbox did."""

    new: int = 0
    known: int = 0  # stored before
    gone: int = 0  # deleted by somebody meanwhile
    unreadable: int = 0  # the server would not give it out: a dead letter each
    left_in_place: int = 0  # kept, but the server would not move or mark it
    waiting: int = 0  # left to the next round

    def counts(self) -> dict[str, int]:
        return asdict(self)


def fetch(engine: sa.Engine, config: ReturnsConfig, *, clock: Callable[[], datetime]) -> Round:
    """Keep what has come into the mailbox, oldest first. Safe to kill anywhere and to run twice at once.

    Raises ReturnsNotConfigured, MailboxUnavailable; what was kept before stays kept.
    """
    name = f"{config.imap_user}@{config.imap_host}/{config.imap_folder}"
    done = Round()
    with mailbox.opened(config) as box:
        with database.read(engine) as connection:
            place = mailbox_cursors.read(connection, name)
        last = place.last_uid if place is not None and place.uid_validity == box.uid_validity else 0
        for uid in box.left_behind(last)[: config.imap_mails_at_once]:
            done.left_in_place += not box.put_away(uid)
        waiting = box.uids(last)
        for number, uid in enumerate(waiting):
            if number >= config.imap_mails_at_once or is_full(engine, config.max_backlog):
                done.waiting = len(waiting) - number
                break
            if _take(engine, box, name, uid, done, clock()):
                done.left_in_place += not box.put_away(uid)
    return done


def _take(engine: sa.Engine, box: Mailbox, name: str, uid: int, done: Round, now: datetime) -> bool:
    """Commit one mail with the place that is reached by it; whether there is something to put away."""
    try:
        found, trouble = box.read(uid), None
    except UnreadableMail as error:
        found, trouble = None, str(error)
    with database.write(engine) as connection:
        if trouble is not None:
            _lament(connection, name, uid, trouble, now)
        new = found is not None and inbox.store(
            connection,
            provider=PROVIDER,
            body=trace.stamped(found.body, by="returns fetch", at=found.arrived_at),
            now=now,
        )
        mailbox_cursors.advance(connection, name, Place(box.uid_validity, uid), now=now)
    done.unreadable += trouble is not None
    done.new += new
    done.known += found is not None and not new
    done.gone += found is None and trouble is None
    return found is not None


def _lament(connection: sa.Connection, name: str, uid: int, trouble: str, now: datetime) -> None:
    """A mail that the server would not give out must not hold up the rest, and must not be forgotten."""
    folder = name.rpartition("/")[2]
    letter = BadRow(uid, f"the mail server did not give out this mail ({trouble})", {"folder": folder, "uid": uid})
    dead_letters.put(
        connection,
        [letter],
        account_id=None,
        source=f"{dead_letters.MAILBOX}{PROVIDER}",
        location=f"{folder} {uid}",
        now=now,
    )
