from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa

from data import database, suppressions, tables
from domain.suppression import NotLifted, Reason, Scope, Stream
from tests.data.ledger_rows import NOW
from tests.data.refusals import HOUR, blocked, keep, lift, new


def on_record(engine: sa.Engine) -> Sequence[sa.Row]:
    with database.read(engine) as connection:
        return connection.execute(sa.select(tables.suppressions).order_by(tables.suppressions.c.reason)).all()


def test_a_refusal_is_kept_once_with_its_first_time(engine: sa.Engine, account_id: str) -> None:
    assert keep(engine, new(), new(Reason.UNSUBSCRIBE), new(at=NOW + HOUR)) == 2
    assert keep(engine, new(at=NOW + 2 * HOUR)) == 0
    complaint, unsubscribe = on_record(engine)
    assert (complaint.created_at, complaint.scope, unsubscribe.scope) == (NOW, "all", "marketing")


def test_add_says_whether_it_was_news(engine: sa.Engine, account_id: str) -> None:
    row = {"account_id": "shop", "address_hash": "h", "reason": Reason.MANUAL, "source": "cli", "evidence": "phone"}
    with database.write(engine) as connection:
        assert suppressions.add(connection, **row, now=NOW)
        assert not suppressions.add(connection, **row, now=NOW)


@pytest.mark.parametrize(("at", "stands"), [(NOW, False), (NOW + HOUR, False), (NOW + 2 * HOUR, True)])
def test_a_lifted_one_stands_again_for_a_newer_reason_only(
    engine: sa.Engine, account_id: str, at: datetime, stands: bool
) -> None:
    keep(engine, replace(new(), recorded_at=NOW))
    assert lift(engine) == [Reason.COMPLAINT]
    assert blocked(engine) == {}
    assert keep(engine, replace(new(at=at), recorded_at=NOW + 3 * HOUR)) == int(stands)
    assert bool(blocked(engine)) is stands
    (row,) = on_record(engine)
    assert row.created_at == (at if stands else NOW)
    assert row.recorded_at == (NOW + 3 * HOUR if stands else NOW)


def test_old_and_new_reason_in_one_call_stand_again_once(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new())
    lift(engine)
    assert keep(engine, new(at=NOW + 2 * HOUR), new(), new(at=NOW + 3 * HOUR)) == 1
    assert blocked(engine) == {"h": "complaint"}


def test_an_expiry_is_only_ever_prolonged(engine: sa.Engine, account_id: str) -> None:
    for expires_at in (NOW + 2 * HOUR, NOW + HOUR):
        keep(engine, new(Reason.SOFT_LIMIT, expires_at=expires_at))
        assert on_record(engine)[0].expires_at == NOW + 2 * HOUR
    assert keep(engine, new(Reason.SOFT_LIMIT)) == 1
    assert on_record(engine)[0].expires_at is None
    assert keep(engine, new(Reason.SOFT_LIMIT, expires_at=NOW + HOUR)) == 0
    assert on_record(engine)[0].expires_at is None


def test_lifting_needs_a_reason_and_leaves_an_audit_row(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(), new(Reason.UNSUBSCRIBE), new(address_hash="other"))
    with pytest.raises(ValueError, match="say who and why"):
        lift(engine, reason=" ")
    assert lift(engine) == [Reason.COMPLAINT, Reason.UNSUBSCRIBE]
    assert lift(engine) == []
    assert blocked(engine) == {"other": "complaint"}
    with database.read(engine) as connection:
        row = connection.execute(sa.select(tables.audit_log)).one()
    assert (row.actor, row.account_id, row.at) == ("ben", "shop", NOW + HOUR)
    assert row.detail == {"why": "a mistake", "reasons": ["complaint", "unsubscribe"], "asked_for": True}


def test_the_listing_is_newest_first_and_paged(engine: sa.Engine, account_id: str) -> None:
    keep(engine, *(new(address_hash=f"h{n}", at=NOW + n * HOUR) for n in range(4)))
    lift(engine, "h2", at=NOW + 9 * HOUR)
    with database.read(engine) as connection:
        rows = suppressions.listing(connection, "shop", limit=2, offset=1)
        assert [row.address_hash for row in rows] == ["h1", "h0"]
        assert rows[0].evidence == "evidence"


def test_of_one_reason_the_wider_scope_stands_in_whichever_order(engine: sa.Engine, account_id: str) -> None:
    rows = [new(Reason.MANUAL, scope=scope) for scope in (Scope.ACCOUNT, Scope.MARKETING, Scope.ALL)]
    assert [keep(engine, row) for row in rows] == [1, 0, 1]
    assert on_record(engine)[0].scope == "all"
    assert keep(engine, *(new(Reason.MANUAL, "other", scope=row.scope) for row in reversed(rows))) == 1
    assert {row.scope for row in on_record(engine)} == {"all"}


def test_an_account_wide_refusal_stops_both_streams(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(Reason.MANUAL, scope=Scope.ACCOUNT), new(Reason.MANUAL, "other"))
    assert set(blocked(engine)) == {"h", "other"}
    assert set(blocked(engine, Stream.TRANSACTIONAL)) == {"h"}


def test_what_was_over_leaves_no_scope_behind(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(Reason.MANUAL, scope=Scope.ALL, expires_at=NOW + HOUR))
    assert keep(engine, new(Reason.MANUAL, at=NOW + 2 * HOUR)) == 1
    (row,) = on_record(engine)
    assert (row.scope, row.expires_at) == ("marketing", None)


def test_one_reason_can_be_lifted_alone(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(Reason.HARD_BOUNCE), new(Reason.UNSUBSCRIBE))
    assert lift(engine, only=[Reason.UNSUBSCRIBE], asked_for=False) == [Reason.UNSUBSCRIBE]
    assert blocked(engine) == {"h": "hard_bounce"}


@pytest.mark.parametrize(
    ("reason", "asked_for", "told"), [(Reason.COMPLAINT, False, "yes-they-asked"), (Reason.ERASED, True, "erased")]
)
def test_what_must_not_be_lifted_keeps_all_others_too(
    engine: sa.Engine, account_id: str, reason: Reason, asked_for: bool, told: str
) -> None:
    keep(engine, new(reason), new(Reason.MANUAL))
    with pytest.raises(NotLifted, match=told):
        lift(engine, asked_for=asked_for)
    assert len([row for row in on_record(engine) if row.lifted_at is None]) == 2
    assert lift(engine, asked_for=asked_for, only=[Reason.MANUAL]) == [Reason.MANUAL]


def test_the_history_tells_all_and_that_it_was_read(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(), new(Reason.SOFT_LIMIT, expires_at=NOW + HOUR), new(address_hash="other"))
    lift(engine, only=[Reason.COMPLAINT])
    with database.write(engine) as connection:
        rows = suppressions.history(connection, "shop", "h", actor="ann", now=NOW)
        logged = connection.execute(sa.select(tables.audit_log.c.actor, tables.audit_log.c.action)).all()
    assert [(row.reason, row.lifted_at is None) for row in rows] == [("complaint", False), ("soft_limit", True)]
    assert ("ann", "suppressions read") in {tuple(row) for row in logged}
