"""What a marketer fills in to start a campaign: the form in the Prefect UI is generated from this model."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator, model_validator

from domain import rule_fields, rule_values, rules
from domain.campaigns import Refinement
from domain.routes import AUTOMATIC
from domain.rules import Operator, Rule
from segments import registry, selection
from segments.definition import Segment
from segments.parameters import Parameter
from tasks import esps, wiring

# Choices are fixed when the deployment is made: deploy again after adding a segment or a template.
_SEGMENTS = registry.load()
_TEMPLATES = wiring.campaign_templates()
_PROVIDERS = esps.providers()


_NAMED = 4  # segments that the form names beside a parameter; docs/segments.md has all of them


class Mode(StrEnum):
    """How far a run goes."""

    DRY_RUN = "1 · Dry run – count and preview only, nothing is sent"
    LIVE = "2 · Live – mail goes out, after approval where the audience is large"


class _Group(BaseModel):
    """A part of the form. A field may have any name that a parameter may have, so the model's own stand behind."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True, validate_by_name=False, protected_namespaces=())


def _parameters() -> type[_Group]:
    """One text field for each name that any segment's parameter has: the form does not change with the segment."""
    users: dict[str, list[tuple[Segment, Parameter]]] = {}
    for segment in _SEGMENTS.values():
        for parameter in segment.parameters:
            users.setdefault(parameter.name, []).append((segment, parameter))
    fields: dict[str, Any] = {f"of_{name}": (str, _parameter(name, users[name])) for name in sorted(users)}
    return create_model("Parameters", __base__=_Group, __doc__="What the segment is asked with.", **fields)


def _parameter(name: str, users: list[tuple[Segment, Parameter]]) -> Any:
    kinds = {str: "text", int: "whole number", float: "number"}
    kind = kinds[users[0][1].type]
    title = f"{name.replace('_', ' ').capitalize()} ({kind})"
    if len(users) == 1:
        ((segment, it),) = users
        default = f"; empty: {it.default}" if it.default != "" else ""
        return Field("", alias=name, title=title, description=f"For {segment.name}: {it.meaning}{default}.")
    named = ", ".join(one.name for one, _ in users[:_NAMED])
    more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
    return Field("", alias=name, title=title, description=f"For {named}{more}. Empty: the segment's own default.")


Parameters = _parameters()


class OnlyThose(_Group):
    """One condition on those who are mailed."""

    model_config = ConfigDict(title="Rule")

    field: str = Field(
        rule_fields.LABELS[0],
        title="What",
        description="What they did in their orders, or a fact about them.",
        json_schema_extra={"enum": [*rule_fields.LABELS]},
    )
    operator: Operator = Field(
        Operator.IS, title="How", description="Amounts and times are compared; texts are or are not."
    )
    value: str = Field(
        "",
        max_length=rule_values.LONGEST,
        title="Value",
        description="Such as toys, 3, 19.90, 20% or 2026-03-01. For a coupon also: any. Empty for “is known”.",
    )
    days: int = Field(
        0,
        ge=0,
        le=rules.LONGEST_DAYS,
        title="In the last so many days",
        description="Only for what they did in their orders. 0: ever.",
    )

    def rule(self) -> Rule:
        """The same as the domain says it: by the field's name where there is such a field."""
        field = rule_fields.find(self.field).name if self.field in rule_fields.LABELS else self.field
        return Rule(field, self.operator, self.value.strip(), self.days)


def as_field(rule: Rule) -> dict[str, Any]:
    """A rule as the form's list holds it."""
    label = rule_fields.find(rule.field).label
    return {"field": label, "operator": rule.operator, "value": rule.value, "days": rule.days}


_RUN_ID = r"^(r[a-z0-9]{12})?$"
_A_RULE = {"default": {"field": rule_fields.LABELS[0], "operator": Operator.IS.value, "value": "", "days": 0}}


