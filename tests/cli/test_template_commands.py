"""Templates by the command: listed, shown, checked, previewed, begun anew. Without a store and without a secret."""

import json
from pathlib import Path

import pytest

from data import content
from tests.cli.conftest import Campaigns


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine on which nothing is set up yet."""
    monkeypatch.chdir(tmp_path)
    for name in ("OMS_PRIVACY_PEPPER", "OMS_PRIVACY_LINK_KEY", "OMS_CONTENT_TEMPLATES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def own(bare: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for templates of one's own."""
    bare.setenv("OMS_CONTENT_TEMPLATES", str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_templates_are_listed_with_what_they_are_for(bare: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    told = campaigns("templates", "list")
    assert told.status == 0
    assert "transactional  account   shipped  Password reset" in told.out
    found = {one["name"]: one for one in campaigns("templates", "list", "--json").json}
    assert found["win-back"].items() >= {"stream": "marketing", "purpose": "campaign", "whose": "shipped"}.items()
    assert found["win-back"]["fields"] == ["days_since_last_order", "first_name", "last_order_on"]


def test_a_template_is_shown_with_its_fields_and_as_it_reads(bare: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    told = campaigns("templates", "show", "shipped").out
    assert "order_number      text    needed" in told
    assert "tracking_url      link    left out" in told
    assert "Follow the parcel: https://track.test/SE4481029375" in told
    shown = campaigns("templates", "show", "shipped", "--json").json
    assert shown["mail"]["subject"] == "On its way: order 10482"
    assert "there are: account-changed, " in campaigns("templates", "show", "nothing").mistake


def test_checks_pass_and_what_they_find_is_said(bare: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    told = campaigns("templates", "check")
    assert told.status == 0
    count = len(content.names())
    assert f"{count} checked, 14 checks each: 0 errors, {count} warnings." in told.out
    (one,) = campaigns("templates", "check", "shipped", "--json").json
    assert one["findings"][0].items() >= {"check": "links", "severity": "warning"}.items()


def test_a_preview_is_text_and_a_page_with_values_of_ones_own(
    bare: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    values = {"order_number": "77", "order_total": {"amount": "5", "currency": "EUR"}}
    Path("values.json").write_text(json.dumps(values))
    told = campaigns(
        "templates", "preview", "order-confirmation", "--values", "values.json", "--locale", "de", "--html", "x/a.html"
    )
    assert told.lines[0] == "Subject: Ihre Bestellung 77 ist bei uns"
    assert told.lines[-1] == "Page: x/a.html"
    assert "5,00\xa0€" in Path("x/a.html").read_text("utf-8")
    Path("values.json").write_text('{"order_total": 5}')
    for words, mistake in (
        (("--values", "values.json"), "order_total must be an amount with its currency"),
        (("--values", "none.json"), "none.json cannot be read"),
        (("--locale", "xx"), "there is no locale 'xx'"),
    ):
        assert mistake in campaigns("templates", "preview", "order-confirmation", *words).mistake
    Path("values.json").write_text("[]")
    assert "must hold fields" in campaigns("templates", "preview", "shipped", "--values", "values.json").mistake
    Path("values.json").write_text("{")
    assert "is no JSON" in campaigns("templates", "preview", "shipped", "--values", "values.json").mistake


def test_a_template_of_ones_own_begins_as_a_copy(own: Path, campaigns: Campaigns) -> None:
    told = campaigns("templates", "new", "spring", "--like", "newsletter")
    assert told.status == 0
    assert (own / "spring" / "body.html").exists()
    (own / "spring" / "subject.txt").write_text("Spring is here")
    (own / "_brand" / "brand.toml").write_text(
        'home = "https://vinyl-shop.com/"\ncontact_url = "https://vinyl-shop.com/c"\n'
    )
    assert campaigns("templates", "check", "spring").out.endswith("0 errors, 0 warnings.\n")
    assert "yours    Newsletter" in campaigns("templates", "list").out
    assert "https://vinyl-shop.com/frost" in campaigns("templates", "preview", "spring").out
    assert "is there already, and was left" in campaigns("templates", "new", "spring").mistake
    assert (own / "spring" / "subject.txt").read_text() == "Spring is here"
    assert (own / "_brand" / "brand.toml").read_text().startswith("home")


def test_the_brand_to_fill_in_changes_nothing_yet(own: Path, campaigns: Campaigns) -> None:
    own.mkdir()
    before = campaigns("templates", "preview", "shipped", "--json").json
    campaigns("templates", "new", "spring")
    assert '# home = "https://shop.example.com/"' in (own / "_brand" / "brand.toml").read_text()
    assert campaigns("templates", "preview", "shipped", "--json").json == before


def test_a_template_that_cannot_be_used_is_named_and_the_others_work(own: Path, campaigns: Campaigns) -> None:
    campaigns("templates", "new", "spring")
    (own / "spring" / "body.html").write_text("{{ first_name|safe }}")
    for command in ("list", "check"):
        told = campaigns("templates", command)
        assert told.status == 1
        assert "spring/body.html: there is no filter 'safe'" in told.out
        assert "win-back" in told.out
    assert "spring/body.html" in campaigns("templates", "check", "spring").mistake


def test_an_error_is_exit_status_1(own: Path, campaigns: Campaigns) -> None:
    campaigns("templates", "new", "spring")
    (own / "_brand" / "brand.toml").write_text('[dark]\nmuted = "#3a342a"\n')
    told = campaigns("templates", "check", "shipped")
    assert told.status == 1
    assert "contrast" in told.out
    assert "dark mode: #3a342a on" in told.out


def test_names_that_are_none_and_a_folder_that_is_not_set(
    bare: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    assert "OMS_CONTENT_TEMPLATES names no folder" in campaigns("templates", "new", "spring").mistake
    bare.setenv("OMS_CONTENT_TEMPLATES", str(tmp_path / "mine"))
    assert "there is no folder" in campaigns("templates", "list").mistake
    for name in ("../evil", "Spring", "_brand", "-x"):
        assert campaigns("templates", "new", "--", name).status == 2
    assert "there is no template 'nothing'" in campaigns("templates", "new", "spring", "--like", "nothing").mistake
    assert not (tmp_path / "mine" / "spring").exists()


def test_another_account_has_its_own_brand(own: Path, campaigns: Campaigns) -> None:
    campaigns("templates", "new", "spring")
    (own / "_brand" / "second.toml").write_text('note = "HRB 4712"')
    assert "HRB 4712" in campaigns("templates", "preview", "spring", "--account", "second").out
    assert "HRB 4712" not in campaigns("templates", "preview", "spring").out
