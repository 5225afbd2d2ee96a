"""Pull orders from Medusa's admin API: GET /admin/orders (medusa: packages/medusa/src/api/admin/orders)."""

from collections.abc import Iterator
from datetime import UTC, datetime

from data.channels import fields, walk
from data.channels.api import Access, Api, Pace
from data.channels.channel import Page, Pull

_LARGEST_PAGE = 100
# A sign in front adds to what the list shows anyway; totals and status words of payments are reckoned on demand.
_FIELDS = (
    "+email,+currency_code,+customer_id,+no_notification,+is_draft_order,+canceled_at,+payment_status,"
    "+fulfillment_status,+total,+subtotal,+tax_total,+discount_total,+shipping_total,*items,*items.adjustments,"
    "*shipping_methods,*shipping_methods.adjustments,*transactions,*fulfillments,*fulfillments.labels,*customer,"
    "*shipping_address,*billing_address"
)


def open_api(access: Access) -> Api:
    """The admin API. A secret key is the user of basic authentication, without a password.

    Medusa documents no rate; ours spares a shop's server.
    """
    return Api(access.url, auth=(access.token.get_secret_value(), ""), pace=Pace(per_second=4, burst=10))


def pages(api: Api, access: Access, since: datetime, until: datetime) -> Iterator[Page]:
    """All orders changed in [since, until), oldest change first."""
    size = min(access.page_size or _LARGEST_PAGE, _LARGEST_PAGE)
    body, observed_at = b"", until

    def ask(changed_since: datetime, page: int) -> walk.Listed:
        nonlocal body, observed_at
        observed_at = datetime.now(UTC)
        query = {
            "updated_at[$gte]": changed_since.isoformat(),
            "updated_at[$lt]": until.isoformat(),
            "order": "updated_at",
            "limit": size,
            "offset": page * size,
            "fields": _FIELDS,
        }
        body = api.get("/admin/orders", query).content
        answer = walk.document(body)
        found = walk.listed(answer, "orders")
        return walk.Listed(found, walk.is_more(answer, "count", read=page * size + len(found)))

    for stretch in walk.walk(ask, lambda one: fields.instant(one, "updated_at"), since, until):
        yield Page(body, observed_at, until=stretch.until)


PULL = Pull(open=open_api, pages=pages)
