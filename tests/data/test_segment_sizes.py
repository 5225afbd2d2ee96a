from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from data import database, segment_sizes
from data.expectations import audience
from data.segment_sizes import Size
from tests.conftest import NOW

pytestmark = pytest.mark.usefixtures("account_id")
DAY = timedelta(days=1)


def note(engine: sa.Engine, members: int, *, days_ago: int = 0, **other: object) -> None:
    given = {"account_id": "shop", "segment": "vip", "definition_hash": "d", "customers": 10}
    given |= {"as_of": NOW - days_ago * DAY, "members": members, "net_revenue": Decimal("12.3456")}
    with database.write(engine) as connection:
        segment_sizes.note(connection, **(given | other))  # type: ignore[arg-type]


def trailing(engine: sa.Engine, limit: int = 7, **other: object) -> list[int]:
    given = {"account_id": "shop", "segment": "vip", "definition_hash": "d"} | other
    with database.read(engine) as connection:
        return [one.members for one in segment_sizes.trailing(connection, limit=limit, **given)]  # type: ignore[arg-type]


def test_the_newest_come_first_and_no_more_than_asked(engine: sa.Engine) -> None:
    for days_ago, members in enumerate((5, 4, 3)):
        note(engine, members, days_ago=days_ago)
    assert trailing(engine) == [5, 4, 3]
    assert trailing(engine, 2) == [5, 4]
    assert trailing(engine, before=NOW) == [4, 3]


def test_one_instant_is_kept_once_as_it_was_seen_last(engine: sa.Engine) -> None:
    note(engine, 5)
    note(engine, 6)
    with database.read(engine) as connection:
        kept = segment_sizes.trailing(connection, account_id="shop", segment="vip", definition_hash="d", limit=9)
    assert kept == [Size(NOW, 6, 10, Decimal("12.3456"))]


def test_another_definition_or_segment_is_another_trend(engine: sa.Engine) -> None:
    note(engine, 5)
    note(engine, 1000, definition_hash="other", days_ago=1)
    assert trailing(engine) == [5]
    assert trailing(engine, segment="other") == []


@pytest.mark.parametrize(
    ("members", "earlier", "within"),
    [
        (150, [100, 90, 5000], (50, 150)),
        (0, [400, 200], (150, 450)),
        (5000, [3], (1.5, 4.5)),
        (99, [1], None),
        (5000, [], None),
        (5000, [0, 0], None),
    ],
    ids=["one odd size is nothing", "it vanished", "it exploded", "small stays small", "the first", "it never was"],
)
def test_the_band_is_that_of_the_median(members: int, earlier: list[int], within: tuple[float, float] | None) -> None:
    rule = audience.usual_size(members, earlier, percent=50, least=100)
    assert (rule and (rule.minimum, rule.maximum)) == within
