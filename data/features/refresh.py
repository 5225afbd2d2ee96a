"""Refreshing features: of the customers whose orders, mails or windows changed, or of all of them.

Both ways give the same rows to the last digit: one function reckons each customer, whoever else is reckoned with him.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from data import accounts, database, tables
from data.features import compute, frame, marks, profile, reading, scale, stored, touched
from data.features.frame import Refreshed
from domain.accounts import Account

# Reading a third of all customers by index costs about as much as reading all orders in a row.
_MOST_BY_INDEX = 1 / 3
# Enough people to see a drift by, few enough to read each night beside some thousands that changed.
_PROFILED = 5_000


class Overtaken(RuntimeError):
    """Another refresh of the same account was written meanwhile; nothing of this one was."""


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """How many customers have a row, over how many counted orders, as of when; how many of them were reckoned anew.

    `reason`: why it was a full one, or what was touched. `conversion`: what was reckoned by dated rates.
    """

    customers: int
    orders: int
    as_of: datetime
    full: bool
    touched: int
    reason: str
    conversion: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Work:
    """What one refresh is about. `marks_until`: the newest mark when it began; those after it are for the next one."""

    account: Account
    as_of: datetime
    before: Refreshed | None
    marks_until: int
    code: str


def refresh(engine: sa.Engine, *, account_id: str, as_of: datetime, now: datetime, full: bool = False) -> RefreshReport:
    """Bring the account's features to an instant, in one transaction: a reader sees the old rows or the new ones.

    `full`: reckon everybody. Else only those whose figures may have changed since the last refresh, unless there is a
    reason to reckon all. Raises Overtaken, UnknownAccount.
    """
    with database.read(engine) as connection:
        account = accounts.get(connection, account_id)
        work = _Work(
            account=account,
            as_of=as_of,
            before=frame.newest(connection, account_id),
            marks_until=marks.last(connection, account_id),
            code=code(account),
        )
    reason = "it was asked for" if full else _why_full(work)
    if reason is None:
        whose = _touched(engine, work)
        assert work.before is not None, "the first refresh is a full one"
        if len(whose) <= work.before.customers * _MOST_BY_INDEX:
            return _partial(engine, work, whose, now)
        reason = f"{len(whose):,} customers changed, which is most of them"
    return _full(engine, work, reason, now)


def _why_full(work: _Work) -> str | None:
    if work.before is None:
        return "it is the first"
    if work.before.code != work.code:
        return "the way to reckon, or the account's currency or zone, is another one than the last time"
    if work.as_of < work.before.as_of:
        return "it goes back in time"
    return None


def code(account: Account) -> str:
    """A name of all that decides every figure. A new rate marks whom it concerns (data.rates)."""
    known = (source_hash(), account.currency, account.timezone)
    return hashlib.sha256("\0".join(known).encode()).hexdigest()[:16]


@cache
def source_hash() -> str:
    """SHA-256 of the code that reckons features and says what they are."""
    here = Path(__file__).parent
    domain = here.parent.parent / "domain"
    files = [*sorted(here.glob("*.py")), here.parent / "rates.py"]
    files += [domain / name for name in ("features.py", "zones.py", "money.py", "orders.py")]
    zones = metadata.version("tzdata").encode()
    return hashlib.sha256(b"\0".join([zones, *(file.read_bytes() for file in files)])).hexdigest()


def _touched(engine: sa.Engine, work: _Work) -> npt.NDArray[np.int64]:
    """Parties whose rows are to be replaced. Among them are such as stand for nobody any more."""
    assert work.before is not None, "the first refresh is a full one"
    with database.read(engine) as connection:
        marked = marks.marked(connection, work.account.id, work.marks_until)
    by_time = touched.by_time(engine, account_id=work.account.id, since=work.before.as_of, until=work.as_of)
    return np.union1d(marked, by_time)


def _full(engine: sa.Engine, work: _Work, reason: str, now: datetime) -> RefreshReport:
    facts = reading.read(engine, work.account.id, as_of=work.as_of)
    rows = compute.features(facts, as_of=work.as_of, zone=work.account.timezone)
    report = RefreshReport(
        customers=len(rows),
        orders=int(rows["orders"].sum()),
        as_of=work.as_of,
        full=True,
        touched=len(rows),
        reason=reason,
        conversion=facts.conversion,
    )
    whole = scale.measure(rows)
    sample = rows[_is_profiled(rows["party_id"].to_numpy("int64"), len(rows))]
    _write(engine, work, report, rows=rows, whose=None, whole=whole, sample=sample, now=now)
    return report


def _partial(engine: sa.Engine, work: _Work, whose: npt.NDArray[np.int64], now: datetime) -> RefreshReport:
    facts = reading.read(engine, work.account.id, as_of=work.as_of, persons=whose.tolist())
    rows = compute.features(facts, as_of=work.as_of, zone=work.account.timezone)
    others = frame.read_stored(engine, account_id=work.account.id, columns=scale.NEEDS)
    others = others[~others["party_id"].isin(whose)]
    everybody = pd.concat([others, rows[["party_id", *scale.NEEDS]]], ignore_index=True)
    report = RefreshReport(
        customers=len(everybody),
        orders=int(everybody["orders"].sum()),
        as_of=work.as_of,
        full=False,
        touched=len(rows),
        reason="orders, mails or windows of theirs changed",
        conversion=facts.conversion,
    )
    sample = _sample(engine, work, rows, whose, len(everybody))
    _write(engine, work, report, rows=rows, whose=whose, whole=scale.measure(everybody), sample=sample, now=now)
    return report


def _every(customers: int) -> int:
    return max(1, customers // _PROFILED)


def _is_profiled(party_ids: npt.NDArray[np.int64], customers: int) -> npt.NDArray[np.bool_]:
    return np.asarray(party_ids % _every(customers) == 0)


def _sample(
    engine: sa.Engine, work: _Work, rows: pd.DataFrame, whose: npt.NDArray[np.int64], customers: int
) -> pd.DataFrame:
    """The rows of each k-th customer as they will be: the same people as a full refresh would take."""
    party_id = tables.customer_features.c.party_id
    kept = frame.read_stored(
        engine,
        account_id=work.account.id,
        columns=[name for name in rows.columns if name != "party_id"],
        where=party_id % _every(customers) == 0,
    )
    kept = kept[~kept["party_id"].isin(whose)]
    mine = rows[_is_profiled(rows["party_id"].to_numpy("int64"), customers)]
    return pd.concat([kept, mine], ignore_index=True).sort_values("party_id", ignore_index=True)


def _write(
    engine: sa.Engine,
    work: _Work,
    report: RefreshReport,
    *,
    rows: pd.DataFrame,
    whose: npt.NDArray[np.int64] | None,
    whole: scale.Scale,
    sample: pd.DataFrame,
    now: datetime,
) -> None:
    account_id = work.account.id
    try:
        with database.write(engine) as connection:
            # First of all: of two refreshes at once the second waits here, and fails.
            connection.execute(
                tables.feature_refreshes.insert().values(
                    account_id=account_id,
                    follows=work.before.id if work.before else 0,
                    as_of=report.as_of,
                    full=report.full,
                    reason=report.reason,
                    touched=report.touched,
                    customers=report.customers,
                    orders=report.orders,
                    code=work.code,
                    scale=whole.as_json(),
                    profile=profile.profile(sample),
                    conversion=report.conversion,
                    finished_at=now,
                )
            )
            stored.replace(connection, account_id, rows, whose)
            marks.take(connection, account_id, work.marks_until)
    except sa.exc.IntegrityError as error:
        with database.read(engine) as connection:
            newest = frame.newest(connection, account_id)
        if newest is None or (work.before is not None and newest.id == work.before.id):
            raise
        raise Overtaken(
            f"the features of account {account_id!r} were refreshed by somebody else meanwhile, as of"
            f" {newest.as_of:%Y-%m-%d %H:%M} UTC; nothing was written here, and nothing is lost"
        ) from error
