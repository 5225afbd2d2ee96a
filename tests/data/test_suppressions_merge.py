"""ESPs' lists read into ours."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, esp_listings, list_differences, suppressions_merge, tables
from domain.ports import ListedSuppression, ListsCutShort
from domain.suppression import Reason
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER
from tests.data.refusals import HOUR, blocked, keep, lift, new


def on_record(engine: sa.Engine) -> Sequence[sa.Row]:
    with database.read(engine) as connection:
        return connection.execute(sa.select(tables.suppressions).order_by(tables.suppressions.c.reason)).all()


def listed(
    address: str, reason: Reason | None = Reason.HARD_BOUNCE, at: datetime = NOW, listing: str = "bounces"
) -> ListedSuppression:
    return ListedSuppression(address, reason, at, "550 <[address]> unknown", listing)


def merge(engine: sa.Engine, *entries: ListedSuppression, now: datetime = NOW + HOUR) -> suppressions_merge.MergeReport:
    return suppressions_merge.merge_listed(
        engine, account_id="shop", provider="sendgrid", listed=entries, pepper=PEPPER, now=now
    )


def without_times(at: datetime) -> ListedSuppression:
    """An entry of the unsubscribe group, read then."""
    return ListedSuppression("a@example.com", Reason.UNSUBSCRIBE, at, "", "groups/42", dated=False)


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
            return suppressions_merge.read_until(connection, account_id=account, provider="sendgrid")

        assert read_until("shop") is None
        for until in (NOW + HOUR, NOW):
            suppressions_merge.advance(connection, account_id="shop", provider="sendgrid", until=until)
            assert read_until("shop") == NOW + HOUR
        suppressions_merge.advance(connection, account_id="shop", provider="sendgrid", until=NOW + 2 * HOUR)
        assert read_until("shop") == NOW + 2 * HOUR
        assert read_until("other") is None


def test_a_block_is_evidence_and_suppresses_nobody(engine: sa.Engine, account_id: str) -> None:
    report = merge(engine, listed("a@example.com", None, listing="blocks"))
    assert (report.listed, report.added, report.evidence) == (1, 0, 1)
    assert on_record(engine) == []
    with database.read(engine) as connection:
        hashed = ledger_rows.addresses.address_hash("a@example.com", PEPPER)
        (row,) = esp_listings.of_address(connection, hashed, now=NOW)
    assert (row.provider, row.listing, row.reason, row.words) == (
        "sendgrid",
        "blocks",
        None,
        "550 <[address]> unknown",
    )


def test_what_we_put_there_does_not_come_back_as_the_customers_word(engine: sa.Engine, account_id: str) -> None:
    hashed = ledger_rows.addresses.address_hash("a@example.com", PEPPER)
    with database.write(engine) as connection:
        esp_listings.about_to_put(connection, "sendgrid", "unsubscribes", [hashed], now=NOW)
    own = listed("a@example.com", Reason.UNSUBSCRIBE, NOW, "unsubscribes")
    report = merge(engine, own)
    assert (report.added, report.echoes) == (0, 1)
    assert on_record(engine) == []
    # What she said before that, or on another list, is hers.
    assert merge(engine, listed("a@example.com", Reason.UNSUBSCRIBE, NOW - HOUR, "unsubscribes")).added == 1
    assert merge(engine, listed("a@example.com", Reason.COMPLAINT, NOW, "spam_reports")).added == 1


def test_an_entry_a_day_after_we_put_her_there_is_her_own_word(engine: sa.Engine, account_id: str) -> None:
    hashed = ledger_rows.addresses.address_hash("a@example.com", PEPPER)
    with database.write(engine) as connection:
        esp_listings.about_to_put(connection, "sendgrid", "unsubscribes", [hashed], now=NOW)
    for hours, own in ((0, False), (23, False), (25, True)):
        later = NOW + hours * HOUR
        report = merge(engine, listed("a@example.com", Reason.UNSUBSCRIBE, later, "unsubscribes"), now=later)
        assert (report.added, report.echoes) == ((1, 0) if own else (0, 1)), hours


def test_what_was_put_on_a_list_without_times_once_more_is_no_word_of_hers(engine: sa.Engine, account_id: str) -> None:
    """A night died before the ESP answered, and two days later it is put there again."""
    hashed = ledger_rows.addresses.address_hash("a@example.com", PEPPER)
    for days in (0, 2):
        with database.write(engine) as connection:
            at = NOW + timedelta(days=days)
            esp_listings.about_to_put(connection, "sendgrid", "groups/42", [hashed], now=at)
    report = merge(engine, without_times(NOW + timedelta(days=3)), now=NOW + timedelta(days=3))
    assert (report.added, report.echoes) == (0, 1)


@pytest.mark.parametrize(
    ("told_by", "days", "read_before", "stands"),
    [
        ("esp:sendgrid", 0.9, None, False),
        ("esp:sendgrid", 2.9, 3, False),
        ("esp:sendgrid", 2.9, 2.92, True),
        ("one-click", 2.9, 3, True),
    ],
)
def test_a_new_entry_of_a_list_without_times_undoes_a_lift_unless_a_webhook_told_it(
    engine: sa.Engine, account_id: str, told_by: str, days: float, read_before: float | None, stands: bool
) -> None:
    """She left an hour before she agreed again. By the ESP's link, since its list was read last: it is that entry."""
    hashed = ledger_rows.addresses.address_hash("a@example.com", PEPPER)
    now = NOW + timedelta(days=30)
    lifted_at = now - timedelta(days=days)
    keep(engine, replace(new(Reason.UNSUBSCRIBE, hashed, at=lifted_at - HOUR), source=told_by))
    lift(engine, hashed, at=lifted_at)
    if read_before is not None:
        with database.write(engine) as connection:
            until = now - timedelta(days=read_before)
            suppressions_merge.advance(connection, account_id="shop", provider="sendgrid", until=until)
    for reading in range(3):
        merge(engine, without_times(now + reading * HOUR), now=now + reading * HOUR)
        assert bool(blocked(engine)) is stands


