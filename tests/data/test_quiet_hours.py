"""Quiet hours hold a run's batches by the zone of their people, and lose and skip nobody."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import accounts, audience, audit, database, ledger, ledger_sweep, quiet_hours, runs, tables
from domain import zones
from domain.campaigns import Run, RunStatus
from domain.ledger import BatchState, Outcome, OutcomeKind
from domain.policy import SendingPolicy
from tests.data import frozen
from tests.data.frozen import HOUR, NOW, Clock

pytestmark = pytest.mark.usefixtures("account_id")

BERLIN, TOKYO, NEW_YORK = "Europe/Berlin", "Asia/Tokyo", "America/New_York"
NIGHT = replace(frozen.POLICY, quiet_from="17:30", quiet_until="08:00")  # at NOW in Tokyo (18:00) and New York (04:00)
TOKYO_WAKES, NEW_YORK_WAKES = NOW + 14 * HOUR, NOW + 4 * HOUR
COUNTRIES = ("JP", "US", "DE", None, "XX")  # the account is at home in Berlin
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)


def _people(connection: sa.Connection, count: int, countries: tuple[str | None, ...] = COUNTRIES) -> list[int]:
    ids = frozen.consenting_parties(connection, count)
    party = tables.parties
    for number, one in enumerate(ids):
        country = countries[number % len(countries)]
        connection.execute(party.update().where(party.c.id == one).values(country=country))
    return ids


def _freeze(
    connection: sa.Connection, people: list[int], policy: SendingPolicy = NIGHT, *, size: int = 4, **facts: object
) -> Run:
    run = runs.create(connection, frozen.plan(**facts), flow_run_id=None, now=NOW)
    return audience.freeze(
        connection,
        run,
        people,
        definition_hash="d",
        template_hash="t",
        feature_watermark=NOW,
        code_version="test",
        policy=policy,
        batch_size=size,
        now=NOW,
    )


def _open(connection: sa.Connection, run: Run) -> Run:
    run = runs.advance(connection, run, RunStatus.APPROVED)
    return runs.advance(connection, run, RunStatus.DISPATCHING, dispatch_started_at=NOW, expires_at=NOW + 24 * HOUR)


def _dispatching(engine: sa.Engine, count: int = 20, policy: SendingPolicy = NIGHT) -> Run:
    with database.write(engine) as connection:
        return _open(connection, _freeze(connection, _people(connection, count), policy))


def _book(engine: sa.Engine, run: Run, clock: Clock, policy: SendingPolicy = NIGHT) -> ledger.SqlLedger:
    return replace(frozen.book(engine, run, clock), policy=policy)


def _sent(book: ledger.SqlLedger) -> dict[str, int]:
    """Send all that may go now; how many mails by the zone of their batch."""
    found: dict[str, int] = {}
    while (batch := book.claim(book.run.id, worker="w")) is not None:
        book.record(batch, ACCEPTED, seconds=0.1)
        with database.read(book.engine) as connection:
            row = tables.batches.c
            zone = str(connection.scalar(sa.select(row.zone).where(row.id == batch.batch_id)))
        found[zone] = found.get(zone, 0) + len(batch)
    return found


def _next(engine: sa.Engine, run: Run) -> datetime | None:
    with database.read(engine) as connection:
        return ledger_sweep.progress(connection, run.id).next_claim_at


def test_each_batch_goes_when_its_people_are_awake(engine: sa.Engine) -> None:
    run, clock = _dispatching(engine), Clock()
    book = _book(engine, run, clock)
    assert _sent(book) == {BERLIN: 12}
    assert _next(engine, run) == NEW_YORK_WAKES
    clock.now = NEW_YORK_WAKES - timedelta(seconds=1)
    assert _sent(book) == {}
    clock.now = NEW_YORK_WAKES
    assert _sent(book) == {NEW_YORK: 4}
    assert _next(engine, run) == TOKYO_WAKES
    clock.now = TOKYO_WAKES
    assert _sent(book) == {TOKYO: 4}
    with database.write(engine) as connection:
        assert ledger_sweep.sweep(connection, policy=NIGHT, now=clock()).runs_dispatched == 1
        assert audit.audit(connection, run.id, record=None).balanced


def test_who_is_held_and_until_when_is_told_of_a_live_and_of_a_dry_run(engine: sa.Engine) -> None:
    waiting = [(NEW_YORK, 4, NEW_YORK_WAKES), (TOKYO, 4, TOKYO_WAKES)]
    with database.write(engine) as connection:
        people = _people(connection, 20)
        live, dry = _freeze(connection, people), _freeze(connection, people, live=False)
        assert quiet_hours.held(connection, live, NIGHT, NOW) == waiting
        assert quiet_hours.held(connection, dry, NIGHT, NOW) == waiting
        assert quiet_hours.held(connection, live, frozen.POLICY, NOW) == []
        assert quiet_hours.held(connection, live, NIGHT, NEW_YORK_WAKES) == [(TOKYO, 4, TOKYO_WAKES)]
        live = _open(connection, live)
    clock = Clock()
    clock.now = TOKYO_WAKES  # 18:00 in New York
    _sent(_book(engine, live, clock))
    with database.read(engine) as connection:
        late = [(BERLIN, 12, NOW + 22 * HOUR), (NEW_YORK, 4, NEW_YORK_WAKES + 24 * HOUR)]
        assert quiet_hours.held(connection, live, NIGHT, clock()) == late


def test_the_accounts_own_hours_go_first_and_may_be_none(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        shop = accounts.get(connection, "shop")
        accounts.change(connection, replace(shop, quiet_from="09:30", quiet_until="10:30"))  # now, in Berlin
        people = _people(connection, 20)
        own = _open(connection, _freeze(connection, people, frozen.POLICY))
    clock = Clock()
    assert _sent(_book(engine, own, clock, frozen.POLICY)) == {NEW_YORK: 4, TOKYO: 4}
    assert _next(engine, own) == NOW + HOUR / 2
    with database.write(engine) as connection:
        accounts.change(connection, replace(shop, quiet_from="", quiet_until=""))
        none = _open(connection, _freeze(connection, people))
        assert quiet_hours.held(connection, none, NIGHT, NOW) == []
    assert sum(_sent(_book(engine, none, clock)).values()) == 20


def test_without_quiet_hours_batches_are_full_and_have_no_zone(engine: sa.Engine) -> None:
    run = _dispatching(engine, policy=frozen.POLICY)
    with database.read(engine) as connection:
        batch = tables.batches.c
        found = connection.execute(sa.select(batch.zone, batch.last_ordinal - batch.first_ordinal + 1)).all()
    assert sorted(map(tuple, found)) == [(None, 4)] * 5
    assert _next(engine, run) is None


def test_a_run_frozen_before_there_were_quiet_hours_goes_by_the_accounts_zone(engine: sa.Engine) -> None:
    run, clock = _dispatching(engine, policy=frozen.POLICY), Clock()
    clock.forward(hours=9)  # 19:00 in Berlin
    assert _sent(_book(engine, run, clock)) == {}
    assert _next(engine, run) == NOW + 22 * HOUR


def test_the_halves_of_a_batch_are_of_its_zone(engine: sa.Engine) -> None:
    run, clock = _dispatching(engine), Clock()
    clock.now = TOKYO_WAKES  # Berlin is asleep by then, and so is New York
    book = _book(engine, run, clock)
    batch = book.claim(run.id, worker="w")
    assert batch is not None
    book.record(batch, Outcome(OutcomeKind.REJECTED, status=400), seconds=0.1)
    with database.read(engine) as connection:
        row = tables.batches.c
        split = connection.scalars(sa.select(row.zone).where(row.first_ordinal.between(4, 7))).all()
    assert split == [TOKYO] * 3
    assert _sent(book) == {TOKYO: 4}


def test_what_was_put_off_into_the_night_waits_for_the_morning(engine: sa.Engine) -> None:
    run, clock = _dispatching(engine, count=4), Clock()
    clock.now = NOW + timedelta(hours=7, minutes=29)  # 17:29 in Berlin
    book = _book(engine, run, clock)
    batch = book.claim(run.id, worker="w")
    assert batch is not None
    book.record(batch, Outcome(OutcomeKind.NOT_SENT, status=429, retry_after=timedelta(minutes=2)), seconds=0.1)
    clock.forward(minutes=3)
    assert BERLIN not in _sent(book)
    clock.now = NOW + 22 * HOUR
    assert _sent(book)[BERLIN] == 2


def test_quiet_hours_longer_than_the_window_let_a_batch_expire(engine: sa.Engine) -> None:
    run, clock = _dispatching(engine), Clock()
    _sent(_book(engine, run, clock))
    with database.write(engine) as connection:
        connection.execute(tables.campaign_runs.update().values(expires_at=NOW + 5 * HOUR))
    clock.now = NEW_YORK_WAKES
    assert _sent(_book(engine, run, clock)) == {NEW_YORK: 4}
    clock.now = NOW + 5 * HOUR
    with database.write(engine) as connection:
        swept = ledger_sweep.sweep(connection, policy=NIGHT, now=clock())
        assert (swept.expired, swept.runs_dispatched) == (1, 1)
        assert audit.message_states(connection, run.id)["expired"] == 4


def test_a_run_that_is_held_is_not_stalled(engine: sa.Engine) -> None:
    run, clock = _dispatching(engine), Clock()
    _sent(_book(engine, run, clock))
    with database.read(engine) as connection:
        assert ledger_sweep.stalled(connection, now=NOW + 2 * HOUR) == []
        assert ledger_sweep.stalled(connection, now=NEW_YORK_WAKES + timedelta(minutes=9)) == []
        assert ledger_sweep.stalled(connection, now=NEW_YORK_WAKES + timedelta(minutes=11)) == [run.id]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    countries=st.lists(st.sampled_from(COUNTRIES), min_size=1, max_size=12),
    size=st.integers(1, 5),
    limit=st.none() | st.integers(1, 12),
    holdout=st.sampled_from([0, 40]),
)
def test_batches_are_contiguous_and_of_one_zone_each_and_the_same_people_are_chosen(
    engine: sa.Engine, countries: list[str | None], size: int, limit: int | None, holdout: int
) -> None:
    facts = {"limit": limit, "holdout_percent": holdout}
    with engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        people = _people(connection, len(countries), tuple(countries))
        run = _freeze(connection, people, size=size, **facts)
        plain = _freeze(connection, people, frozen.POLICY, size=size, **facts)
        member, party, batch = tables.audience.c, tables.parties.c, tables.batches.c
        query = sa.select(member.party_id, member.ordinal, member.skip_reason)
        chosen, as_ever = (
            {row.party_id: row for row in connection.execute(query.where(member.run_id == one.id))}
            for one in (run, plain)
        )
        country_of = dict(connection.execute(sa.select(party.id, party.country)).all())
        rows = connection.execute(sa.select(batch).where(batch.run_id == run.id).order_by(batch.first_ordinal)).all()
        transaction.rollback()
    assert {one: row.skip_reason for one, row in chosen.items()} == {
        one: row.skip_reason for one, row in as_ever.items()
    }
    zone_at = {
        row.ordinal: zones.zone_of(country_of[one], BERLIN) for one, row in chosen.items() if row.ordinal is not None
    }
    assert sorted(zone_at) == list(range(run.planned or 0))
    assert [ordinal for row in rows for ordinal in range(row.first_ordinal, row.last_ordinal + 1)] == sorted(zone_at)
    for row in rows:
        assert row.last_ordinal - row.first_ordinal < size
        assert {zone_at[ordinal] for ordinal in range(row.first_ordinal, row.last_ordinal + 1)} == {row.zone}
    for before, after in pairwise(rows):  # no batch is cut short but the last one of its zone
        assert before.zone != after.zone or before.last_ordinal - before.first_ordinal + 1 == size
    assert {row.state for row in rows} <= {BatchState.PLANNED}
