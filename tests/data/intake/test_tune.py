from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data import database
from data.intake import quarantine, thresholds, tune
from data.intake.tune import Proposal
from tests.conftest import NOW
from tests.data.intake.past import batch, letters, second_account

SHIPPED = Path(__file__).parents[3] / "data/expectations/intake.yaml"
DAY = timedelta(days=1)
BOOK = thresholds.parse("defaults: {rules: {email_missing: {share: 0.2}}}", "intake.yaml")
Tuned = Callable[..., list[Proposal]]


@pytest.fixture
def tuned(engine: sa.Engine, account_id: str) -> Tuned:
    def of(book: thresholds.ThresholdBook = BOOK, account: str | None = None, **options) -> list[Proposal]:
        with database.read(engine) as connection:
            return tune.propose(connection, book, account, now=NOW, **options)

    return of


def released_quarantine(engine: sa.Engine, at=NOW - DAY, channel: str = "csv") -> None:
    with database.write(engine) as connection:
        quarantine.put(connection, "shop", channel, "x", {}, at)
        quarantine.release(connection, "shop", channel, by="kim", note="", now=at + DAY / 24)


def a_month(engine: sa.Engine, batches: int = 60, orders: int = 1000, refused: int = 2, **fired: int) -> None:
    for number in range(batches):
        batch(engine, orders, refused, at=NOW - number * 29.9 * DAY / (batches - 1), **fired)


def the(proposals: list[Proposal]) -> Proposal:
    (only,) = proposals
    return only


# Rules that refuse and are overruled


def test_a_rule_that_is_overruled_as_often_as_not_should_keep_its_orders(engine: sa.Engine, tuned: Tuned) -> None:
    batch(engine, 10_000, 24, without_lines=24)
    letters(engine, "without_lines", "released", 12)
    letters(engine, "without_lines", "fixed", 8)
    letters(engine, "without_lines", "open", 9)
    found = the(tuned())
    assert (found.account_id, found.channel, found.rule, found.key) == ("shop", "csv", "without_lines", "row")
    assert (found.now, found.proposed) == ("refuse", "keep")
    assert found.because == "of the 20 dead letters that ended in 30 days people released 12 unchanged (60%)"


@pytest.mark.parametrize(
    ("rule", "released", "fixed"),
    [
        ("without_lines", 19, 0),  # too few to say
        ("without_lines", 10, 11),  # right more often than wrong
        ("in_the_future", 30, 0),  # can only refuse
        ("status_unknown", 30, 0),  # an adapter's: there is no order to keep
        ("email_missing", 30, 0),  # keeps its orders already
    ],
)
def test_otherwise_it_stays(engine: sa.Engine, tuned: Tuned, rule: str, released: int, fixed: int) -> None:
    batch(engine, 10_000)
    letters(engine, rule, "released", released)
    letters(engine, rule, "fixed", fixed)
    assert tuned() == []


# Shares that good batches exceed


def test_a_share_that_released_batches_exceed_is_raised(engine: sa.Engine, tuned: Tuned) -> None:
    batch(engine, 1000, 20, at=NOW - 3 * DAY)
    batch(engine, 1000, 80, at=NOW - DAY)
    assert tuned() == []  # nobody has said that it was sound
    released_quarantine(engine)
    found = the(tuned())
    assert (found.rule, found.key, found.now, found.proposed) == ("", "refuse_share", 0.05, 0.1)
    assert found.because == (
        "1 of 2 batches that were let in within 30 days are above it (quarantines released: 1); "
        "99 % of all stay at or below 8.00%"
    )


def test_so_is_the_share_of_a_rule(engine: sa.Engine, tuned: Tuned) -> None:
    batch(engine, 1000, email_missing=300)
    released_quarantine(engine)
    found = the(tuned())
    assert (found.rule, found.key, found.now, found.proposed) == ("email_missing", "share", 0.2, 0.38)


