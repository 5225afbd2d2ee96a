"""Writing transactional mail: the reader's language, cheaply for each message, and no secret where many eyes pass."""

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data import accounts, brands, content, database, file_stamps, messages, transactional_mail
from domain import template_fields
from domain.template_fields import Purpose
from domain.transactional import Urgency
from tests.data import orders_to_mail

CONSTANTS = {"shop_name": "Salt & Vinyl", "postal_address": "1 Street, Town", "sender_name": "Sam"}
SECRETS = {
    "code": "739104",
    "reset_url": "https://shop.test/reset/s3cret",
    "secure_url": "https://shop.test/secure/s3cret",
}
SECURITY = [name for name in content.names() if set(content.load(name).used) & set(SECRETS)]
TRANSLATED = [
    *("order-confirmation", "payment-received", "shipped", "delivered", "refunded", "order-cancelled"),
    *("password-reset", "account-changed", "one-time-code"),
]


def shown(name: str, own: Path | None = None, **values: Any) -> messages.Rendered:
    template = content.load(name, own)
    given = {**template_fields.samples(template.purpose), **values}
    return messages.render_message(template, given, CONSTANTS, brand=brands.load(own))


@pytest.mark.parametrize(
    ("locale", "name"),
    [
        ("de", "shipped-de"),
        ("de_AT", "shipped-de"),
        ("DE-ch", "shipped-de"),
        ("sv-SE", "shipped"),
        ("", "shipped"),
        (None, "shipped"),
        ("../de", "shipped"),
    ],
)
def test_the_template_is_in_the_readers_language_where_there_is_one(locale: str | None, name: str) -> None:
    assert transactional_mail.in_language("shipped", locale, None) == name


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_translation_is_for_the_same_mail(name: str) -> None:
    english, german = content.load(name), content.load(f"{name}-de")
    assert german.language == "de-DE"
    assert (german.purpose, german.timing, german.used) == (english.purpose, english.timing, english.used)
    text = shown(f"{name}-de").text
    assert not re.search(r"\b(the|you|your|order|shipping|ordered)\b", text.replace("shop.test/order", ""))


def test_the_shops_own_language_and_words_go_before_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "_brand").mkdir()
    (tmp_path / "_brand" / "words.toml").write_text('[fr]\nordered = "Commandé"\n[de]\nordered = "Eingegangen"\n')
    place = tmp_path / "shipped-fr"
    place.mkdir()
    for file in content.folder_of("shipped").iterdir():
        (place / file.name).write_text(file.read_text("utf-8").replace('purpose = "shipment"', 'purpose = "shipment"\nlanguage = "fr-FR"'))  # fmt: skip
    assert transactional_mail.in_language("shipped", "fr-CA", tmp_path) == "shipped-fr"
    assert "Commandé" in shown("shipped-fr", tmp_path).html
    assert "Delivered" in shown("shipped-fr", tmp_path).html  # what is not said in French is English
    assert "Eingegangen" in shown("shipped-de", tmp_path).html
    (tmp_path / "_brand" / "words.toml").write_text('[fr]\norderd = "Commandé"\n')
    with pytest.raises(content.TemplateError, match=r"words\.toml, \[fr\] has \['orderd'\]; there are: and, "):
        brands.load(tmp_path)
    (tmp_path / "_brand" / "words.toml").write_text('ordered = "Commandé"\n')
    with pytest.raises(content.TemplateError, match="write a table for each language"):
        brands.load(tmp_path)


def test_a_mail_of_an_order_is_written_in_the_customers_language(engine: sa.Engine, account_id: str) -> None:
    order = orders_to_mail.add(engine, person={"locale": "de-CH"})
    facts = {"order_id": order, "step": None, "reference": None, "variables": None, "locale": None}
    row = type("Row", (), {**facts, "template": "order-confirmation"})
    with database.read(engine) as connection:
        letter = transactional_mail.write(connection, row, accounts.get(connection, account_id), None)
    assert letter.content.name == "order-confirmation-de"
    assert letter.content.subject == "Ihre Bestellung #1001 ist bei uns"
    assert "EUR\xa044.90" in letter.content.html or "44.90\xa0€" in letter.content.html  # as the Swiss write it
    assert letter.address == "johanna@delivered.test"


