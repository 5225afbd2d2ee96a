"""A person's word about a run, from the Prefect UI: pause it, let it go on, cancel it."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from data import control, database
from tasks import continuing, host_upkeep, prefect_api, wiring


@task(task_run_name="pause {run_id}", cache_policy=NO_CACHE)
def pause(run_id: str, *, by: str, why: str) -> str:
    """Nothing further is handed over until somebody lets it go on. Raises NotPossible, UnknownRun."""
    with database.write(wiring.engine()) as connection:
        control.pause(connection, run_id, by=by, why=why, now=wiring.clock())
    told = host_upkeep.carried(run_id)
    return _told(f"{told} Run {run_id} is paused. To continue, start this deployment with 'Go on'.".strip())


@task(task_run_name="cancel {run_id}", cache_policy=NO_CACHE)
def cancel(run_id: str, *, by: str, why: str) -> str:
    """What is not sent yet is never sent. Raises NotPossible, UnknownRun."""
    with database.write(wiring.engine()) as connection:
        done = control.cancel(connection, run_id, by=by, why=why, now=wiring.clock())
    told = host_upkeep.carried(run_id)
    return _told(f"{told} Run {run_id} is cancelled: {done.messages:,} messages are not sent.".strip())


@task(task_run_name="continue {run_id}", cache_policy=NO_CACHE)
def go_on(run_id: str, *, by: str, why: str) -> str:
    """Let the run's own flow run go on where it is suspended; else start another. Raises NotPossible, UnknownRun."""
    with prefect_api.own_client() as connected:
        done = continuing.continue_run(connected, run_id, by=by, why=why)
    return _told(f"Run {run_id}: {done.told}. {done.flow_run.page}")


def _told(sentence: str) -> str:
    get_run_logger().info("%s", sentence)
    return sentence
