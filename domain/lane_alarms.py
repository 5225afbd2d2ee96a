"""When the transactional lane is unwell, and what to say and to look at then."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.kpi_counters import span
from domain.transactional import Urgency

# A customer who still waits after this is one who asks where her mail is.
PATIENCE = {
    Urgency.SECURITY: timedelta(seconds=30),
    Urgency.CONFIRMATION: timedelta(minutes=2),
    Urgency.SHIPPING: timedelta(minutes=10),
    Urgency.OTHER: timedelta(minutes=30),
}
WINDOW = timedelta(minutes=15)  # in which failures are counted
_FAILED_SHARE, _FEWEST = 0.2, 3  # an ESP that fails thrice is not asked for a while: there may be no fourth

ACCEPTED_WITHIN = timedelta(minutes=1)
CONFIRMED_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class CheckState:
    """The latest mails to our own mailbox by one way.

    `asked_at`, `state`, `why`: of the latest that had its minute. `silent_since`: of the oldest since which none of those
    that the ESP took brought any event.
    """

    account_id: str
    route: str
    provider: str
    accepted: bool
    asked_at: datetime
    state: str
    why: str = ""
    silent_since: datetime | None = None


def waiting(oldest: Mapping[Urgency, datetime | None], dispatchers: int, now: datetime) -> Iterator[str]:
    """What waits for too long, or has nobody to hand it over."""
    late = {one: now - at for one, at in oldest.items() if at is not None}
    if late and not dispatchers:
        yield (
            f"No dispatcher is at work, and mail that customers wait for is due since {span(max(late.values()))}: start one"
            " (`campaigns up` does, or `python -m cli.serve dispatcher`). Nothing is lost; what outlives its use expires."
        )
        return
    for urgency, age in sorted(late.items()):
        if age > PATIENCE[urgency]:
            yield (
                f"The oldest {urgency.name.lower()} message that is due waits for {span(age)} (limit"
                f" {span(PATIENCE[urgency])}): `campaigns messages health` shows which ESP fails, `campaigns routes` which"
                " ways there are."
            )


def failing(providers: Iterable[tuple[str, int, int]]) -> Iterator[str]:
    """ESPs that do not take what they are handed: name, requests of the last quarter of an hour, failed ones."""
    for name, attempts, failed in providers:
        if failed >= _FEWEST and failed / attempts > _FAILED_SHARE:
            yield (
                f"{name} failed {failed} of the last {attempts} requests of transactional mail: its own status page and"
                f" `campaigns routes` say more; a second ESP with a transactional route would take over."
            )


def checked(checks: Iterable[CheckState]) -> Iterator[str]:
    """Ways by which our own mail does not leave, or of which nothing is heard."""
    for one in checks:
        if not one.accepted:
            why = f" ({one.why})" if one.why else ""
            yield (
                f"Our own message of {one.asked_at:%H:%M} UTC by {one.route} of {one.account_id} was not accepted within"
                f" {span(ACCEPTED_WITHIN)}: it is {one.state}{why}. Customers' mail by this way waits as well."
            )
        elif one.silent_since is not None:
            yield (
                f"{one.provider} takes transactional mail and tells nothing: no event came within {span(CONFIRMED_WITHIN)}"
                f" for any of our own messages by {one.route} of {one.account_id} since {one.silent_since:%H:%M} UTC. Bounces"
                " are not heard of either: look at its webhook settings, the gateway, and process-delivery-events."
            )
