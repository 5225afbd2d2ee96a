"""One campaign at Mailchimp: found by our key or made, filled, checked, scheduled once, called back.

Mailchimp has no idempotency key. Making a campaign may be repeated because the key stands in its title and is looked for
first; scheduling may not, and is not: the ledger claims it, and afterwards the campaign's status tells what became of it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.campaign_host import HostedCampaign, HostRefuses, HostStatus, HostUnavailable
from domain.ledger import Outcome, OutcomeKind
from domain.masking import masked
from providers.mailchimp import content
from providers.mailchimp.calls import CallFailed
from providers.mailchimp.sdk import Marketing, rows, text

_PAGE = 1000
_NOT_FOUND = 404
_TITLE = 100
# Mailchimp's word → ours; a word that is not here is trouble that somebody must look at.
_STATUSES = {
    "save": HostStatus.DRAFT,
    "paused": HostStatus.PAUSED,
    "schedule": HostStatus.SCHEDULED,
    "sending": HostStatus.SENDING,
    "sent": HostStatus.SENT,
    "canceling": HostStatus.CANCELLED,
    "canceled": HostStatus.CANCELLED,
}
_OUT = frozenset({HostStatus.SCHEDULED, HostStatus.SENDING, HostStatus.SENT})
# Mailchimp schedules at :00, :15, :30 and :45 (API document, "Schedule campaign"). A time that passes while the request
# is under way is refused, and so would be a call-back after it: three minutes are ours.
_QUARTER = timedelta(minutes=15)
_LEAD = timedelta(minutes=3)

_REJECTED = (OutcomeKind.REJECTED, False)
_MEND_FIRST = (OutcomeKind.NOT_SENT, True)
# facts/reliability.md section 2. Whatever is not here is unknown, every 5xx above all.
_OUTCOMES = {
    400: _REJECTED,
    422: _REJECTED,
    401: _MEND_FIRST,
    404: _MEND_FIRST,
    405: _MEND_FIRST,
    429: (OutcomeKind.NOT_SENT, False),
    # No redirect of Mailchimp's: a proxy or a wrong base URL spoke, and did nothing here.
    301: _MEND_FIRST,
    307: _MEND_FIRST,
    308: _MEND_FIRST,
}
_FORBIDDEN = 403


def utc_now() -> datetime:
    """The clock of everybody who is given none."""
    return datetime.now(UTC)


class Campaigns:
    """The campaigns to one list. All but `schedule` and `status` raise CallFailed and may be repeated."""

    def __init__(self, api: Marketing, list_id: str, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._api = api
        self._list = list_id
        self._clock = clock

    def find_or_make(self, campaign: HostedCampaign, segment: int) -> str:
        """The campaign of this key. Its twins, which an answer that never came left behind, are deleted."""
        if found := self._settled(campaign.key):
            return found
        made = text(self._api.campaigns.create(self._new(campaign, segment)), "id")
        # The answer of a request that was given up may have been late, not lost: its campaign may be there by now.
        return self._settled(campaign.key) or made

    def _new(self, campaign: HostedCampaign, segment: int) -> dict[str, Any]:
        return {
            "type": "regular" if campaign.content.html else "plaintext",
            "recipients": self._recipients(segment),
            "settings": {"title": _title(campaign), **content.settings(campaign)},
            "tracking": {"opens": True, "html_clicks": True, "text_clicks": False},
        }

    def _recipients(self, segment: int) -> dict[str, Any]:
        return {"list_id": self._list, "segment_opts": {"saved_segment_id": segment}}

    def _settled(self, key: str) -> str | None:
        """The one campaign of the key: that which goes or went out, else the oldest draft. Other drafts are deleted."""
        found = self._of(key)
        gone_out = [one for one in found if one.get("status") != "save"]
        if len(gone_out) > 1:
            raise HostRefuses(
                "Mailchimp has two campaigns with this run's key that are more than drafts: somebody copied one there."
                " Nothing more was done; look at both"
            )
        if not found:
            return None
        kept = gone_out[0] if gone_out else min(reversed(found), key=lambda one: str(one.get("create_time")))
        for twin in found:
            if twin is not kept:
                self._delete(text(twin, "id"))
        return text(kept, "id")

    def _of(self, key: str) -> list[dict[str, Any]]:
        """All campaigns whose title ends in the key. Not by search-campaigns, whose index is behind.

        The newest come first, so one that is made meanwhile pushes others onto the next page and none off it.
        """
        found: dict[str, dict[str, Any]] = {}
        offset = 0
        while True:
            answer = self._api.campaigns.list(
                list_id=self._list,
                count=_PAGE,
                offset=offset,
                sort_field="create_time",
                sort_dir="DESC",
                fields=["campaigns.id", "campaigns.status", "campaigns.create_time", "campaigns.settings.title"],
            )
            page = rows(answer, "campaigns")
            ours = [one for one in page if str((one.get("settings") or {}).get("title", "")).endswith(_ending(key))]
            found |= {text(one, "id"): one for one in ours}
            if len(page) < _PAGE:
                return list(found.values())
            offset += _PAGE

    def under_way(self, key: str) -> bool:
        """Whether a campaign of the key is still to take its members and their values from the audience."""
        return any(one.get("status") in {"schedule", "sending", "paused"} for one in self._of(key))

    def _delete(self, campaign_id: str) -> None:
        try:
            self._api.campaigns.remove(campaign_id)
        except CallFailed as error:
            if error.status != _NOT_FOUND:
                raise

    def discard(self, campaign_id: str) -> None:
        """Delete a draft. Mailchimp would delete what is scheduled or was sent as well, with its report: never that."""
        status = self.status(campaign_id)
        if status is HostStatus.GONE:
            return
        if status is not HostStatus.DRAFT:
            raise HostRefuses(f"the campaign is {status} at Mailchimp and no draft, so it was not deleted")
        self._delete(campaign_id)

    def fill(self, campaign_id: str, campaign: HostedCampaign, segment: int) -> None:
        """Sender, subject, recipients and body, which may be others than it has."""
        settings = {"title": _title(campaign), **content.settings(campaign)}
        body = content.body(campaign)
        self._api.campaigns.update(campaign_id, {"settings": settings, "recipients": self._recipients(segment)})
        self._api.campaigns.set_content(campaign_id, body)

    def faults(self, campaign_id: str) -> list[str]:
        """The errors of Mailchimp's check list. Its warnings are advice."""
        answer = self._api.campaigns.get_send_checklist(campaign_id)
        errors = [one for one in rows(answer, "items") if one.get("type") == "error"]
        found = [masked(f"{one.get('heading', '')}: {one.get('details', '')}") for one in errors]
        if not found and answer.get("is_ready") is not True:
            return ["Mailchimp says that the campaign is not ready, and not why"]
        return found

    def test(self, campaign_id: str, addresses: Sequence[str]) -> None:
        """Mailchimp sends the test at once. What an answer that never came left open is one more test."""
        self._api.campaigns.send_test_email(campaign_id, {"test_emails": list(addresses), "send_type": "html"})

    def goes_at(self, at: datetime) -> datetime:
        """When Mailchimp lets go what is scheduled now for that time."""
        return quarter(max(at, self._clock() + _LEAD))

    def schedule(self, campaign_id: str, at: datetime) -> Outcome:
        """One request. Only where Mailchimp refuses it the status is read: somebody may have scheduled it before."""
        body = {"schedule_time": self.goes_at(at).isoformat()}
        try:
            self._api.campaigns.schedule(campaign_id, body)
        except CallFailed as error:
            outcome = _outcome(error)
        else:
            return Outcome(OutcomeKind.ACCEPTED, status=204, provider_reference=campaign_id)
        return self._after_refusal(campaign_id, outcome) if outcome.kind is OutcomeKind.REJECTED else outcome

    def _after_refusal(self, campaign_id: str, outcome: Outcome) -> Outcome:
        try:
            status = self.status(campaign_id)
        except (HostUnavailable, HostRefuses):
            return Outcome(OutcomeKind.UNKNOWN, detail=outcome.detail, status=outcome.status)
        if status not in _OUT:
            return outcome
        detail = f"it is {status} already: {outcome.detail}"
        return Outcome(OutcomeKind.ACCEPTED, detail=detail, status=outcome.status, provider_reference=campaign_id)

    def unschedule(self, campaign_id: str) -> None:
        """Make it a draft again. Raises HostRefuses where it goes out, or went."""
        try:
            self._api.campaigns.unschedule(campaign_id)
        except CallFailed as error:
            if error.status is None or error.status >= 500:  # noqa: PLR2004 - 5xx
                raise
            refusal = error
        else:
            return
        status = self.status(campaign_id)
        if status in {HostStatus.SENDING, HostStatus.SENT}:
            raise HostRefuses(
                f"the campaign is {status} at Mailchimp, so it cannot be called back. On a Premium plan what is still"
                " under way can be cancelled there"
            )
        if status is HostStatus.SCHEDULED:
            raise refusal

    def status(self, campaign_id: str) -> HostStatus:
        """Where it is. Raises HostUnavailable and HostRefuses."""
        try:
            answer = self._api.campaigns.get(campaign_id, fields=["id", "status", "emails_sent"])
        except CallFailed as error:
            if error.status == _NOT_FOUND:
                return HostStatus.GONE
            raise told(error) from None
        word = str(answer.get("status")) if isinstance(answer, dict) else ""
        if word == "archived":  # put away by somebody, before or after it was sent
            return HostStatus.SENT if answer.get("emails_sent") else HostStatus.CANCELLED
        if word not in _STATUSES:
            raise HostUnavailable(
                f"Mailchimp says that the campaign is {masked(word)!r}, which is no status known here"
            )
        return _STATUSES[word]


