"""What ESPs tell of transactional mail, from each contract's wire through the gateway's inbox to what follows from it."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import sqlalchemy as sa

import settings
from data import database, events, tables
from domain.transactional import Urgency
from tasks import esps, wiring
from tests.providers import loopback
from tests.providers.sandbox.conftest import eventually, start
from tests.tasks import lane
from tests.tasks.lane import LaneShop
from tests.tasks.told_shop import CONTRACTS, ROUTES, open_shop

__all__ = ["open_shop", "start"]


def _apply() -> None:
    events.process(
        wiring.engine(),
        readers=esps.event_readers(),
        origins=esps.origins(),
        pepper=wiring.pepper(),
        clock=wiring.clock,
        limit=1000,
    )


def _told(shop: LaneShop, message_id: str, *what: str) -> Any:
    """What is known of its delivery, once all of this is."""

    def found() -> Any:
        _apply()
        table = tables.transactional_delivery
        with database.read(shop.engine) as connection:
            row = connection.execute(sa.select(table).where(table.c.message_id == message_id)).one_or_none()
        return row if row is not None and all(getattr(row, f"{one}_at") is not None for one in what) else None

    return eventually(found)


def _refusals(shop: LaneShop) -> set[str]:
    with database.read(shop.engine) as connection:
        return set(connection.scalars(sa.select(tables.suppressions.c.reason)))


def _to(shop: LaneShop, domain: str) -> str:
    message = shop.ask(email=f"johanna@{domain}")
    lane.dispatch()
    return message


@pytest.mark.parametrize("contract", ["sendgrid", "mailchimp-transactional"])
def test_a_delivery_is_told(open_shop: Callable[[str], LaneShop], contract: str) -> None:
    shop = open_shop(contract)
    message = _to(shop, "delivered.test")
    row = _told(shop, message, "delivered")
    assert (row.bounced_at, row.complained_at, shop.state(message)) == (None, None, "accepted")
    assert _refusals(shop) == set()


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize(
    ("domain", "what", "reason"),
    [("hard.test", "bounced", "hard_bounce"), ("complaint.test", "complained", "complaint")],
)
def test_who_bounces_or_complains_gets_no_second_mail(
    open_shop: Callable[[str], LaneShop], contract: str, domain: str, what: str, reason: str
) -> None:
    shop = open_shop(contract)
    _told(shop, _to(shop, domain), what)
    assert _refusals(shop) == {reason}
    second = _to(shop, domain)
    assert (shop.state(second), shop.row(second).why, shop.mailed(second)) == ("suppressed", reason, 0)


@pytest.mark.parametrize("contract", ["mailchimp-transactional"])  # SendGrid's are not tracked, there as here
def test_an_open_is_no_reaction_to_a_campaign(open_shop: Callable[[str], LaneShop], contract: str) -> None:
    shop = open_shop(contract)
    assert _told(shop, _to(shop, "open.test"), "opened", "delivered") is not None
    with database.read(shop.engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.reactions)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.message_delivery)) == 0


@pytest.mark.parametrize("contract", CONTRACTS)
def test_an_event_confirms_what_nobody_knew(open_shop: Callable[[str], LaneShop], contract: str) -> None:
    shop = open_shop(contract)
    smtp = {"smtp_at": "accepted", "smtp_next_n": 1}
    knobs = smtp if contract == "smtp" else {"drop_after_accept": 1.0, "next_n": 1}
    shop.esp.client.put("/sandbox/faults", json=knobs).raise_for_status()
    message = _to(shop, "hard.test" if contract == "smtp" else "delivered.test")  # a relay tells of failures only
    assert shop.state(message) == "unknown"
    _told(shop, message, "bounced" if contract == "smtp" else "delivered")
    row = shop.row(message)
    assert (row.state, row.resent, row.variables, row.email, shop.mailed(message)) == ("accepted", False, None, None, 1)


def test_what_a_relay_refuses_at_once_for_want_of_a_mailbox_suppresses(open_shop: Callable[[str], LaneShop]) -> None:
    shop = open_shop("smtp")
    message = _to(shop, "refuse.test")
    assert shop.state(message) == "rejected"
    assert _refusals(shop) == {"hard_bounce"}
    with database.read(shop.engine) as connection:
        (row,) = connection.execute(sa.select(tables.suppressions)).all()
    assert (row.source, row.evidence) == ("esp:smtp", f"bounced at once: {message}.1")
    assert shop.state(_to(shop, "refuse.test")) == "suppressed"


def test_what_a_relay_refuses_for_our_fault_suppresses_nobody(open_shop: Callable[[str], LaneShop]) -> None:
    shop = open_shop("smtp")
    _to(shop, "policy.test")
    assert _refusals(shop) == set()


def test_who_is_put_off_by_a_relay_keeps_nobody_elses_mail(open_shop: Callable[[str], LaneShop]) -> None:
    """A greylist speaks for one recipient; it is tried again within seconds."""
    shop = open_shop("smtp")
    greylisted = shop.ask(email="johanna@later.test")
    lane.dispatch(rounds=1)
    assert (shop.state(greylisted), shop.attempts(greylisted)[0].status_code // 100) == ("planned", 4)
    other = shop.ask(urgency=Urgency.SECURITY, email="johanna@silent.test")
    lane.dispatch()
    assert shop.state(other) == "accepted"


def test_who_unsubscribed_at_the_esp_gets_her_receipt(open_shop: Callable[[str], LaneShop]) -> None:
    shop = open_shop("sendgrid")
    people = ["johanna@delivered.test"]
    shop.esp.client.post("/v3/asm/suppressions/global", json={"recipient_emails": people}).raise_for_status()
    receipt = shop.ask_for_order(shop.order())
    lane.dispatch()
    assert _told(shop, receipt, "delivered").bounced_at is None


@pytest.mark.parametrize(
    ("email", "follows"),
    [("gone@hard.test", set()), ("angry@complaint.test", {"complaint"}), ("x@invalid.test", {"invalid"})],
)
def test_who_bounced_or_complained_there_gets_nothing_and_it_is_heard(
    open_shop: Callable[[str], LaneShop], email: str, follows: set[str]
) -> None:
    """The ESP alone knows of it. Of a bounce its drop says not whose fault it was: its list does (docs/suppressions.md)."""
    shop = open_shop("sendgrid")
    _mailed_by_somebody_else(shop, email)
    message = shop.ask(email=email)
    lane.dispatch()
    assert shop.esp.summary(message)["dropped"] == 1

    def dropped() -> bool:
        _apply()
        event = tables.delivery_events.c
        with database.read(shop.engine) as connection:
            kinds = set(connection.scalars(sa.select(event.kind).where(event.run_id == message)))
        assert kinds <= {"dropped"}
        return bool(kinds)

    eventually(dropped)
    assert _refusals(shop) == follows


def _mailed_by_somebody_else(shop: LaneShop, email: str) -> None:
    """Another system of the shop; its events come to nobody."""
    shop.esp.client.put("/sandbox/faults", json={"lose_events": True}).raise_for_status()
    payload = {
        "personalizations": [{"to": [{"email": email}], "custom_args": {"message_id": "theirs.1"}}],
        "from": {"email": "someone@else.example.com"},
        "subject": "From another system of the shop",
        "content": [{"type": "text/plain", "value": "x"}],
    }
    shop.esp.send(payload).raise_for_status()
    eventually(lambda: shop.esp.summary("theirs")["events_due"] == 0)
    shop.esp.client.put("/sandbox/faults", json={}).raise_for_status()


def test_an_event_that_comes_before_its_message_is_known(
    open_shop: Callable[[str], LaneShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was restored from a copy of before does not know what went out; then it is brought up to date."""
    shop = open_shop("sendgrid")
    shop.esp.client.put("/sandbox/faults", json={"drop_after_accept": 1.0, "next_n": 1}).raise_for_status()
    message = _to(shop, "complaint.test")
    kept = _taken_away(shop, message)
    eventually(lambda: shop.esp.summary(message)["events_due"] == 0)
    _apply()
    with database.read(shop.engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.unplaced_events)) > 0
    _brought_back(shop, kept)
    assert shop.state(message) == "unknown"
    later = wiring.clock() + timedelta(minutes=3)
    monkeypatch.setattr(wiring, "clock", lambda: later)
    row = _told(shop, message, "delivered", "complained")
    assert row.bounced_at is None
    assert shop.state(message) == "accepted"
    assert _refusals(shop) == {"complaint"}


