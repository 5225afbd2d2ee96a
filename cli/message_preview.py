"""`campaigns preview`: one transactional mail as a person would get it, of a real order or with sample values."""

import os
import shlex
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import settings
from cli import store
from cli.output import AsJson, Mistake, answer, table

if TYPE_CHECKING:
    from data.brands import Brand
    from data.content import Template
    from data.messages import Rendered
    from domain.accounts import Account

_PLACE = Path("var/previews")
_BAD_NEWS = 1
_OWNER_ONLY = 0o600  # it shows what somebody ordered


def register(app: typer.Typer) -> None:
    """Add this command. It is one, at the top and among those about templates."""
    app.command("preview")(preview)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose mail it is, and what its fields are filled with."""

    constants: dict[str, str]
    account_id: str
    sender_email: str
    locale: str | None  # the reader's
    values: dict[str, Any]
    order: str | None = None  # CHANNEL/ID
    notes: tuple[str, ...] = ()


def preview(
    name: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its name; `campaigns templates list` has all.")],
    order: Annotated[
        str | None,
        typer.Option(help="Fill it in from this order: its number, its id in the channel, or CHANNEL/ID."),
    ] = None,
    values: Annotated[
        Path | None, typer.Option(help="Values in a file of JSON, over those of the order or the samples.")
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option(help="The reader's, such as de-AT: which language, and how money and days are written."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page into this file.")] = None,
    show_it: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the page in the browser; of an order's mail on a terminal it is."),
    ] = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """One mail as a person would get it: subject, text, and a page at the widths of a phone and a desk. Nothing is sent.

    Of a real order nothing is made up: where a field has no value, the template's fallback stands. The audit log notes
    who looked. Exit status 1: fields that it cannot do without are missing; they are listed.
    """
    over = _values(values)
    asked = _of_order(order, account, name, over, locale) if order is not None else _of_samples(account, over, locale)
    template, brand = _template(name, asked)
    if order is None:
        asked.values.update({**_samples(template), **over})
    if lacking := [one for one in template.required if asked.values.get(one) is None]:
        _tell_lacking(template, lacking, as_json=as_json)
    shown = _shown(template, asked, brand)
    opened = show_it if show_it is not None else order is not None and sys.stdout.isatty() and not as_json
    file = html or (_PLACE / f"{_file_name(name, asked.order)}.html" if order is not None or opened else None)
    if file is not None:
        _write(file, _page(template, asked, shown))
    if opened and file is not None:
        webbrowser.open(file.resolve().as_uri())
    told = [*asked.notes, f"Subject: {shown.subject}", "", shown.text, *(["", f"Page: {file}"] if file else [])]
    payload = {"template": template.name, "order": asked.order, "subject": shown.subject, "html": shown.html}
    answer({**payload, "text": shown.text, "file": file}, as_json=as_json, text="\n".join(told))


def _of_order(asked: str, account: str | None, name: str, over: dict[str, Any], locale: str | None) -> _Asked:
    from data import accounts, database, order_lookup, order_mail, transactional_mail

    engine = store.engine()
    with database.read(engine) as connection:
        shop: Account = accounts.get(connection, store.account_id(connection, account))
        found = order_lookup.find(connection, shop.id, asked)
        called = f"{found.channel}/{found.external_id}"
        mail = order_mail.of_order(connection, found.id, step=None, reference=None)
    store.note_reading(engine, shop.id, f"order:{found.id}", {"preview": name[:60]})
    notes = [] if found.notify else ["Its channel asks that nobody is mailed about it: this is never sent."]
    notes += [] if mail.email is not None else ["Its customer's address is not known: this is never sent."]
    return _Asked(
        transactional_mail.constants(shop),
        shop.id,
        shop.sender_email,
        locale or mail.locale or shop.language,
        {**mail.values, **over},
        called,
        tuple(notes),
    )


def _of_samples(account: str | None, over: dict[str, Any], locale: str | None) -> _Asked:
    """Without a store and without a secret."""
    config = settings.without_secrets()
    shop = config.shop
    constants = {"shop_name": shop.name, "postal_address": shop.postal_address, "sender_name": shop.sender_name}
    return _Asked(constants, account or config.account, shop.sender_email, locale, dict(over))


def _template(name: str, asked: _Asked) -> "tuple[Template, Brand]":
    """The template in the reader's language, and the account's brand. Raises Mistake for one that no order fills in."""
    from data import brands, content, transactional_mail
    from domain.suppression import Stream

    own = settings.without_secrets().content.templates
    template = content.load(transactional_mail.in_language(name, asked.locale, own), own)
    if asked.order is not None and template.stream is Stream.MARKETING:
        raise Mistake(f"{name} is marketing: no order fills it in. `campaigns preview {name}` shows it with samples")
    return template, brands.load(own, asked.account_id)


def _samples(template: "Template") -> dict[str, Any]:
    from domain import template_fields

    return template_fields.samples(template.purpose)


def _shown(template: "Template", asked: _Asked, brand: "Brand") -> "Rendered":
    from data import messages, transactional_mail

    spelled = asked.locale if asked.order is None else transactional_mail.spelled(asked.locale, template)
    return messages.render_message(template, asked.values, asked.constants, spelled, brand=brand)


def _tell_lacking(template: "Template", lacking: list[str], *, as_json: bool) -> None:
    """What the order does not tell is the caller's to say."""
    from domain.template_fields import FIELDS

    rows = [(one, str(FIELDS[one].kind), str(FIELDS[one].source), FIELDS[one].meaning) for one in lacking]
    example = shlex.quote("{" + ", ".join(f'"{one}": …' for one in lacking) + "}")
    text = table(f"{template.name} cannot be written without:", ["field", "type", "comes from", "meaning"], rows)
    told = f"{text}\nWrite them into a file of JSON ({example}) and name it with --values."
    answer({"template": template.name, "missing": lacking}, as_json=as_json, text=told)
    raise typer.Exit(_BAD_NEWS)


def _page(template: "Template", asked: _Asked, shown: "Rendered") -> str:
    from gateway import rendering

    return rendering.page(
        "mail_preview.html",
        name=template.name,
        language=template.language,
        order=asked.order or "",
        notes=list(asked.notes),
        sender=f"{asked.constants['sender_name']} <{asked.sender_email}>",
        subject=shown.subject,
        mail=shown.html,
        text=shown.text,
        kilobytes=round(len(shown.html.encode()) / 1024),
    )


def _file_name(name: str, order: str | None) -> str:
    return "".join(one if one.isalnum() or one in "-_" else "-" for one in f"{name}-{order}" if order) or name


def _values(file: Path | None) -> dict[str, Any]:
    import orjson

    if file is None:
        return {}
    try:
        found = orjson.loads(file.read_bytes())
    except OSError as error:
        raise Mistake(f"{file} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise Mistake(f"{file} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Mistake(f'{file} must hold fields and their values, such as {{"first_name": "Ann"}}')
    return found


def _write(file: Path, page: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY), "w", encoding="utf-8") as to:
            to.write(page)
    except OSError as error:
        raise Mistake(f"{file} cannot be written: {error.strerror}") from error
