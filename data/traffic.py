"""Traffic: which batch of a run may go next, and by which way.

One short transaction before each claim: it looks at the first batch of every mailbox group that may go, asks for a way
(data.lanes), and takes the batch's turn. A worker that dies afterwards has lost the batch its turn for seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from data import batches, database, quiet_hours
from data.desk import Outlook, no_outlook
from data.lanes import Lane, Stall
from domain.campaigns import Run
from domain.guardrails import CanaryState
from domain.routes import MIXED, Grant

# A batch whose turn was taken comes up again after this, should the worker die before the claim.
_TURN = timedelta(seconds=10)
_UNTIL_LIFTED = 60.0


@dataclass(slots=True, kw_only=True)
class Traffic(Lane):
    """The marketing lane of one run."""

    run: Run
    outlook: Callable[[sa.Connection, datetime], Outlook] = no_outlook
    # Why nothing more can go. Of what threads that got nothing were told, the soonest: another one looks at the last
    # batch of a group meanwhile, and who finds none at all knows nothing.
    stalled: Stall | None = None

    @property
    def call_back(self) -> timedelta:
        return timedelta(minutes=self.policy.call_back_minutes if self.run.plan.two_phase else 0)

    def next(self) -> Grant | None:
        """Leave to send one batch; None when nothing can go now, and `stalled` then says why."""
        self.prepare()
        with database.write(self.engine) as connection:
            now = self.clock()
            quiet = quiet_hours.quiet(connection, self.run, self.policy, now)
            outlook = self.outlook(connection, now)
            passed_over = {group for group, factor in outlook.brakes.items() if factor == 0}
            stalls: list[Stall] = []
            while True:
                row = batches.next_due(
                    connection,
                    self.run.id,
                    now,
                    besides=quiet.batches(),
                    groups=passed_over,
                    canary_only=self._canary_only(connection),
                )
                if row is None:
                    break
                size, group = row.last_ordinal - row.first_ordinal + 1, row.mailbox_group or MIXED
                quiet_at = partial(quiet.holds, row.zone)
                found = self._grant(connection, row.id, size, group, outlook, now, row.refused_by, quiet_at)
                if isinstance(found, Grant):
                    batches.put_off(connection, row.id, now + _TURN)
                    return found
                stalls.append(found)
                passed_over.add(group)
            quiet.hold(connection, self.run.id)
        if stopped := sorted(group for group, factor in outlook.brakes.items() if factor == 0):
            stalls.append(Stall(f"mail to {', '.join(stopped)} is stopped until a person lifts it", _UNTIL_LIFTED))
        if stalls:
            known = [self.stalled] if self.stalled is not None else []
            self.stalled = min([*stalls, *known], key=_soonest)
        return None

    def _canary_only(self, connection: sa.Connection) -> bool:
        """While the canary is watched nothing else goes."""
        return self.run.canary is not None and batches.canary_state(connection, self.run.id) == CanaryState.WATCHING


def _soonest(stall: Stall) -> float:
    return stall.seconds if stall.seconds is not None else float("inf")
