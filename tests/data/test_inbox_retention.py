"""Raw bodies lose their bytes once they are old and applied, and only then."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, inbox, inbox_retention, replays, tables
from data.dead_letters import State
from data.replays import Which
from domain.delivery import DeliveryEvent, EventKind
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.plain_events import PROVIDER, body_of, process, receive

KEPT = timedelta(days=30)
OVER = NOW + KEPT + timedelta(seconds=1)
KNOWN = DeliveryEvent(PROVIDER, EventKind.DELIVERED, NOW, message_id="run1.0", address=ledger_rows.address(0))
STRAY = DeliveryEvent(PROVIDER, EventKind.OPENED, NOW, message_id="gone.1", address="jane@example.com")


@pytest.fixture
def run(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 1)
        ledger_rows.add_run(connection, account_id, ids, [BatchRow(0, 0, attempt="a0")])


def purge(engine: sa.Engine, now=OVER) -> int:
    return inbox_retention.purge(engine, before=now - KEPT)


def overdue(engine: sa.Engine) -> int:
    with database.read(engine) as connection:
        return inbox_retention.overdue(connection, before=OVER - KEPT)


def states(engine: sa.Engine) -> list[str]:
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.webhook_inbox).order_by(tables.webhook_inbox.c.id)).all()
    assert all((row.state == "emptied") == (row.body == b"") for row in rows)
    return [row.state for row in rows]


def test_what_was_applied_is_kept_for_its_days_and_no_longer(engine: sa.Engine, run: None) -> None:
    receive(engine, body_of(KNOWN))
    process(engine)
    assert purge(engine, OVER - timedelta(seconds=1)) == 0
    assert overdue(engine) == 1
    assert purge(engine) == 1
    assert (states(engine), overdue(engine), purge(engine)) == (["emptied"], 0, 0)
    receive(engine, body_of(KNOWN))
    assert states(engine) == ["emptied"], "an ESP that repeats it is still known to repeat it"


def test_all_go_in_small_turns(engine: sa.Engine, run: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_retention, "_AT_ONCE", 2)
    receive(engine, *(body_of(KNOWN, text) for text in "abcde"))
    with database.write(engine) as connection:
        connection.execute(tables.webhook_inbox.update().values(state="done", processed_at=NOW))
    assert purge(engine) == 5
    assert set(states(engine)) == {"emptied"}


def test_what_waits_or_failed_or_was_refused_is_kept(engine: sa.Engine, run: None) -> None:
    receive(engine, b"poison", body_of(KNOWN, "refused"))
    for _ in range(inbox.STRIKES):
        process(engine)
    receive(engine, body_of(KNOWN))
    assert states(engine) == ["dead", "done", "pending"]
    assert purge(engine) == 0
    with database.write(engine) as connection:
        connection.execute(tables.dead_letters.update().values(state=State.DISCARDED, ended_at=OVER))
    assert purge(engine) == 2, "a person looked at both, and said that they are nothing"
    assert states(engine) == ["emptied", "emptied", "pending"]


def test_a_dead_body_of_which_a_letter_was_mended_once_is_kept(engine: sa.Engine, run: None) -> None:
    receive(engine, b"poison")
    for _ in range(inbox.STRIKES):
        process(engine)
    with database.write(engine) as connection:
        connection.execute(tables.dead_letters.update().values(state=State.FIXED, ended_at=OVER))
    assert (purge(engine), states(engine)) == (0, ["dead"])


def test_what_waits_for_its_message_is_kept_until_it_is_given_up(engine: sa.Engine, run: None) -> None:
    receive(engine, body_of(KNOWN, STRAY))
    process(engine)
    assert purge(engine) == 0
    with database.write(engine) as connection:
        connection.execute(tables.unplaced_events.update().values(next_try_at=None, given_up_at=OVER))
    assert purge(engine) == 1


def test_an_emptied_body_is_not_read_again(engine: sa.Engine, run: None) -> None:
    receive(engine, body_of(KNOWN))
    process(engine)
    purge(engine)
    which = Which(since=NOW - timedelta(days=1))
    with database.write(engine) as connection:
        assert replays.replay(connection, which, by="me", now=OVER) == []
        assert replays.emptied(connection, which) == 1
    assert states(engine) == ["emptied"]
