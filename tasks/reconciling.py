"""The steps of the nightly reconciliation. Each may be done again, and what one finds is kept for the trend."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data import accounts, database, reconciliations
from data.reconciliations import TurnLost
from domain import reconciliation
from domain.esp_record import NotBought, SourceFailed
from domain.reconciliation import Accepted, Difference, Explanation
from tasks import comparing, esps, pulling, reconciliation_words, turn, upkeep, wiring
from tasks.comparing import Night

_NIGHTS = 14


class Unexplained(RuntimeError):
    """More differs than the alarm allows, and nobody can say why: an alarm for an operator."""


@task(task_run_name="begin", cache_policy=NO_CACHE)
def begin(days: int, account: str, *, dry_run: bool, silent_after_hours: int) -> Night:
    """Take the turn. Raises OneAtWork, which says who is at work; UnknownAccount."""
    now = wiring.clock()
    first, last = now.date() - timedelta(days=days), now.date()
    worker = f"process {os.getpid()} on {platform.node()}"
    with database.write(wiring.engine()) as connection:
        of_account = accounts.get(connection, account).id if account else None
        found = reconciliations.begin(
            connection, worker=worker, days=(first, last), account_id=of_account, dry_run=dry_run, now=now
        )
    silent_before = now - timedelta(hours=silent_after_hours)
    return Night(found, first, last, of_account, dry_run, silent_before, now)


@task(task_run_name="list ESPs that are declared no longer", cache_policy=NO_CACHE)
def tell_retired(night: Night) -> None:
    """Say once which ESPs nobody asks any more, though mail went by them; that is no failure."""
    if retired := upkeep.retired_providers():
        names = ", ".join(retired)
        told = (
            f"mail went by {names} once, and routes.yaml declares no such provider: its lists and figures are not read,"
            " and nothing is put on its lists. Declare it again where it is still in use"
        )
        turn.note(night, "list ESPs in use", trouble=told)
        get_run_logger().warning("%s", told)


@task(task_run_name="find accepted mail without an end", cache_policy=NO_CACHE)
def without_end(night: Night) -> list[Accepted]:
    """The attempts of these days, as they are now: asked before anything is repaired, and once after it."""
    found = comparing.accepted(night)
    turn.note(
        night, "find accepted mail without an end", attempts=len(found), missing=sum(one.missing for one in found)
    )
    return found


@task(task_run_name="list whom to ask", cache_policy=NO_CACHE)
def providers_to_ask(night: Night, found: Sequence[Accepted]) -> list[str]:
    """The ESPs of mail without an end that is old enough to have one."""
    return sorted({one.provider for one in comparing.wanting(night, found)})


# No retries: what was stored stands, and the next night asks for the rest.
@task(task_run_name="ask {provider} what its webhooks did not tell", cache_policy=NO_CACHE, retries=0)
def pull(night: Night, provider: str, found: Sequence[Accepted], minutes: int) -> dict[str, int]:
    """Store what the ESP says of this mail as bodies of its webhook; they are applied like all others."""
    attempts = [one for one in comparing.wanting(night, found) if one.provider == provider]
    pulled = pulling.pull(provider, attempts, minutes=minutes, alive=lambda: turn.renew(night))
    turn.note(night, f"ask {provider}", **asdict(pulled))
    get_run_logger().info("%s was asked: %s", provider, pulled)
    return {f"{provider}_questions": pulled.questions, f"{provider}_bodies": pulled.bodies}


@task(task_run_name="compare the ledger", cache_policy=NO_CACHE)
def compare_ledger(
    night: Night, before: Sequence[Accepted], after: Sequence[Accepted], listed: dict[tuple[str, str], int]
) -> list[Difference]:
    """Accepted mail, unknown and held batches, lists: what differed, why, and what was put right."""
    found = comparing.of_the_ledger(night, before, after, listed)
    turn.note(night, "compare the ledger", differences=len(found))
    return found


@task(task_run_name="list ESP accounts", cache_policy=NO_CACHE)
def esp_accounts(providers: Sequence[str]) -> list[list[str]]:
    """The names of each account at an ESP: several may stand for one."""
    groups: dict[str, list[str]] = {}
    for provider in sorted(set(providers)):
        groups.setdefault(_account_of(provider), []).append(provider)
    return list(groups.values())


def _account_of(provider: str) -> str:
    try:
        return esps.esp_account(provider)
    except Exception:  # noqa: BLE001 - one that cannot be reached is told when it is asked
        return provider


@task(task_run_name="compare the counts of {names}", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=30)
def compare_counts(
    night: Night, names: list[str], before: Sequence[Accepted], after: Sequence[Accepted]
) -> list[Difference]:
    """The ESP's figures by day against ours. Where it does not answer such questions, that is said and nothing else."""
    try:
        found = comparing.of_counts(night, names, before, after)
    except NotBought as error:
        turn.note(night, f"compare the counts of {', '.join(names)}", trouble=str(error))
        get_run_logger().warning("%s does not show its figures: %s", names[0], error)
        return []
    except SourceFailed as error:  # else a night without figures looks like one in which they were equal
        turn.note(night, f"compare the counts of {', '.join(names)}", trouble=str(error))
        raise
    turn.note(night, f"compare the counts of {', '.join(names)}", differences=len(found))
    return found


@task(task_run_name="compare strays", cache_policy=NO_CACHE)
def compare_strays(night: Night, found: Sequence[Difference]) -> list[Difference]:
    """Events that tell of no message of ours."""
    foreign = any(one.explanation is Explanation.PAST_US for one in found)
    return comparing.of_strays(night, foreign=foreign)


@task(task_run_name="report what differed", cache_policy=NO_CACHE)
def report(night: Night, found: Sequence[Difference], alarm_above: int) -> None:
    """Keep the differences, show them with the trend. Raises Unexplained above the alarm, TurnLost."""
    with database.write(wiring.engine()) as connection:
        reconciliations.keep(connection, night.id, found)
    ours = turn.note(night, "report", differences=len(found))
    with database.read(wiring.engine()) as connection:
        nights = reconciliations.nights(connection, limit=8 * _NIGHTS)
    steps = next(one.steps for one in nights if one.id == night.id)
    trend = reconciliation_words.by_date(nights, night.account_id)[:_NIGHTS]
    create_markdown_artifact(
        reconciliation_words.markdown(night, found, steps, trend),
        key="reconciliation",
        description="What the ESPs say against what we hold",
    )
    left = reconciliation.unexplained(found)
    get_run_logger().info("%s", reconciliation_words.headline(found, dry_run=night.dry_run))
    if left > alarm_above:
        raise Unexplained(
            f"{left:,} differences have no explanation, and {alarm_above:,} are allowed. Everything else was done and"
            f" kept: the artifact `reconciliation` and `campaigns reconcile history {night.id}` list them."
        )
    if not ours:
        raise TurnLost(
            f"Another reconciliation began while {night.id} made no sign. What it found is kept and shown; the other one"
            " does the rest."
        )


@task(task_run_name="end", cache_policy=NO_CACHE)
def finish(night: Night, *, whole: bool) -> None:
    """Give the turn back."""
    with database.write(wiring.engine()) as connection:
        reconciliations.finish(connection, night.id, whole=whole, now=wiring.clock())
