"""Why one customer is in a segment or not, and whether a mail would reach them now. Nothing here needs Prefect.

Every sentence is meant to be read out on the phone: it names no address, and the customer by number only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from data import accounts, audience, database, own_orders, standing
from data.features.population import Customers
from data.own_orders import OwnOrder, OwnOrders
from data.standing import Standing
from domain.audience import SENTENCE, SkipReason
from domain.campaigns import Refinement, Run
from domain.policy import SendingPolicy
from domain.rule_fields import Kind
from domain.rules import Rule
from segments import explain, selection
from segments.definition import Segment
from segments.explain import Condition, NotACustomer
from segments.parameters import Value
from segments.selection import Selection
from tasks import choosing, diffs

_ADDRESS = (SkipReason.RELAY_ADDRESS, SkipReason.NO_ADDRESS, SkipReason.INVALID_ADDRESS)
_CONSENT = (SkipReason.NO_CONSENT, SkipReason.CONSENT_WITHDRAWN)
_SUBJECT = re.compile(rf"\b({'|'.join(own_orders.SUBJECTS)})\b")
_HIDDEN = "(not read out: it holds an address)"


@dataclass(frozen=True, slots=True)
class Asked:
    """The question: a segment or an expression, with arguments and rules.

    `without`: segments whose members are left out. `topic`: what the mail would be about. `campaign`: whose holdout is
    drawn too.
    """

    segment: str
    arguments: Mapping[str, str]
    rules: tuple[Rule, ...] = ()
    without: tuple[str, ...] = ()
    topic: str | None = None
    campaign: str | None = None
    seed: int = 1
    holdout_percent: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that may keep a mail back. `passes` is None where it cannot be said."""

    name: str
    passes: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`segment`: what was asked, with the arguments in force. `conditions`: as lines of text, parts indented.

    `code`: text and code of each condition whose words do not say all of the code. `stages`: in the order of SkipReason.
    """

    segment: str
    in_segment: bool
    as_of: datetime
    conditions: tuple[str, ...]
    code: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    gets_it: bool
    because: str


def customer(
    engine: sa.Engine, account_id: str, party_id: int, asked: Asked, *, policy: SendingPolicy, now: datetime
) -> Explanation:
    """Each condition with the customer's value, and each later stage as of now.

    `policy` is the installation's. Raises NoFeatures, and what a wrong segment, rule or argument raises.
    """
    by = selection.of(asked.segment, Refinement(arguments=asked.arguments, rules=asked.rules))
    customers = Customers(engine, account_id)
    members = choosing.members(customers, by)
    inside = bool((members.party_ids == party_id).any())
    left_out = [name for name in asked.without if _is_in(customers, name, party_id)]
    with database.read(engine) as connection:
        found = standing.read(connection, account_id, party_id, policy=policy, now=now, topic=asked.topic)
    stages = list(_stages(found, asked.topic, _excluded(asked.without, left_out)))
    if asked.campaign is not None:
        stages.append(_holdout(asked, asked.campaign, members.party_ids, party_id))
    failed = [one for one in stages if one.passes is False]
    if not inside:
        because = f"not in the segment as of {_moment(customers.as_of)}"
    else:
        because = failed[0].sentence if failed else "in the segment, and nothing keeps the mail back"
    reasons = _reasons(engine, account_id, by, customers, party_id)
    told = reasons.told()
    return Explanation(
        segment=explain.in_force(by.segment, by.arguments),
        in_segment=inside,
        as_of=customers.as_of,
        conditions=tuple(reasons.lines(told)),
        code=tuple(explain.sources(told or ())),
        stages=tuple(stages),
        gets_it=inside and not failed,
        because=because,
    )


def missed(engine: sa.Engine, run: Run, party_id: int) -> tuple[str, ...] | None:
    """The conditions that kept a customer out of a run; None where features or definition are others by now."""
    account_id = run.plan.account_id
    customers = Customers(engine, account_id)
    try:
        with database.read(engine) as connection:
            by = diffs.selected(connection, run.plan)
    except diffs.GONE:
        return None
    if customers.as_of != run.feature_watermark or by.definition_hash != run.definition_hash:
        return None
    reasons = _reasons(engine, account_id, by, customers, party_id)
    return tuple(line.strip() for line in reasons.lines(reasons.told(), failed_only=True))


def _is_in(customers: Customers, segment: str, party_id: int) -> bool:
    members = choosing.members(customers, selection.of(segment, Refinement()))
    return bool((members.party_ids == party_id).any())


@dataclass(frozen=True, slots=True)
class _Reasons:
    """The conditions of what was asked, for one customer."""

    engine: sa.Engine
    account_id: str
    by: Selection
    customers: Customers
    party_id: int
    currency: str

    def told(self) -> list[Condition] | None:
        """None: the party has no counted order."""
        asked = (self.by.segment, self.customers, self.by.arguments, self.party_id)
        try:
            return explain.conditions(*asked, currency=self.currency, facts=self._facts)
        except NotACustomer:
            return None

    def lines(self, told: Sequence[Condition] | None, *, failed_only: bool = False) -> Iterator[str]:
        if told is None:
            yield "the customer has no counted order, and a segment is made of those who have: no"
            return
        yield from explain.lines([one for one in told if not (failed_only and one.holds)])
        rules = self.by.explain_rules(self.customers, self.party_id)
        for (sentence, value, holds), one in zip(rules, self.by.conditions, strict=True):
            if not (failed_only and holds):
                unit = f" {self.currency}" if one.field.kind is Kind.MONEY and value[-1:].isdigit() else ""
                yield f"{sentence} – the customer has {value}{unit}: {'yes' if holds else 'no'}"

    def _facts(self, segment: Segment, values: Mapping[str, Value]) -> tuple[str, ...]:
        theirs = OwnOrders(self.customers.shop, self.account_id, self.party_id, self.customers.as_of)
        with database.read(self.engine) as connection:
            return tuple(_facts(connection, theirs, segment, values))


def _reasons(engine: sa.Engine, account_id: str, by: Selection, customers: Customers, party_id: int) -> _Reasons:
    with database.read(engine) as connection:
        currency = accounts.get(connection, account_id).currency
    return _Reasons(engine, account_id, by, customers, party_id, currency)


def _facts(
    connection: sa.Connection, theirs: OwnOrders, segment: Segment, values: Mapping[str, Value]
) -> Iterator[str]:
    """What a support agent asks next about a segment that looks through orders."""
    count, newest = theirs.lately(connection), theirs.latest(connection)
    orders = f"{count or 'no'} counted order{'' if count == 1 else 's'} in the last {own_orders.DAYS} days"
    yield f"{orders}, the latest: {_order(newest)}" if newest is not None else orders
    for one in segment.parameters:
        named = _SUBJECT.search(f"{one.name} {one.meaning}")
        value = values[one.name]
        if named and isinstance(value, str) and value.strip():
            found = theirs.latest(connection, named[0], value)
            what = f"{named[0]} {value}"
            yield f"no order names {what}" if found is None else f"the latest order that names {what}: {_order(found)}"


def _order(one: OwnOrder) -> str:
    return f"{one.channel}/{_plain(one.number)} on {_moment(one.placed_at)}"


def _stages(found: Standing, topic: str | None, excluded: Sequence[Stage]) -> Iterator[Stage]:
    """One for each group of reasons. What the freeze says, `reason`, decides of the customer's address."""
    reason = found.reason
    erased = reason is SkipReason.SUPPRESSED_ERASED
    reachable = not erased and reason not in _ADDRESS
    yield Stage("erasure", not erased, SENTENCE[reason] if erased and reason else "was never erased")
    if erased or reason is None or reachable:
        yield Stage("address", None if erased else True, "nothing is kept" if erased else "there is one to write to")
    else:
        yield Stage("address", False, SENTENCE[reason])
    is_role = reason is SkipReason.ROLE_ADDRESS
    role = SENTENCE[SkipReason.ROLE_ADDRESS].replace(", such as postmaster@,", "")
    yield Stage("role address", not is_role if reachable else None, role if is_role else _personal(reachable))
    yield _consent(found)
    yield _suppression(found)
    yield from _topics(found, topic)
    yield from excluded
    yield _cap(found)
    waits = ", ".join(f"“{name}”" for name in found.goes_first)
    sentence = f"{SENTENCE[SkipReason.HIGHER_PRIORITY]}: {waits}" if waits else "no running campaign goes first"
    yield Stage("running campaign", not waits, sentence)
    if found.sharing:
        others = "another customer" if found.sharing == 1 else f"{found.sharing:,} other customers"
        yield Stage("mailbox", None, f"shares the mailbox with {others}: of those in one campaign one gets the mail")
    if found.quiet_until is not None:
        yield Stage("quiet hours", None, f"a mail would wait for the end of the night: {_moment(found.quiet_until)}")


