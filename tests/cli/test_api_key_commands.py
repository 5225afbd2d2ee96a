"""Keys of the HTTP API by hand: shown once, listed without their secret, revoked for good."""

import pytest
import sqlalchemy as sa

from data import api_keys, database, tables
from tests.cli.conftest import Campaigns

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def found(shop: sa.Engine, secret: str):
    with database.read(shop) as connection:
        return api_keys.find(connection, secret)


def test_a_key_is_shown_once_and_works_until_it_is_revoked(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "No keys" in campaigns("api-keys", "list").out
    made = campaigns("api-keys", "create", "web-shop", "--per-minute", "120", "--json").json
    secret = made.pop("key")
    scopes = ["messages:read", "messages:send"]
    assert made == {"account": "shop", "name": "web-shop", "scopes": scopes, "per_minute": 120}
    assert len(secret) == 47
    assert found(shop, secret).name == "web-shop"
    listed = campaigns("api-keys", "list", "--json")
    assert [(one["name"], one["scopes"], one["revoked_at"]) for one in listed.json] == [("web-shop", scopes, None)]
    assert secret not in listed.out + campaigns("api-keys", "list").out
    assert campaigns("api-keys", "revoke", "web-shop", "--json").json["revoked"] is True
    assert found(shop, secret) is None
    assert "revoked before" in campaigns("api-keys", "revoke", "web-shop").out
    with database.read(shop) as connection:
        log = connection.execute(sa.select(tables.audit_log).order_by(tables.audit_log.c.id)).all()
    assert [(row.action, row.subject) for row in log] == [
        ("api key created", "api key:web-shop"),
        ("api key revoked", "api key:web-shop"),
    ]
    assert secret not in str(log)
    assert "command line" in log[0].actor


def test_a_key_may_be_limited_to_templates(shop: sa.Engine, campaigns: Campaigns) -> None:
    told = campaigns("api-keys", "create", "accounts", "--scope", "messages:send:password-reset")
    secret = told.lines[0]
    assert secret.startswith("oms_")
    assert "shown this once" in told.out
    assert found(shop, secret).scopes == ("messages:send:password-reset",)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("Web Shop",), "lower-case letters"),
        (("a", "--scope", "orders:write"), "there is no scope 'orders:write'"),
        (("a", "--scope", "messages:send:newsletter"), "names no transactional template"),
        (("a", "--per-minute", "0"), "1 to 60,000 requests"),
    ],
)
def test_what_is_no_key_is_said(shop: sa.Engine, campaigns: Campaigns, words: tuple[str, ...], told: str) -> None:
    assert told in campaigns("api-keys", "create", *words).mistake
    assert campaigns("api-keys", "list", "--json").json == []


def test_a_name_is_used_once(shop: sa.Engine, campaigns: Campaigns) -> None:
    campaigns("api-keys", "create", "a")
    assert "choose another name" in campaigns("api-keys", "create", "a").mistake
    assert "it has: a" in campaigns("api-keys", "revoke", "b").mistake
