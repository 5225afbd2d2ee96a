"""The run form: safe by default, wrong input refused where it is typed."""

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from data import content
from domain import rule_fields
from domain import rules as words
from domain.campaigns import Refinement
from domain.rules import Operator, Rule
from domain.template_fields import Purpose
from segments import registry, selection
from tasks import esps
from tasks.request import CampaignRequest, Mode, as_field

SCHEMA = CampaignRequest.model_json_schema()
TWICE = {"field": "number of orders", "operator": "at least", "value": "2", "days": 90}


def asked(**fields: Any) -> CampaignRequest:
    """What a marketer must choose, and these."""
    return CampaignRequest(**{"campaign": "news", "segment": "vip", "template": "new-arrivals", **fields})


def test_the_default_sends_nothing() -> None:
    assert asked().mode is Mode.DRY_RUN


@pytest.mark.parametrize("forgotten", ["campaign", "segment", "template"])
def test_nothing_is_chosen_beforehand(forgotten: str) -> None:
    with pytest.raises(ValidationError, match="give the campaign a name, and choose a segment and a template"):
        asked(**{forgotten: ""})
    assert CampaignRequest(resume_run="r23456789abcd").segment == ""


@pytest.mark.parametrize("part", [SCHEMA, SCHEMA["$defs"]["OnlyThose"], SCHEMA["$defs"]["Parameters"]])
def test_every_field_has_a_title_a_sentence_of_help_and_a_default(part: dict[str, Any]) -> None:
    for name, field in part["properties"].items():
        assert {"title", "description", "default"} <= field.keys(), name
        assert field["description"].endswith("."), name
        assert "anyOf" not in field, f"{name} would be a switch between types in the form"
    assert "null" not in str(part)


def test_lists_to_choose_from_are_dropdowns() -> None:
    fields = SCHEMA["properties"]
    assert fields["without"]["items"] == {"type": "string", "enum": sorted(registry.load())}
    assert SCHEMA["$defs"]["OnlyThose"]["properties"]["field"]["enum"] == list(rule_fields.LABELS)
    assert SCHEMA["$defs"]["Operator"]["enum"] == [operator.value for operator in Operator]
    assert fields["segment"]["enum"] == ["", *sorted(registry.load())]
    assert fields["template"]["enum"] == ["", *content.names(purpose=Purpose.CAMPAIGN)]
    assert "win-back" in fields["template"]["enum"]
    assert "password-reset" not in fields["template"]["enum"]  # nobody is to mail a receipt to a segment
    assert fields["provider"]["enum"] == list(esps.providers())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("campaign", "x"),
        ("campaign", "../etc"),
        ("segment", "nobody"),
        ("template", "none"),
        ("provider", "pigeon"),
        ("subject", "two\nlines"),
        ("sender_name", "a\rb"),
        ("sender_mailbox", "news@evil.example"),
        ("limit", -1),
        ("holdout_percent", 51),
        ("resume_run", "not-a-run"),
        ("unheard_of", 1),
        ("priority", 10),
        ("priority", -1),
        ("members_of", "not-a-run"),
        ("without", ["nobody"]),
        ("only", [{"field": "shoe size"}]),
        ("only", [{"operator": "like"}]),
        ("only", [{"sql": "1=1"}]),
        ("only", [TWICE] * 21),
        ("parameters", {"shoe_size": "44"}),
        ("parameters", {"__class__": "x"}),
        ("parameters", {"of_category": "toys"}),
    ],
)
def test_wrong_input_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        CampaignRequest(**{field: value})  # type: ignore[arg-type]


def test_each_name_of_a_parameter_is_one_field_that_says_whose_it_is() -> None:
    fields = SCHEMA["$defs"]["Parameters"]["properties"]
    named: dict[str, list[str]] = {}
    for segment in registry.load().values():
        for parameter in segment.parameters:
            named.setdefault(parameter.name, []).append(segment.name)
    assert fields.keys() == named.keys()
    for name, segments in named.items():
        told = fields[name]["description"]
        assert all(segment in told for segment in segments[:4])
        assert len(told) < 200, "a line or two: the page of segments has the rest"
    assert all(field["type"] == "string" and field["default"] == "" for field in fields.values())


