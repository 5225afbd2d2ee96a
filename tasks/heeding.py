"""What follows from a key figure that jumped: people are told, and sending pauses where the installation wants that."""

import re
from datetime import date
from typing import Literal

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, Field

import settings
from data import anomaly_pauses, database
from domain import kpi_words, kpis
from domain.kpi_anomalies import Anomaly
from domain.rates import Rate
from tasks import wiring

# Going on makes these worse; mail that did not arrive yesterday, or people who left, are not mended by a pause.
_PAUSING = (kpis.BOUNCE_RATE.name, kpis.COMPLAINT_RATE.name)


class KeyFigureJumped(RuntimeError):
    """A key figure is far from its own history: an alarm for an operator. The message says what was done."""


class Jump(BaseModel):
    """What the event campaigns.kpi.anomaly tells."""

    account: str = Field(title="Shop", max_length=64)
    by: Literal["mailbox", "domain"] = Field(title="Mailbox provider or sender domain")
    group: str = Field(title="Which", max_length=255)
    kpi: str = Field(title="Figure", max_length=64)
    day: date = Field(title="Mail of")
    value: float = Field(title="Share")
    of: int = Field(title="Of so many", ge=1)
    value_before: float = Field(title="Share before")
    of_before: int = Field(title="Of so many before", ge=1)

    @property
    def anomaly(self) -> Anomaly:
        """Raises domain.kpis.UnknownKpi."""
        now, before = (
            Rate(round(share * whole), whole)
            for share, whole in ((self.value, self.of), (self.value_before, self.of_before))
        )
        return Anomaly(self.group, kpis.named(self.kpi), self.day, now, before, self.by)


@task(task_run_name="pause what is being sent", cache_policy=NO_CACHE)
def pause_sending(jump: Jump) -> list[str]:
    """Pause the shop's runs where OMS_SENDING_PAUSE_ON_ANOMALY says so and a pause helps; which ones. Safe to repeat."""
    if not settings.load().sending.pause_on_anomaly or jump.kpi not in _PAUSING:
        return []
    name = f"anomaly of {jump.kpi}, {jump.by} {jump.group}, {jump.day}"
    with database.write(wiring.engine()) as connection:
        paused = anomaly_pauses.pause(
            connection, jump.account, jump=name, why=kpi_words.anomaly(jump.anomaly), now=wiring.clock()
        )
    for run_id in paused:
        get_run_logger().warning("Run %s is paused", run_id)
    return paused


@task(task_run_name="tell of the jump", cache_policy=NO_CACHE)
def tell(jump: Jump, paused: list[str]) -> None:
    """An artifact a shop: what jumped, what was paused, where to look, what to do. Raises KeyFigureJumped afterwards."""
    one = jump.anomaly
    page = f"{settings.load().gateway.public_url}/deliverability?shop={jump.account}&by={jump.by}"
    sent = [f"- `{run}` is paused: `campaigns resume {run}`, or *control-campaign* with *Go on*." for run in paused]
    sent = sent or ["Nothing was paused."]
    create_markdown_artifact(
        f"# A key figure jumped\n\n**{kpi_words.anomaly(one)}.**\n\n{one.kpi.meaning}\n\n## What is being sent\n\n"
        + "\n".join(sent)
        + f"\n\n[What is wrong there, and what to do]({page})",
        key=f"anomaly-{re.sub('[^a-z0-9]+', '-', jump.account.lower()).strip('-') or 'account'}",
        description="A key figure jumped against its own history",
    )
    done = f"Paused: {', '.join(paused)}." if paused else "Nothing was paused."
    raise KeyFigureJumped(f"{kpi_words.anomaly(one)}. {done} What to do: {page}")
