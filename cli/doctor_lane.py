"""What `campaigns doctor` says of the mail that customers wait for: who hands it over, by which ways, from which pools."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.check import Check, usable_engine
from settings import Settings

if TYPE_CHECKING:
    from domain.accounts import Account


def lane(_config: Settings) -> Iterator[Check]:
    """A dispatcher, a way for each account, a pool that marketing mail does not leave by."""
    from data import accounts, database, dispatchers
    from tasks import lane_state, wiring

    if (engine := usable_engine()) is None:
        return
    with database.read(engine) as connection:
        now = wiring.clock()
        alive = dispatchers.alive(connection, now)
        known = [accounts.get(connection, name) for name in accounts.names(connection)]
        alarms = lane_state.alarms(connection, now)
    if alive:
        yield Check("dispatcher", ok=True, found=f"{len(alive)} at work: {', '.join(alive)}")
    else:
        told = "none is at work: mail that customers wait for is kept and does not go; `campaigns up` starts one"
        yield Check("dispatcher", ok=False, found=told)
    for account in known:
        yield _ways(account)
        yield from _pools(account)
    for one in alarms:
        if alive or not one.startswith("No dispatcher"):
            yield Check("transactional mail", ok=False, found=one)


def _ways(account: "Account") -> Check:
    from tasks import lane_state, lanes

    what = f"transactional, {account.id}"
    if found := lanes.transactional_ways(account):
        return Check(what, ok=True, found=", ".join(f"{one.name} ({one.provider})" for one in found))
    if several := lane_state.undeclared(account):
        told = f"{' and '.join(several)} are set up, and none is declared, so nothing goes"
        how = f"write into routes.yaml by which: accounts: {account.id}: a route of the stream transactional (docs/routes.md)"
        return Check(what, ok=False, found=f"{told}: {how}")
    return Check(what, ok=False, found="none that can be used: `campaigns routes` says what each lacks")


def _pools(account: "Account") -> Iterator[Check]:
    from tasks import lane_state

    if shared := lane_state.shared_pools(account):
        told = f"{', '.join(shared)} is given to both streams and belongs to one: no mail of the other leaves by it"
        how = "give transactional routes pools of their own in routes.yaml"
        yield Check(f"pools, {account.id}", ok=False, found=f"{told}; {how}")
