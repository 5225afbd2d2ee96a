"""Dispatch: claim, commit, send, record. The order of these lines is the exactly-once promise."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from domain import ledger, ports

_OVERSLEPT = ledger.Outcome(
    ledger.OutcomeKind.NOT_SENT, detail="the worker slept through half of its lease", local=True
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What one worker did: batches by outcome, and why it stopped early, if it did."""

    batches: dict[str, int]
    messages: int
    stopped_by: str | None = None


@contextmanager
def wave(
    run_id: str, *, book: ports.Ledger, mailer: ports.Mailer, worker: str, provider: str
) -> Iterator[list[Future[Tally]]]:
    """Drain with as many threads as the ESP takes requests at once; leaving the block waits for all of them."""
    threads = mailer.capabilities.concurrency
    with ThreadPoolExecutor(threads, thread_name_prefix="dispatch") as pool:
        yield [
            pool.submit(drain, run_id, book=book, mailer=mailer, worker=f"{worker}:{number}", provider=provider)
            for number in range(threads)
        ]


def drain(run_id: str, *, book: ports.Ledger, mailer: ports.Mailer, worker: str, provider: str) -> Tally:
    """Send batch after batch until none can be claimed now, or the ESP puts us off or refuses us altogether."""
    batches: dict[str, int] = {}
    messages = 0
    while (batch := book.claim(run_id, worker=worker, provider=provider)) is not None:
        outcome = _send(mailer, batch) if book.may_send(batch) else _OVERSLEPT
        kind: str = outcome.kind
        stopped_by = outcome.detail if outcome.stop_provider else None
        try:
            book.record(batch, outcome)
        except ledger.LeaseLost:
            # The sweep owns the batch now; what we know of it comes back as an event or it is held.
            kind = "lease_lost"
        except ledger.AllRefused as refusal:
            stopped_by = str(refusal)
        batches[kind] = batches.get(kind, 0) + 1
        messages += len(batch)
        # An ESP that puts one request off would put off the next as well: this worker's wave is over.
        if stopped_by is not None or outcome.kind is ledger.OutcomeKind.NOT_SENT:
            return Tally(batches, messages, stopped_by)
    return Tally(batches, messages)


def _send(mailer: ports.Mailer, batch: ports.Batch) -> ledger.Outcome:
    """A batch that never became a request was certainly not sent, and the next one would fare no better."""
    try:
        return mailer.send(batch)
    except ports.Unsendable as error:
        return ledger.Outcome(ledger.OutcomeKind.NOT_SENT, detail=str(error), stop_provider=True, local=True)
