"""The lines that are written above a mail that came, as a parser that is not ours reads them."""

import email
import email.policy
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from providers.smtp import trace

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PATH = "returns+r3k.1.abc@bounce.shop.example.com"
MAIL = b"Subject: failure notice\r\n\r\nHello\r\n"


def test_a_stamped_mail_is_read_by_the_standard_parser() -> None:
    stamped = trace.stamped(MAIL, by="shop.example.com", at=AT, recipients=[PATH])
    read = email.message_from_bytes(stamped, policy=email.policy.default)
    assert read.defects == []
    assert read["Delivered-To"] == PATH
    assert parsedate_to_datetime(read["Received"].rpartition(";")[2].strip()) == AT
    assert (read["Subject"], read.get_content()) == ("failure notice", "Hello\r\n")


def test_a_recipient_cannot_write_lines_of_his_own() -> None:
    stamped = trace.stamped(MAIL, by="shop.example.com", at=AT, recipients=["a@b\r\nSubject: forged"])
    assert email.message_from_bytes(stamped).get_all("Subject") == ["failure notice"]
