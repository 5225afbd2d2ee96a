"""SendGrid's own suppression lists, read by time window and written to; the list of our unsubscribe group, if we use one.

Blocks are read as evidence: a block is the sender's trouble of that day, SendGrid does not refuse later mail for it, and
it must not cost a customer her mail (facts/reliability.md section 4). So is a row of the bounces list whose words do not
blame the person: SendGrid refuses her mail, but what the webhook did not suppress its list does not either.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from domain.masking import masked
from domain.ports import ListedSuppression
from domain.suppression import Reason, Scope
from providers.sendgrid import bounces
from providers.sendgrid.management import Management, ManagementError

_SUPPRESSION = "suppression/"
_BOUNCES = "bounces"
# The list → what it means to us, at most. All but blocks make SendGrid drop later mail.
LISTS = {
    _BOUNCES: Reason.HARD_BOUNCE,
    "invalid_emails": Reason.INVALID,
    "spam_reports": Reason.COMPLAINT,
    "unsubscribes": Reason.UNSUBSCRIBE,
    "blocks": None,
}
PAGE = 500  # the most that SendGrid gives at once
_GLOBAL = "unsubscribes"
_ADD_GLOBAL = "asm/suppressions/global"
# Each call's body stays some ten kilobytes; SendGrid's reference names no limit.
_PUT_AT_ONCE = 200


class SendGridSuppressions:
    """A SuppressionSource and a SuppressionSink."""

    at_once = _PUT_AT_ONCE

    def __init__(self, management: Management) -> None:
        self._management = management
        self._group_exists = False

    def suppressions(self, since: datetime, until: datetime) -> Iterator[ListedSuppression]:
        """Yield what was listed from `since` to `until`, both included, to the second. Raises ManagementError.

        There is no cursor: should somebody delete a row while we page, another one slips by. Ask again with windows
        that overlap; a row that comes twice changes nothing, and absence never lifts a suppression of ours.
        """
        window = {"start_time": int(since.timestamp()), "end_time": int(until.timestamp())}
        for listing, reason in LISTS.items():
            path, offset = _SUPPRESSION + listing, 0
            while True:
                rows = self._management.get(path, {**window, "limit": PAGE, "offset": offset})
                if not isinstance(rows, list):
                    raise ManagementError(f"SendGrid's {path} is not a list; nothing of it was kept")
                yield from (_listed(row, listing, reason) for row in rows)
                if len(rows) < PAGE:
                    break
                offset += PAGE
        if (group := self._group_list()) is not None:
            yield from self._left(group, until)

    def _left(self, listing: str, until: datetime) -> Iterator[ListedSuppression]:
        """Who left our unsubscribe group: all of them, each time, as of `until`, because the list has no times.

        SendGrid drops our mail to them, so who is to be mailed again must be taken off that list too.
        """
        path = f"asm/{listing}/suppressions"
        addresses = self._management.get(path, {})
        if not isinstance(addresses, list) or not all(isinstance(one, str) and one for one in addresses):
            raise ManagementError(f"SendGrid's {path} is not a list of addresses; nothing of it was kept")
        for address in addresses:
            yield ListedSuppression(address, Reason.UNSUBSCRIBE, until, "", listing, dated=False)

    def _group_list(self) -> str | None:
        group = self._management.asm_group_id
        return None if group is None else f"groups/{group}"

    def list_for(self, scope: Scope) -> str | None:
        """The global list for what stops all mail, our unsubscribe group for marketing.

        Without a group marketing has none: the global list would stop order confirmations too.
        """
        return self._group_list() if scope is Scope.MARKETING else _GLOBAL

    def refusing(self, scope: Scope) -> Sequence[str]:
        """All mail to the addresses of four lists is dropped, and our mail to who left the group."""
        group = self._group_list()
        return [
            *(one for one, reason in LISTS.items() if reason is not None),
            *([group] if group and scope is Scope.MARKETING else []),
        ]

    def naming(self, reason: Reason) -> Sequence[str]:
        """The list of that reason; an unsubscribe is on the global one or in the group."""
        group = self._group_list() if reason is Reason.UNSUBSCRIBE else None
        return [*(one for one, means in LISTS.items() if means is reason), *([group] if group else [])]

    def put(self, listing: str, addresses: Sequence[str]) -> Sequence[str]:
        """Nobody is refused: SendGrid takes each. Raises ManagementError."""
        if listing == _GLOBAL:
            self._management.post(_ADD_GLOBAL, {"recipient_emails": list(addresses)})
        else:
            self._check_group(listing)
            self._management.post(f"asm/{listing}/suppressions", {"recipient_emails": list(addresses)})
        return []

    def _check_group(self, listing: str) -> None:
        """Whoever is put into a group that was deleted ends on the global list, and gets no order confirmation."""
        if self._group_exists:
            return
        try:
            self._management.get(f"asm/{listing}", {})
        except ManagementError as error:
            if error.status != 404:  # noqa: PLR2004 - Not Found
                raise
            raise ManagementError(
                f"SendGrid has no unsubscribe group {listing.rpartition('/')[2]}: nobody was put into it. Set"
                " OMS_SENDGRID_ASM_GROUP_ID to one that exists, or leave it out",
                status=error.status,
            ) from None
        self._group_exists = True

    def take_off(self, listing: str, address: str) -> bool:
        """Also where it is not on the list. Raises ManagementError."""
        name = quote(address, safe="")
        try:
            if listing == _GLOBAL:
                self._management.delete(f"{_ADD_GLOBAL}/{name}")
            elif listing in LISTS:
                self._management.delete(_SUPPRESSION + listing, {"emails": [address]})
            else:
                self._management.delete(f"asm/{listing}/suppressions/{name}")
        except ManagementError as error:
            if error.status != 404:  # noqa: PLR2004 - Not Found: it is off the list already
                raise
        return True


def _listed(row: Any, listing: str, reason: Reason | None) -> ListedSuppression:
    """Read one row, or fail aloud: a suppression that is skipped in silence is a mail to somebody who said no."""
    address = row.get("email") if isinstance(row, dict) else None
    created = row.get("created") if isinstance(row, dict) else None
    if not isinstance(address, str) or not address or type(created) is not int:
        raise ManagementError(
            f"a row of SendGrid's {_SUPPRESSION}{listing} is not as documented; the rest of it was not read"
        )
    try:
        at = datetime.fromtimestamp(created, UTC)
    except (ValueError, OverflowError, OSError):
        raise ManagementError(f"a row of SendGrid's {_SUPPRESSION}{listing} has an impossible time") from None
    status, text = _words(row, "status"), _words(row, "reason")
    means = bounces.listed(status=status, text=text).suppresses if listing == _BOUNCES else reason
    return ListedSuppression(address, means, at, masked(f"{status} {text}".strip()), listing)


def _words(row: dict[str, Any], name: str) -> str:
    words = row.get(name)
    return words if isinstance(words, str) else ""
