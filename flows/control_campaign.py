"""Control a campaign: pause a run while it sends, let it go on, or cancel it."""

from enum import StrEnum

from prefect import flow, runtime
from pydantic import BaseModel, Field

from tasks import control


class Word(StrEnum):
    """What is to become of the run, as the form says it."""

    PAUSE = "1 · Pause – nothing more goes out until somebody says 'Go on'"
    GO_ON = "2 · Go on – continue a run that is paused or broke off"
    CANCEL = "3 · Cancel – what has not gone out never will"


class ControlRequest(BaseModel):
    """Say what is to become of a run."""

    run: str = Field(
        title="Run",
        pattern=r"^r[a-z0-9]{12}$",
        description="Its id, as the campaign page and the run's own artifacts show it, such as rk3m9x2v7b4qd.",
    )
    word: Word = Field(Word.PAUSE, title="What", description="Each takes effect before the next batch is handed over.")
    name: str = Field(title="Your name", min_length=2, max_length=60, description="Kept in the audit log.")
    note: str = Field("", title="Note", max_length=500, description="Why, if you like.")


def _name() -> str:
    request = runtime.flow_run.parameters.get("request", {})
    data = request if isinstance(request, dict) else request.model_dump()
    return f"{str(data.get('word', '')).partition(' – ')[0].partition(' · ')[2].lower()} {data.get('run', '')}"


@flow(name="control-campaign", flow_run_name=_name)
def control_campaign(request: ControlRequest) -> str:
    """Pause, continue or cancel a run. Fails, and changes nothing, where that is not possible."""
    step = {Word.PAUSE: control.pause, Word.GO_ON: control.go_on, Word.CANCEL: control.cancel}[request.word]
    return step(request.run, by=request.name, why=request.note)
