"""Whoever wants out is out at once; whatever merely looks at a link changes nothing."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, kpis, tables
from domain import addresses, campaigns, tokens
from domain.delivery import DeliveryEvent, EventKind, Seen
from tests.conftest import LINK_KEY, NOW, PEPPER
from tests.data.plain_events import body_of, process, receive

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def token_for(run_id: str, ordinal: int, *, purpose: str = "unsubscribe", key: str = LINK_KEY) -> str:
    return tokens.sign(campaigns.message_id(run_id, ordinal), purpose=purpose, key=key)


def rows(engine: sa.Engine, table: sa.Table, *where) -> list:
    with database.read(engine) as connection:
        return list(connection.execute(sa.select(table).where(*where)))


@pytest.fixture
def written(engine: sa.Engine):
    """Statements that are more than looking, in the order in which the database got them."""
    found: list[str] = []

    def note(_connection, _cursor, statement, *_) -> None:
        if not statement.startswith(("SELECT", "BEGIN")) or statement == "BEGIN IMMEDIATE":
            found.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(engine, "before_cursor_execute", note)


def test_a_thousand_looks_write_nothing(gateway, sent_run, everything, written):
    path = f"/unsubscribe/{token_for(sent_run.id, 3)}"
    before = everything()
    for turn in range(1000):
        answer = gateway.request("HEAD" if turn % 2 else "GET", path)
        assert answer.status_code == 200
    assert written == []
    assert everything() == before


def test_the_page_says_what_will_happen_and_nothing_about_the_person(gateway, sent_run):
    page = gateway.get(f"/unsubscribe/{token_for(sent_run.id, 3)}")
    assert "The Shop" in page.text
    assert '<form method="post">' in page.text
    assert page.text.count("<button") == 1
    assert "@" not in page.text.replace("@media", "")
    assert gateway.head(f"/unsubscribe/{token_for(sent_run.id, 3)}").content == b""


def test_one_click_suppresses_withdraws_and_is_logged_once(gateway, engine, sent_run, everything):
    path = f"/unsubscribe/{token_for(sent_run.id, 3)}"
    first = gateway.post(path, data=ONE_CLICK)
    assert first.status_code == 200
    assert "location" not in first.headers
    assert "set-cookie" not in first.headers
    after_once = everything()
    assert gateway.post(path, data=ONE_CLICK).status_code == 200
    assert gateway.post(path, data={"confirm": "unsubscribe"}).status_code == 200
    assert everything() == after_once

    (suppression,) = rows(engine, tables.suppressions)
    assert suppression.address_hash == addresses.address_hash("person3@gmail.com", PEPPER)
    assert (suppression.reason, suppression.scope, suppression.source) == ("unsubscribe", "marketing", "one-click")
    assert suppression.evidence == f"message {sent_run.id}.3"
    (withdrawal,) = rows(engine, tables.consents, tables.consents.c.status == "withdrawn")
    assert withdrawal.source == "one-click"
    (line,) = rows(engine, tables.audit_log)
    assert (line.action, line.subject, line.detail) == ("unsubscribe", f"{sent_run.id}.3", {"source": "one-click"})


def test_the_campaign_counts_it_once_also_when_the_esp_tells_of_it_later(gateway, engine, sent_run):
    def unsubscribed() -> list[tuple[int, datetime]]:
        with database.read(engine) as connection:
            count = kpis.figures(connection, sent_run.id)[0].unsubscribed
        message = tables.message_delivery
        return [(count, row.unsubscribed_at) for row in rows(engine, message, message.c.ordinal == 3)]

    assert unsubscribed() == [(0, None)]
    for _ in range(2):
        gateway.post(f"/unsubscribe/{token_for(sent_run.id, 3)}", data=ONE_CLICK)
    assert unsubscribed() == [(1, NOW)]
    message_id = campaigns.message_id(sent_run.id, 3)
    later = NOW + timedelta(minutes=5)
    receive(engine, body_of(DeliveryEvent("sendgrid", EventKind.UNSUBSCRIBED, later, message_id)))
    assert process(engine).events == 1
    assert unsubscribed() == [(1, NOW)]


def test_the_other_facts_about_the_message_stay(gateway, engine, sent_run):
    def others() -> dict[int, dict]:
        return {
            row.ordinal: {
                name: value for name, value in row._mapping.items() if name not in {"seen", "unsubscribed_at"}
            }
            for row in rows(engine, tables.message_delivery)
        }

    before = others()
    gateway.post(f"/unsubscribe/{token_for(sent_run.id, 1)}", data=ONE_CLICK)
    assert others() == before
    (row,) = rows(engine, tables.message_delivery, tables.message_delivery.c.ordinal == 1)
    opened = Seen.OPENED | Seen.OPENED_HUMAN
    assert Seen(row.seen) == Seen.PROCESSED | Seen.DELIVERED | opened | Seen.CLICKED | Seen.UNSUBSCRIBED


def test_a_second_mail_of_somebody_who_is_out_already_counts_nothing(gateway, engine, sent_run, new_run):
    second = new_run()
    member = tables.audience
    same = [column for column in member.c if column.name != "run_id"]
    everybody = sa.select(sa.literal(second.id), *same)
    with database.write(engine) as connection:
        connection.execute(member.insert().from_select(["run_id", *(column.name for column in same)], everybody))
    for run_id in (sent_run.id, second.id):
        gateway.post(f"/unsubscribe/{token_for(run_id, 3)}", data=ONE_CLICK)
    counted = rows(engine, tables.message_delivery, tables.message_delivery.c.unsubscribed_at.is_not(None))
    assert [(row.run_id, row.ordinal) for row in counted] == [(sent_run.id, 3)]


def test_the_button_on_the_page_does_the_same(gateway, engine, sent_run):
    assert gateway.post(f"/unsubscribe/{token_for(sent_run.id, 2)}", data={"confirm": "unsubscribe"}).status_code == 200
    (suppression,) = rows(engine, tables.suppressions)
    assert suppression.source == "page"


def test_one_click_may_come_as_a_multipart_form(gateway, engine, sent_run):
    answer = gateway.post(f"/unsubscribe/{token_for(sent_run.id, 2)}", files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    (suppression,) = rows(engine, tables.suppressions)
    assert suppression.source == "one-click"


def test_pressing_many_times_at_once_is_pressing_once(gateway, engine, sent_run):
    path = f"/unsubscribe/{token_for(sent_run.id, 5)}"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.post(path, data=ONE_CLICK).status_code, range(24)))
    assert answers == [200] * 24
    assert len(rows(engine, tables.suppressions)) == 1
    assert len(rows(engine, tables.consents, tables.consents.c.status == "withdrawn")) == 1
    assert len(rows(engine, tables.audit_log)) == 1


def test_tampered_and_foreign_tokens_are_one_and_the_same_404(gateway, sent_run, everything):
    good = token_for(sent_run.id, 3)
    bad = {good[:place] + ("x" if good[place] != "x" else "y") + good[place + 1 :] for place in range(len(good))}
    bad |= {
        token_for(sent_run.id, 3, purpose="click"),
        token_for(sent_run.id, 3, purpose="unsubscribe "),
        token_for(sent_run.id, 3, key="another-key-another-key-another-key"),
        token_for(sent_run.id, 999_999),  # ours, but of no message
        token_for("rnobody234567", 3),
        tokens.sign("no message id", purpose="unsubscribe", key=LINK_KEY),
        good.replace(".1.", ".2."),
        good[:-1],
        good + "A",
        "%00",
        "%F0%9F%92%A3",
    }
    before = everything()
    pages = set()
    for token in bad:
        for answer in (gateway.get(f"/unsubscribe/{token}"), gateway.post(f"/unsubscribe/{token}", data=ONE_CLICK)):
            assert answer.status_code == 404, token
            pages.add(answer.text)
    assert len(pages) == 1
    assert everything() == before


@pytest.mark.parametrize("path", ["/unsubscribe", "/unsubscribe/"])
def test_a_token_in_the_body_counts_for_nothing(gateway, sent_run, everything, path):
    before = everything()
    answer = gateway.post(path, data={**ONE_CLICK, "token": token_for(sent_run.id, 3)})
    assert answer.status_code == 404
    assert everything() == before


def change_addresses(engine: sa.Engine, **facts) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.parties.update().where(tables.parties.c.external_id == "c3").values(**facts))


def refused(engine: sa.Engine) -> set[str]:
    return {row.address_hash for row in rows(engine, tables.suppressions)}


def withdrawn(engine: sa.Engine) -> int:
    return len(rows(engine, tables.consents, tables.consents.c.status == "withdrawn"))


MAILED = addresses.address_hash("person3@gmail.com", PEPPER)


def test_somebody_erased_since_has_nothing_to_withdraw_and_the_mailbox_is_refused(gateway, engine, sent_run):
    change_addresses(engine, email=None, address_hash=None, erased_at=NOW)
    for _ in range(2):
        assert gateway.post(f"/unsubscribe/{token_for(sent_run.id, 3)}", data=ONE_CLICK).status_code == 200
    assert refused(engine) == {MAILED}
    assert withdrawn(engine) == 0
    assert len(rows(engine, tables.audit_log)) == 1


@pytest.mark.parametrize("email", [None, "not an address"])
def test_who_has_no_address_any_more_is_out_all_the_same(gateway, engine, sent_run, email):
    change_addresses(engine, email=email, address_hash=None)
    for _ in range(2):
        assert gateway.post(f"/unsubscribe/{token_for(sent_run.id, 3)}", data=ONE_CLICK).status_code == 200
    assert refused(engine) == {MAILED}
    assert withdrawn(engine) == 1


def test_who_changed_the_address_is_out_with_both(gateway, engine, sent_run):
    change_addresses(engine, email="new@example.com", address_hash="new")
    for _ in range(2):
        assert gateway.post(f"/unsubscribe/{token_for(sent_run.id, 3)}", data=ONE_CLICK).status_code == 200
    assert refused(engine) == {MAILED, "new"}
    assert withdrawn(engine) == 1


def test_a_withdrawal_is_news_where_another_customer_of_the_mailbox_agreed_since(gateway, engine, sent_run):
    path = f"/unsubscribe/{token_for(sent_run.id, 3)}"
    member = tables.audience.c
    with database.write(engine) as connection:
        twin = connection.scalar(sa.select(member.party_id).where(member.ordinal == 4))
        me = connection.scalar(sa.select(member.party_id).where(member.ordinal == 3))
        connection.execute(tables.parties.update().where(tables.parties.c.id == twin).values(address_hash=MAILED))
        word = {"account_id": sent_run.plan.account_id, "basis": "b", "source": "s", "wording": "w"}
        hour = timedelta(hours=1)
        statements = [(me, "withdrawn", NOW - 2 * hour), (twin, "granted", NOW - hour)]
        for party_id, status, at in statements:
            values = {**word, "party_id": party_id, "status": status, "occurred_at": at, "recorded_at": at}
            connection.execute(tables.consents.insert().values(values))
    gateway.post(path, data=ONE_CLICK)
    assert withdrawn(engine) == 2


def test_a_large_body_is_refused_and_changes_nothing(gateway, sent_run, everything):
    before = everything()
    answer = gateway.post(f"/unsubscribe/{token_for(sent_run.id, 3)}", content=b"One-Click" * 10_000)
    assert answer.status_code == 413
    assert everything() == before


def test_without_a_store_nobody_is_told_that_it_worked(gateway, engine, sent_run):
    path = f"/unsubscribe/{token_for(sent_run.id, 3)}"
    with database.write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE suppressions RENAME TO gone")
    answer = gateway.post(path, data=ONE_CLICK)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert rows(engine, tables.consents, tables.consents.c.status == "withdrawn") == []


def test_answers_are_neither_kept_nor_indexed_nor_passed_on(gateway, sent_run):
    for answer in (gateway.get(f"/unsubscribe/{token_for(sent_run.id, 3)}"), gateway.get("/unsubscribe/nonsense")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in answer.headers["x-robots-tag"]
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "script-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"


def test_no_log_line_shows_a_token(gateway, sent_run, access_log):
    token = token_for(sent_run.id, 3)
    with access_log.at_level(logging.DEBUG):
        gateway.get(f"/unsubscribe/{token}")
        gateway.get(f"/Unsubscribe/{token}?from=mail")
        gateway.post(f"/shop//unsubscribe/{token}", data=ONE_CLICK)
    access = [record.getMessage() for record in access_log.records if record.name == "uvicorn.access"]
    assert len(access) == 3
    assert all("[token]" in line for line in access)
    tag = token.rpartition(".")[2]
    assert not any(tag in line for line in access)
