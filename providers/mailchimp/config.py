"""Mailchimp's settings."""

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator

_LIST_ID = re.compile(r"[A-Za-z0-9]+")
_DATA_CENTRE = re.compile(r"[a-z]{2,}\d+")
# It stands in a URL's path, where it is all that tells Mailchimp from anybody: 20 characters are out of reach.
_URL_SECRET = re.compile(r"[A-Za-z0-9_-]{20,}")


class MailchimpNotConfigured(RuntimeError):
    """A setting that Mailchimp cannot do without is missing or unusable; the message names it and never its value."""


class MailchimpConfig(BaseModel):
    """One Mailchimp account: Marketing (3.0) and Transactional, which have keys of their own."""

    marketing_api_key: SecretStr | None = Field(None, description="API key of Mailchimp Marketing, with its -us1")
    marketing_access_token: SecretStr | None = Field(
        None, description="OAuth token of Mailchimp Marketing, in place of a key; Mailchimp tells its data centre"
    )
    marketing_metadata_url: str = Field(
        "https://login.mailchimp.com/oauth2/metadata",
        pattern="^https?://",
        description="where Mailchimp tells the data centre of an OAuth token",
    )
    marketing_base_url: str | None = Field(
        None, pattern="^https?://", description="where Marketing's API is; none: at the data centre that the key names"
    )
    marketing_list_id: str = Field("", description="the audience (list) whose members are the customers")
    marketing_url_secrets: list[SecretStr] = Field(
        [], description="last part of the webhook's URL, 20 characters or more; two while it is changed"
    )
    marketing_signing_secrets: list[SecretStr] = Field(
        [], description="signing secrets of Marketing's webhooks; several while one is rotated, none: unsigned"
    )
    transactional_api_key: SecretStr | None = Field(None, description="API key of Mailchimp Transactional")
    transactional_base_url: str = Field("https://mandrillapp.com/api/1.0", pattern="^https?://")
    transactional_batch_size: int = Field(
        1,
        ge=1,
        le=1000,
        description="mails in one request of Transactional; only alone does a mail carry its List-Unsubscribe header",
    )
    transactional_concurrency: int = Field(16, ge=1, le=64, description="requests to Transactional under way at once")
    transactional_subaccount: str | None = Field(None, min_length=1, description="id of a subaccount that mails")
    transactional_lookup: bool = Field(
        False, description="attempt_id is a searchable field of Transactional's metadata: unknown batches are looked up"
    )
    transactional_webhook_keys: list[SecretStr] = Field(
        [], description="keys of Transactional's webhooks, one a webhook; several while one is rotated"
    )
    transactional_webhook_urls: list[str] = Field(
        [], description="the webhook's URL exactly as registered, which is signed too; none: made of the gateway's"
    )
    connect_timeout_seconds: float = Field(5.0, gt=0)
    read_timeout_seconds: float = Field(30.0, gt=0, description="a request that takes longer has an unknown outcome")
    concurrency: int = Field(8, ge=1, le=10, description="requests under way at once; Marketing allows ten a user")

    @field_validator("marketing_url_secrets")
    @classmethod
    def _unguessable(cls, secrets: list[SecretStr]) -> list[SecretStr]:
        if not all(_URL_SECRET.fullmatch(secret.get_secret_value()) for secret in secrets):
            raise ValueError("each needs 20 characters or more out of A-Z, a-z, 0-9, - and _")
        return secrets

    @field_validator("marketing_signing_secrets", "transactional_webhook_keys")
    @classmethod
    def _not_empty(cls, secrets: list[SecretStr]) -> list[SecretStr]:
        """With an empty key anybody could sign."""
        if not all(secret.get_secret_value().strip() for secret in secrets):
            raise ValueError("an empty key signs nothing: leave it out")
        return secrets

    @field_validator("transactional_webhook_urls")
    @classmethod
    def _absolute(cls, urls: list[str]) -> list[str]:
        if not all(urlsplit(url).scheme in {"http", "https"} for url in urls):
            raise ValueError("each is a whole URL, as registered with Mailchimp Transactional")
        return urls

    def transactional_urls(self, default: str) -> list[str]:
        """By which URLs Transactional's webhook may be registered; `default` where the setting names none."""
        return self.transactional_webhook_urls or [default]

    def required_marketing_key(self) -> str:
        """Marketing's API key in clear. Raises MailchimpNotConfigured."""
        return _required(self.marketing_api_key, "OMS_MAILCHIMP_MARKETING_API_KEY")

    def marketing_token(self) -> str | None:
        """Marketing's OAuth token in clear, if that is how it is reached. Raises MailchimpNotConfigured for both ways."""
        token = self.marketing_access_token.get_secret_value().strip() if self.marketing_access_token else ""
        key = self.marketing_api_key.get_secret_value().strip() if self.marketing_api_key else ""
        if token and key:
            raise MailchimpNotConfigured(
                "OMS_MAILCHIMP_MARKETING_API_KEY and OMS_MAILCHIMP_MARKETING_ACCESS_TOKEN are both set: leave one out, so"
                " that it is plain which account is meant"
            )
        return token or None

    def required_list_id(self) -> str:
        """The audience that the customers are in. Raises MailchimpNotConfigured."""
        if not _LIST_ID.fullmatch(self.marketing_list_id):
            raise MailchimpNotConfigured(
                "OMS_MAILCHIMP_MARKETING_LIST_ID must name the audience of the customers: its ID stands in Mailchimp"
                " under Audience, Settings, Audience name and defaults"
            )
        return self.marketing_list_id

    def required_transactional_key(self) -> str:
        """Transactional's API key in clear. Raises MailchimpNotConfigured."""
        return _required(self.transactional_api_key, "OMS_MAILCHIMP_TRANSACTIONAL_API_KEY")

    def marketing_url(self) -> str:
        """Base of Marketing's API: the part behind the key's dash is the data centre. Raises MailchimpNotConfigured."""
        if self.marketing_base_url:
            return self.marketing_base_url.rstrip("/")
        _, _, data_centre = self.required_marketing_key().rpartition("-")
        if not _DATA_CENTRE.fullmatch(data_centre):
            raise MailchimpNotConfigured(
                "OMS_MAILCHIMP_MARKETING_API_KEY does not end with its data centre, such as -us1: copy the whole key"
            )
        return f"https://{data_centre}.api.mailchimp.com/3.0"


def _required(secret: SecretStr | None, variable: str) -> str:
    key = secret.get_secret_value().strip() if secret else ""
    if not key:
        raise MailchimpNotConfigured(f"there is no Mailchimp API key: create one and set {variable}")
    return key
