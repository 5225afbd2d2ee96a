"""Batch ids, and telling SendGrid to forget a batch: whatever the wire does, only its own word counts."""

from collections.abc import Callable

import httpx
import orjson
import pytest
from pydantic import SecretStr

from domain import ports
from providers.sendgrid import schedule
from providers.sendgrid.calls import CallFailed
from providers.sendgrid.config import SendGridConfig, SendGridNotConfigured

ID = "YmF0Y2gtaWQ_-1"
CUT = httpx.ReadError("cut")


class SendGrid:
    """Scheduled sends as SendGrid keeps them; `broken` maps a method to what comes instead of its answer."""

    def __init__(self, status: str | None = None, **broken: httpx.Response | Exception) -> None:
        self.status = status
        self.broken = broken
        self.works_before_breaking = False
        self.seen: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.method, request.url.path))
        instead = self.broken.get(request.method.lower())
        if instead is None or self.works_before_breaking:
            answer = self.answer(request)
        if isinstance(instead, Exception):
            raise instead
        return instead or answer

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v3/mail/batch":
            return httpx.Response(201, json={"batch_id": ID})
        if request.method == "GET":
            return httpx.Response(200, json=[{"batch_id": ID, "status": self.status}] if self.status else [])
        said = orjson.loads(request.content)["status"]
        if request.method == "POST":
            if self.status is not None:
                return httpx.Response(400, json={"errors": [{"message": "a status for this batch id exists"}]})
            self.status = said
            return httpx.Response(201, json={"batch_id": ID, "status": said})
        self.status = said
        return httpx.Response(204)


def over(wire: Callable[[httpx.Request], httpx.Response]) -> schedule.SendGridScheduler:
    client = httpx.Client(transport=httpx.MockTransport(wire), base_url="https://api.sendgrid.com")
    return schedule.SendGridScheduler(client)


def test_a_batch_id_is_made_before_the_mail():
    esp = SendGrid()
    assert over(esp).new_schedule() == ID
    assert esp.seen == [("POST", "/v3/mail/batch")]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(201, json={}),
        httpx.Response(201, json=[]),
        httpx.Response(201, json={"batch_id": 5}),
        httpx.Response(201, json={"batch_id": "../v3/user"}),
        httpx.Response(201, content=b"<html>"),
        httpx.Response(201),
        httpx.Response(401, json={"errors": [{"message": "no: ann@example.com"}]}),
        httpx.Response(429),
        httpx.Response(503),
        httpx.Response(302, headers={"Location": "https://elsewhere"}),
        CUT,
        httpx.ConnectError("refused"),
    ],
)
def test_no_batch_id_is_one_clear_error_before_anything_was_sent(answer):
    with pytest.raises(ports.SchedulingFailed, match="nothing was sent") as caught:
        over(SendGrid(post=answer)).new_schedule()
    assert "ann@" not in str(caught.value)


def test_a_cancel_is_read_back():
    esp = SendGrid()
    assert over(esp).cancel(ID) == "cancel"
    assert [method for method, _ in esp.seen] == ["GET", "POST", "GET"]


def test_a_batch_that_is_cancelled_already_is_only_read():
    esp = SendGrid("cancel")
    assert over(esp).cancel(ID) == "cancel"
    assert [method for method, _ in esp.seen] == ["GET"]


def test_a_batch_that_a_person_paused_is_changed():
    esp = SendGrid("pause")
    assert over(esp).cancel(ID) == "cancel"
    assert [method for method, _ in esp.seen] == ["GET", "PATCH", "GET"]


@pytest.mark.parametrize("answer", [CUT, httpx.Response(500), httpx.Response(400), httpx.Response(201, content=b"{")])
def test_what_counts_is_the_status_and_not_the_answer_to_the_cancel(answer):
    esp = SendGrid(post=answer)
    esp.works_before_breaking = True
    assert over(esp).cancel(ID) == "cancel"


@pytest.mark.parametrize(
    "answer", [CUT, httpx.Response(500), httpx.Response(400, json={"errors": "max limit reached"})]
)
def test_a_cancel_that_did_not_work_says_why(answer):
    with pytest.raises(CallFailed, match=r"ReadError|500|max limit reached"):
        over(SendGrid(post=answer)).cancel(ID)


@pytest.mark.parametrize("answer", [CUT, httpx.Response(403), httpx.Response(200, json=[5]), httpx.Response(200)])
def test_a_status_that_cannot_be_read_is_no_status(answer):
    with pytest.raises(CallFailed):
        over(SendGrid("cancel", get=answer)).cancel(ID)


def test_a_batch_that_nobody_spoke_of_may_be_absent_in_two_ways():
    assert over(SendGrid()).status(ID) is None
    assert over(SendGrid(get=httpx.Response(404))).status(ID) is None


def test_another_batchs_status_is_not_ours():
    wire = SendGrid(get=httpx.Response(200, json=[{"batch_id": "another", "status": "cancel"}]))
    assert over(wire).status(ID) is None


def test_without_a_usable_key_it_does_not_open():
    with pytest.raises(SendGridNotConfigured, match="OMS_SENDGRID_API_KEY"):
        schedule.open_scheduler(SendGridConfig())
    schedule.open_scheduler(SendGridConfig(api_key=SecretStr("SG.key"))).close()
