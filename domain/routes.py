"""Routes: the ways by which an account's mail can leave. Each is one ESP, one pool, one sending domain, one stream."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.suppression import Stream

# The group of batches whose people are of several mailbox providers: those that were planned before groups were told
# apart, and small ones.
MIXED = "mixed"
# Said instead of a provider's name: whichever routing chooses, batch by batch.
AUTOMATIC = "automatic"


class InvalidRoute(ValueError):
    """The route cannot be right; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast. None: as fast as it goes.

    `per_minute`: messages handed over to the ESP (or released to the mailbox group) in a minute. `burst`: so many may
    go at once after a pause; None: a minute's worth, and never less than a batch.
    """

    per_minute: float | None = None
    burst: float | None = None

    def __post_init__(self) -> None:
        if (self.per_minute is not None and self.per_minute <= 0) or (self.burst is not None and self.burst <= 0):
            raise InvalidRoute("a pace is a number above 0; leave it out for no limit")


@dataclass(frozen=True, slots=True)
class Route:
    """One way out. `provider` names a declared connection; `share` is its part of the mail among its equals.

    `priority`: routes of the smallest number go first, others only when none of those can. `residency`: where the ESP
    keeps data, such as eu; an account that demands one is not served elsewhere. `hand_over` limits requests to the
    ESP, over all routes of that provider; `release` limits what reaches a mailbox group through this pool ("*" is
    every group that is not named). `concurrency`: requests under way at once, at most, of this provider.
    """

    name: str
    account_id: str
    stream: Stream
    provider: str
    pool: str
    domain: str
    share: float = 1.0
    priority: int = 1
    cost_per_thousand: float = 0.0
    residency: str | None = None
    shared_pool: bool = False  # other accounts send through it too: only who has a good record may
    warm_up: bool = False  # the pool is new: what it may carry grows day by day
    authenticated: bool = True  # the ESP signs for `domain`
    schedules: bool = False  # the ESP keeps mail until a time that we name
    ip_pool: str | None = None  # the ESP's own name of the pool
    concurrency: int = 8
    batch_size: int | None = None  # so many messages does the ESP take in one request; None: all of a batch
    hand_over: Pace = field(default_factory=Pace)
    release: dict[str, Pace] = field(default_factory=dict)

    def release_of(self, mailbox_group: str) -> Pace:
        """How fast mail may reach this group through this route's pool."""
        return self.release.get(mailbox_group) or self.release.get("*") or Pace()


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one batch by one route: what was reserved, and why this route (`decision` can be replayed).

    `messages`: how many tokens were taken; a larger batch is cut to so many. `release_seconds`: after so long may the
    mailbox providers get it. `probe`: the breaker is half open, and this is the one batch that tries it.
    """

    id: str
    batch_id: int
    route: Route
    mailbox_group: str
    messages: int
    decision: dict[str, object]
    release_seconds: float = 0.0
    probe: bool = False
    granted_at: datetime | None = None  # the hour that its messages are counted in
    release_per_minute: float | None = None  # the pace at which its group's next release was moved on
