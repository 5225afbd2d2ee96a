"""The first look of each run, and the flow on demand, as Prefect runs them: over the sandbox and a local name server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect import flow

import settings
from data import database, preflights, tables
from domain.campaigns import RunStatus
from flows.preflight import preflight
from flows.run_campaign import run_campaign
from tasks import campaign, dispatch, kept_templates
from tasks.preflight import LaunchRefused, PreflightFailed, PreflightRequest
from tasks.request import CampaignRequest, Mode
from tests.data import ledger_rows
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts, everything
from tests.providers import name_server
from tests.providers.name_server import NameServer
from tests.providers.sending_zones import dkim, rsa_key

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

_DOMAIN = "shop.example.com"
_ROUTES = """
providers:
  real: {{kind: sendgrid, api_key_env: REAL_KEY, base_url: "{url}"}}
accounts:
  shop:
    - {{name: news, stream: marketing, provider: real, pool: news, domain: shop.example.com}}
"""


def _zone() -> dict[str, dict[str, list[str]]]:
    """SendGrid's names for the shop's domain; the envelope is its own, so DMARC passes by DKIM."""
    return {
        _DOMAIN: {"TXT": ["v=spf1 include:sendgrid.net -all"], "MX": ["10 mail.shop.example.com"]},
        f"mail.{_DOMAIN}": {"A": ["198.51.100.7"]},
        "sendgrid.net": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
        f"s1._domainkey.{_DOMAIN}": {"TXT": dkim(rsa_key())},
        f"s2._domainkey.{_DOMAIN}": {"TXT": dkim(rsa_key(which=1))},
        f"_dmarc.{_DOMAIN}": {"TXT": [f"v=DMARC1; p=none; rua=mailto:dmarc@{_DOMAIN}"]},
    }


@contextmanager
def _real(monkeypatch: pytest.MonkeyPatch, esp: Esp, zone: dict[str, dict[str, list[str]]]) -> Iterator[NameServer]:
    """A provider that is no rehearsal (it reaches the sandbox's server), and the DNS of the shop's domain."""
    Path("routes.yaml").write_text(_ROUTES.format(url=esp.url))
    with name_server.serving(zone) as server:
        for name, value in {
            "REAL_KEY": "SG.sandbox",
            "OMS_DNS_NAMESERVERS": json.dumps([server.address]),
            "OMS_GATEWAY_PUBLIC_URL": "https://mail.shop.example.com",
            "OMS_PREFLIGHT_TRY_LINKS": "false",
        }.items():
            monkeypatch.setenv(name, value)
        settings.load.cache_clear()
        yield server


def _live(provider: str, **facts: object) -> CampaignRequest:
    values = {"campaign": "news", "segment": "all-customers", "template": "new-arrivals", "mode": Mode.LIVE}
    return CampaignRequest.model_validate({**values, "provider": provider, **facts})


def _run(engine: sa.Engine) -> sa.Row:
    with database.read(engine) as connection:
        return connection.execute(sa.select(tables.campaign_runs)).one()


def test_a_launch_from_a_domain_that_fails_is_refused_and_goes_once_it_is_mended(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = _zone()
    broken = zone.pop(f"_dmarc.{_DOMAIN}")
    with _real(monkeypatch, installation, zone) as server:
        with pytest.raises(LaunchRefused, match="dmarc") as refused:
            run_campaign(_live("real"))
        run = _run(engine)
        assert run.status == RunStatus.CREATED
        told = str(refused.value)
        assert "v=DMARC1" in told, "the record to publish is named"
        assert f"campaigns resume {run.id}" in told
        shown = artifacts()[f"preflight-{run.id}"]
        assert "🔴 A marketing launch is refused" in shown
        assert "```text" in shown
        assert installation.accepted(run.id) == {}
        zone[f"_dmarc.{_DOMAIN}"] = broken
        run_campaign(CampaignRequest(resume_run=run.id))
        assert len(installation.accepted(run.id)) == 40
        assert "🔴" not in artifacts()[f"preflight-{run.id}"]
        asked = len(server.asked)
        with database.read(engine) as connection:
            good = preflights.last_good(connection, "shop", domain=_DOMAIN, provider="real")
        assert good is not None
        # Its DNS fails now: it passed within seven days, so a launch is not refused, and nothing is taken for a pass.
        server.faults |= {(name, "*"): "SERVFAIL" for name in (*zone, "example.com", "_dmarc.example.com")}
        run_campaign(_live("real", campaign="more news"))
        assert len(server.asked) > asked
    for number in range(40):
        assert ledger_rows.address(number) not in everything()


def _approved(request: CampaignRequest) -> str:
    """A run that was right when it was opened, and was approved since."""
    found: list[str] = []

    @flow
    def begin() -> None:
        run = campaign.open_run(request, "flow-1")
        campaign.freeze_audience(run.run_id)
        found.append(campaign.record_decision(run.run_id, approved=True, by="Ann", note="").run_id)

    begin()
    return found[0]


@pytest.mark.parametrize("begun", [False, True], ids=["approved", "dispatching"])
def test_what_failed_since_a_run_was_approved_is_seen_before_its_mail_leaves(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    zone = _zone()
    with _real(monkeypatch, installation, zone):
        run_id = _approved(_live("real"))
        if begun:
            dispatch.start(run_id)
        broken = zone.pop(f"_dmarc.{_DOMAIN}")
        with pytest.raises(LaunchRefused, match=f"dmarc.*campaigns resume {run_id}"):
            run_campaign(CampaignRequest(resume_run=run_id))
        run = _run(engine)
        assert installation.accepted(run_id) == {}
        assert run.status == (RunStatus.PAUSED if begun else RunStatus.APPROVED)
        assert not begun or "dmarc" in run.stop_reason
        zone[f"_dmarc.{_DOMAIN}"] = broken
        run_campaign(CampaignRequest(resume_run=run_id))
        assert len(installation.accepted(run_id)) == 40
        zone.pop(f"_dmarc.{_DOMAIN}")
        run_campaign(CampaignRequest(resume_run=run_id))  # nothing is left to be refused


def test_a_run_by_the_sandbox_is_looked_at_and_never_refused(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(_live("sandbox"))
    run = _run(engine)
    shown = artifacts()[f"preflight-{run.id}"]
    assert "| 🟢 pass | connectivity | sandbox |" in shown
    assert "refused" not in shown
    assert len(installation.accepted(run.id)) == 40


def test_on_demand_of_a_template_that_the_esp_keeps(engine: sa.Engine, installation: Esp) -> None:
    kept_templates.push("shop", "sandbox", "win-back", called="Spring", subject="Fwd: news", by="test")
    with pytest.raises(PreflightFailed):
        preflight(PreflightRequest(esp_template="Spring", provider="sandbox"))
    assert "as if the mail were an answer" in artifacts()["preflight"]


def test_on_demand_with_test_messages(engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_PREFLIGHT_MAILBOXES", json.dumps(["qa@staff.example.com", "@other.example.com"]))
    monkeypatch.setenv("OMS_PREFLIGHT_WAIT_SECONDS", "0")
    settings.load.cache_clear()
    told = preflight(PreflightRequest(template="win-back", provider="sandbox", send_tests=True))
    assert "🟢" in told
    shown = artifacts()["preflight"]
    assert "sandbox took it, from shop.example.com" in shown
    assert "staff.example.com" not in everything()
    with database.read(engine) as connection:
        (seed,) = connection.execute(sa.select(tables.seed_messages)).all()
    assert (seed.outcome, seed.provider) == ("accepted", "sandbox")


def test_on_demand_bad_news_fails_the_flow(installation: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = _zone()
    del zone[f"s1._domainkey.{_DOMAIN}"]
    with _real(monkeypatch, installation, zone), pytest.raises(PreflightFailed, match="refused"):
        preflight(PreflightRequest(template="win-back"))
    assert f"s1._domainkey.{_DOMAIN}" in artifacts()["preflight"]
