"""Commands about templates on this machine: list, show, check, preview, new."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import message_preview, template_scaffold
from cli.output import AsJson, answer, table
from domain.template_fields import FIELDS, Purpose

if TYPE_CHECKING:
    from data.brands import Brand
    from data.content import Template
    from data.messages import Rendered

app = typer.Typer(no_args_is_help=True)
template_scaffold.register(app)
message_preview.register(app)
Name = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its name; `campaigns templates list` has all.")]
BrandOf = Annotated[
    str | None, typer.Option("--account", help="Whose brand; this installation's own account's unless given.")
]
_BAD_NEWS = 1


@app.command("list")
def list_templates(as_json: AsJson = False) -> None:
    """All templates, shipped and your own. Exit status 1: one cannot be used; it is named, and the others are listed."""
    from data import content

    own = _own()
    faults = content.faults(own)
    found = [content.load(name, own) for name in content.names(own) if name not in faults]
    payload = [_head(one) for one in found] + [{"name": name, "fault": why} for name, why in faults.items()]
    rows = [(one.name, str(one.stream), str(one.purpose), _whose(one.name), one.title) for one in found]
    lines = [table("", ["name", "stream", "for", "whose", "title"], rows), *(f"{why}" for why in faults.values())]
    answer(payload, as_json=as_json, text="\n".join(lines))
    if faults:
        raise typer.Exit(_BAD_NEWS)


def _head(one: "Template") -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "description": one.description,
        "stream": one.stream,
        "purpose": one.purpose,
        "language": one.language,
        "whose": _whose(one.name),
        "fields": list(one.used),
        "hash": one.hash,
    }


def _whose(name: str) -> str:
    own = _own()
    return "yours" if own and (own / name / "template.toml").exists() else "shipped"


def _own() -> Path | None:
    import settings

    return settings.without_secrets().content.templates


@app.command("show")
def show(name: Name, account: BrandOf = None, as_json: AsJson = False) -> None:
    """A template's meaning, its fields with types and fallbacks, and how it reads."""
    template, shown = _rendered(name, account)
    fields = [
        {
            "name": one,
            "type": FIELDS[one].kind,
            "fallback": template.fallbacks.get(one),
            "from": FIELDS[one].source,
            "meaning": FIELDS[one].meaning,
        }
        for one in template.used
    ]
    rows = [(one["name"], str(one["type"]), _fallback(one["fallback"]), one["meaning"]) for one in fields]
    text = "\n".join(
        [
            f"{template.name}: {template.title}",
            template.description,
            f"{template.stream}, for {_FOR[template.purpose]}; {template.language}; {_whose(name)}; {template.hash[:12]}",
            "",
            table("Fields", ["name", "type", "fallback", "meaning"], rows) if rows else "It uses no field.",
            "",
            _mail(shown),
        ]
    )
    payload = {**_head(template), "fields": fields, "mail": asdict(shown)}
    answer(payload, as_json=as_json, text=text)


_FOR = {
    Purpose.CAMPAIGN: "campaigns, filled in by the ESP",
    Purpose.OFFER: "one customer at a time, rendered here",
    Purpose.ORDER: "one order at a time, rendered here",
    Purpose.SHIPMENT: "one shipment at a time, rendered here",
    Purpose.ACCOUNT: "one request at a time, rendered here",
}


def _fallback(text: str | None) -> str:
    return "needed" if text is None else text or "left out"


def _mail(shown: "Rendered") -> str:
    return f"Subject: {shown.subject}\n\n{shown.text}"


def _rendered(name: str, account: str | None) -> "tuple[Template, Rendered]":
    """A template filled in with samples."""
    from data import content, messages
    from domain import template_fields

    template = content.load(name, _own())
    samples = template_fields.samples(template.purpose)
    return template, messages.render_message(template, samples, _constants(), brand=_brand(account))


def _constants() -> dict[str, str]:
    import settings

    shop = settings.without_secrets().shop
    return {"shop_name": shop.name, "postal_address": shop.postal_address, "sender_name": shop.sender_name}


def _brand(account: str | None) -> "Brand":
    import settings
    from data import brands

    return brands.load(_own(), account or settings.without_secrets().account)


@app.command("check")
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="TEMPLATE", help="Its name; all templates unless given.")
    ] = None,
    account: BrandOf = None,
    as_json: AsJson = False,
) -> None:
    """Size, contrast, dark mode, links, the way out, and what breaks in inboxes. Exit status 1: an error was found."""
    from data import content, template_checks
    from data.template_checks import Severity

    own, brand = _own(), _brand(account)
    faults = {} if name else content.faults(own)
    names = [name] if name else [one for one in content.names(own) if one not in faults]
    found = {one: template_checks.of_template(content.load(one, own), _constants(), brand) for one in names}
    payload = [
        {"template": one, "fault": faults.get(one), "findings": [asdict(each) for each in found.get(one, [])]}
        for one in sorted({*names, *faults})
    ]
    rows = [(one, str(each.severity), each.check, each.where, each.what_to_do) for one in names for each in found[one]]
    errors = sum(each.severity is Severity.ERROR for one in found.values() for each in one)
    answer(payload, as_json=as_json, text="\n".join(_judged(names, rows, errors, faults.values())))
    if errors or faults:
        raise typer.Exit(_BAD_NEWS)


def _judged(names: list[str], rows: Sequence[Sequence[str]], errors: int, faults: Iterable[str]) -> Iterable[str]:
    from data.template_checks import CHECKS

    if rows:
        yield table("", ["template", "grade", "check", "where", "what to do"], rows)
        yield ""
    yield from faults
    yield f"{len(names)} checked, {len(CHECKS)} checks each: {errors} errors, {len(rows) - errors} warnings."
