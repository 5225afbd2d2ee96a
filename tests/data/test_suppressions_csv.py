"""Suppressions as CSV: out, back in, and what a file may hold instead of rows."""

import csv
import io
import tracemalloc
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, suppressions, suppressions_csv, tables
from data.suppressions import NewSuppression
from data.suppressions_csv import Defaults, UnusableFile
from domain.suppression import Reason, Scope
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER
from tests.data.refusals import HOUR, blocked, keep, lift, new

HASH = "0a" * 32


def test_the_export_executes_nothing_in_a_spreadsheet(engine: sa.Engine, account_id: str) -> None:
    evil = ['=HYPERLINK("x")', "+1", "-1", "@SUM", "\tx", "\rx", "\uff1d1", "plain, with a comma"]
    for source in evil:
        with database.write(engine) as connection:
            row = NewSuppression("shop", f"h{source}", Reason.MANUAL, source, "evidence", NOW, NOW + HOUR)
            suppressions.add_many(connection, [row])
    file = io.StringIO(newline="")
    with database.read(engine) as connection:
        assert suppressions_csv.export_csv(connection, "shop", file) == len(evil)
    head, *rows = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert head == ["address_hash", "reason", "scope", "source", "created_at", "expires_at"]
    assert {row[3] for row in rows} == {f"'{source}" for source in evil[:-1]} | {evil[-1]}
    assert rows[0][4:] == ["2026-11-22T09:00:00+00:00", "2026-11-22T10:00:00+00:00"]


def exported(engine: sa.Engine, account: str = "shop") -> str:
    file = io.StringIO(newline="")
    with database.read(engine) as connection:
        suppressions_csv.export_csv(connection, account, file)
    return file.getvalue()


def imported(
    engine: sa.Engine, text: str, account: str = "shop", *, dry_run: bool = False, **defaults
) -> tuple[suppressions_csv.ImportReport, dict[int, str]]:
    bad: dict[int, str] = {}
    report = suppressions_csv.import_csv(
        engine,
        account_id=account,
        file=io.StringIO(text, newline=""),
        name="list.csv",
        defaults=Defaults(**{"reason": Reason.MANUAL, **defaults}),
        pepper=PEPPER,
        now=NOW,
        dry_run=dry_run,
        refuse=bad.__setitem__,
    )
    return report, bad


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'"])
def test_every_start_of_a_formula_is_harmless_outside_and_itself_again_inside(
    engine: sa.Engine, account_id: str, first: str
) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        row = NewSuppression("shop", HASH, Reason.MANUAL, f"{first}cmd", "evidence", NOW)
        suppressions.add_many(connection, [row])
    text = exported(engine)
    (_, cells) = csv.reader(io.StringIO(text, newline=""))
    assert cells[3] == f"'{first}cmd"
    imported(engine, text, "other")
    assert exported(engine, "other") == text


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
moments = st.datetimes(min_value=(NOW - timedelta(days=999)).replace(tzinfo=None), max_value=NOW.replace(tzinfo=None))
rows = st.tuples(
    st.integers(0, 5),
    st.sampled_from(Reason),
    st.sampled_from(Scope),
    st.one_of(words, st.sampled_from(["=1", "'=1", "'", "''", " x ", "a,b", 'a"b', "a\r\nb"])),
    moments,
    st.one_of(st.none(), st.integers(1, 10_000_000)),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, max_size=8))
def test_what_is_exported_comes_back_as_it_was(engine: sa.Engine, account_id: str, found: list[tuple]) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.suppressions.delete())
        connection.execute(tables.accounts.delete().where(tables.accounts.c.id == "other"))
        ledger_rows.add_account(connection, "other")
        suppressions.add_many(
            connection,
            [
                NewSuppression(
                    "shop",
                    f"{number:064x}",
                    reason,
                    source,
                    "evidence",
                    (at := naive.replace(tzinfo=NOW.tzinfo)),
                    None if seconds is None else at + timedelta(seconds=seconds),
                    scope,
                )
                for number, reason, scope, source, naive, seconds in found
            ],
        )
    text = exported(engine)
    report, bad = imported(engine, text, "other")
    assert bad == {}
    assert report.kept == report.rows == len(list(csv.reader(io.StringIO(text, newline="")))) - 1
    assert exported(engine, "other") == text
    assert imported(engine, text, "other")[0].kept == 0


