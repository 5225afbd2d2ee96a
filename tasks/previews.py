"""A preview: all that is known of a selection before anything is sent, put together. Nothing here needs Prefect."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import accounts, audience, database, kept_previews, preview_splits, previews, quiet_hours, segment_sizes
from data.features import scale
from data.features.population import Customers
from data.preview_splits import Chosen
from domain import money
from domain.campaigns import Refinement, Run, RunPlan, Sender
from domain.policy import SendingPolicy
from domain.previews import Held, Money, Overlap, Preview, Question, Size, Split, Verdict
from segments import registry, selection
from segments.definition import DefinitionError, EvaluationError, Segment
from segments.parameters import ArgumentError
from segments.selection import Selection
from tasks import choosing, preview_words, wiring
from tasks.choosing import PartyIds

_RFM = "segments/rfm.py"  # its cells are the parts of a split, and no news as overlaps
_MOST_OVERLAPS = 8
_TREND = 12
_MONEY = ("net_revenue", "revenue_365d")


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom a preview is about; `run`: the frozen run, if it is of one."""

    plan: RunPlan
    party_ids: PartyIds
    definition_hash: str
    verdict: Verdict
    run: Run | None = None


def plan_of(account_id: str, segment: str, refinement: Refinement) -> RunPlan:
    """What a run of this selection would be planned with, as far as it decides who gets it."""
    return RunPlan(
        account_id=account_id,
        campaign="",
        segment=segment,
        template="",
        provider="",
        subject=None,
        sender=Sender("", ""),
        live=False,
        limit=None,
        holdout_percent=0,
        seed=0,
        refinement=refinement,
    )


def of_plan(engine: sa.Engine, plan: RunPlan, policy: SendingPolicy) -> Preview:
    """Choose, judge and describe; the preview and its size are kept. Raises what choosing.choose raises."""
    customers = _customers(engine, plan.account_id)
    choice = choosing.choose(engine, plan, customers)
    found = choice.members
    with engine.connect() as connection:
        verdict = previews.waterfall(
            connection, plan, found.party_ids, excluded=choice.excluded.tolist(), policy=policy, now=wiring.clock()
        )
    preview = _described(engine, customers, _Subject(plan, found.party_ids, found.definition_hash, verdict))
    with database.write(engine) as connection:
        if plan.refinement.members_of is None:
            choosing.note_size(connection, plan.account_id, plan.segment, found)
        kept_previews.store(connection, preview)
    return preview


def of_run(engine: sa.Engine, run: Run, policy: SendingPolicy) -> Preview:
    """Describe a frozen run: its members and verdict are those of the freeze. The preview is kept."""
    with database.read(engine) as connection:
        party_ids = audience.members(connection, run.id)
        held = quiet_hours.held(connection, run, policy, wiring.clock())
    verdict = Verdict(run.planned or 0, run.skipped or {}, tuple(Held(*one) for one in held))
    customers = _customers(engine, run.plan.account_id)
    preview = _described(engine, customers, _Subject(run.plan, party_ids, run.definition_hash or "", verdict, run))
    with database.write(engine) as connection:
        kept_previews.store(connection, preview)
    return preview


def _customers(engine: sa.Engine, account_id: str) -> Customers:
    """With every column that a preview looks at: one walk through the table, where each further one costs as much."""
    customers = Customers(engine, account_id)
    library = (need for one in registry.load().values() if not one.reads_orders for need in one.needs)
    customers.frame(list(dict.fromkeys((*_MONEY, *preview_splits.NEEDS, *previews.ABOUT, *library))))
    return customers


