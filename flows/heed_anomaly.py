"""Heed an anomaly: a key figure jumped, so say it, and pause what is being sent where that is wanted."""

from prefect import flow

from tasks import heeding
from tasks.heeding import Jump


@flow(name="heed-anomaly")
def heed_anomaly(jump: Jump) -> None:
    """Started by the event campaigns.kpi.anomaly (prefect.yaml). Fails, as alarms do. Safe to repeat."""
    heeding.tell(jump, heeding.pause_sending(jump))
