"""From the token in a link to the mail that it was in, and whose mail that was.

The token is signed and opaque, and never expires: a way out that closes some day is none. One token opens the
unsubscribe page and the preference page of its mail, so that a mail carries one link for each recipient.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import SecretStr

from data import accounts, correlation, ledger, preferences
from data.correlation import Recipient
from data.preferences import Contact
from domain import campaigns, tokens
from domain.accounts import Account
from gateway.texts import Wish


@dataclass(frozen=True, slots=True)
class Letter:
    """The mail that a token was in, and whose it was."""

    run_id: str
    ordinal: int
    customer: Recipient
    contact: Contact
    account: Account

    @property
    def id(self) -> str:
        return campaigns.message_id(self.run_id, self.ordinal)

    def language(self, wish: Wish) -> str:
        """Of the pages that are opened by it."""
        return wish.language(self.contact.locale, self.account.language)


@dataclass(frozen=True, slots=True)
class Letters:
    """All mail that was planned for anybody."""

    engine: sa.Engine
    link_key: SecretStr

    def of(self, connection: sa.Connection, token: str) -> Letter | None:
        """None for a token that we did not make, and for that of a mail to nobody, such as a seed message."""
        keys = {"1": self.link_key.get_secret_value()}
        message_id = tokens.verify(token, purpose=ledger.UNSUBSCRIBE_PURPOSE, keys=keys)
        named = None if message_id is None else campaigns.parse_message_id(message_id)
        if named is None:
            return None
        run_id, ordinal = named
        customer = correlation.recipients_of(connection, run_id, [ordinal]).get(ordinal)
        if customer is None:
            return None
        account = accounts.get(connection, customer.account_id)
        return Letter(run_id, ordinal, customer, preferences.contact(connection, customer.party_id), account)
