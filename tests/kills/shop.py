"""Customers who get one run after the other, each frozen by the real code and open for dispatch."""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import audience, database, runs, tables
from domain import addresses
from domain.campaigns import Run, RunStatus
from tasks import wiring
from tests.conftest import PEPPER, add_shop
from tests.data import frozen

PEOPLE = 60
BATCH_SIZE = 10
_POLICY = replace(frozen.POLICY, cap_mails=1_000_000)
_GROUPS = ("gmail", "outlook", "other")


def fill(engine: sa.Engine) -> None:
    """An empty store, with one shop of `PEOPLE` customers to whom the sandbox delivers everything."""
    with database.write(engine) as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(sa.delete(table))
        add_shop(connection)
        party = tables.parties
        for number, party_id in enumerate(frozen.consenting_parties(connection, PEOPLE)):
            address = f"customer{number}@delivered.test"
            facts = {
                "email": address,
                "address_hash": addresses.address_hash(address, PEPPER),
                "mailbox_provider": _GROUPS[number % len(_GROUPS)],
            }
            connection.execute(party.update().where(party.c.id == party_id).values(**facts))


def open_run(engine: sa.Engine, now: datetime) -> Run:
    """A run to everybody whose batches may be claimed."""
    with database.write(engine) as connection:
        run = runs.create(connection, frozen.plan(provider="sandbox"), flow_run_id=None, now=now)
        _, content = wiring.content_of(connection, run)
        run = audience.freeze(
            connection,
            run,
            list(connection.scalars(sa.select(tables.parties.c.id))),
            definition_hash="d",
            template_hash=content.hash,
            feature_watermark=now,
            code_version="test",
            policy=_POLICY,
            batch_size=BATCH_SIZE,
            now=now,
        )
        run = runs.advance(connection, run, RunStatus.APPROVED)
        return runs.advance(
            connection, run, RunStatus.DISPATCHING, dispatch_started_at=now, expires_at=now + timedelta(days=1)
        )
