"""Pull orders: ask the channels that have an API for what their pushes may have missed."""

from prefect import flow
from pydantic import Field

from tasks import intake, upkeep


@flow(name="pull-orders")
def pull_orders(
    account: str = Field("", title="Account", description="Which shop or brand. Empty: all."),
    channel: str = Field(
        "", title="Channel", description="Which channel of channels.yaml. Empty: all that have an API."
    ),
) -> dict[str, int]:
    """Keep what changed since each channel's cursor; `ingest-orders` makes orders of it. Fails as an alarm.

    A channel that does not answer must not hide the others: each is asked, and what failed is raised at the end.
    """
    failures = upkeep.Failures()
    new = 0
    for source in intake.sources(account, channel):
        with failures.kept(f"ask {source[1]} of {source[0]}"):
            new += intake.pull_orders(*source)
    failures.raise_kept()
    return {"new_pages": new}
