"""Pull orders from Adobe Commerce: GET /rest/V1/orders, with what belongs to them from three more searches.

Sources: AdobeDocs/commerce-webapi, src/pages/rest/performing-searches.md and src/openapi/admin-schema-2.4.9.yaml. The
integration needs the resources Sales and Customers.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from data.channels import fields, walk
from data.channels.api import Access, Api, Pace
from data.channels.channel import Page, Pull, Unfit

_LARGEST_PAGE = 100
_ORDERS, _MEMOS, _SHIPMENTS = "/rest/V1/orders", "/rest/V1/creditmemos", "/rest/V1/shipments"
_CUSTOMERS = "/rest/V1/customers/search"
Filter = tuple[str, str, str]  # field, condition, value


def open_api(access: Access) -> Api:
    """The shop's REST API, by an integration's access token. Adobe documents no rate; ours spares a shop's server."""
    token = access.token.get_secret_value()
    return Api(access.url, headers={"Authorization": f"Bearer {token}"}, pace=Pace(per_second=4, burst=10))


def pages(api: Api, access: Access, since: datetime, until: datetime) -> Iterator[Page]:
    """All orders changed in [since, until), oldest change first. Magento counts whole seconds: the last one waits."""
    size = min(access.page_size or _LARGEST_PAGE, _LARGEST_PAGE)
    since, until = _whole_second(since), _whole_second(until)
    observed_at = until

    def ask(changed_since: datetime, page: int) -> walk.Listed:
        nonlocal observed_at
        observed_at = datetime.now(UTC)
        filters = [("updated_at", "gteq", _naive(changed_since)), ("updated_at", "lt", _naive(until))]
        return _search(api, _ORDERS, filters, page, size, sort=("updated_at", "entity_id"))

    for found, done in walk.walk(ask, _changed_at, since, until):
        _join(api, found)
        yield Page(json.dumps({"items": found, "total_count": len(found)}).encode(), observed_at, until=done)


def _whole_second(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


def _naive(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _changed_at(order: Any) -> datetime:
    return fields.instant(order, "updated_at", zone=fields.UTC_ZONE)


def _search(
    api: Api, path: str, filters: list[Filter], page: int, size: int, *, sort: tuple[str, ...] = ("entity_id",)
) -> walk.Listed:
    """One page of a search, from page 0. Behind the last Magento gives the last again, so its own count says the end."""
    query: dict[str, Any] = {"searchCriteria[pageSize]": size, "searchCriteria[currentPage]": page + 1}
    for number, (field, condition, value) in enumerate(filters):
        group = f"searchCriteria[filter_groups][{number}][filters][0]"
        query |= {f"{group}[field]": field, f"{group}[condition_type]": condition, f"{group}[value]": value}
    for number, field in enumerate(sort):
        query[f"searchCriteria[sortOrders][{number}][field]"] = field
        query[f"searchCriteria[sortOrders][{number}][direction]"] = "ASC"
    answer = walk.document(api.get(path, query).content)
    if isinstance(answer, dict) and answer.get("items") is None:
        answer["items"] = []  # so it says "none"
    found = walk.listed(answer, "items")
    return walk.Listed(found, walk.is_more(answer, "total_count", read=page * size + len(found)))


def _all(api: Api, path: str, field: str, ids: set[str]) -> list[Any]:
    """Everything that belongs to these ids."""
    found: list[Any] = []
    page, more = 0, bool(ids)
    while more:
        some, more = _search(api, path, [(field, "in", ",".join(sorted(ids)))], page, _LARGEST_PAGE)
        found += some
        page, more = page + 1, more and bool(some)
    return found


def _join(api: Api, orders: list[Any]) -> None:
    """Put credit memos, shipments and the customer into each order."""
    orders = [order for order in orders if isinstance(order, dict)]
    ids = _ids(orders, "entity_id")
    memos = _by(_all(api, _MEMOS, "order_id", ids), "order_id")
    shipments = _by(_all(api, _SHIPMENTS, "order_id", ids), "order_id")
    customers = _by(_all(api, _CUSTOMERS, "entity_id", _ids(orders, "customer_id")), "id")
    for order in orders:
        key = _id(order, "entity_id")
        order["credit_memos"], order["shipments"] = memos.get(key, []), shipments.get(key, [])
        if theirs := customers.get(_id(order, "customer_id")):
            order["customer"] = _needed(theirs[0])


def _needed(customer: Any) -> dict[str, Any]:
    """Of a customer's record only what is used; birthday and addresses are nobody's business here."""
    attributes = fields.find(customer, "extension_attributes.is_subscribed")
    return {
        "id": fields.find(customer, "id"),
        "created_at": fields.find(customer, "created_at"),
        "extension_attributes": {} if attributes is None else {"is_subscribed": attributes},
    }


def _id(one: Any, name: str) -> str:
    try:
        return fields.optional_id(one, name) or ""
    except Unfit:
        return ""


def _ids(orders: list[Any], name: str) -> set[str]:
    return {found for order in orders if (found := _id(order, name))}


def _by(found: list[Any], name: str) -> Mapping[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for one in found:
        groups.setdefault(_id(one, name), []).append(one)
    return groups


# Magento writes an order some seconds before it commits it, under load more.
PULL = Pull(open=open_api, pages=pages, overlap=timedelta(minutes=10))
