"""From one stored document to governed orders, and to dead letters for what cannot be one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from data.channels import glance, mapping, registry
from data.channels.channel import Channel, Delivery, Element, Ignored, Origin, Unfit, Unreadable, Urgency
from data.channels.connections import Connection
from data.channels.glance import Glance
from data.dead_letters import WHOLE_DOCUMENT, BadRow
from data.intake import rules
from data.intake.records import Record
from data.intake.thresholds import Thresholds
from data.order_triggers import Triggers
from domain.orders import Deletion, Order

_KEPT_OF_UNREADABLE = 2000
BROKEN_ROW = "broken_row"
# What time alone may cure: tried again with growing pauses, see data.intake.retry.
TRANSIENT = frozenset({"in_the_future", "adapter_failed", "not_storable"})
_FIRST_PAUSE = timedelta(minutes=10)
Item = Order | Deletion


@dataclass(frozen=True, slots=True)
class Reader:
    """Everything that reading one channel of one account takes."""

    channel: Channel
    connection: Connection
    thresholds: Thresholds
    account_currency: str
    triggers: Triggers | None = None  # which mail its orders ask for

    @property
    def numbering(self) -> str:
        """Whose customer numbers these are."""
        if self.connection.numbering is not None:
            return self.connection.numbering
        return self.connection.channel if self.channel.own_numbers else ""

    @property
    def zone(self) -> ZoneInfo:
        """Of times that come without one."""
        return ZoneInfo(self.connection.timezone)

    def mapping(self) -> mapping.Mapping | None:
        """The declared one, if the connection names any. Raises UnusableMapping."""
        return mapping.load(self.connection.mapping) if self.connection.mapping is not None else None

    def glance(self, payload: Any) -> Glance:
        """What a raw order seems to be about."""
        return glance.at_payload(payload, self.mapping(), self.zone)

    def delivery(self, context: dict[str, Any]) -> Delivery:
        """What is known of a document, from what `context_of` wrote down. Raises UnusableMapping."""
        options = dict(self.connection.options)
        if (declared := self.mapping()) is not None:
            options["mapping"] = declared
        return Delivery(
            origin=Origin(context["origin"]),
            received_at=datetime.fromisoformat(context["received_at"]),
            topic=context["topic"],
            observed_at=datetime.fromisoformat(context["observed_at"]) if context["observed_at"] else None,
            zone=self.zone,
            options=options,
        )


def reader(
    connection: Connection, thresholds: Thresholds, account_currency: str, triggers: Triggers | None = None
) -> Reader:
    """The reader of a connection. Raises UnknownChannel."""
    return Reader(registry.get(connection.reader), connection, thresholds, account_currency, triggers)


@dataclass(slots=True)
class Converted:
    """What one record holds. `items` and `letters` keep the document's order; `fired`: how often each rule did."""

    record: Record
    items: list[Item] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)  # the raw form of each item
    letters: list[BadRow] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    rows: int = 0
    unreadable: str | None = None

    @property
    def orders(self) -> int:
        """How many were judged: those that can be used and those that were refused."""
        return len(self.items) + len(self.letters)


def context_of(record: Record) -> dict[str, Any]:
    """What is known of a document beside its bytes, as JSON."""
    incoming = record.incoming
    return {
        "origin": incoming.origin,
        "received_at": incoming.received_at.isoformat(),
        "topic": incoming.topic,
        "observed_at": incoming.observed_at.isoformat() if incoming.observed_at else None,
        "urgency": incoming.urgency,
        "record": record.id,
    }


def convert(record: Record, reader: Reader, *, now: datetime) -> Converted:
    """Read a whole document. Nothing that is in it raises: what cannot be used becomes a letter."""
    done = Converted(record)
    context = context_of(record)
    delivery = reader.delivery(context)
    try:
        for element in reader.channel.elements(record.incoming.body, delivery):
            done.rows += element.rows
            _take(done, element, reader, delivery, context, now)
    except Unreadable as error:
        done.unreadable = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a document does to its adapter, the next one is read
        # The class only: the text of an exception may quote an address.
        done.unreadable = f"the adapter failed on this document ({type(error).__name__}); it is kept whole"
    if done.unreadable is not None:
        done.items.clear()
        done.elements.clear()
        done.letters = [of_document(record, done.unreadable, context)]
        done.fired = Counter({WHOLE_DOCUMENT: 1})
    return done


