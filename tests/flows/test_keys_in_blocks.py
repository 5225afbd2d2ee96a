"""A worker can take an ESP's key from a Prefect Secret block, as docs/operations.md says: only it ever reads it."""

import asyncio

import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

pytestmark = pytest.mark.slow


def test_a_key_in_a_block_comes_into_the_environment_of_each_run() -> None:
    Secret(value="SG.k3y").save("sendgrid-key", overwrite=True)  # type: ignore[call-arg]
    named = {"env": {"OMS_SENDGRID_API_KEY": "{{ prefect.blocks.secret.sendgrid-key }}"}}

    async def configured() -> ProcessJobConfiguration:
        async with get_client() as client:
            template = ProcessWorker.get_default_base_job_template()
            return await ProcessJobConfiguration.from_template_and_values(template, named, client=client)

    found = asyncio.run(configured())
    assert found.env["OMS_SENDGRID_API_KEY"] == "SG.k3y"
