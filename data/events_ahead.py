"""Refusals go ahead of their turn: a complaint that came behind ten thousand bodies must not wait for all of them.

Reading a body costs a tenth of applying it, and of a thousand events some ten refuse anything. The body stays pending:
in its turn all of it is applied, and what was applied here is a repetition then, which changes nothing.
"""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from data import database, events_apply, inbox
from data.correlation import Element
from data.strays import Origins
from domain import delivery
from domain.delivery import DeliveryEvent
from domain.ports import EventReader

_AT_ONCE = 20  # bodies in a transaction: a fifth of a second


def apply(
    engine: sa.Engine,
    *,
    after: int,
    readers: Mapping[str, EventReader],
    origins: Origins,
    pepper: str,
    now: datetime,
) -> int:
    """Apply what the next fresh bodies above the id `after` refuse; up to which id, `after` when there are no more.

    What goes wrong with them here goes wrong again in their turn, and is dealt with then. Raises what the database
    raises that is in trouble itself.
    """
    upto = after
    try:
        with database.write(engine) as connection:
            rows = inbox.pending(connection, _AT_ONCE, after=after, fresh_of=readers)
            if not rows:
                return after
            upto = rows[-1].id
            refusals = [one for row in rows for one in _refusals(row.id, readers[row.provider], row.body)]
            events_apply.apply(connection, refusals, pepper=pepper, origins=origins, now=now)
    except Exception as error:
        if database.in_trouble(error):
            raise
    return upto


def _refusals(inbox_id: int, reader: EventReader, body: bytes) -> list[tuple[Element, DeliveryEvent]]:
    try:
        return [
            (Element(inbox_id, place), element)
            for place, element in enumerate(reader.parse(body))
            if isinstance(element, DeliveryEvent) and delivery.standing_refusal(element) is not None
        ]
    except Exception:  # noqa: BLE001 - a body that its reader cannot read gets its strike in its turn
        return []
