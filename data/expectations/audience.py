"""What must hold of the planned people of a frozen audience, as one aggregate row.

The freeze has left out whom it must; this looks again, by other means, at what it wrote.
"""

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc
import sqlalchemy as sa

from data import arrow, database, tables
from data.expectations.conditions import SAMPLE, Condition, Facts, measure
from data.expectations.subject import Rule
from domain import addresses, suppression
from domain.suppression import Stream

# Said so that SQLite reads them by party id (all are above 0), as parties lie: ordinals are shuffled, and by their index a
# million people cost four times as much.
_is_planned = (sa.func.coalesce(tables.audience.c.ordinal, -1) >= 0) & (tables.audience.c.party_id > 0)
_member, _party = tables.audience.c, tables.parties.c
# A part of what domain.addresses takes, as one regular expression over a whole column: a million addresses in about a tenth
# of a second. Whatever it does not know is put to the domain, which decides.
_PLAIN_ADDRESS = (
    r"^[a-zA-Z0-9_+'-]+(\.[a-zA-Z0-9_+'-]+)*@([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63}$"
)
_LONGEST_LOCAL_PART = r"^[^@]{65}"


def conditions(variables: Mapping[str, sa.ColumnElement[Any]], now: datetime) -> tuple[Condition, ...]:
    """The faults that SQL can see row by row; whether an address can be mailed it cannot."""
    return (
        Condition(
            "suppressed",
            "Nobody who unsubscribed, complained or bounced is planned",
            _suppressed(now),
        ),
        Condition("refused_topic", "Nobody who refused the campaign's topic is planned", _refused_topic()),
        *(
            Condition(f"without_{name}", f"Everybody planned has a value for {{{{ {name} }}}}", _is_empty(column))
            for name, column in variables.items()
        ),
    )


def _planned(run_id: str) -> sa.Select[Any]:
    """FROM and WHERE of the planned people, with all that a template's variable may be read from."""
    features, accounts = tables.customer_features, tables.accounts
    source = (
        tables.audience.join(tables.parties, _party.id == _member.party_id)
        .join(accounts, accounts.c.id == _party.account_id)
        .outerjoin(features, features.c.party_id == _party.id)
    )
    return sa.select(_member.party_id).select_from(source).where(_member.run_id == run_id, _is_planned)


# Not eligibility.suppressed_by, by which the freeze leaves people out: the same expression could not catch its fault.
# One step in the index for each person. With IN, PostgreSQL read the whole list for each: 45 s for 2,000 people and
# 150,000 suppressions.
def _suppressed(now: datetime) -> sa.ColumnElement[bool]:
    table = tables.suppressions
    return sa.exists().where(
        table.c.account_id == _party.account_id,
        table.c.address_hash == _party.address_hash,
        table.c.scope.in_(suppression.scopes_blocking(Stream.MARKETING)),
        table.c.lifted_at.is_(None),
        table.c.expires_at.is_(None) | (table.c.expires_at > now),
    )


def _refused_topic() -> sa.ColumnElement[bool]:
    """Of a run without a topic nobody: nothing is equal to NULL."""
    refusal, run = tables.topic_refusals.c, tables.campaign_runs.alias("own").c
    return sa.exists().where(
        refusal.account_id == _party.account_id,
        refusal.address_hash == _party.address_hash,
        run.id == _member.run_id,
        run.topic == refusal.topic,
        refusal.lifted_at.is_(None),
    )


def _is_empty(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    missing = column.is_(None)
    return missing | (sa.func.trim(column) == "") if isinstance(column.type, sa.String) else missing


def facts(engine: sa.Engine, run_id: str, *, variables: Mapping[str, sa.ColumnElement[Any]], now: datetime) -> Facts:
    """Count the planned people of a run and their faults; ids are those of the parties."""
    with database.read(engine) as connection:
        found = measure(connection, _planned(run_id), conditions(variables, now), row_id=_member.party_id)
    people = _people(engine, run_id)
    twice, invalid = _same_mailbox(people), _invalid_addresses(people)
    once = "Nobody gets the mail twice: every mailbox is planned once"
    return Facts(
        found.row | {"same_mailbox": len(twice), "invalid_address": len(invalid)},
        {"same_mailbox": once} | found.sentences | {"invalid_address": "Every planned address can be mailed"},
        found.samples | {"same_mailbox": _sample(twice), "invalid_address": _sample(invalid)},
    )


def _sample(party_ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(map(str, party_ids[:SAMPLE]))


def _people(engine: sa.Engine, run_id: str) -> Any:
    """Everybody planned: id, address and mailbox."""
    return arrow.read_table(
        engine,
        sa.select(_party.id, _party.email, _party.address_hash)
        .join_from(tables.audience, tables.parties, _party.id == _member.party_id)
        .where(_member.run_id == run_id, _is_planned),
    )


def _same_mailbox(people: Any) -> Sequence[int]:
    """Parties whose mailbox another one has as well: all of them, by id."""
    known = people.filter(pc.is_valid(people["address_hash"]))
    place = pc.dictionary_encode(known["address_hash"]).combine_chunks().indices.to_numpy()
    shared = np.bincount(place)[place] > 1
    return sorted(known["id"].to_numpy()[shared].tolist())


def _invalid_addresses(people: Any) -> Sequence[int]:
    """Parties whose address cannot be mailed, or cannot be looked up because it has no hash."""
    plain = pc.and_not(
        pc.match_substring_regex(people["email"], _PLAIN_ADDRESS),
        pc.match_substring_regex(people["email"], _LONGEST_LOCAL_PART),
    )
    looked_up = pc.is_valid(people["address_hash"])
    doubtful = people.filter(pc.invert(pc.and_(pc.fill_null(plain, False), looked_up)))
    rows = zip(*(doubtful[name].to_pylist() for name in ("id", "email", "address_hash")), strict=True)
    return sorted(party_id for party_id, email, mailbox in rows if mailbox is None or not addresses.is_valid(email))


def band(column: str, sentence: str, usual: float, percent: float, observed: str) -> Rule:
    """A number is within so many percent of the usual one."""
    slack = usual * percent / 100
    return Rule(sentence, column, minimum=usual - slack, maximum=usual + slack, observed=observed)


def usual_size(members: int, trailing: Sequence[int], *, percent: float, least: int) -> Rule | None:
    """The rule that a segment's members are near the median of earlier times.

    None where there were none, and of a segment that was and is smaller than `least`: a few people more or less are
    many percent of it.
    """
    usual = statistics.median(trailing) if trailing else 0
    if not usual or max(usual, members) < least:
        return None
    sentence = (
        f"The segment has within {percent:g} % of its usual {usual:,.0f} members, the median of {len(trailing)} earlier"
    )
    return band("members", sentence, usual, percent, f"{members:,} members")
