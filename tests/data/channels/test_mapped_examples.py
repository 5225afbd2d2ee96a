import io
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from data.channels.channel import Ignored, Unfit
from data.channels.mapping import load
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Order, OrderEvent, OrderKind, OrderLine, OrderStatus, OrderStep
from tests.data.channels import online_retail
from tests.data.channels.mapped_orders import ROOT, from_file, read

EXAMPLES = ROOT / "docs" / "mappings"


@pytest.mark.parametrize("form", ["latin", "pandas", "second"])
def test_net_revenue_a_customer_is_that_of_the_rows(tmp_path: Path, form: str) -> None:
    rows = list(online_retail.rows(2500))
    path = tmp_path / "online-retail.csv"
    path.write_bytes(online_retail.as_csv(rows, form))
    found = list(from_file(path, load(EXAMPLES / "online-retail.yaml")))
    orders = [one for one in found if isinstance(one, Order)]
    assert [one for one in found if isinstance(one, Unfit)] == []

    frame = pd.read_csv(io.BytesIO(path.read_bytes()), dtype=str, encoding="latin-1" if form == "latin" else "utf-8")
    frame.columns = pd.Index(online_retail.COLUMNS)
    frame["worth"] = frame["Quantity"].map(Decimal) * frame["UnitPrice"].map(Decimal)
    bought = frame.dropna(subset=["CustomerID"])
    wanted = bought.groupby(bought["CustomerID"].str.removesuffix(".0"))["worth"].sum().to_dict()
    net: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        net[order.customer.external_id] += order.total - order.refunded
    of_nobody = net.pop("")
    assert len(wanted) > 500
    assert dict(net) == wanted
    no_debt = frame["CustomerID"].isna() & ~frame["InvoiceNo"].str.startswith("A")
    assert of_nobody == frame.loc[no_debt, "worth"].sum()

    reasons = Counter(one.reason for one in found if isinstance(one, Ignored))
    assert set(reasons.values()) == {
        sum(row.invoice[0] == "A" for row in rows),
        sum(row.invoice[0] != "C" and row.quantity < 0 for row in rows),
    }
    assert sum(len(order.lines) for order in orders) + reasons.total() == len(rows)


def test_a_cancellation_of_its_own_is_a_credit_and_each_quirk_is_read_right() -> None:
    content = (
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n"
        "536365,85123A,WHITE HEART,6,12/1/2010 8:27,2.55,17850,United Kingdom\r\n"
        "536365,POST,POSTAGE,1,12/1/2010 8:26,18.00,17850,United Kingdom\r\n"
        "C536379,D,Discount,-1,7/1/2011 9:41,27.5,14527.0,EIRE\r\n"
        "536414,22139,\xa320 voucher,56,12/1/2010 11:52,0,,Channel Islands\r\n"
    ).encode("latin-1")
    sale, credit, gift = read(content, load(EXAMPLES / "online-retail.yaml"))
    placed = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert sale == Order(
        external_id="536365",
        number="536365",
        customer=Customer(external_id="17850", email=None, country="GB"),
        status=OrderStatus.COMPLETED,
        channel_status="completed",
        currency="GBP",
        total=Decimal("33.30"),
        refunded=Decimal(0),
        placed_at=placed,
        updated_at=placed,
        cancelled_at=None,
        is_test=False,
        lines=(
            OrderLine(1, "85123A", "WHITE HEART", None, 6, Decimal("15.30")),
            OrderLine(2, "POST", "POSTAGE", "Postage", 1, Decimal("18.00")),
        ),
    )
    assert isinstance(credit, Order)
    assert (credit.kind, credit.status, credit.total, credit.refunded) == (
        OrderKind.CREDIT,
        OrderStatus.REFUNDED,
        0,
        Decimal("27.5"),
    )
    assert credit.placed_at == datetime(2011, 7, 1, 8, 41, tzinfo=UTC)  # summer in London
    assert credit.lines == (OrderLine(1, "D", "Discount", "Discount", -1, Decimal("-27.5")),)
    assert (credit.customer.external_id, credit.customer.country) == ("14527", "IE")
    assert isinstance(gift, Order)
    assert (gift.customer.external_id, gift.customer.country, gift.total) == ("", None, 0)
    assert gift.lines[0].title == "£20 voucher"


def test_the_nested_example_is_read_whole() -> None:
    orders = list(from_file(EXAMPLES / "own-shop.jsonl", load(EXAMPLES / "own-shop.yaml")))
    sold, guest, credit, offer = orders
    placed = datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert sold == Order(
        external_id="70001",
        number="R-70001",
        customer=Customer(
            external_id="00042",
            email="anna@example.com",
            first_name="Anna",
            last_name="Beispiel",
            country="DE",
            locale="de-DE",
            consent=Consent(ConsentStatus.GRANTED, "consent", "checkout", "v3", placed, "confirmed_opt_in"),
        ),
        status=OrderStatus.SHIPPED,
        channel_status="versandt",
        currency="EUR",
        total=Decimal("53.80"),
        refunded=Decimal("15.10"),
        placed_at=placed,
        updated_at=datetime(2026, 3, 3, 8, 30, tzinfo=UTC),
        cancelled_at=None,
        is_test=False,
        lines=(
            OrderLine(1, "TEA-1", "Green tea", "Tea", 2, Decimal("39.80"), external_id="1", brand="Leaf"),
            OrderLine(2, "CUP-7", "Cup", "Cups", 1, Decimal("15.10"), external_id="2"),
        ),
        tax=Decimal("8.59"),
        shipping=Decimal("4.90"),
        discount=Decimal("6.00"),
        coupons=("SPRING", "TEA10"),
        events=(
            OrderEvent(OrderStep.REFUNDED, datetime(2026, 3, 5, 8, tzinfo=UTC), "g-1", Decimal("15.10"), note="broken"),
            OrderEvent(OrderStep.PAID, datetime(2026, 3, 1, 11, 1, tzinfo=UTC), "p-1", Decimal("53.80")),
            OrderEvent(
                OrderStep.SHIPPED,
                datetime(2026, 3, 2, 16, tzinfo=UTC),
                "s-1",
                carrier="DHL",
                tracking_number="JD0001",
                tracking_url="https://track.example.com/JD0001",
            ),
        ),
    )
    assert isinstance(guest, Order)
    assert guest.customer == Customer(external_id="", email="bob@example.org")
    assert [line.sku for line in guest.lines] == ["SET-9"]  # the gift wrap is no merchandise
    assert guest.lines[0].total == 1980
    assert isinstance(credit, Order)
    assert (credit.kind, credit.replaces, credit.total, credit.refunded) == (
        OrderKind.CREDIT,
        "70001",
        0,
        Decimal("19.9"),
    )
    assert offer == Ignored("an offer is no order yet")


def test_the_documented_example_is_read_as_the_document_says(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "connect-your-own-system.md").read_text()
    blocks = dict(re.findall(r"```(yaml|csv)\n(.*?)```", document, re.DOTALL))
    (tmp_path / "shop.yaml").write_text(blocks["yaml"])
    (tmp_path / "orders.csv").write_text(blocks["csv"])
    found = list(from_file(tmp_path / "orders.csv", load(tmp_path / "shop.yaml")))
    told = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \| (\S+) \| (\d+) \|", document, re.MULTILINE)
    orders = [one for one in found if isinstance(one, Order)]
    assert len(found) == len(orders) + 1
    assert told == [
        (one.external_id, one.status.value, f"{one.total:.2f}", f"{one.refunded:.2f}", str(len(one.lines)))
        for one in orders
    ]