def _take(
    done: Converted, element: Element, reader: Reader, delivery: Delivery, context: dict[str, Any], now: datetime
) -> None:
    found = judged(element, reader, delivery, now)
    if isinstance(found, Ignored):
        done.ignored += 1
        return
    if isinstance(found, Unfit):
        done.fired[found.rule] += 1
        first_row = done.record.incoming.first_row
        done.letters.append(letter(element, found, context, first_row=first_row, now=now, reader=reader))
        return
    item, fired = found
    for one in fired:
        done.fired[one.rule] += 1
    if refusals := [one for one in fired if one.refuse]:
        fault = Unfit(refusals[0].rule, refusals[0].sentence, refusals[0].fields)
        first_row = done.record.incoming.first_row
        done.letters.append(letter(element, fault, context, first_row=first_row, now=now, item=item))
    else:
        done.items.append(item)
        done.elements.append(element)


def judged(
    element: Element, reader: Reader, delivery: Delivery, now: datetime
) -> tuple[Item, tuple[rules.Fired, ...]] | Unfit | Ignored:
    """Convert one raw order and hold it against the rules of its channel and account."""
    if element.fault is not None:
        return Unfit(BROKEN_ROW, element.fault)
    try:
        return _judged(reader.channel.order(element.payload, delivery), reader, now)
    except Unfit as fault:
        return fault
    except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the order, nor its neighbours
        return Unfit("adapter_failed", f"the adapter failed on this order ({type(error).__name__}): a fault of ours")


def _judged(item: Item | Ignored, reader: Reader, now: datetime) -> tuple[Item, tuple[rules.Fired, ...]] | Ignored:
    if isinstance(item, Ignored):
        return item
    if isinstance(item, Deletion):
        return item, rules.fired_on_deletion(item, reader.thresholds, now=now)
    fired = rules.fired(item, reader.thresholds, account_currency=reader.account_currency, now=now)
    return item, fired


def letter(
    element: Element,
    fault: Unfit,
    context: dict[str, Any],
    *,
    first_row: int,
    now: datetime,
    item: Item | None = None,
    reader: Reader | None = None,
) -> BadRow:
    """A refused order as it is kept. Its priority is set when it is stored, as that takes the customer's value."""
    seen = glance.at_order(item) if isinstance(item, Order) else _glance(element.payload, reader)
    return BadRow(
        row_number=first_row + element.position - 1 if context["origin"] == Origin.FILE else 1,
        reason=str(fault),
        payload=element.payload,
        rule=fault.rule,
        fields=fault.fields,
        external_id=seen.external_id,
        as_of=min(seen.updated_at, now) if seen.updated_at else None,
        context=context | {"rows": element.rows},
        next_try_at=now + _FIRST_PAUSE if fault.rule in TRANSIENT else None,
    )


def _glance(payload: Any, reader: Reader | None) -> Glance:
    return glance.at_payload(payload) if reader is None else reader.glance(payload)


def of_document(record: Record, sentence: str, context: dict[str, Any]) -> BadRow:
    """The letter of a document that is set aside whole."""
    begins = record.incoming.body[:_KEPT_OF_UNREADABLE].decode("utf-8", "replace")
    return BadRow(
        row_number=record.incoming.first_row,
        reason=sentence,
        payload={"record": record.id, "begins": begins},
        rule=WHOLE_DOCUMENT,
        context=context,
    )


def waiting(record: Record, item: Item | None) -> bool:
    """Is there a customer who waits for a mail about this? Fresh pushes are what mail is triggered by."""
    return record.incoming.urgency is Urgency.NOW and (not isinstance(item, Order) or item.notify)


def items_of(batch: list[Converted]) -> Iterator[Item]:
    """All usable items of several documents, in their order."""
    for one in batch:
        yield from one.items
