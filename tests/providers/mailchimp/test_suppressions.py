"""Mailchimp's lists over a real wire on loopback, in the shapes that its references describe."""

import hashlib
import logging
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from pydantic import SecretStr

from domain.ports import ListsCutShort
from domain.suppression import Reason, Scope
from providers.mailchimp.calls import CallFailed
from providers.mailchimp.config import MailchimpConfig, MailchimpNotConfigured
from providers.mailchimp.suppressions import PAGE, MarketingSuppressions, TransactionalSuppressions
from tests.providers import loopback
from tests.providers.loopback import Answer, Received

KEY = "0123456789abcdef-us1"
TRANSACTIONAL_KEY = "md-key-that-is-never-seen"
SINCE, UNTIL = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
AT = "2026-11-21T10:00:00+00:00"


def marketing(url: str, **changes: object) -> MarketingSuppressions:
    values = {"marketing_api_key": SecretStr(KEY), "marketing_base_url": url, "marketing_list_id": "L1"}
    return MarketingSuppressions(MailchimpConfig(**{**values, **changes}))


def transactional(url: str) -> TransactionalSuppressions:
    return TransactionalSuppressions(
        MailchimpConfig(transactional_api_key=SecretStr(TRANSACTIONAL_KEY), transactional_base_url=url)
    )


def said(payload: object, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(payload), {"Content-Type": "application/json; charset=utf-8"})


def problem(status: int, title: str, detail: str = "") -> Answer:
    body = {"type": "https://example.com/errors", "title": title, "status": status, "detail": detail, "instance": "x"}
    return Answer(status, orjson.dumps(body), {"Content-Type": "application/problem+json; charset=utf-8"})


def audience(abuse: list[dict] = (), **members: list[dict]) -> Callable[[Received], Answer]:
    """Pages as Mailchimp does."""

    def answer(request: Received) -> Answer:
        url = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        start, count = int(query["offset"]), int(query["count"])
        assert count <= 1000
        if url.path == "/lists/L1/abuse-reports":
            return said({"abuse_reports": list(abuse)[start : start + count]})
        assert url.path == "/lists/L1/members"
        return said({"members": members.get(query["status"], [])[start : start + count]})

    return answer


def read(source: MarketingSuppressions | TransactionalSuppressions) -> list:
    return list(source.suppressions(SINCE, UNTIL))


def member(address: str, **facts: str) -> dict[str, str]:
    return {"email_address": address, "last_changed": AT, **facts}


def test_members_who_bounced_left_or_complained_become_three_reasons() -> None:
    answers = audience(
        abuse=[{"email_address": "cat@example.com", "date": AT}],
        cleaned=[member("ann@example.com", status="cleaned")],
        unsubscribed=[member("bob@example.com", status="unsubscribed", unsubscribe_reason="bob@example.com is me")],
    )
    with loopback.answering(answers) as server:
        found = read(marketing(server.url))
    assert [(one.address, one.reason, one.listing) for one in found] == [
        ("ann@example.com", Reason.HARD_BOUNCE, "cleaned"),
        ("bob@example.com", Reason.UNSUBSCRIBE, "unsubscribed"),
        ("cat@example.com", Reason.COMPLAINT, "abuse-reports"),
    ]
    assert {one.created_at for one in found} == {datetime.fromisoformat(AT)}
    assert [one.dated for one in found] == [False, False, True], "an edit of a profile is no new word"
    assert found[1].detail == "[address] is me"
    query = parse_qs(urlsplit(server.requests[0].target).query)
    assert query["since_last_changed"] == [SINCE.isoformat()]
    assert query["before_last_changed"] == [UNTIL.isoformat()]
    basic = b64encode(f"campaigns:{KEY}".encode()).decode()
    assert {one.headers["Authorization"] for one in server.requests} == {f"Basic {basic}"}


@pytest.mark.parametrize("rows", [PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 7])
def test_pages_are_read_to_the_end_and_overlap(rows: int) -> None:
    people = [member(f"p{n}@example.com") for n in range(rows)]
    with loopback.answering(audience(unsubscribed=people)) as server:
        found = read(marketing(server.url))
    assert {one.address for one in found} == {one["email_address"] for one in people}


