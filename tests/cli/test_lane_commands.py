"""`campaigns messages`: what support and operators are told, over a real store."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, dispatchers, tables
from domain import addresses
from tasks import wiring
from tests.cli.conftest import Campaigns
from tests.conftest import PEPPER
from tests.gateway.test_order_pages import add_message, add_order

EMAIL = "johanna@delivered.test"


@pytest.fixture
def order_id(shop: sa.Engine) -> int:
    order = add_order(shop)
    table = tables.parties
    with database.write(shop) as connection:
        connection.execute(table.update().values(address_hash=addresses.address_hash(EMAIL, PEPPER)))
    return order


def _add(shop: sa.Engine, order: int, message: str = "tone", **facts: object) -> None:
    """A message that was asked for a moment ago."""
    now = wiring.clock()
    times = {"asked_at": now, "not_before": now, "expires_at": now + timedelta(hours=6)}
    add_message(shop, message, order, **times | facts)  # type: ignore[arg-type]


def _read_by(shop: sa.Engine) -> list[tuple[str, str]]:
    log = tables.audit_log.c
    with database.read(shop) as connection:
        return [(row.action, row.subject) for row in connection.execute(sa.select(log.action, log.subject))]


def test_an_order_s_messages_and_who_looked(shop: sa.Engine, order_id: int, campaigns: Campaigns) -> None:
    _add(shop, order_id)
    told = campaigns("messages", "show", "--order", "1001")
    assert told.status == 0
    assert (
        "order-confirmation (confirmation), about order #1001 to j***@d***.test: waits: no dispatcher is at work"
        in told.out
    )
    assert "/support/shop/1001" in told.out
    assert "s3cret" not in told.out + campaigns("messages", "show", "tone", "--json").out
    assert _read_by(shop) == [("read", f"order:{order_id}"), ("read", "message:tone")]


def test_by_address_which_is_nowhere_kept(shop: sa.Engine, order_id: int, campaigns: Campaigns) -> None:
    _add(shop, order_id)
    (found,) = campaigns("messages", "show", "--email", EMAIL, "--json").json["messages"]
    assert (found["id"], found["to"], found["state"]) == ("tone", "j***@d***.test", "planned")
    assert "No transactional message" in campaigns("messages", "show", "--email", "olga@delivered.test").out
    with database.read(shop) as connection:
        logged = repr(connection.execute(sa.select(tables.audit_log)).all())
    assert "@" not in logged
    assert "message's id, --order NUMBER, or" in campaigns("messages", "show").mistake


def test_an_order_without_a_message_says_why(shop: sa.Engine, order_id: int, campaigns: Campaigns) -> None:
    with database.write(shop) as connection:
        connection.execute(tables.orders.update().values(notify=False))
    assert "mails its customers itself" in campaigns("messages", "show", "--order", "1001").out
    assert campaigns("messages", "show", "--order", "77").mistake.startswith(
        "account 'shop' has no order '77': write its"
    )


def test_once_more(shop: sa.Engine, order_id: int, campaigns: Campaigns) -> None:
    _add(shop, order_id)
    assert "still planned" in campaigns("messages", "resend", "tone", "--why", "x").mistake
    with database.write(shop) as connection:
        table = tables.transactional_messages
        connection.execute(table.update().values(state="expired", finished_at=wiring.clock()))
    assert "--why must say something" in campaigns("messages", "resend", "tone", "--why", " ").mistake
    new = campaigns("messages", "resend", "tone", "--why", "she asked", "--json").json["message"]
    (first, second) = campaigns("messages", "show", "--order", "1001", "--json").json["messages"]
    assert (first["again"], second["id"], second["again_of"]) == ([new], new, "tone")
    assert "no message 'tnone'" in campaigns("messages", "resend", "tnone", "--why", "x").mistake


def test_health_is_bad_news_while_an_alarm_stands(shop: sa.Engine, order_id: int, campaigns: Campaigns) -> None:
    told = campaigns("messages", "health")
    assert (told.status, told.lines[-1]) == (0, "No alarm.")
    _add(shop, order_id)
    told = campaigns("messages", "health")
    assert told.status == 1
    assert "ALARM: No dispatcher is at work" in told.out
    with database.write(shop) as connection:
        dispatchers.note(connection, "d1", started_at=wiring.clock(), now=wiring.clock())
    found = campaigns("messages", "health", "--json", "--hours", 2).json
    assert (found["alarms"], found["dispatchers"]) == ([], ["d1"])
    assert found["classes"][1]["backlog"]["open"] == 1


def test_what_did_not_go_by_reason(shop: sa.Engine, order_id: int, campaigns: Campaigns) -> None:
    assert "Every message of the last 7 days" in campaigns("messages", "failed").out
    for message in ("tone", "ttwo"):
        _add(shop, order_id, message, state="suppressed", why="hard_bounce", finished_at=wiring.clock())
    (row,) = campaigns("messages", "failed", "--json").json["failed"]
    assert (row["count"], row["why"], row["state"]) == (2, "hard_bounce", "suppressed")
    assert "hard_bounce" in campaigns("messages", "failed").out


def test_the_audit_is_bad_news_where_it_does_not_balance(shop: sa.Engine, order_id: int, campaigns: Campaigns) -> None:
    _add(shop, order_id)
    told = campaigns("messages", "audit")
    assert (told.status, told.lines[-1]) == (0, "It balances.")
    with database.write(shop) as connection:
        table = tables.transactional_messages
        connection.execute(table.update().values(state="accepted", finished_at=wiring.clock(), variables=sa.null()))
    told = campaigns("messages", "audit", "--json")
    assert told.status == 1
    assert any("(I2)" in one for one in told.json["complaints"])
