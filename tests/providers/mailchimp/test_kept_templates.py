"""Mailchimp's templates, of both products, over a real wire; each request against the published documents."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from domain.esp_templates import (
    NotInOurWords,
    NotTold,
    Parts,
    TemplateGone,
    TemplateStoreError,
    find,
    version_of,
)
from domain.templates import html_tag, plain_tag
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.marketing_templates import MarketingTemplates
from providers.mailchimp.transactional_templates import TransactionalTemplates
from providers.sandbox.config import SandboxConfig
from tests.providers import loopback, vendor_api
from tests.providers.loopback import Answer, Received
from tests.providers.sandbox.conftest import KEY as SANDBOX_KEY
from tests.providers.sandbox.conftest import Esp
from tests.providers.template_store_contract import TemplateStoreContract

OURS = Parts(
    f"Hello {plain_tag('first_name')}",
    f'<p>{html_tag("first_name")} <a href="{html_tag("unsubscribe_url")}">no more</a>'
    f' <a href="{html_tag("unsubscribe_url")}/preferences">less</a></p>',
    f"{plain_tag('first_name')} {plain_tag('unsubscribe_url')}",
)
KEY, TRANSACTIONAL_KEY = "0123456789abcdef-us1", "md-key-that-is-never-seen"
AT = "2026-11-21 10:00:00"


def said(payload: object, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(payload), {"Content-Type": "application/json; charset=utf-8"})


class Mandrill:
    """As the vendor's page says: a draft, and what was published of it; errors have a name."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def __call__(self, request: Received) -> Answer:
        body, verb = orjson.loads(request.body), request.target.rpartition("/")[2]
        assert body["key"] == TRANSACTIONAL_KEY
        if verb == "list.json":
            return said(list(self.rows.values()))
        name = body["name"]
        if verb == "add.json":
            if name in self.rows:
                return self.failed("Invalid_Template")
            draft = {one: body[one] for one in ("subject", "code", "text")}
            self.rows[name] = {"slug": name, "name": name, **draft, "published_at": None, "updated_at": AT}
        if name not in self.rows:
            return self.failed("Unknown_Template")
        if verb == "publish.json" or (verb == "add.json" and body["publish"]):
            row = self.rows[name]
            row |= {f"publish_{one}": row[one] for one in ("subject", "code", "text")} | {"published_at": AT}
        return said(self.rows[name])

    def failed(self, name: str) -> Answer:
        return said({"status": "error", "code": 5, "name": name, "message": "no"}, 500)


class Marketing:
    """As the vendor's document says: never any HTML back."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.html: list[str] = []

    def __call__(self, request: Received) -> Answer:
        if request.method == "GET":
            return said({"templates": self.rows})
        body = orjson.loads(request.body)
        at = "2026-11-21T10:00:00+00:00"
        self.rows.append({"id": len(self.rows) + 1, "name": body["name"], "active": True, "date_created": at})
        self.html.append(body["html"])
        return said(self.rows[-1])


@contextmanager
def transactional(answer: Callable[[Received], Answer]) -> Iterator[TransactionalTemplates]:
    """Every request is judged by the vendor's document."""
    with loopback.answering(answer) as server:
        config = MailchimpConfig(
            transactional_api_key=SecretStr(TRANSACTIONAL_KEY), transactional_base_url=f"{server.url}/api/1.0"
        )
        store = TransactionalTemplates(config)
        yield store
        store.close()
    for received in server.requests:
        vendor_api.mailchimp_transactional().judge(received)


@contextmanager
def marketing(answer: Callable[[Received], Answer]) -> Iterator[MarketingTemplates]:
    with loopback.answering(answer) as server:
        base = f"{server.url}/3.0"
        config = MailchimpConfig(marketing_api_key=SecretStr(KEY), marketing_base_url=base, marketing_list_id="L1")
        store = MarketingTemplates(config)
        yield store
        store.close()
    for received in server.requests:
        vendor_api.mailchimp_marketing().judge(received)


