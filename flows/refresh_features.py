"""Refresh customer features: one row of facts per customer, every night."""

from prefect import flow
from pydantic import Field

from tasks import upkeep


@flow(name="refresh-features")
def refresh_features(
    account: str = Field("", title="Account", description="Which shop or brand. Empty: this installation's own."),
    full: bool = Field(
        False,
        title="Reckon everybody anew",
        description="Off: only customers whose orders, mails or windows changed, which gives the same figures.",
    ),
) -> None:
    """Bring the features to now, and measure every segment of the library."""
    upkeep.refresh_features(account, full=full)
    upkeep.measure_segments(account)
