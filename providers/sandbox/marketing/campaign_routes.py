"""Marketing's endpoints of campaigns and their reports."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from providers.sandbox.fate import Kind
from providers.sandbox.marketing import campaigns, reports
from providers.sandbox.marketing.audience_routes import Count, Offset, moment
from providers.sandbox.marketing.problems import invalid
from providers.sandbox.marketing.schema import LIST_ID
from providers.sandbox.marketing.state import Running

router = APIRouter()


@router.get("/")
def root() -> dict[str, str]:
    return {"account_name": "Sandbox", "role": "manager", "pricing_plan_type": "monthly"}


@router.get("/verified-domains")
def domains() -> dict[str, Any]:
    """The sandbox signs nothing, and knows no domain that it would not take."""
    return {"domains": [], "total_items": 0}


@router.get("/campaigns")
def every(
    marketing: Running,
    list_id: str = LIST_ID,
    sort_dir: Annotated[str, Query(pattern="^(ASC|DESC)$")] = "ASC",
    count: Count = 10,
    offset: Offset = 0,
) -> dict[str, Any]:
    marketing.now()
    if list_id != LIST_ID:
        return {"campaigns": [], "total_items": 0}
    with marketing.sandbox.store.read() as connection:
        return campaigns.page(connection, count=count, offset=offset, newest_first=sort_dir == "DESC")


@router.post("/campaigns")
def make(given: dict[str, Any], marketing: Running) -> dict[str, Any]:
    now = marketing.now()
    if given.get("type") not in {"regular", "plaintext"}:
        raise invalid("type", "Value must be one of: regular, plaintext")
    with marketing.sandbox.store.write() as connection:
        return campaigns.make(connection, given, now=now)


@router.get("/campaigns/{campaign_id}")
def one(campaign_id: str, marketing: Running) -> dict[str, Any]:
    marketing.now()
    with marketing.sandbox.store.read() as connection:
        return campaigns.shown(campaigns.row(connection, campaign_id))


@router.patch("/campaigns/{campaign_id}")
def change(campaign_id: str, given: dict[str, Any], marketing: Running) -> dict[str, Any]:
    marketing.now()
    with marketing.sandbox.store.write() as connection:
        return campaigns.change(connection, campaign_id, given)


@router.delete("/campaigns/{campaign_id}", status_code=204)
def remove(campaign_id: str, marketing: Running) -> None:
    marketing.now()
    with marketing.sandbox.store.write() as connection:
        campaigns.remove(connection, campaign_id)


class Body(BaseModel):
    """A campaign's body."""

    html: str = ""
    plain_text: str = ""


@router.put("/campaigns/{campaign_id}/content")
def fill(campaign_id: str, given: Body, marketing: Running) -> dict[str, str]:
    with marketing.sandbox.store.write() as connection:
        campaigns.fill(connection, campaign_id, html=given.html, plain_text=given.plain_text)
    return given.model_dump()


@router.get("/campaigns/{campaign_id}/content")
def content(campaign_id: str, marketing: Running) -> dict[str, str]:
    with marketing.sandbox.store.read() as connection:
        campaign = campaigns.row(connection, campaign_id)
        return {"html": campaign["html"], "plain_text": campaign["plain_text"]}


@router.get("/campaigns/{campaign_id}/send-checklist")
def checklist(campaign_id: str, marketing: Running) -> dict[str, Any]:
    with marketing.sandbox.store.read() as connection:
        return campaigns.checklist(connection, campaign_id)


class Test(BaseModel):
    """To whom a test goes."""

    test_emails: list[str]
    send_type: str


@router.post("/campaigns/{campaign_id}/actions/test", status_code=204)
def test(campaign_id: str, given: Test, marketing: Running) -> None:
    with marketing.sandbox.store.write() as connection:
        campaigns.test(connection, campaign_id, given.test_emails)


class Schedule(BaseModel):
    """When it is to go."""

    schedule_time: str


@router.post("/campaigns/{campaign_id}/actions/schedule", status_code=204)
def schedule(campaign_id: str, given: Schedule, marketing: Running) -> None:
    now = marketing.now()
    with marketing.sandbox.store.write() as connection:
        campaigns.schedule(connection, campaign_id, given.schedule_time, now=now)


@router.post("/campaigns/{campaign_id}/actions/unschedule", status_code=204)
def unschedule(campaign_id: str, marketing: Running) -> None:
    marketing.now()
    with marketing.sandbox.store.write() as connection:
        campaigns.unschedule(connection, campaign_id)


@router.post("/campaigns/{campaign_id}/actions/send", status_code=204)
def send(campaign_id: str, marketing: Running) -> None:
    now, config = marketing.now(), marketing.sandbox.config
    with marketing.sandbox.store.write() as connection:
        campaigns.send(connection, campaign_id, seed=config.seed, delay=config.event_delay_seconds, now=now)


@router.get("/reports/{campaign_id}/sent-to")
def sent_to(campaign_id: str, marketing: Running, count: Count = 10, offset: Offset = 0) -> dict[str, Any]:
    now = marketing.now()
    with marketing.sandbox.store.read() as connection:
        return reports.sent_to(connection, campaign_id, count=count, offset=offset, now=now)


@router.get("/reports/{campaign_id}/email-activity")
def activity(
    campaign_id: str,
    marketing: Running,
    since: str = "1970-01-01T00:00:00+00:00",
    count: Count = 10,
    offset: Offset = 0,
) -> dict[str, Any]:
    now = marketing.now()
    with marketing.sandbox.store.read() as connection:
        return reports.activity(connection, campaign_id, since=moment(since), count=count, offset=offset, now=now)


@router.get("/reports/{campaign_id}/unsubscribed")
def left(campaign_id: str, marketing: Running, count: Count = 10, offset: Offset = 0) -> dict[str, Any]:
    now = marketing.now()
    with marketing.sandbox.store.read() as connection:
        rows = reports.acted(connection, campaign_id, Kind.UNSUBSCRIBE, time_name="timestamp", now=now)
    return {"unsubscribes": rows[offset : offset + count], "total_items": len(rows)}


@router.get("/reports/{campaign_id}/abuse-reports")
def complained(campaign_id: str, marketing: Running) -> dict[str, Any]:
    now = marketing.now()
    with marketing.sandbox.store.read() as connection:
        rows = reports.acted(connection, campaign_id, Kind.SPAM_REPORT, time_name="date", now=now)
    return {"abuse_reports": rows, "total_items": len(rows)}
