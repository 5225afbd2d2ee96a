"""One suite for every way to an ESP, over the sandbox: whatever is spoken, everybody is mailed once and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import database, tables
from domain.campaigns import RunStatus
from flows.process_delivery_events import process_delivery_events
from flows.pull_reports import pull_reports
from flows.run_campaign import run_campaign
from gateway.app import create_app
from providers.sandbox.app import create_app as create_sandbox
from providers.sandbox.config import SandboxConfig
from tasks import reporting
from tests.data import ledger_rows
from tests.flows.conftest import Esp, serving
from tests.flows.shown import artifacts
from tests.flows.test_run_campaign import live, only_run

pytestmark = pytest.mark.slow
ROUTES = """
providers:
  way: {{kind: sandbox, speaks: {contract}, concurrency: 2}}
accounts:
  shop:
    - {{name: a, stream: marketing, provider: way, pool: a, domain: shop.example.com}}
"""
MAILERS = ["sendgrid", "mailchimp-transactional", "smtp"]


@pytest.fixture
def esp(tmp_path: Path, door: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Esp]:
    """The sandbox with every one of its doors, and webhooks that come to the gateway."""
    import socket

    assert isinstance(door, socket.socket)
    gateway = f"http://127.0.0.1:{door.getsockname()[1]}"
    listener = socket.create_server(("127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as free:
        relay = free.getsockname()[1]
    monkeypatch.setenv("OMS_SANDBOX_SMTP_PORT", str(relay))
    config = SandboxConfig(
        smtp_port=relay,
        store=str(tmp_path / "sandbox.db"),
        event_delay_seconds=0,
        webhook_url=f"{gateway}/webhooks/sendgrid",
        mandrill_webhook_url=f"{gateway}/webhooks/mailchimp-transactional",
        webhook_retry_seconds=0.1,
    )
    with serving(create_sandbox(config), listener):
        yield Esp(f"http://127.0.0.1:{listener.getsockname()[1]}", config.webhook_url or "")


@pytest.fixture
def gateway(installation: Esp, door: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Esp]:
    import socket

    assert isinstance(door, socket.socket)
    url = f"http://127.0.0.1:{door.getsockname()[1]}/webhooks/mailchimp-transactional"
    monkeypatch.setenv("OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_KEYS", '["sandbox-webhook"]')
    monkeypatch.setenv("OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_URLS", f'["{url}"]')
    settings.load.cache_clear()
    with serving(create_app(settings.load()), door):
        yield installation


@pytest.mark.parametrize("contract", MAILERS)
def test_everybody_is_mailed_once_and_what_happens_to_it_is_heard(
    engine: sa.Engine, gateway: Esp, contract: str
) -> None:
    Path("routes.yaml").write_text(ROUTES.format(contract=contract))
    run_campaign(live(provider="way"))
    run = only_run(engine)
    assert run.status is RunStatus.DISPATCHED
    assert gateway.accepted(run.id) == {f"{run.id}.{ordinal}": 1 for ordinal in range(40)}
    audit = reporting.audit_of(run.id)
    assert (audit.balanced, audit.duplicates, audit.missing) == (True, 0, 0), audit.complaints
    if contract != "smtp":  # a relay tells of failures only, and those as mail: tests/tasks/test_receiving_smtp.py
        assert {"processed", "delivered"} <= _heard(engine, run.id)
        assert reporting.audit_of(run.id).balanced
    for text in artifacts().values():  # everybody can open the UI
        assert not any(ledger_rows.address(number) in text for number in range(40))


def test_a_host_sends_the_campaign_itself_and_tells_of_everybody(engine: sa.Engine, gateway: Esp) -> None:
    Path("routes.yaml").write_text(ROUTES.format(contract="mailchimp"))
    gateway.fault(campaigns_go_at_once=True)
    run_campaign(live(provider="way"))
    run = only_run(engine)
    assert run.status is RunStatus.DISPATCHED
    audit = reporting.audit_of(run.id)
    assert audit.balanced, audit.complaints
    assert audit.states["accepted"] == 40
    assert _heard(engine, run.id) >= {"delivered"}


@pytest.mark.parametrize("contract", MAILERS)
def test_an_esp_that_hangs_up_and_refuses_costs_nobody_a_mail_or_a_second_one(
    engine: sa.Engine, gateway: Esp, contract: str
) -> None:
    Path("routes.yaml").write_text(ROUTES.format(contract=contract))
    gateway.fault(rate_429=0.2, drop_before_accept=0.2, drop_after_accept=0.3, seed=3, next_n=4)
    run_campaign(live(provider="way"))
    run = only_run(engine)
    assert max(gateway.accepted(run.id).values()) == 1
    audit = reporting.audit_of(run.id)
    assert (audit.balanced, audit.duplicates, audit.missing) == (True, 0, 0), audit.complaints
    for _ in range(3):
        process_delivery_events()
    states = reporting.audit_of(run.id).states
    assert states["accepted"] + states["open"] == 40


def _heard(engine: sa.Engine, run_id: str) -> set[str]:
    """Apply what comes until everybody's end is known."""
    from tests.gateway.browser import until

    event = tables.delivery_events.c
    ended = sa.select(sa.func.count(event.ordinal.distinct())).where(
        event.run_id == run_id, event.kind.in_(("delivered", "bounced", "dropped"))
    )

    def complete() -> bool:
        pull_reports()
        process_delivery_events()
        with database.read(engine) as connection:
            return connection.scalar(ended) == 40

    assert until(complete)
    with database.read(engine) as connection:
        return set(connection.scalars(sa.select(event.kind).where(event.run_id == run_id)))


def test_of_several_ways_each_gets_requests_of_its_own_size(engine: sa.Engine, gateway: Esp) -> None:
    routes = """
providers:
  large: {kind: sandbox, concurrency: 1}
  small: {kind: sandbox, speaks: mailchimp-transactional, concurrency: 1}
accounts:
  shop:
    - {name: a, stream: marketing, provider: large, pool: a, domain: a.shop.example.com}
    - {name: b, stream: marketing, provider: small, pool: b, domain: b.shop.example.com}
"""
    Path("routes.yaml").write_text(routes)
    run_campaign(live(provider="automatic"))
    run = only_run(engine)
    assert gateway.accepted(run.id) == {f"{run.id}.{ordinal}": 1 for ordinal in range(40)}
    attempt = tables.batch_attempts.c
    with database.read(engine) as connection:
        largest = dict(
            connection.execute(
                sa.select(attempt.provider, sa.func.max(attempt.messages)).group_by(attempt.provider)
            ).all()
        )
    assert largest["small"] == 1
    assert largest["large"] > 1
    assert reporting.audit_of(run.id).balanced
