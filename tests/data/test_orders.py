from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from random import Random

import pytest
import sqlalchemy as sa

from data import accounts, database, orders, tables
from domain.addresses import address_hash
from domain.consent import SEEN, Consent, ConsentStatus
from domain.orders import Customer, Deletion, Order, OrderEvent, OrderKind, OrderLine, OrderStatus, OrderStep
from tests.conftest import NOW, PEPPER

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDER = Order(
    external_id="1001",
    customer=Customer("42", "Anna@Example.com", "Anna", "Ling", "DE"),
    status=OrderStatus.PAID,
    channel_status="paid",
    currency="USD",
    total=Decimal("30.00"),
    refunded=Decimal(0),
    placed_at=AT,
    updated_at=AT,
    cancelled_at=None,
    is_test=False,
    lines=(OrderLine(1, "TEA", "Tea", "Tea", 2, Decimal("20.00")), OrderLine(2, "CUP", None, None, 1, Decimal(10))),
)
GRANTED = Consent(ConsentStatus.GRANTED, "consent", "checkout", "v3", AT)
WITHDRAWN = Consent(ConsentStatus.WITHDRAWN, "", "", "", AT + timedelta(days=3))
KEPT = (tables.parties, tables.orders, tables.order_lines, tables.consents)


def load(engine: sa.Engine, items: Iterable[Order | Deletion], **other) -> Counter[str]:
    given = {"account_id": "shop", "channel": "csv", "numbering": "", "pepper": PEPPER}
    now = other.pop("now", NOW)
    with database.write(engine) as connection:
        return orders.take_in(connection, list(items), orders.Source(**(given | other)), now=now).tally


def everything(engine: sa.Engine) -> dict[str, list[tuple]]:
    with database.read(engine) as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in KEPT
        }


def only(engine: sa.Engine, table: sa.Table) -> sa.Row:
    with database.read(engine) as connection:
        return connection.execute(sa.select(table)).one()


def counts(tally: Counter[str]) -> tuple[int, ...]:
    return tuple(tally[name] for name in ("loaded", "updated", "unchanged", "stale", "conflict"))


def later(order: Order, days: int, **changes) -> Order:
    return replace(order, updated_at=order.updated_at + timedelta(days=days), **changes)


pytestmark = pytest.mark.usefixtures("account_id")


def test_an_order_becomes_its_customer_its_row_and_its_lines(engine: sa.Engine) -> None:
    order = replace(ORDER, customer=replace(ORDER.customer, consent=GRANTED))
    assert counts(load(engine, [order])) == (1, 0, 0, 0, 0)
    party = only(engine, tables.parties)
    assert (party.external_id, party.email, party.first_name, party.country) == ("42", "Anna@Example.com", "Anna", "DE")
    assert party.address_hash == address_hash("anna@example.com", PEPPER)
    assert (party.mailbox_provider, party.created_at, party.updated_at) == ("other", NOW, AT)
    row = only(engine, tables.orders)
    assert (row.party_id, row.channel, row.external_id, row.status) == (party.id, "csv", "1001", "paid")
    assert (row.total, row.refunded, row.currency, row.is_test) == (Decimal(30), Decimal(0), "USD", False)
    assert (row.placed_at, row.updated_at, row.cancelled_at) == (AT, AT, None)
    assert everything(engine)["order_lines"] == [
        (row.id, 1, "TEA", "Tea", "Tea", 2, Decimal(20), None, None, None, None),
        (row.id, 2, "CUP", None, None, 1, Decimal(10), None, None, None, None),
    ]
    consent = only(engine, tables.consents)
    assert (consent.party_id, consent.status, consent.basis, consent.source, consent.wording, consent.occurred_at) == (
        party.id,
        *("granted", "consent", "checkout", "v3", AT),
    )


