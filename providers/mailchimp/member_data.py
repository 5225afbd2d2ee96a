"""One member as Mailchimp is told of her, and why it does not take her."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.campaign_host import Member, MemberRefusal
from domain.masking import masked
from domain.suppression import Reason
from providers.mailchimp import fields

SUBSCRIBED = "subscribed"
# Only she herself can undo these. Who is neither, nor subscribed, never agreed to mail there, or not yet.
_STANDING = {"unsubscribed": Reason.UNSUBSCRIBE, "cleaned": Reason.HARD_BOUNCE}
# Words of an error for one member: "… is in a compliance state due to unsubscribe, bounce, or compliance review and
# cannot be subscribed"; "… was permanently deleted and cannot be re-imported". Which of the three it was is not told, and
# the mildest is believed: it stops marketing alone.
_STANDING_WORDS = {"compliance state": Reason.UNSUBSCRIBE, "permanently deleted": Reason.MANUAL}


def known(address: Any) -> str:
    """By which an address is found again in an answer: Mailchimp knows one spelling in lower case."""
    return str(address or "").casefold()


def readable(members: Sequence[Member]) -> tuple[dict[str, Member], list[MemberRefusal]]:
    """Those who can be sent to Mailchimp, by address, and those who cannot."""
    asked: dict[str, Member] = {}
    refused = []
    for member in members:
        long = [name for name, value in _values(member.values).items() if len(value.encode()) > fields.MOST_BYTES]
        if long:
            refused.append(
                MemberRefusal(member.message_id, f"{long[0]} is longer than a field's {fields.MOST_BYTES} bytes")
            )
        elif known(member.address) in asked:
            refused.append(MemberRefusal(member.message_id, "another message of the run goes to the same address"))
        else:
            asked[known(member.address)] = member
    return asked, refused


def _values(values: Mapping[str, str]) -> dict[str, str]:
    return {name: fields.written(value) for name, value in values.items() if name not in fields.SYSTEM_TAGS}


def body(key: str, member: Member, *, known: bool) -> dict[str, Any]:
    """What `POST /lists/{id}` takes of her. Of whom it knows no status is sent, so that hers stays as it is."""
    merged = {fields.tag(key, name): value for name, value in _values(member.values).items()}
    status = {} if known else {"status": SUBSCRIBED}
    return {"email_address": member.address, "merge_fields": merged, **status}


def told_of(state: str | None) -> str:
    """Why somebody in this state of Mailchimp's is not mailed; None: it did not say which."""
    if state in _STANDING:
        return f"at Mailchimp she is {state}, and only she can subscribe again"
    return f"at Mailchimp she is {state or 'unknown'}: she has not subscribed there"


def refusal(message_id: str, why: str, state: str | None) -> MemberRefusal:
    """In our words: for good where her state, if it is told, or else Mailchimp's words, say so."""
    worded = next((reason for words, reason in _STANDING_WORDS.items() if words in why.casefold()), None)
    return MemberRefusal(message_id, masked(why), _STANDING.get(state or "") or worded)
