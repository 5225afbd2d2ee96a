"""Suppressions both ways between our store and a real sandbox ESP, night after night."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa

from data import database, esp_listings, list_differences, reconciliations, suppressions, tables
from domain import addresses
from domain.reconciliation import Difference, Explanation, Kind
from domain.suppression import NotLifted, Reason
from flows.process_delivery_events import process_delivery_events
from flows.reconcile import reconcile
from flows.run_campaign import run_campaign
from providers.sandbox import fate
from tasks import esps, lifting, lists, wiring
from tests.conftest import PEPPER
from tests.data import ledger_rows
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts
from tests.flows.test_run_campaign import live

pytestmark = pytest.mark.slow
_HEADERS = {"Authorization": "Bearer SG.sandbox"}


@pytest.fixture(autouse=True)
def _every_mail_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody bounces, complains or leaves by the sandbox's dice: what is on a list, a test put there."""
    for share in ("_HARD", "_SOFT", "_BLOCK", "_COMPLAINT", "_UNSUBSCRIBE"):
        monkeypatch.setattr(fate, share, 0.0)


def _hash(address: str) -> str:
    return addresses.address_hash(address, PEPPER)


def _globally(esp: Esp) -> set[str]:
    url = f"{esp.url}/v3/suppression/unsubscribes"
    rows = httpx.get(url, headers=_HEADERS, trust_env=False).raise_for_status().json()
    return {row["email"] for row in rows}


def _suppress(engine: sa.Engine, address: str, reason: Reason) -> None:
    with database.write(engine) as connection:
        suppressions.add(
            connection,
            account_id="shop",
            address_hash=_hash(address),
            reason=reason,
            source="cli",
            evidence="x",
            now=wiring.clock(),
        )


def _reasons(engine: sa.Engine) -> set[str]:
    with database.read(engine) as connection:
        return {row.reason for row in suppressions.listing(connection, "shop", limit=100)}


def _differences(engine: sa.Engine) -> list[list_differences.ListDifference]:
    now = wiring.clock()
    list_differences.observe(
        engine,
        account_id="shop",
        provider="sandbox",
        listed=esps.lists("sandbox").suppressions(datetime.fromtimestamp(0, UTC), now + timedelta(minutes=1)),
        pepper=PEPPER,
        now=now,
    )
    sink = esps.lists("sandbox")
    with database.read(engine) as connection:
        return list(
            list_differences.differences(
                connection, account_id="shop", provider="sandbox", sink=sink, shared=False, now=now
            )
        )


def _lift(engine: sa.Engine, address: str, *, at_esp: bool) -> lifting.Lifted:
    asked = lifting.Request("shop", address, _hash(address), None, True, at_esp, "ann", "she wrote")
    return lifting.lift(engine, asked, now=wiring.clock())


def test_what_we_suppress_is_refused_there_comes_back_as_nothing_new_and_can_be_lifted(
    engine: sa.Engine, installation: Esp
) -> None:
    run_campaign(live())
    one, other = ledger_rows.address(0), ledger_rows.address(1)
    _suppress(engine, one, Reason.COMPLAINT)
    _suppress(engine, other, Reason.UNSUBSCRIBE)  # without a group it has no list there
    assert reconcile()["suppressions_put_on_lists"] == 1
    assert _globally(installation) == {one}
    again = reconcile()
    assert (again["suppressions_put_on_lists"], again["suppressions_from_lists"]) == (0, 0)
    assert _reasons(engine) == {"complaint", "unsubscribe"}
    assert all(difference.equal for difference in _differences(engine))

    lifted = _lift(engine, one, at_esp=False)
    assert (lifted.lifted, lifted.still_refused) == ([Reason.COMPLAINT], ["sandbox: unsubscribes"])
    reconcile()
    assert _globally(installation) == {one}, "a lift here takes nothing off there in silence"
    assert [each.lifted_here for each in _differences(engine) if each.listing == "unsubscribes"] == [1]
    assert _reasons(engine) == {"unsubscribe"}

    _suppress(engine, one, Reason.COMPLAINT)
    lifted = _lift(engine, one, at_esp=True)
    assert (lifted.taken_off, lifted.still_refused) == (["sandbox: spam_reports", "sandbox: unsubscribes"], [])
    assert _globally(installation) == set()
    assert reconcile()["suppressions_put_on_lists"] == 0


