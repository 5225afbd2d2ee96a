"""What Mailchimp tells of a campaign's recipients afterwards, in our words.

There is no id of a message in it: campaign and address name it, as in the webhook's events (events.py). Nothing says
"delivered" either; Mailchimp itself counts as delivered whom it sent to and of whom nothing came back, and so do we, once
the whole campaign is out. Some minutes pass before a report knows what happened; how many is not published.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import bounces
from domain.bounces import GONE, Verdict
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.masking import masked
from domain.suppression import Reason
from providers.mailchimp.calls import CallFailed
from providers.mailchimp.events import PROVIDER
from providers.mailchimp.sdk import Marketing, rows

# A thousand are allowed, and end in 504 for a big campaign: support advises 500 (python-mailchimp #207).
PAGE = 500
# Rows that come in while we page push others back, or leave: so pages overlap.
_OVERLAP = 25
# Mailchimp repeats a soft bounce's delivery for 72 hours; afterwards nobody's row among the recipients changes.
_RECIPIENTS_SETTLE = timedelta(hours=72)

_KINDS = {"open": EventKind.OPENED, "click": EventKind.CLICKED, "bounce": EventKind.BOUNCED}
_BOUNCES = {
    "hard": bounces.agreed([GONE]) or Verdict(),
    "soft": Verdict(BounceClass.SOFT, Fault.UNKNOWN),
}
_Call = Callable[..., Any]


def events(api: Marketing, campaign_id: str, *, since: datetime | None, now: datetime) -> Iterator[DeliveryEvent]:
    """All that is told of the campaign's recipients, or what happened since then. Raises CallFailed.

    The recipients themselves cannot be asked for by time, and of 500,000 there are a thousand pages: so they are read once
    the campaign is out, and once more when what bounced softly was repeated for the last time. What happens between is in
    the activity.
    """
    campaign = api.campaigns.get(campaign_id, fields=["id", "status", "send_time"])
    if not isinstance(campaign, dict) or campaign.get("status") not in {"sending", "sent", "archived", "canceled"}:
        return
    if (sent_at := _time(campaign.get("send_time"))) is None:
        return
    if campaign["status"] != "sending" and (since is None or since <= sent_at + _RECIPIENTS_SETTLE <= now):
        yield from _recipients(api, campaign_id, sent_at, first=since is None)
    yield from _activity(api, campaign_id, since)
    for row in _pages(api.reports.get_unsubscribed_list_for_campaign, campaign_id, "unsubscribes"):
        if (event := _left(row, campaign_id, since)) is not None:
            yield event
    for row in rows(api.reports.get_campaign_abuse_reports(campaign_id), "abuse_reports"):
        if (event := _complained(row, campaign_id, since)) is not None:
            yield event


def _recipients(api: Marketing, campaign_id: str, at: datetime, *, first: bool) -> Iterator[DeliveryEvent]:
    for row in _pages(api.reports.get_campaign_recipients, campaign_id, "sent_to"):
        if first:
            yield _event(EventKind.PROCESSED, row, campaign_id, at)
        if row.get("status") == "sent":
            yield _event(EventKind.DELIVERED, row, campaign_id, at)


def _activity(api: Marketing, campaign_id: str, since: datetime | None) -> Iterator[DeliveryEvent]:
    window = {} if since is None else {"since": since.astimezone(UTC).isoformat()}
    for row in _pages(api.reports.get_email_activity_for_campaign, campaign_id, "emails", **window):
        for action in rows(row, "activity"):
            at = _time(action.get("timestamp"))
            if at is None:
                raise CallFailed("an activity in Mailchimp's report has an impossible time; the rest was not read")
            kind = _KINDS.get(str(action.get("action")), EventKind.UNKNOWN)
            meaning = _meaning(kind, action)
            yield _event(
                kind,
                row,
                campaign_id,
                at,
                bounce_class=meaning.bounce_class,
                fault=meaning.fault,
                suppresses=meaning.suppresses,
                detail=_detail(kind, action),
                url=str(action.get("url") or "") or None if kind is EventKind.CLICKED else None,
                client=str(action.get("ip") or "") or None,
            )


def _meaning(kind: EventKind, action: dict[str, Any]) -> Verdict:
    return _BOUNCES.get(str(action.get("type")), bounces.UNKNOWN) if kind is EventKind.BOUNCED else Verdict()


def _detail(kind: EventKind, action: dict[str, Any]) -> str | None:
    """The vendor's words where there is trouble or no word of ours."""
    if kind in {EventKind.BOUNCED, EventKind.UNKNOWN}:
        return masked(f"{action.get('action')} {action.get('type') or ''}")
    return None


def _left(row: dict[str, Any], campaign_id: str, since: datetime | None) -> DeliveryEvent | None:
    at = _time(row.get("timestamp"))
    if at is None:
        raise CallFailed("a row of Mailchimp's unsubscribes has an impossible time; the rest was not read")
    if since is not None and at < since:
        return None
    return _event(EventKind.UNSUBSCRIBED, row, campaign_id, at, suppresses=Reason.UNSUBSCRIBE)


def _complained(row: dict[str, Any], campaign_id: str, since: datetime | None) -> DeliveryEvent | None:
    at = _time(row.get("date"))
    if at is None:
        raise CallFailed("a row of Mailchimp's abuse reports has an impossible time; the rest was not read")
    if since is not None and at < since:
        return None
    return _event(EventKind.COMPLAINED, row, campaign_id, at, suppresses=Reason.COMPLAINT, detail="abuse report")


def _event(kind: EventKind, row: dict[str, Any], campaign_id: str, at: datetime, **more: Any) -> DeliveryEvent:
    address = row.get("email_address")
    if not isinstance(address, str) or not address:
        raise CallFailed("a row of Mailchimp's report names nobody; the rest of it was not read")
    return DeliveryEvent(
        provider=PROVIDER, kind=kind, occurred_at=at, address=address, provider_message_id=campaign_id, **more
    )


def _pages(call: _Call, campaign_id: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        found = rows(call(campaign_id, count=PAGE, offset=offset, **query), key)
        yield from found
        if len(found) < PAGE:
            return
        offset += PAGE - _OVERLAP


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
