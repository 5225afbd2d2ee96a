"""What support reads of a message, and sending it once more, over a real store and a real sandbox ESP."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from data import database, order_lookup, order_silence, tables, transactional_again, transactional_history
from data.transactional_again import CannotResend
from domain import addresses, message_history
from domain.message_history import MessageHistory
from domain.suppression import Reason
from tasks import wiring
from tests.conftest import PEPPER
from tests.tasks import lane
from tests.tasks.lane import LaneShop
from tests.tasks.lane_shop import change, delivered, esp, lose_answer, shop, start, suppress

__all__ = ["esp", "shop", "start"]
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
RULES = """
accounts:
  shop:
    since: 2026-11-01
    channels:
      csv: {shipped: shipped, not_while: [pending]}
"""
SAY = message_history.in_zone(ZoneInfo("Europe/Berlin"))


def _one(shop: LaneShop, message_id: str) -> MessageHistory:
    with database.read(shop.engine) as connection:
        return transactional_history.of_message(connection, message_id)


def _sentence(shop: LaneShop, message_id: str, **known: Any) -> str:
    return message_history.sentence(_one(shop, message_id), SAY, **known)


def _again(shop: LaneShop, message_id: str, *, although_delivered: bool = False) -> str:
    with database.write(shop.engine) as connection:
        return transactional_again.once_more(
            connection,
            message_id,
            actor="ana",
            why="she asked for it",
            although_delivered=although_delivered,
            now=wiring.clock(),
        )


def test_what_was_accepted_and_delivered_is_told_in_the_shop_s_zone(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    lane.dispatch()
    at = shop.row(message).accepted_at
    assert "told nothing of it yet" in _sentence(shop, message)
    delivered(shop.engine, message, at)
    local = at.astimezone(ZoneInfo("Europe/Berlin"))
    assert _sentence(shop, message) == f"accepted by sandbox at {SAY(at)}, delivered {local:%H:%M:%S}"
    assert f"{local:%H:%M:%S %Z}" in SAY(at)
    told = [what for _, what in message_history.story(_one(shop, message))]
    assert told[0].startswith("asked for by the order")
    assert told[1:] == ["try 1 by sandbox-transactional: accepted by sandbox (HTTP 202)", "delivered"]


def test_why_it_was_not_sent_and_what_to_do(shop: LaneShop) -> None:
    suppress(shop.engine, Reason.HARD_BOUNCE)
    message = shop.ask_for_order(shop.order())
    lane.dispatch()
    assert shop.state(message) == "suppressed"
    told = _sentence(shop, message)
    assert told.startswith("not sent: the address hard-bounced on ")
    assert told.endswith("Ask the customer for another one.")


def test_an_order_without_an_address(shop: LaneShop) -> None:
    order = shop.order(email=None)
    message = shop.ask_for_order(order)
    lane.dispatch()
    assert "no address" in _sentence(shop, message)


def test_what_waits_says_why(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    assert _sentence(shop, message).startswith("waits for its turn since ")
    assert _sentence(shop, message, stuck="no dispatcher").startswith("waits: no dispatcher; it is of use until")


def test_nothing_that_is_told_holds_an_address_or_a_value(shop: LaneShop) -> None:
    message = shop.ask()
    found = _one(shop, message)
    assert found.to == "j***@d***.test"
    text = repr(found) + repr(message_history.story(found))
    assert "johanna" not in text
    assert "s3cret" not in text


def test_orders_are_found_by_number_and_id_and_never_guessed(shop: LaneShop) -> None:
    order = shop.order("1001")
    message = shop.ask_for_order(order)
    other = shop.order("2002", channel="shopify", external_id="1001")
    with database.read(shop.engine) as connection:
        with pytest.raises(order_lookup.UnknownOrder, match="write which of csv/1001, shopify/1001"):
            order_lookup.find(connection, "shop", "1001")
        for asked in ("1001", "#1001"):
            found = order_lookup.find(connection, "shop", asked, channel="csv")
            assert (found.id, found.number) == (order, "#1001")
        assert [one.id for one in transactional_history.of_order(connection, found)] == [message]
        silent = order_lookup.find(connection, "shop", "1001", channel="shopify")
        assert silent.id == other
        assert transactional_history.of_order(connection, silent) == []
        with pytest.raises(order_lookup.UnknownOrder, match="no order '77'"):
            order_lookup.find(connection, "shop", "77")


def test_of_an_address_all_is_found_also_what_is_not_claimed_yet(shop: LaneShop) -> None:
    mine = [shop.ask_for_order(shop.order()), shop.ask()]
    shop.ask(email="olga@delivered.test")
    with database.read(shop.engine) as connection:
        hashed = addresses.address_hash("johanna@delivered.test", PEPPER)
        found = transactional_history.of_address(connection, "shop", hashed)
    assert sorted(one.id for one in found) == sorted(mine)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"notify": False}, "the channel csv mails its customers itself"),
        ({"is_test": True}, "a test order"),
        ({"email": None}, "without an address"),
        ({"channel": "manual"}, "no message: messages.yaml asks for no mail about orders of manual"),
        ({"placed_at": SINCE - timedelta(days=1)}, "it is older than 2026-11-01 00:00 UTC"),
        ({"placed_at": SINCE, "first_recorded_at": SINCE + timedelta(days=3)}, "older than 48 hours (fresh_hours)"),
        ({"channel_status": "Pending"}, "while csv calls it 'Pending' it is no order yet"),
        ({"kind": "replacement"}, "it is a replacement"),
        ({}, "nothing that happened to it within 48 hours asks for one: its channel's rules are for shipped"),
    ],
)
def test_why_there_is_no_message(shop: LaneShop, facts: dict[str, Any], told: str, tmp_path: Path) -> None:
    shop.order(**facts)
    (tmp_path / "messages.yaml").write_text(RULES)
    with database.read(shop.engine) as connection:
        order = order_lookup.find(connection, "shop", "1001")
    assert told in order_silence.why(order, tmp_path / "messages.yaml", tmp_path / "channels.yaml")


def test_without_rules_nothing_asks_for_mail(shop: LaneShop, tmp_path: Path) -> None:
    shop.order()
    with database.read(shop.engine) as connection:
        order = order_lookup.find(connection, "shop", "1001")
    told = order_silence.why(order, tmp_path / "messages.yaml", tmp_path / "channels.yaml")
    assert told == "no message: messages.yaml says nothing of the account shop, so no order of it asks for mail"
    (tmp_path / "messages.yaml").write_text("accounts: 3")
    assert "cannot be used" in order_silence.why(order, tmp_path / "messages.yaml", tmp_path / "channels.yaml")


def test_once_more_makes_one_message_which_goes(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    change(shop.engine, message, state="expired", finished_at=wiring.clock())
    new = _again(shop, message)
    with pytest.raises(CannotResend, match=f"{new} is still planned"):
        _again(shop, message)  # the second of two who do it at once
    lane.dispatch()
    assert (shop.state(new), shop.mailed(new), shop.mailed(message)) == ("accepted", 1, 0)
    assert (_one(shop, message).again, _one(shop, new).again_of) == ((new,), message)
    with database.read(shop.engine) as connection:
        (noted,) = connection.execute(sa.select(tables.audit_log).where(tables.audit_log.c.action == "resend"))
    assert (noted.actor, noted.subject, noted.detail["why"]) == ("ana", f"message:{message}", "she asked for it")


def test_two_people_at_once_make_one(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    change(shop.engine, message, state="expired", finished_at=wiring.clock())
    together = threading.Barrier(2)

    def again(_number: int) -> str | None:
        together.wait(20)
        try:
            return _again(shop, message)
        except CannotResend:
            return None

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(again, range(2)))
    assert sorted(one is None for one in made) == [False, True]
    assert len(_one(shop, message).again) == 1


def test_what_may_still_go_is_not_sent_again(shop: LaneShop, monkeypatch: pytest.MonkeyPatch) -> None:
    message = shop.ask_for_order(shop.order())
    with pytest.raises(CannotResend, match="still planned: it goes out by itself"):
        _again(shop, message)
    lose_answer(monkeypatch)
    lane.dispatch()
    with pytest.raises(CannotResend, match="still unknown: nobody knows yet"):
        _again(shop, message)


def test_what_was_delivered_lately_needs_a_word_more(shop: LaneShop, monkeypatch: pytest.MonkeyPatch) -> None:
    message = shop.ask_for_order(shop.order())
    lane.dispatch()
    with pytest.raises(CannotResend, match="accepted minutes ago"):
        _again(shop, message)
    delivered(shop.engine, message, wiring.clock())
    with pytest.raises(CannotResend, match=r"was delivered on .* --although-delivered"):
        _again(shop, message)
    new = _again(shop, message, although_delivered=True)
    lane.dispatch()
    delivered(shop.engine, new, wiring.clock())
    with pytest.raises(CannotResend, match=f"{new} was delivered"):
        _again(shop, message)
    later = wiring.clock() + timedelta(days=8)
    monkeypatch.setattr(wiring, "clock", lambda: later)
    assert _again(shop, message) not in {message, new}


def test_a_suppressed_address_gets_nothing_again(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    change(shop.engine, message, state="expired", finished_at=wiring.clock())
    suppress(shop.engine, Reason.COMPLAINT)
    with pytest.raises(CannotResend, match=r"gets no mail .complaint."):
        _again(shop, message)


def test_what_the_shop_s_software_asked_for_cannot_be_written_again(shop: LaneShop) -> None:
    message = shop.ask()
    lane.dispatch()
    with pytest.raises(CannotResend, match="let the software ask anew"):
        _again(shop, message)


def test_what_was_possibly_sent_goes_again_only_where_a_person_insists(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    change(shop.engine, message, state="held", finished_at=wiring.clock(), resent=True)
    with pytest.raises(CannotResend, match=r"was possibly sent.* --although-delivered"):
        _again(shop, message)
    delivered(shop.engine, message, wiring.clock())
    with pytest.raises(CannotResend, match=r"was delivered on .* --although-delivered"):
        _again(shop, message)
    assert _again(shop, message, although_delivered=True)


def test_once_more_of_what_went_once_more_is_the_same_mail(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    change(shop.engine, message, state="expired", finished_at=wiring.clock())
    first = _again(shop, message)
    change(shop.engine, first, state="expired", finished_at=wiring.clock())
    second = _again(shop, first)
    assert _one(shop, second).again_of == message
    with pytest.raises(CannotResend, match=f"{second} is still planned"):
        _again(shop, message)


def test_why_it_is_sent_again_is_kept_without_an_address(shop: LaneShop) -> None:
    message = shop.ask_for_order(shop.order())
    change(shop.engine, message, state="expired", finished_at=wiring.clock())
    with database.write(shop.engine) as connection:
        asked = {"actor": "ana", "why": "johanna@delivered.test asked", "although_delivered": False}
        transactional_again.once_more(connection, message, **asked, now=wiring.clock())
        told = connection.scalar(sa.select(tables.audit_log.c.detail).where(tables.audit_log.c.action == "resend"))
    assert told["why"] == "[address] asked"
