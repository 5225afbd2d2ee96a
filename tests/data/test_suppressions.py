import csv
import io
from collections.abc import Sequence
from datetime import datetime

import pytest
import sqlalchemy as sa

from data import database, suppressions, tables
from data.suppressions import NewSuppression
from domain.ports import ListedSuppression
from domain.suppression import Reason
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER
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
    keep(engine, new())
    assert lift(engine) == 1
    assert blocked(engine) == {}
    assert keep(engine, new(at=at)) == int(stands)
    assert bool(blocked(engine)) is stands
    (row,) = on_record(engine)
    assert row.created_at == NOW


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
    with pytest.raises(ValueError, match="say why"):
        lift(engine, reason=" ")
    assert lift(engine) == 2
    assert lift(engine) == 0
    assert blocked(engine) == {"other": "complaint"}
    with database.read(engine) as connection:
        row = connection.execute(sa.select(tables.audit_log)).one()
    assert (row.actor, row.account_id, row.at) == ("ben", "shop", NOW + HOUR)
    assert row.detail == {"why": "a mistake", "reasons": ["complaint", "unsubscribe"]}


def test_the_listing_is_newest_first_and_paged(engine: sa.Engine, account_id: str) -> None:
    keep(engine, *(new(address_hash=f"h{n}", at=NOW + n * HOUR) for n in range(4)))
    lift(engine, "h2", at=NOW + 9 * HOUR)
    with database.read(engine) as connection:
        rows = suppressions.listing(connection, "shop", limit=2, offset=1)
        assert [row.address_hash for row in rows] == ["h1", "h0"]
        assert rows[0].evidence == "evidence"


def test_the_export_executes_nothing_in_a_spreadsheet(engine: sa.Engine, account_id: str) -> None:
    evil = ['=HYPERLINK("x")', "+1", "-1", "@SUM", "\tx", "\rx", "\uff1d1", "plain, with a comma"]
    for source in evil:
        with database.write(engine) as connection:
            row = NewSuppression("shop", f"h{source}", Reason.MANUAL, source, "evidence", NOW, NOW + HOUR)
            suppressions.add_many(connection, [row])
    file = io.StringIO(newline="")
    with database.read(engine) as connection:
        assert suppressions.export_csv(connection, "shop", file) == len(evil)
    head, *rows = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert head == ["address_hash", "reason", "scope", "source", "created_at", "expires_at"]
    assert {row[3] for row in rows} == {f"'{source}" for source in evil[:-1]} | {evil[-1]}
    assert rows[0][4:] == ["2026-11-22T09:00:00+00:00", "2026-11-22T10:00:00+00:00"]


def listed(address: str, reason: Reason = Reason.HARD_BOUNCE, at: datetime = NOW) -> ListedSuppression:
    return ListedSuppression(address, reason, at, f"550 <{address}> unknown")


def merge(engine: sa.Engine, *entries: ListedSuppression) -> suppressions.MergeReport:
    with database.write(engine) as connection:
        return suppressions.merge_listed(
            connection, account_id="shop", provider="sendgrid", listed=entries, pepper=PEPPER, now=NOW + HOUR
        )


def test_merging_is_a_union_and_absence_lifts_nothing(engine: sa.Engine, account_id: str) -> None:
    assert merge(engine, listed("a@example.com"), listed("A@EXAMPLE.com"), listed("b@example.com")).added == 2
    assert merge(engine, listed("b@example.com", Reason.COMPLAINT)).added == 1
    assert merge(engine).added == 0
    assert len(blocked(engine)) == 2
    assert "@" not in repr(on_record(engine)), "ESPs quote the address in their own words"


def test_an_entry_that_is_no_address_is_counted(engine: sa.Engine, account_id: str) -> None:
    report = merge(engine, listed("not an address"), listed("a@example.com"))
    assert (report.listed, report.added, report.unreadable) == (2, 1, 1)


def test_the_list_read_again_does_not_undo_a_lift_even_from_a_fast_clock(engine: sa.Engine, account_id: str) -> None:
    tomorrow = listed("a@example.com", at=NOW + 24 * HOUR)
    merge(engine, tomorrow)
    lift(engine, ledger_rows.addresses.address_hash("a@example.com", PEPPER), at=NOW + 2 * HOUR)
    assert merge(engine, tomorrow).added == 0
    assert blocked(engine) == {}


def test_many_entries_are_merged_in_parts(engine: sa.Engine, account_id: str) -> None:
    report = merge(engine, *(listed(f"c{n}@example.com") for n in range(2100)))
    assert (report.listed, report.added) == (2100, 2100)


def test_the_cursor_goes_forward_only_and_is_each_accounts_own(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")

        def read_until(account: str) -> datetime | None:
            return suppressions.read_until(connection, account_id=account, provider="sendgrid")

        assert read_until("shop") is None
        for until in (NOW + HOUR, NOW):
            suppressions.advance(connection, account_id="shop", provider="sendgrid", until=until)
            assert read_until("shop") == NOW + HOUR
        suppressions.advance(connection, account_id="shop", provider="sendgrid", until=NOW + 2 * HOUR)
        assert read_until("shop") == NOW + 2 * HOUR
        assert read_until("other") is None
