"""What holds for both versions of Amazon's Orders API: its buyers, its marketplaces, and orders without a total.

The buyer's address is a relay (@marketplace.amazon.*) and Amazon's policy forbids marketing to it, so neither it nor a
name is kept. Nothing that Amazon gives identifies a buyer lastingly: each one is a guest.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from data.channels import fields
from data.channels.channel import Ignored, Unfit
from domain.orders import Customer

# developer-docs.amazon.com/sp-api/docs/marketplace-ids, with the currency that the marketplace sells in.
_MARKETPLACES = {
    "EUR": (
        *("A28R8C7NBKEWEA", "A1RKKUPIHCS9HS", "A13V1IB3VIYZZH", "AMEN7PMS3EDWL"),  # IE ES FR BE
        *("A1805IZSGTT6HS", "A1PA6795UKMFR9", "APJ6JRA9NG5V4"),  # NL DE IT
    ),
    "GBP": ("A1F83G8C2ARO7P",),
    "SEK": ("A2NODRKZP88ZB9",),
    "PLN": ("A1C3SOZRARQ6R3",),
    "TRY": ("A33AVAJ2PDY3EV",),
    "USD": ("ATVPDKIKX0DER",),
    "CAD": ("A2EUQ1WTGCTBG2",),
    "MXN": ("A1AM78C64UM0Y8",),
    "BRL": ("A2Q3Y263D00KWC",),
    "JPY": ("A1VC38T7YXB528",),
    "AUD": ("A39IBJ37TRP1C6",),
    "SGD": ("A19VAU5U5O7RUS",),
    "INR": ("A21TJRUUN4KGV",),
    "AED": ("A2VIGQ35RCS4UG",),
    "SAR": ("A17E79C6D8DWNP",),
    "EGP": ("ARBP9OOSHTCHU",),
    "ZAR": ("AE08WJ6YKNBMC",),
}
_CURRENCIES = {marketplace: currency for currency, all_of_it in _MARKETPLACES.items() for marketplace in all_of_it}


def buyer(raw: Any, country_path: str) -> Customer:
    """All that is kept of a buyer: the country of delivery."""
    return Customer(external_id="", email=None, country=fields.country(raw, country_path), relay=True)


def total(raw: Any, paths: tuple[str, str, str], *, pending: bool, free: bool) -> tuple[str, Decimal] | Ignored:
    """Currency and total; `paths` are those of the amount, of its currency and of the marketplace.

    Amazon tells the total when the payment is settled, and none of an order that was cancelled before, or of a
    replacement: these (`free`) cost nothing, and their marketplace says in which currency. One that is `pending` is
    no order to be counted until then. Raises Unfit.
    """
    amount_path, currency_path, marketplace_path = paths
    if fields.decimal(raw, amount_path) is not None:
        code = fields.currency(raw, currency_path)
        return code, fields.amount(raw, amount_path, code)
    known = _CURRENCIES.get(fields.text(raw, marketplace_path) or "")
    if free and known:
        return known, Decimal(0)
    if pending:
        return Ignored("Amazon tells the total once the payment is settled; the next update brings the order")
    raise Unfit(
        "total_missing",
        f"{amount_path} is missing: ask Amazon with includedData=PROCEEDS, as our own pull does, or send the order again",
        (amount_path,),
    )


def share_of(raw: Any, paths: tuple[str, ...]) -> Decimal | None:
    """The sum of the parts that are there; None where none is."""
    found = [part for path in paths if (part := fields.share(raw, path)) is not None]
    return sum(found, Decimal(0)) if found else None


def sum_of(parts: list[Decimal | None]) -> Decimal | None:
    """The sum of what is known; None where nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known, Decimal(0)) if known else None


def status_unknown(path: str, known: Iterable[str]) -> Unfit:
    """What to do about a word that the API's model does not have."""
    return Unfit(
        "status_unknown",
        f"{path} is none of: {', '.join(sorted(known))}. Patch it to the one that it means and replay it; a new word of "
        "Amazon's has to be declared in its adapter",
        (path,),
    )
