"""Answers that never come: at each step the campaign is one, and it goes once (facts/reliability.md item 9)."""

from datetime import UTC, datetime

import httpx
import pytest

from domain.campaign_host import HostRefuses, HostStatus, HostUnavailable
from domain.ledger import OutcomeKind
from providers.mailchimp.host import MailchimpHost
from providers.mailchimp.sdk import Marketing
from tests.providers import loopback
from tests.providers.mailchimp import hosting
from tests.providers.mailchimp.hosting import VARIABLES, at_once, campaign, members
from tests.providers.sandbox.conftest import Esp, esp, start

__all__ = ["esp", "start"]
NOW = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
PEOPLE = ["a@delivered.test", "b@open.test", "c@hard.test"]
MOST_TRIES = 60
# What goes wrong, and in how many runs it is tried: 200 times an answer to create or schedule may be lost.
FAULTS = [
    (100, {"on": ["host_create"], "drop_after_accept": 0.6}),
    (100, {"on": ["host_send"], "drop_after_accept": 0.6}),
    (25, {"on": ["host_send"], "drop_after_accept": 0.3, "drop_before_accept": 0.3}),
    (
        25,
        {
            "on": ["host_create", "host_send", "host_step", "host_read"],
            "drop_after_accept": 0.06,
            "drop_before_accept": 0.03,
            "rate_429": 0.03,
            "rate_500": 0.03,
        },
    ),
]


class _Run:
    """What the engine does with a host: each step again until it is done; the last one only where it is proved undone."""

    def __init__(self, host: MailchimpHost, key: str) -> None:
        self.host, self.key, self.campaign_id = host, key, ""
        self.schedules = 0
        self.lost = 0  # answers that never came

    def _make(self) -> None:
        self.campaign_id = self.host.campaign(campaign(self.key))

    def _schedule(self) -> bool:
        """Whether it is settled. After an unknown the status decides, as `save` proves that nothing was scheduled."""
        self.schedules += 1
        outcome = self.host.schedule(self.campaign_id, NOW)
        assert outcome.kind is not OutcomeKind.REJECTED
        if outcome.kind is OutcomeKind.UNKNOWN:
            self.lost += 1
            while True:
                try:
                    return self.host.status(self.campaign_id) is not HostStatus.DRAFT
                except HostUnavailable:
                    continue
        return outcome.kind is OutcomeKind.ACCEPTED

    def go(self) -> None:
        steps = [
            lambda: self.host.prepare(self.key, VARIABLES),
            lambda: self.host.put_members(self.key, members(*PEOPLE, run=self.key)),
            self._make,
            lambda: self.host.fill(self.campaign_id, campaign(self.key)),
        ]
        for step in steps:
            for _ in range(MOST_TRIES):
                try:
                    step()
                    break
                except HostUnavailable:
                    self.lost += 1
            else:
                raise AssertionError("a step never came to its end")
        while not self._schedule():
            assert self.schedules < MOST_TRIES


@pytest.mark.parametrize(
    ("runs", "faults"),
    FAULTS,
    ids=["create is cut", "schedule is cut", "schedule is cut before or after", "all is bad"],
)
def test_200_times_one_campaign_and_one_send(esp: Esp, runs, faults):
    with hosting.a_host(esp.url) as (host, api):
        at_once(esp.client, seed=7, **faults)
        lost = 0
        for number in range(runs):
            run = _Run(host, f"run-{number}")
            run.go()
            lost += run.lost
            while True:  # as the ledger does once the run has settled
                try:
                    host.clear(run.key)
                    break
                except HostUnavailable:
                    continue
        esp.client.put("/sandbox/faults", json={}).raise_for_status()
        found = api.campaigns.list(count=1000)["campaigns"]
        assert sorted(one["settings"]["title"] for one in found) == sorted(
            f"Spring [run-{number}]" for number in range(runs)
        )
        for one in found:
            accepted = esp.client.get("/sandbox/accepted", params={"run": one["id"]}).json()
            assert set(accepted.values()) == {1}
            assert len(accepted) >= 2, "who bounced was cleaned; all others got it"
        assert lost > runs / 3, "hardly an answer was lost, so hardly anything was tried"


