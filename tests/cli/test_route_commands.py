"""By which ways mail leaves, and whether an account may use what it shares with others."""

from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import database, tables
from tests.cli.conftest import Campaigns

FILE = """
providers:
  esp: {kind: sendgrid, api_key_env: ESP_KEY, hand_over: {per_minute: 60000, burst: 10000}}
  second: {kind: sendgrid, api_key_env: SECOND_KEY, residency: eu}
residency: {shop: eu}
accounts:
  shop:
    - {name: news, stream: marketing, provider: esp, pool: news, domain: news.shop.example}
    - {name: shared, stream: marketing, provider: second, pool: shared, domain: m.shop.example, shared_pool: true}
    - {name: spare, stream: marketing, provider: second, pool: spare, domain: m.shop.example, share: 0, warm_up: true,
       release: {gmail: {per_minute: 3000}, "*": {per_minute: 6000}}}
"""


@pytest.fixture
def declared(shop: sa.Engine, environment: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text(FILE, "utf-8")
    return tmp_path / "routes.yaml"


def audited(engine: sa.Engine) -> list[dict[str, object]]:
    with database.read(engine) as connection:
        log = tables.audit_log
        return list(connection.scalars(sa.select(log.c.detail).where(log.c.action == "vet").order_by(log.c.id)))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("declared")
def test_routes_say_what_carries_nothing_and_why(environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    assert "not set up: there is no SendGrid API key" in campaigns("routes").out
    for key in ("ESP_KEY", "SECOND_KEY"):
        environment.setenv(key, "SG.s3cret")
    told = campaigns("routes")
    assert told.status == 0
    assert "carries nothing: its ESP keeps data elsewhere than the account demands" in told.out
    assert "carries nothing: its pool is shared, and the account's record is not good" in told.out
    assert "stands by, warms up" in told.out
    assert "to the ESP 60,000 a minute, 10,000 at once" in told.out
    assert "to gmail 3,000 a minute; to every other 6,000 a minute" in told.out
    assert told.lines[-2:] == ["Standing: new; `campaigns account vet` says by what.", "Its data must stay in eu."]
    found = campaigns("routes", "--json").json
    assert (found["account"], found["declared"], found["residency"]) == ("shop", True, "eu")
    assert [one["name"] for one in found["routes"]] == ["news", "shared", "spare"]
    assert [one["refused"] is None for one in found["routes"]] == [False, False, True]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_without_a_file_the_providers_of_the_settings_are_shown(campaigns: Campaigns) -> None:
    told = campaigns("routes").out
    assert "sendgrid-transactional" in told
    assert "routes.yaml says nothing of this account" in told


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_only_what_has_a_key_is_in_use_and_its_limits_are_its_own(
    environment: pytest.MonkeyPatch, campaigns: Campaigns
) -> None:
    environment.setenv("OMS_POSTMARK_SERVER_TOKEN", "k3y")
    environment.setenv("OMS_POSTMARK_CONCURRENCY", "5")
    environment.setenv("OMS_SMTP_CONNECTIONS", "3")
    settings.load.cache_clear()
    lines = {line.split()[0]: line for line in campaigns("routes").lines if "-marketing " in line}
    in_use = {name for name, line in lines.items() if line.endswith("in use")}
    assert in_use == {"sandbox-marketing", "postmark-marketing"}
    assert "5 requests at once" in lines["postmark-marketing"]
    assert "3 requests at once" in lines["smtp-marketing"]
    assert "not set up: there is no Mailchimp API key" in lines["mailchimp-marketing"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sandbox_that_speaks_smtp_needs_its_port(
    declared: Path, environment: pytest.MonkeyPatch, campaigns: Campaigns
) -> None:
    row = "{name: news, stream: marketing, provider: relay, pool: news, domain: news.shop.example}"
    declared.write_text(
        f"providers: {{relay: {{kind: sandbox, speaks: smtp}}}}\naccounts: {{shop: [{row}]}}\n", "utf-8"
    )

    def doctor() -> dict[str, object]:
        (one,) = [check for check in campaigns("doctor", "--json").json["checks"] if check["what"] == "routes"]
        return dict(one)

    assert not doctor()["ok"]
    assert "relay speaks smtp, and the sandbox takes none: set OMS_SANDBOX_SMTP_PORT" in str(doctor()["found"])
    assert "not set up: the sandbox takes no mail by SMTP: set OMS_SANDBOX_SMTP_PORT" in campaigns("routes").out
    environment.setenv("OMS_SANDBOX_SMTP_PORT", "8026")
    settings.load.cache_clear()
    assert doctor()["ok"]
    assert "in use" in campaigns("routes").out


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_used_is_one_sentence(campaigns: Campaigns, declared: Path) -> None:
    declared.write_text(FILE.replace("pool: spare", "pool: Spare pool"), "utf-8")
    assert "accounts.shop.2.pool: " in campaigns("routes").mistake
    assert "accounts.shop.2.pool: " in campaigns("account", "vet").mistake


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("declared")
def test_doctor_names_the_keys_that_are_missing(environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    def found() -> tuple[bool, str]:
        checks = campaigns("doctor", "--json").json["checks"]
        (one,) = [check for check in checks if check["what"] == "routes"]
        return one["ok"], one["found"]

    ok, told = found()
    assert not ok
    assert told.startswith("routes.yaml names ESP_KEY, SECOND_KEY, and nothing of that name is set")
    environment.setenv("ESP_KEY", "SG.s3cret")
    Path(".env").write_text("SECOND_KEY=SG.s3cret\n")
    assert found() == (True, "3 by 2 provider(s) in routes.yaml; `campaigns routes` shows them")


def test_a_secret_is_read_from_the_environment_or_else_from_env(environment: pytest.MonkeyPatch) -> None:
    assert settings.secret("ESP_KEY") is None
    Path(".env").write_text("ESP_KEY= from-file \nEMPTY=\n")
    found = settings.secret("ESP_KEY")
    assert found is not None
    assert (found.get_secret_value(), repr(found)) == ("from-file", "SecretStr('**********')")
    environment.setenv("ESP_KEY", "from-environment")
    assert settings.secret("ESP_KEY") != found
    assert settings.secret("EMPTY") is None


@pytest.mark.usefixtures("declared")
def test_a_persons_word_goes_before_the_figures_until_it_is_lifted(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "new (by its figures)" in campaigns("account", "vet").out
    why = "came with a year of good mail"
    told = campaigns("account", "vet", "shop", "--as", "good", "--by", "Ann", "--why", why)
    assert f"good (said Ann: {why})" in told.out
    assert "0 days of history, 30 are needed; 0 mails accepted in 30 days, 1,000 are needed" in told.out
    found = campaigns("account", "vet", "shop", "--json").json
    assert (found["standing"], found["judged"], found["decided_by"], found["why"]) == ("good", "new", "Ann", why)
    assert [one["refused"] is None for one in campaigns("routes", "--json").json["routes"]] == [False, True, True]
    assert "new (by its figures)" in campaigns("account", "vet", "--lift").out
    assert [one["decided"] for one in audited(shop)] == ["good", None]
    assert "nobody decided about account shop" in campaigns("account", "vet", "--lift").mistake
    assert len(audited(shop)) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--as", "good"), "--as and --why go together"),
        (("--why", "so"), "--as and --why go together"),
        (("--as", "good", "--why", "so", "--lift"), "without --lift"),
        (("--by", "Ann"), "give --as and --why, or --lift"),
        (("--as", "fine", "--why", "so"), "'fine' is not one of"),
        (("nobody",), "there is no account 'nobody'"),
    ],
)
def test_a_wrong_word_changes_nothing(
    shop: sa.Engine, campaigns: Campaigns, options: tuple[str, ...], words: str
) -> None:
    assert words in campaigns("account", "vet", *options).mistake
    with database.read(shop) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.vettings)) == 0
