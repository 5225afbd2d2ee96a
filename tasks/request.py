"""What a marketer fills in to start a campaign: the form in the Prefect UI is generated from this model."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from data import content
from segments import registry
from tasks import wiring

# Choices are fixed when the deployment is made: deploy again after adding a segment or a template.
_SEGMENTS = sorted(registry.load())
_TEMPLATES = content.names()


class Mode(StrEnum):
    """How far a run goes."""

    DRY_RUN = "1 · Dry run – count and preview only, nothing is sent"
    LIVE = "2 · Live – mail goes out, after approval where the audience is large"


class CampaignRequest(BaseModel):
    """One run of a campaign."""

    model_config = ConfigDict(title="Campaign", extra="forbid")

    campaign: Annotated[str, Field(min_length=3, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")] = Field(
        "win-back",
        title="Campaign name",
        description="Runs of one name are compared with each other. Letters, digits, spaces, dots and dashes.",
    )
    mode: Mode = Field(
        Mode.DRY_RUN,
        title="How far to go",
        description="A dry run shows who would get the mail, who would not and why, and how the mail looks.",
    )
    segment: str = Field(
        _SEGMENTS[0],
        title="Segment",
        description="Who. `campaigns segments show NAME` explains each one.",
        json_schema_extra={"enum": [*_SEGMENTS]},
    )
    template: str = Field(
        _TEMPLATES[0],
        title="Template",
        description="What they read.",
        json_schema_extra={"enum": [*_TEMPLATES]},
    )
    provider: str = Field(
        wiring.PROVIDERS[0],
        title="Provider (ESP)",
        description="Who delivers it. The sandbox takes everything and delivers to nobody.",
        json_schema_extra={"enum": list(wiring.PROVIDERS)},
    )
    # Empty text and 0 mean "not given": an optional field would be a switch between types in the form.
    subject: str = Field(
        "", max_length=150, title="Subject", description="Replaces the template's own subject. Empty: that one."
    )
    limit: int = Field(
        0, ge=0, title="At most so many people", description="A fair sample of the segment. 0: everyone in it."
    )
    holdout_percent: int = Field(
        0,
        ge=0,
        le=50,
        title="Hold out (percent)",
        description="So many percent get no mail, so that the effect can be measured against them.",
    )
    sender_name: str = Field(
        "", max_length=60, title="Sender's name", description="Shown as the sender. Empty: the shop's own."
    )
    sender_mailbox: str = Field(
        "",
        max_length=60,
        pattern=r"^([a-z0-9][a-z0-9._-]*)?$",
        title="Sender's mailbox",
        description="What stands before the @ of the shop's sending domain, such as news. Empty: the shop's own.",
    )
    account: str = Field(
        "", max_length=60, title="Account", description="Which shop or brand. Empty: this installation's own."
    )
    seed: int = Field(
        1,
        ge=0,
        title="Seed",
        description="Draws sample and holdout: the same seed draws the same people, another one other people.",
    )
    resume_run: str = Field(
        "",
        pattern=r"^(r[a-z0-9]{12})?$",
        title="Continue a run",
        description="The id of a run that was paused or broke off; every other field is then ignored. Empty: a new run.",
    )

    @field_validator("segment", "template", "provider")
    @classmethod
    def _one_of_the_choices(cls, value: str, info: Any) -> str:
        options = {"segment": _SEGMENTS, "template": _TEMPLATES, "provider": list(wiring.PROVIDERS)}[info.field_name]
        if value not in options:
            raise ValueError(f"there is no {info.field_name} {value!r}; there are: {', '.join(options)}")
        return value

    @field_validator("subject", "sender_name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("this must be one line without control characters")
        return value
