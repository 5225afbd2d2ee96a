"""Who may be mailed now: one SQL expression, read when the audience is frozen and again inside each claim.

One reason a person, the first that applies in the order of SkipReason. Quiet hours are none: they hold mail back and
skip nobody (data.quiet_hours). Mailbox once, holdout and limit are the freeze's (data.audience).

Each part is a correlated look-up by index, so a claim of 1000 costs 1000 probes whatever else the tables hold. Only who
shares a mailbox with whom is read in one pass where most of the account is asked about.

Refusals are a mailbox's and not a customer number's: somebody who ordered as a guest and withdraws under her number has
withdrawn. What was said in a mailbox is looked up once, however many customers share it: a shop's till may write one
dummy address for thousands, and thousands of times thousands would never end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import accounts, frequencies, mail_counts, role_addresses, tables, topics
from data.mail_counts import Moment
from domain import suppression
from domain.audience import SkipReason
from domain.campaigns import RunStatus
from domain.consent import ConsentStatus
from domain.policy import SendingPolicy
from domain.preferences import Frequency
from domain.suppression import Stream

_EXCLUDED, _LACKING, _REFUSED, _ENOUGH = "excluded", "lacking", "topic_refused", "enough"
_OF_PARTY = ("address_hash", "email", "relay", "erased_at")
_RUNNING = (RunStatus.APPROVED, RunStatus.DISPATCHING, RunStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of everybody alike: the same question is the same statement, whenever and of whom it is asked."""

    dialect: str
    account_id: str
    policy: SendingPolicy  # the account's own limits are in it
    recent: tuple[str, ...]  # runs whose mails the cap counts
    first: tuple[str, ...]  # runs that go first
    topic: str | None = None  # what the run's mail is about
    chosen: tuple[tuple[Frequency, tuple[str, ...]], ...] = ()  # what anybody chose, each with the runs that it counts

    def moments(self, now: datetime) -> dict[str, datetime]:
        """What `judged` asks of time, by name: now, and from when on the cap and each choice counts."""
        own = {frequency.value: frequency.since(now) for frequency, _ in self.chosen}
        return {"now": now, "since": now - timedelta(days=self.policy.cap_days), **own}


def question(
    connection: sa.Connection,
    account_id: str,
    *,
    run_id: str,
    policy: SendingPolicy,
    now: datetime,
    topic: str | None = None,
) -> Question:
    """What to ask for this run, by the account's limits and its other runs as they are now.

    `policy` is the installation's; the account's own limits go first.
    """
    policy = accounts.policy_of(connection, account_id, policy)
    since = now - timedelta(days=policy.cap_days)
    recent = recent_runs(connection, account_id, run_id, since, policy)
    first = runs_that_go_first(connection, account_id, run_id, now)
    chosen = tuple(
        (one, tuple(recent_runs(connection, account_id, run_id, one.since(now), policy)))
        for one in frequencies.in_use(connection, account_id)
    )
    return Question(connection.dialect.name, account_id, policy, tuple(recent), tuple(first), topic, chosen)


# Built once, for each claim asks them.
_run = tables.campaign_runs.c
_own_run = tables.campaign_runs.alias("own_run").c
_own_priority = sa.select(_own_run.priority).where(_own_run.id == sa.bindparam("run_id")).scalar_subquery()
_RECENT_RUNS = sa.select(_run.id).where(
    _run.account_id == sa.bindparam("account_id"),
    _run.id != sa.bindparam("run_id"),
    _run.dispatch_started_at >= sa.bindparam("began"),
)
_RUNS_THAT_GO_FIRST = sa.select(_run.id).where(
    _run.account_id == sa.bindparam("account_id"),
    _run.live,
    _run.status.in_([sa.literal(status) for status in _RUNNING]),
    _run.priority > sa.func.coalesce(_own_priority, 0),
    _run.expires_at.is_(None) | (_run.expires_at > sa.bindparam("now")),
)


def select(
    connection: sa.Connection,
    account_id: str,
    *,
    run_id: str,
    among: sa.FromClause,
    policy: SendingPolicy,
    now: datetime,
    many: bool = False,
    topic: str | None = None,
) -> sa.Select[Any]:
    """Ask `question` and judge by it. The connection is asked for that only; the caller executes the select."""
    asked = question(connection, account_id, run_id=run_id, policy=policy, now=now, topic=topic)
    return judged(asked, among, moments=asked.moments(now), many=many)


