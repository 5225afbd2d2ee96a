"""What came back by mailbox group: which messages count, and as what."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, results, tables
from domain.delivery import BounceClass, DeliveryEvent, EventKind
from domain.guardrails import Results
from domain.ledger import BatchState
from tests.data import guarded, ledger_rows
from tests.data.guarded import Part
from tests.data.ledger_rows import NOW
from tests.data.plain_events import body_of, process, receive

pytestmark = pytest.mark.usefixtures("account_id")
HOUR = timedelta(hours=1)


def test_each_message_counts_once_in_its_group(engine: sa.Engine) -> None:
    fates = {"delivered": 5, "hard": 1, "blocked": 2, "deferred": 3, "complained": 1, "dropped": 1, "processed": 1}
    run = guarded.run_of(
        engine,
        [
            Part("google", 20, fates),
            Part(None, 4, {"delivered": 2}),
            Part("google", 3, {"delivered": 3}, state=BatchState.UNKNOWN),  # nobody knows whether it went
        ],
    )
    with database.write(engine) as connection:
        connection.execute(
            tables.message_exceptions.insert().values(
                run_id=run.id, ordinal=19, state="suppressed", reason="unsubscribe", created_at=NOW
            )
        )
        found = results.of_run(connection, run.id)
    assert found == {
        "google": Results(accepted=19, heard=12, delivered=6, hard=1, blocked=2, deferred=3, complained=1),
        "mixed": Results(accepted=4, heard=2, delivered=2),
    }


def test_canary_and_time_choose_batches(engine: sa.Engine) -> None:
    run = guarded.run_of(
        engine,
        [
            Part("google", 2, {"hard": 1}, canary=True),
            Part("google", 3, {"delivered": 3}, at=NOW + HOUR),
            Part("google", 4, {"delivered": 1}, at=NOW),
        ],
    )
    with database.write(engine) as connection:
        _pools(connection)
        # Taken at once, and kept by the ESP: it leaves an hour later.
        guarded.route(connection, run.id, 5, pool="main", group="google", send_at=NOW + 2 * HOUR)
        counts = [
            results.of_run(connection, run.id, canary=True),
            results.of_run(connection, run.id, canary=False),
            results.of_run(connection, run.id, since=NOW + HOUR),
            results.of_run(connection, run.id, since=NOW + 2 * HOUR),
            results.of_run(connection, run.id, since=NOW + 3 * HOUR),
        ]
    assert [found.get("google", Results()).accepted for found in counts] == [2, 7, 7, 4, 0]
    assert counts[0]["google"].hard == 1


def _pools(connection: sa.Connection) -> None:
    for name in ("main", "new"):
        connection.execute(
            tables.pools.insert().values(account_id="shop", name=name, stream="marketing", created_at=NOW)
        )


def test_a_pool_is_judged_over_all_runs(engine: sa.Engine) -> None:
    guarded.run_of(engine, [Part("google", 2, {"hard": 1}), Part("yahoo", 2, {"delivered": 2})])
    guarded.run_of(engine, [Part("google", 4, {"delivered": 4}), Part("google", 9, {})], run_id="run2")
    with database.write(engine) as connection:
        _pools(connection)
        guarded.route(connection, "run1", 0, pool="main", group="google", send_at=None)
        guarded.route(connection, "run1", 2, pool="main", group="yahoo", send_at=None)
        guarded.route(connection, "run2", 0, pool="main", group="google", send_at=None)
        guarded.route(connection, "run2", 4, pool="new", group="google", send_at=None)
        found = results.of_pool(connection, "shop", "main", NOW - HOUR)
        assert results.of_pool(connection, "shop", "main", NOW + HOUR) == {}
        assert results.of_pool(connection, "other", "main", NOW - HOUR) == {}
    assert found == {
        "google": Results(accepted=6, heard=5, delivered=4, hard=1),
        "yahoo": Results(accepted=2, heard=2, delivered=2),
    }


def test_real_events_end_in_these_figures(engine: sa.Engine) -> None:
    """Put off and then delivered is no deferral any more, in whichever order the events come."""
    run = guarded.run_of(engine, [Part("google", 4, {})])
    events = [
        (0, EventKind.DELIVERED, None),
        (0, EventKind.DEFERRED, None),
        (1, EventKind.DEFERRED, None),
        (2, EventKind.BOUNCED, BounceClass.HARD),
        (3, EventKind.DROPPED, BounceClass.BLOCK),
    ]
    receive(
        engine,
        body_of(
            *(
                DeliveryEvent(
                    provider="sendgrid",
                    kind=kind,
                    occurred_at=NOW,
                    message_id=ledger_rows.message_id(ordinal),
                    bounce_class=bounce_class,
                )
                for ordinal, kind, bounce_class in events
            )
        ),
    )
    process(engine)
    with database.read(engine) as connection:
        found = results.of_run(connection, run.id)
    assert found == {"google": Results(accepted=4, heard=4, delivered=1, hard=1, blocked=1, deferred=1)}


def test_a_run_is_read_by_ranges_of_its_messages(engine: sa.Engine) -> None:
    """By index, batch by batch. PostgreSQL chooses otherwise for a million messages and no fewer: 120 times as slow."""
    run = guarded.run_of(engine, [Part("google", 1000, {}) for _ in range(100)])
    plans = []

    def explained(connection: sa.Connection, _c: object, statement: str, parameters: object, *_: object) -> None:
        if "message_delivery" in statement and not statement.startswith("EXPLAIN"):
            word = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
            assert connection.dialect.name == "sqlite" or "LATERAL" in statement  # else that choice is PostgreSQL's
            plans.append(str(connection.exec_driver_sql(word + statement, parameters).all()))  # type: ignore[arg-type]

    with database.write(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO message_delivery (run_id, ordinal, seen, severity) WITH RECURSIVE n(i) AS"
            " (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) SELECT 'run1', i, 4, 0 FROM n"
        )
        connection.exec_driver_sql("ANALYZE")
    with database.read(engine) as connection:
        sa.event.listen(connection, "before_cursor_execute", explained)
        assert results.of_run(connection, run.id)["google"].delivered == 100_000
    (plan,) = plans
    if engine.dialect.name == "sqlite":
        assert "USING INDEX sqlite_autoindex_message_delivery_1 (run_id=? AND ordinal>? AND ordinal<?)" in plan
    else:
        assert "Join Filter" not in plan
        assert "ordinal >= batches.first_ordinal" in plan
