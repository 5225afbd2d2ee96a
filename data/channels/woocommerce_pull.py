"""The pull from WooCommerce: GET /wp-json/wc/v3/orders by time of change, and the state of our webhook there.

Source: woocommerce-rest-api-docs, source/includes/wp-api-v3 (_orders.md, _webhooks.md, _introduction.md: X-WP-Total,
X-WP-TotalPages). Orders in the trash are not listed: a deletion is heard by webhook only.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import httpx

from data.channels import fields
from data.channels.api import Access, Api, ChannelUnavailable, Pace, json_of
from data.channels.channel import Page, Pull, Unfit

_ORDERS = "/wp-json/wc/v3/orders"
_WEBHOOKS = "/wp-json/wc/v3/webhooks"
_LARGEST_PAGE = 100
_WORST_FIRST = ("disabled", "paused", "active")


def _open(access: Access) -> Api:
    # No limit is documented. WooCommerce runs beside the shop itself, often on a small machine: go gently.
    return Api(access.url, auth=(access.user, access.secret.get_secret_value()), pace=Pace(per_second=4, burst=20))


def _pages(api: Api, access: Access, since: datetime, until: datetime) -> Iterator[Page]:
    """Pages by time of change. An order that changes while we read leaves the list, and what stood behind it moves up.

    Then the total shrinks, and as many pages are read again as may hold what slipped past. Both bounds of WordPress
    exclude. Raises ChannelRefused, ChannelUnavailable.
    """
    size = min(access.page_size or _LARGEST_PAGE, _LARGEST_PAGE)
    until = until.astimezone(UTC).replace(microsecond=0)
    asked = {
        "modified_after": _second(since - timedelta(seconds=1)),
        "modified_before": _second(until),
        "dates_are_gmt": "true",
        "orderby": "modified",
        "order": "asc",
        "per_page": size,
    }
    page, known = 1, None
    while True:
        observed_at = datetime.now(UTC)
        response = api.get(_ORDERS, {**asked, "page": page})
        total = _header(response, "x-wp-total")
        if page > 1 and known is not None and total is not None and total < known:
            page = max(1, page - ceil((known - total) / size))
            known = total
            continue
        known = total
        orders = _listed(response)
        last = _header(response, "x-wp-totalpages")
        is_last = len(orders) < size if last is None else page >= last
        yield Page(response.content, observed_at, until if is_last else _changed(orders))
        if is_last:
            return
        page += 1


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _header(response: httpx.Response, name: str) -> int | None:
    said = response.headers.get(name, "")
    return int(said) if said.isascii() and said.isdigit() else None


def _listed(response: httpx.Response) -> list[Any]:
    found = json_of(response)
    if not isinstance(found, list):
        raise ChannelUnavailable("WooCommerce answers something that is no list: does url lead to the shop?")
    return found


def _changed(orders: list[Any]) -> datetime | None:
    """When the last order of the page changed, if it says so."""
    try:
        return fields.optional_instant(orders[-1], "date_modified_gmt", zone=fields.UTC_ZONE) if orders else None
    except Unfit:
        return None


def _subscription(api: Api, access: Access) -> str:
    """The worst state among our webhooks for orders: active, paused (by a person), disabled (after five failures).

    Ours are those that deliver to options.delivery_url; none: there is no such. Without that option: unknown.
    """
    ours = access.options.get("delivery_url")
    if not isinstance(ours, str) or not ours:
        return "unknown"
    states: set[str] = set()
    page = 1
    while True:
        response = api.get(_WEBHOOKS, {"per_page": _LARGEST_PAGE, "page": page})
        listed = _listed(response)
        states |= {str(one.get("status")) for one in listed if isinstance(one, Mapping) and _is_ours(one, ours)}
        last = _header(response, "x-wp-totalpages")
        if len(listed) < _LARGEST_PAGE if last is None else page >= last:
            return next((state for state in _WORST_FIRST if state in states), "none")
        page += 1


def _is_ours(webhook: Mapping[str, Any], url: str) -> bool:
    delivers_to, topic = webhook.get("delivery_url"), webhook.get("topic")
    return (
        isinstance(delivers_to, str)
        and delivers_to.rstrip("/") == url.rstrip("/")
        and isinstance(topic, str)
        and topic.startswith("order.")
    )


PULL = Pull(open=_open, pages=_pages, subscription=_subscription)
