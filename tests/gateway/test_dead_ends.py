"""Where a page cannot help, it says who can: customers are told whom to write to, the shop's people where to go on."""

import re

import pytest

from data import database, suppressions, tables
from domain.suppression import Reason
from tests.conftest import NOW
from tests.data import ledger_rows
from tests.gateway.test_preferences import MAILBOX
from tests.gateway.test_unsubscribe import token_for

EMAIL = "news@shop.example.com"
BUSY = {"en": "One moment, please", "de": "Einen Moment, bitte", "fr": "Un instant"}


def the_post(engine) -> str:
    with database.read(engine) as connection:
        return connection.scalar(tables.accounts.select().with_only_columns(tables.accounts.c.postal_address))


@pytest.mark.parametrize("path", ["/preferences/none", "/unsubscribe/none", "/unsubscrib"])
def test_a_link_that_is_none_tells_how_the_only_shop_is_reached(gateway, engine, account_id, path):
    answer = gateway.get(path, headers={"accept-language": "de"})
    assert answer.status_code == 404
    assert f'<a href="mailto:{EMAIL}">{EMAIL}</a>' in answer.text
    assert f"Per Post: {the_post(engine)}" in answer.text
    assert "vollständig" in answer.text


def test_of_several_shops_none_is_named_to_who_has_no_token_of_ours(gateway, engine, account_id):
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
    answer = gateway.get("/preferences/none")
    assert "mailto:" not in answer.text
    assert "answer that mail, or write to the shop" in answer.text


@pytest.mark.parametrize("reason", [Reason.COMPLAINT, Reason.HARD_BOUNCE, Reason.MANUAL])
def test_who_can_choose_nothing_is_told_who_can_help(gateway, engine, account_id, sent_run, reason):
    path = f"/preferences/{token_for(sent_run.id, 3)}"
    assert "mailto:" not in gateway.get(path).text
    with database.write(engine) as connection:
        suppressions.add(
            connection,
            account_id=account_id,
            address_hash=MAILBOX,
            reason=reason,
            source="test",
            evidence="",
            now=NOW,
        )
    page = gateway.get(path, params={"lang": "es"}).text
    assert f'<a href="mailto:{EMAIL}">{EMAIL}</a>' in page
    assert f"Por correo postal: {the_post(engine)}" in page


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/kpis/nobody", "There is no account of this name."),
        ("/previews/nobody", "There is no preview of this name."),
        ("/campaigns/nobody", "There is no campaign run of this name."),
        ("/kpis/a/b", "There is no account of this name."),
        ("/deliverability?shop=nobody", "There is no account of this name, or no such period or grouping."),
        ("/deliverability?days=1000", "There is no account of this name, or no such period or grouping."),
    ],
)
def test_the_shops_own_people_are_not_shown_the_customers_page(gateway, account_id, path, says):
    answer = gateway.get(path)
    assert answer.status_code == 404
    assert says in answer.text
    assert 'href="/campaigns"' in answer.text
    assert "mailto:" not in answer.text


@pytest.mark.parametrize("language", BUSY)
def test_a_customer_is_asked_to_come_again_in_her_language(gateway, engine, sent_run, language):
    path = f"/unsubscribe/{token_for(sent_run.id, 3)}"
    with database.write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE parties RENAME TO gone")
    for answer in (
        gateway.get(path, headers={"accept-language": language}),
        gateway.post(path, params={"lang": language}, data={"List-Unsubscribe": "One-Click"}),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-language"] == language
        assert re.search(rf"<h1>{BUSY[language]}", answer.text)


def test_without_a_store_a_wrong_link_still_has_its_page(gateway, engine, account_id):
    with database.write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE accounts RENAME TO gone")
    answer = gateway.get("/nothing")
    assert answer.status_code == 404
    assert "answer that mail, or write to the shop" in answer.text


def test_a_machine_gets_one_plain_line(gateway, engine, account_id, monkeypatch):
    from gateway import answers

    class Asked:
        class url:  # noqa: N801 - as starlette calls it
            path = "/webhooks/sendgrid"

    answer = answers.store_is_down(Asked(), RuntimeError("secret"))
    assert (answer.status_code, answer.media_type) == (503, "text/plain")
    assert answer.body.count(b"\n") == 1
