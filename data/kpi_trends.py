"""Deliverability over time: the figures of each mailbox provider, sender domain, or pair of them, by day or by week."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from data import accounts, kpi_groups
from domain import kpi_anomalies
from domain.kpi_anomalies import Anomaly
from domain.kpi_tables import By
from domain.kpis import Figures

_DAILY = 31  # a longer period is drawn by week
_WEEK = 7
# ESPs try for three days: what has no answer after that will have none.
_TRIED_DAYS = 3
_LATELY_DAYS = 28  # of a year, too: what is wrong now began lately

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """One group's figures. `recent` are the last days of the period, `earlier` those before them.

    `may_arrive`: without an answer, and young enough that one may come; all of that is recent.
    """

    key: Key
    total: Figures
    recent: Figures
    earlier: Figures
    may_arrive: int
    steps: tuple[tuple[date, Figures], ...]  # from the first day on; a step without mail is missing


@dataclass(frozen=True, slots=True)
class Trends:
    """An account's groups, the largest first. `anomalies`: by key of the group, whatever the period."""

    account_id: str
    account_name: str
    by: tuple[By, ...]
    since: date
    today: date
    step_days: int
    recent_days: int
    groups: tuple[Trend, ...]
    anomalies: tuple[tuple[Key, Anomaly], ...]

    @property
    def settled(self) -> date:
        """Steps that begin before have all the answers that will come."""
        return self.today - timedelta(days=max(_TRIED_DAYS, self.step_days - 1))


def read(connection: sa.Connection, account_id: str, by: Sequence[By], *, days: int, now: datetime) -> Trends:
    """Of the mail that left in these last days. Raises data.accounts.UnknownAccount."""
    account = accounts.get(connection, account_id)
    today = now.astimezone(ZoneInfo(account.timezone)).date()
    since, judged = (today - timedelta(days=n - 1) for n in (days, kpi_anomalies.DAYS))
    by_group: dict[Key, dict[date, Figures]] = defaultdict(dict)
    of_day = kpi_groups.figures(connection, account_id, (By.DAY, *by), since=min(since, judged))
    for (day, *key), figures in of_day.items():
        by_group[tuple(key)][day] = figures
    step, recent = (1 if days <= _DAILY else _WEEK), min(_LATELY_DAYS, max(_TRIED_DAYS + 1, days // 4))
    trends = [
        _trend(key, {day: one for day, one in found.items() if day >= since}, today, step=step, recent=recent)
        for key, found in by_group.items()
    ]
    return Trends(
        account_id=account_id,
        account_name=account.name,
        by=tuple(by),
        since=since,
        today=today,
        step_days=step,
        recent_days=recent,
        groups=tuple(sorted((one for one in trends if one.steps), key=lambda one: (-one.total.accepted, one.key))),
        anomalies=tuple(_anomalies(by_group, today, judged)),
    )


def _trend(key: Key, days: Mapping[date, Figures], today: date, *, step: int, recent: int) -> Trend:
    steps: dict[date, Figures] = defaultdict(Figures)
    for day, figures in days.items():
        # Weeks end today, so that the last one is whole.
        steps[day - timedelta(days=(step - 1 - (today - day).days % step))] += figures
    lately = today - timedelta(days=recent - 1)
    return Trend(
        key=key,
        total=sum(days.values(), Figures()),
        recent=sum((one for day, one in days.items() if day >= lately), Figures()),
        earlier=sum((one for day, one in days.items() if day < lately), Figures()),
        may_arrive=sum(one.on_its_way for day, one in days.items() if (today - day).days <= _TRIED_DAYS),
        steps=tuple(sorted(steps.items())),
    )


def _anomalies(
    by_group: Mapping[Key, Mapping[date, Figures]], today: date, since: date
) -> Sequence[tuple[Key, Anomaly]]:
    names = {str(place): key for place, key in enumerate(sorted(by_group))}
    by_day = {
        (day, name): figures for name, key in names.items() for day, figures in by_group[key].items() if day >= since
    }
    return [(names[one.group], one) for one in kpi_anomalies.found(by_day, today)]