def quarter(at: datetime) -> datetime:
    """The next full quarter of an hour, in UTC; a time that is one stays."""
    at = at.astimezone(UTC)
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour + -(-(at - hour) // _QUARTER) * _QUARTER


def told(error: CallFailed) -> HostUnavailable | HostRefuses:
    """In the words of a host: what passes by itself, and what somebody must mend.

    Beyond ten requests at once Mailchimp answers 429, or 403 without a JSON body; a 403 with one names a missing right.
    """
    lasting = error.status is not None and 400 <= error.status < 500 and error.status not in {408, 429}  # noqa: PLR2004
    if not lasting or (error.status == _FORBIDDEN and not error.title):
        return HostUnavailable(str(error))
    return HostRefuses(str(error))


def _outcome(error: CallFailed) -> Outcome:
    if error.wire is not None:
        return error.wire
    status = error.status
    if status == _FORBIDDEN:
        kind, stop = (OutcomeKind.NOT_SENT, bool(error.title))
    else:
        kind, stop = _OUTCOMES.get(status or 0, (OutcomeKind.UNKNOWN, False))
    if status is not None and status < 300:  # noqa: PLR2004 - it said yes, with a body that is not JSON
        kind = OutcomeKind.UNKNOWN
    return Outcome(kind, detail=masked(str(error)), status=status, stop_provider=stop)


def _ending(key: str) -> str:
    return f" [{key}]"


def _title(campaign: HostedCampaign) -> str:
    """The name that people see at Mailchimp, and behind it the key by which we find it."""
    ending = _ending(campaign.key)
    return campaign.title[: max(0, _TITLE - len(ending))] + ending
