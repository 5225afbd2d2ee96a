"""Which mailbox provider stands behind each domain: the look-ups of a night, and what customers are told."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import accounts, database, mail_domains
from data.mail_domains import Source
from domain import mailbox_groups
from domain.ports import NameServer
from tasks import esps, wiring

_AT_ONCE = 8
# So many domains are remembered in a transaction; a night that is cut short keeps them.
_PART = 200
# A single domain may be broken for weeks; so many at once are not.
_NOT_BY_CHANCE = 20


class DnsSilent(RuntimeError):
    """The name servers tell nothing; what was known is kept."""


@task(task_run_name="look domains up", cache_policy=NO_CACHE)
def look_up() -> dict[str, int]:
    """Find out the group of domains whose group is not known, most customers first. Raises DnsSilent, NoNameServer."""
    config = settings.load().dns
    engine, now = wiring.engine(), wiring.clock()
    with database.read(engine) as connection:
        unsettled = mail_domains.unknown(connection, now=now, look_ups=config.look_ups_a_night)
    with database.write(engine) as connection:
        mail_domains.remember(connection, unsettled.by_table, Source.TABLE, now=now)
    found = 0
    if unsettled.to_look_up:
        found = look_up_all(engine, esps.name_server(), unsettled.to_look_up)
    counts = {"by_table": len(unsettled.by_table), "asked": len(unsettled.to_look_up), "found": found}
    get_run_logger().info("Mail domains: %s", counts)
    return counts


def look_up_all(engine: sa.Engine, server: NameServer, domains: Sequence[str]) -> int:
    """Ask and remember; how many were told. A domain that the DNS cannot tell of keeps what was known.

    Raises DnsSilent where it tells nothing of many: the fault is not the domains'.
    """
    told = 0
    for part in _parts(domains):
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            hosts = dict(zip(part, threads.map(server.mail_hosts, part), strict=True))
        groups = {domain: mailbox_groups.of_mx(found) for domain, found in hosts.items() if found}
        nowhere = {domain: mailbox_groups.OTHER for domain, found in hosts.items() if found == ()}
        with database.write(engine) as connection:
            mail_domains.remember(connection, groups, Source.MX, now=wiring.clock())
            mail_domains.remember(connection, nowhere, Source.NONE, now=wiring.clock())
        told += len(groups) + len(nowhere)
        if not groups and not nowhere and len(part) >= _NOT_BY_CHANCE:
            raise DnsSilent(
                f"The name servers told nothing of {len(part)} domains; what was known of them is kept, and they are asked"
                " for again next night. Look at OMS_DNS_NAMESERVERS, or switch look-ups off by OMS_DNS_LOOK_UPS_A_NIGHT=0."
            )
    return told


def _parts(domains: Sequence[str]) -> Iterator[Sequence[str]]:
    return (domains[first : first + _PART] for first in range(0, len(domains), _PART))


@task(task_run_name="tell customers their mailbox group", cache_policy=NO_CACHE)
def tell_customers() -> int:
    """Write each customer's mailbox group where another one stands; how many those were. Safe to repeat."""
    engine = wiring.engine()
    with database.read(engine) as connection:
        ids = accounts.names(connection)
    changed = sum(mail_domains.apply(engine, account_id) for account_id in ids)
    get_run_logger().info("%d customers have another mailbox group than before", changed)
    return changed
