"""Raw orders as the channels send them, small: one line of tea for 20.00. What a test says in addition stands above."""

from typing import Any

AT = "2026-03-01T12:00:00"


def shopify(number: int = 1001, **more: Any) -> dict[str, Any]:
    """An order of the REST Admin API, paid."""
    return {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "currency": "USD",
        "created_at": f"{AT}Z",
        "processed_at": f"{AT}Z",
        "updated_at": f"{AT}Z",
        "cancelled_at": None,
        "closed_at": None,
        "test": False,
        "financial_status": "paid",
        "fulfillment_status": None,
        "total_price": "20.00",
        "current_total_price": "20.00",
        "total_tax": "0.00",
        "total_discounts": "0.00",
        "email": "anna@example.com",
        "customer": {"id": 7, "email": "anna@example.com", "first_name": "Anna", "last_name": "Ling"},
        "line_items": [{"id": 1, "sku": "TEA", "title": "Tea", "quantity": 2, "price": "10.00"}],
        "refunds": [],
        "fulfillments": [],
    } | more


def consenting(state: str, at: str | None, **more: Any) -> dict[str, Any]:
    """A customer of Shopify's who said that about mail at that time."""
    told = {"state": state, "opt_in_level": "confirmed_opt_in", "consent_updated_at": at}
    return {"id": 7, "email": "anna@example.com", "first_name": "Anna", "email_marketing_consent": told} | more


def woocommerce(number: int = 501, **more: Any) -> dict[str, Any]:
    """An order of REST API v3, paid."""
    return {
        "id": number,
        "number": str(number),
        "status": "processing",
        "currency": "USD",
        "date_created": AT,
        "date_created_gmt": AT,
        "date_modified": AT,
        "date_modified_gmt": AT,
        "total": "20.00",
        "total_tax": "0.00",
        "shipping_total": "0.00",
        "discount_total": "0.00",
        "customer_id": 7,
        "billing": {"first_name": "Anna", "last_name": "Ling", "country": "DE", "email": "anna@example.com"},
        "line_items": [{"id": 1, "name": "Tea", "sku": "TEA", "product_id": 3, "quantity": 2, "total": "20.00"}],
        "refunds": [],
        "meta_data": [],
    } | more


def billed(email: str, **more: Any) -> dict[str, Any]:
    """What WooCommerce knows of a customer."""
    return {"first_name": "Anna", "last_name": "Ling", "country": "DE", "email": email} | more


def amazon(number: str = "302-0000001-0000001", status: str = "SHIPPED", **more: Any) -> dict[str, Any]:
    """An order of the Orders API 2026-01-01."""
    price = {"amount": "20.00", "currencyCode": "USD"}
    return {
        "orderId": number,
        "createdTime": f"{AT}Z",
        "lastUpdatedTime": f"{AT}Z",
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": "ATVPDKIKX0DER"},
        "buyer": {"buyerName": "Anna Ling", "buyerEmail": "x1y2z3@marketplace.amazon.com"},
        "recipient": {"deliveryAddress": {"name": "Anna Ling", "countryCode": "US"}},
        "proceeds": {"grandTotal": price},
        "fulfillment": {"fulfillmentStatus": status, "fulfilledBy": "MERCHANT"},
        "orderItems": [
            {
                "orderItemId": "1",
                "quantityOrdered": 2,
                "product": {"asin": "B000000001", "title": "Tea", "sellerSku": "TEA"},
                "proceeds": {"proceedsTotal": price, "breakdowns": [{"type": "ITEM", "subtotal": price}]},
            }
        ],
    } | more


def amazon_v0(number: str = "302-0000002-0000002", status: str = "Shipped", **more: Any) -> dict[str, Any]:
    """An order of the Orders API v0 with its items inside."""
    price = {"CurrencyCode": "USD", "Amount": "20.00"}
    return {
        "AmazonOrderId": number,
        "PurchaseDate": f"{AT}Z",
        "LastUpdateDate": f"{AT}Z",
        "OrderStatus": status,
        "OrderTotal": price,
        "MarketplaceId": "ATVPDKIKX0DER",
        "BuyerInfo": {"BuyerEmail": "x1y2z3@marketplace.amazon.com"},
        "OrderItems": [
            {"ASIN": "B1", "SellerSKU": "TEA", "OrderItemId": "1", "QuantityOrdered": 2, "ItemPrice": price}
        ],
    } | more


def adobe(number: int = 91, **more: Any) -> dict[str, Any]:
    """An order of Adobe Commerce, being processed."""
    return {
        "entity_id": number,
        "increment_id": f"{number:09}",
        "state": "processing",
        "status": "processing",
        "created_at": "2026-03-01 12:00:00",
        "updated_at": "2026-03-01 12:00:00",
        "order_currency_code": "USD",
        "base_currency_code": "USD",
        "grand_total": 20.0,
        "base_grand_total": 20.0,
        "tax_amount": 0,
        "shipping_amount": 0,
        "discount_amount": 0,
        "customer_is_guest": 0,
        "customer_id": 7,
        "customer_email": "anna@example.com",
        "customer_firstname": "Anna",
        "billing_address": {"country_id": "DE"},
        "items": [adobe_item(1)],
    } | more


def adobe_item(number: int, **more: Any) -> dict[str, Any]:
    """A row of an Adobe order."""
    return {
        "item_id": number,
        "product_type": "simple",
        "product_id": 40 + number,
        "sku": "TEA",
        "name": "Tea",
        "qty_ordered": 2,
        "price": 10,
        "row_total": 20,
        "discount_amount": 0,
        "tax_amount": 0,
    } | more


def medusa(number: str = "order_01H", **more: Any) -> dict[str, Any]:
    """An order of Medusa v2's admin API, paid."""
    return {
        "id": number,
        "display_id": 12,
        "status": "pending",
        "payment_status": "captured",
        "fulfillment_status": "not_fulfilled",
        "currency_code": "usd",
        "email": "anna@example.com",
        "customer_id": "cus_7",
        "created_at": f"{AT}.000Z",
        "updated_at": f"{AT}.000Z",
        "canceled_at": None,
        "total": 20,
        "tax_total": 0,
        "shipping_total": 0,
        "discount_total": 0,
        "summary": {"paid_total": 20, "refunded_total": 0},
        "items": [{"id": "item_1", "variant_sku": "TEA", "title": "Tea", "quantity": 2, "unit_price": 10, "total": 20}],
    } | more
