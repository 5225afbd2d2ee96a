from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa

from data import database, kpi_counts, reports, runs
from domain.campaigns import RunStatus
from domain.delivery import BounceClass, DeliveryEvent, EventKind
from domain.kpis import Figures
from domain.ledger import BatchState
from domain.reports import Moment, RunReport
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.plain_events import body_of, process, receive

MINUTE = timedelta(minutes=1)


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, 10)


def report(engine: sa.Engine, run_id: str = "run1") -> RunReport:
    with database.read(engine) as connection:
        return reports.run_report(connection, run_id)


def add_run(engine: sa.Engine, *args, **facts) -> str:
    with database.write(engine) as connection:
        return ledger_rows.add_run(connection, "shop", *args, **facts)


def happened(engine: sa.Engine, *events: tuple[EventKind, int, timedelta]) -> None:
    receive(
        engine,
        body_of(
            *(
                DeliveryEvent("sendgrid", kind, NOW + after, f"run1.{ordinal}", bounce_class=BounceClass.SOFT)
                for kind, ordinal, after in events
            )
        ),
    )
    process(engine)


def test_the_waterfall_leads_from_members_to_accepted_and_adds_up(engine: sa.Engine, parties: list[int]) -> None:
    batches = [
        BatchRow(0, 3, exceptions={1: "suppressed"}),
        BatchRow(4, 4, BatchState.REJECTED, exceptions={4: "rejected"}),
        BatchRow(5, 5, BatchState.HELD),
        BatchRow(6, 6, BatchState.INFLIGHT),
    ]
    skipped = {"holdout": parties[7:8], "no_consent": parties[8:]}
    add_run(engine, parties[:7], batches, skipped=skipped)
    found = report(engine)
    assert [(step.code, step.count) for step in found.waterfall] == [
        ("members", 10),
        ("no_consent", 2),
        ("holdout", 1),
        ("planned", 7),
        ("suppressed", 1),
        ("rejected", 1),
        ("held", 1),
        ("open", 1),
        ("accepted", 3),
    ]
    assert found.waterfall[1].label == "never agreed to marketing mail"
    assert found.total.accepted == 3
    assert found.account_name == "The Shop"


def test_before_the_freeze_there_is_no_waterfall(engine: sa.Engine, parties: list[int]) -> None:
    add_run(engine, [], [], members=None, planned=None, skipped=None, status=RunStatus.CREATED)
    found = report(engine)
    assert (found.waterfall, found.timeline, found.last_accepted_at, found.seconds_to_accept) == ((), (), None, None)


def test_a_dry_runs_waterfall_ends_at_planned(engine: sa.Engine, parties: list[int]) -> None:
    add_run(engine, parties, [], live=False, status=RunStatus.PREVIEWED)
    assert [step.code for step in report(engine).waterfall] == ["members", "planned"]


def test_seconds_to_accept_end_with_the_last_acceptance(engine: sa.Engine, parties: list[int]) -> None:
    batches = [BatchRow(0, 4, finished_at=NOW + MINUTE), BatchRow(5, 9, finished_at=NOW)]
    batches.append(BatchRow(10, 10, BatchState.EXPIRED, finished_at=NOW + 9 * MINUTE))
    add_run(engine, parties, batches, created_at=NOW)
    assert report(engine).seconds_to_accept == 60


def test_there_is_no_timeline_before_the_first_event(engine: sa.Engine, parties: list[int]) -> None:
    add_run(engine, parties, [BatchRow(0, 9)])
    assert report(engine).timeline == ()


def test_the_timeline_counts_each_message_once_when_it_happened_first(engine: sa.Engine, parties: list[int]) -> None:
    add_run(engine, parties, [BatchRow(0, 9)])
    happened(
        engine,
        (EventKind.DELIVERED, 0, -0.4 * MINUTE),  # the ESP's clock is behind ours
        (EventKind.DELIVERED, 1, timedelta(seconds=1)),
        (EventKind.BOUNCED, 2, timedelta(seconds=2)),
        (EventKind.OPENED, 0, timedelta(seconds=2)),
        (EventKind.OPENED, 0, timedelta(seconds=3)),
        (EventKind.CLICKED, 0, timedelta(seconds=2, microseconds=999_999)),
    )
    assert report(engine).timeline == (
        Moment(NOW, delivered=1),
        Moment(NOW + timedelta(seconds=1), delivered=1),
        Moment(NOW + timedelta(seconds=2), bounced=1, opened_human=1, clicked=1),
    )


def test_an_esp_that_tells_whole_seconds_seems_to_deliver_before_it_accepts(
    engine: sa.Engine, parties: list[int]
) -> None:
    add_run(engine, parties, [BatchRow(0, 9)])
    happened(engine, (EventKind.DELIVERED, 0, timedelta(milliseconds=-700)))
    assert report(engine).timeline == (Moment(NOW, delivered=1),)


@pytest.mark.parametrize(
    "last",
    [timedelta(seconds=59), timedelta(seconds=60), timedelta(hours=1), timedelta(days=3, microseconds=1)],
)
def test_the_timeline_has_at_most_sixty_equal_slices(engine: sa.Engine, parties: list[int], last: timedelta) -> None:
    add_run(engine, parties, [BatchRow(0, 9)])
    happened(engine, *((EventKind.DELIVERED, place, last * place / 9) for place in range(10)))
    timeline = report(engine).timeline
    assert 2 <= len(timeline) <= 60
    widths = {after.at - before.at for before, after in pairwise(timeline)}
    assert len(widths) == 1
    assert sum(moment.delivered for moment in timeline) == 10
    assert timeline[-1].delivered > 0
    assert timeline[-1].at <= NOW + last < timeline[-1].at + widths.pop()


def test_an_unknown_run_is_said_to_be_unknown(engine: sa.Engine, account_id: str) -> None:
    with pytest.raises(runs.UnknownRun):
        report(engine, "nobody")


def test_recent_runs_come_newest_first_and_by_account(engine: sa.Engine, parties: list[int]) -> None:
    for number in range(3):
        batches = [BatchRow(0, number)]
        add_run(engine, parties, batches, run_id=f"run{number}", created_at=NOW + number * MINUTE)
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        ids = ledger_rows.add_parties(connection, "other", 1)
        ledger_rows.add_run(connection, "other", ids, [], run_id="theirs", created_at=NOW + 9 * MINUTE)
    kpi_counts.refresh(engine)
    with database.read(engine) as connection:
        mine = reports.recent_runs(connection, "shop", 2)
        assert [(one.run.id, one.total.accepted) for one in mine] == [("run2", 3), ("run1", 2)]
        assert [one.run.id for one in reports.recent_runs(connection, None, 9)] == ["theirs", "run2", "run1", "run0"]


def test_a_list_takes_stored_figures_and_the_page_of_a_run_those_of_this_moment(
    engine: sa.Engine, parties: list[int]
) -> None:
    add_run(engine, parties, [BatchRow(0, 9)])
    kpi_counts.refresh(engine)
    happened(engine, (EventKind.DELIVERED, 0, MINUTE))
    with database.read(engine) as connection:
        assert reports.recent_runs(connection, "shop", 1)[0].total == Figures(accepted=10)
    assert report(engine).total == Figures(accepted=10, delivered=1)
    kpi_counts.refresh(engine)
    with database.read(engine) as connection:
        assert reports.recent_runs(connection, "shop", 1)[0].total == Figures(accepted=10, delivered=1)
