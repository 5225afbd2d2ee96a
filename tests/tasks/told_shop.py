"""A shop whose one way out speaks some ESP's contract, and whose gateway takes what that ESP tells."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from gateway.app import create_app
from providers.smtp.config import ReturnsConfig
from providers.smtp.listener import Listener
from tasks import wiring
from tasks.receiving import Receiver
from tests.flows.conftest import serving
from tests.providers.sandbox.conftest import Esp, start
from tests.tasks import lane
from tests.tasks.lane import LaneShop

__all__ = ["start"]

MAILBOX = "returns@bounce.shop.test"
CONTRACTS = ["sendgrid", "mailchimp-transactional", "smtp"]
ROUTES = """
providers:
  way: {{kind: sandbox, speaks: {contract}{more}}}
accounts:
  shop:
    - {{name: receipts, stream: transactional, provider: way, pool: receipts, domain: mail.shop.example.com}}
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def _returns(engine: sa.Engine) -> Iterator[int]:
    keep = Receiver(engine, 100, wiring.clock).keep
    with Listener(ReturnsConfig(addresses=[MAILBOX], listen_port=0), keep) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield listener.port
        finally:
            listener.shutdown()
            thread.join(10)


@pytest.fixture
def open_shop(
    engine: sa.Engine,
    account_id: str,
    database_url: str,
    start: Callable[..., Esp],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Callable[[str], LaneShop]]:
    """The shop whose one way out speaks this contract, and whose gateway takes what its ESP tells."""
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        door = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        gateway = f"http://127.0.0.1:{door.getsockname()[1]}/webhooks"

        def open_(contract: str) -> LaneShop:
            relay = _free_port()
            esp = start(
                webhook_url=f"{gateway}/sendgrid",
                mandrill_webhook_url=f"{gateway}/mailchimp-transactional",
                webhook_retry_seconds=0.1,
                smtp_port=relay,
                smtp_returns_port=stack.enter_context(_returns(engine)),
            )
            more = f", return_mailbox: {MAILBOX}" if contract == "smtp" else ""
            Path("routes.yaml").write_text(ROUTES.format(contract=contract, more=more))
            signed = esp.client.get("/v3/user/webhooks/event/settings/signed").json()["public_key"]
            for name, value in {
                **lane.environment(esp, database_url),
                "OMS_SANDBOX_SMTP_PORT": str(relay),
                "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS": json.dumps([signed]),
                "OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_KEYS": '["sandbox-webhook"]',
                "OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_URLS": json.dumps([f"{gateway}/mailchimp-transactional"]),
                "OMS_RETURNS_ADDRESSES": json.dumps([MAILBOX]),
            }.items():
                monkeypatch.setenv(name, value)
            lane.reset()
            stack.enter_context(serving(create_app(settings.load()), door))
            return LaneShop(engine, esp)

        yield open_
    lane.reset()
