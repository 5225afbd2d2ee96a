"""Marketing's endpoints of an audience: members, merge fields, static segments, webhooks."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from providers.sandbox.fate import Kind
from providers.sandbox.marketing import hooks, members, segments
from providers.sandbox.marketing.members import instant
from providers.sandbox.marketing.problems import invalid
from providers.sandbox.marketing.schema import LIST_ID
from providers.sandbox.marketing.state import Running, require_list

router = APIRouter(prefix="/lists/{list_id}", dependencies=[Depends(require_list)])
Count = Annotated[int, Query(ge=0, le=1000)]
Offset = Annotated[int, Query(ge=0)]
_END_OF_TIME = "2999-01-01T00:00:00+00:00"


def moment(text: str) -> float:
    """Raises Problem."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("since", "This is not a date") from None
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()


class Batch(BaseModel):
    """Members to add or update."""

    members: list[dict[str, Any]]
    update_existing: bool = False


@router.get("")
def audience(marketing: Running) -> dict[str, Any]:
    with marketing.sandbox.store.read() as connection:
        query = "SELECT COUNT(*) FROM marketing_members WHERE status = 'subscribed'"
        (count,) = connection.execute(query).fetchone()
    return {"id": LIST_ID, "name": "Customers", "stats": {"member_count": count}}


@router.post("")
def batch(given: Batch, marketing: Running) -> dict[str, Any]:
    now = marketing.now()
    with marketing.sandbox.store.write() as connection:
        return members.batch(connection, given.members, update=given.update_existing, now=now)


@router.get("/members")
def listed(
    marketing: Running,
    status: str | None = None,
    since_last_changed: str = "1970-01-01T00:00:00+00:00",
    before_last_changed: str = _END_OF_TIME,
    count: Count = 10,
    offset: Offset = 0,
) -> dict[str, Any]:
    marketing.now()
    window = {"since": moment(since_last_changed), "before": moment(before_last_changed)}
    with marketing.sandbox.store.read() as connection:
        return {"members": members.page(connection, status=status, count=count, offset=offset, **window)}


@router.get("/members/{subscriber}")
def member(subscriber: str, marketing: Running) -> dict[str, Any]:
    marketing.now()
    with marketing.sandbox.store.read() as connection:
        return members.by_hash(connection, subscriber)


@router.put("/members/{subscriber}")
def put(subscriber: str, given: dict[str, Any], marketing: Running) -> dict[str, Any]:
    now = marketing.now()
    with marketing.sandbox.store.write() as connection:
        return members.put(connection, subscriber, given, now=now)


@router.get("/abuse-reports")
def abuse(marketing: Running, count: Count = 10, offset: Offset = 0) -> dict[str, Any]:
    now = marketing.now()
    with marketing.sandbox.store.read() as connection:
        rows = connection.execute(
            "SELECT r.address, e.occurred_at, r.run FROM events e JOIN recipients r ON r.id = e.recipient_id"
            " JOIN marketing_campaigns c ON c.id = r.run WHERE e.kind = ? AND e.occurred_at <= ? ORDER BY e.id",
            (Kind.SPAM_REPORT, now),
        ).fetchall()
    told = [
        {"email_address": row["address"], "date": instant(row["occurred_at"]), "campaign_id": row["run"]}
        for row in rows
    ]
    return {"abuse_reports": told[offset : offset + count], "total_items": len(told)}


class Field(BaseModel):
    """A merge field."""

    name: str
    type: str
    tag: str = ""


@router.get("/merge-fields")
def fields(marketing: Running, count: Count = 10, offset: Offset = 0) -> dict[str, Any]:
    with marketing.sandbox.store.read() as connection:
        return {"merge_fields": segments.fields(connection)[offset : offset + count]}


@router.post("/merge-fields")
def add_field(given: Field, marketing: Running) -> dict[str, Any]:
    with marketing.sandbox.store.write() as connection:
        return segments.add_field(connection, given.tag, given.name)


@router.delete("/merge-fields/{merge_id}", status_code=204)
def remove_field(merge_id: int, marketing: Running) -> None:
    with marketing.sandbox.store.write() as connection:
        segments.remove_field(connection, merge_id)


class Segment(BaseModel):
    """A static segment."""

    name: str
    static_segment: list[str] = []


class Change(BaseModel):
    """Who comes in, who goes out."""

    members_to_add: list[str] = []
    members_to_remove: list[str] = []


@router.get("/segments")
def every_segment(marketing: Running, count: Count = 10, offset: Offset = 0) -> dict[str, Any]:
    with marketing.sandbox.store.read() as connection:
        return {"segments": segments.every(connection)[offset : offset + count]}


@router.post("/segments")
def make_segment(given: Segment, marketing: Running) -> dict[str, Any]:
    with marketing.sandbox.store.write() as connection:
        return segments.make(connection, given.name, given.static_segment)


@router.delete("/segments/{segment}", status_code=204)
def remove_segment(segment: int, marketing: Running) -> None:
    with marketing.sandbox.store.write() as connection:
        segments.remove(connection, segment)


@router.post("/segments/{segment}")
def change_segment(segment: int, given: Change, marketing: Running) -> dict[str, Any]:
    with marketing.sandbox.store.write() as connection:
        segments.one(connection, segment)
        return segments.change(connection, segment, add=given.members_to_add, remove=given.members_to_remove)


@router.get("/segments/{segment}/members")
def segment_members(
    segment: int,
    marketing: Running,
    *,
    include_cleaned: bool = False,
    include_transactional: bool = False,
    include_unsubscribed: bool = False,
    count: Count = 10,
    offset: Offset = 0,
) -> dict[str, Any]:
    also = {"cleaned": include_cleaned, "transactional": include_transactional, "unsubscribed": include_unsubscribed}
    statuses = ["subscribed", *(status for status, wanted in also.items() if wanted)]
    marketing.now()
    with marketing.sandbox.store.read() as connection:
        return segments.page(connection, segment, statuses=statuses, count=count, offset=offset)


class Webhook(BaseModel):
    """A webhook of the audience."""

    url: str
    events: dict[str, bool] = {}
    sources: dict[str, bool] = {}


@router.get("/webhooks")
def webhooks(marketing: Running) -> dict[str, Any]:
    with marketing.sandbox.store.read() as connection:
        return {"webhooks": hooks.every(connection)}


@router.post("/webhooks")
async def make_webhook(given: Webhook, marketing: Running) -> dict[str, Any]:
    if not await hooks.answers(given.url):
        raise invalid("url", "The callback URL did not answer a GET with 200")
    return await run_in_threadpool(_make_webhook, given, marketing)


def _make_webhook(given: Webhook, marketing: Running) -> dict[str, Any]:
    with marketing.sandbox.store.write() as connection:
        return hooks.make(connection, given.url, given.events, given.sources)


@router.delete("/webhooks/{webhook_id}", status_code=204)
def remove_webhook(webhook_id: str, marketing: Running) -> None:
    with marketing.sandbox.store.write() as connection:
        hooks.remove(connection, webhook_id)
