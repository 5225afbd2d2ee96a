"""Applying what a campaign brought, by the real code, beside a session of the ORM with an object an event."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks import events_traffic, freeze, measure, shop
from benchmarks.measure import Cost, Memory
from cli.serve import settle
from data import database, events, inbox, tables
from data.columns import Instant
from data.events import ProcessReport
from domain.campaigns import Run
from domain.delivery import DeliveryEvent, DeliveryState, join, state_of
from domain.ledger import BatchState
from domain.ports import EventReader
from providers.sendgrid.webhook import SendGridEvents

PEPPER = "p" * 32
READERS: Mapping[str, EventReader] = {"sendgrid": SendGridEvents(())}
_ROUND = 20  # bodies, as gateway/applying.py takes them
_SAMPLE = 4  # bodies that the obvious way is measured on
_STORED_AT_ONCE = 100


def campaign(engine: sa.Engine, recipients: int, began: datetime) -> tuple[Run, list[int]]:
    """A run of so many people, all of whose batches an ESP took; and the people by ordinal."""
    people = shop.fill(engine, recipients, began)
    run = shop.open_for_claims(engine, shop.freeze(engine, people, began), began)
    _accept(engine, run, began)
    member = tables.audience.c
    with database.read(engine) as connection:
        planned = sa.select(member.party_id).where(member.run_id == run.id, member.ordinal.is_not(None))
        return run, list(connection.scalars(planned.order_by(member.ordinal)))


def _accept(engine: sa.Engine, run: Run, at: datetime) -> None:
    """Every batch of the run went out by one attempt."""
    batch, attempt = tables.batches, tables.batch_attempts
    with database.write(engine) as connection:
        rows = connection.execute(sa.select(batch).where(batch.c.run_id == run.id)).all()
        connection.execute(
            attempt.insert(),
            [
                {
                    "id": events_traffic.attempt_of(run.id, row.first_ordinal),
                    "batch_id": row.id,
                    "number": 1,
                    "worker": "w",
                    "provider": "sendgrid",
                    "content_hash": "",
                    "messages": row.last_ordinal - row.first_ordinal + 1,
                    "claimed_at": at,
                    "finished_at": at,
                    "outcome": "accepted",
                }
                for row in rows
            ],
        )
        theirs = sa.select(attempt.c.id).where(attempt.c.batch_id == batch.c.id).scalar_subquery()
        accepted = batch.update().where(batch.c.run_id == run.id)
        connection.execute(accepted.values(state=BatchState.ACCEPTED, attempt_id=theirs, finished_at=at))


def stored(engine: sa.Engine, run: Run, people: Sequence[int], began: datetime) -> int:
    """Lay the campaign's bodies into the inbox; how many."""
    number, rest = 0, events_traffic.bodies(run.id, people, began)
    while some := list(islice(rest, _STORED_AT_ONCE)):
        with database.write(engine) as connection:
            for body in some:
                inbox.store(connection, provider="sendgrid", body=body, now=datetime.now(UTC))
        number += len(some)
    return number


def applied(engine: sa.Engine) -> ProcessReport:
    """All that is pending, in rounds as the gateway makes them."""
    total: list[ProcessReport] = []
    while not total or total[-1].bodies:
        total.append(
            events.process(
                engine, readers=READERS, pepper=PEPPER, clock=lambda: datetime.now(UTC), limit=_ROUND, fresh_only=True
            )
        )
        assert not total[-1].failed
        assert not total[-1].unreadable
    return ProcessReport(*(sum(getattr(one, name) for one in total) for name in total[0].counts()))


# --- the obvious way -------------------------------------------------------------------------------------------------


class _Base(DeclarativeBase):
    pass


class _Event(_Base):
    __tablename__ = "obvious_events"
    key: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str]
    ordinal: Mapped[int]
    kind: Mapped[str]
    occurred_at: Mapped[datetime] = mapped_column(Instant)


class _State(_Base):
    __tablename__ = "obvious_states"
    run_id: Mapped[str] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    seen: Mapped[int]
    severity: Mapped[int]
    delivered_at: Mapped[datetime | None] = mapped_column(Instant)
    opened_at: Mapped[datetime | None] = mapped_column(Instant)
    clicked_at: Mapped[datetime | None] = mapped_column(Instant)


def obvious(engine: sa.Engine, run: Run, people: Sequence[int], began: datetime) -> int:
    """An object and its statements for each event, a commit for each body; refusals are not even followed."""
    _Base.metadata.create_all(engine)
    some = list(islice(events_traffic.bodies(run.id, people, began), _SAMPLE))
    number = 0
    for body in some:
        with Session(engine) as session, session.begin():
            for event in READERS["sendgrid"].parse(body):
                assert isinstance(event, DeliveryEvent)
                _take(session, event)
                number += 1
    return number


def _take(session: Session, event: DeliveryEvent) -> None:
    key = event.dedupe_key(PEPPER)
    if session.get(_Event, key) is not None:
        return
    run_id, _, ordinal = (event.message_id or "").partition(".")
    session.add(_Event(key=key, run_id=run_id, ordinal=int(ordinal), kind=event.kind, occurred_at=event.occurred_at))
    new, row = state_of(event), session.get(_State, (run_id, int(ordinal)))
    if row is None:
        row = _State(run_id=run_id, ordinal=int(ordinal), seen=0, severity=0)
        session.add(row)
    old = DeliveryState(delivered_at=row.delivered_at, opened_at=row.opened_at, clicked_at=row.clicked_at)
    joined = join(old, new)
    row.seen |= int(new.seen)
    row.severity = max(row.severity, int(new.severity))
    row.delivered_at, row.opened_at, row.clicked_at = joined.delivered_at, joined.opened_at, joined.clicked_at
    session.flush()


# --- measured --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """What so many events cost: here, and in the database's server."""

    name: str
    events: int
    cost: Cost
    server: float = 0.0

    @property
    def a_million(self) -> float:
        """CPU seconds."""
        return (self.cost.cpu + self.server) / self.events * 1e6


def run(kind: str, recipients: int) -> tuple[list[Row], Memory, ProcessReport]:
    """Apply a campaign's events on this database, after the obvious way has been measured on some of them."""
    began = datetime.now(UTC) - timedelta(hours=12)
    with shop.store(kind) as engine:
        sent, people = campaign(engine, recipients, began)
        rows = [_row("an ORM object an event", engine, lambda: obvious(engine, sent, people, began))]
        stored(engine, sent, people, began)
        reports: list[ProcessReport] = []

        def work() -> int:
            reports.append(applied(engine))
            return reports[0].events + reports[0].duplicates

        settle()
        with measure.memory() as memory:
            rows.append(_row("applied, as the gateway does it", engine, work))
    return rows, memory, reports[0]


def _row(name: str, engine: sa.Engine, work: Callable[[], int]) -> Row:
    server = freeze.server_cpu(engine)
    cost, number = measure.measured(work)
    return Row(name, number, cost, freeze.server_cpu(engine) - server)