def _personal(reachable: bool) -> str:
    return "the address is a person's" if reachable else "there is no address to look at"


def _consent(found: Standing) -> Stage:
    said = found.consent
    if said is None:
        return Stage("consent", False, f"{SENTENCE[SkipReason.NO_CONSENT]}: no word of theirs is on record")
    granted = said.status == "granted"
    words = "agreed to marketing mail" if granted else SENTENCE[SkipReason.CONSENT_WITHDRAWN]
    where = " under another customer number of the same mailbox" if said.other_number else ""
    about = f"source: {_plain(said.source)}, wording: {_plain(said.wording)}, basis: {_plain(said.basis)}"
    return Stage("consent", granted, f"{words} on {_moment(said.occurred_at)}{where} ({about})")


def _suppression(found: Standing) -> Stage:
    refusal = found.refusal
    if refusal is None:
        return Stage("suppression", True, "nothing stands against a mail")
    until = f", until {_moment(refusal.expires_at)}" if refusal.expires_at else ""
    words = SENTENCE[SkipReason(f"suppressed_{refusal.reason}")]
    return Stage(
        "suppression",
        False,
        f"{words}, since {_moment(refusal.created_at)}{until} (noted by: {_plain(refusal.source)})",
    )


def _topics(found: Standing, topic: str | None) -> Iterator[Stage]:
    """None where the customer refuses no topic and the mail has none."""
    if topic in found.refused:
        yield Stage("topic", False, f"{SENTENCE[SkipReason.TOPIC_REFUSED]}: {topic}")
    elif topic is not None:
        yield Stage("topic", True, f"did not refuse mail about {topic}")
    elif found.refused:
        yield Stage("topic", None, f"would get no mail of a campaign about {' or '.join(found.refused)}")


