"""Kept figures equal reckoned ones: after any events in any order, any refresh, any death in the middle."""

import itertools
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, kpi_counts, kpis, tables
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.kpis import Figures
from domain.ledger import BatchState
from domain.machine_activity import UnknownRules
from tests.data import kpi_oracle, ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.plain_events import body_of, process, receive

PEOPLE = 12
EXCEPTED = 1
_RUNS = itertools.count()
_DOCUMENTED = [tables.kpi_counts, tables.kpi_latencies]


class Killed(BaseException):
    """The process died here."""


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, PEOPLE)


def planned(engine: sa.Engine, parties: list[int]) -> str:
    """A run of four batches of three, one of them accepted."""
    batches = [
        BatchRow(0, 2, attempt=f"a{next(_RUNS)}", exceptions={EXCEPTED: "suppressed"}),
        *(BatchRow(first, first + 2, BatchState.UNKNOWN) for first in (3, 6, 9)),
    ]
    with database.write(engine) as connection:
        return ledger_rows.add_run(connection, "shop", parties, batches, run_id=f"r{next(_RUNS)}")


def event(kind: EventKind, ordinal: int, *, run_id: str = "", after: int = 1, **facts: Any) -> DeliveryEvent:
    suppresses = "hard_bounce" if kind is EventKind.BOUNCED else None
    message_id = ledger_rows.message_id(ordinal, run_id)
    at = NOW + timedelta(seconds=after)
    return DeliveryEvent("sendgrid", kind, at, message_id=message_id, suppresses=suppresses, **facts)


def happened(engine: sa.Engine, *events: DeliveryEvent) -> None:
    receive(engine, body_of(*events))
    process(engine)


def stored(engine: sa.Engine) -> list[list[Any]]:
    with database.read(engine) as connection:
        return [connection.execute(sa.select(table).order_by(*table.primary_key)).all() for table in _DOCUMENTED]


def live(engine: sa.Engine, run_id: str) -> tuple[Figures, dict[str, Figures]]:
    with database.read(engine) as connection:
        return kpis.figures(connection, run_id)


def accept(engine: sa.Engine, run_id: str, first: int) -> None:
    batch = tables.batches
    with database.write(engine) as connection:
        connection.execute(
            batch.update()
            .where(batch.c.run_id == run_id, batch.c.first_ordinal == first)
            .values(state=BatchState.ACCEPTED, finished_at=NOW)
        )


