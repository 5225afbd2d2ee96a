"""What a person does to a flow run in Prefect, carried over to the ledger: the dispatch watches its own flow run.

Prefect tells a flow that works nothing of its suspension, and ends a cancelled one by a signal; the ledger's word alone
keeps threads from claiming the next batch. Suspend (the UI calls it Pause) pauses the run, Cancel cancels it.

The other way round, the ledger is told that this process lives: else its run counts as one that nobody works on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import sqlalchemy as sa
from prefect import get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause, PrefectHTTPStatusError

from data import control, database, ledger_sweep
from tasks import wiring

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State

_PRESSED = "Cancel was pressed in the Prefect UI"


@contextmanager
def own_flow_run(run_id: str) -> Iterator[Callable[[], None]]:
    """Yield what is to be called every few seconds while mail goes out or waits: it heeds the flow run's state.

    Also when the block is left by a signal: a cancelled flow run's process is told so at once. And it tells the ledger
    that somebody works on the run.
    """
    noted: datetime | None = None
    with get_client(sync_client=True) as client:

        def heed() -> None:
            nonlocal noted
            noted = _noted(run_id, noted)
            _heed(run_id, _state(client))

        try:
            heed()
            yield heed
        except BaseException:
            _heed(run_id, _state(client))
            raise


def _noted(run_id: str, last: datetime | None) -> datetime | None:
    """When the ledger was told last that this process works on the run; a hiccup of the database ends nothing."""
    now = wiring.clock()
    if last is not None and last <= now < last + ledger_sweep.WORK_NOTED_EVERY:
        return last
    with suppress(sa.exc.OperationalError, sa.exc.TimeoutError):
        with database.write(wiring.engine()) as connection:
            ledger_sweep.note_work(connection, run_id, now=now)
        return now
    return last


def _heed(run_id: str, state: "State[Any] | None") -> None:
    if state is None:
        return
    if state.is_paused():
        with database.write(wiring.engine()) as connection:
            control.suspend(connection, run_id, now=wiring.clock())
    elif state.is_cancelling() or state.is_cancelled():
        with database.write(wiring.engine()) as connection:
            control.cancel_if_possible(connection, run_id, by="Prefect UI", why=_PRESSED, now=wiring.clock())


def _state(client: "SyncPrefectClient") -> "State[Any] | None":
    """None where Prefect does not answer: mail goes on, for the ledger alone decides about it."""
    try:
        return client.read_flow_run(runtime.flow_run.id).state
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        get_run_logger().debug("Prefect does not say how this flow run is (%s)", type(error).__name__)
        return None


@task(task_run_name="is this flow run still to work?", cache_policy=NO_CACHE)
def leave_if_stopped() -> None:
    """End this process and leave the flow run as it is, unless it is running. Raises prefect.exceptions.Pause.

    A suspended flow run that went on to its end would be completed, and its Resume button gone.
    """
    with get_client(sync_client=True) as client:
        state = _state(client)
    if state is not None and not state.is_running():
        raise Pause(state=state)
