"""A campaign's content in Mailchimp's words: our placeholders become merge tags, and its footer is there.

Mailchimp sends no campaign without its own link to unsubscribe and the audience's postal address (its Terms, and the
send checklist). So the engine's links to leave and to choose become Mailchimp's, whose pages know the audience: who
leaves there is told to us by webhook and report.
"""

import re
from typing import Any

from domain.campaign_host import HostedCampaign, HostRefuses
from domain.templates import html_tag, plain_tag
from providers.mailchimp import fields

# The preferences page has the address of the unsubscribe link with this word behind it.
_PREFERENCES_PATH = "/preferences"
_PLACEHOLDER = re.compile(r"\[%[^%]{1,80}%\]")
_ADDRESS = re.compile(r"\*\|(?:HTML:)?LIST[:_]ADDRESS")
_UNSUBSCRIBE = fields.SYSTEM_TAGS[fields.UNSUBSCRIBE_URL]
_HTML_ADDRESS = '<p style="font-size:12px;color:#595959;text-align:center">*|LIST:ADDRESSLINE|*</p>'
_HTML_UNSUBSCRIBE = f'<p style="font-size:12px;text-align:center"><a href="{_UNSUBSCRIBE}">Unsubscribe</a></p>'


def settings(campaign: HostedCampaign) -> dict[str, Any]:
    """Everything that is not the body. Mailchimp has one address for the sender and for replies: the sender's."""
    return {
        "subject_line": _tagged(campaign, campaign.content.subject),
        "from_name": campaign.sender.name,
        "reply_to": campaign.sender.email,
        "auto_footer": False,
    }


def body(campaign: HostedCampaign) -> dict[str, Any]:
    """The body of PUT /campaigns/{id}/content. Raises HostRefuses for a placeholder that nobody fills."""
    content = campaign.content
    found = {"plain_text": _text(_tagged(campaign, content.text))}
    if content.html:
        found["html"] = _html(_tagged(campaign, content.html))
    return found


def _tagged(campaign: HostedCampaign, part: str) -> str:
    for tag in (html_tag, plain_tag):
        part = part.replace(tag(fields.UNSUBSCRIBE_URL) + _PREFERENCES_PATH, fields.SYSTEM_TAGS[fields.PREFERENCES_URL])
        for variable in (*campaign.content.variables, *fields.SYSTEM_TAGS):
            part = part.replace(tag(variable), fields.merge_tag(campaign.key, variable))
    if left := _PLACEHOLDER.search(part):
        raise HostRefuses(f"the content has a placeholder that is none of its variables: {left[0]}")
    return part


def _html(part: str) -> str:
    missing = [
        *([] if _UNSUBSCRIBE in part else [_HTML_UNSUBSCRIBE]),
        *([] if _ADDRESS.search(part) else [_HTML_ADDRESS]),
    ]
    before, end, after = part.rpartition("</body>")
    return f"{before}{''.join(missing)}{end}{after}" if end else part + "".join(missing)


def _text(part: str) -> str:
    missing = [
        *([] if _UNSUBSCRIBE in part else [f"Unsubscribe: {_UNSUBSCRIBE}"]),
        *([] if _ADDRESS.search(part) else ["*|LIST:ADDRESSLINE|*"]),
    ]
    return "\n".join([part, *missing])
