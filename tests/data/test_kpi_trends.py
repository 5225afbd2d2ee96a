"""Deliverability over time: by group and day or week, what may still arrive, jumps."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from data import accounts, database, kpi_counts, kpi_groups, kpi_trends, tables
from domain.kpi_tables import By
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow

TODAY = NOW.date()


@pytest.fixture
def counted(engine: sa.Engine, account_id: str) -> None:
    """Of days ago: 0, 3, 4, 10 and 40, each 1,000 mails at one mailbox group; two domains."""
    with database.write(engine) as connection:
        (party,) = ledger_rows.add_parties(connection, account_id, 1)
        for days in (0, 3, 4, 10, 40):
            at = NOW - timedelta(days=days)
            row = BatchRow(0, 0, attempt=f"a{days}", finished_at=at)
            sender = f"news@{'old' if days > 9 else 'new'}.example.com"
            ledger_rows.add_run(connection, account_id, [party], [row], run_id=f"r{days}", sender_email=sender)
    kpi_counts.refresh(engine)
    with database.write(engine) as connection:
        connection.execute(tables.kpi_counts.update().values(accepted=1000, delivered=990, bounced_hard=4))


def read(engine: sa.Engine, *by: By, days: int = 28) -> kpi_trends.Trends:
    with database.read(engine) as connection:
        return kpi_trends.read(connection, "shop", by, days=days, now=NOW)


@pytest.mark.usefixtures("counted")
def test_a_group_has_a_step_a_day_and_young_mail_may_still_arrive(engine):
    found = read(engine, By.MAILBOX)
    (gmail,) = found.groups
    assert gmail.key == ("gmail",)
    assert [day for day, _ in gmail.steps] == [TODAY - timedelta(days=n) for n in (10, 4, 3, 0)]
    assert gmail.total.accepted == 4000
    assert gmail.may_arrive == 2 * 6  # of today and of three days ago; the ESP gave up on what is older
    assert (gmail.recent.accepted, gmail.earlier.accepted) == (3000, 1000)
    assert found.since == TODAY - timedelta(days=27)


@pytest.mark.usefixtures("counted")
def test_a_long_period_goes_by_weeks_that_end_today(engine):
    (gmail,) = read(engine, By.MAILBOX, days=91).groups
    assert [(day, figures.accepted) for day, figures in gmail.steps] == [
        (TODAY - timedelta(days=41), 1000),
        (TODAY - timedelta(days=13), 1000),
        (TODAY - timedelta(days=6), 3000),
    ]


@pytest.mark.usefixtures("counted")
def test_by_our_domain_and_by_both(engine):
    domains = read(engine, By.DOMAIN)
    assert [(one.key, one.total.accepted) for one in domains.groups] == [
        (("new.example.com",), 3000),
        (("old.example.com",), 1000),
    ]
    pairs = read(engine, By.MAILBOX, By.DOMAIN)
    assert [one.key for one in pairs.groups] == [("gmail", "new.example.com"), ("gmail", "old.example.com")]


@pytest.mark.usefixtures("counted")
def test_a_jump_is_told_with_its_group_whatever_the_period(engine):
    with database.write(engine) as connection:
        today = tables.kpi_counts.update().where(tables.kpi_counts.c.day == TODAY)
        connection.execute(today.values(delivered=900, bounced_hard=90))
    ((key, one),) = read(engine, By.MAILBOX, days=7).anomalies
    assert (key, one.kpi.name, one.day) == (("gmail",), "bounce_rate", TODAY)


@pytest.mark.usefixtures("counted")
def test_counts_alone_are_those_of_the_whole_figures(engine):
    by = (By.DAY, By.MAILBOX, By.DOMAIN)
    with database.read(engine) as connection:
        whole = kpi_groups.measured(connection, "shop", by, since=date(2026, 1, 1))
        assert kpi_groups.figures(connection, "shop", by, since=date(2026, 1, 1)) == {
            key: one.figures for key, one in whole.items()
        }


def test_an_unknown_account_has_no_trends(engine, account_id):
    with database.read(engine) as connection, pytest.raises(accounts.UnknownAccount):
        kpi_trends.read(connection, "nobody", (By.DAY,), days=7, now=NOW)
