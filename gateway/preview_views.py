"""A preview in the words and shapes of its page: plain dicts of text and numbers, ready for a template."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain import mailbox_groups, previews
from domain.audience import SENTENCE, SkipReason
from domain.previews import Earlier, Money, Overlap, Part, Preview, Split
from gateway import views
from gateway.figures import count, moment, share

_SAME_HASH = 12
_LIFTED, _LOWERED = 1.2, 0.8  # a part this much over or under the shop's own is worth a word


def page(preview: Preview) -> dict[str, Any]:
    """Everything on the page of a preview, plots apart."""
    question, verdict = preview.question, preview.verdict
    left_out = sum(verdict.skipped.values())
    return {
        "name": question.segment,
        "account": preview.account_name,
        "as_of": moment(preview.as_of),
        "made": moment(preview.made_at),
        "run": preview.run_id,
        "hash": question.definition_hash[:_SAME_HASH],
        "headline": _headline(preview),
        "sentences": list(question.sentences),
        "without": list(question.without),
        "segments": [
            {"name": one.name, "description": one.description, "arguments": ", ".join(one.arguments)}
            for one in question.segments
        ],
        "terms": list(_terms(preview)),
        "figures": list(_cards(preview)),
        "waterfall": views.waterfall(preview.steps),
        "missed_title": f"Why {count(left_out)} of them would not get it",
        "missed": [
            {"count": count(people), "share": share(people, left_out), "sentence": SENTENCE[SkipReason(code)]}
            for code, people in sorted(verdict.skipped.items(), key=lambda one: -one[1])
        ],
        "held": [[count(one.people), one.zone, moment(one.until)] for one in verdict.held],
        "trend": [[moment(one.as_of), count(one.members)] for one in preview.trend[::-1]],
        "overlaps": [_overlap(one, preview) for one in preview.overlaps],
        "earlier": [_earlier(one, preview) for one in preview.earlier],
        "sample": [
            [one.name, one.country, count(one.orders), f"{one.last_order:%d %b %Y}", amount(one.net_revenue)]
            for one in preview.sample
        ],
        "currency": preview.currency,
        "unknown": list(preview.unknown),
        "warnings": list(preview.warnings),
    }


def named(split: Split) -> Split:
    """The split with the names that people know mailbox providers by."""
    if split.name != previews.MAILBOX:
        return split
    parts = tuple(Part(mailbox_groups.shown(one.label), one.members, one.customers) for one in split.parts)
    return Split(split.name, parts, split.several)


def split(found: Split, preview: Preview) -> dict[str, Any]:
    """One split: its rows, and what stands out in it."""
    rows = [
        [one.label, count(one.members), share(one.members, preview.members), share(one.customers, preview.customers)]
        for one in found.parts
    ]
    return {"name": found.name, "several": found.several, "rows": rows, "word": _standing_out(found, preview)}


def _standing_out(found: Split, preview: Preview) -> str:
    """The part that differs most from the shop's own, if any does by much and is not small."""
    best, distance = "", 0.05
    for one in found.parts:
        if not preview.members or not one.customers:
            continue
        own, whole = one.members / preview.members, one.customers / preview.customers
        if abs(own - whole) > distance and not _LOWERED < own / whole < _LIFTED:
            distance = abs(own - whole)
            times = f"{own / whole:.1f} times as common as" if own > whole else "less common than"
            best = f"“{one.label}” is {times} among all customers."
    return best


def _headline(preview: Preview) -> str:
    planned = preview.verdict.planned
    if not preview.members:
        return "Nobody is in this selection."
    return (
        f"{count(preview.members)} of {count(preview.customers)} customers are meant, "
        f"and {count(planned)} of them would get a mail that is sent now."
    )


def _terms(preview: Preview) -> Iterator[str]:
    question = preview.question
    if question.holdout_percent:
        yield f"{question.holdout_percent} % are held out, to measure the effect against them."
    if question.limit is not None:
        yield f"At most {count(question.limit)} people get it."


def _cards(preview: Preview) -> Iterator[dict[str, str]]:
    members, year = preview.members, preview.last_year
    yield _card(
        "In the selection",
        count(members),
        f"{share(members, preview.customers)} of all customers{_change(preview)}",
        "Customers with a counted order of whom everything is true that is asked, as of the last refresh.",
    )
    yield _card(
        "Would get it",
        count(preview.verdict.planned),
        f"{share(preview.verdict.planned, members)} of the selection",
        "Members who may be mailed now: with an address and consent, not suppressed, below the frequency cap.",
    )
    yield _card(
        f"Revenue in 365 days, {preview.currency}",
        amount(year.members),
        f"{_part(year)} of the shop's",
        "Totals of the members' orders of the last 365 days, less refunds, divided by those of all customers.",
    )
    yield _card(
        f"A member in 365 days, {preview.currency}",
        amount(year.average(members)),
        f"all customers: {amount(_mean(year.customers, preview.customers))}",
        "The members' net revenue of the last 365 days, divided by the members.",
    )
    yield _card(
        f"Revenue ever, {preview.currency}",
        amount(preview.lifetime.members),
        f"{_part(preview.lifetime)} of the shop's",
        "Totals of all counted orders of the members, less refunds, divided by those of all customers.",
    )
    yield _card(
        f"A member ever, {preview.currency}",
        amount(preview.lifetime.average(members)),
        f"all customers: {amount(_mean(preview.lifetime.customers, preview.customers))}",
        "The members' net revenue ever, divided by the members.",
    )


def _card(name: str, value: str, note: str, formula: str) -> dict[str, str]:
    return {"name": name, "value": value, "note": note, "formula": formula}


def _change(preview: Preview) -> str:
    if preview.change is None:
        return ""
    return f"; {signed(preview.change)} since {_day(preview.trend[-2].as_of)}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"


def signed(number: int) -> str:
    """A difference with its sign."""
    return "as many as" if number == 0 else f"{'+' if number > 0 else '−'}{count(abs(number))}"  # noqa: RUF001 - a minus sign


def _part(found: Money) -> str:
    return "–" if found.share is None else f"{100 * found.share:.1f} %"


def _mean(whole: Decimal, people: int) -> Decimal | None:
    return whole / people if people else None


def amount(money: Decimal | None) -> str:
    """Money for people: cents only where they tell something."""
    if money is None:
        return "–"
    return f"{money:,.2f}" if abs(money) < 1000 else f"{money:,.0f}"  # noqa: PLR2004


def _overlap(one: Overlap, preview: Preview) -> dict[str, Any]:
    return {
        "name": one.segment,
        "description": one.description,
        "shared": count(one.shared),
        "ours": share(one.shared, preview.members),
        "ours_width": _width(one.shared, preview.members),
        "theirs": share(one.shared, one.size),
        "theirs_width": _width(one.shared, one.size),
        "size": count(one.size),
    }


def _earlier(one: Earlier, preview: Preview) -> dict[str, Any]:
    return {
        "run": one.run_id,
        "campaign": one.campaign,
        "at": moment(one.at),
        "shared": count(one.shared),
        "ours": share(one.shared, preview.members),
        "width": _width(one.shared, preview.members),
        "planned": count(one.planned),
    }


def _width(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3f}%" if whole else "0"
