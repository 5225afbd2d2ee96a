"""Messages that the shop's own software asks for: each Idempotency-Key asks for one, however often it comes.

The message's id is made of the key, so that the key asks for no second one even when we have forgotten the request. Of
request and key only keyed hashes are kept: a body may hold an address and a secret.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import mail_domains, tables, transactional, transactional_queue
from data.transactional import AskedBy, Wanted
from domain import addresses
from domain.ledger import BatchState
from domain.mailbox_groups import OTHER
from domain.transactional import Timing, id_of

_key, _message = tables.idempotency_keys, tables.transactional_messages


class OtherRequest(ValueError):
    """The key came before, with something else."""


class NotMailed(ValueError):
    """The recipient gets no mail from this account; `reason` says why in one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this address gets no mail: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for. `document`: the whole body as it was read, by which it is known again."""

    account_id: str
    key: str
    document: Mapping[str, Any]
    template: str
    email: str
    locale: str | None
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is answered: the same for each repetition."""

    id: str
    asked_at: datetime
    expires_at: datetime
    replayed: bool


def known(connection: sa.Connection, request: Request, pepper: str) -> Asked | None:
    """The answer that this request got before; None for a new one. Raises OtherRequest."""
    message_id = id_of(request.account_id, AskedBy.API, request.key)
    row: Any = connection.execute(
        sa.select(_message, _key.c.body_hash)
        .outerjoin_from(
            _message, _key, (_key.c.message_id == _message.c.id) & (_key.c.key_hash == _hashed(request.key, pepper))
        )
        .where(_message.c.id == message_id)
    ).one_or_none()
    if row is None:
        return None
    if row.body_hash is not None:
        same = hmac.compare_digest(row.body_hash, _body_hash(request, pepper))
    else:  # forgotten since: what is left of the message tells
        hashed = addresses.address_hash(request.email, pepper)
        same = (row.template, row.address_hash) == (request.template, hashed)
    if not same:
        raise OtherRequest("this Idempotency-Key came before, with another body")
    return Asked(row.id, row.asked_at, row.expires_at, replayed=True)


def ask(connection: sa.Connection, request: Request, timing: Timing, *, pepper: str, now: datetime) -> Asked:
    """Keep the message with its key, or answer as before. Raises OtherRequest, NotMailed, and then nothing is kept."""
    if (before := known(connection, request, pepper)) is not None:
        return before
    hashed = addresses.address_hash(request.email, pepper)
    if addresses.is_relay(request.email):
        raise NotMailed("relay")
    if (reason := transactional_queue.refusal(connection, request.account_id, hashed, now)) is not None:
        raise NotMailed(reason)
    domain = addresses.domain_of(request.email)
    wanted = Wanted(
        id=id_of(request.account_id, AskedBy.API, request.key),
        account_id=request.account_id,
        template=request.template,
        timing=timing,
        asked_by=AskedBy.API,
        email=request.email,
        address_hash=hashed,
        mailbox_group=mail_domains.groups_of(connection, [domain]).get(domain, OTHER),
        variables=request.variables,
        locale=request.locale,
    )
    # Two at once: the second waits here for the first to commit, and then finds it.
    if not transactional.ask(connection, [wanted], now=now):
        found = known(connection, request, pepper)
        assert found is not None, "a message that is there already can be read"
        return found
    connection.execute(
        _key.insert().values(
            account_id=request.account_id,
            key_hash=_hashed(request.key, pepper),
            body_hash=_body_hash(request, pepper),
            message_id=wanted.id,
            created_at=now,
        )
    )
    return Asked(wanted.id, now, now + timing.useful, replayed=False)


def waiting(connection: sa.Connection, account_id: str, most: int) -> int:
    """How many messages of the account wait for their turn, counted up to `most`."""
    some = (
        sa.select(_message.c.id)
        .where(
            _message.c.state == sa.literal_column(f"'{BatchState.PLANNED}'"),  # as the index says it
            _message.c.account_id == account_id,
        )
        .limit(most)
        .subquery()
    )
    return connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def forget(connection: sa.Connection, before: datetime) -> int:
    """Forget which requests came before then, message by message they are kept; how many those were."""
    return connection.execute(_key.delete().where(_key.c.created_at < before)).rowcount


def _hashed(text: str, pepper: str) -> str:
    return hmac.new(pepper.encode(), b"idempotency\0" + text.encode(), hashlib.sha256).hexdigest()


def _body_hash(request: Request, pepper: str) -> str:
    """Of the canonical body: neither the order of its keys nor its blanks make another request."""
    return _hashed(json.dumps(request.document, sort_keys=True, separators=(",", ":")), pepper)
