"""Who reads the bodies of which provider, and whose they are.

What is in the inbox was verified, so no reader here holds a webhook's key.
"""

from collections.abc import Mapping

from domain.ports import EventReader
from providers.mailchimp import events as marketing
from providers.mailchimp import transactional_events as transactional
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.webhook import MarketingEvents, TransactionalEvents
from providers.postmark import events as postmark
from providers.postmark.webhook import PostmarkEvents
from providers.routes_file import RoutesFile
from providers.sendgrid.webhook import SendGridEvents
from providers.smtp import returns
from providers.smtp.config import ReturnsConfig
from providers.smtp.returns import ReturnedMail


def event_readers(
    *, mailchimp: MailchimpConfig, returned: ReturnsConfig, link_key: str, link_purpose: str
) -> Mapping[str, EventReader]:
    """Provider → reader. `link_key`, `link_purpose`: of the unsubscribe links that mail of ours bears."""
    return {
        "sendgrid": SendGridEvents([]),
        marketing.PROVIDER: MarketingEvents(list_id=mailchimp.marketing_list_id),
        transactional.PROVIDER: TransactionalEvents(),
        postmark.PROVIDER: PostmarkEvents(),
        returns.PROVIDER: ReturnedMail(
            keys={"1": link_key},
            link_purpose=link_purpose,
            unsubscribe_mailboxes=returned.unsubscribe_addresses,
            trusting=returned.trust_addresses,
        ),
    }


def webhook_accounts(declared: RoutesFile, account_id: str) -> Mapping[str, frozenset[str]]:
    """Provider → the accounts to which what its webhook tells may belong, as far as that is declared.

    The settings' own keys are those of the account that the settings name, besides those with a route. SendGrid's are
    any account's that has no routes.
    """
    users, own = declared.users, frozenset({account_id})
    of_settings = (marketing.PROVIDER, transactional.PROVIDER, postmark.PROVIDER)
    return users | {name: users.get(name, own) | own for name in of_settings}