class TestTransactional(TemplateStoreContract):
    """Over the sandbox's server."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[TransactionalTemplates]:
        esp = Esp(SandboxConfig(store=str(tmp_path / "sandbox.db"), api_key=SecretStr(SANDBOX_KEY)))
        base = f"{esp.url}/mandrill/api/1.0"
        config = MailchimpConfig(transactional_api_key=SecretStr(SANDBOX_KEY), transactional_base_url=base)
        with closing(TransactionalTemplates(config)) as store:
            yield store
        esp.stop()


class TestMarketing(TemplateStoreContract):
    """Over a faked wire, each request judged."""

    gives_back = False

    @pytest.fixture
    def store(self) -> Iterator[MarketingTemplates]:
        with marketing(Marketing()) as store:
            yield store


def test_each_version_is_a_template_that_mail_names() -> None:
    esp = Mandrill()
    with transactional(esp) as store:
        parts = store.write(OURS)
        assert store.upload("win-back", "", parts, activate=False) == ("win-back", "win-back-v1")  # the first is active
        assert store.upload("win-back", "", parts, activate=True) == ("win-back", "win-back-v2")
        assert store.upload("win-back", "", parts, activate=False) == ("win-back", "win-back-v3")
        kept = find(store.templates(), "win-back")
        assert [(one.id, one.active) for one in kept.versions] == [
            ("win-back-v3", False),
            ("win-back-v2", True),
            ("win-back-v1", False),
        ]
        assert version_of(kept, None).id == "win-back-v2"
        assert store.sent_by("win-back", "win-back-v2") == "win-back-v2"
        version, told = store.read("win-back", "win-back-v1")
        assert (version.active, told) == (True, parts)  # mail that names it gets it, whatever came after
        assert store.understand(told).parts == OURS
        assert store.activate("win-back", "win-back-v3") == "win-back-v3"
        assert esp.rows["win-back-v3"]["published_at"] is not None
        assert store.activate("win-back", "win-back-v1") == "win-back-v4"  # an older one again: nothing is overwritten
        assert store.activate("win-back", "win-back-v4") == "win-back-v4"


def test_what_is_sent_is_what_was_published_and_not_the_draft() -> None:
    esp = Mandrill()
    with transactional(esp) as store:
        store.upload("a", "", store.write(OURS), activate=True)
        esp.rows["a-v1"]["code"] = "somebody works on it"
        assert store.read("a", "a-v1")[1] == store.write(OURS)
        esp.rows["by-hand"] = {"slug": "by-hand", "name": "By hand", "code": "x", "published_at": None}
        assert find(store.templates(), "by-hand").active is None
        with pytest.raises(TemplateGone, match="no version of 'by-hand' is active"):
            version_of(find(store.templates(), "by-hand"), None)


def test_what_transactional_lacks_or_refuses_is_told_without_the_key() -> None:
    with transactional(Mandrill()) as store:
        for act in (lambda: store.read("a", "a-v1"), lambda: store.activate("a", "a-v1")):
            with pytest.raises(TemplateGone):
                act()
        with pytest.raises(NotInOurWords, match="ends like a version"):
            store.upload("win-back-v2", "", OURS, activate=True)
    for answer in (Answer(429), Answer(200, b"<html>"), said({"no": "list"}), said([{}])):
        with loopback.answering(lambda _, answer=answer: answer) as server:  # type: ignore[misc]
            config = MailchimpConfig(
                transactional_api_key=SecretStr(TRANSACTIONAL_KEY), transactional_base_url=server.url
            )
            with closing(TransactionalTemplates(config)) as store, pytest.raises(TemplateStoreError) as caught:
                store.templates()
            assert TRANSACTIONAL_KEY not in str(caught.value)


def test_marketing_takes_html_and_never_gives_it_back() -> None:
    esp = Marketing()
    with marketing(esp) as store:
        parts = store.write(OURS)
        assert parts.html == '<p>*|FNAME|* <a href="*|UNSUB|*">no more</a> <a href="*|UPDATE_PROFILE|*">less</a></p>'
        assert store.upload("win-back", "", parts, activate=True) == ("win-back", "1")
        assert store.upload("win-back", "", parts, activate=True) == ("win-back", "2")
        assert [one["name"] for one in esp.rows] == ["win-back-v1", "win-back-v2"]
        kept = find(store.templates(), "win-back")
        assert [(one.id, one.active) for one in kept.versions] == [("2", True), ("1", False)]
        assert store.sent_by("win-back", "2") is None
        with pytest.raises(NotTold):
            store.read("win-back", "2")
        assert store.activate("win-back", "2") == "2"
        with pytest.raises(TemplateStoreError, match="push the older template again"):
            store.activate("win-back", "1")
        with pytest.raises(TemplateGone):
            store.activate("win-back", "9")
        with pytest.raises(NotInOurWords, match="50 characters"):
            store.upload("x" * 48, "", parts, activate=True)
    assert esp.html == [parts.html] * 2


def test_two_variables_of_one_merge_tag_are_refused() -> None:
    with marketing(Marketing()) as store:
        with pytest.raises(NotInOurWords, match="same merge tag"):
            store.write(Parts("", html_tag("favourite_category") + html_tag("favourite_colour"), ""))
        with pytest.raises(NotInOurWords, match="takes for a merge tag"):
            store.write(Parts("", "*|MC:SUBJECT|*", ""))


def test_what_marketing_does_not_answer_is_told() -> None:
    for answer in (Answer(403), said({"templates": [{}]}), said([])):
        with loopback.answering(lambda _, answer=answer: answer) as server:  # type: ignore[misc]
            config = MailchimpConfig(marketing_api_key=SecretStr(KEY), marketing_base_url=server.url)
            with closing(MarketingTemplates(config)) as store, pytest.raises(TemplateStoreError):
                store.templates()
