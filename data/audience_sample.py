"""A few planned people of a frozen audience, masked, with the values that their mail would carry."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from data import tables, variables
from domain import addresses
from domain.campaigns import Run
from domain.templates import Content

_SIZE = 3
_NAMES = {"first_name", "last_name"}  # personal: shown by their first letter only


@dataclass(frozen=True, slots=True)
class Sample:
    """One planned customer; nothing here names a person."""

    address: str
    values: Mapping[str, str]

    @property
    def values_line(self) -> str:
        shown = ((name, value) for name, value in self.values.items() if name not in variables.LINKS)
        return ", ".join(f"{name} = {value}" for name, value in shown)


def masked(connection: sa.Connection, run: Run, content: Content, fallbacks: Mapping[str, str]) -> list[Sample]:
    """The first three of the audience (it is shuffled)."""
    member, party, features = tables.audience, tables.parties, tables.customer_features
    rows = connection.execute(
        sa.select(party.c.email, *variables.columns(content.variables).values())
        .select_from(
            member.join(party, party.c.id == member.c.party_id).outerjoin(
                features, features.c.party_id == member.c.party_id
            )
        )
        .where(member.c.run_id == run.id, member.c.ordinal < _SIZE)
        .order_by(member.c.ordinal)
    )
    return [
        Sample(
            addresses.masked(email),
            {
                **{
                    name: _mask(name, variables.written(name, [value], fallbacks.get(name))[0], value is not None)
                    for name, value in zip(content.variables, values, strict=True)
                },
                variables.UNSUBSCRIBE_URL: "https://…/unsubscribe/…",
            },
        )
        for email, *values in rows
    ]


def _mask(name: str, text: str, own: bool) -> str:
    return f"{text[:1]}***" if own and name in _NAMES else text
