"""A pre-flight as people read it. What the DNS and mail servers say cannot break it, or be read as markup."""

import pytest

from domain.preflight import Light, Line, worst
from tasks import preflight_words

LINES = [
    Line("content", "spring", Light.YELLOW, "the subject is all capitals", "write it in small letters", "SpamAssassin"),
    Line("dkim", "s1._domainkey.shop.example.com", Light.GREEN, "an RSA key"),
    Line(
        "dmarc",
        "shop.example.com",
        Light.RED,
        "no record | <b>`x`</b> [a](b)",
        '_dmarc TXT "v=DMARC1; p=none"',
        "Gmail",
    ),
    Line("spf", "shop.example.com", Light.GREY, "no answer"),
    Line("bimi", "shop.example.com", Light.BLUE, "not published"),
]


def _shown(refused: tuple[str, ...] = ()) -> str:
    return preflight_words.markdown("spring", LINES, refused, worst(LINES))


def test_what_needs_somebody_comes_first_with_the_record_to_copy() -> None:
    text = _shown()
    places = [text.index(one) for one in ("### 🔴 fail: dmarc", "### ⚪ cannot tell: spf", "### 🟡 warning: content")]
    assert places == sorted(places)
    assert max(places) < text.index("## Everything")
    assert '```text\n_dmarc TXT "v=DMARC1; p=none"\n```' in text
    assert "To do: **write it in small letters**" in text
    assert "🔴 1 fail · ⚪ 1 cannot tell · 🟡 1 warning · 🟢 1 pass · 🔵 1 information" in text


def test_foreign_words_stay_words() -> None:
    text = _shown()
    (row,) = [line for line in text.splitlines() if line.startswith("| 🔴")]
    assert row.replace("\\|", "").count("|") == 5
    assert "<b>" not in row
    assert "`" not in row
    assert "\\[a](b)" in row


def test_reasons_that_no_line_tells_are_told() -> None:
    text = _shown(("dmarc of shop.example.com: no record | <b>`x`</b> [a](b)", "dkim was not looked at"))
    assert "🔴 A marketing launch is refused" in text
    assert "- dkim was not looked at" in text
    assert "- dmarc of" not in text


@pytest.mark.parametrize(
    ("light", "words"),
    [
        (Light.GREEN, "🟢 Everything is right"),
        (Light.YELLOW, "🟡 It may go out; something could be better"),
        (Light.GREY, "⚪ Something could not be found out"),
        (Light.RED, "🔴 Something is wrong"),
    ],
)
def test_the_whole_in_one_line(light: Light, words: str) -> None:
    assert preflight_words.headline(light, ()) == words


def test_advice_about_a_domain_is_no_record_to_copy() -> None:
    advice = Line("dkim", "shop.example.com", Light.GREY, "no selector is known", "set OMS_PREFLIGHT_DKIM_SELECTORS")
    records, told = preflight_words.mends([advice, LINES[2]])
    assert (records, told) == ([LINES[2]], [advice])
    text = preflight_words.markdown("spring", [advice], (), Light.GREY)
    assert "To do: **set OMS_PREFLIGHT_DKIM_SELECTORS**" in text


def test_a_rehearsal_says_that_no_dns_was_looked_at() -> None:
    asked = Line("connectivity", "sandbox", Light.GREEN, "it answers")
    said = "rehearsal: the DNS was not looked at"
    assert said in preflight_words.headline(Light.GREEN, (), [asked])
    assert said in preflight_words.markdown("spring", [asked], (), Light.GREEN)
    assert said not in preflight_words.headline(Light.GREEN, (), [asked, LINES[1]])
    assert said not in preflight_words.markdown("Who can be reached", LINES[4:], (), Light.GREEN)


def test_a_reason_that_a_line_tells_is_not_told_twice() -> None:
    told = f"dmarc of shop.example.com: {LINES[2].found}. To mend it: x"
    assert preflight_words.untold(LINES, [told, "dkim was not looked at"]) == ["dkim was not looked at"]
