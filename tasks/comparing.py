"""What the ESPs say against what we hold: every difference with its explanation. Nothing is changed here."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from data import database, inbox, reconciliation_figures, reconciliation_reading
from domain import reconciliation, reconciliation_counts
from domain.esp_record import DayFigures, Measure, NotBought, StatsSource
from domain.reconciliation import Accepted, Difference, Explanation, Kind
from domain.reconciliation_counts import Circumstances
from tasks import esps, wiring

_DAY = timedelta(days=1)
_SEED_CAMPAIGN = "seed"  # of tasks/seeding.py


@dataclass(frozen=True, slots=True)
class Night:
    """What one reconciliation looks at."""

    id: str
    first: date
    last: date
    account_id: str | None
    dry_run: bool
    silent_before: datetime  # mail that went later may well have no event yet
    now: datetime

    @property
    def days(self) -> list[date]:
        return [self.first + number * _DAY for number in range((self.last - self.first).days + 1)]

    @property
    def since(self) -> datetime:
        return reconciliation_reading.start_of(self.first)


def accepted(night: Night) -> list[Accepted]:
    """The attempts of these days that an ESP accepted."""
    with database.read(wiring.engine()) as connection:
        return reconciliation_reading.accepted(connection, night.since, account_id=night.account_id)


def wanting(night: Night, found: Iterable[Accepted]) -> list[Accepted]:
    """Those of which an end should be known by now, and is not."""
    return [one for one in found if one.missing and one.went_at <= night.silent_before and not one.checked_only]


def of_the_ledger(
    night: Night, before: Sequence[Accepted], after: Sequence[Accepted], listed: Mapping[tuple[str, str], int]
) -> list[Difference]:
    """Accepted mail without event or end, unknown and held batches, what the ESPs' lists added.

    `before`: as it was before anything was repaired, `after`: as it is since. `listed`: (account, account at an ESP) →
    suppressions that were new to us.
    """
    out = reconciliation.outages(before, ended_before=night.silent_before)
    since = {one.attempt_id: one for one in after}
    found = reconciliation.missing(before, since, out, silent_before=night.silent_before, now=night.now)
    with database.read(wiring.engine()) as connection:
        found += reconciliation_reading.open_batches(
            connection, night.since, account_id=night.account_id, now=night.now
        )
    silenced = {esps.esp_account(provider) for provider, _ in out}
    for (account, provider), count in listed.items():
        why = Explanation.OUTAGE if provider in silenced else Explanation.LISTED
        if count:
            found.append(
                Difference(Kind.SUPPRESSION, provider, night.last, count, why, account_id=account, repaired=count)
            )
    return found


def of_counts(
    night: Night, providers: Sequence[str], before: Sequence[Accepted], after: Sequence[Accepted]
) -> list[Difference]:
    """The figures of one ESP account, which these names stand for, against ours. Raises SourceFailed.

    `before` and `after`: accepted mail as in `of_the_ledger`.
    """
    first, last = night.first - _DAY, min(night.last + _DAY, night.now.date())
    if (found_source := esps.reach(providers[0]).stats()) is None:
        raise NotBought(f"{providers[0]} has no figures by day that could be compared")
    with closing(found_source) as source:
        here, machines, campaigns = _ours(night, providers, source, first, last)
        labels = {source.label(campaign) for campaign in campaigns}
        answers = source.by_day({*labels, source.label(_SEED_CAMPAIGN)}, first, last)
        others = _of_others(night)
        known = _circumstances(night, providers, ([*before, *others], [*after, *others]), machines, source)
        seed_label = source.label(_SEED_CAMPAIGN)
    there = _by_label(one for one in answers if one.label in labels)
    found = reconciliation_counts.counts(here, there, night.days, known)
    if night.account_id is None:  # the ESP's totals are those of all accounts
        total = {(day, measure): count for (day, _, measure), count in _by_label(answers, whole=True).items()}
        seeds = _by_label(one for one in answers if one.label == seed_label and seed_label not in labels)
        of_seeds = {(day, measure): count for (day, _, measure), count in seeds.items()}
        found += reconciliation_counts.past_us(total, there, of_seeds, night.days, providers[0])
    return found


def _of_others(night: Night) -> list[Accepted]:
    """Accepted mail of the accounts that this reconciliation leaves out: the ESP's figures have it as well."""
    if night.account_id is None:
        return []
    with database.read(wiring.engine()) as connection:
        found = reconciliation_reading.accepted(connection, night.since)
    return [one for one in found if one.account_id != night.account_id]


