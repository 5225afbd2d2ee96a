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
_A_SECOND = timedelta(seconds=1)  # WordPress keeps no finer time
_WORST_FIRST = ("disabled", "paused", "active")


def _open(access: Access) -> Api:
    # No limit is documented. WooCommerce runs beside the shop itself, often on a small machine: go gently.
    return Api(access.url, auth=(access.user, access.secret.get_secret_value()), pace=Pace(per_second=4, burst=20))


def _pages(api: Api, access: Access, since: datetime, until: datetime) -> Iterator[Page]:
    """Pages by time of change, each asked for from the last second of the page before it.

    By page numbers orders are lost: one that changes while we read leaves the list, so that what stood behind it moves
    up; and `orderby=modified` has no second key, so those of one second may be sorted anew for each page. So a page that
    lies in one second says nothing of what else lies there, and that second is asked for again by id. Raises
    ChannelRefused, ChannelUnavailable.
    """
    size = min(access.page_size or _LARGEST_PAGE, _LARGEST_PAGE)
    since, until = _whole(since), _whole(until)
    while True:
        observed_at = datetime.now(UTC)
        response = api.get(_ORDERS, _asked(since, until, "modified", size))
        orders = _listed(response)
        if _is_last(response, orders, 1, size):
            yield Page(response.content, observed_at, until)
            return
        last = max(since, _changed(orders))
        yield Page(response.content, observed_at, last)
        if last > since:
            since = last
            continue
        yield from _of_one_second(api, last, size)
        since = last + _A_SECOND


def _of_one_second(api: Api, second: datetime, size: int) -> Iterator[Page]:
    """All that changed in it, sorted by id. When some change meanwhile, the rest moves up and the total shrinks.

    Then as many pages are read again as may hold what slipped past.
    """
    page, known = 1, None
    while True:
        observed_at = datetime.now(UTC)
        response = api.get(_ORDERS, {**_asked(second, second + _A_SECOND, "id", size), "page": page})
        total = _header(response, "x-wp-total")
        if page > 1 and known is not None and total is not None and total < known:
            page = max(1, page - ceil((known - total) / size))
            known = total
            continue
        known = total
        yield Page(response.content, observed_at, second)
        if _is_last(response, _listed(response), page, size):
            return
        page += 1


def _asked(since: datetime, until: datetime, orderby: str, size: int) -> dict[str, Any]:
    """Both bounds of WordPress exclude."""
    return {
        "modified_after": _second(since - _A_SECOND),
        "modified_before": _second(until),
        "dates_are_gmt": "true",
        "orderby": orderby,
        "order": "asc",
        "per_page": size,
        "page": 1,
    }


def _is_last(response: httpx.Response, orders: list[Any], page: int, size: int) -> bool:
    """By WordPress' own count of pages; where a proxy took that away, a page that is not full."""
    last = _header(response, "x-wp-totalpages")
    return len(orders) < size if last is None else page >= last


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


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


def _changed(orders: list[Any]) -> datetime:
    """When the last order of the page changed; where that one does not say so, the last one that does."""
    for order in reversed(orders):
        try:
            changed_at = fields.optional_instant(order, "date_modified_gmt", zone=fields.UTC_ZONE)
        except Unfit:
            continue
        if changed_at is not None:
            return _whole(changed_at)
    raise ChannelUnavailable("WooCommerce lists orders without date_modified_gmt: nobody can tell where to go on")


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