def judged(
    asked: Question, among: sa.FromClause, *, moments: Mapping[str, Moment], many: bool = False
) -> sa.Select[Any]:
    """The rows of `among`, which has a column party_id, each with address_hash and reason.

    The reason is NULL for those who may be mailed. A column `excluded` of `among` says who belongs to a segment that
    the run leaves out; a column `lacking` who has no value for what the template says. Where `among` has read the parties' rows itself it brings address_hash, email, relay and
    erased_at. `moments`: those of the question. `many`: these are so large a part of the account that one pass over its
    mailboxes is cheaper than a look-up for each.
    """
    account_id, policy = asked.account_id, asked.policy
    now, since = moments["now"], moments["since"]
    people = _people(among).cte("people") if many else _once(_people(among), "people")
    shared = all_shared_mailboxes(account_id) if many else shared_mailboxes(people, account_id)
    facts = (
        sa.select(
            people,
            role_addresses.is_role(asked.dialect, people.c.email).label("role"),
            suppressed_by(account_id, people.c.address_hash, Stream.MARKETING, now).label("suppressed_by"),
            sa.func.coalesce(shared.c.consent, consent_status(people.c.party_id)).label("consent"),
            _counted(people.c.party_id, asked.recent, since, policy).label("recent"),
            (mail_counts.waiting_mails(people.c.party_id, asked.first) if asked.first else sa.literal(0)).label(
                "waiting"
            ),
            *_choices(asked, people, moments),
        )
        .select_from(people.outerjoin(shared, shared.c.address_hash == people.c.address_hash))
        .offset(0)  # keeps both databases from copying a look-up to each place that names it; and nothing is stored
        .subquery("facts")
    )
    own = {column.name: facts.c[column.name] for column in among.c} | {"address_hash": facts.c.address_hash}
    return sa.select(*own.values(), _reason(facts, policy).label("reason"))


def _reason(facts: sa.Subquery, policy: SendingPolicy) -> sa.ColumnElement[Any]:
    """The cases in the order of SkipReason. An address erased under another number is erased as well."""
    erased = facts.c.erased_at.is_not(None) | (facts.c.suppressed_by == suppression.Reason.ERASED)
    return sa.case(
        (erased, SkipReason.SUPPRESSED_ERASED),
        (facts.c.relay & facts.c.email.is_(None), SkipReason.RELAY_ADDRESS),
        (facts.c.email.is_(None), SkipReason.NO_ADDRESS),
        (facts.c.address_hash.is_(None), SkipReason.INVALID_ADDRESS),
        (facts.c.role, SkipReason.ROLE_ADDRESS),
        (facts.c.consent.is_(None), SkipReason.NO_CONSENT),
        (facts.c.consent == ConsentStatus.WITHDRAWN, SkipReason.CONSENT_WITHDRAWN),
        (facts.c.suppressed_by.is_not(None), sa.literal("suppressed_") + facts.c.suppressed_by),
        *([(facts.c[_REFUSED], SkipReason.TOPIC_REFUSED)] if _REFUSED in facts.c else []),
        *([(facts.c[_EXCLUDED], SkipReason.EXCLUDED_SEGMENT)] if _EXCLUDED in facts.c else []),
        *([(facts.c[_LACKING], SkipReason.MISSING_VALUE)] if _LACKING in facts.c else []),
        (facts.c.recent >= policy.cap_mails, SkipReason.FREQUENCY_CAP),
        *([(facts.c[_ENOUGH], SkipReason.FREQUENCY_CAP)] if _ENOUGH in facts.c else []),
        (facts.c.waiting > 0, SkipReason.HIGHER_PRIORITY),
        else_=None,
    )


def _choices(asked: Question, people: sa.CTE, moments: Mapping[str, Moment]) -> Iterator[sa.ColumnElement[Any]]:
    """Did she refuse the topic; did she get as much as she chose. Each only where anybody can have."""
    if asked.topic is not None:
        yield topics.is_refused(asked.account_id, people.c.address_hash, asked.topic).label(_REFUSED)
    enough = {
        frequency.value: mail_counts.recent_mails(people.c.party_id, runs, moments[frequency.value]) >= frequency.mails
        for frequency, runs in asked.chosen
        if runs
    }
    if enough:
        own = frequencies.of(asked.account_id, people.c.address_hash)
        yield sa.case(*((own == name, mails) for name, mails in enough.items()), else_=sa.false()).label(_ENOUGH)


def _counted(
    party_id: sa.ColumnElement[Any], recent: Sequence[str], since: Moment, policy: SendingPolicy
) -> sa.ColumnElement[Any]:
    """The mails that the cap counts.

    Fewer runs than it allows cannot exceed it, so nobody is counted then: but one run may have mailed two numbers that
    are one person by now.
    """
    if not recent:
        return sa.literal(0)
    mails = mail_counts.recent_mails(party_id, recent, since)
    if len(recent) >= policy.cap_mails:
        return mails
    party = tables.parties.alias("joined")
    stands_for_others = sa.exists().where(party.c.person_id == party_id)
    is_somebody_else = sa.exists().where(party.c.id == party_id, party.c.person_id.is_not(None))
    return sa.case((stands_for_others | is_somebody_else, mails), else_=0)


