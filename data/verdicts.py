"""What becomes of each member of a segment: one's own reason, then one mailbox once, then holdout and limit.

In memory, by columns: the database would sort a million rows, mailboxes and all, three times.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.audience import SkipReason

REASONS = tuple(SkipReason)
PLANNED = -1
_CODE: dict[str | None, int] = {reason.value: code for code, reason in enumerate(REASONS)} | {None: PLANNED}
_Numbers = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """Members as eligibility.select knows them, by ascending party id.

    `reason`: its place in REASONS, or PLANNED. `mailbox`: the address hash, or NULL. `zone`: see quiet_hours.place; 0
    where batches may mix zones.
    """

    party_id: _Numbers
    reason: _Numbers
    mailbox: pa.StringArray
    zone: _Numbers


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The same with the last word on each. `ordinal` is PLANNED's only, counted from 0; of all others it is -1."""

    judged: Judged
    verdict: _Numbers
    ordinal: _Numbers

    def counts(self) -> Counter[str | None]:
        """How many by reason; None are planned."""
        sizes = np.bincount(self.verdict + 1, minlength=len(REASONS) + 1).tolist()
        return Counter({name: size for name, size in zip((None, *REASONS), sizes, strict=True) if size})

    def zones(self) -> dict[int, int]:
        """How many are planned in each zone, in the order of their ordinals."""
        sizes = np.bincount(self.judged.zone[self.verdict == PLANNED]).tolist()
        return {zone: size for zone, size in enumerate(sizes) if size}


def codes(reasons: tuple[str | None, ...]) -> list[int]:
    """The place of each in REASONS; PLANNED for None."""
    return [_CODE[reason] for reason in reasons]


def of(judged: Judged, *, place: _Numbers, held_out: _Flags, limit: int | None) -> Verdicts:
    """`place`: a shuffle of the members, which makes a limit a fair sample and says who of a mailbox comes first.

    The limit takes the first by place; where batches are to have one zone each, the ordinals go zone by zone.
    """
    verdict = judged.reason.copy()
    verdict[_later_in_mailbox(judged, place)] = REASONS.index(SkipReason.DUPLICATE_ADDRESS)
    verdict[(verdict == PLANNED) & held_out] = REASONS.index(SkipReason.HOLDOUT)
    planned = np.flatnonzero(verdict == PLANNED)
    planned = planned[np.argsort(place[planned])]
    if limit is not None:
        verdict[planned[limit:]] = REASONS.index(SkipReason.OVER_LIMIT)
        planned = planned[:limit]
    planned = planned[np.argsort(judged.zone[planned], kind="stable")]
    ordinal = np.full(len(verdict), -1, dtype=np.int64)
    ordinal[planned] = np.arange(len(planned))
    return Verdicts(judged, verdict, ordinal)


def _later_in_mailbox(judged: Judged, place: _Numbers) -> _Numbers:
    """Of all who could be planned in one mailbox, the rows of all but the first by place."""
    free = np.flatnonzero(judged.reason == PLANNED)
    theirs: Any = judged.mailbox.filter(pa.array(judged.reason == PLANNED))
    mailbox: _Numbers = pc.dictionary_encode(theirs).indices.to_numpy()
    shared = np.bincount(mailbox)[mailbox] > 1
    free, mailbox = free[shared], mailbox[shared]
    order = np.lexsort((place[free], mailbox))
    free, mailbox = free[order], mailbox[order]
    later: _Numbers = free[1:][mailbox[1:] == mailbox[:-1]]
    return later