def test_nobody_is_missed_when_members_move_out_of_the_window_while_we_page() -> None:
    people = [member(f"p{n}@example.com") for n in range(2 * PAGE)]
    pages = audience(unsubscribed=people)

    def answer(request: Received) -> Answer:
        told = pages(request)
        if "unsubscribed" in request.target:
            del people[:20]
        return told

    with loopback.answering(answer) as server:
        found = {one.address for one in read(marketing(server.url))}
    assert {f"p{n}@example.com" for n in range(2 * PAGE)} <= found


@pytest.mark.parametrize(
    "row",
    [{}, {"email_address": ""}, {"email_address": "ann@example.com"}, member("ann@example.com", last_changed="x")],
)
def test_a_row_that_is_none_is_an_error_not_a_gap(row: dict) -> None:
    with loopback.answering(audience(cleaned=[row])) as server, pytest.raises(CallFailed) as caught:
        read(marketing(server.url))
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("payload", [[], {}, {"members": 5}, {"members": [5]}, None])
def test_a_page_that_is_none_is_an_error_not_a_gap(payload: object) -> None:
    with loopback.answering(lambda _: said(payload)) as server, pytest.raises(CallFailed, match="not as documented"):
        read(marketing(server.url))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429),
        Answer(403, b"<html>Forbidden</html>"),
        problem(429, "Too Many Requests", "You have exceeded the limit, ann@example.com"),
        problem(500, "Internal Error"),
        Answer(302, headers={"Location": "http://127.0.0.1:1/"}),
        Answer(200, b"<html>"),
    ],
)
def test_a_refusal_in_whatever_shape_is_one_clear_error(answer: Answer) -> None:
    with loopback.answering(lambda _: answer) as server:
        for sink in (marketing(server.url), transactional(server.url)):
            with pytest.raises(CallFailed) as reading:
                read(sink)
            with pytest.raises(CallFailed) as writing:
                sink.put("unsubscribed", ["ann@example.com"])
            for caught in (reading, writing):
                assert caught.value.status == answer.status
                assert "ann" not in str(caught.value)


def test_nobody_there_is_one_clear_error_without_the_address() -> None:
    url = f"http://127.0.0.1:{loopback.closed_port()}"
    for sink in (marketing(url), transactional(url)):
        with pytest.raises(CallFailed, match="refused the connection") as caught:
            sink.put("unsubscribed", ["ann@example.com"])
        assert hashlib.md5(b"ann@example.com", usedforsecurity=False).hexdigest() not in str(caught.value)


def test_whom_we_suppress_is_unsubscribed_and_never_subscribed() -> None:
    with loopback.answering(lambda _: said({"status": "unsubscribed"})) as server:
        sink = marketing(server.url)
        assert sink.put("unsubscribed", ["Ann@Example.com"]) == []
        assert not sink.take_off("unsubscribed", "Ann@Example.com")
    (one,) = server.requests
    member_id = hashlib.md5(b"ann@example.com", usedforsecurity=False).hexdigest()
    assert (one.method, one.target) == ("PUT", f"/lists/L1/members/{member_id}")
    assert orjson.loads(one.body) == {
        "email_address": "Ann@Example.com",
        "status_if_new": "unsubscribed",
        "status": "unsubscribed",
    }


@pytest.mark.parametrize(
    ("title", "refused"),
    [
        ("Member In Compliance State", []),
        ("Forgotten Email Not Subscribed", []),
        ("Invalid Resource", ["ann@example.com"]),
    ],
)
def test_who_is_in_compliance_state_is_refused_already(title: str, refused: list[str]) -> None:
    with loopback.answering(lambda _: problem(400, title, "ann@example.com is in a compliance state")) as server:
        assert marketing(server.url).put("unsubscribed", ["ann@example.com"]) == refused


