"""Seed messages: what their outcomes and events say of an ESP."""

import json
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, events, inbox, seeds, tables
from data.seeds import SeedState
from domain.ledger import Outcome, OutcomeKind
from domain.routes import Route
from domain.suppression import Stream
from providers.sendgrid.webhook import SendGridEvents
from tests.conftest import NOW, PEPPER

MINUTE = timedelta(minutes=1)
ROUTE = Route("main", "shop", Stream.MARKETING, "esp", "main", "news.shop.example.com")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)


def send(engine: sa.Engine, at: datetime, outcome: Outcome | None = ACCEPTED) -> str:
    with database.write(engine) as connection:
        seed_id = seeds.begin(connection, ROUTE, now=at)
        if outcome is not None:
            seeds.finish(connection, seed_id, outcome)
    return seed_id


def tell(engine: sa.Engine, seed_id: str, event: str, at: datetime, **facts: str) -> events.ProcessReport:
    """An event as SendGrid posts it, through the inbox."""
    element = {
        "event": event,
        "timestamp": int(at.timestamp()),
        "email": "seed@shop.example.com",
        "message_id": seeds.message_id(seed_id),
        "attempt_id": seeds.message_id(seed_id),
        "sg_event_id": f"{seed_id}{event}",
        **facts,
    }
    with database.write(engine) as connection:
        inbox.store(connection, provider="sendgrid", body=json.dumps([element]).encode(), now=at)
    return events.process(engine, readers={"sendgrid": SendGridEvents(())}, pepper=PEPPER, clock=lambda: at, limit=10)


def state(engine: sa.Engine, at: datetime, provider: str = "esp") -> SeedState:
    with database.read(engine) as connection:
        return seeds.health(connection, provider, at).state


def row(engine: sa.Engine, seed_id: str) -> sa.Row:
    with database.read(engine) as connection:
        return connection.execute(sa.select(tables.seed_messages).where(tables.seed_messages.c.id == seed_id)).one()


@pytest.mark.usefixtures("account_id")
class TestHealth:
    def test_an_esp_that_was_sent_nothing_is_unproven(self, engine: sa.Engine) -> None:
        assert state(engine, NOW) is SeedState.UNPROVEN

    def test_an_event_confirms_and_is_no_stray_and_no_dead_letter(self, engine: sa.Engine) -> None:
        seed_id = send(engine, NOW)
        assert state(engine, NOW + MINUTE) is SeedState.UNPROVEN
        report = tell(engine, seed_id, "delivered", NOW + MINUTE)
        assert (report.events, report.uncorrelated, report.unreadable, report.failed) == (1, 0, 0, 0)
        assert state(engine, NOW + MINUTE) is SeedState.WELL
        assert row(engine, seed_id).confirmed_at == NOW + MINUTE
        tell(engine, seed_id, "open", NOW + 3 * MINUTE)
        assert row(engine, seed_id).confirmed_at == NOW + MINUTE

    def test_silence_is_noticed_after_ten_minutes_and_dated(self, engine: sa.Engine) -> None:
        first = send(engine, NOW)
        tell(engine, first, "delivered", NOW)
        for number in (1, 2):
            send(engine, NOW + 5 * number * MINUTE)
        assert state(engine, NOW + 14 * MINUTE) is SeedState.WELL  # that of minute 5 is nine minutes old
        with database.read(engine) as connection:
            found = seeds.health(connection, "esp", NOW + 21 * MINUTE)
        assert (found.state, found.since) == (SeedState.SILENT, NOW + 5 * MINUTE)
        assert state(engine, NOW + 21 * MINUTE, "other") is SeedState.UNPROVEN

    def test_one_event_late_ends_the_silence(self, engine: sa.Engine) -> None:
        send(engine, NOW)
        second = send(engine, NOW + 5 * MINUTE)
        assert state(engine, NOW + 15 * MINUTE) is SeedState.SILENT
        tell(engine, second, "processed", NOW + 16 * MINUTE)
        assert state(engine, NOW + 16 * MINUTE) is SeedState.WELL

    def test_what_was_refused_is_told_in_the_esps_words(self, engine: sa.Engine) -> None:
        first = send(engine, NOW)
        tell(engine, first, "delivered", NOW)
        send(engine, NOW + 5 * MINUTE, Outcome(OutcomeKind.NOT_SENT, detail="HTTP 401: not authorised"))
        with database.read(engine) as connection:
            found = seeds.health(connection, "esp", NOW + 5 * MINUTE)
        assert (found.state, found.detail) == (SeedState.REFUSED, "HTTP 401: not authorised")
        tell(engine, send(engine, NOW + 10 * MINUTE), "delivered", NOW + 10 * MINUTE)
        assert state(engine, NOW + 10 * MINUTE) is SeedState.WELL

    def test_an_unknown_outcome_is_cleared_by_its_event(self, engine: sa.Engine) -> None:
        seed_id = send(engine, NOW, Outcome(OutcomeKind.UNKNOWN, detail="the answer was cut"))
        assert state(engine, NOW) is SeedState.REFUSED
        tell(engine, seed_id, "delivered", NOW)
        assert state(engine, NOW) is SeedState.WELL

    def test_a_bounce_of_our_own_mailbox_is_trouble(self, engine: sa.Engine) -> None:
        seed_id = send(engine, NOW, None)
        tell(engine, seed_id, "bounce", NOW, type="blocked", reason="550 5.7.1 poor reputation")
        with database.write(engine) as connection:
            seeds.finish(connection, seed_id, ACCEPTED)  # its worker was slower than the event
            found = seeds.health(connection, "esp", NOW)
        assert (found.state, found.detail) == (SeedState.BOUNCED, "bounced: 550 5.7.1 poor reputation")

    def test_one_whose_worker_died_before_the_answer_says_nothing(self, engine: sa.Engine) -> None:
        send(engine, NOW, None)
        assert state(engine, NOW + 20 * MINUTE) is SeedState.UNPROVEN

    def test_what_is_older_than_an_hour_says_nothing_and_after_a_week_it_goes(self, engine: sa.Engine) -> None:
        send(engine, NOW)
        assert state(engine, NOW + 59 * MINUTE) is SeedState.SILENT
        assert state(engine, NOW + 60 * MINUTE) is SeedState.UNPROVEN
        with database.write(engine) as connection:
            assert seeds.purge(connection, now=NOW + timedelta(days=7)) == 0
            assert seeds.purge(connection, now=NOW + timedelta(days=7, seconds=1)) == 1

    def test_events_of_a_seed_that_is_not_ours_change_nothing(self, engine: sa.Engine) -> None:
        report = tell(engine, "12345", "delivered", NOW)
        assert (report.events, report.unreadable) == (1, 0)
        assert state(engine, NOW) is SeedState.UNPROVEN
