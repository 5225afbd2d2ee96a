"""Mailchimp's own refusals, read and written: the members of Marketing's audience, Transactional's denylist.

Marketing (facts/esp-contracts.md 4.3): a member who is `cleaned` bounced, one who is `unsubscribed` left; abuse reports
name who complained. Nobody is ever subscribed again by us: only the person can, by Mailchimp's own form.
Transactional (4.4): one list of rejects, whose rows Mailchimp forgets by their kind.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from domain.masking import masked
from domain.ports import ListedSuppression, ListsCutShort
from domain.suppression import Reason, Scope
from providers.mailchimp import bounces
from providers.mailchimp.calls import CallFailed, call, open_marketing, open_transactional
from providers.mailchimp.config import MailchimpConfig, MailchimpNotConfigured

PAGE = 500  # 1000 is allowed, and times out on large audiences
# Who is changed while we page leaves the window, and all behind her move up: so pages overlap.
_OVERLAP = 50
_CLEANED, _BOUNCED = "cleaned", "hard-bounce"
_STATUSES = {_CLEANED: Reason.HARD_BOUNCE, "unsubscribed": Reason.UNSUBSCRIBE}
_ABUSE = "abuse-reports"
# What cannot be unsubscribed because it is refused already, or was deleted for good: "Member In Compliance State",
# "Forgotten Email Not Subscribed".
_REFUSED_ALREADY = frozenset({"Member In Compliance State", "Forgotten Email Not Subscribed"})
_BAD_REQUEST = 400
_PUT_AT_ONCE = 50  # a request each


class MarketingSuppressions:
    """A SuppressionSource and a SuppressionSink over one audience."""

    at_once = _PUT_AT_ONCE

    def __init__(self, config: MailchimpConfig) -> None:
        if not config.marketing_list_id:
            raise MailchimpNotConfigured("OMS_MAILCHIMP_MARKETING_LIST_ID must name the audience of the customers")
        self._config = config
        self._path = f"/lists/{config.marketing_list_id}"

    def suppressions(self, since: datetime, until: datetime) -> Iterator[ListedSuppression]:
        """Yield who was changed between the two, and all abuse reports, which have no window. Raises CallFailed.

        A member's time is that of her last change, whatever changed: the time of her leaving is not told, so it is no
        date. Words of one who is cleaned are judged as a bounce's are; without any, the state is Mailchimp's own word.
        """
        with open_marketing(self._config) as client:
            for status, reason in _STATUSES.items():
                window = {
                    "status": status,
                    "since_last_changed": since.isoformat(),
                    "before_last_changed": until.isoformat(),
                    "fields": "members.email_address,members.status,members.last_changed,members.unsubscribe_reason",
                    "sort_field": "last_changed",
                    "sort_dir": "ASC",
                }
                for row in self._pages(client, "members", "members", window):
                    words = str(row.get("unsubscribe_reason") or "")
                    means = bounces.refused(_BOUNCED, words).suppresses if status == _CLEANED else reason
                    yield _listed(
                        row, "email_address", "last_changed", reason=means, listing=status, words=words, dated=False
                    )
            fields = {"fields": "abuse_reports.email_address,abuse_reports.date"}
            for row in self._pages(client, _ABUSE, "abuse_reports", fields):
                yield _listed(row, "email_address", "date", reason=Reason.COMPLAINT, listing=_ABUSE)

    def _pages(self, client: httpx.Client, name: str, key: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = call(client, "GET", f"{self._path}/{name}", count=PAGE, offset=offset, **query)
            rows = answer.get(key) if isinstance(answer, dict) else None
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise CallFailed(f"Mailchimp's {name} is not as documented; nothing of that page was kept")
            yield from rows
            if len(rows) < PAGE:
                return
            offset += PAGE - _OVERLAP

    def list_for(self, scope: Scope) -> str | None:  # noqa: ARG002 - an audience is all marketing
        """Whoever may not be mailed is unsubscribed."""
        return "unsubscribed"

    def refusing(self, scope: Scope) -> Sequence[str]:  # noqa: ARG002
        """Marketing sends to nobody in either state."""
        return [*_STATUSES]

    def naming(self, reason: Reason) -> Sequence[str]:
        """The state, or the report, that says so."""
        if reason is Reason.COMPLAINT:
            return [_ABUSE]
        return [status for status, means in _STATUSES.items() if means is reason]

    def put(self, listing: str, addresses: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - there is one
        """Unsubscribe each; whom Mailchimp does not know becomes known as unsubscribed, so that no import adds her."""
        with open_marketing(self._config) as client:
            return [address for address in addresses if not self._unsubscribe(client, address)]

    def _unsubscribe(self, client: httpx.Client, address: str) -> bool:
        member = hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()
        body = {"email_address": address, "status_if_new": "unsubscribed", "status": "unsubscribed"}
        try:
            call(client, "PUT", f"{self._path}/members/{member}", body=body)
        except CallFailed as error:
            if error.status != _BAD_REQUEST:
                raise
            return error.title in _REFUSED_ALREADY
        return True

    def take_off(self, listing: str, address: str) -> bool:  # noqa: ARG002 - we may not
        """Only the person herself subscribes again."""
        return False


_REJECTS = "rejects"
_MOST_REJECTS = 1000


class TransactionalSuppressions:
    """A SuppressionSource and a SuppressionSink over the denylist."""

    at_once = _PUT_AT_ONCE

    def __init__(self, config: MailchimpConfig) -> None:
        self._config = config

    def suppressions(self, since: datetime, until: datetime) -> Iterator[ListedSuppression]:  # noqa: ARG002
        """Yield the whole list, which has no window. Raises CallFailed, and ListsCutShort after a thousand rows."""
        with open_transactional(self._config) as client:
            rows = self._call(client, "list", include_expired=False)
        if not isinstance(rows, list):
            raise CallFailed("Mailchimp Transactional's rejects are not a list; nothing of them was kept")
        for row in rows:
            yield _reject(row)
        if len(rows) >= _MOST_REJECTS:
            raise ListsCutShort(
                f"Mailchimp Transactional tells no more than {_MOST_REJECTS} rejects at a time, and has as many or more."
                " Those were kept. New ones come by its webhook; for the old ones export the denylist there once, and"
                " import it: campaigns suppressions import"
            )

    def _call(self, client: httpx.Client, verb: str, **body: Any) -> Any:
        key = self._config.required_transactional_key()
        return call(client, "POST", f"/rejects/{verb}.json", body={"key": key, **body})

    def list_for(self, scope: Scope) -> str | None:
        """There is one list, and it stops all mail, so none for marketing alone."""
        return None if scope is Scope.MARKETING else _REJECTS

    def refusing(self, scope: Scope) -> Sequence[str]:  # noqa: ARG002
        """The one list."""
        return [_REJECTS]

    def naming(self, reason: Reason) -> Sequence[str]:
        """The one list, for the reasons that it has."""
        return [_REJECTS] if reason in bounces.STANDING else []

    def put(self, listing: str, addresses: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - there is one
        """Nobody who was put there by hand is ever forgotten; an address on the allowlist is not taken."""
        with open_transactional(self._config) as client:
            answers = [(one, self._call(client, "add", email=one, comment="suppressed")) for one in addresses]
        return [one for one, answer in answers if not (isinstance(answer, dict) and answer.get("added") is True)]

    def take_off(self, listing: str, address: str) -> bool:  # noqa: ARG002 - there is one
        """Each costs a little of the account's reputation, as Mailchimp says."""
        with open_transactional(self._config) as client:
            answer = self._call(client, "delete", email=address)
        return isinstance(answer, dict) and answer.get("deleted") is True