def test_a_share_is_never_raised_above_all_or_half_of_all_refused(engine: sa.Engine, tuned: Tuned) -> None:
    batch(engine, 1000, 900, email_missing=950)
    released_quarantine(engine)
    assert [(one.key, one.proposed) for one in tuned()] == [("refuse_share", 0.5), ("share", 1)]


def test_an_outlier_among_many_raises_nothing(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine, batches=200, refused=30, email_missing=150)
    batch(engine, 1000, 400, at=NOW - timedelta(minutes=7), email_missing=150)
    released_quarantine(engine)
    assert tuned() == []


def test_a_rule_that_is_to_keep_comes_before_the_share_that_it_fills(engine: sa.Engine, tuned: Tuned) -> None:
    batch(engine, 1000, 80, without_lines=80)
    released_quarantine(engine)
    letters(engine, "without_lines", "released", 80)
    assert the(tuned()).key == "row"


# Shares that nothing comes near


def test_a_share_that_nothing_comes_near_is_lowered(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine, refused=5, email_missing=15)
    refused, email = tuned()
    assert (refused.key, refused.now, refused.proposed) == ("refuse_share", 0.05, 0.015)
    assert (email.rule, email.key, email.now, email.proposed) == ("email_missing", "share", 0.2, 0.045)
    assert email.because == "none of 60 batches within 30 days came above 1.50%, and 99 % stay at or below 1.50%"


def test_but_never_below_a_floor(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine, refused=0)
    assert [one.proposed for one in tuned()] == [0.01, 0.01]


def test_it_would_have_passed_all_that_was_sound(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine, batches=300, refused=1, email_missing=1)
    batch(engine, 1000, 1, at=NOW - timedelta(minutes=7), email_missing=70)
    assert [(one.rule, one.proposed) for one in tuned()] == [("", 0.01), ("email_missing", 0.088)]


def test_what_comes_near_now_and_then_stays(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine, refused=20, email_missing=90)
    assert tuned() == []


def test_a_few_batches_or_days_prove_nothing(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine, batches=49)
    assert tuned() == []
    for number in range(60):
        batch(engine, 1000, channel="till", at=NOW - number * DAY / 4)
    assert tuned() == []


def test_where_a_batch_was_held_nothing_is_asleep(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine)
    assert tuned()
    with database.write(engine) as connection:
        quarantine.put(connection, "shop", "csv", "x", {}, NOW - DAY)
    assert tuned() == []


def test_a_share_of_one_is_meant_so(engine: sa.Engine, tuned: Tuned) -> None:
    a_month(engine, sku_missing=1)
    assert "sku_missing" not in {one.rule for one in tuned()}


# What counts as a batch


def test_single_webhooks_are_taken_together_as_the_gate_does(engine: sa.Engine, tuned: Tuned) -> None:
    for minute in range(400):  # every tenth is refused: alone each would be a batch of 0 or 100 %
        batch(engine, 1, int(minute % 10 == 0), at=NOW - timedelta(minutes=minute))
    released_quarantine(engine)
    assert the(tuned()).proposed == 0.13


def test_parts_that_were_drained_at_once_are_one_batch(engine: sa.Engine, tuned: Tuned) -> None:
    for refused in (400, 0, 0, 0, 0, 0, 0, 0, 0, 0):
        batch(engine, 500, refused)
    released_quarantine(engine)
    assert the(tuned()).proposed == 0.1


def test_accounts_and_channels_are_tuned_apart(engine: sa.Engine, tuned: Tuned) -> None:
    second_account(engine)
    for channel in ("csv", "till"):
        batch(engine, 1000, 80, channel=channel)
    batch(engine, 1000, 80, account_id="other")
    released_quarantine(engine)
    assert [(one.account_id, one.channel) for one in tuned()] == [("shop", "csv")]
    assert tuned(account="other") == []


