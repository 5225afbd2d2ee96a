"""Values against their declaration: sound ones are written in the reader's language, others are named and never shown."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.field_values import FieldError, is_link, known_locale, locale_of, printable, problems, written
from domain.template_fields import FIELDS, Kind

EURO = {"amount": "1234.5", "currency": "EUR"}


def write(values: Mapping[str, Any], *names: str, locale: str = "en_GB", **fallbacks: str) -> dict[str, Any]:
    return written(values, [FIELDS[name] for name in names], fallbacks, locale_of(locale))


@pytest.mark.parametrize(
    ("locale", "total", "day", "count"),
    [
        ("en_GB", "€1,234.50", "1 March 2026", "1,234"),
        ("en-US", "€1,234.50", "March 1, 2026", "1,234"),
        ("de", "1.234,50\xa0€", "1. März 2026", "1.234"),
        ("sv_SE", "1\xa0234,50\xa0€", "1 mars 2026", "1\xa0234"),
    ],
)
def test_money_days_and_numbers_are_written_in_the_readers_language(
    locale: str, total: str, day: str, count: str
) -> None:
    values = {"order_total": EURO, "ordered_on": "2026-03-01", "order_count": 1234}
    assert write(values, *values, locale=locale) == {"order_total": total, "ordered_on": day, "order_count": count}


def test_days_may_be_text_or_dates_and_yen_have_no_sen() -> None:
    for value in ("2026-03-01", date(2026, 3, 1), datetime(2026, 3, 1, 23, tzinfo=UTC), "2026-03-01T23:00:00+00:00"):
        assert write({"shipped_on": value}, "shipped_on") == {"shipped_on": "1 March 2026"}
    yen = {"amount": Decimal(500), "currency": "JPY"}
    assert write({"order_total": yen}, "order_total") == {"order_total": "JP¥500"}


def test_products_have_all_their_keys_and_one_piece_needs_no_number() -> None:
    items = [{"name": "Mug", "quantity": 1, "price": EURO}, {"name": "Cup", "quantity": 3, "url": "https://a.test/"}]
    (mug, cup) = write({"line_items": items}, "line_items")["line_items"]
    assert mug == {"name": "Mug", "quantity": "", "price": "€1,234.50", "image": "", "url": "", "note": ""}
    assert (cup["quantity"], cup["price"], cup["url"]) == ("3", "", "https://a.test/")


def test_fallbacks_of_the_template_go_before_those_of_the_field_and_gaps_are_named() -> None:
    assert write({}, "first_name", "tracking_url", "recommendations", "carrier", carrier="DHL") == {
        "first_name": "there",
        "tracking_url": "",
        "recommendations": [],
        "carrier": "DHL",
    }
    with pytest.raises(FieldError, match=r"^order_number is missing .*; line_items is missing"):
        write({"order_number": None}, "order_number", "line_items")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("first_name", "", "one line of text"),
        ("first_name", "a\nb", "one line of text"),
        ("first_name", "a\u202eb", "one line of text"),
        ("first_name", "x" * 2_001, "one line of text"),
        ("first_name", 7, "one line of text"),
        ("first_name", ["x"], "one line of text"),
        ("order_count", "7", "a number"),
        ("order_count", True, "a number"),
        ("order_count", float("nan"), "a number"),
        ("order_count", Decimal("Infinity"), "a number"),
        ("order_total", "19.90", "with its currency"),
        ("order_total", {"amount": 19.9, "currency": "EUR"}, "with its currency"),
        ("order_total", {"amount": "19.90"}, "with its currency"),
        ("order_total", {"amount": "19,90", "currency": "EUR"}, "with its currency"),
        ("order_total", {"amount": "NaN", "currency": "EUR"}, "with its currency"),
        ("order_total", {"amount": "1", "currency": "euro"}, "with its currency"),
        ("order_total", {"amount": [], "currency": "EUR"}, "with its currency"),
        ("ordered_on", "yesterday", "a day"),
        ("ordered_on", 20_260_301, "a day"),
        ("reset_url", "javascript:alert(1)", "begins with https"),
        ("line_items", {"name": "Mug"}, "a list of products"),
        ("line_items", ["Mug"], "a list of products"),
        ("line_items", [{"quantity": 1}], r"line_items\[0\].name is missing"),
        ("line_items", [{"name": "a"}, {"name": "b", "price": "1"}], r"line_items\[1\].price must be an amount"),
        ("line_items", [{"name": "a", "colour": "x"}], "a key that no product has"),
        ("line_items", [{"name": "a", "url": "data:text/html,x"}], r"line_items\[0\].url must be"),
        ("line_items", [{"name": "a"}] * 201, "200 are the most"),
    ],
)
def test_what_is_wrong_is_named_with_its_field_and_without_its_value(name: str, value: object, told: str) -> None:
    with pytest.raises(FieldError, match=told) as refused:
        write({name: value}, name)
    assert str(refused.value).startswith(name)
    for word in ("yesterday", "javascript", "colour", "19.9"):
        assert word not in str(refused.value).replace('"19.90"', "")


@pytest.mark.parametrize(
    "address",
    [
        *("javascript:alert(1)", "JAVASCRIPT:alert(1)", " https://a.test", "https://a.test/\n", "data:text/html,x"),
        *("ftp://a.test", "//a.test", "/orders", "https://", "https:///x", "http:a.test", "https://ann:pw@a.test/"),
        *(
            'https://a.test/"onclick="x',
            "https://a.test/<b>",
            "https://a.test\\@b.test",
            "https://a.test:99999/",
            "file:///etc",
        ),
        *("https://[::1", "vbscript:x", "https://a.test/ x", "x" * 3_000, "https://a.test/" + "x" * 2_048, "", None, 7),
    ],
)
def test_what_is_no_link(address: object) -> None:
    assert not is_link(address)


def test_what_is_a_link() -> None:
    for address in ("https://a.test", "http://a.test:8080/x?y=1&z=2#top", "https://ä.test/ü", "https://a.test/%20"):
        assert is_link(address)


def test_a_locale_that_does_not_exist_is_said() -> None:
    with pytest.raises(FieldError, match="there is no locale 'xx_nowhere'"):
        locale_of("xx_nowhere")


@given(st.sampled_from(Kind), st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "price", "amount", "currency", "x"]), inner, max_size=3)))  # fmt: skip
def test_any_value_is_either_sound_or_told(kind: Kind, value: Any) -> None:
    field = next(one for one in FIELDS.values() if one.kind is kind)
    if list(problems(field.name, kind, value)):
        return
    written({field.name: value}, [field], {}, locale_of("de"))  # what is sound can be written


@pytest.mark.parametrize("amount", ["1E+999999999", "1E-999999999", "NaN", "-Infinity", 10**15, 5.0, True, [5], None])
def test_an_amount_that_would_fill_the_memory_or_is_none_is_refused(amount: Any) -> None:
    assert list(problems("x", Kind.MONEY, {"amount": amount, "currency": "EUR"}))


def test_what_need_not_be_hashable_is_told_and_not_raised() -> None:
    assert list(problems("x", Kind.MONEY, {"amount": "5", "currency": []}))
    assert list(problems("x", Kind.ITEMS, [{"name": []}]))
    assert list(problems("x", Kind.NUMBER, 10**400))


def test_a_moment_says_its_offset_and_one_without_is_refused() -> None:
    for value in ("2026-11-23T14:05:00+01:00", datetime.fromisoformat("2026-11-23T14:05:00+01:00")):
        assert write({"changed_at": value}, "changed_at") == {"changed_at": "23 November 2026, 14:05 (GMT+01:00)"}
    for value in ("2026-11-23T14:05:00", "2026-11-23", date(2026, 11, 23), 5, "soon"):
        assert list(problems("x", Kind.MOMENT, value))


@pytest.mark.parametrize(
    ("told", "locale"),
    [
        ("de-DE", "de_DE"),
        ("de_DE.UTF-8", "de_DE"),
        ("de-XX", "de"),
        ("zh-Hant-TW", "zh_Hant_TW"),
        ("C", None),
        ("", None),
    ],
)
def test_a_channels_word_for_a_locale_is_taken_as_far_as_it_is_one(told: str, locale: str | None) -> None:
    assert known_locale(told) == locale
    assert known_locale(None) is None


@given(st.text(), st.integers(2, 50))
def test_whatever_is_made_printable_may_stand_in_a_mail(text: str, longest: int) -> None:
    found = printable(text, longest)
    assert found is None or (len(found) <= longest and not list(problems("x", Kind.TEXT, found)))
