"""A campaign run: its states, and which may follow which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.guardrails import CanaryState
from domain.rules import Rule


class RunStatus(StrEnum):
    """Where a run is; the ledger keeps it, never Prefect."""

    CREATED = "created"
    STOPPED = "stopped"  # a gate failed: nothing was sent
    FROZEN = "frozen"
    PREVIEWED = "previewed"  # the end of a dry run
    AWAITING_APPROVAL = "awaiting_approval"
    REJECTED = "rejected"
    APPROVED = "approved"
    DISPATCHING = "dispatching"
    PAUSED = "paused"
    DISPATCHED = "dispatched"  # no batch is open any more; events still come in
    SETTLED = "settled"
    CANCELLED = "cancelled"


NEXT: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.CREATED: frozenset({RunStatus.STOPPED, RunStatus.FROZEN, RunStatus.CANCELLED}),
    RunStatus.FROZEN: frozenset(
        {
            RunStatus.STOPPED,
            RunStatus.PREVIEWED,
            RunStatus.AWAITING_APPROVAL,
            RunStatus.APPROVED,
            RunStatus.CANCELLED,
        }
    ),
    RunStatus.AWAITING_APPROVAL: frozenset({RunStatus.APPROVED, RunStatus.REJECTED, RunStatus.CANCELLED}),
    RunStatus.APPROVED: frozenset({RunStatus.DISPATCHING, RunStatus.CANCELLED}),
    RunStatus.DISPATCHING: frozenset({RunStatus.PAUSED, RunStatus.DISPATCHED, RunStatus.CANCELLED}),
    RunStatus.PAUSED: frozenset({RunStatus.DISPATCHING, RunStatus.CANCELLED}),
    RunStatus.DISPATCHED: frozenset({RunStatus.SETTLED}),
    RunStatus.STOPPED: frozenset(),
    RunStatus.PREVIEWED: frozenset(),
    RunStatus.REJECTED: frozenset(),
    RunStatus.SETTLED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


class IllegalTransition(RuntimeError):
    """A run was asked to go where its state does not lead."""


def check_transition(before: RunStatus, after: RunStatus) -> None:
    """Raise IllegalTransition unless `after` may follow `before`."""
    if after not in NEXT[before]:
        raise IllegalTransition(f"a run that is {before} cannot become {after}")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who the mail is from."""

    email: str
    name: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Refinement:
    """What a segment was refined by. `arguments` are those of its parameters, as a person wrote them.

    `exclude`: segments whose members are left out, with that reason. `members_of`: the run whose members are taken
    instead of choosing anew (the last good snapshot).
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    exclude: tuple[str, ...] = ()
    members_of: str | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a marketer asked for."""

    account_id: str
    campaign: str
    segment: str
    template: str
    provider: str
    subject: str | None
    sender: Sender
    live: bool
    limit: int | None
    holdout_percent: int
    seed: int
    refinement: Refinement = field(default_factory=Refinement)
    two_phase: bool = False  # the ESP lets each batch go a quarter of an hour later, so that it can be called back
    priority: int = 0  # of two running campaigns the one with the larger number keeps a person who is in both
    topic: str | None = None  # who refused it is left out; None: it goes to all who did not refuse marketing mail
    leave_out_missing: bool = False  # who lacks a value that the template needs is left out, else the run stops


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a campaign, as the ledger holds it."""

    id: str
    plan: RunPlan
    status: RunStatus
    flow_run_id: str | None
    definition_hash: str | None
    template_hash: str | None  # of the content as rendered for the freeze: what was approved
    feature_watermark: datetime | None
    validation: dict[str, Any] | None
    members: int | None
    planned: int | None
    skipped: dict[str, int] | None
    stop_reason: str | None
    created_at: datetime
    frozen_at: datetime | None
    dispatch_started_at: datetime | None
    dispatched_at: datetime | None
    settled_at: datetime | None
    expires_at: datetime | None
    members_hash: str | None = None  # SHA-256 over the members' ids: the same members, the same hash
    code_version: str | None = None
    canary: str | None = None  # how the first few fared (domain.guardrails); None: the run has no canary
    canary_figures: dict[str, Any] | None = None

    @property
    def held_by_canary(self) -> bool:
        """Its first few did badly, and a person decides whether it goes on."""
        return self.status is RunStatus.PAUSED and self.canary == CanaryState.BREACHED


def message_id(run_id: str, ordinal: int) -> str:
    """The opaque name of one message, the only one an ESP learns."""
    return f"{run_id}.{ordinal}"


def parse_message_id(text: str) -> tuple[str, int] | None:
    """Run and ordinal of a message id, or None where the text is none of ours."""
    run_id, dot, ordinal = text.partition(".")
    # Ten digits: an ordinal never needs more, and a longer one would not fit the column.
    if not dot or not run_id or not ordinal.isascii() or not ordinal.isdigit() or len(ordinal) > 9:  # noqa: PLR2004
        return None
    return run_id, int(ordinal)