def test_a_newer_state_replaces_the_order_and_all_its_lines(engine: sa.Engine) -> None:
    newer = later(
        ORDER,
        1,
        status=OrderStatus.CANCELLED,
        cancelled_at=AT,
        refunded=Decimal("30.00"),
        lines=(OrderLine(2, "CUP", "Cup", None, 0, Decimal(0)),),
        customer=replace(ORDER.customer, email="anna@example.net"),
    )
    load(engine, [ORDER])
    before = only(engine, tables.orders)
    assert counts(load(engine, [newer])) == (0, 1, 0, 0, 0)
    row = only(engine, tables.orders)
    assert (row.id, row.status, row.refunded, row.cancelled_at) == (before.id, "cancelled", Decimal(30), AT)
    assert only(engine, tables.order_lines).title == "Cup"
    assert only(engine, tables.parties).email == "anna@example.net"


def test_an_older_state_changes_nothing(engine: sa.Engine) -> None:
    load(engine, [later(ORDER, 1, status=OrderStatus.SHIPPED)])
    before = everything(engine)
    older = replace(ORDER, customer=replace(ORDER.customer, email="old@example.com"))
    assert counts(load(engine, [older])) == (0, 0, 0, 1, 0)
    assert everything(engine) == before


def test_a_newer_state_with_the_old_content_still_moves_the_time(engine: sa.Engine) -> None:
    back_again = later(ORDER, 2)
    load(engine, [ORDER, back_again])
    assert counts(load(engine, [later(ORDER, 1, status=OrderStatus.CANCELLED)])) == (0, 0, 0, 1, 0)
    assert only(engine, tables.orders).status == "paid"


def test_a_spelling_of_the_same_content_is_no_conflict(engine: sa.Engine) -> None:
    load(engine, [ORDER])
    same = replace(ORDER, total=Decimal("30.0"), lines=ORDER.lines[::-1], customer=replace(ORDER.customer, email=None))
    assert counts(load(engine, [same])) == (0, 0, 1, 0, 0)
    assert only(engine, tables.parties).email == "Anna@Example.com"  # customer data follow a newer order only


def states() -> list[Order]:
    return [
        ORDER,
        later(ORDER, 1, status=OrderStatus.SHIPPED),
        later(ORDER, 2, lines=ORDER.lines[:1], customer=replace(ORDER.customer, email="new@example.com")),
        later(ORDER, 3, status=OrderStatus.CANCELLED, cancelled_at=AT + timedelta(days=3)),
    ]


@pytest.mark.parametrize("one_by_one", [True, False])
def test_every_order_of_arrival_ends_in_the_same_state(engine: sa.Engine, one_by_one: bool) -> None:
    for number, arrival in enumerate(permutations(states())):
        customer_id = str(number)
        items = [
            replace(order, external_id=str(number), customer=replace(order.customer, external_id=customer_id))
            for order in arrival
        ]
        for part in [[item] for item in items] if one_by_one else [items]:
            load(engine, part)
    order, party, line = tables.orders.c, tables.parties.c, tables.order_lines.c
    end = sa.select(order.status, order.updated_at, order.cancelled_at, party.email, party.updated_at, line.line_no)
    with database.read(engine) as connection:
        ends = connection.execute(end.where(order.party_id == party.id, order.id == line.order_id)).all()
    newest = states()[-1]
    assert {tuple(row) for row in ends} == {
        ("cancelled", newest.updated_at, newest.cancelled_at, "Anna@Example.com", newest.updated_at, line_no)
        for line_no in (1, 2)
    }
    assert len(ends) == 24 * 2


def test_two_loaders_at_once_load_each_order_once(engine: sa.Engine) -> None:
    items = [replace(ORDER, external_id=str(n), customer=Customer(str(n), None)) for n in range(300)]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: load(engine, items), range(2)))
    assert sorted(counts(report) for report in reports) == [(0, 0, 300, 0, 0), (300, 0, 0, 0, 0)]


def test_an_address_that_cannot_exist_does_not_lose_the_order(engine: sa.Engine) -> None:
    load(engine, [replace(ORDER, customer=Customer("42", "not an address"))])
    party = only(engine, tables.parties)
    assert (party.email, party.address_hash, party.mailbox_provider) == ("not an address", None, None)


