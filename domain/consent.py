"""Consent: the customer's permission, as an append-only history from which the present state is folded."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# The basis of a statement that nobody made just then: a channel shows "subscribed: no" and not since when. A withdrawal
# of this kind counts only against a grant that is on record; without one it says that the customer was never asked.
SEEN = "as seen in the customer's account"


class ConsentStatus(StrEnum):
    """What the customer said; silence is no consent."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Consent:
    """One statement of a customer about marketing mail. `level`: how it was made sure that it was he."""

    status: ConsentStatus
    basis: str
    source: str
    wording: str
    occurred_at: datetime
    level: str = ""  # the field's words: single_opt_in, confirmed_opt_in; empty where the channel does not say


def is_granted(history: Iterable[Consent]) -> bool:
    """Fold a history: the newest statement decides, and of two at one instant the withdrawal."""
    newest = max(
        history,
        key=lambda consent: (consent.occurred_at, consent.status is ConsentStatus.WITHDRAWN),
        default=None,
    )
    return newest is not None and newest.status is ConsentStatus.GRANTED
