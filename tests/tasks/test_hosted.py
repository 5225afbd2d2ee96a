"""A run through a campaign host from the first step to the last, on a real store and a host that keeps its own."""

from collections.abc import Iterator
from contextlib import suppress as suppress_errors
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import settings
from data import database, host_sends, host_steps, suppressions, tables
from domain import addresses
from domain.campaign_host import HostUnavailable
from domain.hosting import Step
from domain.suppression import Reason
from tasks import esps, host_upkeep, wiring
from tests.conftest import PEPPER
from tests.data.frozen import Clock
from tests.kills import shop
from tests.tasks import hosted_run
from tests.tasks.hosted_run import HostedRun
from tests.tasks.stored_host import StoredHost


@pytest.fixture
def run(engine: sa.Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HostedRun]:
    with hosted_run.set_up(monkeypatch, tmp_path, database_url):
        clock = Clock()
        monkeypatch.setattr(wiring, "clock", clock)
        host = StoredHost(tmp_path / "host.db", clock)
        (tmp_path / "routes.yaml").write_text("providers: {sandbox: {kind: sandbox, speaks: mailchimp}}")
        monkeypatch.setattr(esps, "campaign_host", lambda _provider: host)
        shop.fill(engine)
        yield hosted_run.begun(engine, host, clock)


def test_everybody_gets_it_once(run: HostedRun) -> None:
    run.flow()
    run.everybody_once()
    assert run.status == "dispatched"


def test_each_step_is_written_down_and_none_is_done_twice(run: HostedRun) -> None:
    run.flow()
    calls = [name for (name,) in run.host.asked("SELECT name FROM calls WHERE name NOT IN ('status', 'put_members')")]
    assert calls == ["prepare", "campaign", "fill", "faults", "members", "schedule"]
    assert run.host.asked("SELECT count(*), max(size) FROM calls WHERE name = 'put_members'") == [(12, 5)]


def test_who_left_after_she_was_put_is_not_mailed(run: HostedRun) -> None:
    """The last look takes her out."""
    run.host.fate["campaign"] = ["lost"]
    run.wave()
    suppress(run, 7)
    run.flow()
    assert "customer7@delivered.test" not in run.host.mailed()
    assert list(run.exceptions().values()) == ["suppressed_unsubscribe"]
    run.everybody_once(people=59)


def test_who_is_put_by_a_lost_answer_and_leaves_before_the_next_try_is_not_mailed(run: HostedRun) -> None:
    run.host.fate["put_members"] = ["cut"] * 12
    run.wave()
    put = {str(row[0]) for row in run.host.asked("SELECT address FROM segment")}
    assert put
    left = int(min(put).removeprefix("customer").partition("@")[0])
    suppress(run, left)
    run.host.fate.clear()
    run.clock.forward(seconds=5)
    run.flow()
    assert f"customer{left}@delivered.test" not in run.host.mailed()
    run.everybody_once(people=59)


def test_who_was_erased_after_she_was_put_is_not_mailed(run: HostedRun) -> None:
    """Her address is known to nobody any more but the host: all that is there goes, and is made anew."""
    run.host.fate["campaign"] = ["lost"]
    run.wave()
    party = tables.parties
    with database.write(run.engine) as connection:
        erased = {"email": None, "address_hash": None, "erased_at": wiring.clock()}
        connection.execute(party.update().where(party.c.email == "customer7@delivered.test").values(**erased))
    run.flow()
    assert "customer7@delivered.test" not in run.host.mailed()
    run.everybody_once(people=59)
    assert run.host.asked("SELECT count(*) FROM calls WHERE name = 'clear'") == [(1,)]


def test_whom_the_host_refuses_for_good_is_suppressed_with_us_too(run: HostedRun) -> None:
    run.host.told("INSERT INTO people VALUES ('customer3@delivered.test', 1)")
    run.flow()
    run.everybody_once(people=59)
    assert list(run.exceptions().values()) == ["Member In Compliance State"]
    with database.read(run.engine) as connection:
        rows = connection.execute(sa.select(tables.suppressions.c.reason, tables.suppressions.c.source)).all()
    assert [tuple(row) for row in rows] == [("complaint", "sandbox")]


def test_a_host_that_counts_too_few_is_given_them_again(run: HostedRun) -> None:
    run.host.fate["campaign"] = ["lost"]
    run.wave()
    run.host.told("DELETE FROM segment WHERE address LIKE 'customer1%'")
    run.flow()
    run.everybody_once()


