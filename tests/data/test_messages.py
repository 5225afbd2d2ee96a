"""One mail at a time: what goes in is escaped, what is missing is named, what comes out is a whole mail."""

from pathlib import Path
from typing import Any

import pytest

from data import content, messages
from data.field_values import FieldError
from data.template_engine import TemplateError
from domain import template_fields
from domain.suppression import Stream
from domain.template_fields import Purpose

CONSTANTS = {"shop_name": "Salt & Vinyl", "postal_address": "1 Street, Town", "sender_name": "Sam"}
NAMES = content.names()
EVIL = "<script>alert('x')</script>{{ 7 }}[%first_name%]"


def values(name: str, **changed: Any) -> dict[str, Any]:
    return {**template_fields.samples(content.load(name).purpose), **changed}


def test_what_ships() -> None:
    assert len(NAMES) >= 8
    streams = {content.load(name).stream for name in NAMES}
    assert streams == {Stream.MARKETING, Stream.TRANSACTIONAL}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("locale", [None, "de", "en_US"])
def test_every_template_is_a_whole_mail(name: str, locale: str | None) -> None:
    template = content.load(name)
    shown = messages.render_message(template, values(name), CONSTANTS, locale)
    assert shown.subject
    assert "{{" not in shown.subject + shown.text
    assert "Salt &amp; Vinyl" in shown.html
    assert "Salt & Vinyl" in shown.text
    way_out = "https://mail.shop.test/u/4f7c"
    assert (way_out in shown.html) is (way_out in shown.text) is (template.stream is Stream.MARKETING)
    because = "Sie bekommen diese Mail, weil" if template.language == "de-DE" else "You get this mail because"
    assert because in shown.text


@pytest.mark.parametrize("name", NAMES)
def test_every_template_lives_without_what_may_be_missing(name: str) -> None:
    template = content.load(name)
    fields = template_fields.allowed(template.purpose)
    needed = {one: fields[one].sample for one in fields if one not in template.fallbacks}
    shown = messages.render_message(template, needed, CONSTANTS)
    for leftover in ("None", "()", '""', "  .", " ."):
        assert leftover not in shown.text.replace(' "', "")
    assert 'href=""' not in shown.html


def test_values_are_escaped_in_html_and_left_alone_in_text() -> None:
    evil = values("order-confirmation", first_name=EVIL, line_items=[{"name": EVIL, "note": EVIL}])
    shown = messages.render_message(content.load("order-confirmation"), evil, CONSTANTS)
    assert "<script" not in shown.html
    assert EVIL in shown.text
    assert "&lt;script&gt;" in shown.html


def test_addresses_are_readable_and_cannot_leave_their_attribute() -> None:
    address = "https://shop.test/o?a=1&b='2'"
    shown = messages.render_message(
        content.load("order-confirmation"), values("order-confirmation", order_url=address), CONSTANTS
    )
    assert 'href="https://shop.test/o?a=1&amp;b=&#x27;2&#x27;"' in shown.html
    assert address in shown.text


def test_wrong_values_name_their_field() -> None:
    template = content.load("shipped")
    with pytest.raises(FieldError, match=r"^order_number is missing .*; line_items\[0\].name is missing"):
        messages.render_message(template, {"line_items": [{}]}, CONSTANTS)
    with pytest.raises(FieldError, match="there is no field 'ordernumber'; there are: arrives_on"):
        messages.render_message(template, values("shipped", ordernumber="1"), CONSTANTS)


def test_an_order_may_hold_what_another_mail_needs() -> None:
    given = {**template_fields.samples(Purpose.OFFER), **values("shipped")}
    assert messages.render_message(content.load("shipped"), given, CONSTANTS).subject == "On its way: order 10482"


def test_transactional_templates_do_not_go_to_a_campaign() -> None:
    for name in ("shipped", "cart-reminder"):
        with pytest.raises(TemplateError, match="is for one mail at a time"):
            content.render(content.load(name), CONSTANTS)


def test_lists_become_an_html_and_a_text_variant_for_templates_at_the_esp() -> None:
    flat = messages.scalars(content.load("cart-reminder"), values("cart-reminder", first_name="A&B"), "de")
    assert flat["first_name"] == "A&B"
    assert flat["coupon_until"] == "6. Dezember 2026"
    assert flat["cart_items_text"].splitlines() == [
        "Night Train to Lisbon  Vinyl, 180 g  24,90\xa0€",
        "2 × Small Hours Sessions  CD, signed  33,80\xa0€",
    ]
    assert flat["recommendations_html"].startswith(
        '<tr><td align="left"><a href="https://shop.test/1">Harbour Lights</a><br>Vinyl, first pressing</td>'
    )
    assert all(isinstance(one, str) for one in flat.values())


