"""SendGrid's own suppression lists, read by time window; the list of our unsubscribe group, if we use one, whole.

Blocks are not read: a block is the sender's trouble of that day, SendGrid does not refuse later mail for it, and it
must not cost a customer her mail (facts/reliability.md section 4).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from domain.masking import masked
from domain.ports import ListedSuppression
from domain.suppression import Reason
from providers.sendgrid.management import Management, ManagementError

# The list → what it means to us. All four make SendGrid drop later mail.
LISTS = {
    "suppression/bounces": Reason.HARD_BOUNCE,
    "suppression/invalid_emails": Reason.INVALID,
    "suppression/spam_reports": Reason.COMPLAINT,
    "suppression/unsubscribes": Reason.UNSUBSCRIBE,
}
PAGE = 500  # the most that SendGrid gives at once


class SendGridSuppressions:
    """A SuppressionSource."""

    def __init__(self, management: Management) -> None:
        self._management = management

    def suppressions(self, since: datetime, until: datetime) -> Iterator[ListedSuppression]:
        """Yield what was listed from `since` to `until`, both included, to the second. Raises ManagementError.

        There is no cursor: should somebody delete a row while we page, another one slips by. Ask again with windows
        that overlap; a row that comes twice changes nothing, and absence never lifts a suppression of ours.
        """
        window = {"start_time": int(since.timestamp()), "end_time": int(until.timestamp())}
        for path, reason in LISTS.items():
            offset = 0
            while True:
                rows = self._management.get(path, {**window, "limit": PAGE, "offset": offset})
                if not isinstance(rows, list):
                    raise ManagementError(f"SendGrid's {path} is not a list; nothing of it was kept")
                yield from (_listed(row, path, reason) for row in rows)
                if len(rows) < PAGE:
                    break
                offset += PAGE
        if (group := self._management.asm_group_id) is not None:
            yield from self._group(f"asm/groups/{group}/suppressions", until)

    def _group(self, path: str, until: datetime) -> Iterator[ListedSuppression]:
        """Who left our unsubscribe group: all of them, each time, as of `until`, because the list has no times.

        SendGrid drops our mail to them. So who is to be mailed again must be taken off that list before ours.
        """
        addresses = self._management.get(path, {})
        if not isinstance(addresses, list) or not all(isinstance(one, str) and one for one in addresses):
            raise ManagementError(f"SendGrid's {path} is not a list of addresses; nothing of it was kept")
        for address in addresses:
            yield ListedSuppression(address=address, reason=Reason.UNSUBSCRIBE, created_at=until, detail="")


def _listed(row: Any, path: str, reason: Reason) -> ListedSuppression:
    """Read one row, or fail aloud: a suppression that is skipped in silence is a mail to somebody who said no."""
    address = row.get("email") if isinstance(row, dict) else None
    created = row.get("created") if isinstance(row, dict) else None
    if not isinstance(address, str) or not address or type(created) is not int:
        raise ManagementError(f"a row of SendGrid's {path} is not as documented; the rest of it was not read")
    try:
        at = datetime.fromtimestamp(created, UTC)
    except (ValueError, OverflowError, OSError):
        raise ManagementError(f"a row of SendGrid's {path} has an impossible time") from None
    return ListedSuppression(address=address, reason=reason, created_at=at, detail=_detail(row))


def _detail(row: dict[str, Any]) -> str:
    words = (row.get("status"), row.get("reason"))
    return masked(" ".join(word for word in words if isinstance(word, str)))
