"""Our suppressions, put on the ESPs' own lists: mail that goes out past us is refused there too.

What is known to be refused there already is not put again (data.esp_listings), so a night puts only news. Addresses
come from the parties who still have them: ours are hashes. Three kinds stay here: what expires, because ESPs' lists do
not; who was erased, because her address must leave no trace; and what one account refuses on its own where another
account's mail goes through the same ESP.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, esp_listings, tables
from domain import suppression
from domain.ports import SuppressionSink
from domain.suppression import Reason, Scope


@dataclass(frozen=True, slots=True)
class PushReport:
    """What was put there. `refused`: addresses that the ESP does not take."""

    pushed: int = 0
    refused: int = 0

    def __add__(self, other: "PushReport") -> "PushReport":
        return PushReport(self.pushed + other.pushed, self.refused + other.refused)


@dataclass(frozen=True, slots=True)
class Target:
    """What goes onto one of an ESP's lists: refusals of these scopes that none of the lists in `refusing` has."""

    listing: str
    scopes: tuple[Scope, ...]
    refusing: tuple[str, ...]


def targets(sink: SuppressionSink, *, shared: bool) -> list[Target]:
    """Onto which lists of the ESP refusals go. `shared`: other accounts' mail goes through it as well."""
    found: dict[str, list[Scope]] = {}
    for scope in reversed(suppression.BY_REACH):
        if shared and suppression.is_ours_alone(scope):
            continue
        if (listing := sink.list_for(scope)) is not None:
            found.setdefault(listing, []).append(scope)
    return [Target(one, tuple(scopes), tuple(sink.refusing(scopes[0]))) for one, scopes in found.items()]


def push(
    engine: sa.Engine,
    *,
    account_id: str,
    provider: str,
    sink: SuppressionSink,
    shared: bool,
    clock: Callable[[], datetime],
    alive: Callable[[], None] | None = None,
) -> PushReport:
    """Put there what is missing, a call at a time; what died in the middle is put once more, which changes nothing.

    `alive` is called after each call.
    """
    report = PushReport()
    for target in targets(sink, shared=shared):
        after = ""
        while True:
            with database.read(engine) as connection:
                missing = _page(connection, account_id, provider, target, clock(), after=after, limit=sink.at_once)
            if not missing:
                break
            after = missing[-1].address_hash
            report += _put(engine, provider, sink, target.listing, missing, clock)
            if alive is not None:
                alive()
    return report


def _put(
    engine: sa.Engine,
    provider: str,
    sink: SuppressionSink,
    listing: str,
    missing: Sequence[sa.Row[Any]],
    clock: Callable[[], datetime],
) -> PushReport:
    hashes = {row.email: row.address_hash for row in missing}
    with database.write(engine) as connection:
        esp_listings.about_to_put(connection, provider, listing, list(hashes.values()), now=clock())
    refused = set(sink.put(listing, list(hashes)))
    taken = [one for email, one in hashes.items() if email not in refused]
    with database.write(engine) as connection:
        esp_listings.was_put(connection, provider, listing, taken, now=clock())
    return PushReport(pushed=len(taken), refused=len(refused))


def _page(
    connection: sa.Connection,
    account_id: str,
    provider: str,
    target: Target,
    now: datetime,
    *,
    after: str,
    limit: int,
) -> Sequence[sa.Row[Any]]:
    query = missing_there(account_id, provider, target, now=now)
    column = query.selected_columns.address_hash
    return connection.execute(query.where(column > after).order_by(column).limit(limit)).all()


def missing_there(account_id: str, provider: str, target: Target, *, now: datetime) -> sa.Select[Any]:
    """Hash and address of those who belong onto that list and are not known to be refused there."""
    row, erased, party = tables.suppressions, tables.suppressions.alias("erased"), tables.parties
    was_erased = sa.exists().where(
        erased.c.account_id == account_id,
        erased.c.address_hash == row.c.address_hash,
        erased.c.reason == Reason.ERASED,
    )
    return (
        sa.select(row.c.address_hash, sa.func.min(party.c.email).label("email"))
        .join(party, (party.c.account_id == row.c.account_id) & (party.c.address_hash == row.c.address_hash))
        .where(
            row.c.account_id == account_id,
            row.c.scope.in_(target.scopes),
            row.c.lifted_at.is_(None),
            row.c.expires_at.is_(None),
            party.c.email.is_not(None),
            party.c.erased_at.is_(None),
            ~was_erased,
            ~esp_listings.refuses(provider, target.refusing, row.c.address_hash, now=now),
        )
        .group_by(row.c.address_hash)
    )


def to_take_off(
    connection: sa.Connection,
    *,
    account_id: str,
    address_hash: str,
    lifting: Collection[Reason],
    provider: str,
    sink: SuppressionSink,
    shared: bool,
    now: datetime,
) -> list[str]:
    """From which of the ESP's lists an address comes when these reasons are lifted: none that another one still needs.

    Where accounts share the ESP, what is true of the mailbox for another account needs its list, too. With none, since
    all was lifted here before: from all on which the address is known to be.
    """
    table = tables.suppressions
    others = (table.c.account_id == account_id) & table.c.reason.not_in(lifting)
    if shared:
        others |= (table.c.account_id != account_id) & (table.c.scope == Scope.ALL)
    left = connection.execute(
        sa.select(table.c.reason, table.c.scope).where(
            table.c.account_id.in_(sa.select(tables.accounts.c.id)),  # the index begins with the account
            table.c.address_hash == address_hash,
            table.c.lifted_at.is_(None),
            table.c.expires_at.is_(None) | (table.c.expires_at > now),
            others,
        )
    ).all()
    known = esp_listings.of_address(connection, address_hash, now=now)
    here = [row for row in known if row.provider == provider]
    # What is evidence only refuses her there as well.
    refusing = sink.refusing(Scope.MARKETING)
    ours = {row.listing for row in here if row.pushed_at is not None or (row.listing in refusing and not lifting)}
    theirs = {one for reason in lifting for one in sink.naming(reason)}
    needed = {one for row in left for one in (*sink.naming(Reason(row.reason)), sink.list_for(Scope(row.scope)))}
    return sorted((ours | theirs) - needed)
