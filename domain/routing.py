"""Routing: which of an account's ways out a batch takes. It chooses by what it is told alone, so it can be replayed.

In this order: never a refused route; a breaker that tries again gets a small probe; the smallest priority number that
can go now; not where this mailbox provider clearly blocks more; then whoever is furthest behind its share; then the
cheapest; then by name. A route with share 0 stands by: it goes only while no route with a share is in service.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from domain import proportions

# A probe's outcome may stay unknown, and unknown marketing mail is held: so few people are risked to learn whether an
# ESP is back.
PROBE_MESSAGES = 10
# A breaker or a warm-up hour says not when it opens: so many seconds later is soon enough to look again, since a
# breaker tries at most one probe in 30 seconds (facts/reliability.md D41).
LOOK_AGAIN_SECONDS = 30.0
# Of fewer messages no blocked share is believed.
LEAST_RESULTS = 200
# Of a million messages every difference is certain; so many percentage points, beyond doubt, are worth a detour.
_CLEARLY_WORSE = 0.02
# Of the rules by which decisions are made: one that was made by others cannot be replayed by these.
_RULES = 1


class InvalidDecision(ValueError):
    """What is stored is no decision of these rules; the message says why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route and all that counts for or against it at this moment.

    `refused`: why it may never carry this mail. `leave`: the breaker's word (yes, probe, no). `wait_seconds`: until
    its pace lets the messages go; 0: now. `room`: what warm-up allows this hour to this mailbox group; None: no limit.
    `carried`: messages of this account and stream that went by it in the last 24 hours. `delivered`, `blocked`: of the
    last 7 days, to this mailbox group through the route's pool; blocked or deferred.
    """

    route: str
    priority: int
    share: float
    cost_per_thousand: float
    refused: str | None
    leave: str
    wait_seconds: float
    room: int | None
    carried: int
    delivered: int
    blocked: int
    braked: str | None = None

    @property
    def in_service(self) -> bool:
        """Whether it would carry this mail, now or once its pace allows."""
        open_to_it = self.refused is None and self.braked is None and self.leave != "no"
        return open_to_it and (self.room is None or self.room >= 1)

    @property
    def ready(self) -> bool:
        """Whether it can go now."""
        return self.in_service and self.wait_seconds <= 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The route, and why; or none, and in how many seconds to ask again (None: no route will ever carry this mail).

    `at_most`: only so many messages may go by it now, so a smaller batch is to be carved; None: all of them.
    """

    route: str | None
    reason: str
    wait_seconds: float | None
    probe: bool = False
    at_most: int | None = None


def choose(candidates: Sequence[Candidate], *, messages: int) -> Choice:
    """Choose a way for `messages` messages of one mailbox group. The order of the candidates does not matter."""
    ordered = sorted(candidates, key=lambda one: (one.priority, one.route))
    serving = served(ordered)
    ready = [one for one in serving if one.ready]
    if not ready:
        return _none(ordered, serving)
    first = min(one.priority for one in ready)
    tier = [one for one in ready if one.priority == first]
    if probes := [one for one in tier if one.leave == "probe"]:
        reason = f"{probes[0].route} failed before and is tried again with a few messages"
        return _by(probes[0], reason, messages, probe=True)
    welcome = [one for one in tier if not _clearly_worse(one, tier)]
    behind = {one.route: _arrears(one, welcome, messages) for one in welcome}
    chosen = min(welcome, key=lambda one: (-behind[one.route], one.cost_per_thousand, one.route))
    return _by(chosen, _why(chosen, ordered, tier, welcome, behind), messages)