def test_a_late_create_is_found_and_its_twin_deleted(esp: Esp):
    """A request that was given up arrives after we looked, and before the one that is made in its place."""
    late: list[str] = []

    def arrives(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path.endswith("/campaigns"):
            with hosting.a_host(esp.url) as (_, other):
                late.append(other.campaigns.create(hosting.body(hosting.received(request)))["id"])

    with hosting.a_host(esp.url, on_request=arrives) as (host, api):
        host.prepare("run-1", VARIABLES)
        found = host.campaign(campaign())
        assert [found] == late, "the older one"
        assert len(hosting.titles(api)) == 1
        assert host.campaign(campaign()) == found


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (loopback.Answer(429), HostUnavailable),
        (loopback.Answer(403), HostUnavailable),
        (loopback.Answer(503), HostUnavailable),
        (loopback.Answer(500, b"<html>oops</html>"), HostUnavailable),
        (loopback.Answer(200), HostUnavailable),
        (loopback.Answer(200, b"<html>a proxy</html>"), HostUnavailable),
        (loopback.Answer(403, b'{"title": "Forbidden", "detail": "no right", "status": 403}'), HostRefuses),
        (loopback.Answer(401, b'{"title": "API Key Invalid", "detail": "no", "status": 401}'), HostRefuses),
        (loopback.Answer(404, b'{"title": "Resource Not Found", "detail": "no", "status": 404}'), HostRefuses),
        (loopback.Answer(400, b'{"title": "Invalid Resource", "detail": "a@b.example", "status": 400}'), HostRefuses),
    ],
)
def test_what_passes_and_what_lasts(answer, error):
    """Above all the answers without a body, which the SDK's own transport gives back as if they were members."""
    with (
        loopback.answering(lambda _: answer) as server,
        hosting.a_host(server.url) as (host, _),
        pytest.raises(error) as raised,
    ):
        host.members("run-1")
    assert "a@b.example" not in str(raised.value)


def test_too_many_requests_are_no_full_audience():
    words = b'{"title": "Too Many Requests", "detail": "You have exceeded the limit of 10 simultaneous connections."}'

    def answer(request: loopback.Received) -> loopback.Answer:
        return (
            loopback.Answer(429, words) if request.method == "POST" else loopback.Answer(200, b'{"merge_fields": []}')
        )

    with (
        loopback.answering(answer) as server,
        hosting.a_host(server.url) as (host, _),
        pytest.raises(HostUnavailable, match="simultaneous"),
    ):
        host.prepare("run-1", VARIABLES)


@pytest.mark.parametrize(
    ("status", "body", "kind", "stops"),
    [
        (204, b"", OutcomeKind.ACCEPTED, False),
        (200, b"{}", OutcomeKind.ACCEPTED, False),
        (200, b"<html>", OutcomeKind.UNKNOWN, False),
        (400, b'{"title": "Bad Request"}', OutcomeKind.UNKNOWN, False),  # the status that would tell is a 400 as well
        (401, b'{"title": "API Key Invalid"}', OutcomeKind.NOT_SENT, True),
        (403, b'{"title": "Forbidden"}', OutcomeKind.NOT_SENT, True),
        (403, b"", OutcomeKind.NOT_SENT, False),
        (404, b'{"title": "Resource Not Found"}', OutcomeKind.NOT_SENT, True),
        (408, b"", OutcomeKind.UNKNOWN, False),
        (429, b"", OutcomeKind.NOT_SENT, False),
        (500, b"", OutcomeKind.UNKNOWN, False),
        (502, b"", OutcomeKind.UNKNOWN, False),
        (503, b"", OutcomeKind.UNKNOWN, False),
        (504, b"<html>", OutcomeKind.UNKNOWN, False),
        (301, b"", OutcomeKind.NOT_SENT, True),
        (302, b"", OutcomeKind.UNKNOWN, False),
        (418, b"", OutcomeKind.UNKNOWN, False),
    ],
)
def test_the_outcome_of_a_schedule_by_its_status(status, body, kind, stops):
    with loopback.answering(lambda _: loopback.Answer(status, body)) as server, hosting.a_host(server.url) as (host, _):
        outcome = host.schedule("c1", NOW)
    assert (outcome.kind, outcome.stop_provider) == (kind, stops)
    assert len([one for one in server.requests if one.method == "POST"]) == 1


