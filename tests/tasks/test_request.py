"""The run form: safe by default, wrong input refused where it is typed."""

import pytest
from pydantic import ValidationError

from data import content
from segments import registry
from tasks import wiring
from tasks.request import CampaignRequest, Mode


def test_the_default_sends_nothing() -> None:
    assert CampaignRequest().mode is Mode.DRY_RUN


def test_every_field_has_a_title_a_sentence_of_help_and_a_default() -> None:
    schema = CampaignRequest.model_json_schema()
    for name, field in schema["properties"].items():
        assert {"title", "description", "default"} <= field.keys(), name
        assert field["description"].endswith("."), name
        assert "anyOf" not in field, f"{name} would be a switch between types in the form"


def test_lists_to_choose_from_are_dropdowns() -> None:
    fields = CampaignRequest.model_json_schema()["properties"]
    assert fields["segment"]["enum"] == sorted(registry.load())
    assert fields["template"]["enum"] == content.names()
    assert fields["provider"]["enum"] == list(wiring.PROVIDERS)


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
    ],
)
def test_wrong_input_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        CampaignRequest(**{field: value})  # type: ignore[arg-type]
