"""How fast mail may go: token buckets for handing over to an ESP, and a schedule for an ESP that can release later.

Buckets and schedules are values: the ledger's database keeps them, so that all workers draw from one and a restart
does not fill it again (facts D38). Each function is one step of a transaction that read the bucket and writes it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.routes import Pace

# The share of every bucket that only transactional mail may draw, so that a receipt never waits behind a campaign
# (facts D33: at least 20 %).
RESERVE = 0.2
# Clocks of several machines differ by less than this; one that is further behind was set back, and is believed.
_SKEW = timedelta(minutes=1)
# Whoever has to wait longer asks again after this: the pace may have been changed by then.
_LONGEST_WAIT = timedelta(hours=1)
_LONGEST_RELEASE_MINUTES = 366.0 * 24 * 60
_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tokens (messages that may go) as of `at`; nothing goes before `blocked_until`."""

    tokens: float
    at: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """`wait` zero: the tokens are taken, store `bucket`. Otherwise nothing was; ask again after `wait`."""

    bucket: Bucket
    wait: timedelta


def size(pace: Pace, *, least: int) -> float:
    """How much a bucket holds: the burst, or a minute's worth; never less than a batch above the reserve.

    `least`: messages in the largest batch. A smaller bucket would let that batch wait for ever.
    """
    wanted = pace.burst if pace.burst is not None else pace.per_minute or 0.0
    return max(wanted, least / (1 - RESERVE))


def full(pace: Pace, now: datetime, *, least: int) -> Bucket:
    """Return a bucket that nobody has drawn from yet."""
    return Bucket(size(pace, least=least), now)


def take(bucket: Bucket, pace: Pace, messages: int, now: datetime, *, least: int, reserve: float = 0.0) -> Taken:
    """Take a token for each message, all or none, and leave at least the share `reserve` of a full bucket.

    Every stream that draws from a bucket names the same `least`: it says how large the bucket is. Raises ValueError
    for a reserve above RESERVE, with which a batch might never find a bucket full enough.
    """
    if not 0 <= reserve <= RESERVE:
        raise ValueError(f"a reserve is a share from 0 to {RESERVE}, not {reserve}")
    least = max(least, messages)
    bucket = _filled(bucket, pace, now, least)
    if bucket.blocked_until is not None and bucket.blocked_until > now:
        return Taken(bucket, bucket.blocked_until - now)
    if pace.per_minute is None:
        return Taken(bucket, _NO_TIME)
    missing = messages + reserve * size(pace, least=least) - bucket.tokens
    if missing > 0:
        return Taken(bucket, _time_for(missing, pace.per_minute) + (bucket.at - now))
    return Taken(replace(bucket, tokens=bucket.tokens - messages), _NO_TIME)


def give_back(bucket: Bucket, pace: Pace, messages: int, now: datetime, *, least: int) -> Bucket:
    """Return what was taken for messages that did not go (fewer were left to send, or the claim found none)."""
    bucket = _filled(bucket, pace, now, least)
    return replace(bucket, tokens=min(bucket.tokens + messages, size(pace, least=least)))


def block(bucket: Bucket, until: datetime) -> Bucket:
    """Let nothing go before `until`, such as the other side's Retry-After; an earlier word never shortens a later."""
    return replace(bucket, blocked_until=until if bucket.blocked_until is None else max(until, bucket.blocked_until))


def schedule(next_free: datetime | None, pace: Pace, messages: int, now: datetime) -> tuple[datetime, datetime]:
    """Say when a batch may be released to its mailboxes, and what `next_free` is from then on.

    Virtual scheduling (GCRA, ITU-T I.371): `next_free` is when all that was scheduled has drained at the pace. A
    burst may go ahead of that; a batch larger than the burst goes as one, and what follows waits for it. A caller who
    does not want to wait so long stores nothing, and so has taken nothing. Without a pace: at once.
    """
    if pace.per_minute is None:
        return now, now if next_free is None else next_free
    begins = now if next_free is None else max(next_free, now)
    ahead = max((pace.burst if pace.burst is not None else pace.per_minute) - messages, 0.0)
    return max(now, begins - _drains(ahead, pace.per_minute)), begins + _drains(messages, pace.per_minute)


def _filled(bucket: Bucket, pace: Pace, now: datetime, least: int) -> Bucket:
    """Let in what time has brought. A clock that is behind brings nothing; time is never counted twice."""
    gone = now - bucket.at
    if gone < -_SKEW:
        # Somebody set the clock back: what was written by the old one moves with it, or all would wait for that hour.
        until = bucket.blocked_until
        return replace(bucket, at=now, blocked_until=until + gone if until is not None else None)
    gained = max(gone, _NO_TIME).total_seconds() / 60 * (pace.per_minute or 0.0)
    tokens = min(bucket.tokens + gained, size(pace, least=least))
    return replace(bucket, tokens=tokens, at=max(bucket.at, now))


def _time_for(tokens: float, per_minute: float) -> timedelta:
    """Rounded up to the clock's microsecond, so that who comes back then finds enough."""
    seconds = min(tokens / per_minute * 60, _LONGEST_WAIT.total_seconds())
    return timedelta(seconds=seconds) + timedelta.resolution


def _drains(messages: float, per_minute: float) -> timedelta:
    return timedelta(minutes=min(messages / per_minute, _LONGEST_RELEASE_MINUTES))
