"""The demo's second source: a web shop pushes orders through the gateway, twice and out of order."""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import yaml

import settings
from cli import services
from cli.output import Mistake
from tasks import prefect_api

_CHANNEL = "shopify"
_CUSTOMERS = 60
_PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of it. `joined`: how many of the orders belong to customers who are known from the file."""

    deliveries: int
    expected: int
    orders: int
    sent: int
    joined: int
    letters: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Each order once, in its last state, one customer a mailbox, and the bad one kept."""
        return self.orders == self.sent == self.joined == self.expected and len(self.letters) == 1


def declare(home: Path) -> Path:
    """Write a channels.yaml of the demo's own; return where it is."""
    connection = {"account": "demo", "channel": _CHANNEL, "webhook_secrets": [services.new_secret()]}
    file = home / "channels.yaml"
    file.write_text(yaml.safe_dump({"connections": [connection]}))
    return file


def push(connected: prefect_api.Client) -> Pushed:
    """Post all deliveries as Shopify does, have them drained by the flow, and look at what is in the store."""
    from data.samples import shopify
    from tasks import wiring

    config = settings.load()
    (connection,) = wiring.connections().connections
    secret = connection.webhook_secrets[0].get_secret_value().encode()
    found = list(shopify.deliveries(_CUSTOMERS, as_of=wiring.clock()))
    with httpx.Client(base_url=config.gateway.public_url, timeout=30, trust_env=False) as client:
        for number, one in enumerate(found):
            body = orjson.dumps(one.order)
            headers = {
                "X-Shopify-Topic": one.topic,
                "X-Shopify-Triggered-At": one.triggered_at.isoformat(),
                "X-Shopify-Webhook-Id": str(number),
                "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode(),
            }
            client.post(f"/orders/{_CHANNEL}/{config.account}", content=body, headers=headers).raise_for_status()
    started = prefect_api.start(connected, "ingest-orders", {"linger_seconds": 0})
    prefect_api.wait(connected, started.id, seconds=_PATIENCE_SECONDS)
    _drained()
    return _looked(len(found))


def _drained() -> None:
    """Until nothing waits: where a scheduled run of the flow is at work already, ours is called off."""
    from data import database
    from data.intake import records
    from tasks import wiring

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with database.read(wiring.engine()) as connection:
            if records.backlog(connection, settings.load().account, _CHANNEL) == 0:
                return
        time.sleep(0.5)
    raise Mistake(f"the pushed orders still wait after {_PATIENCE_SECONDS} seconds; logs in var/demo/log")


def _looked(deliveries: int) -> Pushed:
    import sqlalchemy as sa

    from data import database, dead_letters, tables
    from tasks import wiring

    order, party = tables.orders.c, tables.parties.c
    query = (
        sa.select(
            sa.func.count().label("orders"),
            sa.func.sum(sa.case((order.status == "shipped", 1), else_=0)).label("sent"),
            sa.func.sum(sa.case((party.person_id.is_not(None), 1), else_=0)).label("joined"),
        )
        .join_from(tables.orders, tables.parties, party.id == order.party_id)
        .where(order.channel == _CHANNEL)
    )
    with database.read(wiring.engine()) as connection:
        row = connection.execute(query).one()
        letters = dead_letters.listing(connection, settings.load().account, now=wiring.clock(), source=_CHANNEL)
    return Pushed(
        deliveries, _CUSTOMERS, row.orders, row.sent or 0, row.joined or 0, tuple(one.row.reason for one in letters)
    )
