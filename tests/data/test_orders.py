from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from data import accounts, database, dead_letters, orders, tables
from data.channels import csv_orders
from data.dead_letters import BadRow
from data.orders import IntakeReport
from domain.addresses import address_hash
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Order, OrderLine, OrderStatus
from tests.conftest import NOW, PEPPER

PAYLOADS = Path(__file__).parents[1] / "payloads" / "orders"
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
KEPT = (tables.parties, tables.orders, tables.order_lines, tables.consents, tables.dead_letters, tables.intake_files)


def load(engine: sa.Engine, items: Iterable[Order | BadRow], **other) -> IntakeReport:
    given = {"account_id": "shop", "channel": "csv", "source_name": "may.csv", "pepper": PEPPER, "now": NOW}
    return orders.load(engine, items, **(given | other))


def everything(engine: sa.Engine) -> dict[str, list[tuple]]:
    with database.read(engine) as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in KEPT
        }


def only(engine: sa.Engine, table: sa.Table) -> sa.Row:
    with database.read(engine) as connection:
        return connection.execute(sa.select(table)).one()


def counts(report: IntakeReport) -> tuple[int, ...]:
    return (report.loaded, report.updated, report.unchanged, report.stale, report.dead)


def later(order: Order, days: int, **changes) -> Order:
    return replace(order, updated_at=order.updated_at + timedelta(days=days), **changes)


pytestmark = pytest.mark.usefixtures("account_id")


def test_an_order_becomes_its_customer_its_row_and_its_lines(engine: sa.Engine) -> None:
    order = replace(ORDER, customer=replace(ORDER.customer, consent=GRANTED))
    assert load(engine, [order]) == IntakeReport(rows=2, loaded=1, updated=0, unchanged=0, stale=0, dead=0)
    party = only(engine, tables.parties)
    assert (party.external_id, party.email, party.first_name, party.country) == ("42", "Anna@Example.com", "Anna", "DE")
    assert party.address_hash == address_hash("anna@example.com", PEPPER)
    assert (party.mailbox_provider, party.created_at, party.updated_at) == ("other", NOW, AT)
    row = only(engine, tables.orders)
    assert (row.party_id, row.channel, row.external_id, row.status) == (party.id, "csv", "1001", "paid")
    assert (row.total, row.refunded, row.currency, row.is_test) == (Decimal(30), Decimal(0), "USD", False)
    assert (row.placed_at, row.updated_at, row.cancelled_at) == (AT, AT, None)
    assert everything(engine)["order_lines"] == [
        (row.id, 1, "TEA", "Tea", "Tea", 2, Decimal(20)),
        (row.id, 2, "CUP", None, None, 1, Decimal(10)),
    ]
    consent = only(engine, tables.consents)
    assert (consent.party_id, consent.status, consent.basis, consent.source, consent.wording, consent.occurred_at) == (
        party.id,
        *("granted", "consent", "checkout", "v3", AT),
    )


@pytest.mark.parametrize("name", ["good.csv", "bad.csv"])
def test_the_same_file_twice_changes_nothing(engine: sa.Engine, name: str) -> None:
    path = PAYLOADS / name
    given = {"source_name": name, "content_hash": csv_orders.fingerprint(path)}
    first = load(engine, csv_orders.read(path), **given)
    before = everything(engine)
    again = load(engine, csv_orders.read(path), **given, now=NOW + timedelta(days=1))
    assert everything(engine) == before
    assert again == replace(first, loaded=0, unchanged=first.loaded)
    assert first.rows == csv_orders.count_rows(path) == len(before["order_lines"]) + len(before["dead_letters"])
    file = only(engine, tables.intake_files)
    assert (file.name, file.rows, file.loaded, file.dead) == (name, first.rows, first.loaded, first.dead)


def test_bad_rows_are_kept_with_file_row_and_reason_and_the_rest_is_loaded(engine: sa.Engine) -> None:
    report = load(engine, csv_orders.read(PAYLOADS / "bad.csv"), source_name="bad.csv")
    assert (report.loaded, report.dead) == (2, 22)
    with database.read(engine) as connection:
        letters = dead_letters.listing(connection, "shop", source="csv")
    assert {letter.location for letter in letters} == {"bad.csv"}
    by_row = {letter.row.row_number: letter.row for letter in letters}
    assert sorted(by_row) == list(range(3, 25))
    assert by_row[9].reason == "refunded_total is larger than order_total"
    assert by_row[9].payload["order_id"] == "2008"


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


def test_two_contents_at_one_time_are_a_conflict_for_a_person(engine: sa.Engine) -> None:
    other = replace(ORDER, external_id="1002", customer=Customer("7", None))
    load(engine, [ORDER])
    before = everything(engine)
    contrary = replace(ORDER, total=Decimal("31.00"), customer=replace(ORDER.customer, consent=WITHDRAWN))
    bad = BadRow(2, "status is empty", {"order_id": "1"})
    assert counts(load(engine, [bad, contrary, other], source_name="june.csv")) == (1, 0, 0, 0, 3)
    after = everything(engine)
    assert after["orders"][0] == before["orders"][0]
    assert after["consents"] == []
    with database.read(engine) as connection:
        first, second, _ = dead_letters.listing(connection, "shop")
    assert [first.row.row_number, second.row.row_number] == [3, 4]
    assert first.row.reason.startswith("conflict")
    assert (first.row.payload["external_id"], first.row.payload["line"]["sku"]) == ("1001", "TEA")
    assert first.row.priority == 31


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