def test_customer_data_follow_the_newest_order_of_all(engine: sa.Engine) -> None:
    newest = replace(later(ORDER, 5), external_id="1002", customer=replace(ORDER.customer, email="new@example.com"))
    load(engine, [newest])
    load(engine, [later(ORDER, 2)])
    assert only(engine, tables.parties).email == "new@example.com"


@pytest.mark.parametrize("email", [None, "not an address"])
@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "one after the other"])
def test_no_address_and_an_impossible_one_leave_what_is_known(
    engine: sa.Engine, email: str | None, *, together: bool
) -> None:
    unclear = replace(later(ORDER, 1), external_id="1002", customer=Customer("42", email, "Anne", "Ling", "AT"))
    for items in ([ORDER, unclear],) if together else ([ORDER], [unclear]):
        load(engine, items)
    party = only(engine, tables.parties)
    assert (party.email, party.mailbox_provider) == ("Anna@Example.com", "other")
    assert party.address_hash == address_hash("anna@example.com", PEPPER)
    assert (party.first_name, party.country, party.updated_at) == ("Anne", "AT", unclear.updated_at)


def test_an_old_address_does_not_come_back_beside_a_newer_order_without_one(engine: sa.Engine) -> None:
    load(engine, [replace(later(ORDER, 2), customer=replace(ORDER.customer, email="new@example.com"))])
    old = replace(later(ORDER, 1), external_id="1002")
    load(engine, [old, replace(later(ORDER, 3), external_id="1003", customer=replace(ORDER.customer, email=None))])
    assert only(engine, tables.parties).email == "new@example.com"


def test_an_address_replaces_none_and_an_impossible_one(engine: sa.Engine) -> None:
    load(engine, [replace(ORDER, customer=replace(ORDER.customer, email="not an address"))])
    load(engine, [later(ORDER, 1, customer=replace(ORDER.customer, email=None))])
    assert only(engine, tables.parties).email is None
    load(engine, [later(ORDER, 2)])
    assert only(engine, tables.parties).address_hash == address_hash("anna@example.com", PEPPER)


def test_an_erased_person_is_not_filled_again(engine: sa.Engine) -> None:
    load(engine, [ORDER])
    with database.write(engine) as connection:
        connection.execute(
            sa.update(tables.parties).values(email=None, address_hash=None, first_name=None, erased_at=NOW)
        )
    assert counts(load(engine, [later(ORDER, 1)])) == (0, 1, 0, 0, 0)
    party = only(engine, tables.parties)
    assert (party.email, party.address_hash, party.first_name, party.erased_at) == (None, None, None, NOW)


def test_consent_is_a_history_that_grows_also_by_unchanged_orders(engine: sa.Engine) -> None:
    granted = replace(ORDER, customer=replace(ORDER.customer, consent=GRANTED))
    withdrawn = replace(ORDER, customer=replace(ORDER.customer, consent=WITHDRAWN))
    load(engine, [granted, replace(granted, external_id="1002")])
    assert counts(load(engine, [withdrawn])) == (0, 0, 1, 0, 0)
    load(engine, [granted, withdrawn])
    assert [row[3] for row in everything(engine)["consents"]] == ["granted", "withdrawn"]


