"""CDNOW: 69,659 real purchases of 23,570 customers of a CD shop, 1997-01 to 1998-06, as a file of our CSV contract.

The purchases are read from CDNOW_master.txt inside the package `lifetimes`, which is never imported. Real are: who
bought how many CDs for how many dollars on which day. All else follows these rules and is not data:

- Dates move by whole weeks, so that the last purchase lies within the 7 days before `as_of`; the time is noon UTC.
- A purchase is a completed order named `cdnow-<its row in the master file>` with one line of sku CD.
- Customer <id> has the address c<id>@ one of ten domains by id modulo 10: gmail.test four times, outlook.test twice,
  yahoo.test, icloud.test, example.com and example.net once, except for those in the rules below.
- id mod 2000: 22, 23 → hard.test; 24, 25 → soft.test; 26, 27 → block.test; 28 → complaint.test; 29 to 32 →
  unsubscribe.test; 33 to 36 → deferred.test; id mod 100 = 42 → machine.test. The sandbox ESP acts on these domains;
  those that fail are 0.3 % of all.
- id mod 500 = 7: no address. id mod 1000 = 13: an address without @. id mod 400 = 9: the mailbox of customer id - 1.
- id mod 20 = 0: never asked for consent. All others agreed with their first purchase (basis "consent", source
  "checkout"); those of id mod 50 = 1 withdrew with their last one.
"""

import csv
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from domain.consent import ConsentStatus
from domain.orders import OrderStatus

COLUMNS = (
    *("order_id", "customer_id", "email", "status", "currency", "order_total", "placed_at", "updated_at"),
    *("line_no", "sku", "quantity", "line_total"),
    *("consent_status", "consent_at", "consent_source", "consent_basis", "consent_wording"),
)
_SPECIAL = {
    **dict.fromkeys((22, 23), "hard.test"),
    **dict.fromkeys((24, 25), "soft.test"),
    **dict.fromkeys((26, 27), "block.test"),
    28: "complaint.test",
    **dict.fromkeys(range(29, 33), "unsubscribe.test"),
    **dict.fromkeys(range(33, 37), "deferred.test"),
}
_ORDINARY = (
    *("gmail.test", "gmail.test", "gmail.test", "gmail.test", "outlook.test", "outlook.test"),
    *("yahoo.test", "icloud.test", "example.com", "example.net"),
)
_NO_CONSENT = ("", "", "", "", "")


class MissingDataSet(RuntimeError):
    """The package that carries the data set is not installed."""


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What was written; `first` and `last` are days after the shift."""

    customers: int
    orders: int
    first: date
    last: date
    shifted_weeks: int


@dataclass(frozen=True, slots=True)
class _Purchase:
    number: int
    customer: int
    day: date
    cds: str
    dollars: str


def write_csv(target: Path, *, as_of: date) -> SampleReport:
    """Write the purchases as orders. Raises MissingDataSet."""
    purchases = list(_purchases(_master_file()))
    last = max(purchase.day for purchase in purchases)
    weeks = (as_of - last - timedelta(days=1)).days // 7
    shift = timedelta(weeks=weeks)
    ends: dict[int, tuple[_Purchase, _Purchase]] = {}  # the file is sorted by customer and day
    for purchase in purchases:
        ends[purchase.customer] = (ends.get(purchase.customer, (purchase,))[0], purchase)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(purchase, *ends[purchase.customer], shift) for purchase in purchases)
    first = min(purchase.day for purchase in purchases)
    return SampleReport(len(ends), len(purchases), first + shift, last + shift, weeks)


def _master_file() -> Path:
    spec = importlib.util.find_spec("lifetimes")  # finds a top-level package without importing it
    if spec is None or spec.origin is None:
        raise MissingDataSet(
            "the real order history ships in the package 'lifetimes', which is not installed: "
            "run `make demo`, which installs it, or `make setup`"
        )
    return Path(spec.origin).parent / "datasets" / "CDNOW_master.txt"


def _purchases(path: Path) -> Iterator[_Purchase]:
    with path.open(encoding="ascii") as file:
        next(file)
        for number, line in enumerate(file, start=1):
            customer, day, cds, dollars = line.split()
            yield _Purchase(number, int(customer), date.fromisoformat(day), cds, dollars)


def address(customer: int) -> str:
    """The customer's address, empty where there is none; the rule stands at the top of this module."""
    if customer % 500 == 7:  # noqa: PLR2004 - the rule's own numbers, here and below
        return ""
    if customer % 1000 == 13:  # noqa: PLR2004
        return f"c{customer}.example.com"
    if customer % 400 == 9:  # noqa: PLR2004
        return address(customer - 1)
    domain = _SPECIAL.get(customer % 2000, _ORDINARY[customer % 10])
    return f"c{customer}@{'machine.test' if customer % 100 == 42 else domain}"  # noqa: PLR2004


def _row(purchase: _Purchase, first: _Purchase, last: _Purchase, shift: timedelta) -> tuple[str | int, ...]:
    at = _noon(purchase.day + shift)
    return (
        *(f"cdnow-{purchase.number}", purchase.customer, address(purchase.customer), OrderStatus.COMPLETED.value),
        *("USD", purchase.dollars, at, at),
        *(1, "CD", purchase.cds, purchase.dollars),
        *_consent(purchase, first, last, shift),
    )


def _consent(purchase: _Purchase, first: _Purchase, last: _Purchase, shift: timedelta) -> tuple[str, ...]:
    if purchase.customer % 20 == 0:
        return _NO_CONSENT
    withdrew = purchase.customer % 50 == 1 and purchase is last
    status = ConsentStatus.WITHDRAWN if withdrew else ConsentStatus.GRANTED
    day = (last if withdrew else first).day + shift
    return status.value, _noon(day), "checkout", "consent", "demo-1"


def _noon(day: date) -> str:
    return f"{day.isoformat()}T12:00:00+00:00"
