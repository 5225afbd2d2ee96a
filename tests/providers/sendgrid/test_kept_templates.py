"""SendGrid's templates through the store, against the sandbox over a real socket and against the published contract."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from pydantic import SecretStr

from domain.esp_templates import NotInOurWords, Parts, TemplateGone, TemplateStoreError, find, version_of
from providers.sandbox.config import SandboxConfig
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.management import Management
from providers.sendgrid.templates import SendGridTemplates
from tests.providers import loopback
from tests.providers.contract import SECRET
from tests.providers.sandbox.conftest import KEY, Esp
from tests.providers.template_store_contract import OURS, TemplateStoreContract

DOCUMENT = Path(__file__).parents[2] / "payloads" / "sendgrid" / "templates.json"
THEIRS = Parts(
    "Hello {{{first_name}}}",
    '<p>Dear {{first_name}}, <a href="{{unsubscribe_url}}">no more</a></p>',
    "Dear {{{first_name}}}\n{{{unsubscribe_url}}}",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SendGridTemplates]:
    esp = Esp(SandboxConfig(store=str(tmp_path / "sandbox.db"), api_key=SecretStr(KEY)))
    yield SendGridTemplates(Management(SendGridConfig(api_key=SecretStr(KEY), base_url=esp.url)))
    esp.stop()


class TestSendGrid(TemplateStoreContract):
    """Over the sandbox's server."""


def test_versions_come_and_are_activated_and_none_is_overwritten(store: SendGridTemplates) -> None:
    template_id, first = store.upload("win-back", "one", store.write(OURS), activate=False)
    assert template_id.startswith("d-")
    assert find(store.templates(), "win-back").active.id == first  # type: ignore[union-attr]  # as SendGrid does
    other = Parts("Bye", THEIRS.html, THEIRS.text)
    same_template, second = store.upload("win-back", "two", other, activate=False)
    assert same_template == template_id
    assert version_of(find(store.templates(), "win-back"), None).id == first
    assert store.activate(template_id, second) == second
    kept = find(store.templates(), "win-back")
    assert [(one.id, one.active) for one in kept.versions if one.active] == [(second, True)]
    assert version_of(kept, "one").id == first
    version, parts = store.read(template_id, first)
    assert (version.active, parts) == (False, THEIRS)
    assert store.read(template_id, second)[1] == other
    assert store.sent_by(template_id, second) == template_id


def test_what_is_not_there_is_gone(store: SendGridTemplates) -> None:
    template_id, _ = store.upload("win-back", "one", THEIRS, activate=True)
    with pytest.raises(TemplateGone):
        store.read(template_id, "00000000-0000-0000-0000-000000000000")
    with pytest.raises(TemplateGone):
        store.activate("d-0", "0")
    with pytest.raises(TemplateGone, match="keeps no template 'other'"):
        find(store.templates(), "other")


def test_all_pages_are_read(store: SendGridTemplates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.sendgrid.templates._PAGE", 2)
    for name in "abcde":
        store.upload(name, "one", THEIRS, activate=True)
    assert [one.name for one in store.templates()] == list("abcde")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("x" * 101, THEIRS),
        ("x", Parts("", "<p>", "")),
        ("x", Parts("s" * 256, "", "t")),
        ("x", Parts("s", "ä" * 600_000, "")),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_sent(store: SendGridTemplates, name: str, parts: Parts) -> None:
    with pytest.raises(NotInOurWords):
        store.upload(name, "one", parts, activate=True)
    assert store.templates() == []


def test_an_esp_that_fails_is_told_without_its_key(tmp_path: Path) -> None:
    with loopback.answering(lambda _: loopback.Answer(500, b"<html>")) as server:
        store = SendGridTemplates(Management(SendGridConfig(api_key=SecretStr(SECRET), base_url=server.url)))
        with pytest.raises(TemplateStoreError) as caught:
            store.templates()
    assert SECRET not in str(caught.value)
    with loopback.answering(lambda _: loopback.Answer(200, b'{"result": [{}]}')) as server:
        store = SendGridTemplates(Management(SendGridConfig(api_key=SecretStr(SECRET), base_url=server.url)))
        with pytest.raises(TemplateStoreError, match="not as documented"):
            store.templates()


def test_each_request_is_as_the_vendor_wrote() -> None:
    contract = OpenAPI.from_dict(orjson.loads(DOCUMENT.read_bytes()))
    template_id, version_id = "0c314114-a2b7-4523-8cbc-a293d7d19007", "8aefe0ee-f12b-4575-b5b7-c97e21cb36f3"
    version = {
        "id": version_id,
        "template_id": template_id,
        "active": 1,
        "name": "one",
        "subject": THEIRS.subject,
        "html_content": THEIRS.html,
        "plain_content": THEIRS.text,
        "generate_plain_content": False,
        "updated_at": "2019-03-13 18:56:33",
        "editor": "code",
    }
    lean = {key: value for key, value in version.items() if not key.endswith("n_content") and key != "html_content"}
    row = {"id": template_id, "name": "win-back", "generation": "dynamic", "updated_at ": "2019-03-13 18:56:33"}
    answers = {
        ("GET", "/v3/templates"): (200, {"result": [], "_metadata": {"count": 0}}),
        ("POST", "/v3/templates"): (201, row | {"versions": []}),
        ("POST", f"/v3/templates/{template_id}/versions"): (201, version),
        ("GET", f"/v3/templates/{template_id}/versions/{version_id}"): (200, version),
        ("POST", f"/v3/templates/{template_id}/versions/{version_id}/activate"): (200, version | lean),
    }

    def answer(request: loopback.Received) -> loopback.Answer:
        status, body = answers[request.method, urlsplit(request.target).path]
        return loopback.Answer(status, orjson.dumps(body), {"Content-Type": "application/json"})

    with loopback.answering(answer) as server:
        store = SendGridTemplates(Management(SendGridConfig(api_key=SecretStr(SECRET), base_url=server.url)))
        assert store.upload("win-back", "one", store.write(OURS), activate=True) == (template_id, version_id)
        assert store.read(template_id, version_id)[1] == THEIRS
        assert store.activate(template_id, version_id) == version_id
    assert len(server.requests) == len(answers)
    for received in server.requests:
        target = urlsplit(received.target)
        request = MockRequest(
            "http://api.sendgrid.com",
            received.method,
            target.path,
            args={name: values[0] for name, values in parse_qs(target.query).items()},
            headers=received.headers,
            data=received.body or None,
            content_type=received.headers.get("Content-Type", ""),
        )
        contract.validate_request(request)
        status, body = answers[received.method, target.path]
        contract.validate_response(request, MockResponse(orjson.dumps(body), status, content_type="application/json"))
