"""Our suppressions on an ESP's lists, and both ways together: after a sync nothing differs."""

from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa

from data import database, esp_listings, list_differences, suppressions_merge, suppressions_push, tables
from data.esp_listings import Seen
from data.list_differences import ListDifference
from data.suppressions_push import PushReport
from domain.suppression import Reason, Scope
from tests.data import ledger_rows
from tests.data.esp import Esp
from tests.data.ledger_rows import NOW, PEPPER, address, hash_of
from tests.data.refusals import HOUR, blocked, keep, lift, new
from tests.data.test_mailbox_cost import steps

LONG_AGO = datetime.fromtimestamp(0, NOW.tzinfo)


@pytest.fixture
def shop(engine: sa.Engine, account_id: str) -> sa.Engine:
    with database.write(engine) as connection:
        ledger_rows.add_parties(connection, "shop", 8)
    return engine


def push(engine: sa.Engine, esp: Esp, *, shared: bool = False) -> PushReport:
    return suppressions_push.push(
        engine, account_id="shop", provider="esp", sink=esp, shared=shared, clock=lambda: esp.now
    )


def merge(engine: sa.Engine, esp: Esp) -> int:
    report = suppressions_merge.merge_listed(
        engine,
        account_id="shop",
        provider="esp",
        listed=esp.suppressions(LONG_AGO, esp.now),
        pepper=PEPPER,
        now=esp.now,
    )
    return report.added


def differences(engine: sa.Engine, esp: Esp, *, shared: bool = False) -> dict[str, ListDifference]:
    esp.now += HOUR
    list_differences.observe(
        engine,
        account_id="shop",
        provider="esp",
        listed=esp.suppressions(LONG_AGO, esp.now),
        pepper=PEPPER,
        now=esp.now,
    )
    with database.read(engine) as connection:
        found = list_differences.differences(
            connection, account_id="shop", provider="esp", sink=esp, shared=shared, now=esp.now
        )
    return {one.listing: one for one in found}