def test_a_segment_that_has_more_than_ours_is_never_mailed(run: HostedRun) -> None:
    run.host.fate["campaign"] = ["lost"]
    run.wave()
    run.host.told("INSERT INTO segment VALUES (?, 'stranger@delivered.test', 'x', '{}')", run.id)
    run.flow()
    assert run.status == "paused"
    assert "counts 61 members" in (run.run.stop_reason or "")
    assert run.host.mailed() == []
    run.host.told("DELETE FROM segment WHERE address = 'stranger@delivered.test'")
    run.resume()
    run.flow()
    run.everybody_once()


def test_what_the_hosts_check_list_holds_against_it_pauses_the_run(run: HostedRun) -> None:
    run.host.checklist.append("the subject is missing")
    run.flow()
    assert (run.status, run.run.stop_reason) == (
        "paused",
        "sandbox would not send this campaign: the subject is missing",
    )
    run.host.checklist.clear()
    run.resume()
    run.flow()
    run.everybody_once()


@pytest.mark.parametrize("call", ["prepare", "put_members", "campaign", "fill", "faults", "members", "status"])
@pytest.mark.parametrize("how", ["lost", "cut"])
def test_an_answer_that_does_not_come_is_asked_for_again(run: HostedRun, call: str, how: str) -> None:
    run.host.fate[call] = [how] * 3
    run.flow()
    run.everybody_once()


@pytest.mark.parametrize("call", ["prepare", "put_members", "campaign", "schedule"])
def test_a_refusal_pauses_the_run_and_a_person_lets_it_go_on(run: HostedRun, call: str) -> None:
    run.host.fate[call] = ["refused"]
    run.flow()
    assert run.status == "paused"
    assert "the list is locked" in (run.run.stop_reason or "")
    assert run.host.mailed() == []
    run.resume()
    run.flow()
    run.everybody_once()


@pytest.mark.parametrize("fate", [["lost"], ["cut"], ["late"], ["lost", "cut"], ["late", "late"], ["late", "cut"]])
def test_a_schedule_without_an_answer_never_sends_twice(run: HostedRun, fate: list[str]) -> None:
    run.host.fate["schedule"] = fate
    run.flow()
    run.everybody_once()


def test_a_pause_calls_it_back_and_who_goes_on_schedules_it_anew(run: HostedRun) -> None:
    run.until("scheduled")
    assert run.pause() == "sandbox called the campaign back in time: nobody was mailed."
    assert run.campaigns() == ["draft"]
    run.clock.forward(hours=1)
    run.minute()
    assert (run.status, run.host.mailed()) == ("paused", [])
    run.resume()
    run.flow()
    run.everybody_once()


def test_a_pause_that_comes_too_late_says_so_and_the_run_ends(run: HostedRun) -> None:
    run.until("scheduled")
    run.clock.forward(minutes=10)
    assert run.pause() == "Too late: sandbox is sending it or has sent it, and cannot call it back."
    run.minute()
    assert run.status == "dispatched"
    run.everybody_once()


def test_a_pause_that_the_host_does_not_answer_is_carried_out_by_the_next_minute(run: HostedRun) -> None:
    run.until("scheduled")
    run.host.fate["unschedule"] = ["lost"]
    assert "did not say yet that it calls the campaign back" in run.pause()
    run.minute()
    assert run.campaigns() == ["draft"]
    run.clock.forward(hours=1)
    run.minute()
    assert run.host.mailed() == []


def test_a_cancel_calls_it_back_and_takes_the_draft_away(run: HostedRun) -> None:
    run.until("scheduled")
    assert run.cancel() == "sandbox called the campaign back in time: nobody was mailed."
    for _ in range(4):
        run.minute()
    assert run.campaigns() == []
    assert run.host.asked("SELECT count(*) FROM segment") == [(0,)]
    audit = run.audit()
    assert audit.balanced, audit.complaints
    assert audit.states["cancelled"] == 60
    assert run.host.mailed() == []


def test_a_cancel_before_anything_was_asked_for_takes_away_what_is_there(run: HostedRun) -> None:
    run.host.checklist.append("not yet")
    run.flow()
    run.resume()
    assert "was not asked to send it yet" in run.cancel()
    for _ in range(4):
        run.minute()
    assert run.campaigns() == []
    assert run.host.mailed() == []


