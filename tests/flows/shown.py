"""What Prefect shows to everybody who can open its UI, newest first: one answer of its API holds 200 at most."""

import asyncio

from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort, LogSort, TaskRunSort


def artifacts() -> dict[str, str]:
    """Text by key; of one key the newest."""

    async def read() -> dict[str, str]:
        async with get_client() as client:
            newest_first = await client.read_artifacts(sort=ArtifactSort.CREATED_DESC)
            return {str(one.key): str(one.data) for one in reversed(newest_first)}

    return asyncio.run(read())


def everything() -> str:
    """Runs with their parameters, logs and artifacts."""

    async def read() -> str:
        async with get_client() as client:
            flows = await client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC)
            tasks = await client.read_task_runs(sort=TaskRunSort.EXPECTED_START_TIME_DESC)
            logs = await client.read_logs(sort=LogSort.TIMESTAMP_DESC)
            return "\n".join([repr(run.model_dump()) for run in [*flows, *tasks]] + [log.message for log in logs])

    return "\n".join([asyncio.run(read()), *artifacts().values()])
