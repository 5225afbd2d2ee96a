"""Mails about orders: what is shown adds up to the order, whatever a channel told can be mailed, and nothing is made up."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from data import content, database, messages, order_mail, template_checks
from data.order_mail import MOST_SHOWN
from domain import money
from tests.data import orders_to_mail

CONSTANTS = {"shop_name": "Salt & Vinyl", "postal_address": "1 Street, Town", "sender_name": "Sam"}
ABOUT_ORDERS = ["order-confirmation", "payment-received", "shipped", "delivered", "refunded", "order-cancelled"]
NASTY = "A\x00 b\r\nBcc: x@y.test\u202e<script>{{ 7 }}\t\ud83d" + "ß" * 3_000


def read(engine: sa.Engine, order_id: int, step: str | None = None, reference: str | None = None) -> Any:
    with database.read(engine) as connection:
        return order_mail.of_order(connection, order_id, step=step, reference=reference)


def mailed(values: dict[str, Any], name: str = "order-confirmation", locale: str | None = None) -> messages.Rendered:
    return messages.render_message(content.load(name), values, CONSTANTS, locale)


def amount(text: str) -> dict[str, str]:
    return {"amount": text, "currency": "EUR"}


def test_a_confirmation_shows_exactly_these_amounts(engine: sa.Engine, account_id: str) -> None:
    order = orders_to_mail.add(
        engine, total=Decimal("42.90"), tax=Decimal("6.8496"), discount=Decimal(2), lines=[
            {"title": "Harbour Lights", "total": "25.90", "discount": Decimal(2)},
            {"title": "Record brush", "quantity": 2, "total": "12.10"},
        ],
    )  # fmt: skip
    values = read(engine, order).values
    assert values["ordered_on"] == date(2026, 11, 21)  # on the account's own calendar
    english, german = mailed(values).text, mailed(values, "order-confirmation-de").text
    shown = re.search(r"What you ordered\n.*?(?=\n\nOrder )", english, re.DOTALL)
    assert shown is not None
    assert shown[0].split("\n\n")[1:] == [
        "Harbour Lights  €25.90",
        "2 × Record brush  €12.10",
        "Items  €38.00",
        "Shipping  €4.90",
        "Total  €42.90",
        "Of which tax  €6.85",
        "Discount, already taken off  €2.00",
    ]
    for line in ("Artikel  38,00 €", "Versand  4,90 €", "Summe  42,90 €", "Davon Steuer  6,85 €"):
        assert line in german


def test_the_currency_says_how_many_decimals(engine: sa.Engine, account_id: str) -> None:
    for number, (currency, total, told) in enumerate(
        [("JPY", "1200", "JP¥1,200"), ("KWD", "1.234", "KWD\xa01.234"), ("RSD", "100.5", "RSD\xa0100.50")]
    ):
        lines = [{"title": "Mug", "total": total}]
        order = orders_to_mail.add(
            engine, external_id=f"o{number}", currency=currency, total=Decimal(total), shipping=None, lines=lines
        )
        shown = mailed(read(engine, order).values)
        assert told in shown.html
        assert shown.text.count(told.replace("\xa0", " ")) == 2  # of the line and the total


LINE = st.builds(
    lambda units, quantity, off: SimpleNamespace(
        title="Mug", sku="m", quantity=quantity, total=money.from_units(units), discount=off and money.from_units(off)
    ),
    st.integers(-(10**7), 10**7),
    st.integers(0, 20),
    st.none() | st.integers(0, 10**6),
)
PART = st.none() | st.integers(0, 10**6).map(money.from_units)


@given(st.lists(LINE, min_size=1, max_size=5), st.integers(0, 10**8).map(money.from_units), PART, PART, PART)
def test_what_a_reader_adds_up_is_the_total(
    lines: list[Any], total: Decimal, shipping: Decimal | None, tax: Decimal | None, discount: Decimal | None
) -> None:
    order = SimpleNamespace(total=total, currency="EUR", shipping=shipping, tax=tax, discount=discount)
    values = {**order_mail.amounts(order, lines), "order_number": "1", "ordered_on": "2026-11-20"}
    text = mailed({name: one for name, one in values.items() if one is not None}).text
    rows = re.findall(r"^(.+?)  (?:(\u2212)|(-))?€([\d,]+\.\d\d)$", text, re.MULTILINE)
    read_off = [
        (name, Decimal(shown.replace(",", "")) * (-1 if less or below else 1)) for name, less, below, shown in rows
    ]
    names = [name for name, _ in read_off]
    at = names.index("Total")
    goods = [one for name, one in read_off[:at] if name.endswith("Mug")]
    others = [one for name, one in read_off[:at] if not name.endswith("Mug") and name != "Items"]
    assert len(goods) == len(lines)
    assert sum(goods) + sum(others) == read_off[at][1]
    assert all(one == sum(goods) for name, one in read_off if name == "Items")


@pytest.mark.parametrize("name", [one + language for one in ABOUT_ORDERS for language in ("", "-de")])
def test_nothing_is_too_nasty_to_be_mailed(engine: sa.Engine, account_id: str, name: str) -> None:
    nasty = NASTY.replace("\x00", "\x07").replace("\ud83d", "")  # no database keeps those two
    order = orders_to_mail.add(
        engine,
        number=nasty,
        person={"first_name": "\u200b\n", "last_name": nasty, "locale": "de_XX.UTF-8"},
        lines=[
            {"title": nasty, "total": "27.90"},
            {"title": " \n\u2028", "sku": "\t", "total": "-3.00", "quantity": 0},
            {"title": "", "sku": "LP-9", "total": "15.1", "quantity": -1},
        ],
        events=[
            {"step": "shipped", "carrier": nasty, "tracking_number": nasty, "tracking_url": "javascript:alert(1)"},
            {"step": "shipped", "carrier": "", "tracking_number": "\n", "tracking_url": "https://u:p@x.test/"},
            {"step": "refunded", "amount": Decimal(-1), "note": nasty},
        ],
    )
    found = read(engine, order)
    shown = mailed(found.values, name, found.locale)
    assert found.locale == "de"
    assert shown.subject.isprintable()
    assert "<script" not in shown.html
    assert "javascript:" not in shown.html + shown.text
    assert "u:p@" not in shown.html + shown.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", shown.text)


def test_titles_are_cut_and_what_has_none_is_named_by_its_sku(engine: sa.Engine, account_id: str) -> None:
    assert order_mail.field_values.printable("\ud83dx", 9) == "x"  # half of a pair
    lines = [{"title": "word " * 99, "total": "1"}, {"title": "\n", "sku": "LP-9", "total": "1"}, {"title": None, "sku": "", "total": "1"}]  # fmt: skip
    long, by_sku, nameless = read(engine, orders_to_mail.add(engine, lines=lines)).values["line_items"]
    assert len(long["name"]) <= 160
    assert long["name"].endswith("word…")
    assert (by_sku["name"], nameless["name"]) == ("LP-9", "–")


@pytest.mark.parametrize(("count", "shown", "more"), [(61, 61, None), (62, 60, 2), (300, 60, 240)])
def test_of_many_lines_the_first_are_shown_and_the_others_counted(
    engine: sa.Engine, account_id: str, count: int, shown: int, more: int | None
) -> None:
    lines = [{"title": f"Record {place} " + "ä" * 120, "total": "10.00"} for place in range(count)]
    order = orders_to_mail.add(engine, lines=lines, total=Decimal(10 * count) + Decimal("4.90"))
    values = read(engine, order).values
    assert (len(values["line_items"]), values.get("more_items")) == (shown, more)
    mail = mailed(values)
    assert (f"and {more} more  €{10 * (more or 0):,}.00" in mail.text) is (more is not None)
    assert len(mail.html.encode()) < template_checks.CLIP
    assert MOST_SHOWN == 60


def test_an_order_without_lines_names_and_number_is_mailed(engine: sa.Engine, account_id: str) -> None:
    order = orders_to_mail.add(
        engine, number=None, lines=[], person={"first_name": None, "last_name": None, "locale": None}, tax=Decimal(5)
    )
    values = read(engine, order).values
    assert set(values) == {"order_number", "ordered_on", "order_total", "line_items"}
    for name in ABOUT_ORDERS:
        for language in ("", "-de"):
            text = mailed(values, name + language).text
            assert "1001" in text
            assert not re.search(r"None|ordered\n|bestellt\n|  \.|, \.", text)


PARCELS = [
    {"step": "shipped", "reference": "f1-1", "carrier": "DHL", "tracking_number": "A1", "tracking_url": "https://t.test/A1"},
    {"step": "shipped", "reference": "f1-2", "carrier": "DHL", "tracking_number": "A2", "tracking_url": "nowhere"},
    {"step": "delivered", "reference": "f1", "at": datetime(2026, 11, 23, 12, tzinfo=UTC)},
]  # fmt: skip


def test_one_parcel_says_who_brings_it_and_where_to_follow_it(engine: sa.Engine, account_id: str) -> None:
    values = read(engine, orders_to_mail.add(engine, events=PARCELS[:1]), "shipped", "f1-1").values
    assert (values["carrier"], values["tracking_number"], values["tracking_url"]) == ("DHL", "A1", "https://t.test/A1")
    assert "parcels" not in values
    text = mailed(values, "shipped").text
    assert "your order #1001 has left us" in text
    assert "Follow the parcel: https://t.test/A1" in text


def test_of_several_parcels_each_is_told_and_none_is_said_to_hold_all(engine: sa.Engine, account_id: str) -> None:
    order = orders_to_mail.add(engine, events=PARCELS)
    values = read(engine, order, "shipped", "f1-2").values
    assert values["tracking_number"] == "A2"
    assert "tracking_url" not in values  # it is no address
    assert [one["name"] for one in values["parcels"]] == ["A1", "A2"]
    assert [one["url"] for one in values["parcels"]] == ["https://t.test/A1", None]
    for name, told in (
        ("shipped", "the order travels in several"),
        ("delivered", "a part of it may still be on its way"),
        ("shipped-de", "sie kommt in mehreren"),
        ("delivered-de", "Ein Teil kann noch unterwegs sein"),
    ):
        text = mailed(values, name).text
        assert told in text
        assert "Harbour Lights" in text


def test_a_delivery_takes_carrier_and_number_from_its_parcel(engine: sa.Engine, account_id: str) -> None:
    both = read(engine, orders_to_mail.add(engine, events=PARCELS), "delivered", "f1").values
    assert "tracking_number" not in both  # two parcels bear the delivery's reference: nobody knows which it was
    one = read(engine, orders_to_mail.add(engine, external_id="2", events=PARCELS[1:]), "delivered", "f1").values
    assert (one["carrier"], one["tracking_number"], one["delivered_on"]) == ("DHL", "A2", date(2026, 11, 23))


def test_a_refund_is_its_own_amount_and_the_only_one_is_all_that_went_back(engine: sa.Engine, account_id: str) -> None:
    two = [
        {"step": "refunded", "reference": "r1", "amount": Decimal("10.00")},
        {"step": "refunded", "reference": "r2", "amount": Decimal("5.5")},
    ]
    order = orders_to_mail.add(engine, events=two, refunded=Decimal("15.5"))
    first = read(engine, order, "refunded", "r1").values
    assert (first["refund_amount"], first["refunded_total"]) == (amount("10.00"), amount("15.50"))
    assert read(engine, order, "refunded", None).values["refund_amount"] == amount("5.50")
    alone = orders_to_mail.add(engine, external_id="2", events=[{"step": "refunded"}], refunded=Decimal("44.90"))
    values = read(engine, alone, "refunded", "").values
    assert values["refund_amount"] == amount("44.90")
    assert "refunded_total" not in values
    assert "€44.90, back to you." in mailed(values, "refunded").text
    assert "44,90 € zurück an Sie." in mailed(values, "refunded-de").text
    untold = orders_to_mail.add(engine, external_id="3", events=[{"step": "refunded"}] * 2, refunded=Decimal(9))
    assert "refund_amount" not in read(engine, untold, "refunded", "").values


def test_a_cancelled_order_says_when_by_its_timeline_or_by_itself(engine: sa.Engine, account_id: str) -> None:
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    by_event = orders_to_mail.add(engine, events=[{"step": "cancelled", "at": late}])
    by_itself = orders_to_mail.add(engine, external_id="2", cancelled_at=late)
    for order in (by_event, by_itself):
        values = read(engine, order, "cancelled", "").values
        assert values["cancelled_on"] == date(2026, 11, 23)
        assert "was cancelled on 23 November 2026" in mailed(values, "order-cancelled").text
        assert "If you have paid for it already" in mailed(values, "order-cancelled").text
