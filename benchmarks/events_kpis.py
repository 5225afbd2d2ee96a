"""Key figures over what many millions of events left behind: asked, brought to now, and reckoned anew as a whole.

The events of one run are applied by the real code; its people, batches, states and reactions are then copied to further
runs. Key figures are reckoned of these and read no stored event.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import sqlalchemy as sa

from benchmarks import events_apply, events_traffic, measure, shop
from benchmarks.measure import Cost
from data import database, inbox, kpi_counts, kpi_overview, tables
from domain.campaigns import Run

_MOST_PEOPLE = 100_000
_NEW_BODIES = 10
_COPIED = (tables.audience, tables.batches, tables.message_delivery, tables.reactions)


def run(recipients: int) -> tuple[int, int, dict[str, Cost]]:
    """How many events and messages there are, and what the work costs. Raises AssertionError where figures differ."""
    now = datetime.now(UTC)
    began, each = now - timedelta(hours=12), min(recipients, _MOST_PEOPLE)
    with shop.store("sqlite") as engine:
        sent, people = events_apply.campaign(engine, each, began)
        events_apply.stored(engine, sent, people, began)
        report = events_apply.applied(engine)
        runs = max(1, recipients // each)
        for _ in range(runs - 1):
            _copy(engine, sent, now)
        costs = {"the first refresh, of everything": measure.measured(lambda: kpi_counts.refresh(engine))[0]}
        _more(engine, sent, people, began)
        costs[f"a refresh after {_NEW_BODIES} more bodies"] = measure.measured(lambda: kpi_counts.refresh(engine))[0]
        costs["the account's page: four weeks, by mailbox and day"] = measure.measured(lambda: _page(engine, now))[0]
        kept = _figures(engine)
        costs["a full recomputation"] = measure.measured(
            lambda: kpi_counts.recompute(engine, account_id=shop.ACCOUNT, rules=None, by="benchmark", now=now)
        )[0]
        assert kept == _figures(engine), "the figures kept up to date differ from those reckoned anew"
        return (report.events + report.duplicates) * runs, runs * each, costs


def _copy(engine: sa.Engine, sent: Run, now: datetime) -> None:
    with database.write(engine) as connection:
        twin = shop.new_run(connection, now)
        for table in _COPIED:
            names = [column.name for column in table.c if column.name not in {"id", "run_id"}]
            rows = sa.select(sa.literal(twin.id), *(table.c[name] for name in names)).where(table.c.run_id == sent.id)
            connection.execute(table.insert().from_select(["run_id", *names], rows))


def _more(engine: sa.Engine, sent: Run, people: Sequence[int], began: datetime) -> None:
    """Some events more of one of the runs: everything happens to some of its people once more."""
    later = events_traffic.bodies(sent.id, people, began + timedelta(minutes=1), seed=2)
    with database.write(engine) as connection:
        for body in islice(later, _NEW_BODIES):
            inbox.store(connection, provider="sendgrid", body=body, now=datetime.now(UTC))
    events_apply.applied(engine)


def _page(engine: sa.Engine, now: datetime) -> None:
    with database.read(engine) as connection:
        assert kpi_overview.read(connection, shop.ACCOUNT, now=now).by_mailbox


def _figures(engine: sa.Engine) -> list[set[tuple[object, ...]]]:
    with database.read(engine) as connection:
        kept = (tables.kpi_counts, tables.kpi_latencies)
        return [{tuple(row) for row in connection.execute(sa.select(table))} for table in kept]
