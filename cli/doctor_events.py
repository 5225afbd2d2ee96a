"""Do we hear what becomes of the mail, and is anything held back? The part of `campaigns doctor` that asks this.

What is half configured is wrong. What is configured and was never heard of is told as not verified yet.
"""

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cli.check import Check, usable_engine
from cli.guard_commands import brake_sentence
from cli.output import moment
from settings import Settings
from tasks import half_configured

if TYPE_CHECKING:
    from domain.campaigns import Run

_MARKETING, _TRANSACTIONAL, _RETURNED = "Mailchimp webhook", "Mailchimp Transactional", "returned mail"
_GRACE = timedelta(days=2)  # the flow that empties bodies comes once a night, and one night may be missed
_PATIENCE = 2.0  # seconds


def mailchimp(config: Settings) -> Iterator[Check]:
    """Both of Mailchimp's webhooks: what is set of each and what is not, and whether it was ever heard."""
    from providers.mailchimp import events, transactional_events

    yield _webhook(_MARKETING, events.PROVIDER, half_configured.marketing(config), _marketing_has(config))
    urls = config.mailchimp.transactional_urls(f"{config.gateway.public_url}/webhooks/{transactional_events.PROVIDER}")
    has = f"signed for {' and '.join(urls)}" if config.mailchimp.transactional_webhook_keys else ""
    yield _webhook(_TRANSACTIONAL, transactional_events.PROVIDER, half_configured.transactional(config), has)


def _webhook(what: str, provider: str, lacks: list[str], has: str) -> Check:
    if lacks:
        return Check(what, ok=False, found=f"half configured: {'; '.join(lacks)}. docs/webhooks.md")
    if not has:
        return Check(what, ok=True, found="not set up; docs/webhooks.md tells how, if this shop mails by Mailchimp")
    return Check(what, ok=True, found=f"{has}; {_heard(_last_body(provider))}")


def _heard(last: datetime | None) -> str:
    return f"last heard {moment(last)} UTC" if last else "not verified yet: nothing ever came by it"


def _last_body(provider: str) -> datetime | None:
    from data import database, inbox

    if (engine := usable_engine()) is None:
        return None
    with database.read(engine) as connection:
        return inbox.last_received(connection, provider)


def _marketing_has(config: Settings) -> str:
    mailchimp = config.mailchimp
    if not mailchimp.marketing_url_secrets:
        return ""
    vouched = "the URL's secret and a signature" if mailchimp.marketing_signing_secrets else "the URL's secret alone"
    whose = "" if mailchimp.marketing_list_id else ", for every audience (OMS_MAILCHIMP_MARKETING_LIST_ID is empty)"
    return f"vouched for by {vouched}{whose}"


def returned(config: Settings) -> Iterator[Check]:
    """The mailbox opens, or somebody listens; or bounces that come as mail are not wanted at all."""
    if lacks := list(half_configured.returned(config)):
        yield Check(_RETURNED, ok=False, found=f"half configured: {'; '.join(lacks)}. docs/returned-mail.md")
        return
    returns = config.returns
    if not returns.imap_host and not returns.mailboxes:
        yield Check(_RETURNED, ok=True, found="not set up; docs/returned-mail.md tells how")
        return
    from providers.smtp import mailbox
    from providers.smtp.returns import PROVIDER

    last = _last_body(PROVIDER)
    trusts = (
        "; bounces are believed by their address alone (OMS_RETURNS_TRUST_ADDRESSES)" if returns.trust_addresses else ""
    )
    if returns.imap_host:
        with mailbox.opened(returns):
            told = f"the mailbox at {returns.imap_host} opens"
        yield Check(_RETURNED, ok=True, found=f"{told}; {_heard(last)}{trusts}")
        return
    place = f"{returns.listen_host}, port {returns.listen_port}"
    if _listens(returns.listen_host, returns.listen_port):
        yield Check(_RETURNED, ok=True, found=f"listens on {place}; {_heard(last)}{trusts}")
    else:
        told = f"{len(returns.mailboxes)} mailbox(es), and nobody listens on {place} of this machine"
        how = "start `campaigns returns listen`, or set OMS_RETURNS_IMAP_HOST to read a mailbox"
        found = f"{told}; {_heard(last)}. {how}{trusts}"
        yield Check(_RETURNED, ok=last is not None, warning=last is not None, found=found)


def _listens(host: str, port: int) -> bool:
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what it is bound to, not a door of ours
    try:
        with socket.create_connection((here, port), timeout=_PATIENCE):
            return True
    except OSError:
        return False


def bodies(config: Settings) -> Iterator[Check]:
    """Raw bodies hold addresses: are they removed when their time is over?"""
    from data import database, inbox_retention
    from tasks import wiring

    if (engine := usable_engine()) is None:
        return
    days = config.gateway.keep_days
    with database.read(engine) as connection:
        overdue = inbox_retention.overdue(connection, before=wiring.clock() - timedelta(days=days) - _GRACE)
    told = f"emptied {days} days after they were applied (OMS_GATEWAY_KEEP_DAYS)"
    if overdue:
        told = f"{overdue:,} should have been {told}: does the deployment reconcile run every night?"
    yield Check("raw bodies", ok=not overdue, found=told)


def held_back(config: Settings) -> Iterator[Check]:
    """Every brake and every run that waits, of all accounts. Only what ends by itself is well."""
    from data import accounts, brakes, control, database, runs
    from domain.campaigns import RunStatus
    from tasks import wiring

    if (engine := usable_engine()) is None:
        return
    with database.read(engine) as connection:
        names, now = accounts.names(connection), wiring.clock()
        held = [one for name in names for one in brakes.of_account(connection, name, now)]
        paused = [
            (run, control.paused_since(connection, run)) for run in runs.with_status(connection, RunStatus.PAUSED)
        ]
    for one in held:
        whose = "" if one.account_id == config.account else f" --account {one.account_id}"
        how = f'`campaigns guards lift {one.id}{whose} --by "YOUR NAME" --why "WHY"` lifts it'
        yield Check(f"brake {one.id}", ok=one.until is not None, found=f"{brake_sentence(one)}. {how}")
    for run, since in paused:
        yield Check(f"run {run.id}", ok=False, found=_paused(run, since))
    if not held and not paused:
        yield Check("brakes", ok=True, found="none: nothing is slowed, and no run is paused")


def _paused(run: "Run", since: datetime | None) -> str:
    at = f" since {moment(since)} UTC" if since else ""
    first = f'`campaigns guards go-on {run.id} --by "YOUR NAME" --why "WHY"`, then ' if run.held_by_canary else ""
    return f"{run.plan.campaign} is paused{at}: {run.stop_reason}. {first}`campaigns resume {run.id}` continues it"