def test_who_agreed_again_leaves_the_esps_list_within_a_minute_and_stays_off_it(
    engine: sa.Engine, installation: Esp
) -> None:
    run_campaign(live())
    one = ledger_rows.address(0)
    url = f"{installation.url}/v3/asm/suppressions/global"
    body = {"recipient_emails": [one]}
    httpx.post(url, headers=_HEADERS, json=body, trust_env=False).raise_for_status()
    assert reconcile()["suppressions_from_lists"] == 1
    assert process_delivery_events()["taken_off_lists"] == 0
    with database.write(engine) as connection:
        suppressions.lift(
            connection,
            account_id="shop",
            address_hash=_hash(one),
            actor=suppressions.HERSELF,
            reason="agreed again on the preference page",
            now=wiring.clock(),
            only=[Reason.UNSUBSCRIBE],
        )
    assert process_delivery_events()["taken_off_lists"] == 1
    assert _globally(installation) == set()
    assert process_delivery_events()["taken_off_lists"] == 0
    reconcile()
    assert (_globally(installation), _reasons(engine)) == (set(), set())


def _last(engine: sa.Engine) -> tuple[set[str], list[Difference]]:
    """The steps of the last night, and what differed of the lists."""
    with database.read(engine) as connection:
        (night,) = reconciliations.nights(connection, limit=1)
        found = reconciliations.differences(connection, night.id)
    return set(night.steps), [one for one in found if one.kind is Kind.SUPPRESSION and one.measure]


def test_lists_are_read_whole_once_a_week_and_on_demand_and_differences_are_explained(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "read the lists of sandbox whole for shop"
    run_campaign(live())
    one = ledger_rows.address(0)
    _suppress(engine, one, Reason.COMPLAINT)
    reconcile(dry_run=True)
    assert whole not in _last(engine)[0], "a dry run reads no list"
    reconcile()
    steps, found = _last(engine)
    assert whole in steps
    assert found == []
    _lift(engine, one, at_esp=False)
    reconcile()
    assert whole not in _last(engine)[0]

    reconcile(whole_lists=True)
    steps, (lifted,) = _last(engine)
    assert whole in steps
    assert (lifted.explanation, lifted.measure, lifted.count, lifted.left) == (
        Explanation.LIFTED,
        "unsubscribes",
        1,
        1,
    )
    assert "--at-esp" in artifacts()["reconciliation"]
    monkeypatch.setattr(wiring, "clock", lambda: datetime.now(UTC) + timedelta(days=7))
    reconcile()
    assert whole in _last(engine)[0]


def test_who_was_erased_is_not_taken_off_anything(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(live())
    address = ledger_rows.address(0)
    _suppress(engine, address, Reason.ERASED)
    with pytest.raises(NotLifted):
        _lift(engine, address, at_esp=True)
    reconcile()
    assert _globally(installation) == set()


def test_an_esp_is_shared_where_two_accounts_may_mail_through_it(engine: sa.Engine, installation: Esp) -> None:
    assert not lists.is_shared("sandbox")
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
    assert lists.is_shared("sandbox")
    assert not lists.is_shared("mailchimp")


def test_mailchimps_lists_are_read_and_written_as_soon_as_it_is_set_up(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    import settings

    assert lists.lists_in_use.fn() == []
    for name, value in {
        "OMS_MAILCHIMP_MARKETING_API_KEY": "key-us1",
        "OMS_MAILCHIMP_MARKETING_LIST_ID": "L1",
        "OMS_MAILCHIMP_TRANSACTIONAL_API_KEY": "key",
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    assert lists.lists_in_use.fn() == [("shop", "mailchimp"), ("shop", "mailchimp-transactional")]


def test_an_esp_that_is_declared_no_longer_fails_no_night_and_is_told(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(live())
    with database.write(engine) as connection:
        connection.execute(tables.batch_attempts.update().values(provider="pigeon"))
        _agreed_again_on_the_list_of(connection, "pigeon")
    reconcile()
    assert lists.lists_in_use.fn() == []
    assert artifacts()["reconciliation"].count("pigeon once") == 1
    assert process_delivery_events()["taken_off_lists"] == 0
    lifting.lift(
        engine, lifting.Request("shop", "a@example.com", "h", None, True, True, "ann", "she wrote"), now=wiring.clock()
    )


def _agreed_again_on_the_list_of(connection: sa.Connection, provider: str) -> None:
    hashed = _hash(ledger_rows.address(0))
    known = {"account_id": "shop", "address_hash": hashed}
    facts = {"reason": Reason.UNSUBSCRIBE, "source": "one-click", "evidence": "x", "now": wiring.clock()}
    suppressions.add(connection, **known, **facts)
    esp_listings.about_to_put(connection, provider, "unsubscribes", [hashed], now=wiring.clock())
    esp_listings.was_put(connection, provider, "unsubscribes", [hashed], now=wiring.clock())
    herself = {"actor": suppressions.HERSELF, "reason": "agreed again on the preference page"}
    suppressions.lift(connection, **known, **herself, now=wiring.clock())
