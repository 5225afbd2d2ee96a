"""Topics by hand, and the language of the pages."""

import pytest
import sqlalchemy as sa

from data import database, tables, topics
from tests.cli.conftest import Campaigns
from tests.conftest import NOW

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def audit(shop: sa.Engine) -> list[tuple[str, str]]:
    with database.read(shop) as connection:
        log = tables.audit_log.c
        return [tuple(row) for row in connection.execute(sa.select(log.action, log.subject).order_by(log.id))]


def test_topics_are_added_listed_and_removed(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "No topics" in campaigns("topics", "list").out
    added = campaigns("topics", "add", "offers", "--title", "en=Offers", "--title", "de=Angebote", "--json")
    (lacking,) = added.json.pop("warnings")
    assert lacking.startswith("No title in es, fr: customers whose page is in Español, Français read 'Offers'")
    assert added.json.items() >= {"account": "shop", "name": "offers", "position": 0}.items()
    assert added.json["titles"] == {"en": "Offers", "de": "Angebote"}
    assert "Topic tips (en: Tips)" in campaigns("topics", "add", "tips", "--title", "en=Tips", "--position", "2").out
    with database.write(shop) as connection:
        topics.refuse(connection, "shop", "h", ["tips"], source="t", evidence="e", now=NOW)
    found = campaigns("topics", "list", "--json").json
    assert [(one["name"], one["refused_by"]) for one in found] == [("offers", 0), ("tips", 1)]
    assert "de: Angebote; en: Offers" in campaigns("topics", "list").out
    assert campaigns("topics", "remove", "tips", "--json").json == {"account": "shop", "removed": "tips"}
    assert "its topics: offers" in campaigns("topics", "remove", "tips").mistake
    assert audit(shop) == [
        ("topic added", "topic:offers"),
        ("topic added", "topic:tips"),
        ("topic removed", "topic:tips"),
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("Offers", "--title", "en=Offers"), "lower-case letters"),
        (("offers", "--title", "Offers"), "a language and a title"),
        (("offers", "--title", "en="), "title in en"),
        (("offers",), "Missing option '--title'"),
    ],
)
def test_what_is_no_topic_is_said(shop: sa.Engine, campaigns: Campaigns, words: tuple[str, ...], told: str) -> None:
    assert told in campaigns("topics", "add", *words).mistake
    assert campaigns("topics", "list", "--json").json == []
    assert audit(shop) == []


ALL = ("--title", "en=Offers", "--title", "de=Angebote", "--title", "es=Ofertas", "--title", "fr=Offres")


def test_a_language_that_no_page_has_is_warned_of(shop: sa.Engine, campaigns: Campaigns) -> None:
    told = campaigns("topics", "add", "offers", *ALL, "--title", "it=Offerte").lines
    assert told[1:] == ["Nobody reads the title in it: the page is written in en, de, es, fr only."]
    assert len(campaigns("topics", "add", "offers", *ALL).lines) == 1, "all languages: nothing to warn of"


def test_what_is_shown_instead_of_a_missing_title_is_said(shop: sa.Engine, campaigns: Campaigns) -> None:
    told = campaigns(
        "topics", "add", "offers", "--title", "en=Offers", "--title", "de=Angebote", "--title", "fr=Offres"
    )
    (_, warning) = told.lines
    assert warning.startswith("No title in es: customers whose page is in Español read 'Offers', the title in en. ")
    assert warning.endswith("--title es=…")
    campaigns("account", "language", "de")
    told = campaigns(
        "topics", "add", "offers", "--title", "en=Offers", "--title", "de=Angebote", "--title", "fr=Offres"
    )
    assert "read 'Angebote', the title in de" in told.out
    told = campaigns("topics", "add", "offers", "--title", "it=Offerte")
    assert "No title in en, de, es, fr" in told.out
    assert "read 'Offerte', the title in it" in told.out


def test_the_language_of_the_pages(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("account", "language", "de", "--json").json["language"] == "de"
    assert "they are in: en, de" in campaigns("account", "language", "xx").mistake
    assert campaigns("account", "language", "default", "--json").json["language"] is None
    assert [action for action, _ in audit(shop)] == ["language", "language"]
