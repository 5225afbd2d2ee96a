"""Why mail was refused, in our words, and what each cause means: one class and one fault."""

from dataclasses import dataclass, field
from enum import StrEnum

from domain.delivery import BounceClass, Fault
from domain.suppression import Reason


class Cause(StrEnum):
    """Why mail was refused. Each has exactly one class and fault: see `MEANINGS`."""

    UNKNOWN_MAILBOX = "unknown_mailbox"  # nobody of that name is there, or not any more
    INVALID_ADDRESS = "invalid_address"  # no address at all, by its syntax
    MOVED = "moved"  # to another address that nobody promised us
    NO_MAIL = "no_mail"  # the domain says that it takes no mail (null MX)
    UNKNOWN_HOST = "unknown_host"  # the domain was not found, this time
    DISABLED_MAILBOX = "disabled_mailbox"  # locked, suspended, inactive
    FULL_MAILBOX = "full_mailbox"
    RESTRICTED = "restricted"  # not from strangers, not so much at once: a rule or limit of that one recipient
    DOUBTED = "doubted"  # said to be unknown, beside a code that says policy: counted, never enough by itself
    REFUSED = "refused"  # the person, or a filter of hers, does not want this mail
    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC, reverse DNS, TLS of the sender
    REPUTATION = "reputation"
    BLOCKLIST = "blocklist"
    SPAM = "spam"  # it looks like spam, or we are called spammers
    POLICY = "policy"
    CONFIGURATION = "configuration"  # of the sender: its address, its HELO, its protocol
    RATE = "rate"
    SIZE = "size"
    VIRUS = "virus"
    CONTENT = "content"  # links, attachments, headers, form
    RELAYING = "relaying"  # the host that the DNS names does not serve the domain
    GREYLISTED = "greylisted"
    NETWORK = "network"
    SYSTEM = "system"
    LOOP = "loop"
    EXPIRED = "expired"  # given up after a time of deferrals
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an event says about the address in our words; `suppresses` where it ends mail to it.

    `rule` is the row that spoke (domain/bounce_table.py, domain/bounce_codes.py). A `vague` verdict, such as that of
    5.7.1, forbids a hard one like any other, and yields to whoever knows more.
    """

    bounce_class: BounceClass | None = None
    fault: Fault | None = None
    suppresses: Reason | None = None
    cause: Cause | None = None
    rule: str = field(default="", compare=False)
    vague: bool = field(default=False, compare=False)


_HARD = (BounceClass.HARD, Fault.RECIPIENT)
_AWAY = (BounceClass.SOFT, Fault.RECIPIENT)
_BLOCKED = (BounceClass.BLOCK, Fault.SENDER)
_CONTENT = (BounceClass.BLOCK, Fault.CONTENT)
_TRANSIENT = (BounceClass.SOFT, Fault.PROVIDER)

# facts/reliability.md section 4. A disabled mailbox and an unknown host are hard only at a second look.
MEANINGS: dict[Cause, tuple[BounceClass, Fault]] = {
    Cause.UNKNOWN_MAILBOX: _HARD,
    Cause.INVALID_ADDRESS: _HARD,
    Cause.MOVED: _HARD,
    Cause.NO_MAIL: _HARD,
    Cause.UNKNOWN_HOST: _AWAY,
    Cause.DISABLED_MAILBOX: _AWAY,
    Cause.FULL_MAILBOX: _AWAY,
    Cause.RESTRICTED: _AWAY,
    Cause.DOUBTED: _AWAY,
    Cause.REFUSED: (BounceClass.BLOCK, Fault.RECIPIENT),
    Cause.AUTHENTICATION: _BLOCKED,
    Cause.REPUTATION: _BLOCKED,
    Cause.BLOCKLIST: _BLOCKED,
    Cause.SPAM: _BLOCKED,
    Cause.POLICY: _BLOCKED,
    Cause.CONFIGURATION: _BLOCKED,
    Cause.RATE: (BounceClass.SOFT, Fault.SENDER),
    Cause.SIZE: _CONTENT,
    Cause.VIRUS: _CONTENT,
    Cause.CONTENT: _CONTENT,
    Cause.RELAYING: (BounceClass.BLOCK, Fault.PROVIDER),
    Cause.GREYLISTED: _TRANSIENT,
    Cause.NETWORK: _TRANSIENT,
    Cause.SYSTEM: _TRANSIENT,
    Cause.LOOP: _TRANSIENT,
    Cause.EXPIRED: _TRANSIENT,
    Cause.UNKNOWN: (BounceClass.SOFT, Fault.UNKNOWN),
}


def verdict_of(cause: Cause, *, rule: str = "", vague: bool = False) -> Verdict:
    """The verdict that a cause comes to; only the recipient's fault and hard suppresses."""
    bounce_class, fault = MEANINGS[cause]
    suppresses = Reason.HARD_BOUNCE if (bounce_class, fault) == _HARD else None
    return Verdict(bounce_class, fault, suppresses, cause, rule, vague)
