"""The validation gate: each of its checks stops the run before anything is sent."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import database, runs, variables
from data.features import frame
from domain.campaigns import RunStatus
from domain.features import BY_NAME
from domain.validation import Validation
from tasks import artifacts, wiring


class GateFailed(RuntimeError):
    """The data is not fit to be mailed to. Nothing was sent; the message says what to mend."""


@task(task_run_name="validate orders and features for {run_id}", cache_policy=NO_CACHE)
def check_data(run_id: str) -> None:
    """Orders and features of the account. Raises GateFailed."""
    from data.expectations import gate  # Great Expectations costs four seconds: only who validates pays

    engine = wiring.engine()
    with database.read(engine) as connection:
        account_id = runs.get(connection, run_id).plan.account_id
    now, days = wiring.clock(), settings.load().sending.newest_order_days
    _conclude(
        run_id,
        gate.check_orders(engine, account_id=account_id, now=now, newest_within_days=days),
        gate.check_features(frame.read_frame(engine, account_id=account_id, columns=list(BY_NAME))),
    )


@task(task_run_name="validate audience of {run_id}", cache_policy=NO_CACHE)
def check_audience(run_id: str) -> None:
    """The frozen audience. Raises GateFailed."""
    from data.expectations import gate

    engine = wiring.engine()
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
        template, rendered = wiring.content_of(connection, run)
        previous = runs.previous_planned(connection, run)
    # Of what is really sent: a subject of the run's own may name variables that the template does not.
    required = tuple(name for name in rendered.variables if name not in template.fallbacks)
    found = gate.check_audience(
        engine,
        run_id,
        required_variables=required,
        variable_columns=variables.columns(required),
        previous_planned=previous if run.plan.limit is None else None,
        shrink_percent=settings.load().sending.shrink_percent,
        now=wiring.clock(),
    )
    _conclude(run_id, found)


def _conclude(run_id: str, *validations: Validation) -> None:
    """Keep the verdict with the run, show it, and stop the run where it is bad."""
    failures = [check for validation in validations for check in validation.failures()]
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
        runs.note_validation(connection, run, {v.gate: v.as_json() for v in validations})
        if failures:
            reason = "; ".join(f"{check.sentence} ({check.observed})" for check in failures)
            runs.advance(
                connection,
                run,
                RunStatus.STOPPED,
                stop_reason=f"stopped by the validation gate, as this does not hold: {reason}",
            )
    for validation in validations:
        artifacts.publish_validation(run_id, validation)
    if failures:
        raise GateFailed(
            f"Stopped before anything was sent, as this does not hold: {failures[0].sentence} ({failures[0].observed})."
            f" {len(failures)} check(s) failed in all; the Artifacts tab names the rows."
        )
    get_run_logger().info("Gate passed: %s", ", ".join(validation.gate for validation in validations))
