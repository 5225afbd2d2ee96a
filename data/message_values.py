"""Whether a message that is asked for over HTTP can be written: each value that is wrong or missing, by its field.

It is written once now, so that who asks learns of it, and once more when it goes: a template may be mended meanwhile.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from data import content, field_values, lane_checks, transactional_mail, variables
from data.content import Template, TemplateError
from data.field_values import FieldError
from domain import template_fields
from domain.accounts import Account
from domain.suppression import Stream


class Fault(NamedTuple):
    """A field of the request and what is wrong with it: never its value."""

    field: str
    sentence: str


class Unwritable(ValueError):
    """The mail cannot be made from this."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{one.field}: {one.sentence}" for one in faults))
        self.faults = faults


def check(name: str, values: Mapping[str, Any], *, locale: str | None, account: Account, own: Path | None) -> Template:
    """Write the mail once, and forget it; the template that it was written by. Raises Unwritable."""
    if locale is not None and not _is_locale(locale):
        raise Unwritable([Fault("recipient.locale", "there is no such locale; write one such as en-GB or de")])
    template = _template(name, locale or account.language, own)
    if faults := list(_faults(template, values)):
        raise Unwritable(faults)
    try:
        transactional_mail.rendered(template, dict(values), account, locale, own)
    except FieldError as error:  # its text names fields and no values
        raise Unwritable([Fault("variables", str(error))]) from None
    except TemplateError:
        sentence = "the template cannot be written with these; show fewer products, or have the template mended"
        raise Unwritable([Fault("variables", sentence)]) from None
    return template


def names(own: Path | None) -> list[str]:
    """The templates that can be asked for."""
    purposes = [one for one in template_fields.Purpose if template_fields.stream(one) is Stream.TRANSACTIONAL]
    return sorted(
        {name for purpose in purposes for name in content.names(own, purpose=purpose)} - {lane_checks.TEMPLATE}
    )


def usable(own: Path | None) -> list[Template]:
    """Those of them that have no fault."""
    found = []
    for name in names(own):
        with suppress(TemplateError):
            found.append(content.load(name, own))
    return found


def _template(name: str, locale: str | None, own: Path | None) -> Template:
    try:
        # The plain one first: order-confirmation-de can be asked for by itself, too.
        found = content.load(name, own) if name in content.names(own) and name != lane_checks.TEMPLATE else None
        if found is None or found.stream is not Stream.TRANSACTIONAL:
            known = ", ".join(names(own))
            raise Unwritable([Fault("template", f"there is no such transactional template; there are: {known}")])
        spoken = transactional_mail.in_language(name, locale, own)
        return found if spoken == name else content.load(spoken, own)
    except TemplateError:
        sentence = "it cannot be used as it is; `campaigns templates check` tells the shop why"
        raise Unwritable([Fault("template", sentence)]) from None


def _faults(template: Template, values: Mapping[str, Any]) -> Iterator[Fault]:
    allowed = template_fields.allowed(template.purpose)
    for name, value in values.items():
        if name not in allowed:
            known = ", ".join(sorted(allowed))
            yield Fault(f"variables.{name}", f"a template for this purpose ({template.purpose}) has: {known}")
            continue
        begin = f"{name} "
        for sentence in field_values.problems(name, allowed[name].kind, value):
            yield Fault(f"variables.{name}", sentence.removeprefix(begin))
    for name in template.required:
        if name not in values and name not in variables.LINKS:
            yield Fault(f"variables.{name}", f"is missing ({allowed[name].meaning})")


def _is_locale(locale: str) -> bool:
    try:
        field_values.locale_of(locale)
    except FieldError:
        return False
    return True
