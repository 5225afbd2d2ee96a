"""The ESPs' own suppression lists, united with ours both ways, and once a week read whole and compared."""

from datetime import UTC, datetime, timedelta

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import accounts, database, list_differences, reconciliations, suppressions_merge, suppressions_push
from data.list_differences import ListDifference
from domain.reconciliation import Difference, Explanation, Kind
from domain.suppression import Stream
from tasks import esps, turn, upkeep, wiring
from tasks.comparing import Night

# ESPs fill their lists late; an overlap read twice changes nothing, a gap loses a complaint.
_OVERLAP = timedelta(hours=6)
# Who complained before we came must not be mailed either, so the first time the lists are read whole.
_EPOCH = datetime.fromtimestamp(0, UTC)
# A large account's lists are thousands of pages. Half a day less than a week: no night begins to the minute.
_WHOLE_EVERY = timedelta(days=6, hours=12)
_OF_THE_SETTINGS = frozenset({"mailchimp", "mailchimp-transactional"})


@task(task_run_name="list ESPs with suppression lists", cache_policy=NO_CACHE)
def lists_in_use() -> list[tuple[str, str]]:
    """Whose lists are read and written: (account, its account at an ESP) for ESPs in use, Mailchimp as it is set up.

    The lists are the ESP account's, whichever of its keys is used, so `provider` is here the name of that account.
    """
    config = settings.load()
    in_use = {(account_id, esps.esp_account(name)) for account_id, name in upkeep.providers_in_use.fn()}
    found = {(account_id, account) for account_id, account in in_use if esps.lists_of(account) is not None}
    own = config.mailchimp
    if own.marketing_api_key and own.marketing_list_id:
        found.add((config.account, esps.esp_account("mailchimp")))
    if own.transactional_api_key:
        found.add((config.account, esps.esp_account("mailchimp-transactional")))
    return sorted(found)


def are_due(night: Night, account_id: str, provider: str) -> bool:
    """Whether the lists were not read whole for a week."""
    step = _whole(provider, account_id)
    with database.read(wiring.engine()) as connection:
        return not reconciliations.was_done(connection, step, since=night.now - _WHOLE_EVERY)


def _whole(provider: str, account_id: str) -> str:
    return f"read the lists of {provider} whole for {account_id}"


@task(task_run_name="read suppressions of {provider}", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=30)
def merge_suppressions(night: Night, account_id: str, provider: str, *, whole: bool) -> int:
    """Union the ESP's own lists into ours; what it no longer lists is never lifted. Safe to repeat.

    `whole`: from the first day, so that what was taken off there meanwhile is known to be. Raises TurnLost.
    """
    engine, now = wiring.engine(), wiring.clock()
    with database.read(engine) as connection:
        until = suppressions_merge.read_until(connection, account_id=account_id, provider=provider)
    since = until - _OVERLAP if until is not None and not whole else _EPOCH
    read = list_differences.observe if whole else suppressions_merge.merge_listed
    merged = read(
        engine,
        account_id=account_id,
        provider=provider,
        listed=esps.lists(provider).suppressions(since, now),
        pepper=wiring.pepper(),
        now=now,
        alive=lambda: turn.renew(night),
        webhook=esps.webhook_of(provider),
    )
    with database.write(engine) as connection:
        suppressions_merge.advance(connection, account_id=account_id, provider=provider, until=now)
    if merged.cut_short:
        get_run_logger().warning("%s", merged.cut_short)
    step = _whole(provider, account_id) if whole else f"read the lists of {provider} for {account_id}"
    turn.note(night, step, listed=merged.listed, added=merged.added, trouble=merged.cut_short)
    get_run_logger().info(
        "%s lists %d suppressions since %s, %d new to us", provider, merged.listed, since, merged.added
    )
    return merged.added


@task(
    task_run_name="put suppressions on the lists of {provider}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=30,
)
def push_suppressions(night: Night, account_id: str, provider: str) -> int:
    """Put onto the ESP's own lists what we suppress and they lack; how many addresses. Safe to repeat. Raises TurnLost."""
    pushed = suppressions_push.push(
        wiring.engine(),
        account_id=account_id,
        provider=provider,
        sink=esps.lists(provider),
        shared=is_shared(provider),
        clock=wiring.clock,
        alive=lambda: turn.renew(night),
    )
    if pushed.refused:
        get_run_logger().warning("%s does not take %d of our addresses", provider, pushed.refused)
    turn.note(night, f"write the lists of {provider} for {account_id}", pushed=pushed.pushed, refused=pushed.refused)
    get_run_logger().info("Put %d addresses on the lists of %s", pushed.pushed, provider)
    return pushed.pushed


@task(task_run_name="compare the lists of {provider}", cache_policy=NO_CACHE)
def compare_lists(night: Night, account_id: str, provider: str) -> list[Difference]:
    """What still differs, list by list, after the lists were read whole and ours were put there."""
    with database.read(wiring.engine()) as connection:
        found = list_differences.differences(
            connection,
            account_id=account_id,
            provider=provider,
            sink=esps.lists(provider),
            shared=is_shared(provider),
            now=wiring.clock(),
        )
    told = [part for one in found for part in _of_list(night, one)]
    turn.note(night, f"compare the lists of {provider} for {account_id}", differences=len(told))
    return told


def _of_list(night: Night, one: ListDifference) -> list[Difference]:
    parts = (
        (one.only_there, Explanation.UNEXPLAINED, "only there: refused by the ESP, and no suppression here"),
        (one.only_here, Explanation.NOT_TAKEN, "only here: mail that goes past us may still reach them"),
        (one.lifted_here, Explanation.LIFTED, "only there: we would mail them, and the ESP drops it"),
    )
    return [
        Difference(
            Kind.SUPPRESSION,
            one.provider,
            night.last,
            count,
            why,
            account_id=one.account_id,
            measure=one.listing,
            detail=f"{detail}; {one.on_the_list:,} on the list",
        )
        for count, why, detail in parts
        if count
    ]


def is_shared(provider: str) -> bool:
    """Whether mail of more than one account may go through that account at an ESP.

    What the settings reach at Mailchimp is of the one account that they name.
    """
    if provider in _OF_THE_SETTINGS and provider not in esps.declared().providers:
        return False
    with database.read(wiring.engine()) as connection:
        known = [accounts.get(connection, name) for name in accounts.names(connection)]
    ways = (
        {esps.esp_account(way.provider) for stream in Stream for way in wiring.routes(account, stream)}
        for account in known
    )
    return sum(provider in found for found in ways) > 1
