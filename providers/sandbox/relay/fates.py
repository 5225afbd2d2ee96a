"""Which recipients the relay refuses at once, in its words. All others it takes, and providers/sandbox/fate.py decides."""

from providers.sandbox import fate
from providers.sandbox.fate import End

# Of reserved domains (RFC 6761) alone: nobody can ever have a mailbox there.
AT_RCPT = {
    "refuse.test": "550 5.1.1 Recipient address rejected: User unknown in virtual mailbox table",
    "policy.test": "550 5.7.1 Recipient address rejected: Access denied",
    "later.test": "451 4.7.1 Greylisting in action, please come back later",
    "full.test": "452 4.2.2 The recipient's mailbox is over its storage limit",
}
AT_DOT = {
    "spam.test": "554 5.7.1 Message rejected as spam by content filtering",
    "busy.test": "451 4.3.0 Queue file write error",
}
_NOWHERE = "550 5.1.2 Recipient address rejected: Domain not found"


def at_rcpt(recipient: str) -> str | None:
    """The refusal of a recipient, if he is refused."""
    domain = recipient.rpartition("@")[2].lower()
    if (plan := fate.BY_DOMAIN.get(domain)) is not None and plan.end is End.INVALID:
        return _NOWHERE
    return AT_RCPT.get(domain)


def at_dot(recipients: list[str]) -> str | None:
    """The refusal of the whole mail, if it is refused."""
    found = (AT_DOT.get(one.rpartition("@")[2].lower()) for one in recipients)
    return next((one for one in found if one is not None), None)
