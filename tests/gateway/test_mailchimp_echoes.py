"""What Mailchimp Transactional tells once more, of a bounce and of what we put on its denylist."""

from typing import Any

import pytest
import sqlalchemy as sa

from data import database, esp_listings, events, soft_bounces
from domain.delivery import EventKind
from providers.mailchimp.webhook import TransactionalEvents
from tests.data import bounced, ledger_rows
from tests.data.bounced import DAY, LATER, POLICY, at, event, shop_of, standing
from tests.data.ledger_rows import NOW, PEPPER
from tests.data.plain_events import receive
from tests.providers.mailchimp import payloads

PROVIDER = "mailchimp-transactional"
BOUNCED_AT = int(at(5).timestamp())


@pytest.fixture(autouse=True)
def runs(engine: sa.Engine, account_id: str) -> None:
    shop_of(engine, 3)


def told(engine: sa.Engine, *elements: dict[str, Any]) -> None:
    receive(engine, payloads.transactional(*elements), provider=PROVIDER)
    events.process(engine, readers={PROVIDER: TransactionalEvents()}, pepper=PEPPER, clock=lambda: NOW, limit=10)
    soft_bounces.judge(engine, installation=POLICY, now=LATER)


def _of(word: str, seconds: int, **changes: Any) -> dict[str, Any]:
    facts = {"email": ledger_rows.address(0), "metadata": {"message_id": "r1.0"}, **changes}
    return payloads.event(word, ts=BOUNCED_AT + seconds, msg=payloads.message(**facts))


def _sync(seconds: int, reason: str) -> dict[str, Any]:
    element = payloads.sync(reason=reason)
    element["reject"]["email"] = ledger_rows.address(0)
    return {**element, "ts": BOUNCED_AT + seconds}


HARD = _of("hard_bounce", 0, bounce_description="bad_mailbox", diag="smtp;550 5.1.1 does not exist")
SYNC = _sync(120, "hard-bounce")
REJECT = _of("reject", 86_000, state="rejected", reject={"reason": "hard-bounce", "detail": "550 does not exist"})


@pytest.mark.parametrize("order", [(HARD, SYNC, REJECT), (SYNC, HARD, REJECT), (REJECT, SYNC, HARD)])
def test_who_was_there_lately_is_asked_once_more_whatever_follows_from_the_bounce(
    engine: sa.Engine, order: tuple[dict[str, Any], ...]
) -> None:
    bounced.apply(engine, event(0, EventKind.OPENED, 0))
    for element in order:
        told(engine, element)
    assert standing(engine) == {"hard_bounce": (at(5), at(12))}


def test_what_we_put_on_the_denylist_is_no_word_of_theirs(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        hashed = ledger_rows.hash_of(0)
        esp_listings.about_to_put(connection, PROVIDER, "rejects", [hashed], now=at(5))
    told(engine, _sync(1, "custom"))
    assert standing(engine) == {}
    told(engine, _sync(int(2 * DAY.total_seconds()), "custom"))
    assert standing(engine) == {"manual": (at(7), None)}
