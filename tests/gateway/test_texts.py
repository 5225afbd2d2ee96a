"""Every language says everything, and nothing of it in another language."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import rendering, texts
from gateway.texts import Wish

LANGUAGES = list(texts.languages())
OTHERS = [code for code in LANGUAGES if code != "en"]
# What customers agree to, word by word: whoever changes a sentence raises consent_version in its file, so that what each
# of them read can be told for ever.
AGREED_TO = {
    ("de", "2026-11"): "60c97d65",
    ("en", "2026-11"): "37bf527b",
    ("es", "2026-11"): "5da4ca6f",
    ("fr", "2026-11"): "3c0a1f7d",
}
_FIELD = re.compile(r"{(\w*)}")
_STATE = {
    "shop": "Käthes Laden",
    "email": "news@shop.example.com",
    "post": "1 Market Street",
    "address": "k***@e***.com",
    "token": "t",
    "bar": None,
    "agreed": True,
    "refused": False,
    "done": None,
    "topics": [{"name": "x", "title": "☼", "wanted": True}],
    "frequencies": [{"value": one, "text": one, "chosen": False} for one in ("usual", "weekly", "monthly")],
}
PAGES = [
    ("unsubscribe.html", {}),
    ("unsubscribed.html", {}),
    ("missing.html", {}),
    ("missing.html", {"shop": None, "email": None, "post": None}),
    ("busy.html", {}),
    *(("preferences.html", {"done": done}) for done in ("saved", "agreed", "refused")),
    ("preferences.html", {"agreed": False, "refused": True}),
    *(("preferences.html", {"bar": bar}) for bar in ("complaint", "mailbox", "manual", "erased", "moved")),
]


def sections(language: str) -> dict[str, dict[str, str]]:
    return {name: section for name, section in texts.load(language).items() if isinstance(section, dict)}


def flat(language: str) -> dict[str, str]:
    return {f"{name}.{key}": text for name, section in sections(language).items() for key, text in section.items()}


def test_english_and_german_are_among_them():
    assert LANGUAGES[0] == "en"
    assert "de" in LANGUAGES


@pytest.mark.parametrize("language", OTHERS)
def test_all_have_the_same_keys_and_fill_in_the_same(language):
    assert flat(language).keys() == flat("en").keys()
    for key, text in flat(language).items():
        assert text.strip()
        assert set(_FIELD.findall(text)) == set(_FIELD.findall(flat("en")[key])), key


@pytest.mark.parametrize("language", OTHERS)
def test_no_text_is_left_in_english(language):
    same = {key for key, text in flat(language).items() if text == flat("en")[key]}
    assert same == {"preferences.consent_version"}


def visible(page: str) -> set[str]:
    """Pieces of text between tags and in labels, without styles."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return {one.strip() for one in re.findall(r">([^<>]+)<", body) if one.strip()}


@pytest.mark.parametrize(("template", "changes"), PAGES)
def test_a_page_holds_nothing_but_texts_of_its_language(template, changes):
    """Whatever stands in the German page and in the English one is no text: names and what the shop calls things."""
    pages = {
        language: rendering.in_language(template, language, **(_STATE | changes)).body.decode()
        for language in ("en", "de")
    }
    common = visible(pages["en"]) & visible(pages["de"])
    assert common <= {"Käthes Laden", "☼", "news@shop.example.com", *texts.languages().values()}
    for language, page in pages.items():
        assert f'<html lang="{language}">' in page
        assert "{" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_used(language):
    used = set()
    for template in ("unsubscribe", "unsubscribed", "preferences", "missing", "contact", "busy", "customer"):
        used |= set(re.findall(r"\bt\.([a-z_]+\.[a-z_]+)", (rendering._FOLDER / f"{template}.html").read_text("utf-8")))
    indirect = {f"barred.{key}" for key in sections(language)["barred"]}
    indirect |= {f"preferences.{key}" for key in ("saved", "agreed", "refused", "usual", "weekly", "monthly")}
    assert flat(language).keys() == used | indirect | {"preferences.consent_version"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_agreed_to_change_only_with_their_version(language):
    told = texts.load(language)["preferences"]
    digest = hashlib.sha256(told["consent"].encode()).hexdigest()[:8]
    assert AGREED_TO[language, told["consent_version"]] == digest


def test_a_shop_may_be_called_anything():
    page = rendering.in_language("preferences.html", "de", **(_STATE | {"shop": "<b>{address}</b> & Co"})).body.decode()
    assert "&lt;b&gt;{address}&lt;/b&gt; &amp; Co" in page.replace("&#x2f;", "/")
    assert "<b>" not in page


@given(st.text(max_size=80), st.text(max_size=200), st.text(max_size=20))
def test_any_header_gives_a_language(clicked, header, locale):
    assert Wish(clicked, header).language(locale, None) in LANGUAGES
