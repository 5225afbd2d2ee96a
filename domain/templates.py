"""Content: what a campaign says, with placeholders that the ESP fills for each recipient."""

from dataclasses import dataclass

# Two spellings of one variable: HTML needs its value escaped, subject and text part must not have it so.
_PLAIN = "[%{name}%]"
_HTML = "[%{name}|html%]"


def plain_tag(name: str) -> str:
    """The placeholder of a variable in a subject or text part."""
    return _PLAIN.format(name=name)


def html_tag(name: str) -> str:
    """The placeholder of a variable in an HTML part."""
    return _HTML.format(name=name)


@dataclass(frozen=True, slots=True)
class Content:
    """One mail for all: inline parts holding placeholders, or the name of a template that the ESP keeps."""

    name: str
    subject: str
    html: str
    text: str
    variables: tuple[str, ...]
    hash: str
    esp_template_id: str | None = None