def test_each_scope_goes_to_its_list_and_a_second_night_puts_nothing(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    keep(
        shop,
        new(Reason.HARD_BOUNCE, hash_of(0)),
        new(Reason.UNSUBSCRIBE, hash_of(1)),
        new(Reason.MANUAL, hash_of(2), scope=Scope.ACCOUNT),
        new(Reason.HARD_BOUNCE, "of-nobody-whose-address-we-have"),
    )
    assert push(shop, esp) == PushReport(pushed=3)
    assert set(esp.lists) == {("global", address(0)), ("global", address(2)), ("group", address(1))}
    assert push(shop, esp) == PushReport()
    keep(shop, new(Reason.COMPLAINT, hash_of(3)))
    assert push(shop, esp) == PushReport(pushed=1)


def test_what_the_esp_refuses_already_is_not_put_there_again(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    esp.bounced("bounces", address(0))
    merge(shop, esp)
    assert blocked(shop) == {hash_of(0): "hard_bounce"}
    assert push(shop, esp) == PushReport()


def test_without_a_group_marketing_is_not_put_where_it_would_stop_all_mail(shop: sa.Engine) -> None:
    esp = Esp(NOW, group=False)
    keep(shop, new(Reason.UNSUBSCRIBE, hash_of(1)))
    assert push(shop, esp) == PushReport()


def test_what_expires_what_was_lifted_and_who_was_erased_stay_here(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    keep(
        shop,
        new(Reason.SOFT_LIMIT, hash_of(0), expires_at=NOW + HOUR),
        new(Reason.MANUAL, hash_of(1)),
        new(Reason.ERASED, hash_of(2)),
        new(Reason.COMPLAINT, hash_of(2)),
        new(Reason.COMPLAINT, hash_of(3)),
    )
    lift(shop, hash_of(1))
    with database.write(shop) as connection:
        party = tables.parties
        connection.execute(party.update().where(party.c.address_hash == hash_of(3)).values(erased_at=NOW))
    assert push(shop, esp) == PushReport()


def test_what_one_account_refuses_alone_stays_off_a_shared_list(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    keep(
        shop,
        new(Reason.HARD_BOUNCE, hash_of(0)),
        new(Reason.UNSUBSCRIBE, hash_of(1)),
        new(Reason.MANUAL, hash_of(2), scope=Scope.ACCOUNT),
    )
    assert push(shop, esp, shared=True) == PushReport(pushed=1)
    assert set(esp.lists) == {("global", address(0))}
    assert all(one.equal for one in differences(shop, esp, shared=True).values())


def test_a_night_that_died_in_the_middle_is_finished_and_nothing_returns_as_the_customers_word(
    shop: sa.Engine,
) -> None:
    esp = Esp(NOW)
    keep(shop, *(new(Reason.HARD_BOUNCE, hash_of(n)) for n in range(6)))
    esp.dies_after = 1  # two were taken and said so, two were taken and the answer was lost
    with pytest.raises(ConnectionResetError):
        push(shop, esp)
    esp.dies_after, esp.now = None, NOW + HOUR
    assert merge(shop, esp) == 0, "what we put there is no unsubscribe"
    push(shop, esp)
    assert {one for _, one in esp.lists} == {address(n) for n in range(6)}
    assert sum(len(some) for _, some in esp.puts) <= 6 + esp.at_once
    assert set(blocked(shop).values()) == {"hard_bounce"}
    assert all(one.equal for one in differences(shop, esp).values())


def test_an_address_that_the_esp_does_not_take_is_counted_and_holds_nobody_up(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    keep(shop, *(new(Reason.HARD_BOUNCE, hash_of(n)) for n in range(4)))
    esp.refuses = {address(1)}
    assert push(shop, esp) == PushReport(pushed=3, refused=1)
    assert push(shop, esp) == PushReport(refused=1)


def test_differences_are_told_list_by_list_and_are_none_after_a_sync(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    esp.bounced("bounces", address(0))
    esp.bounced("group", address(1))
    esp.bounced("spam", "somebody@elsewhere.example.com")
    keep(shop, new(Reason.COMPLAINT, hash_of(2)), new(Reason.UNSUBSCRIBE, hash_of(3)))
    first = differences(shop, esp)
    assert {name: (one.on_the_list, one.only_there, one.only_here) for name, one in first.items()} == {
        "bounces": (1, 0, 0),
        "spam": (1, 0, 0),
        "global": (0, 0, 1),
        "group": (1, 0, 1),
    }
    push(shop, esp)
    after = differences(shop, esp)
    assert all(one.equal for one in after.values())
    assert {name: one.on_the_list for name, one in after.items()} == {"bounces": 1, "spam": 1, "global": 1, "group": 2}


def test_what_only_the_esp_has_is_counted_until_it_is_merged(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    esp.bounced("bounces", address(0))
    merge(shop, esp)
    with database.write(shop) as connection:
        connection.execute(tables.suppressions.delete())
        found = list_differences.differences(
            connection, account_id="shop", provider="esp", sink=esp, shared=False, now=NOW
        )
    assert {one.listing: one.only_there for one in found} == {"bounces": 1, "spam": 0, "global": 0, "group": 0}


def test_what_vanished_there_stays_here_and_is_put_back(shop: sa.Engine) -> None:
    esp = Esp(NOW)
    esp.bounced("bounces", address(0))
    merge(shop, esp)
    esp.lists.clear()
    assert differences(shop, esp)["global"].only_here == 1
    assert blocked(shop) == {hash_of(0): "hard_bounce"}
    assert push(shop, esp) == PushReport(pushed=1)
    assert all(one.equal for one in differences(shop, esp).values())


@pytest.mark.parametrize("listing", ["spam", "group"])
def test_what_was_lifted_here_is_told_and_not_merged_again(shop: sa.Engine, listing: str) -> None:
    """Also on a list that has no times: it says today what it said before the lift."""
    esp = Esp(NOW)
    esp.bounced(listing, address(0))
    merge(shop, esp)
    lift(shop, hash_of(0))
    found = differences(shop, esp)[listing]
    assert (found.lifted_here, found.equal) == (1, True)
    assert blocked(shop) == {}


@pytest.mark.parametrize(
    ("standing", "lifting", "lists"),
    [
        ([Reason.UNSUBSCRIBE], [Reason.UNSUBSCRIBE], ["global", "group"]),
        ([Reason.HARD_BOUNCE], [Reason.HARD_BOUNCE], ["bounces", "global"]),
        # The global list is the bounce's too, and the group nobody else's.
        ([Reason.HARD_BOUNCE, Reason.UNSUBSCRIBE], [Reason.UNSUBSCRIBE], ["group"]),
        ([Reason.HARD_BOUNCE, Reason.UNSUBSCRIBE], [Reason.HARD_BOUNCE], ["bounces"]),
    ],
)
def test_no_address_comes_off_a_list_that_another_reason_needs(
    shop: sa.Engine, standing: list[Reason], lifting: list[Reason], lists: list[str]
) -> None:
    esp = Esp(NOW)
    keep(shop, *(new(reason, hash_of(0)) for reason in standing))
    push(shop, esp)
    with database.read(shop) as connection:
        found = suppressions_push.to_take_off(
            connection,
            account_id="shop",
            address_hash=hash_of(0),
            lifting=lifting,
            provider="esp",
            sink=esp,
            shared=False,
            now=NOW,
        )
    assert found == lists


@pytest.mark.parametrize(
    ("scope", "shared", "lists"),
    [
        (Scope.ALL, True, ["group"]),
        (Scope.ALL, False, ["global", "group"]),
        (Scope.ACCOUNT, True, ["global", "group"]),
    ],
)
def test_what_another_account_refuses_keeps_its_list_where_both_mail_through_it(
    shop: sa.Engine, scope: Scope, shared: bool, lists: list[str]
) -> None:
    esp = Esp(NOW)
    with database.write(shop) as connection:
        ledger_rows.add_account(connection, "other")
    keep(
        shop,
        new(Reason.UNSUBSCRIBE, hash_of(0)),
        replace(new(Reason.COMPLAINT, hash_of(0), scope=scope), account_id="other"),
    )
    with database.read(shop) as connection:
        found = suppressions_push.to_take_off(
            connection,
            account_id="shop",
            address_hash=hash_of(0),
            lifting=[Reason.UNSUBSCRIBE],
            provider="esp",
            sink=esp,
            shared=shared,
            now=NOW,
        )
    assert found == lists


def test_who_is_suppressed_no_more_comes_off_whatever_refuses_her_there(shop: sa.Engine) -> None:
    """A bounce that was the sender's fault is evidence only, and the ESP refuses her mail for it all the same."""
    with database.write(shop) as connection:
        seen = [Seen(one, hash_of(0), NOW, None, "550 5.7.1") for one in ("bounces", "blocks")]
        esp_listings.note(connection, "esp", seen, now=NOW)
        found = suppressions_push.to_take_off(
            connection,
            account_id="shop",
            address_hash=hash_of(0),
            lifting=[],
            provider="esp",
            sink=Esp(NOW),
            shared=False,
            now=NOW,
        )
    assert found == ["bounces"]


def test_who_needs_a_list_of_several_accounts_is_found_without_reading_all_refusals(sqlite_url: str) -> None:
    """In SQLite's own steps, however fast the machine is."""
    engine = database.engine_for(sqlite_url)
    facts = {"lifting": [Reason.UNSUBSCRIBE], "provider": "esp", "sink": Esp(NOW), "shared": True, "now": NOW}
    costs = []
    for account_id, many in (("shop", 50), ("other", 5000)):
        with database.write(engine) as connection:
            ledger_rows.add_account(connection, account_id)
        keep(engine, *(replace(new(address_hash=f"h{n}"), account_id=account_id) for n in range(many)))
        with database.read(engine) as connection, steps(connection) as count:
            suppressions_push.to_take_off(connection, account_id="shop", address_hash="h7", **facts)
        costs.append(count[0])
    assert costs[1] <= costs[0] + 5
