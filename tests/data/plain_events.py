"""A webhook in the plainest words, for tests: the body is our own events as JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from data import database, events, inbox
from data.events import ProcessReport
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, UnreadableEvent
from tests.data.ledger_rows import NOW, PEPPER

PROVIDER = "sendgrid"


class PlainReader:
    """domain.ports.EventReader; an element that is no object is unreadable, a body that is no list makes it fail."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        return True

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        elements = json.loads(body)
        if not isinstance(elements, list):
            raise TypeError("secret@example.com is no list")
        for position, element in enumerate(elements):
            yield _event(element) if isinstance(element, dict) else UnreadableEvent(position, "no object")


def _event(element: dict) -> DeliveryEvent:
    bounce_class, fault = element["bounce_class"], element["fault"]
    return DeliveryEvent(
        **{
            **element,
            "kind": EventKind(element["kind"]),
            "occurred_at": datetime.fromisoformat(element["occurred_at"]),
            "bounce_class": bounce_class and BounceClass(bounce_class),
            "fault": fault and Fault(fault),
        }
    )


def body_of(*elements: DeliveryEvent | str) -> bytes:
    plain = [asdict(one) if isinstance(one, DeliveryEvent) else one for one in elements]
    return json.dumps(plain, default=datetime.isoformat).encode()


def receive(engine: sa.Engine, *bodies: bytes, provider: str = PROVIDER) -> None:
    with database.write(engine) as connection:
        for body in bodies:
            inbox.store(connection, provider=provider, body=body, now=NOW)


def process(engine: sa.Engine, *, limit: int = 100, now: datetime = NOW) -> ProcessReport:
    return events.process(engine, readers={PROVIDER: PlainReader()}, pepper=PEPPER, clock=lambda: now, limit=limit)