def test_the_adapters_section_counts(engine: sa.Engine, tuned: Tuned) -> None:
    book = thresholds.parse("channels: {shopify: {refuse_share: 0.09}}", "intake.yaml")
    batch(engine, 1000, 80)
    released_quarantine(engine)
    assert the(tuned(book)).now == 0.05
    assert tuned(book, adapters={("shop", "csv"): "shopify"}) == []


# The fragment to paste


def proposal(rule: str, key: str, proposed: str | float, channel: str = "csv", account: str = "shop") -> Proposal:
    return Proposal(account, channel, rule, key, 1, proposed, "so it\nis")


MANY = [
    proposal("without_lines", "row", "keep"),
    proposal("", "refuse_share", 0.1),
    proposal("email_missing", "share", 0.3, channel="till"),
    proposal("status_unknown", "share", 0.3, account="other"),
]


def test_pasted_into_the_shipped_file_it_is_what_was_proposed() -> None:
    book = thresholds.load(SHIPPED)
    after = thresholds.parse(SHIPPED.read_text() + tune.fragment(book, MANY), "intake.yaml")
    assert after.of("shop", "csv").rule("without_lines").row == "keep"
    assert after.of("shop", "csv").refuse_share == 0.1
    assert after.of("shop", "till").rule("email_missing").share == 0.3
    assert after.of("other", "csv").rule("status_unknown").share == 0.3
    untouched = after.of("other", "till")
    assert (untouched.refuse_share, untouched.shares()) == (0.05, book.of("other", "till").shares())


def test_it_tells_why() -> None:
    told = tune.fragment(BOOK, MANY[:1])
    assert told.splitlines()[0] == "# csv of shop, without_lines: row 1 → keep, because so it is"


def test_it_holds_what_the_channels_section_said_before() -> None:
    text = """
accounts:
  shop: {csv: {within_hours: 3, rules: {without_lines: {share: 0.1}, currency_foreign: {allowed: [GBP]}}}, web: {}}
"""
    book = thresholds.parse(text, "intake.yaml")
    pasted = yaml.safe_load(tune.fragment(book, MANY[:1]))
    assert pasted["accounts"]["shop"] == {
        "csv": {
            "within_hours": 3,
            "rules": {"without_lines": {"share": 0.1, "row": "keep"}, "currency_foreign": {"allowed": ["GBP"]}},
        }
    }
    assert book.section("shop", "csv")["rules"]["without_lines"] == {"share": 0.1}  # the book stays as it was


def test_nothing_to_propose_is_nothing_to_paste() -> None:
    assert tune.fragment(BOOK, []) == ""


NAMES = st.sampled_from(["csv", "no", "12", "a: b", "x#y", "ä", "'"])


@given(
    st.lists(
        st.tuples(NAMES, NAMES, st.sampled_from(["", "email_missing", "status_unknown"]), st.floats(0.01, 1)),
        max_size=6,
        unique_by=lambda one: one[:3],
    )
)
def test_whatever_is_proposed_can_be_loaded(those: list[tuple[str, str, str, float]]) -> None:
    proposals = [
        proposal(rule, "share" if rule else "refuse_share", share, channel=channel, account=account)
        for account, channel, rule, share in those
    ]
    book = thresholds.parse(tune.fragment(BOOK, proposals), "intake.yaml")
    for account, channel, rule, share in those:
        found = book.of(account, channel)
        assert (found.rule(rule).share if rule else found.refuse_share) == share


@given(st.floats(0.01, 1))
def test_a_proposed_share_is_rounded_up_to_what_people_read(share: float) -> None:
    rounded = tune._rounded_up(share)
    assert share <= rounded + 1e-9
    assert rounded <= share * 1.11
    assert len(f"{rounded:g}") <= 5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_no_more_than_one_in_a_hundred_is_above_p99(shares: list[float]) -> None:
    usual = tune._p99(shares)
    assert sum(share > usual for share in shares) <= len(shares) / 100
    assert usual in shares
