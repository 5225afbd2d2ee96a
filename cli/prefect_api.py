"""Talking to the Prefect server as its UI does: start a deployment, wait, answer an approval."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import settings
from cli.output import Mistake

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

DEPLOYMENTS = {
    "run-campaign": "run-campaign/run-campaign",
    "refresh-features": "refresh-features/refresh-features",
    "process-delivery-events": "process-delivery-events/process-delivery-events",
    "reconcile": "reconcile/reconcile",
    "report-kpis": "report-kpis/report-kpis",
}


@contextmanager
def client() -> Iterator["SyncPrefectClient"]:
    """A client of the installation's server. Raises Mistake when it does not answer."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

    # Said here and not by the environment, which Prefect reads when it is first imported. Never an ephemeral server:
    # it would answer in the place of the one that does not run.
    ours = {PREFECT_API_URL: settings.load().prefect.api_url, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}
    with temporary_settings(ours), get_client(sync_client=True) as connected:
        if (trouble := connected.api_healthcheck()) is not None:
            where = settings.load().prefect.url
            raise Mistake(
                f"Prefect does not answer at {where} ({type(trouble).__name__}): start it with `campaigns up`"
            )
        yield connected


def start(connected: "SyncPrefectClient", name: str, parameters: dict[str, Any]) -> "FlowRun":
    """Create a run of a deployment, as the UI's Run button does."""
    from prefect.exceptions import ObjectNotFound

    try:
        deployment = connected.read_deployment_by_name(DEPLOYMENTS[name])
    except ObjectNotFound as error:
        raise Mistake(f"the deployment {name!r} does not exist yet: `campaigns up` makes it") from error
    return connected.create_flow_run_from_deployment(deployment.id, parameters=parameters)


def wait(connected: "SyncPrefectClient", flow_run_id: UUID, *, seconds: float = 600) -> "FlowRun":
    """Wait until the run is over, or waits for a person. Raises Mistake when it takes longer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = connected.read_flow_run(flow_run_id)
        if run.state is not None and (run.state.is_final() or run.state.is_paused()):
            return run
        time.sleep(0.5)
    raise Mistake(f"the flow run is not over after {seconds:.0f} seconds: {page(flow_run_id)}")


def approve(connected: "SyncPrefectClient", flow_run_id: UUID, *, name: str, note: str) -> None:
    """Say yes, exactly as the UI's Resume button does."""
    connected.resume_flow_run(flow_run_id, run_input={"decision": "yes", "name": name, "note": note})


def page(flow_run_id: UUID) -> str:
    """Where a person finds this flow run."""
    return f"{settings.load().prefect.url}/runs/flow-run/{flow_run_id}"