MANIFEST = 'title = "T"\ndescription = "D"\nstream = "transactional"\npurpose = "order"\n'


def mine(tmp_path: Path, manifest: str = MANIFEST, **parts: str) -> Path:
    (tmp_path / "mine").mkdir(exist_ok=True)
    for name, text in {
        "subject.txt": "S",
        "body.html": "<p>{{ first_name }}</p>",
        "template.toml": manifest,
        **parts,
    }.items():
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("manifest", "body", "told"),
    [
        (MANIFEST.replace("order", "nothing"), "x", "purpose must be one of campaign, offer, order"),
        (MANIFEST.replace("transactional", "marketing"), "x", 'needs stream = "transactional"'),
        (MANIFEST + "colour = 1", "x", r"has \['colour'\]"),
        (MANIFEST + "[fallbacks]\ncoupon = ''", "x", "variables that do not exist"),
        (MANIFEST + "[fallbacks]\ncarrier = 7", "x", "variables that do not exist"),
        (MANIFEST + "[fallbacks]\nfirst_name = 7", "x", "a fallback is text"),
        (MANIFEST + "[content]\nday = 2026-11-23", "x", "content.day is a date"),
        ("title = ", "x", "is no TOML"),
        ('title = "T"', "x", "has no description"),
        (MANIFEST, "{{ coupon }}", r"uses \['coupon'\]"),
        (MANIFEST, "{{ unsubscribe_url }}", r"uses \['unsubscribe_url'\]"),
        (MANIFEST, "{{ " + "not " * 20_000 + "first_name }}", "a tag is 80,0"),
        (MANIFEST, '{% include "_brand/nothing.html" %}', "there is no file"),
    ],
)
def test_a_template_that_cannot_work_is_refused(tmp_path: Path, manifest: str, body: str, told: str) -> None:
    folder = mine(tmp_path, manifest, **{"body.html": body})
    with pytest.raises(TemplateError, match=told):
        content.load("mine", folder)
    assert "mine" in content.faults(folder)
    assert "mine" not in content.names(folder, purpose=Purpose.CAMPAIGN)


def test_a_template_of_ones_own_stands_in_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    folder = mine(tmp_path)
    (tmp_path / "mine").rename(tmp_path / "shipped")
    assert content.names(folder) == NAMES
    assert content.load("shipped", folder).title == "T"
    assert content.load("delivered", folder).title == "Delivered"
    with pytest.raises(TemplateError, match="there is no folder"):
        content.names(tmp_path / "nowhere")


def test_a_text_part_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    folder = mine(tmp_path, **{"body.txt": "Dear {{ first_name }},\n\nbye"})
    shown = messages.render_message(content.load("mine", folder), {"first_name": "A&B"}, CONSTANTS)
    assert (shown.text, shown.html) == ("Dear A&B,\n\nbye", "<p>A&amp;B</p>")


def test_a_subject_of_a_marketer_never_reaches_the_parser_unchecked() -> None:
    with pytest.raises(TemplateError, match="the subject: a tag is"):
        content.render(content.load("win-back"), CONSTANTS, subject="{{ " + "not " * 20_000 + "first_name }}")
    with pytest.raises(TemplateError, match=r"there is no file"):
        content.render(content.load("win-back"), CONSTANTS, subject='{% include "body.html" %}')


def test_what_a_template_says_is_part_of_its_hash(tmp_path: Path) -> None:
    one = content.load("mine", mine(tmp_path))
    hashes = {one.hash, content.load("mine", mine(tmp_path, MANIFEST + '[content]\nx = "y"\n')).hash}
    hashes |= {content.load("mine", mine(tmp_path, MANIFEST + '[content]\nx = "z"\n')).hash}
    hashes |= {content.load("mine", mine(tmp_path, **{"preheader.txt": "p"})).hash}
    assert len(hashes) == 4


def test_an_account_has_its_own_words_in_a_campaign() -> None:
    html = content.render(content.load("win-back"), CONSTANTS).html
    assert "[%first_name|html%]" in html
    assert "[%unsubscribe_url|html%]/preferences" in html
    text = content.render(content.load("win-back"), CONSTANTS).text
    assert "[%first_name%]" in text
    assert "|html%" not in text
