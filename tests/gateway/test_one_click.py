"""From the very headers that the ESP is given to a mailbox that is left alone: RFC 8058, end to end."""

import re

import httpx
import orjson
import sqlalchemy as sa

from data import content, database, ledger, seeds, tables
from providers.sendgrid import payload
from providers.sendgrid.config import SendGridConfig
from tests.conftest import LINK_KEY
from tests.data import frozen
from tests.data.frozen import Clock


def test_the_link_in_the_request_unsubscribes_its_recipient_and_the_next_claim_leaves_him_out(
    engine: sa.Engine, account_id: str, gateway: httpx.Client
) -> None:
    run = frozen.dispatching(engine, 4, batch_size=2)
    book = frozen.book(engine, run, Clock())
    first = book.claim(run.id, worker="w")
    assert first is not None
    sent = orjson.loads(payload.build(first, SendGridConfig()))
    one = sent["personalizations"][0]
    assert one["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = one["headers"]["List-Unsubscribe"].strip("<>")
    assert url in orjson.dumps(one["substitutions"]).decode()  # the visible link is the same one

    answer = gateway.post(httpx.URL(url).path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200

    with database.write(engine) as connection:
        suppressed = connection.execute(sa.select(tables.suppressions)).one()
        hashes = dict(connection.execute(sa.select(tables.parties.c.email, tables.parties.c.address_hash)).all())
        assert suppressed.address_hash == hashes[one["to"][0]["email"]]
        again = frozen.freeze(connection, [row.id for row in connection.execute(sa.select(tables.parties.c.id))])
        assert (again.planned, again.skipped) == (3, {"consent_withdrawn": 1})


def test_both_headers_are_as_the_rfc_writes_them_and_one_https_link_is_all_there_is(
    engine: sa.Engine, account_id: str
) -> None:
    """RFC 8058, 3.1: one HTTPS URI (mailto may stand beside it, none does), and the very words of the second header."""
    run = frozen.dispatching(engine, 2)
    batch = frozen.book(engine, run, Clock()).claim(run.id, worker="w")
    assert batch is not None
    for one in orjson.loads(payload.build(batch, SendGridConfig()))["personalizations"]:
        assert one["headers"].keys() == {"List-Unsubscribe", "List-Unsubscribe-Post"}
        assert one["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link = one["headers"]["List-Unsubscribe"]
        assert link.startswith("<https://shop.example.com/unsubscribe/")
        assert link.count("<") == 1
        assert one["to"][0]["email"] not in link  # opaque


def test_the_second_link_of_a_mail_opens_its_preference_page(
    engine: sa.Engine, account_id: str, gateway: httpx.Client
) -> None:
    run = frozen.dispatching(engine, 1)
    batch = frozen.book(engine, run, Clock()).claim(run.id, worker="w")
    assert batch is not None
    values = {name: column[0] for name, column in batch.variables.items()}
    mail = content.filled(batch.content, {**values, "unsubscribe_url": batch.unsubscribe_urls[0]})
    for part in ("html", "text"):
        links = set(re.findall(r"https://shop\.example\.com(/unsubscribe/[^\s\"<]+)", mail[part]))
        assert len(links) == 2
        assert [("Save" in gateway.get(link).text) for link in sorted(links)] == [False, True]


def test_a_seed_message_unsubscribes_nobody(engine: sa.Engine, gateway: httpx.Client, everything, sent_run) -> None:
    links = ledger.Links("https://shop.example.com", LINK_KEY)
    (url,) = links.unsubscribe([seeds.message_id("s1")])
    before = everything()
    for path in (httpx.URL(url).path, f"{httpx.URL(url).path}/preferences"):
        assert gateway.get(path).status_code == 404
        assert gateway.post(path, data={"List-Unsubscribe": "One-Click", "action": "unsubscribe"}).status_code == 404
    assert everything() == before