def _reject(row: Any) -> ListedSuppression:
    """Judged as the webhook's own word of it is, by its reason and its detail."""
    known = row if isinstance(row, dict) else {}
    why, detail = str(known.get("reason") or ""), str(known.get("detail") or "")
    return _listed(
        known,
        "email",
        "created_at",
        reason=bounces.refused(why, detail).suppresses,
        listing=_REJECTS,
        words=f"{why} {detail}",
        expires_at=_moment(known["expires_at"]) if known.get("expires_at") else None,
    )


def _listed(
    row: dict[str, Any],
    address: str,
    time: str,
    *,
    reason: Reason | None,
    listing: str,
    words: str = "",
    expires_at: datetime | None = None,
    dated: bool = True,
) -> ListedSuppression:
    """Read one row, or fail aloud: a suppression that is skipped in silence is a mail to somebody who said no."""
    email = row.get(address)
    if not isinstance(email, str) or not email:
        raise CallFailed(f"a row of Mailchimp's {listing} is not as documented; the rest of it was not read")
    return ListedSuppression(email, reason, _moment(row.get(time)), masked(words), listing, expires_at, dated)


def _moment(text: Any) -> datetime:
    """Marketing writes ISO 8601 with a zone, Transactional `2026-11-22 09:00:00` in UTC."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise CallFailed("a row of Mailchimp's has an impossible time; the rest of it was not read") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
