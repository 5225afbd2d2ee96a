"""One batch, one POST: built, a last look at the clock, sent once. What every Mailer that speaks HTTP does alike."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import httpx

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from providers import http
from providers.batch_checks import RecipientRefused

TOO_LATE = "the lease ran out before the request began, so it was not sent"


def utc_now() -> datetime:
    return datetime.now(UTC)


def lease_over(batch: ports.Batch, now: datetime) -> str | None:
    """Why no request may begin any more: the worker slept since the claim."""
    return TOO_LATE if now >= batch.lease_expires_at else None


def post(
    client: httpx.Client, path: str, build: Callable[[], bytes], *, too_late: Callable[[], str | None]
) -> httpx.Response | Outcome:
    """The ESP's answer; or what is known where there is none. It never tries again; the ledger owns attempts.

    One recipient's unusable data is a refusal like the ESP's own: the ledger halves the batch down to him. Raises
    ports.Unsendable, before anything is sent, where the batch as a whole is faulty.
    """
    try:
        body = build()
    except RecipientRefused as refused:
        return Outcome(OutcomeKind.REJECTED, detail=str(refused), local=True)
    except ports.Unsendable:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of our program; its text may hold somebody's data
        kind = type(error).__name__
        raise ports.Unsendable(f"the request could not be built ({kind}); nothing was sent") from None
    # Nothing may stand between this look at the clock and the request: building a thousand messages takes time.
    if (late := too_late()) is not None:
        return Outcome(OutcomeKind.NOT_SENT, detail=late, local=True)
    try:
        return client.post(path, content=body, headers={"Content-Type": "application/json"})
    except Exception as error:  # noqa: BLE001 - the table knows them all, and what it does not know is unknown
        return http.outcome_of_exception(error)


def of_each(each: Mapping[str, Outcome]) -> Outcome:
    """What a batch came to, of the answers that an ESP gave for each message, by its id.

    What stops us is said in words: of the whole where no message was taken, else beside what was.
    """
    answers = list(each.values())
    stop = next((one for one in answers if one.stop_provider), None)
    kinds = {one.kind for one in answers}
    if len(answers) == 1 or kinds in ({OutcomeKind.ACCEPTED}, {OutcomeKind.UNKNOWN}):
        return answers[0]
    if stop is not None and OutcomeKind.ACCEPTED not in kinds:
        whole = stop
    else:
        # Not what was refused: of the whole it would make the ledger halve the batch and ask again.
        taken = Outcome(OutcomeKind.ACCEPTED, status=httpx.codes.OK)
        whole = taken if stop is None else replace(taken, detail=stop.detail, stop_provider=True)
    return replace(whole, exceptions={name: one for name, one in each.items() if one.kind is not whole.kind})
