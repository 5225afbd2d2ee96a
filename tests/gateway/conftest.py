"""The gateway on a real port of loopback, over a real database, with a run that was sent."""

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from data import database, runs, tables
from data.config import DatabaseConfig, PrivacyConfig
from domain import addresses
from domain.campaigns import Run, RunPlan, RunStatus, Sender
from domain.delivery import Seen, Severity
from gateway.app import create_app
from gateway.config import GatewayConfig
from providers.mailchimp.config import MailchimpConfig
from providers.sendgrid.config import SendGridConfig
from settings import Settings
from tests.conftest import LINK_KEY, NOW, PEPPER

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


@dataclass(frozen=True)
class Signer:
    """Signs as SendGrid does, with a key of its own."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self) -> str:
        der = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode()

    def sign(self, body: bytes, timestamp: str = "1795338000") -> bytes:
        return self.private.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))

    def headers(self, body: bytes, timestamp: str = "1795338000") -> dict[str, str]:
        return {SIGNATURE: base64.b64encode(self.sign(body, timestamp)).decode(), TIMESTAMP: timestamp}


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


@pytest.fixture
def make_settings(database_url: str, signer: Signer) -> Callable[..., Settings]:
    def make(
        *, keys: list[str] | None = None, sendgrid: dict | None = None, mailchimp: dict | None = None, **gateway
    ) -> Settings:
        """Bodies stay in the inbox unless a test asks for what applies them."""
        return Settings(
            _env_file=None,
            database=DatabaseConfig(url=database_url),
            privacy=PrivacyConfig(pepper=PEPPER, link_key=LINK_KEY),
            gateway=GatewayConfig(**{"apply_events": False, **gateway}),
            sendgrid=SendGridConfig(
                webhook_public_keys=[signer.public_key] if keys is None else keys, **(sendgrid or {})
            ),
            mailchimp=MailchimpConfig(**(mailchimp or {})),
        )

    return make


@pytest.fixture
def serve(engine: sa.Engine) -> Iterator[Callable[[FastAPI], httpx.Client]]:
    """Start apps in uvicorn on free ports, as `campaigns` does; each call returns a client. All are stopped at the end."""
    stops: list[Callable[[], None]] = []

    def start(app: FastAPI) -> httpx.Client:
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

        def stop() -> None:
            client.close()
            server.should_exit = True
            thread.join(timeout=20)

        stops.append(stop)
        return client

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def gateway(serve, make_settings) -> httpx.Client:
    return serve(create_app(make_settings(), clock=lambda: NOW))


@pytest.fixture
def everything(engine: sa.Engine) -> Callable[[], dict[str, list]]:
    """Read all rows of all tables."""

    def read() -> dict[str, list]:
        with database.read(engine) as connection:
            return {
                table.name: sorted(map(repr, connection.execute(sa.select(table))))
                for table in tables.metadata.tables.values()
            }

    return read


def plan(account_id: str, **changes) -> RunPlan:
    values = {
        "account_id": account_id,
        "campaign": "Win back",
        "segment": "lapsed-vip",
        "template": "win-back",
        "provider": "sendgrid",
        "subject": None,
        "sender": Sender("news@shop.example.com", "The Shop"),
        "live": True,
        "limit": None,
        "holdout_percent": 0,
        "seed": 1,
    }
    return RunPlan(**{**values, **changes})


@pytest.fixture
def new_run(engine: sa.Engine, account_id: str) -> Callable[..., Run]:
    def make(**changes) -> Run:
        with database.write(engine) as connection:
            return runs.create(connection, plan(account_id, **changes), flow_run_id=None, now=NOW)

    return make


@pytest.fixture
def sent_run(engine: sa.Engine, account_id: str, new_run) -> Run:
    """Ten people: eight mailed and accepted, one unsubscribed before, one held out; events of all kinds."""
    run = new_run()
    with database.write(engine) as connection:
        for number in range(10):
            address = f"person{number}@{'gmail.com' if number % 2 else 'example.com'}"
            party_id = connection.execute(
                tables.parties.insert().values(
                    account_id=account_id,
                    external_id=f"c{number}",
                    email=address,
                    address_hash=addresses.address_hash(address, PEPPER),
                    mailbox_provider=addresses.mailbox_provider(address),
                    created_at=NOW,
                    updated_at=NOW,
                )
            ).inserted_primary_key[0]
            reason = {8: "suppressed_unsubscribe", 9: "holdout"}.get(number)
            connection.execute(
                tables.audience.insert().values(
                    run_id=run.id,
                    party_id=party_id,
                    ordinal=None if reason else number,
                    skip_reason=reason,
                    address_hash=None if reason else addresses.address_hash(address, PEPPER),
                    mailbox_group=None if reason else addresses.mailbox_provider(address),
                )
            )
            connection.execute(_consent(account_id, party_id))
        connection.execute(
            tables.batches.insert().values(
                run_id=run.id, first_ordinal=0, last_ordinal=7, state="accepted", finished_at=NOW + timedelta(seconds=9)
            )
        )
        states = [_delivery(run.id, ordinal) for ordinal in range(8)]
        connection.execute(tables.message_delivery.insert(), states)
        connection.execute(tables.reactions.insert(), [one for state in states for one in _reactions(state)])
        connection.execute(
            tables.campaign_runs.update()
            .where(tables.campaign_runs.c.id == run.id)
            .values(
                status=RunStatus.DISPATCHED,
                members=10,
                planned=8,
                skipped={"suppressed_unsubscribe": 1, "holdout": 1},
                frozen_at=NOW,
                dispatched_at=NOW,
                validation={"audience": _VALIDATION},
            )
        )
        return runs.get(connection, run.id)


_VALIDATION = {
    "gate": "audience",
    "passed": True,
    "checks": [
        {
            "sentence": "every address is valid",
            "passed": True,
            "observed": "8 of 8",
            "failing_ids": [],
            "failing_count": 0,
        }
    ],
}


def _consent(account_id: str, party_id: int) -> sa.Insert:
    return tables.consents.insert().values(
        account_id=account_id,
        party_id=party_id,
        status="granted",
        basis="consent",
        source="checkout",
        wording="v1",
        occurred_at=NOW - timedelta(days=30),
        recorded_at=NOW,
    )


def _reactions(state: dict) -> list[dict]:
    """What is kept of the opens and clicks of a delivered message; a person waits a minute."""
    at = {"opened": state["opened_at"], "clicked": state["clicked_at"]}
    return [
        {
            "run_id": state["run_id"],
            "ordinal": state["ordinal"],
            "kind": kind,
            "occurred_at": when + timedelta(minutes=1),
            "applied_at": NOW,
            "machine": kind == "opened" and state["human_opened_at"] is None,
        }
        for kind, when in at.items()
        if when is not None
    ]


def _delivery(run_id: str, ordinal: int) -> dict:
    """One hard bounce; seven delivered, of whom four opened (one by a machine only) and two clicked."""
    at = NOW + timedelta(minutes=ordinal + 1)
    seen = Seen.PROCESSED
    row = dict.fromkeys(
        ("fault", "delivered_at", "bounced_at", "opened_at", "human_opened_at", "clicked_at", "complained_at"), None
    )
    if ordinal == 0:
        seen |= Seen.BOUNCED
        row["bounced_at"] = at
    else:
        seen |= Seen.DELIVERED
        row["delivered_at"] = at
    if ordinal in {1, 2, 3, 4}:
        seen |= Seen.OPENED
        row["opened_at"] = at
    if ordinal in {1, 2, 3}:
        seen |= Seen.OPENED_HUMAN
        row["human_opened_at"] = at
    if ordinal in {1, 2}:
        seen |= Seen.CLICKED
        row["clicked_at"] = at
    severity = Severity.HARD if ordinal == 0 else Severity.NONE
    return {"run_id": run_id, "ordinal": ordinal, "seen": int(seen), "severity": int(severity), **row}


@pytest.fixture
def access_log(monkeypatch, caplog):
    """uvicorn's access log as it is written, whatever a library of this process (Prefect) made of its loggers."""
    logger = logging.getLogger("uvicorn.access")
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "propagate", False)  # else a line would come twice
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    with caplog.at_level(logging.DEBUG, logger=logger.name):
        yield caplog
