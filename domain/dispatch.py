"""Dispatch: claim, commit, send, record. The order of these lines is the exactly-once promise."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from domain import ledger, ports

_MOST_THREADS = 32  # whatever is declared: each holds a connection to the database
# A slot is free again within a second or so, and each answer may raise how many there are: who has to wait no longer
# than this does so here, as long as others of the wave work. At least so long, as each asking costs a transaction.
_WORTH_WAITING_SECONDS = 2.0
_SHORTEST_WAIT = 0.1
_OVERSLEPT = ledger.Outcome(
    ledger.OutcomeKind.NOT_SENT, detail="the worker slept through half of its lease", local=True
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What one worker did: batches by outcome, and why it stopped early, if it did.

    `refused`: ESPs that refuse us altogether (a key, a sender), each with its words. Mail may still go by others.
    """

    batches: dict[str, int]
    messages: int
    stopped_by: str | None = None
    refused: dict[str, str] = field(default_factory=dict)


@contextmanager
def wave(
    run_id: str, *, book: ports.Ledger, mailers: Mapping[str, ports.Mailer], worker: str
) -> Iterator[list[Future[Tally]]]:
    """Drain with as many threads as the ESPs take requests at once; leaving the block waits for all of them."""
    stop, busy = Event(), set[str]()
    # Without any mailer one worker still asks, and so learns why nothing may go.
    threads = max(1, min(_MOST_THREADS, sum(one.capabilities.concurrency for one in mailers.values())))
    with ThreadPoolExecutor(threads, thread_name_prefix="dispatch") as pool:
        try:
            yield [
                pool.submit(
                    drain, run_id, book=book, mailers=mailers, worker=f"{worker}:{number}", stop=stop, busy=busy
                )
                for number in range(threads)
            ]
        except BaseException:  # whoever watches was told to end: what is under way is finished, nothing more is begun
            stop.set()
            raise


def drain(
    run_id: str, *, book: ports.Ledger, mailers: Mapping[str, ports.Mailer], worker: str, stop: Event, busy: set[str]
) -> Tally:
    """Send batch after batch until none may go now, the campaign itself is at fault, or `stop` is set.

    `busy`: the workers of this wave that have one under way, this one among them.
    """
    try:
        return _drained(run_id, book, mailers, worker, stop, busy)
    finally:
        busy.discard(worker)  # else those who wait for it would wait for ever


def _drained(
    run_id: str, book: ports.Ledger, mailers: Mapping[str, ports.Mailer], worker: str, stop: Event, busy: set[str]
) -> Tally:
    batches: dict[str, int] = {}
    refused: dict[str, str] = {}
    messages = 0
    stopped_by = None
    while stopped_by is None and (batch := _next(run_id, book, worker, stop, busy)) is not None:
        provider = batch.grant.route.provider
        began = time.perf_counter()
        outcome = _send(mailers[provider], batch) if book.may_send(batch) else _OVERSLEPT
        kind: str = outcome.kind
        if outcome.stop_provider and outcome.local:
            stopped_by = outcome.detail
        elif outcome.stop_provider:
            refused[provider] = outcome.detail
        try:
            book.record(batch, outcome, seconds=time.perf_counter() - began)
        except ledger.LeaseLost:
            # The sweep owns the batch now; what we know of it comes back as an event or it is held.
            kind = "lease_lost"
        except ledger.AllRefused as refusal:
            stopped_by = str(refusal)
        batches[kind] = batches.get(kind, 0) + 1
        messages += len(batch)
    return Tally(batches, messages, stopped_by, refused)


def _next(run_id: str, book: ports.Ledger, worker: str, stop: Event, busy: set[str]) -> ports.Batch | None:
    """The next batch, also where that takes a moment. With nothing under way nobody waits, and so the wave ends."""
    while not stop.is_set():
        if (batch := book.claim(run_id, worker=worker)) is not None:
            busy.add(worker)
            return batch
        busy.discard(worker)
        seconds = book.ask_again_seconds()
        if not busy or seconds is None or seconds >= _WORTH_WAITING_SECONDS:
            return None
        stop.wait(max(seconds, _SHORTEST_WAIT))
    return None


def _send(mailer: ports.Mailer, batch: ports.Batch) -> ledger.Outcome:
    """A batch that never became a request was certainly not sent, and the next one would fare no better."""
    try:
        return mailer.send(batch)
    except ports.Unsendable as error:
        return ledger.Outcome(ledger.OutcomeKind.NOT_SENT, detail=str(error), stop_provider=True, local=True)