def test_a_late_request_does_not_send_what_is_paused(run: HostedRun) -> None:
    """It comes there after the host said that it knows of none, and after a person said stop."""
    run.host.fate["schedule"] = ["late"]
    run.wave()
    run.pause()
    for _ in range(15):
        run.minute()
    assert run.campaigns() == ["draft"]
    assert (run.status, run.host.mailed()) == ("paused", [])


def test_who_presses_send_at_the_host_is_believed(run: HostedRun) -> None:
    run.host.checklist.append("not yet")
    run.flow()
    run.host.told("UPDATE campaigns SET status = 'scheduled', at = 0")
    run.minute()
    run.flow()
    run.everybody_once()


def test_who_takes_it_back_at_the_host_is_heeded(run: HostedRun) -> None:
    run.until("scheduled")
    run.host.told("UPDATE campaigns SET status = 'draft'")
    run.flow()
    assert run.status == "paused"
    assert "somebody took the campaign back" in (run.run.stop_reason or "")
    run.resume()
    run.flow()
    run.everybody_once()


def test_a_window_that_ends_before_it_can_go_sends_nothing(run: HostedRun) -> None:
    run.host.fate["campaign"] = ["lost"] * 1000
    run.wave()
    run.clock.forward(hours=25)
    run.host.fate.clear()
    run.flow()
    for _ in range(3):
        run.minute()
    audit = run.audit()
    assert audit.balanced, audit.complaints
    assert audit.states["expired"] == 60
    assert run.host.mailed() == []


def test_what_the_host_tells_comes_the_way_of_webhooks(run: HostedRun) -> None:
    run.flow()
    for _ in range(20):
        run.minute()
    with database.read(run.engine) as connection:
        kinds = dict(
            connection.execute(
                sa.select(tables.delivery_events.c.kind, sa.func.count()).group_by(tables.delivery_events.c.kind)
            ).all()
        )
        refused = connection.execute(
            sa.select(tables.suppressions.c.reason, sa.func.count()).group_by(tables.suppressions.c.reason)
        ).all()
        stray = connection.scalar(
            sa.select(sa.func.count())
            .select_from(tables.delivery_events)
            .where(tables.delivery_events.c.run_id.is_(None))
        )
    assert kinds == {"delivered": 48, "bounced": 6, "complained": 6}
    assert dict(map(tuple, refused)) == {"hard_bounce": 6, "complaint": 6}
    assert stray == 0


def test_a_settled_run_leaves_the_campaign_and_nothing_else(run: HostedRun) -> None:
    run.flow()
    run.minute()
    run.clock.forward(hours=72)
    run.minute()
    run.minute()
    assert run.status == "settled"
    assert run.campaigns() == ["sent"]
    assert run.host.asked("SELECT count(*) FROM segment") == run.host.asked("SELECT count(*) FROM fields") == [(0,)]
    run.clock.forward(days=31)
    run.minute()
    run.clock.forward(days=1)
    run.minute()
    assert host_upkeep.to_follow() == []