class CampaignRequest(BaseModel):
    """One run of a campaign."""

    model_config = ConfigDict(title="Campaign", extra="forbid", serialize_by_alias=True)

    # Nothing is chosen beforehand: a forgotten field must not mail anybody. Empty is right only to continue a run.
    campaign: Annotated[str, Field(max_length=60, pattern=r"^([A-Za-z0-9][A-Za-z0-9 ._-]{2,})?$")] = Field(
        "",
        title="Campaign name",
        description="Needed: 3 or more letters, digits, spaces, dots or dashes. Runs of one name are compared with each other.",
    )
    mode: Mode = Field(
        Mode.DRY_RUN,
        title="How far to go",
        description="A dry run shows who would get the mail, who would not and why, and how the mail looks.",
    )
    segment: str = Field(
        "",
        title="Segment",
        description="Needed. Who: the page “Segments” of the documentation says who is in each. What some can be asked "
        "with, such as which category, stands at the end of this form.",
        json_schema_extra={"enum": ["", *_SEGMENTS]},
    )
    only: list[Annotated[OnlyThose, Field(json_schema_extra=_A_RULE)]] = Field(
        [],
        max_length=rules.MOST_RULES,
        title="Only those who …",
        description="Of the segment only those of whom every one of these is true. Empty: all.",
    )
    without: list[Annotated[str, Field(json_schema_extra={"enum": [*_SEGMENTS]})]] = Field(
        [], title="But not members of", description="Who is in one of these segments gets no mail, and is counted."
    )
    template: str = Field(
        "",
        title="Template",
        description="Needed, unless the provider keeps it. What they read.",
        json_schema_extra={"enum": ["", *_TEMPLATES]},
    )
    esp_template: str = Field(
        "",
        max_length=100,
        title="Template kept by the provider",
        description="Its name there, instead of a template above: campaigns templates at-esp lists them. The version "
        "that is active when the run begins is what everybody gets; if it is changed meanwhile, the run stops.",
    )
    leave_out_missing: bool = Field(
        False,
        title="Leave out who lacks a value",
        description="Who has no value for something that the template says, such as a first name, and for which the "
        "template has no words instead, gets no mail and is counted. Otherwise the run stops and shows who lacks what.",
    )
    topic: str = Field(
        "",
        max_length=40,
        pattern=r"^([a-z0-9][a-z0-9-]*)?$",
        title="Topic",
        description="What it is about, such as offers: who wants no mail about that is left out. The topics that "
        "customers can choose from: campaigns topics list. Empty: no topic.",
    )
    provider: str = Field(
        _PROVIDERS[0],
        title="Provider (ESP)",
        description="Who delivers it. The sandbox takes everything and delivers to nobody; automatic, where there is "
        "more than one way, takes the best for each batch.",
        json_schema_extra={"enum": list(_PROVIDERS)},
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
    priority: int = Field(
        0,
        ge=0,
        le=9,
        title="Priority",
        description="Who is in two running campaigns gets the mail of the one with the larger number, 0 to 9.",
    )
    two_phase: bool = Field(
        False,
        title="Can be called back",
        description="The provider keeps every part of the mail for a quarter of an hour before it goes. If it is unclear "
        "whether a part was taken, it is called back and sent anew: nobody gets it twice and nobody misses it. "
        "All mail arrives that much later.",
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
    members_of: str = Field(
        "",
        pattern=_RUN_ID,
        title="Use the members of run",
        description="The id of a run whose members are taken as they were, when the newest data are not trusted. Then "
        "leave “Only those who” and the segment's parameters empty. Empty: choose anew.",
    )
    resume_run: str = Field(
        "",
        pattern=_RUN_ID,
        title="Continue a run",
        description="The id of a run that was paused or broke off; every other field is then ignored. Empty: a new run.",
    )

    # Last, because it is long: a name of every segment's parameters, of which one segment has a few.
    parameters: Parameters = Field(  # type: ignore[valid-type]
        Parameters(),
        title="Parameters of the segment",
        description="What the chosen segment can be asked with; leave what is not about it empty.",
    )

    @field_validator("segment", "template", "provider")
    @classmethod
    def _one_of_the_choices(cls, value: str, info: ValidationInfo) -> str:
        options = {"segment": [*_SEGMENTS], "template": _TEMPLATES, "provider": esps.providers()}[info.field_name or ""]
        if value and value not in options:
            raise ValueError(f"there is no {info.field_name} {value!r}; there are: {', '.join(options)}")
        return value

    @field_validator("subject", "sender_name", "esp_template")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("this must be one line without control characters")
        return value

    @field_validator("only")
    @classmethod
    def _sound_rules(cls, value: list[OnlyThose]) -> list[OnlyThose]:
        """One that was added and never filled in is none."""
        filled_in = [one for one in value if not rules.is_blank(one.rule())]
        rules.check_all([one.rule() for one in filled_in])
        return filled_in

    @field_validator("without")
    @classmethod
    def _other_segments(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for name in value:
            if name not in _SEGMENTS:
                raise ValueError(_no_segment(name))
            if name == info.data.get("segment"):
                raise ValueError(f"{name} is the segment itself, so nobody would be left: take it away here")
        return list(dict.fromkeys(value))

    @field_validator("parameters")
    @classmethod
    def _of_the_segment(cls, value: _Group, info: ValidationInfo) -> _Group:
        if segment := info.data.get("segment"):
            selection.of(segment, Refinement(arguments=_written(value)))
        return value

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        if not self.resume_run and not (self.campaign and self.segment and (self.template or self.esp_template)):
            raise ValueError("give the campaign a name, and choose a segment and a template")
        return self

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if self.template and self.esp_template:
            raise ValueError(f"choose one template: {self.template}, or {self.esp_template} that the provider keeps")
        if self.esp_template and self.provider == AUTOMATIC:
            raise ValueError(f"{self.esp_template} is kept by one provider: choose that one instead of {AUTOMATIC}")
        return self

    @model_validator(mode="after")
    def _either_way(self) -> Self:
        if self.members_of and (self.only or _written(self.parameters)):
            raise ValueError(
                f"the members of run {self.members_of} are taken as they were: leave “Only those who” and the "
                "segment's parameters empty, or do not name a run"
            )
        return self

    def refinement(self) -> Refinement:
        """What the segment is refined by, in the domain's words."""
        return Refinement(
            arguments=_written(self.parameters),
            rules=tuple(one.rule() for one in self.only),
            exclude=tuple(self.without),
            members_of=self.members_of or None,
        )


def _written(group: _Group) -> dict[str, str]:
    """The fields of a group that were filled in."""
    return {name: text.strip() for name, text in group.model_dump(by_alias=True).items() if text.strip()}


def _no_segment(name: str) -> str:
    try:
        registry.get(name)
    except LookupError as error:
        return str(error)
    return f"segment {name!r} came later than this form: deploy again"
