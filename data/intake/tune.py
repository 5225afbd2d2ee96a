"""Propose thresholds from what the rules did: never more than a proposal, which a person pastes or leaves.

A rule that people overrule as often as not should keep its orders; a share that good batches exceed should be higher,
and one that nothing ever came near is asleep and should be lower. A share of 1, which says that the rule is never a
reason, is left alone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
import yaml

from data import tables
from data.dead_letters import State
from data.intake import rules_report
from data.intake.history import Counts
from data.intake.rules import MEANINGS
from data.intake.rules_report import RuleReport
from data.intake.thresholds import Always, ThresholdBook, Thresholds

REFUSE_SHARE, SHARE, ROW = "refuse_share", "share", "row"
_ENOUGH_LETTERS, _OVERRULED = 20, 0.5
_ENOUGH_BATCHES = 50
_HEADROOM, _WIDE = 1.25, 3  # above what was met: where it was exceeded, and where nothing came near
_LOWEST, _HIGHEST_REFUSED = 0.01, 0.5
_NEAR = 0.5  # of a limit: above it, batches did come near
_KNOWN_LONG = 0.9  # of the days looked at


@dataclass(frozen=True, slots=True)
class Proposal:
    """`key` of `rule` (of none where it is the refuse_share of all) was `now` and might be `proposed`, `because`."""

    account_id: str
    channel: str
    rule: str
    key: str
    now: str | float
    proposed: str | float
    because: str


@dataclass(frozen=True, slots=True)
class _Past:
    """A channel's batches of the last `days` days that were let in, each large enough to be judged."""

    days: int
    batches: Sequence[Counts]
    known_for: timedelta
    quarantines: int
    released: int


def propose(
    connection: sa.Connection,
    book: ThresholdBook,
    account_id: str | None = None,
    *,
    days: int = 30,
    now: datetime,
    adapters: Mapping[tuple[str, str], str] | None = None,
) -> list[Proposal]:
    """Proposals for one account or all. `adapters`: who reads each (account, channel), where the names differ."""
    reports = rules_report.report(connection, account_id, days=days, now=now)
    proposals: list[Proposal] = []
    for account, channel in _pairs(connection, account_id, now - timedelta(days=days)):
        limits = book.of(account, channel, (adapters or {}).get((account, channel), ""))
        theirs = [one for one in reports if (one.account_id, one.channel) == (account, channel)]
        kept = list(_rows(theirs, limits, days))
        past = _past(connection, account, channel, limits, days=days, now=now)
        proposals += kept
        # Where a rule is to refuse no more, the share of refused orders is about to fall by itself.
        proposals += [one for one in _shares(account, channel, past, limits) if not (kept and one.key == REFUSE_SHARE)]
    return proposals


def _pairs(connection: sa.Connection, account_id: str | None, since: datetime) -> list[tuple[str, str]]:
    batch = tables.intake_batches.c
    query = sa.select(batch.account_id, batch.channel).where(batch.drained_at > since).distinct()
    if account_id is not None:
        query = query.where(batch.account_id == account_id)
    return sorted((row.account_id, row.channel) for row in connection.execute(query))


def _rows(reports: Sequence[RuleReport], limits: Thresholds, days: int) -> Iterator[Proposal]:
    """Rules that refuse, may be told not to, and are overruled as often as not."""
    for one in reports:
        rule, wrong = limits.rule(one.rule), one.false_positive_share
        may_keep = one.rule in MEANINGS and rule.row == "refuse" and not isinstance(rule, Always)
        if may_keep and wrong is not None and one.ended >= _ENOUGH_LETTERS and wrong >= _OVERRULED:
            because = (
                f"of the {one.ended} dead letters that ended in {days} days people released "
                f"{one.letters[State.RELEASED]} unchanged ({wrong:.0%})"
            )
            yield Proposal(one.account_id, one.channel, one.rule, ROW, "refuse", "keep", because)


def _shares(account_id: str, channel: str, past: _Past, limits: Thresholds) -> Iterator[Proposal]:
    met = {"": [one.refused / one.orders for one in past.batches]}
    for rule in limits.shares():
        met[rule] = [one.fired.get(rule, 0) / one.orders for one in past.batches]
    for rule, shares in met.items():
        limit = limits.rule(rule).share if rule else limits.refuse_share
        if found := _raised(past, shares, limit, 1.0 if rule else _HIGHEST_REFUSED) or _lowered(past, shares, limit):
            proposed, because = found
            yield Proposal(account_id, channel, rule, SHARE if rule else REFUSE_SHARE, limit, proposed, because)


