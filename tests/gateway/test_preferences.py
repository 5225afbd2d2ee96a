"""What a customer chooses on her page is what she gets; whatever merely looks at the page changes nothing."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from data import accounts, database, suppressions, tables, topics
from data.suppressions import NewSuppression
from domain import addresses
from domain.preferences import Topic
from domain.suppression import Reason
from gateway import texts
from gateway.app import create_app
from tests.conftest import NOW, PEPPER
from tests.data.frozen import Clock
from tests.gateway.test_unsubscribe import ONE_CLICK, change_addresses, rows, token_for

MAILBOX = addresses.address_hash("person3@gmail.com", PEPPER)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = NOW
    return clock


@pytest.fixture
def gateway(serve, make_settings, clock: Clock) -> httpx.Client:
    return serve(create_app(make_settings(), clock=clock))


@pytest.fixture
def offered(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        topics.add(connection, account_id, Topic("tips", {"en": "Tips", "de": "Tipps"}, 3), now=NOW)
        topics.add(connection, account_id, Topic("offers", {"en": "Offers", "de": "Angebote"}, 1), now=NOW)
        topics.add(connection, account_id, Topic("new", {"en": "New arrivals", "de": "Neu im Laden"}, 2), now=NOW)


@pytest.fixture
def path(sent_run, offered) -> str:
    return f"/preferences/{token_for(sent_run.id, 3)}"


class Form(HTMLParser):
    """The controls of a page, as a browser would send them by the button of this action."""

    def __init__(self, page: str, action: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.action, self._open, self._found = action, [], False
        self.feed(page)
        assert self._found, f"there is no button {action}"

    def handle_starttag(self, tag: str, attrs: list) -> None:
        facts = dict(attrs)
        if tag == "form":
            self._open = []
        if tag == "input" and (facts["type"] == "hidden" or "checked" in facts):
            self._open.append((facts["name"], facts["value"]))
        if tag == "button" and facts.get("value") == self.action:
            self.fields = [*self._open, (facts["name"], facts["value"])]
            self._found = True

    def without(self, name: str, value: str) -> "Form":
        self.fields.remove((name, value))
        return self

    def choosing(self, name: str, value: str) -> "Form":
        self.fields = [one for one in self.fields if one[0] != name] + [(name, value)]
        return self


def press(gateway: httpx.Client, path: str, form: Form) -> httpx.Response:
    data: dict[str, list[str]] = {}
    for name, value in form.fields:
        data.setdefault(name, []).append(value)
    return gateway.post(path, data=data)


def page_of(gateway: httpx.Client, path: str) -> str:
    return gateway.get(path).raise_for_status().text


def refusals(engine: sa.Engine) -> dict[str, bool]:
    """By topic: does it stand."""
    return {row.topic: row.lifted_at is None for row in rows(engine, tables.topic_refusals)}


def actions(engine: sa.Engine) -> list[str]:
    return [row.action for row in sorted(rows(engine, tables.audit_log), key=lambda row: row.id)]


def test_looks_write_nothing(gateway, path, everything):
    before = everything()
    for turn in range(1000):
        answer = gateway.request("HEAD" if turn % 2 else "GET", path, params={"lang": "de"} if turn % 3 else {})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    assert everything() == before


def test_the_page_shows_shop_topics_and_a_masked_address_and_no_more(gateway, path, sent_run):
    page = page_of(gateway, path)
    assert "The Shop" in page
    assert "p***@g***.com" in page
    assert "person3" not in page
    assert sent_run.id not in page.replace(path.rpartition("/")[2], "")
    titles = re.findall(r'type="checkbox" name="topic" value="\w+" checked> ([^<]+)</label>', page)
    assert titles == ["Offers", "New arrivals", "Tips"]
    assert len(page.encode()) < 30_000
    assert "<script" not in page


@pytest.mark.parametrize("alias", [False, True], ids=["preferences", "unsubscribe/…/preferences"])
def test_unticked_topics_are_refused_and_ticked_ones_accepted_again(gateway, engine, path, everything, alias):
    if alias:
        path = f"/unsubscribe/{path.rpartition('/')[2]}/preferences"
    answer = press(gateway, path, Form(page_of(gateway, path), "save").without("topic", "offers"))
    assert (answer.status_code, answer.history) == (200, [])
    assert "Your choice is saved" in answer.text
    assert "set-cookie" not in answer.headers
    assert refusals(engine) == {"offers": True}
    (row,) = rows(engine, tables.topic_refusals)
    assert (row.address_hash, row.source) == (MAILBOX, "preferences")
    assert row.evidence.startswith("message r")
    once = everything()
    assert press(gateway, path, Form(page_of(gateway, path), "save")).status_code == 200  # as it stands: nothing new
    assert everything() == once
    press(gateway, path, Form(page_of(gateway, path), "save").choosing("topic", "offers"))
    assert refusals(engine) == {"offers": False, "new": True, "tips": True}
    assert actions(engine) == ["preferences", "preferences"]
    assert rows(engine, tables.suppressions) == []


def test_a_topic_that_came_after_the_page_was_opened_is_not_refused(gateway, engine, account_id, path):
    form = Form(page_of(gateway, path), "save")
    with database.write(engine) as connection:
        topics.add(connection, account_id, Topic("later", {"en": "Later"}), now=NOW)
        topics.remove(connection, account_id, "tips")
    press(gateway, path, form.without("topic", "offers"))
    assert refusals(engine) == {"offers": True}


def test_frequency_is_kept_changed_and_given_up(gateway, engine, path):
    for choice, kept in (("monthly", ["monthly"]), ("weekly", ["weekly"]), ("weekly", ["weekly"]), ("usual", [])):
        answer = press(gateway, path, Form(page_of(gateway, path), "save").choosing("frequency", choice))
        assert re.search(rf'name="frequency" value="{choice}" checked', answer.text)
        assert [row.frequency for row in rows(engine, tables.mail_frequencies)] == kept
    assert actions(engine) == ["preferences"] * 3


def test_unsubscribing_from_all_is_that_of_the_unsubscribe_page(gateway, engine, path, everything):
    page = page_of(gateway, path)
    answer = press(gateway, path, Form(page, "unsubscribe"))
    assert answer.status_code == 200
    assert "You are unsubscribed" in answer.text
    (suppression,) = rows(engine, tables.suppressions)
    assert (suppression.reason, suppression.source) == ("unsubscribe", "preferences")
    assert len(rows(engine, tables.consents, tables.consents.c.status == "withdrawn")) == 1
    after = everything()
    press(gateway, path, Form(page, "unsubscribe"))
    stale = press(gateway, path, Form(page, "save").without("topic", "offers"))
    assert "Your choice is saved" not in stale.text  # she gets nothing: there is nothing to choose
    assert everything() == after


def test_she_may_agree_again_and_her_word_lifts_her_own_refusal(gateway, engine, path, clock, everything):
    token = path.rpartition("/")[2]
    gateway.post(f"/unsubscribe/{token}", data=ONE_CLICK)
    clock.forward(minutes=5)
    page = page_of(gateway, path)
    sentence = texts.said("en", shop="The Shop")["preferences"]["consent"]
    assert sentence in page
    assert 'name="topic"' not in page
    answer = press(gateway, path, Form(page, "resubscribe"))
    assert "you get mail from The Shop again" in answer.text
    (suppression,) = rows(engine, tables.suppressions)
    assert suppression.lifted_at == clock.now
    granted = rows(engine, tables.consents, tables.consents.c.source == "preferences")
    assert [(one.status, one.basis, one.wording, one.level, one.occurred_at) for one in granted] == [
        ("granted", "consent", "preference page 2026-11 (en)", "single_opt_in", clock.now)
    ]
    assert actions(engine) == ["unsubscribe", "suppression lifted", "resubscribe"]
    once = everything()
    press(gateway, path, Form(page, "resubscribe"))
    assert everything() == once
    clock.forward(minutes=5)
    gateway.post(f"/unsubscribe/{token}", data=ONE_CLICK)
    assert "You get no marketing mail" in page_of(gateway, path)
    (suppression,) = rows(engine, tables.suppressions)
    assert suppression.lifted_at is None


def test_coming_back_lifts_her_own_refusal_and_no_other(gateway, engine, account_id, path, clock):
    gateway.post(f"/unsubscribe/{path.rpartition('/')[2]}", data=ONE_CLICK)
    with database.write(engine) as connection:
        over = NewSuppression(account_id, MAILBOX, Reason.SOFT_LIMIT, "t", "e", NOW, expires_at=NOW)
        suppressions.add_many(connection, [over])
    clock.forward(minutes=5)
    press(gateway, path, Form(page_of(gateway, path), "resubscribe"))
    lifted = {row.reason: row.lifted_at is not None for row in rows(engine, tables.suppressions)}
    assert lifted == {"unsubscribe": True, "soft_limit": False}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.COMPLAINT, "reported a mail from The Shop as spam"),
        (Reason.HARD_BOUNCE, "Mail to this address came back"),
        (Reason.INVALID, "Mail to this address came back"),
        (Reason.SOFT_LIMIT, "Mail to this address came back"),
        (Reason.MANUAL, "has stopped marketing mail to this address"),
        (Reason.ERASED, "was erased"),
    ],
)
def test_what_is_not_hers_to_take_back_stays_and_is_said_kindly(
    gateway, engine, account_id, path, clock, everything, reason, words
):
    gateway.post(f"/unsubscribe/{path.rpartition('/')[2]}", data=ONE_CLICK)
    form = Form(page_of(gateway, path), "resubscribe")
    with database.write(engine) as connection:
        suppressions.add(
            connection, account_id=account_id, address_hash=MAILBOX, reason=reason, source="t", evidence="e", now=NOW
        )
    clock.forward(minutes=5)
    before = everything()
    answer = press(gateway, path, form)
    assert answer.status_code == 200
    assert words in answer.text
    assert 'class="done"' not in answer.text
    assert 'value="resubscribe"' not in answer.text
    assert everything() == before


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"email": "new@example.com", "address_hash": "new"}, "knows you by another address now"),
        ({"email": None, "address_hash": None}, "knows you by another address now"),
        ({"email": None, "address_hash": None, "erased_at": NOW}, "was erased"),
    ],
)
def test_an_old_mailbox_changes_nothing_for_the_new_one(gateway, engine, path, everything, facts, words):
    form = Form(page_of(gateway, path), "save").without("topic", "offers")
    change_addresses(engine, **facts)
    before = everything()
    page = page_of(gateway, path)
    assert words in page
    assert "n***@" not in page
    assert words in press(gateway, path, form).text
    assert words in press(gateway, path, form.choosing("action", "resubscribe")).text
    assert everything() == before


def test_many_clicks_at_once_are_one_after_the_other(gateway, engine, path, clock):
    gateway.post(f"/unsubscribe/{path.rpartition('/')[2]}", data=ONE_CLICK)
    clock.forward(minutes=5)
    form = Form(page_of(gateway, path), "resubscribe")

    def click(_: int) -> int:
        clock.forward(seconds=1)  # else the unique key of consents would hide a second one
        return press(gateway, path, form).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(click, range(16))) == [200] * 16
    assert len(rows(engine, tables.consents, tables.consents.c.source == "preferences")) == 1
    assert actions(engine).count("resubscribe") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"action=delete",
        b"action=save&frequency=hourly",
        b"action=save&action=unsubscribe",
        b"\xff\xfe",
        b"List-Unsubscribe=One-Click",
        b"action=save" + b"&topic=offers" * 500,
    ],
)
def test_a_form_that_is_not_the_pages_changes_nothing(gateway, path, everything, body):
    before = everything()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = gateway.post(path, content=body, headers=headers)
    assert answer.status_code == 400
    assert "nothing was changed" in answer.text
    assert gateway.post(path, content=b"x" * 20_000, headers=headers).status_code == 413
    assert everything() == before


def test_foreign_tokens_are_one_and_the_same_404(gateway, sent_run, offered, everything):
    good = token_for(sent_run.id, 3)
    bad = {good[:place] + ("x" if good[place] != "x" else "y") + good[place + 1 :] for place in range(len(good))}
    bad |= {
        token_for(sent_run.id, 3, purpose="preferences"),
        token_for(sent_run.id, 3, key="another-key-another-key-another-key"),
        token_for(sent_run.id, 999_999),
        token_for("seed", 3),
        good[:-1],
        "%00",
    }
    before = everything()
    pages = set()
    for token in sorted(bad):
        for path in (f"/preferences/{token}", f"/unsubscribe/{token}/preferences"):
            for answer in (gateway.get(path), gateway.post(path, data={"action": "unsubscribe"})):
                assert answer.status_code == 404, token
                pages.add(answer.text)
    assert len(pages) == 1
    assert everything() == before


def test_one_recipients_token_changes_nothing_for_another(gateway, engine, sent_run, offered):
    theirs = f"/preferences/{token_for(sent_run.id, 4)}"
    before = page_of(gateway, theirs)
    mine = f"/preferences/{token_for(sent_run.id, 3)}"
    press(gateway, mine, Form(page_of(gateway, mine), "save").without("topic", "new").choosing("frequency", "weekly"))
    assert page_of(gateway, theirs) == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_none(gateway, path, method):
    assert gateway.request(method, path).status_code == 405


def test_a_page_tells_nobody_where_it_is(gateway, path):
    headers = gateway.get(path).headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "noindex" in headers["x-robots-tag"]
    assert "form-action 'self'" in headers["content-security-policy"]


def test_links_between_the_pages_lead_there(gateway, sent_run, offered):
    token = token_for(sent_run.id, 3)
    for base in (f"/unsubscribe/{token}", f"/unsubscribe/{token}?lang=de", f"/behind/a/proxy/unsubscribe/{token}"):
        page = page_of(gateway, base.removeprefix("/behind/a/proxy"))
        (link,) = re.findall(r'href="([^"]*preferences[^"]*)"', page)
        assert urlsplit(urljoin(base, link)).path == base.partition("unsubscribe")[0] + f"preferences/{token}"
        assert link.endswith("?lang=de") == ("lang=de" in base)


def _set_language(engine: sa.Engine, account_id: str, language: str | None) -> None:
    with database.write(engine) as connection:
        accounts.change(connection, replace(accounts.get(connection, account_id), language=language))


@pytest.mark.parametrize(
    ("clicked", "locale", "header", "account", "shown"),
    [
        ("", None, "", None, "en"),
        ("", None, "", "de", "de"),
        ("", None, "fr-CH, fr;q=0.9, en;q=0.8", "de", "fr"),
        ("", None, "it, es;q=0.5, en;q=0.1", None, "es"),
        ("", "de-AT", "en", "es", "de"),
        ("", "de_DE", "en", None, "de"),
        ("", "ja-JP", "en;q=x, de;q=0.2", None, "de"),
        ("fr", "de-DE", "en", "es", "fr"),
        ("xx", "de-DE", "en", "es", "de"),
    ],
)
def test_the_page_is_in_the_customers_language(
    gateway, engine, account_id, path, clicked, locale, header, account, shown
):
    change_addresses(engine, locale=locale)
    _set_language(engine, account_id, account)
    params = {"lang": clicked} if clicked else {}
    for one in (path, path.replace("preferences", "unsubscribe")):
        answer = gateway.get(one, params=params, headers={"accept-language": header})
        assert f'<html lang="{shown}">' in answer.text
        assert answer.headers["content-language"] == shown


def test_in_german_all_of_it_is_german_also_after_the_button(gateway, path, engine):
    german = {"lang": "de"}
    page = gateway.get(path, params=german).text
    assert "Angebote" in page
    form = Form(page, "save").without("topic", "offers")
    answer = gateway.post(f"{path}?lang=de", data={"action": "save", "shown": ["offers", "new"], "topic": ["new"]})
    assert "Ihre Auswahl ist gespeichert" in answer.text
    assert form.fields
    gateway.post(f"{path}?lang=de", data={"action": "unsubscribe"})
    gateway.post(f"{path}?lang=de", data={"action": "resubscribe"})
    assert "preference page 2026-11 (de)" in {row.wording for row in rows(engine, tables.consents)}


def test_the_missing_page_speaks_the_browsers_language(gateway):
    answer = gateway.get("/preferences/none", headers={"accept-language": "de"})
    assert "Hier gibt es nichts" in answer.text


def test_no_log_line_shows_a_token(gateway, path, access_log):
    gateway.get(path)
    gateway.post(path, data={"action": "save"})
    token = path.rpartition("/")[2]
    gateway.get(f"/unsubscribe/{token}/preferences")
    lines = [record.getMessage() for record in access_log.records if record.name == "uvicorn.access"]
    assert len(lines) == 3
    assert not any(token.rpartition(".")[2] in line for line in lines)


def test_an_audit_line_names_message_and_choice_and_no_address(gateway, engine, path, sent_run):
    press(gateway, path, Form(page_of(gateway, path), "save").without("topic", "tips").choosing("frequency", "weekly"))
    (line,) = rows(engine, tables.audit_log)
    assert line.subject == f"{sent_run.id}.3"
    assert line.detail == {"refused": ["tips"], "wanted": [], "frequency": "weekly"}