def _excluded(without: Sequence[str], left_out: Sequence[str]) -> list[Stage]:
    """None where no segment is left out."""
    if left_out:
        return [Stage("excluded segment", False, f"{SENTENCE[SkipReason.EXCLUDED_SEGMENT]}: {', '.join(left_out)}")]
    return [Stage("excluded segment", True, f"does not belong to {' or '.join(without)}")] if without else []


def _cap(found: Standing) -> Stage:
    days = f"{found.cap_days} day{'s' if found.cap_days > 1 else ''}"
    whose = f" (their own choice: {found.chosen})" if found.chosen else ""
    words = f"got {found.mails} of {found.cap_mails} marketing mails that are allowed within {days}{whose}"
    if found.next_mail_at is None:
        return Stage("frequency cap", True, words)
    return Stage("frequency cap", False, f"{words}; the next one may go after {_moment(found.next_mail_at)}")


def _holdout(asked: Asked, campaign: str, members: choosing.PartyIds, party_id: int) -> Stage:
    """As the freeze would draw, if these were the members."""
    place = int(members.searchsorted(party_id))
    if place == len(members) or members[place] != party_id:
        return Stage("holdout", None, "nobody is drawn who is not in the segment")
    _, held = audience.draw(campaign, asked.seed, asked.holdout_percent, members)
    share = f"{asked.holdout_percent} percent of campaign “{campaign}” with seed {asked.seed}"
    if held[place]:
        return Stage("holdout", False, f"{SENTENCE[SkipReason.HOLDOUT]} ({share})")
    return Stage("holdout", True, f"is not among those held out ({share})")


def _plain(text: str) -> str:
    return _HIDDEN if "@" in text else text or "not told"


def _moment(at: datetime) -> str:
    local = at.astimezone(UTC)
    return f"{local.day} {local:%B %Y %H:%M} UTC"


def said(stages: Sequence[Stage]) -> list[tuple[str, str, str]]:
    """Stages as rows: name, yes or no, sentence."""
    words = {True: "passes", False: "stops it", None: "–"}
    return [(one.name, words[one.passes], one.sentence) for one in stages]
