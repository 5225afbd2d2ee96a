"""The intake, killed at any statement and commit: no order without its intent, no intent without its order.

Each store gets a few lives, each killed at a moment drawn by lot, and is then brought to its end.
"""

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from data import database, order_triggers, orders, tables
from data.channels.channel import Origin, Urgency
from data.intake import drain
from data.intake.records import Incoming
from tests.conftest import NOW, add_shop
from tests.data.intake import feed, mailing
from tests.data.intake.test_order_independence import emptied
from tests.kills.hosted import Striker

pytestmark = pytest.mark.slow
ORDERS, AT_ONCE = 24, 3  # transactions of so many orders
LONGEST = 160  # statements and commits of a life
KILLS = 25
KEPT = [*range(ORDERS), *range(0, ORDERS, 4)]  # some are told again, changed
Work = Callable[[sa.Engine], None]


def bring(engine: sa.Engine) -> None:
    """Records of orders, each new, and some of them shipped later."""
    bodies = [
        mailing.order(number)
        if place < ORDERS
        else mailing.order(number, minute=9, fulfillments=[mailing.parcel(number, 8)])
        for place, number in enumerate(KEPT)
    ]
    for body in bodies:
        incoming = Incoming(orjson.dumps(body), Origin.PUSH, "push", NOW, urgency=Urgency.NOW)
        feed.keep(engine, incoming, channel="shopify")


def work(engine: sa.Engine) -> None:
    """What the flow does."""
    drain._ORDERS_AT_ONCE = AT_ONCE
    feed.drained(engine, triggers=mailing.book())


def naive(engine: sa.Engine) -> None:
    """What a program does that has no outbox: it asks for the mail when the orders are in."""
    own, kept = order_triggers.ask, list[tuple[Any, ...]]()
    taken_in = drain.apply.apply

    def later(connection: sa.Connection, *given: Any, **about: Any) -> list[str]:
        kept.append((*given[:3], list(given[3]), about))
        return []

    def applied(engine: sa.Engine, *given: Any, **about: Any) -> Any:
        found = taken_in(engine, *given, **about)
        with database.write(engine) as connection:
            for *asked, said in kept:
                own(connection, *asked, **said)
            kept.clear()
        return found

    orders.order_triggers.ask = later  # type: ignore[assignment]
    drain.apply.apply = applied  # type: ignore[assignment]
    work(engine)


def life(url: str, folder: Path, what: Work, *, at: int | None) -> bool:
    """Let a process do it; False where it was killed at its `at`-th boundary: a statement, or before or after a commit."""
    database.engine_for(url).dispose()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            engine = database.engine_for(url)
            striker = Striker(at)
            striker.watch(engine)
            sa.event.listen(engine, "before_cursor_execute", lambda *_: striker("before a statement"))
            what(engine)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, this process ends here and says why
            (folder / f"died-{os.getpid()}.txt").write_text(traceback.format_exc())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in {0, -signal.SIGKILL}:
        raise AssertionError((folder / f"died-{child}.txt").read_text())
    return status == 0


@dataclass(frozen=True)
class Found:
    """What is wrong in the store; `orders` are in it."""

    orders: int
    without_intent: int
    without_order: int
    twice: int
    intents: int

    @property
    def sound(self) -> bool:
        return not (self.without_intent or self.without_order or self.twice)


def look(engine: sa.Engine) -> Found:
    """Each order asks for its confirmation, and with a parcel for the mail about that."""
    event, order = tables.order_events.c, tables.orders.c
    with database.read(engine) as connection:
        there = set(connection.execute(sa.select(order.external_id, sa.literal("placed"))))
        parcels = sa.select(order.external_id, event.step).join_from(
            tables.order_events, tables.orders, order.id == event.order_id
        )
        there |= set(connection.execute(parcels))
        count = connection.scalar(sa.select(sa.func.count()).select_from(tables.transactional_messages))
    asked = {(number, step) for number, step, _ in mailing.intents(engine)}
    orders_ = len({number for number, _ in there})
    return Found(orders_, len(there - asked), len(asked - there), (count or 0) - len(asked), len(asked))


def killed(url: str, folder: Path, what: Work, kills: int) -> list[Found]:
    """What the store held after each death, and after each life that came to its end: then it begins with a new store."""
    lot, found, deaths = Random(8), list[Found](), 0
    engine = database.engine_for(url)
    try:
        with database.write(engine) as connection:
            add_shop(connection)
        while deaths < kills:
            emptied(engine)
            bring(engine)
            while not life(url, folder, what, at=lot.randrange(1, LONGEST)):
                deaths += 1
                found.append(look(engine))
            found.append(look(engine))
            assert found[-1].orders == ORDERS
    finally:
        engine.dispose()
    return found


def test_killed_again_and_again_no_order_lacks_its_intent_and_none_has_two(database_url: str, tmp_path: Path) -> None:
    found = killed(database_url, tmp_path, work, KILLS)
    assert [one for one in found if not one.sound] == []
    midway = [one for one in found if 0 < one.orders < ORDERS]
    assert len(midway) > KILLS // 4  # it was struck while it was at work
    assert found[-1].intents == len(KEPT)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_program_without_an_outbox_is_caught(database_url: str, tmp_path: Path) -> None:
    found = killed(database_url, tmp_path, naive, 10)
    assert any(one.without_intent for one in found if one.orders < ORDERS)
