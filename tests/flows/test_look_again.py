"""What follows from bounces as the flows run it: the alarm with the exact words, the second look at the DNS."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

import settings
from data import address_marks, database, tables
from data.address_marks import NewMark
from domain.address_marks import MarkKind
from flows.look_again import look_again
from flows.process_delivery_events import process_delivery_events
from tasks import wiring
from tasks.bounces import SenderAtFault
from tests.data import guarded, ledger_rows
from tests.data.guarded import Part
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts
from tests.providers.test_dns import serving

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
WORDS = "550 5.7.26 This mail is unauthenticated"


def _refused(engine: sa.Engine, run_id: str, trouble: str, words: str, messages: int, group: str) -> None:
    now = wiring.clock()
    with database.write(engine) as connection:
        connection.execute(
            tables.sender_refusals.insert(),
            [
                {
                    "run_id": run_id,
                    "ordinal": ordinal,
                    "trouble": trouble,
                    "account_id": "shop",
                    "provider": "sandbox",
                    "mailbox_group": group,
                    "text": words,
                    "example": words,
                    "at": now,
                }
                for ordinal in range(messages)
            ],
        )


def test_our_own_fault_is_one_alarm_with_the_exact_words(engine: sa.Engine, installation: Esp) -> None:
    run = guarded.run_of(engine, [Part("gmail", 100, {}, at=wiring.clock())], run_id="rabcdefghjkmn")
    _refused(engine, run.id, "authentication", WORDS, 3, "gmail")
    with pytest.raises(SenderAtFault, match=r"sandbox is paused at gmail.*until a person lifts it.*5\.7\.26"):
        process_delivery_events()
    page = artifacts()["sender-faults"]
    assert WORDS in page
    assert "mend the sending domain's records" in page
    assert "campaigns guards lift" in page
    process_delivery_events()  # it is in force, and was told


def test_a_refused_content_pauses_its_run(engine: sa.Engine, installation: Esp) -> None:
    run = guarded.run_of(engine, [Part("gmail", 100, {}, at=wiring.clock())], run_id="rabcdefghjkmn")
    _refused(engine, run.id, "content", "552 5.3.4 too large", 20, "gmail")
    with pytest.raises(SenderAtFault, match=rf"{run.id}.*is paused: content: 20 of 20.*5\.3\.4 too large"):
        process_delivery_events()
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.campaign_runs.c.status)) == "paused"


def test_an_hour(engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = wiring.clock() - timedelta(hours=4)
    with database.write(engine) as connection:
        for number, domain in enumerate(["nowhere.com", "firm.com", "broken.com"]):
            party = tables.parties
            mine = party.c.external_id == f"c{number}"
            connection.execute(party.update().where(mine).values(email=f"customer{number}@{domain}"))
            mark = NewMark("shop", ledger_rows.hash_of(number), MarkKind.NO_HOST, f"r{number}", earlier)
            address_marks.record(connection, [mark])
    with serving() as (address, asked):
        monkeypatch.setenv("OMS_DNS_NAMESERVERS", json.dumps([address]))
        monkeypatch.setenv("OMS_DNS_TIMEOUT_SECONDS", "0.3")
        settings.load.cache_clear()
        told = look_again()
        assert (told["domains"], told["without_host"], told["unknown_texts"]) == (3, 1, 0)
        again = look_again()
        assert (again["domains"], again["without_host"]) == (1, 0)
    assert {"nowhere.com.", "firm.com."} <= set(asked)
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.suppressions.c.address_hash, tables.suppressions.c.reason)).all()
    assert rows == [(ledger_rows.hash_of(0), "hard_bounce")]
    assert "None: every refusal" in artifacts()["unknown-replies"]