def test_addresses_are_hashed_and_a_row_that_says_more_goes_before_the_defaults(
    engine: sa.Engine, account_id: str
) -> None:
    text = (
        "Address,reason,SCOPE,created_at,expires_at,name\n"
        "Customer1@Outlook.com,,,,,Jane\n"
        "customer2@example.com,unsubscribe,all,2026-11-01,2026-12-01T00:00:00+01:00,Joe\n"
    )
    report, bad = imported(engine, text, reason=Reason.COMPLAINT)
    assert (report.rows, report.kept, report.bad, report.ignored_columns, bad) == (2, 2, 0, ("name",), {})
    with database.read(engine) as connection:
        first, second = connection.execute(sa.select(tables.suppressions).order_by(tables.suppressions.c.reason)).all()
    assert (first.address_hash, first.reason, first.scope) == (ledger_rows.hash_of(1), "complaint", "all")
    assert (first.created_at, first.evidence) == (NOW, "list.csv, line 2")
    assert (second.reason, second.scope, second.expires_at.isoformat()) == (
        "unsubscribe",
        "all",
        "2026-11-30T23:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("nonsense,,,,", "one @"),
        (",,,,", "neither"),
        (",xyz,,,", "64 hexadecimal"),
        (f"customer1@outlook.com,{HASH},,,", "not of one mailbox"),
        ("a@example.com,,bogus,,", "reason is none of"),
        ("a@example.com,,,yesterday,", "created_at is no time"),
        ("a@example.com,,,2030-01-01,", "lies ahead"),
        ("a@example.com,,,2026-01-02,2026-01-01", "not after"),
        ("a@example.com,,,,,more,cells", "more cells"),
        ("a\0@example.com,,,,", "NUL"),
        ("a\ufffd@example.com,,,,", "UTF-8"),
        ('"a"b@example.com,,,,', "no CSV"),
        ("'=1+1@example.com,,,9999-99-99,", "no time"),
    ],
)
def test_a_bad_row_is_named_without_its_address_and_the_others_are_kept(
    engine: sa.Engine, account_id: str, row: str, told: str
) -> None:
    text = f"address,address_hash,reason,created_at,expires_at\n{row}\ncustomer1@outlook.com,,,,\n"
    report, bad = imported(engine, text)
    assert (report.rows, report.kept, report.bad) == (2, 1, 1)
    ((line, problem),) = bad.items()
    assert line == 2
    assert told in problem
    assert "example.com" not in problem


def test_a_row_without_a_reason_needs_one_for_all(engine: sa.Engine, account_id: str) -> None:
    _, bad = imported(engine, "address\na@example.com\n", reason=None)
    assert "no reason" in bad[2]


@pytest.mark.parametrize("text", ["", "name,reason\nJane,manual\n", "address,address\na@example.com,b@example.com\n"])
def test_a_file_that_is_none_keeps_nothing(engine: sa.Engine, account_id: str, text: str) -> None:
    with pytest.raises(UnusableFile, match="first line"):
        imported(engine, text)


def test_a_dry_run_says_the_same_and_keeps_nothing(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(Reason.MANUAL, ledger_rows.hash_of(1)))
    text = "address\ncustomer1@outlook.com\ncustomer2@example.com\nnonsense\n"
    dry, bad = imported(engine, text, dry_run=True)
    assert (dry.rows, dry.kept, dry.known, dry.bad, list(bad)) == (3, 1, 1, 1, [4])
    assert len(blocked(engine)) == 1
    assert imported(engine, text) == (dry, bad)
    assert len(blocked(engine)) == 2


def test_what_was_lifted_stands_again_only_for_a_newer_reason(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(Reason.MANUAL, HASH, at=NOW - 3 * HOUR))
    lift(engine, HASH, at=NOW - HOUR)
    assert imported(engine, f"address_hash,created_at\n{HASH},{(NOW - 2 * HOUR).isoformat()}\n")[0].kept == 0
    assert imported(engine, f"address_hash\n{HASH}\n")[0].kept == 1


class _Lines(io.TextIOBase):
    """A file that is made while it is read."""

    def __init__(self, count: int) -> None:
        self.lines = ("address_hash\n" if n == 0 else f"{n:064x}\n" for n in range(count + 1))

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        return next(self.lines)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_memory_does_not_grow_with_the_file(engine: sa.Engine, account_id: str) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        suppressions_csv.import_csv(
            engine,
            account_id="shop",
            file=_Lines(count),
            name="x",
            defaults=Defaults(Reason.MANUAL),
            pepper=PEPPER,
            now=NOW,
            dry_run=False,
            refuse=lambda line, problem: None,
        )
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1000)  # what is imported and compiled once
    assert peak(12_000) < 1.5 * peak(3000)


@pytest.mark.parametrize(
    "text",
    [
        "email,reason\nCUSTOMER1@outlook.com,550 5.1.1 no such user\n",
        "Email Address;Status\ncustomer1@outlook.com;cleaned, 2026\n",
        '"E-Mail","name"\n"customer1@outlook.com","Jane"\n',
    ],
)
def test_what_esps_export_is_read(engine: sa.Engine, account_id: str, text: str) -> None:
    report, bad = imported(engine, text, reason=Reason.HARD_BOUNCE)
    assert (report.kept, bad) == (1, {})
    with database.read(engine) as connection:
        (row,) = connection.execute(sa.select(tables.suppressions)).all()
    assert (row.address_hash, row.reason, row.evidence) == (ledger_rows.hash_of(1), "hard_bounce", "list.csv, line 2")


def test_words_of_an_esp_are_no_reason_by_themselves(engine: sa.Engine, account_id: str) -> None:
    text = "email,reason\ncustomer1@outlook.com,550 5.1.1 no such user\n"
    assert "reason is none of" in imported(engine, text, reason=None)[1][2]


def test_a_file_without_heads_is_told_what_it_has_and_no_address(engine: sa.Engine, account_id: str) -> None:
    with pytest.raises(suppressions_csv.UnusableFile, match="a first line that says address") as caught:
        imported(engine, "customer1@outlook.com\ncustomer2@example.com\n")
    assert "customer1" not in str(caught.value)
    with pytest.raises(suppressions_csv.UnusableFile, match="it has 'Name', 'City'"):
        imported(engine, "Name,City\nJane,Bonn\n")