def test_a_rule_that_was_added_and_never_filled_in_is_none() -> None:
    assert asked(only=[{}, TWICE]).refinement().rules == asked(only=[TWICE]).refinement().rules


def test_the_form_says_the_same_as_the_domain() -> None:
    request = asked(
        segment="bought-category",
        parameters={"category": " toys "},  # type: ignore[arg-type]
        only=[TWICE, {"field": "last opened", "operator": "is known"}],  # type: ignore[list-item]
        without=["high-refunders", "loyal", "loyal"],
        priority=3,
    )
    assert request.refinement() == Refinement(
        arguments={"category": "toys"},
        rules=(Rule("number_of_orders", Operator.AT_LEAST, "2", 90), Rule("last_opened_at", Operator.IS_KNOWN)),
        exclude=("high-refunders", "loyal"),
    )
    assert asked().refinement() == Refinement()
    assert asked(members_of="r23456789abcd").refinement() == Refinement(members_of="r23456789abcd")


@pytest.mark.parametrize("field", rule_fields.FIELDS, ids=lambda field: field.name)
def test_every_field_and_operator_that_the_form_offers_can_be_asked(field: rule_fields.Field) -> None:
    value = {"rfm": "543", "country": "DE", "language": "de"}.get(field.name) or (*field.choices, "")[0]
    value = value or ("2026-03-01" if field.kind is rule_fields.Kind.INSTANT else "1")
    for operator in words.operators(field):
        known = operator in {Operator.IS_KNOWN, Operator.IS_NOT_KNOWN}
        rule = Rule(field.name, operator, "" if known else value)
        request = asked(only=[as_field(rule)])  # type: ignore[list-item]
        assert request.refinement().rules == (rule,)


def test_a_request_survives_the_way_through_prefect() -> None:
    """Its server checks parameters by the schema and keeps them as JSON."""
    request = asked(
        segment="bought-category",
        parameters={"category": "toys"},  # type: ignore[arg-type]
        only=[TWICE],  # type: ignore[list-item]
        without=["loyal"],
        priority=9,
    )
    kept = request.model_dump(mode="json")
    assert kept["parameters"]["category"] == "toys"
    assert kept["only"] == [TWICE]
    jsonschema.validate(kept, SCHEMA)
    jsonschema.validate(asked().model_dump(mode="json"), SCHEMA)
    assert CampaignRequest.model_validate(kept) == request
    # A new entry of the list begins as the form's default says, and what is not filled in is not sent.
    assert SCHEMA["properties"]["only"]["items"]["default"]["operator"] == "is"
    jsonschema.validate({"only": [{"value": "toys"}], "parameters": {}}, SCHEMA)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"only": [TWICE, TWICE | {"value": "two"}]}, "rule 2: “two” is not a whole number such as 3"),
        ({"only": [TWICE | {"field": "net revenue"}]}, "rule 1: “net revenue” does not look back over days"),
        ({"only": [TWICE | {"field": "country", "days": 0}]}, "use “is”, “is not”, “is known” or “is not known”"),
        ({"only": [{"operator": "is not"}]}, "rule 1: a value is missing"),
        ({"segment": "loyal", "parameters": {"category": "toys"}}, "segment 'loyal' has no parameter 'category'"),
        ({"without": ["loyall"]}, "there is no segment 'loyall': did you mean loyal"),
        ({"segment": "loyal", "without": ["loyal"]}, "loyal is the segment itself, so nobody would be left"),
        ({"members_of": "r23456789abcd", "only": [TWICE]}, "the members of run r23456789abcd are taken as they were"),
    ],
)
def test_a_mistake_is_a_sentence_that_names_field_and_fix(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        asked(**fields)
    assert says in caught.value.errors()[0]["msg"]


def test_what_the_form_accepts_is_a_selection() -> None:
    request = asked(segment="bought-category", parameters={"category": "toys"}, only=[TWICE])  # type: ignore[arg-type, list-item]
    assert selection.of(request.segment, request.refinement()).sentences() == [
        "is in segment bought-category with category toys",
        "ordered at least 2 times in the last 90 days",
    ]
