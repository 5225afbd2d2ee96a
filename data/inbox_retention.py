"""How long raw bodies are kept: they hold addresses, so what was applied loses its bytes when its time is over.

The row stays, with the body's hash: events point to it, and an ESP that repeats the body is still known to repeat it.
"""

from datetime import datetime

import sqlalchemy as sa

from data import database, tables
from data.dead_letters import WEBHOOK, State
from data.inbox import BodyState

# A body has up to 5 MiB, and 200 kB as a rule: a transaction stays short, and others write between two.
_AT_ONCE = 200


def purge(engine: sa.Engine, *, before: datetime) -> int:
    """Empty the bodies that were applied before that time and that nobody needs; how many.

    Some in a transaction, so it may die at any place, and be repeated. What somebody else holds is left for the next time.
    """
    inbox = tables.webhook_inbox
    emptied = after = 0
    while True:
        with database.write(engine) as connection:
            query = sa.select(inbox.c.id).where(_over(before), inbox.c.id > after).order_by(inbox.c.id).limit(_AT_ONCE)
            ids = list(connection.scalars(query.with_for_update(skip_locked=True)))
            if not ids:
                return emptied
            gone = inbox.update().where(inbox.c.id.in_(ids)).values(body=b"", state=BodyState.EMPTIED)
            emptied += connection.execute(gone).rowcount
            after = ids[-1]


def overdue(connection: sa.Connection, *, before: datetime) -> int:
    """How many bodies were applied before that time, are needed by nobody, and still hold what they held."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(tables.webhook_inbox).where(_over(before))
    ).scalar_one()


def _over(before: datetime) -> sa.ColumnElement[bool]:
    """Applied before that time, or given up by a person; none of its events waits for its message, no letter is open."""
    inbox, waits = tables.webhook_inbox.c, tables.unplaced_events.c
    given_up = (inbox.state == BodyState.DEAD) & (inbox.received_at < before) & _has_letter(State.DISCARDED)
    applied = (inbox.state == BodyState.DONE) & (inbox.processed_at < before)
    tried_again = sa.exists().where(waits.inbox_id == inbox.id, waits.next_try_at.is_not(None))
    return (applied | given_up) & ~tried_again & ~_has_letter(State.OPEN)


def _has_letter(state: State) -> sa.ColumnElement[bool]:
    inbox, letter = tables.webhook_inbox.c, tables.dead_letters.c
    return sa.exists().where(
        letter.source == WEBHOOK + inbox.provider,
        letter.location == "inbox " + sa.cast(inbox.id, sa.Text),
        letter.state == state,
    )
