"""Refresh customer features: one row of facts per customer, every night."""

from prefect import flow
from pydantic import Field

from tasks import upkeep


@flow(name="refresh-features")
def refresh_features(
    account: str | None = Field(None, title="Account", description="Leave empty for this installation's own."),
) -> None:
    """Make the features anew from all orders, as of now."""
    upkeep.refresh_features(account)
