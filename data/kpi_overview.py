"""What the page and the artifact of an account show: today, a week, four weeks, and who takes the mail how well."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from data import accounts, kpi_groups
from domain.kpi_tables import By
from domain.kpis import Figures, Measured

DAYS = 28
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Overview:
    """An account's figures as of its newest refresh. `week_before` by mailbox group: the 21 days before the last 7."""

    account_id: str
    account_name: str
    today: date
    spans: Mapping[str, Measured]  # "today", "7 days", "28 days"
    by_mailbox: Mapping[str, Measured]  # 28 days, the largest first
    week: Mapping[str, Measured]
    week_before: Mapping[str, Measured]
    by_day: Mapping[tuple[date, str], Measured]  # and mailbox group
    by_domain: Mapping[tuple[date, str], Figures]  # by day and sender domain


def read(connection: sa.Connection, account_id: str, *, now: datetime) -> Overview:
    """Raises data.accounts.UnknownAccount."""
    account = accounts.get(connection, account_id)
    today = now.astimezone(ZoneInfo(account.timezone)).date()
    first, week = today - timedelta(days=DAYS - 1), today - timedelta(days=_WEEK - 1)
    since = {"today": today, f"{_WEEK} days": week, f"{DAYS} days": first}
    spans = {
        name: kpi_groups.measured(connection, account_id, since=day).get((), Measured()) for name, day in since.items()
    }
    by_mailbox = _by_mailbox(connection, account_id, first, today)
    largest = sorted(by_mailbox, key=lambda group: (-by_mailbox[group].figures.accepted, group))
    return Overview(
        account_id=account_id,
        account_name=account.name,
        today=today,
        spans=spans,
        by_mailbox={group: by_mailbox[group] for group in largest},
        week=_by_mailbox(connection, account_id, week, today),
        week_before=_by_mailbox(connection, account_id, first, week - timedelta(days=1)),
        by_day={
            (day, group): one
            for (day, group), one in kpi_groups.measured(
                connection, account_id, (By.DAY, By.MAILBOX), since=first
            ).items()
        },
        by_domain={
            (day, domain): one
            for (day, domain), one in kpi_groups.figures(
                connection, account_id, (By.DAY, By.DOMAIN), since=first
            ).items()
        },
    )


def _by_mailbox(connection: sa.Connection, account_id: str, since: date, until: date) -> dict[str, Measured]:
    found = kpi_groups.measured(connection, account_id, (By.MAILBOX,), since=since, until=until)
    return {group: one for (group,), one in found.items()}