def test_accounts_and_channels_keep_their_own_orders(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        account = replace(accounts.get(connection, "shop"), id="tea", currency="EUR")
        accounts.ensure(connection, account, now=NOW)
    for account_id, channel in [("shop", "csv"), ("shop", "till"), ("tea", "csv")]:
        assert counts(load(engine, [ORDER], account_id=account_id, channel=channel)) == (1, 0, 0, 0, 0)
    assert [party[1] for party in everything(engine)["parties"]] == ["shop", "tea"]


def test_two_contents_at_one_time_are_a_conflict_and_the_first_stays(engine: sa.Engine) -> None:
    """But what the customer said in it counts: it has a time of its own, and may be a withdrawal."""
    load(engine, [ORDER])
    before = everything(engine)
    contrary = replace(ORDER, total=Decimal("31.00"), customer=replace(ORDER.customer, consent=WITHDRAWN))
    assert counts(load(engine, [contrary, replace(ORDER, external_id="1002")])) == (1, 0, 0, 0, 1)
    after = everything(engine)
    assert after["orders"][0] == before["orders"][0]
    assert [row[3] for row in after["consents"]] == ["withdrawn"]


def test_of_two_states_of_one_second_the_one_seen_later_holds(engine: sa.Engine) -> None:
    """Shopify counts updated_at in seconds, and an order is created and paid within one."""
    created = replace(ORDER, status=OrderStatus.PLACED, observed_at=AT + timedelta(milliseconds=200))
    paid = replace(ORDER, observed_at=AT + timedelta(milliseconds=700))
    again = replace(created, observed_at=AT + timedelta(milliseconds=300))
    for number, arrival in enumerate(permutations([created, paid, again])):
        for one in arrival:
            assert load(engine, [replace(one, external_id=str(number))])["conflict"] == 0
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.orders.c.status))) == {"paid"}


def test_an_unchanged_state_that_was_seen_again_is_newer_than_one_seen_in_between(engine: sa.Engine) -> None:
    def seen(order: Order, second: int) -> Order:
        return replace(order, observed_at=AT + timedelta(seconds=second))

    other = replace(ORDER, status=OrderStatus.PLACED)
    arrivals = [seen(ORDER, 1), seen(other, 2), seen(ORDER, 3)]
    for number, arrival in enumerate(permutations(arrivals)):
        load(engine, [replace(one, external_id=str(number)) for one in arrival])
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.orders.c.status))) == {"paid"}


def test_ten_thousand_deliveries_in_any_order_leave_each_order_once(engine: sa.Engine) -> None:
    random = Random(7)
    unique = [replace(ORDER, external_id=str(n), customer=Customer(str(n % 500), None), lines=()) for n in range(4000)]
    deliveries = [order for order in unique for _ in range(random.randint(1, 4))]
    random.shuffle(deliveries)
    tally = Counter()
    for start in range(0, len(deliveries), 1000):
        tally += load(engine, deliveries[start : start + 1000])
    assert counts(tally) == (4000, 0, len(deliveries) - 4000, 0, 0)
    with database.read(engine) as connection:
        total = connection.execute(sa.select(sa.func.count(), sa.func.sum(tables.orders.c.total))).one()
        assert tuple(total) == (4000, Decimal(120_000))
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.parties)) == 500


def test_a_deleted_order_stays_deleted_until_a_later_change_whatever_comes_first(engine: sa.Engine) -> None:
    gone = Deletion("", AT + timedelta(days=1))
    restored = later(ORDER, 2)
    for number, arrival in enumerate(permutations([ORDER, gone, later(ORDER, 1), replace(gone, deleted_at=AT)])):
        for one in arrival:
            load(engine, [replace(one, external_id=f"deleted-{number}")])
    for number, arrival in enumerate(permutations([ORDER, gone, restored])):
        for one in arrival:
            load(engine, [replace(one, external_id=f"restored-{number}")])
    order = tables.orders.c
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(order.external_id, order.deleted_at)).all()
    assert {row.deleted_at for row in rows if row.external_id.startswith("deleted")} == {gone.deleted_at}
    assert {row.deleted_at for row in rows if row.external_id.startswith("restored")} == {None}
    assert len(rows) == 24 + 6


def test_the_timeline_is_replaced_with_the_order(engine: sa.Engine) -> None:
    paid = OrderEvent(OrderStep.PAID, AT, "t1", Decimal(30))
    parcel = OrderEvent(OrderStep.SHIPPED, AT + timedelta(days=1), "f1", None, "DHL", "123", "https://dhl.example/123")
    load(engine, [replace(ORDER, events=(paid,))])
    load(engine, [later(ORDER, 1, events=(paid, parcel))])
    event = tables.order_events.c
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(event.step, event.amount, event.tracking_number).order_by(event.position))
        assert [tuple(row) for row in rows] == [("paid", Decimal(30), None), ("shipped", None, "123")]


