"""In which order the planned are mailed, and in which batches: canary first, then zone by zone and group by group.

A batch is of one zone (quiet hours), one mailbox group (pace, guards, warm-up) and either canary or not, so that each
can be held without the others. Within a group those come first who opened or clicked lately: mailbox providers judge
a sender by the first mails that they see (Google, Yahoo: "engaged first"; facts/sender-rules.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import tables
from data.verdicts import PLANNED, Verdicts
from domain import guardrails, ledger
from domain.ledger import BatchState
from domain.mailbox_groups import OTHER
from domain.policy import SendingPolicy
from domain.routes import MIXED

_Numbers = npt.NDArray[np.int64]
_IDS_AT_ONCE = 5_000  # below the number of values that SQLite takes in one statement
# Of all customers: from here on one pass over them costs less than a look-up for each that is planned.
_MANY = 0.2
_LATELY, _OF_LATE = timedelta(days=30), timedelta(days=90)


class Part(NamedTuple):
    """So many people, whose ordinals follow each other. `zone`: its place in the list of quiet_hours.place."""

    canary: bool
    zone: int
    mailbox_group: str
    people: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """`ordinal` of every judged person, -1 for those who are not planned; `parts` in the order of ordinals.

    `group`: each one's own mailbox group as a place in `names`, whatever batch he goes with.
    """

    ordinal: _Numbers
    group: _Numbers
    names: tuple[str, ...]
    parts: tuple[Part, ...]


def arrange(
    connection: sa.Connection,
    account_id: str,
    found: Verdicts,
    *,
    policy: SendingPolicy,
    now: datetime,
) -> Arrangement:
    """Give the planned their ordinals anew. A group too small for a full batch of its own goes with others, mixed.

    Then twenty small groups do not make twenty requests; and of fewer people no guard could tell anything.
    """
    planned = np.flatnonzero(found.verdict == PLANNED)
    planned = planned[np.argsort(found.ordinal[planned])]
    groups, names, tier = _read(connection, account_id, found.judged.party_id[planned], now)
    own = np.zeros(len(found.verdict), dtype=np.int64)
    own[planned] = groups
    zone = found.judged.zone[planned]
    cell = zone * len(names) + groups
    small = np.bincount(cell, minlength=1)[cell] < policy.batch_size if len(cell) else np.zeros(0, dtype=bool)
    groups = np.where(small, names.index(MIXED), groups)
    cell = zone * len(names) + groups
    rest = ~_canaries(cell, tier, guardrails.canary_size(len(planned), policy))
    order = np.lexsort((tier, cell, rest))  # stable: within a tier by the draw
    ordinal = np.full(len(found.verdict), -1, dtype=np.int64)
    ordinal[planned[order]] = np.arange(len(planned))
    return Arrangement(ordinal, own, tuple(names), tuple(_parts(rest[order], cell[order], names)))


def _canaries(cell: _Numbers, tier: _Numbers, size: int) -> npt.NDArray[np.bool_]:
    """The most engaged of every cell, each in proportion: a canary must sing in every group."""
    chosen = np.zeros(len(cell), dtype=bool)
    if not size:
        return chosen
    order = np.lexsort((tier, cell))
    sizes = np.bincount(cell)
    begins = np.cumsum(sizes) - sizes
    place = np.empty(len(cell), dtype=np.int64)
    place[order] = np.arange(len(cell))
    quota = np.ceil(sizes * size / len(cell))
    chosen[:] = place - begins[cell] < quota[cell]
    return chosen


def _parts(rest: npt.NDArray[np.bool_], cell: _Numbers, names: Sequence[str]) -> Iterator[Part]:
    if not len(cell):
        return
    key = cell * 2 + rest
    begins = np.concatenate(([0], np.flatnonzero(np.diff(key)) + 1))
    for begin, size in zip(begins.tolist(), np.diff(np.append(begins, len(key))).tolist(), strict=True):
        place = int(cell[begin])
        yield Part(not rest[begin], place // len(names), names[place % len(names)], size)


def _read(
    connection: sa.Connection, account_id: str, ids: _Numbers, now: datetime
) -> tuple[_Numbers, list[str], _Numbers]:
    """Mailbox group, as a place in the list of names, and tier of engagement (0 is the best) of each."""
    party, features = tables.parties, tables.customer_features
    query = (
        sa.select(party.c.id, sa.func.coalesce(party.c.mailbox_provider, OTHER), _tier(now))
        .select_from(party.outerjoin(features, features.c.party_id == party.c.id))
        .where(party.c.account_id == account_id)
    )
    most = connection.scalar(sa.select(sa.func.max(party.c.id))) or 0
    if len(ids) < _MANY * most:
        chunks = (ids[first : first + _IDS_AT_ONCE].tolist() for first in range(0, len(ids), _IDS_AT_ONCE))
        statements = [query.where(party.c.id.in_(chunk)) for chunk in chunks]
    else:
        statements = [query]
    order = np.argsort(ids)
    known, groups, tiers = ids[order], np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.int64)
    names: dict[str, int] = {MIXED: 0}
    for statement in statements:
        for rows in connection.execute(statement, execution_options={"yield_per": _IDS_AT_ONCE}).partitions():
            found, group, tier = (np.array(column) for column in zip(*rows, strict=True))
            at = np.searchsorted(known, found)
            there = at < len(known)
            there[there] = known[at[there]] == found[there]
            place = order[at[there]]
            groups[place] = [names.setdefault(one, len(names)) for one in group[there].tolist()]
            tiers[place] = tier[there]
    return groups, list(names), tiers


def _tier(now: datetime) -> sa.ColumnElement[Any]:
    """0: opened or clicked within 30 days, 1: within 90, 2: ordered within 90, 3: nothing of it."""
    column = tables.customer_features.c

    def since(moment: datetime) -> sa.ColumnElement[bool]:
        return (column.last_clicked_at >= moment) | (column.last_opened_at >= moment)

    lately, of_late = now - _LATELY, now - _OF_LATE
    return sa.case((since(lately), 0), (since(of_late), 1), (column.last_order_at >= of_late, 2), else_=3)


def batches(run_id: str, parts: Sequence[Part], zones: Mapping[int, str], batch_size: int) -> list[dict[str, Any]]:
    """The rows of a run's batches: contiguous ranges of ordinals, none across two parts."""
    same = {"run_id": run_id, "state": BatchState.PLANNED, "attempts": 0}
    rows, begin = [], 0
    for part in parts:
        of_part = {
            **same, "zone": zones.get(part.zone), "mailbox_group": part.mailbox_group, "canary": part.canary,
        }  # fmt: skip
        rows += [
            {**of_part, "first_ordinal": begin + first, "last_ordinal": begin + last}
            for first, last in ledger.ranges(part.people, batch_size)
        ]
        begin += part.people
    return rows
