"""An installation whose transactional lane works: a store, a sandbox ESP on loopback, orders, and a dispatcher at hand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

import settings
from data import database, tables, transactional
from data.transactional import AskedBy, Wanted
from domain import addresses
from domain.transactional import Timing, Urgency, new_id
from tasks import wiring
from tasks.dispatcher import Dispatcher
from tests.conftest import LINK_KEY, PEPPER
from tests.providers.sandbox.conftest import KEY, Esp


def environment(esp: Esp, url: str) -> dict[str, str]:
    """What such an installation is set up by."""
    return {
        "OMS_ACCOUNT": "shop",
        "OMS_DATABASE_URL": url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SANDBOX_PORT": esp.url.rpartition(":")[2],
        "OMS_SANDBOX_API_KEY": KEY,
        "OMS_GATEWAY_APPLY_EVENTS": "false",
        "OMS_MESSAGES_WORKERS": "4",
    }


@dataclass
class LaneShop:
    """The account `shop`, whose customer 1 is johanna@delivered.test."""

    engine: sa.Engine
    esp: Esp

    def order(self, number: str = "1001", email: str | None = "johanna@delivered.test", **facts: Any) -> int:
        """An order of two lines; its id."""
        now = wiring.clock()
        with database.write(self.engine) as connection:
            party = connection.execute(
                tables.parties.insert()
                .values(
                    account_id="shop",
                    external_id=f"c{number}",
                    email=email,
                    address_hash=addresses.address_hash(email, PEPPER) if email else None,
                    mailbox_provider="other" if email else None,
                    first_name="Johanna",
                    last_name="Lindqvist",
                    locale=facts.pop("locale", None),
                    created_at=now,
                    updated_at=now,
                )
                .returning(tables.parties.c.id)
            ).scalar_one()
            values = {
                "account_id": "shop",
                "channel": "csv",
                "external_id": number,
                "party_id": party,
                "status": "placed",
                "channel_status": "placed",
                "currency": "EUR",
                "total": Decimal("44.90"),
                "shipping": Decimal("4.90"),
                "refunded": Decimal(0),
                "placed_at": now,
                "updated_at": now,
                "is_test": False,
                "content_hash": "x",
                "number": f"#{number}",
            }
            order = tables.orders.insert().values(**values | facts).returning(tables.orders.c.id)
            order_id = int(connection.execute(order).scalar_one())
            lines = [("Harbour Lights", 1, "27.90"), ("Record brush", 2, "12.10")]
            connection.execute(
                tables.order_lines.insert(),
                [
                    {
                        "order_id": order_id,
                        "line_no": no,
                        "sku": "x",
                        "title": title,
                        "quantity": n,
                        "total": Decimal(sum_),
                    }
                    for no, (title, n, sum_) in enumerate(lines)
                ],
            )
        return order_id

    def ask(self, **facts: Any) -> str:
        """A password reset to customer 1, or what is said instead; its id."""
        email = facts.pop("email", "johanna@delivered.test")
        timing = Timing(facts.pop("urgency", Urgency.SECURITY), facts.pop("useful", timedelta(minutes=30)))
        values: dict[str, Any] = {
            "id": new_id(),
            "account_id": "shop",
            "template": "password-reset",
            "timing": timing,
            "asked_by": AskedBy.API,
            "variables": {"first_name": "Johanna", "reset_url": "https://shop.test/reset/s3cret", "valid_minutes": 30},
        }
        if email is not None:
            values |= {"email": email, "address_hash": addresses.address_hash(email, PEPPER), "mailbox_group": "other"}
        wanted = Wanted(**values | facts)
        with database.write(self.engine) as connection:
            transactional.ask(connection, [wanted], now=wiring.clock())
        return wanted.id

    def ask_for_order(self, order_id: int, template: str = "order-confirmation", **facts: Any) -> str:
        """A mail about an order."""
        asked = {
            "asked_by": AskedBy.ORDER,
            "order_id": order_id,
            "template": template,
            "email": None,
            "variables": None,
        }
        return self.ask(**asked | {"urgency": Urgency.CONFIRMATION} | facts)

    def row(self, message_id: str) -> Any:
        with database.read(self.engine) as connection:
            return transactional.get(connection, message_id)

    def state(self, message_id: str) -> str:
        return str(self.row(message_id).state)

    def attempts(self, message_id: str) -> list[Any]:
        table = tables.transactional_attempts
        with database.read(self.engine) as connection:
            query = sa.select(table).where(table.c.message_id == message_id).order_by(table.c.number)
            return list(connection.execute(query))

    def mailed(self, message_id: str) -> int:
        """How often the ESP took it."""
        found = self.esp.client.get("/sandbox/accepted", params={"run": message_id}).json()
        return int(sum(found.values()))


@contextmanager
def dispatcher() -> Iterator[Dispatcher]:
    """One that does nothing of its own accord."""
    one = Dispatcher()
    try:
        yield one
    finally:
        one.ways.close()


def dispatch(rounds: int = 50) -> None:
    """Hand over what is due now, in this thread."""
    with dispatcher() as one:
        for _ in range(rounds):
            if not one.one("test"):
                break


def running() -> tuple[Dispatcher, threading.Thread]:
    """A dispatcher at work; set its `stop` and join the thread."""
    one = Dispatcher()
    thread = threading.Thread(target=one.run)
    thread.start()
    return one, thread


def reset() -> None:
    """Settings are read anew."""
    settings.load.cache_clear()
