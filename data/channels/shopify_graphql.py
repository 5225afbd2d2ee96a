"""Order nodes of Shopify's Admin GraphQL API, brought into REST's words.

An order node is read as REST's order is (shopify.py): `as_rest` renames, and `in_its_words` leads a complaint back to
the field as GraphQL calls it, so that a dead letter names what stands in it.
"""

import re
from collections.abc import Mapping
from typing import Any

from data.channels.channel import Unfit

_GID = "gid://"
_DEEPEST = 12  # levels; an order has nine
_SNAKE = re.compile("(?<=[a-z0-9])([A-Z])")
_CAMEL = re.compile("_([a-z0-9])")
_RENAMED = {
    "displayFinancialStatus": "financial_status",
    "displayFulfillmentStatus": "fulfillment_status",
    "presentmentCurrencyCode": "presentment_currency",
    "customerAcceptsMarketing": "buyer_accepts_marketing",
    "isGiftCard": "gift_card",
    "originalUnitPriceSet": "price_set",
    "allocatedAmountSet": "amount_set",
    "displayStatus": "shipment_status",
    "countryCodeV2": "country_code",
    "emailAddress": "email",
    "marketingState": "state",
    "marketingOptInLevel": "opt_in_level",
    "marketingUpdatedAt": "consent_updated_at",
    "consentUpdatedAt": "consent_updated_at",
}
_WORDS = {
    *("financial_status", "fulfillment_status", "cancel_reason", "kind", "status", "shipment_status"),
    *("state", "opt_in_level"),
}
# What REST leaves empty or calls otherwise. GraphQL's finer words are kept.
_FULFILLMENT = {"partially_fulfilled": "partial"}
_CAMEL_NAMES = {
    "currency": ("currencyCode",),
    "total_price": ("totalPriceSet.presentmentMoney.amount",),
    **{snake: tuple(old for old, new in _RENAMED.items() if new == snake) for snake in _RENAMED.values()},
}


def is_node(raw: Mapping[str, Any]) -> bool:
    """Is this raw order GraphQL's? Its ids are gid://shopify/Order/…, its names camelCase."""
    number = raw.get("id")
    return (isinstance(number, str) and number.startswith(_GID)) or "totalPriceSet" in raw


def nodes(connection: Any) -> list[Any]:
    """What a connection holds, by nodes or by edges; a plain list is one already."""
    if isinstance(connection, list):
        return connection
    if isinstance(connection, Mapping):
        if isinstance(connection.get("nodes"), list):
            return list(connection["nodes"])
        if isinstance(connection.get("edges"), list):
            return [edge.get("node") if isinstance(edge, Mapping) else edge for edge in connection["edges"]]
    return [connection]


def _is_connection(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(value.get(name), list) for name in ("nodes", "edges"))


def as_rest(node: Mapping[str, Any]) -> dict[str, Any]:
    """The node in REST's words."""
    raw: dict[str, Any] = _renamed(node, "", _DEEPEST)
    if "currency_code" in raw:
        raw["currency"] = raw.pop("currency_code")
    codes = raw.get("discount_codes")
    if isinstance(codes, list):
        raw["discount_codes"] = [{"code": code} if isinstance(code, str) else code for code in codes]
    fulfillment = raw.get("fulfillment_status")
    if isinstance(fulfillment, str):
        raw["fulfillment_status"] = _FULFILLMENT.get(fulfillment, fulfillment)
    customer = raw.get("customer")
    if isinstance(customer, dict) and isinstance(address := customer.pop("default_email_address", None), dict):
        # Since 2025-04; emailMarketingConsent before.
        raw["customer"] = {"email": address.get("email"), "email_marketing_consent": address} | customer
    return raw


def _renamed(value: Any, name: str, levels: int) -> Any:
    if not levels:
        return None
    if _is_connection(value):
        value = nodes(value)
    if isinstance(value, Mapping):
        pairs = ((_RENAMED.get(key) or _SNAKE.sub(_lower, key), one) for key, one in value.items())
        return {new: _renamed(one, new, levels - 1) for new, one in pairs}
    if isinstance(value, list):
        return [_renamed(one, name, levels - 1) for one in value]
    return value.lower() if name in _WORDS and isinstance(value, str) else value


def _lower(match: re.Match[str]) -> str:
    return f"_{match[1].lower()}"


def in_its_words(unfit: Unfit, node: Mapping[str, Any]) -> Unfit:
    """The same complaint with the fields as GraphQL calls them."""
    sentence, names = str(unfit), []
    for path in unfit.fields:
        names.append(_native(path, node))
        sentence = sentence.replace(path, names[-1])
    return Unfit(unfit.rule, sentence, tuple(names))


def _native(path: str, node: Mapping[str, Any]) -> str:
    """The path of REST's words in the node itself."""
    here: Any = node
    walked: list[str] = []
    for part in path.split("."):
        if _is_connection(here) and part.isdigit():
            steps = ["nodes", part] if isinstance(here.get("nodes"), list) else ["edges", part, "node"]
        else:
            steps = _named(part, here)
        for step in steps:
            here = _at(here, step)
        walked += steps
    return ".".join(walked)


def _named(part: str, here: Any) -> list[str]:
    camel = _CAMEL.sub(lambda match: match[1].upper(), part)
    known = [*_CAMEL_NAMES.get(part, ()), camel]
    if part == "email_marketing_consent" and isinstance(here, Mapping) and "defaultEmailAddress" in here:
        return ["defaultEmailAddress"]
    found = next((name for name in known if isinstance(here, Mapping) and name in here), known[0])
    return found.split(".")


def _at(here: Any, step: str) -> Any:
    if isinstance(here, Mapping):
        return here.get(step)
    if isinstance(here, list) and step.isdigit() and int(step) < len(here):
        return here[int(step)]
    return None