def test_quiet_hours_of_the_shop_hold_the_whole_campaign(run: HostedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ten in the morning in Berlin: it goes as soon as it is four in the afternoon."""
    monkeypatch.setenv("OMS_SENDING_QUIET_FROM", "09:00")
    monkeypatch.setenv("OMS_SENDING_QUIET_UNTIL", "16:00")
    settings.load.cache_clear()
    run.flow()
    (at,) = {row[0] for row in run.host.asked("SELECT at FROM mails")}
    assert isinstance(at, float)
    assert datetime.fromtimestamp(at, UTC) == datetime(2026, 11, 22, 15, tzinfo=UTC)
    run.everybody_once()


@pytest.mark.parametrize("fate", ["", "lost", "refused"])
def test_the_draft_goes_to_the_internal_mailboxes_once(
    run: HostedRun, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    monkeypatch.setenv("OMS_PREFLIGHT_MAILBOXES", '["ann@shop.example.com", "ben@shop.example.com", "@qa.example.com"]')
    settings.load.cache_clear()
    run.host.fate["test"] = [fate]
    run.until("scheduled")
    run.pause()
    run.resume()
    run.flow()
    run.everybody_once()
    assert run.host.asked("SELECT size FROM calls WHERE name = 'test'") == ([] if fate == "refused" else [(2,)])
    with database.read(run.engine) as connection:
        detail = host_steps.one(connection, run.id, Step.TEST).detail  # type: ignore[union-attr]
    told = "sandbox sent none: test: the list is locked" if fate == "refused" else "sent to 2 internal mailboxes"
    assert detail == told


def test_a_host_of_quarters_does_not_mail_into_quiet_hours(run: HostedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked at nine it would be six past nine, which is allowed, and goes at a quarter past, which is not."""
    monkeypatch.setenv("OMS_SENDING_QUIET_FROM", "10:10")
    monkeypatch.setenv("OMS_SENDING_QUIET_UNTIL", "16:10")
    settings.load.cache_clear()
    assert wiring.clock() == datetime(2026, 11, 22, 9, tzinfo=UTC)
    run.host.every = timedelta(minutes=15)
    run.flow()
    (at,) = {row[0] for row in run.host.asked("SELECT at FROM mails")}
    assert isinstance(at, float)
    assert datetime.fromtimestamp(at, UTC) == datetime(2026, 11, 22, 15, 15, tzinfo=UTC)
    with database.read(run.engine) as connection:
        (told,) = connection.scalars(sa.select(tables.attempt_routes.c.send_at).distinct())
    assert told == datetime(2026, 11, 22, 15, 15, tzinfo=UTC)
    run.everybody_once()


def test_a_quarter_past_the_end_of_its_window_is_not_asked_for(run: HostedRun) -> None:
    assert run.run.expires_at is not None
    run.host.every = timedelta(minutes=15)
    run.clock.forward(seconds=(run.run.expires_at - wiring.clock()).total_seconds() - 8 * 60)
    run.flow()
    run.clock.forward(hours=1)
    run.minute()
    assert run.host.mailed() == []
    assert run.audit().states["expired"] == 60


def test_a_quarter_that_slips_while_it_is_asked_for_is_not_taken(
    run: HostedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked was the quarter before."""
    run.host.every = timedelta(minutes=15)
    right, slow = host_sends.claim, [True]

    def claim(*given: Any, **named: Any) -> host_sends.Request | None:
        found = right(*given, **named)
        if slow and found is not None:
            slow.clear()
            found = replace(found, send_at=wiring.clock() - timedelta(minutes=1))  # a quarter that is over
        return found

    monkeypatch.setattr(host_sends, "claim", claim)
    run.wave()
    assert run.campaigns() == ["draft"]
    run.clock.forward(minutes=1)
    run.flow()
    run.everybody_once()


def _heard_of(run: HostedRun) -> int:
    with database.read(run.engine) as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(tables.delivery_events)) or 0


def _held(run: HostedRun) -> None:
    hold = timedelta(minutes=settings.load().sending.hold_after_minutes)
    for wait in (timedelta(minutes=70), hold):
        run.clock.forward(seconds=wait.total_seconds())
        with suppress_errors(HostUnavailable):
            run.minute()
        run.sweep()  # which no flow run of the campaign's is there to do
    assert run.audit().states["held"] == 60


def test_what_went_while_the_host_was_down_is_held_and_its_report_pulled(run: HostedRun) -> None:
    run.until("scheduled")
    run.host.fate["status"] = ["lost"] * 100
    _held(run)
    run.host.fate.clear()
    run.minute()
    assert _heard_of(run) == 60


def test_what_the_host_cancelled_in_mid_send_is_held_and_its_report_pulled(run: HostedRun) -> None:
    run.until("scheduled")
    run.clock.forward(minutes=7)
    run.host.told("UPDATE campaigns SET status = 'cancelled'")
    assert len(run.host.mailed()) == 60
    _held(run)
    run.minute()
    assert _heard_of(run) == 60


def suppress(run: HostedRun, number: int) -> None:
    address_hash = addresses.address_hash(f"customer{number}@delivered.test", PEPPER)
    with database.write(run.engine) as connection:
        suppressions.add(
            connection,
            account_id="shop",
            address_hash=address_hash,
            reason=Reason.UNSUBSCRIBE,
            source="test",
            evidence="",
            now=wiring.clock(),
        )


def test_the_audit_tells_of_more_who_count_as_mailed_than_the_host_had(run: HostedRun) -> None:
    run.flow()
    with database.write(run.engine) as connection:
        connection.execute(
            tables.host_steps.update().where(tables.host_steps.c.step == "last_look").values(reference="59")
        )
    assert run.audit().complaints == ("the host counted 59 members in the run's segment, but 60 count as mailed",)
    with database.write(run.engine) as connection:
        first = sa.select(sa.func.min(tables.batch_attempts.c.batch_id)).scalar_subquery()
        attempt = tables.batch_attempts
        connection.execute(attempt.update().where(attempt.c.batch_id == first).values(provider_reference="another"))
    assert "it went out as 2 campaigns of the host" in run.audit().complaints
