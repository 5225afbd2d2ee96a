"""Our own faults out of the events: one provider is held back at one mailbox group, and another may carry it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import brakes, control, database, outlook, pair_guards, runs, sender_refusals, tables
from data.ledger import SqlLedger
from data.pair_guards import Held
from domain import bounces
from domain.campaigns import Run, RunStatus, message_id
from domain.delivery import DeliveryEvent, EventKind
from domain.guardrails import GuardAction
from domain.ledger import Outcome, OutcomeKind
from tests.data import frozen, guarded, ledger_rows
from tests.data.frozen import Clock
from tests.data.guarded import Part
from tests.data.ledger_rows import NOW
from tests.data.plain_events import body_of, process, receive

pytestmark = pytest.mark.usefixtures("account_id")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)
UNSIGNED = "550 5.7.26 This mail is unauthenticated: DKIM = did not pass"
UNUSUAL = "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail"
TSS04 = "421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume"
LISTED = "550 5.7.1 our spamhaus blocklist names your IP"
VIRUS = "550 5.6.0 the content was rejected"
A, B = frozen.route("a"), frozen.route("b")


def told(run_id: str, ordinals: Sequence[int], text: str, *, minute: float = 0, deferred: bool = False) -> bytes:
    verdict = bounces.judge(status="", text=text)
    kind = EventKind.DEFERRED if deferred else EventKind.BOUNCED
    facts = {} if deferred else {"bounce_class": verdict.bounce_class, "fault": verdict.fault}
    at = NOW + timedelta(minutes=minute)
    return body_of(
        *(
            DeliveryEvent("sendgrid", kind, at, message_id=message_id(run_id, one), detail=text, **facts)  # type: ignore[arg-type]
            for one in ordinals
        )
    )


def hear(engine: sa.Engine, *bodies: bytes) -> None:
    receive(engine, *bodies)
    process(engine)


def watch(engine: sa.Engine, *, minutes: float = 1) -> list[Held]:
    now, found = NOW + timedelta(minutes=minutes), []
    with database.read(engine) as connection:
        seen = pair_guards.observe(connection, now)
    for one in seen:
        with database.write(engine) as connection:
            found += pair_guards.guard(connection, one)
    return found


def suppressed(engine: sa.Engine) -> int:
    with database.read(engine) as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(tables.suppressions)) or 0


def gone_out(engine: sa.Engine, group: str = "gmail", size: int = 1000, **fates: int) -> Run:
    """A run, still sending, of which this part went out by the provider `a`."""
    run = guarded.run_of(engine, [Part(group, size, fates)])
    with database.write(engine) as connection:
        batch_id = connection.scalar(sa.select(tables.batches.c.id))
        _attempt(connection, f"{run.id}-0", batch_id, size)
    return run


def _attempt(connection: sa.Connection, attempt_id: str, batch_id: int | None, messages: int) -> None:
    connection.execute(
        tables.batch_attempts.insert().values(
            id=attempt_id,
            batch_id=batch_id,
            number=1,
            worker="w",
            provider="a",
            content_hash="h",
            messages=messages,
            claimed_at=NOW,
        )
    )


# --- what is held back -----------------------------------------------------------------------------------------------


def test_three_unauthenticated_pause_until_a_person_lifts_it(engine: sa.Engine) -> None:
    run = gone_out(engine)
    hear(engine, told(run.id, [0, 1], UNSIGNED), told(run.id, [0, 1], UNSIGNED, minute=0.5))
    assert watch(engine) == []
    hear(engine, told(run.id, [2], UNSIGNED))
    (held,) = watch(engine)
    assert (held.way, held.guard.action, held.until) == (("a", "gmail"), GuardAction.PAUSE, None)
    assert UNSIGNED in held.guard.reason
    assert watch(engine) == []
    assert suppressed(engine) == 0
    with database.write(engine) as connection:
        brakes.lift(
            connection, held.brake_id, account_id="shop", by="Ann", why="DKIM mended", now=NOW + frozen.HOUR / 30
        )
    assert watch(engine, minutes=3) == []  # what came before is no news
    hear(engine, told(run.id, [3, 4, 5], UNSIGNED, minute=4))
    assert len(watch(engine, minutes=5)) == 1


@pytest.mark.parametrize(
    ("text", "deferred", "action", "minutes"),
    [
        (UNUSUAL, True, GuardAction.PAUSE, 10),
        (TSS04, True, GuardAction.PAUSE, 120),
        ("452 4.7.1 too many messages from your IP", False, GuardAction.SLOW, 30),
    ],
)
def test_a_rate_slows_or_pauses_for_as_long_as_the_provider_says(
    engine: sa.Engine, text: str, deferred: bool, action: GuardAction, minutes: int
) -> None:
    run = gone_out(engine)
    hear(engine, told(run.id, range(8), text, deferred=deferred))
    (held,) = watch(engine)
    assert (held.guard.action, held.until) == (action, NOW + timedelta(minutes=1 + minutes))
    with database.read(engine) as connection:
        over = brakes.of_providers(connection, "shop", NOW + timedelta(minutes=2 + minutes))
    assert over == {}


def test_a_bad_name_pauses_from_a_tenth(engine: sa.Engine) -> None:
    run = gone_out(engine, size=600)
    delivered = DeliveryEvent("sendgrid", EventKind.DELIVERED, NOW)
    arrived = [replace(delivered, message_id=message_id(run.id, one)) for one in range(100, 600)]
    hear(engine, body_of(*arrived), told(run.id, range(40), LISTED))
    assert watch(engine) == []
    hear(engine, told(run.id, range(40, 90), LISTED))
    (held,) = watch(engine)
    assert (held.guard.action, held.until) == (GuardAction.PAUSE, None)
    assert held.guard.figures["heard"] == 590
    assert suppressed(engine) == 0


def test_one_forwarding_server_among_many_pauses_nobody(engine: sa.Engine) -> None:
    run = gone_out(engine, group="other")
    delivered = DeliveryEvent("sendgrid", EventKind.DELIVERED, NOW)
    arrived = [replace(delivered, message_id=message_id(run.id, one)) for one in range(100, 600)]
    hear(engine, body_of(*arrived), told(run.id, range(3), UNSIGNED))
    assert watch(engine) == []
    hear(engine, told(run.id, range(3, 100), UNSIGNED))
    assert len(watch(engine)) == 1


def test_each_message_is_put_down_to_the_way_that_its_batch_went(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("gmail", 10, {}), Part("yahoo", 10, {}), Part("other", 10, {})])
    with database.write(engine) as connection:
        for batch in connection.execute(sa.select(tables.batches)).all():
            _attempt(connection, batch.attempt_id, batch.id, 10)
    hear(engine, told(run.id, [0, 9, 10, 19, 29, 30], UNSIGNED))
    with database.read(engine) as connection:
        found = sender_refusals.by_way(connection, "shop", NOW, {})
    assert {way.mailbox_group: count for (way, _), (count, _) in found.items()} == {"gmail": 2, "yahoo": 2, "other": 1}


def test_the_words_that_came_most_often_are_told_of_what_no_person_dealt_with(engine: sa.Engine) -> None:
    run = gone_out(engine)
    hear(engine, told(run.id, range(4), UNSIGNED), told(run.id, range(4, 7), f"{UNSIGNED} b", minute=1))
    hear(engine, told(run.id, [7], f"{UNSIGNED} a", minute=1))
    way = sender_refusals.Way("a", "gmail")

    def said(lifts: dict[sender_refusals.Way, datetime]) -> list[tuple[int, str]]:
        with database.read(engine) as connection:
            return list(sender_refusals.by_way(connection, "shop", NOW, lifts).values())

    assert said({}) == [(8, UNSIGNED)]
    assert said({way: NOW}) == [(4, f"{UNSIGNED} b")]
    assert said({sender_refusals.Way("a", "yahoo"): NOW}) == [(8, UNSIGNED)]


def test_a_storm_in_which_each_refusal_has_an_id_of_its_own_is_one_text(engine: sa.Engine) -> None:
    run = gone_out(engine)
    few = "550 5.7.26 rejected: no SPF record"
    storm = [f"{UNSIGNED} {one:x}a7-20020a170906c{one:03}si48 - gsmtp" for one in range(40)]
    hear(engine, *(told(run.id, [one], text) for one, text in enumerate(storm)), told(run.id, range(50, 53), few))
    large = [f"552 5.2.3 message of {one}7 bytes is too large, id 4bX{one}Yz" for one in range(20)]
    hear(engine, *(told(run.id, [60 + one], text) for one, text in enumerate(large)))
    with database.read(engine) as connection:
        ((count, text),) = sender_refusals.by_way(connection, "shop", NOW, {}).values()
        content = sender_refusals.of_content(connection, run.id, None)
    with database.read(engine) as connection:
        refusal = tables.sender_refusals.c
        texts = connection.execute(sa.select(refusal.trouble, refusal.text).distinct().order_by(refusal.text)).all()
    assert (count, text) == (43, min(storm))
    assert content == (20, min(large))
    assert len(texts) == 3


def test_what_is_a_quarter_of_an_hour_old_is_over_and_a_week_old_forgotten(engine: sa.Engine) -> None:
    run = gone_out(engine)
    hear(engine, told(run.id, range(3), UNSIGNED))
    assert watch(engine, minutes=16) == []
    with database.write(engine) as connection:
        assert sender_refusals.forget(connection, NOW + timedelta(days=8)) == 3


# --- what goes on ----------------------------------------------------------------------------------------------------


def _book(engine: sa.Engine, *routes: object) -> tuple[SqlLedger, Clock]:
    """Nine batches, in turn of two mailbox groups."""
    run, clock = frozen.dispatching(engine, 90), Clock()
    batch = tables.batches
    group = sa.case(((batch.c.first_ordinal / 10) % 2 < 1, "gmail"), else_="yahoo")
    with database.write(engine) as connection:
        connection.execute(batch.update().values(mailbox_group=group))
    book = frozen.book(engine, run, clock, *routes)  # type: ignore[arg-type]
    return replace(book, outlook=outlook.reader(engine, run, book.routes, clock())), clock


def _sent(book: SqlLedger, most: int | None = None) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    while (most is None or found.total() < most) and (batch := book.claim(book.run.id, worker="w")) is not None:
        found[batch.grant.route.provider, batch.grant.mailbox_group] += len(batch)
        book.record(batch, ACCEPTED, seconds=0.1)
    return found


def _pause(engine: sa.Engine, provider: str, group: str, factor: float = 0.0) -> int:
    with database.write(engine) as connection:
        return brakes.put(
            connection,
            account_id="shop",
            run_id=None,
            mailbox_group=group,
            factor=factor,
            reason="tested",
            figures={},
            now=NOW,
            until=None,
            provider=provider,
        )


def test_a_pause_holds_from_the_next_batch_on_and_another_esp_carries_the_group(engine: sa.Engine) -> None:
    book, _ = _book(engine, A, replace(B, priority=2))
    first = _sent(book, most=10)
    (group,) = {name for _, name in first}
    _pause(engine, "a", group)
    rest = _sent(book)
    assert ("a", group) not in rest
    assert rest["b", group] > 0
    assert {provider for provider, name in rest if name != group} == {"a"}
    assert first.total() + rest.total() == 90


def test_without_another_way_only_that_group_waits_until_it_is_lifted(engine: sa.Engine) -> None:
    book, clock = _book(engine, A)
    brake_id = _pause(engine, "a", "gmail")
    sent = _sent(book)
    assert sent.total() > 0
    assert ("a", "gmail") not in sent
    assert book.traffic.stalled is not None
    assert "a is paused at gmail for our own fault" in book.traffic.stalled.reason
    with database.write(engine) as connection:
        brakes.lift(connection, brake_id, account_id="shop", by="Ann", why="mended", now=NOW)
    clock.forward(seconds=31)
    assert set(_sent(book)) == {("a", "gmail")}


def test_a_pause_of_one_esp_is_none_of_the_group_nor_of_another_account(engine: sa.Engine) -> None:
    _pause(engine, "a", "gmail")
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        assert brakes.in_force(connection, "shop", "run1", NOW) == {}
        assert brakes.of_providers(connection, "other", NOW) == {}


# --- content ---------------------------------------------------------------------------------------------------------


def hold(engine: sa.Engine, run_id: str) -> object:
    with database.write(engine) as connection:
        run = runs.get(connection, run_id)
        return pair_guards.hold(connection, run, pair_guards.observe_content(connection, run), NOW)


def status(engine: sa.Engine, run_id: str) -> Run:
    with database.read(engine) as connection:
        return runs.get(connection, run_id)


def test_a_refused_content_holds_its_run_for_a_person(engine: sa.Engine) -> None:
    run = gone_out(engine, size=100)
    hear(engine, told(run.id, range(7), VIRUS))
    assert hold(engine, run.id) is None
    hear(engine, told(run.id, range(7, 20), VIRUS))
    assert hold(engine, run.id) is not None
    paused = status(engine, run.id)
    assert paused.status is RunStatus.PAUSED
    assert VIRUS in (paused.stop_reason or "")
    assert suppressed(engine) == 0
    assert watch(engine) == []  # no provider is to blame


def test_who_lets_it_go_on_is_heeded(engine: sa.Engine) -> None:
    run = gone_out(engine, size=100)
    hear(engine, told(run.id, range(20), VIRUS))
    hold(engine, run.id)
    with database.write(engine) as connection:
        paused = runs.get(connection, run.id)
        control.note_continuation(
            connection, paused, flow_run_id="f2", by="Ann", why="it is fine", now=NOW + timedelta(minutes=1)
        )
        control.take_up(connection, run.id, flow_run_id="f2", now=NOW + timedelta(minutes=1))
    assert hold(engine, run.id) is None
    assert status(engine, run.id).status is RunStatus.DISPATCHING


def test_a_few_refusals_among_many_stop_nothing(engine: sa.Engine) -> None:
    run = gone_out(engine, size=1000, delivered=900)
    hear(engine, told(run.id, range(900, 920), VIRUS))
    assert hold(engine, run.id) is None
