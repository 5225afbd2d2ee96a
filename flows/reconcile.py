"""Reconcile: nightly, what the ESPs say against what we hold; what is missing is brought back, the rest explained."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from domain.reconciliation import Accepted, Difference
from tasks import lists, reconciling, reporting, resolving, upkeep
from tasks.comparing import Night
from tasks.upkeep import Failures

Days = Annotated[int, Field(ge=1, le=30, title="Days", description="How many days back, besides today.")]
Account = Annotated[str, Field(title="Account", description="One account only; empty: all.")]
DryRun = Annotated[bool, Field(title="Dry run", description="Compare and report; change nothing.")]
Minutes = Annotated[
    int, Field(ge=0, le=600, title="Minutes", description="So long may each ESP be asked for lost events.")
]
Hours = Annotated[int, Field(ge=0, le=72, title="Hours", description="Mail younger than this may have no event yet.")]
WholeLists = Annotated[
    bool,
    Field(
        title="Whole lists",
        description="Read the ESPs' suppression lists from the first day and compare them, which happens weekly anyway.",
    ),
]
Alarm = Annotated[int, Field(ge=0, title="Alarm", description="More unexplained differences than this raise an alarm.")]


@flow(name="reconcile")
def reconcile(
    days: Days = 3,
    account: Account = "",
    dry_run: DryRun = False,
    activity_minutes: Minutes = 60,
    silent_after_hours: Hours = 6,
    alarm_above: Alarm = 10,
    whole_lists: WholeLists = False,
) -> dict[str, int]:
    """Read what webhooks may have missed, compare all that can be compared, audit every run. Fails as an alarm.

    An ESP that does not answer must not hide an audit: each step is done, and what failed is raised at the end.
    """
    night = reconciling.begin(days, account, dry_run=dry_run, silent_after_hours=silent_after_hours)
    failures, whole = upkeep.Failures(), False
    counts = {"suppressions_from_lists": 0, "suppressions_put_on_lists": 0}
    try:
        in_use = _in_use(night, failures)
        listed, differ = ({}, []) if dry_run else _read(night, whole_lists, counts, failures)
        before = after = _without_end(night, failures)
        if not dry_run:
            _bring_back(night, before, activity_minutes, counts, failures)
            after = _without_end(night, failures) or before
        found = differ + _compare(night, in_use, listed, (before, after), failures)
        with failures.kept("report what differed"):
            reconciling.report(night, found, alarm_above)
        with failures.kept("audit the runs"):
            reporting.audit_runs(reporting.observed_runs())
        if not dry_run:
            with failures.kept("remove old raw bodies"):
                counts["raw_bodies_removed"] = upkeep.purge_bodies()
        whole = True
    finally:
        reconciling.finish(night, whole=whole)
    failures.raise_kept()
    return counts


def _in_use(night: Night, failures: Failures) -> list[tuple[str, str]]:
    """Each account with each ESP that its mail was handed to, as far as it can be asked."""
    found: list[tuple[str, str]] = []
    with failures.kept("list the ESPs in use"):
        found = upkeep.providers_in_use()
        reconciling.tell_retired(night)
    return [one for one in found if night.account_id in {None, one[0]}]


_Lists = tuple[dict[tuple[str, str], int], list[Difference]]  # new to us, by account and ESP; and what still differs


def _lists(night: Night, whole_lists: bool, counts: dict[str, int], failures: Failures) -> _Lists:
    """Unite the ESPs' own suppression lists with ours, both ways; where they were read whole, compare them."""
    listed: dict[tuple[str, str], int] = {}
    differ: list[Difference] = []
    with failures.kept("list the ESPs with suppression lists"):
        for account, provider in lists.lists_in_use():
            if night.account_id not in {None, account}:
                continue
            with failures.kept(f"read {provider}'s suppressions for {account}"):
                whole = whole_lists or lists.are_due(night, account, provider)
                listed[account, provider] = lists.merge_suppressions(night, account, provider, whole=whole)
                counts["suppressions_put_on_lists"] += lists.push_suppressions(night, account, provider)
                if whole:
                    differ += lists.compare_lists(night, account, provider)
    counts["suppressions_from_lists"] = sum(listed.values())
    return listed, differ


def _read(night: Night, whole_lists: bool, counts: dict[str, int], failures: Failures) -> _Lists:
    """The ESPs' own lists, the webhooks that wait, and what became of unknown batches; what the lists brought."""
    found = _lists(night, whole_lists, counts, failures)
    with failures.kept("process delivery events"):
        counts |= upkeep.process_events()
    with failures.kept("list unknown batches"):
        for provider in resolving.providers_to_ask():
            with failures.kept(f"ask {provider} about unknown batches"):
                counts |= resolving.resolve(provider)
    return found


def _without_end(night: Night, failures: Failures) -> list[Accepted]:
    """The attempts of these days that an ESP accepted, as they are before anything is brought back."""
    found: list[Accepted] = []
    with failures.kept("find accepted mail without an end"):
        found += reconciling.without_end(night)
    return found


def _bring_back(night: Night, before: list[Accepted], minutes: int, counts: dict[str, int], failures: Failures) -> None:
    """What the webhooks did not tell; then close what nobody works on."""
    for provider in reconciling.providers_to_ask(night, before):
        with failures.kept(f"ask {provider} what its webhooks did not tell"):
            counts |= reconciling.pull(night, provider, before, minutes)
    with failures.kept("apply what was brought back"):
        counts |= {f"brought_back_{name}": count for name, count in upkeep.process_events().items()}
    with failures.kept("sweep the ledger"):
        counts |= reporting.sweep_ledger()
    with failures.kept("look after the runs"):
        counts |= upkeep.look_after_runs()


def _compare(
    night: Night,
    in_use: list[tuple[str, str]],
    listed: dict[tuple[str, str], int],
    mail: tuple[list[Accepted], list[Accepted]],
    failures: Failures,
) -> list[Difference]:
    """Everything that differs, each with its explanation. `mail`: accepted mail before and after the repair."""
    found: list[Difference] = []
    with failures.kept("compare the ledger"):
        found += reconciling.compare_ledger(night, *mail, listed)
    with failures.kept("list ESP accounts"):
        for names in reconciling.esp_accounts([provider for _, provider in in_use]):
            with failures.kept(f"compare the counts of {', '.join(names)}"):
                found += reconciling.compare_counts(night, names, *mail)
    with failures.kept("compare strays"):
        found += reconciling.compare_strays(night, found)
    return found
