"""Suppression lists are an account's at an ESP, by however many keys and names mail goes through it."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from domain.suppression import Reason
from flows.reconcile import reconcile
from flows.run_campaign import run_campaign
from providers.routes_file import UnusableRoutes
from tasks import esps, lists
from tests.data import ledger_rows
from tests.flows.conftest import Esp
from tests.flows.test_run_campaign import live
from tests.flows.test_suppression_lists import _globally, _hash, _suppress

pytestmark = pytest.mark.slow
_ROUTES = """
providers:
  news: {{kind: sendgrid, api_key_env: NEWS_KEY, base_url: "{url}", {news}}}
  second: {{kind: sendgrid, api_key_env: SECOND_KEY, base_url: "{url}", {second}}}
accounts:
  shop:
    - {{name: a, stream: marketing, provider: news, pool: a, domain: news.shop.example}}
  other:
    - {{name: b, stream: marketing, provider: second, pool: b, domain: news.other.example}}
"""
_ACME = "esp_account: acme"


@pytest.fixture
def two_shops(engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch) -> Esp:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
    monkeypatch.setenv("NEWS_KEY", "SG.sandbox")
    monkeypatch.setenv("SECOND_KEY", "SG.second")
    return installation


def declare(esp: Esp, news: str = "", second: str = "") -> None:
    Path("routes.yaml").write_text(_ROUTES.format(url=esp.url, news=news, second=second))


def test_two_keys_are_two_accounts_unless_it_is_said(two_shops: Esp) -> None:
    declare(two_shops)
    assert [esps.esp_account(one) for one in ("news", "second", "retired", "mailchimp")] == [
        "sandbox",  # the same address and key as the embedded one
        "second",
        "retired",
        "mailchimp",
    ]
    assert not lists.is_shared("second")
    declare(two_shops, _ACME, _ACME)
    assert {esps.esp_account(one) for one in ("news", "second", "sandbox")} == {"acme"}
    assert lists.is_shared("acme")
    declare(two_shops, "", "esp_account: news")
    assert {esps.esp_account(one) for one in ("news", "second", "sandbox")} == {"news"}
    assert lists.is_shared("news")


def test_two_names_of_one_account_are_read_and_written_once_and_nothing_comes_back(
    engine: sa.Engine, two_shops: Esp
) -> None:
    """What was put there under one name was read under the other as what the customer said."""
    declare(two_shops, _ACME, _ACME)
    run_campaign(live())
    with database.write(engine) as connection:
        half = tables.batch_attempts.c.batch_id.in_(sa.select(sa.func.min(tables.batches.c.id)))
        connection.execute(tables.batch_attempts.update().where(half).values(provider="second"))
    assert lists.lists_in_use.fn() == [("shop", "acme")]
    one = ledger_rows.address(0)
    _suppress(engine, one, Reason.HARD_BOUNCE)
    for _ in range(2):
        assert reconcile()["suppressions_from_lists"] == 0
    assert _globally(two_shops) == {one}
    with database.read(engine) as connection:
        rows = tables.suppressions.c
        assert set(connection.scalars(sa.select(rows.reason).where(rows.address_hash == _hash(one)))) == {"hard_bounce"}
        assert set(connection.scalars(sa.select(tables.sync_cursors.c.provider))) == {"acme"}


def test_by_whose_webhook_an_account_tells_its_events(two_shops: Esp) -> None:
    declare(two_shops)
    assert esps.webhook_of("second") is None, "the other account posts by it as well"
    declare(two_shops, _ACME, _ACME)
    assert esps.webhook_of("acme") == "sendgrid"
    assert esps.webhook_of("mailchimp") == "mailchimp"


def test_a_name_cannot_be_of_two_accounts(two_shops: Esp) -> None:
    declare(two_shops, _ACME, "esp_account: news")
    with pytest.raises(UnusableRoutes, match="of another account"):
        esps.declared()
