"""What a preview warns of: words that no order has, and why nobody may be in a selection."""

import difflib
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from data import database
from data.features.population import Customers, TooSlow
from domain.rule_fields import shown
from domain.rule_values import folded
from segments import vocabulary
from segments.selection import Selection
from segments.vocabulary import Word

_ALIKE = 0.6  # of difflib's ratio, as it is by default


def warnings(
    engine: sa.Engine, customers: Customers, chosen: Selection | None, excluded: Sequence[Selection], *, members: int
) -> list[str]:
    """Of each word that no order has, one sentence; of an empty selection at least one that says why it may be.

    `chosen`: None where the members of a run are taken. Each word costs one look for the first customer who has it.
    """
    asked = [*([chosen] if chosen is not None else []), *excluded]
    words = dict.fromkeys(word for one in asked for word in vocabulary.words(one))
    found = [sentence for word in words for sentence in _of(word, engine, customers)]
    if chosen is not None and not members:
        found += [f"{_not_given(*one)}: perhaps nobody is in it for that." for one in vocabulary.not_given(chosen)]
    found += [
        f"{_not_given(*one)}: it leaves out nobody until it is." for it in excluded for one in vocabulary.not_given(it)
    ]
    if not members and not found:
        found.append("Nobody fulfils all of this today." if chosen is not None else "That run had no members.")
    return list(dict.fromkeys(found))


def _not_given(segment: str, parameter: str) -> str:
    return f"{parameter.replace('_', ' ').capitalize()} of {segment} is not given"


def _of(word: Word, engine: sa.Engine, customers: Customers) -> Iterator[str]:
    named = f"{word.kind} {shown(word.text)}"
    try:
        occurs = len(customers.chosen(vocabulary.occurring(word, customers.shop))) > 0
    except TooSlow:
        yield f"It could not be found out in time whether any order names {named}."
        return
    if occurs:
        return
    says = f"No customer is from {named}" if word.kind == "country" else f"No order names {named}"
    near = _nearest(word, engine, customers)
    yield f"{says}: did you mean {shown(near)}?" if near else f"{says}, nor anything like it."


def _nearest(word: Word, engine: sa.Engine, customers: Customers) -> str | None:
    with database.read(engine) as connection:
        rows = connection.scalars(vocabulary.every(word.kind, customers.shop)).all()
    parts = (part.strip() for row in rows for part in (row.split(",") if word.kind == "coupon" else [row]))
    there: dict[str, list[str]] = {}
    for one in sorted(set(filter(None, parts))):
        there.setdefault(folded(one), []).append(one)
    near = difflib.get_close_matches(folded(word.text), there, 1, _ALIKE)
    spellings = there[near[0]] if near else []
    return max(spellings, key=lambda one: difflib.SequenceMatcher(a=one, b=word.text).ratio(), default=None)
