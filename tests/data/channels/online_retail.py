"""Rows shaped like the "Online Retail" data set, with all its known quirks. The data set itself is not shipped.

Every figure is random but seeded; names of goods and countries are of the kind that the set has.
"""

import csv
import io
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
SECOND = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")
_GOODS = (
    *(("85123A", "WHITE HANGING HEART T-LIGHT HOLDER"), ("71053", "WHITE METAL LANTERN"), ("22423", "")),
    *(("84029G", 'KNITTED "UNION FLAG", HOT WATER BOTTLE'), ("gift_0001_20", "Dotcomgiftshop Gift Voucher £20.00")),
    *(("POST", "POSTAGE"), ("M", "Manual"), ("BANK CHARGES", "Bank Charges"), ("PADS", "PADS TO MATCH ALL CUSHIONS")),
    *(("85123a", " white hanging heart t-light holder "), ("15056bl", "EDWARDIAN PARASOL BLACK"), ("C2", "CARRIAGE")),
)
_COUNTRIES = ("United Kingdom", "EIRE", "Norway", "RSA", "USA", "Unspecified", "Channel Islands", "European Community")


class Row(NamedTuple):
    """One row of the set, before it is written down in one of the forms that are in circulation."""

    invoice: str
    stock: str
    title: str
    quantity: int
    at: datetime
    price: str
    customer: int | None
    country: str


def rows(invoices: int, seed: int = 7) -> Iterator[Row]:
    """All rows, those of one invoice one below the other."""
    chance = random.Random(seed)
    at = datetime(2010, 12, 1, 8, 26)  # noqa: DTZ001 - the set has no zone
    for number in range(536365, 536365 + invoices):
        at += timedelta(minutes=chance.randrange(1, 240))
        if not 6 <= at.hour < 20:  # the shop is closed at night
            at = at.replace(hour=7) + timedelta(days=at.hour >= 20)
        what = chance.random()
        customer = None if chance.random() < 0.2 else 12346 + chance.randrange(invoices // 4)
        country = chance.choice(_COUNTRIES)
        if what < 0.02:
            yield Row(
                f"A{number}", "B", "Adjust bad debt", 1, at, chance.choice(("11062.06", "-11062.06")), None, country
            )
        elif what < 0.06:  # stock that was lost: no customer, no price, less than nothing
            yield Row(str(number), "21777", chance.choice(("", "damages", "?", "lost")), -10, at, "0", None, country)
        else:
            cancelled = what < 0.24
            for line in _lines(chance, cancelled=cancelled):
                later = at + timedelta(minutes=chance.random() < 0.05)
                yield Row(f"{'C' * cancelled}{number}", *line[:3], later, line[3], customer, country)


def _lines(chance: random.Random, *, cancelled: bool) -> Iterator[tuple[str, str, int, str]]:
    for _ in range(chance.choice((1, 1, 2, 5, 30))):
        stock, title = chance.choice(_GOODS)
        price = "0.001" if stock == "PADS" else f"{Decimal(chance.randrange(0, 2000)) / 100}"
        quantity = chance.choice((1, 6, 12, 600))
        line = ("D", "Discount", -1, "27.5") if cancelled and chance.random() < 0.1 else None
        yield line or (stock, title, -quantity if cancelled else quantity, price)
        if chance.random() < 0.05:  # the set has rows that stand twice: they were charged twice
            yield line or (stock, title, -quantity if cancelled else quantity, price)


def as_csv(found: list[Row], form: str) -> bytes:
    """`latin`: as the set is mostly handed around; `pandas`: written by a data frame; `second`: of the later set."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n" if form == "pandas" else "\r\n")
    writer.writerow(SECOND if form == "second" else COLUMNS)
    for row in found:
        at, customer = row.at, "" if row.customer is None else str(row.customer)
        if form == "latin":
            when = f"{at.month}/{at.day}/{at.year} {at.hour}:{at.minute:02}"
        else:
            when = f"{at:%Y-%m-%d %H:%M:%S}"
            customer = customer and f"{customer}.0"
        writer.writerow((row.invoice, row.stock, row.title, row.quantity, when, row.price, customer, row.country))
    return out.getvalue().encode("latin-1" if form == "latin" else "utf-8")
