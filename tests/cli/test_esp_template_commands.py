"""Templates at the ESP by hand, against a real sandbox on loopback; and who lacks a value."""

import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

import settings
from data import database, esp_templates, runs, tables
from data.features import refresh
from domain.campaigns import RunStatus
from domain.esp_templates import as_template
from providers.sandbox.config import SandboxConfig
from tests.cli.conftest import Campaigns
from tests.data import frozen
from tests.data.test_expectations_orders import add
from tests.providers.sandbox.conftest import Esp

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
AT = ("--provider", "sandbox")


@pytest.fixture
def esp(shop: sa.Engine, environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Esp]:
    found = Esp(SandboxConfig(store=str(tmp_path / "sandbox.db")))
    environment.setenv("OMS_SANDBOX_PORT", found.url.rpartition(":")[2])
    settings.load.cache_clear()
    found.client.headers["Authorization"] = "Bearer SG.sandbox"
    yield found
    found.stop()


def audit(shop: sa.Engine) -> list[tuple[str, str]]:
    with database.read(shop) as connection:
        log = tables.audit_log.c
        return [tuple(row) for row in connection.execute(sa.select(log.action, log.subject).order_by(log.id))]


def test_a_template_is_pushed_listed_compared_and_pinned(shop: sa.Engine, esp: Esp, campaigns: Campaigns) -> None:
    assert "sandbox keeps no templates" in campaigns("templates", "at-esp", "sandbox").out
    first = campaigns("templates", "push", "win-back", *AT, "--json").json
    assert "nothing was uploaded" in campaigns("templates", "push", "win-back", *AT).out
    same = campaigns("templates", "compare", "win-back", *AT)
    assert (same.status, same.out.startswith("No difference: local win-back and sandbox, version")) == (0, True)
    second = campaigns("templates", "push", "win-back", *AT, "--subject", "We miss you", "--json").json
    assert (second["template_id"], second["active"]) == (first["template_id"], True)
    told = campaigns("templates", "compare", "win-back", *AT)
    assert told.status == 1
    assert "-It has been {{{days_since_last_order}}} days – what are you listening to?" in told.lines
    assert "+We miss you" in told.lines
    both = campaigns("templates", "compare", "win-back", *AT, "--with", first["version_id"], "--json")
    assert (both.status, len(both.json["lines"])) == (1, 5)
    assert (
        "is what new runs send" in campaigns("templates", "pin", "win-back", *AT, "--version", first["version_id"]).out
    )
    listed = campaigns("templates", "versions", "win-back", *AT, "--json").json
    assert {one["id"]: one["active"] for one in listed} == {first["version_id"]: True, second["version_id"]: False}
    (row,) = campaigns("templates", "at-esp", "sandbox", "--json").json
    assert (row["name"], len(row["versions"])) == ("win-back", 2)
    assert audit(shop) == [("template pushed", "template:sandbox:win-back")] * 2 + [
        ("template pinned", "template:sandbox:win-back")
    ]


def test_the_brand_is_filled_in_and_the_files_come_back(esp: Esp, campaigns: Campaigns, tmp_path: Path) -> None:
    campaigns("templates", "push", "win-back", *AT, "--as", "Spring 2027")
    assert campaigns("templates", "pull", "Spring 2027", tmp_path / "theirs", *AT).status == 0
    html = (tmp_path / "theirs" / "body.html").read_text()
    assert "The Shop, 1 Market Street, 12345 Town" in html
    assert "{{first_name}}" in html
    assert "[%" not in html
    assert "is there already" in campaigns("templates", "pull", "Spring 2027", tmp_path / "theirs", *AT).mistake
    assert campaigns("templates", "compare", "Spring 2027", *AT, "--local", "win-back").status == 0