def test_days_are_in_the_language_of_the_words() -> None:
    english = content.load("shipped")
    assert transactional_mail.spelled("en-US", english) == "en-US"
    assert transactional_mail.spelled("sv-SE", english) is None
    assert transactional_mail.spelled(None, english) is None


def test_what_was_read_is_kept_until_a_file_changes(tmp_path: Path) -> None:
    assert content.load("shipped") is content.load("shipped")
    assert brands.load() is brands.load()
    place = tmp_path / "mine"
    place.mkdir()
    toml = 'title = "T"\ndescription = "D"\nstream = "transactional"\npurpose = "order"\n'
    for name, text in {"template.toml": toml, "subject.txt": "one", "body.html": "<p>x</p>"}.items():
        (place / name).write_text(text)
    assert content.load("mine", tmp_path) is not content.load("mine", tmp_path)  # too new to be sure of
    _age(place)
    first = content.load("mine", tmp_path)
    assert first is content.load("mine", tmp_path)
    (place / "subject.txt").write_text("two")  # of the same length, and soon as old
    assert content.load("mine", tmp_path).parts["subject.txt"] == "two"
    _age(place, seconds=30)
    assert content.load("mine", tmp_path).parts["subject.txt"] == "two"
    (place / "body.txt").write_text("text")
    _age(place, seconds=30)
    assert "body.txt" in content.load("mine", tmp_path).parts
    assert file_stamps.of_folders([tmp_path / "nowhere"]) == ()


def _age(place: Path, seconds: int = 60) -> None:
    for file in place.iterdir():
        os.utime(file, (time.time() - seconds,) * 2)


def test_another_brand_or_shop_is_never_served_a_kept_engine(tmp_path: Path) -> None:
    (tmp_path / "_brand").mkdir()
    (tmp_path / "_brand" / "second.toml").write_text('note = "HRB 4712"\n')
    template, given = content.load("shipped"), template_fields.samples(Purpose.SHIPMENT)
    other = {**CONSTANTS, "shop_name": "Second & Sons"}
    for _ in range(2):
        first = messages.render_message(template, given, CONSTANTS, brand=brands.load(tmp_path, "first")).html
        second = messages.render_message(template, given, other, brand=brands.load(tmp_path, "second")).html
        assert ("HRB 4712" in first, "Salt &amp; Vinyl" in first) == (False, True)
        assert ("HRB 4712" in second, "Salt &amp; Vinyl" in second) == (True, False)


@pytest.mark.parametrize("name", SECURITY)
def test_secrets_stand_in_the_body_alone_and_their_links_are_not_tracked(name: str) -> None:
    used = {one: secret for one, secret in SECRETS.items() if one in content.load(name).used}
    mail = shown(name, **used)
    preheader = re.search(r'class="preheader".*?</div>', mail.html, re.DOTALL)
    assert preheader is not None
    assert used
    for secret in used.values():
        assert secret in mail.html  # a browser, a notification and the ESP's log show the subject and the first words
        assert secret in mail.text
        assert secret not in mail.subject + preheader[0]
    links = re.findall(r'<a ([^>]*)href="https://shop\.test/\w+/s3cret"', mail.html)
    assert [link.split()[0] for link in links] == ["clicktracking=off"] * sum("url" in one for one in used)


def test_security_mail_is_what_it_should_be() -> None:
    assert {name.removesuffix("-de") for name in SECURITY} == {"password-reset", "account-changed", "one-time-code"}
    assert {content.load(name).timing.urgency for name in SECURITY} == {Urgency.SECURITY}
    assert content.load("one-time-code").timing.useful.total_seconds() == 600
