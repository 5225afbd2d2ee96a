"""Merges, imports, events and lifts in any order, with repetitions: the store says what the rules say.

The model keeps every statement and replays the rules in plain Python; the store keeps one row a reason.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from data import database, suppressions, suppressions_csv, suppressions_merge, tables
from data.suppressions import NewSuppression
from domain import addresses
from domain.ports import ListedSuppression
from domain.suppression import BY_REACH, SCOPE_OF, STRENGTH, NotLifted, Reason, Scope, Stream
from tests.data.ledger_rows import NOW, PEPPER
from tests.data.refusals import blocked

MAILBOXES = ("a@example.com", "b@example.com")
HASHES = {one: addresses.address_hash(one, PEPPER) for one in MAILBOXES}
hours = st.integers(0, 6)
lasting = st.one_of(st.none(), st.integers(1, 6))


@dataclass
class Standing:
    since: datetime
    scope: Scope
    until: datetime | None
    lifted: datetime | None = None


class Suppressions(RuleBasedStateMachine):
    def __init__(self, engine: sa.Engine) -> None:
        super().__init__()
        self.engine = engine
        self.now = NOW
        self.model: dict[tuple[str, Reason], Standing] = {}
        with database.write(engine) as connection:
            connection.execute(tables.suppressions.delete())
            connection.execute(tables.esp_listings.delete())

    def stated(self, mailbox: str, reason: Reason, at: datetime, until: datetime | None, scope: Scope) -> None:
        key = (mailbox, reason)
        row = self.model.get(key)
        if row is None:
            self.model[key] = Standing(at, scope, until)
        elif row.lifted is not None:
            if at > row.lifted:
                self.model[key] = Standing(at, scope, until)
        else:
            longer = row.until is not None and (until is None or until > row.until)
            was_over = longer and row.until is not None and row.until <= at
            row.scope = scope if was_over else max(row.scope, scope, key=BY_REACH.index)
            row.until = until if longer else row.until
            row.since = at if was_over else row.since

    @rule(
        mailbox=st.sampled_from(MAILBOXES),
        reason=st.sampled_from(Reason),
        ago=hours,
        lasts=lasting,
        scope=st.sampled_from(Scope),
        twice=st.booleans(),
    )
    def is_told(self, mailbox, reason, ago, lasts, scope, twice) -> None:
        at = self.now - timedelta(hours=ago)
        until = None if lasts is None else at + timedelta(hours=lasts)
        row = NewSuppression("shop", HASHES[mailbox], reason, "event", "x", at, until, scope)
        with database.write(self.engine) as connection:
            suppressions.add_many(connection, [row] * (1 + twice))
        self.stated(mailbox, reason, at, until, scope)

    @rule(
        mailbox=st.sampled_from(MAILBOXES),
        reason=st.sampled_from([Reason.HARD_BOUNCE, Reason.COMPLAINT, Reason.UNSUBSCRIBE]),
        ago=hours,
    )
    def is_read_on_an_esps_list(self, mailbox, reason, ago) -> None:
        at = self.now - timedelta(hours=ago)
        suppressions_merge.merge_listed(
            self.engine,
            account_id="shop",
            provider="esp",
            listed=[ListedSuppression(mailbox, reason, at, "", reason)],
            pepper=PEPPER,
            now=self.now,
        )
        self.stated(mailbox, reason, at, None, SCOPE_OF[reason])

    @rule(mailbox=st.sampled_from(MAILBOXES), reason=st.sampled_from(Reason), ago=hours)
    def is_imported(self, mailbox, reason, ago) -> None:
        at = self.now - timedelta(hours=ago)
        suppressions_csv.import_csv(
            self.engine,
            account_id="shop",
            file=iter(["address,reason,created_at\n", f"{mailbox},{reason},{at.isoformat()}\n"]),
            name="x",
            defaults=suppressions_csv.Defaults(),
            pepper=PEPPER,
            now=self.now,
            dry_run=False,
            refuse=lambda line, problem: pytest.fail(problem),
        )
        self.stated(mailbox, reason, at, None, SCOPE_OF[reason])

    @rule(mailbox=st.sampled_from(MAILBOXES), only=st.one_of(st.none(), st.sampled_from(Reason)), asked=st.booleans())
    def is_lifted(self, mailbox, only, asked) -> None:
        found = {
            reason: row
            for (where, reason), row in self.model.items()
            if where == mailbox and row.lifted is None and only in (None, reason)
        }
        allowed = Reason.ERASED not in found and (asked or Reason.COMPLAINT not in found)
        with database.write(self.engine) as connection:
            try:
                lifted = suppressions.lift(
                    connection,
                    account_id="shop",
                    address_hash=HASHES[mailbox],
                    actor="ann",
                    reason="why not",
                    now=self.now,
                    only=None if only is None else [only],
                    asked_for=asked,
                )
            except NotLifted:
                assert not allowed
                return
        assert allowed
        assert lifted == sorted(found)
        for row in found.values():
            row.lifted = self.now

    @rule(by=st.integers(1, 4))
    def time_passes(self, by: int) -> None:
        self.now += timedelta(hours=by)

    @invariant()
    def the_store_says_what_the_rules_say(self) -> None:
        with database.read(self.engine) as connection:
            row = tables.suppressions.c
            found = connection.execute(
                sa.select(row.address_hash, row.reason, row.created_at, row.scope, row.expires_at, row.lifted_at)
            )
            kept = {
                (one.address_hash, one.reason): (one.created_at, one.scope, one.expires_at, one.lifted_at)
                for one in found
            }
        assert kept == {
            (HASHES[mailbox], reason): (row.since, row.scope, row.until, row.lifted)
            for (mailbox, reason), row in self.model.items()
        }
        for stream in Stream:
            assert blocked(self.engine, stream, self.now) == self.expected(stream)

    def expected(self, stream: Stream) -> dict[str, Reason]:
        """The strongest reason that stops the stream now."""
        found = {}
        for mailbox in MAILBOXES:
            standing = [
                reason
                for (where, reason), row in self.model.items()
                if where == mailbox
                and row.lifted is None
                and (row.until is None or row.until > self.now)
                and (stream is Stream.MARKETING or row.scope is not Scope.MARKETING)
            ]
            if standing:
                found[HASHES[mailbox]] = min(standing, key=STRENGTH.index)
        return found


def test_any_order_of_statements_and_lifts(engine: sa.Engine, account_id: str) -> None:
    run_state_machine_as_test(
        lambda: Suppressions(engine),
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )
