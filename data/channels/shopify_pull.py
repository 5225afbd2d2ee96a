"""The pull from Shopify: the orders query of the Admin GraphQL API, by time of change.

Shopify counts the cost of a query, not requests (shopify.dev, apps/build/apis/graphql-admin/rate-limits): an answer
says what is left (`extensions.cost.throttleStatus`), and one that was put off is a 200 with the code THROTTLED. A query
whose worst case is dearer than a shop may ask at once is refused as MAX_COST_EXCEEDED; then fewer orders are asked for.
What an order holds beyond the first page of its lines, and its refunds, is asked for on its own: never half an order.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from data.channels import fields
from data.channels.api import Access, Api, ChannelRefused, ChannelUnavailable, Pace, json_of
from data.channels.channel import Page, Pull, Unfit
from data.channels.shopify_graphql import nodes
from data.channels.shopify_login import Login

_VERSION = "2026-07"
_ORDERS_AT_ONCE = 10
_TRIES = 8
_MOST_PARCELS = 10  # in the first query
_MONEY = "{ presentmentMoney { amount currencyCode } shopMoney { amount currencyCode } }"
_SHOWN = "{ presentmentMoney { amount currencyCode } }"
_LINES = f"""{{
  nodes {{
    id title sku quantity currentQuantity vendor isGiftCard variant {{ id }} product {{ id }}
    originalUnitPriceSet {_SHOWN} discountAllocations {{ allocatedAmountSet {_SHOWN} }} taxLines {{ priceSet {_SHOWN} }}
  }}
  pageInfo {{ hasNextPage endCursor }}
}}"""
_PARCELS = """{
  id status displayStatus createdAt updatedAt deliveredAt trackingInfo { company number url }
}"""
_ORDERS = f"""query Orders($first: Int!, $after: String, $query: String!) {{
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{
      id legacyResourceId name email test currencyCode presentmentCurrencyCode taxesIncluded edited
      createdAt processedAt updatedAt cancelledAt cancelReason closedAt
      displayFinancialStatus displayFulfillmentStatus customerLocale customerAcceptsMarketing discountCodes
      totalPriceSet {_MONEY} currentTotalPriceSet {_MONEY} totalRefundedSet {_MONEY} totalTaxSet {_SHOWN}
      currentTotalTaxSet {_SHOWN} totalDiscountsSet {_SHOWN} currentTotalDiscountsSet {_SHOWN}
      totalShippingPriceSet {_SHOWN}
      customer {{
        id firstName lastName
        defaultEmailAddress {{ emailAddress marketingState marketingOptInLevel marketingUpdatedAt }}
      }}
      billingAddress {{ firstName lastName countryCodeV2 }}
      shippingAddress {{ countryCodeV2 }}
      transactions(first: 5) {{ kind status processedAt amountSet {_MONEY} }}
      fulfillments(first: {_MOST_PARCELS}) {_PARCELS}
      fulfillmentsCount {{ count }}
      refunds(first: 1) {{ id }}
      lineItems(first: 10) {_LINES}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
_MORE_LINES = f"""query Lines($id: ID!, $after: String) {{
  order(id: $id) {{ lineItems(first: 50, after: $after) {_LINES} }}
}}"""
_MORE_PARCELS = f"""query Parcels($id: ID!) {{
  order(id: $id) {{ fulfillments(first: 250) {_PARCELS} }}
}}"""
_REFUNDS = """query Refunds($id: ID!) {
  order(id: $id) { refunds(first: 250) { id createdAt } }
}"""
_REFUND = f"""query Refund($id: ID!, $after: String) {{
  refund(id: $id) {{
    transactions(first: 50) {{ nodes {{ kind status amountSet {_MONEY} }} }}
    refundLineItems(first: 50, after: $after) {{
      nodes {{ quantity lineItem {{ id }} subtotalSet {_SHOWN} totalTaxSet {_SHOWN} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}"""


class _TooDear(RuntimeError):
    """The worst case of the query costs more than may be asked at once."""


def _open(access: Access) -> Api:
    # Ten a second keep far within a bucket of cost, which answers themselves report.
    return Api(access.url, auth=Login(access), pace=Pace(per_second=10, burst=20))


def _pages(api: Api, access: Access, since: datetime, until: datetime) -> Iterator[Page]:
    """Pages sorted by time of change, so that each but the last is complete up to its last order's.

    Times are sent in whole seconds, as Shopify keeps them. Raises ChannelRefused, ChannelUnavailable.
    """
    try:
        yield from _read(api, access, since, until)
    except _TooDear as error:
        raise ChannelRefused("Shopify finds the query for a single order too dear: report this") from error
    except (KeyError, TypeError, IndexError, Unfit) as error:
        raise ChannelUnavailable(
            "Shopify's answer is not as its documents say: check version in channels.yaml"
        ) from error


def _read(api: Api, access: Access, since: datetime, until: datetime) -> Iterator[Page]:
    until = until.astimezone(UTC).replace(microsecond=0)
    asked = f"updated_at:>='{_second(since)}' updated_at:<'{_second(until)}'"
    first, after = access.page_size or _ORDERS_AT_ONCE, None
    while True:
        observed_at = datetime.now(UTC)
        variables = {"first": first, "after": after, "query": asked}
        try:
            connection = _ask(api, access, _ORDERS, variables, "orders")
        except _TooDear:
            if first == 1:
                raise
            first //= 2
            continue
        orders = [_whole(api, access, node) for node in nodes(connection)]
        is_last = not fields.find(connection, "pageInfo.hasNextPage")
        changed = fields.optional_instant(orders[-1], "updatedAt") if orders else None
        body = orjson.dumps({"data": {"orders": {"nodes": orders}}})
        yield Page(body, observed_at, until if is_last else changed)
        if is_last:
            return
        after = connection["pageInfo"]["endCursor"]


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole(api: Api, access: Access, order: Any) -> Any:
    """The order with all of its lines, parcels and refunds."""
    asked = {"id": order["id"]}
    if fields.find(order, "lineItems.pageInfo.hasNextPage"):
        known = nodes(order["lineItems"])
        after = order["lineItems"]["pageInfo"]["endCursor"]
        more = _all(api, access, _MORE_LINES, asked, ("order", "lineItems"), after)
        order["lineItems"] = {"nodes": [*known, *more]}
    if (fields.find(order, "fulfillmentsCount.count") or 0) > _MOST_PARCELS:
        order["fulfillments"] = _ask(api, access, _MORE_PARCELS, asked, "order")["fulfillments"]
    if order.get("refunds"):
        order["refunds"] = _ask(api, access, _REFUNDS, asked, "order")["refunds"]
        for refund in order["refunds"]:
            refund.update(_ask(api, access, _REFUND, {"id": refund["id"], "after": None}, "refund"))
            info = refund["refundLineItems"]["pageInfo"]
            if info["hasNextPage"]:
                path = ("refund", "refundLineItems")
                refund["refundLineItems"]["nodes"] += _all(
                    api, access, _REFUND, {"id": refund["id"]}, path, info["endCursor"]
                )
    return order


def _all(
    api: Api, access: Access, query: str, asked: Mapping[str, Any], path: tuple[str, str], after: str
) -> list[Any]:
    """The rest of a connection, page by page."""
    found: list[Any] = []
    while True:
        connection = _ask(api, access, query, {**asked, "after": after}, path[0])[path[1]]
        found += nodes(connection)
        if not connection["pageInfo"]["hasNextPage"]:
            return found
        after = connection["pageInfo"]["endCursor"]


def _ask(api: Api, access: Access, query: str, variables: Mapping[str, Any], name: str) -> Any:
    """What the query says under `name`. Waits where Shopify puts us off."""
    path = f"/admin/api/{access.version or _VERSION}/graphql.json"
    for _attempt in range(_TRIES):
        answer = json_of(api.post(path, {"query": query, "variables": dict(variables)}))
        errors = fields.find(answer, "errors")
        pause = _pause(answer)
        if not errors:
            found = fields.find(answer, f"data.{name}")
            if found is None:
                raise ChannelUnavailable(f"Shopify answers without {name}: the next pull goes on from the same place")
            api.rest(pause)
            return found
        _judge(errors)
        api.rest(pause or 1.0)
    raise ChannelUnavailable("Shopify puts us off again and again: the next pull goes on from the same place")


def _pause(answer: Any) -> float:
    """Seconds until a query as dear as this one can be paid for."""
    cost = fields.find(answer, "extensions.cost")
    try:
        needed = float(fields.find(cost, "requestedQueryCost") or 0)
        left = float(fields.find(cost, "throttleStatus.currentlyAvailable") or 0)
        return max(0.0, needed - left) / float(fields.find(cost, "throttleStatus.restoreRate") or 1)
    except (TypeError, ValueError):
        return 0.0


def _judge(errors: Any) -> None:
    """Return where waiting helps. An answer with gaps is none: a customer we may not see would count as a guest."""
    codes = {fields.find(error, "extensions.code") for error in errors} if isinstance(errors, list) else {None}
    if codes == {"THROTTLED"}:
        return
    if "MAX_COST_EXCEEDED" in codes:
        raise _TooDear
    if "ACCESS_DENIED" in codes:
        raise ChannelRefused("the token may not read all of an order: it needs the scopes read_orders, read_customers")
    if codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT"}:
        raise ChannelUnavailable("Shopify fails: the next pull goes on from the same place")
    said = ", ".join(sorted(str(code) for code in codes if code)) or "no code"
    raise ChannelRefused(f"Shopify refuses the query ({said}): check version in channels.yaml")


PULL = Pull(open=_open, pages=_pages, overlap=timedelta(minutes=5))