def test_the_rest_of_the_model_is_kept(engine: sa.Engine) -> None:
    whole = replace(
        ORDER,
        number="#1001",
        kind=OrderKind.REPLACEMENT,
        replaces="900",
        tax=Decimal("4.79"),
        shipping=Decimal(5),
        discount=Decimal(2),
        coupons=("SPRING", "VIP"),
        shop_currency="EUR",
        shop_total=Decimal("27.50"),
        shop_refunded=Decimal(0),
        notify=False,
        customer=replace(ORDER.customer, locale="de-DE", relay=True, email=None),
    )
    load(engine, [whole])
    row = only(engine, tables.orders)
    assert (row.number, row.kind, row.replaces, row.notify) == ("#1001", "replacement", "900", False)
    assert (row.tax, row.shipping, row.discount, row.coupons) == (Decimal("4.79"), 5, 2, "SPRING,VIP")
    assert (row.shop_currency, row.shop_total, row.shop_refunded) == ("EUR", Decimal("27.50"), 0)
    party = only(engine, tables.parties)
    assert (party.locale, party.relay, party.address_hash) == ("de-DE", True, None)


def test_an_unknown_account_loads_nothing(engine: sa.Engine) -> None:
    with pytest.raises(accounts.UnknownAccount):
        load(engine, [ORDER], account_id="tee")
    assert not any(everything(engine).values())


def test_an_old_order_that_changes_late_brings_no_old_address_back(engine: sa.Engine) -> None:
    old = replace(ORDER, customer=replace(ORDER.customer, email="old@example.com", first_name="Ann"))
    new = replace(ORDER, external_id="1002", placed_at=AT + timedelta(days=9), updated_at=AT + timedelta(days=9))
    archived = later(old, 30, status=OrderStatus.COMPLETED)
    for number, arrival in enumerate(permutations([old, new, archived])):
        for one in arrival:
            customer = replace(one.customer, external_id=f"c{number}")
            load(engine, [replace(one, external_id=f"{number}-{one.external_id}", customer=customer)])
    party = tables.parties.c
    with database.read(engine) as connection:
        assert {tuple(row) for row in connection.execute(sa.select(party.email, party.first_name))} == {
            ("Anna@Example.com", "Anna")
        }


def test_a_customer_whom_the_channel_erased_is_erased_whatever_comes_first(engine: sa.Engine) -> None:
    gone = later(ORDER, 5, customer=Customer("42", None, redacted=True))
    for number, arrival in enumerate(permutations([ORDER, later(ORDER, 1), gone])):
        for one in arrival:
            customer = replace(one.customer, external_id=f"c{number}")
            load(engine, [replace(one, external_id=str(number), customer=customer)])
    party = tables.parties.c
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(party.email, party.address_hash, party.first_name, party.erased_at)).all()
    assert {tuple(row) for row in rows} == {(None, None, None, NOW)}
    with database.read(engine) as connection:  # nobody is to write to her by her address either
        assert set(connection.scalars(sa.select(tables.suppressions.c.reason))) == {"erased"}


def test_not_subscribed_is_a_withdrawal_only_against_a_grant(engine: sa.Engine) -> None:
    seen = Consent(ConsentStatus.WITHDRAWN, SEEN, "adobe", "", AT + timedelta(days=1))
    load(engine, [replace(ORDER, customer=replace(ORDER.customer, consent=seen))])
    assert everything(engine)["consents"] == []  # never asked
    elsewhere = replace(GRANTED, occurred_at=AT - timedelta(days=90), source="till")
    load(
        engine, [replace(ORDER, customer=replace(ORDER.customer, consent=elsewhere))], channel="till", numbering="till"
    )
    load(engine, [later(ORDER, 1, customer=replace(ORDER.customer, consent=seen))])
    assert [row[3] for row in everything(engine)["consents"]] == ["granted", "withdrawn"]
