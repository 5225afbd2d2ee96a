"""Talking to the Prefect server as its UI does: start a deployment, wait, answer an approval, look at what is there.

For the command line, which knows nothing of Prefect: it gets plain values. Importing this module does not import
Prefect, which costs a second; only a command that connects pays for it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas import objects

Client: TypeAlias = "SyncPrefectClient"

DEPLOYMENTS = {
    "run-campaign": "run-campaign/run-campaign",
    "refresh-features": "refresh-features/refresh-features",
    "process-delivery-events": "process-delivery-events/process-delivery-events",
    "pull-reports": "pull-reports/pull-reports",
    "reconcile": "reconcile/reconcile",
    "report-kpis": "report-kpis/report-kpis",
    "ingest-orders": "ingest-orders/ingest-orders",
    "pull-orders": "pull-orders/pull-orders",
    "watch-intake": "watch-intake/watch-intake",
    "control-campaign": "control-campaign/control-campaign",
}


class PrefectUnavailable(RuntimeError):
    """The server does not answer. The message says what to do."""


class UnknownDeployment(LookupError):
    """The server has no such deployment. The message says what to do."""


class TookTooLong(RuntimeError):
    """The flow run goes on, but nobody waits for it any more. The message says where it is."""


@dataclass(frozen=True, slots=True)
class FlowRun:
    """What Prefect says of a flow run."""

    id: UUID
    name: str
    state: str  # as the UI names it
    message: str  # how it ended; empty until then
    final: bool
    completed: bool
    cancelled: bool  # or about to be
    paused: bool  # it waits for a person
    scheduled: bool  # it waits for a worker
    running: bool  # by Prefect's word: of a process that was killed it says so for ever

    @property
    def page(self) -> str:
        """Where a person finds it."""
        return _page(self.id)


@contextmanager
def client() -> Iterator[Client]:
    """A client of the installation's server. Raises PrefectUnavailable."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

    # Said here and not by the environment, which Prefect reads when it is first imported. Never an ephemeral server:
    # it would answer in the place of the one that does not run.
    ours = {PREFECT_API_URL: settings.load().prefect.api_url, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}
    with temporary_settings(ours), get_client(sync_client=True) as connected:
        if (trouble := connected.api_healthcheck()) is not None:
            where = settings.load().prefect.url
            raise PrefectUnavailable(
                f"Prefect does not answer at {where} ({type(trouble).__name__}): start it with `campaigns up`"
            )
        yield connected


@contextmanager
def own_client() -> Iterator[Client]:
    """A client of the server that runs this flow."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as connected:
        yield connected


def start(connected: Client, name: str, parameters: dict[str, Any], *, key: str | None = None) -> FlowRun:
    """Create a run of a deployment, as the UI's Run button does; with a `key` one run, however often it is asked for.

    Raises UnknownDeployment.
    """
    from prefect.exceptions import ObjectNotFound

    try:
        deployment = connected.read_deployment_by_name(DEPLOYMENTS[name])
    except ObjectNotFound as error:
        raise UnknownDeployment(f"the deployment {name!r} does not exist yet: `campaigns up` makes it") from error
    made = connected.create_flow_run_from_deployment(deployment.id, parameters=parameters, idempotency_key=key)
    return _told(made)


def wait(connected: Client, flow_run_id: UUID, *, seconds: float = 600) -> FlowRun:
    """Wait until the run is over, or waits for a person. Raises TookTooLong."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = _told(connected.read_flow_run(flow_run_id))
        if run.final or run.paused:
            return run
        time.sleep(0.5)
    raise TookTooLong(f"the flow run is not over after {seconds:.0f} seconds: {_page(flow_run_id)}")


def find(connected: Client, flow_run_id: UUID) -> FlowRun | None:
    """The flow run as it is now; None when the server does not know it, as it forgets old ones."""
    from prefect.exceptions import ObjectNotFound

    try:
        return _told(connected.read_flow_run(flow_run_id))
    except ObjectNotFound:
        return None


def resume(connected: Client, flow_run_id: UUID) -> FlowRun:
    """Let a suspended flow run go on, exactly as the UI's Resume button does; the flow run as it is then."""
    connected.resume_flow_run(flow_run_id)
    return _told(connected.read_flow_run(flow_run_id))


def crash(connected: Client, flow_run_id: UUID, why: str) -> None:
    """Say that the process of a flow run is dead, for Prefect never learns that of one that was killed."""
    from prefect.states import Crashed

    connected.set_flow_run_state(flow_run_id, Crashed(message=why), force=True)


def approve(connected: Client, flow_run_id: UUID, *, name: str, note: str) -> None:
    """Say yes, exactly as the UI's Resume button does."""
    connected.resume_flow_run(flow_run_id, run_input={"decision": "yes", "name": name, "note": note})


def forms(connected: Client) -> dict[str, dict[str, Any]]:
    """The JSON schema of the run form of each of our deployments; one that is not made yet is left out."""
    from prefect.exceptions import ObjectNotFound

    found = {}
    for name, full_name in DEPLOYMENTS.items():
        try:
            found[name] = connected.read_deployment_by_name(full_name).parameter_openapi_schema or {}
        except ObjectNotFound:
            continue
    return found


def workers_online(connected: Client, pool: str) -> int:
    """How many workers take runs from the pool; 0 too when there is no such pool."""
    from prefect.client.schemas.objects import WorkerStatus
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        workers = connected.read_workers_for_work_pool(pool)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise
        return 0
    return sum(one.status is WorkerStatus.ONLINE for one in workers)


def _told(run: "objects.FlowRun") -> FlowRun:
    state = run.state
    final = state is not None and state.is_final()
    return FlowRun(
        id=run.id,
        name=run.name,
        state=(state.name or "") if state is not None else "unknown",
        message=(state.message or "") if state is not None and final else "",
        final=final,
        completed=state is not None and state.is_completed(),
        cancelled=state is not None and (state.is_cancelled() or state.is_cancelling()),
        paused=state is not None and state.is_paused(),
        scheduled=state is not None and state.is_scheduled(),
        running=state is not None and state.is_running(),
    )


def _page(flow_run_id: UUID) -> str:
    return f"{settings.load().prefect.url}/runs/flow-run/{flow_run_id}"
