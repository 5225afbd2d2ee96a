"""Rows of the ledger for tests, written as they would lie there: a run, its audience, its batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables
from domain import addresses, campaigns
from domain.campaigns import RunStatus
from domain.ledger import BatchState

PEPPER = "test-pepper-test-pepper-test-pepper"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def address(number: int) -> str:
    """The address of the party with this number: a third each at two named mailbox providers and elsewhere."""
    domain = ("gmail.com", "outlook.com", "example.com")[number % 3]
    return f"customer{number}@{domain}"


def hash_of(number: int) -> str:
    return addresses.address_hash(address(number), PEPPER)


def add_account(connection: sa.Connection, account_id: str) -> None:
    connection.execute(
        tables.accounts.insert().values(
            id=account_id,
            name=f"Account {account_id}",
            currency="USD",
            timezone="UTC",
            postal_address="2 Side Street",
            sender_email="news@other.example.com",
            sender_name="Other",
            created_at=NOW,
        )
    )


def add_parties(connection: sa.Connection, account_id: str, count: int) -> list[int]:
    """Parties 0 … count-1; their ids in that order."""
    rows = [
        {
            "account_id": account_id,
            "external_id": f"c{number}",
            "email": address(number),
            "address_hash": hash_of(number),
            "mailbox_provider": addresses.mailbox_provider(address(number)),
            "created_at": NOW,
            "updated_at": NOW,
        }
        for number in range(count)
    ]
    connection.execute(tables.parties.insert(), rows)
    party = tables.parties
    found = connection.execute(sa.select(party.c.external_id, party.c.id).where(party.c.account_id == account_id))
    ids: dict[str, int] = dict(found.all())
    return [ids[f"c{number}"] for number in range(count)]


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch; an attempt is written for it unless it is still planned."""

    first: int
    last: int
    state: BatchState = BatchState.ACCEPTED
    attempt: str | None = None
    finished_at: datetime | None = NOW
    exceptions: dict[int, str] = field(default_factory=dict)  # ordinal → message state


def add_run(
    connection: sa.Connection,
    account_id: str,
    party_ids: Sequence[int],
    batches: Sequence[BatchRow],
    *,
    run_id: str = "run1",
    skipped: dict[str, Sequence[int]] | None = None,
    **facts: Any,
) -> str:
    """A live, dispatched run. Party n of `party_ids` has the ordinal n; `skipped`: reason → further party ids."""
    campaign_id = connection.execute(
        tables.campaigns.insert()
        .values(account_id=account_id, name=f"campaign of {run_id}", created_at=NOW)
        .returning(tables.campaigns.c.id)
    ).scalar_one()
    left_out = {reason: list(ids) for reason, ids in (skipped or {}).items()}
    values = {
        "id": run_id,
        "account_id": account_id,
        "campaign_id": campaign_id,
        "status": RunStatus.DISPATCHED,
        "live": True,
        "segment": "everybody",
        "template": "plain",
        "provider": "sendgrid",
        "sender_email": "news@shop.example.com",
        "sender_name": "The Shop",
        "holdout_percent": 0,
        "seed": 1,
        "members": len(party_ids) + sum(map(len, left_out.values())),
        "planned": len(party_ids),
        "skipped": {reason: len(ids) for reason, ids in left_out.items()},
        "created_at": NOW - timedelta(minutes=5),
        "frozen_at": NOW,
        "dispatch_started_at": NOW,
        "dispatched_at": NOW,
    }
    connection.execute(tables.campaign_runs.insert().values(**{**values, **facts}))
    party = tables.parties
    query = sa.select(party.c.id, party.c.address_hash, party.c.mailbox_provider)
    mailboxes = {row[0]: (row[1], row[2]) for row in connection.execute(query)}
    rows = [
        {
            "run_id": run_id,
            "party_id": one,
            "ordinal": n,
            "skip_reason": None,
            "address_hash": mailboxes[one][0],
            "mailbox_group": mailboxes[one][1],
        }
        for n, one in enumerate(party_ids)
    ]
    rows += [
        {
            "run_id": run_id,
            "party_id": one,
            "ordinal": None,
            "skip_reason": reason,
            **dict.fromkeys(("address_hash", "mailbox_group")),
        }
        for reason, ids in left_out.items()
        for one in ids
    ]
    if rows:
        connection.execute(tables.audience.insert(), rows)
    for batch in batches:
        _add_batch(connection, run_id, batch)
    return run_id


def _add_batch(connection: sa.Connection, run_id: str, batch: BatchRow) -> None:
    batch_id = connection.execute(
        tables.batches.insert()
        .values(
            run_id=run_id,
            first_ordinal=batch.first,
            last_ordinal=batch.last,
            state=batch.state,
            attempts=0 if batch.attempt is None else 1,
            attempt_id=batch.attempt,
            finished_at=batch.finished_at,
        )
        .returning(tables.batches.c.id)
    ).scalar_one()
    if batch.attempt is not None:
        connection.execute(
            tables.batch_attempts.insert().values(
                id=batch.attempt,
                batch_id=batch_id,
                number=1,
                worker="w",
                provider="sendgrid",
                content_hash="h",
                messages=batch.last - batch.first + 1,
                claimed_at=NOW,
            )
        )
    for ordinal, state in batch.exceptions.items():
        connection.execute(
            tables.message_exceptions.insert().values(
                run_id=run_id, ordinal=ordinal, state=state, reason="unsubscribe", created_at=NOW
            )
        )


def message_id(ordinal: int, run_id: str = "run1") -> str:
    return campaigns.message_id(run_id, ordinal)
