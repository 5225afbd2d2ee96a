"""From the very headers that the ESP is given to a mailbox that is left alone: RFC 8058, end to end."""

import httpx
import orjson
import sqlalchemy as sa

from data import database, tables
from providers.sendgrid import payload
from providers.sendgrid.config import SendGridConfig
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
