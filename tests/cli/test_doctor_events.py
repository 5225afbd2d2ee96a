"""What `campaigns doctor` says of webhooks, returned mail, raw bodies, brakes and pauses."""

import json
import socket
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import brakes, control, database, guardrails, inbox, tables
from domain.guardrails import CanaryState
from domain.policy import SendingPolicy
from tasks import wiring
from tests.cli.conftest import Campaigns
from tests.data import guarded, ledger_rows
from tests.data.guarded import Part
from tests.tasks import imap_server
from tests.tasks.imap_server import Folders

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("shop"),
]
SECRET = "s3cr3t-s3cr3t-s3cr3t-s3cr3t"


def checks(campaigns: Campaigns) -> dict[str, tuple[bool, str]]:
    told = campaigns("doctor", "--json")
    assert SECRET not in told.out
    return {one["what"]: (one["ok"], one["found"]) for one in told.json["checks"]}


def configure(environment: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in values.items():
        told = value if isinstance(value, str) else json.dumps(value)
        environment.setenv(f"OMS_{name}", told)
    settings.load.cache_clear()


def came(engine: sa.Engine, provider: str) -> None:
    with database.write(engine) as connection:
        inbox.store(connection, provider=provider, body=b"[]", now=wiring.clock())


def test_what_is_not_set_up_is_no_fault(campaigns: Campaigns) -> None:
    found = checks(campaigns)
    for what in ("Mailchimp webhook", "Mailchimp Transactional", "returned mail"):
        ok, told = found[what]
        assert ok
        assert told.startswith("not set up")
    assert found["brakes"] == (True, "none: nothing is slowed, and no run is paused")
    assert found["raw bodies"] == (True, "emptied 30 days after they were applied (OMS_GATEWAY_KEEP_DAYS)")


HALVES = [
    ("Mailchimp webhook", {"MAILCHIMP_MARKETING_SIGNING_SECRETS": [SECRET]}, "MARKETING_URL_SECRETS is empty"),
    ("Mailchimp webhook", {"MAILCHIMP_MARKETING_API_KEY": f"{SECRET}-us1"}, "MARKETING_LIST_ID is empty"),
    ("Mailchimp webhook", {"MAILCHIMP_MARKETING_LIST_ID": "a1"}, "neither OMS_MAILCHIMP_MARKETING_API_KEY"),
    ("Mailchimp webhook", {"MAILCHIMP_MARKETING_URL_SECRETS": [SECRET]}, "cannot reach OMS_GATEWAY_PUBLIC_URL"),
    ("Mailchimp Transactional", {"MAILCHIMP_TRANSACTIONAL_API_KEY": SECRET}, "TRANSACTIONAL_WEBHOOK_KEYS is empty"),
    ("Mailchimp Transactional", {"MAILCHIMP_TRANSACTIONAL_WEBHOOK_KEYS": [SECRET]}, "cannot reach"),
    ("returned mail", {"RETURNS_IMAP_HOST": "imap.example.com"}, "IMAP_USER and OMS_RETURNS_IMAP_PASSWORD not set"),
    ("returned mail", {"RETURNS_IMAP_USER": "x", "RETURNS_IMAP_PASSWORD": SECRET}, "OMS_RETURNS_IMAP_HOST not set"),
    ("returned mail", {"RETURNS_TLS_KEY": "key.pem"}, "OMS_RETURNS_TLS_CERTIFICATE is not"),
    ("returned mail", {"RETURNS_TRUST_ADDRESSES": True}, "OMS_RETURNS_ADDRESSES"),
]


def test_a_rehearsal_of_mailchimps_webhooks_needs_no_address_of_the_world(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    given = {f"MAILCHIMP_{name}": [SECRET] for name in ("MARKETING_URL_SECRETS", "TRANSACTIONAL_WEBHOOK_KEYS")}
    configure(environment, **given)
    rows = "{m: {kind: sandbox, speaks: mailchimp}, t: {kind: sandbox, speaks: mailchimp-transactional}"
    for more, fit in (("}", True), (", real: {kind: mailchimp, api_key_env: K, list_id: a1}}", False)):
        (tmp_path / "routes.yaml").write_text(f"providers: {rows}{more}\n", "utf-8")
        found = checks(campaigns)
        assert found["Mailchimp webhook"][0] is fit
        assert found["Mailchimp Transactional"][0]


@pytest.mark.parametrize(("what", "given", "says"), HALVES)
def test_half_a_configuration_is_named(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, what: str, given: dict[str, object], says: str
) -> None:
    configure(environment, **given)
    ok, told = checks(campaigns)[what]
    assert not ok
    assert told.startswith("half configured: ")
    assert says in told


def test_a_webhook_is_verified_by_what_came_by_it(
    shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns
) -> None:
    configure(
        environment,
        GATEWAY_PUBLIC_URL="https://mail.shop.example.com",
        MAILCHIMP_MARKETING_URL_SECRETS=[SECRET],
        MAILCHIMP_TRANSACTIONAL_WEBHOOK_KEYS=[SECRET],
    )
    found = checks(campaigns)
    ok, told = found["Mailchimp webhook"]
    assert ok
    assert "the URL's secret alone, for every audience (OMS_MAILCHIMP_MARKETING_LIST_ID is empty)" in told
    assert told.endswith("not verified yet: nothing ever came by it")
    ok, told = found["Mailchimp Transactional"]
    assert ok
    assert "https://mail.shop.example.com/webhooks/mailchimp-transactional; not verified yet" in told
    came(shop, "mailchimp")
    assert "last heard 20" in checks(campaigns)["Mailchimp webhook"][1]


def test_the_mailbox_is_opened(environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    folders = Folders(password=SECRET)
    with imap_server.serving(folders) as port:
        configure(
            environment,
            RETURNS_ADDRESSES=["returns@bounce.shop.example.com"],
            RETURNS_IMAP_HOST="127.0.0.1",
            RETURNS_IMAP_PORT=port,
            RETURNS_IMAP_SECURITY="none",
            RETURNS_IMAP_USER="returns",
            RETURNS_IMAP_PASSWORD=SECRET,
        )
        ok, told = checks(campaigns)["returned mail"]
        assert (ok, told) == (True, "the mailbox at 127.0.0.1 opens; not verified yet: nothing ever came by it")
        folders.password = "another"
        ok, told = checks(campaigns)["returned mail"]
        assert not ok
        assert "log in" in told


def test_somebody_must_listen_where_no_mailbox_is_read(
    shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        configure(environment, RETURNS_ADDRESSES=["r@bounce.shop.example.com"], RETURNS_LISTEN_PORT=port)
        assert checks(campaigns)["returned mail"][0]
    ok, told = checks(campaigns)["returned mail"]
    assert not ok
    assert f"nobody listens on 127.0.0.1, port {port} of this machine" in told
    assert "campaigns returns listen" in told
    came(shop, "smtp")
    told = campaigns("doctor", "--json").json["checks"]
    (one,) = [check for check in told if check["what"] == "returned mail"]
    assert (one["ok"], one["warning"]) == (True, True), "it may listen elsewhere: something came"


def test_bodies_that_nobody_empties_are_told(shop: sa.Engine, campaigns: Campaigns) -> None:
    came(shop, "sendgrid")
    old = wiring.clock() - timedelta(days=33)
    with database.write(shop) as connection:
        connection.execute(tables.webhook_inbox.update().values(state="done", processed_at=old))
    ok, told = checks(campaigns)["raw bodies"]
    assert not ok
    assert told.startswith("1 should have been emptied 30 days after")


def put_brake(engine: sa.Engine, *, hours: int | None, account_id: str = "shop") -> int:
    now = wiring.clock()
    with database.write(engine) as connection:
        return brakes.put(
            connection,
            account_id=account_id,
            run_id=None,
            mailbox_group="google",
            factor=0.0,
            reason="complaints 0.4%",
            figures={},
            now=now,
            until=None if hours is None else now + timedelta(hours=hours),
            provider="sendgrid",
        )


def test_a_brake_is_told_with_the_command_that_lifts_it(shop: sa.Engine, campaigns: Campaigns) -> None:
    passing, standing = put_brake(shop, hours=2), put_brake(shop, hours=None)
    found = checks(campaigns)
    assert found[f"brake {passing}"][0], "it ends by itself"
    ok, told = found[f"brake {standing}"]
    assert not ok
    assert "sendgrid at google: stopped since 20" in told
    assert "until it is lifted: complaints 0.4%. `campaigns guards lift" in told
    assert "brakes" not in found


def test_the_brakes_of_other_accounts_are_told_too(shop: sa.Engine, campaigns: Campaigns) -> None:
    with database.write(shop) as connection:
        ledger_rows.add_account(connection, "second")
    brake = put_brake(shop, hours=None, account_id="second")
    assert f"`campaigns guards lift {brake} --account second --by" in checks(campaigns)[f"brake {brake}"][1]


def test_paused_runs_are_told_with_why_and_how_to_go_on(shop: sa.Engine, campaigns: Campaigns) -> None:
    at = wiring.clock()
    by_hand = guarded.run_of(shop, [Part("google", 10, {}, at=at)], run_id="rbyhand")
    canary = guarded.run_of(
        shop,
        [Part("yahoo", 600, {"delivered": 500, "hard": 100}, canary=True, at=at)],
        run_id="rcanary",
        canary=CanaryState.WATCHING,
    )
    with database.write(shop) as connection:
        control.pause(connection, by_hand.id, by="Ann", why="wrong price", now=at)
        guardrails.watch_canary(connection, canary, guardrails.observe(connection, canary, at), SendingPolicy())
    found = checks(campaigns)
    ok, told = found["run rbyhand"]
    assert not ok
    assert f"is paused since {at:%Y-%m-%d %H:%M}" in told
    assert told.endswith("paused by Ann: wrong price. `campaigns resume rbyhand` continues it")
    ok, told = found["run rcanary"]
    assert not ok
    assert f"is paused since {at:%Y-%m-%d %H:%M}" in told
    assert "`campaigns guards go-on rcanary" in told
