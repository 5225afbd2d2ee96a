"""Segments as the command shows them; no store is needed for that."""

from segments import registry
from tests.cli.conftest import Campaigns


def test_all_segments_are_listed(campaigns: Campaigns) -> None:
    head, *lines = campaigns("segments", "list").lines
    assert head.split("  ")[0] == "NAME"
    assert [line.split()[0] for line in lines] == list(registry.load())
    found = campaigns("segments", "list", "--json").json
    assert [one["name"] for one in found] == list(registry.load())
    assert found[0].keys() == {"name", "owner", "needs", "description"}


def test_one_segment_is_explained(campaigns: Campaigns) -> None:
    told = campaigns("segments", "show", "lapsed-vip")
    assert told.lines[0] == "lapsed-vip: Spent over 500 in their life and ordered nothing for 90 days."
    assert "Owner: data-team. Defined in segments/" in told.lines[1]
    assert "net_revenue            account currency  totals of counted orders less refunds and credits" in told.lines
    assert "in        500.01                     91" in told.lines
    found = campaigns("segments", "show", "lapsed-vip", "--json").json
    names = {"name", "owner", "description", "needs", "inside", "outside", "definition_hash", "defined_in"}
    assert found.keys() == names
    assert found["inside"][0] == {"net_revenue": 500.01, "days_since_last_order": 91}


def test_every_segment_can_be_shown(campaigns: Campaigns) -> None:
    for name in registry.load():
        assert campaigns("segments", "show", name).status == 0
        assert campaigns("segments", "show", name, "--json").json["name"] == name


def test_a_misspelt_segment_gets_a_hint(campaigns: Campaigns) -> None:
    for command in ("show", "preview"):
        assert "did you mean lapsed" in campaigns("segments", command, "lapst").mistake