def test_ten_thousand_deliveries_in_any_order_leave_each_order_once(engine: sa.Engine) -> None:
    random = Random(7)
    unique = [replace(ORDER, external_id=str(n), customer=Customer(str(n % 500), None), lines=()) for n in range(4000)]
    deliveries = [order for order in unique for _ in range(random.randint(1, 4))]
    random.shuffle(deliveries)
    seen: list[int] = []
    report = load(engine, deliveries, progress=seen.append)
    assert (report.loaded, report.loaded + report.unchanged, report.rows) == (4000, len(deliveries), len(deliveries))
    assert seen == sorted(set(seen))
    assert seen[-1] == len(deliveries)
    with database.read(engine) as connection:
        total = connection.execute(sa.select(sa.func.count(), sa.func.sum(tables.orders.c.total))).one()
        assert tuple(total) == (4000, Decimal(120_000))
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.parties)) == 500


def test_guests_are_one_customer_in_any_case_of_letters_and_registered_ones_are_never_merged(engine: sa.Engine) -> None:
    def by(number: str, customer_id: str, email: str | None) -> Order:
        return replace(ORDER, external_id=number, customer=Customer(customer_id, email))

    load(
        engine,
        [
            by("1", "", "bob@example.com"),
            by("2", "", " BOB@Example.com"),
            by("3", "77", "Bob@example.com"),
            by("4", "", "b.o.b@gmail.com"),
            by("5", "", "bob@gmail.com"),
            by("6", "", None),
            by("7", "", None),
        ],
    )
    with database.read(engine) as connection:
        rows = connection.execute(
            sa.select(tables.orders.c.external_id, tables.parties.c.id, tables.parties.c.address_hash)
            .join_from(tables.orders, tables.parties, tables.parties.c.id == tables.orders.c.party_id)
            .order_by(tables.orders.c.external_id)
        ).all()
        assert not connection.scalars(
            sa.select(tables.parties.c.external_id).where(tables.parties.c.external_id.contains("@"))
        ).all()
    ids = [row.id for row in rows]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 6
    assert rows[0].address_hash == rows[2].address_hash is not None  # one mailbox, suppressed and capped as one
    assert rows[3].address_hash == rows[4].address_hash is not None


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


@pytest.mark.parametrize(
    "change",
    [
        {"updated_at": NOW + timedelta(days=2)},
        {"placed_at": NOW + timedelta(days=2)},
        {"customer": replace(ORDER.customer, consent=replace(GRANTED, occurred_at=NOW + timedelta(days=2)))},
    ],
)
def test_an_order_from_the_future_waits_for_a_person(engine: sa.Engine, change) -> None:
    tomorrow_by_a_wrong_zone = replace(ORDER, external_id="1002", updated_at=NOW + timedelta(hours=20))
    assert counts(load(engine, [replace(ORDER, **change), tomorrow_by_a_wrong_zone])) == (1, 0, 0, 0, 2)
    assert only(engine, tables.orders).external_id == "1002"


def test_accounts_and_channels_keep_their_own_orders(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        account = replace(accounts.get(connection, "shop"), id="tea", currency="EUR")
        accounts.ensure(connection, account, now=NOW)
    for account_id, channel in [("shop", "csv"), ("shop", "till"), ("tea", "csv")]:
        assert counts(load(engine, [ORDER], account_id=account_id, channel=channel)) == (1, 0, 0, 0, 0)
    assert [party[1] for party in everything(engine)["parties"]] == ["shop", "tea"]


def test_an_unknown_account_and_an_unreadable_file_load_nothing(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(accounts.UnknownAccount):
        load(engine, [ORDER], account_id="tee")
    path = tmp_path / "wrong.csv"
    path.write_text("order_id,order_id\n1,1\n")
    with pytest.raises(csv_orders.UnreadableFile):
        load(engine, csv_orders.read(path), content_hash=csv_orders.fingerprint(path))
    assert not any(everything(engine).values())


def test_what_was_committed_stays_when_the_stream_breaks_and_loading_again_completes_it(engine: sa.Engine) -> None:
    whole = [replace(ORDER, external_id=str(n), lines=()) for n in range(4500)]

    def breaking() -> Iterable[Order]:
        yield from whole[:4200]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        load(engine, breaking(), content_hash="abc")
    assert everything(engine)["intake_files"] == []
    assert counts(load(engine, whole, content_hash="abc")) == (500, 0, 4000, 0, 0)
    assert len(everything(engine)["orders"]) == 4500
