"""How many requests may be under way to an ESP at once: as many as it answers well (AIMD, facts D39).

Additive increase, multiplicative decrease, as TCP does it (Chiu and Jain 1989; RFC 5681): workers who share an ESP
and follow this rule come to fair shares without knowing of each other.
"""

from domain.ledger import Outcome, OutcomeKind

_TOO_MANY_REQUESTS = 429
# So many times the usual is slow. Answers of one ESP spread by a factor of about 2; 3 is beyond that.
_SLOW = 3.0
# Nothing quicker than this is slow: a few milliseconds more from an ESP next door are our own threads, not its load.
_NOISE_SECONDS = 0.1
# The newest answer's part in what is usual. At 10 times the usual it takes 30 answers until that is no longer slow:
# long enough that the limit falls first, short enough that an ESP which has become slower for good is not held at one
# request for ever.
_NEWEST = 0.01


def after(limit: float, *, ceiling: int, outcome: Outcome, seconds: float, usual: float | None) -> float:
    """Return the limit after one outcome: between 1 and `ceiling`, a fraction that is to be rounded down.

    `seconds`: how long the answer took; `usual`: what `usual` made of those before. An accepted batch adds 1/limit,
    which is one more request for each full round of answers. It is halved on 429, on UNKNOWN, and on an answer
    slower than three times the usual. A round of bad answers halves more than once; from 1 it takes 28 good ones to
    be back at 8. Connect failures are the breaker's business, refusals the campaign's: they change nothing.
    """
    if not outcome.local:
        if _overloaded(outcome, seconds, usual):
            limit = limit / 2
        elif outcome.kind is OutcomeKind.ACCEPTED:
            limit = limit + 1 / max(limit, 1.0)
    return max(1.0, min(limit, float(ceiling)))


def _overloaded(outcome: Outcome, seconds: float, usual: float | None) -> bool:
    if outcome.kind is OutcomeKind.UNKNOWN or outcome.status == _TOO_MANY_REQUESTS:
        return True
    answered = outcome.kind is OutcomeKind.ACCEPTED or outcome.status is not None
    return answered and usual is not None and seconds > max(_SLOW * usual, _NOISE_SECONDS)


def usual(before: float | None, seconds: float) -> float:
    """Return how long an accepted batch usually takes, in seconds, with this one taken in.

    An exponential average that moves slowly, on purpose: one that followed the latest answers would call a slowing
    ESP usual before it was noticed. Give it accepted answers only; a timeout's seconds are ours, not the ESP's.
    """
    return seconds if before is None else before + _NEWEST * (seconds - before)
