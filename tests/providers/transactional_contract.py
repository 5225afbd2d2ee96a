"""What every adapter must do with mail that the customer waits for; SMTP's as those that speak HTTP.

An adapter's test file subclasses TransactionalContract and fills the one hook: what the ESP was handed, taken apart.
"""

import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain import ports
from domain.campaigns import Sender
from domain.ledger import Outcome, OutcomeKind
from domain.routes import Grant, Route
from domain.suppression import Stream
from domain.templates import Content, html_tag, plain_tag
from tests.providers.contract import a_batch

MESSAGE, ATTEMPT = "tabcdefghijklmnopqrst", "0b9f6c1e-1111-4222-8333-444455556666"
SECRET_URL = "https://shop.example.com/reset/5ecret?token=c4nary"
ROUTE = Route("receipts", "shop", Stream.TRANSACTIONAL, "esp", "receipts", "mail.shop.example.com")
# What some ESP would take for a placeholder or a tag: a customer may be called so, and a product too.
LOOKS_LIKE_A_TAG = (
    f"{plain_tag('first_name')} {html_tag('first_name')} *|FNAME|* {{{{name}}}} -name- %name% [Unsubscribe]"
)


def a_transactional_batch(**changes: Any) -> ports.Batch:
    """One message, written whole, as the transactional lane hands it over."""
    content = Content(
        name="order-confirmation",
        subject="Order #1001",
        html=f"<p>Hello</p><a href='{SECRET_URL}'>reset</a>",
        text=f"Hello {SECRET_URL}",
        variables=(),
        hash="0" * 64,
    )
    values: dict[str, Any] = {
        "run_id": MESSAGE,
        "batch_id": 0,
        "attempt_id": ATTEMPT,
        "lease_expires_at": datetime(2100, 1, 1, tzinfo=UTC),
        "campaign": "order-confirmation",
        "content": content,
        "sender": Sender("orders@mail.shop.example.com", "The Shop"),
        "message_ids": (f"{MESSAGE}.1",),
        "addresses": ("person0@customers.example.com",),
        "variables": {},
        "unsubscribe_urls": (),
        "grant": Grant("g", 0, ROUTE, "mixed", 1, {}),
    }
    return ports.Batch(**(values | changes))


@dataclass(frozen=True, slots=True)
class Delivered:
    """One mail as it was handed over. `everything`: all that went over the wire, as text."""

    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    everything: str


_LINE_BREAK = f"Reset {SECRET_URL}\r\nBcc: x@example.com"
_CANARY = "c4nary@example.com"


class TransactionalContract(ABC):
    """Subclass it as `TestTransactionalMail`."""

    @abstractmethod
    def handed_over(self, batch: ports.Batch) -> tuple[Outcome, Delivered | None]:
        """What came of a batch of one, and what the ESP was handed; its mailer is set up as for marketing too."""

    def delivered(self, batch: ports.Batch) -> Delivered:
        outcome, found = self.handed_over(batch)
        assert outcome.kind is OutcomeKind.ACCEPTED
        assert found is not None
        return found

    def test_it_offers_no_way_to_leave(self) -> None:
        found = self.delivered(a_transactional_batch())
        assert not [name for name in found.headers if name.lower().startswith("list-")]
        assert "list-unsubscribe" not in found.everything.lower()
        assert "unsubscribe_url" not in found.everything

    def test_marketing_mail_still_does(self) -> None:
        found = self.delivered(a_batch(1))
        assert found.headers["List-Unsubscribe"] == "<https://shop.example.com/unsubscribe/0.1.tag>"
        assert found.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "Auto-Submitted" not in found.headers

    def test_no_holiday_answers_to_it(self) -> None:
        assert self.delivered(a_transactional_batch()).headers["Auto-Submitted"] == "auto-generated"

    def test_what_was_written_arrives_to_the_letter(self) -> None:
        """Nobody fills anything in it: a customer's own words are no placeholders, and its links go straight."""
        written = replace(
            a_transactional_batch().content,
            subject=f"For {LOOKS_LIKE_A_TAG}",
            text=f"{LOOKS_LIKE_A_TAG}\n{SECRET_URL}",
            html=f"<p>{LOOKS_LIKE_A_TAG}</p><a href='{SECRET_URL}'>reset</a>",
        )
        found = self.delivered(a_transactional_batch(content=written))
        assert (found.subject, found.text, found.html) == (written.subject, written.text, written.html)

    def test_it_is_known_again_by_its_own_name(self) -> None:
        found = self.delivered(a_transactional_batch())
        assert MESSAGE in found.everything.lower()
        assert ATTEMPT.replace("-", "") in found.everything.replace("-", "")

    @pytest.mark.parametrize(
        ("parts", "changes"),
        [
            ({"subject": _LINE_BREAK}, {}),
            ({"subject": "", "text": SECRET_URL}, {}),
            ({"subject": SECRET_URL, "text": "", "html": ""}, {}),
            ({"text": f"{SECRET_URL} \ud800"}, {}),
            ({}, {"addresses": (f"{_CANARY}\r\nx",)}),
            ({}, {"addresses": ("",)}),
            ({}, {"addresses": (_CANARY, "other@example.com")}),
            ({}, {"sender": Sender("orders@mail.shop.example.com", "c4nary\r\nx")}),
        ],
    )
    def test_no_fault_of_a_mail_tells_what_is_in_it(
        self, parts: dict[str, str], changes: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        content = replace(a_transactional_batch().content, **parts)
        try:
            outcome, found = self.handed_over(a_transactional_batch(content=content, **changes))
            assert (outcome.kind, found) == (OutcomeKind.REJECTED, None)
            said = repr(outcome)
        except ports.Unsendable as error:
            said = "".join(traceback.format_exception_only(error))
        assert said
        assert "c4nary" not in said + caplog.text
