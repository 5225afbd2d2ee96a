from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.intake import row_checks, rules, thresholds
from domain import addresses, money
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Deletion, Order, OrderKind, OrderLine, OrderStatus

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
LIMITS = thresholds.parse("", "intake.yaml").of("shop", "csv")
GRANTED = Consent(ConsentStatus.GRANTED, "consent", "checkout", "v1", NOW - DAY)
ANNA = Customer("c1", "anna@example.com", country="DE", consent=GRANTED)


def line(number: int = 1, total: str = "10.00", **values) -> OrderLine:
    return replace(OrderLine(number, "TEA-1", "Tea", None, 1, Decimal(total), external_id=f"l{number}"), **values)


def order(**values) -> Order:
    sound = Order(
        external_id="1001",
        customer=ANNA,
        status=OrderStatus.PAID,
        channel_status="paid",
        currency="EUR",
        total=Decimal("24.90"),
        refunded=Decimal(0),
        placed_at=NOW - DAY,
        updated_at=NOW,
        cancelled_at=None,
        is_test=False,
        lines=(line(1), line(2)),
        tax=Decimal("3.98"),
        shipping=Decimal("4.90"),
        discount=Decimal(0),
    )
    return replace(sound, **values)


def fired(one: Order, limits: thresholds.Thresholds = LIMITS) -> tuple[rules.Fired, ...]:
    return rules.fired(one, limits, account_currency="EUR", now=NOW)


def customer(**values) -> Customer:
    return replace(ANNA, **values)


def consent(**values) -> Customer:
    return customer(consent=replace(GRANTED, **values))


def lines(*those: OrderLine) -> dict:
    """The lines, in an order that tells neither shipping nor tax nor discount: any total fits."""
    return {"lines": those, "shipping": None, "tax": None, "discount": None}


def test_nothing_fires_on_a_sound_order() -> None:
    assert fired(order()) == ()


FAULTS = [
    ("in_the_future", True, ("placed_at",), {"placed_at": NOW + DAY + SECOND}),
    ("in_the_future", True, ("updated_at",), {"updated_at": NOW + DAY + SECOND}),
    ("in_the_future", True, ("customer.consent.occurred_at",), {"customer": consent(occurred_at=NOW + DAY + SECOND)}),
    ("too_old", True, ("placed_at",), {"placed_at": datetime(1994, 12, 31, 23, 59, tzinfo=UTC)}),
    ("too_old", True, ("updated_at",), {"updated_at": datetime(1970, 1, 1, tzinfo=UTC)}),
    ("email_missing", False, ("customer.email",), {"customer": customer(email=None)}),
    ("email_missing", False, ("customer.email",), {"customer": customer(email="")}),
    ("email_invalid", False, ("customer.email",), {"customer": customer(email="anna at example.com")}),
    ("email_invalid", False, ("customer.email",), {"customer": customer(email="anna@localhost")}),
    ("email_invalid", False, ("customer.email",), {"customer": customer(email=f"anna@{64 * 'b'}.example.com")}),
    ("email_invalid", False, ("customer.email",), {"customer": customer(email=f"{65 * 'a'}@example.com")}),
    ("country_missing", False, ("customer.country",), {"customer": customer(country=None)}),
    ("consent_without_source", True, ("customer.consent.source",), {"customer": consent(source="")}),
    ("without_lines", True, ("lines",), {"lines": ()}),
    ("line_number_twice", True, ("lines.1.line_no",), lines(line(1), line(1, external_id="l2"))),
    ("line_number_twice", True, ("lines.2.line_no",), lines(line(2), line(1), line(2, external_id="l3"))),
    ("line_twice", False, ("lines.2.external_id",), lines(line(1), line(2), line(3, external_id="l1"))),
    ("sku_missing", False, ("lines.1.sku",), {"lines": (line(1), line(2, sku=""))}),
    ("quantity_zero", False, ("lines.0.quantity",), {"lines": (line(1, quantity=0), line(2))}),
    ("total_mismatch", False, ("total", "lines"), {"total": Decimal(2490)}),
    ("total_mismatch", False, ("total", "lines"), {"lines": (line(1),)}),
    ("total_mismatch", False, ("total", "lines"), {"total": Decimal("2.49")}),
    ("refunded_above_total", True, ("refunded", "total"), {"refunded": Decimal("24.91")}),
    ("negative_total", True, ("total",), {"total": Decimal("-0.01"), "refunded": Decimal(-1), **lines(line(1))}),
    ("currency_unknown", True, ("currency",), {"currency": "EEE"}),
    ("currency_foreign", False, ("currency",), {"currency": "USD"}),
    ("test_order", False, ("is_test",), {"is_test": True}),
]


