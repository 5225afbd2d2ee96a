"""Is this installation fit to send?"""

import copy
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import database, tables
from tests.cli.conftest import ORDERS, Campaigns
from tests.cli.fakes import FakeServer, prefect_answers, present_form
from tests.data.intake.feed import HEADER, row

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def _found(campaigns: Campaigns) -> dict[str, tuple[bool, str]]:
    told = campaigns("doctor", "--json")
    assert told.err == ""
    assert told.status == (0 if told.json["ok"] else 1)
    assert all(one.keys() == {"what", "ok", "found", "warning"} for one in told.json["checks"])
    return {one["what"]: (one["ok"], one["found"]) for one in told.json["checks"]}


@pytest.fixture
def healthy(shop: sa.Engine, fake: FakeServer, campaigns: Campaigns) -> FakeServer:
    campaigns("intake", ORDERS / "good.csv")
    campaigns("features", "refresh")
    prefect_answers(fake)
    fake.answer("GET", "/health", {"status": "ok"})
    return fake


@pytest.mark.usefixtures("healthy")
def test_a_healthy_installation(campaigns: Campaigns) -> None:
    told = campaigns("doctor")
    assert told.status == 0
    assert told.lines[0] == "    WHAT                     FOUND"
    assert [line.split("  ")[0] for line in told.lines[1:]] == ["ok"] * 22
    assert all(ok for ok, _ in _found(campaigns).values())


@pytest.mark.usefixtures("shop")
def test_nothing_runs(campaigns: Campaigns) -> None:
    found = _found(campaigns)
    wrong = {what for what, (ok, _) in found.items() if not ok}
    assert wrong == {"customer features", "sandbox ESP", "gateway", "Prefect"}
    assert "WRONG  gateway                  does not answer: `campaigns up` starts it" in campaigns("doctor").lines


@pytest.mark.usefixtures("shop")
def test_missing_settings_are_the_only_finding(environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    environment.delenv("OMS_PRIVACY_PEPPER")
    settings.load.cache_clear()
    ((what, (ok, found)),) = _found(campaigns).items()
    assert (what, ok) == ("settings", False)
    assert "OMS_PRIVACY_PEPPER must be set" in found


def test_a_database_that_is_not_migrated(
    healthy: FakeServer, environment: pytest.MonkeyPatch, campaigns: Campaigns
) -> None:
    environment.setenv("OMS_DATABASE_URL", "sqlite:///new.db")
    settings.load.cache_clear()
    found = _found(campaigns)
    assert found["database"] == (False, "the database new.db is empty: run `campaigns migrate`")
    assert found["deployments"][0]


@pytest.mark.usefixtures("shop")
def test_orders_that_came_well_and_those_that_wait_for_a_person(campaigns: Campaigns, tmp_path: Path) -> None:
    assert _found(campaigns)["orders"] == (True, "no channel has brought one yet: `campaigns intake FILE`")
    campaigns("intake", ORDERS / "bad.csv")
    assert _found(campaigns)["orders"] == (True, "1 source(s) well; 20 dead letter(s) open")
    rows = [row(str(n), status="lost" if n % 5 == 0 else "paid") for n in range(300)]
    (tmp_path / "drift.csv").write_text("\n".join([HEADER, *rows]))
    campaigns("intake", tmp_path / "drift.csv")
    found = _found(campaigns)
    assert found["orders, csv of shop"] == (False, "in quarantine: `campaigns intake quarantine` says why")
    assert "orders" not in found


def _files(environment: pytest.MonkeyPatch, folder: Path, name: str, text: str) -> None:
    (folder / "file.yaml").write_text(text)
    environment.setenv(f"OMS_INTAKE_{name}_FILE", str(folder / "file.yaml"))
    settings.load.cache_clear()


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("CHANNELS", "connections: [{account: shop, channel: csv, api: {url: s3cr3t}}]", "connections.0.api.url"),
        ("CHANNELS", "connections: [{account: shop, channel: till}]", "there is no adapter 'till'"),
        ("CHANNELS", "connections: [{account: shop, channel: own, adapter: mapped, mapping: own.yaml}]", "own.yaml"),
        ("THRESHOLDS", "defaults: {refuse_share: 5}", "defaults.refuse_share is a share from 0 to 1"),
    ],
)
def test_files_of_the_intake_that_cannot_be_used(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path, name: str, text: str, says: str
) -> None:
    _files(environment, tmp_path, name, text)
    found = _found(campaigns)
    ok, told = found["channels"]
    assert not ok
    assert says in told
    assert "s3cr3t" not in told
    assert found["orders"][0]  # what the store knows is told all the same


@pytest.mark.usefixtures("shop")
def test_a_source_that_needs_somebody(environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path) -> None:
    api = "{url: 'http://127.0.0.1:1', token: s3cr3t}"
    _files(environment, tmp_path, "CHANNELS", f"connections: [{{account: shop, channel: medusa, api: {api}}}]")
    found = _found(campaigns)
    assert found["channels"] == (
        True,
        f"1 in {tmp_path / 'file.yaml'}; files need none where the channel has its adapter's name",
    )
    assert found["orders, medusa of shop"] == (False, "never asked yet: does the deployment pull-orders run?")


def test_an_account_that_is_missing(healthy: FakeServer, environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    environment.setenv("OMS_ACCOUNT", "bogus")
    settings.load.cache_clear()
    ok, found = _found(campaigns)["account"]
    assert not ok
    assert "there is no account 'bogus'" in found


@pytest.mark.usefixtures("healthy")
def test_old_features(shop: sa.Engine, campaigns: Campaigns) -> None:
    with database.write(shop) as connection:
        from tests.conftest import NOW

        connection.execute(tables.feature_refreshes.update().values(as_of=NOW.replace(year=2020)))
    ok, found = _found(campaigns)["customer features"]
    assert not ok
    assert "2020-11-22 09:00 UTC, older than two days" in found


def test_with_sendgrid_the_sandbox_is_not_needed(
    shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns, fake: FakeServer
) -> None:
    environment.setenv("OMS_SENDGRID_API_KEY", "SG.k3y")
    environment.setenv("OMS_SENDGRID_BASE_URL", f"http://127.0.0.1:{fake.port}")
    settings.load.cache_clear()
    assert _found(campaigns)["sandbox ESP"] == (True, "not running; SendGrid does not need it")


def test_no_worker(healthy: FakeServer, campaigns: Campaigns) -> None:
    path = "/api/work_pools/campaigns/workers/filter"
    for status, answer in ((200, []), (404, {"detail": "Not found"})):
        healthy.answer("POST", path, answer, status=status)
        ok, found = _found(campaigns)["worker"]
        assert not ok
        assert "nothing that is started would run" in found


def test_missing_deployments(healthy: FakeServer, campaigns: Campaigns) -> None:
    del healthy.answers["GET", "/api/deployments/name/reconcile/reconcile"]
    assert _found(campaigns)["deployments"] == (False, "missing: reconcile; `campaigns up` makes them")


def test_a_form_that_is_out_of_date(healthy: FakeServer, campaigns: Campaigns) -> None:
    form = copy.deepcopy(present_form())
    properties = form["definitions"]["CampaignRequest"]["properties"]
    properties["segment"]["enum"].remove("loyal")
    properties["template"]["enum"].append("easter")
    del properties["seed"]
    prefect_answers(healthy, form=form)
    ok, found = _found(campaigns)["deployments"]
    assert not ok
    for words in ("it lacks segment loyal", "it offers template easter, which is gone", "its fields differ: seed"):
        assert words in found
