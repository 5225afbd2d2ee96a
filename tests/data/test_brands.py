"""The brand of a shop, and of an account of it, over the shipped one."""

from pathlib import Path

import pytest

from data import brands, content, messages
from data.template_engine import TemplateError
from domain import template_fields

CONSTANTS = {"shop_name": "Salt & Vinyl", "postal_address": "1 Street", "sender_name": "Sam"}


def own(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "_brand").mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / "_brand" / name.replace("__", ".")).write_text(text)
    return tmp_path


def shown(brand: brands.Brand) -> str:
    template = content.load("shipped")
    return messages.render_message(template, template_fields.samples(template.purpose), CONSTANTS, brand=brand).html


def test_an_account_goes_before_the_shop_and_the_shop_before_what_is_shipped(tmp_path: Path) -> None:
    folder = own(
        tmp_path,
        brand__toml='home = "https://vinyl.test/"\nnote = "HRB 4711"\n[light]\naccent = "#003366"\n',
        second__toml='note = "HRB 4712"\nlogo_url = "https://vinyl.test/logo.png?a=1&b=2"\n',
    )
    shop, second = brands.load(folder), brands.load(folder, "second")
    assert (shop.home, shop.values["note"], shop.values["light"]["accent"]) == (
        "https://vinyl.test/",
        "HRB 4711",
        "#003366",
    )
    assert shop.values["light"]["page"] == brands.load().values["light"]["page"]
    assert (second.home, second.values["note"]) == ("https://vinyl.test/", "HRB 4712")
    assert brands.load(folder, "third") == shop
    assert "HRB 4711" in shown(shop)
    assert '<img src="https://vinyl.test/logo.png?a=1&amp;b=2" width="140" alt="Salt &amp; Vinyl"' in shown(second)
    assert "#003366" in shown(second)


def test_a_file_of_the_layout_of_ones_own_stands_in_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    folder = own(tmp_path, header__html="<tr><td>Our own head, {{ shop_name }}</td></tr>")
    assert "Our own head, Salt &amp; Vinyl" in shown(brands.load(folder))


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('accnt = "#003366"', "has 'accnt', which no brand has"),
        ('[light]\naccent = "red"', "accent must be a colour such as"),
        ('[light]\naccent = "#003366;} body{display:none"', "accent must be a colour"),
        ('home = "javascript:x"', "home must be an address with https://"),
        ('home = "https://vinyl.test"', "home must be an address that ends with /"),
        ('body_font = "x;} \'"', "body_font must be font names, without quotation marks"),
        ("corner = 9999", "corner must be whole pixels"),
        ("note = 7", "note must be text"),
        ("home = ", "is no TOML"),
    ],
)
def test_what_is_no_brand_is_refused_by_file_and_key(tmp_path: Path, toml: str, told: str) -> None:
    with pytest.raises(TemplateError, match=rf"brand\.toml.*{told}"):
        brands.load(own(tmp_path, brand__toml=toml))


def test_a_layout_of_ones_own_is_checked_like_any_template(tmp_path: Path) -> None:
    brand = brands.load(own(tmp_path, header__html="{{ shop_name|safe }}"))
    with pytest.raises(TemplateError, match=r"_brand/header\.html: there is no filter 'safe'"):
        shown(brand)
