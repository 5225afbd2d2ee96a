"""Who comes off an ESP's lists by itself: who agreed again, and who is to be asked once more; nobody else."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, esp_listings, list_exits, suppressions, suppressions_merge, suppressions_push, tables
from data.suppressions import NewSuppression
from domain.suppression import Reason, Scope
from tests.data import ledger_rows
from tests.data.esp import Esp
from tests.data.ledger_rows import NOW, PEPPER, address, hash_of
from tests.data.refusals import HOUR, blocked, keep, lift, new

DAY = timedelta(days=1)
LONG_AGO = datetime.fromtimestamp(0, NOW.tzinfo)


@pytest.fixture
def shop(engine: sa.Engine, account_id: str) -> sa.Engine:
    with database.write(engine) as connection:
        ledger_rows.add_parties(connection, "shop", 4)
    return engine


def merge(engine: sa.Engine, esp: Esp, account_id: str = "shop") -> int:
    return suppressions_merge.merge_listed(
        engine,
        account_id=account_id,
        provider="esp",
        listed=esp.suppressions(LONG_AGO, esp.now),
        pepper=PEPPER,
        now=esp.now,
    ).added


def night(engine: sa.Engine, esp: Esp) -> int:
    """As `reconcile` does; how many were new to us."""
    added = merge(engine, esp)
    suppressions_push.push(engine, account_id="shop", provider="esp", sink=esp, shared=False, clock=lambda: esp.now)
    with database.write(engine) as connection:
        suppressions_merge.advance(connection, account_id="shop", provider="esp", until=esp.now)
    return added


def leave(engine: sa.Engine, esp: Esp, *, shared: bool = False) -> int:
    with database.read(engine) as connection:
        due = list_exits.due(connection, now=esp.now)
    return list_exits.leave(engine, due, sink=esp, shared=shared, clock=lambda: esp.now)


def agree(engine: sa.Engine, number: int, at: datetime) -> None:
    """As data.preferences.agree lifts."""
    with database.write(engine) as connection:
        suppressions.lift(
            connection,
            account_id="shop",
            address_hash=hash_of(number),
            actor=suppressions.HERSELF,
            reason="agreed again on the preference page",
            now=at,
            only=[Reason.UNSUBSCRIBE],
        )


def there(esp: Esp) -> set[tuple[str, str]]:
    return set(esp.lists)


class TestWhoAgreedAgain:
    def test_comes_off_the_list_that_we_put_her_on_and_stays_off_it(self, shop: sa.Engine) -> None:
        esp = Esp(NOW)
        keep(shop, new(Reason.UNSUBSCRIBE, hash_of(0)), new(Reason.UNSUBSCRIBE, hash_of(1)))
        night(shop, esp)
        assert there(esp) == {("group", address(0)), ("group", address(1))}
        assert leave(shop, esp) == 0, "nobody agreed yet"
        esp.now += HOUR
        agree(shop, 0, esp.now)
        assert leave(shop, esp) == 1
        assert there(esp) == {("group", address(1))}
        assert leave(shop, esp) == 0
        for _ in range(3):
            esp.now += DAY
            assert night(shop, esp) == 0
        assert there(esp) == {("group", address(1))}
        assert blocked(shop) == {hash_of(1): "unsubscribe"}

    @pytest.mark.parametrize("listing", ["global", "group"])
    def test_comes_off_the_list_where_she_left_by_the_esps_own_link(self, shop: sa.Engine, listing: str) -> None:
        esp = Esp(NOW)
        esp.bounced(listing, address(0))
        night(shop, esp)
        esp.now += HOUR
        agree(shop, 0, esp.now)
        assert leave(shop, esp) == 1
        assert there(esp) == set()

    def test_an_answer_that_got_lost_is_asked_for_again(self, shop: sa.Engine) -> None:
        esp = Esp(NOW)
        keep(shop, new(Reason.UNSUBSCRIBE, hash_of(0)), new(Reason.UNSUBSCRIBE, hash_of(1)))
        night(shop, esp)
        esp.now += HOUR
        agree(shop, 0, esp.now)
        agree(shop, 1, esp.now)
        lost = Lossy(esp, {address(0)})
        with database.read(shop) as connection:
            due = list_exits.due(connection, now=esp.now)
        with pytest.raises(ConnectionResetError):
            list_exits.leave(shop, due, sink=lost, shared=False, clock=lambda: esp.now)
        assert there(esp) == set(), "the other one does not wait for her"
        assert leave(shop, esp) == 1
        assert leave(shop, esp) == 0

    def test_what_the_esp_keeps_is_asked_for_again_only_when_it_is_read_there_again(self, shop: sa.Engine) -> None:
        esp = Esp(NOW)
        esp.bounced("global", address(0))
        night(shop, esp)
        esp.now += HOUR
        agree(shop, 0, esp.now)
        stubborn = Stubborn(esp)
        for _ in range(3):
            with database.read(shop) as connection:
                due = list_exits.due(connection, now=esp.now)
            assert list_exits.leave(shop, due, sink=stubborn, shared=False, clock=lambda: esp.now) == 0
        assert stubborn.asked == 1
        with database.read(shop) as connection:
            assert len(esp_listings.of_address(connection, hash_of(0), now=esp.now)) == 1

    def test_a_call_counts_whatever_came_of_it(self, shop: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        """The others are asked for a minute later."""
        monkeypatch.setattr(list_exits, "_MOST_CALLS", 2)
        esp = Esp(NOW)
        for number in range(3):
            esp.bounced("global", address(number))
        night(shop, esp)
        esp.now += HOUR
        for number in range(3):
            agree(shop, number, esp.now)
        stubborn = Stubborn(esp)
        for asked in (2, 3, 3):
            with database.read(shop) as connection:
                due = list_exits.due(connection, now=esp.now)
            list_exits.leave(shop, due, sink=stubborn, shared=False, clock=lambda: esp.now)
            assert stubborn.asked == asked

    def test_a_list_that_another_refusal_needs_keeps_her(self, shop: sa.Engine) -> None:
        esp = Esp(NOW)
        keep(shop, new(Reason.UNSUBSCRIBE, hash_of(0)), new(Reason.MANUAL, hash_of(0)))
        night(shop, esp)
        esp.now += HOUR
        agree(shop, 0, esp.now)
        assert leave(shop, esp) == 0
        assert there(esp) == {("group", address(0))}

    def test_somebody_elses_lift_takes_nobody_off_in_silence(self, shop: sa.Engine) -> None:
        esp = Esp(NOW)
        keep(shop, new(Reason.UNSUBSCRIBE, hash_of(0)))
        night(shop, esp)
        lift(shop, hash_of(0))
        esp.now += 2 * HOUR
        assert leave(shop, esp) == 0

    def test_who_left_anew_after_that_stays_on_the_list(self, shop: sa.Engine) -> None:
        esp = Esp(NOW)
        keep(shop, new(Reason.UNSUBSCRIBE, hash_of(0)))
        agree(shop, 0, NOW + HOUR)
        esp.now += 2 * DAY
        esp.bounced("global", address(0))
        assert night(shop, esp) == 1
        assert leave(shop, esp) == 0
        assert blocked(shop) == {hash_of(0): "unsubscribe"}

    def test_who_left_anew_in_a_webhook_outage_is_refused_and_stays_on_the_list(self, shop: sa.Engine) -> None:
        """The group tells no times: what it says for the first time after she agreed may be her later word."""
        esp = Esp(NOW)
        keep(shop, new(Reason.UNSUBSCRIBE, hash_of(0)))
        night(shop, esp)
        esp.now += 17 * HOUR
        agree(shop, 0, esp.now)
        assert leave(shop, esp) == 1
        esp.now += 4 * HOUR
        esp.bounced("group", address(0))
        esp.now += 3 * HOUR
        assert night(shop, esp) == 1
        for _ in range(3):
            assert leave(shop, esp) == 0
            assert blocked(shop) == {hash_of(0): "unsubscribe"}
            assert there(esp) == {("group", address(0))}
            esp.now += DAY
            assert night(shop, esp) == 0

    def test_who_left_by_the_esps_link_and_agreed_before_its_list_was_read_comes_off(self, shop: sa.Engine) -> None:
        """A webhook told it, so the entry is that word. When she is off and leaves once more, it is a new one."""
        esp = Esp(NOW)
        night(shop, esp)
        esp.now += HOUR
        esp.bounced("group", address(0))
        keep(shop, replace(new(Reason.UNSUBSCRIBE, hash_of(0), at=esp.now), source="esp:esp"))
        agree(shop, 0, esp.now + HOUR)
        esp.now += DAY
        assert night(shop, esp) == 0
        assert leave(shop, esp) == 1
        assert (there(esp), blocked(shop)) == (set(), {})
        esp.bounced("group", address(0))
        esp.now += DAY
        assert night(shop, esp) == 1
        assert leave(shop, esp) == 0
        assert blocked(shop) == {hash_of(0): "unsubscribe"}

    def test_an_entry_newer_than_her_word_waits_until_it_is_read_as_hers(self, shop: sa.Engine) -> None:
        """Another account reads the shared lists first."""
        esp = Esp(NOW)
        with database.write(shop) as connection:
            ledger_rows.add_account(connection, "other")
        keep(shop, new(Reason.UNSUBSCRIBE, hash_of(0)))
        agree(shop, 0, NOW + HOUR)
        esp.now += 2 * DAY
        esp.bounced("global", address(0))
        assert merge(shop, esp, "other") == 1
        assert leave(shop, esp) == 0
        assert merge(shop, esp) == 1

    def test_a_list_of_two_accounts_keeps_whom_the_other_one_refuses(self, shop: sa.Engine) -> None:
        esp = Esp(NOW)
        with database.write(shop) as connection:
            ledger_rows.add_account(connection, "other")
        esp.bounced("global", address(0))
        night(shop, esp)
        theirs = replace(new(Reason.COMPLAINT, hash_of(0)), account_id="other")
        keep(shop, theirs)
        esp.now += HOUR
        agree(shop, 0, esp.now)
        assert leave(shop, esp, shared=True) == 0
        with database.write(shop) as connection:
            connection.execute(tables.suppressions.delete().where(tables.suppressions.c.account_id == "other"))
        keep(shop, replace(theirs, scope=Scope.ACCOUNT))
        assert leave(shop, esp, shared=True) == 1, "what is between her and the other shop is no list's"


class Lossy(Esp):
    """Takes nobody of `lost` off, and does not answer."""

    def __init__(self, esp: Esp, lost: set[str]) -> None:
        super().__init__(esp.now)
        self.lists, self.lost = esp.lists, lost

    def take_off(self, listing: str, address: str) -> bool:
        super().take_off(listing, address)
        if address in self.lost:
            raise ConnectionResetError
        return True


class Stubborn(Esp):
    """Takes nobody off."""

    def __init__(self, esp: Esp) -> None:
        super().__init__(esp.now)
        self.lists, self.asked = esp.lists, 0

    def take_off(self, listing: str, address: str) -> bool:
        self.asked += 1
        return False


BOUNCE = NewSuppression(
    "shop", hash_of(0), Reason.HARD_BOUNCE, "esp:esp", "bounced event: inbox 1, element 0", NOW, NOW + 7 * DAY
)


class TestWhoIsAskedOnceMore:
    def test_the_esps_list_makes_the_bounce_none_for_good_and_lets_the_next_mail_out(self, shop: sa.Engine) -> None:
        esp = Esp(NOW + HOUR)
        keep(shop, BOUNCE)
        esp.bounced("bounces", address(0))
        for _ in range(6):
            assert night(shop, esp) == 0
            assert leave(shop, esp) == 0, "in its seven days nothing is to be sent"
            esp.now += DAY
        assert blocked(shop, now=esp.now) == {hash_of(0): "hard_bounce"}
        esp.now = NOW + 7 * DAY
        assert night(shop, esp) == 0
        assert leave(shop, esp) == 1
        assert there(esp) == set()
        assert blocked(shop, now=esp.now) == {}

    def test_the_second_bounce_is_for_good_and_stays_on_the_list(self, shop: sa.Engine) -> None:
        esp = Esp(NOW + HOUR)
        keep(shop, BOUNCE)
        esp.bounced("bounces", address(0))
        night(shop, esp)
        esp.now = NOW + 8 * DAY
        leave(shop, esp)
        esp.bounced("bounces", address(0))
        assert night(shop, esp) == 1
        assert leave(shop, esp) == 0
        assert blocked(shop, now=NOW + 400 * DAY) == {hash_of(0): "hard_bounce"}

    def test_a_bounce_after_a_recovery_is_a_first_one_again(self, shop: sa.Engine) -> None:
        esp = Esp(NOW + HOUR)
        keep(shop, BOUNCE)
        again = NOW + 100 * DAY
        keep(shop, replace(BOUNCE, created_at=again, expires_at=again + 7 * DAY))
        esp.now = again + HOUR
        esp.bounced("bounces", address(0))
        assert night(shop, esp) == 0, "its entry is of the bounce that is on record"
        esp.now = again + 7 * DAY
        assert night(shop, esp) == 0
        assert leave(shop, esp) == 1
        assert blocked(shop, now=esp.now) == {}

    def test_an_older_entry_and_one_against_somebody_else_are_read_as_ever(self, shop: sa.Engine) -> None:
        esp = Esp(NOW - 30 * DAY)
        esp.bounced("bounces", address(0))
        esp.bounced("bounces", address(1))
        keep(shop, BOUNCE)
        esp.now = NOW + HOUR
        assert merge(shop, esp) == 2
        assert blocked(shop, now=NOW + 400 * DAY) == dict.fromkeys((hash_of(0), hash_of(1)), "hard_bounce")
