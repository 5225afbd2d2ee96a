"""A whole dispatch, from the frozen audience to the last acceptance, beside its floors and the obvious way.

`python -m benchmarks.dispatch [--recipients 10000] [--database sqlite|postgresql] [--null-esp] [--latency-ms 0]
[--workers 1]`. CPU seconds of all workers; the ESP runs beside it in its own, and so does PostgreSQL.
Only the ratios of one run mean something. Plain HTTP, which flatters the SDK: over TLS it would also open a TLS
connection for each recipient. What the ESP took is counted by the ESP: nobody twice, nobody missing, or it fails.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import sendgrid
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table
from sendgrid.helpers import mail

from benchmarks import esp, measure, sendgrid_payload, shop, workers
from benchmarks.measure import Cost, Memory
from data import content, database, ledger_sweep
from domain import ports
from domain.campaigns import Run
from providers import http
from providers.sendgrid import mailer as sendgrid_mailer
from providers.sendgrid import payload
from providers.sendgrid.config import SendGridConfig

SAMPLE = 300  # recipients that the obvious way is measured on
BODIES = 10  # different requests that the floors repeat
FLOOR = "floor: a dict for each, orjson, post"
SUPPRESSIONS = 20_000  # of strangers; they make the look-ups as deep as in a real shop


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    cost: Cost
    recipients: int


def prepared(engine: sa.Engine, recipients: int) -> tuple[Row, Run, Run]:
    """The cost of the freeze, the run to dispatch, and its twin from which the floors take their requests."""
    now = datetime.now(UTC)
    people = shop.fill(engine, recipients, now)
    shop.suppress(engine, range(recipients + 1, recipients + SUPPRESSIONS + 1), now)
    cost, run = measure.measured(lambda: shop.freeze(engine, people, now))
    twin = shop.freeze(engine, people[: BODIES * shop.POLICY.batch_size], now)
    return (
        Row("freeze", cost, recipients),
        shop.open_for_claims(engine, run, now),
        shop.open_for_claims(engine, twin, now),
    )


def dispatched(engine: sa.Engine, run: Run, url: str, kind: str, count: int) -> tuple[Row, Memory]:
    """By one worker or by several that share the run, each in a process of its own.

    Raises RuntimeError where anybody was mailed not at all or twice.
    """
    cost, memory = workers.together(workers.shared(engine, run, url, count))
    planned = run.planned or 0
    with database.read(engine) as connection:
        states = ledger_sweep.progress(connection, run.id).states
    accepted = esp.accepted(kind, url, run.id)
    if states != {"accepted": planned} or accepted != {1: planned}:
        raise RuntimeError(f"the dispatch did not end as it should: {states}; times accepted by the ESP: {accepted}")
    return Row("dispatch, with the ledger" + (f", {count} workers" if count > 1 else ""), cost, planned), memory


def claimed(engine: sa.Engine, twin: Run) -> list[ports.Batch]:
    """Batches as the ledger makes them, which nobody sent."""
    book = shop.book(engine, twin)
    batches = []
    while (batch := book.claim(twin.id, worker="w")) is not None:
        batches.append(batch)
    return batches


def floors(batches: Sequence[ports.Batch], config: SendGridConfig, recipients: int) -> list[Row]:
    """As many requests as the dispatch made, without a ledger: bodies by our code, by plain dicts, and ready ones."""
    count = -(-recipients // shop.POLICY.batch_size)
    bodies = [payload.build(batch, config) for batch in batches]
    plain = [sendgrid_payload.dicts(orjson.loads(body)) for body in bodies]
    mailer = sendgrid_mailer.open_mailer(config)
    client = http.open_client(
        config.base_url, esp.KEY, connect=5, read=30, write=30, pool=30, connections=config.concurrency
    )

    def send(number: int) -> None:
        if (outcome := mailer.send(batches[number % len(batches)])).status not in {200, 202}:
            raise RuntimeError(outcome.detail)

    def post(body: bytes) -> None:
        client.post(sendgrid_mailer.PATH, content=body, headers={"Content-Type": "application/json"}).raise_for_status()

    def spread(work: Callable[[int], None]) -> Cost:
        with ThreadPoolExecutor(config.concurrency) as pool:
            return measure.measured(lambda: list(pool.map(work, range(count))))[0]

    with closing(mailer), closing(client):
        return [
            Row("no ledger: build and post", spread(send), recipients),
            Row(FLOOR, spread(lambda number: post(plain[number % len(plain)]())), recipients),
            Row("post ready bodies", spread(lambda number: post(bodies[number % len(bodies)])), recipients),
        ]


def obvious(batch: ports.Batch, url: str, recipients: int) -> Row:
    """A loop over recipients with the official SDK, each mail filled in beforehand; scaled from a sample."""
    api = sendgrid.SendGridAPIClient(api_key=esp.KEY)
    api.client.host = url
    sample = min(SAMPLE, len(batch))

    def work() -> None:
        for number in range(sample):
            values = {name: column[number] for name, column in batch.variables.items()}
            filled = content.filled(batch.content, {**values, "unsubscribe_url": batch.unsubscribe_urls[number]})
            api.send(
                mail.Mail(
                    from_email=batch.sender.email,
                    to_emails=batch.addresses[number],
                    subject=filled["subject"],
                    plain_text_content=filled["text"],
                    html_content=filled["html"],
                )
            )

    cost, _ = measure.measured(work)
    return Row("official SDK, one a request", cost.times(recipients / sample), recipients)


def show(rows: Sequence[Row], memory: Memory, *, title: str) -> None:
    floor = next(row.cost.cpu for row in rows if row.name == FLOOR)
    table = Table("work", "seconds", "a second", "CPU s", "CPU s a million", "to floor", title=title)
    for row in rows:
        table.add_row(
            row.name,
            f"{row.cost.wall:.2f}",
            f"{row.recipients / row.cost.wall:,.0f}",
            f"{row.cost.cpu:.2f}",
            f"{row.cost.cpu / row.recipients * 1e6:.1f}",
            f"{row.cost.cpu / floor:.1f} x",
        )
    console = Console()
    console.print(table)
    console.print(f"The SDK's figures are scaled from {SAMPLE} recipients.")
    console.print(
        f"Memory of a worker: {memory.before:.0f} MiB before, {memory.highest:.0f} MiB at most,"
        f" and up to {memory.files:.0f} MiB of mapped files."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=10_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--null-esp", action="store_true", help="an ESP that accepts all and checks nothing")
    parser.add_argument("--latency-ms", type=int, default=0, help="how long the ESP takes to answer")
    parser.add_argument("--workers", type=int, default=1, help="so many processes share the run")
    options = parser.parse_args()
    kind = "null" if options.null_esp else "sandbox"
    with (
        tempfile.TemporaryDirectory(prefix="oms-benchmark-") as folder,
        esp.running(kind, Path(folder), options.latency_ms) as url,
        shop.store(options.database) as engine,
    ):
        config = workers.config(url)
        frozen, run, twin = prepared(engine, options.recipients)
        sent, memory = dispatched(engine, run, url, kind, options.workers)
        batches = claimed(engine, twin)
        rows = [
            frozen,
            sent,
            *floors(batches, config, options.recipients),
            obvious(batches[0], url, options.recipients),
        ]
    beside = f"{kind} ESP beside, {options.latency_ms} ms an answer"
    show(rows, memory, title=f"{options.recipients:,} recipients, {options.database}, {beside}")


if __name__ == "__main__":
    main()
