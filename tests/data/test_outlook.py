"""What groups and ESPs are known for changes whose turn it is: brakes, canaries, paces, seed messages."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, ledger, outlook, tables
from data.desk import Outlook
from domain.ledger import Outcome, OutcomeKind
from domain.ports import Batch
from domain.routes import Pace, Route
from tests.data import frozen
from tests.data.frozen import Clock

pytestmark = pytest.mark.usefixtures("account_id")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)
A, B = frozen.route("a"), frozen.route("b")


def _book(engine: sa.Engine, people: int, *routes: Route, batch_size: int = 10) -> tuple[ledger.SqlLedger, Clock]:
    run, clock = frozen.dispatching(engine, people, batch_size=batch_size), Clock()
    return frozen.book(engine, run, clock, *routes), clock


def _first(book: ledger.SqlLedger) -> Batch:
    batch = book.claim(book.run.id, worker="w")
    assert batch is not None
    return batch


def _drain(book: ledger.SqlLedger) -> Counter[str]:
    """Send until nothing may go; messages by provider."""
    found: Counter[str] = Counter()
    while (batch := book.claim(book.run.id, worker="w")) is not None:
        found[batch.grant.route.provider] += len(batch)
        book.record(batch, ACCEPTED, seconds=0.1)
    return found


def _grouped(engine: sa.Engine, book: ledger.SqlLedger, groups: dict[int, str], *, canary: int = 0) -> None:
    """Say of batches, by their place, which group they are of; the first so many are the canary."""
    batch = tables.batches
    with database.write(engine) as connection:
        ids = list(connection.scalars(sa.select(batch.c.id).order_by(batch.c.first_ordinal)))
        for place, group in groups.items():
            connection.execute(batch.update().where(batch.c.id == ids[place]).values(mailbox_group=group))
        connection.execute(batch.update().where(batch.c.id.in_(ids[:canary])).values(canary=True))
        if canary:
            connection.execute(tables.campaign_runs.update().values(canary="watching"))


def test_a_group_that_must_wait_holds_no_other_back(engine: sa.Engine) -> None:
    book, _ = _book(engine, 40, replace(A, release={"gmail": Pace(per_minute=1, burst=10)}))
    _grouped(engine, book, {0: "gmail", 1: "gmail", 2: "yahoo", 3: "yahoo"})
    assert _drain(book) == {"a": 30}


def test_a_stopped_group_waits_for_a_person_and_a_slowed_one_goes_slower(engine: sa.Engine) -> None:
    book, clock = _book(engine, 40)
    _grouped(engine, book, {0: "gmail", 1: "gmail", 2: "yahoo", 3: "yahoo"})
    braked = replace(book, outlook=lambda _connection, _now: Outlook(brakes={"gmail": 0.0}))
    assert _drain(braked) == {"sendgrid": 20}
    assert braked.traffic.stalled is not None
    assert "gmail is stopped" in braked.traffic.stalled.reason
    slowed = replace(book, policy=replace(book.policy, batch_size=10))
    slowed = replace(slowed, outlook=lambda _connection, _now: Outlook(brakes={"gmail": 0.5}))
    assert _drain(slowed) == {"sendgrid": 10}  # 5 a minute
    clock.forward(minutes=2)
    assert _drain(slowed) == {"sendgrid": 10}


def test_while_the_canary_is_watched_nothing_else_goes(engine: sa.Engine) -> None:
    book, _ = _book(engine, 40)
    _grouped(engine, book, {}, canary=1)
    book = replace(book, run=replace(book.run, canary="watching"))
    assert _drain(book) == {"sendgrid": 10}
    with database.write(engine) as connection:
        connection.execute(tables.campaign_runs.update().values(canary="passed"))
    assert _drain(book) == {"sendgrid": 30}


def test_an_esp_whose_seed_messages_bring_no_event_goes_behind_all_others(engine: sa.Engine) -> None:
    book, clock = _book(engine, 20, A, replace(B, priority=2))
    with database.write(engine) as connection:
        seed = {"account_id": "shop", "provider": "a", "pool": "a-marketing", "stream": "marketing"}
        sent = {"id": "s1", "sent_at": clock() - timedelta(minutes=30), "outcome": OutcomeKind.ACCEPTED}
        connection.execute(tables.seed_messages.insert().values(**seed, **sent))
    book = replace(book, outlook=outlook.reader(engine, book.run, book.routes, clock()))
    assert _drain(book) == {"b": 20}


def test_who_finds_nothing_at_all_does_not_hide_why_another_had_to_wait(engine: sa.Engine) -> None:
    book, _ = _book(engine, 10, replace(A, release={"gmail": Pace(per_minute=1, burst=1)}))
    _grouped(engine, book, {0: "gmail"})
    with database.write(engine) as connection:
        in_an_hour = frozen.NOW + timedelta(minutes=60)
        connection.execute(tables.buckets.insert().values(key="pool/shop/a-marketing/gmail", tokens=0, at=in_an_hour))
    assert book.claim(book.run.id, worker="w") is None
    told = book.traffic.stalled
    assert told is not None
    with database.write(engine) as connection:  # as one whom another's lock lets pass
        connection.execute(tables.batches.update().values(not_before=frozen.NOW + timedelta(hours=1)))
    assert book.claim(book.run.id, worker="w") is None
    assert book.traffic.stalled == told


@pytest.mark.parametrize(("share", "by_esp"), [(1.0, False), (0.0, True)], ids=["a pace", "what stands by"])
def test_it_is_not_the_esps_word_while_another_way_only_waits_for_its_pace(
    engine: sa.Engine, share: float, by_esp: bool
) -> None:
    slow = replace(B, priority=2, share=share, hand_over=Pace(per_minute=1, burst=1))
    book, _ = _book(engine, 60, A, slow)
    book = replace(book, policy=replace(book.policy, batch_size=10))
    slow_down = Outcome(OutcomeKind.NOT_SENT, status=429, detail="429", retry_after=timedelta(seconds=30))
    book.record(_first(book), slow_down, seconds=0.1)
    while (batch := book.claim(book.run.id, worker="w")) is not None:
        book.record(batch, ACCEPTED, seconds=0.1)
    assert book.traffic.stalled is not None
    assert book.traffic.stalled.by_esp == by_esp
