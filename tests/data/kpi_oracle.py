"""Figures by walking over all events of all messages, one by one: slow, plain, and sharing no query with the engine."""

from collections.abc import Collection, Iterable
from functools import reduce

from domain import campaigns, delivery
from domain.delivery import DeliveryEvent, DeliveryState, EventKind, Seen, Severity
from domain.kpis import Figures
from domain.machine_activity import CURRENT, Act, by_people, page, shortened
from tests.data import ledger_rows

_FATES = Seen.DELIVERED | Seen.BOUNCED | Seen.DROPPED
_CLASSES = {Severity.HARD: "hard", Severity.SOFT: "soft", Severity.BLOCK: "block"}


def by_mailbox_group(
    events: Iterable[DeliveryEvent], accepted: Collection[int], rules: int = CURRENT
) -> dict[str, Figures]:
    """The figures of the accepted ordinals of a run of tests.data.ledger_rows, after these events in this order."""
    unique: dict[str, DeliveryEvent] = {}
    for event in events:
        unique.setdefault(event.dedupe_key(ledger_rows.PEPPER), event)
    parts: dict[str, Figures] = {}
    for ordinal in accepted:
        group = ledger_rows.addresses.mailbox_provider(ledger_rows.address(ordinal))
        mine = [one for one in unique.values() if _ordinal(one) == ordinal]
        parts[group] = parts.get(group, Figures()) + _message(mine, rules)
    return parts


def _ordinal(event: DeliveryEvent) -> int | None:
    parsed = campaigns.parse_message_id(event.message_id or "")
    return parsed and parsed[1]


def _message(events: list[DeliveryEvent], rules: int) -> Figures:
    state = reduce(delivery.join, map(delivery.state_of, events), DeliveryState())
    bounced = Seen.BOUNCED in state.seen
    acts = [
        Act(one.kind, one.occurred_at, one.machine, shortened(one.client), page(one.url))
        for one in events
        if one.kind in {EventKind.OPENED, EventKind.CLICKED}
    ]
    opened, clicked = by_people(acts, state.delivered_at, rules)
    return Figures(
        accepted=1,
        delivered=int(Seen.DELIVERED in state.seen and not bounced and Seen.DROPPED not in state.seen),
        bounced={_CLASSES.get(state.severity, "undetermined"): 1} if bounced else {},
        faults={str(state.fault or "unknown"): 1} if bounced else {},
        deferred=int(Seen.DEFERRED in state.seen and not state.seen & _FATES),
        dropped=int(Seen.DROPPED in state.seen and not bounced),
        complained=int(Seen.COMPLAINED in state.seen),
        unsubscribed=int(Seen.UNSUBSCRIBED in state.seen),
        opened_unique=int(Seen.OPENED in state.seen),
        opened_human=int(opened),
        clicked_unique=int(Seen.CLICKED in state.seen),
        clicked_human=int(clicked),
    )
