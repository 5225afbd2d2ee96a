"""A shop that lives: it takes orders in, mails, hears of openings, and refreshes its features, by a clock of its own."""

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from data import accounts, database, orders, tables
from data.features import refresh
from domain.orders import Customer, Deletion, Order, OrderKind, OrderLine, OrderStatus
from tests.conftest import PEPPER
from tests.data import ledger_rows

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
_names = itertools.count()


@dataclass
class Shop:
    """One account, so that examples do not meet; `now` is its clock."""

    engine: sa.Engine
    account_id: str
    now: datetime = START
    version: int = 0

    def take_in(self, *items: Order | Deletion, channel: str = "web") -> None:
        source = orders.Source(account_id=self.account_id, channel=channel, numbering=channel, pepper=PEPPER)
        with database.write(self.engine) as connection:
            orders.take_in(connection, list(items), source, now=self.now)

    def refresh(self, **how: Any) -> refresh.RefreshReport:
        return refresh.refresh(self.engine, account_id=self.account_id, as_of=self.now, now=self.now, **how)

    def people(self) -> list[int]:
        table = tables.customer_features.c
        with database.read(self.engine) as connection:
            return list(
                connection.scalars(
                    sa.select(table.party_id).where(table.account_id == self.account_id).order_by(table.party_id)
                )
            )

    def mail(self) -> str | None:
        """A campaign to every other customer, accepted now."""
        people = self.people()[::2]
        if not people:
            return None
        run_id = f"r{next(_names)}"
        batch = ledger_rows.BatchRow(0, len(people) - 1, finished_at=self.now)
        with database.write(self.engine) as connection:
            ledger_rows.add_run(connection, self.account_id, people, [batch], run_id=run_id)
        return run_id

    def hear(self, run_id: str) -> None:
        """The first of them opened it, and the ESP told so now."""
        message, event = tables.message_delivery, tables.delivery_events
        with database.write(self.engine) as connection:
            body = {"provider": "sendgrid", "body_hash": f"{run_id}{self.now}", "body": b"", "state": "done"}
            inbox = tables.webhook_inbox.insert().values(**body, received_at=self.now, processed_at=self.now, strikes=0)
            inbox_id = connection.execute(inbox.returning(tables.webhook_inbox.c.id)).scalar_one()
            heard = {"run_id": run_id, "ordinal": 0}
            connection.execute(
                event.insert().values(
                    **heard,
                    inbox_id=inbox_id,
                    position=0,
                    provider="sendgrid",
                    dedupe_key=f"{run_id}{self.now}",
                    kind="opened",
                    occurred_at=self.now,
                    machine=False,
                )
            )
            connection.execute(message.delete().where(message.c.run_id == run_id))
            connection.execute(
                message.insert().values(**heard, seen=1, severity=0, human_opened_at=self.now, clicked_at=self.now)
            )


def shop(engine: sa.Engine) -> Shop:
    account_id = f"shop{next(_names)}"
    with database.write(engine) as connection:
        accounts.ensure(connection, replace(accounts.get(connection, "shop"), id=account_id), now=START)
    return Shop(engine, account_id)


def five_customers(engine: sa.Engine) -> Shop:
    """Each ordered once, 89 days ago."""
    found = shop(engine)
    found.take_in(*(order(n, START - timedelta(days=89), customer=n) for n in range(1, 6)))
    found.refresh()
    return found


def order(number: int, placed_at: datetime, customer: int = 1, **about: Any) -> Order:
    who = Customer(f"c{customer}", about.pop("email", f"c{customer}@example.com"), country=about.pop("country", "DE"))
    values: dict[str, Any] = {
        "status": OrderStatus.PAID,
        "channel_status": "paid",
        "currency": "USD",
        "total": Decimal("30.00"),
        "refunded": Decimal(0),
        "updated_at": placed_at,
        "cancelled_at": None,
        "is_test": False,
        "lines": (OrderLine(1, "TEA", "Tea", "Tea", 2, Decimal("20.00")),),
    }
    return Order(external_id=str(number), customer=who, placed_at=placed_at, **(values | about))


_orders = st.fixed_dictionaries(
    {
        "number": st.integers(1, 12),
        "customer": st.integers(1, 4),
        "days_ago": st.sampled_from([-1, 0, 0, 1, 6, 7, 8, 29, 30, 31, 89, 90, 179, 200, 364, 365, 366, 800]),
        "total": st.decimals(0, 500, places=2),
        "refunded_share": st.sampled_from([0, 0, 1, 2]),
        "status": st.sampled_from(list(OrderStatus)),
        "kind": st.sampled_from([OrderKind.SALE, OrderKind.SALE, OrderKind.CREDIT, OrderKind.REPLACEMENT]),
        "is_test": st.sampled_from([False, False, False, True]),
        "category": st.sampled_from([None, "Tea", "Cups"]),
        "brand": st.sampled_from([None, "Own", "Other"]),
        "coupons": st.sampled_from([(), ("SPRING",)]),
        "channel": st.sampled_from(["web", "till"]),
        # One mailbox for several numbers, so that persons join and part.
        "mailbox": st.sampled_from(["own", "own", "shared"]),
        "country": st.sampled_from([None, "DE", "US"]),
    }
)
STEPS = st.one_of(
    st.tuples(st.just("orders"), st.lists(_orders, min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.integers(1, 12)),
    st.tuples(st.just("wait"), st.sampled_from([1, 24, 6 * 24, 31 * 24, 100 * 24, 366 * 24])),
    st.tuples(st.just("mail"), st.none()),
    st.tuples(st.just("refresh"), st.none()),
)


def made(shop: Shop, one: dict[str, Any]) -> Order:
    shop.version += 1
    placed_at = shop.now.replace(hour=12, minute=0) - timedelta(days=one["days_ago"])
    line = OrderLine(1, "sku", None, one["category"], 1 + one["number"] % 3, one["total"], brand=one["brand"])
    return order(
        one["number"],
        placed_at,
        one["customer"],
        email="all@example.com" if one["mailbox"] == "shared" else f"c{one['customer']}@example.com",
        country=one["country"],
        total=one["total"],
        refunded=(one["total"] * one["refunded_share"] / 2).quantize(Decimal("0.01")),
        status=one["status"],
        kind=one["kind"],
        is_test=one["is_test"],
        coupons=one["coupons"],
        lines=(line,),
        updated_at=START + timedelta(days=1000, seconds=shop.version),
    )
