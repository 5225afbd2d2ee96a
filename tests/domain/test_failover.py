from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import failover
from domain.failover import Needs
from domain.ledger import OutcomeKind
from domain.routes import Route
from domain.suppression import Stream
from domain.vetting import Standing

OTHER = Route("backup", "shop", Stream.MARKETING, "backup", "backup-marketing", "news.shop.example")
SAME = replace(OTHER, name="second", provider="primary")
MAIL = Needs("shop", Stream.MARKETING)
NOT_SENT, REJECTED = OutcomeKind.NOT_SENT, OutcomeKind.REJECTED


def move(kind: OutcomeKind = NOT_SENT, status: int | None = None, to: Route = OTHER, **facts: Any) -> failover.Move:
    mail = facts.pop("mail", MAIL)
    return failover.may_move(kind, status=status, tried_by="primary", to=to, mail=mail, **facts)


@pytest.mark.parametrize(
    ("facts", "allowed", "reason"),
    [
        ({}, True, "certainly not sent"),  # connect, DNS, TLS
        ({"to": SAME}, True, "certainly not sent"),
        ({"status": 429}, True, "asks to wait"),
        ({"status": 429, "to": SAME}, False, "asks to wait, whatever the route"),
        ({"status": 401}, True, "key"),
        ({"status": 403}, True, "key"),
        ({"status": 403, "to": SAME}, False, "key, whatever the route"),
        ({"kind": OutcomeKind.UNKNOWN}, False, "may have been sent"),
        ({"kind": OutcomeKind.UNKNOWN, "status": 503}, False, "may have been sent"),
        ({"kind": OutcomeKind.ACCEPTED, "status": 202}, False, "accepted"),
        ({"kind": REJECTED, "status": 400}, False, "content"),
        ({"kind": REJECTED, "status": 413}, False, "content"),
        ({"kind": REJECTED, "status": 422}, False, "content"),
        ({"kind": REJECTED, "status": 550}, False, "recipient"),
        ({"kind": REJECTED}, False, "recipient"),
        ({"suppressed": True}, False, "suppressed"),
        ({"braked": True}, False, "brake"),
        ({"room": 0}, False, "cold"),
        ({"room": 1}, True, "certainly not sent"),
        ({"to": replace(OTHER, authenticated=False)}, False, "not authenticated"),
        ({"mail": replace(MAIL, template_at="primary")}, False, "template"),
        ({"mail": replace(MAIL, template_at="backup")}, True, "certainly not sent"),
        ({"mail": replace(MAIL, residency="eu")}, False, "keeps data elsewhere"),
        ({"mail": replace(MAIL, residency="eu"), "to": replace(OTHER, residency="us")}, False, "keeps data elsewhere"),
        ({"mail": replace(MAIL, residency="eu"), "to": replace(OTHER, residency="eu")}, True, "certainly not sent"),
        ({"to": replace(OTHER, residency="eu")}, True, "certainly not sent"),
        ({"to": replace(OTHER, stream=Stream.TRANSACTIONAL)}, False, "other stream"),
        ({"mail": replace(MAIL, stream=Stream.TRANSACTIONAL)}, False, "other stream"),
        ({"to": replace(OTHER, account_id="rival")}, False, "another account"),
        ({"to": replace(OTHER, shared_pool=True)}, False, "shared"),
        ({"to": replace(OTHER, shared_pool=True), "mail": replace(MAIL, standing=Standing.POOR)}, False, "shared"),
        ({"to": replace(OTHER, shared_pool=True), "mail": replace(MAIL, standing=Standing.GOOD)}, True, "not sent"),
    ],
)
def test_the_decision_table(facts: dict[str, Any], allowed: bool, reason: str) -> None:
    found = move(**facts)
    assert (found.allowed, reason in found.reason) == (allowed, True), found


routes = st.builds(
    Route,
    name=st.just("any"),
    account_id=st.sampled_from(["shop", "rival"]),
    stream=st.sampled_from(Stream),
    provider=st.sampled_from(["primary", "backup"]),
    pool=st.just("p"),
    domain=st.just("d.example"),
    residency=st.sampled_from([None, "eu", "us"]),
    shared_pool=st.booleans(),
    authenticated=st.booleans(),
)
mails = st.builds(
    Needs,
    account_id=st.just("shop"),
    stream=st.sampled_from(Stream),
    standing=st.sampled_from(Standing),
    template_at=st.sampled_from([None, "primary", "backup"]),
    residency=st.sampled_from([None, "eu", "us"]),
)
statuses = st.sampled_from([None, 202, 400, 401, 403, 413, 422, 429, 500, 503])


@given(st.sampled_from(OutcomeKind), statuses, routes, mails, st.none() | st.integers(0, 5), st.booleans())
def test_nothing_moves_but_what_was_certainly_not_sent_and_never_to_a_refused_route(
    kind: OutcomeKind, status: int | None, to: Route, mail: Needs, room: int | None, braked: bool
) -> None:
    found = move(kind, status, to, mail=mail, room=room, braked=braked)
    if found.allowed:
        assert kind is NOT_SENT
        assert not braked
        assert room != 0
        assert failover.refused(to, mail) is None
        assert not (status in {429, 401, 403} and to.provider == "primary")


@given(routes, mails)
def test_routing_and_failover_refuse_for_the_same_reason(to: Route, mail: Needs) -> None:
    against = failover.refused(to, mail)
    assert move(to=to, mail=mail) == failover.Move(against is None, against or "it was certainly not sent")
