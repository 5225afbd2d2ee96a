"""An ESP's list suppresses whom its webhook suppressed for the same bounce, and nobody else.

Each labelled reply of tests/payloads/bounces/replies.tsv is told once as the event and once as the row of the list that
the bounce left behind.
"""

import pytest

from domain import delivery
from domain.ports import ListedSuppression
from domain.suppression import Reason
from tests.domain.test_bounces import REPLIES
from tests.providers import loopback
from tests.providers.mailchimp import payloads
from tests.providers.mailchimp.test_suppressions import audience, marketing, member, reject, said, transactional
from tests.providers.mailchimp.test_transactional_events import only
from tests.providers.sendgrid.test_events import one
from tests.providers.sendgrid.test_suppressions import AT, SINCE, UNTIL, listing, read

TEXTS = [reply.text for reply in REPLIES]
_BOUNCED = {"email": "ann@example.com", "created": AT}
SPAMHAUS = "550 5.7.1 Service unavailable, client host blocked by spamhaus"


def sendgrid_list(rows: list[dict[str, object]]) -> list[ListedSuppression]:
    with listing(bounces=[_BOUNCED | row for row in rows]) as server:
        return read(server.url)


def mandrill_list(texts: list[str]) -> list[ListedSuppression]:
    rows = [reject("ann@example.com", "hard-bounce", detail=text) for text in texts]
    with loopback.answering(lambda _: said(rows)) as server:
        return list(transactional(server.url).suppressions(SINCE, UNTIL))


def cleaned(texts: list[str]) -> list[ListedSuppression]:
    people = [member("ann@example.com", status="cleaned", unsubscribe_reason=text) for text in texts]
    with loopback.answering(audience(cleaned=people)) as server:
        return list(marketing(server.url).suppressions(SINCE, UNTIL))


def test_sendgrids_bounces_list_says_what_its_webhook_said() -> None:
    told = [one("bounce", type="bounce", status="", reason=text, bounce_classification="") for text in TEXTS]
    events = [delivery.standing_refusal(event) for event in told]
    assert [row.reason for row in sendgrid_list([{"status": "", "reason": text} for text in TEXTS])] == events
    assert {*events} == {Reason.HARD_BOUNCE, None}


def test_mandrills_denylist_says_what_its_webhook_said() -> None:
    bounces = [only(payloads.bounced(diag=text, bounce_description="bad_mailbox")) for text in TEXTS]
    events = [delivery.standing_refusal(event) for event in bounces]
    assert [row.reason for row in mandrill_list(TEXTS)] == events
    assert {*events} == {Reason.HARD_BOUNCE, None}
    rejected = [only(payloads.event("reject", msg=_rejected(text))) for text in TEXTS]
    assert {delivery.standing_refusal(event) for event in rejected} == {None}, "it was said, and when"
    assert [event.bounce_class for event in rejected] == [event.bounce_class for event in bounces]


def _rejected(text: str) -> dict[str, object]:
    return payloads.message(state="rejected", reject={"reason": "hard-bounce", "detail": text})


@pytest.mark.parametrize("rows", [sendgrid_list, mandrill_list, cleaned])
def test_a_row_without_words_is_the_esps_own_word_and_one_of_the_senders_fault_is_evidence(rows) -> None:
    words = [{"status": "", "reason": text} if rows is sendgrid_list else text for text in ("", SPAMHAUS)]
    assert [row.reason for row in rows(words)] == [Reason.HARD_BOUNCE, None]


def test_the_status_alone_is_heard_too() -> None:
    rows = sendgrid_list([{"status": "5.7.1"}, {"status": "5.1.1"}, {"status": "5.0.0", "reason": ""}, {}])
    assert [row.reason for row in rows] == [None, Reason.HARD_BOUNCE, None, Reason.HARD_BOUNCE]
