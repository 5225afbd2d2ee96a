"""Consent from any channel, through the intake into the ledger, and from there to who may be mailed."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import consents, database, tables
from data.channels.connections import Connections
from domain.consent import Consent, ConsentStatus, is_granted
from tests.conftest import NOW
from tests.data import frozen
from tests.data.intake import feed, raw, state
from tests.data.intake.state import pick, rows, take
from tests.data.intake.test_order_independence import emptied

pytestmark = pytest.mark.usefixtures("account_id")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LEDGER = ("numbering", "external_id", "channel", "status", "source", "basis", "level", "wording", "occurred_at")
OPTIONS = {
    "shopify": {"consent_wording": "footer 3"},
    "woocommerce": {"consent_meta_key": "newsletter", "consent_wording": "checkout 7"},
    "medusa": {"consent_metadata_key": "newsletter"},
    "csv": {},
}
CONNECTIONS = Connections.model_validate(
    {"connections": [{"account": "shop", "channel": one, "options": options} for one, options in OPTIONS.items()]}
)
GRANTED, WITHDRAWN = ConsentStatus.GRANTED, ConsentStatus.WITHDRAWN


def iso(at: datetime) -> str:
    return at.isoformat()


def told(engine: sa.Engine, channel: str, *bodies: Any, **about: Any) -> None:
    take(engine, channel, *bodies, connections=CONNECTIONS, **about)


def csv_order(number: str, status: ConsentStatus | None, at: datetime, **cells: Any) -> bytes:
    """One order with what its customer said."""
    row = feed.row(number, customer_id="", email="anna@example.com", updated_at=iso(AT), placed_at=iso(AT), **cells)
    said = f"{status},{iso(at)},till,consent,slip 2,confirmed_opt_in" if status else ",,,,,"
    head = f"{feed.HEADER},consent_status,consent_at,consent_source,consent_basis,consent_wording,consent_level"
    return f"{head}\n{row},{said}\n".encode()


def shopify_order(number: str, status: ConsentStatus | None, at: datetime) -> dict[str, Any]:
    word = {GRANTED: "subscribed", WITHDRAWN: "unsubscribed", None: "not_subscribed"}[status]
    return raw.shopify(int(number), customer=raw.consenting(word, iso(at)))


def medusa_order(number: str, status: ConsentStatus | None, at: datetime) -> dict[str, Any]:
    said = {"status": status, "at": iso(at), "source": "shop", "wording": "w", "level": "single_opt_in"}
    return raw.medusa(number, metadata={"newsletter": said if status else False})


SAYING = {"csv": csv_order, "shopify": shopify_order, "medusa": medusa_order}


def test_each_statement_is_a_row_with_source_basis_level_wording_and_time(engine: sa.Engine) -> None:
    agreed = AT - DAY
    told(engine, "shopify", shopify_order("1", GRANTED, agreed))
    ticked = raw.woocommerce(2, customer_id=9, meta_data=[{"id": 1, "key": "newsletter", "value": "yes"}])
    told(engine, "woocommerce", ticked)
    told(engine, "medusa", medusa_order("m1", WITHDRAWN, AT + DAY))
    told(engine, "csv", csv_order("4", GRANTED, AT))
    ledger = [pick(row, *LEDGER) for row in rows(engine, "consents")]
    (guest,) = [row[1] for row in ledger if row[0] == "~guest"]
    assert sorted(ledger) == sorted(
        [
            ("shopify", "7", "shopify", "granted", "shopify", "consent", "confirmed_opt_in", "footer 3", agreed),
            ("woocommerce", "9", "woocommerce", "granted", "woocommerce", "consent", "", "checkout 7", AT),
            ("medusa", "cus_7", "medusa", "withdrawn", "shop", "consent", "single_opt_in", "w", AT + DAY),
            ("~guest", guest, "csv", "granted", "till", "consent", "confirmed_opt_in", "slip 2", AT),
        ]
    )
    # All of one mailbox: the withdrawal is the last word of them all.
    assert set(state.left_out(engine).values()) == {"consent_withdrawn"}


@pytest.mark.parametrize(
    ("channel", "body"),
    [
        ("shopify", raw.shopify(buyer_accepts_marketing=False, customer=raw.consenting("not_subscribed", iso(AT)))),
        ("shopify", raw.shopify(customer=raw.consenting("pending", iso(AT)))),
        ("shopify", raw.shopify(customer=raw.consenting("subscribed", None))),  # and nobody knows since when
        ("shopify", raw.shopify(customer=None)),
        ("woocommerce", raw.woocommerce(meta_data=[{"id": 1, "key": "newsletter", "value": "no"}])),
        ("woocommerce", raw.woocommerce(meta_data=[{"id": 1, "key": "other_plugin", "value": "yes"}])),
        ("medusa", raw.medusa(metadata={"newsletter": False})),
        ("medusa", raw.medusa(metadata=None)),
        ("adobe", raw.adobe(customer={"id": 7, "extension_attributes": {"is_subscribed": False}})),
        ("adobe", raw.adobe()),
        ("amazon", raw.amazon(buyer={"buyerEmail": "x@marketplace.amazon.com", "buyerAcceptsMarketing": True})),
        ("csv", csv_order("1", None, AT)),
    ],
    ids=range(12),
)
def test_what_is_not_known_is_no_consent(engine: sa.Engine, channel: str, body: Any) -> None:
    told(engine, channel, body)
    assert len(rows(engine, "orders")) == 1
    assert rows(engine, "consents") == []
    assert set(state.left_out(engine).values()) == {"relay_address" if channel == "amazon" else "no_consent"}


statements = st.lists(
    st.tuples(st.sampled_from(sorted(SAYING)), st.sampled_from([GRANTED, WITHDRAWN, None]), st.integers(-3, 3)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
@given(said=statements, ours=st.none() | st.integers(-3, 3), dice=st.randoms(use_true_random=False))
def test_the_newest_statement_of_a_mailbox_decides_whatever_arrives_when(
    engine: sa.Engine, said: list[tuple[str, ConsentStatus | None, int]], ours: int | None, dice: Random
) -> None:
    emptied(engine)
    events = [
        (channel, SAYING[channel](str(n), status, AT + day * DAY)) for n, (channel, status, day) in enumerate(said)
    ]
    dice.shuffle(events)
    first = dice.randrange(len(events))
    for place, (channel, body) in enumerate(events):
        told(engine, channel, body)
        if ours is not None and place == first:
            _pressed_the_button(engine, AT + ours * DAY)
    history = [Consent(status, "", "", "", AT + day * DAY) for _, status, day in said if status]
    if ours is not None:
        history.append(Consent(WITHDRAWN, "", "", "", AT + ours * DAY))
    expected = "no_consent" if not history else None if is_granted(history) else "consent_withdrawn"
    assert set(state.left_out(engine).values()) == {expected}


def _pressed_the_button(engine: sa.Engine, at: datetime) -> None:
    with database.write(engine) as connection:
        one = connection.execute(sa.select(tables.parties.c.id).order_by(tables.parties.c.id).limit(1)).scalar_one()
        consents.withdraw(connection, account_id="shop", party_id=one, source="page", wording="pressed", now=at)


def test_two_numbers_of_a_mailbox_that_are_nobody_in_common_still_share_the_last_word(engine: sa.Engine) -> None:
    """A couple: not one person, but one mailbox, and one of them wants no mail in it."""
    he, she = raw.consenting("subscribed", iso(AT)), raw.consenting("unsubscribed", iso(AT + DAY), id=8)
    told(engine, "shopify", raw.shopify(1, customer=he), raw.shopify(2, customer=she))
    assert {row["person_number"] for row in rows(engine, "parties")} == {None}
    assert state.left_out(engine) == {"shopify/7": "consent_withdrawn", "shopify/8": "consent_withdrawn"}


def test_a_statement_that_comes_again_is_one_row_and_keeps_the_wording_of_its_day(engine: sa.Engine) -> None:
    told(engine, "shopify", shopify_order("1", GRANTED, AT))
    later = Connections.model_validate(
        {"connections": [{"account": "shop", "channel": "shopify", "options": {"consent_wording": "footer 4"}}]}
    )
    take(engine, "shopify", shopify_order("2", GRANTED, AT), connections=later)
    assert [row["wording"] for row in rows(engine, "consents")] == ["footer 3"]


def test_what_a_refused_order_says_is_no_word_of_the_customers(engine: sa.Engine) -> None:
    told(engine, "shopify", shopify_order("1", GRANTED, AT) | {"financial_status": "no such word"})
    assert rows(engine, "consents") == rows(engine, "parties") == []


def test_a_frozen_run_leaves_out_all_but_those_who_agreed(engine: sa.Engine) -> None:
    agreed = raw.consenting("subscribed", iso(AT))
    told(engine, "shopify", raw.shopify(1, customer=agreed), raw.shopify(2, email="bo@example.com", customer=None))
    left = raw.consenting("unsubscribed", iso(AT), id=9, email="cy@example.com")
    told(engine, "shopify", raw.shopify(3, email="cy@example.com", customer=left))
    told(engine, "amazon", raw.amazon("1-1"))
    # Amazon's address, given on by a plugin with a ticked box, and by a customer who has an account.
    box = [{"id": 1, "key": "newsletter", "value": "yes"}]
    relay = raw.billed("Q1W2E3@marketplace.amazon.de")
    told(engine, "woocommerce", raw.woocommerce(4, customer_id=0, billing=relay, meta_data=box))
    told(engine, "woocommerce", raw.woocommerce(5, customer_id=11, billing=relay, meta_data=box))
    told(engine, "woocommerce", raw.woocommerce(6, customer_id=0, billing=raw.billed("no address"), meta_data=box))
    told(engine, "medusa", raw.medusa("m1", email=None, customer_id=None, metadata={"newsletter": True}))
    assert state.whole(engine)["customer_features"]
    with database.write(engine) as connection:
        people = list(connection.scalars(sa.select(tables.customer_features.c.party_id)))
        run = frozen.freeze(connection, people)
    assert (run.members, run.planned) == (8, 1)
    assert run.skipped == {
        "consent_withdrawn": 1,
        "relay_address": 3,
        "invalid_address": 1,
        "no_address": 1,
        "no_consent": 1,
    }
    assert NOW.tzinfo is not None
