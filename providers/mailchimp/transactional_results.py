"""What Transactional's answer says of a batch: of each recipient in a 200, and of the whole in an error.

Sources: facts/esp-contracts.md section 4.4, and the vendor's own document of the API. In a 200 every recipient has a
result of his own. An error has a name. The API of old answered each with 500, and its own clients go by the name alone
(they raise an exception of that name whatever the status); now Invalid_Key is 401, PaymentRequired 402, Unknown_… 404,
ValidationError 422. So a name that can only mean that the call was refused before any mail was made means that in both;
GeneralError, a name that is not here and a 5xx without a name mean nothing at all.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import httpx
import orjson

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from domain.masking import masked
from providers import http, one_request
from providers.http import Verdict

_TAKEN = frozenset({"sent", "queued", "scheduled"})
# Why a mail is refused: of these the sender is the cause. Every other mail would fare the same, and goes once it is mended.
_OUR_FAULT = frozenset({"unsigned", "invalid-sender", "test-mode-limit"})
# On the denylist for that: it stands until somebody takes the address off, or it expires there.
_DENYLISTED = frozenset({"hard-bounce", "soft-bounce", "spam", "unsub", "custom"})
_NAMED = {
    "Invalid_Key": Verdict(OutcomeKind.NOT_SENT, stop=True),
    "PaymentRequired": Verdict(OutcomeKind.NOT_SENT, stop=True),
    "PoorReputation": Verdict(OutcomeKind.NOT_SENT, stop=True),
    "Unknown_Subaccount": Verdict(OutcomeKind.NOT_SENT, stop=True),
    "Unknown_Template": Verdict(OutcomeKind.NOT_SENT, stop=True),
    "RequestLimitExceeded": Verdict(OutcomeKind.NOT_SENT),
    "ValidationError": Verdict(OutcomeKind.REJECTED),  # "the parameters passed to the API call are invalid"
}
_STATUSES = http.VERDICTS | {402: Verdict(OutcomeKind.NOT_SENT, stop=True)}
_NAME_COUNTS = frozenset({*range(400, 500), 500})  # a gateway's 502, 503 and 504 come from somebody else


def outcome(response: httpx.Response, batch: ports.Batch, *, now: datetime) -> Outcome:
    """Read the answer; the detail holds no address."""
    answer = _json(response.content)
    if response.status_code == httpx.codes.OK:
        if isinstance(answer, list):
            return _of_results(answer, batch)
        return Outcome(OutcomeKind.UNKNOWN, detail="HTTP 200: no list of results", status=200)
    return _of_error(response, answer, batch.addresses, now)


def _of_results(results: list[Any], batch: ports.Batch) -> Outcome:
    by_address = {str(one.get("email", "")).lower(): one for one in results if isinstance(one, dict)}
    people = zip(batch.message_ids, batch.addresses, strict=True)
    each = {message_id: _of_one(by_address.get(address.lower()), batch.addresses) for message_id, address in people}
    return one_request.of_each(each)


def _of_one(result: Mapping[str, Any] | None, addresses: Iterable[str]) -> Outcome:
    if result is None:
        return Outcome(OutcomeKind.UNKNOWN, detail="HTTP 200: the answer does not name this recipient", status=200)
    word, why = result.get("status"), str(result.get("reject_reason") or "")
    if word in _TAKEN:
        return Outcome(OutcomeKind.ACCEPTED, status=200, provider_reference=_text(result.get("_id")))
    if word not in {"rejected", "invalid"}:
        return Outcome(OutcomeKind.UNKNOWN, detail=masked(f"HTTP 200: the status {word}", addresses), status=200)
    told = masked(f"{word}: {why}" if why and why != word else str(word), addresses)
    if why in _DENYLISTED:
        told += "; the address is on the account's denylist"
    if why in _OUR_FAULT:
        return Outcome(OutcomeKind.NOT_SENT, detail=told, status=200, stop_provider=True)
    return Outcome(OutcomeKind.REJECTED, detail=told, status=200)


def _of_error(response: httpx.Response, answer: Any, addresses: Iterable[str], now: datetime) -> Outcome:
    told = answer if isinstance(answer, dict) and answer.get("status") == "error" else {}
    named = _NAMED.get(str(told.get("name"))) if response.status_code in _NAME_COUNTS else None
    verdict = named or _STATUSES.get(response.status_code, http.ANYTHING_ELSE)
    words = f"{told.get('name')}: {told.get('message')}" if told else ""
    wait = http.retry_after(response.headers.get("Retry-After"), now=now)
    return Outcome(
        verdict.kind,
        detail=masked(f"HTTP {response.status_code}: {words}" if words else f"HTTP {response.status_code}", addresses),
        status=response.status_code,
        retry_after=wait if verdict.kind is OutcomeKind.NOT_SENT else None,
        stop_provider=verdict.stop,
    )


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
