from pathlib import Path

import pytest

from data import content, variables
from domain import templates
from domain.template_fields import Purpose

CONSTANTS = {"shop_name": "Salt & Pepper", "postal_address": "1 Street", "sender_name": "Sam"}
GOOD = {
    "subject.txt": "Hello {{ first_name }}",
    "body.html": "<p>{{ first_name }} at {{ shop_name }}</p><a href='{{ unsubscribe_url }}'>no more</a>",
    "body.txt": "{{ first_name }} at {{ shop_name }}: {{ unsubscribe_url }}",
    "template.toml": 'title = "T"\ndescription = "D"\n[fallbacks]\nfirst_name = "you"\n',
}


def _folder(tmp_path: Path, **changed: str) -> Path:
    (tmp_path / "mine").mkdir(exist_ok=True)
    for name, text in {**GOOD, **{key.replace("_", ".", 1): value for key, value in changed.items()}}.items():
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path


def test_every_shipped_template_loads_and_renders() -> None:
    campaigns = content.names(purpose=Purpose.CAMPAIGN)
    assert campaigns == ["category-offer", "new-arrivals", "newsletter", "win-back"]
    for name in campaigns:
        template = content.load(name)
        rendered = content.render(template, CONSTANTS)
        assert "{{" not in rendered.html + rendered.text + rendered.subject
        assert templates.html_tag("unsubscribe_url") in rendered.html
        assert templates.plain_tag("unsubscribe_url") in rendered.text
        values = dict.fromkeys((*rendered.variables, variables.UNSUBSCRIBE_URL), "x")
        assert "[%" not in "".join(content.filled(rendered, values).values())


def test_constants_are_filled_in_and_escaped_for_their_part(tmp_path: Path) -> None:
    template = content.load("mine", _folder(tmp_path))
    rendered = content.render(template, CONSTANTS)
    assert "Salt &amp; Pepper" in rendered.html
    assert "Salt & Pepper" in rendered.text
    assert rendered.variables == ("first_name",)
    assert template.required == ()
    assert content.filled(rendered, {"first_name": "<b>"})["html"].startswith("<p>&lt;b&gt; at")
    assert content.filled(rendered, {"first_name": "<b>"})["text"].startswith("<b> at")


def test_a_subject_of_ones_own_may_use_the_same_placeholders(tmp_path: Path) -> None:
    template = content.load("mine", _folder(tmp_path))
    rendered = content.render(template, CONSTANTS, subject="{{ order_count }} times")
    assert rendered.subject == "[%order_count%] times"
    assert rendered.variables == ("first_name", "order_count")
    with pytest.raises(content.TemplateError, match="line break"):
        content.render(template, CONSTANTS, subject="a\nb")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"body_txt": "no way out"}, "must offer a way out"),
        ({"subject_txt": "{{ nonsense }}"}, "uses \\['nonsense'\\]"),
        ({"subject_txt": "{{ first_name"}, "does not end"),
        ({"subject_txt": "{{ first_name|upper }}"}, "does more than name"),
        ({"subject_txt": "{% if first_name %}x{% endif %}"}, "does more than name"),
        ({"template_toml": 'title = "T"\ndescription = "D"\n[fallbacks]\nlast_nam = ""\n'}, "do not exist"),
    ],
)
def test_a_template_that_cannot_work_is_refused_by_file_and_reason(
    tmp_path: Path, changed: dict[str, str], complaint: str
) -> None:
    with pytest.raises(content.TemplateError, match=complaint):
        content.load("mine", _folder(tmp_path, **changed))


def test_a_missing_part_and_a_missing_template_are_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "mine" / "body.html").unlink()
    with pytest.raises(content.TemplateError, match=r"mine/body\.html is missing"):
        content.load("mine", folder)
    with pytest.raises(content.TemplateError, match=r"there are: account-changed, .*mine"):
        content.load("other", folder)


def test_hashes_tell_what_changed(tmp_path: Path) -> None:
    one = content.load("mine", _folder(tmp_path))
    other = content.load("mine", _folder(tmp_path, subject_txt="Bye {{ first_name }}"))
    assert one.hash != other.hash
    assert content.render(one, CONSTANTS).hash != content.render(other, CONSTANTS).hash


def test_a_gap_without_fallback_is_an_error_not_an_empty_word() -> None:
    assert variables.written("first_name", ["Ann", None], "you") == ["Ann", "you"]
    with pytest.raises(ValueError, match="no value for a recipient"):
        variables.written("first_name", ["Ann", None], None)
