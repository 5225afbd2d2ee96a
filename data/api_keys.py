"""Keys of the HTTP API: made, listed, revoked; found by what a caller shows; and how fast each may ask.

The key itself is shown once, when it is made, and is kept nowhere.
"""

import hmac
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import audit_log, tables, traffic_rows
from domain import api_keys, pacing
from domain.api_keys import ApiKey, InvalidKey
from domain.routes import Pace

_table = tables.api_keys
_USE_NOTED = timedelta(minutes=1)  # "last used" need not cost each request a write
_NO_TIME = timedelta(0)


class UnknownKey(LookupError):
    """The account has no such key; the message names those that it has."""


def create(
    connection: sa.Connection,
    *,
    account_id: str,
    name: str,
    scopes: Sequence[str],
    per_minute: int,
    actor: str,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key; it, and the secret that is never shown again. Raises InvalidKey where the name is taken."""
    if name in _names(connection, account_id):
        raise InvalidKey(f"there is a key {name!r} already, revoked ones included: choose another name")
    secret = api_keys.new_secret()
    key = ApiKey(f"k{uuid.uuid4().hex[:12]}", account_id, name, tuple(sorted(set(scopes))), per_minute)
    connection.execute(
        _table.insert().values(
            id=key.id,
            account_id=account_id,
            name=name,
            key_hash=api_keys.at_rest(secret),
            scopes=list(key.scopes),
            per_minute=per_minute,
            created_at=now,
            created_by=actor,
        )
    )
    # From the beginning, so that two first requests draw from the same one.
    traffic_rows.write_bucket(connection, _bucket(key), pacing.full(_pace(key), now, least=1))
    detail = {"scopes": list(key.scopes), "per_minute": per_minute, "id": key.id}
    _note(connection, account_id, actor, "api key created", name, detail, now)
    return key, secret


def listing(connection: sa.Connection, account_id: str) -> Sequence[sa.Row[Any]]:
    """The account's keys without their hashes, by name; revoked ones too."""
    shown = [column for column in _table.c if column.name not in {"key_hash", "account_id"}]
    return connection.execute(sa.select(*shown).where(_table.c.account_id == account_id).order_by(_table.c.name)).all()


def revoke(connection: sa.Connection, account_id: str, name: str, *, actor: str, now: datetime) -> bool:
    """Let nobody in by it any more, from the next request on; False where it was revoked before. Raises UnknownKey."""
    changed = connection.execute(
        _table.update()
        .where(_table.c.account_id == account_id, _table.c.name == name, _table.c.revoked_at.is_(None))
        .values(revoked_at=now)
    ).rowcount
    if not changed:
        if name in (names := _names(connection, account_id)):
            return False
        raise UnknownKey(f"{account_id} has no key {name[:60]!r}; it has: {', '.join(names) or 'none'}")
    _note(connection, account_id, actor, "api key revoked", name, {}, now)
    return True


def find(connection: sa.Connection, secret: str) -> ApiKey | None:
    """The key that is shown; None for what is no key, or is revoked."""
    if not api_keys.is_secret(secret):
        return None
    shown = api_keys.at_rest(secret)
    row = connection.execute(sa.select(_table).where(_table.c.key_hash == shown)).one_or_none()
    # The index compares hashes and not keys: how long that takes tells nothing of a key.
    if row is None or not hmac.compare_digest(row.key_hash, shown) or row.revoked_at is not None:
        return None
    return ApiKey(row.id, row.account_id, row.name, tuple(row.scopes), row.per_minute)


def draw(connection: sa.Connection, key: ApiKey, now: datetime) -> timedelta:
    """Count one request, over all gateways; zero, or how long to wait where the key's rate is used up."""
    name, pace = _bucket(key), _pace(key)
    bucket = traffic_rows.buckets(connection, [name]).get(name) or pacing.full(pace, now, least=1)
    taken = pacing.take(bucket, pace, 1, now, least=1)
    if taken.wait > _NO_TIME:
        return taken.wait
    traffic_rows.write_bucket(connection, name, taken.bucket)
    lately = _table.c.last_used_at > now - _USE_NOTED
    connection.execute(
        _table.update().where(_table.c.id == key.id, _table.c.last_used_at.is_(None) | ~lately).values(last_used_at=now)
    )
    return _NO_TIME


def _bucket(key: ApiKey) -> str:
    return f"api key {key.id}"


def _pace(key: ApiKey) -> Pace:
    return Pace(per_minute=key.per_minute)


def _names(connection: sa.Connection, account_id: str) -> list[str]:
    return list(
        connection.scalars(sa.select(_table.c.name).where(_table.c.account_id == account_id).order_by(_table.c.name))
    )


def _note(
    connection: sa.Connection,
    account_id: str,
    actor: str,
    action: str,
    name: str,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    audit_log.write(
        connection,
        account_id=account_id,
        actor=actor,
        action=action,
        subject=f"api key:{name}",
        detail=detail,
        now=now,
    )