def test_a_member_who_was_not_changed_since_the_lift_undoes_none(engine: sa.Engine, account_id: str) -> None:
    """Mailchimp tells the latest time that it can be."""
    hashed = ledger_rows.addresses.address_hash("a@example.com", PEPPER)
    keep(engine, new(Reason.UNSUBSCRIBE, hashed))
    lift(engine, hashed, at=NOW + 3 * HOUR)
    merge(engine, without_times(NOW + 2 * HOUR), now=NOW + 24 * HOUR)
    assert blocked(engine) == {}


def test_who_reads_long_lists_shows_that_he_lives(engine: sa.Engine, account_id: str) -> None:
    many = [listed(f"c{n}@example.com") for n in range(2500)]
    signs: list[int] = []
    suppressions_merge.merge_listed(
        engine,
        account_id="shop",
        provider="sendgrid",
        listed=many,
        pepper=PEPPER,
        now=NOW,
        alive=lambda: signs.append(len(blocked(engine))),
    )
    assert signs == [1000, 2000, 2500], "after each thousand, which are kept by then"


def test_what_an_esp_told_before_it_cut_its_lists_short_is_kept_and_nothing_is_forgotten(
    engine: sa.Engine, account_id: str
) -> None:
    def cut() -> Iterator[ListedSuppression]:
        yield from (listed(f"c{n}@example.com") for n in range(3))
        raise ListsCutShort("no more than three")

    merge(engine, listed("old@example.com"))
    facts = {"account_id": "shop", "provider": "sendgrid", "pepper": PEPPER}
    report = list_differences.observe(engine, listed=cut(), now=NOW + 2 * HOUR, **facts)
    assert (report.added, report.cut_short) == (3, "no more than three")
    with database.read(engine) as connection:
        count = sa.select(sa.func.count()).select_from(tables.esp_listings)
        assert connection.scalar(count) == 4
    list_differences.observe(engine, listed=[listed("c1@example.com")], now=NOW + 3 * HOUR, **facts)
    with database.read(engine) as connection:
        assert connection.scalar(count) == 1, "read whole, it says what is gone"
    assert len(blocked(engine)) == 4, "absence lifts nothing"


def test_what_was_read_before_an_esp_failed_is_kept(engine: sa.Engine, account_id: str) -> None:
    def cut():
        yield from (listed(f"c{n}@example.com") for n in range(1500))
        raise RuntimeError("gone")

    try:
        merge(engine, *())  # nothing is nothing
        suppressions_merge.merge_listed(
            engine, account_id="shop", provider="sendgrid", listed=cut(), pepper=PEPPER, now=NOW
        )
    except RuntimeError:
        pass
    assert len(blocked(engine)) == 1000
