from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database
from data.dead_letters import State
from data.intake import rules_report
from data.intake.rules_report import RuleReport
from tests.conftest import NOW
from tests.data.intake.past import batch, letters, second_account

DAY = timedelta(days=1)


def report(engine: sa.Engine, account_id: str | None = "shop", days: int = 30) -> list[RuleReport]:
    with database.read(engine) as connection:
        return rules_report.report(connection, account_id, days=days, now=NOW)


def test_nothing_came_of_nothing(engine: sa.Engine, account_id: str) -> None:
    assert report(engine) == []


def test_what_fired_most_often_comes_first(engine: sa.Engine, account_id: str) -> None:
    batch(engine, 100, 3, email_missing=10, without_lines=3)
    batch(engine, 100, 1, email_missing=15, without_lines=1, sku_missing=30)
    found = report(engine)
    assert [(one.rule, one.fired, one.orders, one.share) for one in found] == [
        ("sku_missing", 30, 200, 0.15),
        ("email_missing", 25, 200, 0.125),
        ("without_lines", 4, 200, 0.02),
    ]
    assert found[0].letters == {}
    assert found[0].false_positive_share is None


def test_letters_that_people_released_unchanged_were_false_alarms(engine: sa.Engine, account_id: str) -> None:
    batch(engine, 1000, 20, without_lines=20)
    for state, count in (("open", 7), ("released", 6), ("fixed", 3), ("superseded", 2), ("discarded", 1)):
        letters(engine, "without_lines", state, count)
    (found,) = report(engine)
    assert found.letters == {
        State.OPEN: 7,
        State.RELEASED: 6,
        State.FIXED: 3,
        State.SUPERSEDED: 2,
        State.DISCARDED: 1,
    }
    assert found.ended == 12
    assert found.false_positive_share == 0.5


def test_while_all_are_open_nobody_knows(engine: sa.Engine, account_id: str) -> None:
    letters(engine, "status_unknown", "open", 3)
    (found,) = report(engine)
    assert (found.rule, found.fired, found.orders, found.share) == ("status_unknown", 0, 0, None)
    assert found.false_positive_share is None


def test_channels_and_accounts_are_told_apart(engine: sa.Engine, account_id: str) -> None:
    second_account(engine)
    batch(engine, 10, without_lines=1)
    batch(engine, 20, channel="till", without_lines=2)
    batch(engine, 40, account_id="other", without_lines=4)
    letters(engine, "without_lines", "released", 1, account_id="other")
    assert [(one.account_id, one.channel, one.fired, one.orders) for one in report(engine, None)] == [
        ("other", "csv", 4, 40),
        ("shop", "csv", 1, 10),
        ("shop", "till", 2, 20),
    ]
    assert [one.channel for one in report(engine)] == ["csv", "till"]
    assert all(one.letters == {} for one in report(engine))


def test_what_is_older_does_not_count(engine: sa.Engine, account_id: str) -> None:
    batch(engine, 10, at=NOW - 8 * DAY, without_lines=1)
    letters(engine, "without_lines", "released", 1, at=NOW - 8 * DAY)
    assert report(engine, days=7) == []
    (found,) = report(engine, days=9)
    assert (found.fired, found.ended) == (1, 1)


@pytest.mark.parametrize(("rule", "account"), [("", "shop"), ("late", None)])
def test_letters_of_other_things_are_left_out(engine: sa.Engine, account_id: str, rule: str, account) -> None:
    letters(engine, rule, "open", 1, account_id=account)
    assert report(engine, None) == []