def _once(select: sa.Select[Any], name: str) -> sa.CTE:
    """Both databases would otherwise copy a look-up to every place that names it, and run it 2 to 4 times a freeze."""
    return select.cte(name).prefix_with("MATERIALIZED")


def _people(among: sa.FromClause) -> sa.Select[Any]:
    if all(name in among.c for name in _OF_PARTY):
        return sa.select(among)
    party = tables.parties
    joined = among.join(party, party.c.id == among.c.party_id)
    return sa.select(*among.c, *(party.c[name] for name in _OF_PARTY)).select_from(joined)


def shared_mailboxes(people: sa.CTE, account_id: str) -> sa.CTE:
    """What was said last in each mailbox that one of these people shares with any other customer."""
    twin = tables.parties.alias("twin")
    also = sa.exists().where(
        twin.c.account_id == account_id,
        twin.c.address_hash == people.c.address_hash,
        twin.c.id != people.c.party_id,
    )
    return _said(sa.select(people.c.address_hash).where(also).distinct(), account_id)


def all_shared_mailboxes(account_id: str) -> sa.CTE:
    """The same of all the account's mailboxes that several customers have: one pass over their index."""
    twin = tables.parties.alias("twin")
    mailboxes = (
        sa.select(twin.c.address_hash)
        .where(twin.c.account_id == account_id, twin.c.address_hash.is_not(None))
        .group_by(twin.c.address_hash)
        .having(sa.func.count() > 1)
    )
    return _said(mailboxes, account_id)


def _said(mailboxes: sa.Select[Any], account_id: str) -> sa.CTE:
    mailbox = mailboxes.subquery("mailbox")
    said = mailbox_consent(account_id, mailbox.c.address_hash).label("consent")
    return _once(sa.select(mailbox.c.address_hash, said), "shared_mailboxes")


def suppressed_by(
    account_id: str, address_hash: sa.ColumnElement[Any], stream: Stream, now: Moment
) -> sa.ScalarSelect[Any]:
    """The strongest reason in force that stops this stream for the address, or NULL."""
    table = tables.suppressions
    strength = sa.case({reason.value: place for place, reason in enumerate(suppression.STRENGTH)}, value=table.c.reason)
    return (
        sa.select(table.c.reason)
        .where(
            table.c.account_id == account_id,
            table.c.address_hash == address_hash,
            table.c.scope.in_([sa.literal(str(scope)) for scope in suppression.scopes_blocking(stream)]),
            table.c.lifted_at.is_(None),
            table.c.expires_at.is_(None) | (table.c.expires_at > now),
        )
        .order_by(strength)
        .limit(1)
        .scalar_subquery()
    )


def consent_status(party_id: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """What the customer said last, or NULL; of two statements at one instant the withdrawal (domain.consent)."""
    table = tables.consents
    return (
        sa.select(table.c.status)
        .where(table.c.party_id == party_id)
        .order_by(table.c.occurred_at.desc(), table.c.status.desc())  # the unique index's own order: no sort
        .limit(1)
        .scalar_subquery()
    )


def mailbox_consent(account_id: str, address_hash: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """The last word, as above, of all the account's customers who have this address."""
    table, party = tables.consents, tables.parties
    return (
        sa.select(table.c.status)
        .join_from(party, table, table.c.party_id == party.c.id)
        .where(party.c.account_id == account_id, party.c.address_hash == address_hash)
        .order_by(table.c.occurred_at.desc(), table.c.status.desc())
        .limit(1)
        .scalar_subquery()
    )


def recent_runs(
    connection: sa.Connection, account_id: str, run_id: str, since: datetime, policy: SendingPolicy
) -> list[str]:
    """The account's other runs of which a mail may have gone out since then: a handful, found by when they began.

    A run may hold mail for the night, and sends for as long as its window is open.
    """
    began = since - timedelta(hours=policy.window_hours)
    about = {"account_id": account_id, "run_id": run_id, "began": began}
    return list(connection.scalars(_RECENT_RUNS, about))


def runs_that_go_first(connection: sa.Connection, account_id: str, run_id: str, now: datetime) -> list[str]:
    """The account's running campaigns of a larger priority than this run's. Of equal ones neither goes first.

    They would else leave out each other's people whenever nobody thought of priorities; two mails to one person are the
    frequency cap's to prevent.
    """
    about = {"account_id": account_id, "run_id": run_id, "now": now}
    return list(connection.scalars(_RUNS_THAT_GO_FIRST, about))
