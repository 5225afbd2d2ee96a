"""A run of any size over a real sandbox ESP and a real gateway, and a night's reconciliation without Prefect."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

import settings
from data import audience, database, events, inbox, reconciliations, runs, suppressions_merge, tables
from domain import addresses
from domain.campaigns import Run, RunStatus
from domain.delivery import Seen
from domain.reconciliation import Difference, Explanation
from gateway.app import create_app
from providers.sandbox.app import create_app as create_sandbox
from providers.sandbox.config import SandboxConfig
from tasks import comparing, esps, pulling, sending, wiring
from tasks.comparing import Night
from tasks.pulling import Pulled
from tests.conftest import LINK_KEY, PEPPER
from tests.data import frozen
from tests.flows.conftest import serving

KEY = "SG.sandbox"
# Certain ends for the first few, the shares of a healthy shop for all others.
CERTAIN = ("hard", "soft", "block", "complaint", "unsubscribe", "click", "machine", "open", "deferred", "invalid")
# What only the story of a message tells, and nobody is asked for where the glance says enough.
_PASSING = int(Seen.PROCESSED | Seen.DEFERRED)


@dataclass
class Shop:
    """An installation with its ESP; its webhooks come in while the gateway is open."""

    engine: sa.Engine
    url: str
    door: socket.socket
    open: ExitStack = field(default_factory=ExitStack)

    def ask(self, path: str, **params: Any) -> Any:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.get(f"{self.url}{path}", params=params, headers=headers, trust_env=False).raise_for_status().json()

    def turn(self, **knobs: object) -> None:
        knobs = {"look_ups_a_minute": None, **knobs}
        headers = {"Authorization": f"Bearer {KEY}"}
        httpx.put(f"{self.url}/sandbox/faults", json=knobs, headers=headers, trust_env=False).raise_for_status()

    def send_past(self, *people: str, category: str | None = None) -> None:
        """Mail of somebody else through the same ESP account."""
        body: dict[str, Any] = {
            "personalizations": [{"to": [{"email": one}]} for one in people],
            "from": {"email": "news@shop.example.com"},
            "subject": "x",
            "content": [{"type": "text/plain", "value": "x"}],
        }
        if category:
            body["categories"] = [category]
        headers = {"Authorization": f"Bearer {KEY}"}
        httpx.post(f"{self.url}/v3/mail/send", json=body, headers=headers, trust_env=False).raise_for_status()

    def open_gateway(self) -> None:
        self.open.enter_context(serving(create_app(settings.load()), self.door))

    def all_came(self, run_id: str) -> None:
        deadline = time.monotonic() + 60
        while self.ask("/sandbox/summary", run=run_id)["events_due"]:
            assert time.monotonic() < deadline, "the events never came"
            time.sleep(0.02)
        process()


@contextmanager
def shop(
    engine: sa.Engine, url: str, folder: Path, patch: pytest.MonkeyPatch, *, people: int, activity: bool = True
) -> Iterator[Shop]:
    """Settings, customers, an ESP that listens. The gateway is shut."""
    with ExitStack() as stack:
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener = socket.create_server(("127.0.0.1", 0))
        config = SandboxConfig(
            store=str(folder / "sandbox.db"),
            event_delay_seconds=0,
            webhook_url=f"http://127.0.0.1:{door.getsockname()[1]}/webhooks/sendgrid",
            webhook_retry_seconds=0.1,
            email_activity=activity,
        )
        stack.enter_context(serving(create_sandbox(config), listener))
        made = Shop(engine, f"http://127.0.0.1:{listener.getsockname()[1]}", door, stack)
        made.turn(hold_events=True)
        _settings(made, url, patch, folder, activity=activity)
        _fill(engine, people)
        yield made
    settings.load.cache_clear()


def _settings(made: Shop, url: str, patch: pytest.MonkeyPatch, folder: Path, *, activity: bool) -> None:
    patch.chdir(folder)  # no .env of the developer's
    public_key = made.ask("/v3/user/webhooks/event/settings/signed")["public_key"]
    for name, value in {
        "OMS_ACCOUNT": "shop",
        "OMS_DATABASE_URL": url,
        "OMS_GATEWAY_APPLY_EVENTS": "false",  # `process` does: what a test forgets, nobody applies meanwhile
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SANDBOX_PORT": made.url.rpartition(":")[2],
        "OMS_SANDBOX_API_KEY": KEY,
        "OMS_SANDBOX_EMAIL_ACTIVITY": str(activity).lower(),
        "OMS_SENDGRID_ACTIVITY_A_MINUTE": "1000000",
        "OMS_SENDGRID_CONCURRENCY": "2",
        "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS": json.dumps([public_key]),
    }.items():
        patch.setenv(name, value)
    settings.load.cache_clear()


def _fill(engine: sa.Engine, people: int) -> None:
    with database.write(engine) as connection:
        party = tables.parties
        rows = []
        for number, party_id in enumerate(frozen.consenting_parties(connection, people)):
            domain = f"{CERTAIN[number]}.test" if number < len(CERTAIN) else "shop.example"
            address = f"customer{number}@{domain}"
            rows.append({"who": party_id, "email": address, "hash": addresses.address_hash(address, PEPPER)})
        changed = {"email": sa.bindparam("email"), "address_hash": sa.bindparam("hash")}
        connection.execute(party.update().where(party.c.id == sa.bindparam("who")).values(**changed), rows)


def sent(engine: sa.Engine, *, batch_size: int = 500, campaign: str = "news") -> Run:
    """A run to everybody, handed over by the real dispatch."""
    now = wiring.clock()
    with database.write(engine) as connection:
        run = runs.create(connection, frozen.plan(provider="sandbox", campaign=campaign), flow_run_id=None, now=now)
        _, content = wiring.content_of(connection, run)
        run = audience.freeze(
            connection,
            run,
            list(connection.scalars(sa.select(tables.parties.c.id))),
            definition_hash="d",
            template_hash=content.hash,
            feature_watermark=now,
            code_version="test",
            policy=frozen.POLICY,
            batch_size=batch_size,
            now=now,
        )
        run = runs.advance(connection, run, RunStatus.APPROVED)
        run = runs.advance(
            connection, run, RunStatus.DISPATCHING, dispatch_started_at=now, expires_at=now + timedelta(days=1)
        )
    sending.hand_over(sending.prepared(run.id), lambda _: None)
    return run


def process() -> None:
    """Read and apply what lies in the inbox."""
    readers, pepper = esps.event_readers(), wiring.pepper()
    while events.process(wiring.engine(), readers=readers, pepper=pepper, clock=wiring.clock, limit=200).bodies:
        pass


@dataclass
class Reconciled:
    night: Night
    found: list[Difference]
    pulled: Pulled


def begin(*, worker: str = "test", days: int = 3, silent_after_hours: float = 0) -> Night:
    now = wiring.clock()
    first, last = now.date() - timedelta(days=days), now.date()
    with database.write(wiring.engine()) as connection:
        taken = reconciliations.begin(
            connection, worker=worker, days=(first, last), account_id=None, dry_run=False, now=now
        )
    return Night(taken, first, last, None, False, now - timedelta(hours=silent_after_hours), now)


def reconcile(*, minutes: float = 5, passed: Callable[[str], None] = lambda _: None) -> Reconciled:
    """What the flow does, step by step. `passed` is told the name of each step that is over."""
    night = begin()
    passed("begin")
    added = _merge()
    passed("lists")
    process()
    before = comparing.accepted(night)
    wanting = comparing.wanting(night, before)
    passed("before")

    def alive() -> None:
        passed("question")
        with database.write(wiring.engine()) as connection:
            reconciliations.note(connection, night.id, now=wiring.clock())

    pulled = pulling.pull("sandbox", wanting, minutes=minutes, alive=alive) if wanting else Pulled()
    passed("pulled")
    process()
    passed("applied")
    after = comparing.accepted(night)
    found = comparing.of_the_ledger(night, before, after, {("shop", "sandbox"): added})
    found += comparing.of_counts(night, ["sandbox"], before, after)
    foreign = any(one.explanation is Explanation.PAST_US for one in found)
    found += comparing.of_strays(night, foreign=foreign)
    with database.write(wiring.engine()) as connection:
        reconciliations.keep(connection, night.id, found)
    passed("kept")
    with database.write(wiring.engine()) as connection:
        reconciliations.note(connection, night.id, now=wiring.clock(), step="report")
        reconciliations.finish(connection, night.id, whole=True, now=wiring.clock())
    return Reconciled(night, found, pulled)


def _merge() -> int:
    listed = list(esps.lists("sandbox").suppressions(wiring.clock() - timedelta(days=9), wiring.clock()))
    merged = suppressions_merge.merge_listed(
        wiring.engine(), account_id="shop", provider="sandbox", listed=listed, pepper=PEPPER, now=wiring.clock()
    )
    return merged.added


def states(engine: sa.Engine) -> dict[tuple[str, int], tuple[Any, ...]]:
    """What is known of each message, without the marks of its passing."""
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.message_delivery)).all()
    return {(row.run_id, row.ordinal): (row.seen & ~_PASSING, *row[3:]) for row in rows}


def refused(engine: sa.Engine) -> set[tuple[str, str]]:
    """Whom not to mail, and why."""
    with database.read(engine) as connection:
        table = tables.suppressions.c
        return {(row[0], row[1]) for row in connection.execute(sa.select(table.address_hash, table.reason))}


def told_by_webhooks_alone(engine: sa.Engine) -> None:
    """Forget all that is known of messages, and read again what webhooks brought, and nothing else."""
    with database.write(engine) as connection:
        for table in (tables.delivery_events, tables.message_delivery, tables.suppressions, tables.consents):
            connection.execute(table.delete())
        body = tables.webhook_inbox
        for row in connection.execute(sa.select(body.c.id, body.c.body)).all():
            state = inbox.BodyState.DONE if b'"activity"' in row.body else inbox.BodyState.PENDING
            connection.execute(body.update().where(body.c.id == row.id).values(state=state))
    process()