def _raised(past: _Past, shares: Sequence[float], limit: float, highest: float) -> tuple[float, str] | None:
    """Batches above the limit were let in, by people who released their quarantine."""
    above = [share for share in shares if share > limit]
    if not above or not past.released:
        return None
    usual = _p99(shares)
    proposed = min(_rounded_up(usual * _HEADROOM), highest)
    if proposed <= limit:
        return None  # a few outliers among many
    return proposed, (
        f"{len(above)} of {len(shares)} batches that were let in within {past.days} days are above it (quarantines "
        f"released: {past.released}); 99 % of all stay at or below {usual:.2%}"
    )


def _lowered(past: _Past, shares: Sequence[float], limit: float) -> tuple[float, str] | None:
    """In a long time nothing came near it: a feed could drift far before it is noticed."""
    if len(shares) < _ENOUGH_BATCHES or past.quarantines or past.known_for < _KNOWN_LONG * timedelta(days=past.days):
        return None
    usual, most = _p99(shares), max(shares)
    proposed = _rounded_up(max(_WIDE * usual, _HEADROOM * most, _LOWEST))
    if proposed > _NEAR * limit:
        return None
    return proposed, (
        f"none of {len(shares)} batches within {past.days} days came above {most:.2%}, and 99 % stay at or below "
        f"{usual:.2%}"
    )


def _past(
    connection: sa.Connection, account_id: str, channel: str, limits: Thresholds, *, days: int, now: datetime
) -> _Past:
    since = now - timedelta(days=days)
    batch, quarantine = tables.intake_batches.c, tables.intake_quarantines.c
    rows = connection.execute(
        sa.select(batch.drained_at, batch.orders, batch.refused, batch.fired)
        .where(batch.account_id == account_id, batch.channel == channel, batch.drained_at > since, batch.orders > 0)
        .order_by(batch.drained_at, batch.id)
    ).all()
    begun, released = connection.execute(
        sa.select(sa.func.count(), sa.func.count(quarantine.ended_at)).where(
            quarantine.account_id == account_id, quarantine.channel == channel, quarantine.since > since
        )
    ).one()
    known_for = now - rows[0].drained_at if rows else timedelta(0)
    return _Past(days, list(_as_judged(rows, limits.of_at_least)), known_for, begun, released)


def _as_judged(rows: Sequence[sa.Row[Any]], of_at_least: int) -> Iterator[Counts]:
    """As the gate sees them: what was drained at once is one batch, and small ones are taken together."""
    small = Counts()
    for _, parts in groupby(rows, key=lambda row: row.drained_at):
        batch = Counts()
        for row in parts:
            batch = batch.plus(Counts(row.orders, row.refused, row.fired))
        if batch.orders >= of_at_least:
            yield batch
            continue
        small = small.plus(batch)
        if small.orders >= of_at_least:
            yield small
            small = Counts()


def _p99(shares: Sequence[float]) -> float:
    """The share that 99 of 100 batches do not exceed (nearest rank): of fewer than 100 the highest."""
    return sorted(shares)[math.ceil(0.99 * len(shares)) - 1]


def _rounded_up(share: float) -> float:
    """To two digits that count, and never below one in ten thousand."""
    decimals = min(4, 1 - math.floor(math.log10(share)))
    steps = 10.0**decimals
    return round(math.ceil(round(share * steps, 6)) / steps, decimals)


def fragment(book: ThresholdBook, proposals: Sequence[Proposal]) -> str:
    """YAML for intake.yaml: the sections of the channels that are proposed for, with all that they said before."""
    accounts: dict[str, dict[str, Any]] = {}
    for one in proposals:
        channels = accounts.setdefault(one.account_id, {})
        section = channels.setdefault(one.channel, book.section(one.account_id, one.channel))
        if one.rule:
            section.setdefault("rules", {}).setdefault(one.rule, {})[one.key] = one.proposed
        else:
            section[one.key] = one.proposed
    if not accounts:
        return ""
    reasons = [
        f"# {one.channel} of {one.account_id}, {one.rule or 'all rules'}: {one.key} {one.now} → {one.proposed}, "
        f"because {one.because}"
        for one in proposals
    ]
    told = [" ".join(reason.split()) for reason in reasons]
    place = "# Under `accounts`, in place of what stands there for these channels:"
    return "\n".join((*told, place, yaml.safe_dump({"accounts": accounts}, sort_keys=False, allow_unicode=True)))
