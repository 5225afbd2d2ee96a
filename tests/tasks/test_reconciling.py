"""The nightly reconciliation over a real ESP and a real gateway: outages, twice, no add-on, counts that differ."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, reconciliations, tables
from domain.ledger import BatchState
from domain.reconciliation import Difference, Explanation, Kind
from tasks import wiring
from tests.tasks import reconciled
from tests.tasks.reconciled import Shop

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account_id")]


def _sums(found: list[Difference]) -> Counter[tuple[Kind, Explanation]]:
    sums: Counter[tuple[Kind, Explanation]] = Counter()
    for one in found:
        sums[one.kind, one.explanation] += one.count
    return sums


@pytest.fixture
def shop(
    engine: sa.Engine, account_id: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    with reconciled.shop(engine, database_url, tmp_path, monkeypatch, people=60) as made:
        yield made


def test_a_day_without_webhooks_is_healed(
    engine: sa.Engine, account_id: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reconciled.shop(engine, database_url, tmp_path, monkeypatch, people=2000) as shop:
        run = reconciled.sent(engine)
        night = reconciled.reconcile()
        healed, refused = reconciled.states(engine), reconciled.refused(engine)
        assert _sums(night.found)[Kind.SILENT, Explanation.OUTAGE] == 2000
        assert sum(one.left for one in night.found if one.kind is Kind.SILENT) == 0
        assert night.pulled.questions < 2000 * 0.6  # of mail that simply arrived nobody's story is asked for

        again = reconciled.reconcile()
        assert (again.pulled.questions, again.pulled.bodies) == (0, 0)
        assert [one for one in again.found if one.kind in {Kind.SILENT, Kind.UNFINISHED}] == []

        shop.open_gateway()
        shop.turn()
        shop.all_came(run.id)
        assert reconciled.states(engine) == healed
        assert reconciled.refused(engine) == refused
        reconciled.told_by_webhooks_alone(engine)
        assert reconciled.states(engine) == healed  # the twin whose webhooks came
        assert reconciled.refused(engine) <= refused
    assert [one.explanation for one in again.found if one.kind is Kind.COUNT] == []


def test_an_event_by_both_ways_is_one(engine: sa.Engine, shop: Shop) -> None:
    run = reconciled.sent(engine)
    reconciled.reconcile()
    event = tables.delivery_events.c
    final = ("delivered", "bounced", "dropped", "complained", "unsubscribed")
    count = sa.select(event.kind, sa.func.count()).where(event.kind.in_(final)).group_by(event.kind)
    with database.read(engine) as connection:
        before = dict(connection.execute(count).all())
    shop.open_gateway()
    shop.turn()
    shop.all_came(run.id)
    with database.read(engine) as connection:
        assert dict(connection.execute(count).all()) == before
    assert set(before) == set(final)


def test_a_night_that_is_too_short_goes_on_the_next(
    engine: sa.Engine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciled.sent(engine, batch_size=20)
    monkeypatch.setenv("OMS_SENDGRID_ACTIVITY_A_MINUTE", "2")
    reconciled.settings.load.cache_clear()
    first = reconciled.reconcile(minutes=0.01)
    assert (first.pulled.questions, first.pulled.attempts_left) == (2, 1)
    assert 0 < sum(one.left for one in first.found if one.kind is Kind.SILENT) < 60
    # Of those who read it, the glance alone is believed: no person is claimed, and no bounce is guessed.
    with database.read(engine) as connection:
        known = connection.execute(sa.select(tables.message_delivery)).all()
    assert known
    assert all(row.human_opened_at is None and row.bounced_at is None for row in known)
    monkeypatch.setenv("OMS_SENDGRID_ACTIVITY_A_MINUTE", "100000")
    reconciled.settings.load.cache_clear()
    reconciled.reconcile()
    assert sum(one.left for one in reconciled.reconcile().found if one.kind is Kind.SILENT) == 0


def test_who_did_not_buy_the_look_up_is_told_so(
    engine: sa.Engine, account_id: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reconciled.shop(engine, database_url, tmp_path, monkeypatch, people=60, activity=False) as shop:
        reconciled.sent(engine)
        night = reconciled.reconcile()
        assert (night.pulled.bought, night.pulled.questions) == (False, 0)
        monkeypatch.setenv("OMS_SANDBOX_EMAIL_ACTIVITY", "true")  # we believe that it was bought; the ESP says 403
        reconciled.settings.load.cache_clear()
        night = reconciled.reconcile()
        assert not night.pulled.bought
        assert "403" in (night.pulled.trouble or "")
        sums = _sums(night.found)
        assert sums[Kind.SILENT, Explanation.OUTAGE] == 60
        assert sums[Kind.COUNT, Explanation.OUTAGE] > 50  # what the ESP counts, and nobody told us
        assert {one.explanation for one in night.found} <= {Explanation.OUTAGE, Explanation.LISTED}
        # The lists suppress whom they must all the same.
        assert {reason for _, reason in reconciled.refused(engine)} >= {"hard_bounce", "complaint", "unsubscribe"}
        assert shop.ask("/v3/stats", start_date=f"{night.night.first}")[-1]["stats"][0]["metrics"]["requests"] == 60


def test_events_that_are_lost_for_good_are_brought_back(engine: sa.Engine, shop: Shop) -> None:
    shop.turn(lose_events=True)
    run = reconciled.sent(engine)
    shop.all_came(run.id)
    assert reconciled.states(engine) == {}
    night = reconciled.reconcile()
    assert sum(one.repaired for one in night.found if one.kind is Kind.SILENT) == 60


def test_mail_that_somebody_sends_past_us_is_seen(engine: sa.Engine, shop: Shop) -> None:
    shop.open_gateway()
    shop.turn()
    run = reconciled.sent(engine)
    shop.send_past("a@delivered.test", "b@delivered.test", category="newsletter of the intern")
    shop.all_came(run.id)
    shop.all_came("")
    night = reconciled.reconcile()
    past = [one for one in night.found if one.explanation is Explanation.PAST_US and one.measure == "requested"]
    assert [(one.count, one.here, one.there) for one in past] == [(2, 60, 62)]
    assert past[0].to_do is not None
    assert {one.explanation for one in night.found if one.kind is Kind.STRAY} == {Explanation.PAST_US}
    assert Explanation.UNEXPLAINED not in {one.explanation for one in night.found}


def test_a_day_of_another_zone_is_an_edge(engine: sa.Engine, shop: Shop) -> None:
    shop.open_gateway()
    shop.turn(stats_hours_ahead=-(wiring.clock().hour + 1))  # so that what is today here is yesterday there
    run = reconciled.sent(engine)
    shop.all_came(run.id)
    found = [one for one in reconciled.reconcile().found if one.kind is Kind.COUNT]
    assert {one.explanation for one in found} == {Explanation.DAY_EDGE}
    assert {one.day for one in found} == {wiring.clock().date(), wiring.clock().date() - timedelta(days=1)}


def test_figures_that_are_behind_are_waited_for(engine: sa.Engine, shop: Shop) -> None:
    shop.open_gateway()
    shop.turn(stats_behind_seconds=3600)
    run = reconciled.sent(engine)
    shop.all_came(run.id)
    found = [one for one in reconciled.reconcile().found if one.kind is Kind.COUNT]
    assert {(one.explanation, one.there) for one in found} == {(Explanation.FIGURES_BEHIND, 0)}


def test_mail_that_the_esp_only_checked_is_no_mail(engine: sa.Engine, shop: Shop) -> None:
    reconciled.sent(engine)
    with database.write(engine) as connection:
        connection.execute(tables.batch_attempts.update().values(status_code=200))
    silent = [one for one in reconciled.reconcile().found if one.kind is Kind.SILENT]
    assert {one.explanation for one in silent} == {Explanation.TEST}
    assert silent[0].to_do is not None


def test_an_unknown_batch_explains_what_the_esp_counts_more(engine: sa.Engine, shop: Shop) -> None:
    shop.turn(hold_events=True, drop_after_accept=1.0, next_n=1)
    reconciled.sent(engine, batch_size=60)
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.batches.c.state)) == BatchState.UNKNOWN
    sums = _sums(reconciled.reconcile().found)
    assert sums[Kind.UNKNOWN, Explanation.WAITING] == 1
    assert sums[Kind.COUNT, Explanation.WAITING] >= 60
    assert {why for kind, why in sums if kind is Kind.COUNT} == {Explanation.WAITING}


def test_one_at_a_time(engine: sa.Engine, shop: Shop) -> None:
    night = reconciled.begin(worker="process 7 on elsewhere")
    with pytest.raises(reconciliations.OneAtWork, match="process 7 on elsewhere"):
        reconciled.begin()
    later = wiring.clock() + reconciliations.LEASE * 2
    with database.write(engine) as connection:  # that one died: the next one comes when its lease is over
        days = (night.first, night.last)
        reconciliations.begin(connection, worker="b", days=days, account_id=None, dry_run=False, now=later)
    with database.write(engine) as connection, pytest.raises(reconciliations.TurnLost):
        reconciliations.note(connection, night.id, now=later)