@pytest.mark.parametrize(("rule", "refuse", "fields", "fault"), FAULTS, ids=lambda value: str(value)[:40])
def test_a_fault_is_told_by_its_rule_with_the_fields(rule: str, refuse: bool, fields: tuple, fault: dict) -> None:
    found = {one.rule: one for one in fired(order(**fault))}
    beside = {"currency_unknown": {"currency_foreign"}}.get(rule, set())
    assert set(found) == {rule} | beside
    assert (found[rule].refuse, found[rule].fields) == (refuse, fields)
    assert len(found[rule].sentence) > 30
    assert ":" in found[rule].sentence  # what is wrong: what to do


def test_every_rule_is_tested() -> None:
    assert {rule for rule, *_ in FAULTS} == {rule.name for rule in rules.ROW_RULES}


@pytest.mark.parametrize(
    "sound",
    [
        {"placed_at": NOW + DAY, "updated_at": NOW + DAY, "customer": consent(occurred_at=NOW + DAY)},
        {"placed_at": datetime(1995, 1, 1, tzinfo=UTC)},
        {"customer": customer(email=None, relay=True)},
        {"customer": customer(email="änna@münchen.example.com")},
        {"customer": customer(email=f"{64 * 'a'}@{63 * 'b'}.example.com")},
        {"customer": customer(consent=None)},
        {"customer": consent(source="", status=ConsentStatus.WITHDRAWN)},
        {"lines": (), "kind": OrderKind.CREDIT, "total": Decimal(0), "refunded": Decimal(5)},
        {"lines": (), "status": OrderStatus.CANCELLED},
        lines(line(2), line(1)),
        lines(line(1, external_id=None), line(2, external_id=None)),
        lines(line(1, external_id=""), line(2, external_id="")),
        lines(line(1), line(2, external_id=None), line(3, external_id=None)),
        lines(line(1), line(2, "-2.00", quantity=0)),
        lines(line(1, "0.00", quantity=0)),
        {"lines": (line(1, quantity=0),), "status": OrderStatus.CANCELLED},
        {"total": Decimal(0), "kind": OrderKind.REPLACEMENT},
        {"total": Decimal(0), "status": OrderStatus.CANCELLED},
        {"refunded": Decimal("24.90")},
        {"total": Decimal(0), "refunded": Decimal(5), "kind": OrderKind.CREDIT},
        {"total": Decimal("900.00"), "shipping": None},
        {"total": Decimal("0.50"), "discount": None},
        {"total": Decimal("31.00"), "tax": None},
        {"total": Decimal("28.95"), "discount": Decimal("4.90")},  # 24.90 + 3.98, and seven cents of rounding
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_usual_somewhere_is_no_fault(sound: dict) -> None:
    assert fired(order(**sound)) == ()


def test_what_refuses_is_told_first() -> None:
    found = fired(order(customer=customer(country=None, email=None), refunded=Decimal(99), is_test=True))
    assert [one.rule for one in found] == ["refunded_above_total", "email_missing", "country_missing", "test_order"]


def test_thresholds_decide_what_follows() -> None:
    limits = thresholds.parse(
        """
defaults:
  rules:
    in_the_future: {days_ahead: 3}
    too_old: {oldest_year: 1980, row: keep}
    email_missing: {row: refuse}
    total_mismatch: {tolerance: 1}
    currency_foreign: {allowed: [USD, GBP]}
""",
        "intake.yaml",
    ).of("shop", "csv")
    assert fired(order(placed_at=NOW + 3 * DAY), limits) == ()
    assert fired(order(placed_at=datetime(1980, 1, 1, tzinfo=UTC)), limits) == ()
    assert not fired(order(placed_at=datetime(1979, 1, 1, tzinfo=UTC)), limits)[0].refuse
    assert fired(order(customer=customer(email=None)), limits)[0].refuse
    assert fired(order(total=Decimal(40)), limits) == ()
    assert fired(order(currency="GBP"), limits) == ()


def test_a_deletion_from_the_future_would_hold_for_ever() -> None:
    assert rules.fired_on_deletion(Deletion("1", NOW + DAY), LIMITS, now=NOW) == ()
    (found,) = rules.fired_on_deletion(Deletion("1", NOW + DAY + SECOND), LIMITS, now=NOW)
    assert (found.rule, found.fields, found.refuse) == ("in_the_future", ("deleted_at",), True)


def test_sentences_repeat_nothing_of_the_order() -> None:
    bad = order(
        customer=customer(email="geheim at example.com", country=None),
        currency="QQQ",
        total=Decimal("-777.77"),
        lines=(line(1, sku=""), line(1, "888.88")),
    )
    told = " ".join(one.sentence + " ".join(one.fields) for one in fired(bad))
    assert not [part for part in ("geheim", "QQQ", "777", "888", "1001") if part in told]


def test_currencies_are_those_of_iso_4217_that_people_pay_with() -> None:
    assert {"EUR", "USD", "JPY", "KWD", "CLP", "XOF", "XCG", "SLE", "ZWG", "DEM", "HRK", "BGN"} <= money.CURRENCIES
    assert not money.CURRENCIES & {"XXX", "XTS", "XAU", "XDR", "UKP", "EEE", "BTC", ""}
    assert all(len(code) == 3 and code.isupper() for code in money.CURRENCIES)
    assert set(money._DIGITS) <= money.CURRENCIES


cents = st.integers(0, 100_000).map(lambda number: Decimal(number) / 100)
charged = st.integers(100, 100_000).map(lambda number: Decimal(number) / 100)


@given(
    nets=st.lists(charged, min_size=1, max_size=4),
    rate=st.sampled_from([Decimal(0), Decimal("0.07"), Decimal("0.19"), Decimal("0.27")]),
    shipping=cents,
    off=st.integers(0, 100),
    tax_in_lines=st.booleans(),
    tax_in_shipping=st.booleans(),
    discount_in_lines=st.booleans(),
    untold=st.sets(st.sampled_from(("tax", "shipping", "discount"))),
)
def test_every_usual_reading_of_a_total_fits(
    nets: list[Decimal],
    rate: Decimal,
    shipping: Decimal,
    off: int,
    tax_in_lines: bool,
    tax_in_shipping: bool,
    discount_in_lines: bool,
    untold: set[str],
) -> None:
    """Prices before tax, a discount on all goods, tax on what is left and on shipping: then each written every way."""
    part_off = Decimal(off) / 100
    after = [(net * (1 - part_off)).quantize(Decimal("0.01")) for net in nets]
    taxes = [(net * rate).quantize(Decimal("0.01")) for net in after]
    shipping_tax = (shipping * rate).quantize(Decimal("0.01"))
    discount = sum(nets) - sum(after)
    shown = after if discount_in_lines else nets
    written = tuple(
        line(number, str(net + (tax if tax_in_lines else 0)))
        for number, (net, tax) in enumerate(zip(shown, taxes, strict=True), start=1)
    )
    told = {
        "tax": sum(taxes) + shipping_tax,
        "shipping": shipping + (shipping_tax if tax_in_shipping else 0),
        "discount": discount,
    } | dict.fromkeys(untold)
    whole = sum(after) + sum(taxes) + shipping + shipping_tax
    assert fired(order(lines=written, total=whole, **told)) == ()


@given(nets=st.lists(charged, min_size=1, max_size=4), tax=cents, shipping=cents)
def test_a_total_in_cents_never_fits(nets: list[Decimal], tax: Decimal, shipping: Decimal) -> None:
    tax = min(tax, sum(nets) / 4)
    whole = sum(nets) + tax + shipping
    written = tuple(line(number, str(net)) for number, net in enumerate(nets, start=1))
    found = fired(order(lines=written, total=whole * 100, tax=tax, shipping=shipping))
    assert [one.rule for one in found] == (["total_mismatch"] if whole else [])


@given(
    st.one_of(
        st.emails(),
        st.from_regex(row_checks._PLAIN_ADDRESS, fullmatch=True),
        st.text(alphabet="ab@.-+ ä", max_size=20),
    )
)
def test_the_quick_look_at_an_address_agrees_with_the_domain(email: str) -> None:
    found = [one.rule for one in fired(order(customer=customer(email=email)))]
    assert found == ([] if addresses.is_valid(email) else ["email_invalid" if email else "email_missing"])


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["", None, "a", "b", "c"])), max_size=6))
def test_twins_are_found_wherever_they_stand(pairs: list[tuple[int, str | None]]) -> None:
    one = order(**lines(*(line(number, external_id=key) for number, key in pairs)))
    found = {each.rule: each.fields for each in fired(one)}
    numbers = [number for number, _ in pairs]
    keys = [key for _, key in pairs if key]
    assert ("line_number_twice" in found) == (len(set(numbers)) < len(numbers))
    assert len(found.get("line_twice", ())) == len(keys) - len(set(keys))
