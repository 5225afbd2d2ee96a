"""What the codes of a refusal mean by themselves: enhanced codes (RFC 3463, IANA) and basic codes (RFC 5321).

A code that says nothing by itself is not here: 5.0.0, 5.1.0, 5.2.0, 5.3.0, 5.5.0 and 550, 553, 554 are given for
whatever a server has no code for, and 5.4.1 (no answer) is Microsoft's for an unknown recipient. A vague code, as 5.7.1
is, forbids a hard verdict and yields to prose that says more.
"""

from typing import NamedTuple

from domain.bounce_causes import Cause
from domain.bounce_sources import GOOGLE, IANA, MICROSOFT, RFC5321, RFC7504


class Code(NamedTuple):
    """What a code means."""

    cause: Cause
    source: str
    vague: bool = False


_IANA = {
    "5.1.1": Cause.UNKNOWN_MAILBOX,
    "5.1.3": Cause.INVALID_ADDRESS,
    "5.1.6": Cause.MOVED,
    "5.1.7": Cause.CONFIGURATION,  # the sender's address
    "5.1.8": Cause.CONFIGURATION,
    "5.1.10": Cause.NO_MAIL,  # null MX; at Microsoft also "recipient not found"
    "5.2.2": Cause.FULL_MAILBOX,
    "5.2.3": Cause.SIZE,
    "5.3.4": Cause.SIZE,
    "5.4.4": Cause.UNKNOWN_HOST,
    "5.4.6": Cause.LOOP,
    "5.4.7": Cause.EXPIRED,
    "5.5.3": Cause.RATE,  # too many recipients
    "5.6": Cause.CONTENT,
    "5.7.8": Cause.AUTHENTICATION,
    "5.7.17": Cause.UNKNOWN_MAILBOX,  # the mailbox has another owner now (RFC 7293)
    "5.7.20": Cause.AUTHENTICATION,  # 20 to 22: DKIM
    "5.7.21": Cause.AUTHENTICATION,
    "5.7.22": Cause.AUTHENTICATION,
    "5.7.23": Cause.AUTHENTICATION,  # SPF
    "5.7.24": Cause.AUTHENTICATION,
    "5.7.25": Cause.AUTHENTICATION,  # reverse DNS
    "5.7.26": Cause.AUTHENTICATION,  # several; DMARC
    "5.7.27": Cause.AUTHENTICATION,  # the sender's domain takes no mail; at Gmail SPF
    "5.7.28": Cause.RATE,  # mail flood
    "4.1.7": Cause.CONFIGURATION,
    "4.1.8": Cause.CONFIGURATION,
    "4.2.2": Cause.FULL_MAILBOX,
    "4.2.3": Cause.SIZE,
    "4.3.4": Cause.SIZE,
    "4.4.6": Cause.LOOP,
    "4.4.7": Cause.EXPIRED,
    "4.5.3": Cause.RATE,
    "4.7.28": Cause.RATE,
}
_IANA_VAGUE = {
    "5.1.2": Cause.UNKNOWN_HOST,  # 5.1.2 and 5.2.1 also stand beside "user unknown"
    "5.2.1": Cause.DISABLED_MAILBOX,
    "5.3.1": Cause.SYSTEM,  # a full system
    "5.3.2": Cause.SYSTEM,
    "5.3.5": Cause.SYSTEM,
    "5.4.2": Cause.NETWORK,
    "5.4.3": Cause.NETWORK,
    "5.4.5": Cause.NETWORK,
    "5.5.2": Cause.CONFIGURATION,  # our protocol
    "5.5.6": Cause.CONFIGURATION,
    "5.7": Cause.POLICY,
    "4.3": Cause.SYSTEM,
    "4.4": Cause.NETWORK,
    "4.6": Cause.CONTENT,
    "4.7": Cause.RATE,
    "4": Cause.UNKNOWN,
}
_GOOGLE = ("4.7.23", "4.7.24", "4.7.26", "4.7.27", "4.7.29", "4.7.30", "4.7.31", "4.7.32", "4.7.40", "5.7.29", "5.7.30")
_MICROSOFT = {
    "5.4.14": Cause.LOOP,
    "5.4.300": Cause.EXPIRED,
    "5.4.310": Cause.UNKNOWN_HOST,
    "5.7.64": Cause.RELAYING,
    "5.7.501": Cause.SPAM,
    "5.7.502": Cause.BLOCKLIST,
    "5.7.503": Cause.BLOCKLIST,
    "5.7.506": Cause.CONFIGURATION,  # our HELO
    "5.7.508": Cause.RATE,
    "5.7.509": Cause.AUTHENTICATION,
    "5.7.511": Cause.BLOCKLIST,
    "5.7.512": Cause.CONTENT,  # not RFC 5322
    "5.7.513": Cause.BLOCKLIST,
    "5.7.515": Cause.AUTHENTICATION,
    "5.7.705": Cause.RATE,
    "5.7.708": Cause.REPUTATION,
    "5.7.750": Cause.AUTHENTICATION,
    **{f"5.7.{number}": Cause.BLOCKLIST for number in range(606, 650)},  # banned sending IP
}

# The whole code first, then its first two numbers, then its first.
ENHANCED: dict[str, Code] = {
    **{code: Code(cause, IANA) for code, cause in _IANA.items()},
    **{code: Code(cause, IANA, vague=True) for code, cause in _IANA_VAGUE.items()},
    **{code: Code(Cause.AUTHENTICATION, GOOGLE) for code in _GOOGLE},
    **{code: Code(cause, MICROSOFT) for code, cause in _MICROSOFT.items()},
}
# The whole code first, then its first digit as RFC 5321 writes it. All but 556 are vague: they are what a server says
# when it does not care to say.
BASIC: dict[str, Code] = {
    "421": Code(Cause.SYSTEM, RFC5321, vague=True),
    "450": Code(Cause.SYSTEM, RFC5321, vague=True),
    "451": Code(Cause.SYSTEM, RFC5321, vague=True),
    "452": Code(Cause.SYSTEM, RFC5321, vague=True),
    "530": Code(Cause.AUTHENTICATION, RFC5321, vague=True),
    "535": Code(Cause.AUTHENTICATION, RFC5321, vague=True),
    "552": Code(Cause.FULL_MAILBOX, RFC5321, vague=True),
    "556": Code(Cause.NO_MAIL, RFC7504),
    "4yz": Code(Cause.UNKNOWN, RFC5321, vague=True),
}
