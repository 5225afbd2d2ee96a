"""What is kept of each open, click and heeded refusal, so that figures can be reckoned again by other rules."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from data import bulk, tables
from data.correlation import Placed
from domain import delivery, machine_activity
from domain.delivery import DeliveryEvent, EventKind
from domain.transactional import is_id

_COLUMNS = ("run_id", "ordinal", "kind", "occurred_at", "applied_at", "machine", "agent", "link")
ENGAGED = (EventKind.OPENED, EventKind.CLICKED)


def keep(connection: sa.Connection, new: Sequence[Placed], *, now: datetime) -> None:
    """Keep new events' reactions to campaigns, in the transaction that stores the events. `now`: when they are applied."""
    rows = (
        (
            one.run_id,
            one.ordinal,
            one.event.kind.value,
            one.event.occurred_at,
            now,
            one.event.machine,
            machine_activity.shortened(one.event.client),
            machine_activity.page(one.event.url),
        )
        for one in new
        if one.run_id is not None and one.ordinal is not None and _matters(one.event) and not is_id(one.run_id)
    )
    bulk.insert_rows(connection, tables.reactions, _COLUMNS, rows)


def _matters(event: DeliveryEvent) -> bool:
    refused = event.kind is EventKind.BOUNCED and delivery.standing_refusal(event) is not None
    return event.kind in ENGAGED or refused
