"""Pre-flight on demand: what is looked at before the first real mail, with test messages where they are wanted."""

from prefect import flow

from tasks import preflight as steps
from tasks.preflight import PreflightRequest


@flow(name="preflight")
def preflight(request: PreflightRequest) -> str:
    """Look at everything and leave it as the artifact `preflight`. Fails where a launch would be refused."""
    return steps.check(request)
