"""The last good snapshot: whom an earlier run froze, for the day on which the data is not fit to choose from."""

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from data import runs, tables
from domain.campaigns import Run, RunStatus

# A person looked at a rejected or cancelled one and did not want it so.
_NOT_GOOD = (RunStatus.STOPPED, RunStatus.REJECTED, RunStatus.CANCELLED)
_LOOKED_AT = 100  # runs of a segment, the newest first


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An audience that passed its gates. `same_campaign`: else it is another campaign's with the same selection."""

    run_id: str
    members: int
    frozen_at: datetime
    same_campaign: bool

    def sentence(self, *, campaign: str, now: datetime) -> str:
        """What it is, how old and how large, and exactly how to use it."""
        days = (now - self.frozen_at).days
        age = "today" if not days else "yesterday" if days == 1 else f"{days} days ago"
        whose = "of this campaign" if self.same_campaign else "of another campaign with the same segment"
        return (
            f"The last good snapshot is run {self.run_id} {whose}: {self.members:,} members, frozen {age}"
            f" ({self.frozen_at:%Y-%m-%d %H:%M} UTC). To mail those, fill in 'Use the members of run' with {self.run_id},"
            f" or `campaigns run {campaign} … --members-of {self.run_id}`; consent and suppressions are looked up anew."
        )


def find(connection: sa.Connection, run: Run) -> Snapshot | None:
    """The newest earlier run of the same campaign, else of any in the account, that chose in the same way.

    It has frozen somebody, and every gate that it met let it pass. None where there is none, and for a run that takes
    another's members already.
    """
    if run.plan.refinement.members_of is not None:
        return None
    table = tables.campaign_runs.c
    same = sa.case((table.campaign_id == _campaign_of(run), 0), else_=1)
    query = sa.select(table.id).where(
        table.account_id == run.plan.account_id,
        table.segment == run.plan.segment,
        table.id != run.id,
        table.created_at <= run.created_at,
        table.frozen_at.is_not(None),
        table.members > 0,
        table.status.not_in(_NOT_GOOD),
    )
    for run_id in connection.scalars(query.order_by(same, table.frozen_at.desc()).limit(_LOOKED_AT)).all():
        earlier = runs.get(connection, run_id)
        if _chose_alike(earlier, run) and _passed(earlier):
            assert earlier.members is not None, "asked for by the query"
            assert earlier.frozen_at is not None, "asked for by the query"
            return Snapshot(earlier.id, earlier.members, earlier.frozen_at, earlier.plan.campaign == run.plan.campaign)
    return None


def _campaign_of(run: Run) -> sa.ScalarSelect[int]:
    table = tables.campaign_runs.c
    return sa.select(table.campaign_id).where(table.id == run.id).scalar_subquery()


def _chose_alike(earlier: Run, run: Run) -> bool:
    """By the same arguments and rules. One that took another's members is older than it says."""
    of_segment = replace(run.plan.refinement, exclude=())  # whom a run excludes does not change who are members
    return replace(earlier.plan.refinement, exclude=()) == of_segment


def _passed(run: Run) -> bool:
    verdicts = run.validation or {}
    return "audience" in verdicts and all(verdict["passed"] for verdict in verdicts.values())
