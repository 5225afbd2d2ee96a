"""routes.yaml: what it may say, what a mistake in it is told as, and that a key is never repeated."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.routes import Pace, Route
from domain.suppression import Stream
from providers import routes_file
from providers.esp_connection import Connection, PaceRow
from providers.routes_file import RoutesFile, UnknownConnection, UnusableRoutes

ROOT = Path(__file__).parents[2]
KEY = "SG.s3cret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "routes.yaml"


def route(**given: Any) -> dict[str, Any]:
    plain = {"name": "news", "stream": "marketing", "provider": "esp", "pool": "news", "domain": "news.shop.example"}
    return plain | given


RECEIPTS = route(
    name="receipts", stream="transactional", provider="second", pool="receipts", domain="receipts.shop.example"
)


def provider(**given: Any) -> dict[str, Any]:
    return {"kind": "sendgrid", "api_key_env": "ESP_KEY"} | given


def document(*routes: dict[str, Any], **providers: dict[str, Any]) -> dict[str, Any]:
    return {
        "providers": {"esp": provider(), "second": provider(api_key_env="SECOND_KEY")} | providers,
        "accounts": {"shop": list(routes)},
    }


def loaded(file: Path, said: dict[str, Any] | str) -> RoutesFile:
    file.write_text(said if isinstance(said, str) else yaml.safe_dump(said), "utf-8")
    return routes_file.load(file)


def refused(file: Path, said: dict[str, Any] | str) -> str:
    with pytest.raises(UnusableRoutes) as caught:
        loaded(file, said)
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_a_route_has_what_its_provider_has(file: Path) -> None:
    esp = provider(
        residency="eu", concurrency=3, cost_per_thousand=0.5, hand_over={"per_minute": 600}, ip_pool="their-name"
    )
    release = {"gmail": {"per_minute": 50, "burst": 10}, "*": {"per_minute": 500}}
    found = loaded(file, document(route(share=2, priority=3, warm_up=True, release=release), RECEIPTS, esp=esp))
    (one,) = found.routes("shop", Stream.MARKETING)
    assert one == Route(
        *("news", "shop", Stream.MARKETING, "esp", "news", "news.shop.example", 2.0, 3, 0.5, "eu", False, True, True),
        concurrency=3,
        ip_pool="their-name",
        schedules=True,
        hand_over=Pace(600),
        release={"gmail": Pace(50, 10), "*": Pace(500)},
    )
    assert one.release_of("yahoo") == Pace(500)
    assert [way.name for way in found.routes("shop", Stream.TRANSACTIONAL)] == ["receipts"]
    assert found.routes("other", Stream.MARKETING) == ()
    assert found.provider("esp").ip_pool == "their-name"
    with pytest.raises(UnknownConnection, match="'third'; it declares: esp, second"):
        found.provider("third")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "providers: {}"])
def test_no_file_and_an_empty_one_declare_nothing(file: Path, text: str) -> None:
    assert routes_file.load(file) == loaded(file, text) == RoutesFile()
    assert routes_file.load(file).rehearsals == {"sandbox"}


def test_a_changed_file_is_read_anew_and_a_broken_one_does_not_stay(file: Path) -> None:
    assert loaded(file, document(route())).of_account("shop")
    file.write_text("accounts: [", "utf-8")
    os.utime(file, ns=(1, 1))
    with pytest.raises(UnusableRoutes, match="line 1: this is no YAML"):
        routes_file.load(file)
    file.write_text("accounts: {}", "utf-8")
    os.utime(file, ns=(2, 2))
    assert routes_file.load(file).of_account("shop") == ()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (document(route(provider="third")), "accounts.shop: route news names a provider that is not declared"),
        (document(route(), route(pool="more")), "accounts.shop: there are two routes news"),
        (document(route(), RECEIPTS | {"pool": "news"}), "accounts.shop: pool news is of both streams"),
        (
            document(route(), RECEIPTS | {"domain": "news.shop.example"}),
            "the domain news.shop.example is of both streams; give each stream a subdomain of its own",
        ),
        (document(route(), RECEIPTS | {"provider": "esp"}), "accounts.shop: the key ESP_KEY is of both streams"),
        # The same key under another name is the same key.
        (document(route(), RECEIPTS, second=provider()), "accounts.shop: the key ESP_KEY is of both streams"),
        (document(route(share=-1)), "accounts.shop.0.share: Input should be greater than or equal to 0"),
        (document(route(share=float("inf"))), "accounts.shop.0.share: "),
        (document(route(priority=0)), "accounts.shop.0.priority: "),
        (document(route(stream="bulk")), "accounts.shop.0.stream: "),
        (document(route(domain="https://news.shop.example")), "accounts.shop.0.domain: "),
        (document(route(release={"gmail": {"per_minute": 0}})), "accounts.shop.0.release.gmail.per_minute: "),
        (document(route(colour="red")), "accounts.shop.0.colour: Extra inputs are not permitted"),
        (document(esp=provider(api_key=KEY)), "providers.esp.api_key: Extra inputs are not permitted"),
        (document(esp=provider(api_key_env=KEY)), "providers.esp.api_key_env: write the name of the environment"),
        (document(esp={"kind": "sendgrid"}), "providers.esp: api_key_env must name the environment variable"),
        (document(esp=provider(kind="fax")), "providers.esp.kind: "),
        (document(esp=provider(base_url="http://esp.example")), "providers.esp: base_url needs https://"),
        (
            document(esp=provider(kind="smtp", base_url="https://esp.example")),
            "base_url needs smtps://, or smtp:// for",
        ),
        (
            document(esp=provider(kind="smtp")),
            "providers.esp: user and api_key_env (of the password) are said together",
        ),
        (document(esp=provider(user="shop")), "providers.esp: user is of an SMTP relay"),
        (document(esp=provider(x_smtpapi=False)), "providers.esp: x_smtpapi is of an SMTP relay"),
        (
            document(esp=provider(kind="smtp", user="shop", dkim_domain="shop.example")),
            "dkim_domain, dkim_selector and dkim_key_file are said together, or none",
        ),
        (document(esp=provider(kind="smtp", user="shop", return_mailbox="a+b@shop.example")), "without a +"),
        (document(esp=provider(speaks="smtp")), "providers.esp: speaks is of a sandbox"),
        (document(RECEIPTS | {"provider": "esp"}, esp=provider(kind="mailchimp")), "is transactional, and esp sends"),
        (document(esp=provider(base_url=f"https://u:{KEY}@esp.example")), "providers.esp.base_url: needs no user"),
        ("providers: {esp: {kind: sandbox}, esp: {kind: sandbox}}", "line 1: a key is there twice"),
        (f"providers: {{esp: {{api_key: {KEY}}}", "this is no YAML"),
        ("- a list", "Input should be a valid dictionary"),
    ],
)
def test_what_cannot_be_right_is_refused_and_named(file: Path, said: dict[str, Any] | str, told: str) -> None:
    assert told in refused(file, said)


def test_streams_are_told_apart_within_an_account_and_domains_in_the_whole_file(file: Path) -> None:
    said = document(route())
    said["accounts"]["tea"] = [RECEIPTS | {"provider": "second", "pool": "news"}]
    assert loaded(file, said).of_account("tea")
    said["accounts"]["tea"][0]["domain"] = "news.shop.example"
    assert "the domain news.shop.example is of both streams" in refused(file, said)


def test_a_pool_of_several_accounts_is_said_to_be_shared(file: Path) -> None:
    said = document(route())
    said["accounts"]["tea"] = [route(domain="news.tea.example")]
    assert "accounts.tea: pool news is of several accounts; say shared_pool: true" in refused(file, said)
    for rows in said["accounts"].values():
        rows[0]["shared_pool"] = True
    assert loaded(file, said).of_account("tea")[0].shared_pool


def test_a_mailbox_group_that_there_is_not_is_refused_with_those_there_are(file: Path) -> None:
    told = refused(file, document(route(release={"gmial": {"per_minute": 3}})))
    assert "no mailbox group is named gmial; there are: *, " in told
    assert "gmail" in told


def test_the_sandbox_may_rehearse_both_streams_with_one_key(file: Path) -> None:
    sandbox = provider(kind="sandbox", base_url="http://127.0.0.1:1/")
    said = document(route(), RECEIPTS | {"provider": "esp"}, esp=sandbox)
    found = loaded(file, said)
    assert found.provider("esp").base_url == "http://127.0.0.1:1"
    assert found.rehearsals == {"sandbox", "esp"}


def test_the_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableRoutes, match=re.escape(f"{tmp_path} cannot be read")):
        routes_file.load(tmp_path)


def test_the_example_loads_and_shows_every_key() -> None:
    text = (ROOT / "routes.example.yaml").read_text("utf-8")
    found = routes_file.load(ROOT / "routes.example.yaml")
    assert found.accounts.keys() == {"main", "second-shop", "practice"}
    for row in (Connection, routes_file.RouteRow, PaceRow, RoutesFile):
        for key in row.model_fields:
            assert re.search(rf"\b{key}:", text), key


def test_built_in_routes_keep_the_streams_apart() -> None:
    found = routes_file.built_in("shop", "shop.example")
    both = ("sandbox", "sendgrid", "mailchimp-transactional", "postmark", "smtp")
    expected = {(one, stream, f"{one}-{stream}") for one in both for stream in ("marketing", "transactional")}
    assert {(one.provider, one.stream, one.pool) for one in found} == expected | {
        ("mailchimp", "marketing", "mailchimp-marketing")  # it sends campaigns only
    }
    assert len({one.pool for one in found}) == len({one.name for one in found}) == 11
    assert {one.provider for one in found if one.schedules} == {"sandbox", "sendgrid"}