_ROWS = (tables.transactional_messages, tables.transactional_attempts)


def _taken_away(shop: LaneShop, message_id: str) -> list[list[Any]]:
    with database.write(shop.engine) as connection:
        kept = [list(connection.execute(sa.select(table)).mappings()) for table in _ROWS]
        for table in reversed(_ROWS):
            connection.execute(table.delete())
    return kept


def _brought_back(shop: LaneShop, kept: list[list[Any]]) -> None:
    with database.write(shop.engine) as connection:
        for table, rows in zip(_ROWS, kept, strict=True):
            connection.execute(table.insert(), [dict(row) for row in rows])


POSTMARK_USER = "shop:a-password-of-twenty-characters"


@pytest.mark.parametrize(
    ("record", "facts", "what", "reason"),
    [
        ("Delivery", {"DeliveredAt": "2026-11-22T04:00:00Z"}, "delivered", None),
        ("Bounce", {"Type": "HardBounce", "BouncedAt": "2026-11-22T04:00:00Z"}, "bounced", "hard_bounce"),
        ("SpamComplaint", {"Type": "SpamComplaint", "BouncedAt": "2026-11-22T04:00:00Z"}, "complained", "complaint"),
    ],
)
def test_postmark_tells_by_the_metadata_that_it_was_given(
    open_shop: Callable[[str], LaneShop],
    monkeypatch: pytest.MonkeyPatch,
    record: str,
    facts: dict[str, str],
    what: str,
    reason: str | None,
) -> None:
    monkeypatch.setenv("OMS_POSTMARK_WEBHOOK_CREDENTIALS", json.dumps([POSTMARK_USER]))
    monkeypatch.setenv("POSTMARK_TOKEN", "a-token")
    shop = open_shop("sendgrid")
    gateway = json.loads(settings.load().model_dump_json())["mailchimp"]["transactional_webhook_urls"][0]
    with loopback.answering(_as_postmark) as server:
        routes = ROUTES.replace("sandbox, speaks: {contract}{more}", "{way}")
        way = f'postmark, base_url: "{server.url}", api_key_env: POSTMARK_TOKEN'
        Path("routes.yaml").write_text(routes.format(way=way))
        message = _to(shop, "delivered.test")
    ((mail,),) = [orjson.loads(one.body) for one in server.requests]
    assert mail["MessageStream"] == "outbound"
    told = {"RecordType": record, "MessageID": "id", "Metadata": mail["Metadata"], **facts}
    told |= {"Recipient": mail["To"]} if record == "Delivery" else {"Email": mail["To"]}
    user = base64.b64encode(POSTMARK_USER.encode()).decode()
    url = gateway.rpartition("/")[0] + "/postmark"
    httpx.post(url, json=told, headers={"Authorization": f"Basic {user}"}, trust_env=False).raise_for_status()
    _told(shop, message, what)
    assert _refusals(shop) == ({reason} - {None})


def _as_postmark(received: loopback.Received) -> loopback.Answer:
    told = [{"ErrorCode": 0, "Message": "OK", "MessageID": "id"} for _ in orjson.loads(received.body)]
    return loopback.Answer(200, orjson.dumps(told))
