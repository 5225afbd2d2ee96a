"""SendGrid's own header of its relay: X-SMTPAPI (facts/esp-contracts.md section 4.5). The relay takes it off."""

import json
import unicodedata
from typing import Any

from domain import ports

_WIDTH = 72  # SendGrid takes lines of at most 1,000 characters
_LONGEST_CATEGORY = 255
# Our own links and headers are in every mail; SendGrid's would be others that we never hear of.
_FILTERS = {
    "clicktrack": {"settings": {"enable": 1, "enable_text": 0}},
    "opentrack": {"settings": {"enable": 1}},
    "subscriptiontrack": {"settings": {"enable": 0}},
}
# Mail that she waits for has no link through a redirector. The relay documents one filter alone to go past its lists,
# bypass_list_management, which overrides bounces and spam reports too: so none is asked for here, and who is on SendGrid's
# own list of global unsubscribes is reached by its API only (providers/sendgrid/payload.py).
_WAITED_FOR = {
    "clicktrack": {"settings": {"enable": 0, "enable_text": 0}},
    "opentrack": {"settings": {"enable": 0}},
    "subscriptiontrack": {"settings": {"enable": 0}},
}


def field(batch: ports.Batch, message_id: str, attempt_id: str) -> str:
    """The header of one mail: the ids that its webhook echoes. It has no `to`: the envelope says for whom it is."""
    told: dict[str, Any] = {
        "unique_args": {"message_id": message_id, "attempt_id": attempt_id},
        "category": [_category(batch.campaign)],
        "filters": _WAITED_FOR if batch.transactional else _FILTERS,
    }
    if batch.pool is not None:
        told["ip_pool"] = batch.pool
    if batch.send_at is not None:
        told["send_at"] = int(batch.send_at.timestamp())
    # In ASCII, and folded only between its items: a break inside of a text would become a part of it.
    lines, line = [], "X-SMTPAPI:"
    for item in _items(told):
        if len(line) + 1 + len(item) > _WIDTH:
            lines.append(line)
            line = ""
        line += f" {item}"
    return "\r\n".join([*lines, line]) + "\r\n"


def _items(told: dict[str, Any]) -> list[str]:
    """The JSON object in pieces between which a blank, and so a line end, changes nothing."""
    pieces = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in told.items()]
    return ["{", *(f"{piece}," for piece in pieces[:-1]), pieces[-1], "}"]


def _category(campaign: str) -> str:
    """The campaign's name in printable ASCII, as SendGrid demands of categories."""
    plain = unicodedata.normalize("NFKD", campaign).encode("ascii", "ignore").decode()
    return "".join(one for one in plain if one.isprintable())[:_LONGEST_CATEGORY].strip() or "campaign"