def _described(engine: sa.Engine, customers: Customers, subject: _Subject) -> Preview:
    plan, run_id = subject.plan, subject.run.id if subject.run else ""
    frame = customers.frame(_MONEY)
    inside = np.isin(frame["party_id"].to_numpy("int64"), subject.party_ids, assume_unique=True)
    chosen = Chosen(inside, gone=len(subject.party_ids) - int(inside.sum()))
    library = _Library(customers)
    with database.read(engine) as connection:
        account = accounts.get(connection, plan.account_id)
        trend = tuple(_trend(connection, subject, customers))
        sample = previews.sample(connection, customers, subject.party_ids, key=subject.definition_hash)
    chosen_by = None if plan.refinement.members_of else selection.of(plan.segment, plan.refinement)
    excluded = [selection.of(name, Refinement()) for name in plan.refinement.exclude]
    warnings = preview_words.warnings(engine, customers, chosen_by, excluded, members=len(subject.party_ids))
    return Preview(
        id=kept_previews.new_id(),
        account_id=account.id,
        account_name=account.name,
        currency=account.currency,
        question=_question(subject, chosen_by, excluded),
        as_of=customers.as_of,
        made_at=wiring.clock(),
        members=len(subject.party_ids),
        customers=len(frame),
        trend=trend,
        lifetime=_money(scale.units(frame["net_revenue"]), inside),
        last_year=_money(scale.units(frame["revenue_365d"]), inside),
        splits=(*preview_splits.splits(engine, plan.account_id, customers, chosen), *library.rfm(chosen)),
        sample=sample,
        overlaps=library.overlaps(inside, besides=subject.definition_hash),
        earlier=previews.earlier(engine, plan.account_id, subject.party_ids, besides=run_id),
        verdict=subject.verdict,
        unknown=tuple(library.faults),
        run_id=run_id or None,
        warnings=tuple(warnings),
    )


def _money(units: npt.NDArray[np.int64], inside: npt.NDArray[np.bool_]) -> Money:
    return Money(money.from_units(int(units[inside].sum())), money.from_units(int(units.sum())))


def _question(subject: _Subject, chosen: Selection | None, excluded: Sequence[Selection]) -> Question:
    plan = subject.plan
    named = [*(chosen.described() if chosen else ()), *(one for it in excluded for one in it.described())]
    return Question(
        segment=plan.segment,
        sentences=tuple(chosen.sentences())
        if chosen
        else (f"was in the audience of run {plan.refinement.members_of}",),
        without=plan.refinement.exclude,
        definition_hash=subject.definition_hash,
        limit=plan.limit,
        holdout_percent=plan.holdout_percent,
        segments=tuple(dict.fromkeys(named)),
    )


def _trend(connection: sa.Connection, subject: _Subject, customers: Customers) -> Iterator[Size]:
    """Of the same definition only: whoever changes it begins anew. The last is this one."""
    as_of = subject.run.feature_watermark if subject.run and subject.run.feature_watermark else customers.as_of
    before = segment_sizes.trailing(
        connection,
        account_id=subject.plan.account_id,
        segment=subject.plan.segment,
        definition_hash=subject.definition_hash,
        limit=_TREND - 1,
        before=as_of,
    )
    yield from (Size(one.as_of, one.members) for one in reversed(before))
    yield Size(as_of, len(subject.party_ids))


class _Library:
    """The library's segments over the same customers; one that is broken is told of and stops nothing.

    Not those that look through orders: over 70,000 orders they took 15 times as long as all others together.
    """

    def __init__(self, customers: Customers) -> None:
        self.faults: list[str] = []
        self._members: dict[str, tuple[Segment, npt.NDArray[np.bool_]]] = {}
        for name, segment in registry.load().items():
            if segment.reads_orders:
                continue
            try:
                self._members[name] = segment, segment.members(customers).to_numpy(bool)
            except (DefinitionError, EvaluationError, ArgumentError) as error:
                self.faults.append(f"The overlap with {name} is not known: {error}")
        self.faults += [f"A segment of the library is left out: {fault.sentence}" for fault in registry.faults()]

    def rfm(self, chosen: Chosen) -> Iterator[Split]:
        cells = {one.name: inside for one, inside in self._members.values() if one.file == _RFM}
        if cells:
            labels = [name.removeprefix("rfm-").replace("-", " ").capitalize() for name in cells]
            yield Split("RFM cell", preview_splits.ordered(labels, cells.values(), chosen))

    def overlaps(self, inside: npt.NDArray[np.bool_], *, besides: str) -> tuple[Overlap, ...]:
        """The eight that share most of these members; the selection itself is none of them."""
        found = [
            Overlap(one.name, one.description, int((inside & theirs).sum()), int(theirs.sum()))
            for one, theirs in self._members.values()
            if one.file != _RFM and one.definition_hash != besides
        ]
        found = [one for one in found if one.shared]
        return tuple(sorted(found, key=lambda one: (-one.shared, one.size, one.segment))[:_MOST_OVERLAPS])