def served(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that are chosen among: what stands by is, only while none of the others is in service."""
    regular = [one for one in candidates if one.share > 0]
    return regular if any(one.in_service for one in regular) else candidates


def decision(candidates: Sequence[Candidate], *, messages: int, choice: Choice) -> dict[str, object]:
    """What was known and what was chosen, as JSON: stored with the attempt, and made again by `replay`."""
    known = sorted(candidates, key=lambda one: (one.priority, one.route))
    return {
        "rules": _RULES,
        "messages": messages,
        "candidates": [asdict(one) for one in known],
        "choice": asdict(choice),
    }


def replay(decision: Mapping[str, Any]) -> Choice:
    """Choose again from what was known then. Raises InvalidDecision."""
    if decision.get("rules") != _RULES:
        raise InvalidDecision(f"made by rules {decision.get('rules')!r}; these are {_RULES}")
    try:
        candidates = [Candidate(**one) for one in decision["candidates"]]
        return choose(candidates, messages=decision["messages"])
    except (KeyError, TypeError) as error:
        raise InvalidDecision(f"it does not say all that was known: {error}") from error


def _by(chosen: Candidate, reason: str, messages: int, *, probe: bool = False) -> Choice:
    limits = [PROBE_MESSAGES] if probe else []
    if chosen.room is not None:
        limits.append(chosen.room)
    at_most = min(limits, default=messages)
    return Choice(chosen.route, reason, 0.0, probe, at_most if at_most < messages else None)


def _none(ordered: Sequence[Candidate], served: Sequence[Candidate]) -> Choice:
    waits = [_wait(one) for one in served if one.refused is None]
    told = "; ".join(f"{one.route}: {_obstacle(one)}" for one in ordered) or "none is declared"
    when = "no route can go now" if waits else "no route may carry this mail"
    return Choice(None, f"{when}: {told}", min(waits, default=None))


def _wait(one: Candidate) -> float:
    return one.wait_seconds if one.in_service else max(one.wait_seconds, LOOK_AGAIN_SECONDS)


def _obstacle(one: Candidate) -> str:
    if one.refused is not None:
        return one.refused
    if one.braked is not None:
        return one.braked
    if one.leave == "no":
        return "its breaker is open"
    if one.room is not None and one.room < 1:
        return "warm-up leaves no room this hour"
    return f"its pace allows it in {one.wait_seconds:.1f} s" if one.wait_seconds > 0 else "stands by"


def _clearly_worse(one: Candidate, tier: Sequence[Candidate]) -> bool:
    """Whether this mailbox provider certainly blocks more of it than of an equal that can go too."""
    if one.delivered + one.blocked < LEAST_RESULTS:
        return False
    least = proportions.bounds(one.blocked, one.delivered + one.blocked)[0]
    others = [other for other in tier if other.delivered + other.blocked >= LEAST_RESULTS]
    best = min(proportions.bounds(other.blocked, other.delivered + other.blocked)[1] for other in others)
    return least > best + _CLEARLY_WORSE


def _arrears(one: Candidate, equals: Sequence[Candidate], messages: int) -> float:
    """Messages that it lacks of its share, were these sent as well."""
    shares = sum(other.share for other in equals)
    part = one.share / shares if shares else 1 / len(equals)
    whole = sum(other.carried for other in equals) + messages
    return round(part * whole - one.carried, 6)  # equals are equal, whatever order they were added up in


def _why(
    chosen: Candidate,
    ordered: Sequence[Candidate],
    tier: Sequence[Candidate],
    welcome: Sequence[Candidate],
    behind: Mapping[str, float],
) -> str:
    rivals = [one for one in welcome if one is not chosen]
    if not rivals:
        why = "it alone can go now"
    elif all(behind[one.route] < behind[chosen.route] for one in rivals):
        why = f"it is furthest behind its share, by {max(behind[chosen.route], 0):,.0f} messages"
    elif any(one.cost_per_thousand > chosen.cost_per_thousand for one in rivals):
        why = "it is the cheapest of those equally far behind their share"
    else:
        why = "it is the first by name among equals"
    passed = [f"{one.route}: {_passed(one, tier)}" for one in ordered if one not in welcome]
    return "; ".join([f"{chosen.route}: {why}", *passed])


def _passed(one: Candidate, tier: Sequence[Candidate]) -> str:
    if not one.ready:
        return _obstacle(one)
    if one in tier:
        return f"this mailbox provider blocked {one.blocked:,} of {one.delivered + one.blocked:,}"
    return "stands by" if one.share == 0 else f"priority {one.priority} waits for those before it"
