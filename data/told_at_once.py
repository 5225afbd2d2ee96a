"""What an ESP says of a mailbox while it refuses a message: it has the effects that the same word has in an event.

The message is refused in the ledger, so no event of it is counted; but who is not there is suppressed, and what blames
the sender is held against him.
"""

from datetime import datetime

import sqlalchemy as sa

from data import events_effects
from data.correlation import NO_BODY, Element, Placed
from data.strays import Origins
from domain import campaigns
from domain.ledger import Outcome
from domain.ports import Batch


def record(connection: sa.Connection, sent: Batch, outcome: Outcome, *, now: datetime) -> int:
    """Heed what was said of each message (`Outcome.event`), once the result is written; how many were suppressed."""
    placed = []
    account_id = sent.grant.route.account_id
    for place, message_id in enumerate(sent.message_ids):
        event = outcome.exceptions.get(message_id, outcome).event
        message = campaigns.parse_message_id(message_id)
        if event is not None and message is not None:
            placed.append(Placed(Element(NO_BODY, place), event, *message, account_id))
    # The address is the one that was mailed, by the message: neither pepper nor origins are asked for.
    return events_effects.suppress(connection, placed, pepper="", origins=Origins(), now=now) if placed else 0