def _by_label(answers: Iterable[DayFigures], *, whole: bool = False) -> dict[tuple[date, str, Measure], int]:
    """Of the labels, or of the whole account, whose label is then empty."""
    return {
        (one.day, one.label or "", measure): count
        for one in answers
        if (one.label is None) == whole
        for measure, count in one.counts.items()
    }


def _ours(
    night: Night, providers: Sequence[str], source: StatsSource, first: date, last: date
) -> tuple[Counter[tuple[date, str, Measure]], Counter[tuple[date, str]], set[str]]:
    """Our figures under the ESP's labels, what only machines opened, and which campaigns there were.

    Under a label the ESP counts the mail of all accounts whose campaign is called so, so of one account's campaigns it
    is all accounts' mail that is compared.
    """
    here: Counter[tuple[date, str, Measure]] = Counter()
    machines: Counter[tuple[date, str]] = Counter()
    campaigns: set[str] = set()
    with database.read(wiring.engine()) as connection:
        for provider in providers:
            campaigns |= set(
                reconciliation_figures.campaigns_of(connection, provider, first, account_id=night.account_id)
            )
        wanted = {source.label(campaign) for campaign in campaigns}
        for provider in providers:
            counts, opened = reconciliation_figures.figures(connection, provider, first, last)
            for (day, campaign, measure), count in counts.items():
                if (label := source.label(campaign)) in wanted:
                    here[day, label, measure] += count
            for (day, campaign), count in opened.items():
                machines[day, source.label(campaign)] += count
    return here, machines, campaigns


def _circumstances(
    night: Night,
    providers: Sequence[str],
    mail: tuple[Sequence[Accepted], Sequence[Accepted]],
    machines: Mapping[tuple[date, str], int],
    source: StatsSource,
) -> Circumstances:
    before, after = mail
    out = reconciliation.outages(before, ended_before=night.silent_before)
    lost: Counter[str] = Counter()
    for one in after:
        if (one.provider, reconciliation.hour_of(one.went_at)) in out and one.provider in providers:
            lost[source.label(one.campaign)] += one.missing
    unsettled: dict[str, Counter[tuple[date, str]]] = defaultdict(Counter)
    with database.read(wiring.engine()) as connection:
        pending = inbox.backlog(connection) > 0
        for provider in providers:
            found = reconciliation_figures.unsettled(connection, provider, night.since - _DAY)
            for name, counts in found.items():
                for (day, campaign), count in counts.items():
                    unsettled[name][day, source.label(campaign)] += count
    return Circumstances(
        provider=providers[0],
        now=night.now,
        pending_events=pending,
        missing=lost,
        outage_days=frozenset(hour.date() for provider, hour in out if provider in providers),
        unknown=unsettled["unknown"],
        checked_only=unsettled["checked_only"],
        cancelled=unsettled["cancelled"],
        machines=machines,
    )


def of_strays(night: Night, *, foreign: bool) -> list[Difference]:
    """Events that tell of no message of ours. `foreign`: an ESP counts mail that was sent past us."""
    if night.account_id is not None:
        return []  # whose they are is what nobody knows
    with database.read(wiring.engine()) as connection:
        found = reconciliation_reading.strays(connection, night.first, night.last)
        seeds = reconciliation_reading.seed_events(connection, night.first, night.last)
    return reconciliation.strays(found, seeds=seeds, foreign=foreign)
