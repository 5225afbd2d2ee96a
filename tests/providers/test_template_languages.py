"""Our placeholders in the languages of the ESPs and back: what is read there is what the preview showed here.

The judges are tiny engines that know nothing of our code: each fills in what its vendor documents.
"""

import html
import re
from collections.abc import Callable, Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data import content
from domain.esp_templates import NotInOurWords, Parts, Understood
from domain.template_fields import Purpose
from domain.templates import Content, html_tag, plain_tag
from providers.mailchimp import transactional_tags
from providers.sendgrid import handlebars

Fill = Callable[[str, Mapping[str, str]], str]


def fill_handlebars(source: str, values: Mapping[str, str]) -> str:
    """Of the Handlebars guide: three braces put in as it is, two escape for HTML; a backslash takes a tag's meaning."""

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return values[match[2].strip()] if match[2] else html.escape(values[match[3].strip()])

    return re.sub(r"(\\)?(?:\{\{\{([^{}]*)\}\}\}|\{\{([^{}]*)\}\})", one, source)


def fill_merge_tags(source: str, values: Mapping[str, str]) -> str:
    """Of Mailchimp's page on merge tags; the mailer sends each value twice."""
    both = {name.upper(): html.escape(value) for name, value in values.items()}
    both |= {f"{name.upper()}_TEXT": value for name, value in values.items()}
    return re.sub(r"\*\|(.*?)\|\*", lambda match: both[match[1]], source)


LANGUAGES = [
    pytest.param(handlebars.write, handlebars.understand, fill_handlebars, id="handlebars"),
    pytest.param(transactional_tags.write, transactional_tags.understand, fill_merge_tags, id="merge tags"),
]
VALUES = {"first_name": "Zoë O'Brien & <b>", "unsubscribe_url": "https://shop.example.com/u/1.2?a=b&c=d"}
_words = st.text(st.sampled_from("ab {}\\|*<>&%\"'[]\n"), max_size=6)


@st.composite
def texts(draw: st.DrawFn, tag: Callable[[str], str]) -> str:
    names = draw(st.lists(st.sampled_from([*VALUES]), max_size=3))
    return draw(_words) + "".join(tag(name) + draw(_words) for name in names)


def as_content(parts: Parts) -> Content:
    return Content("x", parts.subject, parts.html, parts.text, tuple(VALUES), "")


@pytest.mark.parametrize(("write", "understand", "fill"), LANGUAGES)
@example(parts=Parts("", f"{{{html_tag('first_name')}}}", ""))
@example(parts=Parts(f"\\{plain_tag('first_name')}", "", ""))
@example(parts=Parts("", "", f"{plain_tag('first_name')}|{plain_tag('unsubscribe_url')}"))
@given(parts=st.builds(Parts, texts(plain_tag), texts(html_tag), texts(plain_tag)))
def test_what_is_read_there_is_what_the_preview_showed(
    write: Callable[[Parts], Parts], understand: Callable[[Parts], Understood], fill: Fill, parts: Parts
) -> None:
    try:
        theirs = write(parts)
    except NotInOurWords:
        return  # said before anything is uploaded
    shown = content.filled(as_content(parts), VALUES)
    assert {one: fill(getattr(theirs, one), VALUES) for one in ("subject", "html", "text")} == shown
    assert understand(theirs).parts == parts


@pytest.mark.parametrize(("write", "understand", "fill"), LANGUAGES)
@pytest.mark.parametrize("name", content.names(purpose=Purpose.CAMPAIGN))
def test_shipped_templates_go_there_and_back(
    name: str, write: Callable[[Parts], Parts], understand: Callable[[Parts], Understood], fill: Fill
) -> None:
    template = content.load(name)
    letter = content.render(template, dict.fromkeys(content.CONSTANTS, "Möbel & Söhne"))
    ours = Parts(letter.subject, letter.html, letter.text)
    found = understand(write(ours))
    assert (found.parts, found.fallbacks, found.warnings) == (ours, {}, ())
    assert {*found.used} == {*letter.variables, "unsubscribe_url"}
    values = dict.fromkeys(found.used, "O'Brien & <b>")
    assert fill(write(ours).html, values) == content.filled(letter, values)["html"]


def test_conditions_and_defaults_of_handlebars_are_words_for_who_has_none() -> None:
    html_part = (
        '{{#if first_name}}Hi {{ first_name }}{{else}}Hi{{/if}}{{! note }} {{insert last_name "default=friend"}}'
    )
    found = handlebars.understand(Parts("Hi", html_part, ""))
    assert found.used == ("first_name", "last_name")
    assert found.fallbacks == {"first_name": "", "last_name": "friend"}
    assert "note" not in found.parts.html
    assert html_tag("last_name") in found.parts.html
    (warning,) = handlebars.understand(Parts("Hi {{first_name}}", "", "")).warnings
    assert warning.startswith("its subject has {{first_name}}")


def test_conditions_of_merge_tags_are_words_for_who_has_none() -> None:
    found = transactional_tags.understand(Parts("Hi", "*|IF:FIRST_NAME|*Hi *|FIRST_NAME|**|ELSE:|*Hi*|END:IF|*", ""))
    assert (found.used, found.fallbacks) == (("first_name",), {"first_name": ""})


@pytest.mark.parametrize(
    ("understand", "parts", "words"),
    [
        (handlebars.understand, Parts("", "{{#each items}}", ""), "can be checked"),
        (handlebars.understand, Parts("", "{{order.total}}", ""), "can be checked"),
        (handlebars.understand, Parts("", "", "{{> footer}}"), "its text has {{> footer}}"),
        (handlebars.understand, Parts("", "{{{first_name}}}", ""), "unescaped"),
        (transactional_tags.understand, Parts("", "*|FIRST_NAME_TEXT|*", ""), "stands safely as *|FIRST_NAME|* only"),
        (transactional_tags.understand, Parts("*|FIRST_NAME|*", "", ""), "stands safely as *|FIRST_NAME_TEXT|* only"),
        (transactional_tags.understand, Parts("", "*|DATE:d/m/y|*", ""), "can be checked"),
    ],
)
def test_what_cannot_be_checked_is_refused(understand: Callable[[Parts], Understood], parts: Parts, words: str) -> None:
    with pytest.raises(NotInOurWords, match=re.escape(words)):
        understand(parts)


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (handlebars.write, "{{x}}"),
        (transactional_tags.write, "*|X|*"),
        (transactional_tags.write, "a|*b"),
        (transactional_tags.write, f"{plain_tag('first_name')}|"),
        (handlebars.write, f"{{{plain_tag('first_name')}}}"),
    ],
)
def test_signs_of_the_esp_in_our_text_are_refused(write: Callable[[Parts], Parts], text: str) -> None:
    with pytest.raises(NotInOurWords, match="write it another way"):
        write(Parts("Hi", "", text))
