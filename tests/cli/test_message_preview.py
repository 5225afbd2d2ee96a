"""`campaigns preview TEMPLATE --order ID`: a mail as its customer would get it, and the audit log notes who looked."""

import json
import stat
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli import message_preview
from data import database, tables
from tests.cli.conftest import Campaigns
from tests.data import orders_to_mail
from tests.gateway import browser


def read_rows(engine: sa.Engine) -> list[sa.Row[object]]:
    with database.read(engine) as connection:
        return list(connection.execute(sa.select(tables.audit_log).where(tables.audit_log.c.action == "read")))


@pytest.mark.parametrize("called", ["1001", "#1001", "4711", "csv/4711"])
def test_an_order_is_found_as_people_call_it_and_its_mail_is_shown(
    shop: sa.Engine, campaigns: Campaigns, called: str
) -> None:
    order = orders_to_mail.add(shop, external_id="4711")
    told = campaigns("preview", "order-confirmation", "--order", called)
    assert told.status == 0
    assert told.lines[0] == "Subject: Your order #1001 is in"
    assert "Total  €44.90" in told.out
    assert told.lines[-1] == "Page: var/previews/order-confirmation-csv-4711.html"
    page = Path("var/previews/order-confirmation-csv-4711.html")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "johanna@" not in page.read_text("utf-8") + told.out
    (row,) = read_rows(shop)
    assert (row.subject, row.detail) == (f"order:{order}", {"preview": "order-confirmation"})


def test_the_mail_is_in_the_customers_language_unless_another_is_asked_for(
    shop: sa.Engine, campaigns: Campaigns
) -> None:
    orders_to_mail.add(shop, person={"locale": "de-AT"}, total=Decimal("1044.90"))
    german = campaigns("preview", "order-confirmation", "--order", "1001", "--json").json
    assert (german["template"], german["order"]) == ("order-confirmation-de", "csv/1001")
    assert "21. November 2026" in german["text"]
    american = campaigns("preview", "order-confirmation", "--order", "1001", "--locale", "en-US", "--json").json
    assert "November 21, 2026" in american["text"]
    swedish = campaigns("preview", "order-confirmation", "--order", "1001", "--locale", "sv", "--json").json
    assert "21 November 2026" in swedish["text"]  # no Swedish days within English words


def test_what_cannot_be_shown_is_said(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("preview", "shipped", "--order", "77").mistake == (
        "account 'shop' has no order '77': write its number, its id in the channel, or CHANNEL/ID"
    )
    orders_to_mail.add(shop)
    orders_to_mail.add(shop, channel="woo")
    assert "several orders are called '1001': write which of csv/1001, woo/1001" in (
        campaigns("preview", "shipped", "--order", "1001").mistake
    )
    assert "win-back is marketing: no order" in campaigns("preview", "win-back", "--order", "csv/1001").mistake
    assert "there is no template 'nothing'" in campaigns("preview", "nothing", "--order", "csv/1001").mistake
    assert read_rows(shop)  # what was read is noted, shown or not


def test_another_accounts_order_is_not_found(shop: sa.Engine, campaigns: Campaigns) -> None:
    with database.write(shop) as connection:
        accounts = tables.accounts
        one = connection.execute(sa.select(accounts)).mappings().one()
        connection.execute(accounts.insert().values({**one, "id": "second", "name": "Second"}))
    orders_to_mail.add(shop, account_id="second")
    assert "has no order" in campaigns("preview", "shipped", "--order", "1001").mistake
    told = campaigns("preview", "shipped", "--order", "1001", "--account", "second")
    assert "Second, " in told.out


def test_values_that_no_order_tells_are_listed_and_can_be_given(shop: sa.Engine, campaigns: Campaigns) -> None:
    orders_to_mail.add(shop)
    told = campaigns("preview", "password-reset", "--order", "1001")
    assert told.status == 1
    assert told.lines[0] == "password-reset cannot be written without:"
    assert "reset_url      link    the request for the mail" in told.out
    assert "--values" in told.lines[-1]
    Path("v.json").write_text(json.dumps({"reset_url": "https://shop.test/r/1", "valid_minutes": 15}))
    told = campaigns("preview", "password-reset", "--order", "1001", "--values", "v.json")
    assert "Hello Johanna, somebody asked" in told.out
    assert "15 minutes" in told.out


def test_who_would_not_be_mailed_is_said(shop: sa.Engine, campaigns: Campaigns) -> None:
    orders_to_mail.add(shop, notify=False, person={"email": None, "address_hash": None})
    told = campaigns("preview", "order-confirmation", "--order", "1001").out
    assert "Its channel asks that nobody is mailed" in told
    assert "address is not known" in told


def test_it_opens_in_the_browser_where_that_is_asked_for(
    shop: sa.Engine, campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(message_preview.webbrowser, "open", opened.append)
    orders_to_mail.add(shop)
    campaigns("preview", "shipped", "--order", "1001")  # no terminal: a script
    assert opened == []
    campaigns("preview", "shipped", "--order", "1001", "--open", "--html", "mail.html")
    assert opened == [(tmp_path / "mail.html").as_uri()]


PROGRAM = browser.found()


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine (OMS_TEST_BROWSER may name one)")
def test_the_page_shows_the_mail_whole_at_both_widths_and_runs_nothing_of_it(
    shop: sa.Engine, campaigns: Campaigns, tmp_path: Path
) -> None:
    lines = [{"title": "<script>document.title='x'</script>\"'>", "total": "40.00"}]
    orders_to_mail.add(shop, lines=lines)
    campaigns("preview", "order-confirmation", "--order", "1001", "--html", "mail.html")
    assert PROGRAM is not None
    with browser.tab(PROGRAM) as tab:
        tab.open((tmp_path / "mail.html").as_uri(), width=1300, height=900)
        fits = "[...document.querySelectorAll('iframe')].every(one => one.contentDocument.querySelector('h1') && one.clientHeight >= one.contentDocument.documentElement.scrollHeight)"
        assert browser.until(lambda: bool(tab.value(fits)))
        assert tab.value("document.title") == "Your order #1001 is in"
        assert tab.value("[...document.querySelectorAll('iframe')].map(one => one.clientWidth).join()") == "375,800"
        assert tab.value("document.documentElement.scrollWidth") <= 1300
