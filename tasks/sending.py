"""Handing a run's batches over, without Prefect: what the dispatch task does, and the kill matrix kills."""

import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace

from data import outlook
from data.lanes import Stall
from data.ledger import SqlLedger
from domain import dispatch
from domain.esp_templates import TemplateStoreError, kept_name
from tasks import esps, pinning, wiring


class ContentChanged(RuntimeError):
    """What would be sent is not what was approved."""


def prepared(run_id: str) -> SqlLedger:
    """The ledger of a run whose content is still what was approved. Raises ContentChanged."""
    book = wiring.book(run_id)
    if book.content.hash != book.run.template_hash:
        raise ContentChanged(
            f"The template of run {run_id} reads differently from what was approved; nothing more was sent. Put the"
            " approved template back and resume the run, or start a new one."
        )
    if kept_name(book.run.plan.template) is not None:
        # Where that cannot be seen now, each batch waits for an answer (PinnedMailer), as it would for the ESP itself.
        with suppress(TemplateStoreError):
            if (why := pinning.changed(book.run)) is not None:
                raise ContentChanged(f"{why}.")
    return book


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What each worker did, whom they could go through, and why nothing more can go now, if so."""

    tallies: list[dispatch.Tally]
    providers: set[str]
    stalled: Stall | None


def hand_over(book: SqlLedger, watch: Callable[[list[Future[dispatch.Tally]]], None]) -> HandedOver:
    """Send every batch that can be claimed now of a run that is dispatching. `watch` is called while threads work."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    with ExitStack() as stack:
        mailers = {
            name: stack.enter_context(closing(pinning.watched(book.run, esps.mailer(name))))
            for name in sorted(book.traffic.providers)
        }
        seen = outlook.reader(book.engine, book.run, book.routes, wiring.clock())
        limits = {name: one.capabilities.batch_size for name, one in mailers.items()}
        ways = [replace(route, batch_size=limits.get(route.provider)) for route in book.routes]
        book = replace(_with_schedulers(book, stack), outlook=seen, routes=ways)
        workers = stack.enter_context(dispatch.wave(book.run.id, book=book, mailers=mailers, worker=worker))
        watch(workers)
    return HandedOver([future.result() for future in workers], book.traffic.providers, book.traffic.stalled)


def _with_schedulers(book: SqlLedger, stack: ExitStack) -> SqlLedger:
    """Of a two-phase run, with who names each provider's scheduled batches. Raises CannotStart where one cannot."""
    if not book.run.plan.two_phase:
        return book
    schedulers = {}
    for provider in sorted(book.traffic.providers):
        if (scheduler := esps.reach(provider).scheduler()) is None:
            raise wiring.CannotStart(
                f"{provider} cannot call mail back: start the run without that, or by another ESP."
            )
        schedulers[provider] = stack.enter_context(closing(scheduler))
    return replace(book, schedulers=schedulers)
