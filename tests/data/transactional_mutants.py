"""Mistakes that somebody could make in the transactional queue, each as a patch. The model check must find every one."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from data import tables, transactional_proofs, transactional_queue, transactional_sweep
from domain import transactional
from domain.ledger import BatchState, Outcome, OutcomeKind

Mutant = Callable[[pytest.MonkeyPatch], None]
_MESSAGE = tables.transactional_messages


def _reading(kind: OutcomeKind, state: BatchState) -> Mutant:
    def inject(patch: pytest.MonkeyPatch) -> None:
        after = transactional.state_after
        patch.setattr(transactional, "state_after", lambda outcome: state if outcome.kind is kind else after(outcome))

    return inject


def _after_silence(state: BatchState) -> Mutant:
    return lambda patch: patch.setattr(transactional, "after_silence", lambda **_: state)


def _moving_first(before: BatchState, after: BatchState) -> Mutant:
    """A sweep that begins with a wrong move of what has lost its worker, or its use."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        sweep = transactional_sweep.sweep

        def wrong(connection: sa.Connection, now: datetime) -> Any:
            lease = _MESSAGE.c.lease_expires_at
            over = lease.is_(None) | (lease <= now) | (_MESSAGE.c.expires_at <= now)
            moved = _MESSAGE.update().where(_MESSAGE.c.state == before, over)
            connection.execute(moved.values(**transactional_queue.moved(after, now, None)))
            return sweep(connection, now)

        patch.setattr(transactional_sweep, "sweep", wrong)

    return inject


def _resent_without_a_flag(patch: pytest.MonkeyPatch) -> None:
    change = transactional_sweep._change

    def wrong(connection: sa.Connection, ids: list[str], values: dict[str, Any]) -> None:
        change(connection, ids, {name: value for name, value in values.items() if name != "resent"})

    patch.setattr(transactional_sweep, "_change", wrong)


def _without(*names: str, of: str) -> Mutant:
    """An UPDATE of the queue that has lost conditions which name these columns."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        do = getattr(transactional_queue, of)

        def wrong(connection: sa.Connection, *given: Any, **named: Any) -> Any:
            execute = connection.execute

            def careless(statement: Any, *rest: Any) -> Any:
                if isinstance(statement, sa.Update) and statement.table is _MESSAGE:
                    kept = [one for one in statement._where_criteria if _column(one) not in names]
                    statement = statement._generate()
                    statement._where_criteria = tuple(kept)
                return execute(statement, *rest)

            with pytest.MonkeyPatch.context() as within:
                within.setattr(connection, "execute", careless)
                return do(connection, *given, **named)

        patch.setattr(transactional_queue, of, wrong)

    return inject


def _column(condition: sa.ColumnElement[bool]) -> str | None:
    return getattr(getattr(condition, "left", None), "name", None)


def _suppression_not_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactional_queue, "refusal", lambda *_: None)


def _secrets_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactional_queue, "_EMPTIED", {})


def _any_event_confirms(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactional_proofs, "_perhaps_sent", sa.true)


def _only_the_newest_attempt_counts(patch: pytest.MonkeyPatch) -> None:
    perhaps = transactional_proofs._perhaps_sent
    newest = tables.transactional_attempts.c.id == _MESSAGE.c.attempt_id
    patch.setattr(transactional_proofs, "_perhaps_sent", lambda: perhaps() & newest)


def _event_before_the_answer_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactional_proofs, "_WAITS", (BatchState.UNKNOWN, BatchState.PLANNED))


def _event_of_the_released_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactional_proofs, "_WAITS", (BatchState.UNKNOWN, BatchState.INFLIGHT))


def _late_acceptance_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactional_proofs, "told_late", lambda *_: None)


def _late_word_releases(patch: pytest.MonkeyPatch) -> None:
    """Whoever comes late with no acceptance says that it was not sent."""
    told = transactional_proofs.told_late

    def wrong(connection: sa.Connection, message: str, attempt: str, outcome: Outcome, now: datetime) -> None:
        if outcome.kind is OutcomeKind.UNKNOWN:
            outcome = Outcome(OutcomeKind.NOT_SENT, local=True)
        told(connection, message, attempt, outcome, now)

    patch.setattr(transactional_proofs, "told_late", wrong)


MUTANTS: dict[str, Mutant] = {
    "whatever is unknown goes again": _reading(OutcomeKind.UNKNOWN, BatchState.PLANNED),
    "whatever is unknown is accepted": _reading(OutcomeKind.UNKNOWN, BatchState.ACCEPTED),
    "a refused message goes again, and is called unknown": _reading(OutcomeKind.REJECTED, BatchState.EXPIRED),
    "silence releases as often as it likes": _after_silence(BatchState.PLANNED),
    "silence proves that it was accepted": _after_silence(BatchState.ACCEPTED),
    "silence proves that it was not sent": _after_silence(BatchState.EXPIRED),
    "it goes once more without a flag": _resent_without_a_flag,
    "it goes once more as soon as its worker is dead": _moving_first(BatchState.INFLIGHT, BatchState.PLANNED),
    "what is under way expires": _moving_first(BatchState.INFLIGHT, BatchState.EXPIRED),
    "what is unknown expires": _moving_first(BatchState.UNKNOWN, BatchState.EXPIRED),
    "it expires though it may have gone": lambda patch: patch.setattr(transactional, "ended", lambda state, **_: state),
    "the claim has no guard": _without("state", "expires_at", "not_before", "attempts", of="claim"),
    "no fencing": _without("lease_expires_at", "state", of="record"),
    "another attempt's worker records": _without("attempt_id", "lease_expires_at", "state", of="record"),
    "suppressions are not read at the claim": _suppression_not_read,
    "secrets are kept": _secrets_kept,
    "an event of what was never sent confirms": _any_event_confirms,
    "only the newest attempt's proof counts": _only_the_newest_attempt_counts,
    "an event before the answer is thrown away": _event_before_the_answer_is_lost,
    "an event of what was released is thrown away": _event_of_the_released_is_lost,
    "a late acceptance is thrown away": _late_acceptance_is_lost,
    "a late unknown answer releases": _late_word_releases,
}
