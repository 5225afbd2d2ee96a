"""What reconciliation reads of a large account: each message once, whatever the number of batches."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, reconciliation_figures, reconciliation_reading, tables
from domain.esp_record import Measure
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow

BATCHES, SIZE = 200, 1_000
MESSAGES = BATCHES * SIZE


@pytest.fixture
def large(engine: sa.Engine, account_id: str) -> sa.Engine:
    """A run of 200 batches; all messages but those of the last batch were delivered."""
    rows = [BatchRow(SIZE * n, SIZE * n + SIZE - 1, attempt=f"a{n}") for n in range(BATCHES)]
    with database.write(engine) as connection:
        ledger_rows.add_run(connection, account_id, [], rows)
        attempt = tables.batch_attempts.update()
        connection.execute(attempt.values(claimed_at=NOW, finished_at=NOW, messages=SIZE, provider="sendgrid"))
        state = tables.message_delivery.c
        connection.execute(
            tables.message_delivery.insert(),
            [
                {"run_id": "run1", "ordinal": n, "seen": 4, "severity": 0, state.delivered_at.name: NOW}
                for n in range(MESSAGES - SIZE)
            ],
        )
        connection.exec_driver_sql("ANALYZE")
    return engine


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(one for part in node.get("Plans", []) for one in _nodes(part))]


def _read(connection: sa.Connection) -> tuple[list[Any], list[str]]:
    """The result of both readings, and the rows of message_delivery that PostgreSQL looked at in each."""
    looked: list[str] = []

    def explained(_connection: sa.Connection, _c: object, statement: str, parameters: Any, *_: object) -> None:
        if "message_delivery" not in statement or statement.startswith("EXPLAIN"):
            return
        if connection.dialect.name == "sqlite":
            looked.append(str(connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()))
            return
        # Of 200,000 messages PostgreSQL still chooses well by itself, of a million no more (tests/data/test_results.py).
        assert "LATERAL" in statement
        raw = connection.exec_driver_sql("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, parameters).scalar_one()
        plan = raw if isinstance(raw, list) else json.loads(raw)
        looked.append(str(sum(_rows(one) for one in _nodes(plan[0]["Plan"]))))

    sa.event.listen(connection, "before_cursor_execute", explained)
    day = NOW.date()
    accepted = reconciliation_reading.accepted(connection, NOW - timedelta(days=1), account_id="shop")
    counts, _ = reconciliation_figures.figures(connection, "sendgrid", day, day)
    return [accepted, counts], looked


def _rows(node: dict[str, Any]) -> int:
    if node.get("Relation Name") != "message_delivery":
        thrown = node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
        return int(thrown)
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def test_each_message_is_looked_at_once_and_not_once_a_batch(large: sa.Engine) -> None:
    with database.read(large) as connection:
        (accepted, counts), looked = _read(connection)
    assert sum(one.messages for one in accepted) == MESSAGES
    assert [one.silent for one in accepted if one.silent] == [SIZE]  # a batch without any row is there, too
    assert counts[NOW.date(), "campaign of run1", Measure.DELIVERED] == MESSAGES - SIZE
    assert looked
    for plan in looked:
        if large.dialect.name == "sqlite":
            assert "(run_id=? AND ordinal>? AND ordinal<?)" in plan
        else:
            assert int(plan) <= 2 * MESSAGES, "over all pairs it would be 200 times as many"
