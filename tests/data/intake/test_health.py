"""Health: each alarm fires when it should, and does not when it should not."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connections
from data.intake import health, quarantine
from data.intake.health import SourceHealth
from tests.conftest import NOW
from tests.data.intake import feed, past

pytestmark = pytest.mark.usefixtures("account_id")
MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
API = {"url": "https://shop.example.com"}
# NOW is a Sunday, 9 o'clock.


def declared(*connections: dict, **one: object) -> Connections:
    said = [{"account": "shop", "channel": "csv", **each} for each in (connections or ({},))]
    return Connections.model_validate({"connections": [each | one for each in said]})


def examined(
    engine: sa.Engine, connections: Connections | None = None, *, now: datetime = NOW, **chosen: str
) -> list[SourceHealth]:
    with database.read(engine) as connection:
        return health.examine(connection, connections or Connections(), now=now, **chosen)


def alarms(engine: sa.Engine, connections: Connections | None = None, *, now: datetime = NOW) -> tuple[str, ...]:
    (source,) = examined(engine, connections, now=now)
    return source.alarms


def cursor(engine: sa.Engine, **values: object) -> None:
    row = {"account_id": "shop", "channel": "csv", "asked_at": NOW - MINUTE, "read_until": NOW - MINUTE, **values}
    with database.write(engine) as connection:
        connection.execute(tables.intake_cursors.delete())
        connection.execute(tables.intake_cursors.insert().values(row))


def hold(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        quarantine.put(connection, "shop", "csv", "too many", {}, NOW)
        connection.execute(tables.intake_records.update().values(state="held"))


def document(at: datetime, urgency: Urgency = Urgency.NOW) -> feed.Incoming:
    return feed.document([feed.row("1")], received_at=at, urgency=urgency, origin=Origin.PUSH)


def hourly(engine: sa.Engine, until: datetime, *, weeks: int = 5) -> None:
    """An order every hour from eight to twenty-one."""
    at = until - weeks * WEEK
    while at <= until:
        if 8 <= at.hour < 22:
            past.batch(engine, 1, at=at)
        at += HOUR


def test_no_source_no_rows(engine):
    assert examined(engine) == []


class TestSilence:
    def test_a_source_that_keeps_its_rhythm_is_well(self, engine):
        hourly(engine, NOW)
        assert alarms(engine) == ()
        assert alarms(engine, now=NOW + HOUR) == ()

    def test_one_that_fell_silent_is_told_with_what_is_usual(self, engine):
        hourly(engine, NOW)
        (source,) = examined(engine, now=NOW + 7 * HOUR)
        assert source.alarms == ("silent for 7 h, and at this time of the week never longer than 50 min before",)
        assert (source.last_heard, source.usual_silence) == (NOW, 50 * MINUTE)

    def test_a_night_is_none_and_the_morning_after_is(self, engine):
        evening = NOW.replace(hour=21)
        hourly(engine, evening)
        assert alarms(engine, now=evening + 10 * HOUR) == ()
        assert len(alarms(engine, now=evening + 14 * HOUR)) == 1

    def test_a_weekly_file_is_missed_when_it_is_due_and_for_as_long_as_it_stays_away(self, engine):
        for week in range(8):
            past.batch(engine, 5000, at=NOW - week * WEEK)
        known = declared()
        assert alarms(engine, known, now=NOW + 6 * DAY) == ()
        assert alarms(engine, known, now=NOW + WEEK + 30 * MINUTE) == ()
        for late in (WEEK + DAY, 5 * WEEK, 30 * WEEK):
            assert len(alarms(engine, known, now=NOW + late)) == 1

    def test_one_that_nobody_declared_is_forgotten_after_eight_weeks(self, engine):
        for week in range(8):
            past.batch(engine, 5000, at=NOW - week * WEEK)
        assert len(alarms(engine, now=NOW + WEEK + DAY)) == 1
        assert examined(engine, now=NOW + 8 * WEEK + HOUR) == []

    def test_pages_of_an_api_without_orders_are_no_sign_of_life(self, engine):
        hourly(engine, NOW)
        for quarter in range(28):
            past.batch(engine, 0, at=NOW + quarter * 15 * MINUTE)
        assert len(alarms(engine, now=NOW + 7 * HOUR)) == 1

    def test_what_was_refused_is_one(self, engine):
        hourly(engine, NOW)
        past.batch(engine, 3, 3, at=NOW + 7 * HOUR)
        assert alarms(engine, now=NOW + 7 * HOUR) == ()

    def test_and_so_is_what_waits(self, engine):
        hourly(engine, NOW)
        feed.keep(engine, document(NOW + 7 * HOUR))
        assert alarms(engine, now=NOW + 7 * HOUR) == ()

    def test_nothing_is_heard_in_the_future(self, engine):
        """Batches of one minute are one row, with the time at which the first was drained."""
        past.batch(engine, 2, at=NOW - timedelta(seconds=10), received=NOW + timedelta(seconds=30))
        assert examined(engine)[0].last_heard == NOW

    def test_another_channel_is_not(self, engine):
        hourly(engine, NOW)
        past.batch(engine, 9, at=NOW + 7 * HOUR, channel="till")
        assert [len(one.alarms) for one in examined(engine, now=NOW + 7 * HOUR)] == [1, 0]

    def test_a_new_source_has_no_rhythm_yet(self, engine):
        hourly(engine, NOW, weeks=2)
        (source,) = examined(engine, now=NOW + 3 * DAY)
        assert (source.usual_silence, source.alarms) == (None, ())

    def test_a_file_that_came_once_is_never_missed(self, engine):
        past.batch(engine, 100_000, at=NOW - 30 * DAY)
        assert alarms(engine, declared()) == ()

    def test_a_limit_of_the_connection_overrides_the_rhythm(self, engine):
        hourly(engine, NOW)
        limit = declared(silent_after_hours=2)
        assert alarms(engine, limit, now=NOW + 119 * MINUTE) == ()
        assert alarms(engine, limit, now=NOW + 3 * HOUR) == ("silent for 3 h: more than the 2 h of channels.yaml",)
        assert alarms(engine, declared(silent_after_hours=30), now=NOW + 7 * HOUR) == ()

    def test_zero_means_never(self, engine):
        hourly(engine, NOW)
        assert alarms(engine, declared(silent_after_hours=0), now=NOW + 30 * DAY) == ()

    def test_one_that_was_never_heard_is_not_silent(self, engine):
        (source,) = examined(engine, declared(silent_after_hours=2))
        assert (source.last_heard, source.alarms) == (None, ())


class TestLag:
    def test_what_was_pushed_just_now_may_wait_a_little(self, engine):
        feed.keep(engine, document(NOW - 15 * MINUTE))
        (source,) = examined(engine)
        assert (source.waiting, source.lag, source.alarms) == (1, 15 * MINUTE, ())

    def test_and_not_for_longer(self, engine):
        feed.keep(engine, document(NOW - 20 * MINUTE))
        assert alarms(engine) == ("records wait for 20 min: does the deployment ingest-orders run, and does it fail?",)

    def test_not_even_while_others_are_drained(self, engine):
        feed.keep(engine, document(NOW - 20 * MINUTE))
        past.batch(engine, 1, at=NOW - MINUTE, channel="till")
        assert len(examined(engine)[0].alarms) == 1

    def test_history_may_while_the_drain_works_it_off(self, engine):
        feed.keep(engine, document(NOW - 2 * HOUR, Urgency.BULK), document(NOW - 5 * MINUTE))
        assert len(alarms(engine)) == 1  # nobody drains
        past.batch(engine, 1, at=NOW - MINUTE, channel="till")
        assert examined(engine)[0].alarms == ()

    def test_what_is_held_waits_for_a_person_and_is_not_late(self, engine):
        feed.keep(engine, document(NOW - 9 * HOUR))
        hold(engine)
        assert alarms(engine) == ("in quarantine: `campaigns intake quarantine` says why",)

    def test_what_is_done_does_not_wait(self, engine):
        feed.keep(engine, document(NOW - 9 * HOUR))
        feed.drained(engine)
        (source,) = examined(engine)
        assert (source.waiting, source.lag, source.alarms) == (0, None, ())


class TestPulling:
    def test_an_api_that_was_read_just_now_is_well(self, engine):
        cursor(engine)
        (source,) = examined(engine, declared(api=API))
        assert (source.cursor_age, source.alarms) == (MINUTE, ())

    def test_one_that_nobody_asked_yet_is_told(self, engine):
        assert alarms(engine, declared(api=API)) == ("never asked yet: does the deployment pull-orders run?",)

    def test_one_that_nobody_asks_any_more_is_told(self, engine):
        cursor(engine, asked_at=NOW - 59 * MINUTE)
        assert alarms(engine, declared(api=API)) == ()
        cursor(engine, asked_at=NOW - 3 * HOUR)
        assert alarms(engine, declared(api=API)) == ("last asked 3 h ago: does the deployment pull-orders run?",)

    def test_a_pull_that_failed_is_told_with_its_reason(self, engine):
        cursor(engine, error="shop.example.com answers 500")
        assert alarms(engine, declared(api=API)) == ("the last pull failed: shop.example.com answers 500",)

    def test_a_long_history_that_is_still_being_read_is_well(self, engine):
        cursor(engine, read_until=NOW - 40 * DAY)
        (source,) = examined(engine, declared(api=API))
        assert (source.cursor_age, source.alarms) == (40 * DAY, ())

    def test_a_channel_that_is_not_asked_any_more_is_nobodys_concern(self, engine):
        cursor(engine, asked_at=NOW - 30 * DAY, error="x", subscription="disabled")
        assert alarms(engine, declared()) == ()

    @pytest.mark.parametrize("state", ["disabled", "paused"])
    def test_a_webhook_that_the_channel_does_not_use_is_told(self, engine, state):
        cursor(engine, subscription=state)
        told = f"its webhook is {state} there: switch it on again in the channel's own settings"
        (source,) = examined(engine, declared(api=API, webhook_secrets=["s"]))
        assert (source.subscription, source.alarms) == (state, (told,))

    def test_one_that_is_gone_is_told_where_pushes_are_expected(self, engine):
        cursor(engine, subscription="none")
        assert alarms(engine, declared(api=API)) == ()
        told = "it has no webhook that posts here: add it in the channel's own settings"
        assert alarms(engine, declared(api=API, webhook_secrets=["s"])) == (told,)

    @pytest.mark.parametrize("state", [None, "active", "unknown"])
    def test_what_is_well_or_cannot_be_told_is_no_alarm(self, engine, state):
        cursor(engine, subscription=state)
        assert alarms(engine, declared(api=API, webhook_secrets=["s"])) == ()


def test_an_account_that_there_is_not_is_told(engine):
    told = "there is no account shpo: nothing of it can be kept"
    assert alarms(engine, declared({"account": "shpo"})) == (told,)


def test_several_alarms_of_one_source_are_all_told(engine):
    hourly(engine, NOW - 20 * HOUR)
    hold(engine)
    cursor(engine, error="x", subscription="disabled")
    assert len(alarms(engine, declared(api=API))) == 4


def test_figures_are_of_the_last_day_and_by_account_and_channel(engine):
    past.second_account(engine)
    past.batch(engine, 200, 5, at=NOW - 2 * HOUR)
    past.batch(engine, 100, 1, at=NOW - 23 * HOUR)
    past.batch(engine, 900, 900, at=NOW - 25 * HOUR)
    past.batch(engine, 7, 7, channel="till")
    past.batch(engine, 8, account_id="other")
    past.letters(engine, "email_invalid", "open", 3)
    past.letters(engine, "email_invalid", "discarded", 4)
    past.letters(engine, "x", "open", 5, account_id=None)
    found = {(one.account_id, one.channel): one for one in examined(engine)}
    assert list(found) == [("other", "csv"), ("shop", "csv"), ("shop", "till")]
    source = found["shop", "csv"]
    assert (source.orders, source.refused, source.refused_share, source.open_letters) == (300, 6, 0.02, 3)
    assert (found["shop", "till"].refused_share, found["other", "csv"].refused_share) == (1, 0)
    assert source.last_heard == NOW - 2 * HOUR
    assert [one.channel for one in examined(engine, account_id="other")] == ["csv"]


def test_a_source_without_orders_has_no_share(engine):
    (source,) = examined(engine, declared())
    assert source.refused_share is None


def test_the_trend_is_of_whole_days_back_from_now(engine):
    past.batch(engine, 10, 1, at=NOW - HOUR)
    past.batch(engine, 20, 2, at=NOW - 6 * DAY - HOUR)
    past.batch(engine, 30, 3, at=NOW - 7 * DAY - HOUR)
    with database.read(engine) as connection:
        trend = health.trend(connection, now=NOW)
    assert trend[0] == (NOW - 6 * DAY, 20, 2)
    assert trend[-1] == (NOW, 10, 1)
    assert [orders for _, orders, _ in trend] == [20, 0, 0, 0, 0, 0, 10]


@pytest.mark.parametrize(
    ("duration", "told"),
    [
        (None, "–"),
        (timedelta(seconds=59), "0 min"),
        (119 * MINUTE, "119 min"),
        (2 * HOUR, "2 h"),
        (47 * HOUR, "47 h"),
        (48 * HOUR, "2 days"),
        (9 * DAY + HOUR, "9 days"),
    ],
)
def test_durations_read_as_people_say_them(duration, told):
    assert health.span(duration) == told


def test_shares_read_as_people_say_them():
    assert [health.percent(one) for one in (None, 0, 0.0234, 1)] == ["–", "0.0%", "2.3%", "100.0%"]
