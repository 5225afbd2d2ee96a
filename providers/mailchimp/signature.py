"""Is this webhook body Mailchimp's? Two products, two schemes; both compared in constant time, on the text as it came.

Sources: facts/esp-contracts.md sections 4.3 and 4.4. Marketing's signature bears a time, and Transactional's none; a
post is repeated for 75 minutes, so the age is not judged: a replay changes nothing, as an event is known when it comes
again. Marketing signs only webhooks that were made with a signing secret; to the others the URL's secret is the key.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

MARKETING_HEADER = "X-Mailchimp-Signature"
TRANSACTIONAL_HEADER = "X-Mandrill-Signature"
_MARKETING = re.compile(r"t=([0-9]{1,15})((?:,v1=[0-9a-f]{64})+)")
# A shop's 80 merge fields and six sets of groups make 105; millions of "a=" would hold up the door before any key.
_MOST_FIELDS = 2000


def marketing(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    """Say whether one of the signing secrets made `t=…,v1=…`: HMAC-SHA256 over time, dot and raw body, in hex.

    While Mailchimp rotates a secret there may be a v1 of each.
    """
    match = _MARKETING.fullmatch(_header(headers, MARKETING_HEADER))
    if match is None:
        return False
    signed = f"{match[1]}.".encode() + body
    given = match[2].removeprefix(",v1=").split(",v1=")
    wanted = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return any(hmac.compare_digest(one, other) for one in wanted for other in given)


def transactional(headers: Mapping[str, str], body: bytes, keys: Sequence[str], urls: Sequence[str]) -> bool:
    """Say whether one of the keys made this: base64 of HMAC-SHA1 over the registered URL and the sorted fields.

    The URL is what was typed in at Mailchimp, to the last slash; what a proxy made of it is not asked.
    """
    given = _header(headers, TRANSACTIONAL_HEADER)
    fields = form(body)
    if fields is None or not given.isascii():
        return False
    text = "".join(name + value for name, value in sorted(fields))
    wanted = [_transactional(key, url + text) for key in keys for url in urls]
    return any(hmac.compare_digest(one, given) for one in wanted)


def _transactional(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def form(body: bytes) -> list[tuple[str, str]] | None:
    """The fields of a form-encoded body; None where it is none."""
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:  # UnicodeDecodeError among them
        return None


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")
