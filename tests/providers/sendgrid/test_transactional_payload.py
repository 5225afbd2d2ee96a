"""What SendGrid is told of mail that the customer waits for, flag by flag (facts/reliability.md C32)."""

from typing import Any

import orjson
import pytest

from providers.sendgrid import payload
from providers.sendgrid.config import SendGridConfig
from tests.providers.contract import a_batch
from tests.providers.transactional_contract import ATTEMPT, MESSAGE, SECRET_URL, a_transactional_batch

FULL = SendGridConfig(asm_group_id=15)


def built(batch: Any, config: SendGridConfig = FULL) -> dict[str, Any]:
    return orjson.loads(payload.build(batch, config))


def test_the_whole_body() -> None:
    assert built(a_transactional_batch(pool="receipts")) == {
        "personalizations": [
            {
                "to": [{"email": "person0@customers.example.com"}],
                "custom_args": {"message_id": f"{MESSAGE}.1", "attempt_id": ATTEMPT},
            }
        ],
        "from": {"email": "orders@mail.shop.example.com", "name": "The Shop"},
        "subject": "Order #1001",
        "content": [
            {"type": "text/plain", "value": f"Hello {SECRET_URL}"},
            {"type": "text/html", "value": f"<p>Hello</p><a href='{SECRET_URL}'>reset</a>"},
        ],
        "headers": {"Auto-Submitted": "auto-generated"},
        "categories": ["order-confirmation"],
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
        "mail_settings": {"bypass_unsubscribe_management": {"enable": True}},
        "ip_pool_name": "receipts",
    }


def test_it_goes_past_unsubscribes() -> None:
    assert built(a_transactional_batch())["mail_settings"]["bypass_unsubscribe_management"] == {"enable": True}


@pytest.mark.parametrize(
    "flag", ["bypass_list_management", "bypass_bounce_management", "bypass_spam_management", "spam_check", "footer"]
)
def test_it_goes_past_nothing_else(flag: str) -> None:
    """Not even switched off: SendGrid refuses bypass_list_management beside any other, whatever it says."""
    for batch in (a_transactional_batch(), a_batch(2)):
        for config in (FULL, SendGridConfig(validate_only=True)):
            assert flag not in built(batch, config).get("mail_settings", {})


def test_marketing_mail_goes_past_nothing() -> None:
    assert "mail_settings" not in built(a_batch())


def test_it_belongs_to_no_group_that_one_can_leave() -> None:
    assert "asm" not in built(a_transactional_batch())
    assert built(a_batch())["asm"] == {"group_id": 15}


def test_the_vendors_own_sandbox_mode_stays_possible() -> None:
    told = built(a_transactional_batch(), SendGridConfig(validate_only=True))
    assert told["mail_settings"] == {
        "sandbox_mode": {"enable": True},
        "bypass_unsubscribe_management": {"enable": True},
    }
