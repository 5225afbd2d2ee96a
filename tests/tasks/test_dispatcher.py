"""The dispatcher over a real store and a real sandbox ESP: claimed once, sent once, recorded, and nothing secret kept."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, suppressions, tables, transactional_history, transactional_mail
from data.transactional_lane import Over
from domain import addresses
from domain.suppression import Reason
from domain.transactional import Urgency
from tasks import wiring
from tests.conftest import PEPPER
from tests.providers.sandbox.conftest import Esp, esp, start
from tests.tasks import lane
from tests.tasks.lane import LaneShop

__all__ = ["esp", "start"]


@pytest.fixture
def shop(
    engine: sa.Engine, account_id: str, database_url: str, esp: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> Iterator[LaneShop]:
    monkeypatch.chdir(tmp_path)
    for name, value in lane.environment(esp, database_url).items():
        monkeypatch.setenv(name, value)
    lane.reset()
    yield LaneShop(engine, esp)
    lane.reset()


def test_a_message_is_sent_once_and_forgets_its_secrets(shop: LaneShop) -> None:
    message = shop.ask()
    lane.dispatch()
    row = shop.row(message)
    assert (row.state, row.attempts, row.variables, row.email) == ("accepted", 1, None, None)
    assert row.accepted_at is not None
    assert shop.mailed(message) == 1
    lane.dispatch()
    assert shop.mailed(message) == 1


def test_a_mail_about_an_order(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    lane.dispatch()
    assert (shop.state(message), shop.mailed(message)) == ("accepted", 1)


def _suppress(engine: sa.Engine, reason: Reason, email: str = "johanna@delivered.test") -> None:
    with database.write(engine) as connection:
        suppressions.add(
            connection,
            account_id="shop",
            address_hash=addresses.address_hash(email, PEPPER),
            reason=reason,
            source="test",
            evidence="test",
            now=wiring.clock() - timedelta(seconds=1),
        )


@pytest.mark.parametrize("reason", [Reason.HARD_BOUNCE, Reason.COMPLAINT, Reason.ERASED, Reason.INVALID])
def test_who_may_get_no_mail_gets_none(engine: sa.Engine, shop: LaneShop, reason: Reason) -> None:
    message = shop.ask()
    _suppress(engine, reason)
    lane.dispatch()
    row = shop.row(message)
    assert (row.state, row.why, row.variables, shop.mailed(message)) == ("suppressed", reason, None, 0)


def test_who_unsubscribed_gets_her_receipt(engine: sa.Engine, shop: LaneShop) -> None:
    message = shop.ask()
    _suppress(engine, Reason.UNSUBSCRIBE)
    lane.dispatch()
    assert shop.mailed(message) == 1


def test_what_outlived_its_use_is_not_sent(shop: LaneShop, monkeypatch: pytest.MonkeyPatch) -> None:
    message = shop.ask(useful=timedelta(minutes=10))
    later = wiring.clock() + timedelta(minutes=10)
    monkeypatch.setattr(wiring, "clock", lambda: later)
    lane.dispatch()
    assert (shop.state(message), shop.mailed(message)) == ("expired", 0)


def test_the_urgent_goes_first(shop: LaneShop) -> None:
    late = [shop.ask(urgency=urgency) for urgency in reversed(Urgency)]
    went: list[str] = []
    with lane.dispatcher() as dispatcher:
        for _ in late:
            dispatcher.one("w")
            went += [one for one in late if one not in went and shop.state(one) == "accepted"]
    assert went == list(reversed(late))


def test_what_was_not_taken_is_tried_again(shop: LaneShop) -> None:
    shop.esp.client.put("/sandbox/faults", json={"rate_429": 1.0}).raise_for_status()
    message = shop.ask()
    lane.dispatch(rounds=1)
    assert shop.state(message) == "planned"
    assert shop.row(message).variables is not None
    shop.esp.client.put("/sandbox/faults", json={"rate_429": 0.0}).raise_for_status()


def test_a_process_works_until_it_is_told_to_end(shop: LaneShop) -> None:
    one, thread = lane.running()
    messages = [shop.ask() for _ in range(20)]
    try:
        for _ in range(600):
            if all(shop.state(one) == "accepted" for one in messages):
                break
            one.stop.wait(0.05)
    finally:
        one.stop.set()
        thread.join(20)
    assert [shop.mailed(one) for one in messages] == [1] * 20


def _change(engine: sa.Engine, message: str, **values: object) -> None:
    table = tables.transactional_messages
    with database.write(engine) as connection:
        connection.execute(table.update().where(table.c.id == message).values(**values))


def test_what_may_have_gone_is_held_whatever_stops_it_then(engine: sa.Engine, shop: LaneShop) -> None:
    message = shop.ask()
    _change(engine, message, resent=True, attempts=1)
    _suppress(engine, Reason.COMPLAINT)
    lane.dispatch()
    row = shop.row(message)
    assert (row.state, row.why, row.variables) == ("held", "complaint", None)


@pytest.mark.parametrize("facts", [{"status": "cancelled"}, {"deleted_at": wiring.clock()}])
def test_an_order_that_is_off_by_now_is_not_confirmed(shop: LaneShop, facts: dict[str, object]) -> None:
    order = shop.order(**facts)
    confirmation, farewell = shop.ask_for_order(order, step="placed"), shop.ask_for_order(order, step="cancelled")
    lane.dispatch()
    assert (shop.state(confirmation), shop.mailed(confirmation)) == ("cancelled", 0)
    assert shop.mailed(farewell) == 1


def test_a_template_that_is_broken_is_waited_for(
    shop: LaneShop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = tmp_path / "own" / "password-reset" / "template.toml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("title = half a fi")
    monkeypatch.setenv("OMS_CONTENT_TEMPLATES", str(tmp_path / "own"))
    lane.reset()
    message = shop.ask()
    lane.dispatch()
    row = shop.row(message)
    assert (row.state, row.attempts, row.variables is None) == ("planned", 0, False)
    manifest.unlink()
    later = wiring.clock() + timedelta(minutes=1)
    monkeypatch.setattr(wiring, "clock", lambda: later)
    lane.dispatch()
    assert shop.mailed(message) == 1


def test_a_message_that_somebody_else_tried_meanwhile_is_not_claimed(engine: sa.Engine, shop: LaneShop) -> None:
    message = shop.ask()
    seen = shop.row(message)
    with lane.dispatcher() as dispatcher:
        ways = dispatcher.ways.lane("shop")
        with database.read(engine) as connection:
            letter = transactional_mail.write(connection, seen, ways.account, None)
        for facts in ({"attempts": 1}, {"attempts": 0, "not_before": wiring.clock() + timedelta(minutes=1)}):
            _change(engine, message, **facts)
            assert isinstance(ways.claim(seen, letter, worker="late"), Over)
    assert shop.attempts(message) == []


def test_support_sees_the_mailbox_that_was_mailed(engine: sa.Engine, shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    lane.dispatch()
    with database.write(engine) as connection:
        connection.execute(tables.parties.update().values(email="emma@delivered.test", address_hash="another"))
    with database.read(engine) as connection:
        found = transactional_history.of_message(connection, message)
        assert found.to is not None
        assert found.to.startswith("j")
        assert transactional_history.of_address(connection, "shop", "another") == []
