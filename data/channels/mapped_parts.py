"""The parts of an order that a mapping reads: its lines, its customer, what the customer said, what happened to it."""

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from data.channels import mapping_values
from data.channels.channel import Unfit
from data.channels.mapping import Mapping
from data.channels.mapping_fields import EventFields, LineFields, RefundFields, Section, Skip
from data.channels.mapping_values import Terms
from domain import money
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, OrderEvent, OrderLine, OrderStep

_ROUNDING = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN}
_FINEST = Decimal(1).scaleb(-money.SCALE)


class Part(NamedTuple):
    """One section of the mapping, and the rows that it reads. `place` stands before a field's name in a sentence."""

    section: Section
    rows: Sequence[Any]
    terms: Terms
    place: str = ""

    def get(self, name: str) -> Any:
        """The field's value, or None where the mapping or the row says nothing."""
        source = getattr(self.section, name)
        return source and source.read(self.place + name, self.rows, self.section.kinds[name], self.terms)

    def need(self, name: str) -> Any:
        """The same, and it must be there."""
        return getattr(self.section, name).required(self.place + name, self.rows, self.section.kinds[name], self.terms)


def skipped(row: Any, rules: Sequence[Skip]) -> str | None:
    """Why the row is left out, if it is."""
    return next((rule.because for rule in rules if rule.fits(row)), None)


def customer(mapping: Mapping, rows: Sequence[Any], terms: Terms) -> Customer:
    """Who ordered."""
    part = Part(mapping.customer, rows, terms, "customer.")
    return Customer(
        external_id=part.get("external_id") or "",
        email=part.get("email"),
        first_name=part.get("first_name"),
        last_name=part.get("last_name"),
        country=part.get("country"),
        consent=_consent(mapping, rows, terms),
        locale=part.get("locale"),
        relay=bool(part.get("relay")),
    )


def _consent(mapping: Mapping, rows: Sequence[Any], terms: Terms) -> Consent | None:
    """A grant has to be provable; a withdrawal counts however little is known of it."""
    if mapping.consent is None:
        return None
    part = Part(mapping.consent, rows, terms, "consent.")
    if (status := part.get("status")) is None:
        return None
    read = part.need if status == ConsentStatus.GRANTED else part.get
    return Consent(
        status=ConsentStatus(status),
        basis=read("basis") or "",
        source=read("source") or "",
        wording=read("wording") or "",
        occurred_at=part.need("at"),
        level=part.get("level") or "",
    )


def lines(mapping: Mapping, rows: Sequence[Any], terms: Terms, *, credit: bool) -> tuple[OrderLine, ...]:
    """All lines that are merchandise. Those of a credit count below zero. Raises Unfit."""
    section = mapping.line
    if section is None:
        return ()
    raws = _entries(rows[0], section.list, "line.list") if section.list else rows
    found: dict[int, OrderLine] = {}
    for place, raw in enumerate(raws):
        if skipped(raw, section.skip_when):
            continue
        try:
            line = _line(mapping, section, raw, terms, counted=len(found) + 1, credit=credit)
            if line.line_no in found:
                raise Unfit("line_no_twice", "line_no stands twice in this order", section.line_no.path)  # type: ignore[union-attr]
        except Unfit as fault:
            told = str(fault) if len(raws) == 1 else f"line {place + 1} of the order's {len(raws)}: {fault}"
            where = f"{section.list}.{place}." if section.list else "" if len(raws) == 1 else f"{place}."
            raise Unfit(fault.rule, told, tuple(where + path for path in fault.fields)) from fault
        found[line.line_no] = line
    return tuple(found.values())


def _line(mapping: Mapping, section: LineFields, raw: Any, terms: Terms, *, counted: int, credit: bool) -> OrderLine:
    part = Part(section, (raw,), terms)
    quantity = part.need("quantity")
    total = quantity * part.need("unit_price") if section.total.computed else part.need("total")
    if credit and mapping.credits_are == "positive":
        quantity, total = -quantity, -total
    if quantity < 0 and not credit:
        sentence = "is below zero: goods that come back are a credit (`order.kind`), other rows need `line.skip_when`"
        raise section.quantity.unfit("quantity", "negative", sentence)
    own_number = part.get("line_no")
    return OrderLine(
        line_no=counted if own_number is None else own_number,
        sku=part.need("sku"),
        title=part.get("title"),
        category=part.get("category"),
        quantity=quantity,
        total=_exact(mapping, section, total, terms),
        external_id=part.get("external_id"),
        brand=part.get("brand"),
        discount=part.get("discount"),
        tax=part.get("tax"),
    )


def _exact(mapping: Mapping, section: LineFields, total: Decimal, terms: Terms) -> Decimal:
    """The line's total as it is, or rounded to the currency as the mapping says; four decimals can be kept."""
    if mapping.round:
        return total.quantize(Decimal(1).scaleb(-money.digits(terms.currency)), _ROUNDING[mapping.round])
    kept = total.quantize(_FINEST)
    if kept != total:
        raise section.total.unfit("total", "too_fine", "has more than four decimals: `round` says how to round it")
    return kept


def _entries(raw: Any, path: str, key: str) -> list[Any]:
    """The list at that path; nothing there is an empty one."""
    found = mapping_values.at(raw, path)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unfit(f"{path.rpartition('.')[2]}_unreadable", f"{path} (`{key}`) is no list of objects", (path,))
    return found


def refunds(section: RefundFields | None, row: Any, terms: Terms) -> list[OrderEvent]:
    """All refunds, with positive amounts."""
    if section is None:
        return []
    found: list[OrderEvent] = []
    for place, entry in enumerate(_entries(row, section.list, "refunds.list")):
        part = Part(section, (entry,), terms, f"refunds.{place}.")
        found.append(
            OrderEvent(
                OrderStep.REFUNDED,
                part.need("at"),
                reference=part.get("reference") or "",
                amount=abs(part.need("amount")),
                note=part.get("note"),
            )
        )
    return found


def events(sections: Sequence[EventFields], rows: Sequence[Any], terms: Terms) -> Iterator[OrderEvent]:
    """The timeline. An entry without a time has not happened yet; one whose step is null is none of ours."""
    for number, section in enumerate(sections):
        groups = (
            [(one,) for one in _entries(rows[0], section.list, f"events.{number}.list")] if section.list else [rows]
        )
        for group in groups:
            part = Part(section, group, terms, f"events.{number}.")
            step, at = part.get("step"), part.get("at")
            if step is None or at is None:
                continue
            yield OrderEvent(
                OrderStep(step),
                at,
                reference=part.get("reference") or "",
                amount=part.get("amount"),
                carrier=part.get("carrier"),
                tracking_number=part.get("tracking_number"),
                tracking_url=part.get("tracking_url"),
                note=part.get("note"),
            )
