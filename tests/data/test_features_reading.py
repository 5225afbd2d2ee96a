"""All at once, some by index, on either database: the same facts of each person."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from data import accounts, database, tables
from data.features import compute, reading
from data.features.facts import Facts
from domain.ledger import BatchState
from tests.data import ledger_rows
from tests.data.ledger_rows import BatchRow

AS_OF = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
ZONE = "Europe/Berlin"
PARTIES = 60


def insert(engine: sa.Engine, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    with database.write(engine) as connection:
        for row in rows:
            connection.execute(table.insert().values(row))


def party(number: int, account: str = "shop", **values) -> dict[str, Any]:
    told = {"id": number, "account_id": account, "external_id": f"c{number}", "created_at": AS_OF, "updated_at": AS_OF}
    return {**told, **values}


def an_order(number: int, party_id: int, account: str = "shop", **values) -> dict[str, Any]:
    return {
        "id": number,
        "account_id": account,
        "channel": "web",
        "external_id": str(number),
        "party_id": party_id,
        "status": "paid",
        "channel_status": "paid",
        "currency": "USD",
        "total": Decimal("19.90"),
        "refunded": Decimal(0),
        "placed_at": AS_OF - DAY,
        "updated_at": AS_OF,
        "is_test": False,
        "content_hash": "x",
        **values,
    }


def some_order(dice: Random, number: int) -> dict[str, Any]:
    total = Decimal(dice.randrange(0, 90000)).scaleb(-2)
    abroad = {"currency": dice.choice(["EUR", "GBP", "JPY"])}
    told = {"shop_currency": "USD", "shop_total": total * 2, "shop_refunded": dice.choice([None, total])}
    return an_order(
        number,
        dice.randrange(1, PARTIES),
        total=total,
        refunded=dice.choice([Decimal(0), Decimal(0), total / 2]).quantize(Decimal("0.01")),
        placed_at=AS_OF - timedelta(microseconds=dice.randrange(-(10**11), 4 * 10**13)),
        channel=dice.choice(["web", "app", "till"]),
        status=dice.choice(["paid", "paid", "paid", "cancelled"]),
        cancelled_at=dice.choice([None, None, None, AS_OF]),
        deleted_at=dice.choice([None, None, None, None, AS_OF]),
        is_test=dice.random() < 0.1,
        kind=dice.choice(["sale"] * 6 + ["credit", "replacement"]),
        discount=dice.choice([None, Decimal(0), Decimal(1)]),
        coupons=dice.choice([None, "", "SPRING", "A,B"]),
        **(dice.choice([{}, {}, abroad, abroad | told])),
    )


def load_shop(engine: sa.Engine) -> None:
    """Persons of several parties, orders of every kind, lines, three live runs, one dry run, and what was heard."""
    dice = Random(11)
    parties = [
        party(
            number,
            person_id=number % 10 + 1 if number > 50 else None,
            country=dice.choice([None, "DE", "US"]),
            locale=dice.choice([None, "de-DE", "en_US", "fr", "C.UTF-8"]),
            numbering=dice.choice(["", "~guest", "web"]),
        )
        for number in range(1, PARTIES + 1)
    ]
    insert(engine, tables.parties, parties)
    insert(engine, tables.orders, [some_order(dice, number) for number in range(1, 401)])
    lines = [
        {
            "order_id": dice.randrange(1, 401),
            "line_no": number,
            "sku": "s",
            "quantity": dice.randrange(0, 4),
            "total": Decimal(1),
            "category": dice.choice([None, "tea", "cups"]),
            "brand": dice.choice([None, "Ace", "Zed"]),
        }
        for number in range(500)
    ]
    insert(engine, tables.order_lines, lines)
    rates = [("EUR", 0, "1.0847"), ("GBP", 0, "0.85431"), ("EUR", 30, "1.1"), ("JPY", 400, "160.25")]
    rates = [(currency, back + step, rate) for currency, back, rate in rates for step in range(0, 200, 7)]
    insert(
        engine,
        tables.currency_rates,
        [
            {"currency": one, "day": (AS_OF - back * DAY).date(), "base": "USD", "rate": rate, "source": "x"}
            | {"recorded_at": AS_OF}
            for (one, back), rate in {(one, back): rate for one, back, rate in rates}.items()
        ],
    )
    add_runs(engine, dice)


def add_runs(engine: sa.Engine, dice: Random) -> None:
    with database.write(engine) as connection:
        for number, live in enumerate([True, True, True, False]):
            people = dice.sample(range(1, PARTIES + 1), 40)
            batches = [
                BatchRow(
                    first, first + 9, state, finished_at=AS_OF - dice.choice([1, 29, 31, 95]) * DAY, exceptions=left
                )
                for first, state, left in [
                    (0, BatchState.ACCEPTED, {3: "suppressed"}),
                    (10, BatchState.REJECTED, {}),
                    (20, BatchState.ACCEPTED, {}),
                    (30, BatchState.HELD, {}),
                ]
            ]
            batches.append(BatchRow(20, 39, BatchState.SPLIT, finished_at=AS_OF - DAY))
            ledger_rows.add_run(connection, "shop", people, batches, run_id=f"run{number}", live=live)
            for ordinal in range(0, 40, 3):
                heard = {"run_id": f"run{number}", "ordinal": ordinal, "seen": 0, "severity": 0}
                times = {
                    name: dice.choice([None, AS_OF - dice.randrange(1, 10**13) * MICROSECOND, AS_OF + MICROSECOND])
                    for name in ("opened_at", "human_opened_at", "clicked_at")
                }
                connection.execute(tables.message_delivery.insert().values(heard | times))


def another_shop(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
    insert(engine, tables.parties, [party(900, "other", country="FR"), party(901, "other", person_id=900)])
    insert(engine, tables.orders, [an_order(9000, 900, "other"), an_order(9001, 901, "other")])
    with database.write(engine) as connection:
        run = ledger_rows.add_run(
            connection, "other", [900], [BatchRow(0, 0, finished_at=AS_OF - DAY)], run_id="theirs"
        )
        heard = {"run_id": run, "ordinal": 0, "seen": 0, "severity": 0, "clicked_at": AS_OF - DAY}
        connection.execute(tables.message_delivery.insert().values(heard))


def everybody(engine: sa.Engine) -> Facts:
    return reading.read(engine, "shop", as_of=AS_OF)


def sorted_frames(facts: Facts) -> Iterator[pd.DataFrame]:
    for frame in (facts.orders, facts.lines, facts.customers, facts.engagement):
        texts = dict.fromkeys(frame.select_dtypes(["category", "str", "object"]).columns, "str")
        yield frame.astype(texts).sort_values(frame.columns.tolist(), ignore_index=True)


def test_some_by_index_are_the_same_as_all_at_once(
    engine: sa.Engine, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_AT_ONCE", 7)
    load_shop(engine)
    another_shop(engine)
    whole = everybody(engine)
    features = compute.features(whole, as_of=AS_OF, zone=ZONE)
    assert len(features) > 30
    assert features.notna().any().all()
    dice = Random(2)
    for parts in (1, 2, 5):
        groups = [[] for _ in range(parts)]
        for person in range(1, PARTIES + 1):
            dice.choice(groups).append(person)
        some = [reading.read(engine, account_id, as_of=AS_OF, persons=[*group, 900, 12345]) for group in groups]
        rows = [compute.features(one, as_of=AS_OF, zone=ZONE) for one in some]
        together = pd.concat(rows, ignore_index=True).sort_values("party_id", ignore_index=True)
        pd.testing.assert_frame_equal(together, features, check_exact=True)
        counts = Counter(one for facts in some for one in facts.orders["order_id"])
        assert max(counts.values()) == 1
        for name in ("orders_converted", "orders_without_rate"):
            assert sum(one.conversion[name] for one in some) == whole.conversion[name]
        if parts == 1:
            for mine, all_of_them in zip(sorted_frames(some[0]), sorted_frames(whole), strict=True):
                pd.testing.assert_frame_equal(mine, all_of_them, check_exact=True)


def test_both_databases_agree_to_the_last_digit(tmp_path, engine: sa.Engine, account_id: str) -> None:
    """Each engine against SQLite: for PostgreSQL this is the comparison, for SQLite a repetition."""
    reference = database.engine_for(f"sqlite:///{tmp_path}/reference.db")
    tables.metadata.create_all(reference)
    with database.read(engine) as connection:
        account = dict(connection.execute(sa.select(tables.accounts)).mappings().one())
    insert(reference, tables.accounts, [account])
    results = []
    for store in (engine, reference):
        load_shop(store)
        results.append(everybody(store))
    reference.dispose()
    for ours, theirs in zip(*map(sorted_frames, results), strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert results[0].conversion == results[1].conversion


def test_deleted_orders_are_not_read_and_the_rest_is_told_by_columns(engine: sa.Engine, account_id: str) -> None:
    insert(engine, tables.parties, [party(1)])
    kinds = [
        ({}, set()),
        ({"deleted_at": AS_OF}, None),
        ({"status": "cancelled"}, {"cancelled"}),
        ({"cancelled_at": AS_OF}, {"cancelled"}),
        ({"is_test": True}, {"is_test"}),
        ({"kind": "replacement"}, {"is_test"}),
        ({"kind": "credit"}, {"is_credit"}),
        ({"discount": Decimal("0.01")}, {"discounted"}),
        ({"discount": Decimal(0), "coupons": ""}, set()),
        ({"coupons": "A"}, {"discounted", "coupon"}),
    ]
    insert(engine, tables.orders, [an_order(number, 1, **values) for number, (values, _) in enumerate(kinds)])
    orders = everybody(engine).orders.set_index("order_id")
    flags = ["cancelled", "is_test", "is_credit", "discounted", "coupon"]
    for number, (_, told) in enumerate(kinds):
        if told is None:
            assert number not in orders.index
        else:
            assert {name for name in flags if orders.loc[number, name]} == told


def test_a_person_is_told_by_whoever_of_the_parties_tells(engine: sa.Engine, account_id: str) -> None:
    insert(
        engine,
        tables.parties,
        [
            party(1, locale="sl-SI"),
            party(2, person_id=1, numbering="web", external_id="9", country="AT", locale="de_AT"),
            party(3, person_id=1, numbering="web", external_id="10", country="DE"),
            party(4, person_id=1, numbering="Web", external_id="99"),
            party(5, locale="C"),
        ],
    )
    insert(engine, tables.orders, [an_order(1, 3), an_order(2, 5)])
    for persons in (None, [1, 5]):
        facts = reading.read(engine, account_id, as_of=AS_OF, persons=persons)
        assert facts.customers.to_dict("records") == [{"party_id": 1, "country": "DE", "language": "sl"}]
        assert sorted(facts.orders["party_id"]) == [1, 5]


def test_a_mail_counts_for_the_person_when_an_esp_took_it(engine: sa.Engine, account_id: str) -> None:
    insert(engine, tables.parties, [party(1), party(2, person_id=1), party(3), party(4)])
    times = [AS_OF, AS_OF - 30 * DAY + MICROSECOND, AS_OF - 30 * DAY, AS_OF - 90 * DAY, AS_OF + MICROSECOND]
    with database.write(engine) as connection:
        for number, at in enumerate(times):
            batches = [
                BatchRow(0, 1, finished_at=at, exceptions={1: "suppressed"}),
                BatchRow(2, 2, BatchState.UNKNOWN, finished_at=at),
                BatchRow(3, 3, BatchState.PLANNED, finished_at=None),
            ]
            people = [1, 3, 4, 2] if number % 2 else [2, 3, 4, 1]
            ledger_rows.add_run(connection, "shop", people, batches, run_id=f"run{number}")
        ledger_rows.add_run(connection, "shop", [3], [BatchRow(0, 0, finished_at=AS_OF)], run_id="dry", live=False)
    for persons in (None, [1, 3, 4]):
        (row,) = reading.read(engine, account_id, as_of=AS_OF, persons=persons).engagement.to_dict("records")
        assert (row["party_id"], row["mails_30d"], row["mails_90d"]) == (1, 2, 3)


def test_only_what_a_person_did_before_the_instant_counts(engine: sa.Engine, account_id: str) -> None:
    insert(engine, tables.parties, [party(1), party(2, person_id=1), party(3)])
    with database.write(engine) as connection:
        for number, people in enumerate([[1, 3], [2, 3], [1, 3]]):
            ledger_rows.add_run(connection, "shop", people, [], run_id=f"run{number}")
            times = [
                {"human_opened_at": AS_OF - (9 - number) * DAY, "clicked_at": AS_OF - number * DAY + MICROSECOND},
                {"opened_at": AS_OF - DAY, "human_opened_at": AS_OF + MICROSECOND},
            ]
            for ordinal, at in enumerate(times):
                row = {"run_id": f"run{number}", "ordinal": ordinal, "seen": 0, "severity": 0, **at}
                connection.execute(tables.message_delivery.insert().values(row))
    for persons in (None, [1, 3]):
        (row,) = reading.read(engine, account_id, as_of=AS_OF, persons=persons).engagement.to_dict("records")
        assert (row["party_id"], row["mails_90d"]) == (1, 0)
        assert row["last_opened_at"] == AS_OF - 7 * DAY
        assert row["last_clicked_at"] == AS_OF - DAY + MICROSECOND


def test_nobody_is_asked_for_and_no_account(engine: sa.Engine, account_id: str) -> None:
    load_shop(engine)
    facts = reading.read(engine, account_id, as_of=AS_OF, persons=[])
    assert [len(frame) for frame in sorted_frames(facts)] == [0, 0, 0, 0]
    assert compute.features(facts, as_of=AS_OF, zone=ZONE).empty
    with pytest.raises(accounts.UnknownAccount):
        reading.read(engine, "nobody", as_of=AS_OF)
