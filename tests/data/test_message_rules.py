"""messages.yaml: what it says, and what it is refused for."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data import message_rules, order_triggers
from data.channels.connections import Connections
from data.message_rules import MessageRules, UnusableMessages
from domain.transactional import Urgency
from domain.triggers import Rules, Step

ROOT = Path(__file__).parents[2]
SOLD_AT = Connections.model_validate(
    {"connections": [{"account": "main", "channel": "shopify-de", "adapter": "shopify"}]}
)
FILE = """
accounts:
  main:
    since: 2026-11-01
    messages: {placed: order-confirmation, shipped: shipped}
    channels:
      shopify: {placed: none}
      shopify-de: {since: 2026-12-01T08:00:00+01:00, not_while: [Pending], paid: payment-received}
      csv: none
"""


def rules(text: str, channel: str, adapter: str = "", account: str = "main") -> Rules | None:
    triggers = order_triggers.book(message_rules.parse(text, "messages.yaml"), SOLD_AT, None).of(
        account, channel, adapter
    )
    return triggers.rules if triggers else None


def templates(text: str, channel: str, adapter: str = "") -> dict[str, str]:
    found = rules(text, channel, adapter)
    return {str(step): name for step, name in found.templates.items()} if found else {}


def test_what_holds_for_all_and_what_a_channel_says_over_it() -> None:
    assert templates(FILE, "medusa") == {"placed": "order-confirmation", "shipped": "shipped"}
    assert templates(FILE, "shopify", "shopify") == {"shipped": "shipped"}
    assert templates(FILE, "shopify-de", "shopify") == {"shipped": "shipped", "paid": "payment-received"}
    assert templates(FILE, "csv", "csv") == {}
    assert rules(FILE, "medusa", account="other") is None
    found = rules(FILE, "shopify-de", "shopify")
    assert found is not None
    assert (found.since, found.not_while) == (datetime(2026, 12, 1, 7, tzinfo=UTC), {"pending"})
    others = rules(FILE, "medusa")
    assert others is not None
    assert (others.since, others.fresh, others.receipt_after) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        timedelta(hours=48),
        timedelta(hours=1),
    )


@pytest.mark.parametrize(("channel", "adapter"), [("amazon", "amazon"), ("eu", "amazon"), ("amazon-de", "csv")])
def test_a_channel_that_mails_its_customers_gets_nothing_unless_it_is_named(channel: str, adapter: str) -> None:
    assert templates(FILE, channel, adapter) == {}
    named = FILE + "      amazon: {shipped: shipped}\n"
    assert templates(named, "amazon", "csv") == {"shipped": "shipped"}


def test_how_urgent_a_mail_is_says_its_template() -> None:
    found = order_triggers.book(message_rules.parse(FILE, "x"), SOLD_AT, None)
    urgencies = {name: timing.urgency for name, timing in found.timings.items()}
    assert urgencies == {
        "order-confirmation": Urgency.CONFIRMATION,
        "payment-received": Urgency.CONFIRMATION,
        "shipped": Urgency.SHIPPING,
    }


def test_a_template_that_is_broken_now_is_asked_for_all_the_same(tmp_path: Path) -> None:
    own = tmp_path / "shipped"
    own.mkdir()
    (own / "template.toml").write_text(
        'title = "S"\ndescription = "."\nstream = "transactional"\npurpose = "shipment"\n'
    )
    found = order_triggers.book(message_rules.parse(FILE, "x"), SOLD_AT, tmp_path)
    assert found.timings["shipped"].urgency is Urgency.CONFIRMATION


def test_the_example_is_sound_and_no_file_asks_for_nothing(tmp_path: Path) -> None:
    shown = message_rules.load(ROOT / "messages.example.yaml")
    assert order_triggers.faults(shown, Connections(), None) == []
    assert message_rules.load(tmp_path / "none.yaml") == MessageRules()
    assert message_rules.parse("", "empty") == MessageRules()


ACCOUNT = "accounts:\n  main:\n    since: 2026-11-01\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("accounts: {main: {}}", "line 1: accounts.main.since must be written"),
        (
            ACCOUNT + "    messages: {send: shipped}\n",
            "line 4: accounts.main.messages.send is no key that is known there",
        ),
        (ACCOUNT + "    channels:\n      csv:\n        sent: x\n", "line 6: accounts.main.channels.csv.sent is no key"),
        (ACCOUNT + "    messages: {paid: no}\n", "line 4: accounts.main.messages.paid: write the name of a template"),
        (ACCOUNT + "    messages:\n      paid:\n", "line 5: accounts.main.messages.paid: write the name of a template"),
        (ACCOUNT + "    channels: {amazon: }\n", "line 4: accounts.main.channels.amazon: write none, or what differs"),
        (ACCOUNT + "    channels: {amazon: never}\n", "line 4: accounts.main.channels.amazon is a section: keys with"),
        (ACCOUNT + "    messages: {paid: Payment Received}\n", "has small letters, digits and hyphens"),
        (ACCOUNT + "    fresh_hours: 1000\n", "line 4: accounts.main.fresh_hours"),
        ("accounts: {main: {since: 2026-11-01 08:00:00}}", "line 1: accounts.main.since: write a day"),
        ("accounts: {main: {since: soon}}", "line 1: accounts.main.since: write a day"),
        ("accounts: {main: {since: 2026-13-01}}", "a value that cannot be"),
        (ACCOUNT + "  main:\n    since: 2026-12-01\n", "line 4 is no YAML that can be used: the key main stands twice"),
        ("accounts: [", "is no YAML that can be used"),
        ("account: {}", "line 1: account is no key"),
        ("just words", "line 1: the file is a section"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_by_line_and_key(text: str, says: str) -> None:
    with pytest.raises(UnusableMessages) as told:
        message_rules.parse(text, "messages.yaml")
    assert says in str(told.value)
    assert str(told.value).startswith("messages.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ACCOUNT + "    messages: {paid: recieved}\n", "the template recieved is not there; for orders there are: "),
        (ACCOUNT + "    messages: {paid: password-reset}\n", "the template password-reset is for no order"),
        (ACCOUNT + "    messages: {paid: newsletter}\n", "the template newsletter is for no order"),
        (
            ACCOUNT + "    channels: {shopfy: none}\n",
            "accounts.main.channels.shopfy: neither channels.yaml nor an adapter",
        ),
        ("accounts: {b: {since: 2026-11-01, channels: {shopify-de: none}}}", "accounts.b.channels.shopify-de: neither"),
    ],
)
def test_what_it_names_must_be_there(text: str, says: str) -> None:
    with pytest.raises(UnusableMessages) as told:
        order_triggers.book(message_rules.parse(text, "messages.yaml"), SOLD_AT, None)
    assert says in str(told.value)


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "messages.yaml"
    path.write_text(ACCOUNT + "    messages: {paid: none}\n")
    assert message_rules.load(path).templates == set()
    path.write_text(ACCOUNT + "    messages: {paid: wait}\n")
    os.utime(path, ns=(1, 1))
    assert message_rules.load(path).templates == {"wait"}
    path.write_bytes(b"\xff")
    with pytest.raises(UnusableMessages, match="UnicodeDecodeError"):
        message_rules.load(path)
    assert {one.value for one in Step} == set(message_rules.Messages.model_fields)
