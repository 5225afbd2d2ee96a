"""The validation gate: each of its checks stops the run before anything is sent."""

import sqlalchemy as sa
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import database, last_good, missing_values, runs, segment_sizes, variables
from domain.campaigns import NEXT, Run, RunStatus
from domain.validation import Validation
from tasks import artifacts, variable_words, verdicts, wiring


class GateFailed(RuntimeError):
    """The data is not fit to be mailed to. Nothing was sent; the message says what to mend."""


@task(task_run_name="validate orders and features for {run_id}", cache_policy=NO_CACHE)
def check_data(run_id: str) -> None:
    """Orders, and those features that the segment and the template need. Raises GateFailed.

    A run that takes the members of an earlier one chooses nobody by them: it is told what is wrong and goes on.
    """
    from data.expectations import gate  # Great Expectations costs four seconds: only who validates pays

    engine = wiring.engine()
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
        _, rendered = wiring.content_of(connection, run)
    columns = verdicts.needed(run.plan.segment, run.plan.refinement, rendered.variables)
    subjects = verdicts.subjects(engine, run.plan.account_id, columns)
    _conclude(run_id, *map(gate.judge, subjects), stops=run.plan.refinement.members_of is None)


@task(task_run_name="validate audience of {run_id}", cache_policy=NO_CACHE)
def check_audience(run_id: str) -> None:
    """The frozen audience. Raises GateFailed."""
    from data.expectations import gate

    engine, config = wiring.engine(), settings.load()
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
        template, rendered = wiring.content_of(connection, run)
        previous = runs.previous_planned(connection, run)
        trailing = _trailing_members(connection, run)
    # Of what is really sent: a subject of the run's own may name variables that the template does not.
    required = tuple(name for name in rendered.variables if name not in template.fallbacks)
    found = gate.check_audience(
        engine,
        run_id,
        required_variables=required,
        variable_columns=variables.columns(required),
        previous_planned=previous if run.plan.limit is None else None,
        shrink_percent=config.sending.shrink_percent,
        members=run.members or 0,
        trailing_members=trailing,
        least_members=config.gate.least_members,
        now=wiring.clock(),
    )
    with database.read(engine) as connection:
        gaps = missing_values.of_run(connection, run, rendered.variables, template.fallbacks)
    artifacts.publish_gaps(run, gaps)
    _conclude(run_id, found, stops=True, advice=variable_words.advice(gaps))


def _trailing_members(connection: sa.Connection, run: Run) -> list[int]:
    """How large the segment was before, by the same definition. The members of an earlier run are as many as they are."""
    if run.plan.refinement.members_of is not None or run.definition_hash is None:
        return []
    sizes = segment_sizes.trailing(
        connection,
        account_id=run.plan.account_id,
        segment=run.plan.segment,
        definition_hash=run.definition_hash,
        limit=settings.load().gate.trailing,
        before=run.feature_watermark,
    )
    return [size.members for size in sizes]


def _conclude(run_id: str, *validations: Validation, stops: bool, advice: str = "") -> None:
    """Keep the verdict with the run, show it, and stop the run where it is bad; offer the last good snapshot then."""
    failures = [check for validation in validations for check in validation.failures()]
    offer = ""
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        runs.note_validation(connection, run, {v.gate: v.as_json() for v in validations})
        if failures and stops and RunStatus.STOPPED in NEXT[run.status]:  # else it was cancelled meanwhile
            offer = f"{advice} {_offer(connection, run)}".strip()
            reason = "; ".join(f"{check.sentence} ({check.observed})" for check in failures)
            runs.advance(
                connection,
                run,
                RunStatus.STOPPED,
                stop_reason=f"stopped by the validation gate, as this does not hold: {reason}. {offer}".strip(),
            )
    note = offer if stops else f"Told and not heeded: the members are those of run {run.plan.refinement.members_of}."
    for validation in validations:
        artifacts.publish_validation(run_id, validation, note="" if validation.passed else note)
    if failures and stops:
        raise GateFailed(
            f"Stopped before anything was sent, as this does not hold: {failures[0].sentence} ({failures[0].observed})."
            f" {len(failures)} check(s) failed in all; the Artifacts tab names the rows. {offer}".strip()
        )
    if failures:
        get_run_logger().warning("%d check(s) failed. %s", len(failures), note)
    else:
        get_run_logger().info("Gate passed: %s", ", ".join(validation.gate for validation in validations))


def _offer(connection: sa.Connection, run: Run) -> str:
    found = last_good.find(connection, run)
    return "" if found is None else found.sentence(campaign=run.plan.campaign, now=wiring.clock())
