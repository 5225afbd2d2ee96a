"""A run frozen by the real code over real parties: the start of every ledger test."""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from data import audience, content, database, ledger, runs, tables
from domain.campaigns import Run, RunPlan, RunStatus, Sender
from domain.failover import Needs
from domain.features import STORED, FeatureType
from domain.policy import SendingPolicy
from domain.routes import Route
from domain.suppression import Stream
from tests.conftest import LINK_KEY
from tests.data import ledger_rows

NOW = ledger_rows.NOW
POLICY = SendingPolicy(lease_seconds=60, hold_after_minutes=30, window_hours=24, cap_mails=2, cap_days=7)
HOUR = timedelta(hours=1)
_ZERO = {FeatureType.MONEY: Decimal(0), FeatureType.NUMBER: 0.0}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def plan(**facts: object) -> RunPlan:
    values: dict[str, object] = {
        "account_id": "shop",
        "campaign": "news",
        "segment": "everybody",
        "template": "new-arrivals",
        "provider": "sendgrid",
        "subject": None,
        "sender": Sender("news@shop.example.com", "The Shop"),
        "live": True,
        "limit": None,
        "holdout_percent": 0,
        "seed": 1,
    }
    return RunPlan(**{**values, **facts})  # type: ignore[arg-type]


def consenting_parties(connection: sa.Connection, count: int) -> list[int]:
    """Parties with consent and features."""
    ids = ledger_rows.add_parties(connection, "shop", count)
    connection.execute(
        tables.consents.insert(),
        [
            {
                "account_id": "shop",
                "party_id": one,
                "status": "granted",
                "basis": "consent",
                "source": "test",
                "wording": "v1",
                "occurred_at": NOW - timedelta(days=30),
                "recorded_at": NOW,
            }
            for one in ids
        ],
    )
    connection.execute(tables.customer_features.insert(), [features(one) for one in ids])
    return ids


def features(party_id: int) -> dict[str, object]:
    day = timedelta(days=1)
    nothing = {one.name: None if one.nullable else _ZERO.get(one.type, 0) for one in STORED}
    return nothing | {
        "party_id": party_id,
        "account_id": "shop",
        "orders": 2,
        "orders_90d": 1,
        "orders_180d": 1,
        "orders_365d": 2,
        "net_revenue": Decimal(20),
        "average_order_value": Decimal(10),
        "first_order_at": NOW - 200 * day,
        "last_order_at": NOW - 60 * day,
        "mean_days_between_orders": 140.0,
        "channels": "web",
        "country": "US",
    }


def freeze(
    connection: sa.Connection,
    party_ids: list[int],
    *,
    batch_size: int = 10,
    excluded: Collection[int] = (),
    **facts: object,
) -> Run:
    """A frozen run; see `plan` for the facts."""
    run = runs.create(connection, plan(**facts), flow_run_id=None, now=NOW)
    return audience.freeze(
        connection,
        run,
        party_ids,
        definition_hash="d",
        template_hash="t",
        feature_watermark=NOW,
        code_version="test",
        policy=POLICY,
        batch_size=batch_size,
        now=NOW,
        excluded=excluded,
    )


def dispatching(engine: sa.Engine, count: int, *, batch_size: int = 10) -> Run:
    """A run whose batches may be claimed."""
    with database.write(engine) as connection:
        run = freeze(connection, consenting_parties(connection, count), batch_size=batch_size)
        run = runs.advance(connection, run, RunStatus.APPROVED)
        return runs.advance(connection, run, RunStatus.DISPATCHING, dispatch_started_at=NOW, expires_at=NOW + 24 * HOUR)


def route(name: str = "sendgrid", **facts: object) -> Route:
    """A way out without limits."""
    values: dict[str, object] = {
        "account_id": "shop",
        "stream": Stream.MARKETING,
        "provider": name,
        "pool": f"{name}-marketing",
        "domain": "shop.example.com",
    }
    return Route(name=name, **(values | facts))  # type: ignore[arg-type]


def book(engine: sa.Engine, run: Run, clock: Clock, *routes: Route) -> ledger.SqlLedger:
    """The run's ledger; one way out without limits unless routes are given."""
    template = content.load(run.plan.template)
    constants = {"shop_name": "The Shop", "postal_address": "1 Street", "sender_name": "The Shop"}
    return ledger.SqlLedger(
        engine=engine,
        run=run,
        content=content.render(template, constants),
        fallbacks=dict(template.fallbacks),
        links=ledger.Links("https://shop.example.com", LINK_KEY),
        policy=POLICY,
        clock=clock,
        routes=routes or (route(),),
        needs=Needs("shop", Stream.MARKETING),
    )
