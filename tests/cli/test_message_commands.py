"""Which change of an order asks for which mail, as people see it; and what a file that is wrong does to orders."""

from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import tables
from tests.cli.conftest import ORDERS, Campaigns
from tests.data.intake.feed import count

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FILE = """
accounts:
  shop:
    since: 2026-11-01
    messages: {placed: order-confirmation, shipped: shipped}
    channels:
      shopify: {placed: none, not_while: [pending]}
      csv: none
"""
CHANNELS = """
connections:
  - {account: shop, channel: amazon}
  - {account: shop, channel: shopify-de, adapter: shopify}
"""


@pytest.fixture
def written(shop: sa.Engine, tmp_path: Path) -> Path:
    (tmp_path / "messages.yaml").write_text(FILE, "utf-8")
    (tmp_path / "channels.yaml").write_text(CHANNELS, "utf-8")
    return tmp_path / "messages.yaml"


@pytest.mark.usefixtures("written")
def test_rules_show_what_asks_for_what_and_what_is_refused(campaigns: Campaigns) -> None:
    told = campaigns("messages", "rules")
    assert (told.status, told.err) == (0, "")
    rows = {line.split()[1]: line for line in told.lines if line.startswith("shop ")}
    assert list(rows) == ["amazon", "csv", "shopify", "shopify-de"]
    assert "each of its orders says so, whatever stands here" in rows["amazon"]
    assert rows["shopify-de"].split()[:8] == ["shop", "shopify-de", "–", "–", "shipped", "–", "–", "–"]
    assert "orders since 2026-11-01 00:00 UTC, of the last 48 hours; nothing while it says pending" in rows["shopify"]
    assert told.lines[-1] == "messages.yaml is sound."
    shown = campaigns("messages", "rules", "--json").json
    assert (shown["exists"], shown["faults"], shown["warnings"]) == (True, [], [])
    assert {one["channel"]: one["templates"] for one in shown["channels"]} == {
        "amazon": {},
        "csv": {},
        "shopify": {"shipped": "shipped"},
        "shopify-de": {"shipped": "shipped"},
    }


@pytest.mark.usefixtures("shop")
def test_without_a_file_nothing_is_mailed_and_that_is_said(campaigns: Campaigns) -> None:
    told = campaigns("messages", "rules", "--check")
    assert (told.status, told.lines) == (
        0,
        ["There is no messages.yaml: no order asks for mail. docs/messages.md tells how to switch it on."],
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("since: 2026-11-01", "since: soon"), "messages.yaml, line 4: accounts.shop.since: write a day"),
        (("shipped: shipped", "shipped: shiped"), "the template shiped is not there; for orders there are: "),
        (("      csv: none", "      cvs: none"), "accounts.shop.channels.cvs: neither channels.yaml nor an adapter"),
    ],
)
def test_a_draft_is_checked_before_it_is_used_and_a_wrong_file_lets_orders_wait(
    campaigns: Campaigns, written: Path, shop: sa.Engine, change: tuple[str, str], says: str
) -> None:
    draft = written.with_name("draft.yaml")
    draft.write_text(FILE.replace(*change), "utf-8")
    told = campaigns("messages", "rules", "--check", "--file", draft)
    assert told.status == 1
    assert says in told.out.replace("draft.yaml", "messages.yaml")
    assert told.lines[-1].startswith("Orders wait as long as that is so; none is lost.")
    assert campaigns("messages", "rules", "--check", "--json").json["faults"] == []  # the one in use is sound
    campaigns("intake", ORDERS / "good.csv", "--stage-only")
    draft.replace(written)
    assert says in campaigns("intake", "drain").mistake
    assert count(shop, tables.orders) == 0
    written.write_text(FILE, "utf-8")
    assert campaigns("intake", "drain").status == 0
    assert count(shop, tables.orders) > 0


def test_what_stops_the_mail_only_is_told_too(campaigns: Campaigns, written: Path) -> None:
    written.write_text(FILE.replace("  shop:", "  shopp:"), "utf-8")
    told = campaigns("messages", "rules", "--check")
    assert told.status == 1
    assert told.lines == ["WRONG: messages.yaml: accounts.shopp: there is no such account"]


def test_the_doctor_says_who_mails_and_what_is_wrong(
    campaigns: Campaigns, written: Path, environment: pytest.MonkeyPatch
) -> None:
    def found() -> tuple[bool, str]:
        checks = campaigns("doctor", "--json").json["checks"]
        assert next(one["ok"] for one in checks if one["what"] == "channels")
        return next((one["ok"], one["found"]) for one in checks if one["what"] == "order mail")

    assert found() == (True, "on for shop in messages.yaml; `campaigns messages rules` shows it")
    written.write_text("accounts: {shop: {since: 2026-11-01}}", "utf-8")
    assert found()[1].startswith("off for all accounts in messages.yaml")
    written.write_text("accounts: 1", "utf-8")
    ok, told = found()
    assert not ok
    assert told.startswith("messages.yaml, line 1: accounts is a section")
    assert told.endswith("orders wait until it is mended")
    written.unlink()
    assert found() == (True, "off: there is no messages.yaml")
    environment.setenv("OMS_MESSAGES_FILE", "elsewhere.yaml")
    settings.load.cache_clear()
    assert found() == (False, "OMS_MESSAGES_FILE names elsewhere.yaml, and there is no such file")