@pytest.mark.parametrize(
    ("at", "scheduled"),
    [
        ("2026-11-23T09:01:00+00:00", "2026-11-23T09:15:00+00:00"),
        ("2026-11-23T10:15:00+00:00", "2026-11-23T10:15:00+00:00"),
        ("2026-11-23T10:15:01+01:00", "2026-11-23T09:30:00+00:00"),
        ("2026-11-23T09:00:00+00:00", "2026-11-23T09:15:00+00:00"),  # past
        ("2026-11-23T09:14:00+00:00", "2026-11-23T09:15:00+00:00"),
    ],
)
def test_when_it_is_scheduled(at, scheduled):
    assert _scheduled(at, now="2026-11-23T09:01:00+00:00") == scheduled


def test_a_quarter_that_is_about_to_begin_is_left_to_others():
    assert _scheduled("2026-11-23T09:15:00+00:00", now="2026-11-23T09:12:01+00:00") == "2026-11-23T09:30:00+00:00"


def _scheduled(at: str, *, now: str) -> str:
    with loopback.answering(lambda _: loopback.Answer(204)) as server, hosting.a_host(server.url) as (_, api):
        host = MailchimpHost(api, hosting.LIST, clock=lambda: datetime.fromisoformat(now))
        assert host.schedule("c1", datetime.fromisoformat(at)).kind is OutcomeKind.ACCEPTED
    return str(hosting.body(server.requests[0])["schedule_time"])


def test_a_schedule_that_is_refused_while_it_is_scheduled_was_accepted():
    """The answer to the first request was lost, and the ledger asked too early."""

    def answer(request: loopback.Received) -> loopback.Answer:
        if request.method == "POST":
            return loopback.Answer(400, b'{"title": "Bad Request"}')
        return loopback.Answer(200, b'{"id": "c1", "status": "schedule"}')

    with loopback.answering(answer) as server, hosting.a_host(server.url) as (host, _):
        outcome = host.schedule("c1", NOW)
    assert (outcome.kind, outcome.provider_reference) == (OutcomeKind.ACCEPTED, "c1")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("no"), OutcomeKind.NOT_SENT),
        (httpx.PoolTimeout("no"), OutcomeKind.NOT_SENT),
        (httpx.ReadTimeout("no"), OutcomeKind.UNKNOWN),
        (httpx.WriteError("no"), OutcomeKind.UNKNOWN),
        (RuntimeError("a@b.example"), OutcomeKind.UNKNOWN),
    ],
)
def test_the_outcome_of_a_schedule_by_what_the_wire_did(error, kind):
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    client = httpx.Client(transport=httpx.MockTransport(fail), base_url="https://us1.api.mailchimp.com/3.0")
    outcome = MailchimpHost(Marketing(client), hosting.LIST).schedule("c1", NOW)
    assert outcome.kind is kind
    assert "@" not in outcome.detail


@pytest.mark.parametrize(
    "word", ["save", "paused", "schedule", "sending", "sent", "canceled", "canceling", "archived", "new"]
)
def test_every_status_that_mailchimp_has(word):
    answer = loopback.Answer(200, b'{"id": "c1", "status": "%s", "emails_sent": 0}' % word.encode())
    with loopback.answering(lambda _: answer) as server, hosting.a_host(server.url) as (host, _):
        if word == "new":
            with pytest.raises(HostUnavailable, match="new"):
                host.status("c1")
        else:
            found = {
                "save": HostStatus.DRAFT,
                "paused": HostStatus.PAUSED,
                "schedule": HostStatus.SCHEDULED,
                "sending": HostStatus.SENDING,
                "sent": HostStatus.SENT,
            }
            assert host.status("c1") is found.get(word, HostStatus.CANCELLED)
