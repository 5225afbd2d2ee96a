"""Returned mails for tests: tests/payloads/returns, with names of our mails signed where they stand."""

from pathlib import Path

from data import ledger
from domain import message_ids, tokens
from providers.smtp.returns import ReturnedMail
from tests.conftest import LINK_KEY

FOLDER = Path(__file__).parent.parent.parent / "payloads" / "returns"
ATTEMPT = "0b9f6c1e-1111-4222-8333-444455556666"
MESSAGE = "run1.1"
KEYS = {"1": LINK_KEY}
MAILBOX = "returns@bounce.shop.example.com"


def reader(*, trusting: bool = False) -> ReturnedMail:
    return ReturnedMail(
        keys=KEYS,
        link_purpose=ledger.UNSUBSCRIBE_PURPOSE,
        unsubscribe_mailboxes=["unsubscribe@shop.example.com"],
        trusting=trusting,
    )


def mail_id(message: str = MESSAGE, attempt: str = ATTEMPT, key: str = LINK_KEY) -> str:
    return message_ids.mail_id(message, attempt, domain="shop.example.com", key=key)


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.eml"))


def raw(name: str, *, message: str = MESSAGE, attempt: str = ATTEMPT) -> bytes:
    """A sample as it would have come."""
    path = message_ids.return_path(message, mailbox=MAILBOX, key=LINK_KEY)
    own = mail_id(message, attempt)
    filled = {
        "@MESSAGE_ID_HTML@": own.replace("<", "&lt;").replace(">", "&gt;"),
        "@MESSAGE_ID@": own,
        "@FORGED_ID@": mail_id(message, attempt, key="a key that the forger made up himself"),
        "@RETURN_PATH@": path,
        "@TOKEN@": path.partition("@")[0].partition("+")[2],
        "@LINK@": tokens.sign(message, purpose=ledger.UNSUBSCRIBE_PURPOSE, key=LINK_KEY),
    }
    text = (FOLDER / f"{name}.eml").read_text("utf-8")
    for slot, value in filled.items():
        text = text.replace(slot, value)
    return text.replace("\n", "\r\n").encode()
