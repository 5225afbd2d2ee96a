"""What was found of a way out is kept by account, domain and provider, on both databases."""

from datetime import timedelta

import sqlalchemy as sa

from data import database, preflights, tables
from domain.preflight import Light, Line
from tests.conftest import NOW

_BAD = Line("dmarc", "shop.example.com", Light.RED, "none", 'TXT _dmarc "v=DMARC1"', "RFC 7489")
_GOOD = Line("spf", "shop.example.com", Light.GREEN, "passes")


def _keep(engine: sa.Engine, *lines: Line, good: bool, minutes: int = 0, provider: str = "esp") -> None:
    with database.write(engine) as connection:
        at = NOW + timedelta(minutes=minutes)
        preflights.keep(
            connection, "shop", domain="shop.example.com", provider=provider, lines=lines, good=good, now=at
        )


def test_the_newest_look_and_the_last_good_one(engine: sa.Engine, account_id: str) -> None:
    way = {"domain": "shop.example.com", "provider": "esp"}
    with database.read(engine) as connection:
        assert preflights.latest(connection, account_id, **way) is None
        assert preflights.last_good(connection, account_id, **way) is None
    _keep(engine, _GOOD, good=True)
    _keep(engine, _GOOD, _BAD, good=False, minutes=5)
    _keep(engine, _GOOD, good=True, minutes=9, provider="other")
    with database.read(engine) as connection:
        look = preflights.latest(connection, account_id, **way)
        assert look is not None
        assert (look.lines, look.worst, look.good, look.at) == (
            (_GOOD, _BAD), Light.RED, False, NOW + timedelta(minutes=5)
        )  # fmt: skip
        assert preflights.last_good(connection, account_id, **way) == NOW
        assert preflights.latest(connection, "another", **way) is None
        assert preflights.latest(connection, account_id, domain="x.example.com", provider="esp") is None


def test_old_ones_are_forgotten(engine: sa.Engine, account_id: str) -> None:
    _keep(engine, _GOOD, good=True)
    _keep(engine, _BAD, good=False, minutes=60 * 24 * 91)
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.preflights)) == 1
        assert preflights.last_good(connection, account_id, domain="shop.example.com", provider="esp") is None
