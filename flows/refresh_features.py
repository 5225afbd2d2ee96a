"""Refresh customer features: one row of facts per customer, every night."""

from prefect import flow
from pydantic import Field

from tasks import upkeep


@flow(name="refresh-features")
def refresh_features(
    account: str = Field("", title="Account", description="Which shop or brand. Empty: this installation's own."),
) -> None:
    """Make the features anew from all orders, as of now."""
    upkeep.refresh_features(account)