def die(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh that is killed while it writes, its first step done."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, suppress(Killed):  # it may have nothing to do
        patch.setattr(kpi_counts.bulk, "insert_rows", killed)
        kpi_counts.refresh(engine)


_EVENTS = st.builds(
    event,
    kind=st.sampled_from(EventKind),
    ordinal=st.integers(0, PEOPLE - 1),
    after=st.integers(-1, 90),
    bounce_class=st.none() | st.sampled_from(BounceClass),
    fault=st.none() | st.sampled_from(Fault),
    machine=st.booleans(),
    client=st.sampled_from([None, "Mozilla/5.0|17.58.0.1", "Barracuda Sentinel (EE)", "iPhone Mail|198.51.100.9"]),
    url=st.sampled_from(
        [
            None,
            "https://a.example/1?x=y",
            "https://a.example/2",
            "https://a.example/3",
            "https://a.example/unsubscribe/t",
        ]
    ),
)
_STEPS = st.lists(
    st.one_of(
        st.lists(_EVENTS, min_size=1, max_size=6),
        st.sampled_from([0, 3, 6, 9]),
        st.sampled_from(["refresh", "die", "rules 1", "rules 2", "zone Pacific/Auckland", "zone America/Los_Angeles"]),
    ),
    max_size=10,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_kept_figures_equal_a_full_recomputation_whatever_came_before(
    engine: sa.Engine, parties: list[int], monkeypatch: pytest.MonkeyPatch, steps: list[Any]
) -> None:
    run_id, accepted, events = planned(engine, parties), {0, 2}, []
    for step in [*steps, "refresh"]:
        if isinstance(step, list):
            new = [replace(one, message_id=f"{run_id}{one.message_id}") for one in step]
            happened(engine, *new)
            events += new
        elif isinstance(step, int):
            accept(engine, run_id, step)
            accepted |= set(range(step, step + 3)) - {EXCEPTED}
        else:
            _do(engine, step, run_id, monkeypatch)
    whole, by_group = live(engine, run_id)
    assert by_group == kpi_oracle.by_mailbox_group(events, accepted, _rules(engine))
    assert whole.accepted == len(accepted)


def _do(engine: sa.Engine, step: str, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if step.startswith("zone"):
        with database.write(engine) as connection:
            connection.execute(tables.accounts.update().values(timezone=step.removeprefix("zone ")))
    elif step.startswith("rules"):
        kpi_counts.recompute(engine, account_id="shop", rules=int(step[-1]), by="test", now=NOW)
    elif step == "die":
        die(engine, monkeypatch)
    else:
        shown = live(engine, run_id)
        kpi_counts.refresh(engine)
        kept = stored(engine)
        assert live(engine, run_id) == shown, "what is shown at once is what a refresh keeps"
        kpi_counts.recompute(engine, account_id="shop", rules=None, by="test", now=NOW)
        assert stored(engine) == kept


def _rules(engine: sa.Engine) -> int:
    with database.read(engine) as connection:
        return kpi_counts.rules_of(connection, "shop")


def test_a_refresh_reckons_only_what_changed(engine: sa.Engine, parties: list[int]) -> None:
    run_id = planned(engine, parties)
    accept(engine, run_id, 3)
    assert kpi_counts.refresh(engine) == 2
    assert kpi_counts.refresh(engine) == 0
    happened(engine, event(EventKind.DELIVERED, 4, run_id=run_id))
    assert kpi_counts.refresh(engine) == 1


def test_a_bounded_refresh_ends_after_a_portion_and_the_next_goes_on(
    engine: sa.Engine, parties: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kpi_counts, "_BATCHES_AT_ONCE", 1)
    run_id = planned(engine, parties)
    accept(engine, run_id, 3)
    assert [kpi_counts.refresh(engine, seconds=0) for _ in range(3)] == [1, 1, 0]


def test_a_batch_of_which_nobody_was_mailed_is_reckoned_once(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        left_out = dict.fromkeys(range(3), "suppressed")
        run_id = ledger_rows.add_run(connection, "shop", parties, [BatchRow(0, 2, exceptions=left_out)])
    assert (kpi_counts.refresh(engine), kpi_counts.refresh(engine)) == (1, 0)
    assert live(engine, run_id) == (Figures(), {})


def test_a_late_bounce_changes_the_day_of_the_mail(engine: sa.Engine, parties: list[int]) -> None:
    run_id = planned(engine, parties)
    happened(engine, event(EventKind.DELIVERED, 0, run_id=run_id))
    kpi_counts.refresh(engine)
    happened(engine, event(EventKind.BOUNCED, 0, run_id=run_id, after=9 * 86_400, bounce_class=BounceClass.HARD))
    kpi_counts.refresh(engine)
    (counts, _) = stored(engine)
    assert {row.day for row in counts} == {NOW.date()}
    assert sum(row.bounced_hard for row in counts) == 1
    assert sum(row.delivered for row in counts) == 0


def test_the_rules_that_were_chosen_stay_in_force_and_say_so(engine: sa.Engine, parties: list[int]) -> None:
    run_id = planned(engine, parties)
    happened(engine, event(EventKind.OPENED, 0, run_id=run_id, client="Barracuda Sentinel (EE)|203.0.113.9"))
    kpi_counts.refresh(engine)
    assert live(engine, run_id)[0].opened_human == 0
    kpi_counts.recompute(engine, account_id="shop", rules=1, by="test", now=NOW)
    assert live(engine, run_id)[0].opened_human == 1
    assert kpi_counts.refresh(engine) == 0
    assert {row.rules for row in stored(engine)[0]} == {1}
    with pytest.raises(UnknownRules, match="1, 2"):
        kpi_counts.recompute(engine, account_id="shop", rules=9, by="test", now=NOW)


def test_nothing_of_a_persons_network_is_kept(engine: sa.Engine, parties: list[int]) -> None:
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15|198.51.100.9"
    happened(
        engine,
        event(EventKind.CLICKED, 0, run_id=planned(engine, parties), client=agent, url="https://a.example/p?e=x"),
    )
    with database.read(engine) as connection:
        (row,) = connection.execute(sa.select(tables.reactions))
    assert row.agent == "Mozilla/5 (iPhone; CPU iPhone OS 17 like Mac OS X) AppleWebKit/605"
    assert row.link == "https://a.example/p"


def test_how_long_a_dead_address_could_still_be_mailed(engine: sa.Engine, parties: list[int]) -> None:
    run_id = planned(engine, parties)
    happened(engine, event(EventKind.BOUNCED, 0, run_id=run_id, after=-40, bounce_class=BounceClass.HARD))
    happened(engine, event(EventKind.BOUNCED, 2, run_id=run_id, after=-400, bounce_class=BounceClass.SOFT))
    kpi_counts.refresh(engine)
    (counts, latencies) = stored(engine)
    assert [row.longest_handling for row in counts if row.longest_handling is not None] == [40]
    assert sum(row.messages for row in latencies if row.measure == kpi_counts.HANDLING) == 1
