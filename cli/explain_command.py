"""The command `explain`: why did she (not) get it?"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, moment
from cli.run_commands import RunId
from domain.audience import SENTENCE
from domain.campaigns import NEXT, Run, message_id
from domain.delivery import DeliveryState, EventKind, Seen, Severity
from domain.ledger import BatchState, MessageState

if TYPE_CHECKING:
    import sqlalchemy as sa

    from data.message_fate import Fate

_BATCH = {
    BatchState.PLANNED: "is still to be handed to the ESP",
    BatchState.INFLIGHT: "is being handed to the ESP now",
    BatchState.ACCEPTED: "was accepted by the ESP",
    BatchState.REJECTED: "was refused by the ESP",
    BatchState.SUPPRESSED: "was not sent: the address was suppressed after the audience was frozen",
    BatchState.UNKNOWN: "may have gone out: the ESP's answer was lost, and a proof is awaited",
    BatchState.HELD: "may have gone out: the ESP's answer was lost, and it is never sent again",
    BatchState.EXPIRED: "was not sent: the run's window closed first",
    BatchState.CANCELLED: "was not sent: the run was cancelled",
}
_EXCEPTION = {
    MessageState.SUPPRESSED: "was not sent: the address was suppressed after the audience was frozen",
    MessageState.REJECTED: "was refused by the ESP",
}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("explain")(explain)


def explain(
    run_id: RunId,
    customer: Annotated[
        str, typer.Argument(metavar="CUSTOMER", help="The customer's number in the shop, or CHANNEL/NUMBER.")
    ],
    as_json: AsJson = False,
) -> None:
    """Why a customer did or did not get the mail of a run.

    Also what became of it. The audit log notes who asked.
    """
    from data import database, message_fate, runs

    engine = store.engine()
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
        account_id = run.plan.account_id
        party = only_one(message_fate.persons(connection, account_id, customer), customer, account_id)
        found = message_fate.fate(connection, run_id, party)
    store.note_reading(engine, account_id, f"party:{party}", {"run": run_id})
    sentence = _sentence(run, found)
    missed = None if found.in_segment or run.frozen_at is None else _missed(engine, run, party)
    heard = list(_heard(found.delivery)) if found.delivery is not None else []
    lines = [f"Customer {customer} in {run_id} ({run.plan.campaign}): {sentence}."]
    lines += [f"  {moment(one.at) + ' UTC' if one.at else '':<20}  {one.what}" for one in heard]
    lines += [f"  {one}" for one in missed or ()]
    if not found.in_segment and run.frozen_at is not None:
        lines.append(
            f"  How it is now: campaigns segments explain {shlex.quote(run.plan.segment)} --customer {customer}"
        )
    payload = {**_payload(run, customer, found, sentence, heard), "failed_conditions": missed}
    answer(payload, as_json=as_json, text="\n".join(lines))


def _missed(engine: "sa.Engine", run: Run, party: int) -> tuple[str, ...] | None:
    """The conditions that kept her out, where they can still be told."""
    from data.features.frame import NoFeatures
    from data.features.population import FeaturesMoved
    from segments.faults import EvaluationError
    from tasks import explaining

    try:
        return explaining.missed(engine, run, party)
    except (NoFeatures, FeaturesMoved, EvaluationError):  # what became of the run is told all the same
        return None


def only_one(persons: dict[str, int], customer: str, account_id: str) -> int:
    """The one customer who is meant by a number (data.message_fate.persons). Raises Mistake."""
    if not persons:
        raise Mistake(f"account {account_id!r} has no customer {customer!r}")
    if len(set(persons.values())) > 1:
        names = ", ".join(f"{numbering}/{customer}" if numbering else "the shop's own" for numbering in persons)
        raise Mistake(f"several customers have the number {customer!r}: {names}; write CHANNEL/NUMBER")
    return next(iter(persons.values()))


def _sentence(run: Run, found: "Fate") -> str:
    """The one answer, without its subject."""
    if run.frozen_at is None:
        return f"nobody is in the audience, it was not frozen (the run is {run.status})"
    if not found.in_segment:
        return f"was not in the segment {run.plan.segment!r} when the audience was frozen, {moment(run.frozen_at)} UTC"
    if found.skip_reason is not None:
        return f"was left out: {SENTENCE[found.skip_reason]}"
    return _message_sentence(run, found) if run.plan.live else "is planned, and a dry run sends nothing"


def _message_sentence(run: Run, found: "Fate") -> str:
    if found.batch is None or (found.batch is BatchState.PLANNED and not NEXT[run.status]):
        return f"the mail was planned and not sent: the run is {run.status}"
    if found.exception is not None:
        return f"the mail {_EXCEPTION[found.exception]} ({found.exception_reason})"
    at = f", {moment(found.batch_at)} UTC" if found.batch_at else ""
    silent = found.batch is BatchState.ACCEPTED and found.delivery is None
    return f"the mail {_BATCH[found.batch]}{at}{', which told nothing about it yet' if silent else ''}"


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that the ESP told of the message; `at` is None where only the fact is kept."""

    at: datetime | None
    kind: EventKind
    what: str


def _heard(state: DeliveryState) -> Iterator[Heard]:
    """In the order of time."""
    if Seen.DEFERRED in state.seen:
        yield Heard(None, EventKind.DEFERRED, "put off by the mailbox provider, at least once")
    why = [state.severity.name.lower()] if state.severity is not Severity.NONE else []
    why += [f"fault: {state.fault}"] if state.fault is not None else []
    reason = f" ({', '.join(why)})" if why else ""
    bounced = Seen.BOUNCED in state.seen
    by_person = state.human_opened_at is not None
    happened = (
        (state.delivered_at, EventKind.DELIVERED, "delivered"),
        (
            state.bounced_at,
            EventKind.BOUNCED if bounced else EventKind.DROPPED,
            f"{'bounced' if bounced else 'dropped by the ESP'}{reason}",
        ),
        (
            state.human_opened_at or state.opened_at,
            EventKind.OPENED,
            "opened by a person" if by_person else "opened, by a machine at least",
        ),
        (state.clicked_at, EventKind.CLICKED, "clicked"),
        (state.complained_at, EventKind.COMPLAINED, "reported as spam"),
        (state.unsubscribed_at, EventKind.UNSUBSCRIBED, "unsubscribed"),
    )
    for at, kind, what in sorted((one for one in happened if one[0] is not None), key=itemgetter(0)):
        yield Heard(at, kind, what)


def _payload(run: Run, customer: str, found: "Fate", sentence: str, heard: list[Heard]) -> dict[str, Any]:
    return {
        "run": run.id,
        "customer": customer,
        "sentence": sentence,
        "in_segment": found.in_segment,
        "skip_reason": found.skip_reason,
        "message": None if found.ordinal is None else message_id(run.id, found.ordinal),
        "batch_state": found.batch,
        "exception": found.exception,
        "exception_reason": found.exception_reason,
        "events": heard,
    }