def test_both_scopes_are_one_state_in_marketing_and_transactional_has_no_list_for_marketing() -> None:
    one, other = marketing("http://127.0.0.1"), transactional("http://127.0.0.1")
    assert {one.list_for(scope) for scope in Scope} == {"unsubscribed"}
    assert [other.list_for(scope) for scope in Scope] == ["rejects", "rejects", None]
    assert one.naming(Reason.COMPLAINT) == ["abuse-reports"]
    assert (other.naming(Reason.COMPLAINT), other.naming(Reason.SOFT_LIMIT)) == (["rejects"], [])


def reject(address: str, reason: str, **facts: object) -> dict[str, object]:
    return {
        "email": address,
        "reason": reason,
        "detail": f"smtp;550 <{address}>",
        "created_at": "2026-11-21 10:00:00",
        "last_event_at": "2026-11-21 10:00:00",
        "expires_at": None,
        "expired": False,
        "subaccount": None,
        **facts,
    }


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("hard-bounce", Reason.HARD_BOUNCE),
        ("invalid", Reason.INVALID),
        ("spam", Reason.COMPLAINT),
        ("unsub", Reason.UNSUBSCRIBE),
        ("custom", Reason.MANUAL),
        ("soft-bounce", None),
        ("unsigned", None),
        ("rule", None),
        ("of tomorrow", None),
    ],
)
def test_each_reject_has_its_reason_and_when_mailchimp_forgets_it(reason: str, means: Reason | None) -> None:
    row = reject("ann@example.com", reason, expires_at="2026-11-28 10:00:00")
    with loopback.answering(lambda _: said([row])) as server:
        (found,) = read(transactional(server.url))
    assert (found.reason, found.listing, found.created_at) == (means, "rejects", datetime.fromisoformat(AT))
    assert found.expires_at == datetime(2026, 11, 28, 10, tzinfo=UTC)
    assert found.detail == f"{reason} smtp;550 <[address]>"
    (one,) = server.requests
    assert (one.method, one.target) == ("POST", "/rejects/list.json")
    assert orjson.loads(one.body) == {"key": TRANSACTIONAL_KEY, "include_expired": False}
    assert "Authorization" not in one.headers


def test_a_list_that_mailchimp_cuts_short_is_told_after_all_of_it_was_read() -> None:
    rows = [reject(f"p{n}@example.com", "unsub") for n in range(1000)]
    with loopback.answering(lambda _: said(rows)) as server:
        listed = iter(transactional(server.url).suppressions(SINCE, UNTIL))
        assert [next(listed).address for _ in rows] == [row["email"] for row in rows]
        with pytest.raises(ListsCutShort, match="import"):
            next(listed)


def test_rejects_are_added_and_deleted_one_by_one() -> None:
    def answer(request: Received) -> Answer:
        email = orjson.loads(request.body)["email"]
        if request.target == "/rejects/add.json":
            return said({"email": email, "added": email != "allowed@example.com"})
        return said({"email": email, "deleted": True, "subaccount": None})

    with loopback.answering(answer) as server:
        sink = transactional(server.url)
        assert sink.put("rejects", ["ann@example.com", "allowed@example.com"]) == ["allowed@example.com"]
        assert sink.take_off("rejects", "ann@example.com")
    assert [one.target for one in server.requests] == ["/rejects/add.json", "/rejects/add.json", "/rejects/delete.json"]


def test_no_key_and_no_address_is_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with loopback.answering(lambda _: said({"added": True})) as server:
        marketing(server.url).put("unsubscribed", ["ann@example.com"])
        transactional(server.url).put("rejects", ["ann@example.com"])
    for secret in (KEY, TRANSACTIONAL_KEY, "ann@example.com"):
        assert secret not in caplog.text


def test_without_its_settings_it_says_which() -> None:
    with pytest.raises(MailchimpNotConfigured, match="MARKETING_LIST_ID"):
        marketing("http://127.0.0.1", marketing_list_id="")
    with pytest.raises(MailchimpNotConfigured, match="MARKETING_API_KEY"):
        read(marketing("http://127.0.0.1", marketing_api_key=None))
    with pytest.raises(MailchimpNotConfigured, match="TRANSACTIONAL_API_KEY"):
        read(TransactionalSuppressions(MailchimpConfig()))
