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
    assert added.json == {
        "account": "shop",
        "name": "offers",
        "titles": {"en": "Offers", "de": "Angebote"},
        "position": 0,
    }
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


def test_the_language_of_the_pages(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("account", "language", "de", "--json").json["language"] == "de"
    assert "they are in: en, de" in campaigns("account", "language", "xx").mistake
    assert campaigns("account", "language", "default", "--json").json["language"] is None
    assert [action for action, _ in audit(shop)] == ["language", "language"]