def test_a_run_under_way_keeps_its_version(shop: sa.Engine, esp: Esp, campaigns: Campaigns) -> None:
    first = campaigns("templates", "push", "win-back", *AT, "--json").json
    with database.write(shop) as connection:
        run = runs.create(
            connection,
            frozen.plan(template=as_template("win-back"), provider="sandbox"),
            flow_run_id=None,
            now=frozen.NOW,
        )
        (row,) = connection.scalars(sa.select(tables.esp_templates.c.id))
        esp_templates.pin(connection, run, row, now=frozen.NOW)
    second = campaigns("templates", "push", "win-back", *AT, "--subject", "Other")
    assert f"It is not active: {run.id} still sends another version." in second.out
    listed = campaigns("templates", "versions", "win-back", *AT)
    assert [line.split()[-1] for line in listed.lines if first["version_id"] in line] == [run.id]
    (other,) = (one for one in campaigns("templates", "versions", "win-back", *AT, "--json").json if not one["active"])
    pin = ("templates", "pin", "win-back", *AT, "--version", other["id"])
    assert f"{run.id} still sends another version of win-back" in campaigns(*pin).mistake
    with database.write(shop) as connection:
        runs.advance(connection, run, RunStatus.CANCELLED)
    assert campaigns(*pin).status == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pin", "nothing", *AT), "the ESP keeps no template 'nothing'"),
        (("push", "nothing", *AT), "there is no template 'nothing'"),
        (("push", "win-back", "--provider", "smtp"), "smtp keeps no templates"),
        (("push", "win-back", "--provider", "pigeon"), "there is no provider 'pigeon'"),
        (("at-esp", "mailchimp"), "OMS_MAILCHIMP_MARKETING_API_KEY"),
        (("at-esp", "sendgrid"), "OMS_SENDGRID_API_KEY"),
        (("missing", "win-back"), "name a template and --segment, or --run"),
    ],
)
def test_what_cannot_be_done_is_said(esp: Esp, campaigns: Campaigns, words: tuple[str, ...], told: str) -> None:
    assert told in campaigns("templates", *words).mistake


def test_an_esp_that_is_down_is_told(shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    environment.setenv("OMS_SANDBOX_PORT", str(port))
    settings.load.cache_clear()
    assert "SendGrid gave no usable answer to templates" in campaigns("templates", "at-esp", "sandbox").mistake


def test_who_lacks_a_value_is_told_of_a_run(shop: sa.Engine, campaigns: Campaigns) -> None:
    with database.write(shop) as connection:
        ids = frozen.consenting_parties(connection, 4)
        connection.execute(tables.parties.update().values(first_name=None))
        run = frozen.freeze(connection, ids, template="win-back")
    told = campaigns("templates", "missing", "--run", run.id)
    assert told.status == 1  # nothing was refreshed, so nobody knows how many days it has been
    assert told.lines[0].startswith("4 of 4 people (100.0")
    assert told.lines[0].endswith("So the run stops.")
    days, first = (line for line in told.lines if line.startswith(("first_name", "days_since_last_order  ")))
    assert "nothing: the run stops" in days
    assert "“there”" in first
    assert "***@" in first
    assert "(`--leave-out-missing`)" in told.lines[-1]
    answer = campaigns("templates", "missing", "--run", run.id, "--json").json
    assert {one["name"]: one["people"] for one in answer["gaps"]} == {
        "days_since_last_order": 4,
        "first_name": 4,
        "last_order_on": 0,
    }
    assert "@example" not in told.out


def test_who_lacks_a_value_is_told_of_a_segment_before_there_is_a_run(shop: sa.Engine, campaigns: Campaigns) -> None:
    with database.write(shop) as connection:
        ids = frozen.consenting_parties(connection, 4)
        connection.execute(tables.customer_features.delete())
    for one in ids * 2:
        add(shop, one, external_id=f"o{one} {uuid4()}", placed_at=frozen.NOW)
    refresh.refresh(shop, account_id="shop", as_of=frozen.NOW, now=frozen.NOW)
    asked = ("templates", "missing", "win-back", "--segment", "repeat-customers")
    told = campaigns(*asked, "--json")
    assert (told.status, told.json["people"], told.json["without"]) == (0, 4, 0)
    assert {one["name"] for one in told.json["gaps"]} >= {"first_name", "days_since_last_order"}
    assert "Nobody of 4 people would read a gap" in campaigns(*asked).out
    assert "there is no template 'nothing'" in campaigns("templates", "missing", "nothing", "--segment", "vip").mistake


def test_preflight_looks_at_what_the_esp_keeps(esp: Esp, campaigns: Campaigns) -> None:
    campaigns("templates", "push", "win-back", *AT, "--as", "Spring", "--subject", "Re: your order")
    looked = campaigns("preflight", "--template", "esp:Spring", *AT, "--json").json
    found = {(one["area"], one["light"]): one["found"] for one in looked["lines"]}
    assert "it renders with sample values" in found["rendering", "pass"]
    assert "as if the mail were an answer" in found["content", "fail"]
    gone = campaigns("preflight", "--template", "esp:Autumn", *AT, "--json").json
    assert any("keeps no template 'Autumn'" in one["found"] for one in gone["lines"] if one["light"] == "fail")
    assert "Name the provider too" in campaigns("preflight", "--template", "esp:Spring").err
