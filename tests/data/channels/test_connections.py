"""channels.yaml: what it may say, what a mistake in it is told as, and that no secret of it is repeated."""

import os
import re
from pathlib import Path

import pytest

from data.channels import connections, registry
from data.channels.connections import Connections, UnusableConnections

ROOT = Path(__file__).parents[3]
ONE = "connections: [{account: shop, channel: shopify, webhook_secrets: [s3cret]}]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.yaml"


def loaded(file: Path, text: str) -> Connections:
    file.write_text(text, "utf-8")
    return connections.load(file)


def refused(file: Path, text: str) -> str:
    with pytest.raises(UnusableConnections) as caught:
        loaded(file, text)
    assert caught.value.__cause__ is None or "s3cret" not in str(caught.value.__cause__)
    return str(caught.value)


def test_a_connection_is_found_by_account_and_channel(file):
    found = loaded(file, ONE)
    one = found.find("shop", "shopify")
    assert one is not None
    assert (one.reader, one.timezone, one.numbering) == ("shopify", "UTC", None)
    assert [secret.get_secret_value() for secret in one.webhook_secrets] == ["s3cret"]
    assert found.find("shop", "woocommerce") is None
    assert found.find("other", "shopify") is None


def test_two_shops_on_one_platform_are_two_channels_of_one_adapter(file):
    found = loaded(
        file,
        "connections: [{account: shop, channel: shopify-de, adapter: shopify}, "
        "{account: shop, channel: shopify-fr, adapter: shopify}, {account: tea, channel: shopify-de, adapter: shopify}]",
    )
    assert [one.reader for one in found.connections] == ["shopify"] * 3


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "connections: []"])
def test_no_file_and_an_empty_one_mean_no_connections(file, text):
    assert connections.load(file).connections == ()
    assert loaded(file, text).connections == ()


def test_a_changed_file_is_read_anew_and_a_broken_one_does_not_stay(file):
    assert loaded(file, ONE).find("shop", "shopify")
    file.write_text("connections: [", "utf-8")
    os.utime(file, ns=(1, 1))
    with pytest.raises(UnusableConnections):
        connections.load(file)
    file.write_text("connections: []", "utf-8")
    os.utime(file, ns=(2, 2))
    assert connections.load(file).connections == ()


def test_a_mapping_lies_beside_the_file_whatever_folder_a_worker_runs_in(file, monkeypatch):
    monkeypatch.chdir("/")
    found = loaded(file, "connections: [{account: shop, channel: own, adapter: mapped, mapping: maps/own.yaml}]")
    assert found.connections[0].mapping == file.parent / "maps/own.yaml"
    found = loaded(file, "connections: [{account: shop, channel: own, adapter: mapped, mapping: /etc/own.yaml}]")
    os.utime(file, ns=(1, 1))
    assert connections.load(file).connections[0].mapping == Path("/etc/own.yaml")


def one(**given: str) -> str:
    said = {"account": "shop", "channel": "shopify"} | given
    return f"connections: [{{{', '.join(f'{name}: {value}' for name, value in said.items())}}}]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("connections: [{channel: shopify}]", "connections.0.account: Field required"),
        (one(account='""'), "connections.0.account: "),
        (one(channel="Shopify DE"), "connections.0.channel: "),
        (one(timezone="Berlin"), "connections.0.timezone: Value error, needs a name such as Europe/Berlin"),
        (one(timezone="../etc/passwd"), "connections.0.timezone: Value error, needs a name such as Europe/Berlin"),
        (one(secrets="[s3cret]"), "connections.0.secrets: Extra inputs are not permitted"),
        (one(webhook_secrets="s3cret"), "connections.0.webhook_secrets: "),
        (one(webhook_secrets="[31337]"), "connections.0.webhook_secrets.0: write it in quotes"),
        (one(api="{url: 'https://x.test', version: 2026-01-01}"), "connections.0.api.version: write it in quotes"),
        (one(api="{url: my-shop.myshopify.com}"), "connections.0.api.url: Value error, needs the whole address"),
        (one(api="{url: 'http://[1'}"), "connections.0.api.url: Value error, needs the whole address"),
        (one(api="{url: 'https://x.test', token: 's3cret s3cret'}"), "connections.0.api.token: Value error, holds a"),
        (one(api="{url: 'https://x.test', since_days: 0}"), "connections.0.api.since_days: "),
        (one(silent_after_hours="-1"), "connections.0.silent_after_hours: "),
        ("[1, 2]", "the file: "),
        ("s3cret", "the file: "),
        (ONE.replace("]}]", "]}, {account: shop, channel: shopify}]"), "there twice: shopify of shop"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_without_its_value(file, text, told):
    said = refused(file, text)
    assert told in said
    assert said.endswith("channels.example.yaml shows every key")
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("connections:\n  - {account: shop\n  - s3cret: [", "is no YAML, line"),
        ("a: !!python/object:x {}", "is no YAML"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(file, text, told):
    said = refused(file, text)
    assert told in said
    assert "s3cret" not in said


def test_a_file_that_cannot_be_read_says_why(file, tmp_path):
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UnusableConnections, match="cannot be read: UnicodeDecodeError"):
        connections.load(file)
    with pytest.raises(UnusableConnections, match="cannot be read: IsADirectoryError"):
        connections.load(tmp_path)


def test_secrets_are_not_shown(file):
    assert "s3cret" not in repr(loaded(file, ONE))


def _snippets() -> list[str]:
    page = (ROOT / "docs/connect-a-channel.md").read_text("utf-8")
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("snippet", _snippets())
def test_what_the_page_for_operators_shows_can_be_pasted(file, snippet):
    for connection in loaded(file, snippet).connections:
        channel = registry.get(connection.reader)
        assert connection.api is None or channel.pull is not None
        assert not connection.webhook_secrets or channel.push is not None


def test_the_page_for_operators_shows_every_adapter(file):
    shown = {one.reader for snippet in _snippets() for one in loaded(file, snippet).connections}
    assert shown == set(registry.CHANNELS)


def test_the_example_can_be_copied_as_it_is() -> None:
    example = connections.load(ROOT / "channels.example.yaml")
    assert {one.reader for one in example.connections} == set(registry.CHANNELS)
    for one in example.connections:
        channel = registry.get(one.reader)
        assert one.api is None or channel.pull is not None
        assert not one.webhook_secrets or channel.push is not None
        assert one.mapping is None or one.mapping.is_file()
