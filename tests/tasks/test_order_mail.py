"""From a channel's push to the mail at the ESP: the flow takes the order in, the file asks, the dispatcher hands over."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, tables
from data.intake import drain
from data.message_rules import UnusableMessages
from tasks import intake, wiring
from tests.data.intake import raw, state
from tests.providers.sandbox.conftest import Esp, esp, start
from tests.tasks import lane
from tests.tasks.lane import LaneShop

__all__ = ["esp", "start"]
FILE = "accounts: {shop: {since: 2026-01-01, messages: {placed: order-confirmation, shipped: shipped}}}"


@pytest.fixture
def shop(
    engine: sa.Engine, account_id: str, database_url: str, esp: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[LaneShop]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "messages.yaml").write_text(FILE, "utf-8")
    for name, value in lane.environment(esp, database_url).items():
        monkeypatch.setenv(name, value)
    lane.reset()
    yield LaneShop(engine, esp)
    lane.reset()


def pushed(shop: LaneShop, *, shipped: bool = False) -> None:
    """The order 1001, placed five minutes ago, as Shopify tells of it."""
    placed = wiring.clock() - timedelta(minutes=5)
    parcel = {"id": 7, "status": "success", "created_at": wiring.clock().isoformat(), "tracking_number": "T7"}
    body: dict[str, Any] = raw.shopify(
        created_at=placed.isoformat(),
        processed_at=placed.isoformat(),
        updated_at=(wiring.clock() if shipped else placed).isoformat(),
        fulfillments=[parcel] if shipped else [],
        email="johanna@delivered.test",
        customer=None,
    )
    state.keep(shop.engine, "shopify", body, received_at=wiring.clock())


def messages(shop: LaneShop) -> dict[str, str]:
    """The id of each step's message."""
    table = tables.transactional_messages
    with database.read(shop.engine) as connection:
        return {row.step: row.id for row in connection.execute(sa.select(table.c.step, table.c.id))}


def test_an_order_that_is_pushed_again_and_again_is_confirmed_once(shop: LaneShop) -> None:
    for again in range(3):
        pushed(shop, shipped=again > 0)
        drain.drain(wiring.order_intake())
        lane.dispatch()
    asked = messages(shop)
    assert asked.keys() == {"placed", "shipped"}
    assert [(shop.state(one), shop.mailed(one)) for one in asked.values()] == [("accepted", 1)] * 2


def test_orders_wait_while_the_file_is_wrong_and_the_flow_says_why(
    shop: LaneShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "messages.yaml").write_text(FILE.replace("placed", "plaeced"), "utf-8")
    pushed(shop)
    with pytest.raises(UnusableMessages, match=r"messages.yaml, line 1: accounts.shop.messages.plaeced is no key"):
        intake.drain_queue.fn(0)
    assert messages(shop) == {}
    (tmp_path / "messages.yaml").write_text(FILE, "utf-8")
    drain.drain(wiring.order_intake())
    lane.dispatch()
    assert shop.mailed(messages(shop)["placed"]) == 1
